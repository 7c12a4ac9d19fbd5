"""Answers lists of persons: chosen expressions over `persons`, all of them or those that a HogQL query names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from .....domain.queries.actors import bare, is_actor
from .....domain.queries.sql_plan import PersonListPlan, SqlAnswer, SqlPlan
from .._matching import is_found
from .._statement import Statement
from ._answers import listed
from ._conversions import Environment
from ._dialect import parse_select, placeholder
from ._lists import column_of, direction_of, display_name, has_aggregate, place_of_count, selected
from ._placeholders import cohorts_of, filters_of, values_of
from ._select import NARROW, Query
from ._tables import Stored
from ._types import number

if TYPE_CHECKING:
    import duckdb

_IDS = ("actor_id", "person_id", "id")
"""Names of the column of a source that holds uuids, the first that it has."""


def answer_persons(plan: PersonListPlan, statement: Statement, cursor: duckdb.DuckDBPyConnection) -> SqlAnswer:
    """Answer a list of persons. Raises InvalidQuery with the position of what is wrong in an expression."""
    statement.hogql_paths.append(plan.path)
    env = Environment(statement, plan.scope, plan.path)
    tree = _person_list(plan)
    values = values_of(plan.source, env) if plan.source is not None else None
    query = Query(
        env,
        filters_of(plan.source.filters) if plan.source is not None else None,
        values,
        cohorts_of(env),
        narrowed=lambda relation: _narrowed(relation, plan, statement),
    )
    return listed(query, tree, env, cursor, plan)


def _person_list(plan: PersonListPlan) -> exp.Select:
    given = [_column(text, f"{plan.path}.select[{place}]") for place, text in enumerate(plan.select)]
    columns = [column.unalias() for column in given]
    is_group = [has_aggregate(column) for column in columns]
    tree = selected(given, is_group, "persons")
    narrow = placeholder(NARROW)
    narrow.meta[NARROW] = True
    tree = tree.where(narrow)
    if plan.source is not None:
        tree = tree.where(exp.In(this=exp.column("id"), query=exp.Subquery(this=_source(plan.source))))
    tree = tree.order_by(*_order(plan, columns, is_group))
    return tree.limit(plan.limit + 1).offset(plan.offset)


def _column(text: str, path: str) -> exp.Expr:
    text = bare(text)
    if is_actor(text):
        return exp.column("id")
    if text == "person.$delete":
        return number(1)
    if text == "person_display_name":
        return display_name("properties", "toString(id)", "toString(id)")
    return column_of(text.removeprefix("person."), path)


def _source(source: SqlPlan) -> exp.Select:
    """Return the column of uuids of the query that gives the persons."""
    tree = parse_select(source.text, source.path)
    first = tree
    while isinstance(first, exp.SetOperation):
        first = first.this
    names = [column.alias_or_name for column in first.selects]
    wanted = next((name for name in _IDS if name in names), None)
    if wanted is None:
        wanted = "actor_id"
        if first.selects:
            first.set("expressions", [exp.alias_(first.selects[0], wanted), *first.selects[1:]])
    inner = exp.Subquery(this=tree, alias=exp.TableAlias(this=exp.to_identifier("source")))
    return exp.select(exp.column(wanted, "source")).from_(inner)


def _narrowed(relation: Stored, plan: PersonListPlan, statement: Statement) -> exp.Expr:
    """Return whether a person fulfils the list's condition and search."""
    parts = [relation.condition(plan.condition)]
    if plan.search:
        parts.append(relation.added(is_found(plan.search, statement, in_uuid=True)))
    return exp.and_(*parts, copy=False)


def _order(plan: PersonListPlan, columns: Sequence[exp.Expr], is_group: Sequence[bool]) -> list[exp.Expr]:
    if plan.order_by is None:
        place = place_of_count(columns, is_group)
        if place is not None:
            return [exp.Ordered(this=exp.Literal.number(place + 1), desc=True, nulls_first=False)]
        if any(bare(text) == "created_at" for text in plan.select):
            return [exp.Ordered(this=exp.column(name), desc=True, nulls_first=False) for name in ("created_at", "id")]
        return [exp.Ordered(this=one, nulls_first=False) for one in (exp.Literal.number(1), exp.column("id"))]
    found: list[exp.Expr] = []
    for place, text in enumerate(plan.order_by):
        name, is_down = direction_of(text, plan.select)
        path = f"{plan.path}.orderBy[{place}]"
        tree: Any = exp.column("created_at") if is_actor(name) else _column(name, path).unalias()
        same = next((place_ for place_, column in enumerate(columns) if column == tree), None)
        if same is not None:
            tree = exp.Literal.number(same + 1)
        found.append(exp.Ordered(this=tree, desc=is_down, nulls_first=False))
    return found
