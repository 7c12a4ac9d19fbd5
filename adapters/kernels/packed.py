"""Events as single numbers: actor and time in 63 bits, so that sorting and comparing them is cheap."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

import numpy as np
from attrs import evolve, frozen

from .checkpoint import blocks, by_blocks, checkpoint
from .histories import Array, Flags, Ints, chosen, sort

MAX_BITS = 63
MANY_ROWS = 200_000
"""PERF: from here on two threads are quicker than one; numpy works on large arrays without Python's lock."""
LONG_RUN = 64
_EIGHTHS = 8
_UNITS_US = (1, _EIGHTHS, 1000)
"""PERF: whole milliseconds are whole in units of 8 us too, which a shift divides in a fifth of the time."""
T = TypeVar("T")


@frozen(eq=False)
class Packed:
    """Events in any order, each one number: the actor in the highest bits, the time below.

    Two of them whose numbers are at most `reach` apart are of one actor.
    """

    keys: Ints
    at_bits: int
    low_us: int
    """What was taken off times, microseconds since 1970 UTC."""
    reach: int
    """In units."""
    low_actor: int = 0
    """What was taken off actors."""
    unit_us: int = 1
    """Times are in these units."""

    @property
    def actor(self) -> Ints:
        """Per event."""
        return self.actors(self.keys)

    @property
    def at(self) -> Ints:
        """Per event, microseconds since 1970 UTC."""
        return self.times(self.keys)

    def actors(self, keys: Ints) -> Ints:
        """Return whose events they are."""
        return (keys >> self.at_bits) + self.low_actor

    def times(self, keys: Ints) -> Ints:
        """Return when events happened, microseconds since 1970 UTC."""
        return (keys & ((1 << self.at_bits) - 1)) * self.unit_us + self.low_us

    def with_room(self, bits: int) -> Packed | None:
        """Return the same with so many of the 63 bits unused, in coarser units if need be; None when it cannot be."""
        n_over = int(self.keys.max(initial=0)).bit_length() + bits - MAX_BITS
        if n_over <= 0:
            return self
        unit_us = next((unit for unit in _UNITS_US if unit.bit_length() > n_over), None)
        if unit_us is None or self.unit_us > 1:
            return None
        at_bits = self.at_bits - (unit_us.bit_length() - 1)
        keys = np.empty_like(self.keys)
        for of in blocks(len(keys)):
            block = self.keys[of]
            at = block & ((1 << self.at_bits) - 1)
            whole = _divided(at, unit_us)
            if np.any(whole * unit_us != at):
                return None
            whole |= block >> self.at_bits << at_bits
            keys[of] = whole
        return evolve(self, keys=keys, at_bits=at_bits, reach=self.reach // unit_us, unit_us=unit_us)


def _divided(at: Ints, unit_us: int) -> Ints:
    return np.asarray(at >> 3 if unit_us == _EIGHTHS else at // unit_us)


def bits_of_times(span_us: int, reach_us: int, unit_us: int = 1) -> int:
    """Return how many bits times need that span so many microseconds and are compared over so many."""
    return ((span_us + reach_us) // unit_us + 1).bit_length()


def packed(actor: Array, at: Array, reach_us: int, *, room: int = 0) -> Packed | None:
    """Return events with `room` of the 63 bits unused, or None when they do not fit, even in coarser units.

    `at` is in microseconds since 1970 UTC; times are compared that are at most `reach_us` apart.
    """
    if not len(actor):
        return None
    low_actor, low_us = int(actor.min()), int(at.min())
    span_us = int(at.max()) - low_us
    reach_us = min(reach_us, span_us)
    n_free = MAX_BITS - room - (int(actor.max()) - low_actor).bit_length()
    unit_us = next((unit for unit in _UNITS_US if bits_of_times(span_us, reach_us, unit) <= n_free), None)
    if unit_us is None:
        return None
    at_bits = bits_of_times(span_us, reach_us, unit_us)
    keys = np.empty(len(actor), np.int64)
    for of in blocks(len(keys)):
        since = at[of] - low_us
        if unit_us > 1:
            whole = _divided(since, unit_us)
            if np.any(whole * unit_us != since):
                return None
            since = whole
        block = actor[of].astype(np.int64)
        block -= low_actor
        block <<= at_bits
        block |= since
        keys[of] = block
    return Packed(keys, at_bits, low_us, reach_us // unit_us, low_actor, unit_us)


@frozen(eq=False)
class Timeline:
    """Events sorted by actor, time and code."""

    keys: Ints
    """Ascending; each with its code in the lowest bits."""
    code_bits: int
    events: Packed
    """What the numbers above the codes mean."""

    def moments(self) -> Ints:
        """Return the keys without their codes."""
        return by_blocks(len(self.keys), np.int64, lambda of: self.keys[of] >> self.code_bits)

    def codes(self) -> Array:
        """Return the codes, which are of at most eight bits."""
        mask = np.uint8((1 << self.code_bits) - 1)
        return by_blocks(len(self.keys), np.uint8, lambda of: self.keys[of].astype(np.uint8) & mask)


def timeline(events: Packed, code: Array, of: Flags | slice, code_bits: int) -> Timeline:
    """Return some of the events, which have room for the codes, as a timeline. O(n log n)."""
    keys, codes = chosen(events.keys, of), chosen(code, of)
    for block in blocks(len(keys)):
        keys[block] <<= code_bits
        keys[block] |= codes[block]
    sort(keys)
    return Timeline(keys, code_bits, events)


def move_actors(keys: Ints, at_bits: int, moves: Callable[[Ints], Ints]) -> None:
    """Change the actors of keys in place, each by what `moves` tells to add to it."""
    for of in blocks(len(keys)):
        block = keys[of]
        block += moves(block >> at_bits) << at_bits


def apart(keys: Ints, code: Array, n_codes: int) -> list[Ints]:
    """Return the keys of each code, in the order in which they are; of a single code the very ones.

    PERF: events come out of the store in runs of one code, which are copied whole.
    """
    checkpoint()
    if n_codes == 1:
        return [keys]
    ends = np.append(np.flatnonzero(code[1:] != code[:-1]) + 1, len(code))
    if len(ends) * LONG_RUN > len(code):
        order = np.argsort(code, kind="stable")
        checkpoint()
        cuts = np.cumsum(np.bincount(code, minlength=n_codes))[:-1]
        return np.split(keys.take(order), cuts)
    parts: list[list[Ints]] = [[] for _ in range(n_codes)]
    first = 0
    for end, one in zip(ends.tolist(), code[ends - 1].tolist(), strict=True):
        parts[one].append(keys[first:end])
        first = end
    none = np.zeros(0, np.int64)
    return [np.concatenate(part) if part else none for part in parts]


def in_parts(events: Packed, work: Callable[[Flags | slice], T]) -> list[T]:
    """Return what the work gives for all events, or for those of each half of the actors, done side by side."""
    size = len(events.keys)
    if size < MANY_ROWS:
        return [work(slice(None))]
    some = events.keys[:: max(size // 1000, 1)]
    middle = int(np.partition(some, len(some) // 2)[len(some) // 2]) >> events.at_bits << events.at_bits
    checkpoint()
    is_below = events.keys < middle
    if not is_below.any():
        return [work(slice(None))]
    with ThreadPoolExecutor(1, "insightlog-kernel") as pool:
        others = pool.map(copy_context().run, [work], [~is_below])
        return [work(is_below), *others]
