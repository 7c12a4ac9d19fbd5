"""The facade that embedders and adapters call: commands in, answers out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from types import TracebackType
from typing import Any, Self
from zoneinfo import ZoneInfo

from attrs import evolve

from ..domain.errors import StoreUnavailable
from ..domain.events import Record
from ..domain.organization import DEFAULT_ORGANIZATION
from ..domain.product_event import PlainEvent
from ..domain.queries.scope import Scope
from .access import Access
from .acting import Who, acting, require_number
from .actions import ActionService
from .administration import Administration
from .capturing import captured_events, captured_rows
from .cohorts import CohortParts, CohortService
from .computing import Asker, Computing, Refresh
from .dashboards import DashboardService
from .defining import Actions, Cohorts
from .execution import Executor
from .facades import Dashboards, Insights
from .groups import Groups
from .history import PastCaptureLog, PastStore, PastViews, moment_in, records_of
from .insight_history import InsightHistory
from .insight_imports import InsightImports
from .insight_queries import stood_for
from .insights import InsightService
from .model import Activity, Caller, Key, NewKey, Page, ProjectInfo, User, activity_from_row
from .name_definitions import NameDefinitions
from .organizations import Organizations
from .parts import Parts
from .product_ports import Appending
from .product_reads import ProductReads
from .query_status import QueryStatus
from .result_cache import NoResults
from .rights import Rights
from .sharing_tokens import SharePasswords, ShareTokens
from .visiting import Visiting
from .warming import Warming

SHARE_SECRET = "share-tokens"  # noqa: S105 a name, not a value


class Insightlog:
    """One folder: its projects with their insights, product events and history. Safe to share between threads."""

    def __init__(self, parts: Parts, *, share_secret: str) -> None:
        self._parts = parts
        self._is_closed = False
        self._process_id = os.getpid()
        self._share_secret = share_secret
        self._executor = Executor(parts.store, parts.views)
        self._tokens = ShareTokens(share_secret)
        self._past_views = PastViews(parts.past_views)
        self.administration = Administration(parts.store, parts.views, self._executor)
        self.organizations = Organizations(parts.views, self._executor, self.administration)
        self.access = Access(parts.store, parts.views, parts.clock)
        self.visiting = Visiting(parts.store, parts.views, self._tokens, SharePasswords(parts.store), parts.clock)
        self.computing = Computing(
            parts.product_store,
            parts.capture_log,
            parts.clock,
            arrivals=parts.arrivals,
            results=parts.results,
            options=parts.computing,
            definitions=parts.definitions,
            precedence=parts.precedence,
            slots=parts.slots,
        )
        seen_within = parts.computing.warms_seen_within
        self.warming = seen_within and Warming(self, seen_within=seen_within, is_quiet=parts.is_quiet)
        if self.warming:
            self.warming.start()

    def __repr__(self) -> str:
        return f"<Insightlog: {self._parts.place}>"

    # -- projects, users, keys ---------------------------------------------------------------------------------------

    def project(self, project_id: int) -> Project:
        """Return a project by id. Raises `NotFound`."""
        return Project(self, self.administration.project(project_id))

    def projects(self) -> Sequence[ProjectInfo]:
        """Return all projects in order of id."""
        return self.administration.projects()

    def create_project(
        self,
        name: str,
        *,
        timezone: str = "UTC",
        week_start_day: int = 0,
        token: str | None = None,
        organization: int = DEFAULT_ORGANIZATION,
        by: Who = None,
        request: str | None = None,
    ) -> Project:
        """Make a project; `timezone` is an IANA name, `token` its capture token (random when None)."""
        info = self.administration.create_project(
            name,
            acting(by, request),
            timezone=timezone,
            week_start_day=week_start_day,
            token=token,
            organization_id=organization,
        )
        return Project(self, info)

    def create_user(
        self,
        email: str,
        *,
        first_name: str = "",
        organization: int | None = DEFAULT_ORGANIZATION,
        level: str | None = "member",
        by: Who = None,
        request: str | None = None,
    ) -> User:
        """Make a user: a member, admin or owner of an organisation (None: of none).

        Raises `InvalidInput` for a bad or taken e-mail address, `NotFound` for an unknown organisation.
        """
        return self.administration.create_user(
            email, acting(by, request), first_name=first_name, organization_id=organization, level=level
        )

    def users(self) -> Sequence[User]:
        """Return all users in order of id."""
        return self.administration.users()

    def create_key(
        self,
        user: User | int | str,
        scopes: Sequence[str] = ("*",),
        *,
        projects: Sequence[int] = (),
        organizations: Sequence[int] = (),
        label: str = "",
        value: str | None = None,
        by: Who = None,
        request: str | None = None,
    ) -> NewKey:
        """Make a personal API key of a user (also given by id or e-mail); its value is shown only here.

        It opens what the user may enter, and of that only the given projects and organisations where any are given.
        """
        owner = user if isinstance(user, User) else self.administration.user(user)
        return self.administration.create_key(
            owner,
            scopes,
            acting(by, request),
            project_ids=projects,
            organization_ids=organizations,
            label=label,
            value=value,
        )

    def all_keys(self) -> Sequence[Key]:
        """Return all keys, revoked ones too, without their values."""
        return self.administration.all_keys()

    def revoke_key(self, key_id: int, *, by: Who = None, request: str | None = None) -> Key:
        """Close a key for good."""
        return self.administration.revoke_key(key_id, acting(by, request))

    def authenticate(self, key: str, *, place: str = "Authorization header") -> Caller:
        """Return whose key this is. Raises `AuthenticationFailed`."""
        return self.access.authenticate(key, place=place)

    # -- product events ----------------------------------------------------------------------------------------------

    def capturing(self, token: str, events: Sequence[PlainEvent]) -> Appending | None:
        """Return what stores events under a capture token; None for an unknown token.

        Raises `StoreUnavailable`.
        """
        project_id = self.access.project_of_token(token)
        if project_id is None:
            return None
        rows = captured_rows(project_id, events, captured_at=self._parts.clock())
        return self._parts.capture_log.appending(rows)

    # -- history -----------------------------------------------------------------------------------------------------

    def position(self) -> int:
        """Return the position of the last record of the log, 0 for an empty one."""
        return self._parts.store.position()

    def replay(self, *, after: int = 0) -> Iterator[Record]:
        """Give the records of the log above a position, oldest first, in batches from the store.

        Raises `InvalidInput` for a position that is none.
        """
        require_number("after", after, least=0)
        return records_of(self._parts.store, after)

    def as_of(self, moment: datetime | str, *, known_at: datetime | str | None = None) -> Insightlog:
        """Return the log as it was at a moment: an aware datetime, ISO 8601 text, or `position:N`. Reading only.

        Its clock stands at that moment, from which relative dates count. Queries are answered by the definitions of
        then over the product events of now, or with `known_at` over those that had come in by then, with the persons,
        merges, actions and cohorts of then. Cost: replays the log up to there, unless it is one of the two moments
        that were asked for last; `known_at` takes over what had come in, a million events at most. Raises
        `InvalidInput` for a moment that is none, or in the future.
        """
        store = self._parts.store
        then = moment_in(store, moment, self.now())
        views = self._past_views.at(then.position, store)
        known = None if known_at is None else moment_in(store, known_at, self.now(), "known_at")
        events, names = self._parts.product_store, views
        if known is not None and self._parts.known_events is not None:
            events, names = self._parts.known_events(known.at), self._past_views.at(known.position, store)
        parts = evolve(
            self._parts,
            store=PastStore(store, then.position),
            views=views,
            capture_log=PastCaptureLog(self._parts.capture_log),
            clock=lambda: then.at,
            close=lambda: None,
            results=NoResults(),
            computing=evolve(self._parts.computing, is_incremental=False, follows="none", warms_seen_within=None),
            product_store=events,
            definitions=self._parts.definitions_over(names),
            catching_up=self._parts.catching_up if known is None else lambda: None,
            is_past=True,
            place=f"{self._parts.place} as of {moment}",
        )
        return Insightlog(parts, share_secret=self._share_secret)

    # -- life --------------------------------------------------------------------------------------------------------

    @property
    def parts(self) -> Parts:
        """What this log is put together from; for adapters."""
        return self._parts

    @property
    def is_past(self) -> bool:
        """Whether this is a past state, which can only be read."""
        return self._parts.is_past

    def now(self) -> datetime:
        """Return the time of this log's clock."""
        return self._parts.clock()

    def insights_of(self, project_id: int, rights: Rights | None = None) -> InsightService:
        """Return the use cases of a project's insights, for adapters that know the project exists."""
        return InsightService(project_id, self._parts.store, self._parts.views, self._executor, self._tokens, rights)

    def insight_history_of(self, project_id: int, rights: Rights | None = None) -> InsightHistory:
        """Return what became of a project's insights, likewise, and what brings back what was."""
        return InsightHistory(self.insights_of(project_id, rights), self._parts.store, self._parts.clock)

    def names_of(self, project_id: int) -> NameDefinitions:
        """Return what people say of the names of a project's events and properties, likewise."""
        return NameDefinitions(project_id, self._executor, self._parts.views)

    def insight_imports_of(self, project: ProjectInfo, *, keeps_shares_open: bool = False) -> InsightImports:
        """Return what takes insights and dashboards of other servers into a project, likewise."""
        return InsightImports(
            project, self._parts.views, self._executor, self.administration, self._tokens, keeps_shares_open
        )

    def dashboards_of(self, project_id: int, rights: Rights | None = None) -> DashboardService:
        """Return the use cases of a project's dashboards, likewise."""
        return DashboardService(project_id, self._parts.store, self._parts.views, self._executor, self._tokens, rights)

    def actions_of(self, project_id: int) -> ActionService:
        """Return the use cases of a project's actions, likewise."""
        return ActionService(project_id, self._parts.views, self._executor)

    def cohorts_of(self, project: ProjectInfo) -> CohortService:
        """Return the use cases of a project's cohorts, likewise."""
        parts = CohortParts(
            product_store=self._parts.product_store,
            events=self._parts.store,
            runs=self.computing.runs,
            clock=self._parts.clock,
            scope=self._parts.definitions,
        )
        return CohortService(project, self._parts.views, self._executor, parts)

    def require_open(self) -> None:
        """Raise `StoreUnavailable` once the log is closed."""
        if self._is_closed:
            raise StoreUnavailable("The log is closed.")

    def close(self) -> None:
        """Cancel queries that are under way and release all files; what was acknowledged is stored already.

        In a forked child nothing happens: the files and threads are those of the process that opened the log.
        """
        if os.getpid() != self._process_id:
            return
        self._is_closed = True
        if self.warming:
            self.warming.stop()
        self.computing.close()
        self._parts.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Project:
    """One project of a log; with `rights`, as somebody who may not do everything sees it."""

    def __init__(self, log: Insightlog, info: ProjectInfo, rights: Rights | None = None) -> None:
        self._log = log
        self.info = info
        self.id = info.id
        self.name = info.name
        self.timezone = info.timezone
        self.rights = rights

    def __repr__(self) -> str:
        return f"<Project {self.id}: {self.name}, {self.timezone}>"

    @cached_property
    def insights(self) -> Insights:
        """The insights."""
        return Insights(self._log.insight_history_of(self.id, self.rights))

    @cached_property
    def dashboards(self) -> Dashboards:
        """The dashboards."""
        return Dashboards(self._log.dashboards_of(self.id, self.rights))

    @cached_property
    def actions(self) -> Actions:
        """The actions."""
        return Actions(self._log.actions_of(self.id), self.definitions)

    @cached_property
    def cohorts(self) -> Cohorts:
        """The cohorts."""
        return Cohorts(self._log.cohorts_of(self.info))

    @cached_property
    def groups(self) -> Groups:
        """The groups and their types."""
        return Groups(self.id, self._log.parts.product_store, self._log.administration)

    def update(self, *, by: Who = None, request: str | None = None, **settings: Any) -> Project:
        """Change settings: name, timezone, week_start_day, test_account_filters ... Raises `InvalidInput`."""
        info = self._log.administration.change_project(self.id, settings, acting(by, request))
        return Project(self._log, info, self.rights)

    def definitions(self) -> Scope:
        """Return what the names in queries stand for: actions, cohorts, rules; without a time."""
        return self._log.parts.definitions(self.info)

    @property
    def token(self) -> str:
        """The capture token of SDKs."""
        return self._log.administration.project_token(self.id)

    def capture(self, events: Iterable[Mapping[str, Any]]) -> int:
        """Store product events, durable on return; return how many were new.

        Each event has `event` and `distinct_id`, and may have `timestamp` (aware datetime or ISO text, default now),
        `properties` and `uuid`. An event with a uuid that the project has is left out. Raises `InvalidInput` for the
        first wrong event, naming it; nothing is stored then.
        """
        self._log.require_open()
        now = self._log.now()
        rows = captured_rows(self.id, captured_events(events, now=now), captured_at=now)
        return self._log.parts.capture_log.appending(rows).wait()

    @property
    def captured(self) -> ProductReads:
        """What was captured, one by one: events, persons, the names that events use."""
        info = self.info

        def scope() -> Scope:
            return evolve(self.definitions(), now=self._log.now(), zone=ZoneInfo(info.timezone))

        return ProductReads(self.id, self._log.parts.product_store, scope)

    def query(
        self, query: Mapping[str, Any], *, refresh: Refresh = "blocking", query_id: str | None = None
    ) -> dict[str, Any]:
        """Answer a query node; the same value that `POST /query/` returns.

        With a mode that calculates in the background, `query_status` tells how it stands; `query_id` names it, see
        `query_status`. Raises `InvalidQuery` and its kinds, `QueryCancelled`, `TooManyQueries`.
        """
        found, insight_id = stood_for(query, self.insights.get)
        by = Asker(query_id=query_id, insight_id=insight_id)
        return self._log.computing.answer(self.info, found, refresh, is_saved=insight_id is not None, by=by)

    def query_status(self, query_id: str) -> QueryStatus | None:
        """Return how a calculation in the background stands; None when it is not known, or 20 minutes after its end."""
        return self._log.computing.runs.status(self.id, query_id)

    def cancel(self, query_id_prefix: str) -> int:
        """End every calculation whose id starts so and return how many; those who wait get `QueryCancelled`."""
        return self._log.computing.runs.cancel(self.id, query_id_prefix)

    def activity(self, insight: int | None = None, *, limit: int = 10, page: int = 1) -> Page[Activity]:
        """Return a page of the activity log, newest first: of one insight, or of all, deleted ones too."""
        require_number("limit", limit)
        require_number("page", page)
        if insight is not None:
            require_number("insight", insight)
        viewer = self.rights.viewer if self.rights is not None else None
        count, rows = self._log.parts.views.activity(
            self.id, insight_id=insight, limit=limit, offset=(page - 1) * limit, viewer=viewer
        )
        return Page(count, tuple(activity_from_row(row) for row in rows))
