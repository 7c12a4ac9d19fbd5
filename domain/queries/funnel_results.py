"""What a funnel's answer looks like: step objects, histogram, rates per period (queries.md 6.7 to 6.9)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from . import dates
from ._trend_breakdown import ALL_USERS
from .funnels import Funnel
from .nodes import EventsNode
from .resolution import upscaled
from .sequence_plans import FunnelPeriodsPlan, FunnelRow, FunnelStepsPlan, FunnelTimes, FunnelTimesPlan, Value

OTHER = "Other"
NOTHING = "None"
"""What trends call a missing value."""
MAX_POINTS = 1000
_PLACES = Decimal("0.01")
PeriodRow = tuple[Value, int, int, int]
FunnelQuestion = FunnelStepsPlan | FunnelTimesPlan | FunnelPeriodsPlan


def questions(funnel: Funnel) -> tuple[FunnelQuestion, ...]:
    """Return what to ask an engine, one plan per cohort of the breakdown, else one; none without steps."""
    if not funnel.n_steps:
        return ()
    kind = funnel.asked.funnel_viz_type or "steps"
    if kind == "time_to_convert":
        return (FunnelTimesPlan(funnel.plans[0][1], funnel.from_step, funnel.to_step, funnel.asked.bin_count),)
    if kind == "trends":
        edges = dates.buckets(funnel.bounds).edges
        return tuple(FunnelPeriodsPlan(plan, edges, funnel.from_step, funnel.to_step) for _, plan in funnel.plans)
    return tuple(FunnelStepsPlan(plan, funnel.breakdown.limit) for _, plan in funnel.plans)


def results(funnel: Funnel, answers: Sequence[Any]) -> Any:
    """Return the `results` of a response; `answers` holds what answers each question."""
    kind = funnel.asked.funnel_viz_type or "steps"
    if kind == "time_to_convert":
        return times(answers[0]) if answers else {"bins": [], "average_conversion_time": None}
    if kind == "trends":
        return trends(funnel, answers)
    return steps(funnel, answers)


def steps(funnel: Funnel, answers: Sequence[Sequence[FunnelRow]]) -> Any:
    """Return one list of step objects, or with a breakdown one per value; nobody at all gives steps of 0."""
    if not funnel.n_steps:
        return []
    nobody = FunnelRow(None, (0,) * funnel.n_steps, (None,) * funnel.n_steps, (None,) * funnel.n_steps)
    if funnel.breakdown.cohorts:
        of_cohorts = [
            (name, rows[0] if rows else nobody) for (name, _), rows in zip(funnel.plans, answers, strict=True)
        ]
        of_cohorts.sort(key=lambda one: one[1].counts[::-1], reverse=True)
        return [_steps(funnel, row, cohort=name) for name, row in of_cohorts]
    if funnel.breakdown.sources:
        hides_rest = funnel.breakdown.hides_rest
        return [_steps(funnel, row) for row in answers[0] if row.value is not None or not hides_rest]
    return _steps(funnel, answers[0][0] if answers[0] else nobody)


def times(found: FunnelTimes) -> dict[str, Any]:
    """Return the histogram of conversion times, in seconds."""
    return {"bins": [list(one) for one in found.bins], "average_conversion_time": found.average_s}


def trends(funnel: Funnel, answers: Sequence[Sequence[PeriodRow]]) -> list[dict[str, Any]]:
    """Return one object of rates, or with a breakdown one per value, sorted by value."""
    if not funnel.n_steps:
        return []
    buckets = dates.buckets(funnel.bounds)
    found = []
    for name, table in period_tables(funnel, answers, len(buckets.days)):
        shown: dict[str, Any] = {
            "count": len(buckets.days),
            "data": [rate(began, came) for began, came in table],
            "days": list(buckets.days),
            "labels": list(buckets.labels),
        }
        if name is not None:
            shown["breakdown_value"] = name
        found.append(shown)
    return found


def period_tables(
    funnel: Funnel, answers: Sequence[Sequence[PeriodRow]], n_periods: int
) -> list[tuple[Any, list[tuple[int, int]]]]:
    """Return per breakdown value (None without breakdown), as it is shown, who began and who came per period."""
    tables: dict[tuple[str, Value], list[tuple[int, int]]] = {}
    for (cohort, _), rows in zip(funnel.plans, answers, strict=True):
        if not funnel.breakdown.sources:
            tables[cohort or "", None] = [(0, 0)] * n_periods
        for value, period, began, came in rows:
            tables.setdefault((cohort or "", value), [(0, 0)] * n_periods)[period] = (began, came)
    kept = sorted(tables.items(), key=lambda item: (-sum(began for began, _ in item[1]), item[0][1] or ()))
    if funnel.breakdown.sources:
        kept = kept[: min(funnel.breakdown.n_rates, max(1, MAX_POINTS // max(n_periods, 1)))]
    shown: list[tuple[Any, list[tuple[int, int]]]] = []
    for (cohort, value), table in kept:
        if funnel.breakdown.cohorts:
            shown.append((funnel.breakdown.cohorts[cohort][1], table))
        else:
            shown.append((None if value is None else _shown(funnel, value, nothing=NOTHING), table))
    return shown if len(shown) < 2 else sorted(shown, key=lambda item: str(item[0]))


def rate(began: int, came: int) -> float:
    """Return the share of those who came, in percent with two places, halves to the even one; 0 when nobody began.

    >>> rate(3, 1), rate(800, 1), rate(4000, 1), rate(0, 0)
    (33.33, 0.12, 0.02, 0.0)
    """
    # As people write the number: 0.025 is a bit more in binary, and would be 0.03.
    return float(Decimal(repr(100 * came / began)).quantize(_PLACES, ROUND_HALF_EVEN)) if began else 0.0


def breakdown_of(funnel: Funnel, value: Value, cohort: str | None = None) -> dict[str, Any]:
    """Return the fields that tell of which breakdown value an object is; none without breakdown."""
    if cohort is not None:
        shown, name = funnel.breakdown.cohorts[cohort]
        return {"breakdown": name, "breakdown_value": 0 if shown == ALL_USERS else shown}
    if not funnel.breakdown.sources:
        return {}
    text = _shown(funnel, value)
    return {"breakdown": text, "breakdown_value": text}


def _shown(funnel: Funnel, value: Value, nothing: str = "") -> Any:
    texts = (OTHER,) if value is None else tuple(text or nothing for text in value)
    return list(texts) if funnel.breakdown.is_list else texts[0]


def _steps(funnel: Funnel, row: FunnelRow, cohort: str | None = None) -> list[dict[str, Any]]:
    more = breakdown_of(funnel, row.value, cohort)
    found = []
    for place, node in enumerate(funnel.query.series):
        is_event = isinstance(node, EventsNode)
        step: dict[str, Any] = {
            "action_id": node.event if isinstance(node, EventsNode) else node.id,
            "name": funnel.names[place],
            "custom_name": node.custom_name,
            "order": place,
            "people": [],
            "count": upscaled(row.counts[place], funnel.sampling),
            "type": "events" if is_event else "actions",
            "average_conversion_time": row.average_s[place],
            "median_conversion_time": row.median_s[place],
        }
        if funnel.is_unordered:
            step |= {
                "action_id": None, "custom_name": None,
                "name": f"Completed {place + 1} step{'' if place == 0 else 's'}",
            }  # fmt: skip
        found.append(step | more)
    return found
