"""The query that an insight asks, and nodes that stand for the query of an insight."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..domain.errors import InvalidQuery, NotFound
from ..domain.insight import Insight
from ..domain.queries.legacy import filters_to_query


def query_of(insight: Insight) -> Mapping[str, Any] | None:
    """Return the query of an insight, converted where it is kept as legacy filters; None without one that can be."""
    if insight.query:
        return insight.query if isinstance(insight.query, Mapping) else None
    try:
        return filters_to_query(insight.filters)
    except InvalidQuery:
        return None


def stood_for(query: Any, get: Callable[[str], Insight]) -> tuple[Any, int | None]:
    """Return what a `SavedInsightNode` stands for, with the insight's id; any other query as it is, and None.

    `get` finds an insight by its short id. Raises `InvalidQuery` for one that is unknown or has no query of its own.
    """
    if not isinstance(query, Mapping) or query.get("kind") != "SavedInsightNode":
        return query, None
    short_id = query.get("shortId")
    if not isinstance(short_id, str) or not short_id:
        raise InvalidQuery("The short id of an insight is expected.", path="query.shortId")
    try:
        insight = get(short_id)
    except NotFound as error:
        raise InvalidQuery(f"There is no insight {short_id!r}.", path="query.shortId") from error
    found = query_of(insight)
    if found is None or found.get("kind") == "SavedInsightNode":
        raise InvalidQuery(f"The insight {short_id!r} has no query of its own.", path="query.shortId")
    return found, insight.id
