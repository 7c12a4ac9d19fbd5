"""Unordered funnels: the most different steps that an actor took within one window, whatever their order.

A window begins with an event of a step. It counts for nothing when an exclusion comes in it before all steps are taken.
An event of several steps goes to the one whose latest event is oldest (queries.md 6.4). Where each event matches
either one set of steps or another, apart from it, this means that they take turns, and all actors are looked at at
once; where sets overlap in part, such actors are walked event by event.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np
from attrs import evolve, frozen

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
    """How many steps they are: each takes one of the next so many events."""


@frozen(eq=False)
class _Windows:
    """What lies in the windows that begin with each row."""

    history: History
    n_steps: int
    window_us: int
    steps: Array
    """Per row, its steps as bits."""
    hits: Ints
    """The rows that are exclusions, ascending."""
    first_mark: int | None
    """A mark that the first event of a window must have."""


def walk(
    history: History,
    n_steps: int,
    window_us: int,
    *,
    exclusions: Sequence[Exclusion] = (),
    first_mark: int | None = None,
) -> Outcomes:
    """Return how many steps each unit took at most within one window, as the furthest step and the sorted times.

    The first such window counts, and in it the first event of each step. With `first_mark` the first event of the
    window must have that mark. Units that took no step are left out, and those whose steps an exclusion undid.
    """
    history = _ends_of_runs(history, n_steps, exclusions)
    windows = _windows(history, n_steps, window_us, exclusions, first_mark)
    entangled, turns = _entangled(windows), _turns(windows)
    count = _counts(windows, turns)
    count[entangled[history.unit]] = 0
    best_at = _first_best(history, count)
    times = np.full((n_steps, len(best_at)), np.iinfo(np.int64).max)
    stop = _stops(windows, best_at)
    places = [(turn, ahead) for turn in turns for ahead in range(turn.size)]
    for slot, (turn, ahead) in enumerate(places):
        row = _following(windows, turn, ahead, best_at, stop)
        times[slot] = np.where(row >= 0, history.at[row], times[slot])
    times.sort(axis=0)
    times[times == np.iinfo(np.int64).max] = NEVER
    found = Outcomes(history.unit[best_at].astype(np.int64), count[best_at] - 1, times)
    slow = np.flatnonzero(entangled)
    return _joined(found, _one_by_one(windows, slow)) if len(slow) else found


def depths(
    history: History,
    n_steps: int,
    window_us: int,
    *,
    exclusions: Sequence[Exclusion] = (),
    first_mark: int | None = None,
) -> Ints:
    """Return per row how many different steps its unit took from it on within the window, 0 for rows of no step."""
    windows = _windows(history, n_steps, window_us, exclusions, first_mark)
    entangled = _entangled(windows)
    count = _counts(windows, _turns(windows))
    count[entangled[history.unit]] = 0
    for unit in np.flatnonzero(entangled):
        for row, taken in _queued(windows, int(unit)):
            count[row] = len(taken)
    return count


def _windows(
    history: History, n_steps: int, window_us: int, exclusions: Sequence[Exclusion], first_mark: int | None
) -> _Windows:
    marks = history.marks
    bits, steps = sum(1 << one.mark for one in exclusions), _steps(history, n_steps)
    hits = np.flatnonzero((marks & marks.dtype.type(bits) != 0) & (steps == 0)) if bits else np.zeros(0, np.int64)
    return _Windows(history, n_steps, window_us, steps, hits, first_mark)


def _steps(history: History, n_steps: int) -> Array:
    return np.asarray(history.marks & history.marks.dtype.type((1 << n_steps) - 1))


def _ends_of_runs(history: History, n_steps: int, exclusions: Sequence[Exclusion]) -> History:
    """Leave out events of one step between two just like them, earlier and later ones, as the peer does.

    What is neither step nor exclusion lies between none.
    """
    bits = sum(1 << one.mark for one in exclusions) | ((1 << n_steps) - 1)
    rows = np.flatnonzero(history.marks & history.marks.dtype.type(bits))
    marks, at, unit = history.marks[rows], history.at[rows], history.unit[rows]
    goes_on = (marks[1:] == marks[:-1]) & (unit[1:] == unit[:-1]) & (at[1:] != at[:-1])
    inside = np.zeros(len(at), bool)
    inside[1:-1] = goes_on[1:] & goes_on[:-1]
    steps = _steps(history, n_steps)[rows]
    inside &= steps & (steps - steps.dtype.type(1)) == 0
    if not inside.any():
        return history
    kept = np.ones(len(history.at), bool)
    kept[rows[inside]] = False
    return evolve(history, unit=history.unit[kept], at=history.at[kept], marks=history.marks[kept])


def _counts(windows: _Windows, turns: Sequence[_Turns]) -> Ints:
    """Return per row how many steps are taken in its window; 0 where none may begin or an exclusion comes in it."""
    history, n_steps = windows.history, windows.n_steps
    count = np.zeros(len(history.at), np.int64)
    every = np.arange(len(history.at))
    stop = _stops(windows, every)
    for turn in turns:
        for ahead in range(turn.size):
            count += _following(windows, turn, ahead, every, stop) >= 0
    if stop is not None:
        count[(stop < len(every)) & (count < n_steps)] = 0
    count[windows.steps == 0] = 0
    if windows.first_mark is not None:
        count[(history.marks & history.marks.dtype.type(1 << windows.first_mark)) == 0] = 0
    return count


def _stops(windows: _Windows, rows: Ints) -> Ints | None:
    """Return for rows the first exclusion in their windows, the number of rows without; None when there is none."""
    hits, history = windows.hits, windows.history
    if not len(hits):
        return None
    size = len(history.at)
    place = np.searchsorted(hits, rows, side="right")
    stop = np.append(hits, 0)[place]
    fits = place < len(hits)
    fits &= history.unit[stop] == history.unit[rows]
    fits &= history.at[stop] - history.at[rows] <= windows.window_us
    return np.where(fits, stop, size)


def _turns(windows: _Windows) -> list[_Turns]:
    found: dict[bytes, _Turns] = {}
    steps = windows.steps
    for step in range(windows.n_steps):
        rows = np.flatnonzero(steps & steps.dtype.type(1 << step))
        key = rows.tobytes()
        known = found.get(key)
        found[key] = _Turns(rows, known.size + 1 if known else 1)
    return list(found.values())


def _entangled(windows: _Windows) -> Flags:
    """Return which units have events that match one set of steps and others that match part of it."""
    steps, n_steps = windows.steps, windows.n_steps
    seen = [int(one) for one in np.unique(steps)]
    # Sets that only overlap with themselves take turns. A step's set is that of the events which match it.
    by_step = [frozenset(one for one in seen if one >> step & 1) for step in range(n_steps)]
    bad = {one for one in seen if len({by_step[step] for step in range(n_steps) if one >> step & 1}) > 1}
    found = np.zeros(windows.history.n_units, bool)
    if bad:
        found[windows.history.unit[np.isin(steps, list(bad))]] = True
    return found


def _following(windows: _Windows, turn: _Turns, ahead: int, rows: Ints, stop: Ints | None) -> Ints:
    """Return for rows the `ahead`-th event of the turn from them on in their windows, -1 without."""
    history = windows.history
    if not len(turn.rows):
        return np.full(len(rows), -1)
    place = count_before(turn.rows, rows, len(history.at)) + ahead
    following = turn.rows[np.minimum(place, len(turn.rows) - 1)]
    fits = place < len(turn.rows)
    fits &= history.unit[following] == history.unit[rows]
    fits &= history.at[following] - history.at[rows] <= windows.window_us
    if stop is not None:
        fits &= following < stop
    return np.where(fits, following, -1)


def _first_best(history: History, count: Ints) -> Ints:
    """Return per unit with any step the first row at which the count is largest."""
    if not len(count):
        return np.zeros(0, np.int64)
    first = starts(history.unit)
    most = np.maximum.reduceat(count, first)
    rows = np.flatnonzero((count == most[history.unit]) & (count > 0))
    return rows[starts(history.unit[rows])]


def _one_by_one(windows: _Windows, slow: Ints) -> Outcomes:
    unit, times = [], []
    for one in slow.tolist():
        best: list[int] = []
        for _, taken in _queued(windows, one):
            best = max(best, taken, key=len)
        if best:
            unit.append(one)
            times.append(sorted(best) + [NEVER] * (windows.n_steps - len(best)))
    table = np.array(times, np.int64).reshape(len(unit), windows.n_steps).T
    return Outcomes(np.array(unit, np.int64), (table != NEVER).sum(axis=0) - 1, table)


def _queued(windows: _Windows, unit: int) -> Iterator[tuple[int, list[int]]]:
    """Yield the row that each window of a unit begins with, and when the first event of each of its steps was."""
    history, n_steps, mark = windows.history, windows.n_steps, windows.first_mark
    first, last = (int(row) for row in np.searchsorted(history.unit, [unit, unit + 1]))
    at, steps = history.at[first:last].tolist(), windows.steps[first:last].tolist()
    may_begin = [True] * len(at) if mark is None else (history.marks[first:last] >> mark & 1).tolist()
    hits = {hit - first for hit in windows.hits[slice(*np.searchsorted(windows.hits, [first, last]))].tolist()}
    queues: list[deque[int]] = [deque() for _ in range(n_steps)]

    def over(until: int | None) -> Iterator[tuple[int, list[int]]]:
        while held := [queue for queue in queues if queue]:
            oldest = min(held, key=lambda queue: queue[0])
            if until is not None and len(held) < n_steps and until - at[oldest[0]] <= windows.window_us:
                return
            yield first + oldest[0], [at[queue[0]] for queue in held]
            oldest.popleft()

    for row in range(last - first):
        checkpoint()
        yield from over(at[row])
        if row in hits:
            queues = [deque() for _ in range(n_steps)]
        matched = [step for step in range(n_steps) if steps[row] >> step & 1]
        if matched and (may_begin[row] or any(queues)):
            min((queues[step] for step in matched), key=lambda queue: at[queue[-1]] if queue else NEVER).append(row)
    yield from over(None)


def _joined(some: Outcomes, others: Outcomes) -> Outcomes:
    unit = np.concatenate([some.unit, others.unit])
    order = np.argsort(unit)
    return Outcomes(
        unit[order],
        np.concatenate([some.furthest, others.furthest])[order],
        np.concatenate([some.times, others.times], axis=1)[:, order],
    )
