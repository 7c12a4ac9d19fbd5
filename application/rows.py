"""Calculating queries over rows: HogQLQuery and EventsQuery."""

from __future__ import annotations

from typing import Any

from attrs import define

from ..domain.queries import sql
from ..domain.queries.nodes import DateRange
from ..domain.queries.sql_nodes import EventsQuery, HogQLQuery
from ..domain.queries.sql_plan import SqlAnswer
from .query_context import QueryContext, Run, setting_of


@define
class _Undated:
    """Stands for a query whose dates are its own business."""

    date_range: DateRange | None = None


def hogql(node: HogQLQuery, context: QueryContext, run: Run) -> dict[str, Any]:
    """Answer a HogQL query: rows as lists, names and types of columns (queries.md 9.3)."""
    plan = sql.plan_of(node, setting_of(_Undated(), context, run.store))
    answer: SqlAnswer = run.timed("calculate", lambda: run.answer(plan))
    types = [list(pair) for pair in zip(answer.columns, answer.types, strict=True)]
    return _response(answer, answer.rows, context, run) | {
        "columns": list(answer.columns),
        "types": types,
        "query": node.query,
        "hogql": node.query,
        "clickhouse": None,
        "explain": None,
        "metadata": None,
    }


def events(node: EventsQuery, context: QueryContext, run: Run) -> dict[str, Any]:
    """Answer a list of events: the columns are the texts that were asked for, the types a flat list."""
    plan = sql.event_plan(node, setting_of(_Undated(), context, run.store))
    answer: SqlAnswer = run.timed("calculate", lambda: run.answer(plan))
    rows = run.timed("format", lambda: sql.event_rows(node, answer, context.project_id))
    return _response(answer, rows, context, run) | {
        "columns": list(node.select),
        "types": list(answer.types),
        "hogql": None,
    }


def _response(answer: SqlAnswer, rows: list[list[Any]], context: QueryContext, run: Run) -> dict[str, Any]:
    return {
        "results": rows,
        "hasMore": answer.has_more,
        "limit": answer.limit,
        "offset": answer.offset,
        "timings": run.timings,
        "modifiers": {},
        "error": None,
        "timezone": context.timezone,
    }
