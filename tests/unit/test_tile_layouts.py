"""Where tiles stand on a dashboard's grid."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insightlog.domain.tile_layouts import COLUMNS, SIZES, in_order, lifted, packed, place


def box(x, y, w, h):
    return {"x": x, "y": y, "w": w, "h": h}


def test_two_columns_and_full_width_give_all_the_same_size():
    two = {tile: one["sm"] for tile, one in packed([7, 3, 9], {}, "two_column").items()}
    assert two == {7: box(0, 0, 6, 5), 3: box(6, 0, 6, 5), 9: box(0, 5, 6, 5)}
    full = packed([7, 3], {7: {"sm": box(0, 0, 2, 2)}}, "full_width")
    assert [one["sm"] for one in full.values()] == [box(0, 0, 12, 5), box(0, 5, 12, 5)]
    assert [one["xs"] for one in full.values()] == [box(0, 0, 1, 5), box(0, 5, 1, 5)]


def test_kept_sizes_fill_the_lowest_place():
    sizes = {1: {"sm": box(9, 9, 4, 8)}, 2: {"sm": box(0, 0, 8, 2)}, 3: {"sm": box(0, 0, 8, 3)}, 4: {}}
    assert {tile: one["sm"] for tile, one in packed([1, 2, 3, 4], sizes).items()} == {
        1: box(0, 0, 4, 8), 2: box(4, 0, 8, 2), 3: box(4, 2, 8, 3), 4: box(4, 5, 6, 5),
    }  # fmt: skip


def test_lifting_closes_gaps_and_changes_nothing_else():
    layouts = {1: {"sm": box(0, 4, 6, 5), "theme": 1}, 2: {"sm": box(6, 0, 6, 5)}, 3: {"sm": box(0, 20, 12, 5)}, 4: {}}
    assert lifted(layouts) == {1: {"sm": box(0, 0, 6, 5), "theme": 1}, 3: {"sm": box(0, 5, 12, 5)}}
    assert lifted({**layouts, **lifted(layouts)}) == {}


def test_tiles_are_shown_by_row_and_column():
    tiles = [(1, {}), (2, {"sm": box(6, 0, 6, 5)}), (3, {"sm": box(0, 0, 6, 5)}), (4, None), (5, {"sm": {"y": 200}})]
    assert in_order(tiles) == [3, 2, 1, 4, 5]


odd = st.sampled_from(
    [{}, None, [], "x", {"sm": 1}, {"sm": {"x": "1", "y": None, "w": 10**12, "h": -4}}, {"xs": {"y": 3}}]
)
number = st.integers(0, 30)
layout = odd | st.builds(lambda *sides: {"sm": box(*sides)}, number, number, number, number)


@given(st.dictionaries(st.integers(1, 9), layout), st.sampled_from(SIZES))
def test_packed_and_lifted_tiles_never_overlap(layouts, sizes):
    order = list(layouts)
    found = packed(order, layouts, sizes)
    cells = [
        (x, y)
        for one in found.values()
        for x in range(one["sm"]["x"], one["sm"]["x"] + one["sm"]["w"])
        for y in range(one["sm"]["y"], one["sm"]["y"] + min(one["sm"]["h"], 40))
    ]
    assert len(cells) == len(set(cells))
    assert all(0 <= x < COLUMNS for x, _ in cells)
    assert lifted(found) == {}, "what is packed has no gaps above it"
    assert set(lifted(layouts)) <= set(layouts)


@pytest.mark.parametrize(
    "layouts", [None, {}, {"sm": None}, {"sm": {"x": True, "y": 1.5}}, {"sm": {"x": -1, "y": 10**9}}]
)
def test_what_cannot_be_read_is_not_said(layouts):
    assert place(layouts) == (100, 100)
