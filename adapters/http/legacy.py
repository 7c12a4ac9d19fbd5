"""The legacy endpoints that calculate at once: parameters in the query string or in a JSON body, and their envelope."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import falcon
import orjson

from ...application.computing import refresh_mode
from ...application.library import Project
from ...domain.errors import InvalidInput
from ...domain.queries.legacy_values import decoded
from .bodies import json_body

FORCED = frozenset({"force_blocking", "force_async"})
"""The legacy endpoints have no way to say that a calculation is under way, so every mode waits for it."""
NOT_FILTERS = frozenset(
    {"client_query_id", "session_id", "personal_api_key", "format", "csv_rows", "export_name",
     "export_insight_id", "offset", "name", "derived_name", "description", "refresh",
     "as_of", "known_at", "query", "order", "deleted", "dashboards", "tags", "favorited", "saved", "from_dashboard",
     "filters"}
)  # fmt: skip
"""What clients may send beside the filters; none of it changes the answer."""


LISTS = ("events", "actions", "exclusions", "breakdowns")
"""Filters that are lists of objects."""
ENTITIES = ("target_entity", "returning_entity")
"""Filters that are objects."""


def given_filters(req: falcon.Request) -> dict[str, Any]:
    """Return the fields of the body, and the parameters of the query string that it does not have.

    Lists and objects of the query string are read from JSON text. Some clients send a body with GET. Raises
    `InvalidInput`; from now on errors of the request name parameters, not the fields of the query that these become.
    """
    req.context.names_parameters = True
    asked = {name: _value(value[-1] if isinstance(value, list) else value, name) for name, value in req.params.items()}
    return {**asked, **json_body(req)}


def filters_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return those parameters that are filters and not blank.

    Raises `InvalidInput` for lists and objects that are none.
    """
    for name in LISTS:
        value = decoded(given.get(name))
        if value not in (None, "") and not (isinstance(value, list) and all(isinstance(one, Mapping) for one in value)):
            raise InvalidInput("This must be a JSON array of objects.", path=name)
    for name in ENTITIES:
        value = decoded(given.get(name))
        if value not in (None, "") and not isinstance(value, Mapping):
            raise InvalidInput("This must be a JSON object.", path=name)
    return {key: value for key, value in given.items() if key not in NOT_FILTERS and value != ""}


def answered(project: Project, query: Any, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the response to a query; `given` says whether it must be calculated anew, and its id for cancelling."""
    mode = refresh_mode(given.get("refresh"), absent="blocking")
    query_id = given.get("client_query_id")
    return project.query(
        query,
        refresh="force_blocking" if mode in FORCED else "blocking",
        query_id=query_id if isinstance(query_id, str) and query_id else None,
    )


def envelope(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that stand beside `result`."""
    return {name: answer[name] for name in ("timezone", "is_cached", "last_refresh", "timings")}


def _value(text: str, name: str) -> Any:
    """Return the JSON value of lists and objects, other texts as they are. Raises `InvalidInput`."""
    if text[:1] in {"[", "{"}:
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise InvalidInput(f"This must be JSON: {error}", path=name) from error
    return text
