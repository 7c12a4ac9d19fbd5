"""Dashboards: one row for each, with its whole state; rows and states turn into each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...domain.dashboard import Dashboard, TextTile, TileLook
from .listing import from_json, to_json
from .tables import Put, instant, micros


def dashboard_row(dashboard: Dashboard) -> Put:
    """Return the row of a dashboard."""
    looks = {str(tile): [look.layouts, look.color, look.filters_overrides] for tile, look in dashboard.looks.items()}
    return Put(
        "dashboards",
        {
            "id": dashboard.id,
            "project_id": dashboard.project_id,
            "version": dashboard.version,
            "created_at": micros(dashboard.created_at),
            "created_by": dashboard.created_by,
            "updated_at": micros(dashboard.updated_at),
            "name": dashboard.name,
            "description": dashboard.description,
            "pinned": int(dashboard.pinned),
            "filters": to_json(dashboard.filters),
            "variables": to_json(dashboard.variables),
            "tags": to_json(dashboard.tags),
            "restriction_level": dashboard.restriction_level,
            "creation_mode": dashboard.creation_mode,
            "deleted": int(dashboard.deleted),
            "collaborators": to_json(dashboard.collaborators),
            "texts": to_json([[one.id, one.body] for one in dashboard.texts]),
            "looks": to_json(looks),
        },
    )


def dashboard_from_row(row: Mapping[str, Any]) -> Dashboard:
    """Return the dashboard that a row holds; the inverse of `dashboard_row`."""
    return Dashboard(
        id=row["id"],
        project_id=row["project_id"],
        version=row["version"],
        created_at=instant(row["created_at"]),
        created_by=row["created_by"],
        updated_at=instant(row["updated_at"]),
        name=row["name"],
        description=row["description"],
        pinned=bool(row["pinned"]),
        filters=from_json(row["filters"]),
        variables=from_json(row["variables"]),
        tags=tuple(from_json(row["tags"])),
        restriction_level=row["restriction_level"],
        creation_mode=row["creation_mode"],
        deleted=bool(row["deleted"]),
        collaborators=tuple(from_json(row["collaborators"])),
        texts=tuple(TextTile(*one) for one in from_json(row["texts"])),
        looks={int(tile): TileLook(*look) for tile, look in from_json(row["looks"]).items()},
    )
