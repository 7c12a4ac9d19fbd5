"""Legacy filters as the peer of 2023 laid them out: read, and with cohorts and test accounts written out.

Plans here do not need it (`cohorts.py` gives conditions); it tells what such a filter stands for as properties.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from insightlog.domain.queries.legacy_properties import is_group, leaves_of
from insightlog.domain.queries.legacy_values import is_true
from insightlog.domain.queries.scope import Scope

_ENTITY = dict.fromkeys(
    ("math", "math_hogql", "math_property", "math_group_type_index", "custom_name", "order"), None
)  # fmt: skip

Tree = dict[str, Any]
"""A property, or a group of trees: `{"type": "AND" or "OR", "values": [...]}`."""


def parsed(filters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties and entities of a filter as they were read."""
    return _parts(filters, _group(filters.get("properties") or []), _group)


def simplified(
    filters: Mapping[str, Any],
    scope: Scope,
    test_account_filters: Sequence[Mapping[str, Any]] = (),
    *,
    is_precalculated: bool = False,
) -> dict[str, Any]:
    """Return the properties and entities of a filter, cohorts replaced by their criteria where these are properties.

    `is_precalculated`: cohorts with stored members stand for themselves.
    """

    def simple(properties: Any) -> Tree:
        return _flat_group(_expanded(_group(properties), scope, is_precalculated=is_precalculated))

    properties: Any = filters.get("properties") or []
    if is_true(filters.get("filter_test_accounts")):
        properties = {"type": "AND", "values": [_group(list(test_account_filters)), _group(properties)]}
    return _parts(filters, simple(properties), simple)


def _parts(filters: Mapping[str, Any], properties: Tree, group: Callable[[Any], Tree]) -> dict[str, Any]:
    entities = {
        kind: [_entity(one, kind, group) for one in filters[kind]]
        for kind in ("events", "actions")
        if filters.get(kind)
    }
    return {"properties_part": {"properties": properties}, "entities_part": entities}


def _entity(entity: Mapping[str, Any], kind: str, group: Callable[[Any], Tree]) -> dict[str, Any]:
    found = {"type": kind, "id": entity.get("id"), **_ENTITY}
    found |= {name: entity[name] for name in _ENTITY if name in entity}
    found["name"] = entity.get("name", entity.get("id"))
    return found | ({"properties": group(entity["properties"])} if entity.get("properties") else {})


def _group(properties: Any) -> Tree:
    """Return properties as a group; leaves are of events where they say nothing."""
    if is_group(properties):
        return {"type": properties.get("type", "AND"), "values": [_tree(one) for one in properties["values"]]}
    return {"type": "AND", "values": [_tree(one) for one in properties]}


def _tree(part: Mapping[str, Any]) -> Tree:
    return _group(part) if is_group(part) else {**part, "type": part.get("type") or "event"}


def _expanded(tree: Tree, scope: Scope, *, is_precalculated: bool) -> Tree:
    """Return a tree in which each property is a group of its own, and cohorts are their criteria."""
    if is_group(tree):
        values = [_expanded(one, scope, is_precalculated=is_precalculated) for one in tree["values"]]
        return {"type": tree["type"], "values": values}
    if tree["type"] != "cohort":
        return {"type": "AND", "values": [tree]}
    cohort = scope.cohorts.get(int(tree["value"])) if str(tree["value"]).isdecimal() else None
    if cohort is None:
        return {"type": "AND", "values": [tree]}
    if cohort.is_static or is_precalculated:
        kind = "static-cohort" if cohort.is_static else "precalculated-cohort"
        return {"type": "AND", "values": [{**tree, "type": kind}]}
    criteria = _group(cohort.criteria or [])
    if is_true(tree.get("negation")) or any(leaf["type"] == "behavioral" for leaf in leaves_of(criteria)):
        return {"type": "AND", "values": [tree]}
    return _expanded(criteria, scope, is_precalculated=is_precalculated)


def _flat_group(tree: Tree) -> Tree:
    """Return a group without groups of one inside, itself kept."""
    if "key" in tree:
        return tree
    values = tree["values"]
    if len(values) == 1:
        return {**tree, "values": [_flat(values[0])]}
    return {**tree, "values": [_flat_group(one) for one in values]}


def _flat(tree: Tree) -> Tree:
    """Return what a group of one holds."""
    if "key" in tree:
        return tree
    return _flat(tree["values"][0]) if len(tree["values"]) == 1 else _flat_group(tree)
