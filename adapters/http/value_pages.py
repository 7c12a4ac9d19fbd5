"""Pages of a trend's breakdown values: `offset` and `next` of `/insights/trend/` (insights-api.md 3.16)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from ...application.json_values import json_bytes
from ...application.library import Project
from ...domain.queries._trend_breakdown import MAX_LIMIT, OTHER_VALUE, default_limit
from .bodies import integer
from .legacy import answered


@frozen
class ValuePage:
    """The answer to a trend, its series that belong on this page, and the offset of the next page if there is one."""

    answer: Mapping[str, Any]
    series: list[Mapping[str, Any]]
    next_offset: int | None = None


def value_page(project: Project, query: Any, given: Mapping[str, Any]) -> ValuePage:
    """Return the page of a trend that `offset` asks for; without ranked breakdown values there is just one.

    Raises `InvalidInput` for an offset that is none.
    """
    size = _page_size(query)
    if size is None:
        answer = answered(project, query, given)
        return ValuePage(answer, answer["results"])
    offset = max(0, integer(given.get("offset") or 0, "offset"))
    if offset + size > MAX_LIMIT:
        answer = answered(project, query, given)
        return ValuePage(answer, [])
    answer = answered(project, _limited(query, offset + size), given)
    before = _values(project.query(_limited(query, offset))["results"]) - {_value(OTHER_VALUE)} if offset else set()
    series = [one for one in answer["results"] if _value(one["breakdown_value"]) not in before]
    has_more = len(_values(series)) >= size and offset + 2 * size <= MAX_LIMIT
    return ValuePage(answer, series, offset + size if has_more else None)


def _page_size(query: Any) -> int | None:
    """Return how many values a page tells apart, None when values are not ranked."""
    asked = query.get("breakdownFilter") or {}
    ranks = asked.get("breakdown_type") != "cohort" and (asked.get("breakdown") or asked.get("breakdowns"))
    if query["kind"] != "TrendsQuery" or not ranks:
        return None
    limit = asked.get("breakdown_limit")
    return limit if isinstance(limit, int) and limit > 0 else default_limit(query)


def _limited(query: Mapping[str, Any], limit: int) -> dict[str, Any]:
    return {**query, "breakdownFilter": {**query["breakdownFilter"], "breakdown_limit": limit}}


def _values(series: list[Mapping[str, Any]]) -> set[bytes]:
    return {_value(one["breakdown_value"]) for one in series}


def _value(shown: Any) -> bytes:
    return json_bytes(shown)
