"""Stickiness over a real DuckDB file, against an obvious reference in Python."""

from __future__ import annotations

import itertools
import json
from bisect import bisect_right
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insightlog.application.calculation import QueryContext, calculate
from insightlog.domain.errors import InvalidQuery
from insightlog.domain.product_event import ProductEvent
from insightlog.domain.queries import dates
from insightlog.domain.queries.nodes import DateRange

NOW = datetime(2020, 1, 8, 13, 0, 1, tzinfo=UTC)
numbers = itertools.count(1)


def fill(log, project, rows):
    events = [
        ProductEvent(UUID(int=next(numbers)), "watch", who, at, json.dumps({"$group_0": group}))
        for who, at, group in rows
    ]
    log.append(project, events, captured_at=NOW)


def ask(store, project, zone="UTC", **query):
    query = {"kind": "StickinessQuery", "series": [{"kind": "EventsNode", "event": "watch"}], **query}
    return calculate(query, context=QueryContext(project, NOW, zone), store=store)["results"]


def day(number, hour=10):
    return datetime(2020, 1, number, hour, tzinfo=UTC)


def test_actors_are_counted_by_their_number_of_days(shared):
    log, store, projects = shared
    project = next(projects)
    rows = [("p1", 1), ("p2", 1), ("p2", 2), ("p2", 2), ("p3", 1), ("p3", 2), ("p3", 3), ("p4", 5)]
    fill(log, project, [(who, day(number), None) for who, number in rows])
    dates = {"date_from": "2020-01-01", "date_to": "2020-01-08"}
    (row,) = ask(store, project, dateRange=dates)
    assert row["data"] == [2, 1, 1, 0, 0, 0, 0, 0]
    assert (row["count"], row["label"], row["days"]) == (4, "watch", [1, 2, 3, 4, 5, 6, 7, 8])
    assert row["labels"][:2] == ["1 day", "2 days"]
    (row,) = ask(store, project, dateRange=dates, stickinessFilter={"computedAs": "cumulative"})
    assert row["data"] == [4, 2, 1, 0, 0, 0, 0, 0]
    assert (row["count"], row["labels"][1]) == (4, "2 days or more")
    criteria = {"stickinessCriteria": {"operator": "gte", "value": 2}}
    (row,) = ask(store, project, dateRange=dates, stickinessFilter=criteria)
    assert row["data"][:2] == [1, 0]
    for more_than_there_are in (1000, 10**18, 10**308):
        (row,) = ask(store, project, dateRange=dates, intervalCount=more_than_there_are)
        assert (row["days"], row["data"]) == ([1], [len({who for who, *_ in rows})])
    (row,) = ask(store, project, dateRange=dates, intervalCount=3)
    assert (row["data"], row["days"]) == ([3, 1, 0], [1, 2, 3])  # 1-2, 3-5 and 6-8 January
    current, previous = ask(store, project, dateRange=dates, compareFilter={"compare": True})
    assert (current["compare_label"], previous["compare_label"], previous["count"]) == ("current", "previous", 0)


def test_joined_weeks_are_counted_back_from_the_last_day(shared):
    log, store, projects = shared
    project = next(projects)
    # Wednesday 8 January: the last seven days begin on Thursday, the calendar's week on Sunday.
    fill(log, project, [("a", day(2), None), ("a", day(8), None), ("b", day(1), None), ("b", day(8), None)])
    asked = {"interval": "week", "dateRange": {"date_from": "2020-01-01", "date_to": "2020-01-08"}}
    (row,) = ask(store, project, **asked)
    assert row["data"] == [0, 2]
    (row,) = ask(store, project, **asked, intervalCount=1)
    assert row["data"] == [1, 1]


def test_explicit_dates_are_not_rounded(shared):
    log, store, projects = shared
    project = next(projects)
    fill(log, project, [("a", day(5, hour=10), None), ("b", day(5, hour=14), None), ("c", day(8, hour=14), None)])
    (row,) = ask(store, project, dateRange={"date_from": "-3d", "explicitDate": True})
    assert (row["data"], len(row["days"])) == ([1, 0, 0, 0], 4)


def test_groups_without_a_key_are_left_out(shared):
    log, store, projects = shared
    project = next(projects)
    fill(log, project, [("a", day(7), "x"), ("b", day(8), "x"), ("c", day(8), None), ("d", day(8), "")])
    series = [{"kind": "EventsNode", "event": "watch", "math": "unique_group", "math_group_type_index": 0}]
    (row,) = ask(store, project, series=series)
    assert row["data"][:2] == [0, 1]


@pytest.mark.parametrize("math", ["total", "dau", "sum", "weekly_active", "avg_count_per_actor", "unique_session"])
def test_math_of_other_insights_counts_persons(shared, math):
    log, store, projects = shared
    project = next(projects)
    fill(log, project, [("a", day(1), None), ("a", day(2), None), ("b", day(2), None)])
    series = [{"kind": "EventsNode", "event": "watch", "math": math, "math_property": "n"}]
    (row,) = ask(store, project, series=series, dateRange={"date_from": "2020-01-01", "date_to": "2020-01-03"})
    assert row["data"] == [1, 1, 0]


def test_a_missing_action_has_no_series(shared):
    assert ask(shared[1], 1, series=[{"kind": "ActionsNode", "id": 404}]) == []


@pytest.mark.parametrize(
    ("query", "kind", "path"),
    [
        ({"intervalCount": 0}, InvalidQuery, "query.intervalCount"),
        ({"series": [{"kind": "EventsNode", "math": "unique_group"}]}, InvalidQuery,
         "query.series[0].math_group_type_index"),
        ({"dateRange": {"date_from": "yesterday-ish"}}, InvalidQuery, "query.dateRange.date_from"),
    ],
)  # fmt: skip
def test_wrong_fields_are_refused_with_their_path(shared, query, kind, path):
    with pytest.raises(kind) as refused:
        ask(shared[1], 1, **query)
    assert refused.value.path == path


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 60 * 24 * 60)), max_size=25),
    zone=st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata"]),
    interval=st.sampled_from(["hour", "day", "week", "month"]),
    n_days=st.integers(0, 50),
    n_joined=st.sampled_from([None, 1, 2, 3]),
    threshold=st.tuples(st.sampled_from(["gte", "lte", "exact"]), st.integers(1, 2)),
)
def test_response_equals_the_reference(shared, rows, zone, interval, n_days, n_joined, threshold):
    log, store, projects = shared
    project = next(projects)
    start = NOW - timedelta(days=60)
    events = [(who, start + timedelta(minutes=minute), None) for who, minute in rows]
    fill(log, project, events)
    operator, value = threshold
    (row,) = ask(
        store, project, zone, interval=interval, dateRange={"date_from": f"-{n_days}d"},
        stickinessFilter={"stickinessCriteria": {"operator": operator, "value": value}},
        **({} if n_joined is None else {"intervalCount": n_joined}),
    )  # fmt: skip

    bounds = dates.resolve(DateRange(f"-{n_days}d"), interval=interval, now=NOW, zone=QueryContext(1, NOW, zone).zone)
    axis = dates.buckets(bounds)
    today = NOW.astimezone(bounds.zone).date()

    def intervals_ago(at):
        """Count whole intervals from the end of the range, or calendar intervals where they are not joined."""
        local = at.astimezone(bounds.zone).date()
        if n_joined is None or interval == "hour":
            return len(axis.days) - bisect_right(axis.edges, at)
        if interval == "month":
            return (today.year - local.year) * 12 + today.month - local.month - (local.day > today.day)
        return (today - local).days // (7 if interval == "week" else 1)

    seen = defaultdict(Counter)
    for who, at, _ in events:
        if bounds.count_from <= at <= bounds.count_to:
            seen[who][intervals_ago(at) // (n_joined or 1)] += 1
    passes = {"gte": int.__ge__, "lte": int.__le__, "exact": int.__eq__}[operator]
    expected = [0] * -(-len(axis.days) // (n_joined or 1))
    for counts in seen.values():
        if n_active := sum(passes(count, value) for count in counts.values()):
            expected[n_active - 1] += 1
    assert row["data"] == expected
    assert row["count"] == sum(expected)
