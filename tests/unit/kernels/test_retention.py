"""The retention kernel equals counting actor by actor (queries.md 8.3)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insightlog.adapters.kernels import checkpoint, histories
from insightlog.adapters.kernels import retention as kernel
from insightlog.adapters.kernels.packed import packed

EDGES = [0, 3, 5, 9, 12]
EVENTS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 11), st.integers(1, 3), st.integers(0, 2), st.integers(0, 5)),
    max_size=25,
)
"""Actor, time, marks, breakdown value, measure."""
SHAPES = st.builds(
    kernel.Shape,
    n_rows=st.just(4),
    n_columns=st.integers(1, 5),
    min_occurrences=st.integers(1, 2),
    is_cumulative=st.booleans(),
    brackets=st.lists(st.integers(1, 3), max_size=2).map(tuple),
)


def interval(time):
    return sum(time >= edge for edge in EDGES) - 1


def reference(events, shape, rolling, *, measures_after_entry):
    """Return actors and sum of their returning events per (value, row, column)."""
    found = {}
    for actor in {event[0] for event in events}:
        mine = sorted((time, marks, value, measure) for who, time, marks, value, measure in events if who == actor)
        targets = [(time, value) for time, marks, value, _ in mine if marks & kernel.ENTERS]
        returns = [(time, measure) for time, marks, _, measure in mine if marks & kernel.RETURNS]
        if rolling is not None:
            targets = targets[:1]
        for row, value in {(interval(time), value) for time, value in targets}:
            begin = targets[0][0] if rolling is not None else row
            after = [
                ((time - begin) // rolling if rolling is not None else interval(time) - row, measure)
                for time, measure in returns
                if rolling is None or time > begin
            ]
            widths = shape.brackets or (1,) * (shape.n_columns - 1)
            spans = [range(1 + sum(widths[:place]), 1 + sum(widths[: place + 1])) for place in range(len(widths))]
            last = -(-12 // rolling) if rolling is not None else 4 - row
            enough = {gap for gap in range(last) if sum(one == gap for one, _ in after) >= shape.min_occurrences}
            came = {gap for gap in enough if 1 <= gap <= sum(widths)}
            for column, span in enumerate([range(1), *spans]):
                is_seen = column == 0 or any(
                    gap in came or (shape.is_cumulative and any(other >= gap for other in came)) for gap in span
                )
                of = [measure for gap, measure in after if gap in span and gap in enough]
                if column == 0 and measures_after_entry and rolling is None:
                    entry = min(time for time, _ in targets if interval(time) == row)
                    late = [measure for time, measure in returns if interval(time) == row and time > entry]
                    of = late if 0 in enough else []
                count, total = found.get((value, row, column), (0, 0.0))
                found[value, row, column] = (count + is_seen, total + sum(of))
    return {cell: numbers for cell, numbers in found.items() if numbers[0]}


@settings(max_examples=300)
@given(EVENTS, SHAPES, st.sampled_from([None, 2, 3]), st.sampled_from([2, histories.PART]), st.booleans())
def test_cells_equal_the_reference(events, shape, rolling, part, measures_after_entry):
    columns = np.array(events, np.int64).reshape(len(events), 5).T
    # At one instant the first target event is the one with the least value.
    order = np.lexsort((columns[3], columns[2], columns[1]))
    actor, at, marks, value, measure = columns[:, order]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(histories, "PART", part)
        found = kernel.seen(
            actor, at, marks, EDGES,
            value=value, measure=measure, rolling_us=rolling, measures_after_entry=measures_after_entry,
        )  # fmt: skip
    got = {(value, row, column): rest for value, row, column, *rest in map(list, kernel.cells(found, shape))}
    events = sorted(events, key=lambda one: (one[1], one[2], one[3]))
    expected = reference(events, shape, rolling, measures_after_entry=measures_after_entry)
    assert {cell: tuple(rest) for cell, rest in got.items()} == expected


@given(EVENTS, SHAPES, st.integers(-3, 3), st.integers(1, 60))
def test_plain_counts_equal_the_others(events, shape, first_actor, block):
    actor, at, marks, _, _ = np.array(events, np.int64).reshape(len(events), 5).T
    rows = packed(actor + first_actor, at, 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "BLOCK", block)
        patch.setattr(kernel, "AT_ONCE", 7)
        plain = rows and kernel.seen_plainly(rows, marks, EDGES)
    others = kernel.seen(actor + first_actor, at, marks, EDGES)
    assert kernel.cells(plain, shape) == kernel.cells(others, shape) if plain else not events
    if plain:
        for row in range(4):
            assert kernel.appearances(plain, shape, row) == kernel.appearances(others, shape, row)


def test_appearances_name_the_columns_and_put_the_most_faithful_first():
    actor, at = np.array([7, 7, 8, 8, 8]), np.array([0, 4, 1, 3, 10])
    found = kernel.seen(actor, at, np.full(5, 3), EDGES)
    assert kernel.appearances(found, kernel.Shape(4, 4), 0) == [(8, [1, 1, 0, 1]), (7, [1, 1, 0, 0])]


def test_values_past_the_limit_are_one_actor_each():
    actor, at, value = np.array([1, 2, 3, 3]), np.array([0, 0, 0, 0]), np.array([0, 0, 1, 2])
    found = kernel.folded(kernel.seen(actor, at, np.full(4, 3), EDGES, value=value), 1)
    cells = {row[:3]: row[3] for row in kernel.cells(found, kernel.Shape(4, 1))}
    assert cells == {(0, 0, 0): 2, (kernel.FOLDED, 0, 0): 1}
