"""Correlation: which events or properties go with converting in a funnel, and which with not converting.

Source: PostHog's funnel correlation query runner and its documentation (queries.md 7).
"""

from __future__ import annotations

from typing import Any

from attrs import evolve, frozen

from ..elements import elements_of
from ..errors import InvalidQuery, UnsupportedQuery
from . import funnels
from .actions import series_condition
from .funnel_actors import steps_of
from .funnel_nodes import FunnelCorrelationActorsQuery, FunnelCorrelationQuery
from .funnels import Funnel
from .nodes import ActionsNode, PropertyFilter
from .properties import text_of
from .resolution import Setting
from .scope import Scope
from .sequence_plans import Correlated, CorrelationActorsPlan, CorrelationPlan, EventTest

PRIOR = 1
MAX_ROWS = 10
"""Of either side."""
MIN_ACTORS = 25
MIN_SHARE = 0.02
MAX_SKEW = 10
MIN_ACTORS_WITH_PROPERTY = 3
AUTOCAPTURE = "$autocapture"
CHAIN_SEPARATOR = "__~~__"
"""Between an event type and a chain of elements."""


@frozen
class Correlation:
    """A resolved FunnelCorrelationQuery; without steps there is nothing to ask."""

    funnel: Funnel
    plan: CorrelationPlan | None


def resolve(query: FunnelCorrelationQuery, setting: Setting, *, path: str = "query") -> Correlation:
    """Return what to compute. Raises InvalidQuery with the path of a list of names that is missing."""
    if query.funnel_correlation_type == "event_with_properties" and not query.event_names:
        raise InvalidQuery(
            "Event Property Correlation expects atleast one event name to run correlation on",
            path=f"{path}.funnelCorrelationEventNames",
        )
    if query.funnel_correlation_type == "properties" and not query.names:
        raise InvalidQuery(
            "Property Correlation expects atleast one Property to run correlation on",
            path=f"{path}.funnelCorrelationNames",
        )
    return _resolved(query, setting, path)


def _resolved(query: FunnelCorrelationQuery, setting: Setting, path: str) -> Correlation:
    if query.source.funnel_step_breakdown is not None:
        raise UnsupportedQuery(
            "A correlation is of everybody in the funnel.", path=f"{path}.source.funnelStepBreakdown"
        )
    # Everybody is compared once, whatever their breakdown value.
    asked = evolve(query.source.source, breakdown_filter=None)
    funnel = funnels.resolve(asked, setting.by_person, path=f"{path}.source.source")
    if not funnel.n_steps:
        return Correlation(funnel, None)
    names, steps = query.names or (), _step_events(funnel, setting.scope)
    took, missed = steps_of(query.source.funnel_step or 1, funnel, path=f"{path}.source.funnelStep")
    plan = CorrelationPlan(
        funnel.plans[0][1], "events", took, missed,
        group_type_index=funnel.query.aggregation_group_type_index, skipped_events=tuple(dict.fromkeys(steps)),
    )  # fmt: skip
    match query.funnel_correlation_type:
        case "properties":
            wanted = None if "$all" in names else names
            plan = evolve(plan, kind="actor_properties", names=wanted, skipped_names=query.exclude_names or ())
        case "event_with_properties":
            plan = evolve(
                plan, kind="event_properties", events=query.event_names or (),
                skipped_names=query.event_exclude_property_names or (), min_actors=MIN_ACTORS_WITH_PROPERTY,
            )  # fmt: skip
        case _:
            plan = evolve(plan, skipped_events=(*plan.skipped_events, *(query.exclude_event_names or ())))
    return Correlation(funnel, plan)


def results(found: Correlated | None) -> dict[str, Any]:
    """Return the strongest items of either side, and whether there are far more actors on one side."""
    if found is None:
        return {"events": [], "skewed": False}
    won, lost = found.n_converted, found.n_others
    if not won or not lost:
        return {"events": [], "skewed": True}
    least = min(MIN_ACTORS, MIN_SHARE * (won + lost))
    scored = [
        (odds_ratio(success, failure, won, lost), item, success, failure)
        for item, success, failure in found.rows
        if success + failure >= least
    ]
    up = sorted((row for row in scored if row[0] > 1), key=lambda row: (-row[0], -row[2] - row[3], row[1]))
    down = sorted((row for row in scored if row[0] <= 1), key=lambda row: (row[0], -row[2] - row[3], row[1]))
    return {
        "events": [_shown(*row) for row in (*up[:MAX_ROWS], *down[:MAX_ROWS])],
        "skewed": won / lost > MAX_SKEW or lost / won > MAX_SKEW,
    }


def odds_ratio(success: int, failure: int, won: int, lost: int) -> float:
    """Return how much more likely those with the item converted: above 1 it goes with converting."""
    return ((success + PRIOR) * (lost - failure + PRIOR)) / ((won - success + PRIOR) * (failure + PRIOR))


def actors_plan(
    query: FunnelCorrelationActorsQuery, setting: Setting, *, limit: int, offset: int, path: str
) -> CorrelationActorsPlan:
    """Return whom a row of the correlation counts. Raises InvalidQuery with the path of the row that is not named."""
    if query.source.funnel_correlation_type == "properties":
        if not query.property_values:
            raise InvalidQuery(
                "Property Correlation expects atleast one Property to get persons for",
                path=f"{path}.funnelCorrelationPropertyValues",
            )
    elif query.person_entity is None:
        raise InvalidQuery("No entity for persons specified", path=f"{path}.funnelCorrelationPersonEntity")
    found = _resolved(query.source, setting, f"{path}.source")
    if found.plan is None:
        raise InvalidQuery("The funnel has no steps.", path=f"{path}.source.source.source.series")
    test = None
    if query.person_entity is not None:
        where = f"{path}.funnelCorrelationPersonEntity"
        test = EventTest(*series_condition(query.person_entity, setting.scope, where))
    values = query.property_values
    if values is not None and not isinstance(values, tuple):
        raise UnsupportedQuery("A list of properties is expected.", path=f"{path}.funnelCorrelationPropertyValues")
    return CorrelationActorsPlan(
        found.plan.funnel,
        query.person_converted,
        found.plan.took,
        found.plan.missed,
        found.plan.group_type_index,
        test,
        tuple(
            _wanted(leaf, f"{path}.funnelCorrelationPropertyValues[{place}]") for place, leaf in enumerate(values or ())
        ),
        is_of_own_names=found.plan.kind == "actor_properties" and found.plan.names is None,
        limit=limit,
        offset=offset,
    )


def _wanted(leaf: PropertyFilter, path: str) -> tuple[str, tuple[str, ...]]:
    if leaf.operator not in (None, "exact", "in"):
        raise UnsupportedQuery("Only the operator 'exact' is supported here.", path=f"{path}.operator")
    values = leaf.value if isinstance(leaf.value, list | tuple) else [leaf.value]
    return str(leaf.key), tuple("" if value is None else text_of(value) for value in values)


def _step_events(funnel: Funnel, scope: Scope) -> list[str]:
    """Return the names of the events that the steps are made of."""
    names: list[str | None] = []
    for node in funnel.query.series:
        if isinstance(node, ActionsNode):
            action = scope.actions.get(node.id)
            names += [step.event for step in action.steps] if action else []
        else:
            names.append(node.event)
    return [name for name in names if name is not None]


def _shown(odds: float, item: tuple[str, ...], success: int, failure: int) -> dict[str, Any]:
    event: dict[str, Any] = {"event": "::".join(item), "properties": {}, "elements": []}
    if len(item) == 3 and item[0] == AUTOCAPTURE and item[1] == "elements_chain":
        kind, _, chain = item[2].partition(CHAIN_SEPARATOR)
        event |= {"properties": {"$event_type": kind}, "elements": elements_of(chain)}
    return {
        "event": event,
        "success_count": success,
        "failure_count": failure,
        "odds_ratio": odds,
        "correlation_type": "success" if odds > 1 else "failure",
    }
