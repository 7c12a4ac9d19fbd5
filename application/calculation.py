"""Calculating a query: parse, resolve, let the store answer the plans, shape the response.

Knows neither caching nor HTTP: `calculate` gives what depends on query, time and events only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from time import perf_counter
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from attrs import Factory, define, evolve, frozen

from ..domain.errors import InvalidInput, QueryTooLarge
from ..domain.queries import dates, nodes, trend_results, trends, trends_2023
from ..domain.queries.legacy import filters_to_query
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
    """Answer a TrendsQuery with the result objects of PostHog's 2023 engine: its labels, order and missing values."""
    run = _Run(store, deadline_s)
    trend, answers = _answered(parse_query(query), context, run)
    return trends_2023.results(trend, answers)


def _trends(node: nodes.TrendsQuery, context: QueryContext, run: _Run) -> dict[str, Any]:
    trend, answers = _answered(node, context, run)
    results, has_more = run.timed("format", lambda: trend_results.results(trend, answers))
    bounds = trend.periods[0].bounds
    return _response(results, context, run, bounds) | {"hasMore": has_more}


def _answered(node: nodes.TrendsQuery, context: QueryContext, run: _Run) -> tuple[trends.Trend, list[Any]]:
    run.store.drain()
    asks_all = node.date_range is not None and node.date_range.date_from == "all"
    trend = trends.resolve(
        node,
        project_id=context.project_id,
        now=context.now,
        zone=context.zone,
        week_start_day=context.week_start_day,
        test_account_filters=structure(
            list(context.test_account_filters), tuple[nodes.PropertyFilter, ...], "test_account_filters"
        ),
        earliest=run.store.first_event_at(context.project_id) if asks_all else None,
        scope=context.scope,
    )
    return trend, run.timed(
        "calculate", lambda: [[run.answer(plan) for plan in period.plans] for period in trend.periods]
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


_CALCULATIONS: dict[type, Callable[[Any, QueryContext, _Run], dict[str, Any]]] = {nodes.TrendsQuery: _trends}
"""One line per kind of query."""
