"""Trends: a TrendsQuery becomes plans, and the rows that answer them become the response's results.

`resolve` is the first half (dates, defaults, what is refused), `results` the second (ranking of breakdown values,
filling, cumulation, labels). Neither knows SQL. Source: PostHog's trends query runner and its documentation.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from attrs import evolve, frozen

from ..errors import InvalidQuery, QueryTooLarge, UnsupportedQuery
from . import dates
from ._trend_rows import BreakdownRow, cumulated, ranked, smoothed
from .actions import is_known, series_condition
from .nodes import (
    TOTAL_VALUE_DISPLAYS,
    BreakdownFilter,
    DateRange,
    EventsNode,
    Interval,
    PropertyFilter,
    SeriesNode,
    TrendsQuery,
)
from .plan import Condition, EventProperty, Ranking, TrendPlan, TrendRow
from .properties import all_of, condition
from .scope import Scope

NULL_VALUE = "$$_posthog_breakdown_null_$$"
OTHER_VALUE = "$$_posthog_breakdown_other_$$"
MAX_CELLS = dates.MAX_BUCKETS
MAX_BREAKDOWN_LIMIT = 10_000


@frozen
class Series:
    """One series of the query: its node and what an engine shall count for it."""

    order: int
    node: SeriesNode
    event: str | None
    condition: Condition
    unit: str


@frozen
class Period:
    """One of the compared periods, or the only one."""

    bounds: dates.Bounds
    buckets: dates.Buckets
    compare_label: str | None
    plans: tuple[TrendPlan, ...]
    """One per series, in their order."""


@frozen
class Trend:
    """A resolved TrendsQuery."""

    query: TrendsQuery
    series: tuple[Series, ...]
    periods: tuple[Period, ...]
    display: str
    breakdown: EventProperty | None
    breakdown_limit: int
    smoothing: int

    @property
    def is_total_value(self) -> bool:
        """Whether each series is one number instead of one per bucket."""
        return self.display in TOTAL_VALUE_DISPLAYS

    @property
    def is_cumulative(self) -> bool:
        """Whether each number includes those before it."""
        return self.display == "ActionsLineGraphCumulative"


def _check_dates(query: TrendsQuery, now: datetime, zone: ZoneInfo, path: str) -> None:
    asked = query.date_range or DateRange()
    if asked.date_from != "all":
        dates.check(asked.date_from, now=now, zone=zone, path=f"{path}.dateRange.date_from")
    dates.check(asked.date_to, now=now, zone=zone, path=f"{path}.dateRange.date_to")
    if query.compare_filter is not None:
        dates.check(query.compare_filter.compare_to, now=now, zone=zone, path=f"{path}.compareFilter.compare_to")


def resolve(
    query: TrendsQuery,
    *,
    project_id: int,
    now: datetime,
    zone: ZoneInfo,
    week_start_day: int = 0,
    test_account_filters: tuple[PropertyFilter, ...] = (),
    earliest: datetime | None = None,
    scope: Scope | None = None,
    path: str = "query",
) -> Trend:
    """Return what to compute: per period and series one plan.

    `earliest` is the instant of the project's first event, needed for `date_from: all`. Raises UnsupportedQuery with
    the path of what cannot be answered exactly, InvalidQuery for wrong values, QueryTooLarge past 100,000 numbers.
    """
    refuse_unsupported(query, path)
    display = (query.trends_filter and query.trends_filter.display) or "ActionsLineGraph"
    is_total = display in TOTAL_VALUE_DISPLAYS
    breakdown, limit = _breakdown(query.breakdown_filter, display, path)
    scope = scope or Scope(now=now, zone=zone)
    shared = condition(query.properties, path=f"{path}.properties", scope=scope)
    if query.filter_test_accounts:
        shared = all_of([condition(test_account_filters, path="test_account_filters", scope=scope), shared])
    is_cumulative = display == "ActionsLineGraphCumulative"
    series = tuple(
        _series(node, order, shared, scope, is_cumulative=is_cumulative, path=f"{path}.series[{order}]")
        for order, node in enumerate(query.series)
        if is_known(node, scope)
    )
    interval: Interval = "day" if is_total else query.interval or "day"
    _check_dates(query, now, zone, path)
    bounds = dates.resolve(
        query.date_range, interval=interval, now=now, zone=zone, week_start_day=week_start_day,
        is_exact=display == "BoldNumber", earliest=earliest,
    )  # fmt: skip
    trend = Trend(query, series, (), display, breakdown, limit, _smoothing(query, path))
    periods = [_period(trend, bounds, project_id, "current" if is_compared(query) else None)]
    if is_compared(query):
        compare_to = query.compare_filter.compare_to if query.compare_filter else None
        if query.date_range and query.date_range.date_from == "all":
            raise InvalidQuery("Both dates are needed to compare periods.", path=f"{path}.dateRange.date_from")
        periods.append(_period(trend, dates.previous(bounds, compare_to), project_id, "previous"))
    cells = sum(len(period.buckets.days) for period in periods) * max(len(series), 1)
    if cells > MAX_CELLS:
        raise QueryTooLarge(f"The query asks for more than {MAX_CELLS} numbers.", path=f"{path}.dateRange")
    return evolve(trend, periods=tuple(periods))


def is_compared(query: TrendsQuery) -> bool:
    """Whether the previous period is asked for."""
    if query.compare_filter is not None and query.compare_filter.compare:
        return True
    return bool(query.trends_filter and query.trends_filter.compare)


def results(trend: Trend, answers: Sequence[Sequence[Sequence[TrendRow]]]) -> tuple[list[dict[str, Any]], bool]:
    """Return the result objects, all of the current period first, and whether more breakdown values exist.

    `answers` holds, per period and series, the rows of its plan.
    """
    found: list[dict[str, Any]] = []
    has_more = False
    for period, answer in zip(trend.periods, answers, strict=True):
        for series, rows in zip(trend.series, answer, strict=True):
            values, more = series_values(trend, period, rows)
            has_more = has_more or more
            found.extend(_result(trend, period, series, value) for value in values)
    return found, has_more


def series_values(trend: Trend, period: Period, rows: Sequence[TrendRow]) -> tuple[list[BreakdownRow], bool]:
    """Return the finished numbers of one series, one row without breakdown, else one per value in order of rank."""
    size = 1 if trend.is_total_value else len(period.buckets.days)
    table: dict[str | None, list[float]] = {} if trend.breakdown else {None: [0.0] * size}
    rest: list[float] | None = None
    for bucket, value, number, is_rest in rows:
        if is_rest:
            rest = rest or [0.0] * size
        data = rest if rest is not None and is_rest else table.setdefault(value, [0.0] * size)
        data[bucket] = float(number)
    table = {value: _finished(trend, data) for value, data in table.items()}
    rest = _finished(trend, rest) if rest is not None else None
    if trend.breakdown is None:
        return [BreakdownRow(None, table[None])], False
    hides_other = bool(trend.query.breakdown_filter and trend.query.breakdown_filter.breakdown_hide_other_aggregation)
    return ranked(
        table, rest, trend.breakdown_limit, null=NULL_VALUE, other=OTHER_VALUE,
        is_total_value=trend.is_total_value, hides_other=hides_other, is_cumulative=trend.is_cumulative,
    )  # fmt: skip


def _finished(trend: Trend, data: list[float]) -> list[float]:
    if trend.is_cumulative:
        data = cumulated(data)
    return smoothed(data, trend.smoothing) if trend.smoothing > 1 and not trend.is_total_value else data


def refuse_unsupported(query: TrendsQuery, path: str) -> None:
    """Raise UnsupportedQuery for what a TrendsQuery may ask and is not answered yet."""
    trends_filter = query.trends_filter
    refused = {
        "trendsFilter.formula": trends_filter and trends_filter.formula,
        "trendsFilter.formulas": trends_filter and trends_filter.formulas,
        "trendsFilter.formulaNodes": trends_filter and trends_filter.formula_nodes,
        "aggregation_group_type_index": query.aggregation_group_type_index is not None,
        "samplingFactor": query.sampling_factor is not None and query.sampling_factor != 1,
        "conversionGoal": query.conversion_goal,
    }
    for field, value in refused.items():
        if value:
            raise UnsupportedQuery(f"'{field}' is not supported yet.", path=f"{path}.{field}")
    display = trends_filter and trends_filter.display
    if display in ("BoxPlot", "SlopeGraph", "CalendarHeatmap"):
        raise UnsupportedQuery(f"The display '{display}' is not supported yet.", path=f"{path}.trendsFilter.display")


def display_name(node: SeriesNode) -> str:
    """Return what a series is called: its event, or `All events`."""
    return (node.event or "All events") if isinstance(node, EventsNode) else (node.name or f"Action {node.id}")


def _series(node: SeriesNode, order: int, shared: Condition, scope: Scope, *, is_cumulative: bool, path: str) -> Series:
    if node.math not in (None, "total", "dau"):
        raise UnsupportedQuery(f"The math '{node.math}' is not supported yet.", path=f"{path}.math")
    if node.math_multiplier is not None:
        raise UnsupportedQuery("'math_multiplier' is not supported yet.", path=f"{path}.math_multiplier")
    unit = "events" if node.math != "dau" else "new_persons" if is_cumulative else "persons"
    event, own = series_condition(node, scope, path)
    return Series(order, node, event, all_of([shared, own]), unit)


def _breakdown(asked: BreakdownFilter | None, display: str, path: str) -> tuple[EventProperty | None, int]:
    default_limit = 250 if display == "WorldMap" else 25
    if asked is None:
        return None, default_limit
    path = f"{path}.breakdownFilter"
    limit = min(asked.breakdown_limit or default_limit, MAX_BREAKDOWN_LIMIT)
    if limit < 1:
        raise InvalidQuery("The limit must be at least 1.", path=f"{path}.breakdown_limit")
    name: Any = asked.breakdown
    kind, bins, index = asked.breakdown_type, asked.breakdown_histogram_bin_count, asked.breakdown_group_type_index
    normalizes, cleans = asked.breakdown_normalize_url, asked.breakdown_path_cleaning
    if asked.breakdowns:
        if len(asked.breakdowns) > 1:
            raise UnsupportedQuery("Several breakdowns at once are not supported yet.", path=f"{path}.breakdowns")
        item = asked.breakdowns[0]
        name, kind, bins, index = item.property, item.type, item.histogram_bin_count, item.group_type_index
        normalizes = item.normalize_url
    if name is None or name in {"", ()}:
        return None, limit
    if kind not in (None, "event"):
        raise UnsupportedQuery(f"Breakdowns of type '{kind}' are not supported yet.", path=f"{path}.breakdown_type")
    if not isinstance(name, str):
        raise UnsupportedQuery("A breakdown by several values is not supported yet.", path=f"{path}.breakdown")
    if bins is not None or normalizes or cleans:
        raise UnsupportedQuery("Bins and cleaning of breakdown values are not supported yet.", path=path)
    del index  # only meaningful for groups
    return EventProperty(name), limit


def _smoothing(query: TrendsQuery, path: str) -> int:
    asked = query.trends_filter.smoothing_intervals if query.trends_filter else None
    if asked is not None and asked < 1:
        raise InvalidQuery(
            "Smoothing needs a positive number of intervals.", path=f"{path}.trendsFilter.smoothingIntervals"
        )
    return asked or 1


def _period(trend: Trend, bounds: dates.Bounds, project_id: int, compare_label: str | None) -> Period:
    axis = dates.buckets(bounds)
    edges = () if trend.is_total_value else axis.edges
    # Smoothing rounds each value's numbers down, so values can only be added up after it.
    folds = trend.breakdown is not None and trend.smoothing == 1
    ranking = Ranking(trend.breakdown_limit, null_ranks_last=not trend.is_total_value) if folds else None
    plans = tuple(
        TrendPlan(
            project_id=project_id,
            event=series.event,
            condition=series.condition,
            count_from=bounds.count_from,
            count_to=bounds.count_to,
            edges=edges,
            unit=series.unit,  # type: ignore[arg-type]
            breakdown=trend.breakdown,
            ranking=ranking,
        )
        for series in trend.series
    )
    return Period(bounds, axis, compare_label, plans)


def _result(trend: Trend, period: Period, series: Series, row: BreakdownRow) -> dict[str, Any]:
    node, axis = series.node, period.buckets
    name = display_name(node)
    found: dict[str, Any] = {
        "action": {
            "days": [dates.format_instant(start) for start in axis.starts],
            "id": node.event if isinstance(node, EventsNode) else node.id,
            "type": "events",
            "order": series.order,
            "name": node.name or name,
            "custom_name": node.custom_name,
            "math": node.math,
            "math_property": node.math_property,
            "math_hogql": node.math_hogql,
            "math_group_type_index": node.math_group_type_index,
            "properties": {},
        },
        "label": name,
        "order": series.order,
        "filter": _filter_echo(trend, period),
    }
    if trend.is_total_value:
        found |= {"data": [], "days": [], "count": 0.0, "aggregated_value": row.data[0]}
    else:
        count = (row.data[-1] if row.data else 0.0) if trend.is_cumulative else float(sum(row.data))
        found |= {"data": row.data, "labels": list(axis.labels), "days": list(axis.days), "count": count}
    if trend.breakdown is not None:
        found["breakdown_value"] = row.value
        found["label"] = row.value if len(trend.series) == 1 else f"{name} - {row.value}"
    if period.compare_label:
        found |= {"compare": True, "compare_label": period.compare_label}
    return found


def _filter_echo(trend: Trend, period: Period) -> dict[str, Any]:
    query, asked = trend.query, trend.query.breakdown_filter
    echo: dict[str, Any] = {
        "insight": "TRENDS",
        "filter_test_accounts": bool(query.filter_test_accounts),
        "date_from": dates.format_instant(period.bounds.from_instant),
        "date_to": dates.format_instant(period.bounds.to_instant),
        "entity_type": "events",
        "interval": period.bounds.interval,
        "display": trend.display,
        "smoothing_intervals": trend.smoothing if trend.smoothing > 1 else None,
        "breakdown": trend.breakdown.name if trend.breakdown else None,
        "breakdown_type": "event" if trend.breakdown else None,
        "breakdown_limit": asked.breakdown_limit if asked else None,
        "compare": True if period.compare_label else None,
    }
    return {key: value for key, value in echo.items() if value is not None}
