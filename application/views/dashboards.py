"""Dashboards: one row for each, with its whole state, and how each is shared. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from typing import Any

from ...domain.dashboard import Dashboard, TextTile, TileLook, evolve_dashboard
from ...domain.events import Record
from ...domain.sharing import Resource
from .listing import from_json, sharing_from_text, sharing_text, to_json
from .sharing import sharing_changes
from .tables import Change, Put, ReadRow, instant, micros


def dashboard_changes(records: Sequence[Record], read: ReadRow) -> Iterator[Change]:
    """Give the row changes for records of one append to a dashboard's stream."""
    row = read("dashboards", records[0].subject_id)
    before = None if row is None else dashboard_from_row(row)
    after = reduce(evolve_dashboard, records, before)
    if after is None:
        return
    yield dashboard_row(after)
    old = before.sharing if before else None
    yield from sharing_changes(Resource("dashboard", after.id), old, after.sharing, records[-1])


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
            "text_tiles": to_json(
                [
                    [one.id, one.body, one.created_by, micros(one.last_modified_at), one.last_modified_by]
                    for one in dashboard.texts
                ]
            ),
            "looks": to_json(looks),
            "sharing": sharing_text(dashboard.sharing),
            "source": dashboard.source,
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
        texts=tuple(
            TextTile(tile_id, body, created_by, instant(at), modified_by)
            for tile_id, body, created_by, at, modified_by in from_json(row["text_tiles"])
        ),
        looks={int(tile): TileLook(*look) for tile, look in from_json(row["looks"]).items()},
        sharing=sharing_from_text(row["sharing"]),
        source=row["source"],
    )
