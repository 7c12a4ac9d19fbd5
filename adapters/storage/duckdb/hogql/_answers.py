"""Answers HogQL queries and lists of events: translate, run, and give the rows as JSON's own values."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from attrs import evolve
from sqlglot import exp

from .....domain.errors import InvalidQuery
from .....domain.queries.plan import Condition
from .....domain.queries.sql_plan import DEFAULT_LIMIT, MAX_LIMIT, EventListPlan, RowFilters, SqlAnswer, SqlPlan
from ....kernels.checkpoint import checkpoint
from .._conditions import condition_sql
from .._statement import Statement, stored
from ._aggregates import split_combinators
from ._conversions import Environment, constant
from ._dialect import parse_expression, parse_select, placeholder
from ._select import Query, Selected
from ._sizes import fetched, with_size
from ._tables import Events
from ._translate import Call, Translator, array_value
from ._types import Type, Value, cast, number

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


def answer_events(plan: EventListPlan, statement: Statement, cursor: duckdb.DuckDBPyConnection) -> SqlAnswer:
    """Answer a list of events."""
    statement.hogql_paths.append(plan.path)
    env = Environment(statement, plan.scope, plan.path)
    tree = _event_list(plan, env)
    narrow = _narrowed(plan)
    query = Query(env, narrow, None, cohorts_of(env))
    selected = query.translate(tree)
    rows = rows_of(query, selected, cursor, env)
    return answer_of(selected, rows, env, plan.limit, plan.offset, extra=1)


def rows_of(query: Query, selected: Selected, cursor: duckdb.DuckDBPyConnection, env: Environment) -> list[Any]:
    """Run a translated query."""
    sized = with_size(selected.sql, selected.types)
    text, parameters = env.statement.render(query.with_definitions(sized))
    return fetched(cursor.execute(text, parameters), MAX_LIMIT + 2)


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


# Placeholders


def filters_of(filters: RowFilters | None) -> Any:
    """Return what gives `{filters}` its meaning in a query."""

    def made(events: Events, translator: Translator) -> exp.Expr:
        if filters is None:
            return exp.true()
        return _condition_of(events, translator, filters)

    return made


def _condition_of(events: Events, translator: Translator, filters: RowFilters) -> exp.Expr:
    parts: list[exp.Expr] = []
    moment = events.field(["timestamp"], exp.null(), translator.env)
    assert moment is not None
    for bound, operator in ((filters.since, exp.GTE), (filters.until, exp.LTE)):
        if bound is not None:
            parts.append(operator(this=moment.sql.copy(), expression=translator.env.statement.bind(stored(bound))))
    parts.append(events.condition(filters.condition))
    return exp.and_(*parts, copy=False)


def values_of(plan: SqlPlan, env: Environment) -> Any:
    """Return what gives the other placeholders their meaning."""

    def made(name: str, node: exp.Expr) -> Value:
        if name not in plan.values:
            known = ", ".join(plan.values) or "none"
            env.refuse(f"Unresolved placeholder: {{{name}}}; known are {known}; it stands", node)
        return _json_constant(plan.values[name], name, env, node)

    return made


def _json_constant(value: Any, name: str, env: Environment, node: exp.Expr) -> Value:
    if isinstance(value, list | tuple):
        items = [_json_constant(item, name, env, node) for item in value]
        if not items:
            return array_value(Translator(env, _Nothing()), [], node)
        from ._conversions import unified  # noqa: PLC0415
        from ._types import array_of  # noqa: PLC0415

        sqls, kind = unified(items, env, node)
        return Value(exp.Array(expressions=sqls), array_of(kind))
    if value is None or isinstance(value, str | bool | int | float):
        if isinstance(value, int) and not isinstance(value, bool) and not -(1 << 63) <= value < 1 << 63:
            value = float(value)
        return constant(value, env)
    return env.refuse(f"The value of {{{name}}} is no text, number, boolean or list", node)


class _Nothing:
    """Names where there are none."""

    def field(self, parts: Sequence[str | int], node: exp.Expr, env: Environment) -> Value | None:
        """Return None."""

    def query(self, tree: exp.Query, node: exp.Expr, env: Environment) -> tuple[exp.Expr, tuple[Type, ...]]:
        """Refuse."""
        env.refuse("A subquery may not stand here", node)

    def cohort(self, call_: Call) -> exp.Expr:
        """Refuse."""
        call_.refuse("IN COHORT may not stand here")

    def action(self, call_: Call) -> exp.Expr:
        """Refuse."""
        call_.refuse("matchesAction may not stand here")


def cohorts_of(env: Environment) -> Any:
    """Return what gives `IN COHORT` its meaning."""
    from ._row import cohort_condition  # noqa: PLC0415

    def made(call_: Call) -> Condition:
        return cohort_condition(call_, env)

    return made


# Lists of events

_STAR = ("uuid", "event", "properties", "timestamp", "distinct_id", "elements_chain", "created_at")
_PERSON = ("person_id", "person.created_at", "person.properties", "distinct_id")


def _event_list(plan: EventListPlan, env: Environment) -> exp.Select:
    """Return the SELECT that a list of events is; `*` and `person` become tuples of their parts."""
    columns = [_event_column(text, f"{plan.path}.select[{place}]") for place, text in enumerate(plan.select)]
    is_group = [has_aggregate(column) for column in columns]
    tree = exp.select(*(exp.alias_(column, f"column {place}", quoted=True) for place, column in enumerate(columns)))
    tree = tree.from_("events")
    if any(is_group):
        keys = [column.copy() for column, grouped in zip(columns, is_group, strict=True) if not grouped]
        if keys:
            tree = tree.group_by(*keys)
    where: list[exp.Expr] = [placeholder("filters")]
    for place, text in enumerate(plan.where):
        condition = parse_expression(text, f"{plan.path}.where[{place}]")
        if has_aggregate(condition):
            tree = tree.having(condition)
        else:
            where.append(exp.paren(condition))
    tree = tree.where(*where)
    tree = tree.order_by(*_order(plan, columns, is_group))
    del env
    return tree.limit(plan.limit + 1).offset(plan.offset)


def _event_column(text: str, path: str) -> exp.Expr:
    bare = re.sub(r"\s*(#|--).*$", "", text).strip()
    if bare == "*":
        return _tuple_of(_STAR)
    if bare == "person":
        return _tuple_of(_PERSON)
    return column_of(text, path)


def column_of(text: str, path: str) -> exp.Expr:
    """Return the tree of a selected expression, without its alias. Raises InvalidQuery."""
    tree = parse_expression(text, path)
    if isinstance(tree, exp.Alias):
        tree = tree.this
    if isinstance(tree, exp.Star):
        raise InvalidQuery("Only * alone may stand for all columns.", path=path)
    return tree


def _tuple_of(names: Sequence[str]) -> exp.Expr:
    parts = [exp.column(*reversed(name.split("."))) for name in names]
    return exp.Anonymous(this="tuple", expressions=parts)


def has_aggregate(tree: exp.Expr) -> bool:
    """Whether a tree has an aggregation in it."""
    return any(split_combinators(call.name) for call in tree.find_all(exp.Anonymous))


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


def place_of_count(columns: Sequence[exp.Expr], is_group: Sequence[bool]) -> int | None:
    """Return the place of `count()`, else of the first aggregation; None without one."""
    count = next((place for place, column in enumerate(columns)
                  if isinstance(column, exp.Anonymous) and column.name.lower() == "count" and not column.expressions),
                 None)  # fmt: skip
    return count if count is not None else next((place for place, one in enumerate(is_group) if one), None)


def direction_of(text: str, select: Sequence[str]) -> tuple[str, bool]:
    """Return an expression to order by and whether it falls: `x DESC`, or `-x` for one that is selected."""
    found = re.fullmatch(r"(.*?)(?:\s+(asc|desc))?\s*", text, re.IGNORECASE | re.DOTALL)
    assert found is not None
    bare, is_down = found[1].strip(), (found[2] or "").lower() == "desc"
    if bare.startswith("-") and found[2] is None and bare[1:].strip() in select:
        return bare[1:].strip(), True
    return bare, is_down


def _ordered(text: str, plan: EventListPlan, columns: Sequence[exp.Expr], place: int) -> exp.Expr:
    bare, is_down = direction_of(text, plan.select)
    path = f"{plan.path}.orderBy[{place}]"
    tree = _event_column(bare, path)
    same = next((number_ for number_, column in enumerate(columns) if column == tree), None)
    if bare in ("*", "person"):
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


# Values


def rendered(value: Any, kind: Type, env: Environment) -> Any:
    """Return a value of DuckDB as JSON has it: instants in the zone of their type, no `nan`, no numbers of 65 bits."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return int(value) if kind.name == "Truth" else value
    if isinstance(value, int):
        return value if -(1 << 63) <= value < 1 << 64 else float(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if kind.is_integer else value
    if isinstance(value, datetime):
        zone = ZoneInfo(kind.zone or env.zone)
        return value.replace(tzinfo=UTC).astimezone(zone).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, list | tuple):
        items = kind.items if kind.name == "Tuple" else kind.items * len(value)
        return [rendered(item, of, env) for item, of in zip(value, items, strict=False)]
    return str(value)


NOT_FINITE: Mapping[str, Callable[[float], bool]] = {"nan": math.isnan, "inf": math.isinf}
"""The floats that JSON lacks, as markers in answers call them (insights-api.md 1.2)."""


def places_of(value: Any, test: Callable[[float], bool]) -> Any:
    """Return where in a list, and in the lists in it, there are such floats: index -> True or the places inside.

    >>> places_of([1.0, [float("nan")], float("nan")], math.isnan)
    {'1': {'0': True}, '2': True}
    """
    if isinstance(value, float):
        return test(value)
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return False
    return {str(place): found for place, item in enumerate(value) if (found := places_of(item, test))}


__all__ = ["answer_events", "answer_sql", "cast", "condition_sql", "number", "rendered"]
