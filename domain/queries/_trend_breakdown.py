"""What a breakdown filter splits a trend by: sources, bins, cohorts, and how many values are told apart.

Source: PostHog's BreakdownFilter and Breakdown nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import Factory, evolve, frozen

from ..errors import InvalidQuery, UnsupportedQuery
from .cohorts import member_condition
from .nodes import Breakdown, BreakdownFilter
from .plan import (
    AllOf,
    CleanedPath,
    Condition,
    EventProperty,
    GroupProperty,
    HogQLExpression,
    PersonProperty,
    Source,
    TypedText,
)
from .properties import FieldNames, cohort_id, property_type, source_of
from .scope import PathRule, Scope
from .trend_plan import Split, SplitByCondition, SplitBySource

NULL_VALUE = "$$_posthog_breakdown_null_$$"
OTHER_VALUE = "$$_posthog_breakdown_other_$$"
NULL_LABEL = "None (i.e. no value)"
OTHER_LABEL = "Other (i.e. all remaining values)"
ANY_BIN = '["",""]'
"""Stands for all bins where one of them is chosen."""
ALL_USERS = "all"
_NORMALIZED = (PathRule(r"^[/?#]+$", "/"), PathRule(r"^(.*[^/?#])[/?#]+$", r"\1"))
MAX_LIMIT = 10_000
MAX_BREAKDOWNS = 3
MAX_BINS = 1_000
MAX_COHORTS = 100
_ITEM_FIELDS = {
    "breakdown": "property", "breakdown_type": "type", "breakdown_group_type_index": "group_type_index",
    "breakdown_histogram_bin_count": "histogram_bin_count",
}  # fmt: skip
_DEFAULT_LIMITS = {"WorldMap": 250}


@frozen
class TrendBreakdown:
    """How the numbers of a trend are split; without splits they are not."""

    splits: tuple[Split, ...] = ()
    limit: int = 25
    """How many values are told apart."""
    is_list: bool = False
    """Whether values are shown as lists: several breakdowns."""
    hides_other: bool = False
    cohort_names: Mapping[str, str] = Factory(dict)
    """By cohort id as text, and `all`; empty unless cohorts are among the breakdowns."""

    @property
    def is_by_cohorts(self) -> bool:
        """Whether cohorts are the only breakdown."""
        return bool(self.cohort_names) and not self.is_list

    @property
    def is_ranked(self) -> bool:
        """Whether values past the limit are folded; cohorts alone are all shown."""
        return not self.is_by_cohorts


def default_limit(query: Mapping[str, Any]) -> int:
    """Return how many values a TrendsQuery tells apart that does not say it, given in JSON."""
    return _limit_of_display(str((query.get("trendsFilter") or {}).get("display")))


def _limit_of_display(display: str) -> int:
    return _DEFAULT_LIMITS.get(display, 25)


def breakdown_of(asked: BreakdownFilter | None, display: str, *, scope: Scope, path: str) -> TrendBreakdown:
    """Return the splits of a breakdown filter; `breakdowns` wins over `breakdown`.

    Raises InvalidQuery and UnsupportedQuery with the path of the wrong field.
    """
    default = _limit_of_display(display)
    if asked is None:
        return TrendBreakdown(limit=default)
    path = f"{path}.breakdownFilter"
    limit = min(default if asked.breakdown_limit is None else asked.breakdown_limit, MAX_LIMIT)
    if limit < 1:
        raise InvalidQuery("The limit must be at least 1.", path=f"{path}.breakdown_limit")
    found = TrendBreakdown(limit=limit, hides_other=bool(asked.breakdown_hide_other_aggregation))
    items, is_list = _items(asked, path), bool(asked.breakdowns)
    if not items:
        return found
    if len(items) > MAX_BREAKDOWNS:
        raise InvalidQuery(f"There can be {MAX_BREAKDOWNS} breakdowns.", path=f"{path}.breakdowns")
    if items[0].type == "cohort" and len(items) == 1:
        return _by_cohorts(items[0].property if is_list else asked.breakdown, found, scope, path)
    cleans = bool(asked.breakdown_path_cleaning)
    splits: list[Split] = []
    for place, item in enumerate(items):
        where = f"{path}.breakdowns[{place}]" if is_list else path
        if item.type == "cohort":
            own = _by_cohorts(item.property, found, scope, where)
            found = evolve(found, cohort_names={**found.cohort_names, **own.cohort_names})
            splits += own.splits
        else:
            splits.append(_split(item, scope, where, cleans=cleans))
    return evolve(found, splits=tuple(splits), is_list=is_list)


def _items(asked: BreakdownFilter, path: str) -> tuple[Breakdown, ...]:
    """Return the breakdowns one by one, a single one in today's form."""
    if asked.breakdowns:
        return asked.breakdowns
    value: Any = asked.breakdown
    if value is None or value in ("", ()):
        return ()
    if isinstance(value, tuple):
        if asked.breakdown_type != "cohort" and len(value) > MAX_BREAKDOWNS:
            raise InvalidQuery(f"There can be {MAX_BREAKDOWNS} breakdowns.", path=f"{path}.breakdown")
        if asked.breakdown_type != "cohort" and len(value) > 1:
            raise UnsupportedQuery("Several properties belong into 'breakdowns'.", path=f"{path}.breakdown")
        value = value[0]
    return (
        Breakdown(
            value, asked.breakdown_type, asked.breakdown_normalize_url, asked.breakdown_group_type_index,
            asked.breakdown_histogram_bin_count,
        ),
    )  # fmt: skip


def _split(item: Breakdown, scope: Scope, path: str, *, cleans: bool) -> SplitBySource:
    bins = item.histogram_bin_count
    if bins is not None and not 1 <= bins <= MAX_BINS:
        raise InvalidQuery(f"There can be 1 to {MAX_BINS} bins.", path=field_of(path, "breakdown_histogram_bin_count"))
    source = source_of_item(item, scope, path)
    source = cleaned(source, scope.path_rules if cleans else (), is_normalized=False)
    return SplitBySource(source, bool(item.normalize_url), bins)


def field_of(path: str, name: str) -> str:
    """Return the path of a field of a breakdown filter, or of an item of its `breakdowns`, which call it otherwise."""
    return f"{path}.{_ITEM_FIELDS[name] if path.endswith(']') else name}"


def source_of_item(item: Breakdown, scope: Scope, path: str) -> Source:
    """Return what a breakdown item reads; a property with a type as that shows it, but for bins, which read numbers."""
    kind, name = item.type or "event", str(item.property)
    if kind == "hogql":
        return HogQLExpression(name, field_of(path, "breakdown"), scope)
    if kind == "cohort":
        raise UnsupportedQuery("Cohorts are not combined with other breakdowns.", path=field_of(path, "breakdown_type"))
    if kind in ("data_warehouse", "data_warehouse_person_property", "revenue_analytics"):
        raise UnsupportedQuery(f"Breakdowns of type '{kind}' are not supported.", path=field_of(path, "breakdown_type"))
    fields = ("breakdown", "breakdown_type", "breakdown_group_type_index")
    names = FieldNames(*(_ITEM_FIELDS[one] if path.endswith("]") else one for one in fields))
    source = source_of(kind, name, item.group_type_index, path=path, scope=scope, names=names)
    if item.histogram_bin_count is None and isinstance(source, EventProperty | PersonProperty | GroupProperty):
        match property_type(source, scope):
            case "Numeric" | "Boolean" as shown_as:
                return TypedText(source, shown_as)
    return source


def cleaned(source: Source, rules: tuple[PathRule, ...], *, is_normalized: bool) -> Source:
    """Return a source of addresses after rules, and without the slashes, `?` and `#` that say nothing at its end."""
    rules = (*rules, *_NORMALIZED) if is_normalized else rules
    if not rules or isinstance(source, HogQLExpression):
        return source
    if isinstance(source, CleanedPath):
        return CleanedPath(source.source, (*source.rules, *rules))
    return CleanedPath(source, rules)


def _by_cohorts(value: Any, found: TrendBreakdown, scope: Scope, path: str) -> TrendBreakdown:
    known = cohorts_of(value, scope, field_of(path, "breakdown"))
    names = {one: name for one, (name, _) in known.items()}
    members = tuple(condition for _, condition in known.values())
    return evolve(found, splits=(SplitByCondition(tuple(names), members),), cohort_names=names)


def cohorts_of(value: Any, scope: Scope, path: str) -> dict[str, tuple[str, Condition]]:
    """Return name and members of the cohorts that an id or several name, by id as text; `all` is everybody.

    Raises InvalidQuery with the path of an id that none has.
    """
    ids = value if isinstance(value, tuple) else (value,)
    found: dict[str, tuple[str, Condition]] = {}
    for place, one in enumerate(ids):
        where = f"{path}[{place}]" if isinstance(value, tuple) else path
        if one in (ALL_USERS, 0, "0"):
            found[ALL_USERS] = ("all users", AllOf())
            continue
        number = cohort_id(one, where)
        members = member_condition(number, scope, where)
        found[str(number)] = (scope.cohorts[number].name or f"Cohort {number}", members)
    if len(found) > MAX_COHORTS:
        raise InvalidQuery(f"There can be {MAX_COHORTS} cohorts.", path=path)
    return found
