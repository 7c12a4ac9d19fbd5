"""Answers plans about correlation: the kernel finds the funnel's actors, DuckDB counts what they did or are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
from sqlglot import exp

from ....domain.queries.correlation import AUTOCAPTURE, CHAIN_SEPARATOR
from ....domain.queries.plan import AllOf
from ....domain.queries.sequence_plans import (
    ActorId,
    Correlated,
    CorrelationActorsPlan,
    CorrelationPlan,
    FunnelPlan,
    Selection,
)
from ...kernels.histories import Flags
from ._columns import json_pointer
from ._conditions import condition_sql
from ._funnels import Walked, walk
from ._selects import actor_sql, aliased, event_conditions, fragment
from ._statement import Statement, from_events, stored

if TYPE_CHECKING:
    import duckdb

MAX_ITEMS = 100_000
_MICROSECOND = timedelta(microseconds=1)
_ACTORS_BY_ID = "actors_by_id"
_BY_ID = f"""
CREATE OR REPLACE TEMP TABLE {_ACTORS_BY_ID} AS SELECT actor AS person_id, * FROM funnel_actors
UNION ALL SELECT old_person_id, f.* FROM person_overrides JOIN funnel_actors f ON person_id = f.actor
WHERE project_id = ?
"""
_POINTER = "'/' || replace(replace(name, '~', '~0'), '/', '~1')"


def correlated(plan: CorrelationPlan, statement: Statement, cursor: duckdb.DuckDBPyConnection) -> Correlated:
    """Answer what goes with converting."""
    walked = _entered(plan, statement, cursor)
    won = int(_converted(plan.funnel, walked).sum())
    lost = len(walked.outcomes.unit) - won
    if not won or not lost:
        return Correlated(won, lost)
    with _offered(plan.funnel, walked, cursor):
        match plan.kind:
            case "events":
                done = _events(plan, statement)
            case "event_properties":
                done = _event_properties(plan, statement)
            case "actor_properties":
                done = _actor_properties(plan, statement)
        counted = (
            exp.select(
                aliased(fragment("[item]"), "item") if plan.kind == "events" else "item",
                aliased(fragment("count(*) FILTER (WHERE converted)"), "won"),
                aliased(fragment("count(*) FILTER (WHERE NOT converted)"), "lost"),
            )
            .from_(done.subquery("done"))
            .group_by("done.item")
            .having(exp.GTE(this=exp.Count(this=exp.Star()), expression=statement.bind(plan.min_actors)))
            .order_by("won + lost DESC", "item")
            .limit(MAX_ITEMS)
        )
        rows = cursor.execute(*statement.render(counted)).fetchall()
    return Correlated(won, lost, tuple((tuple(item), n_won, n_lost) for item, n_won, n_lost in rows))


def actors(
    plan: CorrelationActorsPlan, statement: Statement, cursor: duckdb.DuckDBPyConnection
) -> list[tuple[ActorId]]:
    """Answer who is behind one item."""
    walked = _entered(plan, statement, cursor)
    with _offered(plan.funnel, walked, cursor):
        if plan.test is None:
            done = exp.select("actor", "converted").from_("funnel_actors")
        else:
            parts = [] if plan.test.condition == AllOf() else [condition_sql(plan.test.condition, statement)]
            if plan.test.event is not None:
                parts.append(exp.EQ(this=exp.column("event", "events"), expression=statement.bind(plan.test.event)))
            done = _between(plan.funnel, statement, parts, [])
        found = exp.select("actor").distinct().from_(done.subquery("done"))
        if plan.is_converted is not None:
            found = found.where("converted" if plan.is_converted else "NOT converted")
        for name, values in plan.properties:
            found = found.where(_has(name, values, plan, statement))
        found = found.order_by("actor").limit(plan.limit).offset(plan.offset)
        return cursor.execute(*statement.render(found)).fetchall()


def _entered(
    plan: CorrelationPlan | CorrelationActorsPlan, statement: Statement, cursor: duckdb.DuckDBPyConnection
) -> Walked:
    """Follow the funnel, and keep the actors who are compared."""
    walked = walk(plan.funnel, statement, cursor)
    chosen = walked.outcomes.took(plan.took)
    if plan.missed is not None:
        chosen &= ~walked.outcomes.took(plan.missed)
    return walked if chosen.all() else walked.only(chosen)


@contextmanager
def _offered(plan: FunnelPlan, walked: Walked, cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Offer the funnel's actors to SQL: who, when they entered and left, whether they converted."""
    outcomes, converted = walked.outcomes, _converted(plan, walked)
    ends = np.where(converted, outcomes.times[-1], outcomes.times[0] + plan.window_us)
    actors = walked.actors
    if "actor" in walked.fetched.texts:
        actors = np.array(walked.fetched.texts["actor"], dtype=object)[actors]
    columns = {"actor": actors, "began": outcomes.times[0], "ended": ends, "converted": converted}
    cursor.register("funnel_actors", columns)
    try:
        if plan.events.actor == "person":
            cursor.execute(_BY_ID, [plan.events.project_id])
        yield
    finally:
        cursor.execute(f"DROP TABLE IF EXISTS {_ACTORS_BY_ID}")
        cursor.unregister("funnel_actors")


def _converted(plan: FunnelPlan, walked: Walked) -> Flags:
    return walked.outcomes.took(len(plan.steps) - 1)


def _between(plan: FunnelPlan, statement: Statement, parts: list[exp.Expr], columns: list[exp.Expr]) -> exp.Select:
    """Return a SELECT of (actor, converted, columns) of what the actors did between entering and leaving."""
    selection: Selection = plan.events
    until = stored(selection.count_to)
    where = event_conditions(
        selection.project_id, None, AllOf(), selection.count_from, selection.count_to - _MICROSECOND, statement
    )
    moment = exp.func("epoch_us", exp.column("timestamp", "events"), dialect="duckdb")
    where += [
        exp.GT(this=moment, expression=exp.column("began", "funnel_actors")),
        exp.LT(this=moment.copy(), expression=exp.column("ended", "funnel_actors")),
        exp.LT(this=exp.column("timestamp", "events"), expression=statement.bind(until)),
    ]
    # PERF: actors are joined under every id that their events were written with, rather than events with their merges.
    is_raw = selection.actor == "person" and statement.has_merges
    mine = exp.column("person_id", "events") if is_raw else actor_sql(selection.actor, statement)
    key = exp.column("person_id" if is_raw else "actor", "funnel_actors")
    select = exp.select(exp.column("actor", "funnel_actors"), exp.column("converted", "funnel_actors"), *columns).where(
        *where, *parts, copy=False
    )
    select = from_events(select, statement)
    actors = _ACTORS_BY_ID if is_raw else "funnel_actors"
    return select.join(exp.to_table(actors, alias="funnel_actors"), on=exp.EQ(this=key, expression=mine), copy=False)


def _events(plan: CorrelationPlan, statement: Statement) -> exp.Select:
    done = _between(plan.funnel, statement, _others(plan, statement), [exp.column("event", "events")])
    # PERF: a name alone, made a list once it is counted.
    return exp.select("actor", "converted", aliased(fragment("event"), "item")).distinct().from_(done.subquery("did"))


def _others(plan: CorrelationPlan, statement: Statement) -> list[exp.Expr]:
    """Return the condition that an event is none of those that are left out, such as the funnel's own steps."""
    names = [statement.bind(name) for name in plan.skipped_events]
    return [exp.not_(exp.In(this=exp.column("event", "events"), expressions=names))] if names else []


def _event_properties(plan: CorrelationPlan, statement: Statement) -> exp.Select:
    names = [statement.bind(name) for name in plan.events]
    parts = [exp.In(this=exp.column("event", "events"), expressions=names), *_others(plan, statement)]
    columns: list[exp.Expr] = [exp.column(name, "events") for name in ("event", "properties")]
    columns.append(aliased(statement.common_column("$elements_chain"), "elements_chain"))
    done = _between(plan.funnel, statement, parts, columns)
    # Clicks are told apart by what was clicked, not by their properties.
    is_click = f"event = '{AUTOCAPTURE}' AND elements_chain IS NOT NULL AND elements_chain <> ''"
    each = f"unnest(CASE WHEN {is_click} THEN ['elements_chain'] ELSE json_keys(properties) END)"
    named = exp.select(
        "actor", "converted", "event", "properties", "elements_chain", aliased(fragment(each), "name")
    ).from_(done.subquery("did"))
    value = (
        f"CASE WHEN {is_click} THEN coalesce(json_extract_string(properties, '/$event_type'), '') "
        f"|| '{CHAIN_SEPARATOR}' || elements_chain ELSE json_extract_string(properties, {_POINTER}) END"
    )
    found = exp.select("actor", "converted", aliased(fragment(f"[event, name, {value}]"), "item")).distinct()
    return _without(found.from_(named.subquery("named")).where(fragment(f"{value} IS NOT NULL")), plan, statement)


def _actor_properties(plan: CorrelationPlan, statement: Statement) -> exp.Select:
    same = exp.EQ(this=exp.column("key", "stored"), expression=exp.column("actor", "funnel_actors"))
    names: exp.Expr = fragment("json_keys(properties)")
    if plan.names is not None:
        names = exp.Array(expressions=[statement.bind(name) for name in plan.names])
    named = (
        exp.select("actor", "converted", "properties", aliased(exp.func("unnest", names, dialect="duckdb"), "name"))
        .from_("funnel_actors")
        .join(_stored(plan, statement).subquery("stored"), on=same, join_type="left")
    )
    value = f"json_extract_string(properties, {_POINTER})"
    item = aliased(fragment(f"[name, coalesce({value}, '')]"), "item")
    found = exp.select("actor", "converted", item).distinct().from_(named.subquery("named"))
    # Where all that actors have is looked at, nobody has what is null.
    found = found.where(fragment(f"{value} IS NOT NULL")) if plan.names is None else found
    return _without(found, plan, statement)


def _without(select: exp.Select, plan: CorrelationPlan, statement: Statement) -> exp.Select:
    if not plan.skipped_names:
        return select
    names = [statement.bind(name) for name in plan.skipped_names]
    return select.where(exp.not_(exp.In(this=exp.column("name"), expressions=names)))


def _stored(plan: CorrelationPlan | CorrelationActorsPlan, statement: Statement) -> exp.Select:
    """Return a SELECT of (key, properties) of the stored persons or groups; what an expression tells is neither."""
    mine = exp.EQ(this=exp.column("project_id"), expression=statement.bind(statement.project_id))
    if plan.group_type_index is None:
        is_person = plan.funnel.events.actor == "person"
        key = exp.column("person_id") if is_person else exp.cast(exp.column("person_id"), "VARCHAR")
        found = exp.select(aliased(key, "key"), "properties").from_("persons").where(mine)
        return found if is_person else found.where(exp.false())
    kind = exp.EQ(this=exp.column("group_type_index"), expression=statement.bind(plan.group_type_index))
    return exp.select(aliased(exp.column("group_key"), "key"), "properties").from_("groups").where(mine, kind)


def _has(name: str, values: Sequence[str], plan: CorrelationActorsPlan, statement: Statement) -> exp.Expr:
    """Return the condition that the actor has one of the values; who is not stored lacks every property."""
    text = exp.func(
        "json_extract_string", exp.column("properties", "stored"), statement.bind(json_pointer(name)), dialect="duckdb"
    )
    given: list[exp.Expr] = [statement.bind(value) for value in values]
    owners = exp.select("key").from_(_stored(plan, statement).subquery("stored"))
    if plan.is_of_own_names or "" not in values:
        chosen = owners.where(exp.In(this=text, expressions=given))
        return exp.In(this=exp.column("actor"), query=chosen.subquery())
    others = owners.where(exp.not_(exp.In(this=text, expressions=given)))
    return exp.not_(exp.In(this=exp.column("actor"), query=others.subquery()))
