"""Query nodes that ask for the actors behind a number. Meaning: `application.actors` and the modules of each insight.

Source: PostHog query schema, nodes ActorsQuery and InsightActorsQuery.
"""

from __future__ import annotations

from typing import Any, Literal

from attrs import frozen

from .funnel_nodes import FunnelCorrelationActorsQuery, FunnelsActorsQuery, FunnelsQuery
from .nodes import LifecycleQuery, Properties, StickinessQuery, TrendsQuery, in_json
from .path_nodes import PathsQuery
from .retention_nodes import RetentionQuery
from .sql_nodes import HogQLQuery

InsightQuery = TrendsQuery | FunnelsQuery | RetentionQuery | PathsQuery | StickinessQuery | LifecycleQuery
CompareChoice = Literal["current", "previous"]


@frozen
class InsightActorsQuery:
    """Who is behind one number of an insight; which fields choose the number depends on its kind."""

    kind: Literal["InsightActorsQuery", "StickinessActorsQuery"]
    source: InsightQuery
    day: str | int | None = None
    series: int | None = None
    interval: int | None = None
    breakdown: str | int | float | tuple[str | int | float, ...] | None = None
    compare: CompareChoice | None = None
    status: Literal["new", "returning", "resurrecting", "dormant"] | None = None
    operator: Literal["gte", "lte", "exact"] | None = None
    include_recordings: bool | None = in_json("includeRecordings")
    tags: Any = None
    version: Any = None
    modifiers: Any = None
    response: Any = None


ActorsSource = InsightActorsQuery | FunnelsActorsQuery | FunnelCorrelationActorsQuery
PersonsSource = ActorsSource | HogQLQuery


@frozen
class ActorsQuery:
    """A page of actors, one row of selected columns each."""

    kind: Literal["ActorsQuery"]
    source: PersonsSource | None = None
    """None: all persons. A HogQLQuery gives their uuids as `id`, `person_id` or `actor_id`, or in its first column."""
    select: tuple[str, ...] | None = None
    search: str | None = None
    properties: Properties | None = None
    fixed_properties: Properties | None = in_json("fixedProperties")
    order_by: tuple[str, ...] | None = in_json("orderBy")
    limit: int | None = None
    offset: int | None = None
    tags: Any = None
    version: Any = None
    modifiers: Any = None
    response: Any = None


@frozen
class InsightActorsQueryOptions:
    """What the actors of an insight can be chosen by."""

    kind: Literal["InsightActorsQueryOptions"]
    source: ActorsSource
    tags: Any = None
    version: Any = None
    modifiers: Any = None
    response: Any = None
