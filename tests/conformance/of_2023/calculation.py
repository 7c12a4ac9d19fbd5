"""Calculates trends, stickiness and lifecycle with the result objects of PostHog's 2023 engine."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from attrs import evolve

from insightlog.application.product_ports import ProductStore
from insightlog.application.query_context import Dated, QueryContext, Run, setting_of
from insightlog.application.query_nodes import parse_query
from insightlog.domain.errors import UnsupportedQuery
from insightlog.domain.queries import legacy_actors, lifecycle, nodes, stickiness, trends
from insightlog.domain.queries.legacy_values import whole
from insightlog.domain.queries.resolution import Setting

from . import trends as trends_2023


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

    Its labels, order and missing values differ from today's; see `of_2023.trends`. With the `filters` that
    the query was made of, results have the addresses of their actors, below `root`.
    """
    run = Run(store, deadline_s)
    store.drain()
    node = parse_query(query)
    match node:
        case nodes.TrendsQuery():
            setting = _setting_of_2023(node, context, store)
            node = trends_2023.query_of_2023(node, setting)
            trend = trends_2023.as_of_2023(trends.resolve(node, setting), setting)
            answers = [run.answers(period.plans) for period in trend.periods]
            offset = max(whole((filters or {}).get("offset"), "offset") or 0, 0)
            answers = trends_2023.rows_of_2023(trend, answers, run.answer, offset)
            if filters is None:
                return trends_2023.results(trend, answers)
            addresses = partial(legacy_actors.trend_addresses, trend, filters=filters, root=root)
            return trends_2023.results(trend, answers, addresses)
        case nodes.StickinessQuery():
            sticky = stickiness.resolve(node, _setting_of_2023(node, context, store))
            sticky = trends_2023.stickiness_of_2023(sticky)
            found = trends_2023.stickiness_results(sticky, [run.answers(period.plans) for period in sticky.periods])
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
