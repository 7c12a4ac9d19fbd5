"""Result objects of trends as PostHog's 2023 engine gave them.

The numbers are those of `trends`; names, order and which breakdown values are listed differ: the missing value is
`""` and called `none`, values past the limit are dropped, labels name the series too, periods take turns by series.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from math import nan
from typing import Any
from zoneinfo import ZoneInfo

from attrs import evolve

from insightlog.domain.queries import dates, lifecycle, stickiness
from insightlog.domain.queries._trend_math import WINDOW_DAYS, active, actor_of
from insightlog.domain.queries._trend_rows import TrendNumbers, cumulated, total_of
from insightlog.domain.queries.formulas import Formula
from insightlog.domain.queries.lifecycle import Lifecycle
from insightlog.domain.queries.nodes import ActionsNode, DateRange, EventsNode, Interval, SeriesNode, TrendsQuery
from insightlog.domain.queries.plan import AllOf
from insightlog.domain.queries.resolution import Setting
from insightlog.domain.queries.stickiness import Stickiness
from insightlog.domain.queries.trend_plan import (
    CountActive,
    CountActors,
    CountEvents,
    CountPerActor,
    SplitBySource,
    TrendPlan,
    TrendRow,
)
from insightlog.domain.queries.trend_results import Answers, breakdown_label, breakdown_value, filter_echo
from insightlog.domain.queries.trends import Period, Series, Trend, formula_numbers, series_numbers


def query_of_2023(query: TrendsQuery, setting: Setting) -> TrendsQuery:
    """Return the query as it was read: a single number was not broken down, hours were counted back from now."""
    if query.trends_filter and query.trends_filter.display == "BoldNumber":
        query = evolve(query, breakdown_filter=None)
    asked = range_of_2023(query.date_range, query.interval or "day", now=setting.now, zone=setting.zone)
    return evolve(query, date_range=asked)


def range_of_2023(asked: DateRange | None, interval: Interval, *, now: datetime, zone: ZoneInfo) -> DateRange | None:
    """Return a range as that time read it: by hour `-1d` began 24 hours ago, where it now begins at midnight."""
    text = asked.date_from if asked is not None else None
    if asked is None or not text or interval != "hour" or text.endswith(("Start", "End")):
        return asked
    moment = dates.parse(text, now=now, zone=zone)
    if text == "all" or moment.unit is None or moment.unit not in "dwmqy":
        return asked
    return evolve(asked, date_from=dates.bucket_start(moment.local, "hour", 0).isoformat())


def as_of_2023(trend: Trend, setting: Setting) -> Trend:
    """Return the trend with what the engine of that time counted otherwise.

    Bins held equally many numbers; weeks counted from their first day; `weekly_active` by week or month meant the seven
    days up to their first day, and by hour the window reached a day further. `rows_of_2023` makes the rows of these
    plans those of the buckets, and chooses the breakdown values.
    """
    periods = tuple(
        evolve(
            period,
            plans=tuple(
                _plan_of_2023(plan, period, series, setting)
                for plan, series in zip(period.plans, trend.series, strict=True)
            ),
        )
        for period in trend.periods
    )
    return evolve(trend, periods=periods)


def _plan_of_2023(plan: TrendPlan, period: Period, series: Series, setting: Setting) -> TrendPlan:
    splits = tuple(
        evolve(split, are_quantiles=True) if isinstance(split, SplitBySource) and split.n_bins else split
        for split in plan.splits
    )
    plan = evolve(plan, splits=splits, ranking=None)
    bounds, axis = period.bounds, period.buckets
    if not plan.edges or not axis.days:
        return plan
    math = series.node.math or "total"
    if bounds.interval in ("week", "month") and math in WINDOW_DAYS:
        actor = actor_of(series.node, setting.scope, series.path)
        if bounds.interval == "month":
            first = dates.bucket_start(bounds.date_from, "month", bounds.week_start_day)
            bounds = evolve(bounds, interval="day", date_from=first)
            axis = dates.buckets(bounds)
        read = active(math, actor, bounds, axis, is_total_value=False)
        return evolve(plan, counting=read.counting, count_from=read.count_from, edges=read.edges)
    if bounds.interval == "hour" and isinstance(plan.counting, CountActive):
        day = timedelta(days=1)
        later = tuple(plan.edges[-1] + timedelta(hours=number) for number in range(1, 25))
        edges = (*(edge for edge in plan.edges if edge >= plan.edges[0] + day), *later)
        return evolve(plan, count_from=edges[0], edges=edges)
    if bounds.interval == "week" and not bounds.is_exact:
        return evolve(plan, count_from=axis.edges[0])
    return plan


Rows = Sequence[TrendRow]
Ask = Callable[[TrendPlan], Rows]


def rows_of_2023(trend: Trend, answers: Answers, ask: Ask, offset: int = 0) -> list[list[Rows]]:
    """Return the answers to the plans of `as_of_2023` by bucket; `ask` answers further plans.

    Of months counted by day the first days are left. Actors active in trailing days were told apart by a breakdown on
    days with some event of the project only. Of the breakdown values those are left that follow the `offset` largest.
    """
    found = []
    for period, answer in zip(trend.periods, answers, strict=True):
        of_period: list[Rows] = []
        for series, plan, rows in zip(trend.series, period.plans, answer, strict=True):
            if isinstance(plan.counting, CountActive):
                if period.bounds.interval == "month":
                    rows = _of_first_days(period, rows)  # noqa: PLW2901
                elif plan.splits and period.bounds.interval == "day":
                    seen = {bucket for bucket, *_ in ask(_of_any_event(plan, period))}
                    rows = [row for row in rows if row[0] in seen]  # noqa: PLW2901
            of_period.append(_told_apart(trend, rows, lambda: ask(_sizes(plan, series, period)), offset))  # noqa: B023
        found.append(of_period)
    return found


def _told_apart(trend: Trend, rows: Rows, sizes: Callable[[], Rows], offset: int) -> Rows:
    """Return the rows of the values that were told apart: the largest, a missing one like any other."""
    limit, is_ranked = trend.breakdown.limit, trend.breakdown.splits and trend.breakdown.is_ranked
    if not is_ranked or any(isinstance(split, SplitBySource) and split.n_bins for split in trend.breakdown.splits):
        return rows
    if offset == 0 and len({row[3:] for row in rows}) <= limit:
        return rows
    largest = sorted(
        ((size, [(text or "").encode() for text in value], value) for _, size, _, *value in sizes()), reverse=True
    )
    kept = {tuple(value) for _, _, value in largest[offset : offset + limit]}
    return [row for row in rows if row[3:] in kept]


def _sizes(plan: TrendPlan, series: Series, period: Period) -> TrendPlan:
    """Return the plan of what breakdown values ranked by: the number of the whole range, of actors that of events."""
    counting = plan.counting
    if series.node.math == "dau" or isinstance(counting, CountPerActor):
        counting = CountEvents()
    elif isinstance(counting, CountActive):
        counting = CountActors(counting.actor)
    return evolve(plan, counting=counting, count_from=period.bounds.count_from, edges=())


def _of_first_days(period: Period, rows: Rows) -> list[TrendRow]:
    days = [start.date() for start in period.buckets.starts]
    places = {(day - days[0]).days: place for place, day in enumerate(days)}
    return [(places[row[0]], *row[1:]) for row in rows if row[0] in places]


def _of_any_event(plan: TrendPlan, period: Period) -> TrendPlan:
    return TrendPlan(plan.project_id, None, AllOf(), period.bounds.count_from, plan.count_to, period.buckets.edges)


Link = Callable[[Period, Series, Any], dict[str, Any]]
"""Gives the fields of a result that lead to its actors, from its period, series and breakdown value."""


def results(trend: Trend, answers: Answers, link: Link = lambda *_: {}) -> list[dict[str, Any]]:
    """Return the result objects, per series the current and then the previous period.

    Formulas were evaluated, and numbers smoothed, before they were added up; those of a breakdown were not smoothed.
    """
    counted = evolve(trend, smoothing=1) if trend.breakdown.splits else trend
    adds_up_later = trend.is_cumulative and bool(trend.formulas or counted.smoothing > 1)
    counted = evolve(counted, display="ActionsLineGraph") if adds_up_later else counted
    numbers = [
        {
            series.order: _listed(trend, period, series_numbers(counted, period, series, rows))
            for series, rows in zip(trend.series, answer, strict=True)
        }
        for period, answer in zip(trend.periods, answers, strict=True)
    ]
    if trend.formulas:
        return [
            _formula_result(trend, period, text.formula, row)
            for period, found in zip(trend.periods, numbers, strict=True)
            for text, formula in trend.formulas
            for row in _of_formula(trend, period, found, formula)
        ]
    if adds_up_later:
        numbers = [{order: [_added_up(row) for row in rows] for order, rows in found.items()} for found in numbers]
    return [
        result | link(period, series, result.get("breakdown_value"))
        for series in trend.series
        for period, found in zip(trend.periods, numbers, strict=True)
        for row in _ordered(trend, found[series.order])
        for result in [_result(trend, period, series, row)]
    ]


def _added_up(row: TrendNumbers) -> TrendNumbers:
    data = cumulated(row.data)
    return row._replace(data=data, total=total_of(data, is_cumulative=True))


def _listed(trend: Trend, period: Period, rows: Sequence[TrendNumbers]) -> list[TrendNumbers]:
    """Return the rows of a series; over time each cohort has one, also where nobody in it did anything."""
    found = [row for row in rows if not row.is_other]
    if trend.is_total_value or not trend.breakdown.is_by_cohorts:
        return found
    known, zeros = {row.value for row in found}, [0.0] * len(period.buckets.days)
    missing = ((name,) for name in trend.breakdown.cohort_names if (name,) not in known)
    return found + [TrendNumbers(value, list(zeros), 0.0) for value in missing]


def _ordered(trend: Trend, rows: Sequence[TrendNumbers]) -> list[TrendNumbers]:
    """By count descending, then by label; all users first, bins by their lower bound."""
    split = trend.breakdown.splits[0] if len(trend.breakdown.splits) == 1 else None
    if isinstance(split, SplitBySource) and split.n_bins:
        return sorted(rows, key=lambda row: float((row.value[0] or "inf").split(",")[0]))
    return sorted(rows, key=lambda row: (row.value[:1] != ("all",), -row.total, _label(trend, row)))


def _value(trend: Trend, row: TrendNumbers) -> Any:
    """Return the breakdown value, `""` where it is missing; bins with the text of their float bounds."""
    if None in row.value:
        return "" if len(row.value) == 1 else [text or "" for text in row.value]
    split = trend.breakdown.splits[0]
    if isinstance(split, SplitBySource) and split.n_bins and not trend.breakdown.is_list:
        lower, upper = (float(bound) for bound in (row.value[0] or "").split(","))
        return f"[{round(lower, 2)},{round(upper, 2)}]"
    return breakdown_value(trend, row)


def _label(trend: Trend, row: TrendNumbers) -> str:
    if not row.value:
        return ""
    return "none" if None in row.value else breakdown_label(trend, row)


def _result(trend: Trend, period: Period, series: Series, row: TrendNumbers) -> dict[str, Any]:
    node, name = series.node, name_of_2023(series.node, series.name)
    found: dict[str, Any] = {
        "action": {
            "id": node.event if isinstance(node, EventsNode) else node.id,
            "type": "events" if isinstance(node, EventsNode) else "actions",
            "order": series.order,
            "name": name,
            "custom_name": node.custom_name,
            "math": node.math,
            "math_property": node.math_property,
            "math_hogql": node.math_hogql,
            "math_group_type_index": node.math_group_type_index,
            "properties": {},
        },
        "label": name if not row.value else f"{name} - {_label(trend, row)}",
    }
    return found | _numbers(trend, period, row) | {"filter": filter_echo(trend, period)}


def _of_formula(
    trend: Trend, period: Period, numbers: dict[int, list[TrendNumbers]], formula: Formula
) -> list[TrendNumbers]:
    """In the order in which the series have the values: all users first, then by value; a missing one is empty text."""
    found = {row.value: row for row in formula_numbers(trend, period, numbers, formula, undefined=nan)}
    values = [
        sorted((row.value for row in rows), key=lambda value: (value[:1] != ("all",), [text or "" for text in value]))
        for rows in numbers.values()
    ]
    return [found[value] for value in dict.fromkeys(value for of_series in values for value in of_series)]


def _formula_result(trend: Trend, period: Period, text: str, row: TrendNumbers) -> dict[str, Any]:
    value = "" if None in row.value else _label(trend, row)
    if not trend.is_total_value:
        data = [round(number, 2) for number in row.data]
        data = cumulated(data) if trend.is_cumulative else data
        row = row._replace(data=data, total=total_of(data, is_cumulative=False))
    return {"label": value if row.value else f"Formula ({text})"} | _numbers(trend, period, row)


def _numbers(trend: Trend, period: Period, row: TrendNumbers) -> dict[str, Any]:
    found: dict[str, Any] = {"breakdown_value": _value(trend, row)} if row.value else {}
    if trend.is_total_value:
        days = [] if trend.formulas else _days_between(period, trend.query.interval)
        found |= {"data": [], "days": days, "labels": [], "count": 0, "aggregated_value": row.data[0]}
    else:
        found |= {
            "data": row.data,
            "days": list(period.buckets.days),
            "labels": _labels(period.bounds, period.buckets),
            "count": row.total,
        }
    if period.compare_label:
        found |= {"compare": True, "compare_label": period.compare_label}
        found["labels"] = numbered(found["labels"], period.bounds.interval)
    return found


def numbered(labels: Sequence[str], interval: Interval) -> list[str]:
    """Return the labels that compared periods had instead: `day 0`, `day 1` ..."""
    return [f"{interval} {place}" for place in range(len(labels))]


def with_numbered(rows: Sequence[dict[str, Any]], interval: Interval) -> list[dict[str, Any]]:
    """Return results with the labels of compared periods numbered."""
    return [
        row | {"labels": numbered(row["labels"], interval)} if row.get("compare") and "labels" in row else row
        for row in rows
    ]


def _days_between(period: Period, interval: Interval | None) -> list[str]:
    """Return the days of a total value: one every interval, months of 30 days, from the beginning on."""
    step = timedelta(days={"week": 7, "month": 30}.get(interval or "day", 1))
    n_days = (period.bounds.date_to - period.bounds.date_from) // step + 1
    return [(period.bounds.date_from + step * place).date().isoformat() for place in range(n_days)]


def _labels(bounds: dates.Bounds, axis: dates.Buckets) -> list[str]:
    if bounds.interval == "hour":
        return [f"{dates.day_label(start)} {start:%H:%M}" for start in axis.starts]
    return [dates.day_label(start) for start in axis.starts]


def name_of_2023(node: SeriesNode, name: str) -> str:
    """Return what a series was called: as the filter named its event, or like its action."""
    return name if isinstance(node, ActionsNode) else node.name or name


def stickiness_of_2023(sticky: Stickiness) -> Stickiness:
    """Return the stickiness with the names of that time."""
    return evolve(sticky, series=tuple((order, node, name_of_2023(node, name)) for order, node, name in sticky.series))


def stickiness_results(sticky: Stickiness, answers: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the result objects of `stickiness.results`; intervals of compared periods were numbered."""
    return with_numbered(stickiness.results(sticky, answers), sticky.periods[0].bounds.interval)


def without_offset(asked: DateRange | None) -> DateRange | None:
    """Return a range as the lifecycle of that time read it: instants as times of the clock of UTC."""
    if asked is None:
        return None
    texts = [
        (dates.instant_of(text, UTC) if text and not dates.is_day(text) else None, text)
        for text in (asked.date_from, asked.date_to)
    ]
    date_from, date_to = (text if at is None else at.replace(tzinfo=None).isoformat() for at, text in texts)
    return evolve(asked, date_from=date_from, date_to=date_to)


def lifecycle_results(cycle: Lifecycle, rows: Sequence[tuple[int, str, int]]) -> list[dict[str, Any]]:
    """Return the result objects of a lifecycle, with the labels of that time."""
    labels = _labels(cycle.bounds, cycle.buckets)
    cycle = evolve(cycle, name=name_of_2023(cycle.node, cycle.name))
    return [result | {"labels": labels} for result in lifecycle.results(cycle, rows)]
