"""Events as single numbers: actor, time and code packed into 64 bits, so that sorting and comparing them is cheap."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

import numpy as np
from attrs import evolve, frozen

from .checkpoint import checkpoint
from .histories import Array, Ints, sort

MAX_BITS = 63
MANY_ROWS = 200_000
"""PERF: from here on two threads are quicker than one; numpy works on large arrays without Python's lock."""
_EIGHTHS = 8
_UNITS_US = (1, _EIGHTHS, 1000)
"""PERF: whole milliseconds are whole in units of 8 us too, which a shift divides in a fifth of the time."""
T = TypeVar("T")


@frozen(eq=False)
class Timeline:
    """Rows sorted by actor, time and code, each one number with the actor in its highest bits.

    Two rows whose numbers, without the code, are at most `reach` apart are of one actor.
    """

    keys: Ints
    """Ascending."""
    at_bits: int
    code_bits: int
    low_actor: int
    low_us: int
    """What was taken off actors and times, microseconds since 1970 UTC."""
    unit_us: int
    """Times are in these units."""
    reach: int
    """In units."""

    def actors(self, moments: Ints) -> Ints:
        """Return whose rows they are, of keys without their code."""
        return (moments >> self.at_bits) + self.low_actor

    def times(self, moments: Ints) -> Ints:
        """Return when rows happened, microseconds since 1970 UTC; of keys without their code."""
        return (moments & ((1 << self.at_bits) - 1)) * self.unit_us + self.low_us


def timeline(
    actor: Array, moment: Array, code_bits: int, low_us: int, reach_us: int, *, moved: Array | None = None
) -> Timeline | None:
    """Return rows in any order as a timeline, or None when they do not fit.

    `moment` holds the microseconds since `low_us` and below them `code_bits` bits of code. Rows are compared that are
    at most `reach_us` apart. `moved` tells which rows are out of an order that most others are in. O(n log n).
    """
    if not len(actor):
        return None
    low, high = int(actor.min()), int(actor.max())
    first_us, last_us = int(moment.min()) >> code_bits, int(moment.max()) >> code_bits
    free_bits = MAX_BITS - (high - low).bit_length() - code_bits
    spans = {unit_us: ((last_us - first_us + reach_us) // unit_us + 1).bit_length() for unit_us in _UNITS_US}
    unit_us = next((unit_us for unit_us, bits in spans.items() if bits <= free_bits), None)
    if unit_us is None:
        return None
    at_bits = spans[unit_us]
    if unit_us > 1:
        since = (moment >> code_bits) - first_us
        whole = since >> 3 if unit_us == _EIGHTHS else since // unit_us
        if np.any(whole * unit_us != since):
            return None
        moment = (whole << code_bits) | (moment & ((1 << code_bits) - 1))
        low_us += first_us
    elif first_us < 0 or last_us.bit_length() > at_bits:
        moment, low_us = moment - (first_us << code_bits), low_us + first_us
    checkpoint()
    keys = actor.astype(np.int64)
    keys -= low
    keys <<= at_bits + code_bits
    keys |= moment
    if moved is not None:
        out_of_order = keys[moved]
        out_of_order.sort()
        keys = np.concatenate([keys[~moved], out_of_order])
    sort(keys)
    return Timeline(keys, at_bits, code_bits, low, low_us, unit_us, reach_us // unit_us)


def in_parts(found: Timeline, work: Callable[[Timeline], T]) -> list[T]:
    """Return what the work gives for the timeline, or for each half of its actors, done side by side."""
    size = len(found.keys)
    if size < MANY_ROWS:
        return [work(found)]
    shift = found.at_bits + found.code_bits
    middle = int(np.searchsorted(found.keys, found.keys[size // 2] >> shift << shift))
    halves = [evolve(found, keys=part) for part in (found.keys[:middle], found.keys[middle:]) if len(part)]
    if len(halves) == 1:
        return [work(found)]
    with ThreadPoolExecutor(1, "insightlog-kernel") as pool:
        other = pool.submit(copy_context().run, work, halves[1])
        return [work(halves[0]), other.result()]
