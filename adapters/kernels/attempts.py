"""Funnel trends: what became of the attempts that began in each period (queries.md 6.9)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import frozen

from . import unordered
from .chains import Holds
from .histories import Array, Flags, History, Ints, count_before, sorted_columns, starts
from .moments import Exclusion, Moments, moments


@frozen(eq=False)
class Attempts:
    """The best attempt of each unit in each period in which it began one."""

    unit: Ints
    period: Ints
    furthest: Ints
    """0-based."""


def walk(
    history: History,
    n_steps: int,
    window_us: int,
    edges_us: Sequence[int],
    *,
    order: str = "ordered",
    exclusions: Sequence[Exclusion] = (),
    first_mark: int | None = None,
) -> Attempts:
    """Return per unit and period the furthest step that an attempt which began in it reached.

    Period i begins at `edges_us[i]` and ends before the next edge. An attempt runs from one event of the first step
    (of any step when unordered) as far as the window goes; one that passes an exclusion does not count, and where it
    took all steps, neither does any other of its unit (but for unordered ones, which begin anew after an exclusion).
    With `first_mark` unordered attempts begin with events of that mark only.
    """
    if order == "unordered":
        depth = unordered.depths(history, n_steps, window_us, exclusions=exclusions, first_mark=first_mark)
        row = np.flatnonzero(depth)
        return _best(history.unit[row], history.at[row], depth[row] - 1, edges_us)
    found = moments(history, n_steps, exclusions)
    holds = Holds(found) if order == "strict" else None
    entry = found.steps[0]
    furthest = np.zeros(len(entry), np.int64)
    is_clean = np.ones(len(entry), bool)
    going = np.arange(len(entry))
    path = entry[:, np.newaxis]
    for step in range(n_steps):
        current = path[:, -1]
        following, reaches = (
            _next(found, step + 1, path, entry[going], window_us, holds)
            if step + 1 < n_steps
            else (current, np.zeros(len(going), bool))
        )
        is_clean[going] &= ~_passes(found, step, current, entry[going], window_us, following, reaches, holds)
        if step + 1 == n_steps:
            break
        going, path = going[reaches], np.column_stack([path[reaches], following[reaches]])
        furthest[going] = step + 1
    unit = found.unit[entry]
    is_out = np.zeros(history.n_units, bool)
    is_out[unit[~is_clean & (furthest == n_steps - 1)]] = True
    kept = is_clean & ~is_out[unit]
    entry, furthest = entry[kept], furthest[kept]
    return _best(found.unit[entry], found.at[entry], furthest, edges_us)


def joined(parts: Sequence[tuple[Attempts, Ints]]) -> tuple[Attempts, Ints]:
    """Return the attempts of several sets of units, and who these are, as those of all."""
    before = np.cumsum([0, *(len(actors) for _, actors in parts)])
    units = [best.unit + offset for (best, _), offset in zip(parts, before, strict=False)]
    periods, furthest = [best.period for best, _ in parts], [best.furthest for best, _ in parts]
    best = Attempts(np.concatenate(units), np.concatenate(periods), np.concatenate(furthest))
    return best, np.concatenate([actors for _, actors in parts])


def _next(
    found: Moments, step: int, path: Array, entry: Ints, window_us: int, holds: Holds | None
) -> tuple[Ints, Flags]:
    """Return the first position of a step after each path, and whether it continues the path."""
    candidates, current = found.steps[step], path[:, -1]
    place = count_before(candidates, current + 1, len(found.at) + 1)
    following = np.zeros(len(current), np.int64)
    reaches = np.zeros(len(current), bool)
    rest = np.arange(len(current))
    while len(rest):
        rest = rest[place[rest] < len(candidates)]
        position = candidates[place[rest]]
        fits = found.unit[position] == found.unit[entry[rest]]
        fits &= found.at[position] - found.at[entry[rest]] <= window_us
        if holds is not None:
            fits &= holds.stand(current[rest], position)
        rest, position = rest[fits], position[fits]
        used = np.zeros(len(rest), bool)
        if found.is_mixed is not None:
            mixed = np.flatnonzero(found.is_mixed[position])
            rows = found.rows(path[rest[mixed]].ravel()).reshape(len(mixed), path.shape[1])
            used[mixed] = np.any(rows == found.rows(position[mixed])[:, np.newaxis], axis=1)
        following[rest[~used]], reaches[rest[~used]] = position[~used], True
        rest = rest[used]
        place[rest] += 1
    return following, reaches


def _passes(
    found: Moments,
    step: int,
    current: Ints,
    entry: Ints,
    window_us: int,
    following: Ints,
    reaches: Flags,
    holds: Holds | None,
) -> Flags:
    """Whether an exclusion comes after the step and before the next one, or before the window ends."""
    block = found.blocks[step]
    if not len(block):
        return np.zeros(len(current), bool)
    place = np.searchsorted(block, current, side="right")
    first = block[np.minimum(place, len(block) - 1)]
    hit = place < len(block)
    hit &= found.unit[first] == found.unit[current]
    hit &= found.at[first] - found.at[entry] <= window_us
    hit &= ~reaches | (first < following)
    if holds is not None:
        hit &= holds.stand(current, first)
    return hit


def _best(unit: Array, at: Ints, furthest: Ints, edges_us: Sequence[int]) -> Attempts:
    period = np.searchsorted(np.asarray(edges_us, np.int64), at, side="right") - 1
    inside = (period >= 0) & (period < len(edges_us) - 1)
    unit, period, furthest = sorted_columns(unit[inside], period[inside], furthest[inside])
    first = starts(unit, period)
    last = np.append(first[1:], len(unit))[: len(first)] - 1
    return Attempts(unit[last], period[last], furthest[last])
