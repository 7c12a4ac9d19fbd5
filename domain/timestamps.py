"""Timestamps as clients write them, and when a captured event happened (capture contract, insights-api.md 8.7).

Instants are whole microseconds since 1970-01-01 UTC here: unlike a datetime, an int holds every year that a client's
broken clock comes up with, and differences cannot overflow.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SECOND_US = 1_000_000
_DAY_US = 86_400 * _SECOND_US
HOUR_US = 3600 * _SECOND_US
_FUTURE_US = 23 * HOUR_US
EARLIEST_US = (datetime.min.replace(tzinfo=UTC) - EPOCH) // _MICROSECOND
LATEST_US = (datetime.max.replace(tzinfo=UTC) - EPOCH) // _MICROSECOND
_BEYOND = 1e30
"""Microseconds that no calendar has: what an infinite number of seconds stands for."""
_MILLISECONDS_FROM = 100_000_000_000
"""Numbers this large are milliseconds; as seconds they would lie beyond the year 5000."""

_NUMBER = re.compile(r"[+-]?\d{1,20}(?:\.\d{1,20})?", re.ASCII)
_OTHER_YEAR = re.compile(r"([+-]\d{4,6}|0000)-\d\d(?:\D.*)?", re.ASCII)
_PLAIN_DATE = re.compile(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})(?:[T ]\s*(\S.*))?", re.ASCII)
_SLASH_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})(?:[T ]\s*(\S.*))?", re.ASCII)
_MAIL_DATE = re.compile(r"(?:[A-Za-z]{3,9},?\s+)?\d{1,2}[ -][A-Za-z]{3,9}[ -]\d{2,4}\s.*", re.ASCII)
_ZULU = re.compile(r"\s*(?:[zZ]|UTC|GMT)$")


def to_us(instant: datetime) -> int:
    """Return microseconds since 1970; a datetime without zone counts as UTC."""
    aware = instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)
    return (aware - EPOCH) // _MICROSECOND


def from_us(instant_us: int) -> datetime:
    """Return an aware UTC datetime; raises OverflowError outside the years 1 to 9999."""
    return EPOCH + timedelta(microseconds=instant_us)


def parse_timestamp(value: object) -> int | None:
    """Return microseconds since 1970 for any accepted form, None for anything else.

    Forms: ISO 8601 with or without offset (without: UTC), date only, a space for the `T`, slash dates (`2026/3/1`,
    `3/1/2026`, and `31/1/2026` where only the day can come first), RFC 2822, Unix seconds or milliseconds as number
    or text, datetime.

    >>> parse_timestamp("1970-01-01 01:00:01+01:00"), parse_timestamp("1970/1/2"), parse_timestamp("soon")
    (1000000, 86400000000, None)
    """
    if isinstance(value, str):
        return _parse_utc(value) or _parse_text(value.strip())
    if isinstance(value, datetime):
        return to_us(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not math.isfinite(value):  # an int may be too large for a float
        return None
    return _of_number(value)


def event_time(timestamp: object, *, now_us: int, sent_at_us: int | None = None, offset_ms: object = None) -> int:
    """Return when an event happened, in microseconds since 1970, between the years 1 and 9999.

    Clock skew goes by `sent_at_us`, an integer `offset_ms` overrides the timestamp, what cannot be read or lies more
    than 23 hours ahead becomes now, and what lies before the calendar becomes 1970.
    """
    if isinstance(offset_ms, int) and not isinstance(offset_ms, bool):
        found = now_us - offset_ms * 1000
    else:
        parsed = parse_timestamp(timestamp) if timestamp is not None else None
        if parsed is None:
            return now_us
        found = parsed if sent_at_us is None else now_us + parsed - sent_at_us
    if found > now_us + _FUTURE_US or found > LATEST_US:
        return now_us
    return found if found >= EARLIEST_US else 0


def sent_at_of_query(text: str) -> int | None:
    """Return the instant in the `_` parameter (milliseconds); None up to the year 2020, where it is no such thing."""
    if not _NUMBER.fullmatch(text) or "." in text:
        return None
    sent_at_us = int(text) * 1000
    return sent_at_us if sent_at_us >= to_us(datetime(2021, 1, 1, tzinfo=UTC)) else None


def _parse_utc(text: str) -> int | None:
    """Return the instant of an ISO text that ends with UTC. PERF: what nearly all are, in a third of the time."""
    if len(text) < 19:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (instant - EPOCH) // _MICROSECOND if instant.tzinfo is UTC else None


def _parse_text(text: str) -> int | None:
    if _NUMBER.fullmatch(text) and not (len(text) == 8 and text.isdigit()):
        return _of_number(float(text) if "." in text else int(text))
    for read in _READERS:
        try:
            found = read(text)
        except (ValueError, OverflowError):
            continue
        if found is not None:
            return found
    return None


def _of_number(number: float) -> int:
    scaled = number * (1000 if abs(number) >= _MILLISECONDS_FROM else _SECOND_US)
    if isinstance(scaled, int):
        return scaled
    return round(scaled) if math.isfinite(scaled) else round(math.copysign(_BEYOND, scaled))


def _iso(text: str) -> int:
    return to_us(datetime.fromisoformat(text))


def _iso_with_zone_name(text: str) -> int | None:
    bare, n_replaced = _ZULU.subn("+00:00", text)
    return _iso(bare) if n_replaced else None


def _plain_date(text: str) -> int | None:
    match = _PLAIN_DATE.fullmatch(text)
    return _of_parts(match[1], match[2], match[3], match[4]) if match else None


def _slash_date(text: str) -> int | None:
    match = _SLASH_DATE.fullmatch(text)
    if match is None:
        return None
    month, day = (match[2], match[1]) if int(match[1]) > 12 else (match[1], match[2])
    return _of_parts(match[3], month, day, match[4])


def _of_parts(year: str, month: str, day: str, time: str | None) -> int:
    rest = f"T{_ZULU.sub('+00:00', time)}" if time else ""
    return _iso(f"{year}-{int(month):02}-{int(day):02}{rest}")


def _mail_date(text: str) -> int | None:
    return to_us(parsedate_to_datetime(text)) if _MAIL_DATE.fullmatch(text) else None


def _other_year(text: str) -> int | None:
    """Year 0, negative years and years of five digits and more: only on which side they lie matters."""
    match = _OTHER_YEAR.fullmatch(text)
    return round((int(match[1]) - 1970) * 365.2425) * _DAY_US if match else None


_READERS: tuple[Callable[[str], int | None], ...] = (
    _iso,
    _iso_with_zone_name,
    _plain_date,
    _slash_date,
    _mail_date,
    _other_year,
)
