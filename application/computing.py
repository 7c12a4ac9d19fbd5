"""Answers queries: the one policy of refreshing, over the cache of results, background runs and the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import orjson
from attrs import Factory, frozen

from ..domain.errors import InvalidInput
from ..domain.persons import MERGING_EVENTS
from ..domain.queries.concerns import (
    Concern,
    concern_of,
    custom_names,
    innermost,
    interval_of,
    is_over_all_time,
    range_of,
)
from ..domain.queries.dates import EARLIEST
from ..domain.queries.scope import Scope
from .acting import require_one_of, require_seconds
from .arrivals import Arrivals, Span
from .cache_keys import CacheKeys
from .calculation import QueryContext, calculate
from .definitions import Definitions, from_settings, test_account_filters
from .flights import Flights
from .incremental import Buckets
from .json_values import iso, json_bytes
from .model import ProjectInfo
from .ports import Clock
from .precedence import Precedence
from .product_ports import CapturedEvent, CaptureLog, Concerns, ProductStore
from .query_nodes import parse_query
from .query_runs import QueryRuns
from .query_status import QueryStatus
from .refresh_policy import (
    CLIENT_REFRESH_AFTER,
    CLOSED_BEFORE,
    MODES,
    Action,
    Refresh,
    State,
    action_of,
    age_state,
    looks_at_state,
    refresh_mode,
    target_age,
)
from .result_cache import LIFETIME, KeptResult, NoResults, ResultCache, ResultStore
from .slots import Limits, Slots
from .stopping import Stop

__all__ = ["Computing", "ComputingOptions", "Refresh", "refresh_mode"]

_IN_SQL = frozenset({"HogQLQuery", "EventsQuery"})
MAX_PEEK = 1_000
"""Acknowledged events that are looked at one by one rather than taken over, for somebody who does not wait."""


@frozen(kw_only=True)
class ComputingOptions:
    """How results are kept and calculations bounded. Raises `InvalidInput` for what cannot be."""

    follows: Literal["all", "late", "none"] = "all"
    """Which events make a kept result out of date before its age does: `late` ones that are older than it; `all` that
    its range holds, for callers who wait for a calculation (`blocking`) only; or `none`."""
    is_incremental: bool = True
    """Whether trends keep their buckets, so that a refresh calculates only those that may have changed."""
    deadline_s: float = 30.0
    """Seconds that a query may take; one in SQL may take twice as long."""
    limits: Limits = Factory(Limits)
    kept_for: timedelta = LIFETIME
    """How long a result is kept at most."""
    warms_seen_within: timedelta | None = None
    """Insights seen within this long are refreshed while the machine is idle; None: none are."""

    def __attrs_post_init__(self) -> None:
        require_one_of("follows", self.follows, ("all", "late", "none"))
        require_seconds("deadline_s", self.deadline_s)

    def deadline_of(self, kind: str) -> float:
        """Return how many seconds a query of this kind may take."""
        return self.deadline_s * (2 if kind in _IN_SQL else 1)


@frozen(kw_only=True)
class Asker:
    """On whose behalf a query is calculated; none of it changes the answer but `rights`."""

    query_id: str | None = None
    """The caller's `client_query_id`: what status and cancel go by."""
    insight_id: int | None = None
    dashboard_id: int | None = None
    rights: str = ""
    """A fingerprint of what the caller may not see; callers with other rights never share a result."""
    trigger: str | None = None
    """What made the calculation happen when nobody asked: `warming`."""


@frozen
class _Request:
    project: ProjectInfo
    query: Mapping[str, Any]
    source: Mapping[str, Any]
    """The query without its wrapping."""
    key: str
    scope: Scope
    """What the names in it stood for when it was asked."""
    is_saved: bool
    by: Asker


class Computing:
    """Calculates query nodes over one folder's product events and remembers the results."""

    def __init__(
        self,
        store: Callable[[], ProductStore],
        capture_log: CaptureLog,
        clock: Clock,
        *,
        arrivals: Arrivals | None = None,
        results: ResultStore | None = None,
        options: ComputingOptions | None = None,
        definitions: Definitions = from_settings,
        precedence: Precedence | None = None,
        slots: Slots | None = None,
    ) -> None:
        self._store = store
        self._definitions = definitions
        self._keys = CacheKeys()
        self._capture_log = capture_log
        self._clock = clock
        self._options = options or ComputingOptions()
        self._arrivals = arrivals or Arrivals()
        self._results = results or NoResults()
        self._cache = ResultCache(self._results, lifetime=self._options.kept_for)
        self._flights: Flights[KeptResult] = Flights()
        self._buckets = Buckets(self._arrivals) if self._options.is_incremental else None
        self._slots = slots or Slots(self._options.limits)
        self._precedence = precedence or Precedence()
        self.runs = QueryRuns(clock)

    def answer(
        self,
        project: ProjectInfo,
        query: Any,
        refresh: Refresh = "blocking",
        *,
        is_saved: bool = False,
        by: Asker | None = None,
    ) -> dict[str, Any]:
        """Return the response body of a query: `results` and the cache envelope (queries.md 2.1).

        Without a result only `cache_key` and `query_status` come back: with `force_cache`, which never calculates,
        and while a calculation that was started in the background is under way. The query of a saved insight may
        have unknown fields. Raises `InvalidQuery`, `UnsupportedQuery`, `QueryTooLarge`, and `QueryCancelled` or
        `TooManyQueries` for a calculation that did not come to an end, or to a beginning.
        """
        if not isinstance(query, Mapping):
            raise InvalidInput("A query is a JSON object with a kind.", path="query")
        require_one_of("refresh", refresh, MODES)
        by = by or Asker()
        request = self._request(project, query, by, is_saved=is_saved)
        key, now = request.key, self._clock()
        kept = None if refresh in {"force_blocking", "force_async"} else self._cache.get(key, now=now)
        action = self._action(request, refresh, kept, now)
        if not is_saved and (kept is not None or action.calculates == "background"):
            parse_query(query)  # a saved query of the same key may have had unknown fields
        if action.calculates == "now":
            return self._waited_for(request, is_forced=refresh == "force_blocking")
        if action.calculates == "background":
            status = self._started(request, is_forced=refresh == "force_async", has_result=kept is not None)
        else:
            status = self.runs.unfinished(project.id, key)
        shown = {"cache_key": key} if kept is None else _body(kept, request, is_cached=True)
        return {**shown, "query_status": None if status is None else status.json()}

    def warm(self, project: ProjectInfo, query: Mapping[str, Any]) -> bool:
        """Calculate the query of a saved insight unless a fresh result is kept; whether it was. Raises as `answer`."""
        request = self._request(project, query, Asker(trigger="warming"), is_saved=True)
        kept, now = self._cache.get(request.key, now=self._clock()), self._clock()
        if kept is not None and self._state(request, kept, now, waits=False) in {State.FRESH, State.OUTRUN}:
            return False
        self._waited_for(request, is_forced=False)
        return True

    @property
    def is_idle(self) -> bool:
        """Whether nothing is calculated or waits for it."""
        return self.runs.is_idle and not self._slots.n_running

    def cache_key(self, project: ProjectInfo, query: Mapping[str, Any], *, rights: str = "") -> str:
        """Return the cache key of a query: its meaning, without presentation, in this project (insights-api.md 4.4).

        A change of a setting, action, cohort or property type that the query uses gives it another key.
        """
        return self._keys.of(project, query, self._definitions(project), rights)

    def close(self) -> None:
        """Cancel what is under way and release the kept results."""
        self.runs.close()
        self._results.close()

    def _request(self, project: ProjectInfo, query: Mapping[str, Any], by: Asker, *, is_saved: bool) -> _Request:
        scope = self._definitions(project)
        key = self._keys.of(project, query, scope, by.rights)
        return _Request(project, query, innermost(query), key, scope, is_saved, by)

    # -- what is kept ------------------------------------------------------------------------------------------------

    def _action(self, request: _Request, refresh: Refresh, kept: KeptResult | None, now: datetime) -> Action:
        if kept is None:
            return action_of(refresh, State.MISSING)
        if not looks_at_state(refresh):
            return action_of(refresh, State.FRESH)
        return action_of(refresh, self._state(request, kept, now, waits=refresh == "blocking"))

    def _state(self, request: _Request, kept: KeptResult, now: datetime, *, waits: bool) -> State:
        """Return how a kept result stands: by its age, and by the events that came in since.

        Who `waits` has those taken over first that were acknowledged by now; others go by what is taken over.
        """
        source, project = request.source, request.project
        bounds, bounds_now = (
            range_of(source, now=moment, zone=project.zone, week_start_day=project.week_start_day)
            for moment in (kept.last_refresh, now)
        )
        has_moved = bounds is None or bounds != bounds_now
        is_closed = bounds is not None and not has_moved and bounds[1] + CLOSED_BEFORE < kept.last_refresh
        state = age_state(kept.last_refresh, kept.interval, now, is_closed=is_closed)
        if state is not State.FRESH or self._options.follows == "none":
            return state
        if not waits and self._store().catching_up() is not None:
            return state  # what came in is told once it is taken over; until then nobody has to wait for that
        concern = concern_of(source, request.scope, test_account_filters(request.project))
        after = bounds[0] if bounds is not None and concern.only_in_range else None
        until = bounds[1] if bounds is not None and not has_moved and concern.ends_with_range else None
        late_until = kept.last_refresh if until is None else min(until, kept.last_refresh)
        news = self._news(waits=waits)
        if self._is_touched(request, kept, news, Span(concern.events, after, late_until)):
            return State.LAZY_STALE
        if is_over_all_time(source) and self._is_touched(request, kept, news, Span(until=_first_event(kept))):
            return State.LAZY_STALE
        if self._options.follows == "all" and (
            self._is_touched(request, kept, news, Span(concern.events, after, until))
            or self._have_people_changed(request.project.id, kept, concern)
        ):
            return State.OUTRUN
        return state

    def _have_people_changed(self, project_id: int, kept: KeptResult, concern: Concern) -> bool:
        if concern.people == "properties":
            return self._arrivals.persons_changed(project_id, kept.watermark)
        return concern.people == "merges" and self._arrivals.merged(project_id, kept.watermark) != []

    def _news(self, *, waits: bool) -> Sequence[CapturedEvent]:
        """Return what was acknowledged and is not in the arrivals yet; nothing after having it taken over."""
        store = self._store()
        position, taken_over = self._capture_log.position(), store.watermark().position
        if waits or position - taken_over > MAX_PEEK:
            store.drain()
            return ()
        return self._capture_log.read(taken_over, MAX_PEEK) if position > taken_over else ()

    def _is_touched(self, request: _Request, kept: KeptResult, news: Sequence[CapturedEvent], span: Span) -> bool:
        project_id = request.project.id
        return self._arrivals.touched(project_id, kept.watermark, span) or any(
            row.project_id == project_id and span.holds(row.event.event, row.event.timestamp) for row in news
        )

    # -- calculating -------------------------------------------------------------------------------------------------

    def _waited_for(self, request: _Request, *, is_forced: bool) -> dict[str, Any]:
        query_id = request.by.query_id or request.key
        with self.runs.foreground(request.project.id, query_id) as stop:
            made, is_own = self._shared(request, stop)
        return {**_body(made, request, is_cached=not (is_own or is_forced)), "query_status": None}

    def _started(self, request: _Request, *, is_forced: bool, has_result: bool) -> QueryStatus | None:
        def work(stop: Stop) -> dict[str, Any]:
            made, _ = self._shared(request, stop)
            return {**_body(made, request, is_cached=False), "query_status": None}

        return self.runs.start(
            request.project.id,
            request.by.query_id or request.key,
            work,
            key=request.key,
            is_forced=is_forced,
            reuses_complete=not has_result,
            insight_id=request.by.insight_id,
            dashboard_id=request.by.dashboard_id,
        )

    def _shared(self, request: _Request, stop: Stop) -> tuple[KeptResult, bool]:
        """Return a result that has seen everything acknowledged so far, and whether it was calculated for this call."""
        position = self._capture_log.position()
        return self._flights.share(
            (request.key, request.is_saved),
            lambda: self._calculated(request, stop),
            serves=lambda made: made.watermark.position >= position,
            stop=stop,
            wait_s=self._options.deadline_of(str(request.source.get("kind"))) + self._options.limits.wait_s,
        )

    def _calculated(self, request: _Request, stop: Stop) -> KeptResult:
        project = request.project
        with self._slots.taken(project.id, stop), self._precedence.calculating():
            store, now = self._store(), self._clock()
            store.drain(_concerns(request, now))
            watermark, scope = store.watermark(), self._definitions(project)
            body = calculate(
                request.query,
                context=_context(project, scope, now),
                store=store,
                deadline_s=self._options.deadline_of(str(request.source.get("kind"))),
                allows_extra_fields=request.is_saved,
                stop=stop,
                buckets=self._buckets,
                is_drained=True,
            )
        body["calculation_trigger"] = request.by.trigger
        names = custom_names(request.source)
        # What names stand for may have changed while the calculation waited: then its answer has another key.
        key = self._keys.of(project, request.query, scope, request.by.rights)
        made = KeptResult(key, project.id, json_bytes(body), now, interval_of(request.source), watermark, names)
        if not body.get("error"):
            self._cache.put(made)
        return made


def _first_event(kept: KeptResult) -> datetime | None:
    """Return when the first event was that an answer over all time knew; None: there was none."""
    bounds = orjson.loads(kept.body).get("resolved_date_range") or {}
    first = datetime.fromisoformat(bounds["date_from"]) if "date_from" in bounds else EARLIEST
    return None if first == EARLIEST else first


def _concerns(request: _Request, now: datetime) -> Concerns:
    """Return what tells whether captured rows may change an answer: those of other projects and names mostly do not.

    In a query over all time any event may be the first one. PERF: looking at 300 rows takes 0.1 ms, taking them over 5.
    """
    project, source = request.project, request.source
    concern = concern_of(source, request.scope, test_account_filters(project))
    bounds = range_of(source, now=now, zone=project.zone, week_start_day=project.week_start_day)
    is_dated = bounds is not None and not is_over_all_time(source)
    names = concern.events if is_dated and concern.people != "properties" else None
    if names is not None and concern.people == "merges":
        names |= MERGING_EVENTS
    return lambda rows: any(row[0] == project.id and (names is None or row[2] in names) for row in rows)


def _context(project: ProjectInfo, scope: Scope, now: datetime) -> QueryContext:
    return QueryContext(
        project_id=project.id,
        now=now,
        timezone=project.timezone,
        week_start_day=project.week_start_day,
        test_account_filters=test_account_filters(project),
        definitions=scope,
    )


def _body(kept: KeptResult, request: _Request, *, is_cached: bool) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(kept.body)
    names = custom_names(request.source)
    if names != kept.custom_names:
        _rename(body.get("results"), names)
    return {
        **body,
        "cache_key": kept.key,
        "is_cached": is_cached,
        "last_refresh": iso(kept.last_refresh),
        "cache_target_age": iso(target_age(kept.last_refresh, kept.interval)),
        "next_allowed_client_refresh": iso(kept.last_refresh + CLIENT_REFRESH_AFTER),
    }


def _rename(results: Any, names: tuple[str | None, ...]) -> None:
    """Put the names of the series into the results: beside the `order` of a series, in `action` or in a step."""
    for one in results if isinstance(results, list) else ():
        if isinstance(one, list):
            _rename(one, names)
        elif isinstance(one, dict):
            for named in (one.get("action"), one):
                if isinstance(named, dict) and "custom_name" in named:
                    order = named.get("order")
                    if isinstance(order, int) and 0 <= order < len(names):
                        named["custom_name"] = names[order]
