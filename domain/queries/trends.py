"""Trends: a TrendsQuery becomes plans, and the rows that answer them become the numbers of each series.

`resolve` is the first half (dates, defaults, what is refused), `series_numbers` the second (filling, cumulation,
smoothing, ranking of breakdown values). Neither knows SQL, nor what a response looks like: `trend_results` does.
Source: PostHog's trends query runner and its documentation.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve, frozen

from ..errors import InvalidQuery, QueryTooLarge, UnsupportedQuery
from . import dates, formulas
from ._trend_breakdown import TrendBreakdown, breakdown_of
from ._trend_math import is_statistical, reading
from ._trend_rows import TrendNumbers, Value, cumulated, finite, ranked, smoothed, total_of, upscaled
from .actions import entity_condition, is_known
from .nodes import (
    TOTAL_VALUE_DISPLAYS,
    ActionsNode,
    CompareFilter,
    FormulaNode,
    SeriesNode,
    TrendsQuery,
)
from .plan import Condition
from .resolution import Setting, check_dates, matching, sampling_of, shared_condition
from .scope import Scope
from .trend_plan import Ranking, TrendPlan, TrendRow

MAX_CELLS = dates.MAX_BUCKETS


@frozen
class Series:
    """One series of the query: its node and which events belong to it."""

    order: int
    node: SeriesNode
    name: str
    event: str | None
    entity: Condition
    """What makes an event one of the series, whatever the filters."""
    condition: Condition
    """That and all filters."""
    path: str


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
    """Those that exist; a series of an action that does not is left out."""
    periods: tuple[Period, ...]
    display: str
    breakdown: TrendBreakdown
    smoothing: int
    sampling: float | None = None
    """The share of actors that is read, None for all."""
    formulas: tuple[tuple[FormulaNode, formulas.Formula], ...] = ()

    @property
    def is_total_value(self) -> bool:
        """Whether each series is one number instead of one per bucket."""
        return self.display in TOTAL_VALUE_DISPLAYS

    @property
    def is_cumulative(self) -> bool:
        """Whether each number includes those before it."""
        return self.display == "ActionsLineGraphCumulative"


def resolve(query: TrendsQuery, setting: Setting, path: str = "query") -> Trend:
    """Return what to compute: per period and series one plan.

    Raises UnsupportedQuery with the path of what cannot be answered exactly, InvalidQuery for wrong values,
    QueryTooLarge past 100,000 numbers.
    """
    _refuse_unsupported(query, path)
    display = (query.trends_filter and query.trends_filter.display) or "ActionsLineGraph"
    is_total = display in TOTAL_VALUE_DISPLAYS
    shared = shared_condition(query.properties, query.filter_test_accounts, setting, path)
    series = tuple(
        _series(node, order, shared, setting, f"{path}.series[{order}]")
        for order, node in enumerate(query.series)
        if is_known(node, setting.scope)
    )
    compare = compare_of(query)
    check_dates(query.date_range, compare, setting, path)
    bounds = dates.resolve(
        query.date_range, interval="day" if is_total else query.interval or "day", now=setting.now, zone=setting.zone,
        week_start_day=setting.week_start_day, is_exact=display == "BoldNumber", earliest=setting.earliest,
    )  # fmt: skip
    breakdown = breakdown_of(query.breakdown_filter, display, scope=setting.scope, path=path)
    sampling = sampling_of(query.sampling_factor, path)
    trend = Trend(query, series, (), display, breakdown, _smoothing(query, path), sampling, _formulas(query, path))
    periods = [_period(trend, bounds, setting, "current" if compare.compare else None)]
    if compare.compare:
        periods.append(
            _period(
                trend,
                dates.previous(bounds, compare.compare_to, by_weeks=setting.scope.compares_by_weeks),
                setting,
                "previous",
            )
        )
    cells = sum(len(period.buckets.days) for period in periods) * max(len(series), 1)
    if cells > MAX_CELLS:
        raise QueryTooLarge(f"The query asks for more than {MAX_CELLS} numbers.", path=f"{path}.dateRange")
    return evolve(trend, periods=tuple(periods))


def compare_of(query: TrendsQuery) -> CompareFilter:
    """Return whether and with what the query is compared."""
    asked = query.compare_filter or CompareFilter()
    if query.trends_filter and query.trends_filter.compare:
        return evolve(asked, compare=True)
    return asked


def series_numbers(trend: Trend, period: Period, series: Series, rows: Sequence[TrendRow]) -> list[TrendNumbers]:
    """Return the finished numbers of one series, one row without breakdown, else one per value in order of rank.

    Without breakdown a series without events is a row of zeros. The row of the values past the limit comes last.
    """
    size = 1 if trend.is_total_value else len(period.buckets.days)
    table: dict[Value, list[float]] = {} if trend.breakdown.splits else {(): [0.0] * size}
    rest: list[float] | None = None
    for bucket, number, is_rest, *value in rows:
        if is_rest:
            rest = rest or [0.0] * size
            rest[bucket] = finite(float(number))
        else:
            table.setdefault(tuple(value), [0.0] * size)[bucket] = finite(float(number))
    table = {value: _finished(trend, data) for value, data in table.items()}
    rest = _finished(trend, rest) if rest is not None else None
    found = ranked(
        table, rest, trend.breakdown.limit if trend.breakdown.is_ranked else None,
        is_total_value=trend.is_total_value, is_cumulative=trend.is_cumulative,
    )  # fmt: skip
    if trend.sampling is not None and not is_statistical(series.node):
        found = [upscaled(row, trend.sampling) for row in found]
    return found


def formula_numbers(
    trend: Trend,
    period: Period,
    found: dict[int, list[TrendNumbers]],
    formula: formulas.Formula,
    *,
    undefined: float = 0.0,
) -> list[TrendNumbers]:
    """Return a formula's numbers, one row without breakdown, else one per value of any series, missing ones last.

    The largest come first; of equal ones those with the larger first numbers, then those with the later value. `found`
    has the numbers of each series by its order; a series that has none of a value counts as zeros. `undefined` is what
    `formulas.evaluate` takes for a division by zero.
    """
    size = 1 if trend.is_total_value else len(period.buckets.days)
    tables = [
        {(row.value, row.is_other): row.data for row in found.get(order, ())}
        for order in range(len(trend.query.series))
    ]
    zeros = [0.0] * size
    rows = []
    for key in dict.fromkeys(key for table in tables for key in table):
        data = formulas.evaluate(formula, [table.get(key, zeros) for table in tables], undefined=undefined)
        rows.append(TrendNumbers(key[0], data, total_of(data, is_cumulative=False), key[1]))
    rows.sort(key=lambda row: (row.data, [text or "" for text in row.value]), reverse=True)
    return sorted(rows, key=lambda row: (row.is_other, None in row.value, -row.total))


def display_name(node: SeriesNode, scope: Scope) -> str:
    """Return what a series is called: its event, its action's name, or `All events`."""
    if isinstance(node, ActionsNode):
        known = scope.actions.get(node.id)
        return (known.name if known else None) or node.name or f"Action {node.id}"
    return node.event or "All events"


def _finished(trend: Trend, data: list[float]) -> list[float]:
    if trend.is_cumulative:
        data = cumulated(data)
    return smoothed(data, trend.smoothing) if trend.smoothing > 1 and not trend.is_total_value else data


def _refuse_unsupported(query: TrendsQuery, path: str) -> None:
    display = query.trends_filter and query.trends_filter.display
    if display in ("BoxPlot", "SlopeGraph"):
        raise UnsupportedQuery(f"The display '{display}' is not supported.", path=f"{path}.trendsFilter.display")


def _series(node: SeriesNode, order: int, shared: Condition, setting: Setting, path: str) -> Series:
    event, entity = entity_condition(node, setting.scope, path)
    _, matches = matching(node, shared, setting, path)
    return Series(order, node, display_name(node, setting.scope), event, entity, matches, path)


def _formulas(query: TrendsQuery, path: str) -> tuple[tuple[FormulaNode, formulas.Formula], ...]:
    """Return what is computed from the series: the nodes, else the older list, else the oldest single formula."""
    asked = query.trends_filter
    if asked is None:
        return ()
    path = f"{path}.trendsFilter"
    if asked.formula_nodes:
        found = [(node, f"{path}.formulaNodes[{place}].formula") for place, node in enumerate(asked.formula_nodes)]
    elif asked.formulas and any(asked.formulas):
        found = [(FormulaNode(text), f"{path}.formulas[{place}]") for place, text in enumerate(asked.formulas) if text]
    else:
        found = [(FormulaNode(asked.formula), f"{path}.formula")] if asked.formula else []
    return tuple((node, formulas.parse(node.formula, n_series=len(query.series), path=where)) for node, where in found)


def _smoothing(query: TrendsQuery, path: str) -> int:
    asked = query.trends_filter.smoothing_intervals if query.trends_filter else None
    if asked is not None and asked < 1:
        raise InvalidQuery(
            "Smoothing needs a positive number of intervals.", path=f"{path}.trendsFilter.smoothingIntervals"
        )
    return asked or 1


def _period(trend: Trend, bounds: dates.Bounds, setting: Setting, compare_label: str | None) -> Period:
    axis = dates.buckets(bounds)
    plans = tuple(_plan(trend, series, bounds, axis, setting) for series in trend.series)
    return Period(bounds, axis, compare_label, plans)


def _plan(trend: Trend, series: Series, bounds: dates.Bounds, axis: dates.Buckets, setting: Setting) -> TrendPlan:
    breakdown = trend.breakdown
    read = reading(
        series.node, series.entity, bounds, axis, is_total_value=trend.is_total_value,
        is_cumulative=trend.is_cumulative, scope=setting.scope, path=series.path,
    )  # fmt: skip
    # Smoothing rounds each value's numbers down, so values can only be added up after it.
    folds = bool(breakdown.splits) and breakdown.is_ranked and trend.smoothing == 1
    return TrendPlan(
        project_id=setting.project_id,
        event=series.event,
        condition=series.condition,
        count_from=read.count_from,
        count_to=bounds.count_to,
        edges=read.edges,
        counting=read.counting,
        splits=breakdown.splits,
        ranking=Ranking(breakdown.limit, null_ranks_last=not trend.is_total_value) if folds else None,
        sampling=trend.sampling,
    )
