"""From outcomes to the numbers of a funnel: counts and times per breakdown value, histogram, rates per period."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from attrs import frozen

from .attempts import Attempts
from .checkpoint import checkpoint
from .histories import Array, Ints
from .outcomes import NEVER, Outcomes

SECOND_US = 1_000_000
REST = -1
"""The code of the values that are folded together."""


@frozen
class FunnelRow:
    """The numbers of one breakdown value."""

    value: int
    """Its code; REST for the folded ones."""
    counts: tuple[int, ...]
    """Per step, who took it."""
    average_s: tuple[float | None, ...]
    """Per step, the mean time since the required step before it; None when nobody took time over it."""
    median_s: tuple[float | None, ...]


def funnel_rows(
    outcomes: Outcomes,
    value: Array | None,
    *,
    limit: int | None,
    optional: frozenset[int],
    rank_of: Array | None = None,
) -> list[FunnelRow]:
    """Return one row per value, those with most conversions first; values past the limit are folded into one.

    `value` holds a code per unit of the outcomes (None: they are all one), `rank_of` the place of a code when numbers
    tie. Without outcomes there is no row.
    """
    if not len(outcomes.unit):
        return []
    if value is None:
        return [_row_of_all(outcomes, optional)]
    codes = value
    n_steps, n_values = len(outcomes.times), int(codes.max()) + 1
    counts = np.stack([np.bincount(codes[outcomes.took(step)], minlength=n_values) for step in range(n_steps)])
    ties = np.arange(n_values) if rank_of is None else rank_of[:n_values]
    order = np.lexsort((ties, *(-row for row in counts)))
    order = order[counts.sum(axis=0)[order] > 0]
    slot = np.full(n_values, -1)
    kept = order if limit is None else order[:limit]
    slot[kept] = np.arange(len(kept))
    if len(kept) < len(order):
        slot[order[len(kept) :]] = len(kept)
    groups = slot[codes]
    n_rows = min(len(order), len(kept) + 1)
    totals = np.stack([np.bincount(groups[outcomes.took(step)], minlength=n_rows) for step in range(n_steps)])
    times = [_times(outcomes, step, groups, n_rows, optional) for step in range(n_steps)]
    rows = [
        FunnelRow(
            int(kept[row]) if row < len(kept) else REST,
            tuple(int(totals[step, row]) for step in range(n_steps)),
            tuple(times[step][row][0] for step in range(n_steps)),
            tuple(times[step][row][1] for step in range(n_steps)),
        )
        for row in range(n_rows)
    ]
    return sorted(rows, key=lambda row: tuple(-count for count in reversed(row.counts)))


def _row_of_all(outcomes: Outcomes, optional: frozenset[int]) -> FunnelRow:
    """Return the numbers where all units have one value, whose code is 0."""
    steps = range(len(outcomes.times))
    counts = tuple(int(np.count_nonzero(outcomes.took(step))) for step in steps)
    spent = [_spent(outcomes, step, optional)[1] for step in steps]
    means = tuple(float(one.mean()) if len(one) else None for one in spent)
    return FunnelRow(0, counts, means, tuple(float(np.median(one)) if len(one) else None for one in spent))


def seconds_between(outcomes: Outcomes, from_step: int, to_step: int) -> Array:
    """Return the seconds that those who took both steps needed from one to the other.

    COMPAT: what is past a full second of a step's time does not count, as in the peer's histogram.
    """
    both = outcomes.took(from_step) & outcomes.took(to_step)
    began, ended = (outcomes.times[step][both] // SECOND_US for step in (from_step, to_step))
    return np.asarray(ended - began).astype(np.float64)


def histogram(samples: Array, bin_count: int | None) -> tuple[list[tuple[int, int]], float | None]:
    """Return bins (first second, number) of equal width and the mean; one bin more than asked (queries.md 6.8)."""
    size = len(samples)
    if not size:
        return [(0, 0), (60, 0)], None
    bins = min(60, max(1, math.ceil(round(size ** (1 / 3), 9)))) if bin_count is None else min(90, max(1, bin_count))
    low, high = math.floor(samples.min()), math.ceil(samples.max())
    width = math.ceil((high - low) / bins) or 60
    counts = np.bincount(((samples - low) // width).astype(np.int64), minlength=bins + 1)
    return [(low + index * width, int(counts[index])) for index in range(bins + 1)], float(samples.mean())


def period_rows(
    attempts: Attempts, value: Array | None, n_periods: int, from_step: int, to_step: int
) -> list[tuple[int, int, int, int]]:
    """Return (value, period, who came through the one step, who through the other), without empty ones."""
    codes = np.zeros(len(attempts.unit), np.int64) if value is None else value[attempts.unit]
    key = codes * n_periods + attempts.period
    began = np.bincount(key[attempts.furthest >= from_step])
    came = np.bincount(key[attempts.furthest >= to_step], minlength=len(began))
    return [
        (int(one) // n_periods, int(one) % n_periods, int(began[one]), int(came[one])) for one in np.flatnonzero(began)
    ]


def _spent(outcomes: Outcomes, step: int, optional: frozenset[int]) -> tuple[Ints, Array]:
    """Return who took time from the required step before to the step, and how many seconds; nobody to optional ones."""
    checkpoint()
    before = next((one for one in range(step - 1, -1, -1) if one not in optional), None)
    if before is None or step in optional:
        return np.zeros(0, np.int64), np.zeros(0)
    known = np.flatnonzero(outcomes.took(step))
    began = outcomes.times[before].take(known)
    spent = outcomes.times[step].take(known) - began
    took = (spent > 0) & (began != NEVER)
    return known[took], spent[took] / 1e6


def _times(
    outcomes: Outcomes, step: int, groups: Ints, n_rows: int, optional: frozenset[int]
) -> Sequence[tuple[float | None, float | None]]:
    """Return mean and median per row of the times that took any time at all."""
    found: list[tuple[float | None, float | None]] = [(None, None)] * n_rows
    known, spent = _spent(outcomes, step, optional)
    if not len(known):
        return found
    groups = groups[known]
    order = np.argsort(groups, kind="stable")
    cuts = np.flatnonzero(np.diff(groups[order])) + 1
    firsts = groups[order][np.concatenate([[0], cuts])].tolist()
    for row, part in zip(firsts, np.split(spent[order], cuts), strict=True):
        found[row] = (float(part.mean()), float(np.median(part)))
    return found
