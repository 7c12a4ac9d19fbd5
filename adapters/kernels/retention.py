"""Retention: who of those that entered in an interval is seen again how many intervals later (queries.md 8.3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import evolve, frozen

from .checkpoint import checkpoint
from .histories import Array, Flags, Ints, sorted_columns, starts, units

ENTERS, RETURNS = 1, 2
"""Marks of events: of the target, of the returning entity."""
FOLDED = -1
"""The code of the values that are folded together."""
MAX_CELLS = 400_000_000


@frozen
class Shape:
    """Which cells there are."""

    n_rows: int
    n_columns: int
    min_occurrences: int = 1
    is_cumulative: bool = False
    brackets: tuple[int, ...] = ()
    """Columns after the first are so many intervals wide; empty: one each."""

    @property
    def reach(self) -> int:
        """How many intervals after the entry are looked at."""
        return sum(self.brackets) if self.brackets else self.n_columns - 1


@frozen(eq=False)
class Seen:
    """Who entered where and was seen when; units are actors."""

    actors: Ints
    unit: Ints
    """Per entry; one entry per unit, row and breakdown value."""
    row: Ints
    value: Ints
    n_returns: Array
    """Per unit and interval, how many returning events."""
    measure: Array | None
    """Per unit and interval, the sum of their measures."""
    is_rolling: bool
    """Whether intervals count from the unit's own entry, or from the first row."""


def seen(
    actor: Array,
    at: Array,
    marks: Array,
    edges_us: Sequence[int],
    *,
    value: Array | None = None,
    measure: Array | None = None,
    rolling_us: int | None = None,
) -> Seen:
    """Return who entered and returned, of events in any order within the edges.

    With `rolling_us` each actor enters once, with their first target event, and intervals are that long from then on.
    Raises MemoryError past 400 million cells.
    """
    if rolling_us is None and measure is None and value is None and len(actor):
        shortly = _seen_shortly(actor, at, marks, edges_us)
        if shortly is not None:
            return shortly
    order = np.lexsort((at, actor)) if rolling_us is not None or measure is not None or value is not None else None
    if order is None:
        actor, at, marks = sorted_columns(actor, at, marks)
    else:
        actor, at, marks = actor[order], at[order], marks[order]
        value = None if value is None else value[order]
        measure = None if measure is None else measure[order]
    first = starts(actor)
    unit = units(first, len(actor))
    n_intervals = len(edges_us) - 1
    if rolling_us is not None:
        n_intervals = -(-(edges_us[-1] - edges_us[0]) // rolling_us)
    if len(first) * n_intervals > MAX_CELLS:
        raise MemoryError("The query has too many actors and intervals.")
    interval = np.searchsorted(np.asarray(edges_us, np.int64), at, side="right") - 1
    enters, returns = np.flatnonzero(marks & ENTERS), np.flatnonzero(marks & RETURNS)
    if rolling_us is None:
        when = interval[returns]
    else:
        enters = enters[starts(unit[enters])]
        entry = np.full(len(first), np.iinfo(np.int64).max)
        entry[unit[enters]] = at[enters]
        returns = returns[at[returns] > entry[unit[returns]]]
        when = (at[returns] - entry[unit[returns]]) // rolling_us
    cell = unit[returns].astype(np.int64) * n_intervals + when
    size = len(first) * n_intervals
    sums = None
    if measure is not None:
        sums = np.bincount(cell, weights=measure[returns], minlength=size).reshape(len(first), n_intervals)
    values = np.zeros(len(enters), np.int64) if value is None else value[enters]
    of, row, values = sorted_columns(unit[enters], interval[enters], values)
    distinct = starts(of, row, values)
    counts = np.bincount(cell, minlength=size).astype(np.int32).reshape(len(first), n_intervals)
    return Seen(actor[first], of[distinct], row[distinct], values[distinct], counts, sums, rolling_us is not None)


def _seen_shortly(actor: Array, at: Array, marks: Array, edges_us: Sequence[int]) -> Seen | None:
    """Return the same by counting in a table of all actors and intervals, without sorting; None when it is too thin."""
    low, n_intervals = int(actor.min()), len(edges_us) - 1
    n_actors = int(actor.max()) - low + 1
    if n_actors * n_intervals > min(MAX_CELLS, 16 * len(actor)):
        return None
    interval = np.searchsorted(np.asarray(edges_us, np.int64), at, side="right") - 1
    cell = (actor - low) * n_intervals + interval
    checkpoint()
    n_entries, n_returns = (_counted(cell, marks, mark, n_actors * n_intervals) for mark in (ENTERS, RETURNS))
    entered = (n_entries != 0).reshape(n_actors, n_intervals)
    who = np.flatnonzero(entered.any(axis=1))
    unit, row = np.nonzero(entered[who])
    counts = n_returns.reshape(n_actors, n_intervals)[who].astype(np.int32)
    return Seen(who + low, unit, row, np.zeros(len(unit), np.int64), counts, None, is_rolling=False)


def _counted(cell: Ints, marks: Array, mark: int, size: int) -> Ints:
    checkpoint()
    of = (marks & mark) != 0
    return np.bincount(cell if of.all() else cell[of], minlength=size)


def cells(found: Seen, shape: Shape) -> list[tuple[int, int, int, int, float, int]]:
    """Return (value, row, column, actors, sum of the measure, events behind the sum), without empty cells."""
    rows = []
    order = np.lexsort((found.row, found.value))
    cuts = starts(found.value[order], found.row[order])
    for part in np.split(order, cuts[1:]) if len(order) else ():
        value, row, who = int(found.value[part[0]]), int(found.row[part[0]]), found.unit[part]
        counts = _came(found, shape, who, row).sum(axis=0).tolist()
        numbers = _summed(found.n_returns, found, shape, who, row)
        sums = [0.0] * len(counts) if found.measure is None else _summed(found.measure, found, shape, who, row)
        rows += [
            (value, row, column, count, float(sums[column]), int(numbers[column]))
            for column, count in enumerate(counts)
            if count
        ]
    return rows


def appearances(found: Seen, shape: Shape, row: int) -> list[tuple[int, list[int]]]:
    """Return (actor, 0 or 1 per column) of those who entered in a row, those seen most often first."""
    who = np.unique(found.unit[found.row == row])
    table = _came(found, shape, who, row).astype(int).tolist()
    return sorted(zip(found.actors[who].tolist(), table, strict=True), key=lambda one: (-sum(one[1]), one[0]))


def folded(found: Seen, limit: int) -> Seen:
    """Return the same with the values past the limit as one; values rank by how many entered under them."""
    codes, counts = np.unique(found.value, return_counts=True)
    kept = codes[np.lexsort((codes, -counts))[:limit]]
    if len(kept) == len(codes):
        return found
    value = np.where(np.isin(found.value, kept), found.value, FOLDED)
    of, row, value = sorted_columns(found.unit, found.row, value)
    distinct = starts(of, row, value)
    return evolve(found, unit=of[distinct], row=row[distinct], value=value[distinct])


def _came(found: Seen, shape: Shape, who: Ints, row: int) -> Flags:
    """Return per unit and column whether it was seen; the first column is the entry itself."""
    block = _after(found.n_returns, found, shape, who, row) >= shape.min_occurrences
    if shape.is_cumulative:
        block = np.logical_or.accumulate(block[:, ::-1], axis=1)[:, ::-1]
    if shape.brackets:
        begins = np.cumsum([0, *shape.brackets[:-1]])
        block = np.logical_or.reduceat(block, begins, axis=1)
    return np.concatenate([np.ones((len(who), 1), bool), block], axis=1)


def _summed(table: Array, found: Seen, shape: Shape, who: Ints, row: int) -> Array:
    """Return per column the sum over the units; here the interval of the entry counts too."""
    own = table[who, 0 if found.is_rolling else row].sum()
    sums = _after(table, found, shape, who, row).sum(axis=0)
    if shape.brackets:
        sums = np.add.reduceat(sums, np.cumsum([0, *shape.brackets[:-1]]))
    return np.concatenate([[own], sums])


def _after(table: Array, found: Seen, shape: Shape, who: Ints, row: int) -> Array:
    """Return the units' intervals after their entry, as many as are looked at; none behind the last is seen."""
    begin = 1 if found.is_rolling else row + 1
    block = table[who, begin : begin + shape.reach]
    return np.pad(block, ((0, 0), (0, shape.reach - block.shape[1])))
