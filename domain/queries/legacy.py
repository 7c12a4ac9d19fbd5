"""Legacy `filters` dictionaries as query nodes in JSON.

The dictionaries come from query strings and old saved insights, so numbers, booleans and lists may be texts. Pure;
the result is checked where it is used. Source: PostHog's `filter_to_query` and its tests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, get_args

from ..errors import InvalidQuery
from .legacy_names import FUNNELS, PATHS, PRESENTATION, RETENTION
from .legacy_paths import with_single_events
from .legacy_properties import clean_properties, entity_properties
from .legacy_values import decoded, flag, given, is_true, number, whole
from .nodes import Display

_KINDS = {
    "TRENDS": "TrendsQuery",
    "FUNNELS": "FunnelsQuery",
    "RETENTION": "RetentionQuery",
    "PATHS": "PathsQuery",
    "LIFECYCLE": "LifecycleQuery",
    "STICKINESS": "StickinessQuery",
}
_ENTITY_FIELDS = (
    "name",
    "custom_name",
    "math",
    "math_property",
    "math_hogql",
    "math_group_type_index",
    "math_property_type",
)


def filters_to_query(filters: Any) -> dict[str, Any]:
    """Return the query node that a legacy filter means, as JSON.

    A JSON text, a doubly encoded one, and a list of one filter are unwrapped. Raises InvalidQuery for anything else.
    """
    found = _unwrapped(filters)
    asked = {key: decoded(value) for key, value in found.items() if value is not None}
    name = str(asked.get("insight") or "TRENDS").upper()
    shown_as = asked.get("shown_as")
    name = "LIFECYCLE" if shown_as == "Lifecycle" else "STICKINESS" if shown_as == "Stickiness" else name
    name = "TRENDS" if name == "SESSIONS" else name
    if name not in _KINDS:
        raise InvalidQuery(f"Unknown insight {name!r}.", path="insight")
    query: dict[str, Any] = {"kind": _KINDS[name]} | _shared(asked, name)
    if name not in ("RETENTION", "PATHS"):
        query["series"] = _series(asked, name)
        query |= given({"interval": asked.get("interval")})
    if name in ("TRENDS", "FUNNELS", "RETENTION"):
        query |= given({"breakdownFilter": _breakdown(asked, name)})
    return query | given(_SECTIONS[name](asked))


def _unwrapped(filters: Any) -> Mapping[str, Any]:
    for _ in range(3):
        if isinstance(filters, str):
            try:
                filters = json.loads(filters)
            except ValueError as error:
                raise InvalidQuery("The filter is not JSON.", path="filters") from error
        elif isinstance(filters, list) and len(filters) == 1:
            filters = filters[0]
    if not isinstance(filters, Mapping):
        raise InvalidQuery("A filter is an object.", path="filters")
    return filters


def _shared(asked: Mapping[str, Any], name: str) -> dict[str, Any]:
    date_range = given({"date_from": asked.get("date_from"), "date_to": asked.get("date_to")})
    if "explicit_date" in asked and (date_range or is_true(asked["explicit_date"])):
        date_range["explicitDate"] = is_true(asked["explicit_date"])
    return given(
        {
            "dateRange": date_range or None,
            "properties": clean_properties(asked.get("properties")),
            "filterTestAccounts": True if is_true(asked.get("filter_test_accounts")) else None,
            "samplingFactor": number(asked.get("sampling_factor"), "sampling_factor"),
            "aggregation_group_type_index":
                None if name == "STICKINESS"
                else whole(asked.get("aggregation_group_type_index"), "aggregation_group_type_index"),
        }
    )  # fmt: skip


def _series(asked: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    entities = [
        entity | {"type": "actions"} for entity in _entities(asked.get("actions")) if entity.get("id") is not None
    ]
    entities += [{"type": "events"} | entity for entity in _entities(asked.get("events"))]
    entities.sort(key=lambda entity: whole(entity.get("order"), "events") or -1)
    return [entity_to_node(entity, keeps_math=name != "LIFECYCLE") for entity in entities]


def _entities(value: Any) -> list[dict[str, Any]]:
    if value is None or isinstance(value, str):
        return []
    if not isinstance(value, list):
        raise InvalidQuery("Events and actions are lists.", path="events")
    return [dict(entity) for entity in value if isinstance(entity, Mapping)]


def entity_to_node(entity: Mapping[str, Any], *, keeps_math: bool = True) -> dict[str, Any]:
    """Return the series node of a legacy entity (`id`, `type`, `math` ...)."""
    fields = {field: None if entity.get(field) == "" else entity.get(field) for field in _ENTITY_FIELDS}
    if not keeps_math:
        fields = {field: value for field, value in fields.items() if not field.startswith("math")}
    fields["math_group_type_index"] = whole(fields.get("math_group_type_index"), "events")
    fields["properties"] = entity_properties(entity.get("properties"))
    name = entity.get("id")
    if entity.get("type") == "actions":
        return given({"kind": "ActionsNode", "id": whole(name, "actions"), **fields})
    if entity.get("type") == "data_warehouse":
        own = ("id_field", "table_name", "timestamp_field", "distinct_id_field", "dw_source_type")
        return given({"kind": "DataWarehouseNode", "id": name, **fields, **{field: entity.get(field) for field in own}})
    fields["name"] = fields.get("name") or name
    return given({"kind": "EventsNode", "event": None if name is None else str(name), **fields})


def _breakdown(asked: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    found: dict[str, Any] = {
        "breakdown_limit": whole(asked.get("breakdown_limit"), "breakdown_limit"),
        "breakdown_hide_other_aggregation": flag(asked.get("breakdown_hide_other_aggregation")),
        "breakdown_normalize_url": flag(asked.get("breakdown_normalize_url")),
        "breakdown_group_type_index": whole(asked.get("breakdown_group_type_index"), "breakdown_group_type_index"),
    }
    if name == "TRENDS":
        found["breakdown_histogram_bin_count"] = whole(
            asked.get("breakdown_histogram_bin_count"), "breakdown_histogram_bin_count"
        )
    value, kind, several = asked.get("breakdown"), asked.get("breakdown_type"), asked.get("breakdowns")
    if isinstance(several, list) and len(several) == 1 and isinstance(several[0], Mapping):
        value, kind = several[0].get("property"), several[0].get("type") or kind
        several = None
    if several:
        return given(found | {"breakdowns": several})
    if value in (None, False, "", []) or (kind == "undefined" and not isinstance(value, str)):
        return None
    if isinstance(value, list):
        value = [item for item in value if item is not None]
        if not value:
            return None
    kind = "event" if kind in (None, "events", "undefined") else kind
    return given(found | {"breakdown": value, "breakdown_type": kind})


def _trends(asked: Mapping[str, Any]) -> dict[str, Any]:
    display = asked.get("display") if asked.get("display") in get_args(Display) else None
    section = {
        "display": display,
        "formula": asked.get("formula") or None,
        "smoothingIntervals": _smoothing(asked),
        "hiddenLegendIndexes": _hidden(asked),
    } | {name: asked.get(key) for key, name in PRESENTATION.items()}
    return {"trendsFilter": given(section) or None, "compareFilter": _compare(asked)}


def _smoothing(asked: Mapping[str, Any]) -> int | None:
    if "smoothing_intervals" not in asked:
        return None
    count = whole(asked["smoothing_intervals"], "smoothing_intervals")
    if count is None or count < 1:
        raise InvalidQuery("Smoothing intervals must be a positive integer.", path="smoothing_intervals")
    return count


def _compare(asked: Mapping[str, Any]) -> dict[str, Any] | None:
    compare = flag(asked.get("compare"))
    return given({"compare": compare, "compare_to": asked.get("compare_to")}) or None


def _hidden(asked: Mapping[str, Any]) -> list[int] | None:
    keys = asked.get("hidden_legend_keys")
    if not isinstance(keys, Mapping):
        return None
    return [int(key) for key, value in keys.items() if value and re.fullmatch("[0-9]{1,9}", str(key))]


def _funnels(asked: Mapping[str, Any]) -> dict[str, Any]:
    section = {name: asked.get(key) for key, name in FUNNELS.items()}
    if asked.get("funnel_window_days") is not None:
        section |= {
            "funnelWindowInterval": whole(asked["funnel_window_days"], "funnel_window_days"),
            "funnelWindowIntervalUnit": "day",
        }
    if section["funnelVizType"] is None and asked.get("display") == "ActionsLineGraph":
        section["funnelVizType"] = "trends"
    for key in (
        "funnel_from_step",
        "funnel_to_step",
        "funnel_window_interval",
        "breakdown_attribution_value",
        "bin_count",
    ):
        if FUNNELS[key] != "funnelWindowInterval" or asked.get("funnel_window_days") is None:
            section[FUNNELS[key]] = None if asked.get(key) == "auto" else whole(asked.get(key), key)
    exclusions = [entity_to_node(entity) | _exclusion_steps(entity) for entity in _entities(asked.get("exclusions"))]
    section["exclusions"] = exclusions or None
    return {"funnelsFilter": given(section) or None}


def _exclusion_steps(entity: Mapping[str, Any]) -> dict[str, Any]:
    first, last = (whole(entity.get(f"funnel_{end}_step"), "exclusions") for end in ("from", "to"))
    return given({"funnelFromStep": first, "funnelToStep": last})


def _retention(asked: Mapping[str, Any]) -> dict[str, Any]:
    section = {name: asked.get(key) for key, name in RETENTION.items()}
    section["totalIntervals"] = whole(asked.get("total_intervals"), "total_intervals")
    section["cumulative"] = flag(section["cumulative"])
    for key, name in (("returning_entity", "returningEntity"), ("target_entity", "targetEntity")):
        if isinstance(asked.get(key), Mapping):
            kept = {field: asked[key].get(field) for field in ("type", "id", "name", "custom_name", "order")}
            section[name] = given(kept | {"properties": entity_properties(asked[key].get("properties")) or None})
    return {"retentionFilter": given(section) or None}


def _paths(asked: Mapping[str, Any]) -> dict[str, Any]:
    section = {name: asked.get(key) for key, name in PATHS.items()}
    for key in ("step_limit", "edge_limit", "min_edge_weight", "max_edge_weight"):
        section[PATHS[key]] = whole(asked.get(key), key)
    section["pathReplacements"] = flag(section["pathReplacements"])
    funnel = asked.get("funnel_filter")
    if isinstance(funnel, Mapping):
        funnel = {"insight": "FUNNELS", **funnel}
    from_funnel = {
        "funnelPathType": asked.get("funnel_paths"),
        "funnelSource": filters_to_query(funnel) if isinstance(funnel, Mapping) else None,
        "funnelStep": whole(funnel.get("funnel_step"), "funnel_filter") if isinstance(funnel, Mapping) else None,
    }
    found = {"pathsFilter": given(section) or None, "funnelPathsFilter": given(from_funnel) or None}
    if names := asked.get("include_custom_events"):
        found |= with_single_events(given(section), clean_properties(asked.get("properties")), names)
    return found


def _lifecycle(asked: Mapping[str, Any]) -> dict[str, Any]:
    section = {
        "showValuesOnSeries": asked.get("show_values_on_series"),
        "toggledLifecycles": asked.get("toggledLifecycles"),
    }
    return {"lifecycleFilter": given(section) or None}


def _stickiness(asked: Mapping[str, Any]) -> dict[str, Any]:
    section = {
        "showValuesOnSeries": asked.get("show_values_on_series"),
        "showLegend": asked.get("show_legend"),
        "hiddenLegendIndexes": _hidden(asked),
    }
    return {"stickinessFilter": given(section) or None, "compareFilter": _compare(asked)}


_SECTIONS = {
    "TRENDS": _trends,
    "FUNNELS": _funnels,
    "RETENTION": _retention,
    "PATHS": _paths,
    "LIFECYCLE": _lifecycle,
    "STICKINESS": _stickiness,
}
