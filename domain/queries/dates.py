"""Dates of a query: from texts such as `-7d` or `2024-01-05` to instants, buckets and their names.

Pure: now, zone and week start are arguments. Bounds are wall-clock times of the project's zone inside this module and
aware UTC instants outside. Source: PostHog's QueryDateRange as described by its date range documentation and tests.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache

from attrs import evolve, frozen

from ..errors import InvalidQuery, QueryTooLarge
from .nodes import DateRange, Interval

MAX_BUCKETS = 100_000
MAX_REMEMBERED_BUCKETS = 1_000
EARLIEST = datetime(2015, 1, 1, tzinfo=UTC)
"""Events before this are ignored by `all`."""

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}(:?\d{2}(:?\d{2}([.,]\d+)?)?)?\s*(Z|z|[+-]\d{2}(:?\d{2})?)?)?")
_UNPADDED = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_WORDY = re.compile(r"-?\d+[sMhdwmqy][a-z]*")
"""Also `-14days`: the first letter of the unit decides."""
_RELATIVE = re.compile(r"-?(?P<number>\d+)?(?P<unit>[sMhdwmqy])(?P<position>Start|End)?")
_DAY_END = time(23, 59, 59, 999999)
_MONTHS = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_STEPS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(7)}


@frozen
class Moment:
    """A parsed date: wall-clock time of the zone, and what was relative about it."""

    local: datetime
    """Naive, in the zone of the project."""
    unit: str | None = None
    """Unit letter of a relative text, None for an absolute date."""
    number: int = 0


@frozen
class Bounds:
    """The two ends of a query, both inclusive, as naive wall-clock times of `zone`."""

    date_from: datetime
    date_to: datetime
    zone: tzinfo
    interval: Interval
    week_start_day: int = 0
    is_exact: bool = False
    """`explicitDate` or an exact display: events count from `date_from` itself, not from its day or month."""
    from_moment: Moment | None = None
    is_open_ended: bool = False
    """No `date_to` was given."""

    @property
    def from_instant(self) -> datetime:
        """`date_from` as a UTC instant."""
        return instant(self.date_from, self.zone)

    @property
    def to_instant(self) -> datetime:
        """`date_to` as a UTC instant."""
        return instant(self.date_to, self.zone, is_end=True)

    @property
    def count_from(self) -> datetime:
        """UTC instant from which events count, whole seconds, inclusive.

        NOTE: weeks count from the day of `date_from` and months from their first day: a first week may be partial.
        """
        start = self.date_from
        if not self.is_exact:
            unit = self.from_moment.unit if self.from_moment else None
            if self.interval == "month":
                start = bucket_start(start, "month", self.week_start_day)
            elif self.interval == "week" or (self.interval == "day" and unit != "h"):
                start = bucket_start(start, "day", self.week_start_day)
            elif self.interval in ("minute", "hour") and unit is None:
                start = bucket_start(start, self.interval, self.week_start_day)
        return instant(start, self.zone).replace(microsecond=0)

    @property
    def count_to(self) -> datetime:
        """UTC instant up to which events count, whole seconds, inclusive."""
        return self.to_instant.replace(microsecond=0)


@frozen
class Buckets:
    """The time axis: bucket i holds the instants from `edges[i]` up to, not including, `edges[i + 1]`."""

    edges: tuple[datetime, ...]
    """One more UTC instant than there are buckets, ascending; equal neighbours are days that a zone skipped."""
    starts: tuple[datetime, ...]
    """The same starts as aware times of the zone."""
    days: tuple[str, ...]
    """Names for machines: `2020-01-02` or `2020-01-02 13:00:00`."""
    labels: tuple[str, ...]
    """Names for people: `2-Jan-2020`."""
    instants: tuple[str, ...]
    """The starts as ISO text."""


def instant(local: datetime, zone: tzinfo, *, is_end: bool = False) -> datetime:
    """Return the UTC instant of a wall-clock time; of two equal ones the first, or the last if it ends a range."""
    try:
        return local.replace(tzinfo=zone, fold=1 if is_end else 0).astimezone(UTC)
    except (OverflowError, ValueError) as error:
        raise outside_of_calendar() from error


def parse(text: str, *, now: datetime, zone: tzinfo) -> Moment:
    """Read an absolute or relative date; a text that is neither means now.

    Raises InvalidQuery when the date leaves the calendar.
    """
    text = text.strip()
    local_now = now.astimezone(zone).replace(tzinfo=None)
    try:
        absolute = _absolute(text, zone)
        if absolute is not None:
            return Moment(absolute)
        match = _RELATIVE.search(text)
        if match is None:
            return Moment(local_now)
        number = int(match["number"] or 0)
        moved = _move_back(local_now, match["unit"], number)
        return Moment(_to_position(moved, match["unit"], match["position"]), match["unit"], number)
    except (OverflowError, ValueError) as error:
        raise outside_of_calendar() from error


def instant_of(text: str, zone: tzinfo) -> datetime | None:
    """Return the UTC instant that a text names by calendar or clock; None for a relative date and for anything else."""
    try:
        local = _absolute(text.strip(), zone)
        return None if local is None else instant(local, zone)
    except (InvalidQuery, ValueError, OverflowError):
        return None


def is_day(text: str) -> bool:
    """Whether a text names a day of the calendar, without a time."""
    return _UNPADDED.fullmatch(text.strip()) is not None


def check(text: str | None, *, now: datetime, zone: tzinfo, path: str) -> None:
    """Raise InvalidQuery with the path for a text that `parse` would take for now, or that leaves the calendar."""
    shown = (text or "").strip()
    if not shown:
        return
    if not any(form.fullmatch(shown) for form in (_ISO, _UNPADDED, _RELATIVE, _WORDY)):
        forms = "2026-04-02, 2026-04-02T09:15:00Z, -7d or mStart"
        raise InvalidQuery(f"{shown[:40]!r} is no date: use {forms}.", path=path)
    try:
        parse(shown, now=now, zone=zone)
    except InvalidQuery as error:
        raise InvalidQuery(error.detail, path=path) from error


def resolve(
    date_range: DateRange | None,
    *,
    interval: Interval,
    now: datetime,
    zone: tzinfo,
    week_start_day: int = 0,
    is_exact: bool = False,
    earliest: datetime | None = None,
) -> Bounds:
    """Return the bounds of a range.

    `is_exact` is for displays that count exactly from `date_from` to now (BoldNumber); `earliest` is the instant of
    the project's first event, used by `all`. Raises InvalidQuery when a date leaves the calendar.
    """
    asked = date_range or DateRange()
    explicit = bool(asked.explicit_date)
    start = _from(asked.date_from, interval, now, zone, earliest, is_exact=is_exact)
    ends = _to(asked.date_to, interval, now, zone, keeps_time=explicit or (is_exact and not asked.date_to))
    return Bounds(
        start.local, ends, zone, interval, week_start_day,
        is_exact=explicit or is_exact, from_moment=start, is_open_ended=not asked.date_to,
    )  # fmt: skip


def previous(bounds: Bounds, compare_to: str | None = None, *, by_weeks: bool = False) -> Bounds:
    """Return the bounds of the period to compare with: as long, right before, or moved by `compare_to`.

    With `by_weeks` a month of `compare_to` is 4 weeks and a year 52.

    COMPAT: by hour the period starts at the same hour of the day, so a range of few hours overlaps itself.
    """
    try:
        length = bounds.date_to - bounds.date_from
        if compare_to:
            compare_to = _in_weeks(compare_to) if by_weeks else compare_to
            moved = parse(compare_to, now=instant(bounds.date_from, bounds.zone), zone=bounds.zone).local
            return evolve(bounds, date_from=moved, date_to=moved + length)
        start = bounds.date_from - length
        if bounds.interval == "hour":
            start = start.replace(hour=bounds.date_from.hour, minute=0, second=0, microsecond=0)
            ends = (start + length).replace(minute=59, second=59, microsecond=999999)
        elif bounds.interval == "minute":
            ends = start + length
        else:
            start = datetime.combine(start, time())
            asked = bounds.from_moment
            if (
                bounds.interval == "day" and bounds.is_open_ended
                and asked is not None and asked.unit == "d" and asked.number and asked.number % 7 == 0
            ):  # fmt: skip
                start += timedelta(days=1)
            ends = datetime.combine(start + length, _DAY_END)
        return evolve(bounds, date_from=start, date_to=ends)
    except OverflowError as error:
        raise outside_of_calendar() from error


def _in_weeks(text: str) -> str:
    match = _RELATIVE.fullmatch(text.strip())
    weeks = {"m": 4, "y": 52}.get(match["unit"]) if match and match["position"] is None else None
    return f"-{int(match['number'] or 0) * weeks}w" if match and weeks else text


def buckets(bounds: Bounds) -> Buckets:
    """Return the buckets from the one that holds `date_from` to the one that holds `date_to`; none if it is earlier.

    Raises QueryTooLarge above 100,000 buckets.
    """
    step = _STEPS.get(bounds.interval, timedelta(days=28))
    n_buckets = (bounds.date_to - bounds.date_from) / step
    if bounds.interval in _STEPS and n_buckets > MAX_BUCKETS:
        raise QueryTooLarge(
            f"The range has more than {MAX_BUCKETS} intervals of a {bounds.interval}.", path="query.interval"
        )
    return (_remembered if n_buckets <= MAX_REMEMBERED_BUCKETS else _buckets)(bounds)


def _buckets(bounds: Bounds) -> Buckets:
    interval, zone = bounds.interval, bounds.zone
    try:
        if interval in ("minute", "hour"):
            edges = tuple(_absolute_edges(bounds))
            locals_ = [edge.astimezone(zone).replace(tzinfo=None) for edge in edges[:-1]]
            days = tuple(local.isoformat(sep=" ", timespec="seconds") for local in locals_)
        else:
            *locals_, end = _calendar_edges(bounds)
            edges = tuple(instant(local, zone) for local in (*locals_, end))
            days = tuple(local.date().isoformat() for local in locals_)
    except (OverflowError, ValueError) as error:
        raise outside_of_calendar() from error
    starts = tuple(edge.astimezone(zone) for edge in edges[:-1])
    return Buckets(
        edges=edges,
        starts=starts,
        days=days,
        labels=tuple(_label(local, bounds) for local in locals_),
        instants=tuple(map(format_instant, starts)),
    )


_remembered = lru_cache(maxsize=64)(_buckets)
"""PERF: the same ranges are asked for all day, and 90 days take 0.4 ms."""


def edges_back(bounds: Bounds) -> tuple[datetime, ...]:
    """Return the edges of the intervals counted back from `date_to`, ascending; the first ones hold the start.

    UTC instants, one more than there are intervals. The last interval is as long as the others, however the calendar
    lies: weeks of a range that ends on a Wednesday begin on Thursdays.
    """
    last, second = bounds.date_to.replace(microsecond=0), timedelta(seconds=1)
    found = [instant(last, bounds.zone, is_end=True) + second]
    while found[-1] > bounds.count_from:
        number = len(found)
        if bounds.interval in ("minute", "hour"):
            found.append(found[0] - _STEPS[bounds.interval] * number)
        else:
            moved = _move_back(last, bounds.interval[0], number)
            found.append(instant(moved, bounds.zone, is_end=True) + second)
    return tuple(reversed(found)) if len(found) > 1 else (found[0], found[0])


def bucket_of(day: str, axis: Buckets, bounds: Bounds, *, path: str) -> int:
    """Return the index of the bucket that a day names, or in which it lies. Raises InvalidQuery when there is none."""
    if day in axis.days:
        return axis.days.index(day)
    check(day, now=bounds.to_instant, zone=bounds.zone, path=path)
    moment = instant(parse(day, now=bounds.to_instant, zone=bounds.zone).local, bounds.zone)
    for place, edge in enumerate(axis.edges[1:]):
        if axis.edges[0] <= moment < edge:
            return place
    raise InvalidQuery(f"{day[:40]!r} is not in the range of the query.", path=path)


def bucket_start(local: datetime, interval: Interval, week_start_day: int) -> datetime:
    """Return the wall-clock start of the bucket that holds `local`; weeks start on Sunday (0) or Monday (1)."""
    if interval == "minute":
        return local.replace(second=0, microsecond=0)
    if interval == "hour":
        return local.replace(minute=0, second=0, microsecond=0)
    day = datetime.combine(local, time())
    if interval == "week":
        return day - timedelta(days=(local.isoweekday() - week_start_day) % 7)
    return day.replace(day=1) if interval == "month" else day


def format_instant(moment: datetime) -> str:
    """Return ISO text, with `Z` for UTC."""
    return moment.isoformat().replace("+00:00", "Z")


def _from(
    text: str | None, interval: Interval, now: datetime, zone: tzinfo, earliest: datetime | None, *, is_exact: bool
) -> Moment:
    if text == "all":
        return Moment((earliest or EARLIEST).astimezone(zone).replace(tzinfo=None))
    if not text:
        return Moment(datetime.combine(parse("-7d", now=now, zone=zone).local, time()), "d", 7)
    moment = parse(text, now=now, zone=zone)
    if moment.unit is None or interval == "minute" or is_exact:
        return moment
    return evolve(moment, local=bucket_start(moment.local, "hour" if moment.unit == "h" else "day", 0))


def _to(text: str | None, interval: Interval, now: datetime, zone: tzinfo, *, keeps_time: bool) -> datetime:
    moment = parse(text, now=now, zone=zone) if text else Moment(now.astimezone(zone).replace(tzinfo=None), "d")
    if keeps_time:
        return moment.local
    if interval in ("day", "week", "month"):
        return datetime.combine(moment.local, _DAY_END)
    if moment.unit is None:
        return moment.local
    if interval == "hour":
        return moment.local.replace(minute=59, second=59, microsecond=999999)
    return moment.local.replace(second=59, microsecond=999999)


def _absolute(text: str, zone: tzinfo) -> datetime | None:
    if _ISO.fullmatch(text):
        moment = datetime.fromisoformat(text.replace(",", ".").upper().replace(" ", "T", 1).replace(" ", ""))
        return moment if moment.tzinfo is None else moment.astimezone(zone).replace(tzinfo=None)
    match = _UNPADDED.fullmatch(text)
    return datetime(int(match[1]), int(match[2]), int(match[3])) if match else None  # noqa: DTZ001 - wall clock


def _move_back(local: datetime, unit: str, number: int) -> datetime:
    if unit in "my":
        months = local.year * 12 + local.month - 1 - number * (12 if unit == "y" else 1)
        year, month = months // 12, months % 12 + 1
        return local.replace(year=year, month=month, day=min(local.day, calendar.monthrange(year, month)[1]))
    seconds = {"s": 1, "M": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "q": 13 * 7 * 86400}[unit]
    return local - timedelta(seconds=seconds * number)


def _to_position(local: datetime, unit: str, position: str | None) -> datetime:
    if position is None or unit in "sMwq":
        return local
    is_start = position == "Start"
    if unit == "h":
        return bucket_start(local, "hour", 0) if is_start else local.replace(minute=59, second=59, microsecond=999999)
    if unit == "d":
        return datetime.combine(local, time() if is_start else _DAY_END)
    if unit == "m":
        return local.replace(day=1 if is_start else calendar.monthrange(local.year, local.month)[1])
    return local.replace(month=1, day=1) if is_start else local.replace(month=12, day=31)


def _absolute_edges(bounds: Bounds) -> Iterator[datetime]:
    """Step evenly, so that the hour a zone repeats is there twice and the one it skips is not."""
    step = _STEPS[bounds.interval]
    edge, last = instant(bucket_start(bounds.date_from, bounds.interval, 0), bounds.zone), bounds.to_instant
    while edge <= last:
        yield edge
        edge += step
    yield edge


def _calendar_edges(bounds: Bounds) -> Iterator[datetime]:
    start = bucket_start(bounds.date_from, bounds.interval, bounds.week_start_day)
    while start <= bounds.date_to:
        yield start
        start = next_start(start, bounds.interval)
    yield start


def next_start(start: datetime, interval: Interval) -> datetime:
    """Return the wall-clock start of the bucket after the one that starts at `start`."""
    if interval != "month":
        return start + _STEPS[interval]
    return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)


def _label(local: datetime, bounds: Bounds) -> str:
    if bounds.interval in ("minute", "hour"):
        return f"{local.day}-{_MONTHS[local.month]} {local:%H:%M}"
    if bounds.interval == "month":
        return f"{_MONTHS[local.month]} {local.year}"
    return _week_label(local.date(), bounds) if bounds.interval == "week" else day_label(local)


def day_label(day: date) -> str:
    """Return `5-Jan-2020`."""
    return f"{day.day}-{_MONTHS[day.month]}-{day.year}"


def _week_label(start: date, bounds: Bounds) -> str:
    first = max(start, bounds.date_from.date())
    last = min(start + timedelta(days=6), bounds.date_to.date())
    if first >= last:
        return day_label(first)
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}\N{EN DASH}{last.day} {_MONTHS[last.month]}"
    if first.year == last.year:
        return f"{first.day}-{_MONTHS[first.month]} \N{EN DASH} {last.day}-{_MONTHS[last.month]}"
    return f"{day_label(first)} \N{EN DASH} {day_label(last)}"


def outside_of_calendar() -> InvalidQuery:
    """Return the error for dates before the year 1 or after 9999."""
    return InvalidQuery("The date is outside of the calendar.", path="query.dateRange")
