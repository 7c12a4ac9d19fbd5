"""Projections of insights: listing, search, tiles, sharing, access rules, activity, counts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from ...domain.access_rules import RANKS
from ...domain.activity import ActivityEntry, insight_entry, login_entry, past_entry
from ...domain.events import Record
from ...domain.insight import Insight, replay_insight
from ...domain.insight_events import InsightPastViewed
from ...domain.sharing import Resource
from .listing import insight_from_row, insight_row, to_json
from .search import folded_texts, terms_of
from .sharing import sharing_changes
from .tables import Change, Count, Put, ReadRow, Remove, micros

SHARED_PAGE = 0
"""The user id under which views by a shared page are kept: nobody."""


def insight_changes(records: Sequence[Record], read: ReadRow, known: Insight | None = None) -> Iterator[Change]:
    """Give the row changes for records of one append to an insight's stream; `known` is its state before them."""
    before = known
    if before is None and records[0].version > 1:
        row = read("insights", records[0].subject_id)
        before = None if row is None else insight_from_row(row)
    after = replay_insight(records, before)
    if after is None:
        return
    yield insight_row(after)
    yield from _found_by(before, after)
    yield from _tiles(before, after)
    old = before.sharing if before else None
    yield from sharing_changes(Resource("insight", after.id), old, after.sharing, records[-1])
    yield from _access(before, after)
    if (before.access if before else ()) != after.access:
        yield rights_mark(records[-1])
    n_live = int(not after.deleted) - int(before is not None and not before.deleted)
    if n_live:
        yield Count("counts", {"project_id": after.project_id, "name": "insights"}, "n", n_live)

    def dashboard_name(dashboard_id: int) -> str | None:
        found = read("dashboards", dashboard_id)
        return None if found is None or found["deleted"] else found["name"] or ""

    entry = insight_entry(before, after, records, dashboard_name)
    if entry is not None:
        yield from activity_changes(entry)


def view_changes(records: Sequence[Record], _read: ReadRow) -> Iterator[Change]:
    """Give the row changes for views of an insight."""
    for record in records:
        past = record.event
        at = micros(datetime.fromisoformat(past.at) if isinstance(past, InsightPastViewed) else record.at)
        yield Put(
            "insight_views",
            {
                "insight_id": record.subject_id,
                "user_id": record.by.user_id or SHARED_PAGE,
                "project_id": record.project_id,
                "viewed_at": at,
                "position": record.position,
            },
        )
        yield Put("insights", {"id": record.subject_id, "last_viewed_at": at})


def login_changes(records: Sequence[Record], read: ReadRow) -> Iterator[Change]:
    """Give the row changes for tries to open a shared insight with a password."""
    for record in records:
        row = read("insights", record.subject_id)
        if row is not None:
            yield from activity_changes(login_entry(row["name"] or row["derived_name"], row["project_id"], record))


def past_changes(records: Sequence[Record], _read: ReadRow) -> Iterator[Change]:
    """Give the row changes for what happened to an insight on the server that it came from."""
    for record in records:
        yield from activity_changes(past_entry(record.project_id or 0, record))


def activity_changes(entry: ActivityEntry) -> Iterator[Change]:
    """Give the row changes for an entry of the activity log."""
    yield Put(
        "activity",
        {
            "position": entry.position,
            "project_id": entry.project_id,
            "insight_id": entry.insight_id,
            "activity": entry.activity,
            "changes": to_json(entry.changes),
            "name": entry.name,
            "short_id": entry.short_id,
            "user_id": entry.user_id,
            "at": micros(entry.at),
            "job": to_json(entry.trigger),
        },
    )
    yield Count("counts", {"project_id": entry.project_id, "name": "activity"}, "n", 1)


def rights_mark(record: Record) -> Change:
    """Return the row change that tells everybody who keeps rights in memory to look again."""
    return Put("marks", {"name": "access", "position": record.position})


def access_row(resource: str, resource_id: int, level: str | None, record: Record, **subject: int | None) -> Change:
    """Return the row change for a rule about a subject: `member`, `role` or everyone; no level takes it away."""
    key: dict[str, Any] = {
        "project_id": record.project_id,
        "resource": resource,
        "resource_id": resource_id,
        "member": subject.get("member") or 0,
        "role": subject.get("role") or 0,
    }
    if level is None:
        return Remove("access_rules", key)
    at = micros(record.at)
    values = {"level": level, "rank": RANKS[level], "created_by": record.by.user_id, "created_at": at, "updated_at": at}
    return Put("access_rules", key | values, once=("created_by", "created_at"))


def _found_by(before: Insight | None, after: Insight) -> Iterator[Change]:
    texts = folded_texts(after)
    if before is None or texts != folded_texts(before):
        yield Put("insight_texts", {"id": after.id, "project_id": after.project_id, **texts})
    if before is not None and (before.query, before.filters, before.tags) == (after.query, after.filters, after.tags):
        return
    old, new = terms_of(before) if before else set(), terms_of(after)
    for sort, term in sorted(old - new):
        yield Remove("insight_terms", _term(after, sort, term))
    for sort, term in sorted(new - old):
        yield Put("insight_terms", _term(after, sort, term))


def _term(insight: Insight, sort: str, term: str) -> Mapping[str, Any]:
    return {"project_id": insight.project_id, "sort": sort, "term": term, "insight_id": insight.id}


def _tiles(before: Insight | None, after: Insight) -> Iterator[Change]:
    known = before.tiles if before else ()
    for tile in after.tiles:
        if tile not in known:
            deleted = None if tile.deleted is None else int(tile.deleted)
            yield Put(
                "tiles",
                {
                    "id": tile.id,
                    "project_id": after.project_id,
                    "dashboard_id": tile.dashboard_id,
                    "insight_id": after.id,
                    "deleted": deleted,
                },
            )


def _access(before: Insight | None, after: Insight) -> Iterator[Change]:
    old, new = before.access if before else (), after.access
    for rule in old:
        if rule.subject not in {one.subject for one in new}:
            yield Remove("access_rules", _rule_key(after, rule.subject))
    for rule in new:
        if rule not in old:
            yield Put(
                "access_rules",
                {
                    **_rule_key(after, rule.subject),
                    "level": rule.level,
                    "rank": RANKS[rule.level],
                    "created_by": rule.created_by,
                    "created_at": micros(rule.created_at),
                    "updated_at": micros(rule.updated_at),
                },
            )


def _rule_key(insight: Insight, subject: tuple[int | None, int | None]) -> dict[str, Any]:
    member, role = subject
    return {
        "project_id": insight.project_id,
        "resource": "insight",
        "resource_id": insight.id,
        "member": member or 0,
        "role": role or 0,
    }
