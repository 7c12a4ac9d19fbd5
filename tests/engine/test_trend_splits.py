"""Trends filtered and split in rarer ways over a real DuckDB file, with answers worked out by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest

from insightlog.application.calculation import QueryContext, calculate
from insightlog.domain.product_event import ProductEvent
from insightlog.domain.queries.scope import ActionMeaning, ActionStep, CohortMeaning, Scope

NOW = datetime(2020, 3, 31, 13, 0, 1, tzinfo=UTC)
NULL, OTHER = "$$_posthog_breakdown_null_$$", "$$_posthog_breakdown_other_$$"


def an_event(number, at="2020-03-30T10:00:00+00:00", *, who="u1", **properties):
    return ProductEvent(UUID(int=number), "view", who, datetime.fromisoformat(at), json.dumps(properties))


def ask(store, *, zone="UTC", types=None, **query):
    query = {"kind": "TrendsQuery", "series": [{"kind": "EventsNode", "event": "view"}], **query}
    context = QueryContext(1, NOW, zone, definitions=Scope(property_types=types or {}))
    return calculate(query, context=context, store=store)


def count(store, **query):
    return sum(result["count"] for result in ask(store, **query)["results"])


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("exact", "TypeError", {1}), ("is_not", "TypeError", {2, 3, 4, 5}), ("icontains", "type", {1, 2}),
        ("not_icontains", "type", {3, 4, 5}), ("regex", "^Key", {1}), ("exact", ["KeyError", "x"], {1}),
        ("is_set", None, {1, 2, 3, 4}), ("is_not_set", None, {5}),
    ],
)  # fmt: skip
def test_filters_of_exceptions_are_about_the_elements_of_their_lists(log, store, operator, value, expected):
    lists = [["TypeError", "KeyError"], ["typeerror"], [], "TypeError"]
    events = [an_event(n, n=n, **{"$exception_types": types}) for n, types in enumerate(lists, 1)]
    log.append(1, [*events, an_event(5, n=5)], captured_at=NOW)
    leaf = {"key": "$exception_types", "type": "event", "operator": operator, "value": value}
    found = ask(store, properties=[leaf], breakdownFilter={"breakdown": "n"})["results"]
    assert {int(row["breakdown_value"]) for row in found} == expected


def test_texts_that_look_like_lists_are_compared_as_they_are_written(log, store):
    written = '["a", "b"]'
    log.append(1, [an_event(1, p=written), an_event(2, p=["a", "b"]), an_event(3, p=" "), an_event(4)], captured_at=NOW)
    found = {
        operator: count(store, properties=[{"key": "p", "operator": operator, "value": written}])
        for operator in ("exact", "is_not", "icontains", "regex")
    }
    assert found == {"exact": 2, "is_not": 2, "icontains": 1, "regex": 3}


@pytest.mark.parametrize(
    ("text", "is_same_day"),
    [
        ("2020-03-05", True), ("2020-03-05 23:59:59", True), ("2020-03-06T00:00:00", False), ("05/03/2020", True),
        ("2020-03-06T04:59:59Z", True), ("2020-03-05T04:59:59+00:00", False), (1583470799, True), (1583470800, False),
        ("Thu, 05 Mar 2020 23:00:00 -0500", True), ("no date", False),
    ],
)  # fmt: skip
def test_a_date_without_offset_is_of_the_clock_of_the_project(log, store, text, is_same_day):
    log.append(1, [an_event(1, due=text)], captured_at=NOW)
    leaf = {"key": "due", "operator": "is_date_exact", "value": "2020-03-05"}
    assert count(store, zone="America/New_York", properties=[leaf]) == is_same_day


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("exact", "2020-03-30T10:00:00Z", {1, 2, 3}), ("exact", "2020-03-30", {4}), ("exact", "soon", {5}),
        ("is_not", ["2020-03-30T12:00:00+02:00", "2020-03-30"], {5, 6}), ("gt", "2020-03-30", {1, 2, 3}),
        ("gte", "2020-03-30", {1, 2, 3, 4}), ("lt", "2020-03-30T10:00:00Z", {4}), ("lte", "2020-03-30T10:00:00Z", {1, 2, 3, 4}),
    ],
)  # fmt: skip
def test_properties_that_hold_dates_are_compared_as_instants(log, store, operator, value, expected):
    times = ["2020-03-30T10:00:00Z", "2020-03-30 10:00", 1585562400, "2020-03-30", "soon", None]
    log.append(1, [an_event(n, n=n, at_=time) for n, time in enumerate(times, 1)], captured_at=NOW)
    leaf = {"key": "at_", "operator": operator, "value": value, "type": "event"}
    found = ask(store, types={("event", "at_"): "DateTime"}, properties=[leaf], breakdownFilter={"breakdown": "n"})
    assert {int(row["breakdown_value"]) for row in found["results"]} == expected


@pytest.mark.parametrize(
    ("kind", "key", "operator", "value", "expected"),
    [
        ("event_metadata", "timestamp", "is_date_exact", "2020-03-31", 1),
        ("event_metadata", "timestamp", "gte", "2020-03-31", 1),
        ("event_metadata", "timestamp", "exact", "2020-03-30T20:00:00Z", 1),
        ("session", "$start_timestamp", "is_date_before", "2020-03-31", 0),
        ("session", "$session_duration", "exact", "0.0", 1),
    ],
)
def test_instants_of_events_and_sessions_are_no_texts_of_the_projects_clock(
    log, store, kind, key, operator, value, expected
):
    log.append(1, [an_event(1, "2020-03-30T20:00:00+00:00", **{"$session_id": "s"})], captured_at=NOW)
    leaf = {"type": kind, "key": key, "operator": operator, "value": value}
    assert count(store, zone="Asia/Tokyo", properties=[leaf]) == expected


def test_expressions_read_only_true_and_false_as_booleans(log, store):
    flags = [True, "true", False, 1, "yes", 0, None]
    log.append(1, [an_event(n, flag=flag) for n, flag in enumerate(flags, 1)], captured_at=NOW)
    breakdown = {"breakdown": "properties.flag", "breakdown_type": "hogql"}
    found = ask(store, types={("event", "flag"): "Boolean"}, breakdownFilter=breakdown)["results"]
    assert [(row["breakdown_value"][:5], row["count"]) for row in found] == [("true", 2), ("false", 1), ("$$_po", 4)]


@pytest.mark.parametrize(
    ("key", "operator", "value", "expected"),
    [
        ("text", "exact", "Buy", {1, 2}), ("text", "is_not", "Buy", {2, 3}), ("text", "is_not", ["Buy", "Now"], {2, 3}),
        ("text", "not_icontains", "bu", {2, 3}), ("text", "not_regex", "^(Buy|Now)$", {3}),
        ("href", "is_not", "/buy", {2, 3, 4}), ("tag_name", "is_not", "a", {2, 3, 4}),
    ],
)  # fmt: skip
def test_some_text_of_an_element_passes_a_filter_also_where_that_negates(log, store, key, operator, value, expected):
    chains = [
        [{"tag_name": "a", "attr__href": "/buy", "$el_text": "Buy"}],
        [{"tag_name": "b", "$el_text": "Buy"}, {"tag_name": "p", "$el_text": "Now"}],
        [{"tag_name": "b", "$el_text": "Later"}],
        [{"tag_name": "i"}],
    ]
    log.append(1, [an_event(n, n=n, **{"$elements": chain}) for n, chain in enumerate(chains, 1)], captured_at=NOW)
    leaf = {"type": "element", "key": key, "operator": operator, "value": value}
    found = ask(store, properties=[leaf], breakdownFilter={"breakdown": "n"})["results"]
    assert {int(row["breakdown_value"]) for row in found} == expected


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("Numeric", [2, 2.0, "2", " 2.50 ", 2.5, 12345678901234567890, 1e-7, -0.25, "two", "", None],
         {"2": 3, "2.5": 2, "12345678901234567890": 1, "1e-7": 1, "-0.25": 1, NULL: 3}),
        ("Boolean", [True, "true", False, "yes", 1, None], {"true": 2, "false": 1, NULL: 3}),
        ("String", [2, 2.0, "2", True], {"2": 2, "2.0": 1, "true": 1}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", ["event", "person"])
def test_a_breakdown_shows_what_the_type_of_its_property_reads(log, store, place, kind, values, expected):
    events = [
        an_event(n, who=f"u{n}", **({"size": size} if place == "event" else {"$set": {"size": size}}))
        for n, size in enumerate(values, 1)
    ]
    log.append(1, events, captured_at=NOW)
    found = ask(
        store, types={(place, "size"): kind}, breakdownFilter={"breakdown": "size", "breakdown_type": place}
    )["results"]  # fmt: skip
    assert {row["breakdown_value"]: row["count"] for row in found} == expected


def test_bins_read_the_numbers_of_a_typed_property(log, store):
    log.append(1, [an_event(n, size=size) for n, size in enumerate([1, "2.0", 3.0, "x"], 1)], captured_at=NOW)
    split = {"breakdown": "size", "breakdown_histogram_bin_count": 2}
    found = ask(store, types={("event", "size"): "Numeric"}, breakdownFilter=split)["results"]
    assert [(row["breakdown_value"], row["count"]) for row in found] == [("[2,3.01]", 2), ("[1,2]", 1), (NULL, 1)]


@pytest.mark.parametrize("operator", ["is_date_exact", "is_date_before", "is_date_after"])
@pytest.mark.parametrize("text", ["infinity", "-Infinity", "epoch", "inf"])
def test_words_are_no_dates(log, store, operator, text):
    log.append(1, [an_event(1, due=text)], captured_at=NOW)
    assert count(store, properties=[{"key": "due", "operator": operator, "value": "2020-03-05"}]) == 0
    expression = "toDateTime(properties.due) is not null or toDate(properties.due) is not null"
    assert count(store, properties=[{"key": expression, "type": "hogql"}]) == 0


def test_an_absolute_start_counts_from_the_start_of_its_hour(log, store):
    times = ["2020-03-30T09:59:59+00:00", "2020-03-30T10:05:00+00:00", "2020-03-30T10:30:40+00:00"]
    log.append(1, [an_event(n, at) for n, at in enumerate(times, 1)], captured_at=NOW)
    asked = {"date_from": "2020-03-30T10:30:30", "date_to": "2020-03-30T10:40:00"}
    assert count(store, interval="hour", dateRange=asked) == 2
    assert count(store, interval="minute", dateRange=asked) == 1
    assert (
        count(store, interval="hour", dateRange={**asked, "date_from": "2020-03-30T10:30:45", "explicitDate": True})
        == 0
    )


def test_equal_numbers_of_a_formula_are_in_the_order_of_points_and_values(log, store):
    days = [("29", "ant"), ("30", "bee"), ("29", "cow"), ("30", "dog"), ("30", "dog"), ("30", None)]
    events = [an_event(n, f"2020-03-{day}T10:00:00+00:00", pet=pet) for n, (day, pet) in enumerate(days, 1)]
    log.append(1, events, captured_at=NOW)
    found = ask(store, breakdownFilter={"breakdown": "pet"}, trendsFilter={"formula": "A * 3"})["results"]
    assert [row["breakdown_value"] for row in found] == ["dog", "cow", "ant", "bee", NULL]


def test_a_series_is_named_after_its_event_or_action(log, store):
    log.append(1, [an_event(1)], captured_at=NOW)
    scope = Scope(actions={8: ActionMeaning(8, "Looked", (ActionStep(event="view"),))})
    nodes = [{"kind": "EventsNode", "event": "view", "name": "Views"}, {"kind": "ActionsNode", "id": 8, "name": "old"}]
    query = {"kind": "TrendsQuery", "series": [*nodes, {"kind": "EventsNode", "event": None}]}
    found = calculate(query, context=QueryContext(1, NOW, definitions=scope), store=store)["results"]
    named = [(row["label"], row["action"]["name"], row["action"]["id"]) for row in found]
    assert named == [("view", "view", "view"), ("Looked", "Looked", "Looked"), ("All events", "All events", None)]


@pytest.mark.parametrize(
    ("math", "expected"), [("dau", 2), ("unique_session", 3), ("unique_group", 1), ("weekly_active", 1)]
)
def test_a_left_over_group_index_does_not_make_persons_and_sessions_groups(log, store, math, expected):
    people = [("a", "s1"), ("b", "s2"), ("b", "s3")]
    events = [
        an_event(n, who=who, **{"$session_id": session, "$group_0": "g"}) for n, (who, session) in enumerate(people, 1)
    ]
    log.append(1, events, captured_at=NOW)
    series = [{"kind": "EventsNode", "event": "view", "math": math, "math_group_type_index": 0}]
    (row,) = ask(store, series=series, trendsFilter={"display": "ActionsTable"})["results"]
    assert row["aggregated_value"] == expected


def test_an_expression_is_evaluated_for_each_cohort(log, store):
    events = [an_event(1, n=1, **{"$set": {"vip": True}}), an_event(2, n=2), an_event(3, who="u2", n=10)]
    log.append(1, events, captured_at=NOW)
    criteria = {"type": "AND", "values": [{"key": "vip", "type": "person", "value": "true"}]}
    context = QueryContext(1, NOW, definitions=Scope(cohorts={3: CohortMeaning(3, "Important", criteria)}))
    series = {"kind": "EventsNode", "event": "view", "math": "hogql", "math_hogql": "sum(toFloat(properties.n))"}
    for asked, expected in (([3, "all"], {"all": 13, 3: 3}), (3, {3: 3})):
        breakdown = {"breakdown": asked, "breakdown_type": "cohort"}
        query = {"kind": "TrendsQuery", "series": [series], "breakdownFilter": breakdown}
        found = calculate(query, context=context, store=store)["results"]
        assert {row["breakdown_value"]: row["count"] for row in found} == expected


def test_an_expression_is_evaluated_for_each_bin(log, store):
    log.append(1, [an_event(n, n=n, os="mac" if n > 2 else "bsd") for n in (1, 2, 3, 9)], captured_at=NOW)
    series = [{"kind": "EventsNode", "event": "view", "math": "hogql", "math_hogql": "max(toFloat(properties.n))"}]
    bins = {"property": "n", "histogram_bin_count": 2}
    found = ask(store, series=series, breakdownFilter={"breakdowns": [bins]})["results"]
    assert {row["breakdown_value"][0]: row["count"] for row in found} == {"[1,5]": 3, "[5,9.01]": 9}
    found = ask(store, series=series, breakdownFilter={"breakdowns": [bins, {"property": "os"}]})["results"]
    assert {tuple(row["breakdown_value"]): row["count"] for row in found} == {
        ("[1,5]", "bsd"): 2, ("[1,5]", "mac"): 3, ("[5,9.01]", "mac"): 9,
    }  # fmt: skip


@pytest.mark.parametrize("smoothing", [1, 2])
@pytest.mark.parametrize("display", ["ActionsLineGraph", "ActionsLineGraphCumulative", "ActionsTable"])
def test_sums_beyond_all_numbers_are_0(log, store, smoothing, display):
    log.append(1, [an_event(n, n=1e308) for n in (1, 2, 3)], captured_at=NOW)
    (found,) = ask(
        store, series=[{"kind": "EventsNode", "event": "view", "math": "sum", "math_property": "n"}],
        trendsFilter={"display": display, "smoothingIntervals": smoothing},
    )["results"]  # fmt: skip
    assert (found["count"], set(found["data"]), found.get("aggregated_value", 0)) in [(0, {0.0}, 0), (0, set(), 0)]


@pytest.mark.parametrize("math", ["total", "dau", "weekly_active", "hogql"])
def test_some_of_several_breakdowns_may_be_cohorts(log, store, math):
    vip = {"$set": {"vip": True}}
    events = [an_event(1, os="mac", **vip), an_event(2, os="bsd"), an_event(3, who="u2", os="mac")]
    log.append(1, events, captured_at=NOW)
    criteria = {"type": "AND", "values": [{"key": "vip", "type": "person", "value": "true"}]}
    others = {"type": "AND", "values": [{"key": "vip", "type": "person", "operator": "is_not_set"}]}
    cohorts = {3: CohortMeaning(3, "Important", criteria), 4: CohortMeaning(4, "Others", others)}
    context = QueryContext(1, NOW, definitions=Scope(cohorts=cohorts))
    series = {"kind": "EventsNode", "event": "view", "math": math, "math_hogql": "count()"}

    def asked(*cohorts, **more):
        breakdowns = [{"property": "os"}, *({"property": one, "type": "cohort"} for one in cohorts)]
        query = {"kind": "TrendsQuery", "series": [series], "breakdownFilter": {"breakdowns": breakdowns, **more}}
        query |= {"dateRange": {"date_from": "2020-03-30", "date_to": "2020-03-30"}}
        source = {"kind": "InsightActorsQuery", "source": query, "day": "2020-03-30"}
        found = calculate(query, context=context, store=store)["results"]
        for row in found:
            actors = {"kind": "ActorsQuery", "source": {**source, "breakdown": row["breakdown_value"]}}
            row["n_actors"] = len(calculate(actors, context=context, store=store)["results"])
        return {row["label"]: (row["breakdown_value"], row["data"], row["n_actors"]) for row in found}

    assert asked(3) == {"mac::Important": (["mac", 3], [1], 1), "bsd::Important": (["bsd", 3], [1], 1)}
    every = asked("all", breakdown_limit=1)
    assert every["mac::all users"] == (["mac", "all"], [2], 2)
    assert every["::".join([OTHER] * 2)][:2] == ([OTHER, OTHER], [1])
    both = {
        "mac::Important::all users": (["mac", 3, "all"], [1], 1),
        "bsd::Important::all users": (["bsd", 3, "all"], [1], 1),
    }
    assert asked(3, "all") == both
    assert asked("all", 4) == {"mac::all users::Others": (["mac", "all", 4], [1], 1)}
    assert asked(3, 4) == {}


def test_a_conversion_goal_changes_nothing(log, store):
    log.append(1, [an_event(1), an_event(2, who="u2")], captured_at=NOW)
    assert ask(store, conversionGoal={"customEventName": "buy"})["results"] == ask(store)["results"]
