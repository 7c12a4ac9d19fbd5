"""Events as single numbers: actor, time and code packed into 64 bits, so that sorting and comparing them is cheap."""

from __future__ import annotations

import numpy as np
from attrs import frozen

from .checkpoint import checkpoint
from .histories import Array, Ints, sort

MAX_BITS = 63


@frozen(eq=False)
class Timeline:
    """Rows sorted by actor, time and code, each one number with the actor in its highest bits.

    Two rows whose numbers, without the code, are at most a window apart are of one actor: see `timeline`.
    """

    keys: Ints
    """Ascending."""
    at_bits: int
    code_bits: int
    low_actor: int
    low_us: int
    """What was taken off actors and times, microseconds since 1970 UTC."""

    def actors(self, keys: Ints) -> Ints:
        """Return whose rows they are."""
        return (keys >> (self.at_bits + self.code_bits)) + self.low_actor

    def times(self, moments: Ints) -> Ints:
        """Return when rows happened, microseconds since 1970 UTC; of keys without their code."""
        return (moments & ((1 << self.at_bits) - 1)) + self.low_us


def timeline(actor: Array, moment: Array, code_bits: int, low_us: int, reach_us: int) -> Timeline | None:
    """Return rows in any order as a timeline, or None when they do not fit.

    `moment` holds the microseconds since `low_us` and below them `code_bits` bits of code. `reach_us` is a time that
    lies between the last row of an actor and whatever is compared with it: actors are that far apart. O(n log n).
    """
    if not len(actor):
        return None
    low, high = int(actor.min()), int(actor.max())
    first_us, last_us = int(moment.min()) >> code_bits, int(moment.max()) >> code_bits
    at_bits = (last_us - first_us + reach_us).bit_length()
    if (high - low).bit_length() + at_bits + code_bits > MAX_BITS:
        return None
    if first_us < 0 or last_us.bit_length() > at_bits:
        moment, low_us = moment - (first_us << code_bits), low_us + first_us
    keys = actor.astype(np.int64)
    keys -= low
    checkpoint()
    keys <<= at_bits + code_bits
    keys |= moment
    sort(keys)
    return Timeline(keys, at_bits, code_bits, low, low_us)
