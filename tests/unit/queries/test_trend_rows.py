"""Arithmetic on the numbers of a trend."""

from __future__ import annotations

from insightlog.domain.queries._trend_rows import smoothed


def test_a_mean_that_is_a_whole_number_is_not_rounded_to_the_one_below():
    assert smoothed([0.1, 2.5, 1.5, 2.5, 1.5], 2) == [0, 1, 2, 2, 2]
    assert smoothed([1e16, 3, 3, 3], 2)[2:] == [3, 3]
