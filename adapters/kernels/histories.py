"""Events of actors as sorted arrays: what every kernel starts from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from .checkpoint import checkpoint

Array = NDArray[Any]
Ints = NDArray[Any]
"""Whole numbers, mostly 64 bits."""
Flags = NDArray[Any]
"""Booleans."""

MAX_MARKS = 62
"""How many conditions can be told apart in one history."""
PIECE = 1 << 20
"""Keys that are sorted in one step, or twice as many. PERF: 15 to 60 ms."""
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
        order = np.lexsort(columns[::-1])
        return [np.asarray(column[order], np.int64) for column in columns]
    packed = np.zeros(len(columns[0]), np.uint64)
    for first in range(0, len(packed), PIECE):
        checkpoint()
        block = packed[first : first + PIECE]
        for column, packing in zip(columns, packings, strict=True):
            block <<= np.uint64(packing.bits)
            part = column[first : first + PIECE] - packing.low
            if packing.scale > 1:
                part //= packing.scale
            block |= part.astype(np.uint64) >> np.uint64(packing.shift)
    sort(packed)
    found: list[Array] = []
    for packing in reversed(packings):
        checkpoint()
        part = packed if packing is packings[0] else packed & np.uint64((1 << packing.bits) - 1)
        found.append((part << np.uint64(packing.shift)).astype(np.int64) * packing.scale + packing.low)
        packed >>= np.uint64(packing.bits)
    return found[::-1]


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
    values = column - packing.low
    if np.any(values[:1000] % 1000) or np.any(values // 1000 * 1000 != values):
        return packing
    return _Packing(packing.low, 0, (int(values.max()) // 1000).bit_length(), 1000)


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
        table, codes = np.unique(marks, return_inverse=True)
        return codes, table
    seen = np.zeros(1 << width, bool)
    seen[marks] = True
    return (np.cumsum(seen, dtype=np.int32) - 1)[marks], np.flatnonzero(seen).astype(marks.dtype)


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
