"""Calculating a query: parse, resolve, let the store answer the plans, shape the response.

Knows neither caching nor HTTP: `calculate` gives what depends on query, time and events only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from time import perf_counter
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from attrs import Factory, define, evolve, frozen

from ..domain.errors import InvalidInput, QueryTooLarge, UnsupportedQuery
from ..domain.queries import dates, lifecycle, nodes, stickiness, trend_results, trends, trends_2023
from ..domain.queries.legacy import filters_to_query
from ..domain.queries.resolution import Setting
from ..domain.queries.scope import Scope
from .ports import ProductStore
from .query_nodes import parse_query, structure
from .stopping import Stop

__all__ = ["QueryContext", "calculate", "calculate_2023", "filters_to_query"]

T = TypeVar("T")


@frozen
class QueryContext:
    """What a query means depends on this beside its own text and the events."""

    project_id: int
    now: datetime
    """Aware; what relative dates count from."""
    timezone: str = "UTC"
    """IANA name."""
    week_start_day: int = 0
    """0 Sunday, 1 Monday."""
    test_account_filters: tuple[Mapping[str, Any], ...] = ()
    """Property filters in JSON, added by `filterTestAccounts`."""
    definitions: Scope = Factory(Scope)
    """The project's actions, cohorts, property types and ways of counting; its `now` and `zone` are not looked at."""

    @property
    def scope(self) -> Scope:
        """What the names and relative dates in a query stand for."""
        return evolve(self.definitions, now=self.now, zone=self.zone)

    @property
    def zone(self) -> ZoneInfo:
        """The project's zone. Raises InvalidInput for an unknown name."""
        try:
            return ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise InvalidInput(f"Unknown time zone {self.timezone!r}.", path="timezone") from error


@define
class _Run:
    """One calculation: the store, what is left of the time, and how long each part took."""

    store: ProductStore
    deadline_s: float
    stop: Stop = Factory(Stop)
    started: float = Factory(perf_counter)
    timings: list[dict[str, Any]] = Factory(list)

    def timed(self, name: str, work: Callable[[], T]) -> T:
        """Return what `work` gives and note how long it took."""
        self.stop.check()
        begun = perf_counter()
        found = work()
        self.timings.append({"k": f"./{name}", "t": round(perf_counter() - begun, 6)})
        return found

    def answer(self, plan: Any) -> Any:
        """Return the rows of a plan, within the time that is left."""
        left = self.deadline_s - (perf_counter() - self.started)
        if left <= 0:
            raise QueryTooLarge("The query took too long.", path="query")
        return self.store.run(plan, deadline_s=left, stop=self.stop)

    def answers(self, plans: Iterable[Any]) -> list[Any]:
        """Return the rows of each plan."""
        return [self.answer(plan) for plan in plans]


def calculate(
    query: Mapping[str, Any],
    *,
    context: QueryContext,
    store: ProductStore,
    deadline_s: float = 30,
    allows_extra_fields: bool = False,
    stop: Stop | None = None,
) -> dict[str, Any]:
    """Answer a query node: `results`, `hasMore`, `resolved_date_range`, `timings` and so on, ready for JSON.

    Everything the capture log acknowledged before the call is counted. `allows_extra_fields` passes over unknown
    fields, which the queries of saved insights may have; `stop` lets others cancel it. Raises InvalidQuery,
    UnsupportedQuery, QueryTooLarge, QueryCancelled, StoreUnavailable.
    """
    run = _Run(store, deadline_s, stop or Stop())
    node = run.timed("parse", lambda: parse_query(query, allows_extra_fields=allows_extra_fields))
    run.timed("drain", store.drain)
    return _CALCULATIONS[type(node)](node, context, run)


def calculate_2023(
    query: Mapping[str, Any], *, context: QueryContext, store: ProductStore, deadline_s: float = 30
) -> list[dict[str, Any]]:
    """Answer a trends, stickiness or lifecycle query with the result objects of PostHog's 2023 engine.

    Its labels, order and missing values differ from today's; see `domain.queries.trends_2023`.
    """
    run = _Run(store, deadline_s)
    store.drain()
    node = parse_query(query)
    setting = _setting(node, context, store)
    match node:
        case nodes.TrendsQuery():
            trend = trends.resolve(node, setting)
            return trends_2023.results(trend, [run.answers(period.plans) for period in trend.periods])
        case nodes.StickinessQuery():
            sticky = stickiness.resolve(node, setting)
            return stickiness.results(sticky, [run.answers(period.plans) for period in sticky.periods])
        case nodes.LifecycleQuery():
            # COMPAT: the 2023 lifecycle began its weeks on Monday, whatever the project's setting.
            cycle = lifecycle.resolve(node, evolve(setting, week_start_day=1))
            return trends_2023.lifecycle_results(cycle, run.answer(cycle.plan))
    raise UnsupportedQuery(f"Queries of kind {node.kind} had another form in 2023.", path="query.kind")


def _trends(node: nodes.TrendsQuery, context: QueryContext, run: _Run) -> dict[str, Any]:
    trend = trends.resolve(node, _setting(node, context, run.store))
    answers = run.timed("calculate", lambda: [run.answers(period.plans) for period in trend.periods])
    results, has_more = run.timed("format", lambda: trend_results.results(trend, answers))
    return _response(results, context, run, trend.periods[0].bounds) | {"hasMore": has_more}


def _stickiness(node: nodes.StickinessQuery, context: QueryContext, run: _Run) -> dict[str, Any]:
    sticky = stickiness.resolve(node, _setting(node, context, run.store))
    answers = run.timed("calculate", lambda: [run.answers(period.plans) for period in sticky.periods])
    return _response(stickiness.results(sticky, answers), context, run, sticky.periods[0].bounds)


def _lifecycle(node: nodes.LifecycleQuery, context: QueryContext, run: _Run) -> dict[str, Any]:
    cycle = lifecycle.resolve(node, _setting(node, context, run.store))
    rows = run.timed("calculate", lambda: run.answer(cycle.plan))
    return _response(lifecycle.results(cycle, rows), context, run, cycle.bounds)


def _setting(node: nodes.Query, context: QueryContext, store: ProductStore) -> Setting:
    """Return what the query's meaning depends on; the project's first event is looked up only when it is asked for."""
    asks_all = node.date_range is not None and node.date_range.date_from == "all"
    return Setting(
        context.project_id,
        context.now,
        context.zone,
        context.scope,
        context.week_start_day,
        structure(list(context.test_account_filters), tuple[nodes.PropertyFilter, ...], "test_account_filters"),
        store.first_event_at(context.project_id) if asks_all else None,
    )


def _response(results: Any, context: QueryContext, run: _Run, bounds: dates.Bounds) -> dict[str, Any]:
    return {
        "results": results,
        "timings": run.timings,
        "hogql": None,
        "modifiers": {},
        "error": None,
        "timezone": context.timezone,
        "resolved_date_range": {
            "date_from": dates.format_instant(bounds.from_instant.astimezone(bounds.zone)),
            "date_to": dates.format_instant(bounds.to_instant.astimezone(bounds.zone)),
        },
    }


_CALCULATIONS: dict[type, Callable[[Any, QueryContext, _Run], dict[str, Any]]] = {
    nodes.TrendsQuery: _trends,
    nodes.StickinessQuery: _stickiness,
    nodes.LifecycleQuery: _lifecycle,
}
"""One line per kind of query."""
