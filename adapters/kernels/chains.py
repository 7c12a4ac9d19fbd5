"""Ordered and strict funnels: for each actor the furthest chain of steps within the window (queries.md 6.2 to 6.5).

Chains are followed step by step for all actors at once: a chain that reaches step k is a position that may fill k,
with the last chain before it that reached step k - 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import frozen

from .histories import Flags, History, Ints, count_before, starts
from .moments import Exclusion, Moments, moments
from .outcomes import NEVER, Outcomes


@frozen(eq=False)
class _Chains:
    """The chains that reached one step, in the order in which they did."""

    position: Ints
    """Where the step was taken."""
    entry: Ints
    """When the chain's first step was taken."""
    parent_step: Ints
    parent: Ints
    """The chain that it continues: index among those of `parent_step`."""
    is_excluded: Flags


def walk(
    history: History,
    n_steps: int,
    window_us: int,
    *,
    is_strict: bool = False,
    optional: frozenset[int] = frozenset(),
    exclusions: Sequence[Exclusion] = (),
) -> Outcomes:
    """Return how far each unit came; those that never began, or end excluded, are left out.

    Marks 0 to `n_steps - 1` are the steps. The window reaches from the first step to each later one, inclusive. In a
    strict funnel the history holds every event, also those that are no step.
    """
    found = moments(history, n_steps, exclusions)
    holds = Holds(found) if is_strict else None
    levels = [_begun(found, holds)]
    for step in range(1, n_steps):
        levels.append(_continued(found, levels, step, window_us, optional, holds))
    top, chain = _furthest(found, levels, history.n_units, window_us, holds)
    return _outcomes(found, levels, top, chain)


class Holds:
    """Tells in a strict funnel which chains still stand: the next event breaks them, but for those of a shared instant.

    A repeated step breaks its chain too: the next step must be the very next event.
    """

    def __init__(self, found: Moments) -> None:
        self._found = found
        self._exempt = None if found.row_is_mixed is None else np.flatnonzero(found.row_is_mixed)

    def are_exempt(self, positions: Ints) -> Flags:
        """Whether the rows of the positions break no chain."""
        if self._found.row_is_mixed is None:
            return np.zeros(len(positions), bool)
        return np.asarray(self._found.row_is_mixed[self._found.rows(positions)])

    def stand(self, since: Ints, until: Ints) -> Flags:
        """Whether every row between the two positions is exempt."""
        first, last = self._found.rows(since), self._found.rows(until)
        between = last - first - 1
        stands = between <= 0
        if self._exempt is not None:
            rest = np.flatnonzero(~stands)
            kept = np.searchsorted(self._exempt, last[rest]) - np.searchsorted(self._exempt, first[rest], side="right")
            stands[rest] = kept == between[rest]
        return np.asarray(stands)


def _begun(found: Moments, holds: Holds | None) -> _Chains:
    position = found.steps[0]
    fresh = starts(found.unit[position], found.at[position])
    if holds is not None and len(position):
        fresh = np.union1d(fresh, np.flatnonzero(~holds.are_exempt(position)))
    position = position[fresh]
    none = np.full(len(position), -1)
    return _Chains(position, found.at[position], none, none, np.zeros(len(position), bool))


def _continued(
    found: Moments, levels: list[_Chains], step: int, window_us: int, optional: frozenset[int], holds: Holds | None
) -> _Chains:
    """Return the chains that reach a step; an optional step before it may be left out."""
    position = found.steps[step]
    parent = np.full(len(position), -1)
    parent_step = np.full(len(position), -1)
    for before in range(step - 1, -1, -1):
        rest = np.flatnonzero(parent < 0)
        hit, chain = _last_before(found, levels[before], position[rest], window_us)
        if holds is not None and len(hit):
            kept = holds.stand(levels[before].position[chain], position[rest[hit]])
            hit, chain = hit[kept], chain[kept]
        if found.is_mixed is not None and len(hit):
            kept = ~_is_used(found, levels, before, chain, position[rest[hit]])
            hit, chain = hit[kept], chain[kept]
        parent[rest[hit]], parent_step[rest[hit]] = chain, before
        if before not in optional:
            break
    kept = np.flatnonzero(parent >= 0)
    position, parent, parent_step = position[kept], parent[kept], parent_step[kept]
    entry = _gather(levels, parent_step, parent, "entry") if optional else levels[step - 1].entry[parent]
    excluded = _excluded(found, levels, position, parent_step, parent)
    if holds is not None and len(position) > 1:
        clean = np.flatnonzero(~excluded)
        stored = clean[_stored(holds, position[clean], starts(found.unit[position[clean]], entry[clean]))]
        fresh = np.sort(np.append(stored, np.flatnonzero(excluded)))
    else:
        fresh = starts(found.unit[position], entry)
    return _Chains(position[fresh], entry[fresh], parent_step[fresh], parent[fresh], excluded[fresh])


def _stored(holds: Holds, position: Ints, first: Ints) -> Ints:
    """Return which positions of a step store a chain in a strict funnel; `first` are the first of each entry.

    A chain is stored unless one of its entry stands. A row that comes while one stands breaks it, so that the next row
    stores one again; a row of a shared instant breaks none. What gets there excluded is none of the positions.
    """
    every = np.arange(len(position))
    stores = np.zeros(len(position), bool)
    stores[first] = True
    stores[1:] |= ~holds.stand(position[:-1], position[1:])
    # What is stored after a row of a shared instant does not hang on whether that row stored one.
    is_known = stores.copy()
    is_known[1:] |= holds.are_exempt(position[:-1])
    known = np.maximum.accumulate(np.where(is_known, every, 0))
    return np.flatnonzero(stores[known] ^ ((every - known) % 2 == 1))


def _last_before(found: Moments, chains: _Chains, position: Ints, window_us: int) -> tuple[Ints, Ints]:
    """Return which positions have a chain of their unit before them, within the window, and the last such chain.

    Chains that reached their step as excluded ones end there, and the one before them stays.
    """
    places, lasting = chains.position, None
    if np.any(chains.is_excluded):
        lasting = np.flatnonzero(~chains.is_excluded)
        places = places[lasting]
    if not len(places):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    chain = count_before(places, position, len(found.at)) - 1
    hit = np.flatnonzero(chain >= 0)
    chain = chain[hit] if lasting is None else lasting[chain[hit]]
    fits = found.at[position[hit]] - chains.entry[chain] <= window_us
    fits &= found.unit[chains.position[chain]] == found.unit[position[hit]]
    return hit[fits], chain[fits]


def _is_used(found: Moments, levels: list[_Chains], step: int, chain: Ints, position: Ints) -> Flags:
    """Whether the chain holds the row of the position already, which only an instant of several rows allows."""
    used = np.zeros(len(position), bool)
    assert found.is_mixed is not None
    rest = np.flatnonzero(found.is_mixed[position])
    where = np.full(len(rest), step)
    chain, row = chain[rest], found.rows(position[rest])
    while len(rest):
        used[rest] |= found.rows(_gather(levels, where, chain, "position")) == row
        where, chain = _gather(levels, where, chain, "parent_step"), _gather(levels, where, chain, "parent")
        kept = where >= 0
        rest, where, chain, row = rest[kept], where[kept], chain[kept], row[kept]
    return used


def _gather(levels: list[_Chains], step: Ints, chain: Ints, field: str) -> Ints:
    """Return the field of chains of different steps."""
    found = np.zeros(len(chain), np.int64)
    for one in range(len(levels)):
        of = np.flatnonzero(step == one)
        found[of] = getattr(levels[one], field)[chain[of]]
    return found


def _excluded(found: Moments, levels: list[_Chains], position: Ints, parent_step: Ints, parent: Ints) -> Flags:
    """Whether the chains went on past an exclusion."""
    excluded = np.zeros(len(position), bool)
    for step in range(len(levels)):
        block = found.blocks[step]
        if not len(block):
            continue
        of = np.flatnonzero(parent_step == step)
        before = levels[step].position[parent[of]]
        excluded[of] = np.searchsorted(block, position[of]) > np.searchsorted(block, before)
    return excluded


def _furthest(
    found: Moments, levels: list[_Chains], n_units: int, window_us: int, holds: Holds | None
) -> tuple[Ints, Ints]:
    """Return per unit the furthest step that is reached, -1 for none or excluded ones, and the chain that counts."""
    top = np.full(n_units, -2)
    chain = np.full(n_units, -1)
    for step in range(len(levels) - 1, -1, -1):
        unit = found.unit[levels[step].position]
        first = starts(unit)
        of = unit[first]
        new = top[of] == -2
        first, of = first[new], of[new]
        top[of], chain[of] = step, first
        if len(found.blocks[step]) or np.any(levels[step].is_excluded):
            best = _clean(found, levels[step], step, first, window_us, holds)
            top[of[best < 0]] = -1
            chain[of] = best
    return np.where(top < 0, -1, top), chain


def _clean(found: Moments, chains: _Chains, step: int, first: Ints, window_us: int, holds: Holds | None) -> Ints:
    """Return for each first chain of a unit at its furthest step the one that counts, -1 when it ends excluded.

    The first chain counts until it is excluded, then the next one that gets there, and so on.
    """
    size = len(chains.position)
    unit = found.unit[chains.position]
    block = found.blocks[step]
    # The exclusions that hit a chain: the first one after it, while it is the newest of its unit and in its window.
    hit, of = _last_before(found, chains, block, window_us)
    if holds is not None and len(hit):
        kept = holds.stand(chains.position[of], block[hit])
        hit, of = hit[kept], of[kept]
    once = starts(of)
    hits = block[hit[once]]
    following = np.arange(size)
    after = np.searchsorted(hits, chains.position, side="right")
    known = np.flatnonzero(after < len(hits))
    by = hits[after[known]]
    dies = (found.unit[by] == unit[known]) & (found.at[by] - chains.entry[known] <= window_us)
    known, by = known[dies], by[dies]
    following[known] = np.searchsorted(chains.position, by, side="right")
    born = np.flatnonzero(chains.is_excluded)
    following[born] = born + 1
    # Position `size` stands for: excluded, and nothing comes after.
    moved = following > np.arange(size)
    ends = np.append(unit, -1)
    following = np.where(moved & (ends[following] != unit), size, following)
    following = np.append(following, size)
    while True:
        further = following[following]
        if np.array_equal(further, following):
            break
        following = further
    best = following[first]
    return np.where(best == size, -1, best)


def _outcomes(found: Moments, levels: list[_Chains], top: Ints, chain: Ints) -> Outcomes:
    """Follow the chosen chains back to their first step."""
    unit = np.flatnonzero(top >= 0)
    furthest, chain = top[unit], chain[unit]
    times = np.full((len(levels), len(unit)), NEVER)
    step = furthest.copy()
    for at in range(len(levels) - 1, -1, -1):
        of = np.flatnonzero(step == at)
        one = chain[of]
        times[at, of] = found.at[levels[at].position[one]]
        step[of], chain[of] = levels[at].parent_step[one], levels[at].parent[one]
    return Outcomes(unit, furthest, times)
