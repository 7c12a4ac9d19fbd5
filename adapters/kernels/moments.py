"""Which row fills which step, in the order in which a funnel looks at them.

A row that matches several steps is looked at once per step, the highest first, so that it never follows itself.
Rows of one instant whose steps differ are looked at step by step from the lowest on, without their exclusions
(queries.md 6.2, consequence 6).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import frozen

from .histories import Array, Flags, History, Ints, merged, starts, units


@frozen
class Exclusion:
    """What must not happen after one step and before another."""

    mark: int
    """Index of its condition among the marks."""
    from_step: int
    to_step: int
    """0-based."""


@frozen(eq=False)
class Moments:
    """Looks at rows: position i looks at row `row[i]`."""

    row: Ints | None
    """None when each row is looked at once."""
    unit: Array
    at: Ints
    """Per position."""
    steps: list[Ints]
    """Per step, the positions that may fill it, ascending."""
    blocks: list[Ints]
    """Per step, the positions that exclude who has just taken it, ascending."""
    is_mixed: Flags | None
    """Per position: whether it shares its instant with a row of other steps; None when nowhere."""
    row_is_mixed: Flags | None
    """The same per row."""

    def rows(self, positions: Ints) -> Ints:
        """Return the rows that the positions look at."""
        return positions if self.row is None else self.row[positions]


def moments(history: History, n_steps: int, exclusions: Sequence[Exclusion] = ()) -> Moments:
    """Return the looks at a history whose marks 0 to `n_steps - 1` are the steps. O(n)."""
    marks = history.marks
    used = (1 << n_steps) - 1
    for exclusion in exclusions:
        used |= 1 << exclusion.mark
    is_mixed = _mixed(history)
    if not np.any(marks & (marks - marks.dtype.type(1))):
        found = _by_mark(marks, used)
        row, unit, at, mixed_at = None, history.unit, history.at, is_mixed
    else:
        row, found = _expanded(marks, used, n_steps, is_mixed, history)
        unit, at = history.unit[row], history.at[row]
        mixed_at = None if is_mixed is None else is_mixed[row]
    none = np.zeros(0, np.int64)
    blocks = []
    for step in range(n_steps):
        hits = merged([found[x.mark] for x in exclusions if x.from_step <= step < x.to_step and x.mark in found])
        blocks.append(hits if mixed_at is None else hits[~mixed_at[hits]])
    return Moments(row, unit, at, [found.get(step, none) for step in range(n_steps)], blocks, mixed_at, is_mixed)


def _mixed(history: History) -> Flags | None:
    """Return which rows share their instant with a row of other marks."""
    unit, at, marks = history.unit, history.at, history.marks
    same = at[1:] == at[:-1]
    same &= unit[1:] == unit[:-1]
    if not np.any(same & (marks[1:] != marks[:-1])):
        return None
    first = np.concatenate([[0], np.flatnonzero(~same) + 1])
    instant = units(first, len(at))
    differs = np.zeros(len(first), bool)
    differs[instant[1:][same & (marks[1:] != marks[:-1])]] = True
    return differs[instant]


def _by_mark(marks: Array, used: int) -> dict[int, Ints]:
    """Return per mark its rows, where no row has two marks."""
    # 0 stands for no mark, i + 1 for mark i. Stable sorting of bytes is a counting sort in numpy.
    code = np.frexp(marks.astype(np.float64))[1].astype(np.uint8) if marks.dtype.itemsize > 2 else _bit_table()[marks]
    order = np.argsort(code, kind="stable")
    ends = np.cumsum(np.bincount(code, minlength=1))
    return {
        bit: order[ends[bit] : ends[bit + 1]]
        for bit in range(len(ends) - 1)
        if used >> bit & 1 and ends[bit + 1] > ends[bit]
    }


def _bit_table() -> Array:
    return np.frexp(np.arange(1 << 16, dtype=np.float64))[1].astype(np.uint8)


def _expanded(
    marks: Array, used: int, n_steps: int, is_mixed: Flags | None, history: History
) -> tuple[Ints, dict[int, Ints]]:
    """Return the row of each position and per mark its positions."""
    bits = [bit for bit in range(used.bit_length()) if used >> bit & 1]
    rows = [np.flatnonzero(marks & marks.dtype.type(1 << bit)) for bit in bits]
    row = np.concatenate(rows)
    mark = np.repeat(np.array(bits, np.int64), [len(one) for one in rows])
    # Marks of exclusions are above those of steps, so the highest first means exclusions first.
    rank = used.bit_length() - mark
    group = row
    if is_mixed is not None:
        same = is_mixed[row]
        first = starts(history.unit, history.at)
        instant = first[units(first, len(marks))]
        group = np.where(same, instant[row], row)
        rank = np.where(same, mark, rank)
    order = np.lexsort((row, rank, group))
    row, mark = row[order], mark[order]
    return row, {bit: np.flatnonzero(mark == bit) for bit in bits}
