"""The legacy filters as query parameters: what every analytics endpoint takes beside its own (3.11, 3.16, 3.18)."""

from __future__ import annotations

from collections.abc import Mapping

from .operations import Parameter, Schema
from .parameters import CALCULATION, PAST
from .schemas import ANY, BOOLEAN, INTEGER, NUMBER, OBJECT, TEXT, array

_PLAIN: Mapping[str, Schema] = {
    **dict.fromkeys(
        ("insight", "shown_as", "date_from", "date_to", "interval", "display", "formula", "compare_to",
         "breakdown_type",
         "funnel_viz_type", "funnel_order_type", "funnel_window_interval_unit", "funnel_step_reference",
         "breakdown_attribution_type", "layout", "funnel_aggregate_by_hogql", "retention_type", "retention_reference",
         "funnel_correlation_type",
         "period", "start_point", "end_point", "paths_hogql_expression", "funnel_paths", "y_axis_scale_type",
         "aggregation_axis_format", "aggregation_axis_prefix", "aggregation_axis_postfix", "breakdown",
         "breakdown_attribution_value", "bin_count"),
        TEXT,
    ),
    **dict.fromkeys(
        ("breakdown_limit", "breakdown_group_type_index", "breakdown_histogram_bin_count", "smoothing_intervals",
         "aggregation_group_type_index", "funnel_window_interval", "funnel_window_days", "funnel_from_step",
         "funnel_to_step", "total_intervals", "step_limit", "edge_limit", "min_edge_weight", "max_edge_weight",
         "decimal_places"),
        INTEGER,
    ),
    **dict.fromkeys(
        ("filter_test_accounts", "explicit_date", "compare", "breakdown_hide_other_aggregation",
         "breakdown_normalize_url", "show_legend", "show_values_on_series", "show_labels_on_series",
         "show_percent_stack_view", "show_multiple_y_axes", "cumulative", "path_replacements"),
        BOOLEAN,
    ),
    "sampling_factor": NUMBER,
}  # fmt: skip
_JSON_TEXT: Mapping[str, Schema] = {
    **dict.fromkeys(("events", "actions", "breakdowns", "exclusions"), array(OBJECT)),
    **dict.fromkeys(("target_entity", "returning_entity", "hidden_legend_keys", "funnel_filter"), OBJECT),
    "properties": {"anyOf": [array(OBJECT), OBJECT]},
    **dict.fromkeys(
        (
            "funnel_correlation_names",
            "funnel_correlation_exclude_names",
            "funnel_correlation_event_names",
            "funnel_correlation_event_exclude_property_names",
            "funnel_correlation_exclude_event_names",
            "include_event_types",
            "include_custom_events",
            "path_groupings",
            "exclude_events",
            "local_path_cleaning_filters",
            "toggledLifecycles",
        ),
        array(ANY),
    ),
}

LEGACY_FILTERS: tuple[Parameter, ...] = (
    *(Parameter(name, schema, "See the legacy filter of this name.") for name, schema in _PLAIN.items()),
    *(
        Parameter(name, schema, "See the legacy filter of this name.", is_json_text=True)
        for name, schema in _JSON_TEXT.items()
    ),
)
"""Every filter that a legacy definition knows; an endpoint ignores those of another kind of insight."""
LEGACY_PARAMETERS = (*LEGACY_FILTERS, *CALCULATION, *PAST)
"""What every legacy endpoint takes that calculates."""
