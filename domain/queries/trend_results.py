"""Result objects of trends: the numbers of `trends` with their names, days and labels.

Source: PostHog's TrendsQuery response.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import dates
from ._trend_breakdown import ANY_BIN, NULL_LABEL, NULL_VALUE, OTHER_LABEL, OTHER_VALUE
from ._trend_rows import TrendNumbers
from .formulas import Formula
from .nodes import EventsNode, FormulaNode, to_json
from .trend_plan import Split, SplitByCondition, SplitBySource, TrendRow
from .trends import Period, Series, Trend, formula_numbers, series_numbers

Answers = Sequence[Sequence[Sequence[TrendRow]]]
"""Per period and series, the rows of its plan."""


def results(trend: Trend, answers: Answers) -> tuple[list[dict[str, Any]], bool]:
    """Return the result objects, all of the current period first, and whether more breakdown values exist."""
    found: list[dict[str, Any]] = []
    has_more = False
    for period, answer in zip(trend.periods, answers, strict=True):
        numbers = {
            series.order: series_numbers(trend, period, series, rows)
            for series, rows in zip(trend.series, answer, strict=True)
        }
        has_more = has_more or any(row.is_other for rows in numbers.values() for row in rows)
        if trend.formulas:
            found.extend(_formula_results(trend, period, numbers))
        else:
            for series in trend.series:
                rows = shown(trend, numbers[series.order])
                found.extend(_series_result(trend, period, series, row) for row in rows)
    return found, has_more


def breakdown_options(trend: Trend, answer: Sequence[Sequence[TrendRow]]) -> list[list[tuple[str, Any]]]:
    """Return label and value of every breakdown value that some series has, in order of rank; a list per breakdown.

    Where values are bins, one that stands for all of them follows, and what is no value comes last.
    """
    rows = [
        row
        for series, rows in zip(trend.series, answer, strict=True)
        for row in shown(trend, series_numbers(trend, trend.periods[0], series, rows))
    ]
    return [_options(trend, place, rows) for place in range(len(trend.breakdown.splits))]


def _options(trend: Trend, place: int, rows: Sequence[TrendNumbers]) -> list[tuple[str, Any]]:
    split, labels = trend.breakdown.splits[place], {NULL_VALUE: NULL_LABEL, OTHER_VALUE: OTHER_LABEL}
    values = [OTHER_VALUE if row.is_other else _value(split, row.value[place]) for row in rows]
    if isinstance(split, SplitBySource) and split.n_bins:
        last = [value for value in (OTHER_VALUE, NULL_VALUE) if value in values]
        values = [*(value for value in values if value not in last), ANY_BIN, *last]
    names = trend.breakdown.cohort_names if isinstance(split, SplitByCondition) else {}
    found = dict.fromkeys(values)
    return [(names.get(str(value)) or labels.get(str(value), str(value)), value) for value in found]


def shown(trend: Trend, rows: Sequence[TrendNumbers]) -> list[TrendNumbers]:
    """Return the rows without the values past the limit, if those are not wanted."""
    return [row for row in rows if not (row.is_other and trend.breakdown.hides_other)]


def breakdown_value(trend: Trend, row: TrendNumbers) -> Any:
    """Return the value as responses have it: a text, a list of texts, a cohort's id or `all`."""
    breakdown = trend.breakdown
    if row.is_other:
        return [OTHER_VALUE] * len(breakdown.splits) if breakdown.is_list else OTHER_VALUE
    values = [_value(split, text) for split, text in zip(breakdown.splits, row.value, strict=True)]
    return values if breakdown.is_list else values[0]


def _value(split: Split, text: str | None) -> str | int:
    if text is None:
        return NULL_VALUE
    if isinstance(split, SplitByCondition):
        return int(text) if text.isdecimal() else text
    return bin_text(text) if split.n_bins else text


def breakdown_label(trend: Trend, row: TrendNumbers) -> str:
    """Return the value for people."""
    value = breakdown_value(trend, row)
    if row.is_other:
        return "::".join(value) if isinstance(value, list) else str(value)
    shown = [
        trend.breakdown.cohort_names[str(one)] if isinstance(split, SplitByCondition) else str(one)
        for split, one in zip(trend.breakdown.splits, value if isinstance(value, list) else [value], strict=True)
    ]
    return "::".join(shown)


def bin_text(bounds: str) -> str:
    """Return a bin, given as `lower,upper`, as `[lower,upper]` with the shortest text of each number."""
    return f"[{','.join(shortest(float(bound)) for bound in bounds.split(','))}]"


SHOWN_WITHIN = 5e-11
"""How far the text of a bound may lie from the bound itself."""


def shortest(number: float) -> str:
    """Return the shortest text of a number, of ten decimals at most: `10`, `30.01`."""
    rounded = round(number, 10)
    return str(int(rounded)) if rounded.is_integer() else repr(rounded)


def numbers_part(trend: Trend, row: TrendNumbers, period: Period) -> dict[str, Any]:
    """Return the fields that hold numbers and what they belong to."""
    if trend.is_total_value:
        return {"data": [], "days": [], "count": 0.0, "aggregated_value": row.data[0]}
    axis = period.buckets
    return {"data": row.data, "labels": list(axis.labels), "days": list(axis.days), "count": row.total}


def _series_result(trend: Trend, period: Period, series: Series, row: TrendNumbers) -> dict[str, Any]:
    node = series.node
    found: dict[str, Any] = {
        "action": {
            "days": list(period.buckets.instants),
            "id": node.event if isinstance(node, EventsNode) else series.name,
            "type": "events",
            "order": series.order,
            "name": series.name,
            "custom_name": node.custom_name,
            "math": node.math,
            "math_property": node.math_property,
            "math_hogql": node.math_hogql,
            "math_group_type_index": node.math_group_type_index,
            "properties": {},
        },
        "label": series.name,
        "order": series.order,
        "filter": filter_echo(trend, period),
    } | numbers_part(trend, row, period)
    if trend.breakdown.splits:
        label = breakdown_label(trend, row)
        found["breakdown_value"] = breakdown_value(trend, row)
        found["label"] = label if len(trend.series) == 1 else f"{series.name} - {label}"
    if period.compare_label:
        found |= {"compare": True, "compare_label": period.compare_label}
    return found


def _formula_results(trend: Trend, period: Period, numbers: dict[int, list[TrendNumbers]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for order, (node, formula) in enumerate(trend.formulas):
        rows = shown(trend, formula_numbers(trend, period, numbers, formula)) if trend.series else []
        found.extend(_formula_result(trend, period, node, formula, order, row) for row in rows)
    return found


def _formula_result(
    trend: Trend, period: Period, node: FormulaNode, formula: Formula, order: int, row: TrendNumbers
) -> dict[str, Any]:
    first = _series_result(trend, period, trend.series[0], row)
    found = first | {"action": None, "order": order, "label": node.custom_name or f"Formula ({formula.text})"}
    return found | {"data": None, "count": 0.0} if trend.is_total_value else found


def filter_echo(trend: Trend, period: Period) -> dict[str, Any]:
    """Return the field `filter`: what was asked, with the instants of the period."""
    query = trend.query
    given = {
        "sampling_factor": query.sampling_factor,
        "aggregation_group_type_index": query.aggregation_group_type_index,
    }
    return {
        "insight": "TRENDS",
        "properties": [] if query.properties is None else to_json(query.properties),
        "filter_test_accounts": bool(query.filter_test_accounts),
        "date_from": dates.format_instant(period.bounds.from_instant),
        "date_to": dates.format_instant(period.bounds.to_instant),
        "entity_type": "events",
        "interval": query.interval or period.bounds.interval,
        "display": trend.display,
        **{name: value for name, value in given.items() if value is not None},
        **(to_json(query.trends_filter) if query.trends_filter else {}),
        **(to_json(query.breakdown_filter) if query.breakdown_filter else {}),
    }
