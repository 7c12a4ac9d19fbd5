"""Legacy filters of a correlation as a query node in JSON (insights-api.md 3.13)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .legacy import filters_to_query

_NAMES = {
    "funnel_correlation_type": "funnelCorrelationType",
    "funnel_correlation_names": "funnelCorrelationNames",
    "funnel_correlation_exclude_names": "funnelCorrelationExcludeNames",
    "funnel_correlation_event_names": "funnelCorrelationEventNames",
    "funnel_correlation_event_exclude_property_names": "funnelCorrelationEventExcludePropertyNames",
    "funnel_correlation_exclude_event_names": "funnelCorrelationExcludeEventNames",
}


def correlation_to_query(filters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the FunnelCorrelationQuery that funnel filters and `funnel_correlation_...` mean."""
    funnel = filters_to_query({**filters, "insight": "FUNNELS"})
    asked = {name: filters[key] for key, name in _NAMES.items() if filters.get(key) is not None}
    source = {"kind": "FunnelsActorsQuery", "source": funnel}
    return {"kind": "FunnelCorrelationQuery", "source": source, **asked}
