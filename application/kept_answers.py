"""Answers of whole plans, kept as long as nothing arrives in their project: asking again costs nothing then.

A plan says all that its answer hangs on beside the product events: dates, zone, definitions, types. Left out are plans
whose expressions may look at the clock or at stored lists.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import date
from math import inf
from typing import Any

import attrs
from attrs import frozen

from ..domain.queries import plan as plans
from ..domain.queries.sequence_plans import (
    CorrelationPlan,
    FunnelPeriodsPlan,
    FunnelStepsPlan,
    FunnelTimesPlan,
    PathsPlan,
    RetentionPlan,
)
from ..domain.queries.trend_plan import TrendPlan
from .arrivals import Arrivals, Watermark
from .plan_parts import parts_of

MAX_ANSWERS = 500
MAX_SIZE = 20_000
"""Numbers and texts in one answer."""
_KEPT = (
    TrendPlan, FunnelStepsPlan, FunnelTimesPlan, FunnelPeriodsPlan, CorrelationPlan, RetentionPlan, PathsPlan,
)  # fmt: skip
_VALUES = (str, int, float, date)
_UNWATCHED = (plans.HogQLExpression, plans.HogQLCondition, plans.Members, plans.Listed)


@frozen
class _Kept:
    watermark: Watermark
    answer: Any


class KeptAnswers:
    """Keeps what plans were answered with; safe for threads, bounded, in memory."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._lock = threading.Lock()
        self._answers: OrderedDict[Any, _Kept] = OrderedDict()

    def answer(self, plan: Any, watermark: Watermark, run: Callable[[Any], Any]) -> Any:
        """Return the answer of a plan; `watermark` is how far the store had got before the call, `run` answers it."""
        if not isinstance(plan, _KEPT) or any(isinstance(part, _UNWATCHED) for part in parts_of(plan)):
            return run(plan)
        found = self.find(plan)
        if found is None:
            found = run(plan)
            if _size(tuple(found) if isinstance(found, list) else found) <= MAX_SIZE:
                self.keep(plan, watermark, found)
        return found

    def find(self, plan: Any) -> Any:
        """Return what is kept of a plan, if nothing arrived in its project since, else None."""
        with self._lock:
            kept = self._answers.get(plan)
        if kept is None or self._arrivals.touched_hours(plan.project_id, kept.watermark) != frozenset():
            return None
        return _own(kept.answer)

    def keep(self, plan: Any, watermark: Watermark, answer: Any) -> None:
        """Keep the answer of a plan that can be watched; `watermark` is how far the store had got before."""
        with self._lock:
            self._answers[plan] = _Kept(watermark, _own(answer))
            self._answers.move_to_end(plan)
            while len(self._answers) > MAX_ANSWERS:
                self._answers.popitem(last=False)


def _own(answer: Any) -> Any:
    """Return an answer whose list is nobody else's; what it holds cannot be changed."""
    return list(answer) if isinstance(answer, list) else answer


def _size(value: Any) -> float:
    """Return how many values an answer holds; without end for what could be changed from outside."""
    if value is None or isinstance(value, _VALUES):
        return 1
    if attrs.has(type(value)):
        return sum(_size(getattr(value, field.name)) for field in attrs.fields(type(value)))
    return 1 + sum(map(_size, value)) if isinstance(value, tuple) else inf
