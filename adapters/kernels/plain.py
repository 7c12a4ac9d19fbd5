"""Funnels whose events are one step each: the commonest ones, without anything that must be looked up per row.

Gives what `chains` and `attempts` give for them. In an ordered funnel rows of one instant need no care: they are sorted
by step, and no row can fill two steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import frozen

from .attempts import Attempts
from .checkpoint import checkpoint
from .histories import Ints, count_before, starts
from .outcomes import NEVER, Outcomes
from .timelines import Timeline, in_parts

FEW_STEPS = 6
"""PERF: one pass per step costs 1 ns a row each, a stable sort of bytes (which numpy counts) 8."""


@frozen(eq=False)
class _Level:
    """The chains that reached one step, in the order in which they did."""

    row: Ints
    moment: Ints
    """When, as keys without their code."""
    entry: Ints
    """When their first step was, likewise."""
    parent: Ints
    """Which chain of the step before each continues."""


def walk(found: Timeline, n_steps: int, *, is_strict: bool = False) -> tuple[Outcomes, Ints] | None:
    """Return how far those came who took the first step, and who they are, ascending.

    The code of a row is its step; in a strict funnel 0 stands for no step and each step is one more. The window is the
    timeline's reach. None for strict funnels in which different rows share an instant.
    """
    parts = in_parts(found, lambda part: _walk(part, n_steps, is_strict=is_strict))
    known = [part for part in parts if part is not None]
    return joined(known) if len(known) == len(parts) else None


def joined(parts: Sequence[tuple[Outcomes, Ints]]) -> tuple[Outcomes, Ints]:
    """Return the outcomes of several sets of actors as those of all."""
    if len(parts) == 1:
        return parts[0]
    furthest = np.concatenate([one.furthest for one, _ in parts])
    times = np.concatenate([one.times for one, _ in parts], axis=1)
    return Outcomes(np.arange(len(furthest)), furthest, times), np.concatenate([actors for _, actors in parts])


def attempts(found: Timeline, n_steps: int, edges_us: Sequence[int]) -> tuple[Attempts, Ints]:
    """Return the best attempt per actor and period of an ordered funnel, and who the actors are, ascending."""
    parts = in_parts(found, lambda part: _attempts(part, n_steps, edges_us))
    before = np.cumsum([0, *(len(actors) for _, actors in parts)])
    units = [best.unit + offset for (best, _), offset in zip(parts, before, strict=False)]
    periods, furthest = [best.period for best, _ in parts], [best.furthest for best, _ in parts]
    best = Attempts(np.concatenate(units), np.concatenate(periods), np.concatenate(furthest))
    return best, np.concatenate([actors for _, actors in parts])


def _walk(found: Timeline, n_steps: int, *, is_strict: bool) -> tuple[Outcomes, Ints] | None:
    moments = found.keys >> found.code_bits
    if is_strict and np.any((moments[1:] == moments[:-1]) & (found.keys[1:] != found.keys[:-1])):
        return None
    rows = _rows(found, n_steps + is_strict)[is_strict:]
    every = np.arange(len(rows[0]))
    moment = moments[rows[0]]
    levels = [_Level(rows[0], moment, moment, every)]
    for step in range(1, n_steps):
        levels.append(_continued(levels[-1], rows[step], moments, found.reach, is_strict=is_strict))
    actors, tops = _furthest(found, levels)
    return _outcomes(found, levels, tops), actors


def _attempts(found: Timeline, n_steps: int, edges_us: Sequence[int]) -> tuple[Attempts, Ints]:
    rows = _rows(found, n_steps)
    moments = found.keys >> found.code_bits
    entry = moments[rows[0]]
    furthest = np.zeros(len(entry), np.int64)
    going, current = np.arange(len(entry)), rows[0]
    for step in range(1, n_steps):
        checkpoint()
        if not len(rows[step]):
            break
        place = count_before(rows[step], current, len(moments))
        following = rows[step][np.minimum(place, len(rows[step]) - 1)]
        reaches = (place < len(rows[step])) & (moments[following] - entry[going] <= found.reach)
        going, current = going[reaches], following[reaches]
        furthest[going] = step
    edges = np.asarray(edges_us, np.int64)
    period = np.searchsorted(edges, found.times(entry), side="right") - 1
    inside = (period >= 0) & (period < len(edges) - 1)
    numbers, period, furthest = found.actors(entry)[inside], period[inside], furthest[inside]
    first = starts(numbers, period)
    best = np.maximum.reduceat(furthest, first) if len(first) else furthest
    whose = starts(numbers[first])
    unit = np.repeat(np.arange(len(whose)), np.diff(whose, append=len(first)))
    return Attempts(unit, period[first], best), numbers[first][whose]


def _rows(found: Timeline, n_codes: int) -> list[Ints]:
    """Return per code its rows."""
    codes = (found.keys & ((1 << found.code_bits) - 1)).astype(np.uint8)
    if n_codes <= FEW_STEPS:
        return [np.flatnonzero(codes == code) for code in range(n_codes)]
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=n_codes))
    return [order[(ends[code - 1] if code else 0) : ends[code]] for code in range(n_codes)]


def _continued(last: _Level, rows: Ints, moments: Ints, window: int, *, is_strict: bool) -> _Level:
    """Return the chains of the next step, whose rows are given.

    A row continues the newest chain before it, whose entry is the newest too. A chain is stored once per entry. In a
    strict funnel the row must be the very next one.
    """
    checkpoint()
    chain = count_before(last.row, rows, len(moments)) - 1
    known = np.flatnonzero(chain >= 0)
    if is_strict:
        known = known[last.row[chain[known]] + 1 == rows[known]]
    row, chain = rows[known], chain[known]
    moment, entry = moments[row], last.entry[chain]
    fits = moment - entry <= window
    # Of rows with one entry the first is the earliest, so it is in the window when any is.
    fits[1:] &= entry[1:] != entry[:-1]
    kept = np.flatnonzero(fits)
    return _Level(row[kept], moment[kept], entry[kept], chain[kept])


def _furthest(found: Timeline, levels: list[_Level]) -> tuple[Ints, list[tuple[Ints, Ints]]]:
    """Return the actors, and per step the actors who came no further, with the first chain that got there."""
    shift = found.at_bits
    numbers = levels[0].moment >> shift
    first = starts(numbers)
    actors = numbers[first]
    top = np.zeros(len(actors), np.int64)
    chain = first
    for step in range(1, len(levels)):
        numbers = levels[step].moment >> shift
        first = starts(numbers)
        unit = np.searchsorted(actors, numbers[first]) if len(first) < len(actors) else np.arange(len(actors))
        top[unit], chain[unit] = step, first
    tops = [np.flatnonzero(top == step) for step in range(len(levels))]
    return actors + found.low_actor, [(unit, chain[unit]) for unit in tops]


def _outcomes(found: Timeline, levels: list[_Level], tops: list[tuple[Ints, Ints]]) -> Outcomes:
    """Follow the chains that count back to their first step."""
    size = sum(len(unit) for unit, _ in tops)
    times = np.full((len(levels), size), NEVER)
    furthest = np.zeros(size, np.int64)
    unit = chain = np.zeros(0, np.int64)
    for step in range(len(levels) - 1, -1, -1):
        level = levels[step]
        furthest[tops[step][0]] = step
        unit, chain = np.concatenate([unit, tops[step][0]]), np.concatenate([chain, tops[step][1]])
        times[step, unit] = found.times(level.moment[chain])
        chain = level.parent[chain]
    return Outcomes(np.arange(size), furthest, times)
