"""Events of actors as sorted arrays: what every kernel starts from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from .checkpoint import blocks, by_blocks, checkpoint

Array = NDArray[Any]
Ints = NDArray[Any]
"""Whole numbers, mostly 64 bits."""
Flags = NDArray[Any]
"""Booleans."""

MAX_MARKS = 62
"""How many conditions can be told apart in one history."""
PIECE = 1 << 19
"""Keys that are sorted in one step, or twice as many. PERF: 8 to 60 ms."""
PART = 1 << 18
"""Rows that are sorted by several columns, or walked, in one step, or twice as many. PERF: 45 ms."""
_TABLE_BITS = 22
_MILLISECOND_BITS = 30


@frozen(eq=False)
class History:
    """Rows sorted by unit, time and marks.

    A unit is whose steps are counted together: an actor, or an actor under one value.
    """

    unit: Ints
    """Per row, ascending from 0 without gaps."""
    at: Ints
    """Per row, microseconds since 1970 UTC."""
    marks: Array
    """Per row, unsigned: bit i is set when the row satisfies condition i."""
    actors: Ints
    """Per unit: who it is."""
    values: Ints | None = None
    """Per unit: the code of its breakdown value."""

    @property
    def n_units(self) -> int:
        """How many units there are."""
        return len(self.actors)

    def parts(self) -> Iterator[tuple[slice, History]]:
        """Yield the rows of some units after the other, and their history; they are few unless a unit has many.

        They can be given up between two of them. PERF: what they are walked with stays in the cache.
        """
        cuts = np.unique(self.unit[PART::PART]).tolist()
        rows = [0, *np.searchsorted(self.unit, cuts).tolist(), len(self.unit)]
        owners = [0, *cuts, self.n_units]
        for first, last, low, high in zip(rows, rows[1:], owners, owners[1:], strict=False):
            checkpoint()
            of, who = slice(first, last), slice(low, high)
            values = None if self.values is None else self.values[who]
            unit = self.unit[of] - self.unit.dtype.type(low)
            yield of, History(unit, self.at[of], self.marks[of], self.actors[who], values)


def history(actor: Array, at: Array, marks: Array, value: Array | None = None) -> History:
    """Sort rows in any order into a history, one unit per actor, or per actor and value. O(n log n)."""
    codes, table = compressed(marks)
    if value is None:
        actor, at, codes = sorted_columns(actor, at, codes)
        first = starts(actor)
        values = None
    else:
        actor, value, at, codes = sorted_columns(actor, value, at, codes)
        first = starts(actor, value)
        values = value[first].astype(np.int64)
    return History(units(first, len(at)), at, table[codes], actor[first], values)


def sorted_columns(*columns: Array) -> list[Array]:
    """Return the rows sorted by the first column, then the second, and so on.

    PERF: rows that fit into 64 bits are sorted as one number: 1.4 M rows of three columns in 30 ms, else 72.
    """
    checkpoint()
    if not len(columns[0]):
        return [np.asarray(column, np.int64) for column in columns]
    packings = [_packing(column) for column in columns]
    if sum(packing.bits for packing in packings) > 64:
        packings = [_scaled(column, packing) for column, packing in zip(columns, packings, strict=True)]
    if sum(packing.bits for packing in packings) > 64:
        order = ordered(*columns)
        return [np.asarray(taken(column, order), np.int64) for column in columns]
    packed = np.zeros(len(columns[0]), np.uint64)
    for of in blocks(len(packed)):
        block = packed[of]
        for column, packing in zip(columns, packings, strict=True):
            block <<= np.uint64(packing.bits)
            part = column[of] - packing.low
            if packing.scale > 1:
                part //= packing.scale
            block |= part.astype(np.uint64) >> np.uint64(packing.shift)
    sort(packed)
    found: list[Array] = [np.empty(len(packed), np.int64) for _ in columns]
    for of in blocks(len(packed)):
        block = packed[of]
        for column, packing in zip(reversed(found), reversed(packings), strict=True):
            part = block if packing is packings[0] else block & np.uint64((1 << packing.bits) - 1)
            column[of] = (part << np.uint64(packing.shift)).astype(np.int64) * packing.scale + packing.low
            block >>= np.uint64(packing.bits)
    return found


def ordered(*columns: Array) -> Ints:
    """Return the order that sorts rows by the first column, then the second, and so on; what was first stays first.

    Many rows are sorted in parts, between which it can be given up. PERF: 10 M rows in two thirds of the time, as each
    part stays in the cache.
    """
    size = len(columns[0])
    if size <= 2 * PART:
        checkpoint()
        return np.lexsort(columns[::-1])
    some = np.sort(columns[0][:: size // (64 * (size // PART)) + 1])
    pivots = np.unique(some[np.linspace(0, len(some), size // PART + 1).astype(np.int64)[1:-1]])
    parts: list[list[Ints]] = [[] for _ in range(len(pivots) + 1)]
    for of in blocks(size, PART):
        place = np.searchsorted(pivots, columns[0][of], side="right").astype(np.uint16)
        order = np.argsort(place, kind="stable")
        cuts = np.cumsum(np.bincount(place, minlength=len(parts)))[:-1]
        for part, rows in zip(parts, np.split(order + of.start, cuts), strict=True):
            part.append(rows)
    found = []
    for part in parts:
        checkpoint()
        rows = np.concatenate(part)
        found.append(rows[np.lexsort([column[rows] for column in reversed(columns)])])
    return np.concatenate(found)


def taken(column: Array, rows: Ints) -> Array:
    """Return the values of the rows."""
    return by_blocks(len(rows), column.dtype, lambda of: column.take(rows[of]))


def chosen(column: Array, kept: Flags | slice) -> Array:
    """Return a copy of the values of some rows, or of all."""
    if isinstance(kept, slice):
        return by_blocks(len(column), column.dtype, lambda of: column[of])
    found = np.empty(np.count_nonzero(kept), column.dtype)
    first = 0
    for of in blocks(len(column)):
        values = column[of][kept[of]]
        found[first : first + len(values)] = values
        first += len(values)
    return found


def sort(keys: Array) -> None:
    """Sort in place; many keys in pieces, between which the sorting can be given up.

    PERF: merging the pieces is what sorting them whole would do too: 10 M keys in 80 runs take 290 ms, whole 263.
    """
    if len(keys) <= 2 * PIECE:
        _sort_piece(keys)
        return
    pieces = [keys[first : first + PIECE].copy() for first in range(0, len(keys), PIECE)]
    for piece in pieces:
        _sort_piece(piece)
    some = np.sort(np.concatenate([piece[:: len(piece) // 64 + 1] for piece in pieces]))
    pivots = some[np.linspace(0, len(some), len(pieces) + 1).astype(np.int64)[1:-1]]
    cuts = [np.concatenate([[0], np.searchsorted(piece, pivots), [len(piece)]]) for piece in pieces]
    first = 0
    for place in range(len(pieces)):
        checkpoint()
        part = np.concatenate([piece[cut[place] : cut[place + 1]] for piece, cut in zip(pieces, cuts, strict=True)])
        part.sort(kind="stable")
        keys[first : first + len(part)] = part
        first += len(part)


def _sort_piece(keys: Array) -> None:
    """Sort in place.

    PERF: rows come out of the store as sorted runs, which merging keeps: 1.4 M rows in 13 ms, as quicksort in 73; rows
    in no order take 85 that way.
    """
    checkpoint()
    n_runs = int(np.count_nonzero(keys[1:] < keys[:-1])) + 1
    keys.sort(kind="stable" if n_runs * 32 < len(keys) else "quicksort")
    checkpoint()


@frozen
class _Packing:
    """A column as `bits` bits: less its least value, divided by a scale, without trailing bits that are never set."""

    low: int
    shift: int
    bits: int
    scale: int = 1


def _packing(column: Array) -> _Packing:
    checkpoint()
    low = int(column.min())
    used = int(np.bitwise_or.reduce(column - low))
    shift = (used & -used).bit_length() - 1 if used else 0
    return _Packing(low, shift, (used >> shift).bit_length())


def _scaled(column: Array, packing: _Packing) -> _Packing:
    """Return how a column of whole milliseconds is packed, other columns as before."""
    if packing.bits + packing.shift < _MILLISECOND_BITS:
        return packing
    most = 0
    for of in blocks(len(column)):
        values = column[of] - packing.low
        if np.any(values // 1000 * 1000 != values):
            return packing
        most = max(most, int(values.max()))
    return _Packing(packing.low, 0, (most // 1000).bit_length(), 1000)


def grouped(keys: Ints) -> Ints:
    """Return the order that puts equal keys, which are not negative, together; what was first stays first.

    PERF: stable sorting of 16 bits is a counting sort in numpy: 0.9 M keys of 25 bits in 25 ms, sorted whole in 90.
    """
    order = np.argsort(keys.astype(np.uint16), kind="stable")
    for shift in range(16, int(keys.max(initial=0)).bit_length(), 16):
        checkpoint()
        order = order[np.argsort((keys >> shift).astype(np.uint16)[order], kind="stable")]
    return order


def compressed(marks: Array) -> tuple[Array, Array]:
    """Return small codes, in the order of the marks, and the table that gives the marks of a code."""
    checkpoint()
    if not len(marks):
        return marks.astype(np.int64), np.zeros(0, np.uint64)
    width = int(marks.max()).bit_length()
    if width > _TABLE_BITS:
        table = np.unique(np.concatenate([np.unique(marks[of]) for of in blocks(len(marks))]))
        return by_blocks(len(marks), np.int64, lambda of: np.searchsorted(table, marks[of])), table
    seen = np.zeros(1 << width, bool)
    for of in blocks(len(marks)):
        seen[marks[of]] = True
    codes = np.cumsum(seen, dtype=np.int32) - 1
    return by_blocks(len(marks), np.int32, lambda of: codes[marks[of]]), np.flatnonzero(seen).astype(marks.dtype)


def starts(*columns: Array) -> Ints:
    """Return the row at which each run of equal values in all columns begins."""
    checkpoint()
    if not len(columns[0]):
        return np.zeros(0, np.int64)
    changes = columns[0][1:] != columns[0][:-1]
    for column in columns[1:]:
        changes |= column[1:] != column[:-1]
    return np.concatenate([[0], np.flatnonzero(changes) + 1])


def units(first: Ints, size: int) -> Ints:
    """Return the number of each row's run, whose first rows are given."""
    checkpoint()
    return np.repeat(np.arange(len(first), dtype=np.int32), np.diff(first, append=size))


def intervals(at: Ints, edges_us: Sequence[int]) -> Ints:
    """Return per time which interval it is in, counted from 0; -1 before the first edge. Edges ascend.

    PERF: a search takes 15 ns a time. Between two numbers of a table there is at most one edge, so looking twice
    takes 4.
    """
    checkpoint()
    edges = np.asarray(edges_us, np.int64)
    shift = int(np.diff(edges).min()).bit_length() - 1 if len(edges) > 1 else -1
    size = (int(edges[-1] - edges[0]) >> max(shift, 0)) + 2
    if shift < 0 or size > len(at):
        return np.asarray(np.searchsorted(edges, at, side="right") - 1)
    begins = edges[0] + (np.arange(size) << shift)
    table = np.searchsorted(edges, begins, side="right").astype(np.int32)
    place = at - edges[0]
    place >>= shift
    found = table.take(place, mode="clip")
    found += at >= np.append(edges, np.iinfo(np.int64).max).take(found)
    found -= 1
    found[at < edges[0]] = -1
    return np.asarray(found)


def count_before(positions: Ints, needles: Ints, size: int) -> Ints:
    """Return for each needle how many of the ascending positions lie before it; all of them are below `size`.

    PERF: a search costs 30 ns a needle, counting along 2 ns a position.
    """
    checkpoint()
    if size > 15 * len(needles):
        return np.searchsorted(positions, needles)
    counts = np.zeros(size + 1, np.int32)
    counts[positions + 1] = 1
    np.cumsum(counts, out=counts)
    return counts[needles].astype(np.int64)


def merged(parts: Sequence[Ints]) -> Ints:
    """Return the distinct positions of several sorted lists, sorted."""
    checkpoint()
    if len(parts) == 1:
        return parts[0]
    return np.unique(np.concatenate(parts)) if parts else np.zeros(0, np.int64)
