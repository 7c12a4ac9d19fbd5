"""Dashboards of one project, as far as insights need them: create, list, get, update, and their tiles."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import asdict

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
from ..domain.dashboard_events import DashboardCollaboratorAdded, DashboardCollaboratorRemoved, DashboardTextAdded
from ..domain.errors import InvalidInput, NotFound, PermissionDenied
from ..domain.events import DomainEvent
from ..domain.insight import Insight, decide
from ..domain.insight_commands import StandOn
from .acting import require_number
from .execution import By, Executor, Kind
from .ids import row_id
from .insights import INSIGHT
from .model import Page
from .ports import EventStore, Row, StreamEvents, Views
from .rights import Rights
from .sharing import Shares
from .sharing_tokens import SharePasswords, ShareTokens
from .views.dashboards import dashboard_from_row
from .views.listing import insight_from_row

DASHBOARD: Kind[Dashboard] = Kind("Dashboard", "dashboards", stream_of, dashboard_from_row, evolve_dashboard)
MAX_PAGE = 1000


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

    def create(self, fields: DashboardFields, by: By) -> Dashboard:
        """Make a dashboard. Raises `InvalidInput`."""
        events = decide_creation(fields)
        records = self._executor.create(
            "dashboards",
            lambda new_id: (StreamEvents(stream_of(new_id), events, 0),),
            by,
            lambda _: self.project_id,
        )
        return self._existing(records[0].subject_id)

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

        Tiles of insights that are taken off are changes of these insights. Raises `NotFound`, `InvalidInput`,
        `PermissionDenied` for a restricted dashboard.
        """
        found = self._existing(dashboard_id)
        if found.deleted and fields.deleted is not False:
            raise NotFound("Dashboard", dashboard_id)
        self._require_edit(found)
        tiles = {row["id"]: row for row in self._views.tiles(dashboard_id=found.id)}
        own = {one.id for one in found.texts} | tiles.keys()
        for change in fields.tiles:
            if change.id is not None and change.id not in own:
                raise NotFound("Tile", change.id)
        after = self._executor.change(
            DASHBOARD, self.project_id, found.id, lambda state: decide_edit(state, fields), by
        )
        for change in fields.tiles:
            if change.deleted and change.id in tiles:
                self._take_off(tiles[change.id], by)
        return after

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
        tile = next((row for row in self._views.tiles(dashboard_id=found.id) if row["id"] == tile_id), None)
        if tile is None and all(one.id != tile_id for one in found.texts):
            raise NotFound("Tile", tile_id)
        if target.id == found.id:
            return found
        if tile is None:
            new_id: int | None = self._move_text(found, tile_id, target.id, by)
        else:
            new_id = self._move_insight(tile["insight_id"], found.id, target.id, by)
        look = found.look_of(tile_id)
        if new_id is not None and look != TileLook():
            self.update(target.id, DashboardFields(tiles=(TileChange(id=new_id, **asdict(look)),)), by)
        return self.get(found.id)

    def _move_text(self, dashboard: Dashboard, tile_id: int, to_id: int, by: By) -> int:
        """Return the id of a text's new tile."""
        added = tuple(DashboardTextAdded(one.body) for one in dashboard.texts if one.id == tile_id)
        after = self._executor.change(DASHBOARD, self.project_id, to_id, lambda _: added, by)
        self.update(dashboard.id, DashboardFields(tiles=(TileChange(id=tile_id, deleted=True),)), by)
        return after.texts[-1].id

    def _move_insight(self, insight_id: int, from_id: int, to_id: int, by: By) -> int | None:
        """Return the id of an insight's new tile, None when it stands there already."""
        standing: set[int] = set()

        def changed(state: Insight) -> tuple[DomainEvent, ...]:
            standing.clear()
            standing.update(state.dashboards)
            left = tuple(one for one in state.dashboards if one not in (from_id, to_id))
            return decide(state, StandOn((*left, to_id)))

        after = self._executor.change(INSIGHT, self.project_id, insight_id, changed, by)
        if to_id in standing:
            return None
        return next(one.id for one in after.tiles if one.dashboard_id == to_id and one.is_live)

    def set_collaborator(self, dashboard_id: int, user_id: int, by: By, *, may_edit: bool = True) -> Dashboard:
        """Let a user edit a restricted dashboard, or no more. Raises `NotFound`, `PermissionDenied`."""
        found = self.get(dashboard_id)
        self._require_edit(found)
        require_number("user", user_id)
        if not self._views.users([user_id]):
            raise NotFound("User", user_id)

        def changed(state: Dashboard) -> tuple[DomainEvent, ...]:
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
        def changed(state: Insight) -> tuple[DomainEvent, ...]:
            left = tuple(one for one in state.dashboards if one != tile["dashboard_id"])
            return decide(state, StandOn(left))

        self._executor.change(INSIGHT, self.project_id, tile["insight_id"], changed, by)

    def _to_share(self, dashboard_id: int) -> Dashboard:
        found = self.get(dashboard_id)
        self._require_edit(found, "You don't have edit permissions for this dashboard.")
        return found

    def _require_edit(
        self, dashboard: Dashboard, refusal: str = "You do not have editor access to this resource."
    ) -> None:
        row = self._views.row("dashboards", dashboard.id)
        if self.rights is not None and row is not None and not self.rights.may_edit_dashboard(row):
            raise PermissionDenied(refusal)

    def _existing(self, ref: int | str) -> Dashboard:
        dashboard_id = row_id(ref)
        row = None if dashboard_id is None else self._views.row("dashboards", dashboard_id)
        if row is None or row["project_id"] != self.project_id:
            raise NotFound("Dashboard", ref)
        return dashboard_from_row(row)
