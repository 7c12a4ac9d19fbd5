"""What differs between two versions of an insight, field by field, and what of it can be undone. Pure.

Source: history.md 3 and 4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from attrs import Factory, define, frozen

from .events import Actor, Record
from .insight import Insight, evolve_insight
from .insight_commands import DEFINITION
from .insight_events import InsightCreated, InsightImported

UNDOABLE = (*DEFINITION, "dashboards")
"""The fields of the definition: what reverts and undoing bring back."""
BESIDE: Mapping[str, Callable[[Insight], Any]] = {
    "sharing": lambda one: None if one.sharing is None else {
        "enabled": one.sharing.state.enabled,
        "settings": one.sharing.state.settings,
        "password_required": one.sharing.state.password_required,
        "expires_at": one.sharing.state.expires_at,
        "rotation": one.sharing.state.rotation,
        "n_passwords": len(one.sharing.passwords),
    },
    "access": lambda one: [
        {"access_level": rule.level, "organization_member": rule.member, "role": rule.role} for rule in one.access
    ],
}  # fmt: skip
"""What else changes with the versions of an insight, without tokens."""


@frozen
class FieldChange:
    """One field that differs between two versions."""

    field: str
    before: Any
    after: Any


@frozen
class VersionChange:
    """One record of an insight's stream, with the fields that it changed."""

    record: Record
    changes: tuple[FieldChange, ...]


def value_of(insight: Insight, field: str) -> Any:
    """Return the value of a field as JSON."""
    if field in BESIDE:
        return BESIDE[field](insight)
    value = getattr(insight, field)
    return list(value) if isinstance(value, tuple) else value


def field_changes(before: Insight | None, after: Insight) -> tuple[FieldChange, ...]:
    """Return the fields that differ, in a fixed order; of a new insight (`before` None) those that are not empty."""
    found = []
    for field in (*UNDOABLE, *BESIDE):
        old = None if before is None else value_of(before, field)
        new = value_of(after, field)
        if old != new and not (before is None and new in (None, False, "", [], {})):
            found.append(FieldChange(field, old, new))
    return tuple(found)


def version_changes(records: Iterable[Record]) -> list[VersionChange]:
    """Return what each record of an insight's whole stream changed, oldest first."""
    found: list[VersionChange] = []
    state: Insight | None = None
    for record in records:
        after = evolve_insight(state, record)
        found.append(VersionChange(record, field_changes(state, after)))
        state = after
    return found


@frozen
class Blocked:
    """A field that is left alone, since somebody else has changed it since."""

    field: str
    by: Actor
    at: datetime


@define
class Undoing:
    """What undoing some changes of an insight comes to."""

    values: dict[str, Any] = Factory(dict)
    """Field -> the value that it had before."""
    conflicts: list[Blocked] = Factory(list)


def undoing(changes: Iterable[VersionChange], matches: Callable[[Record], bool]) -> Undoing:
    """Return how the matching changes of an insight's whole stream are undone, newest first, field by field.

    A field is set back as far as no other change comes between. That an insight was made is undone by deleting it,
    unless somebody else changed it since.
    """
    gathered = list(changes)
    found = Undoing()
    for field in UNDOABLE:
        own = [(one, change) for one in gathered[1:] for change in one.changes if change.field == field]
        while own and matches(own[-1][0].record):
            found.values[field] = own.pop()[1].before
        if any(matches(one.record) for one, _ in own):
            found.conflicts.append(Blocked(field, own[-1][0].record.by, own[-1][0].record.at))
    first = gathered[0].record
    if isinstance(first.event, InsightCreated | InsightImported) and matches(first):
        _unmake(gathered, matches, found)
    return found


def _unmake(changes: list[VersionChange], matches: Callable[[Record], bool], found: Undoing) -> None:
    """Undo that an insight was made: it is deleted as it stands."""
    others = [
        one.record
        for one in changes
        if not matches(one.record) and any(change.field in UNDOABLE for change in one.changes)
    ]
    if others:
        found.conflicts.append(Blocked("deleted", others[-1].by, others[-1].at))
        return
    found.values.clear()
    found.values["deleted"] = True
