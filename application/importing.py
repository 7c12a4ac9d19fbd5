"""Bulk import of product events: what a row of a file has to be. How files are read and stored is for the adapters.

The fields follow the rules of capture with one difference: a row without a readable timestamp is rejected, since an
import that dates it now would date it differently each time. Beside our own columns those of PostHog's exports count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Literal
from uuid import UUID

import orjson
from attrs import frozen

from ..domain.capture import (
    BadPayload,
    completed_properties,
    distinct_id,
    event_name,
    event_uuid,
)
from ..domain.errors import InvalidInput
from ..domain.timestamps import from_us, parse_timestamp
from .json_values import quick_text

Format = Literal["jsonl", "csv", "parquet"]
COLUMNS = ("event", "distinct_id", "timestamp", "properties", "uuid")
REQUIRED = ("event", "distinct_id", "timestamp")
EXTRAS: Mapping[str, tuple[str, ...]] = {
    "$set": ("$set", "set", "person_properties"),
    "$set_once": ("$set_once", "set_once"),
    "$ip": ("ip",),
    "$elements_chain": ("elements_chain",),
}
"""Properties that may come in columns of their own: the first column with a value counts, what is in the properties
wins. `person_properties` is the person as PostHog exports it with each event."""
JSON_EXTRAS = frozenset({"$set", "$set_once"})
"""Those of them that are JSON objects; the others are text."""
_SHOWN_CHARACTERS = 2000


@frozen
class Reject:
    """A row that cannot be stored."""

    row: int
    """Line of the file (JSON lines, CSV) or row of the table (Parquet), from 1."""
    reason: str
    raw: str
    """The row as it was, at most 2,000 characters of it."""


@frozen(kw_only=True)
class ImportProgress:
    """What became of some rows of a file, in its order."""

    added: int
    known: int
    """Rows whose event the project has already."""
    rejects: list[Reject]
    done: int
    """How much of the file is read by now, in bytes (JSON lines, CSV) or rows (Parquet)."""
    total: int
    """How much there is, in the same unit."""


@frozen
class RowContent:
    """A row that can be stored."""

    event: str
    distinct_id: str
    timestamp_us: int
    """Microseconds since 1970, between the years 1 and 9999."""
    properties: str
    uuid: UUID | None


def rejected(row: int, reason: str, raw: str) -> Reject:
    """Return a reject that shows as much of the row as is useful."""
    return Reject(row, reason, raw[:_SHOWN_CHARACTERS])


def check_columns(found: Iterable[str]) -> None:
    """Raise `InvalidInput` unless the columns that every event needs are among those found."""
    names = list(found)
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise InvalidInput(f"The file has no column {', '.join(missing)}; it has {', '.join(names) or 'none'}.")


def row_content(item: Mapping[str, Any]) -> RowContent:
    """Return what a row says, its fields given by name. Raises `BadPayload` with the reason to reject it."""
    properties = _json_object(item.get("properties"), "properties")
    name = event_name(item.get("event"))
    who = distinct_id(item, properties)
    happened_us = _timestamp(item.get("timestamp"))
    extras = {key: value for key in EXTRAS if (value := _extra(key, item)) is not None}
    if extras:
        properties = completed_properties(properties, extras)
        texts = {key: value for key, value in extras.items() if key not in JSON_EXTRAS and key not in properties}
        properties = {**properties, **texts}
    text, uuid = quick_text(properties), event_uuid(item.get("uuid"))
    return RowContent(name, who, happened_us, text, None if uuid is None else UUID(bytes=uuid))


def content_uuid(row: RowContent, number: int) -> UUID:
    """Return the uuid of a row that has none: of its content, and of its number among equal rows of the file, from 0.

    The same file therefore gives the same events again.
    """
    content = f"{row.event}\0{row.distinct_id}\0{row.timestamp_us}\0{row.properties}".encode()
    digest = hashlib.md5(content, usedforsecurity=False)
    if number:
        digest = hashlib.md5(f"{digest.hexdigest()}-{number}".encode(), usedforsecurity=False)
    return UUID(bytes=digest.digest(), version=3)


def _extra(key: str, item: Mapping[str, Any]) -> Any:
    for column in EXTRAS[key]:
        value = item.get(column)
        if value is not None and value != "":
            if key in JSON_EXTRAS:
                return _json_object(value, column)
            if not isinstance(value, str):
                raise BadPayload(f"the {column} is not text")
            return value
    return None


def _timestamp(value: Any) -> int:
    instant_us = parse_timestamp(value)
    if instant_us is None:
        reason = "the row has no timestamp" if value is None or value == "" else "the timestamp cannot be read"
        raise BadPayload(reason)
    try:
        from_us(instant_us)
    except OverflowError as error:
        raise BadPayload("the timestamp lies outside the years 1 to 9999") from error
    return instant_us


def _json_object(value: Any, column: str) -> dict[str, Any]:
    if isinstance(value, str) and value.strip():
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise BadPayload(f"the {column} are not valid JSON: {error}") from error
    if value is None or value == "":
        return {}
    if not isinstance(value, dict):
        raise BadPayload(f"the {column} are not a JSON object")
    return value
