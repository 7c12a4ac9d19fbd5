"""The listing: one row for each insight, with its whole definition; rows and states turn into each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from attrs import asdict

from ...domain.insight import Insight
from ...domain.sharing import ShareState, Sharing
from .tables import Put, instant, micros


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
            "sharing": _sharing_text(insight.sharing),
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
        sharing=_sharing(row["sharing"]),
    )


def to_json(value: Any) -> str | None:
    """Return a JSON text, None for None."""
    return None if value is None else orjson.dumps(value).decode()


def from_json(text: str | None) -> Any:
    """Return the value of a JSON text, None for None."""
    return None if text is None else orjson.loads(text)


def _sharing_text(sharing: Sharing | None) -> str | None:
    if sharing is None:
        return None
    return to_json({"created_at": micros(sharing.created_at), **asdict(sharing.state)})


def _sharing(text: str | None) -> Sharing | None:
    if text is None:
        return None
    fields = from_json(text)
    return Sharing(instant(fields.pop("created_at")), ShareState(**fields))
