"""Domain events: the registry of their stable names, and the envelope in which the log keeps them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar, TypeVar, dataclass_transform

from attrs import frozen


class DomainEvent:
    """A fact that happened; subclasses are made by the `event` decorator and hold plain JSON values only."""

    type: ClassVar[str]
    """Stable name: it is stored, and never changes when the class moves."""
    schema: ClassVar[int]
    """Version of the fields; older ones are brought up to it by upcasters."""


EVENT_TYPES: dict[str, type[DomainEvent]] = {}
"""Every known event by its stable name; nothing else is ever loaded from the log."""

UPCASTERS: dict[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""(type, schema) -> data of that schema to data of the next one."""

EventClass = TypeVar("EventClass", bound=type)


@dataclass_transform(frozen_default=True)
def event(name: str, *, schema: int = 1) -> Callable[[EventClass], EventClass]:
    """Make a frozen attrs class a domain event under a stable name.

    >>> @event("ThingDone")
    ... class ThingDone(DomainEvent):
    ...     what: str
    >>> ThingDone("x").type, ThingDone("x").schema
    ('ThingDone', 1)
    """

    def register(cls: EventClass) -> EventClass:
        made: Any = frozen(cls)
        made.type, made.schema = name, schema
        EVENT_TYPES[name] = made
        return made  # type: ignore[no-any-return]

    return register


@dataclass_transform(frozen_default=True)
def event_fields(cls: EventClass) -> EventClass:
    """Make a frozen attrs class of what several events have in common; it is no event itself and has no name."""
    return frozen(cls)


def upcast(name: str, schema: int, data: dict[str, Any]) -> dict[str, Any]:
    """Bring stored data of an old schema to the current one, one upcaster after the other."""
    current = EVENT_TYPES[name].schema
    while schema < current:
        data = UPCASTERS[name, schema](data)
        schema += 1
    return data


@frozen
class Actor:
    """Who did it: a user, through a key where one was used, or the system itself."""

    user_id: int | None = None
    key_id: int | None = None


@frozen
class Record:
    """A stored event with everything that the log knows about it (history.md section 1)."""

    position: int
    """Place in the log, from 1, without gaps."""
    stream: str
    """Which aggregate, as in `insight:17`."""
    version: int
    """Place in the stream, from 1."""
    at: datetime
    """When; aware UTC, never earlier than the record before."""
    by: Actor
    project_id: int | None
    request: str
    """Correlation id: one for each HTTP request or library call."""
    software: str
    """The insightlog version that wrote it."""
    part: int
    """Place among the events of the same append, from 1 ..."""
    parts: int
    """... to this: the events of one append are one change."""
    event: DomainEvent

    @property
    def subject_id(self) -> int:
        """The numeric id behind the colon of the stream's name."""
        return int(self.stream.partition(":")[2])

    @property
    def category(self) -> str:
        """The part of the stream's name before the colon."""
        return self.stream.partition(":")[0]
