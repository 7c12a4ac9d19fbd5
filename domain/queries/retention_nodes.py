"""Query nodes of retention. Meaning: `domain.queries.retention`. Source: PostHog query schema, node RetentionQuery."""

from __future__ import annotations

from typing import Any, Literal

from attrs import frozen

from .nodes import BreakdownFilter, DateRange, Properties, in_json

RetentionPeriod = Literal["Hour", "Day", "Week", "Month"]
RetentionType = Literal["retention_recurring", "retention_first_time", "retention_first_ever_occurrence"]


@frozen
class RetentionEntity:
    """What an actor does to enter, or to be seen again."""

    id: str | int | None = None
    type: Literal["events", "actions", "data_warehouse"] | None = None
    kind: str | None = None
    name: str | None = None
    custom_name: str | None = None
    order: int | None = None
    uuid: str | None = None
    properties: Properties | None = None
    table_name: Any = None
    timestamp_field: Any = None
    aggregation_target_field: Any = None


@frozen
class RetentionFilter:
    """What is counted; the fields after `aggregation_property_type` only matter to the drawing client."""

    retention_type: RetentionType | None = in_json("retentionType")
    period: RetentionPeriod | None = None
    total_intervals: int | None = in_json("totalIntervals", 8)
    """COMPAT: left out it is 8, but null means 7."""
    target_entity: RetentionEntity | None = in_json("targetEntity")
    returning_entity: RetentionEntity | None = in_json("returningEntity")
    cumulative: bool | None = None
    minimum_occurrences: int | None = in_json("minimumOccurrences")
    time_window_mode: Literal["strict_calendar_dates", "24_hour_windows"] | None = in_json("timeWindowMode")
    retention_custom_brackets: tuple[float, ...] | None = in_json("retentionCustomBrackets")
    aggregation_type: Literal["count", "sum", "avg"] | None = in_json("aggregationType")
    aggregation_property: str | None = in_json("aggregationProperty")
    aggregation_property_type: Literal["event", "person"] | None = in_json("aggregationPropertyType")
    retention_reference: Any = in_json("retentionReference")
    mean_retention_calculation: Any = in_json("meanRetentionCalculation")
    display: Any = None
    dashboard_display: Any = in_json("dashboardDisplay")
    show_trend_lines: Any = in_json("showTrendLines")
    selected_interval: Any = in_json("selectedInterval")
    goal_lines: Any = in_json("goalLines")


@frozen
class RetentionQuery:
    """Who comes back in the intervals after they were first seen."""

    kind: Literal["RetentionQuery"]
    retention_filter: RetentionFilter = in_json("retentionFilter", RetentionFilter())
    date_range: DateRange | None = None
    filter_test_accounts: bool | None = None
    properties: Properties | None = None
    aggregation_group_type_index: int | None = None
    sampling_factor: float | None = None
    breakdown_filter: BreakdownFilter | None = None
    data_color_theme: Any = None
    tags: Any = None
    version: Any = None
    modifiers: Any = None
    response: Any = None
