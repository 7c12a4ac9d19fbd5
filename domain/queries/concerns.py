"""What a query's answer hangs on, read off its JSON: its interval, its range, the events and people that can change it.

For those who keep answers and must know when one is out of date. Whatever cannot be told exactly is told too wide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any, Literal, get_args

from attrs import frozen

from ..errors import InvalidQuery
from . import dates
from .nodes import TOTAL_VALUE_DISPLAYS, DateRange, Interval
from .scope import Scope
from .uses import add_reached, uses_of

_WRAPPERS = frozenset({"InsightVizNode", "DataVisualizationNode", "DataTableNode"})
_WITH_RANGE = frozenset(
    {"TrendsQuery", "FunnelsQuery", "RetentionQuery", "PathsQuery", "StickinessQuery", "LifecycleQuery",
     "CalendarHeatmapQuery"}
)  # fmt: skip
_OF_WHOLE_INTERVALS = frozenset({"RetentionQuery", "LifecycleQuery"})
_BY_SERIES = frozenset({"TrendsQuery", "StickinessQuery", "FunnelsQuery", "LifecycleQuery"})
_WITHIN_RANGE = frozenset({None, "total", "dau", "unique_session", "unique_group", "hogql", "sum", "avg", "min", "max",
                           "median", "p75", "p90", "p95", "p99"})  # fmt: skip
"""Maths whose number hangs on the events of the range only."""

_OF_EVENTS = frozenset({None, "total", "unique_session", "unique_group", "sum", "avg", "min", "max", "median", "p75",
                        "p90", "p95", "p99"})  # fmt: skip
"""Maths that count or measure events, whoever did them."""


@frozen
class Concern:
    """Which events can change an answer, and what of people."""

    events: frozenset[str] | None
    """Names; None: any event."""
    only_in_range: bool
    """Whether events before the query's `date_from` are of no account."""
    people: Literal["merges", "properties"] | None = "properties"
    """Who is whom, or what is known of persons and groups as well; None: neither."""
    ends_with_range: bool = True
    """Whether events after the query's `date_to` are of no account: sessions go on, cohorts are about the present."""


def innermost(query: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the source that wrapping nodes stand for."""
    for _ in range(4):
        source = query.get("source")
        if str(query.get("kind")) not in _WRAPPERS or not isinstance(source, Mapping):
            break
        query = source
    return query


def interval_of(source: Mapping[str, Any]) -> str | None:
    """Return the interval that the answer's age is measured by; `minute` for queries that have no date range."""
    if str(source.get("kind")) not in _WITH_RANGE:
        return "minute"
    section = source.get("retentionFilter")
    if isinstance(section, Mapping) and isinstance(section.get("period"), str):
        return str(section["period"]).lower()
    interval = source.get("interval")
    return interval if isinstance(interval, str) else None


def range_of(
    source: Mapping[str, Any], *, now: datetime, zone: tzinfo, week_start_day: int = 0
) -> tuple[datetime, datetime] | None:
    """Return the first and last instant whose events count in the query's range as of now.

    None when it has none, or one that is not understood. Retention and lifecycles count on until the end of their last
    interval.
    """
    kind, asked = str(source.get("kind")), source.get("dateRange")
    if kind not in _WITH_RANGE or not isinstance(asked, Mapping | None):
        return None
    asked = asked or {}
    texts = [asked.get("date_from"), asked.get("date_to")]
    if not all(isinstance(text, str | None) for text in texts):
        return None
    interval = interval_of(source)
    known: Interval = interval if interval in get_args(Interval) else "day"  # type: ignore[assignment]
    display = _display(source)
    try:
        bounds = dates.resolve(
            DateRange(texts[0], texts[1], bool(asked.get("explicitDate"))),
            interval="day" if display in TOTAL_VALUE_DISPLAYS else known,
            now=now, zone=zone, week_start_day=week_start_day, is_exact=display == "BoldNumber",
        )  # fmt: skip
        until = bounds.to_instant
        if kind in _OF_WHOLE_INTERVALS:
            last = dates.bucket_start(bounds.date_to, known, week_start_day)
            until = dates.instant(dates.next_start(last, known), zone) - timedelta(microseconds=1)
    except (InvalidQuery, ValueError, OverflowError):  # the last two at the end of the calendar
        return None
    return min(bounds.from_instant, bounds.count_from), until


def is_over_all_time(source: Mapping[str, Any]) -> bool:
    """Whether the query begins with the first event of the project, whatever that is called."""
    asked = source.get("dateRange")
    return isinstance(asked, Mapping) and asked.get("date_from") == "all"


def _display(source: Mapping[str, Any]) -> str | None:
    section = source.get("trendsFilter")
    return str(section.get("display")) if source.get("kind") == "TrendsQuery" and isinstance(section, Mapping) else None


def concern_of(source: Mapping[str, Any], scope: Scope, test_account_filters: Sequence[Any] = ()) -> Concern:
    """Return what the answer of a query hangs on."""
    uses = uses_of(source, test_account_filters)
    add_reached(uses, scope)
    looks_elsewhere = bool(uses.cohorts) or uses.everything or uses.reads_sessions
    if str(source.get("kind")) not in _BY_SERIES:
        return Concern(None, only_in_range=False, people="properties", ends_with_range=not looks_elsewhere)
    nodes = list(_nodes(source))
    is_of_persons = (
        source["kind"] != "TrendsQuery"
        or not all(_is_math(node, _OF_EVENTS) for node in nodes)
        or "person_id" in uses.texts
    )
    # A group is new when something was told of it first.
    is_of_groups = source["kind"] == "LifecycleQuery" and source.get("aggregation_group_type_index") is not None
    return Concern(
        None if looks_elsewhere else _events(nodes, scope),
        only_in_range=_is_within_range(source, nodes) and not looks_elsewhere,
        people="properties" if uses.reads_people or is_of_groups else "merges" if is_of_persons else None,
        ends_with_range=not looks_elsewhere,
    )


def custom_names(source: Mapping[str, Any]) -> tuple[str | None, ...]:
    """Return what the series are called by the one who made the query, in their order."""
    series = source.get("series")
    found = [node.get("custom_name") if isinstance(node, Mapping) else None for node in _list(series)]
    return tuple(name if isinstance(name, str) else None for name in found)


def _events(nodes: list[Mapping[str, Any]], scope: Scope) -> frozenset[str] | None:
    names: set[str] = set()
    for node in nodes:
        action = scope.actions.get(node["id"]) if node.get("kind") == "ActionsNode" and _is_id(node) else None
        found = [node.get("event")] if action is None else [step.event for step in action.steps]
        if not found or not all(isinstance(name, str) and name for name in found):
            return None
        names.update(str(name) for name in found)
    return frozenset(names)


def _is_id(node: Mapping[str, Any]) -> bool:
    return isinstance(node.get("id"), int)


def _is_math(node: Mapping[str, Any], known: frozenset[str | None]) -> bool:
    math = node.get("math")
    return isinstance(math, str | None) and math in known


def _nodes(source: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    section = source.get("funnelsFilter")
    exclusions = section.get("exclusions") if isinstance(section, Mapping) else None
    for node in [*_list(source.get("series")), *_list(exclusions)]:
        yield node if isinstance(node, Mapping) else {}


def _is_within_range(source: Mapping[str, Any], nodes: list[Mapping[str, Any]]) -> bool:
    section = source.get("trendsFilter")
    compares = source.get("compareFilter") or (isinstance(section, Mapping) and section.get("compare"))
    return (
        source["kind"] == "TrendsQuery" and not compares
        and all(_is_math(node, _WITHIN_RANGE) for node in nodes)
    )  # fmt: skip


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []
