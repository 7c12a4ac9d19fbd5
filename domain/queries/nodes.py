"""Query nodes: what a client asks, as values with the meaning of the API's JSON and Python's spelling.

Python names are the API's in snake case; `json_name` tells how JSON spells them (`dateRange`, `math_property`). This
module holds no meaning beyond defaults; `application.query_nodes` reads JSON into it.
Source: PostHog query schema, see the nodes TrendsQuery, EventsNode, BreakdownFilter, PropertyGroupFilter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import attrs
from attrs import frozen

Interval = Literal["minute", "hour", "day", "week", "month"]
Math = Literal[
    "total", "dau", "weekly_active", "monthly_active", "unique_session", "unique_group", "first_time_for_user",
    "first_matching_event_for_user", "first_time_for_user_with_filters", "hogql",
    "sum", "avg", "min", "max", "median", "p75", "p90", "p95", "p99",
    "avg_count_per_actor", "min_count_per_actor", "max_count_per_actor", "median_count_per_actor",
    "p75_count_per_actor", "p90_count_per_actor", "p95_count_per_actor", "p99_count_per_actor",
]  # fmt: skip
Display = Literal[
    "ActionsLineGraph", "ActionsBar", "ActionsUnstackedBar", "ActionsStackedBar", "ActionsAreaGraph",
    "ActionsLineGraphCumulative", "ActionsPie", "ActionsBarValue", "ActionsTable", "WorldMap", "BoldNumber",
    "CalendarHeatmap", "BoxPlot", "SlopeGraph",
]  # fmt: skip
BreakdownType = Literal[
    "event", "person", "cohort", "group", "session", "hogql", "event_metadata", "data_warehouse",
    "data_warehouse_person_property", "revenue_analytics",
]  # fmt: skip

TOTAL_VALUE_DISPLAYS: frozenset[str] = frozenset(
    {"ActionsPie", "ActionsBarValue", "ActionsTable", "WorldMap", "BoldNumber", "CalendarHeatmap"}
)
"""Displays that want one number per series (and breakdown value) instead of one per bucket."""


_JSON_NAMES = {
    "aggregation_axis_format": "aggregationAxisFormat",
    "aggregation_axis_postfix": "aggregationAxisPostfix",
    "aggregation_axis_prefix": "aggregationAxisPrefix",
    "breakdown_filter": "breakdownFilter",
    "compare_filter": "compareFilter",
    "computed_as": "computedAs",
    "confidence_level": "confidenceLevel",
    "conversion_goal": "conversionGoal",
    "data_color_theme": "dataColorTheme",
    "date_range": "dateRange",
    "decimal_places": "decimalPlaces",
    "detailed_results_aggregation_type": "detailedResultsAggregationType",
    "explicit_date": "explicitDate",
    "filter_test_accounts": "filterTestAccounts",
    "fixed_properties": "fixedProperties",
    "formula_nodes": "formulaNodes",
    "goal_lines": "goalLines",
    "hidden_legend_indexes": "hiddenLegendIndexes",
    "interval_count": "intervalCount",
    "lifecycle_filter": "lifecycleFilter",
    "min_decimal_places": "minDecimalPlaces",
    "moving_average_intervals": "movingAverageIntervals",
    "optional_in_funnel": "optionalInFunnel",
    "order_by": "orderBy",
    "result_customization_by": "resultCustomizationBy",
    "result_customizations": "resultCustomizations",
    "sampling_factor": "samplingFactor",
    "show_alert_threshold_lines": "showAlertThresholdLines",
    "show_confidence_intervals": "showConfidenceIntervals",
    "show_labels_on_series": "showLabelsOnSeries",
    "show_legend": "showLegend",
    "show_moving_average": "showMovingAverage",
    "show_multiple_y_axes": "showMultipleYAxes",
    "show_percent_stack_view": "showPercentStackView",
    "show_trend_lines": "showTrendLines",
    "show_values_on_series": "showValuesOnSeries",
    "smoothing_intervals": "smoothingIntervals",
    "stickiness_criteria": "stickinessCriteria",
    "stickiness_filter": "stickinessFilter",
    "toggled_lifecycles": "toggledLifecycles",
    "trends_filter": "trendsFilter",
    "y_axis_scale_type": "yAxisScaleType",
}
"""Fields that JSON spells in another way."""


def json_name(attribute: attrs.Attribute[Any]) -> str:
    """Return the name that the attribute has in JSON."""
    name: str = attribute.metadata.get("json") or _JSON_NAMES.get(attribute.name, attribute.name)
    return name


def in_json(name: str, default: Any = None, *, required: bool = False) -> Any:
    """Return an attribute that JSON calls `name`."""
    return attrs.field(default=attrs.NOTHING if required else default, metadata={"json": name})


def to_json(node: Any) -> Any:
    """Return a node, or what it is made of, as JSON; fields without a value are left out."""
    if attrs.has(type(node)):
        fields = ((json_name(field), getattr(node, field.name)) for field in attrs.fields(type(node)))
        return {name: to_json(value) for name, value in fields if value is not None}
    return [to_json(item) for item in node] if isinstance(node, tuple) else node


@frozen
class DateRange:
    """The asked range as text; `domain.queries.dates` gives it its two instants."""

    date_from: str | None = None
    date_to: str | None = None
    explicit_date: bool | None = False


@frozen
class PropertyFilter:
    """One leaf of a filter; an incomplete leaf (no key, no value where one is needed) counts as always true."""

    key: Any = None
    value: Any = None
    operator: str | None = None
    type: str | None = None
    group_type_index: int | None = None
    label: Any = None
    cohort_name: Any = None


@frozen
class PropertyGroup:
    """Groups or leaves joined by AND or OR; without values always true."""

    type: Literal["AND", "OR"]
    values: tuple[PropertyGroup | PropertyFilter, ...] = ()


Properties = tuple[PropertyFilter, ...] | PropertyGroup
PropertiesAndGroups = tuple[PropertyFilter | PropertyGroup, ...] | PropertyGroup


@frozen
class EventsNode:
    """A series of events; `event` None means every event."""

    kind: Literal["EventsNode"] = "EventsNode"
    event: str | None = None
    name: str | None = None
    custom_name: str | None = None
    properties: Properties | None = None
    fixed_properties: Properties | None = None
    math: Math | None = None
    math_property: str | None = None
    math_property_type: str | None = None
    math_property_revenue_currency: Any = None
    math_multiplier: float | None = None
    math_hogql: str | None = None
    math_group_type_index: int | None = None
    optional_in_funnel: bool | None = None
    limit: int | None = None
    order_by: Any = None
    version: Any = None


@frozen
class ActionsNode:
    """A series of the events that match a saved action."""

    id: int
    kind: Literal["ActionsNode"] = "ActionsNode"
    name: str | None = None
    custom_name: str | None = None
    properties: Properties | None = None
    fixed_properties: Properties | None = None
    math: Math | None = None
    math_property: str | None = None
    math_property_type: str | None = None
    math_property_revenue_currency: Any = None
    math_multiplier: float | None = None
    math_hogql: str | None = None
    math_group_type_index: int | None = None
    optional_in_funnel: bool | None = None
    version: Any = None


SeriesNode = EventsNode | ActionsNode


@frozen
class FormulaNode:
    """A formula over the series' letters."""

    formula: str
    custom_name: str | None = None


@frozen
class TrendsFilter:
    """What TrendsQuery calculates beside its series; the fields after `compare` only matter to the drawing client."""

    display: Display | None = None
    smoothing_intervals: int | None = None
    formula: str | None = None
    formulas: tuple[str, ...] | None = None
    formula_nodes: tuple[FormulaNode, ...] | None = None
    breakdown_histogram_bin_count: int | None = None
    compare: bool | None = None
    """COMPAT: the 2023 place of `compareFilter.compare`."""
    aggregation_axis_format: Any = None
    aggregation_axis_prefix: Any = None
    aggregation_axis_postfix: Any = None
    decimal_places: Any = None
    min_decimal_places: Any = None
    show_legend: Any = None
    show_values_on_series: Any = None
    show_labels_on_series: Any = None
    show_percent_stack_view: Any = None
    show_multiple_y_axes: Any = None
    show_alert_threshold_lines: Any = None
    show_trend_lines: Any = None
    show_moving_average: Any = None
    moving_average_intervals: Any = None
    show_confidence_intervals: Any = None
    confidence_level: Any = None
    y_axis_scale_type: Any = None
    hidden_legend_indexes: Any = None
    result_customization_by: Any = None
    result_customizations: Any = None
    goal_lines: Any = None
    detailed_results_aggregation_type: Any = None


@frozen
class Breakdown:
    """One item of `breakdownFilter.breakdowns`."""

    property: str | int
    type: BreakdownType | None = None
    normalize_url: bool | None = None
    group_type_index: int | None = None
    histogram_bin_count: int | None = None


@frozen
class BreakdownFilter:
    """How the numbers are split; `breakdowns` wins over `breakdown`."""

    breakdown: str | int | tuple[str | int, ...] | None = None
    breakdown_type: BreakdownType | None = None
    breakdown_group_type_index: int | None = None
    breakdown_limit: int | None = None
    breakdown_histogram_bin_count: int | None = None
    breakdown_normalize_url: bool | None = None
    breakdown_path_cleaning: bool | None = None
    breakdown_hide_other_aggregation: bool | None = None
    breakdowns: tuple[Breakdown, ...] | None = None


@frozen
class CompareFilter:
    """Whether the previous period is answered too, and which one that is."""

    compare: bool | None = False
    compare_to: str | None = None


@frozen
class TrendsQuery:
    """Numbers per bucket of time, for several series."""

    kind: Literal["TrendsQuery"]
    series: tuple[SeriesNode, ...]
    interval: Interval | None = None
    date_range: DateRange | None = None
    filter_test_accounts: bool | None = None
    properties: Properties | None = None
    aggregation_group_type_index: int | None = None
    sampling_factor: float | None = None
    trends_filter: TrendsFilter | None = None
    breakdown_filter: BreakdownFilter | None = None
    compare_filter: CompareFilter | None = None
    conversion_goal: Mapping[str, Any] | None = None
    """COMPAT: changes nothing; clients say with it what their series are about."""
    data_color_theme: Any = None
    tags: Any = None
    version: Any = None
    modifiers: Any = None
    response: Any = None


@frozen
class StickinessCriteria:
    """How often an actor must do it in an interval for the interval to count."""

    operator: Literal["gte", "lte", "exact"]
    value: int


@frozen
class StickinessFilter:
    """What StickinessQuery calculates beside its series; the other fields only matter to the drawing client."""

    stickiness_criteria: StickinessCriteria | None = None
    computed_as: Literal["non_cumulative", "cumulative"] | None = None
    display: Display | None = None
    show_legend: Any = None
    show_values_on_series: Any = None
    show_multiple_y_axes: Any = None
    hidden_legend_indexes: Any = None
    result_customization_by: Any = None
    result_customizations: Any = None


@frozen
class StickinessQuery:
    """How many actors were active in how many intervals, for several series."""

    kind: Literal["StickinessQuery"]
    series: tuple[SeriesNode, ...]
    interval: Interval | None = None
    interval_count: int | None = None
    date_range: DateRange | None = None
    filter_test_accounts: bool | None = None
    properties: Properties | None = None
    sampling_factor: float | None = None
    stickiness_filter: StickinessFilter | None = None
    compare_filter: CompareFilter | None = None
    data_color_theme: Any = None
    tags: Any = None
    version: Any = None
    modifiers: Any = None
    response: Any = None


@frozen
class LifecycleFilter:
    """How LifecycleQuery is drawn; none of it changes the numbers."""

    show_values_on_series: Any = None
    toggled_lifecycles: Any = None
    show_legend: Any = None
    stacked: Any = None


@frozen
class LifecycleQuery:
    """How many actors are new, returning, resurrecting and dormant in each interval; only the first series counts."""

    kind: Literal["LifecycleQuery"]
    series: tuple[SeriesNode, ...]
    interval: Interval | None = None
    date_range: DateRange | None = None
    filter_test_accounts: bool | None = None
    properties: Properties | None = None
    aggregation_group_type_index: int | None = None
    sampling_factor: float | None = None
    lifecycle_filter: LifecycleFilter | None = None
    data_color_theme: Any = None
    tags: Any = None
    version: Any = None
    modifiers: Any = None
    response: Any = None


Query = TrendsQuery | StickinessQuery | LifecycleQuery
"""The nodes of this module that can be calculated."""
