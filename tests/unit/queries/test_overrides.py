"""A dashboard's filters and variables laid over queries and legacy filters."""

from __future__ import annotations

import copy

import pytest
from tests.builders import TREND

from insightlog.application.query_nodes import parse_query
from insightlog.domain.queries.legacy import filters_to_query
from insightlog.domain.queries.overrides import apply_filters, apply_filters_to_legacy, apply_variables, lay_over

PRO = {"key": "plan", "value": "pro", "operator": "exact", "type": "event"}
MAC = {"key": "$os", "value": "Mac", "operator": "exact", "type": "event"}


@pytest.mark.parametrize(
    ("filters", "date_range"),
    [
        ({}, {"date_from": "-7d"}),
        ({"date_from": None, "date_to": None}, {"date_from": "-7d"}),
        ({"date_from": "-30d"}, {"date_from": "-30d", "date_to": None}),
        ({"date_to": "2026-01-01"}, {"date_from": None, "date_to": "2026-01-01"}),
        ({"date_from": "-1d", "explicitDate": True}, {"date_from": "-1d", "date_to": None, "explicitDate": True}),
        ({"explicitDate": True}, {"date_from": "-7d"}),
    ],
)
def test_if_either_date_is_set_both_are_replaced(filters, date_range):
    assert apply_filters(TREND, filters)["dateRange"] == date_range


def test_dates_are_given_to_a_query_without_a_range():
    paths = {"kind": "PathsQuery", "pathsFilter": {}}
    assert apply_filters(paths, {"date_from": "-3d"})["dateRange"] == {"date_from": "-3d", "date_to": None}


def test_properties_are_joined_by_and():
    assert apply_filters(TREND, {"properties": [PRO]})["properties"] == [PRO]
    own = {"type": "OR", "values": [PRO, MAC]}
    for mine, group in (([MAC], {"type": "AND", "values": [MAC]}), (own, own)):
        joined = apply_filters({**TREND, "properties": mine}, {"properties": [PRO]})["properties"]
        assert joined == {"type": "AND", "values": [group, {"type": "AND", "values": [PRO]}]}
        parse_query({**TREND, "properties": joined})


def test_breakdown_interval_and_test_accounts_replace_where_the_kind_has_them():
    filters = {"breakdown_filter": {"breakdown": "plan"}, "interval": "week", "filterTestAccounts": True}
    trend = apply_filters({**TREND, "breakdownFilter": {"breakdown": "$os", "breakdown_limit": 3}}, filters)
    assert (trend["breakdownFilter"], trend["interval"]) == ({"breakdown": "plan"}, "week")
    assert trend["filterTestAccounts"] is True
    lifecycle = apply_filters({"kind": "LifecycleQuery", "series": []}, filters)
    assert lifecycle == {"kind": "LifecycleQuery", "series": [], "interval": "week", "filterTestAccounts": True}
    assert apply_filters({"kind": "PathsQuery"}, filters) == {"kind": "PathsQuery", "filterTestAccounts": True}


def test_wrapped_queries_keep_their_wrapping_and_nothing_given_is_changed():
    wrapped = {"kind": "InsightVizNode", "source": TREND, "full": True, "shiny": 1}
    before = copy.deepcopy(wrapped)
    laid = apply_filters(wrapped, {"date_from": "-30d", "properties": [PRO]})
    assert laid["source"]["dateRange"]["date_from"] == "-30d"
    assert (laid["full"], laid["shiny"]) == (True, 1)
    assert wrapped == before


def test_a_dashboard_over_all_time_compares_nothing():
    compared = {**TREND, "compareFilter": {"compare": True}}
    assert apply_filters(compared, {"date_from": "all"})["compareFilter"] is None
    assert apply_filters(compared, {"date_from": "-7d"})["compareFilter"] == {"compare": True}
    legacy = {"events": [{"id": "a"}], "compare": True}
    assert apply_filters_to_legacy(legacy, {"date_from": "all"})["compare"] is False


def test_sql_and_event_queries_take_dates_and_properties_in_their_own_places():
    sql = {"kind": "DataVisualizationNode", "source": {"kind": "HogQLQuery", "query": "select 1 where {filters}"}}
    laid = apply_filters(sql, {"date_from": "-3d", "properties": [PRO]})["source"]["filters"]
    assert laid == {"dateRange": {"date_from": "-3d", "date_to": None}, "properties": [PRO]}
    events = {"kind": "EventsQuery", "select": ["*"], "after": "-1d", "properties": [MAC]}
    laid = apply_filters(events, {"date_from": "-3d", "properties": [PRO]})
    assert (laid["after"], laid["before"], laid["properties"]) == ("-3d", None, [MAC, PRO])


def test_other_kinds_and_what_is_no_query_stay_as_they_are():
    for one in ({"kind": "ActorsQuery"}, {"kind": ["x"]}, {}, None, "x", 5):
        assert apply_filters(one, {"date_from": "-3d"}) == one
        assert apply_variables(one, {"a": {"value": 1}}) == one


@pytest.mark.parametrize("key", ["properties", "breakdown_filter", "interval", "date_from"])
@pytest.mark.parametrize("value", [5, "x", [3], {"a": 1}, True])
def test_filters_of_the_wrong_type_do_not_break_the_merge(key, value):
    for kind in ("TrendsQuery", "HogQLQuery", "EventsQuery"):
        laid = apply_filters({"kind": kind, "properties": "x", "filters": "x", "dateRange": 1}, {key: value})
        assert laid["kind"] == kind
    assert "properties" in apply_filters_to_legacy({"properties": "x"}, {key: value})


def test_legacy_filters_take_the_same_merge():
    legacy = {"insight": "TRENDS", "events": [{"id": "signed up"}], "date_from": "-7d", "properties": [MAC],
              "breakdown": "$os", "breakdown_type": "event"}  # fmt: skip
    filters = {"date_from": "-30d", "properties": [PRO], "breakdown_filter": {"breakdown": "plan"}, "interval": "week",
               "filterTestAccounts": True}  # fmt: skip
    laid = apply_filters_to_legacy(legacy, filters)
    assert (laid["date_from"], laid["date_to"], laid["interval"]) == ("-30d", None, "week")
    assert (laid["breakdown"], "breakdown_type" in laid, laid["filter_test_accounts"]) == ("plan", False, True)
    query = filters_to_query(laid)
    parse_query(query)
    assert query["properties"]["type"] == "AND"
    assert apply_filters_to_legacy(legacy, None) == legacy


@pytest.mark.parametrize("own", [{"plan__is_not": "pro"}, {"plan": "pro"}, '[{"key": "plan", "value": "pro"}]'])
def test_old_properties_are_joined_in_todays_form(own):
    laid = apply_filters_to_legacy({"events": [{"id": "a"}], "properties": own}, {"properties": [MAC]})
    mine, added = filters_to_query(laid)["properties"]["values"]
    assert [leaf["key"] for group in mine["values"] for leaf in group["values"]] == ["plan"]
    assert added == {"type": "AND", "values": [MAC]}


@pytest.mark.parametrize(("own", "added"), [([MAC], [PRO]), (None, [PRO]), ([MAC], {"type": "OR", "values": [PRO]})])
def test_queries_of_rows_take_leaves_and_groups(own, added):
    sql = apply_filters(
        {"kind": "HogQLQuery", "query": "select 1", "filters": {"properties": own}}, {"properties": added}
    )
    events = apply_filters({"kind": "EventsQuery", "select": ["*"], "properties": own}, {"properties": added})
    assert sql["filters"]["properties"] == events["properties"]
    for query in (sql, events):
        parse_query(query)
    leaves = str(events["properties"])
    assert ("'plan'" in leaves, "'$os'" in leaves) == (True, own is not None)


def test_variables_replace_the_values_that_the_query_names():
    known = {"a1": {"variableId": "a1", "code_name": "org", "value": 1}}
    sql = {"kind": "HogQLQuery", "query": "select {variables.org}", "variables": known}
    laid = apply_variables({"kind": "DataVisualizationNode", "source": sql}, {"a1": {"value": 2}, "b2": {"value": 3}})
    assert laid["source"]["variables"] == {"a1": {"variableId": "a1", "code_name": "org", "value": 2}}
    assert known["a1"]["value"] == 1
    assert apply_variables(TREND, {"a1": {"value": 2}}) == TREND


def test_filters_are_laid_over_each_other_key_by_key():
    assert lay_over({"date_from": "-7d", "interval": "day"}, {"date_from": "-30d"}) == {
        "date_from": "-30d",
        "interval": "day",
    }
    assert lay_over(None, None) == {}
