"""What the actors of an insight can be chosen by: the days, series, breakdown values and so on of its numbers.

Source: PostHog's InsightActorsQueryOptions (queries.md 2.8).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..domain.queries import lifecycle, retention, stickiness, trend_results, trends
from ..domain.queries.actor_nodes import InsightActorsQuery, InsightActorsQueryOptions
from ..domain.queries.nodes import LifecycleQuery, StickinessQuery, TrendsQuery
from ..domain.queries.retention_nodes import RetentionQuery
from .query_context import QueryContext, Run, setting_of

Options = dict[str, Any]
"""Selector -> list of `{"label", "value"}`; a selector that does not choose is null."""
_SELECTORS = ("day", "status", "interval", "breakdown", "breakdowns", "series", "compare")
_PATH = "query.source.source"


def options(node: InsightActorsQueryOptions, context: QueryContext, run: Run) -> dict[str, Any]:
    """Answer which numbers the actors can be asked of; kinds without such a choice have no options."""
    source = node.source
    find = _OPTIONS.get(type(source.source)) if isinstance(source, InsightActorsQuery) else None
    found = run.timed("calculate", lambda: find(source.source, context, run)) if find else {}
    return {
        **dict.fromkeys(_SELECTORS),
        **found,
        "hogql": "",
        "timings": run.timings,
        "modifiers": {},
        "timezone": context.timezone,
    }


def _of_trend(query: TrendsQuery, context: QueryContext, run: Run) -> Options:
    trend = trends.resolve(query, setting_of(query, context, run.store), path=_PATH)
    axis = trend.periods[0].buckets
    found: Options = {"series": [_option(one.name, one.order) for one in trend.series]}
    if not trend.is_total_value:
        found["day"] = _listed(axis.labels, axis.days)
    if len(trend.periods) > 1:
        found["compare"] = _listed(("Current", "Previous"), ("current", "previous"))
    if trend.breakdown.splits:
        columns = [
            [_option(label, value) for label, value in column]
            for column in trend_results.breakdown_options(trend, run.answers(trend.periods[0].plans))
        ]
        if trend.breakdown.is_list:
            found["breakdowns"] = [{"values": column} for column in columns]
        else:
            found["breakdown"] = columns[0]
    return found


def _of_stickiness(query: StickinessQuery, context: QueryContext, run: Run) -> Options:
    sticky = stickiness.resolve(query, setting_of(query, context, run.store), path=_PATH)
    period = sticky.periods[0]
    numbers = range(1, period.n_intervals + 1)
    found: Options = {
        "day": [
            _option(f"{number} {period.bounds.interval}{'' if number == 1 else 's'}", number) for number in numbers
        ],
        "series": [_option(name, order) for order, _, name in sticky.series],
    }
    if len(sticky.periods) > 1:
        found["compare"] = _listed(("Current", "Previous"), ("current", "previous"))
    return found


def _of_lifecycle(query: LifecycleQuery, context: QueryContext, run: Run) -> Options:
    axis = lifecycle.resolve(query, setting_of(query, context, run.store), path=_PATH).buckets
    statuses = [_option(status.title(), status) for status in sorted(lifecycle.STATUSES)]
    return {"day": _listed(axis.labels, axis.days), "status": statuses}


def _of_retention(query: RetentionQuery, context: QueryContext, run: Run) -> Options:
    found = retention.resolve(query, setting_of(query, context, run.store), path=_PATH)
    period = found.query.retention_filter.period if found.query.retention_filter else None
    return {"interval": [_option(f"{period or 'Day'} {place}", place) for place in range(len(found.starts))]}


def _listed(labels: Sequence[str], values: Sequence[Any]) -> list[dict[str, Any]]:
    return [_option(label, value) for label, value in zip(labels, values, strict=True)]


def _option(label: str, value: Any) -> dict[str, Any]:
    return {"label": label, "value": value}


_OPTIONS: dict[type, Callable[[Any, QueryContext, Run], Options]] = {
    TrendsQuery: _of_trend,
    StickinessQuery: _of_stickiness,
    LifecycleQuery: _of_lifecycle,
    RetentionQuery: _of_retention,
}
"""One line per kind of insight."""
