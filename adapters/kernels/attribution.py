"""Which breakdown value the events of an actor count under (queries.md 6.6)."""

from __future__ import annotations

from typing import Literal

import numpy as np

from .checkpoint import checkpoint
from .histories import Array, History, Ints, compressed, sorted_columns, starts, units
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
) -> History:
    """Return the history in which each unit has one value: the code of its actor, or one of several.

    `nothing` is the code of the missing value, None when no event lacks one. With `any_step`, the number of steps and a
    free mark, a value of any step will do, and the mark tells which events carry it. Raises MemoryError when
    events would be copied more than 60 million times.
    """
    if kind == "all_events":
        return _by_value(actor, at, marks, value)
    codes, table = compressed(marks)
    actor, at, codes, value = sorted_columns(actor, at, codes, value)
    marks = table[codes] if len(codes) else codes.astype(np.uint64)
    first = starts(actor)
    unit = units(first, len(at))
    if kind == "step":
        return _by_step(actor, unit, at, marks, value, step, any_step)
    # In a strict funnel there are events of no step; their values do not matter.
    given = np.flatnonzero(marks != 0 if nothing is None else (value != nothing) & (marks != 0))
    if kind == "first_touch":
        chosen = given[starts(unit[given])]
    else:
        ends = np.append(starts(unit[given])[1:], len(given)) - 1 if len(given) else given
        chosen = given[ends]
    values = np.full(len(first), -1 if nothing is None else nothing, np.int64)
    values[unit[chosen]] = value[chosen]
    return History(unit, at, marks, actor[first], values)


def touched(events: Packed, code: Array, value: Array, actors: Ints, *, nothing: int | None, is_last: bool) -> Ints:
    """Return per actor (ascending, each with an event) the value of their first or last event that has one.

    `code` grows with the step. Of one instant the least code counts and then the least value, for the last touch the
    greatest. Who has no value gets the missing one. Events of others are passed over.
    """
    keys = events.keys
    if nothing is not None:
        given = value != nothing
        keys, code, value = keys[given], code[given], value[given]
    checkpoint()
    low = int(actors[0]) if len(actors) else 0
    # Whoever is none of the actors has the last place.
    place = np.full(int(actors[-1]) - low + 3 if len(actors) else 2, len(actors), np.int32)
    place[actors - (low - 1)] = np.arange(len(actors), dtype=np.int32)
    unit = place.take(events.actors(keys) - (low - 1), mode="clip")
    sign = -1 if is_last else 1
    keys = keys if sign == 1 else -keys
    nearest = np.full(len(actors) + 1, _NONE)
    np.minimum.at(nearest, unit, keys)
    checkpoint()
    hits = np.flatnonzero(keys == nearest.take(unit))
    size = int(value.max(initial=0)) + 1
    ranks = np.full(len(actors) + 1, _NONE)
    np.minimum.at(ranks, unit[hits], (code[hits].astype(np.int64) * size + value[hits]) * sign)
    found = ranks[:-1] * sign % size
    found[nearest[:-1] == _NONE] = -1 if nothing is None else nothing
    return np.asarray(found)


def _by_value(actor: Array, at: Array, marks: Array, value: Array) -> History:
    codes, table = compressed(marks)
    actor, value, at, codes = sorted_columns(actor, value, at, codes)
    first = starts(actor, value)
    marks = table[codes] if len(codes) else codes.astype(np.uint64)
    return History(units(first, len(at)), at, marks, actor[first], value[first].astype(np.int64))


def _by_step(
    actor: Array, unit: Array, at: Ints, marks: Array, value: Array, step: int, any_step: tuple[int, int] | None
) -> History:
    """Copy an actor's events once per value that an event of the step has; only those of the value fill it then."""
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
    if sizes.sum() > MAX_COPIES:
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
    copy, at, codes = sorted_columns(copy, at[row], codes)
    marks = table[codes] if len(codes) else codes.astype(np.uint64)
    return History(copy.astype(np.int32), at, marks, actor[first][of], values.astype(np.int64))
