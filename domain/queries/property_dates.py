"""Date operators of property filters: the asked day or instant as a range of instants.

How a property's own text is read as an instant is the engine's business.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ..errors import InvalidQuery
from . import dates
from .plan import AnyOf, Condition, EventColumn, InstantTest, SessionField, Source
from .scope import Scope

_ZONE_NAME = re.compile(r"(?<=\d) [A-Z]{3,5}$")
"""Says nothing, as in the engine: such names are not unique."""
_SECONDS = re.compile(r"\d{10}(?:(?:\d{3}){0,3})(?:\.\d+)?")
_INSTANT = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)
"""Instants are the same when they lie in the same second."""
_NEVER = AnyOf(())
INSTANTS = frozenset(
    {
        EventColumn("timestamp"),
        EventColumn("created_at"),
        SessionField("$start_timestamp"),
        SessionField("$end_timestamp"),
    }
)
"""Sources that are instants themselves; their texts are in UTC."""


def instant_test(source: Source, operator: str, value: Any, *, path: str, scope: Scope) -> Condition:
    """Return the condition of `is_date_exact`, `is_date_before` or `is_date_after`.

    A day stands for all of its instants in the project's zone: before is earlier than its start, after is later than
    its end. A value or text of an event without offset is in the project's zone, relative values (`-7d`)
    count from now. Raises InvalidQuery for a value that is neither date nor number.
    """
    if isinstance(value, list | tuple):
        if len(value) != 1:
            raise InvalidQuery("A date operator compares with one date.", path=path)
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InvalidQuery("A date operator compares with a date.", path=path)
    found = _range(_ZONE_NAME.sub("", str(value).strip()), scope)
    if found is None:
        return _NEVER
    start, end = found
    zone = _zone_of(source, scope)
    if operator == "is_date_exact":
        return InstantTest(source, start, max(end, start + _SECOND), zone)
    if operator == "is_date_before":
        return InstantTest(source, None, start, zone)
    return InstantTest(source, end, None, zone)


def compared(source: Source, operator: str, values: tuple[str, ...], scope: Scope) -> Condition | None:
    """Return the condition that a property which holds instants compares with one of the values; None if none is one.

    `operator` is `exact`, `gt`, `gte`, `lt` or `lte`.
    """
    zone, found = _zone_of(source, scope), []
    for value in values:
        at = dates.instant_of(value, scope.zone)
        if at is not None:
            since, until = _SPANS[operator]
            found.append(
                InstantTest(source, None if since is None else at + since, None if until is None else at + until, zone)
            )
    return AnyOf(tuple(found)) if found else None


_SPANS: Mapping[str, tuple[timedelta | None, timedelta | None]] = {
    "exact": (timedelta(0), _INSTANT), "gt": (_INSTANT, None), "gte": (timedelta(0), None),
    "lt": (None, timedelta(0)), "lte": (None, _INSTANT),
}  # fmt: skip
"""From when on and until when, counted from the value, exclusive."""


def _zone_of(source: Source, scope: Scope) -> str:
    """Return by whose clock the source's texts are that have no offset."""
    return "UTC" if source in INSTANTS else getattr(scope.zone, "key", "UTC")


def _range(text: str, scope: Scope) -> tuple[datetime, datetime] | None:
    """Return the instants that a date text covers, end exclusive; None for no date at all."""
    if _SECONDS.fullmatch(text):
        start = datetime.fromtimestamp(int(text[:10]), UTC)
        return start, start + _INSTANT
    try:
        dates.check(text, now=scope.now, zone=scope.zone, path="")
        local = dates.parse(text, now=scope.now, zone=scope.zone).local
        if dates.is_day(text):
            return dates.instant(local, scope.zone), dates.instant(local + timedelta(days=1), scope.zone)
        start = dates.instant(local, scope.zone)
        return start, start + _INSTANT
    except (InvalidQuery, OverflowError):
        return None
