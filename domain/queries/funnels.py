"""Funnels: a FunnelsQuery becomes plans that say who is followed through which steps.

`resolve` checks the query and gives the plans; `funnel_results` makes the response of what answers them. Source:
PostHog's funnels query runner and its documentation (queries.md 6).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from attrs import Factory, evolve, frozen

from ..errors import InvalidQuery, QueryTooLarge
from . import dates
from ._funnel_checks import check_funnel
from ._trend_breakdown import ALL_USERS, cleaned, cohorts_of, source_of_item
from .actions import entity_condition, series_condition
from .funnel_nodes import FunnelsFilter, FunnelsQuery
from .nodes import Breakdown, BreakdownFilter, EventsNode, SeriesNode
from .plan import Condition, HogQLExpression, Source
from .properties import all_of
from .resolution import Setting, actor_of, bounds_of, sampling_of, shared_condition
from .scope import Scope
from .sequence_plans import Attribution, EventTest, ExclusionTest, FunnelPlan, Selection
from .trend_plan import Actor

MAX_MARKS = 60
"""Steps and exclusions together."""
MAX_BREAKDOWN_LIMIT = 1000
MAX_VALUES = 10_000
"""Values of breakdowns without a limit of their own; those past it are folded too."""
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800, "month": 31 * 86400}
_FIRSTS: Mapping[str, Any] = {
    "first_time_for_user": "named",
    "first_time_for_user_with_filters": "matching",
    "first_matching_event_for_user": "matching",
}
"""Maths of steps; others have no meaning there, clients leave them in from a trend."""
_FOLDED = frozenset({"event", "person", "group"})
"""Types of breakdowns whose values past the limit are folded."""


@frozen
class FunnelBreakdown:
    """How the numbers are split; without sources and cohorts they are not."""

    sources: tuple[Source, ...] = ()
    kind: str = "event"
    limit: int = MAX_VALUES
    """How many values are told apart, the others are folded."""
    n_rates: int = 25
    """How many values have rates per period."""
    is_list: bool = True
    """Whether values are shown as lists of texts, or as plain ones (of one property of groups)."""
    hides_rest: bool = False
    """Whether what is folded is not shown."""
    cohorts: Mapping[str, tuple[int | str, str]] = Factory(dict)
    """By id as text: the id as it is shown, and the name."""


@frozen
class Funnel:
    """A resolved FunnelsQuery."""

    query: FunnelsQuery
    asked: FunnelsFilter
    bounds: dates.Bounds
    names: tuple[str | None, ...]
    """Per step, what it is called."""
    breakdown: FunnelBreakdown
    plans: tuple[tuple[str | None, FunnelPlan], ...]
    """One; with a breakdown by cohorts one per cohort, with its id as text."""
    sampling: float | None

    @property
    def n_steps(self) -> int:
        """How many steps there are."""
        return len(self.query.series)

    @property
    def from_step(self) -> int:
        """The step from which times and rates count, 0-based."""
        return min(self.asked.funnel_from_step or 0, max(self.n_steps - 1, 0))

    @property
    def to_step(self) -> int:
        """The step to which they count, 0-based."""
        last = self.n_steps - 1
        return last if self.asked.funnel_to_step is None else min(self.asked.funnel_to_step, last)

    @property
    def is_unordered(self) -> bool:
        """Whether the order of the steps does not matter."""
        return self.asked.funnel_order_type == "unordered"


def resolve(query: FunnelsQuery, setting: Setting, *, path: str = "query") -> Funnel:
    """Return what to compute.

    Raises InvalidQuery with the path of what a funnel may not ask, UnsupportedQuery for what cannot be answered.
    """
    asked = query.funnels_filter or FunnelsFilter()
    check_funnel(asked, query.series, path)
    scope = setting.scope
    bounds = bounds_of(query.date_range, query.interval or "day", setting, path)
    shared = shared_condition(query.properties, query.filter_test_accounts, setting, path)
    # A histogram of times is of everyone, whatever their value.
    is_split = asked.funnel_viz_type != "time_to_convert"
    breakdown, cohorts = _breakdown(query.breakdown_filter if is_split else None, scope, path)
    exclusions = tuple(
        ExclusionTest(
            EventTest(*series_condition(one, scope, f"{path}.funnelsFilter.exclusions[{place}]")),
            one.funnel_from_step or 0,
            one.funnel_to_step or 0,
        )
        for place, one in enumerate(asked.exclusions or ())
    )
    if len(query.series) + len(exclusions) > MAX_MARKS:
        raise QueryTooLarge(f"A funnel has at most {MAX_MARKS} steps and exclusions.", path=f"{path}.series")
    attribution = None
    if breakdown.sources:
        kind = asked.breakdown_attribution_type or "first_touch"
        attribution = Attribution(breakdown.sources, kind, asked.breakdown_attribution_value or 0)
    sampling = sampling_of(query.sampling_factor, path)
    plan = FunnelPlan(
        events=Selection(
            setting.project_id,
            bounds.from_instant,
            bounds.to_instant,
            shared,
            _actor(query, asked, setting, path),
            sampling,
        ),
        steps=tuple(_step(node, scope, f"{path}.series[{place}]") for place, node in enumerate(query.series)),
        window_us=window_us(asked, f"{path}.funnelsFilter"),
        order=asked.funnel_order_type or "ordered",
        optional=frozenset(place for place, node in enumerate(query.series) if node.optional_in_funnel),
        exclusions=exclusions,
        attribution=attribution,
    )
    plans: list[tuple[str | None, FunnelPlan]] = [
        (name, evolve(plan, events=evolve(plan.events, condition=all_of([shared, members]))))
        for name, members in cohorts.items()
    ]
    names = tuple(step_name(node, scope) for node in query.series)
    return Funnel(query, asked, bounds, names, breakdown, tuple(plans or [(None, plan)]), sampling)


def window_us(asked: FunnelsFilter, path: str) -> int:
    """Return the conversion window in microseconds; a month is 31 days. Raises InvalidQuery past a thousand years."""
    count = 14 if asked.funnel_window_interval is None else asked.funnel_window_interval
    seconds = count * _SECONDS[asked.funnel_window_interval_unit or "day"]
    if seconds > timedelta(days=366_000).total_seconds():
        raise InvalidQuery("The window is too long.", path=f"{path}.funnelWindowInterval")
    return seconds * 1_000_000


def step_name(node: SeriesNode, scope: Scope) -> str | None:
    """Return what a step is called: its event or action; None for every event."""
    if isinstance(node, EventsNode):
        return node.event
    known = scope.actions.get(node.id)
    return (known.name if known else None) or node.name


def _step(node: SeriesNode, scope: Scope, path: str) -> EventTest:
    _, among = entity_condition(node, scope, path)
    return EventTest(*series_condition(node, scope, path), first=_FIRSTS.get(node.math or ""), among=among)


def _actor(query: FunnelsQuery, asked: FunnelsFilter, setting: Setting, path: str) -> Actor:
    expression = asked.funnel_aggregate_by_hogql
    if query.aggregation_group_type_index is None and expression not in (None, "", "person_id"):
        return HogQLExpression(str(expression), f"{path}.funnelsFilter.funnelAggregateByHogQL")
    return actor_of(query.aggregation_group_type_index, setting, path)


def _breakdown(
    asked: BreakdownFilter | None, scope: Scope, path: str
) -> tuple[FunnelBreakdown, Mapping[str, Condition]]:
    if asked is None:
        return FunnelBreakdown(), {}
    path = f"{path}.breakdownFilter"
    limit = 25 if asked.breakdown_limit is None else asked.breakdown_limit
    if not 1 <= limit <= MAX_BREAKDOWN_LIMIT:
        raise InvalidQuery(f"The limit is from 1 to {MAX_BREAKDOWN_LIMIT}.", path=f"{path}.breakdown_limit")
    items = asked.breakdowns or _items(asked)
    if not items:
        return FunnelBreakdown(), {}
    kind = items[0].type or "event"
    if all(item.type == "cohort" for item in items):
        if asked.breakdowns:
            several = tuple(item.property for item in asked.breakdowns)
            return _by_cohorts(cohorts_of(several, scope, f"{path}.breakdowns"))
        return _by_cohorts(cohorts_of(asked.breakdown, scope, f"{path}.breakdown"))
    rules = scope.path_rules if asked.breakdown_path_cleaning else ()
    places = [f"{path}.breakdowns[{place}]" if asked.breakdowns else path for place in range(len(items))]
    sources = tuple(
        cleaned(source_of_item(item, scope, where), rules, is_normalized=bool(item.normalize_url))
        for item, where in zip(items, places, strict=True)
    )
    told_apart = limit if kind in _FOLDED else MAX_VALUES
    hides_rest = bool(asked.breakdown_hide_other_aggregation)
    return FunnelBreakdown(
        sources, kind, told_apart, limit, is_list=kind != "group" or len(items) > 1, hides_rest=hides_rest
    ), {}


def _items(asked: BreakdownFilter) -> tuple[Breakdown, ...]:
    value: Any = asked.breakdown
    if value is None or value in ("", ()):
        return ()
    values = value if isinstance(value, tuple) else (value,)
    return tuple(
        Breakdown(one, asked.breakdown_type, asked.breakdown_normalize_url, asked.breakdown_group_type_index)
        for one in values
    )


def _by_cohorts(known: Mapping[str, tuple[str, Condition]]) -> tuple[FunnelBreakdown, Mapping[str, Condition]]:
    names = {one: (one if one == ALL_USERS else int(one), name) for one, (name, _) in known.items()}
    return FunnelBreakdown(kind="cohort", cohorts=names), {one: members for one, (_, members) in known.items()}
