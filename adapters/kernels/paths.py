"""Paths: which items follow each other in the sessions of actors (queries.md 8.4)."""

from __future__ import annotations

import numpy as np
from attrs import frozen

from .histories import Array, Flags, Ints, grouped, sorted_columns, starts, units

ELISION = -1
"""The code of what stands for the middle of a path that is too long."""


@frozen(eq=False)
class Paths:
    """The steps of all paths, in order."""

    actor: Ints
    """Per step."""
    path: Ints
    """Per step, which path it belongs to, ascending from 0."""
    place: Ints
    """Per step, from 1."""
    item: Ints
    """Per step, its code, or ELISION."""
    spent: Ints
    """Per step, the microseconds since the step before it, also when that one is left out of the middle."""


def paths(
    actor: Array,
    at: Array,
    item: Array,
    *,
    gap_us: int,
    step_limit: int,
    start: int | None = None,
    end: int | None = None,
) -> Paths:
    """Return the paths of events in any order.

    A pause of `gap_us` begins a new one; of repeats in a row the last one stays. With `start` or `end`, codes of
    items, paths are cut there, and those without are left out; with both, a path that is too long keeps its two ends.
    """
    actor, at, item = sorted_columns(actor, at, item)
    if not len(actor):
        nothing = np.zeros(0, np.int64)
        return Paths(nothing, nothing, nothing, nothing, nothing)
    begins = np.ones(len(actor), bool)
    begins[1:] = (actor[1:] != actor[:-1]) | (at[1:] - at[:-1] >= gap_us)
    path = np.cumsum(begins) - 1
    last_of_run = np.ones(len(actor), bool)
    last_of_run[:-1] = (path[1:] != path[:-1]) | (item[1:] != item[:-1])
    steps = _Steps(actor[last_of_run], path[last_of_run], item[last_of_run], at[last_of_run])
    if start is not None:
        steps = steps.only(~_before_first(steps, start))
    if end is not None:
        steps = steps.only(~_after_first(steps, end))
    return _limited(steps, step_limit, has_start=start is not None, has_end=end is not None)


def edges(found: Paths) -> tuple[Ints, Ints, Ints, Ints, Array]:
    """Return per distinct edge: place of its source, source, target, how often, mean microseconds between them."""
    inside = np.flatnonzero(found.path[1:] == found.path[:-1])
    place, source, target = found.place[inside], found.item[inside], found.item[inside + 1]
    spent = found.spent[inside + 1]
    size = int(max(source.max(initial=0), target.max(initial=0))) + 2
    if size**2 * (int(place.max(initial=0)) + 1) < 2**62:
        key = (place * size + source + 1) * size + target + 1
        order = grouped(key)
        first = starts(key[order])
    else:
        order = np.lexsort((target, source, place))
        first = starts(place[order], source[order], target[order])
    if not len(order):
        return place, source, target, place, spent
    counts = np.diff(first, append=len(order))
    means = np.add.reduceat(spent[order], first) / counts
    chosen = order[first]
    return place[chosen], source[chosen], target[chosen], counts, means


def goers(
    found: Paths, *, source: tuple[int, int] | None, target: tuple[int, int] | None, dropoff: tuple[int, int] | None
) -> tuple[Ints, Ints]:
    """Return (actor, how often) of who went through steps, each a place and an item; None means any.

    `source` is directly followed by `target`, if both are given; `dropoff` is the last step of a path.
    """
    size = len(found.path)
    ends = np.ones(size, bool)
    ends[:-1] = found.path[1:] != found.path[:-1]
    if dropoff is not None:
        hits = ends & _is(found, dropoff)
    elif source is None and target is None:
        hits = np.ones(size, bool)
        hits[1:] = found.path[1:] != found.path[:-1]
    elif target is None:
        hits = ~ends & _is(found, source)
    else:
        hits = _is(found, target)
        hits[1:] &= found.path[1:] == found.path[:-1]
        hits[:1] = False
        if source is not None:
            before = np.zeros(size, bool)
            before[1:] = _is(found, source)[:-1]
            hits &= before
    actors, counts = np.unique(found.actor[hits], return_counts=True)
    return actors, counts


@frozen(eq=False)
class _Steps:
    actor: Ints
    path: Ints
    item: Ints
    at: Ints

    def only(self, kept: Flags) -> _Steps:
        return _Steps(self.actor[kept], self.path[kept], self.item[kept], self.at[kept])


def _before_first(steps: _Steps, item: int) -> Flags:
    """Whether a step lies before the first step with the item, or on a path without it."""
    first = _first_at(steps, item)
    return np.asarray(np.arange(len(steps.path)) < first)


def _after_first(steps: _Steps, item: int) -> Flags:
    """Whether a step lies after the first step with the item, or on a path without it."""
    first = _first_at(steps, item)
    return np.asarray((np.arange(len(steps.path)) > first) | (first == len(steps.path)))


def _first_at(steps: _Steps, item: int) -> Ints:
    """Return per step where its path has the item first, one past the last step where it does not."""
    size = len(steps.path)
    hits = np.flatnonzero(steps.item == item)
    hits = hits[starts(steps.path[hits])]
    n_paths = int(steps.path.max(initial=-1)) + 1
    first = np.full(n_paths, size)
    first[steps.path[hits]] = hits
    return np.asarray(first[steps.path])


def _limited(steps: _Steps, limit: int, *, has_start: bool, has_end: bool) -> Paths:
    """Return the paths with as many steps as the limit says, numbered."""
    begin = starts(steps.path)
    path = units(begin, len(steps.path)).astype(np.int64)
    length = np.diff(begin, append=len(path))[path] if len(begin) else path
    place = np.arange(len(path)) - begin[path] + 1 if len(begin) else path
    item = steps.item
    spent = np.diff(steps.at, prepend=steps.at[:1])
    if has_start and has_end:
        half = limit // 2
        too_long = length > limit
        middle = too_long & (place == half + 1)
        kept = ~too_long | (place <= half) | middle | (place > length - half)
        item = np.where(middle, ELISION, item)
    elif has_end:
        kept = place > length - limit
    else:
        kept = place <= limit
    path, item, spent = path[kept], item[kept], spent[kept]
    begin = starts(path)
    place = np.arange(len(path)) - begin[units(begin, len(path))] + 1 if len(begin) else path
    return Paths(steps.actor[kept], path, place, item, spent)


def _is(found: Paths, step: tuple[int, int] | None) -> Flags:
    assert step is not None
    return np.asarray((found.place == step[0]) & (found.item == step[1]))
