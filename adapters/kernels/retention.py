"""Retention: who of those that entered in an interval is seen again how many intervals later (queries.md 8.3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import evolve, frozen

from .checkpoint import blocks, checkpoint
from .histories import (
    Array,
    Flags,
    History,
    Ints,
    grouped,
    intervals,
    ordered,
    sorted_columns,
    starts,
    taken,
    units,
)
from .packed import Packed

ENTERS, RETURNS = 1, 2
"""Marks of events: of the target, of the returning entity."""
FOLDED = -1
"""The code of the values that are folded together."""
NOBODYS = -2
"""The code of a value that no event has."""
MAX_CELLS = 400_000_000
AT_ONCE = 1 << 22
"""Events that are counted in one step. PERF: 25 ms, in blocks 37."""
_MANY_TIMES = 4


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
    entry_measure: Array | None = None
    """The sum where the interval is that of the entry; None: the same."""


def seen(
    actor: Array,
    at: Array,
    marks: Array,
    edges_us: Sequence[int],
    *,
    value: Array | None = None,
    measure: Array | None = None,
    rolling_us: int | None = None,
    measures_after_entry: bool = False,
) -> Seen:
    """Return who entered and returned, of events in any order within the edges.

    With `rolling_us` each actor enters once, with their first target event, and intervals are that long from then on.
    With `measures_after_entry` only what comes after the first target event of an interval is measured where units
    enter in it. Raises MemoryError past 400 million cells.
    """
    if rolling_us is None and measure is None and value is None:
        actor, at, marks = sorted_columns(actor, at, marks)
    else:
        order = ordered(actor, at)
        actor, at, marks = taken(actor, order), taken(at, order), taken(marks, order)
        value = None if value is None else taken(value, order)
        measure = None if measure is None else taken(measure, order)
    first = starts(actor)
    n_intervals = len(edges_us) - 1
    if rolling_us is not None:
        n_intervals = -(-(edges_us[-1] - edges_us[0]) // rolling_us)
    if len(first) * n_intervals > MAX_CELLS:
        raise MemoryError("The query has too many actors and intervals.")
    whole = History(units(first, len(actor)), at, marks, actor[first])
    parts = [
        _seen(
            part, None if value is None else value[of], None if measure is None else measure[of],
            n_intervals, edges_us, rolling_us, measures_after_entry=measures_after_entry,
        )
        for of, part in whole.parts()
    ]  # fmt: skip
    return _joined(parts)


def _seen(
    part: History,
    value: Array | None,
    measure: Array | None,
    n_intervals: int,
    edges_us: Sequence[int],
    rolling_us: int | None,
    *,
    measures_after_entry: bool,
) -> Seen:
    unit, at, size = part.unit, part.at, part.n_units * n_intervals
    interval = intervals(at, edges_us)
    enters, returns = np.flatnonzero(part.marks & ENTERS), np.flatnonzero(part.marks & RETURNS)
    if rolling_us is None:
        when = interval[returns]
    else:
        enters = enters[starts(unit[enters])]
        entry = np.full(part.n_units, np.iinfo(np.int64).max)
        entry[unit[enters]] = at[enters]
        returns = returns[at[returns] > entry[unit[returns]]]
        when = (at[returns] - entry[unit[returns]]) // rolling_us
    cell = unit[returns].astype(np.int64) * n_intervals + when
    sums = entry_sums = None
    if measure is not None:
        sums = np.bincount(cell, weights=measure[returns], minlength=size).reshape(part.n_units, n_intervals)
        if measures_after_entry and rolling_us is None:
            cell_entered = unit[enters].astype(np.int64) * n_intervals + interval[enters]
            earliest = starts(cell_entered)
            entered = np.full(size, np.iinfo(np.int64).max)
            entered[cell_entered[earliest]] = at[enters[earliest]]
            after = np.where(at[returns] > entered[cell], measure[returns], 0)
            entry_sums = np.bincount(cell, weights=after, minlength=size).reshape(part.n_units, n_intervals)
    values = np.zeros(len(enters), np.int64) if value is None else value[enters]
    of, row, values = sorted_columns(unit[enters], interval[enters], values)
    distinct = starts(of, row, values)
    counts = np.bincount(cell, minlength=size).astype(np.int32).reshape(part.n_units, n_intervals)
    return Seen(
        part.actors, of[distinct], row[distinct], values[distinct], counts, sums, rolling_us is not None, entry_sums
    )


def _joined(parts: Sequence[Seen]) -> Seen:
    """Return what was seen of several sets of actors as that of all."""
    if len(parts) == 1:
        return parts[0]
    before = np.cumsum([0, *(len(one.actors) for one in parts)])
    units_ = [one.unit + n_before for one, n_before in zip(parts, before, strict=False)]
    actors, row, value = (np.concatenate([getattr(one, name) for one in parts]) for name in ("actors", "row", "value"))
    checkpoint()
    n_returns = np.concatenate([one.n_returns for one in parts])
    sums = [one.measure for one in parts if one.measure is not None]
    at_entry = [one.entry_measure for one in parts if one.entry_measure is not None]
    return Seen(
        actors, np.concatenate(units_), row, value, n_returns, np.concatenate(sums) if sums else None,
        parts[0].is_rolling, np.concatenate(at_entry) if at_entry else None,
    )  # fmt: skip


def seen_plainly(events: Packed, marks: Array, edges_us: Sequence[int]) -> Seen | None:
    """Return who entered and returned by counting in a table of all actors and intervals, without sorting.

    None when the table would be too thin.
    """
    size, n_intervals = len(events.keys), len(edges_us) - 1
    if not size:
        return None
    low, high = (int(key) >> events.at_bits for key in (events.keys.min(), events.keys.max()))
    n_cells = (high - low + 1) * n_intervals
    if n_cells > min(MAX_CELLS, 16 * size):
        return None
    cell = np.empty(size, np.int64)
    for of in blocks(size):
        keys, part = events.keys[of], cell[of]
        np.right_shift(keys, events.at_bits, out=part)
        part -= low
        part *= n_intervals
        part += intervals(events.times(keys), edges_us)
    n_returns = _counted(cell, marks, RETURNS, n_cells)
    does_both = marks & (ENTERS | RETURNS) == ENTERS | RETURNS
    n_entries = n_returns if does_both.all() else _counted(cell, marks, ENTERS, n_cells)
    hits = np.flatnonzero(n_entries != 0)
    entrant, row = hits // n_intervals, hits % n_intervals
    first = starts(entrant)
    unit, who = units(first, len(entrant)), entrant[first]
    counts = n_returns.reshape(-1, n_intervals)[who]
    actors = who + (low + events.low_actor)
    return Seen(actors, unit, row, np.zeros(len(unit), np.int64), counts, None, is_rolling=False)


def _counted(cell: Ints, marks: Array, mark: int, size: int) -> Ints:
    if len(cell) <= AT_ONCE:
        checkpoint()
        of = (marks & mark) != 0
        return np.bincount(cell if of.all() else cell[of], minlength=size)
    found = np.zeros(size, np.int64)
    for block in blocks(len(cell)):
        of = (marks[block] & mark) != 0
        np.add.at(found, cell[block] if of.all() else cell[block][of], 1)
    return found


def cells(found: Seen, shape: Shape) -> list[tuple[int, int, int, int, float]]:
    """Return (value, row, column, actors, sum of the measure), without empty cells.

    PERF: units are looked at an interval at a time, as bits of bytes that lie side by side.
    """
    rows = []
    enough = _enough(found, shape)
    key = (found.value - FOLDED) * shape.n_rows + found.row
    order = grouped(key)
    cuts = starts(key[order])
    for part in np.split(order, cuts[1:]) if len(order) else ():
        checkpoint()
        value, row, who = int(found.value[part[0]]), int(found.row[part[0]]), found.unit[part]
        if len(who) * _MANY_TIMES < len(found.actors):
            counts = [int(np.count_nonzero(column)) for column in _came(enough[:, who], found, shape, row)]
        else:
            entered = np.zeros(len(found.actors), bool)
            entered[who] = True
            counts = [int(np.count_nonzero(column & entered)) for column in _came(enough, found, shape, row)]
        counts.insert(0, len(who))
        sums = [0.0] * len(counts) if found.measure is None else _summed(found.measure, found, shape, who, row).tolist()
        rows += [(value, row, column, count, float(sums[column])) for column, count in enumerate(counts) if count]
    return rows


def appearances(found: Seen, shape: Shape, row: int) -> list[tuple[int, list[int]]]:
    """Return (actor, 0 or 1 per column) of those who entered in a row, those seen most often first."""
    who = np.unique(found.unit[found.row == row])
    columns = _came(_enough(found, shape)[:, who], found, shape, row)
    table = np.stack([np.ones(len(who), int), *columns], axis=1).tolist()
    return sorted(zip(found.actors[who].tolist(), table, strict=True), key=lambda one: (-sum(one[1]), one[0]))


def only(found: Seen, value: int) -> Seen:
    """Return the entries under one value."""
    kept = found.value == value
    return evolve(found, unit=found.unit[kept], row=found.row[kept], value=found.value[kept])


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


def _enough(found: Seen, shape: Shape) -> Flags:
    """Return per interval and unit whether it came often enough."""
    return np.ascontiguousarray((found.n_returns >= shape.min_occurrences).T)


def _came(enough: Flags, found: Seen, shape: Shape, row: int) -> list[Flags]:
    """Return per column after the first, which is the entry itself, which units were seen."""
    begin = 1 if found.is_rolling else row + 1
    never = np.zeros(enough.shape[1], bool)
    columns = [enough[place] if place < len(enough) else never for place in range(begin, begin + shape.reach)]
    if shape.is_cumulative:
        for place in range(len(columns) - 2, -1, -1):
            columns[place] = columns[place] | columns[place + 1]
    if shape.brackets:
        ends = np.cumsum(shape.brackets).tolist()
        columns = [
            np.logical_or.reduce(columns[end - width : end]) for end, width in zip(ends, shape.brackets, strict=True)
        ]
    return columns


def _summed(table: Array, found: Seen, shape: Shape, who: Ints, row: int) -> Array:
    """Return per column the sum over the units that came often enough; here the interval of the entry counts too."""
    begin = 0 if found.is_rolling else row
    span = slice(begin, begin + 1 + shape.reach)
    is_enough = found.n_returns[who, span] >= shape.min_occurrences
    sums = np.where(is_enough, table[who, span], 0).sum(axis=0)
    if found.entry_measure is not None:
        sums[0] = np.where(is_enough[:, 0], found.entry_measure[who, begin], 0).sum()
    sums = np.pad(sums, (0, 1 + shape.reach - len(sums)))
    if shape.brackets:
        sums = np.add.reduceat(sums, np.cumsum([0, 1, *shape.brackets[:-1]]))
    return sums
