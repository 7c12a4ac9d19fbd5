"""Funnels whose events are one step each: the commonest ones, without anything that must be looked up per row.

Gives what `chains` and `attempts` give for them. In an ordered funnel events of one instant need no care: they are
looked at step by step, and none can fill two steps. So each step's events are sorted apart, and only those of actors
who came as far as the step before.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import frozen

from . import attempts as tries
from .attempts import Attempts
from .checkpoint import checkpoint
from .histories import Array, Flags, Ints, chosen, intervals, sort, starts
from .outcomes import NEVER, Outcomes, joined
from .packed import Packed, Timeline, apart, in_parts, timeline

MOST_TIMES_ACTORS = 16
"""PERF: actors between the least and the greatest number, per event, up to which those who go on are marked."""


@frozen(eq=False)
class _Level:
    """The chains that reached one step, in the order in which they did; no two of one entry."""

    moment: Ints
    """When, as keys."""
    entry: Ints
    """When their first step was, likewise."""
    parent: Ints
    """Which chain of the step before each continues."""


def walk(events: Packed, code: Array, n_steps: int) -> tuple[Outcomes, Ints]:
    """Return how far those came who took the first step, and who they are, ascending.

    `code` is per event its step. The window is the events' reach; they have room for a bit.
    """

    def part(of: Flags | slice) -> tuple[Outcomes, Ints]:
        steps = apart(chosen(events.keys, of), chosen(code, of), n_steps)
        sort(steps[0])
        levels = [_Level(steps[0], steps[0], np.zeros(0, np.int64))]
        for keys in steps[1:]:
            levels.append(_continued(levels[-1], _sorted(keys, levels[-1], events.at_bits), events.reach))
        return _ended(events, levels)

    return joined(in_parts(events, part))


def walk_strictly(events: Packed, code: Array, n_steps: int) -> tuple[Outcomes, Ints] | None:
    """Return the same for a strict funnel; code 0 stands for no step, and each step is one more.

    None where different events share an instant. The events have room for their codes.
    """
    parts = in_parts(events, lambda of: _walk_strictly(timeline(events, code, of, n_steps.bit_length()), n_steps))
    known = [part for part in parts if part is not None]
    return joined(known) if len(known) == len(parts) else None


def attempts(events: Packed, code: Array, n_steps: int, edges_us: Sequence[int]) -> tuple[Attempts, Ints]:
    """Return the best attempt per actor and period of an ordered funnel, and who the actors are, ascending.

    `code` is per event its step. The events have room for a bit.
    """

    def part(of: Flags | slice) -> tuple[Attempts, Ints]:
        return _attempts(events, chosen(events.keys, of), chosen(code, of), n_steps, edges_us)

    return tries.joined(in_parts(events, part))


def _sorted(keys: Ints, last: _Level, at_bits: int) -> Ints:
    """Return the events of a step in order, at least those of actors who came as far as the step before."""
    if 0 < len(last.moment) < len(keys):
        low, high = (int(last.moment[place]) >> at_bits for place in (0, -1))
        if high - low < MOST_TIMES_ACTORS * len(keys):
            goes_on = np.zeros(high - low + 3, bool)
            goes_on[(last.moment >> at_bits) - (low - 1)] = True
            checkpoint()
            keys = keys[goes_on.take((keys >> at_bits) - (low - 1), mode="clip")]
    sort(keys)
    return keys


def _continued(last: _Level, keys: Ints, reach: int) -> _Level:
    """Return the chains of the next step, whose events are given in order.

    An event continues the newest chain before it, whose entry is the newest too: of a chain's events until the next
    chain the first one counts, as it is in the window when any is. So chains and events are put in order together.
    """
    merged, is_event = _merged(last.moment, keys)
    checkpoint()
    hits = np.flatnonzero(is_event[1:] > is_event[:-1])
    chain = hits - np.cumsum(is_event, dtype=np.int32).take(hits)
    moment, entry = merged.take(hits + 1) >> 1, last.entry.take(chain)
    kept = np.flatnonzero(moment - entry <= reach)
    return _Level(moment.take(kept), entry.take(kept), chain.take(kept))


def _merged(moments: Ints, keys: Ints) -> tuple[Ints, Array]:
    """Return both, which are in order, in one order and with a bit below, and which are keys; those of one time last.

    PERF: merging two sorted runs takes 4 ns a number, searching for one 30.
    """
    merged = np.concatenate([moments << 1, keys << 1 | 1])
    checkpoint()
    merged.sort(kind="stable")
    return merged, merged.astype(np.uint8) & 1


def _attempts(events: Packed, keys: Ints, code: Array, n_steps: int, edges_us: Sequence[int]) -> tuple[Attempts, Ints]:
    steps = apart(keys, code, n_steps)
    entry = steps[0]
    sort(entry)
    actor, period = entry >> events.at_bits, intervals(events.times(entry), edges_us)
    furthest = np.zeros(len(entry), np.int8)
    going, current = np.arange(len(entry)), entry
    for step in range(1, n_steps):
        following = _sorted(steps[step], _Level(current, current, going), events.at_bits)
        if not len(following) or not len(current):
            break
        _, is_event = _merged(current, following)
        checkpoint()
        place = np.cumsum(is_event, dtype=np.int32)[is_event == 0]
        reached = following.take(place, mode="clip")
        kept = (place < len(following)) & (reached - entry.take(going) <= events.reach)
        # Of attempts that go on alike the newest has most time left.
        kept[:-1] &= (place[1:] != place[:-1]) | (period.take(going[1:]) != period.take(going[:-1]))
        going, current = going[kept], reached[kept]
        furthest[going] = step
    inside = (period >= 0) & (period < len(edges_us) - 1)
    actor, period, furthest = actor[inside], period[inside], furthest[inside]
    first = starts(actor, period)
    best = np.maximum.reduceat(furthest, first) if len(first) else furthest
    whose = starts(actor[first])
    unit = np.repeat(np.arange(len(whose)), np.diff(whose, append=len(first)))
    return Attempts(unit, period[first], best.astype(np.int64)), actor[first][whose] + events.low_actor


def _walk_strictly(line: Timeline, n_steps: int) -> tuple[Outcomes, Ints] | None:
    """Follow chains of events that come one directly after the other."""
    moments, codes = line.moments(), line.codes()
    checkpoint()
    same = np.flatnonzero(moments[1:] == moments[:-1])
    if np.any(codes[same + 1] != codes[same]):
        return None
    checkpoint()
    row = np.flatnonzero(codes == 1)
    codes = np.append(codes, np.uint8(0))
    levels = [_Level(moments[row], moments[row], row)]
    for step in range(1, n_steps):
        checkpoint()
        parent = np.flatnonzero(codes[row + 1] == step + 1)
        moment, entry = moments[row[parent] + 1], levels[-1].entry[parent]
        kept = np.flatnonzero(moment - entry <= line.events.reach)
        row = row[parent[kept]] + 1
        levels.append(_Level(moment[kept], entry[kept], parent[kept]))
    return _ended(line.events, levels)


def _ended(events: Packed, levels: Sequence[_Level]) -> tuple[Outcomes, Ints]:
    """Return how far each actor came, with the first chain that got there, and who they are."""
    first = starts(levels[0].moment >> events.at_bits)
    actors = levels[0].moment[first] >> events.at_bits
    n_units = len(actors)
    known, unit, chain = actors, np.arange(n_units), first
    tops = []
    for level in levels[1:]:
        # Whoever came to a step came to the one before.
        numbers = level.moment >> events.at_bits
        first = starts(numbers)
        place = np.searchsorted(known, numbers[first])
        stayed = np.ones(len(known), bool)
        stayed[place] = False
        tops.append((unit[stayed], chain[stayed]))
        known, unit, chain = known[place], unit[place], first
    tops.append((unit, chain))
    times = np.full((len(levels), n_units), NEVER)
    furthest = np.zeros(n_units, np.int64)
    unit = chain = np.zeros(0, np.int64)
    for step in range(len(levels) - 1, -1, -1):
        checkpoint()
        furthest[tops[step][0]] = step
        unit, chain = np.concatenate([unit, tops[step][0]]), np.concatenate([chain, tops[step][1]])
        times[step, unit] = events.times(levels[step].moment[chain])
        chain = levels[step].parent[chain] if step else chain
    return Outcomes(np.arange(n_units), furthest, times), actors + events.low_actor
