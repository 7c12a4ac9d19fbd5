"""What people say of the names that events use: descriptions, tags, and the type that queries shall read.

What was seen of a name is in `definitions`; this is laid over it. One stream for each project; of two changes of one
field the later one holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from .errors import InvalidInput
from .events import DomainEvent, event
from .insight_commands import clean_tags, is_unicode
from .queries.scope import PropertyType

MAX_DESCRIPTION = 400
EVENTS = "events"
"""The kind of the names of events; those of properties are of `event`, `person`, `group_0` ..."""


@event("NameDefined")
class NameDefined(DomainEvent):
    """Somebody said something about a name: of the fields those that changed."""

    kind: str
    name: str
    changes: Any
    """Field -> value."""


def stream_of(project_id: int) -> str:
    """Return the name of the stream of what is said in a project."""
    return f"names:{project_id}"


def define_name(kind: str, name: str, given: Mapping[str, Any], before: Mapping[str, Any]) -> NameDefined | None:
    """Return the event of a change, None when it changes nothing. Raises `InvalidInput` with the field."""
    changes = {}
    for field, value in given.items():
        cleaned = _CHECKS[field](value, field) if field in _CHECKS else None
        if field in _CHECKS and not (field == "property_type" and kind == EVENTS) and cleaned != before.get(field):
            changes[field] = cleaned
    return NameDefined(kind, name, changes) if changes else None


def _text(value: Any, field: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or not is_unicode(value):
        raise InvalidInput("Not a valid string.", path=field)
    if len(value) > MAX_DESCRIPTION:
        raise InvalidInput(
            f"Ensure this field has no more than {MAX_DESCRIPTION} characters.", path=field, code="max_length"
        )
    return value


def _tags(value: Any, field: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(tag, str) and is_unicode(tag) for tag in value):
        raise InvalidInput("This is a list of texts.", path=field)
    return list(clean_tags(tuple(value)))


def _flag(value: Any, field: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput("Must be a valid boolean.", path=field)
    return value


def _type(value: Any, field: str) -> str | None:
    if value is not None and value not in get_args(PropertyType):
        raise InvalidInput(f"{value!r} is none of {', '.join(get_args(PropertyType))}.", path=field)
    return value  # type: ignore[no-any-return]


_CHECKS = {"description": _text, "tags": _tags, "verified": _flag, "hidden": _flag, "property_type": _type}
FIELDS = tuple(_CHECKS)
