"""Paths: which items follow each other in the sessions of actors (queries.md 8.4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import frozen

from .checkpoint import by_blocks, checkpoint
from .histories import Array, Flags, Ints, grouped, sorted_columns, starts, taken, units
from .packed import Packed, in_parts, timeline

ELISION = -1
"""The code of what stands for the middle of a path that is too long."""


@frozen
class Rules:
    """Where paths begin and end."""

    gap_us: int
    """A pause of so many microseconds begins a new path."""
    step_limit: int
    start: int | None = None
    end: int | None = None
    """Codes of items at which paths are cut; those without are left out. With both, a path that is too long keeps its
    two ends."""


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
    """Per step, the microseconds since the step before it; what stands for the middle has the time of its first."""


def paths(actor: Array, at: Array, item: Array, rules: Rules) -> Paths:
    """Return the paths of events in any order; of repeats in a row the last one stays."""
    actor, at, item = sorted_columns(actor, at, item)
    begins = np.ones(len(actor), bool)
    begins[1:] = (actor[1:] != actor[:-1]) | (at[1:] - at[:-1] >= rules.gap_us)
    last = _last_of_run(begins, item)
    checkpoint()
    path = np.cumsum(begins)
    return _cut(_Steps(actor[last], path[last], item[last], at[last]), rules)


def packed_paths(events: Packed, item: Array, rules: Rules) -> Paths:
    """Return the same of packed events, which have room for the items and the pause as their reach."""
    gap = min(-(-rules.gap_us // events.unit_us), events.reach + 1)

    def part(of: Flags | slice) -> Paths:
        line = timeline(events, item, of, int(item.max(initial=0)).bit_length())
        moments, mask = line.moments(), (1 << line.code_bits) - 1
        items = by_blocks(len(moments), np.int64, lambda of: line.keys[of] & mask)
        begins = np.ones(len(moments), bool)
        begins[1:] = moments[1:] - moments[:-1] >= gap
        last = _last_of_run(begins, items)
        checkpoint()
        path = np.cumsum(begins, dtype=np.int32)[last]
        moments, items = taken(moments, last), taken(items, last)
        actor = by_blocks(len(last), np.int64, lambda of: events.actors(moments[of]))
        at = by_blocks(len(last), np.int64, lambda of: events.times(moments[of]))
        steps = _Steps(actor, path, items, at)
        return _cut(steps, rules)

    return _joined(in_parts(events, part))


def _joined(parts: Sequence[Paths]) -> Paths:
    """Return the paths of several sets of actors as those of all."""
    if len(parts) == 1:
        return parts[0]
    n_before = np.cumsum([0, *(int(one.path.max(initial=-1)) + 1 for one in parts)])
    paths = [one.path + before for one, before in zip(parts, n_before, strict=False)]
    columns = [np.concatenate([getattr(one, name) for one in parts]) for name in ("actor", "place", "item", "spent")]
    return Paths(columns[0], np.concatenate(paths), *columns[1:])


def _last_of_run(begins: Flags, item: Ints) -> Ints:
    """Return the rows after which another path or item comes."""
    checkpoint()
    is_last = np.ones(len(begins), bool)
    np.not_equal(item[1:], item[:-1], out=is_last[:-1])
    is_last[:-1] |= begins[1:]
    return np.flatnonzero(is_last)


def _cut(steps: _Steps, rules: Rules) -> Paths:
    """Return the steps from the start and to the end that paths are cut at, as many as the limit says."""
    if rules.start is not None:
        steps = steps.only(~_before_first(steps, rules.start))
    if rules.end is not None:
        steps = steps.only(~_after_first(steps, rules.end))
    return _limited(steps, rules.step_limit, has_start=rules.start is not None, has_end=rules.end is not None)


def edges(found: Paths) -> tuple[Ints, Ints, Ints, Ints, Array]:
    """Return per distinct edge: place of its source, source, target, how often, mean microseconds between them."""
    checkpoint()
    inside = np.flatnonzero(found.path[1:] == found.path[:-1])
    place, source = taken(found.place, inside).astype(np.int64), taken(found.item, inside)
    target, spent = taken(found.item, inside + 1), taken(found.spent, inside + 1)
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
        if source is not None:
            hits[1:] &= (found.path[1:] == found.path[:-1]) & _is(found, source)[:-1]
            hits[:1] = False
    actors = found.actor[hits]
    first = starts(actors)
    return actors[first], np.diff(first, append=len(actors))


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
    checkpoint()
    begin = starts(steps.path)
    length = np.diff(begin, append=len(steps.path))
    path = units(begin, len(steps.path))
    place = np.arange(1, len(path) + 1, dtype=np.int32)
    checkpoint()
    place -= np.repeat(begin.astype(np.int32), length)
    item = steps.item
    if not has_end:
        rows = np.flatnonzero(place <= limit)
        actor, path, place = taken(steps.actor, rows), taken(path, rows), taken(place, rows)
        return Paths(actor, path, place, taken(item, rows), _since_before(taken(steps.at, rows)))
    length = np.repeat(length, length)
    if has_start:
        half = limit // 2
        too_long = length > limit
        middle = too_long & (place == half + 1)
        kept = ~too_long | (place <= half) | middle | (place > length - half)
        item = np.where(middle, ELISION, item)
    else:
        kept = place > length - limit
    path, item = path[kept], item[kept]
    begin = starts(path)
    place = np.arange(1, len(path) + 1) - np.repeat(begin, np.diff(begin, append=len(path)))
    return Paths(steps.actor[kept], path, place, item, _since_before(steps.at[kept]))


def _since_before(at: Ints) -> Ints:
    checkpoint()
    return np.diff(at, prepend=at[:1])


def _is(found: Paths, step: tuple[int, int] | None) -> Flags:
    assert step is not None
    return np.asarray((found.place == step[0]) & (found.item == step[1]))
