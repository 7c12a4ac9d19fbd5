"""How values are written in JSON: those that it lacks, and many quickly."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from ..domain.capture import MAX_DEPTH, properties_text


def iso(at: datetime | None) -> str | None:
    """Return an instant as ISO 8601 in UTC with `Z`; the fraction only when there is one; None for None.

    >>> iso(datetime(2026, 4, 2, 9, 15, 30, 120000, tzinfo=UTC))
    '2026-04-02T09:15:30.120000Z'
    """
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def quick_text(properties: dict[str, Any]) -> str:
    """Return the JSON text of properties that came as JSON.

    PERF: by an encoder that takes a tenth of the time, wherever it gives what `properties_text` does.
    """
    try:
        text = orjson.dumps(properties).decode()
    except TypeError:
        return properties_text(properties)
    if "\\u0000" in text or text.count("{") + text.count("[") > MAX_DEPTH:
        return properties_text(properties)
    return text


def json_bytes(value: Any) -> bytes:
    """Return JSON; NaN and infinities become null, and integers beyond 64 bit what they are as doubles.

    Properties hold any number that a client sent.

    >>> orjson.loads(json_bytes({"n": [10**30, 10**400, 7]}))
    {'n': [1e+30, None, 7]}
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return orjson.dumps(_in_range(value))


def _in_range(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        try:
            return float(value)
        except OverflowError:
            return None
    if isinstance(value, Mapping):
        return {key: _in_range(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_in_range(one) for one in value]
    return value
