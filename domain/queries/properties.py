"""Property filters: from the leaves and groups of a query node to a condition of the plan.

Does not look at events: the engine evaluates conditions. Source: PostHog property filters (types, operators, groups).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, cast, get_args

from attrs import frozen

from ..elements import parse_selector
from ..errors import InvalidQuery, UnsupportedQuery
from ..sessions import SESSION_FIELDS
from .nodes import PropertiesAndGroups, PropertyFilter, PropertyGroup
from .plan import (
    AllOf,
    AnyOf,
    CleanedPath,
    Condition,
    ElementTest,
    EventColumn,
    EventProperty,
    GroupProperty,
    HogQLCondition,
    HogQLExpression,
    InPeople,
    Members,
    Not,
    NumberOperator,
    PersonProperty,
    PropertyTest,
    SessionField,
    Source,
    TestOperator,
    TextOperator,
)
from .property_dates import INSTANTS, compared, instant_test
from .scope import PropertyType, Scope

MAX_REGEX_LENGTH = 1000
MAX_GROUP_TYPES = 5
MAX_ID_DIGITS = 18
_ALWAYS = AllOf()
_OPERATORS = frozenset({*get_args(TextOperator), *get_args(NumberOperator)}) - {"contains"}
_SYNONYMS = {
    "in": "exact", "not_in": "is_not", "min": "gte", "max": "lte",
    "icontains_multi": "icontains", "not_icontains_multi": "not_icontains",
}  # fmt: skip
_DATE_OPERATORS = frozenset({"is_date_exact", "is_date_before", "is_date_after"})
_LISTS = frozenset(EventProperty(f"$exception_{name}") for name in ("types", "values", "sources", "functions"))
"""Properties that hold lists: a filter is about what is in them."""
_EVENT_COLUMNS = frozenset(
    {"uuid", "event", "distinct_id", "timestamp", "created_at", "person_id", "elements_chain", "$elements_chain",
     "$session_id", *(f"$group_{index}" for index in range(MAX_GROUP_TYPES))}
)  # fmt: skip
_ELEMENT_KEYS = frozenset({"tag_name", "selector", "href", "text"})
_NOT_ANSWERED = frozenset(
    {"recording", "log_entry", "data_warehouse", "data_warehouse_person_property", "person_metadata",
     "revenue_analytics"}
)  # fmt: skip


@frozen
class FieldNames:
    """What the fields are called that say what is read, for errors."""

    key: str = "key"
    kind: str = "type"
    group_type_index: str = "group_type_index"


def condition(properties: PropertiesAndGroups | None, *, path: str, scope: Scope) -> Condition:
    """Return the condition that a list (AND) or a group stands for; nothing at all is always true.

    `path` names the place in the query, for errors. Raises UnsupportedQuery for types and operators which are not
    answered, InvalidQuery for values that an operator cannot take and for a cohort that does not exist.
    """
    if properties is None:
        return _ALWAYS
    if isinstance(properties, PropertyGroup):
        return _group(properties, path, scope)
    return all_of(_part(part, f"{path}[{index}]", scope) for index, part in enumerate(properties))


def all_of(parts: Iterable[Condition]) -> Condition:
    """Join with AND, without the parts that are always true."""
    kept = tuple(part for part in parts if part != _ALWAYS)
    return kept[0] if len(kept) == 1 else AllOf(kept)


def any_of(parts: Iterable[Condition]) -> Condition:
    """Join with OR; one part that is always true decides."""
    kept = tuple(parts)
    if _ALWAYS in kept:
        return _ALWAYS
    return kept[0] if len(kept) == 1 else AnyOf(kept)


def text_of(value: Any) -> str:
    """Return the text that a filter value is compared as: JSON text for numbers and booleans."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)


def source_of(
    kind: str, key: str, group_type_index: int | None, *, path: str, scope: Scope, names: FieldNames = FieldNames()
) -> Source:
    """Return what a property or breakdown type and key read; `names` are the fields at the path that say it.

    `kind` is `event`, `event_metadata`, `feature`, `person`, `group` or `session`. Raises InvalidQuery for a group
    index outside 0 to 4 and for a column of events or field of sessions that there is not, UnsupportedQuery for other
    kinds.
    """
    if kind in ("event", "feature"):
        return EventColumn("elements_chain") if key == "$elements_chain" else EventProperty(key)
    if kind == "event_metadata":
        if key == "$window_id":
            return EventProperty(key)
        if key not in _EVENT_COLUMNS:
            raise InvalidQuery(f"An event has no column {key[:40]!r}.", path=f"{path}.{names.key}")
        return EventColumn(key)
    if kind == "person":
        return PersonProperty(key, is_stored=scope.persons_mode != "joined")
    if kind == "session":
        if key not in SESSION_FIELDS:
            raise InvalidQuery(f"A session has no field {key[:40]!r}.", path=f"{path}.{names.key}")
        return SessionField(key)
    if kind == "group":
        if group_type_index is None or not 0 <= group_type_index < MAX_GROUP_TYPES:
            raise InvalidQuery("A group type index is a number from 0 to 4.", path=f"{path}.{names.group_type_index}")
        return GroupProperty(group_type_index, key)
    raise UnsupportedQuery(f"Properties of type '{kind}' are not supported yet.", path=f"{path}.{names.kind}")


def property_type(source: Source, scope: Scope) -> PropertyType:
    """Return the type that the project's property definitions give a source, or that it has by itself."""
    if source in INSTANTS:
        return "DateTime"
    match source:
        case SessionField(name):
            return SESSION_FIELDS.get(name, "String")
        case EventProperty(name):
            return scope.property_types.get(("event", name), "String")
        case PersonProperty(name):
            return scope.property_types.get(("person", name), "String")
        case GroupProperty(index, name):
            return scope.property_types.get((f"group_{index}", name), "String")
    return "String"


def _group(group: PropertyGroup, path: str, scope: Scope) -> Condition:
    parts = [_part(value, f"{path}.values[{index}]", scope) for index, value in enumerate(group.values)]
    return all_of(parts) if group.type == "AND" or not parts else any_of(parts)


def _part(part: PropertyFilter | PropertyGroup, path: str, scope: Scope) -> Condition:
    return _group(part, path, scope) if isinstance(part, PropertyGroup) else _leaf(part, path, scope)


def _leaf(leaf: PropertyFilter, path: str, scope: Scope) -> Condition:
    kind = leaf.type or "event"
    if leaf.key in (None, ""):
        return _ALWAYS
    if kind in _NOT_ANSWERED:
        raise UnsupportedQuery(f"Property filters of type '{kind}' are not supported yet.", path=f"{path}.type")
    if kind in ("cohort", "static-cohort", "precalculated-cohort"):
        return _cohort(leaf, kind, path, scope)
    if kind not in ("event", "event_metadata", "feature", "person", "group", "session", "element", "hogql"):
        return _ALWAYS
    if not isinstance(leaf.key, str):
        raise InvalidQuery("The key of a property filter must be text.", path=f"{path}.key")
    if kind == "hogql":
        return HogQLCondition(leaf.key, f"{path}.key", scope)
    if kind == "element":
        return _element(leaf, path)
    if kind == "group" and leaf.group_type_index is None:
        return _ALWAYS
    return _property(leaf, source_of(kind, leaf.key, leaf.group_type_index, path=path, scope=scope), path, scope)


def _property(leaf: PropertyFilter, source: Source, path: str, scope: Scope) -> Condition:
    asked = leaf.operator or "exact"
    operator = _SYNONYMS.get(asked, asked)
    if operator in ("is_set", "is_not_set"):
        return PropertyTest(source, cast("TestOperator", operator))
    if leaf.value is None or leaf.value == []:
        return _ALWAYS
    if operator in _DATE_OPERATORS:
        return instant_test(source, operator, leaf.value, path=f"{path}.value", scope=scope)
    values = _values(leaf.value, path)
    if operator in ("between", "not_between"):
        return _between(source, operator, values, path)
    if operator == "is_cleaned_path_exact":
        if isinstance(source, HogQLExpression | CleanedPath):
            raise UnsupportedQuery("Only a property can be cleaned as a path.", path=f"{path}.operator")
        return PropertyTest(CleanedPath(source, scope.path_rules), "exact", values)
    if operator not in _OPERATORS:
        raise UnsupportedQuery(f"The operator '{operator}' is not supported yet.", path=f"{path}.operator")
    _check_patterns(operator, values, path)
    if operator in ("exact", "is_not"):
        values = tuple(dict.fromkeys((*values, *map(_compact, values))))
    if not values:
        return _ALWAYS
    kind = property_type(source, scope)
    test = PropertyTest(source, cast("TestOperator", operator), values, kind, is_of_elements=source in _LISTS)
    positive = "exact" if operator == "is_not" else operator
    if kind != "DateTime" or positive not in ("exact", "gt", "gte", "lt", "lte"):
        return test
    same = compared(source, positive, values, scope)
    if same is None:
        return test
    return all_of([test, Not(same)]) if operator == "is_not" else any_of([test, same])


def _between(source: Source, operator: str, values: tuple[str, ...], path: str) -> Condition:
    if len(values) != 2:
        raise InvalidQuery("A range is a list of two numbers.", path=f"{path}.value")
    inside = AllOf((PropertyTest(source, "gte", values[:1]), PropertyTest(source, "lte", values[1:])))
    return inside if operator == "between" else Not(inside)


def _element(leaf: PropertyFilter, path: str) -> Condition:
    if leaf.key not in _ELEMENT_KEYS:
        raise InvalidQuery("An element has tag_name, text, href and selector.", path=f"{path}.key")
    asked = leaf.operator or "exact"
    operator = _SYNONYMS.get(asked, asked)
    strict = leaf.key in ("tag_name", "selector")
    if operator not in (("exact", "is_not") if strict else (*_OPERATORS, "is_set", "is_not_set")):
        raise UnsupportedQuery(f"Elements are not compared with '{operator}'.", path=f"{path}.operator")
    if operator in ("is_set", "is_not_set"):
        return ElementTest(leaf.key, cast("TestOperator", operator), ())
    if leaf.value is None or leaf.value == []:
        return _ALWAYS
    values = _values(leaf.value, path)
    _check_patterns(operator, values, path)
    if leaf.key == "selector":
        check_selectors(values, f"{path}.value")
    return ElementTest(leaf.key, cast("TestOperator", operator), values)


def check_selectors(selectors: Iterable[str], path: str) -> None:
    """Raise InvalidQuery with the path for a CSS selector that cannot be read."""
    for one in selectors:
        try:
            parse_selector(one)
        except InvalidQuery as error:
            raise InvalidQuery(error.detail, path=path) from error


def _cohort(leaf: PropertyFilter, kind: str, path: str, scope: Scope) -> Condition:
    from .cohorts import member_condition  # noqa: PLC0415 - cohorts have property filters in their criteria

    if leaf.value is None or leaf.value == []:
        return _ALWAYS
    ids = [
        cohort_id(one, f"{path}.value")
        for one in (leaf.value if isinstance(leaf.value, list | tuple) else [leaf.value])
    ]
    if kind == "precalculated-cohort":
        found = any_of(InPeople(Members(one)) for one in ids)
    else:
        found = any_of(member_condition(one, scope, f"{path}.value") for one in ids)
    return Not(found) if leaf.operator in ("not_in", "is_not") else found


def cohort_id(value: Any, path: str) -> int:
    """Return the id of a cohort, a number or its text. Raises InvalidQuery."""
    text = str(value)
    if isinstance(value, bool) or not text.isdecimal() or len(text) > MAX_ID_DIGITS:
        raise InvalidQuery("A cohort is named by its id, a number.", path=path)
    return int(text)


def _check_patterns(operator: str, values: tuple[str, ...], path: str) -> None:
    if "regex" in operator and any(len(value) > MAX_REGEX_LENGTH for value in values):
        raise InvalidQuery(f"A pattern may have {MAX_REGEX_LENGTH} characters.", path=f"{path}.value")


def _values(value: Any, path: str) -> tuple[str, ...]:
    items = value if isinstance(value, list | tuple) else [value]
    if any(isinstance(item, dict | list) for item in items):
        raise InvalidQuery(
            "A filter value is a text, a number, true or false, or a list of them.", path=f"{path}.value"
        )
    return tuple(text_of(item) for item in items if item is not None)


def _compact(text: str) -> str:
    """Return JSON of a list or object without blanks, as the engine reads them; any other text as it is."""
    if text[:1] not in ("[", "{"):
        return text
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
    except ValueError:
        return text
