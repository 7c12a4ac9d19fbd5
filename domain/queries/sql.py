"""What HogQLQuery and EventsQuery mean: placeholders, dates, who and what is asked for, and the rows in answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from attrs import asdict, evolve

from ..elements import elements_of
from ..errors import InvalidQuery
from . import dates
from .actions import belonging, is_known, named, series_condition
from .actors import bare
from .event_nodes import EventsQuery, EventsQueryActionStep
from .nodes import ActionsNode, DateRange
from .plan import AllOf, Condition
from .properties import all_of, condition
from .resolution import Setting
from .scope import ActionMeaning, ActionStep, action_step
from .sql_nodes import HogQLFilters, HogQLQuery
from .sql_plan import DEFAULT_LIMIT, MAX_LIMIT, EventListPlan, RowFilters, SqlAnswer, SqlPlan, unnamed
from .trend_plan import TrendPlan

DEFAULT_AFTER = "-24h"
REACH = timedelta(seconds=5)
"""How far into the future a list of events reaches, for clocks that run ahead."""
_TICK = timedelta(microseconds=1)
_STAR = ("uuid", "event", "properties", "timestamp", "distinct_id", "elements_chain", "created_at")


def plan_of(query: HogQLQuery, setting: Setting, path: str = "query") -> SqlPlan:
    """Return the plan of a HogQL query. Raises InvalidQuery for filters and variables that cannot be read."""
    values: dict[str, Any] = dict(query.values or {})
    for name, variable in (query.variables or {}).items():
        if not isinstance(variable, Mapping) or not isinstance(variable.get("code_name"), str):
            raise InvalidQuery("A variable has a code_name.", path=f"{path}.variables.{name}")
        value = None if variable.get("isNull") else variable.get("value")
        values[f"variables.{variable['code_name']}"] = value
    filters = None if query.filters is None else _filters(query.filters, setting, f"{path}.filters")
    return SqlPlan(setting.project_id, query.query, f"{path}.query", setting.scope, filters, values)


def _filters(filters: HogQLFilters, setting: Setting, path: str) -> RowFilters:
    asked = filters.date_range or DateRange()
    since = _moment(asked.date_from, setting, f"{path}.dateRange.date_from")
    ends_with_day = dates.is_day(asked.date_to or "")
    until = _moment(asked.date_to, setting, f"{path}.dateRange.date_to", is_end=ends_with_day)
    return RowFilters(
        all_of([_test_accounts(filters.filter_test_accounts, setting),
                condition(filters.properties, path=f"{path}.properties", scope=setting.scope)]),
        since, until,
    )  # fmt: skip


def event_plan(query: EventsQuery, setting: Setting, path: str = "query") -> EventListPlan:
    """Return the plan of a list of events. Raises InvalidQuery for dates, limits and actions that cannot be read."""
    parts: list[Condition] = [
        _test_accounts(query.filter_test_accounts, setting),
        condition(query.properties, path=f"{path}.properties", scope=setting.scope),
        condition(query.fixed_properties, path=f"{path}.fixedProperties", scope=setting.scope),
    ]
    names = [name for name in (query.event, *(query.events or ())) if name]
    event = names[0] if len(names) == 1 else None
    if len(names) > 1:
        parts.append(named(*names))
    if query.action_id is not None:
        action = ActionsNode(kind="ActionsNode", id=query.action_id)
        if not is_known(action, setting.scope):
            raise InvalidQuery(f"Action ID {query.action_id} does not exist.", path=f"{path}.actionId")
        name, own = series_condition(action, setting.scope, f"{path}.actionId")
        if event is not None and name is not None:
            parts.append(named(name))
        event = event or name
        parts.append(own)
    elif query.action_steps:
        steps = tuple(_action_step(step) for step in query.action_steps)
        parts.append(belonging(ActionMeaning(0, None, steps), setting.scope, path=f"{path}.actionSteps"))
    after = query.after or DEFAULT_AFTER
    return EventListPlan(
        setting.project_id,
        query.select or ("*",),
        path,
        setting.scope,
        where=query.where or (),
        condition=all_of(parts),
        event=event,
        person_uuid=query.person_id or None,
        after=None if after == "all" else _moment(after, setting, f"{path}.after"),
        before=_moment(query.before, setting, f"{path}.before") if query.before else setting.now + REACH,
        order_by=query.order_by,
        limit=_bounded(query.limit, DEFAULT_LIMIT, 1, MAX_LIMIT, f"{path}.limit"),
        offset=_bounded(query.offset, 0, 0, 1 << 31, f"{path}.offset"),
    )


def _action_step(step: EventsQueryActionStep) -> ActionStep:
    return action_step(asdict(step) | {"properties": [asdict(one) for one in step.properties or ()]})


def narrowed_to(plan: EventListPlan, condition: Condition, trend: TrendPlan) -> EventListPlan:
    """Return the plan of those of its events that a trend counts between its bounds, which are inclusive."""
    since, until = trend.count_from - _TICK, trend.count_to + _TICK
    return evolve(
        plan,
        condition=all_of([plan.condition, condition]),
        after=since if plan.after is None else max(plan.after, since),
        before=until if plan.before is None else min(plan.before, until),
    )


def event_rows(query: EventsQuery, answer: SqlAnswer, project_id: int) -> list[list[Any]]:
    """Return the rows with `*` and `person` as objects."""
    made: dict[str, Callable[[list[Any]], dict[str, Any]]] = {
        "*": lambda values: _event(values, project_id),
        "person": _person,
        "person_display_name": lambda values: dict(zip(("display_name", "id", "distinct_id"), values, strict=True)),
    }
    rows = answer.rows
    for place, text in enumerate(query.select or ("*",)):
        make = made.get(bare(text))
        if make is not None:
            rows = [[*row[:place], make(row[place]), *row[place + 1 :]] for row in rows]
    return rows


def event_columns(query: EventsQuery, answer: SqlAnswer) -> list[str]:
    """Return the names that columns were given, else their texts."""
    texts = query.select or ("*",)
    return [texts[place] if name == unnamed(place) else name for place, name in enumerate(answer.columns)]


def _event(values: list[Any], project_id: int) -> dict[str, Any]:
    found = dict(zip(_STAR, values, strict=True))
    found["properties"] = json.loads(found["properties"])
    elements = {"elements": elements_of(found["elements_chain"])} if found["elements_chain"] else {}
    return {**found, "team_id": project_id, **elements}


def _person(values: list[Any]) -> dict[str, Any]:
    uuid, created_at, properties, distinct_id = values
    if created_at is None:
        return {"distinct_id": distinct_id}
    known = json.loads(properties) if properties else {}
    shown = {key: known[key] for key in ("name", "email") if key in known}
    return {"uuid": uuid, "created_at": created_at, "properties": shown, "distinct_id": distinct_id}


def _test_accounts(wanted: bool | None, setting: Setting) -> Condition:
    if not wanted:
        return AllOf()
    return condition(setting.test_account_filters, path="test_account_filters", scope=setting.scope)


def _moment(text: str | None, setting: Setting, path: str, *, is_end: bool = False) -> datetime | None:
    if not text or text == "all":
        return None
    dates.check(text, now=setting.now, zone=setting.zone, path=path)
    local = dates.parse(text, now=setting.now, zone=setting.zone).local
    if is_end:
        local += timedelta(days=1) - timedelta(microseconds=1)
    return dates.instant(local, setting.zone)


def _bounded(value: int | None, default: int, least: int, most: int, path: str) -> int:
    if value is None:
        return default
    if value < least:
        raise InvalidQuery(f"This is {least} or more.", path=path)
    return min(value, most)
