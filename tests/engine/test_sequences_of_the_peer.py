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
    rows = asked(node, histories)["results"]
    assert [row[1:] for row in rows] == [[[0, 1, 2], 1, 1, 1], [[0, 2], 1, 0, 1]]
    assert all(row[0]["display_name"] == row[0]["id"] for row in rows)
    reversed_ = node | {"orderBy": ["day_1", "length(appearances) DESC"]}
    assert [row[1] for row in asked(reversed_)["results"]] == [[0, 2], [0, 1, 2]]


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


def edges(answer):
    return [(row["source"], row["target"], row["value"]) for row in answer["results"]]


def paths(**asked):
    return {"kind": "PathsQuery", "dateRange": RANGE, "pathsFilter": asked}


def goers(asked, query, **captured):
    source = {"kind": "InsightActorsQuery", "source": query}
    found = asked({"kind": "ActorsQuery", "select": ["person", "event_count"], "source": source}, **captured)
    return {person["distinct_ids"][0]: number for person, number in found["results"]}


def test_who_begins_with_a_step_is_found_by_the_step(asked):
    histories = {"a": [("tea", "2020-01-05 01:00"), ("cake", "2020-01-05 01:01")], "b": [("cake", "2020-01-05 01:00")]}
    assert goers(asked, paths(pathEndKey="1_cake"), histories=histories) == {"b": 1}
    assert goers(asked, paths(pathEndKey="2_cake")) == {"a": 1}
    assert goers(asked, paths(pathStartKey="1_tea", pathEndKey="2_cake")) == {"a": 1}
    assert goers(asked, paths(pathStartKey="1_cake", pathEndKey="2_cake")) == {}


def test_the_middle_of_a_path_was_reached_when_its_first_item_was(asked):
    minutes = [("start", 0), ("one", 1), ("two", 3), ("three", 8), ("end", 20)]
    histories = {"a": [(name, f"2020-01-05 01:{minute:02}") for name, minute in minutes]}
    query = paths(startPoint="start", endPoint="end", stepLimit=3)
    rows = asked(query, histories)["results"]
    times = {(row["source"], row["target"]): row["average_conversion_time"] / 60_000 for row in rows}
    assert times == {("1_start", "2_..."): 1, ("2_...", "3_end"): 19}


VIEWED = {"a": [("$pageview", "2020-01-05 01:00", {"$current_url": "/x", "kind": "k"}),
                ("$screen", "2020-01-05 01:01", {"$screen_name": "S"}),
                ("tea", "2020-01-05 01:02", {"kind": "green"}), ("cake", "2020-01-05 01:03", {"kind": "sweet"})]}  # fmt: skip


@pytest.mark.parametrize(
    ("included", "expected"),
    [
        (["hogql"], [("1_k", "2_", 1), ("2_", "3_green", 1), ("3_green", "4_sweet", 1)]),
        (["custom_event", "hogql"], [("1_green", "2_sweet", 1)]),
        (["$pageview", "custom_event", "hogql"], [("1_/x", "2_green", 1), ("2_green", "3_sweet", 1)]),
        (["$pageview", "$screen", "hogql"], [("1_/x", "2_S", 1)]),
        (None, [("1_/x", "2_S", 1), ("2_S", "3_green", 1), ("3_green", "4_sweet", 1)]),
    ],
)
def test_an_expression_stands_for_the_events_that_are_included_beside_it(asked, included, expected):
    query = paths(includeEventTypes=included, pathsHogQLExpression="properties.kind")
    assert edges(asked(query, VIEWED)) == expected


def test_without_an_expression_events_stand_for_themselves(asked):
    assert edges(asked(paths(includeEventTypes=["custom_event", "hogql"]), VIEWED)) == [("1_tea", "2_cake", 1)]


@pytest.mark.parametrize(
    ("date_range", "expected"),
    [
        ({"date_from": "2020-01-05 01:01:30"}, [("1_/x", "2_S", 1), ("2_S", "3_tea", 1), ("3_tea", "4_cake", 1)]),
        ({"date_from": "2020-01-05 01:01:30", "explicitDate": True}, [("1_tea", "2_cake", 1)]),
    ],
)
def test_paths_begin_with_the_day_unless_dates_are_explicit(asked, date_range, expected):
    assert (
        edges(asked(paths(includeEventTypes=None) | {"dateRange": {**date_range, "date_to": "2020-01-06"}}, VIEWED))
        == expected
    )


@pytest.mark.parametrize(
    ("excluded", "expected"),
    [
        (["$pageview"], [("1_S", "2_tea", 1), ("2_tea", "3_cake", 1)]),
        (["$pageview", "$screen", "/x"], [("1_tea", "2_cake", 1)]),
        (["/x"], [("1_S", "2_tea", 1), ("2_tea", "3_cake", 1)]),
    ],
)
def test_views_and_screens_are_excluded_by_the_names_of_their_events_too(asked, excluded, expected):
    assert edges(asked(paths(excludeEvents=excluded), VIEWED)) == expected


def test_who_dropped_off_after_an_optional_step_took_the_required_step_before(asked):
    series = ["tea", {"kind": "EventsNode", "event": "milk", "optionalInFunnel": True}, "cake"]
    histories = {
        "plain": [("tea", 1)], "milky": [("tea", 1), ("milk", 2)], "full": [("tea", 1), ("cake", 2)],
    }  # fmt: skip
    source = {"kind": "FunnelsActorsQuery", "source": funnel(*series), "funnelStep": -3}
    found = asked({"kind": "ActorsQuery", "select": ["person"], "source": source}, histories)["results"]
    assert sorted(person["distinct_ids"][0] for (person,) in found) == ["milky", "plain"]


def test_the_first_event_that_passes_is_told_by_the_filters_of_the_step(asked):
    of_pots = [{"key": "of", "value": "pot", "type": "event", "operator": "exact"}]
    first = {"kind": "EventsNode", "event": "in", "math": "first_time_for_user_with_filters"}
    histories = {
        "late": [("in", 1, {"of": "can"}), ("in", 2, {"of": "pot"}), ("out", 3, {"of": "pot"})],
        "early": [("in", 1, {"of": "pot"}), ("in", 2, {"of": "can"}), ("out", 3, {"of": "pot"})],
    }
    query = funnel(first, "out")
    assert counts(asked(query | {"properties": of_pots}, histories)["results"]) == [1, 1]
    own = funnel({**first, "properties": of_pots}, "out")
    assert counts(asked(own)["results"]) == [2, 2]


@pytest.mark.parametrize(
    "source",
    [
        {"kind": "FunnelsActorsQuery", "source": funnel("a", "b"), "funnelStep": 1},
        {"kind": "InsightActorsQuery", "source": paths()},
    ],
)
def test_actors_that_cannot_be_chosen_otherwise_have_no_options(asked, source):
    found = asked({"kind": "InsightActorsQueryOptions", "source": source})
    chosen = ("day", "status", "interval", "breakdown", "breakdowns", "series", "compare")
    assert [found[name] for name in chosen] == [None] * len(chosen)


def test_an_unordered_trend_begins_with_the_value_that_it_counts_under(asked):
    histories = {"a": [("tea", 1, {"pot": "red"}), ("cake", "2020-01-07 01:00", {"pot": "blue"})]}
    query = funnel(
        "tea", "cake", breakdown={"breakdown": "pot"}, funnelVizType="trends", breakdownAttributionType="step",
        breakdownAttributionValue=0, **UNORDERED,
    )  # fmt: skip
    rows = {row["breakdown_value"][0]: row["data"] for row in asked(query, histories)["results"]}
    assert rows["red"][4:7] == [100.0, 0.0, 0.0]
    assert rows["blue"] == [0.0] * 10
    source = {
        "kind": "FunnelsActorsQuery", "source": query, "funnelStepBreakdown": ["blue"],
        "funnelTrendsEntrancePeriodStart": "2020-01-07", "funnelTrendsDropOff": True,
    }  # fmt: skip
    assert len(asked({"kind": "ActorsQuery", "source": source})["results"]) == 1


def test_a_group_of_which_nothing_was_told_has_a_lifecycle_and_is_never_new(asked):
    known = {"$group_type": "org", "$group_key": "known"}
    days = [("view", f"2020-01-0{day}T10:00:00", {"$groups": {"org": "odd"}}) for day in (5, 6, 8)]
    told = [("$groupidentify", "2020-01-06T10:00:00", known)]
    told += [("view", "2020-01-06T10:00:00", {"$groups": {"org": "known"}}), ("view", "2020-01-06T11:00:00", {})]
    query = {
        "kind": "LifecycleQuery",
        "series": [{"kind": "EventsNode", "event": "view"}],
        "aggregation_group_type_index": 0,
    }
    found = asked(query, {"a": told, "b": days})["results"]
    assert {row["status"]: [int(number) for number in row["data"][4:9]] for row in found} == {
        "new": [0, 1, 0, 0, 0], "returning": [0, 1, 0, 0, 0],
        "resurrecting": [1, 0, 0, 1, 0], "dormant": [0, 0, -2, 0, -1],
    }  # fmt: skip


def test_a_lifecycle_of_an_exact_range_begins_with_its_first_whole_interval(asked):
    days = [("view", f"2020-01-0{day}T10:00:00") for day in (4, 5, 6)]
    exact = {"date_from": "2020-01-05T12:00:00", "date_to": "2020-01-07T12:00:00", "explicitDate": True}
    query = {"kind": "LifecycleQuery", "series": [{"kind": "EventsNode", "event": "view"}], "dateRange": exact}
    _, returning, _, dormant = asked(query, {"a": days})["results"]
    assert (returning["days"], returning["data"]) == (["2020-01-06", "2020-01-07"], [1, 0])
    assert dormant["data"] == [0, -1]
