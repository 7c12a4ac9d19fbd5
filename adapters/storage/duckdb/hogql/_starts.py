"""Where the second, day, week, month ... of an instant or date begins, and which week of its year it is in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve
from sqlglot import exp

from ._conversions import as_instant, local, utc
from ._dates import CLOCK_SECONDS, UNITS, dated, unit_at, zone_at, zoned
from ._dialect import shown
from ._registry import scalar
from ._types import DATE, SECOND, Type, Value, call, cast, nullable, number, text

if TYPE_CHECKING:
    from ._translate import Call

_CLOCK_STARTS = {
    "toStartOfSecond": 1, "toStartOfMinute": 60, "toStartOfFiveMinutes": 300, "toStartOfFiveMinute": 300,
    "toStartOfTenMinutes": 600, "toStartOfFifteenMinutes": 900, "timeSlot": 1800, "toStartOfHour": 3600,
}  # fmt: skip


@scalar(" ".join(_CLOCK_STARTS), 1, 2)
def _start_of_clock(c: Call) -> Value:
    value = zoned(c.instant(0), zone_at(c, 1))
    found = _truncated(value, _CLOCK_STARTS[c.name], c)
    return evolve(found, type=value.type) if c.name == "toStartOfSecond" else found


def _truncated(value: Value, seconds: int, c: Call) -> Value:
    """Return the start of the instant's slot of some seconds, by the clock."""
    step = number(seconds * 1_000_000)
    clock = call("epoch_us", local(value, c.env))
    slot = exp.Mul(this=call("floor", exp.Div(this=cast(clock, "DOUBLE"), expression=step)), expression=step.copy())
    start = call("make_timestamp", cast(exp.paren(slot), "BIGINT"))
    return Value(
        utc(start, c.env, value.type.zone), nullable(evolve(SECOND, zone=value.type.zone), when=value.type.is_nullable)
    )


@scalar("toStartOfDay", 1, 2)
def _start_of_day(c: Call) -> Value:
    return _start(zoned(dated(c), zone_at(c, 1)), "DAY", c)


_DAY_STARTS = {
    "toStartOfMonth": "MONTH", "toStartOfQuarter": "QUARTER", "toStartOfYear": "YEAR", "toMonday": "WEEK",
    "toStartOfISOYear": "ISOYEAR", "toLastDayOfMonth": "LAST",
}  # fmt: skip


@scalar(" ".join(_DAY_STARTS), 1, 2)
def _start_of_days(c: Call) -> Value:
    return _start(zoned(dated(c), zone_at(c, 1)), _DAY_STARTS[c.name], c)


def _start(value: Value, unit: str, c: Call) -> Value:
    """Return the start of a day (an instant), or of a longer unit (a Date)."""
    is_nullable = value.type.is_nullable
    if unit == "DAY":
        if value.type.name == "Date":
            return as_instant(value, c.env, c.node)
        start = call("date_trunc", text("day"), local(value, c.env))
        return Value(
            utc(start, c.env, value.type.zone), nullable(evolve(SECOND, zone=value.type.zone), when=is_nullable)
        )
    day = local(value, c.env)
    if unit == "LAST":
        return Value(cast(call("last_day", day), "DATE"), nullable(DATE, when=is_nullable))
    if unit == "ISOYEAR":
        fourth = call("make_date", call("isoyear", day), number(1), number(4))
        return Value(cast(call("date_trunc", text("week"), fourth), "DATE"), nullable(DATE, when=is_nullable))
    return Value(cast(call("date_trunc", text(unit.lower()), day), "DATE"), nullable(DATE, when=is_nullable))


@scalar("toStartOfWeek toLastDayOfWeek", 1, 3)
def _start_of_week(c: Call) -> Value:
    value = zoned(dated(c), zone_at(c, 2))
    # COMPAT: without a mode the project's first day of the week counts.
    mode = c.literal(1, int, "a mode from 0 to 9") if len(c) > 1 else 3 if c.env.scope.week_start_day else 0
    return _week(value, c, starts_monday=mode % 2 == 1, is_last=c.name == "toLastDayOfWeek")


def _week(value: Value, c: Call, *, starts_monday: bool, is_last: bool = False) -> Value:
    day = cast(local(value, c.env), "DATE")
    shift = 0 if starts_monday else 1
    monday = cast(call("date_trunc", text("week"), exp.paren(exp.Add(this=day, expression=number(shift)))), "DATE")
    start = exp.Add(this=monday, expression=number((6 if is_last else 0) - shift))
    return Value(exp.paren(start), nullable(DATE, when=value.type.is_nullable))


@scalar("toWeek toYearWeek week yearweek", 1, 3)
def _week_number(c: Call) -> Value:
    mode = c.literal(1, int, "a mode from 0 to 7") if len(c) > 1 else 0
    if not 0 <= mode <= 7:
        c.refuse(f"The mode {mode} is not supported", 1)
    value = zoned(dated(c), zone_at(c, 2))
    day = cast(local(value, c.env), "DATE")
    is_year_week = c.name.lower().endswith("yearweek")
    # A week belongs to the year that has four of its days, or its first one.
    has_four_days = mode in (1, 3, 4, 6)
    since_first = call("isodow", day) if mode % 2 else call("dayofweek", day)
    into_week = cast(exp.paren(exp.Sub(this=since_first, expression=number(mode % 2))), "INTEGER")
    kind = nullable(Type("UInt32" if is_year_week else "UInt8"), when=value.type.is_nullable)
    if not is_year_week and mode in (0, 1, 4, 5):
        # Days before the first week are in week 0, those of the next year's first one in this year's last.
        days = exp.Sub(this=call("dayofyear", day.copy()), expression=into_week)
        shifted = exp.Add(this=days, expression=number(9 if has_four_days else 6))
        return Value(exp.paren(exp.IntDiv(this=exp.paren(shifted), expression=number(7))), kind)
    weeks_day = exp.Add(this=exp.Sub(this=day.copy(), expression=into_week), expression=number(3 * has_four_days))
    decides = cast(exp.paren(weeks_day), "DATE")
    week = exp.IntDiv(
        this=exp.paren(exp.Add(this=call("dayofyear", decides), expression=number(6))), expression=number(7)
    )
    if not is_year_week:
        return Value(exp.paren(week), kind)
    years = exp.Mul(this=call("year", decides.copy()), expression=number(100))
    return Value(exp.paren(exp.Add(this=years, expression=exp.paren(week))), kind)


@scalar("toStartOfInterval", 2, 3)
def _start_of_interval(c: Call) -> Value:
    node = c.arguments[1]
    value = zoned(dated(c), zone_at(c, 2))
    amount, unit = _written_interval(c, node)
    if unit in CLOCK_SECONDS:
        return _slot(as_instant(value, c.env, c.node), amount, unit, c)
    if unit == "DAY" and amount == 1:
        return _start(value, "DAY", c)
    day = cast(local(value, c.env), "DATE")
    if unit == "YEAR":
        years = number(amount)
        first = exp.Mul(this=exp.IntDiv(this=call("year", day), expression=years), expression=years.copy())
        return Value(call("make_date", first, number(1), number(1)), nullable(DATE, when=value.type.is_nullable))
    origins = {"WEEK": "1970-01-05", "DAY": "1970-01-01"}
    origin = cast(text(origins.get(unit, "1900-01-01")), "DATE")
    if unit in ("DAY", "WEEK"):
        size = number(amount * (7 if unit == "WEEK" else 1))
        days = exp.paren(exp.Sub(this=day, expression=origin))
        slot = exp.Mul(this=call("floor", exp.Div(this=days, expression=size)), expression=size.copy())
        start = exp.Add(this=origin.copy(), expression=cast(exp.paren(slot), "INTEGER"))
        found = Value(exp.paren(start), nullable(DATE, when=value.type.is_nullable))
        return found if unit == "WEEK" else as_instant(found, c.env, c.node)
    months = number(amount * {"MONTH": 1, "QUARTER": 3}[unit])
    since = call("date_diff", text("month"), origin, day)
    slot = exp.Mul(this=call("floor", exp.Div(this=since, expression=months)), expression=months.copy())
    start = exp.Add(this=origin.copy(), expression=call("to_months", cast(exp.paren(slot), "INTEGER")))
    return Value(cast(exp.paren(start), "DATE"), nullable(DATE, when=value.type.is_nullable))


def _slot(value: Value, amount: int, unit: str, c: Call) -> Value:
    """Return the start of a slot: of hours since midnight by the clock, of shorter ones since 1970 in UTC."""
    if unit != "HOUR":
        start = _truncated(evolve(value, type=evolve(value.type, zone="UTC")), amount * CLOCK_SECONDS[unit], c)
        return evolve(start, type=evolve(start.type, zone=value.type.zone))
    clock = local(value, c.env)
    hours = exp.Mul(this=exp.IntDiv(this=call("hour", clock), expression=number(amount)), expression=number(amount))
    began = exp.Add(this=call("date_trunc", text("day"), clock.copy()), expression=call("to_hours", hours))
    kind = nullable(evolve(SECOND, zone=value.type.zone), when=value.type.is_nullable)
    return Value(utc(exp.paren(began), c.env, value.type.zone), kind)


def _written_interval(c: Call, node: exp.Expr) -> tuple[int, str]:
    """Return amount and unit of an interval that is written out, `interval 5 minute` or `toIntervalMinute(5)`."""
    if isinstance(node, exp.Interval) and isinstance(node.this, exp.Literal) and node.args.get("unit"):
        amount, unit = node.this.name, node.args["unit"].name
    elif isinstance(node, exp.Anonymous) and node.name.startswith("toInterval") and len(node.expressions) == 1:
        amount, unit = node.expressions[0].name, node.name.removeprefix("toInterval")
    else:
        c.refuse(f"{shown(node)} is no interval that is written out", 1)
    known = UNITS.get(unit.lower().rstrip("s"))
    if known is None or not amount.isdigit() or not 0 < int(amount) <= 1_000_000:
        c.refuse(f"{shown(node)} is no interval", 1)
    return int(amount), str(known)


@scalar("dateTrunc date_trunc DATE_TRUNC", 2, 3)
def _date_trunc(c: Call) -> Value:
    unit = unit_at(c, 0)
    value = zoned(dated(c, 1), zone_at(c, 2))
    if unit in CLOCK_SECONDS:
        return _truncated(as_instant(value, c.env, c.node), CLOCK_SECONDS[unit], c)
    return _start(value, unit, c)
