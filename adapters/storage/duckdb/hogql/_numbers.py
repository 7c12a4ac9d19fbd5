"""Functions of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from ._registry import scalar
from ._types import (
    FLOAT,
    INT,
    TRUTH,
    Type,
    Value,
    any_null,
    call,
    cast,
    is_null,
    nan,
    nullable,
    number,
    present,
    text,
    when,
    whole_type,
)  # fmt: skip

if TYPE_CHECKING:
    from ._translate import Call


@scalar("negate", 1)
def _negate(c: Call) -> Value:
    return c.translator.value(exp.Neg(this=exp.paren(c.arguments[0].copy())))


@scalar("abs", 1)
def _abs(c: Call) -> Value:
    value = c.number(0)
    kind = Type(f"U{value.type.name.removeprefix('U')}") if value.type.is_integer else FLOAT
    return Value(call("abs", value.sql), nullable(kind, when=value.type.is_nullable))


_FLOAT_FUNCTIONS = {
    "exp": "exp", "ln": "ln", "log": "ln", "log2": "log2", "log10": "log10", "sqrt": "sqrt", "cbrt": "cbrt",
    "sin": "sin", "cos": "cos", "tan": "tan", "asin": "asin", "acos": "acos", "atan": "atan", "sinh": "sinh",
    "cosh": "cosh", "tanh": "tanh", "acosh": "acosh", "asinh": "asinh", "atanh": "atanh",
    "degrees": "degrees", "radians": "radians",
}  # fmt: skip


@scalar(" ".join(_FLOAT_FUNCTIONS), 1)
def _float_function(c: Call) -> Value:
    value = c.number(0)
    sql = call(_FLOAT_FUNCTIONS[c.name], cast(value.sql, "DOUBLE"))
    if c.name in ("ln", "log", "log2", "log10"):
        subject = exp.paren(value.sql.copy())
        infinite = cast(text("-inf"), "DOUBLE")
        sql = exp.Case(
            ifs=[
                exp.If(this=exp.EQ(this=subject, expression=number(0)), true=infinite),
                exp.If(this=exp.LT(this=subject.copy(), expression=number(0)), true=nan()),
            ],
            default=sql,
        )
    elif c.name in ("sqrt", "asin", "acos", "acosh", "atanh"):
        sql = exp.Coalesce(this=call("try", sql), expressions=[when(exp.not_(is_null(value.sql.copy())), nan())])
    return Value(sql, nullable(FLOAT, when=value.type.is_nullable))


@scalar("exp2 exp10", 1)
def _exp_n(c: Call) -> Value:
    value = c.number(0)
    sql = call("pow", cast(number(2 if c.name == "exp2" else 10), "DOUBLE"), cast(value.sql, "DOUBLE"))
    return Value(sql, nullable(FLOAT, when=value.type.is_nullable))


@scalar("pow power atan2", 2)
def _pow(c: Call) -> Value:
    one, two = c.number(0), c.number(1)
    sql = call("atan2" if c.name == "atan2" else "pow", cast(one.sql, "DOUBLE"), cast(two.sql, "DOUBLE"))
    return Value(sql, nullable(FLOAT, when=any_null(one, two)))


@scalar("max2 min2 hypot", 2)
def _of_two(c: Call) -> Value:
    values = c.number(0), c.number(1)
    one, two = (cast(value.sql, "DOUBLE") for value in values)
    if c.name == "hypot":
        sql = call("sqrt", exp.Add(this=call("pow", one, number(2)), expression=call("pow", two, number(2))))
    else:
        # Unlike `greatest` these are NULL where one is.
        made = call("greatest" if c.name == "max2" else "least", one, two)
        sql = when(exp.not_(exp.paren(exp.or_(is_null(one.copy()), is_null(two.copy())))), made)
    return Value(sql, nullable(FLOAT, when=any_null(*values)))


@scalar("pi e", 0)
def _constants(c: Call) -> Value:
    return Value(call("pi") if c.name == "pi" else call("exp", cast(number(1), "DOUBLE")), FLOAT)


@scalar("sign", 1)
def _sign(c: Call) -> Value:
    value = c.number(0)
    return Value(cast(call("sign", value.sql), "BIGINT"), nullable(Type("Int8"), when=value.type.is_nullable))


def _places(c: Call, *, most: int) -> int:
    places: int = c.literal(1, int, "a whole number") if len(c) == 2 else 0
    if not -most <= places <= most:
        c.refuse(f"Numbers are rounded to {most} places at most", 1)
    return places


@scalar("round roundBankers", 1, 2)
def _round(c: Call) -> Value:
    value = c.number(0)
    places = _places(c, most=30)
    if value.type.is_integer and places >= 0:
        return value
    sql = call("round_even", cast(value.sql, "DOUBLE"), number(places))
    if value.type.is_integer:
        sql = cast(sql, "BIGINT")
    return Value(sql, nullable(present(value.type), when=value.type.is_nullable))


@scalar("floor ceil ceiling trunc truncate", 1, 2)
def _floor(c: Call) -> Value:
    value = c.number(0)
    places = _places(c, most=15)
    if value.type.is_integer and places >= 0:
        return value
    name = {"ceiling": "ceil", "truncate": "trunc"}.get(c.name, c.name)
    scale = cast(number(10 ** abs(places)), "DOUBLE")
    sql = cast(value.sql, "DOUBLE")
    if places > 0:
        sql = exp.Div(this=call(name, exp.Mul(this=exp.paren(sql), expression=scale)), expression=scale.copy())
    elif places < 0:
        sql = exp.Mul(this=call(name, exp.Div(this=exp.paren(sql), expression=scale)), expression=scale.copy())
    else:
        sql = call(name, sql)
    sql = cast(sql, "BIGINT") if value.type.is_integer else exp.paren(sql)
    return Value(sql, value.type)


@scalar("isNaN isInfinite isFinite", 1)
def _is_nan(c: Call) -> Value:
    value = c.number(0)
    sql = (
        call(c.name.lower(), cast(value.sql, "DOUBLE"))
        if c.name != "isInfinite"
        else call("isinf", cast(value.sql, "DOUBLE"))
    )
    return Value(sql, nullable(TRUTH, when=value.type.is_nullable))


@scalar("ifNotFinite", 2)
def _if_not_finite(c: Call) -> Value:
    one, two = c.number(0), c.number(1)
    number_ = cast(one.sql, "DOUBLE")
    sql = when(call("isfinite", number_), number_.copy(), cast(two.sql, "DOUBLE"))
    return Value(sql, nullable(FLOAT, when=any_null(one, two)))


@scalar("gcd lcm", 2)
def _gcd(c: Call) -> Value:
    one, two = c.integer(0), c.integer(1)
    kind = whole_type(one.type, two.type, doubled=True)
    return Value(call(c.name, one.sql, two.sql), nullable(kind, when=any_null(one, two)))


@scalar("positiveModulo positive_modulo", 2)
def _positive_modulo(c: Call) -> Value:
    one, two = c.integer(0), c.integer(1)
    inner = exp.Add(this=exp.paren(exp.Mod(this=exp.paren(one.sql), expression=exp.paren(two.sql))),
                    expression=call("abs", two.sql.copy()))  # fmt: skip
    sql = exp.Mod(this=exp.paren(inner), expression=call("abs", two.sql.copy()))
    return Value(exp.paren(sql), nullable(INT, when=any_null(one, two)))


_BITS: dict[str, str] = {"bitAnd": "&", "bitOr": "|"}


@scalar("bitAnd bitOr bitXor bitShiftLeft bitShiftRight", 2)
def _bits(c: Call) -> Value:
    one, two = c.integer(0), c.integer(1)
    kinds: dict[str, type[exp.Binary]] = {
        "bitAnd": exp.BitwiseAnd, "bitOr": exp.BitwiseOr, "bitShiftLeft": exp.BitwiseLeftShift,
        "bitShiftRight": exp.BitwiseRightShift,
    }  # fmt: skip
    a, b = exp.paren(one.sql), exp.paren(two.sql)
    sql = call("xor", a, b) if c.name == "bitXor" else exp.paren(kinds[c.name](this=a, expression=b))
    return Value(sql, nullable(whole_type(one.type, two.type), when=any_null(one, two)))
