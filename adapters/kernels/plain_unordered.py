"""Unordered funnels whose events are one step each; gives what `unordered` gives for them."""

from __future__ import annotations

import numpy as np
from attrs import evolve

from .checkpoint import checkpoint
from .histories import Array, Ints, starts
from .outcomes import NEVER, Outcomes, joined
from .packed import Packed, Timeline, in_parts, timeline

_LONG_AGO = -(1 << 62)


def walk(events: Packed, code: Array, n_steps: int) -> tuple[Outcomes, Ints]:
    """Return how many steps each actor took at most within one window, and who the actors are, ascending.

    `code` is per event its step. The window is the events' reach; they have room for their codes.
    """
    bits = (n_steps - 1).bit_length()
    return joined(in_parts(events, lambda of: _walk(timeline(events, code, of, bits), n_steps)))


def _walk(line: Timeline, n_steps: int) -> tuple[Outcomes, Ints]:
    line = _ends_of_runs(line)
    events, moments, codes = line.events, line.moments(), line.codes()
    count = np.zeros(len(moments), np.uint8)
    for step in range(n_steps):
        latest = _latest(moments, codes, step)
        np.subtract(moments, latest, out=latest)
        count += latest <= events.reach
    first = starts(moments >> events.at_bits)
    size = np.diff(first, append=len(moments))
    most = np.maximum.reduceat(count, first)
    rows = np.flatnonzero(count == np.repeat(most, size))
    best = rows[starts(moments[rows] >> events.at_bits)]
    times = np.full((n_steps, len(best)), np.iinfo(np.int64).max)
    for step in range(n_steps):
        latest = _latest(moments, codes, step)[best]
        times[step] = np.where(moments[best] - latest <= events.reach, events.times(latest), times[step])
    times.sort(axis=0)
    times[times == np.iinfo(np.int64).max] = NEVER
    return Outcomes(np.arange(len(first)), most.astype(np.int64) - 1, times), events.actors(moments[first])


def _ends_of_runs(line: Timeline) -> Timeline:
    """Leave out events between two of the same step and actor.

    The first of a run sees the most steps before it within the window, the last is the latest for those that follow.
    """
    part_of_key = (1 << line.code_bits) - 1 | -1 << (line.code_bits + line.events.at_bits)
    goes_on = (line.keys[1:] ^ line.keys[:-1]) & part_of_key == 0
    is_inside = goes_on[1:] & goes_on[:-1]
    kept = np.ones(len(line.keys), bool)
    kept[1:-1] = ~is_inside
    return evolve(line, keys=line.keys[kept])


def _latest(moments: Ints, codes: Ints, step: int) -> Ints:
    """Return per row when the step was taken last, by whomever, up to it."""
    checkpoint()
    latest = np.where(codes == step, moments, _LONG_AGO)
    np.maximum.accumulate(latest, out=latest)
    return np.asarray(latest)
