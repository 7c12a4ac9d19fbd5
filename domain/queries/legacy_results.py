"""Results as the legacy endpoints show them, where that differs from the answer to a query node."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from math import inf
from typing import Any

from . import dates
from ._trend_breakdown import NULL_LABEL, NULL_VALUE, OTHER_LABEL, OTHER_VALUE

_TIME_OF_DAY = ":"
_BIN = re.compile(r"\[(-?[\d.e+-]+),(-?[\d.e+-]+)\]")


def bins_by_bound(series: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return results broken down into bins as the legacy endpoint lists them: by lower bound, the bounds as floats."""
    placed = []
    for place, one in enumerate(series):
        value = one.get("breakdown_value")
        found = _BIN.fullmatch(value) if isinstance(value, str) else None
        if found is not None:
            bounds = "[{},{}]".format(*(round(float(bound), 2) for bound in found.groups()))
            one = {**one, "breakdown_value": bounds, "label": str(one["label"]).replace(found[0], bounds)}  # noqa: PLW2901
        lower = float(found[1]) if found else inf
        action = one.get("action") or {}
        placed.append(((action.get("order") or 0, one.get("compare_label") or "", lower, place), one))
    return [one for _, one in sorted(placed, key=lambda pair: pair[0])]


def with_plain_labels(series: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return results as the legacy endpoint labels them.

    Missing and remaining values have words for people (insights-api.md 3.16), hours and minutes their year (1.3).
    """
    return [_labelled(one) for one in series]


def _labelled(one: Mapping[str, Any]) -> Mapping[str, Any]:
    shown = dict(one)
    if "breakdown_value" in one:
        shown["label"] = _plain(str(one["label"]))
    days = one.get("days") or ()
    if days and isinstance(days[0], str) and _TIME_OF_DAY in days[0]:
        starts = [datetime.fromisoformat(day) for day in days]
        shown["labels"] = [f"{dates.day_label(start)} {start:%H:%M}" for start in starts]
    return shown


def _plain(label: str) -> str:
    return label.replace(NULL_VALUE, NULL_LABEL).replace(OTHER_VALUE, OTHER_LABEL)


def wants_plain_values(filters: Mapping[str, Any]) -> bool:
    """Whether a funnel is asked for by an old client, which breaks down by one property and wants no lists."""
    return (
        filters.get("insight") == "FUNNELS"
        and filters.get("breakdown_type") in ("person", "event")
        and bool(filters.get("breakdown"))
        and not filters.get("breakdowns")
    )


def with_plain_values(result: Any) -> Any:
    """Return the result of a funnel with breakdown values of one text as that text."""
    if isinstance(result, list):
        return [with_plain_values(one) for one in result]
    return {
        key: value[0] if key.startswith("breakdown") and isinstance(value, list) and len(value) == 1 else value
        for key, value in result.items()
    }
