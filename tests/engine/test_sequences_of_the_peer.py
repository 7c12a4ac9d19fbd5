"""What the answers of sequences are where the specification is short; each expectation is worked out by hand."""

from __future__ import annotations

import pytest

from .conftest import counts, funnel

UNORDERED = {"funnelOrderType": "unordered"}


def test_an_exclusion_undoes_the_steps_of_its_window_in_an_unordered_funnel(asked):
    histories = {
        "undone": [("tea", 1), ("spill", 2)],
        "again": [("tea", 1), ("cake", 2), ("spill", 3), ("cake", 4)],
        "before": [("cake", 1), ("tea", 2), ("jam", 3), ("spill", 4)],
        "later": [("tea", 1), ("cake", 2), ("jam", "2020-01-07 00:00"), ("spill", "2020-01-07 01:00")],
    }
    exclusion = {"kind": "EventsNode", "event": "spill", "funnelFromStep": 0, "funnelToStep": 2}
    query = funnel("tea", "cake", "jam", funnelWindowInterval=1, exclusions=[exclusion], **UNORDERED)
    # "again" is left with the second cake; what "later" took first is over before the spill.
    assert counts(asked(query, histories)["results"]) == [3, 2, 1]


@pytest.mark.parametrize("extra", [(), (("stir", 4),)])
def test_times_of_an_unordered_funnel_are_of_the_first_event_of_each_step(asked, extra):
    series = ["tea", "cake"] if not extra else ["tea", "cake", "stir"]
    found = asked(funnel(*series, **UNORDERED), {"a": [("cake", 1), ("cake", 2), ("tea", 3), *extra]})
    assert found["results"][1]["average_conversion_time"] == 2 * 3600
