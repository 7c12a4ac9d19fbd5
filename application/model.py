"""What the library hands out besides insights: projects, users, keys, pages of results. Plain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Generic, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson
from attrs import Factory, field, frozen

from ..domain.events import Actor
from .ports import Row
from .views.tables import instant

T = TypeVar("T")


@frozen
class User:
    """Somebody who may own keys and act."""

    id: int
    uuid: str
    email: str
    first_name: str
    distinct_id: str
    created_at: datetime


@frozen
class Organization:
    """To whom projects belong, and whose members may enter them."""

    id: int
    uuid: str
    name: str
    forbids_sharing: bool
    """Whether insights may not be shared with people outside."""
    created_at: datetime | None
    """None for the organisation that every log has."""


@frozen
class Member:
    """Somebody's membership of an organisation."""

    user: User
    organization_id: int
    level: str
    """member, admin or owner."""
    joined_at: datetime


@frozen
class Role:
    """A named group of members of an organisation."""

    id: int
    organization_id: int
    uuid: str
    name: str
    user_ids: tuple[int, ...]
    created_at: datetime


@frozen
class ProjectInfo:
    """A project as the views have it."""

    id: int
    name: str
    timezone: str
    week_start_day: int
    """0 Sunday, 1 Monday."""
    created_at: datetime
    uuid: str = ""
    organization_id: int = 1
    settings: Mapping[str, object] = Factory(dict)
    """The other settings that were ever set (`domain.project.SETTINGS`), by name."""

    @property
    def zone(self) -> ZoneInfo:
        """The zone that days and relative dates are told by; UTC for a name that is not known any more."""
        try:
            return ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return ZoneInfo("UTC")


@frozen
class Key:
    """A personal API key without its value, which is kept nowhere."""

    id: int
    user_id: int
    label: str
    mask: str
    scopes: tuple[str, ...]
    project_ids: tuple[int, ...]
    organization_ids: tuple[int, ...]
    created_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None
    """To the hour."""


@frozen
class NewKey:
    """A key that was just made: the only time that its value can be seen."""

    key: Key
    value: str = field(repr=False)


@frozen
class Caller:
    """An authenticated caller: whose key it is and what the key opens."""

    user: User
    key: Key

    @property
    def actor(self) -> Actor:
        """Who the log says it was."""
        return Actor(self.user.id, self.key.id)


@frozen
class Page(Generic[T]):
    """One page of a longer list; iterates over its results."""

    count: int
    """How many there are on all pages together."""
    results: tuple[T, ...]
    last_viewed_at: Mapping[int, datetime] = Factory(dict)
    """For insights: when each was last viewed, by id."""

    def __iter__(self) -> Iterator[T]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    def __getitem__(self, index: int) -> T:
        return self.results[index]


@frozen
class Activity:
    """An entry of the activity log with the person who did it."""

    position: int
    insight_id: int
    activity: str
    changes: object
    name: str | None
    short_id: str | None
    user_id: int | None
    first_name: str | None
    email: str | None
    at: datetime
    trigger: object = None
    """What made it happen beside a request: an object with `job_type` and `payload`, or None."""


def user_from_row(row: Row) -> User:
    """Return the user that a row of the view holds."""
    return User(row["id"], row["uuid"], row["email"], row["first_name"], row["distinct_id"], instant(row["created_at"]))


def project_from_row(row: Row) -> ProjectInfo:
    """Return the project that a row of the view holds."""
    return ProjectInfo(
        row["id"],
        row["name"],
        row["timezone"],
        row["week_start_day"],
        instant(row["created_at"]),
        row["uuid"],
        row["organization_id"],
        orjson.loads(row["settings"]),
    )


def organization_from_row(row: Row) -> Organization:
    """Return the organisation that a row of the view holds."""
    created_at = None if row["created_at"] is None else instant(row["created_at"])
    return Organization(row["id"], row["uuid"], row["name"], bool(row["forbids_sharing"]), created_at)


def key_from_row(row: Row) -> Key:
    """Return the key that a row of the view holds."""
    return Key(
        row["id"],
        row["user_id"],
        row["label"],
        row["mask"],
        tuple(orjson.loads(row["scopes"])),
        tuple(orjson.loads(row["project_ids"])),
        tuple(orjson.loads(row["organization_ids"])),
        instant(row["created_at"]),
        None if row["revoked_at"] is None else instant(row["revoked_at"]),
        None if row["last_used_at"] is None else instant(row["last_used_at"]),
    )


def activity_from_row(row: Row) -> Activity:
    """Return the entry that a row of the activity view holds."""
    return Activity(
        row["position"],
        row["insight_id"],
        row["activity"],
        None if row["changes"] is None else orjson.loads(row["changes"]),
        row["name"],
        row["short_id"],
        row["user_id"],
        row["first_name"],
        row["email"],
        instant(row["at"]),
        None if row["job"] is None else orjson.loads(row["job"]),
    )
