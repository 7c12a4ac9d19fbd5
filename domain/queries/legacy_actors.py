"""The persons endpoints of trends, stickiness and lifecycle: their filters as queries, and addresses that lead there.

Source: PostHog's endpoints `persons/trends/`, `persons/stickiness/` and `persons/lifecycle/` of 2023 (queries.md 10.2),
and the fields `persons_urls` and `persons` of the results of that time (5.9).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

from ..errors import InvalidQuery
from .legacy import filters_to_query
from .legacy_values import decoded, whole
from .lifecycle import Lifecycle
from .nodes import EventsNode
from .stickiness import Stickiness
from .trend_plan import CountActive
from .trends import Period, Series, Trend

_SECOND = timedelta(seconds=1)
_SELECTORS = frozenset(
    {"entity_id", "entity_type", "entity_math", "entity_order", "breakdown_value", "stickiness_days", "target_date",
     "lifecycle_type", "events", "actions", "compare", "compare_to", "formula", "smoothing_intervals", "shown_as",
     "insight", "limit", "offset", "search", "include_recordings", "cache_invalidation_key"}
)  # fmt: skip


def trends_actors(filters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the InsightActorsQuery of everyone behind a series between `date_from` and `date_to`."""
    source = _source(filters, "TRENDS")
    return source | _breakdown(filters)


def stickiness_actors(filters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the InsightActorsQuery of whoever was active in `stickiness_days` intervals. Raises InvalidQuery."""
    days = whole(filters.get("stickiness_days"), "stickiness_days")
    if days is None:
        raise InvalidQuery("This must be a number of intervals.", path="stickiness_days", code="required")
    return _source(filters, "STICKINESS") | {"day": days}


def lifecycle_actors(filters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the InsightActorsQuery of whoever was `lifecycle_type` on `target_date`. Raises InvalidQuery."""
    for name in ("target_date", "lifecycle_type"):
        if not filters.get(name):
            raise InvalidQuery("Missing parameter.", path=name, code="required")
    return _source(filters, "LIFECYCLE") | {"day": filters["target_date"], "status": filters["lifecycle_type"]}


ACTORS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "trends": trends_actors,
    "stickiness": stickiness_actors,
    "lifecycle": lifecycle_actors,
}
"""One line per endpoint."""


def trend_addresses(
    trend: Trend, period: Period, series: Series, breakdown_value: Any, filters: Mapping[str, Any], root: str
) -> dict[str, Any]:
    """Return `persons_urls`, one per bucket, or `persons` of a total value; `root` is what addresses start with."""
    kind = filters.get("breakdown_type") or "event"
    value = {} if breakdown_value is None else {"breakdown_value": breakdown_value, "breakdown_type": kind}
    chosen = _entity_of(series) | value
    if trend.is_total_value:
        since, until = period.bounds.from_instant, period.bounds.to_instant
        return {"persons": _address(root, "trends", filters, chosen, since, until)}
    plan = period.plans[trend.series.index(series)]
    counts_from = plan.count_from
    edges, found = period.buckets.edges, []
    for start, end in pairwise(edges):
        # An active user's window is worked out from the bucket; what others count begins where the query does.
        since = start if isinstance(plan.counting, CountActive) else max(start, counts_from)
        since = counts_from if trend.is_cumulative and not isinstance(plan.counting, CountActive) else since
        until = min(end - _SECOND, period.bounds.to_instant)
        found.append(_address(root, "trends", filters, chosen, since.astimezone(period.bounds.zone), until))
    return {"persons_urls": found}


def stickiness_addresses(sticky: Stickiness, place: int, filters: Mapping[str, Any], root: str) -> dict[str, Any]:
    """Return `persons_urls` of a series, one per number of intervals, of the period asked for."""
    order, node, _ = sticky.series[place]
    chosen = {"entity_order": order, "entity_id": node.event if isinstance(node, EventsNode) else node.id}
    days = range(1, sticky.periods[0].n_intervals + 1)
    return {"persons_urls": [_address(root, "stickiness", filters, chosen | {"stickiness_days": day}) for day in days]}


def lifecycle_addresses(cycle: Lifecycle, status: str, filters: Mapping[str, Any], root: str) -> dict[str, Any]:
    """Return `persons_urls` of a status, one per bucket."""
    return {
        "persons_urls": [
            _address(root, "lifecycle", filters, {"lifecycle_type": status, "target_date": start.isoformat()})
            for start in cycle.buckets.starts
        ]
    }


def _entity_of(series: Series) -> dict[str, Any]:
    node = series.node
    is_event = isinstance(node, EventsNode)
    return {
        "entity_id": node.event if isinstance(node, EventsNode) else node.id,
        "entity_type": "events" if is_event else "actions",
        "entity_math": node.math,
        "entity_order": series.order,
    }


def _address(
    root: str, kind: str, filters: Mapping[str, Any], chosen: Mapping[str, Any], since: Any = None, until: Any = None
) -> dict[str, Any]:
    asked = {**filters, **chosen}
    if since is not None:
        asked |= {"date_from": since.isoformat(), "date_to": until.astimezone(since.tzinfo).isoformat()}
        asked |= {"explicit_date": True, "compare": False}
    texts = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in asked.items()
        if value is not None
    }
    return {"filter": {**chosen, **{name: asked.get(name) for name in ("date_from", "date_to")}},
            "url": f"{root}persons/{kind}/?{urlencode(texts)}"}  # fmt: skip


def _source(filters: Mapping[str, Any], insight: str) -> dict[str, Any]:
    plain = {name: value for name, value in filters.items() if name not in _SELECTORS}
    entity = _entity(filters)
    listed = "actions" if entity.get("type") == "actions" else "events"
    query = filters_to_query(plain | {"insight": insight, listed: [entity]})
    return {"kind": "InsightActorsQuery", "source": query, "series": 0}


def _entity(filters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entity that is asked for: the one of the filters that fits best, else a bare one."""
    asked = {name: filters.get(f"entity_{name}") for name in ("id", "type", "math", "order")}
    listed = [
        {"type": kind, "order": place, **entity}
        for kind in ("events", "actions")
        for place, entity in enumerate(decoded(filters.get(kind)) or ())
        if isinstance(entity, Mapping)
    ]
    fitting = [
        entity for entity in listed
        if all(value is None or str(entity.get(name)) == str(value) for name, value in asked.items() if name != "math")
    ]  # fmt: skip
    if not fitting and asked["id"] is None and asked["type"] is None:
        raise InvalidQuery("This must name an event or action.", path="entity_id", code="required")
    entity = dict(fitting[0]) if fitting else {"id": asked["id"], "type": asked["type"] or "events"}
    return entity | ({} if asked["math"] is None else {"math": asked["math"]})


def _breakdown(filters: Mapping[str, Any]) -> dict[str, Any]:
    if "breakdown_value" not in filters:
        return {}
    value = filters["breakdown_value"]
    # The value of a bin is a text that looks like a list; only several breakdowns have lists of values.
    return {"breakdown": decoded(value) if filters.get("breakdowns") else value}
