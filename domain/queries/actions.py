"""Series: which events a series node means, and what an action's steps match.

Source: PostHog actions (steps, url, text and href matching); see also `domain.queries.scope`.
"""

from __future__ import annotations

from attrs import evolve

from ..errors import InvalidQuery
from .legacy_properties import clean_leaves
from .nodes import EventsNode, PropertyFilter, SeriesNode
from .plan import (
    AllOf,
    Condition,
    ElementTest,
    EventColumn,
    EventProperty,
    PropertyTest,
    TestOperator,
)
from .properties import all_of, any_of, check_selectors, condition
from .scope import ActionMeaning, ActionStep, Scope

AUTOCAPTURE = "$autocapture"
_CURRENT_URL = EventProperty("$current_url")


def is_known(node: SeriesNode, scope: Scope) -> bool:
    """Whether the series can be computed: its action exists, or it names an event."""
    return isinstance(node, EventsNode) or node.id in scope.actions


def series_condition(node: SeriesNode, scope: Scope, path: str) -> tuple[str | None, Condition]:
    """Return the event that every match has (None: any) and what else a match fulfils, with the node's own properties.

    `path` names the node, as in `query.series[0]`. Raises InvalidQuery without a path for an action that does not
    exist, InvalidQuery and UnsupportedQuery for its properties.
    """
    own = all_of(
        [
            condition(node.properties, path=f"{path}.properties", scope=scope),
            condition(node.fixed_properties, path=f"{path}.fixedProperties", scope=scope),
        ]
    )
    if isinstance(node, EventsNode):
        return node.event, own
    if node.id not in scope.actions:
        raise InvalidQuery(f"Action ID {node.id} does not exist!")
    event, matches = action_condition(scope.actions[node.id], scope)
    return event, all_of([matches, own])


def entity_condition(node: SeriesNode, scope: Scope, path: str) -> tuple[str | None, Condition]:
    """Return the same without the node's own properties: what makes an event one of the series at all."""
    return series_condition(evolve(node, properties=None, fixed_properties=None), scope, path)


def action_condition(action: ActionMeaning, scope: Scope, *, path: str | None = None) -> tuple[str | None, Condition]:
    """Return the event that all steps of the action share (None: they differ), and which events belong to it.

    `path` names the steps, for errors; by default they are called after the action.
    """
    path = f"action {action.id} steps" if path is None else path
    events = {step.event for step in action.steps}
    shared = events.pop() if len(events) == 1 else None
    steps = [
        _step_condition(step, scope, f"{path}[{place}]", names_event=shared is None)
        for place, step in enumerate(action.steps)
    ]
    return shared, any_of(steps) if steps else AllOf()


def belonging(action: ActionMeaning, scope: Scope, *, path: str | None = None) -> Condition:
    """Return which events belong to the action, their names included."""
    event, matches = action_condition(action, scope, path=path)
    return matches if event is None else all_of([named(event), matches])


def named(*events: str) -> Condition:
    """Return the condition of having one of the names."""
    return PropertyTest(EventColumn("event"), "exact", events)


def _step_condition(step: ActionStep, scope: Scope, path: str, *, names_event: bool) -> Condition:
    parts: list[Condition] = []
    if step.event is not None and names_event:
        parts.append(named(step.event))
    if step.url:
        parts.append(PropertyTest(_CURRENT_URL, _URL_OPERATORS[step.url_matching], (step.url,)))
    elements = () if step.event not in (None, AUTOCAPTURE) else (
        ("selector", step.selector, "exact"),
        ("tag_name", step.tag_name, "exact"),
        ("text", step.text, _ELEMENT_OPERATORS[step.text_matching]),
        ("href", step.href, _ELEMENT_OPERATORS[step.href_matching]),
    )  # fmt: skip
    check_selectors([step.selector] if elements and step.selector else [], f"{path}.selector")
    for key, value, operator in elements:
        if value:
            parts.append(ElementTest(key, operator, (value,)))  # type: ignore[arg-type]
    filters = tuple(
        PropertyFilter(**{name: one.get(name) for name in ("key", "value", "operator", "type", "group_type_index")})
        for one in clean_leaves(list(step.properties))
    )
    parts.append(condition(filters, path=f"{path}.properties", scope=scope))
    return all_of(parts)


_URL_OPERATORS: dict[str, TestOperator] = {"contains": "contains", "exact": "exact", "regex": "regex"}
_ELEMENT_OPERATORS: dict[str, TestOperator] = {"contains": "icontains", "exact": "exact", "regex": "regex"}
