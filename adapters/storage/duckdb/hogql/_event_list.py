"""Answers lists of events: chosen expressions over `events`, of those that fulfil the list's conditions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from .....domain.queries.actors import bare
from .....domain.queries.sql_plan import EventListPlan, SqlAnswer
from .._statement import Statement, stored
from ._answers import listed
from ._conversions import Environment
from ._dialect import parse_expression, placeholder
from ._lists import column_of, direction_of, display_name, has_aggregate, place_of_count, selected
from ._placeholders import cohorts_of
from ._select import Query
from ._tables import Events
from ._translate import Translator

if TYPE_CHECKING:
    import duckdb

_STAR = ("uuid", "event", "properties", "timestamp", "distinct_id", "elements_chain", "created_at")
_PERSON = ("person_id", "person.created_at", "person.properties", "distinct_id")


def answer_events(plan: EventListPlan, statement: Statement, cursor: duckdb.DuckDBPyConnection) -> SqlAnswer:
    """Answer a list of events. Raises InvalidQuery with the position of what is wrong in an expression."""
    statement.hogql_paths.append(plan.path)
    env = Environment(statement, plan.scope, plan.path)
    tree = _event_list(plan)
    query = Query(env, _narrowed(plan), None, cohorts_of(env))
    return listed(query, tree, env, cursor, plan)


def _event_list(plan: EventListPlan) -> exp.Select:
    """Return the SELECT that a list of events is; `*` and `person` become tuples of their parts."""
    given = [_column(text, f"{plan.path}.select[{place}]") for place, text in enumerate(plan.select)]
    columns = [column.unalias() for column in given]
    is_group = [has_aggregate(column) for column in columns]
    tree = selected(given, is_group, "events")
    where: list[exp.Expr] = [placeholder("filters")]
    for place, text in enumerate(plan.where):
        condition = parse_expression(text, f"{plan.path}.where[{place}]")
        if has_aggregate(condition):
            tree = tree.having(condition)
        else:
            where.append(exp.paren(condition))
    tree = tree.where(*where)
    tree = tree.order_by(*_order(plan, columns, is_group))
    return tree.limit(plan.limit + 1).offset(plan.offset)


def _column(text: str, path: str) -> exp.Expr:
    match bare(text):
        case "*":
            return _tuple_of(_STAR)
        case "person":
            return _tuple_of(_PERSON)
        case "person_display_name":
            return display_name("person.properties", "distinct_id", "toString(person.id)", "distinct_id")
    return column_of(text, path)


def _tuple_of(names: Sequence[str]) -> exp.Expr:
    parts = [exp.column(*reversed(name.split("."))) for name in names]
    return exp.Anonymous(this="tuple", expressions=parts)


def _order(plan: EventListPlan, columns: Sequence[exp.Expr], is_group: Sequence[bool]) -> list[exp.Expr]:
    if plan.order_by is not None:
        return [_ordered(text, plan, columns, place) for place, text in enumerate(plan.order_by)]
    place = place_of_count(columns, is_group)
    if place is not None:
        return [exp.Ordered(this=exp.Literal.number(place + 1), desc=True, nulls_first=False)]
    time = next((place for place, column in enumerate(columns) if column.sql() == "timestamp"), None)
    if time is not None:
        return [exp.Ordered(this=exp.Literal.number(time + 1), desc=True, nulls_first=False)]
    if any(text.strip() == "*" for text in plan.select):
        return [exp.Ordered(this=exp.column("timestamp"), desc=True, nulls_first=False)]
    return [exp.Ordered(this=exp.Literal.number(1), nulls_first=False)]


def _ordered(text: str, plan: EventListPlan, columns: Sequence[exp.Expr], place: int) -> exp.Expr:
    name, is_down = direction_of(text, plan.select)
    path = f"{plan.path}.orderBy[{place}]"
    tree = _column(name, path).unalias()
    same = next((number_ for number_, column in enumerate(columns) if column == tree), None)
    if bare(name) in ("*", "person"):
        tree = exp.column("timestamp")
    elif same is not None:
        tree = exp.Literal.number(same + 1)
    return exp.Ordered(this=tree, desc=is_down, nulls_first=False)


def _narrowed(plan: EventListPlan) -> Any:
    """Return what `{filters}` stands for in a list of events."""

    def made(events: Events, translator: Translator) -> exp.Expr:
        env = translator.env
        parts: list[exp.Expr] = [events.condition(plan.condition)]
        tests: list[tuple[str, type[exp.Binary], Any]] = []
        if plan.after is not None:
            tests.append(("timestamp", exp.GT, stored(plan.after)))
        if plan.before is not None:
            tests.append(("timestamp", exp.LT, stored(plan.before)))
        if plan.event is not None:
            tests.append(("event", exp.EQ, plan.event))
        if plan.person_uuid is not None:
            tests.append(("person_id", exp.EQ, plan.person_uuid))
        for name, operator, wanted in tests:
            field = events.field([name], exp.null(), env)
            assert field is not None
            parts.append(operator(this=field.sql, expression=env.statement.bind(wanted)))
        return exp.and_(*parts, copy=False)

    return made
