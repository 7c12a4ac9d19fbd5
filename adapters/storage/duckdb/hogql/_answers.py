"""Answers HogQL queries: translate, run, and give the rows as JSON's own values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve
from sqlglot import exp

from .....domain.queries.sql_plan import DEFAULT_LIMIT, MAX_LIMIT, EventListPlan, PersonListPlan, SqlAnswer, SqlPlan
from ....kernels.checkpoint import checkpoint
from .._statement import Statement
from ._conversions import Environment
from ._dialect import parse_select
from ._placeholders import cohorts_of, filters_of, values_of
from ._select import Query, Selected
from ._sizes import fetched, with_size
from ._values import NOT_FINITE, places_of, rendered

if TYPE_CHECKING:
    import duckdb


def answer_sql(plan: SqlPlan, statement: Statement, cursor: duckdb.DuckDBPyConnection) -> SqlAnswer:
    """Answer a HogQL query. Raises InvalidQuery with the position of what is wrong in its text."""
    statement.hogql_paths.append(plan.path)
    env = Environment(statement, plan.scope, plan.path)
    tree = parse_select(plan.text, plan.path)
    query = Query(env, filters_of(plan.filters), values_of(plan, env), cohorts_of(env))
    selected = query.translate(tree)
    limit, offset, has_own = _bounds(selected.sql)
    sql = selected.sql
    if not isinstance(sql, exp.Select) or has_own:
        sql = exp.select("*").from_(exp.Subquery(this=sql, alias=exp.TableAlias(this=exp.to_identifier("q"))))
        offset = offset if has_own else 0
    wanted = limit if has_own else limit + 1
    selected = evolve(selected, sql=sql.limit(wanted, copy=False))
    rows = rows_of(query, selected, cursor, env)
    return answer_of(selected, rows, env, limit, offset, extra=0 if has_own else 1)


def rows_of(query: Query, selected: Selected, cursor: duckdb.DuckDBPyConnection, env: Environment) -> list[Any]:
    """Run a translated query."""
    sized = with_size(selected.sql, selected.types)
    text, parameters = env.statement.render(query.with_definitions(sized))
    return fetched(cursor.execute(text, parameters), MAX_LIMIT + 2)


def listed(
    query: Query,
    tree: exp.Select,
    env: Environment,
    cursor: duckdb.DuckDBPyConnection,
    plan: EventListPlan | PersonListPlan,
) -> SqlAnswer:
    """Answer a list whose SELECT asks for one row more than its limit."""
    found = query.translate(tree)
    return answer_of(found, rows_of(query, found, cursor, env), env, plan.limit, plan.offset, extra=1)


def answer_of(
    selected: Selected, rows: list[Any], env: Environment, limit: int, offset: int, *, extra: int
) -> SqlAnswer:
    """Return rows as JSON's own values; those beyond the limit tell that there are more."""
    has_more = bool(extra) and len(rows) > limit
    shown = []
    for row in rows[:limit]:
        checkpoint()
        shown.append([rendered(value, kind, env) for value, kind in zip(row, selected.types, strict=True)])
    types = tuple(kind.shown(env.zone) for kind in selected.types)
    tests = NOT_FINITE if any("Float" in name for name in types) else {}
    places = {name: found for name, test in tests.items() if (found := places_of(rows[:limit], test))}
    return SqlAnswer(selected.names, types, shown, has_more, limit, offset, places)


def _bounds(sql: exp.Query) -> tuple[int, int, bool]:
    """Return limit and offset of the outermost SELECT, and whether it had a limit of its own."""
    limit, offset = sql.args.get("limit"), sql.args.get("offset")
    skipped = int(offset.expression.name) if offset is not None else 0
    if limit is None:
        return DEFAULT_LIMIT, skipped, False
    return min(int(limit.expression.name), MAX_LIMIT), skipped, True
