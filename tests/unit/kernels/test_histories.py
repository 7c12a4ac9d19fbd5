"""Sorting packed columns equals sorting rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insightlog.adapters.kernels import histories
from insightlog.adapters.kernels.attribution import attributed
from insightlog.adapters.kernels.histories import compressed, grouped, history, intervals, ordered, sort, sorted_columns

NUMBERS = st.integers(-5, 5) | st.integers(-(2**40), 2**40)


@given(
    st.lists(st.tuples(NUMBERS, NUMBERS, st.integers(0, 2**20)), max_size=20),
    st.sampled_from([1, 8, 1000]),
    st.sampled_from([3, histories.PIECE]),
)
def test_columns_are_sorted_by_the_first_then_the_next(rows, scale, piece):
    columns = np.array(rows, np.int64).reshape(len(rows), 3).T
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(histories, "PIECE", piece)
        found = sorted_columns(columns[0], columns[1] * scale, columns[2])
    expected = sorted((actor, at * scale, item) for actor, at, item in rows)
    assert list(zip(*(column.tolist() for column in found), strict=True)) == expected


def test_whole_milliseconds_are_packed_where_microseconds_do_not_fit():
    rows = 5000
    actor, at = np.arange(rows)[::-1] << 5, np.full(rows, 2**42 // 1000 * 1000)
    at[0] = 0
    found = sorted_columns(actor, at, np.arange(rows))
    assert found[0].tolist() == sorted(actor.tolist())
    assert found[1].tolist() == [at[0], *at[1:]][::-1]
    at[3] += 1
    assert sorted_columns(actor, at, np.arange(rows))[1].tolist() == at[::-1].tolist()


@pytest.fixture(params=[histories.PART, 3])
def part(request, monkeypatch):
    """How many rows are looked at in one step: all of the small histories here, or some."""
    monkeypatch.setattr(histories, "PART", request.param)


@pytest.mark.parametrize("highest", [1, 5, 2**62])
def test_rows_are_ordered_by_the_first_column_then_the_next(highest, part):
    first, then = np.random.default_rng(7).integers(0, highest, (2, 500))
    assert ordered(first, then % 3).tolist() == np.lexsort((then % 3, first)).tolist()
    codes, table = compressed(then)
    assert table[codes].tolist() == then.tolist()
    assert table.tolist() == sorted(set(then.tolist()))


def test_the_parts_of_a_history_hold_all_rows_of_their_units(part):
    actor, at, value = np.random.default_rng(7).integers(0, 40, (3, 300))
    marks = np.ones(300, np.uint8)
    whole = history(actor, at, marks, value)
    parts = list(whole.parts())
    assert len(parts) == 1 or len(parts) > 60
    rows = [
        (part.actors[unit], part.values[unit], moment)
        for _, part in parts
        for unit, moment in zip(part.unit, part.at, strict=True)
    ]
    assert rows == sorted(zip(actor, value, at, strict=True))
    assert [row for of, _ in parts for row in range(300)[of]] == list(range(300))
    assert sum(part.n_units for _, part in parts) == whole.n_units


@pytest.mark.parametrize("kind", ["first_touch", "last_touch", "all_events", "step"])
def test_values_are_attributed_alike_in_parts_and_at_once(kind, monkeypatch):
    actor, at, marks, value = np.random.default_rng(7).integers(0, 9, (4, 200))
    rows = []
    for size in (histories.PART, 3):
        monkeypatch.setattr(histories, "PART", size)
        parts = list(attributed(actor, at, marks.astype(np.uint8), value, kind, step=1, nothing=2))
        rows.append([
            (part.actors[unit], part.values[unit], moment, mark)
            for part in parts
            for unit, moment, mark in zip(part.unit, part.at, part.marks, strict=True)
        ])  # fmt: skip
    assert rows[0] == rows[1]
    assert len(parts) > 1


@given(st.lists(st.integers(0, 3) | st.integers(0, 2**40), max_size=20))
def test_grouping_keeps_what_was_first_first(keys):
    keys = np.array(keys, np.int64)
    assert grouped(keys).tolist() == np.argsort(keys, kind="stable").tolist()


@pytest.mark.parametrize("piece", [histories.PIECE, 100, 7])
@pytest.mark.parametrize("highest", [2**60, 4, 1])
@pytest.mark.parametrize("n_runs", [1, 3, 1000])
def test_runs_and_random_rows_are_sorted_alike(n_runs, highest, piece, monkeypatch):
    monkeypatch.setattr(histories, "PIECE", piece)
    keys = np.random.default_rng(n_runs).integers(0, highest, 3001)
    for part in np.array_split(keys, n_runs):
        part.sort()
    expected = sorted(keys.tolist())
    sort(keys)
    assert keys.tolist() == expected


@given(
    st.lists(st.integers(-50, 50), max_size=60),
    st.lists(st.integers(-40, 40), min_size=1, max_size=6),
    st.booleans(),
)
def test_intervals_are_those_whose_edges_lie_around(times, edges, is_distinct):
    edges = sorted(set(edges) if is_distinct else edges)
    expected = [sum(time >= edge for edge in edges) - 1 for time in times]
    assert intervals(np.array(times, np.int64), edges).tolist() == expected
