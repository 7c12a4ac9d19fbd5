"""Property filters of legacy filters, cohorts and actions in today's form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..errors import InvalidQuery
from .legacy_values import decoded, given, is_true, whole

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


def entity_properties(properties: Any) -> Any:
    """Return the filters of an entity: a list that is joined by AND, or the group where it says otherwise."""
    properties = decoded(properties)
    if is_group(properties):
        group = _group(properties)
        return group if _has_choices(group) else leaves_of(group)
    return None if properties is None else clean_leaves(properties)


def is_group(part: Any) -> bool:
    """Whether a part of properties holds others."""
    return isinstance(part, Mapping) and "values" in part and "key" not in part


def leaves_of(part: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the leaves of a group and of the groups in it; a leaf is its own."""
    parts = part.get("values", ()) if "key" not in part else None
    return [part] if parts is None else [leaf for one in parts for leaf in leaves_of(one)]


def _has_choices(part: Mapping[str, Any]) -> bool:
    """Whether some filters are joined by OR."""
    parts = part.get("values", ()) if "key" not in part else ()
    return (len(parts) > 1 and part["type"] == "OR") or any(map(_has_choices, parts))


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
    return given(cleaned)
