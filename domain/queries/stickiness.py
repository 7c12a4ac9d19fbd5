"""Stickiness: how many actors were active in exactly, or at least, so many intervals.

`resolve` makes the plans, `results` the result objects out of their rows. Source: PostHog's StickinessQuery.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from attrs import evolve, frozen

from ..errors import InvalidQuery, QueryTooLarge
from . import dates
from ._trend_rows import upscaled_number
from .actions import is_known
from .nodes import CompareFilter, EventsNode, SeriesNode, StickinessQuery
from .plan import Condition, EventColumn, HogQLExpression
from .properties import MAX_GROUP_TYPES
from .resolution import Setting, actor_of, check_dates, matching, sampling_of, shared_condition
from .trend_plan import Actor
from .trends import display_name

CountOperator = Literal["exact", "gte", "lte"]


@frozen
class StickinessPlan:
    """In how many intervals the actors of one series were active.

    Answered with rows (number of intervals, number of actors). With `only` answered with rows (actor, number of
    intervals) instead: those whose number of intervals compares so with the given one.
    """

    project_id: int
    event: str | None
    condition: Condition
    count_from: datetime
    """UTC instant, inclusive."""
    count_to: datetime
    """UTC instant, inclusive."""
    edges: tuple[datetime, ...]
    """UTC instants, one more than there are buckets."""
    actor: Actor
    n_joined: int = 1
    """How many neighbouring buckets are one interval, from the last on."""
    threshold: tuple[CountOperator, int] = ("gte", 1)
    """How many events in an interval make an actor active in it."""
    sampling: float | None = None
    only: tuple[CountOperator, int] | None = None
    limit: int = 100
    offset: int = 0


@frozen
class Period:
    """One of the compared periods, or the only one."""

    bounds: dates.Bounds
    compare_label: str | None
    n_intervals: int
    plans: tuple[StickinessPlan, ...]
    """One per series, in their order."""


@frozen
class Stickiness:
    """A resolved StickinessQuery."""

    query: StickinessQuery
    series: tuple[tuple[int, SeriesNode, str], ...]
    """Order, node and name of each; a series of an action that does not exist is left out."""
    periods: tuple[Period, ...]

    @property
    def is_cumulative(self) -> bool:
        """Whether numbers are of actors with so many intervals or more."""
        asked = self.query.stickiness_filter
        return asked is not None and asked.computed_as == "cumulative"


def resolve(query: StickinessQuery, setting: Setting, path: str = "query") -> Stickiness:
    """Return what to compute. Raises InvalidQuery, UnsupportedQuery and QueryTooLarge with the path."""
    shared = shared_condition(query.properties, query.filter_test_accounts, setting, path)
    compare = query.compare_filter or CompareFilter()
    check_dates(query.date_range, compare, setting, path)
    n_joined = 1 if query.interval_count is None else query.interval_count
    if n_joined < 1:
        raise InvalidQuery("An interval count is at least 1.", path=f"{path}.intervalCount")
    bounds = dates.resolve(
        query.date_range, interval=query.interval or "day", now=setting.now, zone=setting.zone,
        week_start_day=setting.week_start_day, is_exact=bool(query.date_range and query.date_range.explicit_date),
        earliest=setting.earliest,
    )  # fmt: skip
    known = tuple((order, node) for order, node in enumerate(query.series) if is_known(node, setting.scope))
    series = tuple((order, node, display_name(node, setting.scope)) for order, node in known)

    def period(bounds: dates.Bounds, label: str | None) -> Period:
        axis = dates.buckets(bounds)
        edges = axis.edges if query.interval_count is None else dates.edges_back(bounds)
        joined = min(n_joined, max(len(edges), len(axis.days)))  # more than there are is all of them
        plans = tuple(
            _plan(query, node, bounds, edges, shared, setting, joined, f"{path}.series[{order}]")
            for order, node in known
        )
        return Period(bounds, label, -(-len(axis.days) // n_joined), plans)

    periods = [period(bounds, "current" if compare.compare else None)]
    if compare.compare:
        periods.append(
            period(dates.previous(bounds, compare.compare_to, by_weeks=setting.scope.compares_by_weeks), "previous")
        )
    if sum(period.n_intervals for period in periods) * len(known) > dates.MAX_BUCKETS:
        raise QueryTooLarge(f"The query asks for more than {dates.MAX_BUCKETS} numbers.", path=f"{path}.dateRange")
    return Stickiness(query, series, tuple(periods))


def results(stickiness: Stickiness, answers: Sequence[Sequence[Sequence[tuple[int, int]]]]) -> list[dict[str, Any]]:
    """Return the result objects, all of the current period first; `answers` are rows per period and series."""
    return [
        _result(stickiness, period, place, rows)
        for period, answer in zip(stickiness.periods, answers, strict=True)
        for place, rows in enumerate(answer)
    ]


def actors_plan(
    stickiness: Stickiness,
    day: str | int | None,
    *,
    series: int = 0,
    operator: CountOperator | None = None,
    is_previous: bool = False,
    limit: int,
    offset: int,
    path: str,
) -> StickinessPlan:
    """Return the plan of the actors behind one number; `day` is a number of intervals.

    Without `operator` those are meant that the number counts: whoever has as many intervals, or, of cumulative
    numbers, at least as many. Raises InvalidQuery for a number, series or period that there is not.
    """
    try:
        n_intervals = int(day or "")
    except ValueError as error:
        raise InvalidQuery("This must be a number of intervals.", path=f"{path}.day") from error
    operator = operator or ("gte" if stickiness.is_cumulative else "exact")
    place = next((place for place, (order, *_) in enumerate(stickiness.series) if order == series), None)
    if place is None or (is_previous and len(stickiness.periods) < 2):
        raise InvalidQuery("There is no such series.", path=f"{path}.{'series' if place is None else 'compare'}")
    plan = stickiness.periods[is_previous].plans[place]
    return evolve(plan, only=(operator, n_intervals), limit=limit, offset=offset)


def _plan(
    query: StickinessQuery,
    node: SeriesNode,
    bounds: dates.Bounds,
    edges: tuple[datetime, ...],
    shared: Condition,
    setting: Setting,
    n_joined: int,
    path: str,
) -> StickinessPlan:
    event, matches = matching(node, shared, setting, path)
    criteria = query.stickiness_filter.stickiness_criteria if query.stickiness_filter else None
    return StickinessPlan(
        project_id=setting.project_id,
        event=event,
        condition=matches,
        count_from=bounds.count_from,
        count_to=bounds.count_to,
        edges=edges,
        actor=_actor(node, setting, path),
        n_joined=n_joined,
        threshold=(criteria.operator, criteria.value) if criteria else ("gte", 1),
        sampling=sampling_of(query.sampling_factor, "query"),
    )


def _actor(node: SeriesNode, setting: Setting, path: str) -> Actor:
    """Return who is counted: groups, or what an expression names, where the math says so; else persons."""
    if node.math == "hogql":
        if not node.math_hogql:
            raise InvalidQuery("This math needs an expression.", path=f"{path}.math_hogql", code="required")
        return HogQLExpression(node.math_hogql, f"{path}.math_hogql", setting.scope)
    if node.math == "unique_group":
        index = node.math_group_type_index
        if index is None:
            detail = "This math needs a group type index."
            raise InvalidQuery(detail, path=f"{path}.math_group_type_index", code="required")
        if not 0 <= index < MAX_GROUP_TYPES:
            raise InvalidQuery("A group type index is a number from 0 to 4.", path=f"{path}.math_group_type_index")
        return EventColumn(f"$group_{index}")
    return actor_of(None, setting, path)


def _result(stickiness: Stickiness, period: Period, place: int, rows: Sequence[tuple[int, int]]) -> dict[str, Any]:
    order, node, name = stickiness.series[place]
    exactly = [0.0] * period.n_intervals
    for n_intervals, n_actors in rows:
        exactly[n_intervals - 1] = upscaled_number(n_actors, period.plans[place].sampling)
    count, data = float(sum(exactly)), exactly
    if stickiness.is_cumulative:
        data = [float(sum(exactly[index:])) for index in range(len(exactly))]
    found: dict[str, Any] = {
        "action": {
            "order": order,
            "type": "events",
            "name": name,
            "id": node.event if isinstance(node, EventsNode) else name,
        },
        "label": name,
        "count": count,
        "data": data,
        "days": list(range(1, period.n_intervals + 1)),
        "labels": [_label(number, period, stickiness) for number in range(1, period.n_intervals + 1)],
    }
    if node.custom_name is not None:
        found["action"]["custom_name"] = node.custom_name
    if period.compare_label:
        found |= {"compare": True, "compare_label": period.compare_label}
    return found


def _label(number: int, period: Period, stickiness: Stickiness) -> str:
    text = f"{number} {period.bounds.interval}{'' if number == 1 else 's'}"
    return f"{text} or more" if stickiness.is_cumulative else text
