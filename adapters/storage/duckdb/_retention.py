"""Answers plans about retention: DuckDB fetches the events, the kernel counts them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlglot import exp

from ....domain.errors import QueryTooLarge
from ....domain.queries._trend_breakdown import OTHER_VALUE
from ....domain.queries.retention import RetentionRow
from ....domain.queries.sequence_plans import ActorId, RetentionActorsPlan, RetentionPlan
from ...kernels import retention as kernel
from ...kernels.packed import Packed
from ._histories import Fetched, fetch, joined_text
from ._numbers import number_sql
from ._sources import source_sql
from ._statement import Statement
from ._trends import finite

if TYPE_CHECKING:
    import duckdb

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def cells(plan: RetentionPlan, statement: Statement, cursor: duckdb.DuckDBPyConnection) -> list[RetentionRow]:
    """Answer who is seen again."""
    fetched, found = _seen(plan, statement, cursor)
    texts = fetched.texts.get("value", ())
    if plan.breakdown is not None:
        found = kernel.folded(found, plan.limit)
    rows: list[RetentionRow] = []
    for code, row, column, count, total in kernel.cells(found, _shape(plan)):
        value = None
        if plan.breakdown is not None:
            value = OTHER_VALUE if code == kernel.FOLDED else texts[code]
        measure = None if plan.measure is None else total / count if plan.is_mean else total
        rows.append((value, row, column, count, measure))
    return rows


def actors(
    plan: RetentionActorsPlan, statement: Statement, cursor: duckdb.DuckDBPyConnection
) -> list[tuple[ActorId, list[int]]]:
    """Answer who entered in a row, and in which columns they were seen."""
    fetched, found = _seen(plan.retention, statement, cursor)
    if plan.is_rest:
        found = kernel.only(kernel.folded(found, plan.retention.limit), kernel.FOLDED)
    elif plan.value is not None:
        texts = fetched.texts.get("value", ())
        found = kernel.only(found, texts.index(plan.value) if plan.value in texts else kernel.NOBODYS)
    rows = kernel.appearances(found, _shape(plan.retention), plan.row)
    page = rows[plan.offset : plan.offset + plan.limit]
    return [(fetched.actor_id(actor), columns) for actor, columns in page]


def _seen(plan: RetentionPlan, statement: Statement, cursor: duckdb.DuckDBPyConnection) -> tuple[Fetched, kernel.Seen]:
    texts = {} if plan.breakdown is None else {"value": joined_text([plan.breakdown], statement)}
    numbers = {} if plan.measure is None else {"measure": _or_zero(source_sql(plan.measure, statement))}
    fetched = fetch(plan.events, (plan.target, plan.returning), statement, cursor, texts=texts, numbers=numbers)
    edges_us = [(edge - _EPOCH) // timedelta(microseconds=1) for edge in plan.edges]
    if isinstance(fetched.events, Packed) and not texts and not numbers and plan.rolling_us is None:
        found = kernel.seen_plainly(fetched.events, fetched.marks, edges_us)
        if found is not None:
            return fetched, found
    try:
        return fetched, kernel.seen(
            fetched.actor, fetched.at, fetched.marks, edges_us,
            value=fetched.columns.get("value"), measure=fetched.columns.get("measure"), rolling_us=plan.rolling_us,
            measures_after_entry=plan.measures_after_entry,
        )  # fmt: skip
    except MemoryError as error:
        raise QueryTooLarge(str(error), path="query") from error


def _or_zero(text: exp.Expr) -> exp.Expr:
    return exp.Coalesce(this=finite(number_sql(text)), expressions=[exp.Literal.number(0)])


def _shape(plan: RetentionPlan) -> kernel.Shape:
    return kernel.Shape(plan.n_rows, plan.n_columns, plan.min_occurrences, plan.is_cumulative, plan.brackets)
