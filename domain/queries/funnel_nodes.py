"""Query nodes of funnels: FunnelsQuery, its actors, and what correlates with converting.

Their meaning is in `domain.queries.funnels`. Source: PostHog query schema, nodes FunnelsQuery, FunnelsActorsQuery,
FunnelCorrelationQuery, FunnelCorrelationActorsQuery.
"""

from __future__ import annotations

from typing import Any, Literal

from attrs import frozen

from .nodes import ActionsNode, BreakdownFilter, DateRange, EventsNode, Interval, Properties, SeriesNode, in_json

Attribution = Literal["first_touch", "last_touch", "all_events", "step"]
FunnelOrder = Literal["ordered", "unordered", "strict"]
WindowUnit = Literal["second", "minute", "hour", "day", "week", "month"]


@frozen(kw_only=True)
class ExcludedEvents(EventsNode):
    """Events that must not happen between two steps."""

    funnel_from_step: int | None = in_json("funnelFromStep")
    funnel_to_step: int | None = in_json("funnelToStep")


@frozen(kw_only=True)
class ExcludedAction(ActionsNode):
    """An action that must not happen between two steps."""

    funnel_from_step: int | None = in_json("funnelFromStep")
    funnel_to_step: int | None = in_json("funnelToStep")


Excluded = ExcludedEvents | ExcludedAction


@frozen
class FunnelsFilter:
    """How the steps are counted; the fields after `bin_count` only matter to the drawing client."""

    funnel_viz_type: Literal["steps", "time_to_convert", "trends"] | None = in_json("funnelVizType")
    funnel_order_type: FunnelOrder | None = in_json("funnelOrderType")
    funnel_window_interval: int | None = in_json("funnelWindowInterval")
    funnel_window_interval_unit: WindowUnit | None = in_json("funnelWindowIntervalUnit")
    funnel_from_step: int | None = in_json("funnelFromStep")
    """0-based."""
    funnel_to_step: int | None = in_json("funnelToStep")
    exclusions: tuple[Excluded, ...] | None = None
    breakdown_attribution_type: Attribution | None = in_json("breakdownAttributionType")
    breakdown_attribution_value: int | None = in_json("breakdownAttributionValue")
    """0-based step."""
    funnel_aggregate_by_hogql: str | None = in_json("funnelAggregateByHogQL")
    bin_count: int | None = in_json("binCount")
    funnel_step_reference: Any = in_json("funnelStepReference")
    layout: Any = None
    hidden_legend_breakdowns: Any = in_json("hiddenLegendBreakdowns")
    result_customizations: Any = in_json("resultCustomizations")
    goal_lines: Any = in_json("goalLines")
    show_values_on_series: Any = in_json("showValuesOnSeries")
    use_udf: Any = in_json("useUdf")


@frozen
class FunnelsQuery:
    """How many actors take steps one after the other."""

    kind: Literal["FunnelsQuery"]
    series: tuple[SeriesNode, ...]
    interval: Interval | None = None
    date_range: DateRange | None = None
    filter_test_accounts: bool | None = None
    properties: Properties | None = None
    aggregation_group_type_index: int | None = None
    sampling_factor: float | None = None
    funnels_filter: FunnelsFilter | None = in_json("funnelsFilter")
    breakdown_filter: BreakdownFilter | None = None
    data_color_theme: Any = None
    tags: Any = None
    version: Any = None
    modifiers: Any = None
    response: Any = None


@frozen
class FunnelsActorsQuery:
    """Who took a step (`funnelStep` n), or did not take it after the one before (-n)."""

    kind: Literal["FunnelsActorsQuery"]
    source: FunnelsQuery
    funnel_step: int | None = in_json("funnelStep")
    funnel_custom_steps: tuple[int, ...] | None = in_json("funnelCustomSteps")
    funnel_step_breakdown: str | int | float | tuple[str | int | float, ...] | None = in_json("funnelStepBreakdown")
    funnel_trends_drop_off: bool | None = in_json("funnelTrendsDropOff")
    funnel_trends_entrance_period_start: str | None = in_json("funnelTrendsEntrancePeriodStart")
    include_recordings: bool | None = in_json("includeRecordings")
    tags: Any = None
    version: Any = None
    modifiers: Any = None
    response: Any = None


@frozen
class FunnelCorrelationQuery:
    """Which events or properties go with converting, or with not converting."""

    kind: Literal["FunnelCorrelationQuery"]
    source: FunnelsActorsQuery
    funnel_correlation_type: Literal["events", "properties", "event_with_properties"] | None = in_json(
        "funnelCorrelationType"
    )
    exclude_event_names: tuple[str, ...] | None = in_json("funnelCorrelationExcludeEventNames")
    event_names: tuple[str, ...] | None = in_json("funnelCorrelationEventNames")
    event_exclude_property_names: tuple[str, ...] | None = in_json("funnelCorrelationEventExcludePropertyNames")
    names: tuple[str, ...] | None = in_json("funnelCorrelationNames")
    exclude_names: tuple[str, ...] | None = in_json("funnelCorrelationExcludeNames")
    tags: Any = None
    version: Any = None
    modifiers: Any = None
    response: Any = None


@frozen
class FunnelCorrelationActorsQuery:
    """Who stands behind one row of a correlation."""

    kind: Literal["FunnelCorrelationActorsQuery"]
    source: FunnelCorrelationQuery
    person_converted: bool | None = in_json("funnelCorrelationPersonConverted")
    person_entity: SeriesNode | None = in_json("funnelCorrelationPersonEntity")
    property_values: Properties | None = in_json("funnelCorrelationPropertyValues")
    include_recordings: bool | None = in_json("includeRecordings")
    tags: Any = None
    version: Any = None
    modifiers: Any = None
    response: Any = None
