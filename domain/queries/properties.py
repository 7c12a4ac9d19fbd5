"""Property filters: from the leaves and groups of a query node to a condition of the plan.

Does not look at events: the engine evaluates conditions. Source: PostHog property filters (types, operators, groups).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast, get_args

from ..errors import InvalidQuery, UnsupportedQuery
from .nodes import Properties, PropertyFilter, PropertyGroup
from .plan import AllOf, AnyOf, Condition, EventProperty, NumberOperator, PropertyTest, TestOperator, TextOperator

MAX_REGEX_LENGTH = 1000
_ALWAYS = AllOf()
_TEXT = (*get_args(TextOperator), *get_args(NumberOperator))
_SYNONYMS = {"in": "exact", "not_in": "is_not", "min": "gte", "max": "lte"}
_KNOWN_TYPES = frozenset(
    {"event", "event_metadata", "feature", "person", "group", "session", "element", "cohort", "hogql", "recording",
     "log_entry", "data_warehouse", "data_warehouse_person_property", "flag", "static-cohort", "precalculated-cohort",
     "behavioral", "person_metadata", "revenue_analytics"}
)  # fmt: skip


def condition(properties: Properties | None, *, path: str) -> Condition:
    """Return the condition that a list (AND) or a group stands for; nothing at all is always true.

    `path` names the place in the query, for errors. Raises UnsupportedQuery for types and operators which are not
    answered yet, InvalidQuery for values that an operator cannot take.
    """
    if properties is None:
        return _ALWAYS
    if isinstance(properties, PropertyGroup):
        return _group(properties, path)
    return all_of(_leaf(leaf, f"{path}[{index}]") for index, leaf in enumerate(properties))


def all_of(parts: Iterable[Condition]) -> Condition:
    """Join with AND, without the parts that are always true."""
    kept = tuple(part for part in parts if part != _ALWAYS)
    return kept[0] if len(kept) == 1 else AllOf(kept)


def text_of(value: Any) -> str:
    """Return the text that a filter value is compared as: JSON text for numbers and booleans."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)


def _group(group: PropertyGroup, path: str) -> Condition:
    parts = [
        _group(value, f"{path}.values[{index}]") if isinstance(value, PropertyGroup)
        else _leaf(value, f"{path}.values[{index}]")
        for index, value in enumerate(group.values)
    ]  # fmt: skip
    if group.type == "AND":
        return all_of(parts)
    if not parts or _ALWAYS in parts:
        return _ALWAYS
    return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))


def _leaf(leaf: PropertyFilter, path: str) -> Condition:
    kind = leaf.type or "event"
    if kind not in _KNOWN_TYPES or leaf.key in (None, ""):
        return _ALWAYS
    if kind not in ("event", "feature"):
        raise UnsupportedQuery(f"Property filters of type '{kind}' are not supported yet.", path=f"{path}.type")
    if not isinstance(leaf.key, str):
        raise InvalidQuery("The key of a property filter must be text.", path=f"{path}.key")
    if leaf.key == "$elements_chain":
        raise UnsupportedQuery("Filters on $elements_chain are not supported yet.", path=f"{path}.key")
    operator = _SYNONYMS.get(leaf.operator or "exact", leaf.operator or "exact")
    if operator in ("is_set", "is_not_set"):
        return PropertyTest(EventProperty(leaf.key), cast("TestOperator", operator))
    if operator not in _TEXT:
        raise UnsupportedQuery(f"The operator '{operator}' is not supported yet.", path=f"{path}.operator")
    if leaf.value is None or leaf.value == []:
        return _ALWAYS
    values = _values(leaf.value, path)
    if "regex" in operator and any(len(value) > MAX_REGEX_LENGTH for value in values):
        raise InvalidQuery(f"A pattern may have {MAX_REGEX_LENGTH} characters.", path=f"{path}.value")
    return PropertyTest(EventProperty(leaf.key), cast("TestOperator", operator), values) if values else _ALWAYS


def _values(value: Any, path: str) -> tuple[str, ...]:
    items = value if isinstance(value, list | tuple) else [value]
    if any(isinstance(item, dict | list) for item in items):
        raise InvalidQuery(
            "A filter value is a text, a number, true or false, or a list of them.", path=f"{path}.value"
        )
    return tuple(text_of(item) for item in items if item is not None)
