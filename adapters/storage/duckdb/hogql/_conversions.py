"""From one type to another as ClickHouse does it: text, numbers, truth, instants and days.

What cannot be converted is NULL where it depends on the data, and refused where it depends on the type alone.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

from attrs import Factory, define
from sqlglot import exp

from .....domain.queries.scope import Scope
from .._statement import Statement
from ._dialect import refuse, shown
from ._types import (
    DATE,
    FLOAT,
    INSTANT,
    INT,
    NULL,
    STRING,
    TRUTH,
    Type,
    Value,
    call,
    cast,
    coalesce,
    common_type,
    is_null,
    nullable,
    number,
    present,
    text,
    try_cast,
    when,
)  # fmt: skip

_WITH_OFFSET = r"(Z|[+-]\d\d:?\d\d)$"
_NOT_A_NUMBER = r"^[+-]?(\d+\.?\d*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?|inf|nan)$"
_WHOLE = r"^[+-]?\d{1,19}$"


@define
class Environment:
    """What a translation depends on beside its text."""

    statement: Statement
    scope: Scope
    path: str
    _bound: dict[tuple[type, Any], exp.Expr] = Factory(dict)

    def bind(self, value: Any) -> exp.Expr:
        """Return a placeholder for the value; equal values share one, so that equal expressions stay equal."""
        key = (type(value), value)
        if key not in self._bound:
            self._bound[key] = self.statement.bind(value)
        return self._bound[key].copy()

    @property
    def zone(self) -> str:
        """Name of the project's zone."""
        return zone_name(self.scope.zone)

    def refuse(self, message: str, node: exp.Expr) -> NoReturn:
        """Raise InvalidQuery with the position of the node."""
        refuse(message, node, self.path)


def zone_name(zone: Any) -> str:
    """Return the IANA name of a zone."""
    return zone.key if isinstance(zone, ZoneInfo) else "UTC"


def constant(value: str | float | bool | None, env: Environment) -> Value:
    """Return a literal as a bound parameter of its type."""
    from ._types import BOOL, integer_type  # noqa: PLC0415 - kept beside its use

    if value is None:
        return Value(exp.null(), NULL, None)
    if isinstance(value, bool):
        return Value(exp.true() if value else exp.false(), BOOL, value)
    if isinstance(value, int):
        return Value(cast(env.bind(value), "BIGINT"), integer_type(value), value)
    if isinstance(value, float):
        return Value(cast(env.bind(value), "DOUBLE"), FLOAT, value)
    # DuckDB takes no bare parameter as a key of GROUP BY or ORDER BY.
    return Value(cast(env.bind(value), "VARCHAR"), STRING, value)


def as_text(value: Value, env: Environment, node: exp.Expr) -> Value:
    """Return the value as `toString` gives it."""
    kind = value.type
    if kind.name in ("String", "Nothing"):
        return value
    sql: exp.Expr
    if kind.name == "Float64":
        sql = float_text(value.sql)
    elif kind.name == "Truth":
        sql = cast(cast(value.sql, "INTEGER"), "VARCHAR")
    elif kind.name == "DateTime64":
        sql = call("strftime", local(value, env), text("%Y-%m-%d %H:%M:%S.%f"))
    elif kind.name == "DateTime":
        sql = call("strftime", local(value, env), text("%Y-%m-%d %H:%M:%S"))
    elif kind.name == "Array":
        sql = _array_text(value, env, node)
    elif kind.items or kind.name == "Interval":
        env.refuse(f"{shown(node)} is {_article(kind, env)} and has no text", node)
    else:
        sql = cast(value.sql, "VARCHAR")
    return Value(sql, nullable(STRING, when=kind.is_nullable))


def _array_text(value: Value, env: Environment, node: exp.Expr) -> exp.Expr:
    """Return a list as `[1,2]` or `['a','b']`."""
    item = value.type.items[0]
    name = exp.to_identifier("item")
    inner = as_text(Value(exp.column("item"), present(item)), env, node).sql
    if not (item.is_number or item.is_truth or item.name in ("Array", "Nothing")):
        escaped = call("replace", call("replace", inner, text("\\"), text("\\\\")), text("'"), text("\\'"))
        inner = call("concat", text("'"), escaped, text("'"))
    shown_or_null = coalesce(when(exp.not_(is_null(exp.column("item"))), cast(inner, "VARCHAR")), text("NULL"))
    function = exp.Lambda(this=shown_or_null, expressions=[name], colon=True)
    joined = call("array_to_string", call("list_transform", value.sql, function), text(","))
    return call("concat", text("["), joined, text("]"))


def float_text(sql: exp.Expr) -> exp.Expr:
    """Return a 64-bit float as ClickHouse prints it: `1`, `1.5`, `1e21`, `1e-7`."""
    is_whole = exp.and_(
        exp.EQ(this=sql.copy(), expression=call("trunc", sql.copy())),
        exp.LT(this=call("abs", sql.copy()), expression=exp.Literal.number("1e21")),
    )
    whole = cast(cast(sql.copy(), "HUGEINT"), "VARCHAR")
    printed = call("regexp_replace", cast(sql.copy(), "VARCHAR"), text(r"e\+?(-?)0*"), text(r"e\1"))
    return when(is_whole, whole, call("regexp_replace", printed, text(r"\.0e"), text("e")))


def as_number(value: Value, env: Environment, node: exp.Expr) -> Value:
    """Return the value as a number; text that is none is NULL."""
    kind = value.type
    if kind.is_number or kind.name == "Nothing":
        return value
    if kind.is_truth:
        return Value(cast(value.sql, "BIGINT"), nullable(Type("UInt8"), when=kind.is_nullable))
    if kind.name == "String":
        return to_float(value, env, node)
    return env.refuse(f"{shown(node)} is {_article(kind, env)}, a number is expected", node)


def to_float(value: Value, env: Environment, node: exp.Expr) -> Value:
    """Return the value as `toFloat` gives it: NULL for text that is no number."""
    kind = value.type
    if kind.name == "String":
        is_number = call("regexp_matches", value.sql.copy(), text(_NOT_A_NUMBER))
        return Value(when(is_number, try_cast(value.sql, "DOUBLE")), nullable(FLOAT))
    if kind.is_instant:
        return Value(exp.Div(this=call("epoch_us", value.sql), expression=exp.Literal.number("1e6")),
                     nullable(FLOAT, when=kind.is_nullable))  # fmt: skip
    found = as_number(value, env, node)
    return Value(cast(found.sql, "DOUBLE"), nullable(FLOAT, when=kind.is_nullable))


def to_int(value: Value, env: Environment, node: exp.Expr) -> Value:
    """Return the value as `toInt` gives it: NULL for what is no whole number of 64 bits."""
    kind = value.type
    if kind.name == "String":
        is_whole = call("regexp_matches", value.sql.copy(), text(_WHOLE))
        return Value(when(is_whole, try_cast(value.sql, "BIGINT")), nullable(INT))
    if kind.name == "Float64":
        is_whole = exp.EQ(this=value.sql.copy(), expression=call("trunc", value.sql.copy()))
        return Value(when(is_whole, try_cast(value.sql, "BIGINT")), nullable(INT))
    if kind.is_instant:
        return Value(exp.IntDiv(this=call("epoch_us", value.sql), expression=number(1_000_000)),
                     nullable(INT, when=kind.is_nullable))  # fmt: skip
    if kind.name == "Date":
        days = exp.Sub(this=value.sql, expression=cast(text("1970-01-01"), "DATE"))
        return Value(cast(exp.paren(days), "BIGINT"), nullable(INT, when=kind.is_nullable))
    found = as_number(value, env, node)
    return Value(try_cast(found.sql, "BIGINT"), nullable(INT, when=kind.is_nullable))


def as_truth(value: Value, env: Environment, node: exp.Expr) -> exp.Expr:
    """Return the value as a condition; it may be NULL where the value is."""
    kind = value.type
    if kind.is_truth:
        return value.sql
    if kind.name == "Nothing":
        return cast(exp.null(), "BOOLEAN")
    if kind.is_number:
        return exp.NEQ(this=exp.paren(value.sql), expression=number(0))
    if kind.name == "String":
        # COMPAT: a property without a definition is text; `true` and `1` are true.
        return exp.In(this=call("lower", value.sql), expressions=[text("true"), text("1")])
    return env.refuse(f"{shown(node)} is {_article(kind, env)}, a condition is expected", node)


def known(sql: exp.Expr, *, otherwise: bool) -> exp.Expr:
    """Return a condition that is `otherwise` where it would be NULL."""
    return coalesce(sql, exp.true() if otherwise else exp.false())


def as_instant(value: Value, env: Environment, node: exp.Expr) -> Value:
    """Return the value as an instant; text is read in the project's zone, numbers as seconds since 1970."""
    kind = value.type
    if kind.is_instant:
        return value
    if kind.name == "Date":
        start = utc(cast(value.sql, "TIMESTAMP"), env)
        return Value(start, nullable(Type("DateTime"), when=kind.is_nullable))
    if kind.name == "String":
        if value.is_constant:
            moment = read_instant(value.constant, env)
            if moment is None:
                env.refuse(f"{value.constant[:60]!r} is no date", node)
            return Value(cast(env.bind(moment), "TIMESTAMP"), INSTANT)
        return Value(instant_sql(value.sql, env), nullable(INSTANT))
    if kind.is_number:
        seconds = exp.Mul(this=exp.paren(cast(value.sql, "DOUBLE")), expression=number(1_000_000))
        return Value(call("make_timestamp", cast(seconds, "BIGINT")), nullable(Type("DateTime"), when=kind.is_nullable))
    if kind.name == "Nothing":
        return Value(cast(exp.null(), "TIMESTAMP"), nullable(INSTANT))
    return env.refuse(f"{shown(node)} is {_article(kind, env)}, a date is expected", node)


def as_date(value: Value, env: Environment, node: exp.Expr) -> Value:
    """Return the day of the value, in the value's zone."""
    kind = value.type
    if kind.name == "Date":
        return value
    if kind.name == "String" and value.is_constant:
        found = read_instant(value.constant, env, is_local=True)
        if found is None:
            env.refuse(f"{value.constant[:60]!r} is no date", node)
        return Value(cast(env.bind(found.date()), "DATE"), DATE)
    if kind.name == "String":
        day = try_cast(call("left", value.sql, number(10)), "DATE")
        return Value(when(_has_digits_first(value.sql), day), nullable(DATE))
    instant = as_instant(value, env, node)
    return Value(cast(local(instant, env), "DATE"), nullable(DATE, when=instant.type.is_nullable))


def instant_sql(sql: exp.Expr, env: Environment) -> exp.Expr:
    """Return the text as an instant, NULL when it is none; ISO 8601, or seconds since 1970."""
    is_offset = call("regexp_matches", sql.copy(), text(_WITH_OFFSET))
    is_seconds = call("regexp_matches", sql.copy(), text(r"^\d{10}(\.\d+)?$"))
    with_offset = call("timezone", text("UTC"), try_cast(sql.copy(), "TIMESTAMPTZ"))
    seconds = call(
        "make_timestamp",
        cast(exp.Mul(this=exp.paren(try_cast(sql.copy(), "DOUBLE")), expression=number(1_000_000)), "BIGINT"),
    )
    return exp.Case(
        ifs=[exp.If(this=is_seconds, true=seconds), exp.If(this=is_offset, true=with_offset)],
        default=when(_has_digits_first(sql), utc(try_cast(sql.copy(), "TIMESTAMP"), env)),
    )


def _has_digits_first(sql: exp.Expr) -> exp.Expr:
    """Return whether a text may be a date. NOTE: DuckDB takes `infinity` and `epoch` for dates too."""
    return call("regexp_matches", sql.copy(), text(r"^\s*\d"))


_LOCAL = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")


def read_instant(written: str, env: Environment, *, is_local: bool = False) -> datetime | None:
    """Return a date text as an instant without zone, in UTC or `is_local`; None when it is none."""
    stripped = written.strip()
    if re.fullmatch(r"\d{10}", stripped):
        moment = datetime.fromtimestamp(int(stripped), UTC)
    else:
        padded = _LOCAL.sub(lambda match: f"{match[1]}-{match[2]:0>2}-{match[3]:0>2}", stripped, count=1)
        try:
            moment = datetime.fromisoformat(padded)
        except ValueError:
            return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=env.scope.zone)
    try:
        return moment.astimezone(env.scope.zone if is_local else UTC).replace(tzinfo=None)
    except OverflowError:
        return None


def local(value: Value, env: Environment) -> exp.Expr:
    """Return an instant as the clock of its zone shows it; a Date as it is."""
    zone = value.type.zone or env.zone
    if value.type.name == "Date" or zone == "UTC":
        return value.sql
    return call("timezone", env.bind(zone), call("timezone", text("UTC"), value.sql))


def utc(sql: exp.Expr, env: Environment, zone: str | None = None) -> exp.Expr:
    """Return the instant at which the zone's clock shows the timestamp."""
    name = zone or env.zone
    if name == "UTC":
        return sql
    return call("timezone", text("UTC"), call("timezone", env.bind(name), sql))


def as_type(value: Value, kind: Type, env: Environment, node: exp.Expr) -> exp.Expr:
    """Return the value as a type that `common_type` chose."""
    if value.type.name in ("Nothing", kind.name):
        return value.sql
    if kind.name == "Float64":
        return to_float(value, env, node).sql
    if kind.is_integer:
        return as_number(value, env, node).sql
    if kind.is_instant:
        return as_instant(value, env, node).sql
    return value.sql


def unified(values: list[Value], env: Environment, node: exp.Expr) -> tuple[list[exp.Expr], Type]:
    """Return the values as one type, and the type. Refuses what has none."""
    kind = common_type([value.type for value in values])
    if kind is None:
        kinds = ", ".join(dict.fromkeys(value.type.shown(env.zone) for value in values))
        env.refuse(f"{shown(node)} mixes the types {kinds}", node)
    return [as_type(value, kind, env, node) for value in values], kind


def _article(kind: Type, env: Environment) -> str:
    name = kind.shown(env.zone)
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


def equals_null(value: Value, *, negated: bool) -> Value:
    """Return the test for NULL."""
    test = is_null(value.sql)
    return Value(exp.not_(test) if negated else test, TRUTH)
