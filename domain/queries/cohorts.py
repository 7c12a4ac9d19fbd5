"""Cohorts: from their criteria to a set of persons.

Criteria are person properties, other cohorts, and what persons did. Whoever has no stored profile is in no cohort.
Source: PostHog cohorts (`filters` trees, old `groups`), behavioural criteria.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from ..errors import InvalidQuery, UnsupportedQuery
from ..numbers import whole_number
from . import dates
from .actions import action_condition
from .legacy_properties import clean_leaves
from .nodes import DateRange, PropertyFilter
from .plan import (
    AnyOf,
    Comparison,
    Condition,
    InPeople,
    Listed,
    Not,
    Occurrences,
    People,
    Performed,
    PerformedSequence,
    PersonsWhere,
)
from .properties import all_of, any_of, condition
from .scope import Scope

MAX_DEPTH = 20
MAX_PERIODS = 400
_SECONDS = {"minute": 60, "hour": 3600, "day": 86_400, "week": 604_800, "month": 2_592_000, "year": 31_536_000}
_OPERATORS: dict[str | None, Comparison] = {
    "gte": "gte", "lte": "lte", "exact": "exact", "eq": "exact", "gt": "gt", "lt": "lt", None: "exact", "": "exact",
}  # fmt: skip
_NOBODY = AnyOf(())
_INSTANT = timedelta(microseconds=1)


def member_condition(cohort_id: int, scope: Scope, path: str, *, depth: int = 0) -> Condition:
    """Return the condition that the event's person is in the cohort.

    Raises InvalidQuery for a cohort that does not exist and for cohorts that contain each other.
    """
    return InPeople(cohort_people(cohort_id, scope, path, depth=depth))


def cohort_people(cohort_id: int, scope: Scope, path: str, *, depth: int = 0) -> People:
    """Return who is in the cohort at the scope's now. Raises as `member_condition` does."""
    cohort = scope.cohorts.get(cohort_id)
    if cohort is None:
        raise InvalidQuery(f"The cohort {cohort_id} does not exist.", path=path)
    if depth > MAX_DEPTH:
        raise InvalidQuery("Cohorts contain each other.", path=path)
    if cohort.is_static:
        return Listed(cohort.distinct_ids, cohort.uuids)
    if not cohort.criteria or not cohort.criteria.get("values"):
        return PersonsWhere(_NOBODY)
    return PersonsWhere(criteria_condition(cohort.criteria, scope, f"cohort {cohort_id}", depth=depth))


def criteria_condition(tree: Mapping[str, Any], scope: Scope, path: str, *, depth: int = 0) -> Condition:
    """Return the condition on persons that a tree of criteria stands for.

    Raises InvalidQuery with the path of a criterion that cannot be read, UnsupportedQuery for an unknown kind.
    """
    if depth > MAX_DEPTH:
        raise InvalidQuery("Criteria may not be nested that deeply.", path=path)
    if "values" in tree and tree.get("type") in ("AND", "OR"):
        values = tree["values"] if isinstance(tree["values"], list | tuple) else [tree["values"]]
        parts = [
            criteria_condition(
                _object(one, f"{path}.values[{place}]"), scope, f"{path}.values[{place}]", depth=depth + 1
            )
            for place, one in enumerate(values)
        ]
        return all_of(parts) if tree["type"] == "AND" or not parts else any_of(parts)
    found = _criterion(tree, scope, path, depth)
    return Not(found) if tree.get("negation") in (True, "true") else found


def _criterion(leaf: Mapping[str, Any], scope: Scope, path: str, depth: int) -> Condition:
    kind = leaf.get("type") or "person"
    if kind in ("cohort", "static-cohort", "precalculated-cohort"):
        value = leaf.get("value")
        ids = value if isinstance(value, list | tuple) else [value]
        if not all(str(one).isdecimal() and len(str(one)) < 19 for one in ids):
            raise InvalidQuery("A cohort is named by its id, a number.", path=f"{path}.value")
        known = [int(str(one)) for one in ids if int(str(one)) in scope.cohorts]
        found = any_of(member_condition(one, scope, f"{path}.value", depth=depth + 1) for one in known)
        return Not(found) if leaf.get("operator") in ("not_in", "is_not") else found
    if kind == "behavioral":
        return InPeople(_behaviour(leaf, scope, path))
    if kind != "person":
        raise UnsupportedQuery(f"Criteria of type '{kind}' are not supported yet.", path=f"{path}.type")
    asked = PropertyFilter(leaf.get("key"), leaf.get("value"), leaf.get("operator"), "person")
    return condition((asked,), path=path, scope=scope)


def _behaviour(leaf: Mapping[str, Any], scope: Scope, path: str) -> People:
    event, matches = _entity(leaf, "", scope, path)
    kind = leaf.get("value")
    since, now = _range(leaf, scope, path)
    if kind == "performed_event_sequence":
        return PerformedSequence(
            (event, matches), _entity(leaf, "seq_", scope, path), since, now,
            _number(leaf, "seq_time_value", path) * _unit(leaf, "seq_time_interval", path),
        )  # fmt: skip
    middle = since
    if kind in ("stopped_performing_event", "restarted_performing_event"):
        since, now = _since(leaf, "", scope, path), scope.now
        middle = _since(leaf, "seq_", scope, path)
        if middle <= since:
            raise InvalidQuery("The time that ends must lie inside the whole time.", path=f"{path}.seq_time_value")
    if kind == "performed_event":
        asked, at_least = [Occurrences(since, now, "gte", 1)], 1
    elif kind == "performed_event_multiple":
        operator = _operator(leaf, path)
        asked = [
            Occurrences(since, now, "gte", 1),
            Occurrences(since, now, operator, _number(leaf, "operator_value", path)),
        ]
        at_least = 2
    elif kind == "performed_event_first_time":
        asked, at_least = [Occurrences(None, since, "exact", 0), Occurrences(since, now, "gte", 1)], 2
    elif kind == "stopped_performing_event":
        asked, at_least = [Occurrences(since, middle, "gte", 1), Occurrences(middle, now, "exact", 0)], 2
    elif kind == "restarted_performing_event":
        asked = [
            Occurrences(None, since, "gte", 1),
            Occurrences(since, middle, "exact", 0),
            Occurrences(middle, now, "gte", 1),
        ]  # fmt: skip
        at_least = 3
    elif kind == "performed_event_regularly":
        asked, at_least = _periods(leaf, scope, path)
    else:
        raise InvalidQuery(f"There is no behaviour {kind!r}.", path=f"{path}.value")
    return Performed(event, matches, tuple(asked), at_least)


def _periods(leaf: Mapping[str, Any], scope: Scope, path: str) -> tuple[list[Occurrences], int]:
    n_periods = _number(leaf, "total_periods", path)
    if n_periods > MAX_PERIODS:
        raise InvalidQuery(f"There can be {MAX_PERIODS} periods.", path=f"{path}.total_periods")
    length, interval = _number(leaf, "time_value", path), _interval(leaf, "time_interval", path)
    ends = [scope.now, *(_back(scope, length * place, interval) for place in range(1, n_periods + 1))]
    operator, n = _operator(leaf, path), _number(leaf, "operator_value", path, 1)
    asked = [Occurrences(since, until, operator, n) for until, since in pairwise(ends)]
    least = _number(leaf, "min_periods", path)
    if least > n_periods:
        raise InvalidQuery("There are not so many periods.", path=f"{path}.min_periods")
    return asked, least


def _entity(leaf: Mapping[str, Any], prefix: str, scope: Scope, path: str) -> tuple[str | None, Condition]:
    """Return the event (None: any) and the condition of what was done; filters belong to the first thing only."""
    name = "seq_event" if prefix else "key"
    value, kind = leaf.get(name), leaf.get(f"{prefix}event_type") or "events"
    own: Condition = all_of([])
    if not prefix and leaf.get("event_filters"):
        filters = tuple(
            PropertyFilter(*(one.get(field) for field in ("key", "value", "operator", "type", "group_type_index")))
            for one in clean_leaves(leaf["event_filters"])
        )
        own = condition(filters, path=f"{path}.event_filters", scope=scope)
    if kind == "events":
        return (None if value is None else str(value)), own
    action = whole_number(str(value))
    if kind != "actions" or action is None:
        raise InvalidQuery("What was done is an event, or an action by its id.", path=f"{path}.{name}")
    if action not in scope.actions:
        raise InvalidQuery(f"Action ID {value} does not exist!", path=f"{path}.{name}")
    event, matches = action_condition(scope.actions[action], scope)
    return event, all_of([matches, own])


def _range(leaf: Mapping[str, Any], scope: Scope, path: str) -> tuple[datetime, datetime]:
    """Return after which instant and until which something was done.

    With an end of its own (`explicit_datetime_to`) both are read like the range of a query: whole days.
    """
    explicit, end = leaf.get("explicit_datetime"), leaf.get("explicit_datetime_to")
    if not explicit or not end:
        return _since(leaf, "", scope, path), scope.now
    for name, text in (("explicit_datetime", explicit), ("explicit_datetime_to", end)):
        dates.check(str(text), now=scope.now, zone=scope.zone, path=f"{path}.{name}")
    asked = DateRange(str(explicit), str(end))
    bounds = dates.resolve(asked, interval="day", now=scope.now, zone=scope.zone, week_start_day=scope.week_start_day)
    return bounds.from_instant - _INSTANT, bounds.to_instant


def _since(leaf: Mapping[str, Any], prefix: str, scope: Scope, path: str) -> datetime:
    explicit = leaf.get("explicit_datetime") if not prefix else None
    if explicit:
        dates.check(str(explicit), now=scope.now, zone=scope.zone, path=f"{path}.explicit_datetime")
        return dates.instant(dates.parse(str(explicit), now=scope.now, zone=scope.zone).local, scope.zone)
    interval = _interval(leaf, f"{prefix}time_interval", path)
    return _back(scope, _number(leaf, f"{prefix}time_value", path), interval)


def _back(scope: Scope, number: int, interval: str) -> datetime:
    if interval in ("minute", "hour"):
        return scope.now - timedelta(seconds=number * _SECONDS[interval])
    return dates.instant(dates.parse(f"-{number}{interval[0]}", now=scope.now, zone=scope.zone).local, scope.zone)


def _interval(leaf: Mapping[str, Any], name: str, path: str) -> str:
    found = str(leaf.get(name) or "day")
    if found not in _SECONDS:
        raise InvalidQuery(f"A time interval is one of {', '.join(_SECONDS)}.", path=f"{path}.{name}")
    return found


def _unit(leaf: Mapping[str, Any], name: str, path: str) -> int:
    return _SECONDS[_interval(leaf, name, path)]


def _operator(leaf: Mapping[str, Any], path: str) -> Comparison:
    operator = leaf.get("operator")
    if not isinstance(operator, str | None) or operator not in _OPERATORS:
        raise InvalidQuery("A count is compared with gte, lte, gt, lt or exact.", path=f"{path}.operator")
    return _OPERATORS[operator]


def _number(leaf: Mapping[str, Any], name: str, path: str, default: int | None = None) -> int:
    value = leaf.get(name, default)
    text = str(default if value is None else value)
    if not text.isdecimal() or len(text) > 6 or int(text) < 1:
        raise InvalidQuery("A whole number above 0 is expected.", path=f"{path}.{name}")
    return int(text)


def _object(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidQuery("A criterion is an object.", path=path)
    return value


def negations(tree: Mapping[str, Any]) -> tuple[bool, bool]:
    """Return whether a negation is left that nothing positive narrows, and whether there is anything positive.

    Such a cohort would hold nearly everybody; a negation needs a positive criterion joined to it by AND.
    """
    if "values" not in tree or tree.get("type") not in ("AND", "OR"):
        is_negation = tree.get("negation") in (True, "true")
        return is_negation, not is_negation
    found = [negations(one) for one in tree["values"] if isinstance(one, Mapping)]
    pending, positive = any(one for one, _ in found), any(one for _, one in found)
    return (pending and not (positive and tree["type"] == "AND")), positive


def criteria_of_groups(groups: Any) -> dict[str, Any]:
    """Return the tree of criteria that the old list of groups stands for: any group suffices.

    A group has either `properties` (a list, or an object by key) or what was done: `event_id` or `action_id`, `days`
    (else 365), `count` (else once or more) and `count_operator` (else exactly). Raises InvalidQuery for a group that
    has neither.

    >>> criteria_of_groups([{"properties": {"plan": "pro"}}])["values"][0]
    {'type': 'AND', 'values': [{'key': 'plan', 'value': 'pro', 'type': 'person'}]}
    """
    if not isinstance(groups, list) or not all(isinstance(one, Mapping) for one in groups):
        raise InvalidQuery("The groups of a cohort are a list of objects.", path="groups")
    return {"type": "OR", "values": [_of_group(one) for one in groups]}


def _of_group(group: Mapping[str, Any]) -> dict[str, Any]:
    properties = group.get("properties")
    if properties:
        if isinstance(properties, Mapping) and "values" not in properties:
            leaves = [_of_pair(key, value) for key, value in properties.items()]
        else:
            leaves = [_about_person(one) for one in properties] if isinstance(properties, list) else [properties]
        return {"type": "AND", "values": leaves}
    done = group.get("action_id") or group.get("event_id")
    if done is None:
        raise InvalidQuery("A group of a cohort has properties, an event or an action.", path="groups")
    count = group.get("count") or None
    leaf = {
        "key": done,
        "type": "behavioral",
        "value": "performed_event" if count is None else "performed_event_multiple",
        "event_type": "actions" if group.get("action_id") else "events",
        "time_interval": "day",
        "time_value": group.get("days") or 365,
        "explicit_datetime": group.get("start_date"),
        "explicit_datetime_to": group.get("end_date"),
        "operator": group.get("count_operator"),
        "operator_value": count,
    }
    return {"type": "AND", "values": [{key: value for key, value in leaf.items() if value is not None}]}


def _about_person(leaf: Any) -> dict[str, Any]:
    """Return a property of an old group, which was about persons also where it said `event`."""
    if not isinstance(leaf, Mapping):
        raise InvalidQuery("A property filter is an object.", path="groups")
    return {**leaf, "type": "person"} if leaf.get("type") in (None, "event") else dict(leaf)


def _of_pair(key: str, value: Any) -> dict[str, Any]:
    name, _, operator = key.partition("__")
    return {"key": name, "value": value, **({"operator": operator} if operator else {}), "type": "person"}
