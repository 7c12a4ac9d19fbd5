"""Bins as the legacy endpoint lists them."""

from __future__ import annotations

from insightlog.domain.queries.legacy_results import bins_by_bound


def result(order, value, period=None):
    found = {"action": {"order": order}, "breakdown_value": value, "label": f"$pageview - {value}"}
    return found if period is None else found | {"compare_label": period}


def test_bins_come_by_lower_bound_with_floats_series_by_series():
    given = [result(0, "[30,50.01]"), result(1, "[2,3]"), result(0, "[9.5,30]"), result(0, "$$_null_$$")]
    assert [(one["breakdown_value"], one["label"]) for one in bins_by_bound(given)] == [
        ("[9.5,30.0]", "$pageview - [9.5,30.0]"),
        ("[30.0,50.01]", "$pageview - [30.0,50.01]"),
        ("$$_null_$$", "$pageview - $$_null_$$"),
        ("[2.0,3.0]", "$pageview - [2.0,3.0]"),
    ]
    assert given[0]["breakdown_value"] == "[30,50.01]"


def test_results_of_a_formula_have_no_action_and_keep_their_order():
    given = [{"action": None, "breakdown_value": value, "label": value} for value in ("x", "[2,3]", "[-1,2]")]
    assert [one["breakdown_value"] for one in bins_by_bound(given)] == ["[-1.0,2.0]", "[2.0,3.0]", "x"]
