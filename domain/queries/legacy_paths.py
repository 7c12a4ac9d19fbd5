"""Single own events that legacy paths include, which a PathsQuery has no list for.

They become a filter on the names of events. Source: PostHog's path filter of 2023.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import InvalidQuery
from .path_nodes import MAX_EDGES

_ALL_OF_A_KIND = frozenset({"custom_event", "hogql"})


def with_defaults(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return a PathsQuery in JSON with what legacy filters mean: between two points every edge is shown."""
    asked = query.get("pathsFilter") or {}
    if not (asked.get("startPoint") and asked.get("endPoint")) or "edgeLimit" in asked:
        return dict(query)
    return {**query, "pathsFilter": {**asked, "edgeLimit": MAX_EDGES}}


def with_single_events(section: Mapping[str, Any], properties: Any, names: Any) -> dict[str, Any]:
    """Return `pathsFilter` and `properties` with which paths consist of the included types and the named events.

    Raises InvalidQuery when all own events are included too, or one of them is no list of texts.
    """
    types = section.get("includeEventTypes") or []
    for given, path in ((names, "include_custom_events"), (types, "include_event_types")):
        if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
            raise InvalidQuery("This is a list of event names.", path=path)
    if _ALL_OF_A_KIND & set(types):
        raise InvalidQuery("Include all own events or a list of them, not both.", path="include_custom_events")
    named = {"key": "event", "type": "event_metadata", "operator": "exact", "value": [*types, *names]}
    groups = [{"type": "AND", "values": [named]}, *([properties] if properties else [])]
    return {
        "pathsFilter": {name: value for name, value in section.items() if name != "includeEventTypes"} or None,
        "properties": {"type": "AND", "values": groups},
    }
