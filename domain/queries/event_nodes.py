"""The query node of lists of events. Source: PostHog query schema, EventsQuery."""

from __future__ import annotations

from typing import Any, Literal

from attrs import frozen

from .actor_nodes import InsightActorsQuery
from .nodes import Properties, PropertiesAndGroups, in_json


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
    action_id: int | None = in_json("actionId")
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
