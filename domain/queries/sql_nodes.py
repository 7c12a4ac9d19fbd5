"""Query nodes over rows: HogQLQuery and EventsQuery. Source: PostHog query schema, nodes of these names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from attrs import frozen

from .nodes import DateRange, Properties, PropertiesAndGroups, in_json


@frozen
class HogQLFilters:
    """What the placeholder `{filters}` stands for."""

    date_range: DateRange | None = None
    properties: Properties | None = None
    filter_test_accounts: bool | None = None


@frozen
class HogQLQuery:
    """A SELECT in HogQL."""

    kind: Literal["HogQLQuery"]
    query: str
    filters: HogQLFilters | None = None
    variables: Mapping[str, Any] | None = None
    """Id -> `{variableId, code_name, value, isNull}`."""
    values: Mapping[str, Any] | None = None
    """Placeholder -> value."""
    modifiers: Any = None
    name: Any = None
    explain: Any = None
    tags: Any = None
    version: Any = None
    response: Any = None


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
    source: Any = None
    modifiers: Any = None
    tags: Any = None
    version: Any = None
    response: Any = None
