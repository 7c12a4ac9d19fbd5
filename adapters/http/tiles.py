"""Tiles of a dashboard over HTTP, one by one: move, copy, reorder, take off; texts; the results of all insights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import falcon

from ...application.library import Project
from ...domain.dashboard import MAX_TEXT_TILE, DashboardFields, TileChange
from ...domain.errors import InvalidInput, NotFound
from ...domain.insight_commands import UNSET
from ...domain.tile_layouts import SIZES, Sizes
from . import rendering
from .bodies import integer, json_body
from .context import context_of
from .dashboards import SHOWN, shown_tiles, text_tile, whole, writers
from .operations import Parameter, operation
from .presenting import Presenter
from .schemas import INTEGER, OBJECT, TEXT, accepted, array, nullable, one_of, ref, shape

WITH_TILES, TILE = ref("DashboardWithTiles"), ref("Tile")
_ID = accepted({"id": INTEGER})
MOVE = accepted({"tile": {**_ID, "required": ["id"]}, "to_dashboard": INTEGER, "toDashboard": INTEGER})
COPY = accepted({"fromDashboardId": INTEGER, "tileId": INTEGER})
ORDER = accepted({"tile_order": array(INTEGER), "layout": one_of(*SIZES)})
LOOK: dict[str, Any] = {"body": TEXT, "layouts": OBJECT, "color": nullable(TEXT)}
OUTPUT = Parameter("output_format", one_of("json", "optimized"), "Both give the results as they are.")


class _Tiles:
    def __init__(self, present: Presenter) -> None:
        self._present = present


class TileMove(_Tiles):
    """`/dashboards/:id/move_tile/`."""

    @operation(answer=WITH_TILES, body=MOVE, query=SHOWN)
    def on_patch(self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Move a tile to another dashboard; the answer is the one that it leaves."""
        context, body = context_of(req), json_body(req)
        name = "to_dashboard" if "to_dashboard" in body else "toDashboard"
        tile = _given(body, "tile")
        if not isinstance(tile, Mapping):
            raise InvalidInput("A tile is a JSON object.", path="tile")
        tile_id, to_id = integer(tile.get("id"), "tile.id"), integer(_given(body, name), name)
        try:
            after = project.dashboards.service.move_tile(ref, tile_id, to_id, req.context.by)
        except InvalidInput as error:
            error.path = name
            raise
        rendering.write_json(resp, whole(self._present, req, project, after, context))

    on_post = on_patch


class TileCopy(_Tiles):
    """`/dashboards/:id/copy_tile/`."""

    @operation(answer=WITH_TILES, body=COPY, query=SHOWN)
    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Put a tile of another dashboard on this one too; the answer is this one."""
        context, body = context_of(req), json_body(req)
        from_id, tile_id = (integer(_given(body, name), name) for name in ("fromDashboardId", "tileId"))
        after = project.dashboards.service.copy_tile(ref, tile_id, from_id, req.context.by)
        rendering.write_json(resp, whole(self._present, req, project, after, context))


class TileOrder(_Tiles):
    """`/dashboards/:id/reorder_tiles/`."""

    @operation(answer=WITH_TILES, body=ORDER, query=SHOWN)
    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Put tiles down in the given order, from the top; `layout` says how large they are."""
        context, body = context_of(req), json_body(req)
        order = _given(body, "tile_order")
        if not isinstance(order, list) or not order:
            raise InvalidInput("This is a list of the ids of tiles.", path="tile_order")
        ids = [integer(one, f"tile_order[{place}]") for place, one in enumerate(order)]
        if len(set(ids)) < len(ids):
            raise InvalidInput("A tile stands in one place.", path="tile_order")
        sizes: Sizes = body.get("layout", SIZES[0])
        if sizes not in SIZES:
            raise InvalidInput(f"One of {', '.join(SIZES)}.", path="layout", code="invalid_choice")
        after = project.dashboards.service.reorder(ref, ids, req.context.by, sizes)
        rendering.write_json(resp, whole(self._present, req, project, after, context))


class TileRemoval:
    """`/dashboards/:id/delete_tile/`."""

    @operation(status=204, body=accepted({"tile_id": INTEGER}))
    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Take a tile off; its insight stays."""
        tile_id = integer(_given(json_body(req), "tile_id"), "tile_id")
        project.dashboards.service.remove_tile(ref, tile_id, req.context.by)
        resp.status = falcon.HTTP_204


class TextTileMade(_Tiles):
    """`/dashboards/:id/create_text_tile/`."""

    @operation(answer=TILE, status=201, body=accepted(LOOK))
    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Add a text."""
        body = json_body(req)
        _given(body, "body")
        before = project.dashboards.service.get(ref)
        change = _text_change(body)
        after = project.dashboards.service.update(before.id, DashboardFields(tiles=(change,)), req.context.by)
        resp.status = falcon.HTTP_201
        rendering.write_json(resp, text_tile(after, after.texts[-1].id, writers(self._present, req, after.texts[-1:])))


class TextTileChanged(_Tiles):
    """`/dashboards/:id/update_text_tile/`."""

    @operation(answer=TILE, body=accepted({**LOOK, "tile_id": INTEGER}))
    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Change a text, where it stands, or its colour."""
        body = json_body(req)
        tile_id = integer(_given(body, "tile_id"), "tile_id")
        found = project.dashboards.service.get(ref)
        if all(one.id != tile_id for one in found.texts):
            if any(row["id"] == tile_id for row, _ in project.dashboards.service.tiles(found.id)):
                raise InvalidInput("The tile has no text.", path="tile_id")
            raise NotFound("Tile", tile_id)
        change = DashboardFields(tiles=(_text_change(body, tile_id),))
        after = project.dashboards.service.update(found.id, change, req.context.by)
        rendering.write_json(resp, text_tile(after, tile_id, writers(self._present, req, after.texts)))


class InsightsRun(_Tiles):
    """`/dashboards/:id/run_insights/`."""

    @operation(answer=shape({"results": array(TILE)}), query=(*SHOWN, OUTPUT))
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Return the tiles of insights that have a query, with their results as `refresh` says."""
        req.get_param(OUTPUT.name)
        found = project.dashboards.service.get(ref)
        tiles = shown_tiles(self._present, req, project, found, context_of(req))
        shown = [one for one in tiles if one["insight"] is not None and one["insight"].get("query")]
        rendering.write_json(resp, {"results": shown})


def _given(body: Mapping[str, Any], name: str) -> Any:
    if name not in body:
        raise InvalidInput("This field is required.", path=name, code="required")
    return body[name]


def _text_change(body: Mapping[str, Any], tile_id: int | None = None) -> TileChange:
    """Return what a body says about a text and its look. Raises `InvalidInput`."""
    text = body.get("body")
    if "body" in body and (not isinstance(text, str) or not text.strip()):
        raise InvalidInput("This field may not be blank.", path="body", code="blank")
    if text is not None and len(text) > MAX_TEXT_TILE:
        detail = f"Ensure this field has no more than {MAX_TEXT_TILE} characters."
        raise InvalidInput(detail, path="body", code="max_length")
    layouts, color = body.get("layouts", UNSET), body.get("color", UNSET)
    if layouts is not UNSET and not isinstance(layouts, dict):
        raise InvalidInput("This must be a JSON object.", path="layouts")
    if color is not UNSET and color is not None and not isinstance(color, str):
        raise InvalidInput("Not a valid string.", path="color")
    return TileChange(id=tile_id, body=text, layouts=layouts, color=color or None if color is not UNSET else UNSET)
