"""Calls: which function a name is, and the functions of conditions and types.

Numbers, texts, dates, JSON, arrays and aggregates have modules of their own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from attrs import evolve
from sqlglot import exp

from . import _operators
from ._conversions import to_float, to_int, unified
from ._dialect import COHORT
from ._registry import MANY, SCALARS, check_count, scalar, similar, spelled
from ._types import (
    BOOL,
    FLOAT,
    INT,
    STRING,
    TRUTH,
    UUID,
    Value,
    call,
    cast,
    coalesce,
    is_null,
    nullable,
    number,
    or_empty,
    present,
    text,
    try_cast,
    when,
)  # fmt: skip

if TYPE_CHECKING:
    from ._translate import Call, Translator


def called(call_: Call) -> Value:
    """Return the translated call. Refuses functions that are not listed, and wrong numbers of arguments."""
    from . import _aggregates, _arrays, _dates, _json, _numbers, _starts, _texts, _urls  # noqa: F401, PLC0415 - they fill the registry

    name = spelled(call_.name)
    call_ = evolve(call_, name=name)
    if call_.name == COHORT:
        return _cohort(call_)
    if name in SCALARS:
        function = SCALARS[name]
        if call_.parameters or call_.is_distinct or call_.rows is not None:
            call_.refuse(f"Function '{name}' is no aggregation")
        check_count(function, call_)
        return function.build(call_)
    found = _aggregates.aggregated(call_)
    if found is not None:
        return found
    return call_.refuse(f"Unsupported function call '{call_.name}(...)'{similar(call_.name)}")


def _cohort(call_: Call) -> Value:
    sql = call_.translator.names.cohort(call_)
    return Value(sql, TRUTH)


@scalar("matchesAction", 1)
def _action(call_: Call) -> Value:
    return Value(call_.translator.names.action(call_), TRUTH)


_FUNCTION_OPERATORS: dict[str, type[exp.Binary]] = {
    "equals": exp.EQ, "notEquals": exp.NEQ, "greater": exp.GT, "greaterOrEquals": exp.GTE, "less": exp.LT,
    "lessOrEquals": exp.LTE, "plus": exp.Add, "minus": exp.Sub, "multiply": exp.Mul, "divide": exp.Div,
    "intDiv": exp.IntDiv, "modulo": exp.Mod, "intDivOrZero": exp.IntDiv, "moduloOrZero": exp.Mod,
}  # fmt: skip


@scalar(" ".join(_FUNCTION_OPERATORS), 2)
def _operator(c: Call) -> Value:
    operator = _FUNCTION_OPERATORS[c.name]
    sides = (c.arguments[0], c.arguments[1])
    if operator in _operators.COMPARISONS:
        return _operators.compared(c.translator, operator, sides, c.node)
    value = _operators.calculated(c.translator, operator, sides, c.node)
    return Value(coalesce(value.sql, number(0)), value.type) if c.name.endswith("OrZero") else value


@scalar("like ilike notLike notILike", 2)
def _like(c: Call) -> Value:
    kind = exp.ILike if c.name.lower().endswith("ilike") else exp.Like
    node = kind(this=c.arguments[0].copy(), expression=c.arguments[1].copy(), negate=c.name.startswith("not"))
    return _operators.likeness(c.translator, node)


@scalar("in notIn", 2)
def _in(c: Call) -> Value:
    found = _operators.membership(c.translator, exp.In(this=c.arguments[0].copy(), field=c.arguments[1].copy()))
    return Value(exp.not_(exp.paren(found.sql)), TRUTH) if c.name == "notIn" else found


@scalar("and or", 1, MANY)
def _and(c: Call) -> Value:
    return _operators.connected(c.translator, exp.And if c.name == "and" else exp.Or, c.arguments)


@scalar("xor", 2)
def _xor(c: Call) -> Value:
    one, two = c.translator.condition(c.arguments[0]), c.translator.condition(c.arguments[1])
    return Value(exp.NEQ(this=exp.paren(one), expression=exp.paren(two)), TRUTH)


@scalar("not", 1)
def _not(c: Call) -> Value:
    value = c.value(0)
    return Value(exp.not_(exp.paren(c.truth(0))), nullable(TRUTH, when=value.type.is_nullable))


@scalar("if", 3)
def _if(c: Call) -> Value:
    return _operators.chosen(c.translator, [(c.arguments[0], c.arguments[1])], c.arguments[2], c.node)


@scalar("multiIf", 3, MANY)
def _multi_if(c: Call) -> Value:
    if len(c) % 2 == 0:
        c.refuse("Function 'multiIf' lacks its last value")
    pairs = list(zip(c.arguments[:-1:2], c.arguments[1::2], strict=False))
    return _operators.chosen(c.translator, pairs, c.arguments[-1], c.node)


@scalar("transform", 3, 4)
def _transform(c: Call) -> Value:
    (keys, key_type), (found, found_type) = c.array(1), c.array(2)
    subject = c.value(0)
    if subject.type.name != key_type.name and not (subject.type.is_number and key_type.is_number):
        subject = c.text(0)
    if key_type.is_number:
        # Texts that are no numbers are none of the keys.
        subject, keys = to_float(subject, c.env, c.arguments[0]), cast(keys, "DOUBLE[]")
    hit = call("list_extract", found, call("list_position", keys, subject.sql))
    default = c.value(3) if len(c) == 4 else c.value(0)
    sqls, kind = unified([Value(hit, nullable(found_type)), default], c.env, c.node)
    return Value(coalesce(sqls[0], sqls[1]), nullable(present(kind), when=default.type.is_nullable))


@scalar("coalesce", 1, MANY)
def _coalesce(c: Call) -> Value:
    values = c.values()
    sqls, kind = unified(values, c.env, c.node)
    sql = exp.Coalesce(this=sqls[0], expressions=sqls[1:])
    return Value(sql, nullable(present(kind), when=all(value.type.is_nullable for value in values)))


@scalar("ifNull", 2)
def _if_null(c: Call) -> Value:
    return _coalesce(c)


@scalar("nullIf", 2)
def _null_if(c: Call) -> Value:
    same = _operators.compared(c.translator, exp.EQ, (c.arguments[0], c.arguments[1]), c.node)
    value = c.value(0)
    return Value(when(same.sql, exp.null(), value.sql), nullable(value.type))


@scalar("isNull isNotNull", 1)
def _is_null(c: Call) -> Value:
    test = is_null(c.value(0).sql)
    return Value(test if c.name == "isNull" else exp.not_(test), TRUTH)


@scalar("assumeNotNull toNullable", 1)
def _assume(c: Call) -> Value:
    value = c.value(0)
    if c.name == "toNullable":
        return Value(value.sql, nullable(value.type))
    kind = present(value.type)
    return Value(or_empty(value.sql, kind), kind)


@scalar("greatest least", 1, MANY)
def _greatest(c: Call) -> Value:
    sqls, kind = unified(c.values(), c.env, c.node)
    return Value(call(c.name, *sqls), kind)


# Types


@scalar("toString", 1)
def _to_string(c: Call) -> Value:
    return c.text(0)


@scalar("toInt toFloat toDecimal", 1, 2)
def _to_number(c: Call) -> Value:
    value = c.value(0)
    convert = to_int if c.name == "toInt" else to_float
    found = convert(value, c.env, c.arguments[0])
    return Value(found.sql, nullable(found.type))


@scalar("toIntOrZero toFloatOrZero toIntOrDefault toFloatOrDefault accurateCastOrDefault", 1, 2)
def _to_number_or(c: Call) -> Value:
    convert, kind = (to_int, INT) if "Int" in c.name else (to_float, FLOAT)
    found = convert(c.value(0), c.env, c.arguments[0])
    default = c.number(1).sql if len(c) == 2 else number(0)
    return Value(coalesce(found.sql, default), kind)


@scalar("toBool", 1)
def _to_bool(c: Call) -> Value:
    value = c.value(0)
    if value.type.name != "String":
        return Value(cast(c.truth(0), "BOOLEAN"), nullable(BOOL, when=value.type.is_nullable))
    return Value(bool_sql(value.sql), nullable(BOOL))


def bool_sql(sql: exp.Expr) -> exp.Expr:
    """Return a text as a boolean, NULL when it is none."""
    lowered = call("lower", sql)
    yes = exp.In(this=lowered, expressions=[text(word) for word in ("true", "1", "yes", "y", "t", "on", "enable")])
    no = exp.In(
        this=lowered.copy(), expressions=[text(word) for word in ("false", "0", "no", "n", "f", "off", "disable")]
    )
    return exp.Case(ifs=[exp.If(this=yes, true=exp.true()), exp.If(this=no, true=exp.false())])


@scalar("toUUID", 1)
def _to_uuid(c: Call) -> Value:
    return Value(try_cast(c.text(0).sql, "UUID"), nullable(UUID))


@scalar("toTypeName", 1)
def _type_name(c: Call) -> Value:
    name = c.value(0).type.shown(c.env.zone)
    return Value(text(name), STRING, name)


_CASTS = {
    "string": "toString", "float64": "toFloat", "float": "toFloat", "float32": "toFloat", "double": "toFloat",
    "bool": "toBool", "boolean": "toBool", "date": "toDate", "datetime": "toDateTime", "datetime64": "toDateTime",
    "uuid": "toUUID",
}  # fmt: skip


def cast_to(translator: Translator, inner: exp.Expr, kind: str, node: exp.Expr) -> Value:
    """Return `CAST(x AS kind)`; what does not convert is NULL."""
    base = re.sub(r"^nullable\((.*)\)$", r"\1", kind.lower().strip())
    base = re.sub(r"\(.*\)$", "", base)
    name = "toInt" if re.fullmatch(r"u?int\d*", base) else _CASTS.get(base)
    if name is None:
        translator.env.refuse(f"The type {kind} is not supported in CAST", node)
    return translator.value(exp.Anonymous(this=name, expressions=[inner.copy()]))


@scalar("accurateCast accurateCastOrNull cast", 2)
def _accurate_cast(c: Call) -> Value:
    return cast_to(c.translator, c.arguments[0], c.literal(1, str, "the name of a type"), c.node)


@scalar("tuple", 0, MANY)
def _tuple(c: Call) -> Value:
    from ._translate import tuple_value  # noqa: PLC0415

    return tuple_value(c.values())


@scalar("tupleElement", 2)
def _tuple_element(c: Call) -> Value:
    return _operators.element(c.value(0), c.value(1), c.env, c.node)
