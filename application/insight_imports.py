"""Insights and dashboards that come over from another server, with the times, users and history of there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import Factory, frozen

from ..domain import dashboard_events, insight_events
from ..domain.access_rules import check_level
from ..domain.dashboard import Dashboard, DashboardFields, TileChange, TileLook, decide_edit, evolve_dashboard
from ..domain.dashboard import stream_of as dashboard_stream_of
from ..domain.dashboard_events import DashboardImported, DashboardTextAdded
from ..domain.errors import InvalidInput
from ..domain.events import DomainEvent
from ..domain.insight import Insight, evolve_insight, past_stream_of, stream_of, views_stream_of
from ..domain.insight_commands import DEFINITION, Definition, check_definition
from ..domain.insight_events import (
    InsightAccessGranted,
    InsightImported,
    InsightPastImported,
    InsightPastViewed,
    InsightTileImported,
)
from ..domain.sharing import ConfigureSharing, Resource, ShareEvents, SharePatch, decide_sharing
from .administration import Administration
from .dashboards import DASHBOARD
from .execution import By, Executor
from .insights import INSIGHT
from .model import ProjectInfo
from .ports import StreamEvents, Views
from .sharing_tokens import ShareTokens
from .views.dashboards import dashboard_from_row
from .views.listing import insight_from_row

MAX_SHORT_ID = 12


@frozen
class Person:
    """Somebody on the other server; told by the e-mail address."""

    email: str
    first_name: str = ""


@frozen
class PastEntry:
    """An entry of the other server's activity log."""

    activity: str
    changes: Any
    name: str | None
    short_id: str | None
    at: datetime
    by: Person | None = None


@frozen
class ImportedRule:
    """A level on an insight for a member, for a role (by its name) or, with neither, for everyone."""

    level: str
    member: Person | None = None
    role: str | None = None


@frozen
class ImportedShare:
    """That something was shared there, and how; its token and passwords stay there."""

    is_enabled: bool
    settings: Mapping[str, Any] | None = None
    needs_password: bool = False


@frozen(kw_only=True)
class ImportedInsight:
    """An insight of another server."""

    source: str
    """Its address there."""
    short_id: str
    definition: Definition
    created_at: datetime
    """Aware, like the others."""
    updated_at: datetime
    last_modified_at: datetime
    created_by: Person | None = None
    last_modified_by: Person | None = None
    is_sample: bool = False
    past: tuple[PastEntry, ...] = ()
    """Its activity, in any order."""
    last_viewed_at: datetime | None = None
    """When somebody looked at it last."""
    rules: tuple[ImportedRule, ...] = ()
    share: ImportedShare | None = None


@frozen(kw_only=True)
class ImportedTile:
    """A tile of a dashboard there: an insight, by its short id, or a text."""

    short_id: str | None = None
    text: str | None = None
    look: TileLook = TileLook()


@frozen(kw_only=True)
class ImportedDashboard:
    """A dashboard of another server."""

    source: str
    """Its address there: by it a dashboard is known when it comes again."""
    fields: DashboardFields
    created_at: datetime
    created_by: Person | None = None
    tiles: tuple[ImportedTile, ...] = ()
    share: ImportedShare | None = None


@frozen
class TakenInsight:
    """What became of an insight."""

    insight: Insight
    n_rules_left: int
    """Rules for roles that the organisation does not have; they came over as nothing."""


@frozen
class TakenDashboard:
    """What became of a dashboard."""

    dashboard: Dashboard
    is_new: bool
    n_tiles: int
    """How many insights were put on it now."""


@frozen
class InsightImports:
    """Takes insights and dashboards of other servers into one project, none twice."""

    project: ProjectInfo
    views: Views
    executor: Executor
    administration: Administration
    tokens: ShareTokens
    keeps_shares_open: bool = False
    """Whether what is shared there is shared here too, under another address; else the share is switched off."""
    _users: dict[str, int] = Factory(dict)

    def has(self, short_id: str) -> bool:
        """Whether the project has an insight with this short id, deleted ones included."""
        return self.views.insight(self.project.id, short_id) is not None

    def take(self, one: ImportedInsight, by: By) -> TakenInsight | None:
        """Make the insight as it is there, with its history; None when the project has its short id already.

        Whoever is named and nobody here becomes a user of no organisation, who may do nothing. Raises `InvalidInput`
        for what an insight may not have; then nothing is made. One append.
        """
        if not one.short_id or len(one.short_id) > MAX_SHORT_ID or not one.short_id.isalnum():
            raise InvalidInput(f"{one.short_id!r} is no short id.", path="short_id")
        given = {name: value for name, value in one.definition.given().items() if name in DEFINITION}
        check_definition(given)
        if self.has(one.short_id):
            return None
        imported = InsightImported(
            source=one.source,
            short_id=one.short_id,
            created_at=one.created_at.isoformat(),
            created_by=self._user(one.created_by, by),
            updated_at=one.updated_at.isoformat(),
            last_modified_at=one.last_modified_at.isoformat(),
            last_modified_by=self._user(one.last_modified_by, by),
            is_sample=one.is_sample,
            **given,
        )
        rules = self._rules(one.rules, by)
        past = tuple(self._past(entry, by) for entry in sorted(one.past, key=lambda entry: entry.at))
        seen = () if one.last_viewed_at is None else (InsightPastViewed(one.last_viewed_at.isoformat()),)

        def make(new_id: int, _: Views) -> tuple[StreamEvents, ...]:
            share = self._share(one.share, Resource("insight", new_id), insight_events.SHARING)
            streams: dict[str, tuple[DomainEvent, ...]] = {
                stream_of(new_id): (imported, *rules, *share),
                past_stream_of(new_id): past,
                views_stream_of(new_id): seen,
            }
            return tuple(StreamEvents(stream, events, 0) for stream, events in streams.items() if events)

        records = self.executor.create("insights", make, by, lambda _: self.project.id)
        state = None
        for record in records:
            state = evolve_insight(state, record) if record.category == "insight" else state
        assert state is not None
        return TakenInsight(state, len(one.rules) - len(rules))

    def take_dashboard(self, one: ImportedDashboard, by: By) -> TakenDashboard:
        """Make the dashboard with its texts, unless it came before, and put insights on it that never stood there.

        One append for the dashboard and one or two for each tile: when it is taken again, it goes on where it stopped.
        Raises `InvalidInput` for what a dashboard may not have; then nothing is made.
        """
        row = self.views.dashboard_from(self.project.id, one.source)
        found = self._made(one, by) if row is None else dashboard_from_row(row)
        if found.deleted:
            return TakenDashboard(found, is_new=False, n_tiles=0)
        placed = [self._place(found, tile, by) for tile in one.tiles if tile.short_id is not None]
        return TakenDashboard(found, is_new=row is None, n_tiles=sum(placed))

    def _made(self, one: ImportedDashboard, by: By) -> Dashboard:
        given = one.fields.given()
        given.pop("deleted", None)
        imported = DashboardImported(
            source=one.source,
            created_at=one.created_at.isoformat(),
            created_by=self._user(one.created_by, by),
            **given,
        )
        texts = [tile for tile in one.tiles if tile.text is not None]
        added = tuple(DashboardTextAdded(tile.text or "") for tile in texts)

        def make(new_id: int, _: Views) -> tuple[StreamEvents, ...]:
            share = self._share(one.share, Resource("dashboard", new_id), dashboard_events.SHARING)
            return (StreamEvents(dashboard_stream_of(new_id), (imported, *added, *share), 0),)

        state = None
        for record in self.executor.create("dashboards", make, by, lambda _: self.project.id):
            state = evolve_dashboard(state, record)
        assert state is not None
        for tile, text in zip(texts, state.texts, strict=True):
            self._arrange(state, text.id, tile.look, by)
        return state

    def _place(self, dashboard: Dashboard, tile: ImportedTile, by: By) -> bool:
        """Put an insight on a dashboard unless it ever stood there; whether it was put."""
        row = self.views.insight(self.project.id, tile.short_id or "")
        insight = None if row is None else insight_from_row(row)
        if insight is None or insight.deleted:
            return False
        known = next((one for one in insight.tiles if one.dashboard_id == dashboard.id), None)
        if known is None:
            after = self.executor.change(
                INSIGHT, self.project.id, insight.id, lambda *_: (InsightTileImported(dashboard.id),), by
            )
            self._arrange(dashboard, after.tiles[-1].id, tile.look, by)
        elif known.is_live and known.id not in dashboard.looks:
            self._arrange(dashboard, known.id, tile.look, by)
        return known is None

    def _arrange(self, dashboard: Dashboard, tile_id: int, look: TileLook, by: By) -> None:
        change = TileChange(
            id=tile_id, layouts=look.layouts, color=look.color, filters_overrides=look.filters_overrides
        )
        fields = DashboardFields(tiles=(change,))
        self.executor.change(DASHBOARD, self.project.id, dashboard.id, lambda state, _: decide_edit(state, fields), by)

    def _rules(self, rules: tuple[ImportedRule, ...], by: By) -> tuple[InsightAccessGranted, ...]:
        """Return the rules as they are here, those for unknown roles left out."""
        roles = {row["name"].lower(): row["id"] for row in self.views.roles(self.project.organization_id)}
        return tuple(
            InsightAccessGranted(
                check_level(rule.level), self._user(rule.member, by), roles[rule.role.lower()] if rule.role else None
            )
            for rule in rules
            if rule.role is None or rule.role.lower() in roles
        )

    def _share(self, share: ImportedShare | None, resource: Resource, events: ShareEvents) -> tuple[DomainEvent, ...]:
        if share is None:
            return ()
        patch = SharePatch(
            enabled=share.is_enabled and self.keeps_shares_open,
            settings=share.settings,
            password_required=share.needs_password,
        )
        return decide_sharing(None, ConfigureSharing(patch, self.tokens.hash_of(resource, 0)), events)

    def _past(self, entry: PastEntry, by: By) -> InsightPastImported:
        user_id = self._user(entry.by, by)
        return InsightPastImported(
            entry.activity, entry.changes, entry.name, entry.short_id, user_id, entry.at.isoformat()
        )

    def _user(self, person: Person | None, by: By) -> int | None:
        if person is None:
            return None
        email = person.email.strip()
        if email.lower() not in self._users:
            row: Mapping[str, Any] | None = self.views.user_by_email(email)
            if row is not None:
                found = int(row["id"])
            else:
                made = self.administration.create_user(
                    email, by, first_name=person.first_name, organization_id=None, level=None
                )
                found = made.id
            self._users[email.lower()] = found
        return self._users[email.lower()]
