"""What bodies say about actions and cohorts, and the persons in an uploaded CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from typing import Any

import falcon

from ...domain.action import ActionFields
from ...domain.cohort import CohortFields
from ...domain.errors import InvalidInput, UnsupportedQuery
from .bodies import boolean, json_body

MAX_COLUMNS = 200
_COLUMNS = {
    "distinct_id": "distinct_id", "distinctid": "distinct_id", "person_id": "person_id", "personid": "person_id",
    "person_uuid": "person_id", "uuid": "person_id", "email": "email", "e_mail": "email",
}  # fmt: skip
"""Names of columns, in small letters and with underscores, and what they hold."""


def action_fields(body: Mapping[str, Any]) -> ActionFields:
    """Return what a body says about an action; read-only and unknown keys are ignored. Raises `InvalidInput`."""
    return ActionFields(**{field: parse(body[field], field) for field, parse in _ACTION.items() if field in body})


def cohort_fields(body: Mapping[str, Any]) -> CohortFields:
    """Return what a body says about a cohort; read-only and unknown keys are ignored. Raises `InvalidInput`."""
    if body.get("query"):
        raise UnsupportedQuery("A cohort by a query is not supported yet; use filters.", path="query")
    return CohortFields(**{field: parse(body[field], field) for field, parse in _COHORT.items() if field in body})


def is_form(req: falcon.Request) -> bool:
    """Whether the body is a form with files."""
    return (req.content_type or "").lower().startswith(falcon.MEDIA_MULTIPART)


def cohort_form(req: falcon.Request) -> tuple[dict[str, Any], bytes | None]:
    """Return the fields of a form and the bytes of its file `csv`. Raises Falcon's 400 for a damaged form."""
    fields: dict[str, Any] = {}
    file: bytes | None = None
    for part in req.get_media():
        content: bytes = part.get_data()
        if part.name == "csv":
            file = content
        elif part.name in ("name", "description", "is_static", "deleted"):
            fields[part.name] = content.decode("utf-8", "replace")
    return fields, file


def persons_of_csv(content: bytes) -> tuple[str, list[str]]:
    """Return what a CSV file tells persons by (`distinct_id`, `person_id` or `email`) and their names.

    With a heading that is known its column counts, else the first column of every row holds distinct ids. Raises
    `InvalidInput` for what is no CSV in UTF-8, or has no persons.
    """
    try:
        rows = [row for row in csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")) if any(row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput("The file is no CSV in UTF-8.", path="csv") from error
    if not rows or len(rows[0]) > MAX_COLUMNS:
        raise InvalidInput("The file holds no persons.", path="csv")
    headings = [_COLUMNS.get(cell.strip().lower().replace("-", "_").replace(" ", "_")) for cell in rows[0]]
    kind = next((one for one in ("distinct_id", "person_id", "email") if one in headings), None)
    place = headings.index(kind) if kind is not None else 0
    if kind is None and len(rows[0]) > 1:
        raise InvalidInput("A file of several columns needs one called distinct_id, person_id or email.", path="csv")
    cells = [row[place].strip() for row in rows[1 if kind else 0 :] if len(row) > place]
    return kind or "distinct_id", [cell for cell in cells if cell]


def names_in(req: falcon.Request, field: str) -> list[str]:
    """Return a list of texts of the body, or one text as a list; nothing when it is absent. Raises `InvalidInput`."""
    value = json_body(req).get(field)
    found = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise InvalidInput("This is a list of texts.", path=field)
    return found


def _as_it_is(value: Any, _path: str) -> Any:
    return value


def _trimmed(value: Any, _path: str) -> Any:
    return value.strip() if isinstance(value, str) else value


def _text_or_nothing(value: Any, path: str) -> Any:
    return "" if value is None else _trimmed(value, path)


def _tuple(value: Any, path: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise InvalidInput("This is a list.", path=path, code="not_a_list")
    return tuple(value)


def _tags(value: Any, path: str) -> tuple[str, ...]:
    found = _tuple(value, path)
    if not all(isinstance(one, str) for one in found):
        raise InvalidInput("Not a valid string.", path=path)
    return found


_ACTION: Mapping[str, Callable[[Any, str], Any]] = {
    "name": _trimmed,
    "description": _text_or_nothing,
    "tags": _tags,
    "post_to_slack": boolean,
    "slack_message_format": _text_or_nothing,
    "steps": _tuple,
    "deleted": boolean,
}
"""The writable fields of an action and how each is read; what they may hold is the domain's business."""
_COHORT: Mapping[str, Callable[[Any, str], Any]] = {
    "name": _trimmed,
    "description": _text_or_nothing,
    "filters": _as_it_is,
    "groups": _as_it_is,
    "is_static": boolean,
    "deleted": boolean,
}
