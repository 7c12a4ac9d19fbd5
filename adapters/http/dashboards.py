"""Dashboards over HTTP, as far as insights need them: list, create, retrieve, update, delete softly (3.18)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import falcon
from attrs import evolve

from ...application.computing import Refresh
from ...application.dashboards import MAX_PAGE
from ...application.json_values import iso
from ...application.library import Project
from ...application.model import User
from ...application.views.dashboards import dashboard_row
from ...domain.dashboard import Dashboard, TextTile
from ...domain.errors import InvalidInput
from ...domain.tile_layouts import in_order
from . import rendering
from .bodies import boolean, dashboard, integer, json_body
from .context import CONTEXT, Context, context_of
from .operations import operation
from .parameters import AS_OF, CALCULATION, PAGE, PAST, page_window
from .presenting import Presenter
from .schemas import page_of, ref

DEFAULT_PAGE = 100
SHOWN = (*CALCULATION, *CONTEXT)
"""What shapes the insights on the tiles."""


class DashboardList:
    """`/dashboards/`."""

    def __init__(self, present: Presenter, site_url: str | None) -> None:
        self._site_url = site_url
        self._present = present

    @operation(answer=page_of(ref("Dashboard")), query=(*PAGE, AS_OF))
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """List, without tiles: pinned ones first, then by name."""
        limit, offset = page_window(req, DEFAULT_PAGE, MAX_PAGE)
        page = project.dashboards.list(limit=limit, offset=offset)
        users = self._present.users(req, (), (one.created_by for one in page if one.created_by))
        results = [_dashboard(one, users, project) for one in page]
        rendering.write_json(resp, rendering.envelope(req, self._site_url, page.count, limit, offset, results))

    @operation(answer=ref("DashboardWithTiles"), status=201, body=ref("DashboardInput"), query=SHOWN)
    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Create, or duplicate the dashboard that `use_dashboard` names; `duplicate_tiles` copies its insights too."""
        context, body, service = context_of(req), json_body(req), project.dashboards.service
        fields, model, template = dashboard(body), body.get("use_dashboard"), body.get("use_template")
        if model and template:
            raise InvalidInput("`use_dashboard` and `use_template` cannot be used together")
        if template:  # there are none
            raise InvalidInput(f"Invalid template provided: {template}", path="use_template")
        if model:
            copies = boolean(body.get("duplicate_tiles", False), "duplicate_tiles")
            model = integer(model, "use_dashboard")
            made = service.duplicate(model, fields, req.context.by, copies_insights=copies)
        else:
            made = service.create(fields, req.context.by)
        resp.status = falcon.HTTP_201
        rendering.write_json(resp, whole(self._present, req, project, made, context))


class DashboardItem:
    """`/dashboards/:id/`."""

    def __init__(self, present: Presenter) -> None:
        self._present = present

    @operation(answer=ref("DashboardWithTiles"), query=(*SHOWN, *PAST))
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Retrieve, with tiles; their insights are seen through the dashboard's filters."""
        found = project.dashboards.service.get(ref)
        rendering.write_json(resp, whole(self._present, req, project, found, context_of(req)))

    @operation(answer=ref("DashboardWithTiles"), body=ref("DashboardInput"), query=SHOWN)
    def on_patch(self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Update; `deleted` deletes softly and restores, `tiles` changes tiles one by one.

        `delete_insights` deletes insights with it that stand on no other dashboard.
        """
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


def whole(
    present: Presenter,
    req: falcon.Request,
    project: Project,
    found: Dashboard,
    context: Context,
    *,
    page_mode: Refresh | None = None,
) -> dict[str, Any]:
    """Return a dashboard with its tiles as they stand, from the top. `page_mode` as for results."""
    users = present.users(req, (), (found.created_by,) if found.created_by else ())
    shown = _dashboard(found, users, project)
    if found.deleted:
        return shown | {"tiles": []}
    return shown | {"tiles": shown_tiles(present, req, project, found, context, page_mode=page_mode)}


def shown_tiles(
    present: Presenter,
    req: falcon.Request,
    project: Project,
    found: Dashboard,
    context: Context,
    *,
    page_mode: Refresh | None = None,
) -> list[dict[str, Any]]:
    """Return the tiles of a dashboard by row and column; those that nobody placed follow, insights before texts."""
    context = evolve(context, dashboard_id=found.id)
    insights = {tile["id"]: insight for tile, insight in project.dashboards.service.tiles(found.id)}
    texts, users = [one.id for one in found.texts], writers(present, req, found.texts)
    order = in_order((tile, found.look_of(tile).layouts) for tile in (*insights, *texts))
    return [
        _tile(found, tile, place, present.on_page(req, project, insights[tile], context, page_mode=page_mode))
        if tile in insights
        else text_tile(found, tile, users, place)
        for place, tile in enumerate(order)
    ]


def writers(present: Presenter, req: falcon.Request, texts: Iterable[TextTile]) -> Mapping[int, User]:
    """Return who wrote and changed texts; visitors of a share are not told."""
    if req.context.share is not None:
        return {}
    ids = (one for text in texts for one in (text.created_by, text.last_modified_by) if one)
    return present.users(req, (), ids)


def text_tile(found: Dashboard, tile_id: int, users: Mapping[int, User], place: int = 0) -> dict[str, Any]:
    """Return a tile with a text; `users` are its `writers`."""
    text = next(one for one in found.texts if one.id == tile_id)
    shown = {
        "id": tile_id,
        "created_by": rendering.user(users.get(text.created_by or 0)),
        "last_modified_by": rendering.user(users.get(text.last_modified_by or 0)),
        "body": text.body,
        "last_modified_at": iso(text.last_modified_at),
        "team": found.project_id,
    }
    return _tile(found, tile_id, place) | {"text": shown}


def _tile(found: Dashboard, tile_id: int, place: int, insight: dict[str, Any] | None = None) -> dict[str, Any]:
    look = found.look_of(tile_id)
    return {
        "id": tile_id,
        "order": place,
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
