"""By what insights are found: their kind, the words in their texts, and the terms that their queries use. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ...domain.insight import Insight

SOURCE_KINDS = {
    "TrendsQuery": "TRENDS",
    "FunnelsQuery": "FUNNELS",
    "RetentionQuery": "RETENTION",
    "PathsQuery": "PATHS",
    "StickinessQuery": "STICKINESS",
    "LifecycleQuery": "LIFECYCLE",
}
_FLAG = re.compile(r"\$feature/([^\s\"'`,;)\]}]+)")
_TERM_LENGTH = 400

Term = tuple[str, str]
"""What sort of term it is (`tag`, `event`, `flag`), and the term."""


def insight_kind(query: Any, filters: Any) -> str | None:
    """Return what the list's parameter `insight` compares with (insights-api.md 3.1).

    >>> insight_kind({"kind": "InsightVizNode", "source": {"kind": "FunnelsQuery"}}, {}), insight_kind(None, {})
    ('FUNNELS', None)
    """
    if query:
        source = query.get("source") if isinstance(query, dict) else None
        source_kind = source.get("kind") if isinstance(source, dict) else None
        if query.get("kind") == "InsightVizNode" and source_kind in SOURCE_KINDS:
            return SOURCE_KINDS[source_kind]
        return "SQL" if source_kind == "HogQLQuery" else "JSON"
    kind = filters.get("insight") if isinstance(filters, dict) else None
    return kind if isinstance(kind, str) else None


def folded_texts(insight: Insight) -> dict[str, str]:
    """Return the texts that a search looks at, without differences of case; tags one on each line."""
    return {
        "name": (insight.name or "").casefold(),
        "derived_name": (insight.derived_name or "").casefold(),
        "description": (insight.description or "").casefold(),
        "tags": "\n".join(insight.tags).casefold(),
    }


def terms_of(insight: Insight) -> set[Term]:
    """Return the tags, the events that the definition uses, and the feature flags that it mentions."""
    found = {("tag", tag) for tag in insight.tags}
    for definition in (insight.query, insight.filters):
        found.update(_terms(definition))
    return {(sort, term[:_TERM_LENGTH]) for sort, term in found}


def _terms(value: Any) -> Iterator[Term]:
    """Give the events and flags anywhere in a query or in legacy filters."""
    if isinstance(value, str):
        if "$feature/" in value:
            for flag in _FLAG.findall(value):
                yield "flag", flag
    elif isinstance(value, list):
        for item in value:
            yield from _terms(item)
    elif isinstance(value, dict):
        if value.get("kind") == "EventsNode" and isinstance(value.get("event"), str):
            yield "event", value["event"]
        entities = value.get("events")
        for entity in entities if isinstance(entities, list) else ():
            if isinstance(entity, dict) and isinstance(entity.get("id"), str):
                yield "event", entity["id"]
        for item in value.values():
            yield from _terms(item)
