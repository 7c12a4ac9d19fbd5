"""From the records of one append to the row changes of every view: pure, the same for appending and rebuilding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from ...domain.access import KeyCreated, KeyRevoked, UserCreated
from ...domain.activity import ActivityEntry, insight_entry
from ...domain.events import Record
from ...domain.insight import InsightViewed, replay_insight
from ...domain.project import ProjectCreated
from .listing import insight_from_row, insight_row, to_json
from .tables import Change, Put, micros

ReadRow = Callable[[str, int], Mapping[str, Any] | None]
"""Gives the row of a view table with an id, as it is before the records at hand."""

SHARED_PAGE = 0
"""The user id under which views by a shared page are kept: nobody."""


def project(records: Sequence[Record], read: ReadRow) -> Iterator[Change]:
    """Give the row changes for the records of one append, in order; each is applied before the next is asked for."""
    for _, group in groupby(records, key=lambda record: record.stream):
        own = list(group)
        of_category = BY_CATEGORY.get(own[0].category)
        if of_category is not None:
            yield from of_category(own, read)
        else:
            for record in own:
                yield from _other_changes(record)


def appends(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Split records in the order of the log into their appends."""
    gathered: list[Record] = []
    for record in records:
        gathered.append(record)
        if record.part == record.parts:
            yield gathered
            gathered = []


def _insight_changes(records: Sequence[Record], read: ReadRow) -> Iterator[Change]:
    row = read("insights", records[0].subject_id)
    before = None if row is None else insight_from_row(row)
    after = replay_insight(records, before)
    if after is None:
        return
    yield insight_row(after)
    if after.sharing is not None and (before is None or after.sharing != before.sharing):
        state = after.sharing.state
        yield Put(
            "sharing",
            {
                "insight_id": after.id,
                "project_id": after.project_id,
                "created_at": micros(after.sharing.created_at),
                "enabled": int(state.enabled),
                "settings": to_json(state.settings),
                "password_required": int(state.password_required),
                "rotation": state.rotation,
                "token_sha256": state.token_sha256,
            },
        )
    entry = insight_entry(before, after, records)
    if entry is not None:
        yield _activity_row(entry)


def _activity_row(entry: ActivityEntry) -> Put:
    return Put(
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
        },
    )


def _other_changes(record: Record) -> Iterator[Change]:
    at = micros(record.at)
    match record.event:
        case InsightViewed():
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
        case ProjectCreated() as project_created:
            yield Put(
                "projects",
                {
                    "id": record.subject_id,
                    "name": project_created.name,
                    "timezone": project_created.timezone,
                    "week_start_day": project_created.week_start_day,
                    "token_sha256": project_created.token_sha256,
                    "created_at": at,
                },
            )
        case UserCreated() as user:
            yield Put(
                "users",
                {
                    "id": record.subject_id,
                    "uuid": user.uuid,
                    "email": user.email,
                    "first_name": user.first_name,
                    "distinct_id": user.distinct_id,
                    "created_at": at,
                },
            )
        case KeyCreated() as key:
            yield Put(
                "keys",
                {
                    "id": record.subject_id,
                    "user_id": key.user_id,
                    "label": key.label,
                    "key_sha256": key.key_sha256,
                    "mask": key.mask,
                    "scopes": to_json(key.scopes),
                    "project_ids": to_json(key.project_ids),
                    "created_at": at,
                    "revoked_at": None,
                },
            )
        case KeyRevoked():
            yield Put("keys", {"id": record.subject_id, "revoked_at": at})


BY_CATEGORY: Mapping[str, Callable[[Sequence[Record], ReadRow], Iterator[Change]]] = {"insight": _insight_changes}
"""Projections of a whole state, by the category of its streams: `before` is read from the views, `after` is folded."""
