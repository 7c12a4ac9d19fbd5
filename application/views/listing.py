"""The listing: one row for each insight, with its whole definition; rows and states turn into each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from attrs import asdict, frozen

from ...domain.access_rules import AccessRule
from ...domain.insight import Insight
from ...domain.sharing import SharePassword, ShareState, Sharing
from ...domain.tiles import Tile
from .search import insight_kind
from .tables import Put, instant, micros

NO_ORDER = 2**31
"""Stands for no order in the column that lists are sorted by: behind every order that there can be."""


def insight_row(insight: Insight) -> Put:
    """Return the listing's row for an insight."""
    return Put(
        "insights",
        {
            "id": insight.id,
            "project_id": insight.project_id,
            "short_id": insight.short_id,
            "version": insight.version,
            "created_at": micros(insight.created_at),
            "created_by": insight.created_by,
            "updated_at": micros(insight.updated_at),
            "last_modified_at": micros(insight.last_modified_at),
            "last_modified_by": insight.last_modified_by,
            "name": insight.name,
            "derived_name": insight.derived_name,
            "description": insight.description,
            "query": to_json(insight.query),
            "filters": to_json(insight.filters),
            "sort_order": insight.order,
            "tags": to_json(insight.tags),
            "favorited": int(insight.favorited),
            "saved": int(insight.saved),
            "deleted": int(insight.deleted),
            "is_sample": int(insight.is_sample),
            "sharing": sharing_text(insight.sharing),
            "tiles": to_json([[tile.id, tile.dashboard_id, tile.deleted] for tile in insight.tiles]),
            "access": _access_text(insight.access),
            "kind": insight_kind(insight.query, insight.filters),
            "sort_key": NO_ORDER if insight.order is None else insight.order,
        },
    )


def insight_from_row(row: Mapping[str, Any]) -> Insight:
    """Return the insight that a row of the listing holds; the inverse of `insight_row`."""
    return Insight(
        id=row["id"],
        project_id=row["project_id"],
        short_id=row["short_id"],
        version=row["version"],
        created_at=instant(row["created_at"]),
        created_by=row["created_by"],
        updated_at=instant(row["updated_at"]),
        last_modified_at=instant(row["last_modified_at"]),
        last_modified_by=row["last_modified_by"],
        name=row["name"],
        derived_name=row["derived_name"],
        description=row["description"],
        query=from_json(row["query"]),
        filters=from_json(row["filters"]),
        order=row["sort_order"],
        tags=tuple(from_json(row["tags"])),
        favorited=bool(row["favorited"]),
        saved=bool(row["saved"]),
        deleted=bool(row["deleted"]),
        is_sample=bool(row["is_sample"]),
        sharing=sharing_from_text(row["sharing"]),
        tiles=tuple(Tile(*tile) for tile in from_json(row["tiles"])),
        access=_access(row["access"]),
    )


@frozen
class Glance:
    """What tells of an insight whether somebody may look at it."""

    id: int
    deleted: bool
    created_by: int | None
    access: tuple[AccessRule, ...]


def glance_from_row(row: Mapping[str, Any]) -> Glance:
    """Return the glance of an insight that a row holds."""
    return Glance(row["id"], bool(row["deleted"]), row["created_by"], _access(row["access"]))


def to_json(value: Any) -> str | None:
    """Return a JSON text, None for None."""
    return None if value is None else orjson.dumps(value).decode()


def from_json(text: str | None) -> Any:
    """Return the value of a JSON text, None for None."""
    return None if text is None else orjson.loads(text)


def sharing_text(sharing: Sharing | None) -> str | None:
    """Return a sharing configuration as JSON, None for None."""
    if sharing is None:
        return None
    passwords = [[one.id, one.ref, one.note, one.created_by, micros(one.created_at)] for one in sharing.passwords]
    return to_json({"created_at": micros(sharing.created_at), "passwords": passwords, **asdict(sharing.state)})


def sharing_from_text(text: str | None) -> Sharing | None:
    """Return the configuration of a JSON text; the inverse of `sharing_text`."""
    if text is None:
        return None
    fields = from_json(text)
    created_at, passwords = instant(fields.pop("created_at")), fields.pop("passwords")
    kept = tuple(SharePassword(id_, ref, note, by, instant(at)) for id_, ref, note, by, at in passwords)
    return Sharing(created_at, ShareState(**fields), kept)


def _access_text(rules: tuple[AccessRule, ...]) -> str | None:
    if not rules:
        return None
    return to_json(
        [
            [rule.level, rule.member, rule.role, rule.created_by, micros(rule.created_at), micros(rule.updated_at)]
            for rule in rules
        ]
    )


def _access(text: str | None) -> tuple[AccessRule, ...]:
    return tuple(
        AccessRule(level, member, role, created_by, instant(created_at), instant(updated_at))
        for level, member, role, created_by, created_at, updated_at in from_json(text) or ()
    )
