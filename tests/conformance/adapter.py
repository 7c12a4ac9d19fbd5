"""Puts the fixtures of a recorded case into the product and asks its questions there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

import check
from attrs import evolve
from filtering import Filtering
from fixtures import CLOCK, World, context_of
from of_2023 import trends as trends_2023
from of_2023.calculation import calculate_2023
from sequences import Sequences

from insightlog.adapters.storage.duckdb.store import DuckDBStore
from insightlog.adapters.storage.sqlite.capture_log import SQLiteCaptureLog
from insightlog.application.calculation import QueryContext, calculate
from insightlog.domain.errors import InvalidInput, UnsupportedQuery
from insightlog.domain.queries import dates, formulas
from insightlog.domain.queries.legacy import filters_to_query
from insightlog.domain.queries.legacy_actors import ACTORS
from insightlog.domain.queries.legacy_names import PARAMETERS
from insightlog.domain.queries.nodes import DateRange

PAGE = 25
"""How many breakdown values an answer has."""
SETTINGS = frozenset(
    {"STRICT_CACHING_TEAMS", "USE_PRECALCULATED_CH_COHORT_PEOPLE", "PERSON_ON_EVENTS_ENABLED",
     "PERSON_ON_EVENTS_V2_OVERRIDE", "AGGREGATE_BY_DISTINCT_IDS_TEAMS"}
)  # fmt: skip
"""Known switches; the first two are about caching, which answers here do not depend on."""
FOLLOWING = ("trends", "stickiness", "lifecycle", "funnel", "correlation", "retention", "paths")
PERSON_MATHS = frozenset({"dau", "weekly_active", "monthly_active"})
SECTIONS = dict.fromkeys(("trendsFilter", "funnelsFilter", "retentionFilter", "pathsFilter", "lifecycleFilter"))
SECTION_NAMES = frozenset({*SECTIONS, "stickinessFilter"})
"""Recorded nodes say null for sections which are not there."""


class Executor:
    """One case: a capture log and a store in a folder, filled as the case goes on."""

    def __init__(self, folder: Path, engine: str) -> None:
        if engine != "duckdb":
            raise check.Unsupported(f"engine {engine} is not built")
        self._log = SQLiteCaptureLog(folder / "capture.sqlite")
        self._store = DuckDBStore(folder / "products.duckdb", self._log, clock=lambda: CLOCK, threads=1)
        self._world = World(self._store, self._log)
        self._filtering = Filtering(self._store)
        self._sequences = Sequences(self._store)

    def close(self) -> None:
        self._store.close()
        self._log.close()

    def execute(self, fixtures: dict[str, Any], kind: str, query: Any, now: str) -> Any:
        answer = self._answers().get(kind)
        if answer is None:
            raise check.Unsupported(f"{kind} is not built")
        request = fixtures["request"]
        unknown = request.get("settings", {}).keys() - SETTINGS
        if unknown:
            raise check.Unsupported(f"the settings {', '.join(sorted(unknown))} are not built")
        try:
            context = context_of(fixtures, now)
            self._world.advance(fixtures, context, self._filtering.calculate)
            self._filtering.fixtures = fixtures
            self._sequences.request = request
            with self._world.of_persons(context) if _is_by_person(kind, query) else nullcontext():
                answered = answer(query, context)
        except UnsupportedQuery as error:
            raise check.Unsupported(f"{error.path}: {error.detail}") from error
        except InvalidInput as error:
            raise check.QueryError(str(error), attr=error.path, code=error.code) from error
        is_bare = isinstance(answered, list) or (isinstance(answered, dict) and "bins" in answered)
        if request.get("via") != "api" or not is_bare:
            return answered
        return self._envelope(answered, query, kind, context)

    def _envelope(self, answered: Any, query: Any, kind: str, context: QueryContext) -> dict[str, Any]:
        found = {"result": answered, "timezone": context.timezone, "is_cached": False}
        if kind != "trends":
            return found
        offset = int(query.get("offset") or 0) + len({json.dumps(row.get("breakdown_value")) for row in answered})
        has_more = bool(query.get("breakdown")) and offset >= int(query.get("breakdown_limit") or PAGE)
        found["next"] = f"/api/projects/1/insights/trend/?offset={offset}" if has_more else None
        return found | {"last_refresh": dates.format_instant(context.now)}

    def _answers(self) -> dict[str, Callable[[Any, QueryContext], Any]]:
        return {
            "trends": self._trends,
            "events_node": lambda query, context: calculate(query, context=context, store=self._store),
            "trends_node": self._trends_node,
            "lifecycle_node": lambda query, context: calculate(query, context=context, store=self._store),
            "stickiness": lambda filters, context: self._trends(filters | {"insight": "STICKINESS"}, context),
            "filter_to_query": lambda query, _: SECTIONS | _as_of_2023(filters_to_query(query), query),
            "date_range": _date_range,
            "relative_date": _relative_date,
            "formula": _formula,
            **self._sequences.answers(),
            "trends_actors": partial(self._actors, "trends"),
            "stickiness_actors": partial(self._actors, "stickiness"),
            "lifecycle_actors": partial(self._actors, "lifecycle"),
            "follow_url": self._follow,
            **self._filtering.answers(),
        }

    def _trends(self, filters: dict[str, Any], context: QueryContext) -> Any:
        query = filters_to_query(filters)
        return calculate_2023(query, context=context, store=self._store, filters=filters, root="/api/projects/1/")

    def _trends_node(self, query: dict[str, Any], context: QueryContext) -> Any:
        """Answer a node, whose compared periods had numbered labels then."""
        answer = calculate(query, context=context, store=self._store)
        rows = trends_2023.with_numbered(answer["results"], query.get("interval") or "day")
        return answer | {"results": rows}

    def _actors(self, kind: str, filters: dict[str, Any], context: QueryContext) -> Any:
        entity = self._sequences.request.get("entity")
        if entity:
            filters = filters | {f"entity_{name}": entity[name] for name in ("id", "type", "order") if name in entity}
        if kind == "lifecycle":  # its weeks began on Monday
            context = evolve(context, week_start_day=1)
        return self._sequences.actors(ACTORS[kind](filters), filters, context, f"{kind}/")

    def _follow(self, query: dict[str, Any], context: QueryContext) -> Any:
        url = urlsplit(query["url"])
        kind = url.path.partition("/persons/")[2].rstrip("/")
        if kind not in ACTORS:
            return self._sequences.follow(query, context)
        self._sequences.request = {"via": "api"}
        return self._actors(kind, dict(parse_qsl(url.query, keep_blank_values=True)), context)


def _is_by_person(kind: str, query: dict[str, Any]) -> bool:
    """Whether events were joined to persons, which left out those of nobody."""
    if query.get("aggregation_group_type_index") is not None or kind.endswith("_node"):
        return False
    series = [one for name in ("events", "actions") for one in query.get(name) or () if isinstance(one, dict)]
    if kind == "trends" and not query.get("shown_as") and str(query.get("insight") or "TRENDS").upper() == "TRENDS":
        reads_persons = re.search(r'"type": "(person|(precalculated-)?cohort)"', json.dumps(query)) is not None
        is_counted = bool(series) and all(one.get("math") in PERSON_MATHS for one in series)
        return is_counted or reads_persons or query.get("breakdown_type") == "person"
    is_of_others = any(one.get("math") in ("unique_group", "hogql") for one in series)
    return kind.startswith(FOLLOWING) and not is_of_others


def _as_of_2023(node: dict[str, Any], filters: dict[str, Any]) -> dict[str, Any]:
    """Return the node with the names of that time: `breakdown`, `compare` among other settings, and `snake_case`.

    Exclusions were entities, with the `order` of the filters, which nodes do not have.
    """
    found = {name: _section_of_2023(value) if name in SECTION_NAMES else value for name, value in node.items()}
    if "breakdownFilter" in node:
        found["breakdown"] = node["breakdownFilter"]
    section = {"TrendsQuery": "trendsFilter", "StickinessQuery": "stickinessFilter"}.get(node["kind"])
    if section and node.get("compareFilter"):
        found[section] = {**(found.get(section) or {}), **node["compareFilter"]}
    exclusions = (found.get("funnelsFilter") or {}).get("exclusions", ())
    for exclusion, entity in zip(exclusions, filters.get("exclusions") or (), strict=False):
        exclusion.update({"order": entity["order"]} if entity.get("order") is not None else {})
    return found


def _section_of_2023(section: dict[str, Any]) -> dict[str, Any]:
    found = {PARAMETERS.get(name, name): value for name, value in section.items()}
    if "exclusions" in found:
        found["exclusions"] = [_exclusion_of_2023(one) for one in found["exclusions"]]
    return found


def _exclusion_of_2023(node: dict[str, Any]) -> dict[str, Any]:
    subject = {"id": node["id"], "type": "actions"} if "id" in node else {"id": node.get("event"), "type": "events"}
    names = {name: node[name] for name in ("name", "custom_name") if name in node}
    steps = {"funnel_from_step": node.get("funnelFromStep"), "funnel_to_step": node.get("funnelToStep")}
    return subject | names | steps


def _date_range(query: dict[str, Any], context: QueryContext) -> Any:
    is_node = "dateRange" in query
    asked = query["dateRange"] if is_node else query
    interval, clock = query.get("interval") or "day", {"now": context.now, "zone": context.zone}
    explicit = asked.get("explicitDate") or asked.get("explicit_date")
    date_range = DateRange(asked.get("date_from"), asked.get("date_to"), explicit)
    if not is_node:
        date_range = trends_2023.range_of_2023(date_range, interval, **clock)
    bounds = dates.resolve(date_range, interval=interval, **clock)
    if is_node:
        return {"date_from": bounds.from_instant.isoformat(), "date_to": bounds.to_instant.isoformat()}
    found = {}
    for name, sign, local in (("date_from", ">=", bounds.date_from), ("date_to", "<=", bounds.date_to)):
        text = local.isoformat(sep=" ", timespec="seconds")
        found[name] = {"compare": sign, "local_time": text, "timezone": context.timezone}
    return found


def _formula(query: dict[str, Any], context: QueryContext) -> Any:
    del context
    series = query["series"]
    return formulas.evaluate(formulas.parse(query["formula"], n_series=len(series), path="formula"), series)


def _relative_date(query: dict[str, Any], context: QueryContext) -> Any:
    zone = ZoneInfo(query["timezone"])
    return dates.parse(query["text"], now=context.now, zone=zone).local.replace(tzinfo=zone).isoformat()
