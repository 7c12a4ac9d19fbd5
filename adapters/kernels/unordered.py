"""Unordered funnels: the most different steps that an actor took within one window, whatever their order.

An event of several steps goes to the one whose latest event is oldest (queries.md 6.4). Where each event matches
either one set of steps or another, apart from it, this means that they take turns, and all actors are looked at at
once; where sets overlap in part, such actors are walked event by event.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import frozen

from .checkpoint import checkpoint
from .histories import Array, Flags, History, Ints, count_before, starts
from .moments import Exclusion
from .outcomes import NEVER, Outcomes


@frozen(eq=False)
class _Turns:
    """Steps that the same events match."""

    rows: Ints
    """The rows that match them, ascending."""
    size: int
    """How many steps they are: each takes one of the latest so many events."""


def walk(
    history: History,
    n_steps: int,
    window_us: int,
    *,
    exclusions: Sequence[Exclusion] = (),
    first_mark: int | None = None,
) -> Outcomes:
    """Return how many steps each unit took at most within one window, as the furthest step and the sorted times.

    An exclusion forgets everything before it. With `first_mark` the first event of the window must have that mark.
    Units that took no step are left out.
    """
    floor = _floor(history, exclusions)
    steps = _steps(history, n_steps)
    entangled = _entangled(history, steps, n_steps)
    turns = _turns(steps, n_steps)
    count: Ints
    if first_mark is None:
        count = np.zeros(len(history.at), np.int16)
        for turn in turns:
            for back in range(turn.size):
                count += _latest(history, turn, back, window_us, floor) >= 0
    else:
        count = depths(history, n_steps, window_us, exclusions=exclusions)
        count[(history.marks & history.marks.dtype.type(1 << first_mark)) == 0] = 0
    count[entangled[history.unit]] = 0
    best_at = _first_best(history, count)
    unit = history.unit[best_at].astype(np.int64)
    times = np.full((n_steps, len(unit)), np.iinfo(np.int64).max)
    places = [(turn, back) for turn in turns for back in range(turn.size)]
    near = _latest if first_mark is None else _following
    for slot, (turn, place) in enumerate(places):
        row = near(history, turn, place, window_us, floor, best_at)
        times[slot] = np.where(row >= 0, history.at[row], times[slot])
    times.sort(axis=0)
    times[times == np.iinfo(np.int64).max] = NEVER
    found = Outcomes(unit, count[best_at].astype(np.int64) - 1, times)
    slow = np.flatnonzero(entangled)
    if not len(slow):
        return found
    return _joined(found, _one_by_one(history, steps, slow, n_steps, window_us, floor, first_mark))


def depths(history: History, n_steps: int, window_us: int, *, exclusions: Sequence[Exclusion] = ()) -> Ints:
    """Return per row how many different steps its unit took from it on within the window, 0 for rows of no step."""
    steps = _steps(history, n_steps)
    floor = _floor(history, exclusions)
    entangled = _entangled(history, steps, n_steps)
    count = np.zeros(len(history.at), np.int64)
    every = np.arange(len(history.at))
    for turn in _turns(steps, n_steps):
        for ahead in range(turn.size):
            count += _following(history, turn, ahead, window_us, floor, every) >= 0
    count[steps == 0] = 0
    for unit in np.flatnonzero(entangled):
        first, last = np.searchsorted(history.unit, [unit, unit + 1])
        for row in range(first, last):
            count[row] = len(_greedy(history, steps, row, last, n_steps, window_us, floor)) if steps[row] else 0
    return count


def _steps(history: History, n_steps: int) -> Array:
    return np.asarray(history.marks & history.marks.dtype.type((1 << n_steps) - 1))


def _floor(history: History, exclusions: Sequence[Exclusion]) -> Ints | None:
    """Return per row the first row that its unit still remembers there; None when everything is."""
    if not exclusions:
        return None
    bits = sum(1 << one.mark for one in exclusions)
    hits = np.flatnonzero(history.marks & history.marks.dtype.type(bits))
    forgets = np.zeros(len(history.at), np.int64)
    forgets[hits] = hits + 1
    return np.maximum.accumulate(forgets)


def _turns(steps: Array, n_steps: int) -> list[_Turns]:
    found: dict[bytes, _Turns] = {}
    for step in range(n_steps):
        rows = np.flatnonzero(steps & steps.dtype.type(1 << step))
        key = rows.tobytes()
        known = found.get(key)
        found[key] = _Turns(rows, known.size + 1 if known else 1)
    return list(found.values())


def _entangled(history: History, steps: Array, n_steps: int) -> Flags:
    """Return which units have events that match one set of steps and others that match part of it."""
    seen = [int(one) for one in np.unique(steps)]
    # Sets that only overlap with themselves take turns. A step's set is that of the events which match it.
    by_step = [frozenset(one for one in seen if one >> step & 1) for step in range(n_steps)]
    bad = {one for one in seen if len({by_step[step] for step in range(n_steps) if one >> step & 1}) > 1}
    found = np.zeros(history.n_units, bool)
    if bad:
        found[history.unit[np.isin(steps, list(bad))]] = True
    return found


def _latest(
    history: History, turn: _Turns, back: int, window_us: int, floor: Ints | None, at: Ints | None = None
) -> Ints:
    """Return per row (or for rows `at`) the `back`-th latest event of the turn that is in its window, -1 without."""
    size = len(history.at)
    rows = np.arange(size) if at is None else at
    place = count_before(turn.rows, rows + 1, size + 1) - 1 - back
    latest = np.where(place >= 0, turn.rows[np.maximum(place, 0)] if len(turn.rows) else -1, -1)
    fits = latest >= 0
    fits &= history.unit[latest] == history.unit[rows]
    fits &= history.at[rows] - history.at[latest] <= window_us
    if floor is not None:
        fits &= latest >= floor[rows]
    return np.where(fits, latest, -1)


def _following(history: History, turn: _Turns, ahead: int, window_us: int, floor: Ints | None, rows: Ints) -> Ints:
    """Return per row the `ahead`-th event of the turn from it on that is in the window after it, -1 without."""
    if not len(turn.rows):
        return np.full(len(rows), -1)
    place = count_before(turn.rows, rows, len(history.at)) + ahead
    following = turn.rows[np.minimum(place, len(turn.rows) - 1)]
    fits = place < len(turn.rows)
    fits &= history.unit[following] == history.unit[rows]
    fits &= history.at[following] - history.at[rows] <= window_us
    if floor is not None:
        fits &= floor[following] <= rows
    return np.where(fits, following, -1)


def _first_best(history: History, count: Array) -> Ints:
    """Return per unit with any step the first row at which the count is largest."""
    if not len(count):
        return np.zeros(0, np.int64)
    first = starts(history.unit)
    most = np.maximum.reduceat(count, first)
    rows = np.flatnonzero((count == most[history.unit]) & (count > 0))
    return rows[starts(history.unit[rows])]


def _one_by_one(
    history: History,
    steps: Array,
    slow: Ints,
    n_steps: int,
    window_us: int,
    floor: Ints | None,
    first_mark: int | None,
) -> Outcomes:
    unit, times = [], []
    for one in slow:
        first, last = (int(row) for row in np.searchsorted(history.unit, [one, one + 1]))
        if first_mark is None:
            best = _greedy(history, steps, first, last, n_steps, window_us, floor, is_sliding=True)
        else:
            entries = [row for row in range(first, last) if steps[row] and int(history.marks[row]) >> first_mark & 1]
            tries = [_greedy(history, steps, row, last, n_steps, window_us, floor) for row in entries]
            best = max(tries, key=len, default=[])
        if best:
            unit.append(one)
            times.append(sorted(best) + [NEVER] * (n_steps - len(best)))
    table = np.array(times, np.int64).reshape(len(unit), n_steps).T
    return Outcomes(np.array(unit, np.int64), (table != NEVER).sum(axis=0) - 1, table)


def _greedy(
    history: History,
    steps: Array,
    first: int,
    last: int,
    n_steps: int,
    window_us: int,
    floor: Ints | None,
    *,
    is_sliding: bool = False,
) -> list[int]:
    """Return when the most different steps were taken at once; from the first row's window only unless sliding."""
    latest: list[int | None] = [None] * n_steps
    best: list[int] = []
    for row in range(first, last):
        checkpoint()
        moment = int(history.at[row])
        if not is_sliding and moment - int(history.at[first]) > window_us:
            break
        if floor is not None and floor[row] == row + 1:
            if not is_sliding:
                break
            latest = [None] * n_steps
            continue
        matched = [step for step in range(n_steps) if int(steps[row]) >> step & 1]
        if not matched:
            continue
        oldest = min(matched, key=lambda step: NEVER if (moment_of := latest[step]) is None else moment_of)
        latest[oldest] = moment
        present = [one for one in latest if one is not None and moment - one <= window_us]
        if len(present) > len(best):
            best = present
    return best


def _joined(some: Outcomes, others: Outcomes) -> Outcomes:
    unit = np.concatenate([some.unit, others.unit])
    order = np.argsort(unit)
    return Outcomes(
        unit[order],
        np.concatenate([some.furthest, others.furthest])[order],
        np.concatenate([some.times, others.times], axis=1)[:, order],
    )
