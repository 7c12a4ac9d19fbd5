"""Rates of funnel trends (queries.md 6.9 and 9.4)."""

from __future__ import annotations

import pytest

from insightlog.domain.queries.funnel_results import rate


@pytest.mark.parametrize(
    ("began", "came", "expected"),
    [(0, 0, 0.0), (3, 1, 33.33), (7, 7, 100.0), (800, 1, 0.12), (800, 3, 0.38), (4000, 1, 0.02), (10**7, 1, 0.0)],
)
def test_rates_have_two_places_and_halves_become_the_even_one(began, came, expected):
    assert rate(began, came) == expected
