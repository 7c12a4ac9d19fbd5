"""The actors behind one number of a trend: from a result's day, series and breakdown value to a plan.

Source: PostHog's InsightActorsQuery over a TrendsQuery.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from attrs import evolve

from ..errors import InvalidQuery, UnsupportedQuery
from ._trend_breakdown import ALL_USERS, ANY_BIN, NULL_VALUE, OTHER_VALUE, TrendBreakdown
from .actions import named
from .dates import bucket_of
from .plan import AllOf, Condition, EventColumn, Not, PropertyTest, Source
from .properties import all_of, any_of, text_of
from .trend_plan import (
    Actor,
    CountActive,
    CountFirstTimers,
    Split,
    SplitByCondition,
    SplitBySource,
    TrendActorsPlan,
    TrendPlan,
)
from .trend_results import SHOWN_WITHIN
from .trends import Period, Trend

_TICK = timedelta(microseconds=1)


def actors_plan(
    trend: Trend,
    *,
    day: str | int | None = None,
    series: int = 0,
    breakdown: Any = None,
    is_previous: bool = False,
    limit: int,
    offset: int,
    path: str,
) -> TrendActorsPlan:
    """Return the plan of the actors of one number.

    `day` is one of the result's days, or a time in its bucket; without it the whole range counts. For the previous
    period it may also be the current day above the meant one, if that is none of the previous days itself. `breakdown`
    is a result's breakdown value; that of the rest stands for everyone. Raises InvalidQuery with the path of a selector
    that selects nothing.
    """
    place = next((place for place, one in enumerate(trend.series) if one.order == series), None)
    if place is None:
        raise InvalidQuery("There is no such series.", path=f"{path}.series")
    if is_previous and len(trend.periods) < 2:
        raise InvalidQuery("The query does not compare periods.", path=f"{path}.compare")
    period = trend.periods[is_previous]
    plan = evolve(period.plans[place], ranking=None)
    actor = _actor(plan)
    if day is None or trend.is_total_value:
        since, until = plan.count_from, plan.count_to
    else:
        since, until = _bounds(trend, plan, period, _bucket(trend, period, str(day), f"{path}.day"))
    plan = evolve(plan, count_from=since, count_to=until, edges=())
    plan, values = _selected(plan, trend.breakdown, breakdown, path=f"{path}.breakdown")
    return TrendActorsPlan(plan, actor, values, limit=limit, offset=offset)


def events_behind(plan: TrendActorsPlan, path: str) -> Condition:
    """Return which events, within the bounds of the plan's trend, its actors were found by.

    Raises UnsupportedQuery where these are not told by their own fields: first times, samples.
    """
    trend = plan.trend
    if isinstance(trend.counting, CountFirstTimers) or trend.sampling is not None:
        raise UnsupportedQuery("The events behind first times, and behind samples, are not listed yet.", path=path)
    parts = [trend.condition]
    if trend.event is not None:
        parts.append(named(trend.event))
    if isinstance(plan.actor, EventColumn):
        parts.append(_is_text(plan.actor))
    if plan.values is not None:
        parts += [_has_value(split, value) for split, value in zip(trend.splits, plan.values, strict=True)]
    return all_of(parts)


def _is_text(source: Source) -> Condition:
    return all_of([PropertyTest(source, "is_set"), PropertyTest(source, "is_not", ("",))])


def _has_value(split: Split, value: str | None) -> Condition:
    if isinstance(split, SplitByCondition):
        return any_of(one for name, one in zip(split.names, split.conditions, strict=True) if name == value)
    if split.normalizes_url:
        pattern = f"^{re.escape('' if value == '/' else value or '')}[/?#]*$"
        return PropertyTest(split.source, *(("is_not_set",) if value is None else ("regex", (pattern,))))
    return Not(_is_text(split.source)) if value is None else PropertyTest(split.source, "exact", (value,))


def _actor(plan: TrendPlan) -> Actor:
    """Return whom to list: the groups that are counted, else the persons behind the events."""
    actor = getattr(plan.counting, "actor", "person")
    return actor if isinstance(actor, EventColumn) and actor.name.startswith("$group_") else "person"


def _bucket(trend: Trend, period: Period, day: str, path: str) -> int:
    try:
        return bucket_of(day, period.buckets, period.bounds, path=path)
    except InvalidQuery:
        current = trend.periods[0]
        place = bucket_of(day, current.buckets, current.bounds, path=path)
        if place >= len(period.buckets.days):
            raise
        return place


def _bounds(trend: Trend, plan: TrendPlan, period: Period, place: int) -> tuple[datetime, datetime]:
    """Return the instants, both inclusive, between which a bucket's number counts events."""
    counting = plan.counting
    if isinstance(counting, CountActive):
        first = place * counting.stride
        since, end = plan.edges[first], plan.edges[min(first + counting.n_window, len(plan.edges) - 1)]
    else:
        edges = period.buckets.edges
        since, end = plan.count_from if trend.is_cumulative else edges[place], edges[place + 1]
    return max(since, plan.count_from), min(end - _TICK, plan.count_to)


def _selected(
    plan: TrendPlan, split_by: TrendBreakdown, value: Any, *, path: str
) -> tuple[TrendPlan, tuple[str | None, ...] | None]:
    """Return the plan for one breakdown value, and the texts to look for."""
    given = list(value) if isinstance(value, list | tuple) else [value]
    is_everyone = OTHER_VALUE in given or (split_by.is_by_cohorts and ALL_USERS in given)
    if not split_by.splits or value is None or is_everyone:
        return evolve(plan, splits=()), None
    if len(given) != len(split_by.splits):
        raise InvalidQuery(f"The breakdown has {len(split_by.splits)} values.", path=path)
    splits, values, conditions = [], [], [plan.condition]
    for split, one in zip(split_by.splits, given, strict=True):
        if isinstance(split, SplitBySource) and split.n_bins is not None:
            conditions.append(AllOf() if one == ANY_BIN else _in_bin(split, one, path))
        else:
            splits.append(split)
            values.append(None if one in (NULL_VALUE, "") else text_of(one))
    counting = plan.counting
    if isinstance(counting, CountFirstTimers) and counting.among is None:
        # An actor's first event is found before its bin is looked at.
        counting = evolve(counting, among=plan.condition)
    return evolve(plan, counting=counting, splits=tuple(splits), condition=all_of(conditions)), tuple(values)


def _in_bin(split: SplitBySource, value: Any, path: str) -> Condition:
    if value in (NULL_VALUE, ""):
        return Not(PropertyTest(split.source, "gte", ("-1e308",)))
    lower, _, upper = str(value).strip("[]").partition(",")
    try:
        first, end = (repr(float(bound) - SHOWN_WITHIN) for bound in (lower, upper))
    except ValueError as error:
        raise InvalidQuery("A bin is given as [lower,upper].", path=path) from error
    return all_of([PropertyTest(split.source, "gte", (first,)), PropertyTest(split.source, "lt", (end,))])
