"""Parts that the SELECTs of several plans share: which events are read, who their actor is, small expressions."""

from __future__ import annotations

from datetime import datetime

from sqlglot import exp

from ....domain.queries.plan import AllOf, Condition
from ....domain.queries.trend_plan import Actor
from ._conditions import condition_sql
from ._sources import source_sql
from ._statement import Statement, person_sql

_SAMPLING_STEPS = 1_000_000


def event_conditions(
    project_id: int,
    event: str | None,
    condition: Condition,
    since: datetime | None,
    until: datetime,
    statement: Statement,
) -> list[exp.Expr]:
    """Return which events are read: of the project, between two instants, both inclusive, and matching."""
    parts: list[exp.Expr] = [
        exp.EQ(this=exp.column("project_id", "events"), expression=statement.bind(project_id)),
        exp.LTE(this=exp.column("timestamp", "events"), expression=statement.bind_end("until", until)),
    ]
    if since is not None:
        statement.period = (since, until)
        parts.append(exp.GTE(this=exp.column("timestamp", "events"), expression=statement.bind_end("since", since)))
    if event is not None:
        parts.append(exp.EQ(this=exp.column("event", "events"), expression=statement.bind(event)))
    if condition != AllOf():
        parts.append(condition_sql(condition, statement))
    return parts


def sampled(share: float | None, statement: Statement) -> list[exp.Expr]:
    """Return the condition that an event's distinct id is among the sampled ones, whose hash is low."""
    if share is None:
        return []
    ids = exp.select("distinct_id").from_("distinct_ids").where(
        exp.EQ(this=exp.column("project_id"), expression=statement.bind(statement.project_id)),
        exp.LT(
            this=fragment(f"md5_number_lower(distinct_id) % {_SAMPLING_STEPS}"),
            expression=statement.bind(round(share * _SAMPLING_STEPS)),
        ),
    )  # fmt: skip
    return [exp.In(this=exp.column("distinct_id", "events"), query=ids.subquery())]


def actor_sql(actor: Actor, statement: Statement) -> exp.Expr:
    """Return who the event's actor is, NULL for nobody; an empty text is nobody too."""
    if actor == "person":
        return person_sql(statement)
    return exp.Nullif(this=source_sql(actor, statement), expression=exp.Literal.string(""))


def is_known(column: str) -> exp.Expr:
    """Return whether a column is not NULL."""
    return exp.not_(exp.Is(this=exp.column(column), expression=exp.null()))


def fragment(text: str) -> exp.Expr:
    """Return an expression of ours, without anything a caller has sent."""
    found: exp.Expr = exp.maybe_parse(text, dialect="duckdb")
    return found


def count() -> exp.Expr:
    """Return the number of rows."""
    return exp.Count(this=exp.Star())


def aliased(expression: exp.Expr, name: str) -> exp.Expr:
    """Return the expression with a name."""
    return exp.alias_(expression, name, copy=False)
