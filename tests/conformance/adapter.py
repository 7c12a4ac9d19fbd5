"""Puts the fixtures of a recorded case into the product and asks its questions there."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import check

from insightlog.adapters.storage.duckdb.store import DuckDBStore
from insightlog.adapters.storage.sqlite.capture_log import SQLiteCaptureLog
from insightlog.application.calculation import QueryContext, calculate, calculate_2023, filters_to_query
from insightlog.domain.errors import InvalidInput, UnsupportedQuery
from insightlog.domain.product_event import ProductEvent
from insightlog.domain.queries import dates, formulas
from insightlog.domain.queries.nodes import DateRange

IGNORED_SETTINGS = frozenset({"STRICT_CACHING_TEAMS"})
"""Switches of result caching, which answers here do not depend on."""
CLOCK = datetime(2023, 11, 2, 12, tzinfo=UTC)
SECTIONS = dict.fromkeys(("trendsFilter", "funnelsFilter", "retentionFilter", "pathsFilter", "lifecycleFilter"))
"""Recorded nodes say null for sections which are not there."""


class Executor:
    """One case: a capture log and a store in a folder, filled as the case goes on."""

    def __init__(self, folder: Path, engine: str) -> None:
        if engine != "duckdb":
            raise check.Unsupported(f"engine {engine} is not built")
        self._log = SQLiteCaptureLog(folder / "capture.sqlite")
        self._store = DuckDBStore(folder / "products.duckdb", self._log, clock=lambda: CLOCK, threads=1)
        self._n_events = 0
        self._merged: set[tuple[int, str]] = set()

    def close(self) -> None:
        self._store.close()
        self._log.close()

    def execute(self, fixtures: dict[str, Any], kind: str, query: Any, now: str) -> Any:
        answer = self._answers().get(kind)
        if answer is None:
            raise check.Unsupported(f"{kind} is not built")
        request = fixtures["request"]
        unknown = request.get("settings", {}).keys() - IGNORED_SETTINGS
        if unknown:
            raise check.Unsupported(f"the settings {', '.join(sorted(unknown))} are not built")
        try:
            self._fill(fixtures)
            context = self._context(fixtures, now)
            answered = answer(query, context)
        except UnsupportedQuery as error:
            raise check.Unsupported(f"{error.path}: {error.detail}") from error
        except InvalidInput as error:
            raise check.QueryError(str(error), attr=error.path, code=error.code) from error
        is_list_over_http = request.get("via") == "api" and isinstance(answered, list)
        return {"result": answered, "timezone": context.timezone} if is_list_over_http else answered

    def _answers(self) -> dict[str, Callable[[Any, QueryContext], Any]]:
        return {
            "trends": self._trends,
            "trends_node": lambda query, context: calculate(query, context=context, store=self._store),
            "lifecycle_node": lambda query, context: calculate(query, context=context, store=self._store),
            "stickiness": self._trends,
            "filter_to_query": lambda query, _: SECTIONS | filters_to_query(query),
            "date_range": _date_range,
            "relative_date": _relative_date,
            "formula": _formula,
        }

    def _trends(self, filters: dict[str, Any], context: QueryContext) -> Any:
        return calculate_2023(filters_to_query(filters), context=context, store=self._store)

    def _context(self, fixtures: dict[str, Any], now: str) -> QueryContext:
        wanted = fixtures["request"].get("team", 1)
        team = next((team for team in fixtures["teams"] if team["id"] == wanted), {})
        return QueryContext(
            project_id=wanted,
            now=_instant(now or CLOCK.isoformat()),
            timezone=team.get("timezone") or "UTC",
            week_start_day=team.get("week_start_day") or 0,
            test_account_filters=tuple(team.get("test_account_filters") or ()),
        )

    def _fill(self, fixtures: dict[str, Any]) -> None:
        self._share_persons(fixtures["persons"])
        events = fixtures["events"][self._n_events :]
        self._n_events += len(events)
        for event in events:
            self._log.append(event.get("team", 1), [_product_event(event)], captured_at=CLOCK)

    def _share_persons(self, persons: list[dict[str, Any]]) -> None:
        """Tell which ids are one person, by merge events of a time that no question reaches."""
        for person in persons:
            team, ids = person.get("team", 1), [str(name) for name in person.get("distinct_ids") or ()]
            for name in ids[1:]:
                if (team, name) not in self._merged:
                    self._merged.add((team, name))
                    merge = {"event": "$merge_dangerously", "distinct_id": ids[0], "properties": {"alias": name}}
                    event = _product_event(merge | {"timestamp": "1990-01-01T00:00:00Z"})
                    self._log.append(team, [event], captured_at=CLOCK)


def _product_event(event: dict[str, Any]) -> ProductEvent:
    return ProductEvent(
        uuid=uuid.UUID(event["uuid"]) if event.get("uuid") else uuid.uuid4(),
        event=event["event"],
        distinct_id=str(event["distinct_id"]),
        timestamp=_instant(event["timestamp"]),
        properties=json.dumps(event.get("properties") or {}),
    )


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _date_range(query: dict[str, Any], context: QueryContext) -> Any:
    is_node = "dateRange" in query
    asked = query["dateRange"] if is_node else query
    bounds = dates.resolve(
        DateRange(asked.get("date_from"), asked.get("date_to")),
        interval=query.get("interval") or "day",
        now=context.now,
        zone=context.zone,
    )
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
