"""From bucket edges to an SQL expression that gives the index of an instant's bucket.

Edges that follow each other at equal distance (days without a change of clocks between them) form a run, inside which
the index is one integer division; a balanced tree of comparisons picks the run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from attrs import frozen
from sqlglot import exp

from ....domain.errors import QueryTooLarge

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
MAX_RUNS = 1500
"""PERF: planning the comparisons of so many takes the engine 2 s, of four times as many 20, and nothing stops it."""


@frozen
class Run:
    """Neighbouring buckets of equal length."""

    first: int
    """Index of the first bucket."""
    start_us: int
    """Its edge, microseconds since 1970 UTC."""
    step_us: int
    """Length of each; 0 for one by itself."""


def bucket_index(edges: Sequence[datetime], timestamp: exp.Expr) -> exp.Expr:
    """Return the index of the bucket that holds the timestamp, which must lie within the edges."""
    return place_in(runs_between(edges), timestamp, lambda run: _number(run.start_us))


def place_in(runs: Sequence[Run], timestamp: exp.Expr, start: Callable[[Run], exp.Expr]) -> exp.Expr:
    """Return the index of the bucket of the runs that holds the timestamp; `start` gives a run's first edge as SQL."""
    return _tree(runs, exp.func("epoch_us", timestamp), start) if runs else _number(0)


def runs_between(edges: Sequence[datetime]) -> list[Run]:
    """Return the runs between ascending instants."""
    return runs_of([(edge - _EPOCH) // _MICROSECOND for edge in edges])


def runs_of(edges_us: Sequence[int]) -> list[Run]:
    """Return the runs between ascending edges, in order; buckets without length are left out.

    Raises `QueryTooLarge` above `MAX_RUNS`: 150 years of months, or 750 years in a zone that changes its clocks.
    """
    runs: list[Run] = []
    for index, (start, end) in enumerate(pairwise(edges_us)):
        step = end - start
        if step and not (runs and _continues(runs[-1], index, start, step)):
            runs.append(Run(index, start, step))
    if len(runs) > MAX_RUNS:
        raise QueryTooLarge(f"The range has more than {MAX_RUNS} intervals of uneven length.", path="query.interval")
    ends = [*(run.first for run in runs[1:]), len(edges_us) - 1] if runs else []
    return [
        run if end > run.first + 1 else Run(run.first, run.start_us, 0) for run, end in zip(runs, ends, strict=True)
    ]


def _continues(run: Run, index: int, start: int, step: int) -> bool:
    return run.step_us == step and run.start_us + (index - run.first) * step == start


def _tree(runs: Sequence[Run], instant_us: exp.Expr, start: Callable[[Run], exp.Expr]) -> exp.Expr:
    if len(runs) > 1:
        middle = len(runs) // 2
        return exp.Case(
            ifs=[
                exp.If(
                    this=exp.LT(this=instant_us.copy(), expression=start(runs[middle])),
                    true=_tree(runs[:middle], instant_us, start),
                )
            ],
            default=_tree(runs[middle:], instant_us, start),
        )
    run = runs[0]
    if not run.step_us:
        return _number(run.first)
    steps = exp.IntDiv(
        this=exp.paren(exp.Sub(this=instant_us.copy(), expression=start(run))),
        expression=_number(run.step_us),
    )
    return exp.Add(this=_number(run.first), expression=steps) if run.first else steps


def _number(value: int) -> exp.Expr:
    return exp.Literal.number(value) if value >= 0 else exp.Neg(this=exp.Literal.number(-value))
