"""SQL texts of trend plans, kept by everything but their dates: the same trend asked tomorrow is the same text.

PERF: building and rendering expressions takes as long as DuckDB needs for a day's events.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from attrs import evolve, frozen

from ....domain.queries.trend_plan import TrendPlan
from . import _trends
from ._buckets import Run, runs_between
from ._statement import PlanDate, Statement, stored

MAX_TEXTS = 500
MAX_LISTED = 1_000
"""Longer lists (of persons) are not kept."""
_NO_DATE = datetime(1970, 1, 1, tzinfo=UTC)


@frozen
class _Text:
    sql: str
    values: dict[str, Any]
    dates: dict[str, PlanDate]
    asked: frozenset[str]


_texts: OrderedDict[Any, _Text] = OrderedDict()
_lock = threading.Lock()


def trend(plan: TrendPlan, statement: Statement) -> tuple[str, dict[str, Any]]:
    """Return the SQL text of a plan and its parameters; the statement notes what it reads, built anew or not.

    What is built never sees the plan's dates, so that it cannot hang on them.
    """
    shape = evolve(plan, count_from=_NO_DATE, count_to=_NO_DATE, edges=())
    statement.n_buckets = max(len(plan.edges) - 1, 1)
    statement.runs = runs_between(plan.edges) if statement.n_buckets > 1 else ()
    runs = tuple((run.first, run.step_us) for run in statement.runs)
    about = (statement.has_merges, statement.person_bits, tuple(statement.columns.items()))
    name = (shape, statement.n_buckets, runs, about)
    with _lock:
        text = _texts.get(name)
    if text is None:
        text = _built(shape, statement)
        # What names in HogQL stand for is no part of the plan's equality.
        if not statement.hogql_paths and all(_is_small(value) for value in text.values.values()):
            _keep(name, text)
    statement.asked |= text.asked
    return text.sql, text.values | {key: _value(date, plan, statement.runs) for key, date in text.dates.items()}


def _built(shape: TrendPlan, statement: Statement) -> _Text:
    sql, values = statement.render(_trends.trend(shape, statement))
    dates = {key: date for key, date in statement.dates.items() if key in values}
    return _Text(sql, values, dates, frozenset(statement.asked))


def _is_small(value: Any) -> bool:
    return not isinstance(value, list | tuple) or len(value) <= MAX_LISTED


def _keep(name: Any, text: _Text) -> None:
    with _lock:
        _texts[name] = text
        while len(_texts) > MAX_TEXTS:
            _texts.popitem(last=False)


def _value(date: PlanDate, plan: TrendPlan, runs: Sequence[Run]) -> Any:
    match date.of:
        case "run":
            return runs[date.place].start_us
        case "edge":
            return stored(plan.edges[date.place])
        case "since":
            return stored(plan.count_from + date.moved)
        case "until":
            return stored(plan.count_to + date.moved)
