"""HogQL trees to DuckDB expressions. What is not listed here is refused, so new syntax is closed until it is opened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Protocol

from attrs import Factory, define, evolve, frozen
from sqlglot import exp

from . import _names, _operators
from ._conversions import Environment, as_instant, as_number, as_text, as_truth, constant, known, unified
from ._dialect import refuse_placeholder, shown
from ._types import (
    STRING,
    TRUTH,
    Type,
    Value,
    array_of,
    call,
    cast,
    is_null,
    nullable,
)  # fmt: skip


class Names(Protocol):
    """What names mean where the expression stands."""

    def field(self, parts: Sequence[str | int], node: exp.Expr, env: Environment) -> Value | None:
        """Return the field that the dotted name is, None when there is none."""
        ...

    def cohort(self, call_: Call) -> exp.Expr:
        """Return whether the person is in a cohort, `person_id IN COHORT 5`."""
        ...

    def action(self, call_: Call) -> exp.Expr:
        """Return whether the event belongs to an action, `matchesAction('signed up')`."""
        ...

    def query(self, tree: exp.Query, node: exp.Expr, env: Environment) -> tuple[exp.Expr, tuple[Type, ...]]:
        """Return a subquery in SQL and the types of its columns. Raises InvalidQuery where none may stand."""
        ...


@frozen
class Call:
    """One call of a function: its arguments as they were written, and how to translate them."""

    name: str
    node: exp.Expr
    arguments: tuple[exp.Expr, ...]
    parameters: tuple[exp.Expr, ...]
    translator: Translator
    is_distinct: bool = False
    rows: exp.Expr | None = None
    """What FILTER says of the rows that count."""

    @property
    def env(self) -> Environment:
        """What the translation depends on."""
        return self.translator.env

    def __len__(self) -> int:
        return len(self.arguments)

    def value(self, place: int) -> Value:
        """Return an argument."""
        return self.translator.value(self.arguments[place])

    def values(self) -> list[Value]:
        """Return all arguments."""
        return [self.translator.value(argument) for argument in self.arguments]

    def text(self, place: int) -> Value:
        """Return an argument as text."""
        return as_text(self.value(place), self.env, self.arguments[place])

    def number(self, place: int) -> Value:
        """Return an argument as a number."""
        return as_number(self.value(place), self.env, self.arguments[place])

    def integer(self, place: int) -> Value:
        """Return an argument as a whole number; fractions are cut off."""
        value = self.number(place)
        if value.type.is_integer:
            return value
        return Value(cast(call("trunc", value.sql), "BIGINT"), nullable(Type("Int64"), when=value.type.is_nullable))

    def truth(self, place: int) -> exp.Expr:
        """Return an argument as a condition."""
        return as_truth(self.value(place), self.env, self.arguments[place])

    def instant(self, place: int) -> Value:
        """Return an argument as an instant, in UTC."""
        return as_instant(self.value(place), self.env, self.arguments[place])

    def array(self, place: int) -> tuple[exp.Expr, Type]:
        """Return an argument that is an array, and the type of its items."""
        value = self.value(place)
        if value.type.name != "Array":
            self.refuse(f"{shown(self.arguments[place])} is no array", place)
        return value.sql, value.type.items[0]

    def literal(self, place: int, kind: type, what: str) -> Any:
        """Return an argument that must be written out."""
        value = self.value(place)
        if not value.is_constant or not isinstance(value.constant, kind) or isinstance(value.constant, bool):
            self.refuse(f"{self.name} expects {what} here, not {shown(self.arguments[place])}", place)
        return value.constant

    def refuse(self, message: str, place: int | None = None) -> NoReturn:
        """Raise InvalidQuery with the position of the call or of an argument."""
        self.env.refuse(message, self.node if place is None else self.arguments[place])


@define
class Translator:
    """Translates the expressions of one place: a filter, or one SELECT."""

    env: Environment
    names: Names
    allows_aggregates: bool = False
    allows_windows: bool = False
    values_of: Callable[[str, exp.Expr], Value] | None = None
    """What `{name}` stands for; None where placeholders may not stand."""
    _variables: dict[str, Value] = Factory(dict)
    """Arguments of the lambdas around."""
    _is_in_aggregate: bool = False
    depth: int = 0
    """How many lambdas there are around."""
    _n_lambdas: int = 0

    def value(self, node: exp.Expr) -> Value:
        """Return the translated expression. Raises InvalidQuery for what HogQL, or this place, does not allow."""
        handler = _HANDLERS.get(type(node))
        if handler is None:
            self.env.refuse(f"{shown(node)} is not supported", node)
        return handler(self, node)

    def condition(self, node: exp.Expr) -> exp.Expr:
        """Return the expression as a condition that is never NULL."""
        value = self.value(node)
        sql = as_truth(value, self.env, node)
        return known(sql, otherwise=False) if value.type.is_nullable or value.type.name == "String" else sql

    def filter(self, node: exp.Expr) -> exp.Expr:
        """Return a WHERE condition: NULL counts as false there, so that plain comparisons stay plain for the engine."""
        node = node.unnest()
        if isinstance(node, exp.And):
            return exp.and_(*(self.filter(part) for part in node.flatten()), copy=False)
        if type(node) in _operators.COMPARISONS:
            return as_truth(_operators.comparison(self, node, null_is_false=True), self.env, node)
        return as_truth(self.value(node), self.env, node)

    def lambda_(self, node: exp.Expr, kinds: Sequence[Type]) -> tuple[exp.Expr, Value]:
        """Return a lambda over items of the given types in DuckDB's syntax, and the value of its body."""
        if not isinstance(node, exp.Lambda):
            self.env.refuse(f"A function such as x -> x + 1 is expected, not {shown(node)}", node)
        names = [argument.name for argument in node.expressions]
        if len(names) != len(kinds):
            self.env.refuse(f"The function takes {len(kinds)} arguments, not {len(names)}", node)
        fresh = [self.fresh() for _ in names]
        outer = self._variables
        self._variables = outer | {
            name: Value(exp.column(alias), kind) for name, alias, kind in zip(names, fresh, kinds, strict=True)
        }
        self.depth += 1
        body = self.value(node.this)
        self.depth -= 1
        self._variables = outer
        return exp.Lambda(this=body.sql, expressions=[exp.to_identifier(alias) for alias in fresh], colon=True), body

    def fresh(self) -> str:
        """Return a name for an argument of a lambda that no other has."""
        self._n_lambdas += 1
        return f"l{self._n_lambdas}"

    def aggregated(self, node: exp.Expr, work: Callable[[], Value]) -> Value:
        """Return what `work` makes of the arguments of an aggregate, where one may stand."""
        if not self.allows_aggregates:
            self.env.refuse(f"The aggregation {shown(node)} may not stand here", node)
        if self._is_in_aggregate:
            self.env.refuse(f"The aggregation {shown(node)} stands inside another", node)
        self._is_in_aggregate = True
        try:
            return work()
        finally:
            self._is_in_aggregate = False

    def only(self, node: exp.Expr, *allowed: str) -> None:
        """Refuse a node that carries more than the arguments which its handler reads."""
        for name, argument in node.args.items():
            if argument and name not in allowed:
                self.env.refuse(f"{name.upper()} is not supported in {shown(node)}", node)

    def name(self, parts: Sequence[str | int], node: exp.Expr) -> Value:
        """Return what a dotted name stands for."""
        first = parts[0]
        if isinstance(first, str) and first in self._variables:
            value = self._variables[first]
            for part in parts[1:]:
                value = _operators.element(value, constant(part, self.env), self.env, node)
            return evolve(value, sql=value.sql.copy())
        if isinstance(first, str) and first.startswith("{"):
            return self.placeholder(first[1:-1], node)
        found = self.names.field(parts, node, self.env)
        if found is None:
            self.env.refuse(f"Unable to resolve field: {'.'.join(map(str, parts))}", node)
        return found

    def placeholder(self, name: str, node: exp.Expr) -> Value:
        """Return what `{name}` stands for."""
        if self.values_of is None:
            refuse_placeholder(name)
        return self.values_of(name, node)


def _literal(translator: Translator, node: exp.Expr) -> Value:
    if node.args.get("is_string"):
        return constant(str(node.this), translator.env)
    written = str(node.this)
    try:
        value: int | float = int(written)
    except ValueError:
        try:
            value = float(written)
        except ValueError:
            translator.env.refuse(f"{written[:40]!r} is no number", node)
    if isinstance(value, int) and value >= 1 << 63:
        value = float(value)
    return constant(value, translator.env)


def _negative(translator: Translator, node: exp.Expr) -> Value:
    inner = node.this
    if isinstance(inner, exp.Literal) and not inner.args.get("is_string"):
        value = _literal(translator, inner)
        return constant(-value.constant, translator.env)
    value = as_number(translator.value(node.this), translator.env, node)
    kind = value.type if not value.type.name.startswith("U") else Type(f"Int{min(64, value.type.bits * 2)}")
    return Value(exp.Neg(this=exp.paren(value.sql)), nullable(kind, when=value.type.is_nullable))


def _boolean(translator: Translator, node: exp.Expr) -> Value:
    return constant(bool(node.this), translator.env)


def _null(translator: Translator, _: exp.Expr) -> Value:
    return constant(None, translator.env)


def _parenthesis(translator: Translator, node: exp.Expr) -> Value:
    translator.only(node, "this")
    value = translator.value(node.this)
    return evolve(value, sql=exp.paren(value.sql))


def _connector(translator: Translator, node: exp.Expr) -> Value:
    translator.only(node, "this", "expression")
    return _operators.connected(translator, type(node), list(node.flatten()))


def _not(translator: Translator, node: exp.Expr) -> Value:
    translator.only(node, "this")
    inner = node.this.unnest() if isinstance(node.this, exp.Paren) else node.this
    if type(inner) in _operators.NEGATABLE and not isinstance(node.this, exp.Paren):
        return _operators.negated(translator, inner)
    value = translator.value(node.this)
    sql = as_truth(value, translator.env, node.this)
    return Value(exp.not_(exp.paren(sql)), nullable(TRUTH, when=value.type.is_nullable))


def _conditional(translator: Translator, node: exp.Expr) -> Value:
    translator.only(node, "this", "true", "false")
    if node.args.get("false") is None:
        translator.env.refuse(f"{shown(node)} lacks its other branch", node)
    return _operators.chosen(translator, [(node.this, node.args["true"])], node.args["false"], node)


def _case(translator: Translator, node: exp.Expr) -> Value:
    translator.only(node, "this", "ifs", "default")
    subject = node.this
    branches = [
        (exp.EQ(this=subject.copy(), expression=branch.this) if subject else branch.this, branch.args["true"])
        for branch in node.args["ifs"]
    ]
    return _operators.chosen(translator, branches, node.args.get("default") or exp.Null(), node)


def _cast(translator: Translator, node: exp.Expr) -> Value:
    from ._functions import cast_to  # noqa: PLC0415 - the table of functions needs this module

    translator.only(node, "this", "to")
    to = node.args["to"]
    name = to.name if isinstance(to, exp.Literal) else to.sql(dialect="clickhouse")
    return cast_to(translator, node.this, name, node)


def _array(translator: Translator, node: exp.Expr) -> Value:
    translator.only(node, "expressions")
    return array_value(translator, node.expressions, node)


def array_value(translator: Translator, items: Sequence[exp.Expr], node: exp.Expr) -> Value:
    """Return an array of the items."""
    if not items:
        return Value(exp.Array(expressions=[]), array_of(Type("Nothing")))
    sqls, kind = unified([translator.value(item) for item in items], translator.env, node)
    return Value(exp.Array(expressions=sqls), array_of(kind))


def _tuple(translator: Translator, node: exp.Expr) -> Value:
    translator.only(node, "expressions")
    return tuple_value([translator.value(item) for item in node.expressions])


def tuple_value(values: Sequence[Value]) -> Value:
    """Return a tuple of the values."""
    return Value(call("row", *(value.sql for value in values)), Type("Tuple", items=tuple(v.type for v in values)))


def _interval(translator: Translator, node: exp.Expr) -> Value:
    from ._dates import interval  # noqa: PLC0415

    translator.only(node, "this", "unit")
    unit = node.args.get("unit")
    if unit is None or node.this is None:
        translator.env.refuse(f"{shown(node)} is no interval", node)
    amount = node.this
    if isinstance(amount, exp.Literal) and amount.is_string:
        amount = exp.Literal.number(amount.name)
    return interval(translator, amount, unit.name, node)


def _call(translator: Translator, node: exp.Expr) -> Value:
    from ._functions import called  # noqa: PLC0415

    return called(call_of(translator, node))


def call_of(translator: Translator, node: exp.Expr) -> Call:
    """Return the call that a node is; `f(DISTINCT x)` is told by `is_distinct`, `f(x) FILTER (WHERE y)` by `rows`."""
    rows = None
    if isinstance(node, exp.Filter) and isinstance(node.this, exp.Anonymous):
        translator.only(node, "this", "expression")
        node, rows = node.this, node.expression.this
    translator.only(node, "this", "expressions", "parameters")
    arguments = list(node.expressions)
    is_distinct = len(arguments) == 1 and isinstance(arguments[0], exp.Distinct)
    if is_distinct:
        translator.only(arguments[0], "expressions")
        arguments = arguments[0].expressions
    parameters = tuple(node.args.get("parameters") or ())
    return Call(node.name, node, tuple(arguments), parameters, translator, is_distinct, rows)


def _window(translator: Translator, node: exp.Expr) -> Value:
    from ._windows import windowed  # noqa: PLC0415

    return windowed(translator, node)


def _subquery(translator: Translator, node: exp.Expr) -> Value:
    translator.only(node, "this")
    sql, kinds = translator.names.query(node.this, node, translator.env)
    if len(kinds) != 1:
        translator.env.refuse("A subquery that is a value has one column", node)
    return Value(exp.Subquery(this=sql), nullable(kinds[0]))


def _exists(translator: Translator, node: exp.Expr) -> Value:
    translator.only(node, "this")
    sql, _ = translator.names.query(node.this, node, translator.env)
    return Value(exp.Exists(this=sql), TRUTH)


def _alias(translator: Translator, node: exp.Expr) -> Value:
    return translator.env.refuse(f"The alias {node.alias!r} may not stand here", node)


def _joined_text(translator: Translator, node: exp.Expr) -> Value:
    translator.only(node, "this", "expression", "safe")
    left, right = (as_text(translator.value(side), translator.env, side) for side in (node.this, node.expression))
    return Value(
        exp.DPipe(this=left.sql, expression=right.sql),
        nullable(STRING, when=left.type.is_nullable or right.type.is_nullable),
    )


def _first_present(translator: Translator, node: exp.Expr) -> Value:
    translator.only(node, "this", "expressions")
    return translator.value(exp.Anonymous(this="coalesce", expressions=[node.this, *node.expressions]))


def _test_null(translator: Translator, node: exp.Expr) -> Value:
    translator.only(node, "this", "expression")
    if not isinstance(node.expression, exp.Null):
        translator.env.refuse(f"{shown(node)} is not supported", node)
    return Value(is_null(translator.value(node.this).sql), TRUTH)


_HANDLERS: dict[type[exp.Expr], Callable[[Translator, Any], Value]] = {
    exp.Column: _names.column,
    exp.Identifier: _names.identifier,
    exp.Dot: _names.dotted_name,
    exp.Bracket: _names.bracket,
    exp.Literal: _literal,
    exp.Neg: _negative,
    exp.Boolean: _boolean,
    exp.Null: _null,
    exp.Paren: _parenthesis,
    exp.And: _connector,
    exp.Or: _connector,
    exp.Not: _not,
    exp.If: _conditional,
    exp.Case: _case,
    exp.Cast: _cast,
    exp.CastToStrType: _cast,
    exp.Array: _array,
    exp.Tuple: _tuple,
    exp.Interval: _interval,
    exp.Anonymous: _call,
    exp.Filter: _call,
    exp.Window: _window,
    exp.Subquery: _subquery,
    exp.Exists: _exists,
    exp.Alias: _alias,
    exp.DPipe: _joined_text,
    exp.Is: _test_null,
    exp.Coalesce: _first_present,
    **dict.fromkeys(_operators.COMPARISONS, _operators.comparison),
    **dict.fromkeys(_operators.ARITHMETIC, _operators.arithmetic),
    exp.Between: _operators.between,
    exp.In: _operators.membership,
    exp.Like: _operators.likeness,
    exp.ILike: _operators.likeness,
    exp.RegexpLike: _operators.pattern_match,
    exp.RegexpILike: _operators.pattern_match,
}
"""Every kind of node that an expression may hold."""
