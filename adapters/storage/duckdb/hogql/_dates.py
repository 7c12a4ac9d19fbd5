"""Functions of dates and instants, by the clock of the value's zone (the project's unless it was changed).

Instants are UTC timestamps in DuckDB; days are DATE. The present moment is the query's, never the engine's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from attrs import evolve
from sqlglot import exp

from . import _operators
from ._conversions import as_date, as_instant, as_number, instant_sql, local, read_instant
from ._registry import scalar
from ._types import (
    DATE,
    INSTANT,
    INT,
    SECOND,
    STRING,
    Type,
    Value,
    call,
    cast,
    nullable,
    number,
    text,
    when,
)  # fmt: skip

if TYPE_CHECKING:
    from ._translate import Call, Translator

UNITS = {
    "microsecond": "MICROSECOND", "millisecond": "MILLISECOND", "second": "SECOND", "minute": "MINUTE", "hour": "HOUR",
    "day": "DAY", "week": "WEEK", "month": "MONTH", "quarter": "QUARTER", "year": "YEAR",
    "ss": "SECOND", "s": "SECOND", "mi": "MINUTE", "n": "MINUTE", "hh": "HOUR", "h": "HOUR", "dd": "DAY", "d": "DAY",
    "ww": "WEEK", "wk": "WEEK", "mm": "MONTH", "m": "MONTH", "qq": "QUARTER", "q": "QUARTER", "yyyy": "YEAR",
    "yy": "YEAR",
}  # fmt: skip
CLOCK_SECONDS = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600}
_MAX_AMOUNT = 10_000_000


def interval(translator: Translator, amount: exp.Expr, unit: str, node: exp.Expr) -> Value:
    """Return an interval; its `constant` is the unit, `SECOND` to `YEAR`."""
    known = UNITS.get(unit.lower().rstrip("s") if len(unit) > 2 else unit.lower())
    if known is None:
        translator.env.refuse(f"{unit!r} is no unit of time", node)
    value = as_number(translator.value(amount), translator.env, node)
    if value.is_constant and isinstance(value.constant, int | float) and abs(value.constant) > _MAX_AMOUNT:
        translator.env.refuse("The interval is too long", node)
    factor = {"WEEK": 7, "QUARTER": 3}.get(known, 1)
    base = {"WEEK": "DAY", "QUARTER": "MONTH"}.get(known, known)
    count = cast(call("trunc", value.sql) if value.type.name == "Float64" else value.sql, "BIGINT")
    if factor > 1:
        count = exp.Mul(this=count, expression=number(factor))
    sql = call(f"to_{base.lower()}s", count)
    return Value(sql, nullable(Type("Interval"), when=value.type.is_nullable), base)


def unit_at(c: Call, place: int) -> str:
    """Return the unit of time that an argument names."""
    written = c.literal(place, str, "a unit of time")
    found = UNITS.get(written.lower()) or UNITS.get(written.lower().rstrip("s"))
    if found is None:
        c.refuse(f"{written!r} is no unit of time", place)
    return str(found)


def dated(c: Call, place: int = 0) -> Value:
    """Return an argument as a date or an instant."""
    value = c.value(place)
    return value if value.type.name == "Date" else as_instant(value, c.env, c.arguments[place])


def zone_at(c: Call, place: int) -> str | None:
    """Return an optional argument that names a time zone."""
    if len(c) <= place:
        return None
    name = c.literal(place, str, "the name of a time zone")
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        c.refuse(f"{name!r} is no time zone", place)
    return str(name)


def zoned(value: Value, zone: str | None) -> Value:
    """Return an instant as of another zone."""
    return evolve(value, type=evolve(value.type, zone=zone)) if zone and value.type.name != "Date" else value


@scalar("now now64 NOW", 0, 1)
def _now(c: Call) -> Value:
    moment = c.env.scope.now
    stored = moment.astimezone(tz=ZoneInfo("UTC")).replace(tzinfo=None)
    if c.name == "now64":
        return Value(cast(c.env.bind(stored), "TIMESTAMP"), INSTANT)
    return zoned(Value(cast(c.env.bind(stored.replace(microsecond=0)), "TIMESTAMP"), SECOND), zone_at(c, 0))


@scalar("today yesterday curdate", 0)
def _today(c: Call) -> Value:
    day = c.env.scope.now.astimezone(c.env.scope.zone).date()
    sql = cast(c.env.bind(day), "DATE")
    if c.name == "yesterday":
        sql = exp.paren(exp.Sub(this=sql, expression=number(1)))
    return Value(sql, DATE)


@scalar("toDateTime toDateTimeUS parseDateTimeBestEffort parseDateTimeBestEffortOrNull parseDateTime64BestEffort "
        "parseDateTime64BestEffortOrNull toDateTime64", 1, 3)  # fmt: skip
def _to_datetime(c: Call) -> Value:
    value = c.value(0)
    last = len(c) - 1
    zone = zone_at(c, last) if last and not c.value(last).type.is_number else None
    env = c.env
    if zone is not None and value.type.name == "String":
        env = evolve(env, scope=evolve(env.scope, zone=ZoneInfo(zone)))
    if value.type.name == "String" and value.is_constant:
        if c.name.endswith("OrNull") and read_instant(value.constant, env) is None:
            return zoned(Value(cast(exp.null(), "TIMESTAMP"), nullable(INSTANT)), zone)
        return zoned(as_instant(value, env, c.arguments[0]), zone)
    if value.type.name == "String":
        return zoned(Value(instant_sql(value.sql, env), nullable(INSTANT)), zone)
    found = as_instant(value, env, c.arguments[0])
    if "64" in c.name:
        found = evolve(found, type=nullable(INSTANT, when=found.type.is_nullable))
    elif value.type.is_instant:
        sql = call("date_trunc", text("second"), found.sql)
        found = Value(sql, nullable(SECOND, when=value.type.is_nullable))
    return zoned(found, zone)


@scalar("toDate toDateOrNull date DATE toDate32", 1, 2)
def _to_date(c: Call) -> Value:
    value = zoned(c.value(0), zone_at(c, 1))
    if value.type.is_number:
        seconds = as_date(as_instant(value, c.env, c.arguments[0]), c.env, c.arguments[0])
        days = exp.Add(this=cast(text("1970-01-01"), "DATE"), expression=cast(value.sql.copy(), "INTEGER"))
        is_days = exp.LT(this=exp.paren(value.sql.copy()), expression=number(1 << 16))
        return Value(when(is_days, days, seconds.sql), seconds.type)
    is_text = value.type.name == "String" and value.is_constant and c.name == "toDateOrNull"
    if value.type.name == "Nothing" or (is_text and read_instant(value.constant, c.env) is None):
        return Value(cast(exp.null(), "DATE"), nullable(DATE))
    return as_date(value, c.env, c.arguments[0])


@scalar("toTimeZone toTimezone", 2)
def _to_time_zone(c: Call) -> Value:
    return zoned(c.instant(0), zone_at(c, 1))


@scalar("timeZone timezone", 0)
def _time_zone(c: Call) -> Value:
    return Value(text(c.env.zone), STRING, c.env.zone)


_PARTS = {
    "toYear": ("year", "UInt16"), "toQuarter": ("quarter", "UInt8"), "toMonth": ("month", "UInt8"),
    "toDayOfYear": ("dayofyear", "UInt16"), "toDayOfMonth": ("day", "UInt8"), "toHour": ("hour", "UInt8"),
    "toMinute": ("minute", "UInt8"), "toISOYear": ("isoyear", "UInt16"), "toISOWeek": ("week", "UInt8"),
    "year": ("year", "UInt16"), "month": ("month", "UInt8"), "day": ("day", "UInt8"), "hour": ("hour", "UInt8"),
    "minute": ("minute", "UInt8"), "quarter": ("quarter", "UInt8"), "dayOfYear": ("dayofyear", "UInt16"),
    "dayOfMonth": ("day", "UInt8"),
}  # fmt: skip


@scalar(" ".join(_PARTS), 1, 2)
def _part(c: Call) -> Value:
    name, kind = _PARTS[c.name]
    value = zoned(dated(c), zone_at(c, 1))
    return Value(call(name, clock_of(value, c)), nullable(Type(kind), when=value.type.is_nullable))


def clock_of(value: Value, c: Call) -> exp.Expr:
    """Return what the clock of a date's or instant's zone shows, as a timestamp."""
    sql = local(value, c.env)
    return cast(sql, "TIMESTAMP") if value.type.name == "Date" else sql


@scalar("toSecond second", 1, 2)
def _second(c: Call) -> Value:
    value = dated(c)
    return Value(call("second", clock_of(value, c)), nullable(Type("UInt8"), when=value.type.is_nullable))


@scalar("toDayOfWeek dayOfWeek", 1, 3)
def _day_of_week(c: Call) -> Value:
    value = zoned(dated(c), zone_at(c, 2))
    mode = c.literal(1, int, "a mode from 0 to 3") if len(c) > 1 else 0
    monday_first = call("isodow", clock_of(value, c))
    sql = {
        0: monday_first,
        1: exp.paren(exp.Sub(this=monday_first, expression=number(1))),
        2: call("dayofweek", clock_of(value, c)),
        3: exp.paren(exp.Add(this=call("dayofweek", clock_of(value, c)), expression=number(1))),
    }.get(mode)
    if sql is None:
        return c.refuse("The mode of toDayOfWeek is 0 to 3", 1)
    return Value(sql, nullable(Type("UInt8"), when=value.type.is_nullable))


@scalar("toUnixTimestamp", 1, 2)
def _unix(c: Call) -> Value:
    value = c.instant(0)
    sql = exp.IntDiv(this=call("epoch_us", value.sql), expression=number(1_000_000))
    return Value(exp.paren(sql), nullable(Type("UInt32"), when=value.type.is_nullable))


@scalar("toUnixTimestamp64Milli toUnixTimestamp64Micro", 1)
def _unix_small(c: Call) -> Value:
    value = c.instant(0)
    sql = call("epoch_ms" if c.name.endswith("Milli") else "epoch_us", value.sql)
    return Value(sql, nullable(INT, when=value.type.is_nullable))


@scalar("fromUnixTimestamp fromUnixTimestamp64Milli", 1)
def _from_unix(c: Call) -> Value:
    value = c.integer(0)
    factor = 1000 if c.name.endswith("Milli") else 1_000_000
    micros = exp.Mul(this=exp.paren(value.sql), expression=number(factor))
    kind = INSTANT if c.name.endswith("Milli") else SECOND
    return Value(call("make_timestamp", cast(exp.paren(micros), "BIGINT")), nullable(kind, when=value.type.is_nullable))


_NUMBERS = {"toYYYYMM": "%Y%m", "toYYYYMMDD": "%Y%m%d", "toYYYYMMDDhhmmss": "%Y%m%d%H%M%S"}


@scalar(" ".join(_NUMBERS), 1, 2)
def _digits(c: Call) -> Value:
    value = zoned(dated(c), zone_at(c, 1))
    sql = cast(call("strftime", clock_of(value, c), text(_NUMBERS[c.name])), "BIGINT")
    kind = Type("UInt64") if c.name.endswith("ss") else Type("UInt32")
    return Value(sql, nullable(kind, when=value.type.is_nullable))


# Differences and moves


@scalar("dateDiff date_diff DATE_DIFF timestampDiff age", 3, 4)
def _date_diff(c: Call) -> Value:
    unit = unit_at(c, 0)
    zone = zone_at(c, 3)
    start, end = (zoned(dated(c, place), zone) for place in (1, 2))
    kind = nullable(INT, when=start.type.is_nullable or end.type.is_nullable)
    if c.name == "age" and unit not in (*CLOCK_SECONDS, "MILLISECOND", "MICROSECOND"):
        return Value(call("date_sub", text(unit.lower()), clock_of(start, c), clock_of(end, c)), kind)
    if unit == "WEEK":
        # ClickHouse counts the Mondays between.
        mondays = [call("date_trunc", text("week"), cast(clock_of(value, c), "DATE")) for value in (start, end)]
        days = call("date_diff", text("day"), *mondays)
        return Value(exp.paren(exp.IntDiv(this=days, expression=number(7))), kind)
    if unit in (*CLOCK_SECONDS, "MILLISECOND", "MICROSECOND"):
        instants = [as_instant(value, c.env, c.node).sql for value in (start, end)]
        return Value(call("date_sub" if c.name == "age" else "date_diff", text(unit.lower()), *instants), kind)
    return Value(call("date_diff", text(unit.lower()), clock_of(start, c), clock_of(end, c)), kind)


@scalar("dateAdd date_add DATE_ADD dateSub date_sub DATE_SUB timestampAdd timestampSub", 2, 3)
def _date_add(c: Call) -> Value:
    operator = exp.Sub if "sub" in c.name.lower() else exp.Add
    if len(c) == 3:
        unit = c.value(0)
        name = unit_at(c, 0) if unit.is_constant else ""
        amount = interval(c.translator, c.arguments[1], name, c.node)
        return _operators.moved(operator, dated(c, 2), amount, c.env)
    first, second = c.value(0), c.value(1)
    if first.type.name == "Interval":
        return _operators.moved(operator, dated(c, 1), first, c.env)
    if second.type.name != "Interval":
        c.refuse(f"{c.name} expects an interval", 1)
    return _operators.moved(operator, dated(c, 0), second, c.env)


_MOVES = ("Seconds", "Minutes", "Hours", "Days", "Weeks", "Months", "Quarters", "Years")


@scalar(" ".join(f"{verb}{unit}" for verb in ("add", "subtract") for unit in _MOVES), 2)
def _add_units(c: Call) -> Value:
    operator = exp.Add if c.name.startswith("add") else exp.Sub
    unit = c.name.removeprefix("add").removeprefix("subtract")
    return _operators.moved(operator, dated(c), interval(c.translator, c.arguments[1], unit, c.node), c.env)


@scalar(" ".join(f"toInterval{unit[:-1]}" for unit in _MOVES), 1)
def _to_interval(c: Call) -> Value:
    return interval(c.translator, c.arguments[0], c.name.removeprefix("toInterval"), c.node)


# Texts

_FORMATS = {
    "Y": "%Y", "m": "%m", "d": "%d", "H": "%H", "M": "%B", "i": "%M", "s": "%S", "S": "%S", "e": "%-d", "j": "%j",
    "b": "%b", "a": "%a", "W": "%A", "y": "%y", "p": "%p", "I": "%I", "h": "%I", "F": "%Y-%m-%d", "T": "%H:%M:%S",
    "R": "%H:%M", "D": "%m/%d/%y", "f": "%f", "c": "%m", "k": "%H", "l": "%I", "u": "%u", "w": "%w", "V": "%V",
    "G": "%G", "%": "%%", "n": "\n", "t": "\t",
}  # fmt: skip


@scalar("formatDateTime DATE_FORMAT", 2, 3)
def _format(c: Call) -> Value:
    value = zoned(dated(c), zone_at(c, 2))
    pattern = c.literal(1, str, "a format")
    pieces, place = [], 0
    while place < len(pattern):
        letter = pattern[place]
        if letter == "%" and place + 1 < len(pattern):
            found = _FORMATS.get(pattern[place + 1])
            if found is None:
                c.refuse(f"The format '%{pattern[place + 1]}' is not supported", 1)
            pieces.append(str(found))
            place += 2
        else:
            pieces.append("%%" if letter == "%" else letter)
            place += 1
    sql = call("strftime", clock_of(value, c), c.env.bind("".join(pieces)))
    return Value(sql, nullable(STRING, when=value.type.is_nullable))


@scalar("monthName dateName", 1, 2)
def _name(c: Call) -> Value:
    value = dated(c, len(c) - 1)
    if c.name == "monthName":
        return Value(call("strftime", clock_of(value, c), text("%B")), nullable(STRING, when=value.type.is_nullable))
    unit = c.literal(0, str, "a unit of time").lower()
    if unit in ("quarter", "week"):
        part = cast(call(unit, clock_of(value, c)), "VARCHAR")
        return Value(part, nullable(STRING, when=value.type.is_nullable))
    formats = {"year": "%Y", "month": "%B", "day": "%-d", "weekday": "%A", "hour": "%-H", "minute": "%-M",
               "second": "%-S", "dayofyear": "%-j"}  # fmt: skip
    if unit not in formats:
        c.refuse(f"{unit!r} is not supported in dateName", 0)
    return Value(
        call("strftime", clock_of(value, c), text(formats[unit])), nullable(STRING, when=value.type.is_nullable)
    )
