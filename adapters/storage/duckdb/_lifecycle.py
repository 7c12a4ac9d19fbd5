"""The lifecycle plan as DuckDB SQL: the buckets of each actor, then what each is next to."""

from __future__ import annotations

from sqlglot import exp

from ....domain.queries.lifecycle import LifecyclePlan
from ._buckets import bucket_index
from ._selects import actor_sql, aliased, event_conditions, fragment, is_known, sampled
from ._statement import Statement, from_events, stored

_NEIGHBOURS = """
SELECT actor, bucket, lag(bucket) OVER own AS before, lead(bucket) OVER own AS after FROM seen
WINDOW own AS (PARTITION BY actor ORDER BY bucket)
"""
_STATES = """
SELECT bucket, actor, CASE WHEN before IS NULL AND bucket = born THEN 'new'
    WHEN before = bucket - 1 THEN 'returning' ELSE 'resurrecting' END AS status
FROM neighbours {join} JOIN actors USING (actor)
UNION ALL
SELECT bucket + 1, actor, 'dormant' FROM neighbours {semi_join}
WHERE after IS DISTINCT FROM bucket + 1 AND bucket + 1 < {n_buckets}
"""
_OF_PERSONS = {"join": "", "semi_join": "SEMI JOIN actors USING (actor)"}
_OF_GROUPS = {"join": "LEFT", "semi_join": ""}
"""A group that events name counts though nobody told anything of it: it is never new."""


def lifecycle(plan: LifecyclePlan, statement: Statement) -> exp.Expr:
    """Return a SELECT of (bucket, status, number of actors), or of (actor, 1) if the plan wants certain actors."""
    actor = actor_sql(plan.actor, statement)
    joins = _OF_GROUPS if plan.group_type_index is not None else _OF_PERSONS
    conditions = event_conditions(
        plan.project_id, plan.event, plan.condition, plan.count_from, plan.count_to, statement
    )
    bucket = bucket_index(plan.edges, exp.column("timestamp", "events"))
    seen = exp.select(aliased(actor, "actor"), aliased(bucket, "bucket")).distinct()
    seen = from_events(seen.where(*conditions, *sampled(plan.sampling, statement)), statement)
    if plan.only is None:
        found = exp.select("bucket", "status", "count(*)").from_("states").group_by("bucket", "status")
    else:
        place, status = plan.only
        wanted = (
            exp.EQ(this=exp.column("bucket"), expression=exp.Literal.number(place)),
            exp.EQ(this=exp.column("status"), expression=statement.bind(status)),
        )
        found = exp.select("actor", "1").from_("states").where(*wanted).order_by("actor")
        found = found.limit(plan.limit).offset(plan.offset)
    return (
        found.with_("seen", as_=exp.select("actor", "bucket").from_(seen.subquery("rows")).where(is_known("actor")))
        .with_("actors", as_=_actors(plan, statement))
        .with_("neighbours", as_=fragment(_NEIGHBOURS))
        .with_("states", as_=fragment(_STATES.format(n_buckets=len(plan.edges) - 1, **joins)))
    )


def _actors(plan: LifecyclePlan, statement: Statement) -> exp.Select:
    """Return a SELECT of (actor, the bucket in which it was created, NULL outside of the buckets)."""
    created = exp.column("created_at")
    is_inside = exp.and_(
        exp.GTE(this=created.copy(), expression=statement.bind(stored(plan.edges[0]))),
        exp.LT(this=created.copy(), expression=statement.bind(stored(plan.edges[-1]))),
    )
    born = exp.Case(ifs=[exp.If(this=is_inside, true=bucket_index(plan.edges, created))])
    of_project = exp.EQ(this=exp.column("project_id"), expression=statement.bind(plan.project_id))
    if plan.group_type_index is None:
        return exp.select("person_id AS actor", aliased(born, "born")).from_("persons").where(of_project)
    is_type = exp.EQ(this=exp.column("group_type_index"), expression=exp.Literal.number(plan.group_type_index))
    return exp.select("group_key AS actor", aliased(born, "born")).from_("groups").where(of_project, is_type)
