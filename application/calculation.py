"""Calculating a query: parse, resolve, let the store answer the plans, shape the response.

Knows neither caching nor HTTP: `calculate` gives what depends on query, time and events only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import evolve

from ..domain.errors import InvalidQuery
from ..domain.queries import (
    actor_nodes,
    event_nodes,
    funnel_nodes,
    lifecycle,
    nodes,
    path_nodes,
    retention_nodes,
    sql_nodes,
    stickiness,
    trend_results,
    trends,
)
from ..domain.queries.dates import outside_of_calendar
from ..domain.queries.scope import PERSONS_MODES
from . import actor_options, actors, rows, sequences
from .incremental import Buckets
from .product_ports import ProductStore
from .query_context import QueryContext, Run, response, setting_of
from .query_nodes import parse_query, source_of
from .stopping import Stop

__all__ = ["QueryContext", "calculate"]


def calculate(
    query: Mapping[str, Any],
    *,
    context: QueryContext,
    store: ProductStore,
    deadline_s: float = 30,
    allows_extra_fields: bool = False,
    stop: Stop | None = None,
    buckets: Buckets | None = None,
    is_drained: bool = False,
) -> dict[str, Any]:
    """Answer a query node: `results`, `hasMore`, `resolved_date_range`, `timings` and so on, ready for JSON.

    Everything the capture log acknowledged before the call is counted, unless the caller has drained the store
    (`is_drained`). `allows_extra_fields` passes over unknown fields, which the queries of saved insights may have;
    `stop` lets others cancel it, `buckets` keeps parts of trends for the next time. Raises InvalidQuery,
    UnsupportedQuery, QueryTooLarge, QueryCancelled, StoreUnavailable.
    """
    run = Run(store, deadline_s, stop or Stop(), buckets)
    node = run.timed("parse", lambda: parse_query(query, allows_extra_fields=allows_extra_fields))
    if not is_drained:
        run.timed("drain", store.drain)
    run.watermark = store.watermark()
    try:
        return _CALCULATIONS[type(node)](node, _with_modifiers(node, context), run)
    except OverflowError as error:  # only dates are reckoned with here: numbers of events come from the store
        raise outside_of_calendar() from error
    except InvalidQuery as error:
        if error.path is not None and error.path.startswith("query"):
            _, place = source_of(query, allows_extra_fields=True)
            error.path = place + error.path.removeprefix("query")
        raise


def _with_modifiers(node: Any, context: QueryContext) -> QueryContext:
    """Return the context with the way of seeing persons that a query asks for, or else the source of it (1.5)."""
    path, asked = "query", None
    while asked is None and node is not None:
        modifiers = getattr(node, "modifiers", None)
        asked = modifiers.get("personsOnEventsMode") if isinstance(modifiers, Mapping) else None
        if asked is None:
            node, path = getattr(node, "source", None), f"{path}.source"
    if asked is None:
        return context
    mode = PERSONS_MODES.get(asked) if isinstance(asked, str) else None
    if mode is None:
        raise InvalidQuery(f"There is no mode {asked!r} of persons.", path=f"{path}.modifiers.personsOnEventsMode")
    return evolve(context, definitions=evolve(context.definitions, persons_mode=mode))


def _trends(node: nodes.TrendsQuery, context: QueryContext, run: Run) -> dict[str, Any]:
    trend = trends.resolve(node, setting_of(node, context, run.store))
    answers = run.timed("calculate", lambda: [run.answers(period.plans) for period in trend.periods])
    results, has_more = run.timed("format", lambda: trend_results.results(trend, answers))
    return response(results, context, run, trend.periods[0].bounds) | {"hasMore": has_more}


def _stickiness(node: nodes.StickinessQuery, context: QueryContext, run: Run) -> dict[str, Any]:
    sticky = stickiness.resolve(node, setting_of(node, context, run.store))
    answers = run.timed("calculate", lambda: [run.answers(period.plans) for period in sticky.periods])
    return response(stickiness.results(sticky, answers), context, run, sticky.periods[0].bounds)


def _lifecycle(node: nodes.LifecycleQuery, context: QueryContext, run: Run) -> dict[str, Any]:
    cycle = lifecycle.resolve(node, setting_of(node, context, run.store))
    rows = run.timed("calculate", lambda: run.answer(cycle.plan))
    return response(lifecycle.results(cycle, rows), context, run, cycle.bounds)


_CALCULATIONS: dict[type, Callable[[Any, QueryContext, Run], dict[str, Any]]] = {
    nodes.TrendsQuery: _trends,
    nodes.StickinessQuery: _stickiness,
    nodes.LifecycleQuery: _lifecycle,
    funnel_nodes.FunnelsQuery: sequences.funnel,
    retention_nodes.RetentionQuery: sequences.retained,
    path_nodes.PathsQuery: sequences.followed,
    funnel_nodes.FunnelCorrelationQuery: sequences.correlated,
    actor_nodes.ActorsQuery: actors.actors_query,
    actor_nodes.InsightActorsQueryOptions: actor_options.options,
    sql_nodes.HogQLQuery: rows.hogql,
    event_nodes.EventsQuery: rows.events,
}
"""One line per kind of query."""
