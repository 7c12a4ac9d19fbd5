"""The activity log: from what an insight was before and after one append to the entry that people read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from attrs import frozen

from .events import Record
from .insight import Insight, InsightCreated, InsightShared, InsightUnshared

TRACKED = ("tags", "name", "derived_name", "description", "filters", "query", "deleted", "favorited")
"""The fields whose changes are listed, in this order (insights-api.md 5.5)."""
RELATIONS = frozenset({"tags"})
"""Always `changed`, also from and to nothing."""


@frozen
class ActivityEntry:
    """One line of the activity log."""

    position: int
    """Of the append's first record; entries are ordered by it."""
    project_id: int
    insight_id: int
    activity: str
    changes: Any
    """A list of change objects, or None."""
    name: str | None
    short_id: str | None
    user_id: int | None
    at: datetime


def insight_entry(before: Insight | None, after: Insight, records: Sequence[Record]) -> ActivityEntry | None:
    """Return the entry for the records of one append to an insight's stream, or None when they leave none.

    Source: insights-api.md 5.2 to 5.4. An insight without name and derived name leaves no entry, sharing aside.
    """
    first = records[0]
    sharing = next((one.event for one in records if isinstance(one.event, InsightShared | InsightUnshared)), None)
    name = after.name or after.derived_name
    if sharing is not None:
        enabled = isinstance(sharing, InsightShared)
        activity = "sharing enabled" if enabled else "sharing disabled"
        changes: Any = [change("changed", "sharing", None, enabled)]
    elif not name:
        return None
    elif isinstance(first.event, InsightCreated) or before is None:
        activity, changes = "created", None
    else:
        changes = changes_between(before, after)
        if not changes:
            return None
        activity = _verb(before, after)
    return ActivityEntry(
        position=first.position,
        project_id=after.project_id,
        insight_id=after.id,
        activity=activity,
        changes=changes,
        name=name,
        short_id=after.short_id,
        user_id=first.by.user_id,
        at=first.at,
    )


def changes_between(before: Insight, after: Insight) -> list[dict[str, Any]]:
    """Return one change object for each tracked field that differs, in the order of `TRACKED`."""
    found = []
    for field in TRACKED:
        old, new = getattr(before, field), getattr(after, field)
        if field in RELATIONS:
            if set(old) != set(new):
                found.append(change("changed", field, sorted(old), sorted(new)))
        elif (one := _column_change(field, old, new)) is not None:
            found.append(one)
    return found


def change(action: str, field: str, before: Any, after: Any) -> dict[str, Any]:
    """Build a change object."""
    return {"type": "Insight", "action": action, "field": field, "before": before, "after": after}


def _column_change(field: str, old: Any, new: Any) -> dict[str, Any] | None:
    old_empty, new_empty = (value is None or value in ("", [], {}) for value in (old, new))
    if old == new or (old_empty and new_empty):
        return None
    if old_empty:
        return change("created", field, None, new)
    if new_empty:
        return change("deleted", field, old, None)
    return change("changed", field, old, new)


def _verb(before: Insight, after: Insight) -> str:
    if after.deleted and not before.deleted:
        return "deleted"
    if before.deleted and not after.deleted:
        return "restored"
    return "updated"
