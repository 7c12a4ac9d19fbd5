"""Which breakdown value the events of an actor count under (queries.md 6.6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from attrs import evolve

from .checkpoint import blocks, by_blocks
from .histories import Array, History, Ints, chosen, compressed, sorted_columns, starts, units
from .packed import Packed

MAX_COPIES = 60_000_000
_NONE = np.iinfo(np.int64).max
Kind = Literal["first_touch", "last_touch", "all_events", "step"]


def attributed(
    actor: Array,
    at: Array,
    marks: Array,
    value: Array,
    kind: Kind,
    *,
    step: int,
    nothing: int | None,
    any_step: tuple[int, int] | None = None,
) -> Iterator[History]:
    """Yield histories of some actors after the other in which each unit has one value: its actor's, or one of several.

    `nothing` is the code of the missing value, None when no event lacks one. With `any_step`, the number of steps and a
    free mark, a value of any step will do, and the mark tells which events carry it. Raises MemoryError when
    events would be copied more than 60 million times.
    """
    codes, table = compressed(marks)
    if kind == "all_events":
        actor, value, at, codes = sorted_columns(actor, value, at, codes)
        first = starts(actor, value)
        whole = History(units(first, len(at)), at, _marks(table, codes), actor[first], value[first].astype(np.int64))
        yield from (part for _, part in whole.parts())
        return
    actor, at, codes, value = sorted_columns(actor, at, codes, value)
    first = starts(actor)
    whole, n_copies = History(units(first, len(at)), at, _marks(table, codes), actor[first]), 0
    for of, part in whole.parts():
        if kind == "step":
            found = _by_step(part, value[of], step, any_step, most=MAX_COPIES - n_copies)
            n_copies += len(found.at)
            yield from (copied for _, copied in found.parts())
        else:
            yield _touched(part, value[of], nothing, is_last=kind == "last_touch")


def _marks(table: Array, codes: Array) -> Array:
    return table[codes] if len(codes) else codes.astype(np.uint64)


def _touched(part: History, value: Array, nothing: int | None, *, is_last: bool) -> History:
    # In a strict funnel there are events of no step; their values do not matter.
    given = np.flatnonzero(part.marks != 0 if nothing is None else (value != nothing) & (part.marks != 0))
    first = starts(part.unit[given])
    if is_last and len(given):
        first = np.append(first[1:], len(given)) - 1
    chosen = given[first]
    values = np.full(part.n_units, -1 if nothing is None else nothing, np.int64)
    values[part.unit[chosen]] = value[chosen]
    return evolve(part, values=values)


def touched(events: Packed, code: Array, value: Array, actors: Ints, *, nothing: int | None, is_last: bool) -> Ints:
    """Return per actor (ascending, each with an event) the value of their first or last event that has one.

    `code` grows with the step. Of one instant the least code counts and then the least value, for the last touch the
    greatest. Who has no value gets the missing one. Events of others are passed over.
    """
    keys = events.keys
    if nothing is not None:
        given = value != nothing
        keys, code, value = (chosen(column, given) for column in (keys, code, value))
    low = int(actors[0]) if len(actors) else 0
    # Whoever is none of the actors has the last place.
    place = np.full(int(actors[-1]) - low + 3 if len(actors) else 2, len(actors), np.int32)
    place[actors - (low - 1)] = np.arange(len(actors), dtype=np.int32)
    sign = -1 if is_last else 1
    nearest = np.full(len(actors) + 1, _NONE)
    unit = np.empty(len(keys), np.int32)
    for of in blocks(len(keys)):
        unit[of] = place.take(events.actors(keys[of]) - (low - 1), mode="clip")
        np.minimum.at(nearest, unit[of], keys[of] * sign)
    hits = np.flatnonzero(by_blocks(len(keys), bool, lambda of: keys[of] * sign == nearest.take(unit[of])))
    size = int(value.max(initial=0)) + 1
    ranks = np.full(len(actors) + 1, _NONE)
    np.minimum.at(ranks, unit[hits], (code[hits].astype(np.int64) * size + value[hits]) * sign)
    found = ranks[:-1] * sign % size
    found[nearest[:-1] == _NONE] = -1 if nothing is None else nothing
    return np.asarray(found)


def _by_step(part: History, value: Array, step: int, any_step: tuple[int, int] | None, *, most: int) -> History:
    """Copy an actor's events once per value that an event of the step has; only those of the value fill it then."""
    unit, marks = part.unit, part.marks
    if any_step is None:
        bit = marks.dtype.type(1 << step)
        fills = (marks & bit) != 0
    else:
        n_steps, first_mark = any_step
        marks = marks.astype(np.uint64)
        bit = np.uint64(1 << first_mark)
        fills = (marks & np.uint64((1 << n_steps) - 1)) != 0
    of, values = sorted_columns(unit[fills], value[fills])
    pairs = starts(of, values)
    of, values = of[pairs], values[pairs]
    first = starts(unit)
    sizes = np.diff(first, append=len(unit))[of]
    if sizes.sum() > most:
        raise MemoryError("The breakdown by a step has too many values.")
    begins = np.cumsum(sizes) - sizes
    copy = units(begins, int(sizes.sum()))
    row = np.arange(len(copy)) - begins[copy] + first[of][copy]
    carries = value[row] == values[copy]
    marks = (
        np.where(carries, marks[row], marks[row] & ~bit)
        if any_step is None
        else np.where(carries & fills[row], marks[row] | bit, marks[row])
    )
    # Marks tell in which order events of one instant are looked at.
    codes, table = compressed(marks)
    copy, at, codes = sorted_columns(copy, part.at[row], codes)
    return History(copy.astype(np.int32), at, _marks(table, codes), part.actors[of], values.astype(np.int64))
