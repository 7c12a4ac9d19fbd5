"""How legacy filters are called in queries, and the other way round. Pure."""

from __future__ import annotations

import re

PRESENTATION = {
    "show_legend": "showLegend",
    "show_values_on_series": "showValuesOnSeries",
    "show_labels_on_series": "showLabelsOnSeries",
    "show_percent_stack_view": "showPercentStackView",
    "show_multiple_y_axes": "showMultipleYAxes",
    "y_axis_scale_type": "yAxisScaleType",
    "aggregation_axis_format": "aggregationAxisFormat",
    "aggregation_axis_prefix": "aggregationAxisPrefix",
    "aggregation_axis_postfix": "aggregationAxisPostfix",
    "decimal_places": "decimalPlaces",
}
RETENTION = {
    "retention_type": "retentionType",
    "retention_reference": "retentionReference",
    "total_intervals": "totalIntervals",
    "period": "period",
    "cumulative": "cumulative",
}
PATHS = {
    "include_event_types": "includeEventTypes",
    "start_point": "startPoint",
    "end_point": "endPoint",
    "path_groupings": "pathGroupings",
    "exclude_events": "excludeEvents",
    "step_limit": "stepLimit",
    "path_replacements": "pathReplacements",
    "local_path_cleaning_filters": "localPathCleaningFilters",
    "edge_limit": "edgeLimit",
    "min_edge_weight": "minEdgeWeight",
    "max_edge_weight": "maxEdgeWeight",
    "paths_hogql_expression": "pathsHogQLExpression",
}
FUNNELS = {
    "funnel_viz_type": "funnelVizType",
    "funnel_order_type": "funnelOrderType",
    "funnel_from_step": "funnelFromStep",
    "funnel_to_step": "funnelToStep",
    "funnel_window_interval": "funnelWindowInterval",
    "funnel_window_interval_unit": "funnelWindowIntervalUnit",
    "funnel_step_reference": "funnelStepReference",
    "breakdown_attribution_type": "breakdownAttributionType",
    "breakdown_attribution_value": "breakdownAttributionValue",
    "bin_count": "binCount",
    "layout": "layout",
    "funnel_aggregate_by_hogql": "funnelAggregateByHogQL",
}


PARAMETERS = {
    **{name: key for section in (FUNNELS, RETENTION, PATHS, PRESENTATION) for key, name in section.items()},
    "series": "events",
    "dateRange": "date_from",
    "samplingFactor": "sampling_factor",
    "filterTestAccounts": "filter_test_accounts",
    "explicitDate": "explicit_date",
    "smoothingIntervals": "smoothing_intervals",
    "targetEntity": "target_entity",
    "returningEntity": "returning_entity",
    "funnelPathType": "funnel_paths",
    "funnelSource": "funnel_filter",
    "funnelStep": "funnel_step",
    "funnelCustomSteps": "funnel_custom_steps",
    "funnelStepBreakdown": "funnel_step_breakdown",
    "funnelTrendsDropOff": "drop_off",
    "funnelTrendsEntrancePeriodStart": "entrance_period_start",
    "pathStartKey": "path_start_key",
    "pathEndKey": "path_end_key",
    "pathDropoffKey": "path_dropoff_key",
    **{
        f"funnelCorrelation{name}": f"funnel_correlation_{key}"
        for name, key in (
            ("Type", "type"),
            ("Names", "names"),
            ("ExcludeNames", "exclude_names"),
            ("EventNames", "event_names"),
            ("EventExcludePropertyNames", "event_exclude_property_names"),
            ("ExcludeEventNames", "exclude_event_names"),
            ("PersonConverted", "person_converted"),
            ("PersonEntity", "person_entity"),
            ("PropertyValues", "property_values"),
        )
    },
}
"""Fields of queries -> the legacy filters that they are made of, where these have another name."""
_SELECTORS = {
    "query.source.interval": "selected_interval",
    "query.source.day": "target_date",
    "query.source.status": "lifecycle_type",
    "query.source.breakdown": "breakdown_value",
}
"""What chooses actors and has the name of another field inside the insight."""
_SECTION = re.compile(r"(source|dateRange|\w+Filter)\.")
_MATH = re.compile(r"series\[\d+\]\.(math_\w+)")


def parameter_of(path: str) -> str:
    """Return the legacy filter that a field of a query comes from; a path of no query stays as it is.

    >>> parameter_of("query.dateRange.date_from"), parameter_of("query.series[0].kind"), parameter_of("properties")
    ('date_from', 'events', 'properties')
    >>> parameter_of("query.series[0].math_property")
    'math_property'
    """
    if not path.startswith("query."):
        return path
    if path in _SELECTORS:
        return _SELECTORS[path]
    inside = path.removeprefix("query.")
    while (section := _SECTION.match(inside)) is not None:
        if section[1] == "funnelPathsFilter":
            return "funnel_paths" if inside.endswith(".funnelPathType") else "funnel_filter"
        inside = inside[section.end() :]
    if (of_math := _MATH.match(inside)) is not None:
        return of_math[1]
    name = re.split(r"[.\[]", inside)[0]
    return PARAMETERS.get(name, name)
