"""The stickiness plan as DuckDB SQL: the number of intervals of each actor, then actors per number."""

from __future__ import annotations

from sqlglot import exp

from ....domain.queries.stickiness import CountOperator, StickinessPlan
from ._buckets import bucket_index
from ._selects import actor_sql, aliased, count, event_conditions, fragment, is_known, sampled
from ._statement import Statement, from_events

_COMPARISONS: dict[CountOperator, type[exp.Binary]] = {"exact": exp.EQ, "gte": exp.GTE, "lte": exp.LTE}


def stickiness(plan: StickinessPlan, statement: Statement) -> exp.Expr:
    """Return a SELECT of (intervals, actors), or of (actor, intervals) if the plan wants certain actors."""
    actor = actor_sql(plan.actor, statement)
    conditions = event_conditions(
        plan.project_id, plan.event, plan.condition, plan.count_from, plan.count_to, statement
    )
    last = max(len(plan.edges) - 2, 0)
    bucket = bucket_index(plan.edges, exp.column("timestamp", "events"))
    interval = bucket if plan.n_joined == 1 else exp.IntDiv(
        this=exp.paren(exp.Sub(this=exp.Literal.number(last), expression=exp.paren(bucket))),
        expression=exp.Literal.number(plan.n_joined),
    )  # fmt: skip
    rows = exp.select(aliased(actor, "actor"), aliased(interval, "interval_"))
    rows = from_events(rows.where(*conditions, *sampled(plan.sampling, statement)), statement)
    active = exp.select("actor", "interval_").from_(rows.subquery("rows")).where(is_known("actor"))
    active = active.group_by("actor", "interval_")
    operator, number = plan.threshold
    if plan.threshold != ("gte", 1):
        active = active.having(_COMPARISONS[operator](this=count(), expression=statement.bind(number)))
    each = exp.select("actor", aliased(count(), "k")).from_(active.subquery("active")).group_by("actor")
    if plan.only is None:
        return exp.select("k", "count(*)").from_(each.subquery("each")).group_by("k")
    operator, number = plan.only
    wanted = _COMPARISONS[operator](this=exp.column("k"), expression=statement.bind(number))
    found = exp.select("actor", "k").from_(each.subquery("each")).where(wanted).order_by(fragment("actor"))
    return found.limit(plan.limit).offset(plan.offset)
