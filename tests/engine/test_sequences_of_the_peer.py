"""What the answers of sequences are where the specification is short; each expectation is worked out by hand."""

from __future__ import annotations

import pytest

from .conftest import RANGE, counts, funnel

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


def retention(target, returning, **asked):
    entities = {
        "targetEntity": {"id": target, "type": "events"},
        "returningEntity": {"id": returning, "type": "events"},
    }
    return {"kind": "RetentionQuery", "dateRange": RANGE, "retentionFilter": {"totalIntervals": 3, **entities, **asked}}


def test_columns_of_retention_name_who_was_seen_and_sort_them(asked):
    histories = {
        "once": [("in", 1), ("back", "2020-01-07 09:00")],
        "twice": [("in", 1), ("back", "2020-01-06 09:00"), ("back", "2020-01-07 09:00")],
    }
    node = {
        "kind": "ActorsQuery", "select": ["person_display_name", "appearances", "day_0", "day_1", "day_2"],
        "orderBy": ["length(appearances) DESC", "actor_id"],
        "source": {"kind": "InsightActorsQuery", "source": retention("in", "back"), "interval": 4},
    }  # fmt: skip
    rows = [[row[0]["display_name"], *row[1:]] for row in asked(node, histories)["results"]]
    assert rows == [["twice", [0, 1, 2], 1, 1, 1], ["once", [0, 2], 1, 0, 1]]
    reversed_ = node | {"orderBy": ["day_1", "length(appearances) DESC"]}
    assert [row[0]["display_name"] for row in asked(reversed_)["results"]] == ["once", "twice"]


@pytest.mark.parametrize("breakdown", ["tin", ["tin"]])
def test_who_entered_under_a_value_is_asked_for_with_or_without_a_list(asked, breakdown):
    query = retention("in", "in") | {"breakdownFilter": {"breakdown": "can", "breakdown_type": "event"}}
    source = {"kind": "InsightActorsQuery", "source": query, "interval": 4, "breakdown": breakdown}
    histories = {"a": [("in", 1, {"can": "tin"})], "b": [("in", 1, {"can": "jar"})]}
    found = asked({"kind": "ActorsQuery", "select": ["person"], "source": source}, histories)["results"]
    assert [person["distinct_ids"] for (person,) in found] == [["a"]]


def test_in_the_interval_of_the_entry_only_what_follows_it_is_measured(asked):
    histories = {
        "a": [
            ("spent", 1, {"n": 100}),
            ("in", 2, {"n": 1000}),
            ("spent", 3, {"n": 6}),
            ("in", 4),
            ("spent", 5, {"n": 2}),
        ],
        "b": [("in", 1), ("spent", "2020-01-06 08:00", {"n": 5}), ("spent", "2020-01-06 09:00", {"n": 4})],
    }
    for aggregation, expected in (("sum", [8.0, 9.0, 0.0]), ("avg", [4.0, 9.0, 0.0])):
        query = retention("in", "spent", aggregationType=aggregation, aggregationProperty="n")
        cells = asked(query, histories)["results"][4]["values"]
        assert [cell["aggregation_value"] for cell in cells] == expected
        histories = None


def test_where_entry_and_return_are_one_event_the_entry_is_measured_too(asked):
    query = retention("paid", "paid", aggregationType="sum", aggregationProperty="n")
    cells = asked(query, {"a": [("paid", 1, {"n": 3}), ("paid", 2, {"n": 4})]})["results"][4]["values"]
    assert cells[0]["aggregation_value"] == 7.0
