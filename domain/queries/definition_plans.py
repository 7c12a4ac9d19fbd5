"""Plans that list the names which a project's product events use; the engine keeps them as it takes events over."""

from __future__ import annotations

from attrs import frozen


@frozen
class EventDefinitionsPlan:
    """The event names of a project; answered with `SeenEvent`s in order of name."""

    project_id: int


@frozen
class PropertyDefinitionsPlan:
    """The property names of one kind; answered with `SeenProperty`s in order of name."""

    project_id: int
    kind: str
    """`event`, `person`, or `group_0` ... `group_4`."""
    events: tuple[str, ...] | None = None
    """Event names to say of whether one of them had the property."""


@frozen
class ValuesPlan:
    """The most frequent values of a property among the latest events or persons that have it.

    Answered with rows (text,), the most frequent first.
    """

    project_id: int
    kind: str
    """`event` or `person`."""
    name: str
    search: str | None = None
    """Case-insensitive part of the value."""
    events: tuple[str, ...] = ()
    """Only events of these names; all where none are given."""
    limit: int = 10
