"""JSON bodies and the fields of an insight in them, with the contract's errors for each wrong value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import falcon
import orjson

from ...application.query_nodes import check_storable
from ...domain.dashboard import DashboardFields, TileChange
from ...domain.errors import InvalidInput, InvalidQuery, UnsupportedQuery
from ...domain.insight_commands import MAX_ORDER, MAX_TEXT, Definition
from ...domain.sharing import SharePatch
from .errors import ParseFailed

MAX_STORED = 2**63 - 1
TRUE = frozenset({"t", "y", "yes", "true", "on", "1"})
FALSE = frozenset({"f", "n", "no", "false", "off", "0"})


def json_body(req: falcon.Request) -> dict[str, Any]:
    """Return the request's body as a JSON object, `{}` for an empty one; read once, then remembered.

    Raises `ParseFailed` for what is no JSON object, and Falcon's 415 for another content type.
    """
    failed: ParseFailed | None = getattr(req.context, "json_error", None)
    if failed is not None:
        raise failed
    known: dict[str, Any] | None = getattr(req.context, "json_body", None)
    if known is not None:
        return known
    raw = req.bounded_stream.read()
    req.context.json_body = {}
    if raw:
        media_type = (req.content_type or "").partition(";")[0].strip().lower()
        if media_type and media_type != falcon.MEDIA_JSON and not media_type.endswith("+json"):
            raise UnsupportedMediaType(req.content_type or "")
        try:
            value = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise ParseFailed(f"JSON parse error - {error}") from error
        if isinstance(value, list):
            req.context.json_list = value
        if not isinstance(value, dict):
            raise ParseFailed(f"JSON parse error - expected an object, got {_json_type(value)}")
        req.context.json_body = value
    found: dict[str, Any] = req.context.json_body
    return found


class UnsupportedMediaType(falcon.HTTPUnsupportedMediaType):
    """A body of another type than JSON."""

    def __init__(self, media_type: str) -> None:
        super().__init__(description=f'Unsupported media type "{media_type}" in request.')


def json_list(req: falcon.Request) -> list[Any]:
    """Return the request's body as a JSON array. Raises `ParseFailed`, and Falcon's 415 for another content type."""
    try:
        json_body(req)
    except ParseFailed:
        found: list[Any] | None = getattr(req.context, "json_list", None)
        if found is None:
            raise
        return found
    raise ParseFailed("JSON parse error - expected a list")


def json_body_or_nothing(req: falcon.Request) -> Mapping[str, Any]:
    """Return the body when it is a JSON object, else nothing; for looking for a key in it."""
    if not (req.content_type or "").startswith(falcon.MEDIA_JSON):
        return {}
    try:
        return json_body(req)
    except ParseFailed as error:
        req.context.json_error = error
        return {}


def definition(body: Mapping[str, Any]) -> Definition:
    """Return what a body says about an insight; read-only and unknown keys are ignored. Raises `InvalidInput`."""
    given = {field: parse(body[field], field) for field, parse in FIELDS.items() if field in body}
    return Definition(**given)


def _text(value: Any, path: str) -> str | None:
    if value is None:
        return None
    text = _string(value, path)
    if len(text) > MAX_TEXT:
        raise InvalidInput(f"Ensure this field has no more than {MAX_TEXT} characters.", path=path, code="max_length")
    return text


def _string(value: Any, path: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InvalidInput("Not a valid string.", path=path)
    text = str(value).strip()  # COMPAT: texts of one line lose the white space around them, before their length counts
    if "\x00" in text:
        raise InvalidInput("Null characters are not allowed.", path=path)
    return text


def _not_null(value: Any, path: str) -> Any:
    if value is None:
        raise InvalidInput("This field may not be null.", path=path, code="null")
    return value


def boolean(value: Any, path: str) -> bool:
    """Return a boolean as clients write it. Raises `InvalidInput` for anything else."""
    value = _not_null(value, path)
    text = str(value).lower() if isinstance(value, str | bool | int) else ""
    if text in TRUE:
        return True
    if text in FALSE:
        return False
    raise InvalidInput("Must be a valid boolean.", path=path)


def integer(value: Any, path: str) -> int:
    """Return an integer, also given as text or as a whole float. Raises `InvalidInput` for anything else."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= 2 * MAX_ORDER:
        value = int(value)
    if isinstance(value, str) and value.isascii() and len(value) <= 20:
        try:
            value = int(value)
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, int) or not -MAX_STORED <= value <= MAX_STORED:
        raise InvalidInput("A valid integer is required.", path=path)
    return value


def _order(value: Any, path: str) -> int | None:
    return None if value is None else integer(value, path)


def _list(value: Any, path: str) -> list[Any]:
    value = _not_null(value, path)
    if not isinstance(value, list):
        raise InvalidInput(
            f'Expected a list of items but got type "{_json_type(value)}".', path=path, code="not_a_list"
        )
    return value


def _tags(value: Any, path: str) -> tuple[str, ...]:
    return tuple(_text(_not_null(tag, path), path) or "" for tag in _list(value, path))


def _dashboards(value: Any, path: str) -> tuple[int, ...]:
    for item in _list(value, path):
        if isinstance(item, bool) or not isinstance(item, int):
            raise InvalidInput(
                f"Incorrect type. Expected pk value, received {_json_type(item)}.", path=path, code="incorrect_type"
            )
    return tuple(value)


def _query(value: Any, path: str) -> Any:
    if value is None:
        return None
    if not value and not isinstance(value, dict):
        raise InvalidInput("Query must be a valid JSON object", path=path)
    if not isinstance(value, dict):
        raise ParseFailed(f"query: expected an object, got {_json_type(value)}")
    if not value:
        return {}
    try:
        check_storable(value, path=path)
    except UnsupportedQuery:
        return value
    except InvalidQuery as error:
        raise ParseFailed(f"{error.path or path}: {error.detail}", path=error.path) from error
    return value


FIELDS: Mapping[str, Callable[[Any, str], Any]] = {
    "name": _text,
    "derived_name": _text,
    "description": _text,
    "filters": _not_null,
    "query": _query,
    "order": _order,
    "deleted": boolean,
    "favorited": boolean,
    "saved": boolean,
    "tags": _tags,
    "dashboards": _dashboards,
}
"""The writable fields of an insight and how each is read."""


def share_patch(body: Mapping[str, Any]) -> SharePatch:
    """Return what a body says about sharing; other keys are ignored. Raises `InvalidInput`."""
    settings = body.get("settings")
    if settings is not None and not isinstance(settings, dict):
        raise InvalidInput("Invalid settings format", path="settings")
    return SharePatch(
        enabled=boolean(body["enabled"], "enabled") if "enabled" in body else None,
        settings=settings,
        clear_settings="settings" in body and settings is None,
        password_required=(
            boolean(body["password_required"], "password_required") if "password_required" in body else None
        ),
        expires_at=body.get("expires_at"),
        clear_expiry="expires_at" in body and body["expires_at"] is None,
    )


def dashboard(body: Mapping[str, Any]) -> DashboardFields:
    """Return what a body says about a dashboard; read-only and unknown keys are ignored. Raises `InvalidInput`."""
    given = {field: parse(body[field], field) for field, parse in DASHBOARD_FIELDS.items() if field in body}
    return DashboardFields(**given)


def _tiles(value: Any, path: str) -> tuple[TileChange, ...]:
    """Return what a body says about tiles; items that are no objects are refused."""
    changes = []
    for item in _list(value, path):
        if not isinstance(item, dict):
            raise InvalidInput("A tile is a JSON object.", path=path)
        text = item.get("text")
        if text is not None and not isinstance(text, dict):
            raise InvalidInput("A text is a JSON object with a body.", path=path)
        body = text.get("body") if text else None
        tile_id = None if item.get("id") is None else integer(item["id"], path)
        if body is not None and not isinstance(body, str):
            raise InvalidInput("Not a valid string.", path=path)
        if item.get("color") is not None and not isinstance(item["color"], str):
            raise InvalidInput("Not a valid string.", path=path)
        known = {name: item[name] for name in ("layouts", "color", "filters_overrides") if name in item}
        deleted = boolean(item["deleted"], path) if item.get("deleted") is not None else False
        changes.append(TileChange(id=tile_id, body=body, deleted=deleted, **known))
    return tuple(changes)


def _description(value: Any, path: str) -> str:
    return "" if value is None else _string(value, path)


DASHBOARD_FIELDS: Mapping[str, Callable[[Any, str], Any]] = {
    "name": _text,
    "description": _description,
    "pinned": boolean,
    "filters": _not_null,
    "variables": lambda value, _path: {} if value is None else value,
    "tags": _tags,
    "restriction_level": integer,
    "deleted": boolean,
    "tiles": _tiles,
    "delete_insights": boolean,
}
"""The writable fields of a dashboard and how each is read."""


def insight_ids(body: Mapping[str, Any], most: int) -> list[int]:
    """Return the ids of a bulk view: 1 to `most` integers. Raises `InvalidInput`."""
    if "insight_ids" not in body:
        raise InvalidInput("This field is required.", path="insight_ids", code="required")
    ids = [integer(item, "insight_ids") for item in _list(body["insight_ids"], "insight_ids")]
    if not ids:
        raise InvalidInput("This list may not be empty.", path="insight_ids", code="empty")
    if len(ids) > most:
        raise InvalidInput(
            f"Ensure this field has no more than {most} elements.", path="insight_ids", code="max_length"
        )
    return ids


def _json_type(value: Any) -> str:
    return type(value).__name__
