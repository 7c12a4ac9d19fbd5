"""Dashboards of one project, as far as insights need them: create, list, get, update, and their tiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import asdict, evolve

from ..domain.dashboard import (
    Dashboard,
    DashboardFields,
    TileChange,
    TileLook,
    decide_creation,
    decide_edit,
    decide_share,
    evolve_dashboard,
    stream_of,
)
from ..domain.dashboard_events import DashboardCollaboratorAdded, DashboardCollaboratorRemoved, DashboardSoftDeleted
from ..domain.errors import InvalidInput, NotFound, PermissionDenied
from ..domain.events import DomainEvent
from ..domain.insight import Insight, decide
from ..domain.insight_commands import UNSET, Definition, EditInsight, StandOn
from ..domain.tile_layouts import Sizes, lifted, packed
from .acting import require_number
from .execution import By, Executor, Kind
from .ids import row_id
from .insights import INSIGHT, InsightService, copy_of
from .model import Page
from .ports import EventStore, Row, StreamEvents, Views
from .rights import Rights
from .sharing import Shares
from .sharing_tokens import SharePasswords, ShareTokens
from .views.dashboards import dashboard_from_row
from .views.listing import insight_from_row

DASHBOARD: Kind[Dashboard] = Kind("Dashboard", "dashboards", stream_of, dashboard_from_row, evolve_dashboard)
MAX_PAGE = 1000
RESTRICTING = (
    "Only the dashboard owner and project admins have the restriction rights required to change the dashboard's "
    "restriction level."
)


class DashboardService:
    """What may be done with the dashboards of a project; `rights` as for insights."""

    def __init__(
        self,
        project_id: int,
        store: EventStore,
        views: Views,
        executor: Executor,
        tokens: ShareTokens,
        rights: Rights | None = None,
    ) -> None:
        self.project_id = project_id
        self.rights = rights
        self._views = views
        self._executor = executor
        self._store = store
        self._tokens = tokens
        self._insights = InsightService(project_id, store, views, executor, tokens, rights)

    @property
    def shares(self) -> Shares[Dashboard]:
        """How the dashboards are shared."""
        passwords = SharePasswords(self._store)
        return Shares(
            "dashboard",
            DASHBOARD,
            self.project_id,
            self._executor,
            self._tokens,
            passwords,
            self.get,
            self._to_share,
            decide_share,
        )

    def create(self, fields: DashboardFields, by: By, *, creation_mode: str = "default") -> Dashboard:
        """Make a dashboard. Raises `InvalidInput`."""
        events = decide_creation(fields, creation_mode=creation_mode)
        records = self._executor.create(
            "dashboards",
            lambda new_id, _: (StreamEvents(stream_of(new_id), events, 0),),
            by,
            lambda _: self.project_id,
        )
        return self._arrange_new(self._existing(records[0].subject_id), fields, by)

    def duplicate(self, from_id: int, fields: DashboardFields, by: By, *, copies_insights: bool = False) -> Dashboard:
        """Make a dashboard with the tiles of another, as they look there; its insights stand on both, or are copied.

        Filters and variables are those of the other where none are given; insights that are hidden from the caller
        are left out. Raises `InvalidInput`, also when there is no such dashboard, `PermissionDenied` for insights that
        stand on both and are restricted.
        """
        try:
            found = self.get(from_id)
        except NotFound as error:
            raise InvalidInput("Invalid value provided", path="use_dashboard") from error
        insights = [
            (row["id"], one)
            for row, one in self.tiles(found.id)
            if self.rights is None or self.rights.level(one) != "none"
        ]
        if not copies_insights:  # one that stood on a dashboard of the caller could be edited there
            for _, insight in insights:
                self._insights.require_unrestricted(insight)
        texts = tuple(TileChange(body=one.body, **asdict(found.look_of(one.id))) for one in found.texts)
        given = {name: getattr(fields, name) for name in ("filters", "variables")}
        taken = {name: getattr(found, name) for name, value in given.items() if value in (UNSET, {})}
        made = self.create(evolve(fields, tiles=(*fields.tiles, *texts), **taken), by, creation_mode="duplicate")
        for old_id, insight in () if made.deleted else insights:
            if copies_insights:
                copy = self._insights.create(copy_of(insight, made.id), by)
                tile_id = copy.tiles[0].id
            else:
                tile_id = self._stand(insight.id, made.id, by) or 0
            made = self._look_alike(found, old_id, made, tile_id, by)
        return made

    def get(self, dashboard_id: int | str) -> Dashboard:
        """Return a dashboard. Raises `NotFound` for unknown, deleted and foreign ones."""
        found = self._existing(dashboard_id)
        if found.deleted:
            raise NotFound("Dashboard", dashboard_id)
        return found

    def find(self, *, limit: int = 100, offset: int = 0) -> Page[Dashboard]:
        """Return a page of the dashboards, pinned ones first, then by name. Raises `InvalidInput`."""
        require_number("limit", limit)
        require_number("offset", offset, least=0)
        count, rows = self._views.dashboards(self.project_id, min(limit, MAX_PAGE), offset)
        return Page(count, tuple(dashboard_from_row(row) for row in rows))

    def update(self, dashboard_id: int | str, fields: DashboardFields, by: By) -> Dashboard:
        """Change a dashboard and return it as it is then; `deleted=False` restores a deleted one with its tiles.

        Tiles of insights that are taken off are changes of these insights. With `delete_insights`, insights are
        deleted with it that stand on no other dashboard and that the caller may edit; they come back with it. Raises
        `NotFound`, `InvalidInput`, `PermissionDenied` for a restricted dashboard, and for who may not restrict it.
        """
        found = self._existing(dashboard_id)
        if found.deleted and fields.deleted is not False:
            raise NotFound("Dashboard", dashboard_id)
        self._require_edit(found)
        if fields.restriction_level not in (UNSET, found.restriction_level):
            self._require_ownership(found)
        tiles = {row["id"]: row for row in self._views.tiles(dashboard_id=found.id)}
        own = {one.id for one in found.texts} | tiles.keys()
        for change in fields.tiles:
            if change.id is not None and change.id not in own:
                raise NotFound("Tile", change.id)
        insights = self._only_here(found) if fields.deleted is True and fields.delete_insights else ()
        after = self._executor.change(
            DASHBOARD, self.project_id, found.id, lambda state, _: decide_edit(state, fields, insights), by
        )
        for insight_id in insights:
            self._edit(insight_id, by, deleted=True)
        if found.deleted:
            for insight_id in self._deleted_with(found):
                self._edit(insight_id, by, deleted=False, dashboards=(found.id,))
        for change in fields.tiles:
            if change.deleted and change.id in tiles:
                self._take_off(tiles[change.id], by)
        return self._arrange_new(after, fields, by)

    def reorder(self, dashboard_id: int | str, order: Sequence[int], by: By, sizes: Sizes = "preserve") -> Dashboard:
        """Put tiles down in an order, from the top; those that it leaves out stay. Raises as `update` does."""
        found = self.get(dashboard_id)
        layouts = packed(order, {tile: found.look_of(tile).layouts for tile in order}, sizes)
        changes = tuple(TileChange(id=tile, layouts=one) for tile, one in layouts.items())
        return self.update(found.id, DashboardFields(tiles=changes), by)

    def remove_tile(self, dashboard_id: int | str, tile_id: int, by: By) -> Dashboard:
        """Take a tile off; those below move up. Raises as `update` does."""
        found = self.get(dashboard_id)
        own = [one.id for one in found.texts] + [row["id"] for row in self._views.tiles(dashboard_id=found.id)]
        layouts = lifted({tile: found.look_of(tile).layouts for tile in own if tile != tile_id})
        moved = (TileChange(id=tile, layouts=one) for tile, one in layouts.items())
        return self.update(found.id, DashboardFields(tiles=(TileChange(id=tile_id, deleted=True), *moved)), by)

    def copy_tile(self, dashboard_id: int | str, tile_id: int, from_id: int, by: By) -> Dashboard:
        """Put a tile of another dashboard here too, as it looks there, and return the dashboard that it came to.

        Raises `NotFound`, `InvalidInput` for an insight that stands here already and for a tile of this dashboard,
        `PermissionDenied` where this dashboard or the insight says no.
        """
        target, found = self.get(dashboard_id), self.get(from_id)
        self._require_edit(target)
        if found.id == target.id:
            raise InvalidInput("The tile stands on this dashboard.", path="fromDashboardId")
        text, insight = self._tile(found, tile_id)
        if insight is None:
            look = asdict(found.look_of(tile_id))
            return self.update(target.id, DashboardFields(tiles=(TileChange(body=text, **look),)), by)
        if self.rights is not None and self.rights.level(insight) == "none":
            raise PermissionDenied("You do not have viewer access to this resource.")
        self._insights.require_unrestricted(insight)
        new_id = self._stand(insight.id, target.id, by)
        if new_id is None:
            raise InvalidInput("The insight stands on this dashboard already.", path="tileId")
        return self._look_alike(found, tile_id, target, new_id, by)

    def move_tile(self, dashboard_id: int | str, tile_id: int, to_id: int, by: By) -> Dashboard:
        """Move a tile, as it looks, to another dashboard and return the one that it leaves.

        What stands there already keeps its look; a tile gets another id on its new dashboard. Raises `NotFound`,
        `InvalidInput` for an unknown target, `PermissionDenied` when one of them is restricted.
        """
        found = self.get(dashboard_id)
        try:
            target = self.get(to_id)
        except NotFound as error:
            detail = f'Invalid pk "{to_id}" - object does not exist.'
            raise InvalidInput(detail, path="toDashboard", code="does_not_exist") from error
        for one in (found, target):
            self._require_edit(one)
        _, insight = self._tile(found, tile_id)
        if target.id == found.id:
            return found
        if insight is not None:
            new_id = self._stand(insight.id, target.id, by, leaving=found.id)
            if new_id is not None:
                self._look_alike(found, tile_id, target, new_id, by)
            return self.get(found.id)
        new_id = self._move_text(tile_id, found.id, target.id, by)
        self._look_alike(found, tile_id, target, new_id, by)
        return self.get(found.id)

    def _move_text(self, tile_id: int, from_id: int, to_id: int, by: By) -> int:
        """Move a text in one transaction, and return the id of its tile where it stands now."""

        def moved(views: Views) -> tuple[StreamEvents, ...]:
            left, entered = (DASHBOARD.read(views, self.project_id, one) for one in (from_id, to_id))
            for one in (left, entered):
                if one.deleted:
                    raise NotFound("Dashboard", one.id)
            text = next((one.body for one in left.texts if one.id == tile_id), None)
            if text is None:
                raise NotFound("Tile", tile_id)
            edits = ((entered, TileChange(body=text)), (left, TileChange(id=tile_id, deleted=True)))
            return tuple(
                StreamEvents(stream_of(one.id), decide_edit(one, DashboardFields(tiles=(tile,))), state=one)
                for one, tile in edits
            )

        return self._executor.change_together(self.project_id, moved, by)[0].position

    def _tile(self, dashboard: Dashboard, tile_id: int) -> tuple[str | None, Insight | None]:
        """Return the text or the insight of a tile. Raises `NotFound`."""
        for text in dashboard.texts:
            if text.id == tile_id:
                return text.body, None
        for row, insight in self.tiles(dashboard.id):
            if row["id"] == tile_id:
                return None, insight
        raise NotFound("Tile", tile_id)

    def _stand(self, insight_id: int, to_id: int, by: By, leaving: int | None = None) -> int | None:
        """Put an insight on a dashboard; return the id of its tile there, None when it stands there already."""
        standing: set[int] = set()

        def changed(state: Insight, _: Views) -> tuple[DomainEvent, ...]:
            standing.clear()
            standing.update(state.dashboards)
            left = tuple(one for one in state.dashboards if one not in (leaving, to_id))
            return decide(state, StandOn((*left, to_id)))

        after = self._executor.change(INSIGHT, self.project_id, insight_id, changed, by)
        if to_id in standing:
            return None
        return next(one.id for one in after.tiles if one.dashboard_id == to_id and one.is_live)

    def _look_alike(self, found: Dashboard, tile_id: int, target: Dashboard, new_id: int, by: By) -> Dashboard:
        look = found.look_of(tile_id)
        if look == TileLook():
            return self.get(target.id)
        return self.update(target.id, DashboardFields(tiles=(TileChange(id=new_id, **asdict(look)),)), by)

    def _arrange_new(self, made: Dashboard, fields: DashboardFields, by: By) -> Dashboard:
        """Give texts that were just added the look that they came with; their ids are known only now."""
        new = [one for one in fields.tiles if one.id is None and one.body is not None]
        looks = [
            evolve(change, id=text.id, body=None)
            for text, change in zip(made.texts[len(made.texts) - len(new) :], new, strict=True)
            if (change.layouts, change.color, change.filters_overrides) != (UNSET, UNSET, UNSET)
        ]
        if not looks or made.deleted:
            return made
        arranged = DashboardFields(tiles=tuple(looks))
        return self._executor.change(DASHBOARD, self.project_id, made.id, lambda one, _: decide_edit(one, arranged), by)

    def set_collaborator(self, dashboard_id: int, user_id: int, by: By, *, may_edit: bool = True) -> Dashboard:
        """Let a user edit a restricted dashboard, or no more. Raises `NotFound`, `PermissionDenied`."""
        found = self.get(dashboard_id)
        self._require_edit(found)
        require_number("user", user_id)
        if not self._views.users([user_id]):
            raise NotFound("User", user_id)

        def changed(state: Dashboard, _: Views) -> tuple[DomainEvent, ...]:
            if (user_id in state.collaborators) is may_edit:
                return ()
            return (DashboardCollaboratorAdded(user_id) if may_edit else DashboardCollaboratorRemoved(user_id),)

        return self._executor.change(DASHBOARD, self.project_id, found.id, changed, by)

    def tiles(self, dashboard_id: int) -> Sequence[tuple[Row, Insight]]:
        """Return the live tiles of insights on a dashboard with their insights, in order of tile id."""
        found = []
        for tile in self._views.tiles(dashboard_id=dashboard_id):
            row = self._views.row("insights", tile["insight_id"])
            if row is not None:
                found.append((tile, insight_from_row(row)))
        return found

    def tile_of(self, dashboard_id: int, insight: Insight) -> tuple[Dashboard, int] | None:
        """Return the dashboard and the id of the tile on which an insight stands there; None when it does not."""
        row = self._views.row("dashboards", dashboard_id)
        if row is None or row["project_id"] != self.project_id or row["deleted"]:
            return None
        tile = next((one for one in insight.tiles if one.dashboard_id == dashboard_id and one.is_live), None)
        return None if tile is None else (dashboard_from_row(row), tile.id)

    def _take_off(self, tile: Row, by: By) -> None:
        def changed(state: Insight, _: Views) -> tuple[DomainEvent, ...]:
            left = tuple(one for one in state.dashboards if one != tile["dashboard_id"])
            return decide(state, StandOn(left))

        self._executor.change(INSIGHT, self.project_id, tile["insight_id"], changed, by)

    def _only_here(self, dashboard: Dashboard) -> tuple[int, ...]:
        """Return the insights that stand on a dashboard and on no other, and that the caller may edit."""
        insights = [one for _, one in self.tiles(dashboard.id)]
        places = self._insights.tiles(insights)
        editing = ("editor", "manager")
        return tuple(
            one.id
            for one in insights
            if len(places.get(one.id, ())) <= 1 and (self.rights is None or self.rights.level(one) in editing)
        )

    def _deleted_with(self, dashboard: Dashboard) -> tuple[int, ...]:
        """Return the insights that were deleted with a dashboard when it was deleted last. Reads the whole stream."""
        events = (record.event for record in reversed(self._store.load(stream_of(dashboard.id))))
        return next((tuple(one.insights) for one in events if isinstance(one, DashboardSoftDeleted)), ())

    def _edit(self, insight_id: int, by: By, *, deleted: bool, **more: Any) -> None:
        """Delete or restore an insight of this dashboard; one that is so already stays as it is."""

        def changed(state: Insight, _: Views) -> tuple[DomainEvent, ...]:
            if state.deleted is deleted:
                return ()
            return decide(state, EditInsight(Definition(deleted=deleted, saved=state.saved, **more)))

        self._executor.change(INSIGHT, self.project_id, insight_id, changed, by)

    def _to_share(self, dashboard_id: int) -> Dashboard:
        found = self.get(dashboard_id)
        self._require_edit(found)
        return found

    def _require_edit(self, dashboard: Dashboard) -> None:
        row = self._views.row("dashboards", dashboard.id)
        if self.rights is not None and row is not None and not self.rights.may_edit_dashboard(row):
            raise PermissionDenied("You don't have edit permissions for this dashboard.")

    def _require_ownership(self, dashboard: Dashboard) -> None:
        row = self._views.row("dashboards", dashboard.id)
        if self.rights is not None and row is not None and not self.rights.may_restrict_dashboard(row):
            raise PermissionDenied(RESTRICTING)

    def _existing(self, ref: int | str) -> Dashboard:
        dashboard_id = row_id(ref)
        row = None if dashboard_id is None else self._views.row("dashboards", dashboard_id)
        if row is None or row["project_id"] != self.project_id:
            raise NotFound("Dashboard", ref)
        return dashboard_from_row(row)
