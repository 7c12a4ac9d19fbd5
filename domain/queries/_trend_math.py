"""What a series' math counts: from the node's `math` fields to the counting of a plan.

Source: PostHog's trend math (see the MathType values of its query schema).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast

from attrs import evolve, frozen

from ..errors import InvalidQuery, UnsupportedQuery
from . import dates
from .nodes import SeriesNode
from .plan import Condition, EventColumn, HogQLExpression, SessionField, Source
from .properties import MAX_GROUP_TYPES, source_of
from .scope import Scope
from .trend_plan import (
    Actor,
    CountActive,
    CountActors,
    CountEvents,
    CountFirstTimers,
    Counting,
    CountPerActor,
    Evaluate,
    Measure,
    Statistic,
)

STATISTICS = frozenset({"sum", "avg", "min", "max", "median", "p75", "p90", "p95", "p99"})
_PER_ACTOR = "_count_per_actor"
WINDOW_DAYS = {"weekly_active": 7, "monthly_active": 30}
_SAME_AS_DAU = {("weekly_active", "week"), ("weekly_active", "month"), ("monthly_active", "month")}


@frozen
class Reading:
    """What is read for one series in one period."""

    counting: Counting
    count_from: datetime
    edges: tuple[datetime, ...]


def is_statistical(node: SeriesNode) -> bool:
    """Whether a share of the events is expected to give the same number as all of them."""
    math = node.math or "total"
    return math.endswith(_PER_ACTOR) or math in STATISTICS - {"sum"}


def actor_of(node: SeriesNode, scope: Scope, path: str) -> Actor:
    """Return whom the math of a node counts: sessions, groups of its index, distinct ids or persons.

    A group type index says nothing to `unique_session` and `dau`, which are not about groups.
    """
    if node.math == "unique_session":
        return EventColumn("$session_id")
    if node.math_group_type_index is not None and node.math != "dau":
        if not 0 <= node.math_group_type_index < MAX_GROUP_TYPES:
            raise InvalidQuery("A group type index is a number from 0 to 4.", path=f"{path}.math_group_type_index")
        return EventColumn(f"$group_{node.math_group_type_index}")
    if node.math == "unique_group":
        raise InvalidQuery("This math needs a group type index.", path=f"{path}.math_group_type_index", code="required")
    return EventColumn("distinct_id") if scope.aggregates_by_distinct_id else "person"


def reading(
    node: SeriesNode,
    entity: Condition,
    bounds: dates.Bounds,
    axis: dates.Buckets,
    *,
    is_total_value: bool,
    is_cumulative: bool,
    scope: Scope,
    path: str,
) -> Reading:
    """Return what to count, from when on and in which buckets or slots.

    `entity` is what makes an event one of the series, whatever the filters. Raises InvalidQuery for fields that the
    math needs and the node lacks, UnsupportedQuery for what is not answered.
    """
    math = node.math or "total"
    if math in WINDOW_DAYS and (is_total_value or (math, bounds.interval) not in _SAME_AS_DAU):
        return active(math, actor_of(node, scope, path), bounds, axis, is_total_value=is_total_value)
    edges = () if is_total_value else axis.edges
    counting = _counting(node, math, entity, is_cumulative=is_cumulative, scope=scope, path=path)
    return Reading(counting, bounds.count_from, edges)


def active(math: str, actor: Actor, bounds: dates.Bounds, axis: dates.Buckets, *, is_total_value: bool) -> Reading:
    """Return how actors are counted in trailing windows; slots are days, but hours or minutes for buckets so short."""
    n_days = WINDOW_DAYS[math]
    if is_total_value:
        since = dates.instant(bounds.date_to - timedelta(days=n_days), bounds.zone).replace(microsecond=0)
        return Reading(CountActors(actor), since, ())
    n_buckets = len(axis.days)
    if bounds.interval in ("minute", "hour"):
        step = axis.edges[1] - axis.edges[0] if n_buckets else timedelta(hours=1)
        n_window = timedelta(days=n_days) // step
        before = tuple(axis.edges[0] - step * place for place in range(n_window - 1, 0, -1))
        edges = (*before, *axis.edges)
        return Reading(CountActive(actor, n_buckets, n_window), edges[0], edges)
    first = dates.bucket_start(bounds.date_from, bounds.interval, bounds.week_start_day)
    slots = dates.buckets(evolve(bounds, interval="day", date_from=first - timedelta(days=n_days - 1)))
    stride = 7 if bounds.interval == "week" else 1
    return Reading(CountActive(actor, n_buckets, n_days, stride), slots.edges[0], slots.edges)


def _counting(
    node: SeriesNode, math: str, entity: Condition, *, is_cumulative: bool, scope: Scope, path: str
) -> Counting:
    if math == "total":
        return CountEvents()
    if math in ("dau", "unique_group", "weekly_active", "monthly_active"):
        return CountActors(actor_of(node, scope, path), is_once=is_cumulative)
    if math == "unique_session":
        return CountActors(actor_of(node, scope, path), counts_missing=True)
    if math in ("first_time_for_user", "first_matching_event_for_user", "first_time_for_user_with_filters"):
        among = entity if math == "first_time_for_user" else None
        return CountFirstTimers(actor_of(node, scope, path), among)
    if math == "hogql":
        if not node.math_hogql:
            raise InvalidQuery("This math needs an expression.", path=f"{path}.math_hogql", code="required")
        return Evaluate(node.math_hogql, f"{path}.math_hogql", scope)
    if math.endswith(_PER_ACTOR):
        return CountPerActor(cast("Statistic", math.removesuffix(_PER_ACTOR)), actor_of(node, scope, path))
    return _measure(node, cast("Statistic", math), scope, path)


def _measure(node: SeriesNode, statistic: Statistic, scope: Scope, path: str) -> Measure:
    name = node.math_property
    if not name:
        raise InvalidQuery("This math needs a property.", path=f"{path}.math_property", code="required")
    currency = node.math_property_revenue_currency
    if currency is not None and currency != {"static": scope.base_currency}:
        raise UnsupportedQuery(
            "Currencies are not converted: amounts must be in the project's base currency.",
            path=f"{path}.math_property_revenue_currency",
        )
    multiplier = 1.0 if node.math_multiplier is None else node.math_multiplier
    if name == "$session_duration":
        return Measure(statistic, SessionField(name), multiplier, is_per_session=True)
    kind = node.math_property_type or "event_properties"
    source: Source
    if kind == "person_properties":
        source = source_of("person", name, None, path=path, scope=scope)
    elif kind == "session_properties":
        return Measure(statistic, SessionField(name), multiplier, is_per_session=True)
    elif "hogql" in kind:
        source = HogQLExpression(name, f"{path}.math_property", scope)
    elif "data_warehouse" in kind:
        raise UnsupportedQuery("Tables of a warehouse are not supported.", path=f"{path}.math_property_type")
    elif name == "$time":
        return Measure(statistic, "time", multiplier)
    else:
        source = source_of("event", name, None, path=path, scope=scope)
    return Measure(statistic, source, multiplier)
