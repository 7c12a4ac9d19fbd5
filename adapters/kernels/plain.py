"""Ordered funnels whose events are one step each: the commonest ones, without anything that must be looked up per row.

Gives what `chains` gives for them. Rows of one instant need no care here: they are sorted by step, and no row can
fill two steps.
"""

from __future__ import annotations

import numpy as np
from attrs import frozen

from .checkpoint import checkpoint
from .histories import Ints, count_before, starts
from .outcomes import NEVER, Outcomes
from .timelines import Timeline

FEW_STEPS = 6
"""PERF: one pass per step costs 1 ns a row each, a stable sort of bytes (which numpy counts) 8."""


@frozen(eq=False)
class _Level:
    """The chains that reached one step, in the order in which they did."""

    moment: Ints
    """When, as keys without their code."""
    entry: Ints
    """When their first step was, likewise."""
    parent: Ints
    """Which chain of the step before each continues."""


def walk(found: Timeline, n_steps: int, window_us: int) -> tuple[Outcomes, Ints]:
    """Return how far those came who took the first step, and who they are, ascending.

    The code of a row is its step. The timeline was made with the window as its reach.
    """
    rows = _rows(found, n_steps)
    moments = found.keys >> found.code_bits
    levels = [_begun(moments[rows[0]])]
    before = rows[0]
    for step in range(1, n_steps):
        level, before = _continued(levels[-1], before, rows[step], moments, window_us)
        levels.append(level)
    actors, tops = _furthest(found, levels)
    return _outcomes(found, levels, tops), actors


def _rows(found: Timeline, n_steps: int) -> list[Ints]:
    """Return per step its rows."""
    codes = (found.keys & ((1 << found.code_bits) - 1)).astype(np.uint8)
    if n_steps <= FEW_STEPS:
        return [np.flatnonzero(codes == step) for step in range(n_steps)]
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=n_steps))
    return [order[(ends[step - 1] if step else 0) : ends[step]] for step in range(n_steps)]


def _begun(moment: Ints) -> _Level:
    return _Level(moment, moment, np.arange(len(moment)))


def _continued(last: _Level, before: Ints, rows: Ints, moments: Ints, window_us: int) -> tuple[_Level, Ints]:
    """Return the chains of the next step, and their rows; `before` are the rows of the last one.

    A row continues the newest chain before it, whose entry is the newest too. A chain is stored once per entry.
    """
    checkpoint()
    chain = count_before(before, rows, len(moments)) - 1
    known = np.flatnonzero(chain >= 0)
    rows, chain = rows[known], chain[known]
    moment, entry = moments[rows], last.entry[chain]
    fits = moment - entry <= window_us
    # Of rows with one entry the first is the earliest, so it is in the window when any is.
    fits[1:] &= entry[1:] != entry[:-1]
    kept = np.flatnonzero(fits)
    return _Level(moment[kept], entry[kept], chain[kept]), rows[kept]


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
