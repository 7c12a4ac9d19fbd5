"""Plans as DuckDB SQL: sqlglot expressions whose values are all bound parameters; user input never becomes SQL text.

Holds no connection. SQL never asks for the time: every instant comes from the plan.
"""

from __future__ import annotations

from sqlglot import exp

from ....domain.queries.plan import AllOf, Ranking, TrendPlan
from ._buckets import bucket_index
from ._conditions import condition_sql
from ._sources import source_sql
from ._statement import Statement, from_events, person_sql, stored


def trend(plan: TrendPlan, statement: Statement) -> exp.Expr:
    """Return a SELECT of (bucket, breakdown value, number, is_rest) as the plan describes them."""
    numbers = _numbers(plan, statement)
    if plan.ranking is None:
        return exp.select("bucket", "value", "n", _as(exp.false(), "is_rest")).from_(numbers.subquery("numbers"))
    ranks = exp.select("value", _as(_rank(plan.ranking), "place")).from_("numbers").group_by("value")
    is_rest = exp.GT(this=exp.column("place"), expression=exp.Literal.number(plan.ranking.limit))
    shown = exp.Case(ifs=[exp.If(this=is_rest.copy(), true=exp.null())], default=exp.column("value", "numbers"))
    same = exp.NullSafeEQ(this=exp.column("value", "numbers"), expression=exp.column("value", "ranks"))
    return (
        exp.select("bucket", _as(shown, "shown"), _as(exp.Sum(this=exp.column("n")), "n"), _as(is_rest, "is_rest"))
        .from_("numbers")
        .join(exp.to_table("ranks"), on=same)
        .group_by("1", "2", "4")
        .with_("numbers", as_=numbers)
        .with_("ranks", as_=ranks)
    )


def _numbers(plan: TrendPlan, statement: Statement) -> exp.Select:
    """Return a SELECT of (bucket, value, n) with every breakdown value."""
    bucket = bucket_index(plan.edges, exp.column("timestamp"))
    value: exp.Expr = exp.cast(exp.null(), "VARCHAR")
    if plan.breakdown is not None:
        value = exp.Nullif(this=source_sql(plan.breakdown, statement), expression=exp.Literal.string(""))
    source = exp.select().where(event_condition(plan, statement))
    if plan.unit == "events":
        counted = source.select(_as(bucket, "bucket"), _as(value, "value"), _as(_count(), "n")).group_by("1", "2")
        return from_events(counted, statement)
    inner = from_events(source.select(_as(person_sql(statement), "person"), _as(value, "value")), statement)
    if plan.unit == "new_persons":
        inner = inner.select(_as(exp.Min(this=bucket), "bucket")).group_by("1", "2")
    else:
        inner = inner.select(_as(bucket, "bucket")).distinct()
    return exp.select("bucket", "value", _as(_count(), "n")).from_(inner.subquery("active")).group_by("1", "2")


def _rank(ranking: Ranking) -> exp.Expr:
    order = [exp.Ordered(this=exp.Sum(this=exp.column("n")), desc=True), exp.Ordered(this=exp.column("value"))]
    if ranking.null_ranks_last:
        order.insert(0, exp.Ordered(this=exp.Is(this=exp.column("value"), expression=exp.null())))
    return exp.Window(this=exp.RowNumber(), order=exp.Order(expressions=order))


def event_condition(plan: TrendPlan, statement: Statement) -> exp.Expr:
    """Return which events the plan reads."""
    statement.period = (plan.count_from, plan.count_to)
    parts: list[exp.Expr] = [
        exp.EQ(this=exp.column("project_id", "events"), expression=statement.bind(plan.project_id)),
        exp.GTE(this=exp.column("timestamp"), expression=statement.bind(stored(plan.count_from))),
        exp.LTE(this=exp.column("timestamp"), expression=statement.bind(stored(plan.count_to))),
    ]
    if plan.event is not None:
        parts.append(exp.EQ(this=exp.column("event"), expression=statement.bind(plan.event)))
    if plan.condition != AllOf():
        parts.append(condition_sql(plan.condition, statement))
    return exp.and_(*parts)


def _count() -> exp.Expr:
    return exp.Count(this=exp.Star())


def _as(expression: exp.Expr, name: str) -> exp.Expr:
    return exp.alias_(expression, name)
