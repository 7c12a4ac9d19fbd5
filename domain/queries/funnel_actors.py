"""Who is behind a step of a funnel, or behind a period of a funnel trend (queries.md 10.1)."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from ..errors import InvalidQuery
from . import dates
from ._trend_breakdown import ALL_USERS
from .funnel_nodes import FunnelsActorsQuery
from .funnel_results import NOTHING, OTHER
from .funnels import MAX_VALUES, Funnel
from .sequence_plans import FunnelActorsPlan, FunnelPlan, Value


def actors_plan(funnel: Funnel, asked: FunnelsActorsQuery, *, limit: int, offset: int, path: str) -> FunnelActorsPlan:
    """Return which actors to find.

    Raises InvalidQuery for a step that the funnel does not have, a missing selector, and a funnel without steps.
    """
    if not funnel.n_steps:
        raise InvalidQuery("A funnel without steps has no actors.", path=f"{path}.source.series")
    plan = _plan(funnel, asked, path)
    if funnel.asked.funnel_viz_type == "trends" and asked.funnel_step is None and asked.funnel_custom_steps is None:
        return _of_period(funnel, plan, asked, limit=limit, offset=offset, path=path)
    found = FunnelActorsPlan(plan, 0, limit=limit, offset=offset, **_value(funnel, asked))
    if asked.funnel_custom_steps:
        return evolve(found, furthest=tuple(step - 1 for step in asked.funnel_custom_steps))
    if asked.funnel_step is None:
        raise InvalidQuery("A step is needed: funnelStep or funnelCustomSteps.", path=f"{path}.funnelStep")
    took, missed = steps_of(asked.funnel_step, funnel, path=f"{path}.funnelStep")
    return evolve(found, took=took, missed=missed)


def steps_of(step: int, funnel: Funnel, *, path: str) -> tuple[int, int | None]:
    """Return which step they took, and which they did not take after it, both 0-based, of `funnelStep` n or -n.

    Who dropped off took the required step before. Raises InvalidQuery for a step that the funnel does not have.
    """
    n_steps = funnel.n_steps
    if step in (0, -1) or abs(step) > n_steps:
        raise InvalidQuery(
            f"The funnel has no step {step}: use 1 to {n_steps}, or -2 to -{n_steps} for drop-offs.", path=path
        )
    if step > 0:
        return step - 1, None
    missed = -step - 1
    optional = funnel.plans[0][1].optional
    return max(place for place in range(missed) if place not in optional), missed


def _plan(funnel: Funnel, asked: FunnelsActorsQuery, path: str) -> FunnelPlan:
    """Return the plan of the asked cohort, or the only one."""
    wanted = _texts(asked.funnel_step_breakdown)
    for cohort, plan in funnel.plans:
        # Steps tell a cohort's id, trends its name.
        if cohort is not None and wanted in (
            (cohort,), (funnel.breakdown.cohorts[cohort][1],), ("0",) if cohort == ALL_USERS else (),
        ):  # fmt: skip
            return plan
    if funnel.breakdown.cohorts:
        raise InvalidQuery("This is none of the cohorts of the breakdown.", path=f"{path}.funnelStepBreakdown")
    return funnel.plans[0][1]


def _value(funnel: Funnel, asked: FunnelsActorsQuery) -> dict[str, Any]:
    wanted = _texts(asked.funnel_step_breakdown)
    if not funnel.breakdown.sources or wanted is None:
        return {}
    if wanted == (OTHER,) and funnel.breakdown.limit < MAX_VALUES:
        return {"is_rest": True, "n_values": funnel.breakdown.limit}
    if funnel.asked.funnel_viz_type == "trends":
        wanted = tuple("" if text == NOTHING else text for text in wanted)
    return {"value": wanted}


def _texts(value: Any) -> Value:
    if value is None:
        return None
    values = value if isinstance(value, tuple) else (value,)
    return tuple("true" if one is True else "false" if one is False else str(one) for one in values)


def _of_period(
    funnel: Funnel, plan: FunnelPlan, asked: FunnelsActorsQuery, *, limit: int, offset: int, path: str
) -> FunnelActorsPlan:
    start, drops = asked.funnel_trends_entrance_period_start, asked.funnel_trends_drop_off
    if start is None:
        raise InvalidQuery(
            "The parameter must be provided for funnel trends.", path=f"{path}.funnelTrendsEntrancePeriodStart"
        )
    if drops is None:
        raise InvalidQuery("The parameter must be provided for funnel trends.", path=f"{path}.funnelTrendsDropOff")
    axis = dates.buckets(funnel.bounds)
    place = dates.bucket_of(start, axis, funnel.bounds, path=f"{path}.funnelTrendsEntrancePeriodStart")
    return FunnelActorsPlan(
        plan,
        funnel.from_step if drops else funnel.to_step,
        funnel.to_step if drops else None,
        edges=axis.edges[place : place + 2],
        limit=limit,
        offset=offset,
        **_value(funnel, asked),
    )
