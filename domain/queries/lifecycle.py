"""Lifecycle: how many actors are new, returning, resurrecting and dormant in each interval.

`resolve` makes the plan, `results` the four result objects out of the plan's rows. Source: PostHog's LifecycleQuery.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from attrs import evolve, frozen

from ..errors import InvalidQuery
from . import dates
from ._trend_rows import upscaled_number
from .nodes import ActionsNode, LifecycleQuery, SeriesNode
from .plan import Condition, EventColumn, EventProperty, PropertyTest
from .properties import MAX_GROUP_TYPES, all_of
from .resolution import Setting, check_dates, matching, sampling_of, shared_condition
from .trend_plan import Actor
from .trends import display_name

Status = Literal["new", "returning", "resurrecting", "dormant"]
STATUSES: tuple[Status, ...] = get_args(Status)
_HAS_PROFILE: Condition = PropertyTest(EventProperty("$process_person_profile"), "is_not", ("false",))


@frozen
class LifecyclePlan:
    """The states of actors in the buckets of one period.

    Answered with rows (bucket index, status, number of actors), the first bucket being the one before the period;
    what is 0 is left out. With `only` answered with rows (actor, 1) instead: who has that status in that bucket.
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
    """The person, of those that are stored, or the column of a group key; a group that is not stored is never new."""
    group_type_index: int | None = None
    sampling: float | None = None
    only: tuple[int, Status] | None = None
    limit: int = 100
    offset: int = 0


@frozen
class Lifecycle:
    """A resolved LifecycleQuery."""

    query: LifecycleQuery
    node: SeriesNode
    name: str
    bounds: dates.Bounds
    buckets: dates.Buckets
    plan: LifecyclePlan


def resolve(query: LifecycleQuery, setting: Setting, path: str = "query") -> Lifecycle:
    """Return what to compute. Raises InvalidQuery, UnsupportedQuery and QueryTooLarge with the path."""
    if not query.series:
        raise InvalidQuery("Lifecycle needs at least one series.", path=f"{path}.series")
    node = query.series[0]
    shared = shared_condition(query.properties, query.filter_test_accounts, setting, path)
    event, matches = matching(node, shared, setting, f"{path}.series[0]")
    check_dates(query.date_range, None, setting, path)
    bounds = dates.resolve(
        query.date_range, interval=query.interval or "day", now=setting.now, zone=setting.zone,
        week_start_day=setting.week_start_day, is_exact=bool(query.date_range and query.date_range.explicit_date),
        earliest=setting.earliest,
    )  # fmt: skip
    shown = _from_whole_interval(bounds)
    axis = dates.buckets(shown)
    edges = (_before(shown, axis), *axis.edges)
    index = query.aggregation_group_type_index
    if index is not None and not 0 <= index < MAX_GROUP_TYPES:
        raise InvalidQuery("A group type index is a number from 0 to 4.", path=f"{path}.aggregation_group_type_index")
    plan = LifecyclePlan(
        project_id=setting.project_id,
        event=event,
        condition=all_of([matches, _HAS_PROFILE]),
        count_from=edges[0],
        count_to=edges[-1] - timedelta(microseconds=1),
        edges=edges,
        actor="person" if index is None else EventColumn(f"$group_{index}"),
        group_type_index=index,
        sampling=sampling_of(query.sampling_factor, path),
    )
    return Lifecycle(query, node, display_name(node, setting.scope), bounds, axis, plan)


def results(lifecycle: Lifecycle, rows: Sequence[tuple[int, str, int]]) -> list[dict[str, Any]]:
    """Return the result objects, one per status; numbers of dormant actors are negative."""
    data = {status: [0.0] * len(lifecycle.buckets.days) for status in STATUSES}
    for bucket, status, number in rows:
        if bucket > 0:
            sign = -1 if status == "dormant" else 1
            data[status][bucket - 1] = sign * upscaled_number(number, lifecycle.plan.sampling)  # type: ignore[index]
    return [_result(lifecycle, status, data[status]) for status in STATUSES]


def actors_plan(
    lifecycle: Lifecycle, day: str | int | None, status: Status | None, *, limit: int, offset: int, path: str
) -> LifecyclePlan:
    """Return the plan of the actors behind one number; `day` is one of the result's days. Raises InvalidQuery."""
    if status is None:
        raise InvalidQuery(f"A status is one of {', '.join(STATUSES)}.", path=f"{path}.status")
    if day is None:
        raise InvalidQuery("This must be one of the days of the result.", path=f"{path}.day")
    place = dates.bucket_of(str(day), lifecycle.buckets, lifecycle.bounds, path=f"{path}.day")
    return evolve(lifecycle.plan, only=(place + 1, status), limit=limit, offset=offset)


def _from_whole_interval(bounds: dates.Bounds) -> dates.Bounds:
    """Return bounds that begin with an interval: of an exact range one that began before it is not shown."""
    start = dates.bucket_start(bounds.date_from, bounds.interval, bounds.week_start_day)
    if not bounds.is_exact or start == bounds.date_from:
        return bounds
    return evolve(bounds, date_from=dates.next_start(start, bounds.interval))


def _before(bounds: dates.Bounds, axis: dates.Buckets) -> datetime:
    """Return the start of the interval before the first; intervals of a clock are equally long."""
    if not axis.days:
        return axis.edges[0]
    if bounds.interval in ("minute", "hour"):
        return axis.edges[0] - (axis.edges[1] - axis.edges[0])
    start = dates.bucket_start(bounds.date_from, bounds.interval, bounds.week_start_day)
    before = dates.bucket_start(start - timedelta(days=1), bounds.interval, bounds.week_start_day)
    return dates.instant(before, bounds.zone)


def _result(lifecycle: Lifecycle, status: Status, data: list[float]) -> dict[str, Any]:
    node = lifecycle.node
    is_action = isinstance(node, ActionsNode)
    action = {
        "id": node.id if isinstance(node, ActionsNode) else node.event,
        "name": lifecycle.name,
        "type": "actions" if is_action else "events",
        "order": 0,
        "math": "total",
    }
    if node.custom_name is not None:
        action["custom_name"] = node.custom_name
    return {
        "action": action,
        "label": f"{lifecycle.name} - {status}",
        "status": status,
        "data": data,
        "count": float(sum(data)),
        "labels": list(lifecycle.buckets.labels),
        "days": list(lifecycle.buckets.days),
    }
