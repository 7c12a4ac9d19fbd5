"""Overrides: the filters and variables of a dashboard, or of a request, laid over a query in JSON.

Pure functions from values to values; nothing that is passed in is changed. What a result means is not known here.
Source: the rules for dashboard context in PostHog's Insights API (insights-api.md 4.7).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import InvalidQuery
from .legacy_properties import clean_properties

_WRAPPERS = frozenset({"InsightVizNode", "DataVisualizationNode", "DataTableNode"})
_WITH_BREAKDOWN = frozenset({"TrendsQuery", "FunnelsQuery", "RetentionQuery"})
_WITH_INTERVAL = frozenset({"TrendsQuery", "FunnelsQuery", "StickinessQuery", "LifecycleQuery"})
_WITH_DATE_RANGE = _WITH_BREAKDOWN | _WITH_INTERVAL | {"PathsQuery", "CalendarHeatmapQuery"}


def apply_filters(query: Any, filters: Mapping[str, Any] | None) -> Any:
    """Return the query as a dashboard with these filters shows it; what cannot take a filter stays as it is.

    If either date is set, both ends of the query's range are replaced, a missing one by null. Properties are AND-ed
    with the query's own. `breakdown_filter`, `interval` and `filterTestAccounts` replace. Wrapping nodes are kept.
    """
    if not isinstance(query, Mapping) or not filters:
        return query
    kind = str(query.get("kind"))
    if kind in _WRAPPERS:
        return {**query, "source": apply_filters(query.get("source"), filters)}
    lay = _LAID.get(kind)
    return query if lay is None else lay(query, filters)


def apply_variables(query: Any, variables: Mapping[str, Any] | None) -> Any:
    """Return an SQL query with the values of its variables replaced; variables that it does not name are ignored."""
    if not isinstance(query, Mapping) or not variables:
        return query
    if str(query.get("kind")) in _WRAPPERS:
        return {**query, "source": apply_variables(query.get("source"), variables)}
    known = query.get("variables")
    if query.get("kind") != "HogQLQuery" or not isinstance(known, Mapping):
        return query
    laid = {name: _variable(value, variables.get(name)) for name, value in known.items()}
    return {**query, "variables": laid}


def apply_filters_to_legacy(definition: Any, filters: Mapping[str, Any] | None) -> Any:
    """Return legacy filters as a dashboard with these filters shows them: the same merge, in their spelling.

    A dashboard over `all` time turns `compare` off. What is no object stays as it is.
    """
    if not isinstance(definition, Mapping) or not filters:
        return definition
    laid = dict(definition)
    if _sets_dates(filters):
        laid["date_from"], laid["date_to"] = filters.get("date_from"), filters.get("date_to")
        if filters.get("date_from") == "all":
            laid["compare"] = False
    if filters.get("properties"):
        laid["properties"] = _joined(_legacy_group(definition.get("properties")), filters["properties"])
    if filters.get("breakdown_filter"):
        own = {key: value for key, value in laid.items() if not key.startswith("breakdown")}
        laid = own | {key: value for key, value in _object(filters["breakdown_filter"]).items() if value is not None}
    if filters.get("interval"):
        laid["interval"] = filters["interval"]
    if filters.get("filterTestAccounts") is not None:
        laid["filter_test_accounts"] = filters["filterTestAccounts"]
    return laid


def lay_over(below: Mapping[str, Any] | None, above: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return filters laid over others, key by key: dashboard below request, tile below its request.

    >>> lay_over({"date_from": "-7d", "interval": "day"}, {"date_from": "-30d"})
    {'date_from': '-30d', 'interval': 'day'}
    """
    return {**(below or {}), **(above or {})}


def _of_insight(query: Mapping[str, Any], filters: Mapping[str, Any]) -> dict[str, Any]:
    laid, kind = dict(query), str(query["kind"])
    if _sets_dates(filters):
        laid["dateRange"] = _date_range(query.get("dateRange"), filters)
        if filters.get("date_from") == "all" and query.get("compareFilter"):
            laid["compareFilter"] = None
    if filters.get("properties"):
        laid["properties"] = _joined(query.get("properties"), filters["properties"])
    if filters.get("breakdown_filter") and kind in _WITH_BREAKDOWN:
        laid["breakdownFilter"] = filters["breakdown_filter"]
    if filters.get("interval") and kind in _WITH_INTERVAL:
        laid["interval"] = filters["interval"]
    return _with_test_accounts(laid, filters)


def _of_sql(query: Mapping[str, Any], filters: Mapping[str, Any]) -> dict[str, Any]:
    """Lay filters over the section that an SQL query keeps for its `{filters}` placeholder."""
    section = _object(query.get("filters"))
    if _sets_dates(filters):
        section["dateRange"] = _date_range(section.get("dateRange"), filters)
    if filters.get("properties"):
        section["properties"] = _both(section.get("properties"), filters["properties"])
    return {**query, "filters": _with_test_accounts(section, filters)}


def _of_events(query: Mapping[str, Any], filters: Mapping[str, Any]) -> dict[str, Any]:
    laid = dict(query)
    if _sets_dates(filters):
        laid["after"], laid["before"] = filters.get("date_from"), filters.get("date_to")
    if filters.get("properties"):
        laid["properties"] = _both(query.get("properties"), filters["properties"])
    return _with_test_accounts(laid, filters)


_LAID: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]] = {
    **dict.fromkeys(_WITH_DATE_RANGE, _of_insight),
    "HogQLQuery": _of_sql,
    "EventsQuery": _of_events,
}


def _sets_dates(filters: Mapping[str, Any]) -> bool:
    return bool(filters.get("date_from") or filters.get("date_to"))


def _date_range(own: Any, filters: Mapping[str, Any]) -> dict[str, Any]:
    laid = _object(own)
    laid["date_from"], laid["date_to"] = filters.get("date_from"), filters.get("date_to")
    if filters.get("explicitDate") is not None:
        laid["explicitDate"] = filters["explicitDate"]
    return laid


def _with_test_accounts(laid: dict[str, Any], filters: Mapping[str, Any]) -> dict[str, Any]:
    if filters.get("filterTestAccounts") is not None:
        laid["filterTestAccounts"] = filters["filterTestAccounts"]
    return laid


def _joined(own: Any, added: Any) -> Any:
    """Return properties that ask for both; each side a list of leaves or a group."""
    return added if not own else {"type": "AND", "values": [_group(own), _group(added)]}


def _both(own: Any, added: Any) -> Any:
    """Return properties that ask for both, as a list where neither side is a group."""
    if isinstance(own, Mapping) or isinstance(added, Mapping):
        return _joined(own, added)
    return [leaf for leaves in (own, added) for leaf in (leaves if isinstance(leaves, list | tuple) else ())]


def _group(properties: Any) -> Any:
    return {"type": "AND", "values": list(properties)} if isinstance(properties, list | tuple) else properties


def _legacy_group(properties: Any) -> Any:
    """Return old properties that are no list as a group: those by key, and those that came as text."""
    try:
        return properties if isinstance(properties, list) else clean_properties(properties)
    except InvalidQuery:
        return properties


def _object(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _variable(own: Any, asked: Any) -> Any:
    return {**own, **asked} if isinstance(own, Mapping) and isinstance(asked, Mapping) else own
