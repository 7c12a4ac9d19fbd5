"""The persons endpoints of funnels, correlation, retention and paths: their filters as queries of actors.

Source: the endpoints `persons/funnel/`, `persons/funnel/correlation/`, `persons/path/` and `persons/retention/` of
2023 (queries.md 10.2).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from ..numbers import whole_number
from . import legacy_retention
from .legacy import entity_to_node, filters_to_query
from .legacy_correlation import correlation_to_query
from .legacy_values import decoded, flag, given

_PATH_KEYS = {"path_start_key": "pathStartKey", "path_end_key": "pathEndKey", "path_dropoff_key": "pathDropoffKey"}


def funnel_actors(filters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the FunnelsActorsQuery of a step, or of whoever began in a period of a funnel trend."""
    source = filters_to_query({**filters, "insight": "FUNNELS"})
    if filters.get("entrance_period_start") is not None:
        source.setdefault("funnelsFilter", {})["funnelVizType"] = "trends"
    return given(
        {
            "kind": "FunnelsActorsQuery",
            "source": source,
            "funnelStep": _number(filters.get("funnel_step")),
            "funnelCustomSteps": decoded(filters.get("funnel_custom_steps")),
            "funnelStepBreakdown": decoded(filters.get("funnel_step_breakdown")),
            "funnelTrendsEntrancePeriodStart": filters.get("entrance_period_start"),
            "funnelTrendsDropOff": flag(filters.get("drop_off")),
        }
    )


def correlation_actors(filters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the FunnelCorrelationActorsQuery of one row."""
    filters = {name: decoded(value) for name, value in filters.items()}
    entity = filters.get("funnel_correlation_person_entity")
    return given(
        {
            "kind": "FunnelCorrelationActorsQuery",
            "source": correlation_to_query(filters),
            "funnelCorrelationPersonConverted": flag(filters.get("funnel_correlation_person_converted")),
            "funnelCorrelationPersonEntity": entity_to_node(entity) if isinstance(entity, Mapping) else None,
            "funnelCorrelationPropertyValues": filters.get("funnel_correlation_property_values"),
        }
    )


def path_actors(filters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the InsightActorsQuery of whoever went along an edge, through a step, or left there."""
    query = filters_to_query({**filters, "insight": "PATHS"})
    keys = {name: filters[key] for key, name in _PATH_KEYS.items() if filters.get(key)}
    query["pathsFilter"] = {**query.get("pathsFilter", {}), **keys}
    return {"kind": "InsightActorsQuery", "source": query}


def retention_actors(filters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the InsightActorsQuery of whoever entered in the row `selected_interval`, the first without it."""
    query = legacy_retention.with_defaults(filters_to_query({**filters, "insight": "RETENTION"}))
    return {"kind": "InsightActorsQuery", "source": query, "interval": _number(filters.get("selected_interval") or 0)}


SEQUENCE_ACTORS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "funnel": funnel_actors,
    "funnel/correlation": correlation_actors,
    "path": path_actors,
    "retention": retention_actors,
}
"""One line per endpoint."""


def funnel_addresses(step: Mapping[str, Any], filters: Mapping[str, Any], root: str) -> dict[str, str | None]:
    """Return where the persons of a step object are found; `root` is what addresses start with."""
    asked, place = dict(filters), step["order"] + 1
    if "breakdown_value" in step:
        asked["funnel_step_breakdown"] = step["breakdown_value"]
    dropped = _address(root, "funnel", asked | {"funnel_step": -place}) if place > 1 else None
    return {
        "converted_people_url": _address(root, "funnel", asked | {"funnel_step": place}),
        "dropped_people_url": dropped,
    }


def _address(root: str, kind: str, filters: Mapping[str, Any]) -> str:
    texts = {name: one if isinstance(one, str) else json.dumps(one) for name, one in filters.items() if one is not None}
    return f"{root}{kind}/?{urlencode(texts)}"


def _number(value: Any) -> Any:
    """Return the number of a text that is one; others are for whoever reads the query to refuse."""
    number = whole_number(value) if isinstance(value, str) else None
    return value if number is None else number
