"""The tables of the views as data; a storage adapter makes them, a projection fills them, reads query them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import frozen

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@frozen
class Table:
    """A view table: integers, texts and JSON texts; instants are microseconds since 1970."""

    name: str
    columns: Mapping[str, type]
    key: tuple[str, ...]
    indexes: tuple[tuple[str, ...], ...] = ()


@frozen
class Put:
    """A row change: insert the row, or set these columns of the one with the same key."""

    table: str
    row: Mapping[str, Any]
    once: tuple[str, ...] = ()
    """Columns that keep the value of the first time."""


@frozen
class Remove:
    """A row change: take away the row with this key, if there is one."""

    table: str
    key: Mapping[str, Any]


@frozen
class Count:
    """A row change: add to a number of the row with this key; a row that is not there has counted nothing yet."""

    table: str
    key: Mapping[str, Any]
    column: str
    by: int


Change = Put | Remove | Count


def micros(at: datetime) -> int:
    """Return an aware datetime as microseconds since 1970."""
    return (at - EPOCH) // MICROSECOND


def instant(at: int) -> datetime:
    """Return microseconds since 1970 as an aware UTC datetime."""
    return EPOCH + timedelta(microseconds=at)


INSIGHTS = Table(
    "insights",
    {
        "id": int, "project_id": int, "short_id": str, "version": int, "created_at": int, "created_by": int,
        "updated_at": int, "last_modified_at": int, "last_modified_by": int, "name": str, "derived_name": str,
        "description": str, "query": str, "filters": str, "sort_order": int, "tags": str, "favorited": int,
        "saved": int, "deleted": int, "sharing": str,
    },
    ("id",),
    (("project_id", "short_id"), ("project_id", "deleted", "sort_order", "id")),
)  # fmt: skip
INSIGHT_VIEWS = Table(
    "insight_views",
    {"insight_id": int, "user_id": int, "project_id": int, "viewed_at": int, "position": int},
    ("insight_id", "user_id"),
    (("project_id", "user_id", "viewed_at"),),
)
ACTIVITY = Table(
    "activity",
    {
        "position": int, "project_id": int, "insight_id": int, "activity": str, "changes": str, "name": str,
        "short_id": str, "user_id": int, "at": int,
    },
    ("position",),
    (("project_id", "position"), ("insight_id", "position")),
)  # fmt: skip
SHARING = Table(
    "sharing",
    {
        "insight_id": int, "project_id": int, "created_at": int, "enabled": int, "settings": str,
        "password_required": int, "rotation": int, "token_sha256": str,
    },
    ("insight_id",),
    (("token_sha256",),),
)  # fmt: skip
PROJECTS = Table(
    "projects",
    {
        "id": int, "name": str, "timezone": str, "week_start_day": int, "token_sha256": str, "created_at": int,
    },
    ("id",),
    (("token_sha256",),),
)  # fmt: skip
USERS = Table(
    "users",
    {"id": int, "uuid": str, "email": str, "first_name": str, "distinct_id": str, "created_at": int},
    ("id",),
    (("email",),),
)
KEYS = Table(
    "keys",
    {
        "id": int, "user_id": int, "label": str, "key_sha256": str, "mask": str, "scopes": str, "project_ids": str,
        "created_at": int, "revoked_at": int,
    },
    ("id",),
    (("key_sha256",),),
)  # fmt: skip

TABLES = (INSIGHTS, INSIGHT_VIEWS, ACTIVITY, SHARING, PROJECTS, USERS, KEYS)
