"""Answers of funnels as PostHog's 2023 engine gave them.

The numbers are those of `funnels`; times are whole seconds there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from insightlog.domain.queries import dates, funnel_results
from insightlog.domain.queries.funnels import Funnel


def summary(funnel: Funnel, answers: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the table behind a funnel trend: one row per period and breakdown value."""
    buckets = dates.buckets(funnel.bounds)
    is_timed = funnel.bounds.interval not in ("week", "month")
    return [
        {
            "timestamp": start.isoformat() if is_timed else start.date().isoformat(),
            "reached_from_step_count": began,
            "reached_to_step_count": came,
            "conversion_rate": funnel_results.rate(began, came),
            **({} if value is None else {"breakdown_value": value}),
        }
        for value, table in funnel_results.period_tables(funnel, answers, len(buckets.starts))
        for start, (began, came) in zip(buckets.starts, table, strict=True)
    ]


def times(found: dict[str, Any]) -> dict[str, Any]:
    """Return the histogram with its mean rounded; without anybody its bins are a second wide."""
    average = found["average_conversion_time"]
    if average is None:
        return {"bins": [[0, 0], [1, 0]], "average_conversion_time": None}
    return found | {"average_conversion_time": round(average, 2)}


def labelled(result: Any) -> Any:
    """Return the series of a funnel trend with labels that are days, whatever the interval."""
    if not isinstance(result, list) or not all("days" in one for one in result if isinstance(one, dict)):
        return result
    return [one | {"labels": [_day(day) for day in one["days"]]} if isinstance(one, dict) else one for one in result]


def _day(text: str) -> str:
    start = datetime.fromisoformat(text)
    return f"{start.day}-{start:%b-%Y}"


def ordered(result: Any) -> Any:
    """Return the steps of each breakdown value by value ascending; in 2023 they came in no defined order."""
    if not result or not isinstance(result[0], list):
        return result
    return sorted(result, key=lambda steps: str(steps[0]["breakdown_value"]))
