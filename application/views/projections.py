"""From the records of one append to the row changes of every view: pure, the same for appending and rebuilding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from ...domain.access import KeyCreated, KeyRevoked, UserCreated
from ...domain.events import Record
from ...domain.organization import (
    MembershipChanged,
    OrganizationCreated,
    PublicSharingChanged,
    RoleCreated,
    RoleMembersChanged,
)
from ...domain.project import ProjectAccessGranted, ProjectAccessRevoked, ProjectCreated, ProjectSettingsChanged
from .dashboards import dashboard_changes
from .definitions import action_changes, calculation_changes, cohort_changes, name_changes
from .insights import access_row, insight_changes, login_changes, past_changes, rights_mark, view_changes
from .listing import from_json, to_json
from .tables import Change, Put, ReadRow, Remove, micros


def project(records: Sequence[Record], read: ReadRow, states: Mapping[str, Any] | None = None) -> Iterator[Change]:
    """Give the row changes for the records of one append, in order; each is applied before the next is asked for.

    `states` are those before the records, by stream, as far as they are known already.
    """
    for stream, group in groupby(records, key=lambda record: record.stream):
        own = list(group)
        changes = BY_CATEGORY[own[0].category]
        if states and stream in states and changes is insight_changes:
            yield from insight_changes(own, read, states[stream])
        else:
            yield from changes(own, read)


def appends(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Split records in the order of the log into their appends."""
    gathered: list[Record] = []
    for record in records:
        gathered.append(record)
        if record.part == record.parts:
            yield gathered
            gathered = []


def _rights_changes(records: Sequence[Record], read: ReadRow) -> Iterator[Change]:
    """Give the row changes for projects, users, keys, organisations and roles."""
    for record in records:
        yield from _rights_change(record, read)
        yield rights_mark(record)


def _rights_change(record: Record, read: ReadRow) -> Iterator[Change]:
    at, subject = micros(record.at), record.subject_id
    match record.event:
        case ProjectCreated() as made:
            yield Put(
                "projects",
                {
                    "id": subject,
                    "uuid": made.uuid,
                    "organization_id": made.organization_id,
                    "name": made.name,
                    "timezone": made.timezone,
                    "week_start_day": made.week_start_day,
                    "settings": "{}",
                    "token_sha256": made.token_sha256,
                    "created_at": at,
                },
            )
        case ProjectSettingsChanged(settings=changed):
            row = read("projects", subject)
            if row is not None:
                own = {name: value for name, value in changed.items() if name in row}
                others = {name: value for name, value in changed.items() if name not in row}
                settings = {**from_json(row["settings"]), **others}
                yield Put("projects", {"id": subject, **own, "settings": to_json(settings)})
        case ProjectAccessGranted(resource=resource, level=level, member=member, role=role):
            yield access_row(resource, 0, level, record, member=member, role=role)
        case ProjectAccessRevoked(resource=resource, member=member, role=role):
            yield access_row(resource, 0, None, record, member=member, role=role)
        case UserCreated() as user:
            row = {"uuid": user.uuid, "email": user.email, "first_name": user.first_name}
            yield Put("users", {"id": subject, **row, "distinct_id": user.distinct_id, "created_at": at})
            if user.organization_id is not None:
                yield _member(user.organization_id, user.level, record)
        case MembershipChanged(organization_id=organization_id, level=level):
            yield _member(organization_id, level, record)
        case OrganizationCreated(name=name, uuid=uuid):
            yield Put(
                "organizations",
                {"id": subject, "uuid": uuid, "name": name, "forbids_sharing": 0, "created_at": at},
            )
        case PublicSharingChanged(is_allowed=is_allowed):
            yield Put("organizations", {"id": subject, "forbids_sharing": int(not is_allowed)})
        case RoleCreated(organization_id=organization_id, uuid=uuid, name=name):
            yield Put(
                "roles",
                {"id": subject, "organization_id": organization_id, "uuid": uuid, "name": name, "created_at": at},
            )
        case _:
            yield from _key_or_role_change(record, read)


def _key_or_role_change(record: Record, read: ReadRow) -> Iterator[Change]:
    at, subject = micros(record.at), record.subject_id
    match record.event:
        case RoleMembersChanged(user_ids=user_ids, removed_ids=removed_ids):
            for user_id in removed_ids:
                yield Remove("role_members", {"role_id": subject, "user_id": user_id})
            for user_id in user_ids:
                yield Put("role_members", {"role_id": subject, "user_id": user_id})
        case KeyCreated() as key:
            yield Put(
                "keys",
                {
                    "id": subject,
                    "user_id": key.user_id,
                    "label": key.label,
                    "key_sha256": key.key_sha256,
                    "mask": key.mask,
                    "scopes": to_json(key.scopes),
                    "project_ids": to_json(key.project_ids),
                    "organization_ids": to_json(key.organization_ids),
                    "created_at": at,
                    "revoked_at": None,
                },
            )
        case KeyRevoked():
            yield Put("keys", {"id": subject, "revoked_at": at})


def _member(organization_id: int, level: str | None, record: Record) -> Change:
    key: dict[str, Any] = {"organization_id": organization_id, "user_id": record.subject_id}
    if level is None:
        return Remove("members", key)
    return Put("members", {**key, "level": level, "joined_at": micros(record.at)}, once=("joined_at",))


BY_CATEGORY: Mapping[str, Callable[[Sequence[Record], ReadRow], Iterator[Change]]] = {
    "insight": insight_changes,
    "insight-views": view_changes,
    "insight-logins": login_changes,
    "insight-past": past_changes,
    "names": name_changes,
    "dashboard": dashboard_changes,
    "dashboard-logins": lambda _records, _read: iter(()),
    "action": action_changes,
    "cohort": cohort_changes,
    "cohort-calculations": calculation_changes,
    **dict.fromkeys(("project", "user", "key", "organization", "role"), _rights_changes),
}
"""One line for each category of streams. States are read from the views (`before`) and folded (`after`)."""
