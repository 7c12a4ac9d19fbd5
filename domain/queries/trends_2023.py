"""Result objects of trends as PostHog's 2023 engine gave them, for clients and recordings of that time.

The numbers are those of `trends`; names, order and which breakdown values are listed differ: the missing value is
`""` and called `none`, values past the limit are dropped, labels name the series too, periods take turns by series.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import dates
from ._trend_rows import BreakdownRow
from .nodes import EventsNode
from .plan import TrendRow
from .trends import NULL_VALUE, OTHER_VALUE, Period, Series, Trend, display_name, series_values


def results(trend: Trend, answers: Sequence[Sequence[Sequence[TrendRow]]]) -> list[dict[str, Any]]:
    """Return the result objects, per series the current and then the previous period."""
    found: list[dict[str, Any]] = []
    for series in trend.series:
        for period, answer in zip(trend.periods, answers, strict=True):
            rows, _ = series_values(trend, period, answer[series.order])
            shown = [row for row in rows if row.value != OTHER_VALUE] or [
                BreakdownRow(NULL_VALUE, _zeros(trend, period))
            ]
            found.extend(_result(trend, period, series, row) for row in _ordered(trend, shown))
    return found


def _zeros(trend: Trend, period: Period) -> list[float]:
    return [0.0] * (1 if trend.is_total_value else len(period.buckets.days))


def _ordered(trend: Trend, rows: list[BreakdownRow]) -> list[BreakdownRow]:
    """By count descending, then by label."""

    def count(row: BreakdownRow) -> float:
        return row.data[-1] if trend.is_cumulative and row.data else sum(row.data)

    return sorted(rows, key=lambda row: (-count(row), "none" if row.value == NULL_VALUE else str(row.value)))


def _result(trend: Trend, period: Period, series: Series, row: BreakdownRow) -> dict[str, Any]:
    node, axis = series.node, period.buckets
    name = node.name or display_name(node)
    value = "" if row.value == NULL_VALUE else row.value
    found: dict[str, Any] = {
        "action": {
            "id": node.event if isinstance(node, EventsNode) else node.id,
            "type": "events" if isinstance(node, EventsNode) else "actions",
            "order": series.order,
            "name": name,
            "custom_name": node.custom_name,
            "math": node.math,
            "math_property": node.math_property,
            "math_hogql": node.math_hogql,
            "math_group_type_index": node.math_group_type_index,
            "properties": {},
        },
        "label": name if trend.breakdown is None else f"{name} - {value or 'none'}",
    }
    if trend.breakdown is not None:
        found["breakdown_value"] = value
    if trend.is_total_value:
        found |= {"data": [], "count": 0, "aggregated_value": row.data[0]}
    else:
        count = (row.data[-1] if row.data else 0.0) if trend.is_cumulative else float(sum(row.data))
        found |= {"data": row.data, "days": list(axis.days), "labels": _labels(period), "count": count}
    if period.compare_label:
        found |= {"compare": True, "compare_label": period.compare_label}
        found["labels"] = [f"{period.bounds.interval} {index}" for index in range(len(axis.days))]
    return found


def _labels(period: Period) -> list[str]:
    if period.bounds.interval == "hour":
        return [f"{dates.day_label(start)} {start:%H:%M}" for start in period.buckets.starts]
    return [dates.day_label(start) for start in period.buckets.starts]
