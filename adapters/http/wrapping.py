"""Queries as agents send them: bare ones are wrapped as insights hold them (insights-api.md 2.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import falcon
from attrs import evolve

from ...domain.errors import InvalidInput
from ...domain.insight_commands import UNSET, Definition

CLIENT_HEADER = "X-PostHog-Client"
AGENT = "mcp"
_AS_THEY_ARE = frozenset({"InsightVizNode", "DataVisualizationNode"})
_WRAPPED_IN: Mapping[str, str] = {
    "HogQLQuery": "DataVisualizationNode",
    **dict.fromkeys(
        ("TrendsQuery", "FunnelsQuery", "RetentionQuery", "PathsQuery", "StickinessQuery", "LifecycleQuery"),
        "InsightVizNode",
    ),
}


def wrapped(req: falcon.Request, definition: Definition, *, is_new: bool = False) -> Definition:
    """Return a definition whose query an agent sent as an insight holds it; what others send stays as it is.

    Raises `InvalidInput` for a new insight of an agent without a query, and for kinds that are no insights.
    """
    if (req.get_header(CLIENT_HEADER) or "").lower() != AGENT:
        return definition
    query: Any = definition.query
    if is_new and query is UNSET:
        raise InvalidInput("This field is required.", path="query", code="required")
    if is_new and query is None:
        raise InvalidInput("This field may not be null.", path="query", code="null")
    if query is UNSET or query is None:
        return definition
    kind = query.get("kind")
    if kind in _AS_THEY_ARE:
        return definition
    if kind not in _WRAPPED_IN:
        raise InvalidInput(f"This query can't be saved: kind: {kind!r} is that of no insight", path="query")
    return evolve(definition, query={"kind": _WRAPPED_IN[kind], "source": query})
