"""Arithmetic on the numbers of a trend: running totals, smoothing, and the ranking of breakdown values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import accumulate
from math import floor

from attrs import frozen


@frozen
class BreakdownRow:
    """The numbers of one breakdown value, or of the whole series (`value` None)."""

    value: str | None
    data: list[float]
    """One number per bucket; a single one for total-value displays."""


def cumulated(data: list[float]) -> list[float]:
    """Return the running total."""
    return list(accumulate(data))


def smoothed(data: list[float], intervals: int) -> list[float]:
    """Return the moving average over up to `intervals` points ending at each point, rounded down."""
    sums = [0.0, *accumulate(data)]
    return [
        float(floor((sums[index + 1] - sums[max(0, index + 1 - intervals)]) / min(index + 1, intervals)))
        for index in range(len(data))
    ]


def ranked(
    table: Mapping[str | None, list[float]],
    folded: list[float] | None,
    limit: int,
    *,
    null: str,
    other: str,
    is_total_value: bool,
    hides_other: bool = False,
    is_cumulative: bool = False,
) -> tuple[list[BreakdownRow], bool]:
    """Return the `limit` largest values, the rest added up as `other`, and whether there is a rest.

    `folded` holds the numbers of values that the engine has added up already; they belong to the rest.
    Values rank by total descending, then by value; on a time axis the missing value (`null`) ranks behind every real
    one, and is shown behind them in any case. `other` comes last.
    """

    def total(item: tuple[str | None, list[float]]) -> float:
        data = item[1]
        return (data[-1] if data else 0.0) if is_cumulative else sum(data)

    by_size = sorted(table.items(), key=lambda item: (-total(item), (item[0] or null).encode()))
    null_last = sorted(by_size, key=lambda item: item[0] is None)
    order = by_size if is_total_value else null_last
    kept, rest = order[:limit], [data for _, data in order[limit:]]
    if folded is not None:
        rest.append(folded)
    rows = [BreakdownRow(null if value is None else value, data) for value, data in _null_last(kept)]
    if rest and not hides_other:
        rows.append(BreakdownRow(other, [float(sum(numbers)) for numbers in zip(*rest, strict=True)]))
    return rows, bool(rest)


def _null_last(items: Iterable[tuple[str | None, list[float]]]) -> list[tuple[str | None, list[float]]]:
    return sorted(items, key=lambda item: item[0] is None)
