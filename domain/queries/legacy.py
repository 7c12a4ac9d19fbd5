"""Legacy `filters` dictionaries as query nodes in JSON.

The dictionaries come from query strings and old saved insights, so numbers, booleans and lists may be texts. Pure;
the result is checked where it is used. Source: PostHog's `filter_to_query` and its tests.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, get_args

from ..errors import InvalidQuery
from .legacy_names import FUNNELS, PATHS, PRESENTATION, RETENTION
from .legacy_paths import with_single_events
from .nodes import Display

LARGEST = 2**53
"""Numbers are smaller: greater ones are not the same in every JSON."""
_TRUE = frozenset({"true", "1", "t", "y", "yes"})
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
_COHORT_TYPES = {"static-cohort": "cohort", "precalculated-cohort": "cohort"}
_WITHOUT_OPERATOR = frozenset({"cohort", "hogql"})
_WITH_OPERATOR = frozenset(
    {
        "event",
        "event_metadata",
        "feature",
        "person",
        "group",
        "session",
        "element",
        "recording",
        "log_entry",
        "data_warehouse",
        "data_warehouse_person_property",
    }
)
_INVERSE_PAIRS = (
    ("exact", "is_not"),
    ("icontains", "not_icontains"),
    ("regex", "not_regex"),
    ("gt", "lte"),
    ("lt", "gte"),
    ("is_set", "is_not_set"),
    ("is_date_before", "is_date_after"),
)
_INVERSE = {name: other for pair in _INVERSE_PAIRS for name, other in (pair, pair[::-1])}


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
        query |= _kept({"interval": asked.get("interval")})
    if name in ("TRENDS", "FUNNELS", "RETENTION"):
        query |= _kept({"breakdownFilter": _breakdown(asked, name)})
    return query | _kept(_SECTIONS[name](asked))


def clean_properties(properties: Any) -> Any:
    """Return property filters in today's form: a list or dictionary becomes a group, leaves are cleaned.

    Raises InvalidQuery for a text that is not JSON and for values that are neither leaf nor group.
    """
    if isinstance(properties, str):
        try:
            properties = json.loads(properties)
        except ValueError as error:
            raise InvalidQuery("Properties are unparsable!") from error  # COMPAT: without the field
    if not properties:
        return None
    if isinstance(properties, list):
        return {"type": "AND", "values": [{"type": "AND", "values": clean_leaves(properties)}]}
    if not isinstance(properties, Mapping):
        raise InvalidQuery("Properties are a list, an object or a group.", path="properties")
    if is_group(properties):
        return _group(properties)
    leaves = []
    for key, value in properties.items():
        name, _, operator = key.partition("__")
        leaves.append({"key": name, "value": value, "operator": operator or "exact", "type": "event"})
    return {"type": "AND", "values": [{"type": "AND", "values": clean_leaves(leaves)}]}


def is_group(part: Any) -> bool:
    """Whether a part of properties holds others."""
    return isinstance(part, Mapping) and "values" in part and "key" not in part


def clean_leaves(leaves: Any) -> list[dict[str, Any]]:
    """Return the leaves of a list in today's form, without empty ones."""
    if isinstance(leaves, Mapping):
        group = clean_properties(leaves)
        return [leaf for part in group["values"] for leaf in part.get("values", [part])] if group else []
    if not isinstance(leaves, list):
        raise InvalidQuery("Properties are a list, an object or a group.", path="properties")
    if not all(isinstance(leaf, Mapping) for leaf in leaves):
        raise InvalidQuery("A property filter is an object.", path="properties")
    return [_leaf(leaf) for leaf in leaves if leaf]


def is_true(value: Any) -> bool:
    """Whether a value of a query string means yes."""
    return value is True or str(value).lower() in _TRUE


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


def decoded(value: Any) -> Any:
    """Return a list or object that arrived as text."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _kept(section: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in section.items() if value is not None}


def _shared(asked: Mapping[str, Any], name: str) -> dict[str, Any]:
    date_range = _kept({"date_from": asked.get("date_from"), "date_to": asked.get("date_to")})
    if "explicit_date" in asked and (date_range or is_true(asked["explicit_date"])):
        date_range["explicitDate"] = is_true(asked["explicit_date"])
    return _kept(
        {
            "dateRange": date_range or None,
            "properties": clean_properties(asked.get("properties")),
            "filterTestAccounts": True if is_true(asked.get("filter_test_accounts")) else None,
            "samplingFactor": _number(asked.get("sampling_factor"), "sampling_factor"),
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
    fields["properties"] = _of_entity(entity.get("properties"))
    name = entity.get("id")
    if entity.get("type") == "actions":
        return _kept({"kind": "ActionsNode", "id": whole(name, "actions"), **fields})
    if entity.get("type") == "data_warehouse":
        own = ("id_field", "table_name", "timestamp_field", "distinct_id_field", "dw_source_type")
        return _kept({"kind": "DataWarehouseNode", "id": name, **fields, **{field: entity.get(field) for field in own}})
    fields["name"] = fields.get("name") or name
    return _kept({"kind": "EventsNode", "event": None if name is None else str(name), **fields})


def _of_entity(properties: Any) -> Any:
    """Return the filters of an entity: a list that is joined by AND, or the group where it says otherwise."""
    properties = decoded(properties)
    if is_group(properties):
        group = _group(properties)
        return group if _has_choices(group) else leaves_of(group)
    return None if properties is None else clean_leaves(properties)


def _has_choices(part: Mapping[str, Any]) -> bool:
    """Whether some filters are joined by OR."""
    parts = part.get("values", ()) if "key" not in part else ()
    return (len(parts) > 1 and part["type"] == "OR") or any(map(_has_choices, parts))


def leaves_of(part: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the leaves of a group and of the groups in it; a leaf is its own."""
    parts = part.get("values", ()) if "key" not in part else None
    return [part] if parts is None else [leaf for one in parts for leaf in leaves_of(one)]


def _group(group: Mapping[str, Any]) -> dict[str, Any]:
    kind, values = str(group.get("type") or "AND").upper(), group.get("values")
    if kind not in ("AND", "OR"):
        raise InvalidQuery(f"Unknown group type {kind!r}; it is AND or OR.", path="properties.type")
    if not isinstance(values, list) or not all(isinstance(value, Mapping) for value in values):
        raise InvalidQuery("The values of a group are a list of objects.", path="properties.values")
    are_groups = [is_group(value) for value in values if value]
    if any(are_groups) and not all(are_groups):
        raise InvalidQuery("A list of values cannot contain both groups and properties.", path="properties.values")
    parts = [_group(value) if is_group(value) else _leaf(value) for value in values if value]
    return {"type": kind, "values": parts}


def _leaf(leaf: Mapping[str, Any]) -> dict[str, Any]:
    kind = str(leaf.get("type") or "event")
    kind = "event" if kind == "events" else _COHORT_TYPES.get(kind, kind)
    value = leaf.get("value", leaf.get("values"))
    if isinstance(value, list):
        value = [item for item in value if item is not None]
    operator = leaf.get("operator")
    if is_true(leaf.get("negation")):
        operator = "not_in" if kind == "cohort" else _INVERSE.get(str(operator or "exact"), operator)
    elif kind in _WITHOUT_OPERATOR:
        operator = operator if operator in ("in", "not_in") else None
    elif kind in _WITH_OPERATOR:
        operator = operator or "exact"
    cleaned = {
        "key": "id" if kind == "cohort" else leaf.get("key"),
        "value": value,
        "operator": operator,
        "type": kind,
        "group_type_index": whole(leaf.get("group_type_index"), "properties"),
        "label": leaf.get("label"),
        "cohort_name": leaf.get("cohort_name"),
    }
    return _kept(cleaned)


def _breakdown(asked: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    found: dict[str, Any] = {
        "breakdown_limit": whole(asked.get("breakdown_limit"), "breakdown_limit"),
        "breakdown_hide_other_aggregation": _flag(asked.get("breakdown_hide_other_aggregation")),
        "breakdown_normalize_url": _flag(asked.get("breakdown_normalize_url")),
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
        return _kept(found | {"breakdowns": several})
    if value in (None, False, "", []) or (kind == "undefined" and not isinstance(value, str)):
        return None
    if isinstance(value, list):
        value = [item for item in value if item is not None]
        if not value:
            return None
    kind = "event" if kind in (None, "events", "undefined") else kind
    return _kept(found | {"breakdown": value, "breakdown_type": kind})


def _trends(asked: Mapping[str, Any]) -> dict[str, Any]:
    display = asked.get("display") if asked.get("display") in get_args(Display) else None
    section = {
        "display": display,
        "formula": asked.get("formula") or None,
        "smoothingIntervals": _smoothing(asked),
        "hiddenLegendIndexes": _hidden(asked),
    } | {name: asked.get(key) for key, name in PRESENTATION.items()}
    return {"trendsFilter": _kept(section) or None, "compareFilter": _compare(asked)}


def _smoothing(asked: Mapping[str, Any]) -> int | None:
    if "smoothing_intervals" not in asked:
        return None
    count = whole(asked["smoothing_intervals"], "smoothing_intervals")
    if count is None or count < 1:
        raise InvalidQuery("Smoothing intervals must be a positive integer.", path="smoothing_intervals")
    return count


def _compare(asked: Mapping[str, Any]) -> dict[str, Any] | None:
    compare = _flag(asked.get("compare"))
    return _kept({"compare": compare, "compare_to": asked.get("compare_to")}) or None


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
    return {"funnelsFilter": _kept(section) or None}


def _exclusion_steps(entity: Mapping[str, Any]) -> dict[str, Any]:
    first, last = (whole(entity.get(f"funnel_{end}_step"), "exclusions") for end in ("from", "to"))
    return _kept({"funnelFromStep": first, "funnelToStep": last})


def _retention(asked: Mapping[str, Any]) -> dict[str, Any]:
    section = {name: asked.get(key) for key, name in RETENTION.items()}
    section["totalIntervals"] = whole(asked.get("total_intervals"), "total_intervals")
    section["cumulative"] = _flag(section["cumulative"])
    for key, name in (("returning_entity", "returningEntity"), ("target_entity", "targetEntity")):
        if isinstance(asked.get(key), Mapping):
            kept = {field: asked[key].get(field) for field in ("type", "id", "name", "custom_name", "order")}
            section[name] = _kept(kept | {"properties": _of_entity(asked[key].get("properties")) or None})
    return {"retentionFilter": _kept(section) or None}


def _paths(asked: Mapping[str, Any]) -> dict[str, Any]:
    section = {name: asked.get(key) for key, name in PATHS.items()}
    for key in ("step_limit", "edge_limit", "min_edge_weight", "max_edge_weight"):
        section[PATHS[key]] = whole(asked.get(key), key)
    section["pathReplacements"] = _flag(section["pathReplacements"])
    funnel = asked.get("funnel_filter")
    if isinstance(funnel, Mapping):
        funnel = {"insight": "FUNNELS", **funnel}
    from_funnel = {
        "funnelPathType": asked.get("funnel_paths"),
        "funnelSource": filters_to_query(funnel) if isinstance(funnel, Mapping) else None,
        "funnelStep": whole(funnel.get("funnel_step"), "funnel_filter") if isinstance(funnel, Mapping) else None,
    }
    found = {"pathsFilter": _kept(section) or None, "funnelPathsFilter": _kept(from_funnel) or None}
    if names := asked.get("include_custom_events"):
        found |= with_single_events(_kept(section), clean_properties(asked.get("properties")), names)
    return found


def _lifecycle(asked: Mapping[str, Any]) -> dict[str, Any]:
    section = {
        "showValuesOnSeries": asked.get("show_values_on_series"),
        "toggledLifecycles": asked.get("toggledLifecycles"),
    }
    return {"lifecycleFilter": _kept(section) or None}


def _stickiness(asked: Mapping[str, Any]) -> dict[str, Any]:
    section = {
        "showValuesOnSeries": asked.get("show_values_on_series"),
        "showLegend": asked.get("show_legend"),
        "hiddenLegendIndexes": _hidden(asked),
    }
    return {"stickinessFilter": _kept(section) or None, "compareFilter": _compare(asked)}


def _flag(value: Any) -> bool | None:
    return None if value is None else is_true(value)


def whole(value: Any, path: str = "filters") -> int | None:
    """Return a whole number, None for nothing. Raises InvalidQuery with the path."""
    try:
        # A text, so that a fraction is refused instead of cut.
        asked = str(value) if isinstance(value, float) and not value.is_integer() else value
        number = None if asked is None or asked == "" else int(asked)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidQuery(f"A whole number is expected, not {value!r}.", path=path) from error
    if number is not None and abs(number) >= LARGEST:
        raise InvalidQuery("This number is too large.", path=path)
    return number


def _number(value: Any, path: str) -> float | None:
    try:
        number = None if value is None or value == "" else float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidQuery(f"A number is expected, not {value!r}.", path=path) from error
    if number is not None and not math.isfinite(number):
        raise InvalidQuery(f"A number is expected, not {value!r}.", path=path)
    return number


_SECTIONS = {
    "TRENDS": _trends,
    "FUNNELS": _funnels,
    "RETENTION": _retention,
    "PATHS": _paths,
    "LIFECYCLE": _lifecycle,
    "STICKINESS": _stickiness,
}
