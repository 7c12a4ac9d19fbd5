"""What `{filters}`, other placeholders and `IN COHORT` mean in a HogQL query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlglot import exp

from .....domain.queries.plan import Condition
from .....domain.queries.sql_plan import RowFilters, SqlPlan
from .._statement import stored
from ._conversions import Environment, constant, unified
from ._row import cohort_condition
from ._tables import Events
from ._translate import Call, Translator, array_value
from ._types import Type, Value, array_of


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

    def made(call_: Call) -> Condition:
        return cohort_condition(call_, env)

    return made
