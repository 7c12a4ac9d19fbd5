"""Arithmetic on the numbers of a trend: running totals, smoothing, sampling, and the ranking of breakdown values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from math import floor, isfinite
from typing import NamedTuple

Value = tuple[str | None, ...]
"""A breakdown value: one text per breakdown, None where it is missing; empty without breakdown."""


class TrendNumbers(NamedTuple):
    """The numbers of one breakdown value, of the rest, or of the whole series."""

    value: Value
    data: list[float]
    """One number per bucket; a single one for total-value displays."""
    total: float
    """What the numbers come to: their sum, the last one of running totals, the single one."""
    is_other: bool = False
    """Whether these are the values past the limit, added up."""


def finite(number: float) -> float:
    """Return the number, 0 when it has grown beyond all numbers, as formulas do."""
    return number if isfinite(number) else 0.0


def cumulated(data: Sequence[float]) -> list[float]:
    """Return the running total."""
    return [finite(number) for number in accumulate(data)]


def smoothed(data: Sequence[float], intervals: int) -> list[float]:
    """Return the moving average over up to `intervals` points ending at each point, rounded down.

    The sums are exact, as what a difference of rounded ones lacks would take a whole number off.
    """
    parts = [number.as_integer_ratio() for number in data]
    unit = max((below for _, below in parts), default=1)  # all are powers of two
    sums = [0, *accumulate(above * (unit // below) for above, below in parts)]
    return [
        float(floor(_quotient(sums[index + 1] - sums[max(0, index + 1 - intervals)], unit) / min(index + 1, intervals)))
        for index in range(len(data))
    ]


def _quotient(above: int, below: int) -> float:
    try:
        return above / below
    except OverflowError:
        return 0.0


def upscaled_number(number: float, share: float | None) -> float:
    """Return what the number of a share of all actors stands for, as a whole number; None is the share of all."""
    return float(number) if share is None else float(round(finite(number / share)))


def upscaled(numbers: TrendNumbers, share: float) -> TrendNumbers:
    """Return what the numbers of a share of all actors stand for, as whole numbers."""
    data = [upscaled_number(number, share) for number in numbers.data]
    return numbers._replace(data=data, total=upscaled_number(numbers.total, share))


def total_of(data: Sequence[float], *, is_cumulative: bool) -> float:
    """Return what the numbers come to."""
    if is_cumulative:
        return data[-1] if data else 0.0
    return finite(float(sum(data)))


def ranked(
    table: Mapping[Value, list[float]],
    folded: Sequence[float] | None,
    limit: int | None,
    *,
    is_total_value: bool,
    is_cumulative: bool = False,
) -> list[TrendNumbers]:
    """Return the `limit` largest values, then, if there are more, the rest added up.

    `folded` holds the numbers of values that the engine has added up already; they belong to the rest. Values rank by
    total descending, then by value; on a time axis one that is missing (in any place) ranks behind every real one,
    and is shown behind them in any case.
    """
    rows = [TrendNumbers(value, data, total_of(data, is_cumulative=is_cumulative)) for value, data in table.items()]
    rows.sort(key=by_size)
    order = rows if is_total_value else null_last(rows)
    limit = len(order) if limit is None else limit
    kept, rest = null_last(order[:limit]), [row.data for row in order[limit:]]
    if folded is not None:
        rest.append(list(folded))
    if rest:
        data = [finite(float(sum(numbers))) for numbers in zip(*rest, strict=True)]
        kept.append(TrendNumbers((), data, total_of(data, is_cumulative=is_cumulative), is_other=True))
    return kept


def by_size(row: TrendNumbers) -> tuple[float, list[tuple[bool, bytes]]]:
    """Return the key that sorts by total descending, then by value in byte order, missing ones last."""
    return -row.total, [(text is None, (text or "").encode()) for text in row.value]


def null_last(rows: Iterable[TrendNumbers]) -> list[TrendNumbers]:
    """Return the rows with those of which a value is missing behind the others, else in their order."""
    return sorted(rows, key=lambda row: None in row.value)
