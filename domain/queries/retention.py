"""Retention: a RetentionQuery becomes a plan, and the cells that answer it become rows of intervals.

Source: PostHog's retention query runner and its documentation (queries.md 8.3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from attrs import Factory, evolve, frozen

from ..errors import InvalidQuery, QueryTooLarge, UnsupportedQuery
from ..numbers import whole_number
from . import dates
from ._trend_breakdown import ALL_USERS, NULL_VALUE, OTHER_VALUE, breakdown_of, cleaned
from ._trend_rows import finite
from .actions import entity_condition, series_condition
from .nodes import ActionsNode, BreakdownFilter, EventsNode, Interval
from .plan import EventProperty, PersonProperty, Source
from .properties import all_of, text_of
from .resolution import Setting, actor_of, check_dates, sampling_of, shared_condition, upscaled
from .retention_nodes import RetentionEntity, RetentionFilter, RetentionQuery
from .sequence_plans import EventTest, RetentionActorsPlan, RetentionPlan, Selection
from .trend_plan import SplitByCondition, SplitBySource

MAX_INTERVALS = 1000
EVERYBODY = "0"
"""What rows of everybody are called among those of cohorts, which are called by their ids as texts."""
_INTERVALS: dict[str, Interval] = {"Hour": "hour", "Day": "day", "Week": "week", "Month": "month"}
_ROLLING = {"Hour": 3600, "Day": 86400, "Week": 7 * 86400, "Month": 30 * 86400}
_ENTRIES: dict[str, Any] = {
    "retention_recurring": None,
    "retention_first_time": "selected",
    "retention_first_ever_occurrence": "named",
}

RetentionRow = tuple[str | None, int, int, int, float | None]
"""Breakdown value, row, column, number of actors, aggregated measure."""


@frozen
class Retention:
    """A resolved RetentionQuery."""

    query: RetentionQuery
    asked: RetentionFilter
    bounds: dates.Bounds
    starts: tuple[datetime, ...]
    """Per row, its start as an aware time of the project's zone."""
    plans: tuple[tuple[str | None, RetentionPlan], ...]
    """One; with a breakdown by cohorts one per cohort, with its id as text."""
    is_split: bool
    cohort_names: Mapping[str, str] = Factory(dict)


def resolve(query: RetentionQuery, setting: Setting, *, path: str = "query") -> Retention:
    """Return what to compute. Raises InvalidQuery and UnsupportedQuery with the path of the wrong field."""
    asked = query.retention_filter
    where = f"{path}.retentionFilter"
    _check(asked, where)
    period = asked.period or "Day"
    bounds, n_rows, edges = _intervals(query, setting, asked, path)
    last = edges[-1] - timedelta(microseconds=1)
    shared = shared_condition(query.properties, query.filter_test_accounts, setting, path)
    target = asked.target_entity or RetentionEntity(id="$pageview", type="events")
    returning = asked.returning_entity or RetentionEntity(id="$pageview", type="events")
    breakdown, limit, cohorts, names = _breakdown(query.breakdown_filter, setting, path)
    brackets = tuple(int(one) for one in asked.retention_custom_brackets or ())
    plan = RetentionPlan(
        events=Selection(
            setting.project_id, edges[0], last, shared,
            actor_of(query.aggregation_group_type_index, setting, path),
            sampling_of(query.sampling_factor, path),
        ),
        target=evolve(
            _test(target, setting, f"{where}.targetEntity"),
            first=_ENTRIES[asked.retention_type or "retention_recurring"],
        ),
        returning=_test(returning, setting, f"{where}.returningEntity"),
        edges=edges,
        n_rows=n_rows,
        n_columns=_n_columns(asked),
        min_occurrences=asked.minimum_occurrences or 1,
        is_cumulative=bool(asked.cumulative),
        rolling_us=_ROLLING[period] * 1_000_000 if asked.time_window_mode == "24_hour_windows" else None,
        brackets=brackets,
        breakdown=breakdown,
        limit=limit,
        measure=_measure(asked, setting, where),
        is_mean=asked.aggregation_type == "avg",
        # Where both are one event the entry is a return too.
        measures_after_entry=(target.id, target.type or "events") != (returning.id, returning.type or "events"),
    )  # fmt: skip
    plans: list[tuple[str | None, RetentionPlan]] = [
        (name, evolve(plan, events=evolve(plan.events, condition=all_of([shared, members]))))
        for name, members in cohorts.items()
    ]
    zoned = tuple(edge.astimezone(setting.zone) for edge in edges[:n_rows])
    is_split = breakdown is not None or bool(cohorts)
    return Retention(query, asked, bounds, zoned, tuple(plans or [(None, plan)]), is_split, names)


def results(found: Retention, answers: Sequence[Sequence[RetentionRow]]) -> list[dict[str, Any]]:
    """Return one object per row, or with a breakdown one per row and value, those with most entries first."""
    tables: dict[str | None, dict[tuple[int, int], tuple[int, float | None]]] = {}
    for (cohort, _), rows in zip(found.plans, answers, strict=True):
        if cohort is not None or not found.is_split:
            tables.setdefault(cohort, {})
        for value, row, column, count, measure in rows:
            tables.setdefault(cohort if cohort is not None else value, {})[row, column] = (count, measure)
    entered = {
        value: sum(count for (_, column), (count, _) in table.items() if column == 0) for value, table in tables.items()
    }
    asked = found.query.breakdown_filter
    if asked is not None and asked.breakdown_hide_other_aggregation:
        tables.pop(OTHER_VALUE, None)
    shown = []
    for value in sorted(tables, key=lambda one: (one == OTHER_VALUE, -entered[one], str(one))):
        for row, start in enumerate(found.starts):
            one = {
                "values": [
                    _cell(found, tables[value].get((row, column)), column) for column in range(n_columns(found))
                ],
                "label": f"{found.asked.period or 'Day'} {row}",
                "date": dates.format_instant(start),
                "breakdown_value": _shown(found, value),
            }
            shown.append(one)
    return shown


def actors_plan(
    found: Retention, row: int, breakdown: Any, *, limit: int, offset: int, path: str
) -> RetentionActorsPlan:
    """Return who entered in a row, under a breakdown value that a result has, or under any.

    Raises InvalidQuery for a row or a cohort that there is not.
    """
    if not 0 <= row < len(found.starts):
        raise InvalidQuery(f"The retention has rows 0 to {len(found.starts) - 1}.", path=f"{path}.interval")
    if isinstance(breakdown, tuple):
        breakdown = breakdown[0] if len(breakdown) == 1 else "::".join(text_of(one) for one in breakdown)
    plans = dict(found.plans)
    if not found.cohort_names:
        is_rest = found.is_split and breakdown == OTHER_VALUE
        value = None
        if found.is_split and breakdown is not None and not is_rest:
            value = "" if breakdown == NULL_VALUE else text_of(breakdown)
        return RetentionActorsPlan(plans[None], row, value, is_rest, limit=limit, offset=offset)
    cohort = ALL_USERS if str(breakdown) == EVERYBODY else str(breakdown)
    if cohort not in plans:
        raise InvalidQuery("This is none of the cohorts of the breakdown.", path=f"{path}.breakdown")
    return RetentionActorsPlan(plans[cohort], row, limit=limit, offset=offset)


def n_columns(found: Retention) -> int:
    """Return how many columns a row has."""
    return found.plans[0][1].n_columns


def appearance_columns(query: RetentionQuery) -> tuple[str, ...]:
    """Return what ActorsQuery calls the columns of a row: `day_0`, `day_1` ..."""
    asked = query.retention_filter
    n_columns = min(_n_columns(asked), MAX_INTERVALS + 1)
    return tuple(f"{(asked.period or 'Day').lower()}_{place}" for place in range(n_columns))


def column_label(found: Retention, column: int) -> str:
    """Return what a column is called: `Day 1`, or `Day 1-3` for a bracket."""
    period, brackets = found.asked.period or "Day", found.plans[0][1].brackets
    if not brackets or column == 0:
        return f"{period} {column}"
    first = sum(brackets[: column - 1]) + 1
    last = first + brackets[column - 1] - 1
    return f"{period} {first}" if first == last else f"{period} {first}-{last}"


def _cell(found: Retention, cell: tuple[int, float | None] | None, column: int) -> dict[str, Any]:
    count, measure = cell or (0, 0.0)
    shown: dict[str, Any] = {
        "count": upscaled(count, found.plans[0][1].events.sampling),
        "label": column_label(found, column),
    }
    if found.plans[0][1].measure is not None:
        shown["aggregation_value"] = finite(measure or 0.0)
    return shown


def _shown(found: Retention, value: str | None) -> Any:
    return EVERYBODY if found.cohort_names and value == ALL_USERS else value


def _n_columns(asked: RetentionFilter) -> int:
    brackets = asked.retention_custom_brackets
    return len(brackets) + 1 if brackets else asked.total_intervals or 7


def _check(asked: RetentionFilter, path: str) -> None:
    if asked.cumulative and asked.time_window_mode == "24_hour_windows":
        raise InvalidQuery("Cumulative retention is not supported with 24 hour windows.", path=f"{path}.cumulative")
    if asked.total_intervals is not None and not 1 <= asked.total_intervals <= MAX_INTERVALS:
        raise InvalidQuery(f"There can be 1 to {MAX_INTERVALS} intervals.", path=f"{path}.totalIntervals")
    if asked.minimum_occurrences is not None and asked.minimum_occurrences < 1:
        raise InvalidQuery("At least one occurrence is needed.", path=f"{path}.minimumOccurrences")
    for place, one in enumerate(asked.retention_custom_brackets or ()):
        if not (one >= 1 and one == int(one) and one <= MAX_INTERVALS):
            raise InvalidQuery("A bracket is a positive whole number.", path=f"{path}.retentionCustomBrackets[{place}]")
    if sum(asked.retention_custom_brackets or ()) > MAX_INTERVALS:
        raise InvalidQuery(f"There can be {MAX_INTERVALS} intervals.", path=f"{path}.retentionCustomBrackets")


def _intervals(
    query: RetentionQuery, setting: Setting, asked: RetentionFilter, path: str
) -> tuple[dates.Bounds, int, tuple[datetime, ...]]:
    """Return the bounds, the number of rows and the edges; the interval that holds `date_to` is the last one."""
    check_dates(query.date_range, None, setting, path)
    interval = _INTERVALS[asked.period or "Day"]
    bounds = dates.resolve(
        query.date_range, interval=interval, now=setting.now, zone=setting.zone,
        week_start_day=setting.week_start_day, earliest=setting.earliest,
    )  # fmt: skip
    n_rows = asked.total_intervals or 7
    if query.date_range is None or not query.date_range.date_from:
        start = bounds.date_to
        for _ in range(n_rows - 1):
            start = _interval_before(dates.bucket_start(start, interval, setting.week_start_day), interval)
        bounds = evolve(bounds, date_from=dates.bucket_start(start, interval, setting.week_start_day), from_moment=None)
    too_long = QueryTooLarge(f"The range has more than {MAX_INTERVALS} intervals.", path=f"{path}.dateRange")
    try:
        edges = dates.buckets(bounds).edges
    except QueryTooLarge as error:
        raise too_long from error
    if len(edges) - 1 > MAX_INTERVALS:
        raise too_long
    if len(edges) < 2:
        raise InvalidQuery("The range ends before it begins.", path=f"{path}.dateRange")
    return bounds, len(edges) - 1, edges


def _interval_before(start: datetime, interval: Interval) -> datetime:
    if interval == "month":
        return (start - timedelta(days=1)).replace(day=1)
    return start - {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}[interval]


def _test(entity: RetentionEntity, setting: Setting, path: str) -> EventTest:
    if entity.type == "data_warehouse":
        raise UnsupportedQuery("Tables of a warehouse are not supported.", path=f"{path}.type")
    node: EventsNode | ActionsNode
    if entity.type == "actions":
        action = whole_number(str(entity.id or 0))
        if action is None:
            raise InvalidQuery("The id of an action is a number.", path=f"{path}.id")
        node = ActionsNode(id=action, properties=entity.properties)
    else:
        node = EventsNode(event=None if entity.id is None else str(entity.id), properties=entity.properties)
    _, among = entity_condition(node, setting.scope, path)
    return EventTest(*series_condition(node, setting.scope, path), among=among)


def _measure(asked: RetentionFilter, setting: Setting, path: str) -> Source | None:
    if asked.aggregation_type in (None, "count"):
        return None
    if not asked.aggregation_property:
        raise InvalidQuery("This aggregation needs a property.", path=f"{path}.aggregationProperty", code="required")
    if asked.aggregation_property_type == "person":
        return PersonProperty(asked.aggregation_property, is_stored=setting.scope.persons_mode != "joined")
    return EventProperty(asked.aggregation_property)


def _breakdown(
    asked: BreakdownFilter | None, setting: Setting, path: str
) -> tuple[Source | None, int, Mapping[str, Any], Mapping[str, str]]:
    """Return the source and how many values are told apart, or the condition per cohort, and the names of cohorts.

    Only the first breakdown counts.
    """
    if asked is not None and asked.breakdowns:
        asked = evolve(asked, breakdowns=asked.breakdowns[:1])
    found = breakdown_of(asked, "ActionsLineGraph", scope=setting.scope, path=path)
    if not found.splits:
        return None, found.limit, {}, {}
    split = found.splits[0]
    if isinstance(split, SplitByCondition):
        return None, found.limit, dict(zip(split.names, split.conditions, strict=True)), found.cohort_names
    assert isinstance(split, SplitBySource)
    return cleaned(split.source, (), is_normalized=split.normalizes_url), found.limit, {}, {}
