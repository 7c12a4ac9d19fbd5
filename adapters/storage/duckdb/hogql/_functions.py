"""Calls: which function a name is, and the functions of texts, numbers, conditions and types.

Dates, JSON, arrays and aggregates have modules of their own.
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
from ._sizes import bounded, product
from ._types import (
    BOOL,
    FLOAT,
    INT,
    STRING,
    TRUTH,
    UINT,
    UUID,
    Type,
    Value,
    call,
    cast,
    coalesce,
    is_null,
    nullable,
    number,
    present,
    text,
    try_cast,
    when,
    whole_type,
)  # fmt: skip

if TYPE_CHECKING:
    from ._translate import Call, Translator

MAX_REPEAT = 10_000


def called(call_: Call) -> Value:
    """Return the translated call. Refuses functions that are not listed, and wrong numbers of arguments."""
    from . import _aggregates, _arrays, _dates, _json  # noqa: F401, PLC0415 - they fill the registry

    name = spelled(call_.name)
    call_ = evolve(call_, name=name)
    if call_.name == COHORT:
        return _cohort(call_)
    if name in SCALARS:
        function = SCALARS[name]
        if call_.parameters or call_.is_distinct:
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


def _any_null(*values: Value) -> bool:
    return any(value.type.is_nullable for value in values)


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
    kind = present(value.type) if c.name == "assumeNotNull" else nullable(value.type)
    return Value(value.sql, kind)


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


# Numbers


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
    "cosh": "cosh", "tanh": "tanh", "degrees": "degrees", "radians": "radians",
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
                exp.If(this=exp.LT(this=subject.copy(), expression=number(0)), true=_nan()),
            ],
            default=sql,
        )
    elif c.name in ("sqrt", "asin", "acos"):
        sql = exp.Coalesce(this=call("try", sql), expressions=[when(exp.not_(is_null(value.sql.copy())), _nan())])
    return Value(sql, nullable(FLOAT, when=value.type.is_nullable))


def _nan() -> exp.Expr:
    return cast(text("nan"), "DOUBLE")


@scalar("exp2 exp10", 1)
def _exp_n(c: Call) -> Value:
    value = c.number(0)
    sql = call("pow", cast(number(2 if c.name == "exp2" else 10), "DOUBLE"), cast(value.sql, "DOUBLE"))
    return Value(sql, nullable(FLOAT, when=value.type.is_nullable))


@scalar("pow power atan2", 2)
def _pow(c: Call) -> Value:
    one, two = c.number(0), c.number(1)
    sql = call("atan2" if c.name == "atan2" else "pow", cast(one.sql, "DOUBLE"), cast(two.sql, "DOUBLE"))
    return Value(sql, nullable(FLOAT, when=_any_null(one, two)))


@scalar("pi e", 0)
def _constants(c: Call) -> Value:
    return Value(call("pi") if c.name == "pi" else call("exp", cast(number(1), "DOUBLE")), FLOAT)


@scalar("sign", 1)
def _sign(c: Call) -> Value:
    value = c.number(0)
    return Value(cast(call("sign", value.sql), "BIGINT"), nullable(Type("Int8"), when=value.type.is_nullable))


@scalar("round roundBankers", 1, 2)
def _round(c: Call) -> Value:
    value = c.number(0)
    places = c.literal(1, int, "a whole number") if len(c) == 2 else 0
    if not -30 <= places <= 30:
        c.refuse("Numbers are rounded to 30 places at most", 1)
    if value.type.is_integer and places >= 0:
        return value
    sql = call("round_even", cast(value.sql, "DOUBLE"), number(places))
    if value.type.is_integer:
        sql = cast(sql, "BIGINT")
    return Value(sql, nullable(present(value.type), when=value.type.is_nullable))


@scalar("floor ceil ceiling trunc truncate", 1, 2)
def _floor(c: Call) -> Value:
    value = c.number(0)
    places = c.literal(1, int, "a whole number") if len(c) == 2 else 0
    if not -15 <= places <= 15:
        c.refuse("Numbers are rounded to 15 places at most", 1)
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
    return Value(sql, nullable(FLOAT, when=_any_null(one, two)))


@scalar("gcd lcm", 2)
def _gcd(c: Call) -> Value:
    one, two = c.integer(0), c.integer(1)
    kind = whole_type(one.type, two.type, doubled=True)
    return Value(call(c.name, one.sql, two.sql), nullable(kind, when=_any_null(one, two)))


@scalar("positiveModulo positive_modulo", 2)
def _positive_modulo(c: Call) -> Value:
    one, two = c.integer(0), c.integer(1)
    inner = exp.Add(this=exp.paren(exp.Mod(this=exp.paren(one.sql), expression=exp.paren(two.sql))),
                    expression=call("abs", two.sql.copy()))  # fmt: skip
    sql = exp.Mod(this=exp.paren(inner), expression=call("abs", two.sql.copy()))
    return Value(exp.paren(sql), nullable(INT, when=_any_null(one, two)))


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
    return Value(sql, nullable(whole_type(one.type, two.type), when=_any_null(one, two)))


# Texts


@scalar("concat", 1, MANY)
def _concat(c: Call) -> Value:
    # COMPAT: HogQL takes a missing part for empty, ClickHouse would give NULL for the whole.
    parts = [c.text(place) for place in range(len(c))]
    return Value(call("concat", *(part.sql for part in parts)), STRING)


def _text_function(c: Call, name: str, kind: Type = STRING) -> Value:
    value = c.text(0)
    return Value(call(name, value.sql), nullable(kind, when=value.type.is_nullable))


_UPPER, _LOWER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"


@scalar("lower upper lcase ucase", 1)
def _ascii_case(c: Call) -> Value:
    value = c.text(0)
    letters = (_UPPER, _LOWER) if c.name.startswith("l") else (_LOWER, _UPPER)
    return Value(call("translate", value.sql, text(letters[0]), text(letters[1])),
                 nullable(STRING, when=value.type.is_nullable))  # fmt: skip


_TEXT_FUNCTIONS = {
    "lowerUTF8": "lower", "upperUTF8": "upper", "reverse": "reverse", "reverseUTF8": "reverse",
    "trimLeft": "ltrim", "ltrim": "ltrim", "trimRight": "rtrim", "rtrim": "rtrim", "trim": "trim", "trimBoth": "trim",
    "encodeURLComponent": "url_encode",
}  # fmt: skip


@scalar(" ".join(_TEXT_FUNCTIONS), 1)
def _simple_text(c: Call) -> Value:
    return _text_function(c, _TEXT_FUNCTIONS[c.name])


@scalar("decodeURLComponent", 1)
def _decode_url(c: Call) -> Value:
    value = c.text(0)
    found = call("try", call("url_decode", value.sql))
    return Value(coalesce(found, value.sql.copy()), nullable(STRING, when=value.type.is_nullable))


@scalar("lengthUTF8 char_length character_length CHAR_LENGTH CHARACTER_LENGTH", 1)
def _characters(c: Call) -> Value:
    return _text_function(c, "length", UINT)


@scalar("MD5 SHA256", 1)
def _hash(c: Call) -> Value:
    return _text_function(c, c.name.lower())


@scalar("base64Encode", 1)
def _base64(c: Call) -> Value:
    value = c.text(0)
    return Value(call("to_base64", call("encode", value.sql)), nullable(STRING, when=value.type.is_nullable))


@scalar("base64Decode tryBase64Decode", 1)
def _unbase64(c: Call) -> Value:
    value = c.text(0)
    decoded = call("try", call("decode", call("from_base64", value.sql)))
    return Value(coalesce(decoded, text("")), STRING)


@scalar("leftPad lpad rightPad rpad", 2, 3)
def _pad(c: Call) -> Value:
    value, size = c.text(0), c.integer(1)
    fill = c.text(2).sql if len(c) == 3 else text(" ")
    least = call("least", call("greatest", size.sql.copy(), number(0)), number(MAX_REPEAT))
    name = "lpad" if c.name in ("leftPad", "lpad") else "rpad"
    made = call(name, value.sql, cast(least, "INTEGER"), fill)
    return Value(bounded(size.sql, made, most=_most(c)), nullable(STRING, when=_any_null(value, size)))


@scalar("repeat", 2)
def _repeat(c: Call) -> Value:
    value, times = c.text(0), c.integer(1)
    limit = exp.IntDiv(
        this=number(MAX_REPEAT), expression=call("greatest", call("length", value.sql.copy()), number(1))
    )
    least = call("least", call("greatest", times.sql.copy(), number(0)), exp.paren(limit))
    made = call("repeat", value.sql, least)
    return Value(bounded(times.sql, made, most=_most(c)), nullable(STRING, when=_any_null(value, times)))


def _most(c: Call) -> int:
    """Return how long a text may be made: within lambdas, which make one for each element, less."""
    return (1 << 62, 1000, 12)[min(c.translator.depth, 2)]


@scalar("substring substr substringUTF8 mid", 2, 3)
def _substring(c: Call) -> Value:
    value, start = c.text(0), c.integer(1)
    parts = [value, start] + ([c.integer(2)] if len(c) == 3 else [])
    sql = call("substring", *(part.sql for part in parts))
    nothing = exp.EQ(this=exp.paren(start.sql.copy()), expression=number(0))
    return Value(when(nothing, text(""), sql), nullable(STRING, when=_any_null(*parts)))


@scalar("left right leftUTF8 rightUTF8", 2)
def _left(c: Call) -> Value:
    value, size = c.text(0), c.integer(1)
    return Value(call(c.name.removesuffix("UTF8"), value.sql, size.sql), nullable(STRING, when=_any_null(value, size)))


@scalar("position positionUTF8 positionCaseInsensitive positionCaseInsensitiveUTF8 locate", 2)
def _position(c: Call) -> Value:
    hay, needle = (c.text(1), c.text(0)) if c.name == "locate" else (c.text(0), c.text(1))
    one, two = hay.sql, needle.sql
    if "CaseInsensitive" in c.name:
        one, two = call("lower", one), call("lower", two)
    return Value(call("instr", one, two), nullable(UINT, when=_any_null(hay, needle)))


@scalar("startsWith endsWith", 2)
def _starts(c: Call) -> Value:
    one, two = c.text(0), c.text(1)
    name = "starts_with" if c.name == "startsWith" else "ends_with"
    return Value(call(name, one.sql, two.sql), nullable(TRUTH, when=_any_null(one, two)))


@scalar("replace replaceAll replaceOne", 3)
def _replace(c: Call) -> Value:
    value, old, new = c.text(0), c.text(1), c.text(2)
    kind = nullable(STRING, when=_any_null(value, old, new))
    if c.name != "replaceOne":
        made = call("replace", value.sql.copy(), old.sql, new.sql.copy())
        return Value(bounded(product(value.sql, new.sql), made), kind)
    place = call("instr", value.sql.copy(), old.sql.copy())
    after = exp.Add(this=place.copy(), expression=call("length", old.sql.copy()))
    sql = call("concat",
               call("left", value.sql.copy(), exp.Sub(this=place.copy(), expression=number(1))), new.sql,
               call("substring", value.sql.copy(), after))  # fmt: skip
    return Value(when(exp.GT(this=place, expression=number(0)), sql, value.sql), kind)


@scalar("replaceRegexpAll replaceRegexpOne", 3)
def _replace_pattern(c: Call) -> Value:
    value = c.text(0)
    pattern = c.env.bind(_operators.pattern_text(c.translator, c.arguments[1]))
    flags = text("gs" if c.name.endswith("All") else "s")
    new = c.text(2).sql
    made = call("regexp_replace", value.sql.copy(), pattern, new.copy(), flags)
    return Value(bounded(product(value.sql, new), made),
                 nullable(STRING, when=value.type.is_nullable))  # fmt: skip


@scalar("match", 2)
def _match(c: Call) -> Value:
    return _operators.matched(c.translator, c.arguments[0], c.arguments[1])


@scalar("extract", 2)
def _extract(c: Call) -> Value:
    value = c.text(0)
    pattern = _operators.pattern_text(c.translator, c.arguments[1])
    sql = call("regexp_extract", value.sql, c.env.bind(pattern), number(1 if _groups(pattern) else 0), text("s"))
    return Value(sql, nullable(STRING, when=value.type.is_nullable))


def _groups(pattern: str) -> bool:
    """Whether an RE2 pattern has a capturing group."""
    bare = re.sub(r"\\.|\[\^?\]?[^\]]*\]", "", pattern)
    return re.search(r"\((?!\?)|\(\?P?<", bare) is not None


@scalar("extractAll", 2)
def _extract_all(c: Call) -> Value:
    value = c.text(0)
    pattern = _operators.pattern_text(c.translator, c.arguments[1])
    sql = call("regexp_extract_all", value.sql, c.env.bind(pattern), number(1 if _groups(pattern) else 0), text("s"))
    return Value(sql, Type("Array", items=(STRING,)))


@scalar("countSubstrings", 2)
def _count_substrings(c: Call) -> Value:
    value, part = c.text(0), c.text(1)
    gone = call("replace", value.sql.copy(), part.sql.copy(), text(""))
    difference = exp.Sub(this=call("length", value.sql), expression=call("length", gone))
    sql = exp.IntDiv(this=exp.paren(difference), expression=call("greatest", call("length", part.sql), number(1)))
    return Value(exp.paren(sql), nullable(UINT, when=_any_null(value, part)))


@scalar("countMatches", 2)
def _count_matches(c: Call) -> Value:
    value = c.text(0)
    pattern = c.env.bind(_operators.pattern_text(c.translator, c.arguments[1]))
    return Value(
        call("len", call("regexp_extract_all", value.sql, pattern)), nullable(UINT, when=value.type.is_nullable)
    )


@scalar("splitByChar splitByString", 2, 3)
def _split(c: Call) -> Value:
    separator, value = c.text(0), c.text(1)
    if c.name == "splitByChar" and len(c.literal(0, str, "one character")) != 1:
        c.refuse("The separator of splitByChar is one character", 0)
    return Value(coalesce(call("string_split", value.sql, separator.sql), _no_texts()), _TEXTS)


@scalar("splitByRegexp", 2)
def _split_pattern(c: Call) -> Value:
    pattern = c.env.bind(_operators.pattern_text(c.translator, c.arguments[0]))
    return Value(coalesce(call("string_split_regex", c.text(1).sql, pattern), _no_texts()), _TEXTS)


@scalar("splitByWhitespace", 1)
def _split_blanks(c: Call) -> Value:
    split = call("string_split_regex", call("trim", c.text(0).sql), text(r"\s+"))
    return Value(coalesce(split, _no_texts()), _TEXTS)


_TEXTS = Type("Array", items=(STRING,))


def _no_texts() -> exp.Expr:
    return cast(exp.Array(expressions=[]), "VARCHAR[]")


_URL_PARTS = {
    "protocol": r"^([a-zA-Z][a-zA-Z0-9+.-]*):",
    "domain": r"^(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?//(?:[^/?#@]*@)?([^/?#:]*)",
    "domainWithoutWWW": r"^(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?//(?:[^/?#@]*@)?(?:www\.)?([^/?#:]*)",
    "path": r"^(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?//[^/?#]*(/[^?#]*)",
    "pathFull": r"^(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?//[^/?#]*(/.*)",
    "queryString": r"\?([^#]*)",
    "fragment": r"#(.*)",
    "topLevelDomain": r"^(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?//[^/?#:]*\.([a-zA-Z]+)(?:[/?#:]|$)",
}


@scalar(" ".join(_URL_PARTS), 1)
def _url_part(c: Call) -> Value:
    value = c.text(0)
    sql = call("regexp_extract", value.sql, text(_URL_PARTS[c.name]), number(1))
    return Value(sql, nullable(STRING, when=value.type.is_nullable))


@scalar("cutQueryString cutFragment cutQueryStringAndFragment cutWWW", 1)
def _cut_url(c: Call) -> Value:
    pattern = {
        "cutQueryString": r"\?[^#]*", "cutFragment": r"#.*", "cutQueryStringAndFragment": r"[?#].*",
        "cutWWW": r"//www\.",
    }[c.name]  # fmt: skip
    value = c.text(0)
    sql = call("regexp_replace", value.sql, text(pattern), text("//" if c.name == "cutWWW" else ""))
    return Value(sql, nullable(STRING, when=value.type.is_nullable))


@scalar("extractURLParameter", 2)
def _url_parameter(c: Call) -> Value:
    value = c.text(0)
    name = re.escape(c.literal(1, str, "the name of a parameter"))
    sql = call("regexp_extract", value.sql, c.env.bind(rf"[?&]{name}=([^&#]*)"), number(1))
    return Value(sql, nullable(STRING, when=value.type.is_nullable))


@scalar("empty notEmpty", 1)
def _empty(c: Call) -> Value:
    value = c.value(0)
    size = call("len", value.sql) if value.type.name == "Array" else call("strlen", c.text(0).sql)
    operator = exp.EQ if c.name == "empty" else exp.GT
    return Value(operator(this=size, expression=number(0)), nullable(TRUTH, when=value.type.is_nullable))


@scalar("length", 1)
def _length(c: Call) -> Value:
    value = c.value(0)
    if value.type.name == "Array":
        return Value(call("len", value.sql), UINT)
    # Bytes, as in ClickHouse; lengthUTF8 counts characters.
    return Value(call("strlen", c.text(0).sql), nullable(UINT, when=value.type.is_nullable))


@scalar("tuple", 0, MANY)
def _tuple(c: Call) -> Value:
    from ._translate import tuple_value  # noqa: PLC0415

    return tuple_value(c.values())


@scalar("tupleElement", 2)
def _tuple_element(c: Call) -> Value:
    return _operators.element(c.value(0), c.value(1), c.env, c.node)
