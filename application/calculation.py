"""Calculating a query: parse, resolve, let the store answer the plans, shape the response.

Knows neither caching nor HTTP: `calculate` gives what depends on query, time and events only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from attrs import evolve

from ..domain.errors import InvalidQuery, UnsupportedQuery
from ..domain.queries import (
    actor_nodes,
    funnel_nodes,
    legacy_actors,
    lifecycle,
    nodes,
    path_nodes,
    retention_nodes,
    sql_nodes,
    stickiness,
    trend_results,
    trends,
    trends_2023,
)
from ..domain.queries.dates import outside_of_calendar
from ..domain.queries.legacy import filters_to_query
from ..domain.queries.resolution import Setting
from ..domain.queries.scope import PERSONS_MODES
from . import actor_options, actors, rows, sequences
from .incremental import Buckets
from .product_ports import ProductStore
from .query_context import Dated, QueryContext, Run, response, setting_of
from .query_nodes import parse_query, source_of
from .stopping import Stop

__all__ = ["QueryContext", "calculate", "calculate_2023", "filters_to_query"]


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


def calculate_2023(
    query: Mapping[str, Any],
    *,
    context: QueryContext,
    store: ProductStore,
    deadline_s: float = 30,
    filters: Mapping[str, Any] | None = None,
    root: str = "",
) -> list[dict[str, Any]]:
    """Answer a trends, stickiness or lifecycle query with the result objects of PostHog's 2023 engine.

    Its labels, order and missing values differ from today's; see `domain.queries.trends_2023`. With the `filters` that
    the query was made of, results have the addresses of their actors, below `root`.
    """
    run = Run(store, deadline_s)
    store.drain()
    node = parse_query(query)
    match node:
        case nodes.TrendsQuery():
            setting = _setting_of_2023(node, context, store)
            if node.trends_filter and node.trends_filter.display == "BoldNumber":
                node = evolve(node, breakdown_filter=None)
            trend = trends_2023.as_of_2023(trends.resolve(node, setting), setting)
            answers = [run.answers(period.plans) for period in trend.periods]
            answers = trends_2023.rows_of_2023(trend, answers, run.answer)
            if filters is None:
                return trends_2023.results(trend, answers)
            addresses = partial(legacy_actors.trend_addresses, trend, filters=filters, root=root)
            return trends_2023.results(trend, answers, addresses)
        case nodes.StickinessQuery():
            sticky = stickiness.resolve(node, _setting_of_2023(node, context, store))
            sticky = trends_2023.stickiness_of_2023(sticky)
            found = stickiness.results(sticky, [run.answers(period.plans) for period in sticky.periods])
            n = len(sticky.series)
            return [
                row if filters is None else row | legacy_actors.stickiness_addresses(sticky, place, filters, root)
                for place in range(n)
                for row in found[place::n]
            ]
        case nodes.LifecycleQuery():
            # COMPAT: the 2023 lifecycle began its weeks on Monday, whatever the project's setting.
            node = evolve(node, date_range=trends_2023.without_offset(node.date_range))
            setting = _setting_of_2023(node, context, store)
            cycle = lifecycle.resolve(node, evolve(setting, week_start_day=1))
            found = trends_2023.lifecycle_results(cycle, run.answer(cycle.plan))
            return found if filters is None else [
                row | legacy_actors.lifecycle_addresses(cycle, row["status"], filters, root) for row in found
            ]  # fmt: skip
    raise UnsupportedQuery(f"Queries of kind {node.kind} had another form in 2023.", path="query.kind")


def _setting_of_2023(node: Dated, context: QueryContext, store: ProductStore) -> Setting:
    """Return the setting, in which all time of a project without events is the last week."""
    setting = setting_of(node, context, store)
    if setting.earliest is None and node.date_range is not None and node.date_range.date_from == "all":
        return evolve(setting, earliest=context.now - timedelta(days=7))
    return setting


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
    sql_nodes.EventsQuery: rows.events,
}
"""One line per kind of query."""
