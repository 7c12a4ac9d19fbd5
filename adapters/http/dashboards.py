"""Dashboards over HTTP, as far as insights need them: list, create, retrieve, update, delete softly (3.18)."""

from __future__ import annotations

from typing import Any

import falcon
from attrs import evolve

from ...application.computing import Refresh
from ...application.dashboards import MAX_PAGE
from ...application.json_values import iso
from ...application.library import Insightlog, Project
from ...application.model import User
from ...application.views.dashboards import dashboard_row
from ...domain.dashboard import Dashboard
from . import rendering
from .bodies import dashboard, json_body, tile_move
from .context import CONTEXT, Context, context_of
from .operations import operation
from .parameters import CALCULATION, PAGE, page_window
from .presenting import Presenter
from .schemas import page_of, ref

DEFAULT_PAGE = 100
SHOWN = (*CALCULATION, *CONTEXT)
"""What shapes the insights on the tiles."""


class DashboardList:
    """`/dashboards/`."""

    def __init__(self, log: Insightlog, present: Presenter, site_url: str | None) -> None:
        self._log = log
        self._site_url = site_url
        self._present = present

    @operation(answer=page_of(ref("Dashboard")), query=PAGE)
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """List, without tiles: pinned ones first, then by name."""
        limit, offset = page_window(req, DEFAULT_PAGE, MAX_PAGE)
        page = project.dashboards.list(limit=limit, offset=offset)
        users = self._present.users(req, (), (one.created_by for one in page if one.created_by))
        results = [_dashboard(one, users, project) for one in page]
        rendering.write_json(resp, rendering.envelope(req, self._site_url, page.count, limit, offset, results))

    @operation(answer=ref("DashboardWithTiles"), status=201, body=ref("DashboardInput"), query=CONTEXT)
    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Create."""
        context = context_of(req)
        made = project.dashboards.service.create(dashboard(json_body(req)), req.context.by)
        resp.status = falcon.HTTP_201
        rendering.write_json(resp, whole(self._present, req, project, made, context))


class DashboardItem:
    """`/dashboards/:id/`."""

    def __init__(self, present: Presenter) -> None:
        self._present = present

    @operation(answer=ref("DashboardWithTiles"), query=SHOWN)
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Retrieve, with tiles; their insights are seen through the dashboard's filters."""
        found = project.dashboards.service.get(ref)
        rendering.write_json(resp, whole(self._present, req, project, found, context_of(req)))

    @operation(answer=ref("DashboardWithTiles"), body=ref("DashboardInput"), query=SHOWN)
    def on_patch(self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Update; `deleted` deletes softly and restores, `tiles` changes tiles one by one."""
        context = context_of(req)
        after = project.dashboards.service.update(ref, dashboard(json_body(req)), req.context.by)
        rendering.write_json(resp, whole(self._present, req, project, after, context))

    on_put = on_patch

    @operation(status=405)
    def on_delete(self, _req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Refuse: dashboards are deleted softly, by PATCH."""
        del project, ref
        resp.status = falcon.HTTP_405
        resp.set_header("Allow", "GET, PATCH, PUT, HEAD, OPTIONS")


class TileMove:
    """`/dashboards/:id/move_tile/`."""

    def __init__(self, present: Presenter) -> None:
        self._present = present

    @operation(answer=ref("DashboardWithTiles"), body=ref("TileMoveInput"), query=SHOWN)
    def on_patch(self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Move a tile to another dashboard; the answer is the one that it leaves."""
        context, (tile_id, to_id) = context_of(req), tile_move(json_body(req))
        after = project.dashboards.service.move_tile(ref, tile_id, to_id, req.context.by)
        rendering.write_json(resp, whole(self._present, req, project, after, context))


def whole(
    present: Presenter,
    req: falcon.Request,
    project: Project,
    found: Dashboard,
    context: Context,
    *,
    page_mode: Refresh | None = None,
) -> dict[str, Any]:
    """Return a dashboard with its tiles: insights in order of tile id, then texts. `page_mode` as for results."""
    users = present.users(req, (), (found.created_by,) if found.created_by else ())
    shown = _dashboard(found, users, project)
    if found.deleted:
        return shown | {"tiles": []}
    context = evolve(context, dashboard_id=found.id)
    tiles: list[dict[str, Any]] = [
        _tile(found, tile["id"], present.on_page(req, project, insight, context, page_mode=page_mode))
        for tile, insight in project.dashboards.service.tiles(found.id)
    ]
    tiles += [_tile(found, one.id) | {"text": {"id": one.id, "body": one.body}} for one in found.texts]
    return shown | {"tiles": [tile | {"order": place} for place, tile in enumerate(tiles)]}


def _tile(found: Dashboard, tile_id: int, insight: dict[str, Any] | None = None) -> dict[str, Any]:
    look = found.look_of(tile_id)
    return {
        "id": tile_id,
        "order": 0,
        "layouts": look.layouts,
        "color": look.color,
        "filters_overrides": look.filters_overrides or {},
        "deleted": None,
        "is_cached": bool(insight and insight.get("is_cached")),
        "last_refresh": insight.get("last_refresh") if insight else None,
        "insight": insight,
        "text": None,
    }


def _dashboard(found: Dashboard, users: dict[int, User], project: Project) -> dict[str, Any]:
    rights = project.rights
    may_edit = rights is None or rights.may_edit_dashboard(dashboard_row(found).row)
    return {
        "id": found.id,
        "name": found.name or "",
        "description": found.description,
        "pinned": found.pinned,
        "created_at": iso(found.created_at),
        "created_by": rendering.user(users.get(found.created_by or 0)),
        "is_shared": found.sharing is not None and found.sharing.state.enabled,
        "deleted": found.deleted,
        "creation_mode": found.creation_mode,
        "filters": found.filters,
        "variables": found.variables,
        "tags": list(found.tags),
        "restriction_level": found.restriction_level,
        "effective_restriction_level": found.restriction_level,
        "effective_privilege_level": rendering.CAN_EDIT if may_edit else rendering.CAN_VIEW,
        "user_access_level": ("manager" if rights.is_admin or found.created_by == rights.user_id else "editor")
        if rights
        else None,
    }
