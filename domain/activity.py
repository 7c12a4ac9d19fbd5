"""The activity log: from what an insight was before and after one append to the entry that people read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from attrs import frozen

from .events import Record
from .insight import Insight
from .insight_events import (
    InsightCreated,
    InsightDashboardsChanged,
    InsightImported,
    InsightPastImported,
    InsightReverted,
    InsightShared,
    InsightShareLoginAttempted,
    InsightShareTokenRotated,
    InsightUnshared,
)

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
    trigger: Any = None
    """What made it happen beside a request: an object with `job_type` and `payload`, or None."""


DashboardName = Callable[[int], str | None]
"""Gives a dashboard's name (`""` for none), or None for a dashboard that is deleted."""


def insight_entry(
    before: Insight | None, after: Insight, records: Sequence[Record], dashboard_name: DashboardName = lambda _: ""
) -> ActivityEntry | None:
    """Return the entry for the records of one append to an insight's stream, or None when they leave none.

    Source: insights-api.md 5.2 to 5.4. An insight without name and derived name leaves no entry, sharing aside.
    Neither does one that was imported: what happened to it before is kept beside it (`past_entry`).
    """
    first = records[0]
    name = after.name or after.derived_name
    changes: Any = None
    if isinstance(first.event, InsightShared | InsightUnshared):
        enabled = isinstance(first.event, InsightShared)
        activity = "sharing enabled" if enabled else "sharing disabled"
        changes = [change("changed", "sharing", None, enabled)]
    elif isinstance(first.event, InsightShareTokenRotated):
        activity = "access token refreshed"
    elif not name or isinstance(first.event, InsightImported):
        return None
    elif isinstance(first.event, InsightCreated) or before is None:
        activity = "created"
    else:
        changes = changes_between(before, after)
        changes += _dashboard_changes(before, after, records, dashboard_name)
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
        trigger=_trigger(first),
    )


def _trigger(first: Record) -> dict[str, Any] | None:
    """Return what an entry says of a revert (history.md 3)."""
    if not isinstance(first.event, InsightReverted):
        return None
    return {"job_type": "revert", "payload": {"to_version": first.event.to_version}}


def past_entry(project_id: int, record: Record) -> ActivityEntry:
    """Return the entry that came over from another server with an insight."""
    past = record.event
    if not isinstance(past, InsightPastImported):
        raise TypeError(f"{type(past).__name__} is nothing of another server")
    return ActivityEntry(
        position=record.position,
        project_id=project_id,
        insight_id=record.subject_id,
        activity=past.activity,
        changes=past.changes,
        name=past.name,
        short_id=past.short_id,
        user_id=past.user_id,
        at=datetime.fromisoformat(past.at),
    )


def login_entry(name: str | None, project_id: int, record: Record) -> ActivityEntry:
    """Return the entry for a try to open a shared insight with a password (insights-api.md 5.4)."""
    tried = record.event
    if not isinstance(tried, InsightShareLoginAttempted):
        raise TypeError(f"{type(tried).__name__} is no try of a password")
    after: dict[str, Any] = {
        "access_token_suffix": tried.token_suffix,
        "client_ip": tried.client_ip,
        "success": tried.success,
        "resource_type": "insight",
    }
    if tried.success:
        after |= {"password_id": str(tried.password_id), "password_note": tried.password_note or "Untitled password"}
    return ActivityEntry(
        position=record.position,
        project_id=project_id,
        insight_id=record.subject_id,
        activity="share_login_success" if tried.success else "share_login_failed",
        changes=[change("changed", "authentication_attempt", None, after)],
        name=name,
        short_id=None,
        user_id=None,
        at=record.at,
    )


def _dashboard_changes(
    before: Insight, after: Insight, records: Sequence[Record], dashboard_name: DashboardName
) -> list[dict[str, Any]]:
    """Return the change of dashboards that a caller asked for; those that go with a deleted insight are none."""
    asked = [one.event for one in records if isinstance(one.event, InsightDashboardsChanged)]
    if not asked:
        return []

    def named(ids: Sequence[int]) -> list[dict[str, Any]]:
        names = ((one, dashboard_name(one)) for one in ids)
        return [{"id": one, "name": name or None} for one, name in names if name is not None]

    old, new = named(sorted(before.dashboards)), named(asked[-1].dashboards)
    if {one["id"] for one in old} == {one["id"] for one in new}:
        return []
    return [change("changed", "dashboards", old, new)]


def changes_between(before: Insight, after: Insight) -> list[dict[str, Any]]:
    """Return one change object for each tracked field that differs, in the order of `TRACKED`."""
    found = []
    for field in TRACKED:
        old, new = getattr(before, field), getattr(after, field)
        if old == new:
            continue
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
    if old_empty and new_empty:
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
