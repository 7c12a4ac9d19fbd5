"""Legacy filters become query nodes."""

from __future__ import annotations

import json

import pytest

from insightlog.application.query_nodes import parse_query
from insightlog.domain.errors import InvalidQuery
from insightlog.domain.queries.cohorts import criteria_of_groups
from insightlog.domain.queries.legacy import filters_to_query

FILTERS = {
    "insight": "TRENDS",
    "date_from": "-14d",
    "interval": "week",
    "display": "ActionsBar",
    "events": [{"id": "paid", "type": "events", "order": 1, "math": "sum", "math_property": "amount"}],
    "actions": [{"id": 7, "type": "actions", "order": 0}],
    "properties": [{"key": "plan", "value": ["pro"], "type": "person"}],
    "breakdown": "$browser",
    "compare": "true",
    "filter_test_accounts": "true",
}
NODE = {
    "kind": "TrendsQuery",
    "dateRange": {"date_from": "-14d"},
    "interval": "week",
    "series": [
        {"kind": "ActionsNode", "id": 7},
        {"kind": "EventsNode", "event": "paid", "name": "paid", "math": "sum", "math_property": "amount"},
    ],
    "properties": {
        "type": "AND",
        "values": [
            {"type": "AND", "values": [{"key": "plan", "value": ["pro"], "type": "person", "operator": "exact"}]}
        ],
    },
    "breakdownFilter": {"breakdown": "$browser", "breakdown_type": "event"},
    "compareFilter": {"compare": True},
    "filterTestAccounts": True,
    "trendsFilter": {"display": "ActionsBar"},
}


@pytest.mark.parametrize("form", [FILTERS, json.dumps(FILTERS), json.dumps(json.dumps(FILTERS)), [FILTERS]])
def test_filter_in_any_wrapping_becomes_a_node(form):
    assert filters_to_query(form) == NODE
    parse_query(filters_to_query(form))


def test_lists_from_a_query_string_are_texts():
    as_text = {key: json.dumps(value) if isinstance(value, list) else value for key, value in FILTERS.items()}
    assert filters_to_query(as_text) == NODE


@pytest.mark.parametrize(
    ("leaf", "expected"),
    [
        (
            {"key": "a", "value": "b", "negation": True},
            {"key": "a", "value": "b", "operator": "is_not", "type": "event"},
        ),
        ({"key": "a", "values": ["b", None]}, {"key": "a", "value": ["b"], "operator": "exact", "type": "event"}),
        ({"key": "x", "type": "static-cohort", "value": 3}, {"key": "id", "type": "cohort", "value": 3}),
        (
            {"key": "a__icontains", "value": "b", "type": "events", "operator": "icontains"},
            {"key": "a__icontains", "value": "b", "operator": "icontains", "type": "event"},
        ),
    ],
)
def test_leaves_are_cleaned(leaf, expected):
    assert filters_to_query({"properties": [leaf]})["properties"]["values"][0]["values"] == [expected]


def test_old_dictionary_of_properties_is_split():
    found = filters_to_query({"properties": {"n__gt": 3}})["properties"]["values"][0]["values"]
    assert found == [{"key": "n", "value": 3, "operator": "gt", "type": "event"}]


@pytest.mark.parametrize(
    "filters",
    [
        {"insight": "NOPE"},
        {"smoothing_intervals": 0},
        {"smoothing_intervals": "a"},
        {"smoothing_intervals": 1.5},
        {"breakdown": "a", "breakdown_limit": 2.5},
        "not json",
        3,
        {"properties": "{"},
        {"properties": {"type": "NAND", "values": []}},
    ],
)
def test_wrong_filters_are_refused(filters):
    with pytest.raises(InvalidQuery):
        filters_to_query(filters)


def test_entities_of_retention_keep_their_properties():
    entity = {"id": "paid", "type": "events", "uuid": "x", "properties": [{"key": "plan", "value": "pro"}]}
    filters = {"insight": "RETENTION", "target_entity": entity, "returning_entity": {"id": "came", "properties": []}}
    found = filters_to_query(filters)["retentionFilter"]
    leaf = {"key": "plan", "value": "pro", "operator": "exact", "type": "event"}
    assert found["targetEntity"] == {"id": "paid", "type": "events", "properties": [leaf]}
    assert found["returningEntity"] == {"id": "came"}
    parse_query(filters_to_query(filters))


def test_filters_of_an_entity_are_a_list_unless_some_are_joined_by_or():
    a, b = ({"key": key, "value": 1, "operator": "exact", "type": "event"} for key in "ab")

    def properties(asked):
        query = filters_to_query({"events": [{"id": "paid", "properties": asked}]})
        parse_query(query)
        return query["series"][0]["properties"]

    both = {"type": "AND", "values": [{"type": "OR", "values": [a]}, {"type": "AND", "values": [b]}]}
    assert properties(both) == [a, b]
    either = {"type": "OR", "values": [a, b]}
    assert properties(either) == either
    assert properties(json.dumps({"type": "AND", "values": [either]})) == {"type": "AND", "values": [either]}


def test_empty_texts_of_an_entity_say_nothing():
    query = filters_to_query({"events": [{"id": "paid", "math": "", "math_property": "", "custom_name": ""}]})
    assert query["series"] == [{"kind": "EventsNode", "event": "paid", "name": "paid"}]


def test_the_funnel_of_paths_needs_not_say_that_it_is_one():
    filters = {"insight": "PATHS", "funnel_filter": {"events": [{"id": "a"}, {"id": "b"}], "funnel_step": 2}}
    found = filters_to_query(filters)["funnelPathsFilter"]
    assert (found["funnelSource"]["kind"], found["funnelStep"]) == ("FunnelsQuery", 2)


def test_single_own_events_of_paths_become_a_filter_on_names():
    filters = {
        "insight": "PATHS",
        "include_event_types": ["$pageview"],
        "include_custom_events": ["paid"],
        "properties": [{"key": "plan", "value": "pro"}],
    }
    found = filters_to_query(filters)
    assert "pathsFilter" not in found
    names, others = found["properties"]["values"]
    assert names["values"] == [
        {"key": "event", "type": "event_metadata", "operator": "exact", "value": ["$pageview", "paid"]}
    ]
    assert others["values"][0]["values"][0]["key"] == "plan"
    parse_query(found)


@pytest.mark.parametrize("types", [["custom_event"], ["hogql", "$pageview"], 7, "x", [{}], [["$pageview"]]])
def test_own_events_beside_all_of_them_or_beside_what_is_no_list_are_refused(types):
    with pytest.raises(InvalidQuery):
        filters_to_query({"insight": "PATHS", "include_event_types": types, "include_custom_events": ["paid"]})


@pytest.mark.parametrize(
    "filters",
    [
        {"insight": "RETENTION", "total_intervals": "9" * 30}, {"insight": "RETENTION", "total_intervals": float("inf")},
        {"breakdown": "a", "breakdown_limit": "-" + "9" * 20}, {"sampling_factor": "nan"}, {"sampling_factor": "1e999"},
        {"insight": "FUNNELS", "funnel_window_days": 2**53},
    ],
)  # fmt: skip
def test_numbers_beyond_what_json_can_hold_are_refused(filters):
    with pytest.raises(InvalidQuery):
        filters_to_query(filters)


def test_keys_of_hidden_legends_are_plain_numbers():
    found = filters_to_query({"hidden_legend_keys": {"1": True, "²": True, "9" * 40: True}})
    assert found["trendsFilter"]["hiddenLegendIndexes"] == [1]


def test_old_groups_of_cohorts_have_the_defaults_of_their_time():
    groups = [{"event_id": "paid", "count": 0}, {"properties": [{"key": "plan", "value": "pro", "type": "event"}]}]
    done, owned = (group["values"][0] for group in criteria_of_groups(groups)["values"])
    assert (done["value"], done["time_value"], done["time_interval"]) == ("performed_event", 365, "day")
    assert owned == {"key": "plan", "value": "pro", "type": "person"}
