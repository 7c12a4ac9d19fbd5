"""The tables of the views as data; a storage adapter makes them, a projection fills them, reads query them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    """Columns of each index: a minus in front for falling order, a tilde for one without differences of case."""
    searched: tuple[str, ...] = ()
    """Columns with an index of three characters each, in a table of the name with `_fts` behind it."""


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


@frozen
class PutAll:
    """A row change: insert rows that have nothing but their key; those that are there stay."""

    table: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


Change = Put | PutAll | Remove | Count
ReadRow = Callable[[str, int], Mapping[str, Any] | None]
"""Gives the row of a view table with an id, as it is before the records at hand."""


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
        "saved": int, "deleted": int, "is_sample": int, "sharing": str, "tiles": str, "access": str, "kind": str,
        "sort_key": int, "last_viewed_at": int,
    },
    ("id",),
    (
        ("project_id", "short_id"),
        ("project_id", "deleted", "sort_key", "id"),
        ("project_id", "deleted", "~name", "id"),
        ("project_id", "deleted", "favorited", "sort_key", "id"),
        ("project_id", "deleted", "-created_at", "id"),
        ("project_id", "deleted", "-last_modified_at", "id"),
        ("project_id", "deleted", "-last_viewed_at", "id"),
    ),
)  # fmt: skip
INSIGHT_VIEWS = Table(
    "insight_views",
    {"insight_id": int, "user_id": int, "project_id": int, "viewed_at": int, "position": int},
    ("insight_id", "user_id"),
    (("project_id", "user_id", "-viewed_at", "-insight_id"), ("project_id", "viewed_at", "insight_id")),
)
INSIGHT_TEXTS = Table(
    "insight_texts",
    {"id": int, "project_id": int, "name": str, "derived_name": str, "description": str, "tags": str},
    ("id",),
    searched=("name", "derived_name", "description", "tags"),
)
"""The texts that a search looks at, without differences of case."""
INSIGHT_TERMS = Table(
    "insight_terms",
    {"project_id": int, "sort": str, "term": str, "insight_id": int},
    ("project_id", "sort", "term", "insight_id"),
)
"""Tags, events and feature flags: one row for each insight that has the term."""
TILES = Table(
    "tiles",
    {"id": int, "project_id": int, "dashboard_id": int, "insight_id": int, "deleted": int},
    ("id",),
    (("dashboard_id", "insight_id"), ("insight_id",)),
)
DASHBOARDS = Table(
    "dashboards",
    {
        "id": int, "project_id": int, "version": int, "created_at": int, "created_by": int, "updated_at": int,
        "name": str, "description": str, "pinned": int, "filters": str, "variables": str, "tags": str,
        "restriction_level": int, "creation_mode": str, "deleted": int, "collaborators": str, "text_tiles": str,
        "looks": str, "sharing": str, "source": str,
    },
    ("id",),
    (("project_id", "deleted", "id"), ("project_id", "source")),
)  # fmt: skip
SAID_NAMES = Table(
    "said_names",
    {
        "project_id": int, "kind": str, "name": str, "field": str, "value": str, "updated_at": int, "updated_by": int,
    },
    ("project_id", "kind", "name", "field"),
)  # fmt: skip
"""What people say of the names of events and properties, field by field, as JSON."""
ACTIONS = Table(
    "actions",
    {
        "id": int, "project_id": int, "version": int, "created_at": int, "created_by": int, "updated_at": int,
        "name": str, "description": str, "tags": str, "steps": str, "post_to_slack": int, "slack_message_format": str,
        "deleted": int,
    },
    ("id",),
    (("project_id", "deleted", "id"),),
)  # fmt: skip
COHORTS = Table(
    "cohorts",
    {
        "id": int, "project_id": int, "version": int, "created_at": int, "created_by": int, "updated_at": int,
        "name": str, "description": str, "filters": str, "old_groups": str, "is_static": int, "deleted": int,
        "members_version": int, "count": int, "calculated_at": int, "calculated_version": int, "n_errors": int,
        "error": str,
    },
    ("id",),
    (("project_id", "deleted", "id"),),
)  # fmt: skip
COHORT_LISTS = Table("cohort_lists", {"cohort_id": int, "distinct_id": str}, ("cohort_id", "distinct_id"))
"""The persons of static cohorts, each by a distinct id."""
ACTIVITY = Table(
    "activity",
    {
        "position": int, "project_id": int, "insight_id": int, "activity": str, "changes": str, "name": str,
        "short_id": str, "user_id": int, "at": int, "job": str,
    },
    ("position",),
    (("project_id", "position"), ("insight_id", "position")),
)  # fmt: skip
COUNTS = Table("counts", {"project_id": int, "name": str, "n": int}, ("project_id", "name"))
"""How many live insights and entries of the activity log a project has: a list need not count them."""
SHARING = Table(
    "sharing",
    {
        "resource": str, "resource_id": int, "project_id": int, "created_at": int, "enabled": int, "settings": str,
        "password_required": int, "rotation": int, "expires_at": str,
    },
    ("resource", "resource_id"),
)  # fmt: skip
SHARE_TOKENS = Table(
    "share_tokens",
    {"token_sha256": str, "resource": str, "resource_id": int, "project_id": int, "valid_until": int},
    ("token_sha256",),
)
"""Every share token that there was; those that were replaced with the end of their grace."""
ACCESS_RULES = Table(
    "access_rules",
    {
        "project_id": int, "resource": str, "resource_id": int, "member": int, "role": int, "level": str, "rank": int,
        "created_by": int, "created_at": int, "updated_at": int,
    },
    ("project_id", "resource", "resource_id", "member", "role"),
)  # fmt: skip
"""Resource 0: the whole kind of resource. Member and role 0: everyone."""
ORGANIZATIONS = Table(
    "organizations", {"id": int, "uuid": str, "name": str, "forbids_sharing": int, "created_at": int}, ("id",)
)
MEMBERS = Table(
    "members",
    {"organization_id": int, "user_id": int, "level": str, "joined_at": int},
    ("organization_id", "user_id"),
    (("user_id",),),
)
ROLES = Table("roles", {"id": int, "organization_id": int, "uuid": str, "name": str, "created_at": int}, ("id",))
ROLE_MEMBERS = Table("role_members", {"role_id": int, "user_id": int}, ("role_id", "user_id"), (("user_id",),))
PROJECTS = Table(
    "projects",
    {
        "id": int, "uuid": str, "organization_id": int, "name": str, "timezone": str, "week_start_day": int,
        "settings": str, "token_sha256": str, "created_at": int,
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
        "organization_ids": str, "created_at": int, "revoked_at": int,
    },
    ("id",),
    (("key_sha256",),),
)  # fmt: skip
KEY_USES = Table("key_uses", {"key_id": int, "last_used_at": int}, ("key_id",))
"""When a key opened something last, to the hour. No view: it is written when it happens and told by no event."""
MARKS = Table("marks", {"name": str, "position": int}, ("name",))
"""Up to which position something changed last; `access`: who may do what, projects included; `definitions:PROJECT`:
actions and cohorts of a project."""

TABLES = (
    INSIGHTS, INSIGHT_VIEWS, INSIGHT_TEXTS, INSIGHT_TERMS, TILES, DASHBOARDS, ACTIONS, COHORTS, COHORT_LISTS, ACTIVITY,
    SAID_NAMES, COUNTS, SHARING, SHARE_TOKENS, ACCESS_RULES, ORGANIZATIONS, MEMBERS, ROLES, ROLE_MEMBERS, PROJECTS,
    USERS, KEYS, MARKS,
)  # fmt: skip
BESIDE = (KEY_USES,)
"""Tables that are kept with the views, and that no replay fills."""
