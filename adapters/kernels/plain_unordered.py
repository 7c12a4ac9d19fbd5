"""Unordered funnels whose events are one step each; gives what `unordered` gives for them."""

from __future__ import annotations

import numpy as np

from .checkpoint import checkpoint
from .histories import Ints, starts
from .outcomes import NEVER, Outcomes
from .plain import joined
from .timelines import Timeline, in_parts

_LONG_AGO = -(1 << 62)


def walk(found: Timeline, n_steps: int) -> tuple[Outcomes, Ints]:
    """Return how many steps each actor took at most within one window, and who the actors are, ascending.

    The code of a row is its step. The window is the timeline's reach.
    """
    return joined(in_parts(found, lambda part: _walk(part, n_steps)))


def _walk(found: Timeline, n_steps: int) -> tuple[Outcomes, Ints]:
    moments = found.keys >> found.code_bits
    codes = (found.keys & ((1 << found.code_bits) - 1)).astype(np.uint8)
    count = np.zeros(len(moments), np.uint8)
    for step in range(n_steps):
        latest = _latest(moments, codes, step)
        np.subtract(moments, latest, out=latest)
        count += latest <= found.reach
    first = starts(moments >> found.at_bits)
    size = np.diff(first, append=len(moments))
    most = np.maximum.reduceat(count, first)
    rows = np.flatnonzero(count == np.repeat(most, size))
    best = rows[starts(moments[rows] >> found.at_bits)]
    times = np.full((n_steps, len(best)), np.iinfo(np.int64).max)
    for step in range(n_steps):
        latest = _latest(moments, codes, step)[best]
        times[step] = np.where(moments[best] - latest <= found.reach, found.times(latest), times[step])
    times.sort(axis=0)
    times[times == np.iinfo(np.int64).max] = NEVER
    return Outcomes(np.arange(len(first)), most.astype(np.int64) - 1, times), found.actors(moments[first])


def _latest(moments: Ints, codes: Ints, step: int) -> Ints:
    """Return per row when the step was taken last, by whomever, up to it."""
    checkpoint()
    latest = np.where(codes == step, moments, _LONG_AGO)
    np.maximum.accumulate(latest, out=latest)
    return np.asarray(latest)
