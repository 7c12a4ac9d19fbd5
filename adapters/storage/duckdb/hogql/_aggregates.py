"""Aggregate functions and their combinators (`If`, `Distinct`, `OrNull`, `OrDefault`) as DuckDB's with FILTER.

An aggregate over no rows gives what ClickHouse gives: 0, `nan`, an empty array, or NULL where the argument may be NULL.
"""

from __future__ import annotations

from attrs import evolve, frozen
from sqlglot import exp

from ._registry import AGGREGATES, MANY, aggregate, check_count, spelled
from ._translate import Call
from ._types import (
    FLOAT,
    INT,
    UINT,
    Type,
    Value,
    array_of,
    call,
    cast,
    coalesce,
    is_null,
    nan,
    nullable,
    number,
    or_empty,
    present,
    text,
    try_cast,
)  # fmt: skip

COMBINATORS = ("If", "OrNull", "OrDefault", "Distinct")


@frozen
class AggregateCall(Call):
    """A call of an aggregate under its own name, without its combinators."""

    condition: exp.Expr | None = None
    """Which rows count."""
    window: exp.Window | None = None
    """What it is OVER, when it is a window function."""

    def over(self, sql: exp.Expr, *present: exp.Expr) -> exp.Expr:
        """Return the aggregate call over the rows that count, and where the given expressions are not NULL."""
        tests = [] if self.condition is None else [self.condition.copy()]
        tests += [exp.not_(is_null(value.copy())) for value in present]
        if tests:
            sql = exp.Filter(this=sql, expression=exp.Where(this=exp.and_(*tests, copy=False)))
        if self.window is None:
            return sql
        windowed = self.window.copy()
        windowed.set("this", sql)
        return windowed

    def distinct(self, sql: exp.Expr) -> exp.Expr:
        """Return the argument of an aggregate, under DISTINCT if the call asks for it."""
        return exp.Distinct(expressions=[sql]) if self.is_distinct else sql


def split_combinators(name: str) -> tuple[str, tuple[str, ...]] | None:
    """Return an aggregate's own name and the combinators behind it, outermost last; None for no aggregate."""
    found: list[str] = []
    base = spelled(name)
    while base not in AGGREGATES:
        suffix = next((one for one in COMBINATORS if base.endswith(one)), None)
        if suffix is None or len(found) > 3:
            return None
        found.insert(0, suffix)
        base = spelled(base.removesuffix(suffix))
    return base, tuple(found)


def aggregated(call_: Call, window: exp.Window | None = None) -> Value | None:
    """Return the translated aggregate, as window function if it is OVER one; None when the name is of no aggregate."""
    split = split_combinators(call_.name)
    if split is None:
        return None
    base, combinators = split
    if len(set(combinators)) != len(combinators):
        call_.refuse(f"'{call_.name}' repeats a combinator")
    if window is not None:
        return _translated(call_, base, combinators, window)
    return call_.translator.aggregated(call_.node, lambda: _translated(call_, base, combinators, None))


def _translated(call_: Call, base: str, combinators: tuple[str, ...], window: exp.Window | None) -> Value:
    condition = None
    if "If" in combinators:
        if len(call_) == 0:
            call_.refuse(f"'{call_.name}' lacks its condition")
        condition = call_.translator.condition(call_.arguments[-1])
        call_ = evolve(call_, arguments=call_.arguments[:-1])
    if call_.rows is not None:
        if condition is not None:
            call_.refuse(f"'{call_.name}' has its condition already and takes no FILTER")
        condition = call_.translator.condition(call_.rows)
    function = AGGREGATES[base]
    is_distinct = call_.is_distinct or "Distinct" in combinators
    inner = AggregateCall(
        base, call_.node, call_.arguments, call_.parameters, call_.translator, is_distinct,
        condition=condition, window=window,
    )  # fmt: skip
    check_count(function, inner)
    if call_.parameters and base not in _PARAMETRIC:
        call_.refuse(f"'{base}' takes no parameters")
    value = function.build(inner)
    if "OrNull" in combinators:
        rows = inner.over(exp.Count(this=exp.Star()))
        sql = exp.Case(ifs=[exp.If(this=exp.GT(this=rows, expression=number(0)), true=value.sql)])
        return Value(sql, nullable(value.type))
    if "OrDefault" in combinators and value.type.is_number:
        return Value(coalesce(value.sql, number(0)), present(value.type))
    return value


_PARAMETRIC = frozenset({
    "quantile", "quantiles", "quantileExact", "groupArray", "groupUniqArray", "topK", "quantileTDigest",
    "quantileTiming", "quantileDeterministic", "quantileBFloat16", "quantileExactInclusive",
})  # fmt: skip


@aggregate("count", 0, MANY)
def _count(c: AggregateCall) -> Value:
    if len(c) == 0 or isinstance(c.arguments[0], exp.Star):
        return Value(c.over(exp.Count(this=exp.Star())), UINT)
    if c.is_distinct:
        return _uniq(c)
    if len(c) > 1:
        c.refuse("count takes one argument")
    return Value(c.over(exp.Count(this=c.value(0).sql)), UINT)


@aggregate("uniq uniqExact uniqCombined uniqCombined64 uniqHLL12 uniqTheta", 1, MANY)
def _uniq(c: AggregateCall) -> Value:
    values = c.values()
    if len(values) == 1:
        key = values[0].identity if values[0].identity is not None else values[0].sql
        return Value(c.over(exp.Count(this=exp.Distinct(expressions=[key]))), UINT)
    row = call("row", *(value.sql for value in values))
    missing = [value.sql for value in values if value.type.is_nullable]
    return Value(c.over(exp.Count(this=exp.Distinct(expressions=[row])), *missing), UINT)


@aggregate("sum", 1)
def _sum(c: AggregateCall) -> Value:
    value = c.number(0)
    kind = FLOAT if not value.type.is_integer else UINT if value.type.name.startswith("U") else INT
    sql = c.over(exp.Sum(this=c.distinct(value.sql)))
    if kind != FLOAT:
        sql = try_cast(sql, "BIGINT")
    if value.type.is_nullable:
        return Value(sql, nullable(kind))
    return Value(coalesce(sql, number(0)), kind)


@aggregate("avg", 1)
def _avg(c: AggregateCall) -> Value:
    value = c.number(0)
    sql = c.over(exp.Avg(this=c.distinct(cast(value.sql, "DOUBLE"))))
    if value.type.is_nullable:
        return Value(sql, nullable(FLOAT))
    return Value(coalesce(sql, nan()), FLOAT)


@aggregate("avgWeighted", 2)
def _avg_weighted(c: AggregateCall) -> Value:
    one, two = c.number(0), c.number(1)
    value, weight = cast(one.sql, "DOUBLE"), cast(two.sql, "DOUBLE")
    total = c.over(exp.Sum(this=exp.Mul(this=value, expression=weight)))
    sql = exp.Div(this=total, expression=c.over(exp.Sum(this=weight.copy()), value))
    is_nullable = one.type.is_nullable or two.type.is_nullable
    return Value(sql if is_nullable else coalesce(sql, nan()), nullable(FLOAT, when=is_nullable))


@aggregate("min max", 1)
def _min(c: AggregateCall) -> Value:
    value = c.value(0)
    sql = c.over(exp.Min(this=value.sql) if c.name == "min" else exp.Max(this=value.sql))
    return _empty_default(sql, value.type)


def _empty_default(sql: exp.Expr, kind: Type) -> Value:
    return Value(or_empty(sql, kind), kind)


@aggregate("any any_value anyHeavy first_value", 1)
def _any(c: AggregateCall) -> Value:
    value = c.value(0)
    return _empty_default(c.over(call("any_value", value.sql)), value.type)


@aggregate("anyLast last_value", 1)
def _any_last(c: AggregateCall) -> Value:
    value = c.value(0)
    return _empty_default(c.over(call("last", value.sql), value.sql), value.type)


@aggregate("argMin argMax", 2)
def _arg_min(c: AggregateCall) -> Value:
    value, key = c.value(0), c.value(1)
    name = "arg_min" if c.name == "argMin" else "arg_max"
    return _empty_default(c.over(call(name, value.sql, key.sql)), value.type)


def _level(c: AggregateCall, place: int = 0) -> exp.Expr:
    levels = _levels(c)
    if len(levels) > 1:
        c.refuse(f"'{c.name}' takes one level")
    return levels[place] if levels else exp.Literal.number("0.5")


def _levels(c: AggregateCall) -> list[exp.Expr]:
    levels: list[exp.Expr] = []
    for node in c.parameters:
        value = c.translator.value(node)
        level = value.constant if value.is_constant else None
        if not isinstance(level, int | float) or isinstance(level, bool) or not 0 <= level <= 1:
            c.env.refuse("A quantile's level is a number from 0 to 1", node)
        levels.append(exp.Literal.number(repr(float(level))))
    return levels


@aggregate("quantile median quantileTDigest quantileTiming quantileBFloat16 quantileExactInclusive", 1)
def _quantile(c: AggregateCall) -> Value:
    value = c.number(0)
    return _float_or_nan(c.over(call("quantile_cont", cast(value.sql, "DOUBLE"), _level(c))), value)


@aggregate("quantileExact medianExact", 1)
def _quantile_exact(c: AggregateCall) -> Value:
    # The element at index floor(level * n): past the end the last one.
    value = c.number(0)
    ordered = coalesce(c.over(call("list", value.sql), value.sql), cast(exp.Array(expressions=[]), "DOUBLE[]"))
    ordered = call("list_sort", ordered)
    size = call("len", ordered.copy())
    at = cast(call("floor", exp.Mul(this=_level(c), expression=size.copy())), "BIGINT")
    place = call("least", exp.Add(this=at, expression=number(1)), size)
    return _empty_default(call("list_extract", ordered, place), value.type)


@aggregate("quantiles", 1)
def _quantiles(c: AggregateCall) -> Value:
    value = c.number(0)
    levels = _levels(c)
    if not levels:
        c.refuse("'quantiles' lacks its levels")
    sql = c.over(call("quantile_cont", cast(value.sql, "DOUBLE"), exp.Array(expressions=levels)))
    return Value(coalesce(sql, exp.Array(expressions=[nan() for _ in levels])), array_of(FLOAT))


def _float_or_nan(sql: exp.Expr, value: Value) -> Value:
    if value.type.is_nullable:
        return Value(sql, nullable(FLOAT))
    return Value(coalesce(sql, nan()), FLOAT)


_SPREADS = {
    "stddevPop": "stddev_pop", "stddevSamp": "stddev_samp", "varPop": "var_pop", "varSamp": "var_samp",
    "stddev": "stddev_samp", "variance": "var_samp",
}  # fmt: skip


@aggregate(" ".join(_SPREADS), 1)
def _spread(c: AggregateCall) -> Value:
    value = c.number(0)
    return _float_or_nan(c.over(call(_SPREADS[c.name], cast(value.sql, "DOUBLE"))), value)


@aggregate("skewSamp kurtPop", 1)
def _moments(c: AggregateCall) -> Value:
    value = c.number(0)
    x = cast(value.sql, "DOUBLE")
    if c.name == "kurtPop":
        # DuckDB tells how much more it is than that of a normal distribution, which has 3.
        found = exp.Add(this=c.over(call("kurtosis_pop", x)), expression=number(3))
        return _float_or_nan(exp.paren(found), value)
    # DuckDB's corrects for few values, ClickHouse's does not.
    size = c.over(exp.Count(this=x.copy()))
    fewer = [exp.paren(exp.Sub(this=size.copy(), expression=number(less))) for less in (1, 2)]
    share = exp.Div(
        this=exp.Mul(this=fewer[0], expression=fewer[1]),
        expression=exp.paren(exp.Mul(this=size, expression=size.copy())),
    )
    return _float_or_nan(exp.paren(exp.Mul(this=c.over(call("skewness", x)), expression=exp.paren(share))), value)


@aggregate("corr covarPop covarSamp", 2)
def _pairs(c: AggregateCall) -> Value:
    one, two = c.number(0), c.number(1)
    name = {"corr": "corr", "covarPop": "covar_pop", "covarSamp": "covar_samp"}[c.name]
    sql = c.over(call(name, cast(one.sql, "DOUBLE"), cast(two.sql, "DOUBLE")))
    return Value(coalesce(sql, nan()), FLOAT)


@aggregate("groupArray groupUniqArray", 1)
def _group_array(c: AggregateCall) -> Value:
    value = c.value(0)
    is_unique = c.name == "groupUniqArray" or c.is_distinct
    inner = exp.Distinct(expressions=[value.sql]) if is_unique else value.sql
    sql = c.over(call("list", inner), value.sql)
    if is_unique:
        sql = call("list_sort", sql)
    sql = coalesce(sql, _empty_array(value.type))
    if c.parameters:
        sql = call("list_slice", sql, number(1), number(_size(c)))
    return Value(sql, array_of(present(value.type)))


def _empty_array(kind: Type) -> exp.Expr:
    if kind.items:
        return exp.Array(expressions=[])  # which DuckDB takes for one of anything
    names = {"String": "VARCHAR[]", "Float64": "DOUBLE[]", "DateTime": "TIMESTAMP[]", "DateTime64": "TIMESTAMP[]",
             "Date": "DATE[]", "UUID": "UUID[]", "Truth": "BOOLEAN[]", "Bool": "BOOLEAN[]"}  # fmt: skip
    return cast(exp.Array(expressions=[]), "BIGINT[]" if kind.is_integer else names.get(kind.name, "INTEGER[]"))


def _size(c: AggregateCall) -> int:
    value = c.translator.value(c.parameters[0])
    if not value.is_constant or not isinstance(value.constant, int) or not 0 < value.constant <= 100_000:
        c.env.refuse(f"'{c.name}' takes a number of items from 1 to 100000", c.parameters[0])
    return value.constant


@aggregate("topK", 1)
def _top(c: AggregateCall) -> Value:
    value = c.value(0)
    size = _size(c) if c.parameters else 10
    counted = call("map_entries", c.over(call("histogram", value.sql), value.sql))
    entry, place = exp.column("entry"), exp.to_identifier("entry")
    count = exp.Neg(this=cast(call("struct_extract", entry, text("value")), "BIGINT"))
    pair = call("row", count, call("struct_extract", entry.copy(), text("key")))
    ranked = call("list_sort", call("list_transform", counted, exp.Lambda(this=pair, expressions=[place], colon=True)))
    best = call("list_slice", ranked, number(1), number(size))
    second = exp.Lambda(this=call("struct_extract_at", entry.copy(), number(2)), expressions=[place.copy()], colon=True)
    found = coalesce(call("list_transform", best, second), _empty_array(value.type))
    return Value(found, array_of(present(value.type)))


@aggregate("groupBitAnd groupBitOr groupBitXor", 1)
def _bits(c: AggregateCall) -> Value:
    value = c.integer(0)
    name = {"groupBitAnd": "bit_and", "groupBitOr": "bit_or", "groupBitXor": "bit_xor"}[c.name]
    return _empty_default(c.over(call(name, value.sql)), value.type)


@aggregate("boundingRatio", 2)
def _bounding_ratio(c: AggregateCall) -> Value:
    x, y = (cast(c.number(place).sql, "DOUBLE") for place in (0, 1))
    rise = exp.Sub(this=c.over(call("arg_max", y.copy(), x.copy())),
                   expression=c.over(call("arg_min", y.copy(), x.copy())))  # fmt: skip
    run = exp.Sub(this=c.over(exp.Max(this=x.copy())), expression=c.over(exp.Min(this=x.copy())))
    return Value(exp.Div(this=exp.paren(rise), expression=exp.paren(run)), nullable(FLOAT))
