"""Date operators of property filters: the asked day or instant as a range of instants.

How a property's own text is read as an instant is the engine's business.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from ..errors import InvalidQuery
from . import dates
from .plan import AnyOf, Condition, InstantTest, Source
from .scope import Scope

_ZONE_NAME = re.compile(r"(?<=\d) [A-Z]{3,5}$")
"""Says nothing, as in the engine: such names are not unique."""
_SECONDS = re.compile(r"\d{10}(?:\d{3})?(?:\.\d+)?")
_INSTANT = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)
"""Instants are the same when they lie in the same second."""
_NEVER = AnyOf(())


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
    zone = getattr(scope.zone, "key", "UTC")
    if operator == "is_date_exact":
        return InstantTest(source, start, max(end, start + _SECOND), zone)
    if operator == "is_date_before":
        return InstantTest(source, None, start, zone)
    return InstantTest(source, end, None, zone)


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
