"""Trends over a real DuckDB file, against an obvious reference in Python."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insightlog.application.calculation import QueryContext, calculate
from insightlog.domain.errors import InvalidQuery, QueryTooLarge, UnsupportedQuery
from insightlog.domain.product_event import ProductEvent
from insightlog.domain.queries import dates
from insightlog.domain.queries.nodes import DateRange

NOW = datetime(2020, 3, 31, 13, 0, 1, tzinfo=UTC)
NULL, OTHER = "$$_posthog_breakdown_null_$$", "$$_posthog_breakdown_other_$$"


def an_event(number, at="2020-03-30T10:00:00+00:00", *, event="view", who="u1", **properties):
    moment = at if isinstance(at, datetime) else datetime.fromisoformat(at)
    return ProductEvent(UUID(int=number), event, who, moment, json.dumps(properties))


def ask(store, *, zone="UTC", project=1, week_start_day=0, test_account_filters=(), **query):
    context = QueryContext(project, NOW, zone, week_start_day, test_account_filters)
    query = {"kind": "TrendsQuery", "series": [{"kind": "EventsNode", "event": "view"}], **query}
    return calculate(query, context=context, store=store)


def count(store, **query):
    return sum(result["count"] for result in ask(store, **query)["results"])


TRUTH = [
    ("plan", "exact", "pro", {1}),
    ("plan", "exact", ["pro", "Pro"], {1, 2}),
    ("plan", "is_not", "pro", {2, 3, 4, 5}),
    ("plan", "is_not", ["pro", "Pro"], {3, 4, 5}),
    ("plan", "icontains", "RO", {1, 2}),
    ("plan", "not_icontains", "ro", {3, 4, 5}),
    ("plan", "not_icontains", ["x", "ro"], {3, 4, 5}),
    ("plan", "regex", "^p", {1}),
    ("plan", "not_regex", "^p", {2, 3, 4, 5}),
    ("plan", "regex", "(", set()),
    ("plan", "not_regex", "(", set()),
    ("plan", "is_set", None, {1, 2, 3}),
    ("plan", "is_not_set", None, {4, 5}),
    ("plan", "exact", "", {3}),
    ("n", "gt", 5, {1, 2}),
    ("n", "gt", "9", {1}),
    ("n", "lte", 9, {2}),
    ("n", "gte", "abc", set()),
    ("n", "lt", [1, 10], {2}),
    ("n", "exact", "10", {1}),
    ("n", "exact", 10, {1}),
    ("plan", "exact", [], {1, 2, 3, 4, 5}),
    ("plan", "exact", None, {1, 2, 3, 4, 5}),
    ("b", "exact", "true", {1}),
    ("b", "exact", True, {1}),
    ('q"/~.$', "exact", "x", {5}),
    ("list", "icontains", "two", {5}),
]


@pytest.mark.parametrize(("key", "operator", "value", "expected"), TRUTH)
def test_operators_follow_the_truth_table(log, store, key, operator, value, expected):
    rows = [
        {"plan": "pro", "n": 10, "b": True},
        {"plan": "Pro", "n": "9"},
        {"plan": "", "n": "abc"},
        {"plan": None},
        {'q"/~.$': "x", "list": ["one", "two"]},
    ]
    log.append(1, [an_event(i, event=f"e{i}", **row) for i, row in enumerate(rows, 1)], captured_at=NOW)
    series = [{"kind": "EventsNode", "event": f"e{number}"} for number in range(1, 6)]
    body = ask(store, series=series, properties=[{"key": key, "operator": operator, "value": value}])
    assert {row["order"] + 1 for row in body["results"] if row["count"]} == expected


def test_merged_persons_count_once(log, store):
    log.append(1, [an_event(1, who="a"), an_event(2, who="b")], captured_at=NOW)
    dau = [{"kind": "EventsNode", "event": "view", "math": "dau"}]
    assert count(store, series=dau) == 2
    log.append(1, [an_event(3, event="$identify", who="b", **{"$anon_distinct_id": "a"})], captured_at=NOW)
    assert count(store, series=dau) == 1
    log.append(1, [an_event(4, event="$merge_dangerously", who="c", alias="b"), an_event(5, who="c")], captured_at=NOW)
    assert count(store, series=dau) == 1


def test_projects_do_not_see_each_other(log, store):
    log.append(1, [an_event(1)], captured_at=NOW)
    log.append(2, [an_event(1), an_event(2)], captured_at=NOW)
    assert count(store) == 1
    assert count(store, project=2) == 2
    assert count(store, project=3) == 0


def test_breakdown_folds_what_is_past_the_limit(log, store):
    values = ["Chrome"] * 3 + ["Safari"] * 2 + [None, ""]
    events = [an_event(i, **({} if value is None else {"b": value})) for i, value in enumerate(values)]
    log.append(1, events, captured_at=NOW)
    body = ask(store, breakdownFilter={"breakdown": "b", "breakdown_limit": 1})
    assert [(row["label"], row["count"]) for row in body["results"]] == [("Chrome", 3), (OTHER, 4)]
    assert body["hasMore"] is True
    body = ask(store, breakdownFilter={"breakdown": "b"})
    assert [(row["breakdown_value"], row["count"]) for row in body["results"]] == [
        ("Chrome", 3),
        ("Safari", 2),
        (NULL, 2),
    ]
    assert body["hasMore"] is False
    hidden = {"breakdown": "b", "breakdown_limit": 1, "breakdown_hide_other_aggregation": True}
    body = ask(store, breakdownFilter=hidden)
    assert [row["label"] for row in body["results"]] == ["Chrome"]
    assert body["hasMore"] is True


def test_total_value_counts_a_person_once(log, store):
    log.append(1, [an_event(i, f"2020-03-{28 + i}T10:00:00+00:00") for i in range(3)], captured_at=NOW)
    series = [{"kind": "EventsNode", "event": "view", "math": "dau"}]
    (row,) = ask(store, series=series, trendsFilter={"display": "ActionsTable"})["results"]
    assert (row["aggregated_value"], row["data"], row["days"], row["count"]) == (1, [], [], 0)
    (row,) = ask(store, series=series, trendsFilter={"display": "ActionsLineGraphCumulative"})["results"]
    assert row["data"] == [0, 0, 0, 0, 1, 1, 1, 1]
    assert row["count"] == 1


def test_all_starts_at_the_first_event(log, store):
    assert ask(store, interval="month", dateRange={"date_from": "all"})["results"][0]["days"][0] == "2015-01-01"
    log.append(1, [an_event(1, "2019-12-31T23:00:00+00:00"), an_event(2, "2009-01-01T00:00:00+00:00")], captured_at=NOW)
    body = ask(store, interval="month", dateRange={"date_from": "all"})
    assert body["results"][0]["days"][0] == "2019-12-01"
    assert body["results"][0]["count"] == 1


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({"properties": [{"key": "a", "type": "recording", "value": "b"}]}, "query.properties[0].type"),
        ({"trendsFilter": {"display": "BoxPlot"}}, "query.trendsFilter.display"),
        (
            {"breakdownFilter": {"breakdown": "a", "breakdown_type": "data_warehouse"}},
            "query.breakdownFilter.breakdown_type",
        ),
        ({"properties": [{"key": "a", "operator": "semver_gt", "value": "x"}]}, "query.properties[0].operator"),
    ],
)
def test_what_is_not_built_is_refused(store, query, path):
    with pytest.raises(UnsupportedQuery) as refused:
        ask(store, **query)
    assert refused.value.path == path


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({"series": [{"kind": "EventsNode", "math": "sum"}]}, "query.series[0].math_property"),
        ({"series": [{"kind": "EventsNode", "math": "unique_group"}]}, "query.series[0].math_group_type_index"),
        ({"series": [{"kind": "EventsNode", "math": "hogql"}]}, "query.series[0].math_hogql"),
        ({"trendsFilter": {"formula": "A +"}}, "query.trendsFilter.formula"),
        ({"trendsFilter": {"formulaNodes": [{"formula": "B"}]}}, "query.trendsFilter.formulaNodes[0].formula"),
        ({"trendsFilter": {"smoothingIntervals": 0}}, "query.trendsFilter.smoothingIntervals"),
        ({"samplingFactor": 0}, "query.samplingFactor"),
        ({"samplingFactor": 1.5}, "query.samplingFactor"),
        ({"breakdownFilter": {"breakdowns": [{"property": "a"}] * 4}}, "query.breakdownFilter.breakdowns"),
        ({"breakdownFilter": {"breakdown": "a", "breakdown_limit": 0}}, "query.breakdownFilter.breakdown_limit"),
        ({"breakdownFilter": {"breakdown": "x", "breakdown_type": "session"}}, "query.breakdownFilter.breakdown"),
        (
            {"breakdownFilter": {"breakdown": "$entry_x", "breakdown_type": "session"}},
            "query.breakdownFilter.breakdown",
        ),
        (
            {"breakdownFilter": {"breakdown": "x", "breakdown_type": "event_metadata"}},
            "query.breakdownFilter.breakdown",
        ),
        ({"breakdownFilter": {"breakdown": 5, "breakdown_type": "cohort"}}, "query.breakdownFilter.breakdown"),
        (
            {"breakdownFilter": {"breakdown": "x", "breakdown_type": "group"}},
            "query.breakdownFilter.breakdown_group_type_index",
        ),
        (
            {"breakdownFilter": {"breakdown": "x", "breakdown_histogram_bin_count": 0}},
            "query.breakdownFilter.breakdown_histogram_bin_count",
        ),
        (
            {"breakdownFilter": {"breakdowns": [{"property": "a"}, {"property": "x", "type": "session"}]}},
            "query.breakdownFilter.breakdowns[1].property",
        ),
        ({"properties": [{"key": "x", "type": "event_metadata", "value": "a"}]}, "query.properties[0].key"),
        ({"properties": [{"key": "x", "type": "session", "value": "a"}]}, "query.properties[0].key"),
        ({"properties": [{"key": "selector", "type": "element", "value": "a > > b"}]}, "query.properties[0].value"),
        ({"compareFilter": {"compare": True}, "dateRange": {"date_from": "all"}}, "query.dateRange.date_from"),
    ],
)
def test_wrong_fields_are_refused_with_their_path(store, query, path):
    with pytest.raises(InvalidQuery) as refused:
        ask(store, **query)
    assert refused.value.path == path


def test_bounds_are_kept(log, store):
    with pytest.raises(QueryTooLarge):
        ask(store, interval="minute", dateRange={"date_from": "2010-01-01"})
    with pytest.raises(QueryTooLarge):
        ask(store, series=[{"kind": "EventsNode"}] * 1000, interval="hour", dateRange={"date_from": "-30d"})
    with pytest.raises(InvalidQuery):
        ask(store, properties=[{"key": "a", "operator": "regex", "value": "a" * 1001}])


PAYLOADS = ["'", '"', "'; DROP TABLE events; --", "$p0", "?", "%", "\\", "a\x00b", "')) OR 1=1 --", "{}", "*", "$[*]"]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_input_never_becomes_sql(log, store, payload):
    log.append(1, [an_event(1, b="x")], captured_at=NOW)
    assert count(store, series=[{"kind": "EventsNode", "event": payload}]) == 0
    assert count(store, properties=[{"key": payload, "value": "x"}]) == 0
    assert count(store, properties=[{"key": "b", "value": payload}]) == 0
    assert count(store, properties=[{"key": "b", "value": [payload, payload]}]) == 0
    ask(store, properties=[{"key": "b", "value": payload, "operator": "regex"}])
    ask(store, properties=[{"key": "b", "value": payload, "operator": "icontains"}])
    (row,) = ask(store, breakdownFilter={"breakdown": payload})["results"]
    assert row["breakdown_value"] == NULL
    assert count(store) == 1


# ---- the reference: the same question asked of a list of events, one by one

VALUES = st.sampled_from(["pro", "Pro", "", "free", "10", 10, 9.5, True, None, "abc"])
LEAVES = st.builds(
    lambda key, operator, value: {"key": key, "operator": operator, "value": value},
    st.sampled_from(["plan", "n"]),
    st.sampled_from(
        [
            "exact",
            "is_not",
            "icontains",
            "not_icontains",
            "regex",
            "not_regex",
            "gt",
            "gte",
            "lt",
            "lte",
            "is_set",
            "is_not_set",
        ]
    ),
    st.sampled_from(["pro", "ro", "P", "9", 9.5, True, ["pro", "free"], ["10", "9.5"], []]),
)
GROUPS = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        lambda kind, values: {"type": kind, "values": values},
        st.sampled_from(["AND", "OR"]),
        st.lists(inner, max_size=3),
    ),
    max_leaves=5,
)
EVENTS = st.lists(
    st.builds(
        lambda minute, event, who, plan, n: (minute, event, who, {"plan": plan, "n": n}),
        st.integers(0, 100 * 24 * 60),
        st.sampled_from(["view", "buy"]),
        st.sampled_from(["a", "b", "c"]),
        VALUES,
        VALUES,
    ),
    max_size=12,
)


def text_of(value):
    return value if value is None or isinstance(value, str) else json.dumps(value)


def number_of(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def holds(node, properties):
    if "values" in node:
        parts = [holds(value, properties) for value in node["values"]]
        return all(parts) if node["type"] == "AND" else (any(parts) or not parts)
    text, operator = text_of(properties.get(node["key"])), node["operator"]
    if operator in ("is_set", "is_not_set"):
        return (text is not None) == (operator == "is_set")
    values = node["value"] if isinstance(node["value"], list) else [node["value"]]
    if not values:
        return True
    negative = operator.startswith(("is_not", "not_"))
    positive = {"is_not": "exact", "not_icontains": "icontains", "not_regex": "regex"}.get(operator, operator)

    def matches(value):
        if text is None:
            return False
        wanted = text_of(value)
        if positive == "exact":
            return text == wanted
        if positive == "icontains":
            return wanted.lower() in text.lower()
        if positive == "regex":
            return re.search(wanted, text) is not None
        left, right = number_of(text), number_of(wanted)
        if left is None or right is None:
            return False
        return {"gt": left > right, "gte": left >= right, "lt": left < right, "lte": left <= right}[positive]

    return any(map(matches, values)) != negative


@settings(max_examples=100, deadline=None)
@given(
    rows=EVENTS,
    group=GROUPS,
    zone=st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]),
    interval=st.sampled_from(["hour", "day", "week", "month"]),
    week_start_day=st.integers(0, 1),
    math=st.sampled_from(["total", "dau"]),
    breakdown=st.sampled_from([None, "plan"]),
    display=st.sampled_from(["ActionsLineGraph", "ActionsLineGraphCumulative", "ActionsTable"]),
    n_days=st.integers(0, 90),
)
def test_response_equals_the_reference(
    shared, rows, group, zone, interval, week_start_day, math, breakdown, display, n_days
):
    log, store, numbers = shared
    project = next(numbers)
    start = NOW - timedelta(days=100)
    events = [(start + timedelta(minutes=minute), name, who, props) for minute, name, who, props in rows]
    log.append(
        project,
        [an_event(i, at, event=name, who=who, **props) for i, (at, name, who, props) in enumerate(events)],
        captured_at=NOW,
    )
    body = ask(
        store,
        project=project,
        zone=zone,
        week_start_day=week_start_day,
        interval=interval,
        dateRange={"date_from": f"-{n_days}d"},
        series=[{"kind": "EventsNode", "event": "view", "math": math}],
        properties={"type": "AND", "values": [group]},
        trendsFilter={"display": display},
        breakdownFilter={"breakdown": breakdown, "breakdown_limit": 2} if breakdown else None,
    )

    is_total = display == "ActionsTable"
    bounds = dates.resolve(
        DateRange(f"-{n_days}d"),
        interval="day" if is_total else interval,
        now=NOW,
        zone=QueryContext(1, NOW, zone).zone,
        week_start_day=week_start_day,
    )
    axis = dates.buckets(bounds)
    size = 1 if is_total else len(axis.days)
    cells = defaultdict(lambda: [[] for _ in range(size)])
    if not breakdown:
        cells[None]
    for at, name, who, props in sorted(events, key=lambda event: event[0]):
        if name == "view" and bounds.count_from <= at <= bounds.count_to and holds(group, props):
            bucket = 0 if is_total else bisect_right(axis.edges, at) - 1
            cells[(text_of(props[breakdown]) or NULL) if breakdown else None][bucket].append(who)
    series = {}
    for value, buckets in cells.items():
        if display == "ActionsLineGraphCumulative":
            buckets = [[who for bucket in buckets[: end + 1] for who in bucket] for end in range(size)]  # noqa: PLW2901
        series[value] = [len(bucket) if math == "total" else len(set(bucket)) for bucket in buckets]

    def total(value):
        return series[value][-1] if display == "ActionsLineGraphCumulative" else sum(series[value])

    order = sorted(series, key=lambda value: (not is_total and value == NULL, -total(value), value or ""))
    expected = {value: series[value] for value in order[:2]}
    if breakdown and order[2:]:
        expected[OTHER] = [sum(numbers) for numbers in zip(*(series[value] for value in order[2:]), strict=True)]
    found = {
        row.get("breakdown_value"): [row["aggregated_value"]] if is_total else row["data"] for row in body["results"]
    }
    assert found == expected
    assert body["hasMore"] is bool(breakdown and order[2:])
