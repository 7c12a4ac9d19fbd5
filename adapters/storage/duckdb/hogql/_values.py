"""Values of DuckDB as JSON has them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from ._conversions import Environment
from ._types import Type


def rendered(value: Any, kind: Type, env: Environment) -> Any:
    """Return a value of DuckDB as JSON has it: instants in the zone of their type, no `nan`, no numbers of 65 bits."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return int(value) if kind.name == "Truth" else value
    if isinstance(value, int):
        return value if -(1 << 63) <= value < 1 << 64 else float(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if kind.is_integer else value
    if isinstance(value, datetime):
        zone = ZoneInfo(kind.zone or env.zone)
        return value.replace(tzinfo=UTC).astimezone(zone).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, list | tuple):
        items = kind.items if kind.name == "Tuple" else kind.items * len(value)
        return [rendered(item, of, env) for item, of in zip(value, items, strict=False)]
    return str(value)


NOT_FINITE: Mapping[str, Callable[[float], bool]] = {"nan": math.isnan, "inf": math.isinf}
"""The floats that JSON lacks, as markers in answers call them (insights-api.md 1.2)."""


def places_of(value: Any, test: Callable[[float], bool]) -> Any:
    """Return where in a list, and in the lists in it, there are such floats: index -> True or the places inside.

    >>> places_of([1.0, [float("nan")], float("nan")], math.isnan)
    {'1': {'0': True}, '2': True}
    """
    if isinstance(value, float):
        return test(value)
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return False
    return {str(place): found for place, item in enumerate(value) if (found := places_of(item, test))}
