"""Unordered funnels whose events are one step each; gives what `unordered` gives for them."""

from __future__ import annotations

import numpy as np
from attrs import evolve

from .checkpoint import checkpoint
from .histories import Array, Ints, starts
from .outcomes import NEVER, Outcomes, joined
from .packed import Packed, Timeline, in_parts, timeline

_FAR_AHEAD = np.iinfo(np.int64).max


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
        following = _following(moments, codes, step)
        np.subtract(following, moments, out=following)
        count += following <= events.reach
    first = starts(moments >> events.at_bits)
    size = np.diff(first, append=len(moments))
    most = np.maximum.reduceat(count, first)
    rows = np.flatnonzero(count == np.repeat(most, size))
    best = rows[starts(moments[rows] >> events.at_bits)]
    times = np.full((n_steps, len(best)), np.iinfo(np.int64).max)
    for step in range(n_steps):
        following = _following(moments, codes, step)[best]
        times[step] = np.where(following - moments[best] <= events.reach, events.times(following), times[step])
    times.sort(axis=0)
    times[times == np.iinfo(np.int64).max] = NEVER
    return Outcomes(np.arange(len(first)), most.astype(np.int64) - 1, times), events.actors(moments[first])


def _ends_of_runs(line: Timeline) -> Timeline:
    """Leave out events between two of the same step and actor, an earlier and a later one."""
    difference = line.keys[1:] ^ line.keys[:-1]
    part_of_key = (1 << line.code_bits) - 1 | -1 << (line.code_bits + line.events.at_bits)
    goes_on = (difference & part_of_key == 0) & (difference != 0)
    is_inside = goes_on[1:] & goes_on[:-1]
    kept = np.ones(len(line.keys), bool)
    kept[1:-1] = ~is_inside
    return evolve(line, keys=line.keys[kept])


def _following(moments: Ints, codes: Array, step: int) -> Ints:
    """Return per row when the step is taken next, by whomever, from it on."""
    checkpoint()
    following = np.where(codes == step, moments, _FAR_AHEAD)
    backwards = following[::-1]
    np.minimum.accumulate(backwards, out=backwards)
    return np.asarray(following)
