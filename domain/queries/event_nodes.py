"""The query node of lists of events. Source: PostHog query schema, EventsQuery."""

from __future__ import annotations

from typing import Any, Literal

from attrs import frozen

from .actor_nodes import InsightActorsQuery
from .nodes import Properties, PropertiesAndGroups, PropertyFilter, in_json
from .scope import TextMatching


@frozen
class EventsQueryActionStep:
    """One way to do an action that is not stored."""

    event: str | None = None
    properties: tuple[PropertyFilter, ...] | None = None
    url: str | None = None
    url_matching: TextMatching | None = None
    selector: str | None = None
    tag_name: str | None = None
    text: str | None = None
    text_matching: TextMatching | None = None
    href: str | None = None
    href_matching: TextMatching | None = None


@frozen
class EventsQuery:
    """Expressions over single events, newest first, or over groups of them."""

    kind: Literal["EventsQuery"]
    select: tuple[str, ...]
    where: tuple[str, ...] | None = None
    properties: Properties | None = None
    fixed_properties: PropertiesAndGroups | None = in_json("fixedProperties")
    filter_test_accounts: bool | None = None
    event: str | None = None
    events: tuple[str, ...] | None = None
    """More names, of which an event has one."""
    action_id: int | None = in_json("actionId")
    action_steps: tuple[EventsQueryActionStep, ...] | None = in_json("actionSteps")
    """Read when there is no `action_id`."""
    person_id: str | None = in_json("personId")
    before: str | None = None
    after: str | None = None
    order_by: tuple[str, ...] | None = in_json("orderBy")
    limit: int | None = None
    offset: int | None = None
    source: InsightActorsQuery | None = None
    """Only the events behind this number of a trend."""
    modifiers: Any = None
    tags: Any = None
    version: Any = None
    response: Any = None
