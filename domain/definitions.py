"""What is known of the names that a project's product events use: of events, of their properties, of persons'.

Pure: the engine finds the names as it takes events over and keeps what this module says of them.
Source: PostHog's event and property definitions, which ingestion makes.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from typing import Any
from uuid import UUID

from attrs import frozen

from .queries.scope import PropertyType

MAX_NAMES = 20_000
"""Event names, or property names of one kind, that are kept of a project; events with further ones are stored alike."""
MAX_NAME_CHARACTERS = 400
NO_PROPERTIES = ("$set", "$set_once", "$unset", "$groups", "$group_set")
"""Keys of events that carry changes of persons and groups, and are no properties of the event."""
_ALWAYS_TEXT = ("utm_", "$feature/", "$survey_response")
_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?", re.ASCII | re.IGNORECASE
)


@frozen
class SeenEvent:
    """An event name that the project has received."""

    name: str
    known_at: datetime
    """Ingestion of the first one."""
    first_seen: datetime
    last_seen: datetime
    """Timestamps of the events, the last one to the hour."""


@frozen
class SeenProperty:
    """A property name that the project has received."""

    kind: str
    """`event`, `person`, or `group_0` ... `group_4`."""
    name: str
    property_type: PropertyType | None
    """What its first value was; None as long as every value was null."""
    known_at: datetime
    first_seen: datetime
    last_seen: datetime
    is_seen_on: bool | None = None
    """Whether one of the events that were asked about had it; None when none were."""


def inferred_type(name: str, value: Any) -> PropertyType | None:
    """Return the type of a property whose first value this is; null says nothing.

    >>> inferred_type("n", 1.5), inferred_type("is", "true"), inferred_type("at", "2026-04-02T09:15:30Z")
    ('Numeric', 'Boolean', 'DateTime')
    >>> inferred_type("utm_id", 7), inferred_type("list", [1]), inferred_type("n", None)
    ('String', 'String', None)
    """
    if value is None:
        return None
    if name.startswith(_ALWAYS_TEXT):
        return "String"
    if isinstance(value, bool):
        return "Boolean"
    if isinstance(value, int | float):
        return "Numeric"
    text = value.strip() if isinstance(value, str) else ""
    if text.lower() in ("true", "false"):
        return "Boolean"
    return "DateTime" if _INSTANT.fullmatch(text) else "String"


def definition_id(project_id: int, kind: str, name: str) -> UUID:
    """Return the id of a definition, always the same one; `kind` is `events` for a name of events."""
    digest = hashlib.md5(f"{project_id}\0{kind}\0{name}".encode(), usedforsecurity=False)
    return UUID(bytes=digest.digest(), version=3)
