"""Query parameters as the contract reads them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import falcon
import orjson

from ...domain.errors import InvalidInput, InvalidQuery
from ...domain.queries import dates
from .bodies import FALSE, TRUE, integer
from .operations import Parameter
from .schemas import INTEGER, MODE, TEXT

BEYOND = 10**9
"""More than there is of anything: what larger numbers stand for."""
REFRESH = Parameter("refresh", MODE, "Whether to calculate; true and the bare parameter mean force_blocking.")
CLIENT_QUERY_ID = Parameter("client_query_id", TEXT, "A name of the caller's own, to ask about the query or cancel it.")
PAGE = (
    Parameter("limit", INTEGER, "How many items a page holds, at most 1000."),
    Parameter("offset", INTEGER, "How many items to skip."),
)
"""What lists take that have nothing to filter by."""
AS_OF = Parameter(
    "as_of", TEXT, "Everything as it was at this moment: ISO 8601 with an offset, or position:N of the log."
)
KNOWN_AT = Parameter(
    "known_at",
    TEXT,
    "With the events, persons, actions and cohorts that were known at this moment, given like as_of.",
)
PAST = (AS_OF, KNOWN_AT)
"""What endpoints take that show calculations of the past."""
CALCULATION = (REFRESH, CLIENT_QUERY_ID)
"""What every endpoint that may calculate takes."""


def page_window(req: falcon.Request, default: int, most: int, prefix: str = "") -> tuple[int, int]:
    """Return limit and offset; what is no positive number falls back to the default (insights-api.md 1.4).

    `prefix` stands before the names of both where an endpoint has its own.
    """
    offset = _number(req.get_param(f"{prefix}offset") or req.get_param("offset"))
    return page_limit(req, default, most, prefix), offset


def page_limit(req: falcon.Request, default: int, most: int, prefix: str = "") -> int:
    """Return how many items a page holds; what is no positive number falls back to the default."""
    limit = _number(req.get_param(f"{prefix}limit") or req.get_param("limit"))
    return min(limit, most) if limit else default


def page_number(req: falcon.Request, name: str, default: int) -> int:
    """Return a number from 1. Raises `InvalidInput` for anything else (insights-api.md 5.6)."""
    text = req.get_param(name)
    if text is None:
        return default
    number = integer(text, name)
    if not 1 <= number <= 10**9:
        raise InvalidInput(
            "Ensure this value is greater than or equal to 1." if number < 1 else "This number is too large.",
            path=name,
            code="min_value" if number < 1 else "max_value",
        )
    return number


def flag(req: falcon.Request, name: str) -> bool | None:
    """Return a boolean parameter, None when it is absent or no boolean."""
    text = (req.get_param(name) or "").lower()
    return True if text in TRUE else False if text in FALSE else None


def integers(req: falcon.Request, name: str) -> tuple[int, ...]:
    """Return a JSON array of integers, or one integer. Raises `InvalidInput`."""
    value = _json(req, name)
    items = value if isinstance(value, list) else [] if value is None else [value]
    return tuple(integer(item, name) for item in items)


def texts(req: falcon.Request, name: str) -> tuple[str, ...]:
    """Return a JSON array of texts. Raises `InvalidInput`."""
    value = _json(req, name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidInput("This must be a JSON array of texts.", path=name)
    return tuple(value)


def moment(req: falcon.Request, name: str, now: datetime, timezone: str) -> datetime | None:
    """Return the instant that a date parameter names, in the project's zone. Raises `InvalidInput` (1.3)."""
    text = req.get_param(name)
    if not text:
        return None
    zone = ZoneInfo(timezone)
    try:
        dates.check(text, now=now, zone=zone, path=name)
        return dates.parse(text, now=now, zone=zone).local.replace(tzinfo=zone)
    except InvalidQuery as error:
        raise InvalidInput(error.detail, path=name) from error


def _json(req: falcon.Request, name: str) -> Any:
    text = req.get_param(name)
    if not text:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"This must be JSON: {error}", path=name) from error


def _number(text: str | None) -> int:
    return min(int(text[:10]), BEYOND) if text is not None and text.isascii() and text.isdecimal() else 0
