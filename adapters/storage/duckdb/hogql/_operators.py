"""Operators: comparisons that never give NULL, arithmetic, membership, patterns, choices, elements.

Source: ClickHouse's operators as HogQL wraps them (queries.md 9.2 and 9.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from ._conversions import (
    Environment,
    as_date,
    as_instant,
    as_number,
    as_text,
    as_truth,
    as_type,
    equals_null,
    known,
    local,
    unified,
    utc,
)  # fmt: skip
from ._dialect import shown
from ._types import (
    BYTE,
    DATE,
    FLOAT,
    INT,
    STRING,
    TRUTH,
    Type,
    Value,
    any_null,
    call,
    cast,
    common_type,
    nullable,
    number,
    or_empty,
    present,
    text,
    try_cast,
    when,
)  # fmt: skip

if TYPE_CHECKING:
    from ._translate import Translator

MAX_PATTERN = 1000
"""Characters of a regular expression (RE2)."""
COMPARISONS: tuple[type[exp.Binary], ...] = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE)
ARITHMETIC: tuple[type[exp.Binary], ...] = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod)
NEGATABLE: frozenset[type[exp.Expr]] = frozenset(
    {exp.In, exp.Like, exp.ILike, exp.RegexpLike, exp.RegexpILike, exp.Is, exp.Between}
)


def comparison(translator: Translator, node: Any, *, null_is_false: bool = False) -> Value:
    """Return a comparison; equality treats NULL as a value, the others are false with NULL."""
    translator.only(node, "this", "expression")
    sides = (node.this, node.expression)
    return compared(translator, type(node), sides, node, null_is_false=null_is_false)


def compared(
    translator: Translator,
    operator: type[exp.Binary],
    sides: tuple[exp.Expr, exp.Expr],
    node: exp.Expr,
    *,
    null_is_false: bool = False,
) -> Value:
    """Return the comparison of two expressions."""
    env = translator.env
    left, right = (translator.value(side) for side in sides)
    is_equality = operator in (exp.EQ, exp.NEQ)
    for value, other in ((left, right), (right, left)):
        if value.is_null and is_equality:
            return equals_null(other, negated=operator is exp.NEQ)
    one, two = _comparable(left, right, sides, env, node)
    n_nullable = left.type.is_nullable + right.type.is_nullable
    plain: exp.Expr = operator(this=exp.paren(one), expression=exp.paren(two))
    if not n_nullable or (null_is_false and operator is not exp.NEQ and not (n_nullable == 2 and is_equality)):
        return Value(plain, nullable(TRUTH, when=bool(n_nullable)) if null_is_false else TRUTH)
    if is_equality and n_nullable == 2:
        same = exp.NullSafeEQ if operator is exp.EQ else exp.NullSafeNEQ
        return Value(same(this=exp.paren(one), expression=exp.paren(two)), TRUTH)
    return Value(known(plain, otherwise=operator is exp.NEQ), TRUTH)


def _comparable(
    left: Value, right: Value, nodes: tuple[exp.Expr, exp.Expr], env: Environment, node: exp.Expr
) -> tuple[exp.Expr, exp.Expr]:
    """Return both sides in a form that DuckDB compares as ClickHouse does; refuse types that do not compare."""
    pair, types = (left, right), (left.type, right.type)
    names = {kind.name for kind in types}
    convert: Any = None
    if names <= {"String", "Nothing"}:
        return left.sql, right.sql
    if any(kind.is_instant for kind in types) and names <= {"DateTime", "DateTime64", "String", "Date", "Nothing"}:
        convert = as_instant
    elif "Date" in names and names <= {"Date", "String", "Nothing"}:
        has_time = any(v.is_constant and isinstance(v.constant, str) and len(v.constant) > 10 for v in pair)
        convert = as_instant if has_time else as_date
    elif "Bool" in names and "String" in names:
        convert = as_text
    elif "UUID" in names and "String" in names:
        convert = _as_uuid
    elif all(kind.is_number or kind.is_truth or kind.name in ("String", "Nothing") for kind in types):
        if all(kind.is_truth for kind in types):
            return left.sql, right.sql
        convert = as_number
    if convert is not None:
        one, two = (convert(value, env, side) for value, side in zip(pair, nodes, strict=True))
        return one.sql, two.sql
    kind = common_type(types)
    if kind is None:
        shown_types = " and ".join(kind.shown(env.zone) for kind in types)
        env.refuse(f"{shown(node)} compares {shown_types}", node)
    return as_type(left, kind, env, node), as_type(right, kind, env, node)


def _as_uuid(value: Value, _: Environment, __: exp.Expr) -> Value:
    return value if value.type.name == "UUID" else Value(try_cast(value.sql, "UUID"), nullable(Type("UUID")))


def between(translator: Translator, node: Any) -> Value:
    """Return `x BETWEEN low AND high`, ends included."""
    translator.only(node, "this", "low", "high")
    parts = [
        compared(translator, exp.GTE, (node.this, node.args["low"]), node),
        compared(translator, exp.LTE, (node.this, node.args["high"]), node),
    ]
    return Value(exp.paren(exp.and_(*(part.sql for part in parts))), TRUTH)


def membership(translator: Translator, node: Any) -> Value:
    """Return `x IN (...)`; false for NULL."""
    translator.only(node, "this", "expressions", "query", "field")
    env = translator.env
    value = translator.value(node.this)
    sql: exp.Expr
    if node.args.get("query"):
        inner = node.args["query"]
        translator.only(inner, "this")
        query, kinds = translator.names.query(inner.this, node, env)
        subject = value.sql
        if len(kinds) == 1:
            if not _same_family(value.type, kinds[0]):
                subject = as_text(value, env, node.this).sql
                if kinds[0].name != "String":
                    env.refuse(f"{shown(node.this)} does not compare with the subquery", node)
        elif value.type.name != "Tuple" or len(value.type.items) != len(kinds):
            env.refuse("The subquery of IN has another number of columns", node)
        sql = exp.In(this=exp.paren(subject), query=exp.Subquery(this=query))
        return Value(known(sql, otherwise=False), TRUTH)
    items = list(node.expressions)
    if node.args.get("field"):
        items = [node.args["field"]]
    if len(items) == 1:
        single = _unwrapped(items[0])
        if single is not None:
            items = single
        else:
            found = translator.value(items[0])
            if found.type.name == "Array":
                subject = _as_item(value, found.type.items[0], env, node)
                return Value(known(call("list_contains", found.sql, subject), otherwise=False), TRUTH)
    if not items:
        return Value(exp.false(), TRUTH)
    real = [item for item in items if not isinstance(item, exp.Null)]
    if value.type.name in ("String", "Nothing") and all(_is_text(item) for item in real):
        sql = exp.In(this=exp.paren(value.sql), expressions=[translator.value(item).sql for item in real])
        return Value(known(sql, otherwise=False) if value.type.is_nullable else sql, TRUTH)
    tests = [compared(translator, exp.EQ, (node.this, item), node).sql for item in real]
    return Value(exp.paren(exp.or_(*tests)) if tests else exp.false(), TRUTH)


def _is_text(node: exp.Expr) -> bool:
    return isinstance(node, exp.Literal) and bool(node.args.get("is_string"))


def _unwrapped(node: exp.Expr) -> list[exp.Expr] | None:
    """Return the members of a written tuple or array."""
    if isinstance(node, exp.Tuple | exp.Array):
        return list(node.expressions)
    if isinstance(node, exp.Paren):
        return [node.this]
    if isinstance(node, exp.Anonymous) and node.name in ("tuple", "array"):
        return list(node.expressions)
    return None


def _same_family(one: Type, two: Type) -> bool:
    if "Nothing" in (one.name, two.name):
        return True
    return common_type([one, two]) is not None


def _as_item(value: Value, item: Type, env: Environment, node: exp.Expr) -> exp.Expr:
    if common_type([value.type, item]) is not None:
        return value.sql
    if item.name == "String":
        return as_text(value, env, node).sql
    return env.refuse(f"{shown(node)} looks for {value.type.shown(env.zone)} among {item.shown(env.zone)}", node)


def likeness(translator: Translator, node: Any) -> Value:
    """Return LIKE and ILIKE; false for NULL, negated true."""
    translator.only(node, "this", "expression", "negate")
    env = translator.env
    left, right = (as_text(translator.value(side), env, side) for side in (node.this, node.expression))
    plain: exp.Expr = type(node)(this=exp.paren(left.sql), expression=exp.paren(right.sql))
    if not right.is_constant or "\\" in str(right.constant):
        plain = exp.Escape(this=plain, expression=text("\\"))
    if right.is_constant and isinstance(right.constant, str) and right.constant.endswith("\\"):
        env.refuse("A LIKE pattern may not end with a backslash", node)
    is_nullable = left.type.is_nullable or right.type.is_nullable
    found = known(plain, otherwise=False) if is_nullable else plain
    return Value(exp.not_(exp.paren(found)) if node.args.get("negate") else found, TRUTH)


def pattern_match(translator: Translator, node: Any) -> Value:
    """Return `=~`; false for NULL."""
    translator.only(node, "this", "expression")
    is_blind = isinstance(node, exp.RegexpILike)
    return matched(translator, node.this, node.expression, ignores_case=is_blind)


def matched(translator: Translator, subject: exp.Expr, pattern: exp.Expr, *, ignores_case: bool = False) -> Value:
    """Return whether an RE2 pattern is found anywhere in the text."""
    value = as_text(translator.value(subject), translator.env, subject)
    flags = text("is" if ignores_case else "s")
    sql = call("regexp_matches", value.sql, translator.env.bind(pattern_text(translator, pattern)), flags)
    return Value(known(sql, otherwise=False) if value.type.is_nullable else sql, TRUTH)


def pattern_text(translator: Translator, node: exp.Expr) -> str:
    """Return a regular expression that must be written out, is short, and that RE2 understands."""
    value = translator.value(node)
    if not value.is_constant or not isinstance(value.constant, str):
        translator.env.refuse("A regular expression must be written out", node)
    pattern: str = value.constant
    if len(pattern) > MAX_PATTERN:
        translator.env.refuse(f"A regular expression may have {MAX_PATTERN} characters", node)
    if not translator.env.statement.is_pattern(pattern):
        translator.env.refuse(f"{pattern[:60]!r} is no regular expression", node)
    return pattern


def negated(translator: Translator, node: exp.Expr) -> Value:
    """Return the negation of a test that is never NULL."""
    value = translator.value(node)
    return Value(exp.not_(exp.paren(value.sql)), TRUTH)


def connected(translator: Translator, kind: type[exp.Expr], parts: Sequence[exp.Expr]) -> Value:
    """Return AND or OR of the parts."""
    values = [translator.value(part) for part in parts]
    conditions = [exp.paren(as_truth(value, translator.env, part)) for value, part in zip(values, parts, strict=True)]
    join = exp.and_ if issubclass(kind, exp.And) else exp.or_
    is_nullable = any_null(*values)
    return Value(exp.paren(join(*conditions, copy=False)), nullable(TRUTH, when=is_nullable))


def chosen(
    translator: Translator, branches: Sequence[tuple[exp.Expr, exp.Expr]], default: exp.Expr, node: exp.Expr
) -> Value:
    """Return the first branch whose condition holds; NULL does not hold."""
    conditions = [translator.condition(condition) for condition, _ in branches]
    results = [translator.value(result) for _, result in branches] + [translator.value(default)]
    sqls, kind = unified(results, translator.env, node)
    ifs = [exp.If(this=condition, true=sql) for condition, sql in zip(conditions, sqls, strict=False)]
    return Value(exp.Case(ifs=ifs, default=sqls[-1]), kind)


def arithmetic(translator: Translator, node: Any) -> Value:
    """Return + - * / // %; dates move by intervals and days."""
    translator.only(node, "this", "expression", "typed", "safe")
    return calculated(translator, type(node), (node.this, node.expression), node)


def calculated(
    translator: Translator, operator: type[exp.Binary], sides: tuple[exp.Expr, exp.Expr], node: exp.Expr
) -> Value:
    """Return the result of an arithmetic operator on two expressions."""
    left, right = (translator.value(side) for side in sides)
    env = translator.env
    if operator in (exp.Add, exp.Sub):
        moved = _moved(operator, left, right, env, node)
        if moved is not None:
            return moved
    one, two = (as_number(value, env, side) for value, side in zip((left, right), sides, strict=True))
    is_nullable = one.type.is_nullable or two.type.is_nullable
    a, b = exp.paren(one.sql), exp.paren(two.sql)
    kind = _result_type(operator, present(one.type), present(two.type))
    sql: exp.Expr
    if operator is exp.Div:
        sql = exp.Div(this=cast(a, "DOUBLE"), expression=cast(b, "DOUBLE"))
    elif operator is exp.IntDiv:
        sql = cast(call("trunc", exp.Div(this=cast(a, "DOUBLE"), expression=cast(b, "DOUBLE"))), "BIGINT")
        if one.type.is_integer and two.type.is_integer:
            sql = exp.IntDiv(this=a, expression=b)
        sql = when(exp.NEQ(this=b.copy(), expression=number(0)), sql)
    else:
        sql = operator(this=a, expression=b)
    return Value(exp.paren(sql), nullable(kind, when=is_nullable))


def _result_type(operator: type[exp.Binary], one: Type, two: Type) -> Type:
    if "Nothing" in (one.name, two.name):
        return nullable(FLOAT)
    if operator is exp.IntDiv:
        return one if one.is_integer else INT
    if operator is exp.Div or "Float64" in (one.name, two.name):
        return FLOAT
    one, two = (BYTE if kind.is_truth else kind for kind in (one, two))
    if operator is exp.Mod:
        return Type(f"Int{min(64, 2 * two.bits)}") if one.name.startswith("I") else Type(f"UInt{two.bits}")
    is_signed = operator is exp.Sub or one.name.startswith("I") or two.name.startswith("I")
    return Type(f"{'' if is_signed else 'U'}Int{min(64, 2 * max(one.bits, two.bits))}")


def _moved(operator: type[exp.Binary], left: Value, right: Value, env: Environment, node: exp.Expr) -> Value | None:
    """Return a date or instant plus or minus an interval, days or seconds; None when no side is a date."""
    if operator is exp.Add and left.type.name == "Interval":
        left, right = right, left
    if right.type.name == "Interval":
        if left.type.name == "String":
            left = as_instant(left, env, node)
        if left.type.name != "Date" and not left.type.is_instant:
            env.refuse(f"{shown(node)} moves what is no date", node)
        return moved(operator, left, right, env)
    if left.type.name == "Date" and right.type.is_integer:
        days = cast(right.sql, "INTEGER")
        return Value(exp.paren(operator(this=left.sql, expression=exp.paren(days))),
                     nullable(DATE, when=left.type.is_nullable or right.type.is_nullable))  # fmt: skip
    if left.type.is_instant and right.type.is_integer:
        seconds = exp.Interval(this=exp.paren(right.sql), unit=exp.var("SECOND"))
        return Value(exp.paren(operator(this=left.sql, expression=seconds)),
                     nullable(left.type, when=left.type.is_nullable or right.type.is_nullable))  # fmt: skip
    if operator is exp.Sub and left.type.name == right.type.name == "Date":
        return Value(cast(exp.paren(exp.Sub(this=left.sql, expression=right.sql)), "BIGINT"), nullable(Type("Int32")))
    if operator is exp.Sub and left.type.is_instant and right.type.is_instant:
        micros = exp.Sub(this=call("epoch_us", left.sql), expression=call("epoch_us", right.sql))
        elapsed = exp.paren(exp.Div(this=exp.paren(micros), expression=exp.Literal.number("1e6")))
        is_nullable = left.type.is_nullable or right.type.is_nullable
        if "DateTime64" in (left.type.name, right.type.name):
            # COMPAT: a decimal number in ClickHouse.
            return Value(elapsed, nullable(FLOAT, when=is_nullable))
        return Value(cast(call("trunc", elapsed), "BIGINT"), nullable(INT, when=is_nullable))
    return None


def moved(operator: type[exp.Binary], left: Value, right: Value, env: Environment) -> Value:
    """Return a date or instant moved by an interval, by the clock of its zone for days and more."""
    is_nullable = left.type.is_nullable or right.type.is_nullable
    is_clock = right.constant in ("SECOND", "MINUTE", "HOUR", "MILLISECOND", "MICROSECOND")
    if left.type.name == "Date" and not is_clock:
        sql: exp.Expr = cast(exp.paren(operator(this=left.sql, expression=right.sql)), "DATE")
        return Value(sql, nullable(DATE, when=is_nullable))
    if left.type.name == "Date":
        left = as_instant(left, env, left.sql)
    if is_clock:
        sql = exp.paren(operator(this=left.sql, expression=right.sql))
    else:
        sql = utc(exp.paren(operator(this=local(left, env), expression=right.sql)), env, left.type.zone)
    return Value(sql, nullable(left.type, when=is_nullable))


def element(value: Value, key: Value, env: Environment, node: exp.Expr) -> Value:
    """Return an element of an array or tuple, counted from 1, or a key of JSON text."""
    kind = value.type
    if kind.name == "Array":
        if not key.type.is_integer:
            env.refuse(f"{shown(node)} asks an array for what is no position", node)
        item = kind.items[0]
        found = exp.Anonymous(this="list_extract", expressions=[value.sql, key.sql])
        return Value(or_empty(found, item), item)
    if kind.name == "Tuple":
        place = key.constant if key.is_constant else None
        if not isinstance(place, int) or not 1 <= place <= len(kind.items):
            env.refuse(f"{shown(node)} is no element of the tuple", node)
        return Value(call("struct_extract_at", value.sql, number(place)), kind.items[place - 1])
    if kind.name == "String" and key.is_constant and isinstance(key.constant, str | int):
        return json_key(value, [key.constant], env)
    return env.refuse(f"{shown(node)} asks {kind.shown(env.zone)} for an element", node)


def json_key(value: Value, keys: Sequence[str | int], env: Environment) -> Value:
    """Return the text at a path in JSON text, NULL when it is missing, null, or when the text is no JSON."""
    pointer = env.bind("".join(f"/{pointer_part(key)}" for key in keys))
    sql = call("json_extract_string", value.sql, pointer)
    if not value.is_json:
        sql = when(call("json_valid", value.sql.copy()), sql)
    return Value(sql, nullable(STRING))


def pointer_part(key: str | int) -> str:
    """Return a key as a part of a JSON pointer (RFC 6901); positions count from 1 in HogQL."""
    if isinstance(key, int):
        return str(max(key - 1, 0))
    return key.replace("~", "~0").replace("/", "~1")
