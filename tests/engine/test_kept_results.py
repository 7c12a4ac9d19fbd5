"""Results that are kept: whoever waits gets what a calculation now would give, whatever came in since."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import insightlog
from insightlog.application.library import Insightlog

NOW = datetime(2024, 3, 20, 15, 20, tzinfo=UTC)
IN_SESSION = [{"type": "session", "key": "$session_duration", "value": 600, "operator": "gt"}]


def trend(*, event="view", math=None, since="-30d", until=None, **more):
    series = {"kind": "EventsNode", "event": event, "math": math, **more.pop("series", {})}
    dates = {"date_from": since, "date_to": until}
    return {"kind": "TrendsQuery", "series": [series], "dateRange": dates, **more}


def of_action(number):
    return {**trend(), "series": [{"kind": "ActionsNode", "id": number}]}


FUNNEL = {
    "kind": "FunnelsQuery",
    "series": [{"kind": "EventsNode", "event": "view"}, {"kind": "EventsNode", "event": "buy"}],
    "dateRange": {"date_from": "-30d"},
}


def queries(cohort, actions):
    """Return the queries that are asked."""
    members = [{"key": "id", "type": "cohort", "value": cohort}]
    return [
        trend(),
        trend(math="dau", interval="week"),
        trend(since="2024-02-16", until="2024-03-05", interval="month"),
        trend(since="2024-03-02T10:00:00", until="2024-03-05"),
        trend(interval="hour", since="-2d", trendsFilter={"display": "ActionsPie"}),
        trend(math="weekly_active", since="-3d"),
        trend(math="first_time_for_user"),
        trend(compareFilter={"compare": True}, since="-7d"),
        trend(properties=IN_SESSION, since="2024-03-02", until="2024-03-05"),
        trend(breakdownFilter={"breakdown": "$session_duration", "breakdown_type": "session"}),
        trend(breakdownFilter={"breakdown": "plan", "breakdown_type": "person"}),
        trend(properties=members),
        trend(math="hogql", series={"math_hogql": "count(distinct person_id)"}),
        *map(of_action, actions),
        FUNNEL,
        FUNNEL | {"dateRange": {"date_from": "2024-03-02", "date_to": "2024-03-05"}},
        {"kind": "RetentionQuery", "retentionFilter": {"period": "Week", "totalIntervals": 3}},
        {"kind": "RetentionQuery", "retentionFilter": {"period": "Week", "totalIntervals": 3},
         "dateRange": {"date_to": "2024-03-05"}},
        {"kind": "LifecycleQuery", "series": [{"kind": "EventsNode", "event": "view"}], "dateRange": {"date_from": "-7d"}},
        {"kind": "StickinessQuery", "series": [{"kind": "EventsNode", "event": "view"}], "dateRange": {"date_from": "-7d"}},
        {"kind": "PathsQuery", "pathsFilter": {"includeEventTypes": ["custom_event"]}},
        {"kind": "HogQLQuery", "query": "select event, count() from events group by event order by event"},
    ]  # fmt: skip


ago = st.one_of(st.floats(0, 1), st.floats(0, 40), st.sampled_from([13.7, 14.9, 15.1, 17.5, 18.3, 18.7, 33, 34]))
people = st.sampled_from(["a", "b", "c"])
happenings = st.one_of(
    st.tuples(
        st.just("capture"),
        st.sampled_from(["view", "buy", "click"]),
        people,
        ago,
        st.sampled_from([{}, {"$session_id": "s"}, {"plan": "a"}]),
    ),
    st.tuples(st.just("merge"), people, people),
    st.tuples(st.just("set"), people, st.sampled_from(["a", "b"])),
)


@pytest.fixture(scope="module")
def log():
    ticks = itertools.count()
    with insightlog.open(clock=lambda: NOW + timedelta(milliseconds=next(ticks))) as made:
        yield made


@settings(max_examples=15, deadline=None)
@given(
    before=st.lists(happenings, max_size=12),
    asked=st.lists(st.integers(0, len(queries(0, (0, 0))) - 1), min_size=2, max_size=5, unique=True),
    after=st.lists(happenings, min_size=1, max_size=3),
    zone=st.sampled_from(["UTC", "America/New_York"]),
)
def test_whoever_waits_gets_what_a_calculation_would_give(log, before, asked, after, zone):
    project = log.create_project("one", timezone=zone)
    cohort, actions = named(project)
    known = queries(cohort, actions)
    happen(project, before)
    for place in asked:
        project.query(known[place], refresh="blocking")
    happen(project, after)
    cold = Insightlog(log.parts, share_secret="s")
    try:
        for place in asked:
            expected = cold.project(project.id).query(known[place], refresh="force_blocking")
            found = project.query(known[place], refresh="blocking")
            assert found["results"] == expected["results"], known[place]
    finally:
        cold.computing.close()


@settings(max_examples=20, deadline=None)
@given(
    before=st.lists(happenings, max_size=6),
    asked=st.integers(0, len(queries(0, (0, 0))) - 1),
    after=st.lists(happenings, min_size=1, max_size=3),
)
def test_what_a_query_leaves_for_later_changes_nothing(log, before, asked, after):
    project, other = log.create_project("one"), log.create_project("another")
    known = queries(*named(project))[asked]
    happen(project, before)
    store = log.parts.product_store()
    store.drain()
    happen(other, after)
    happen(project, after)
    cold = Insightlog(log.parts, share_secret="s")
    try:
        found = cold.project(project.id).query(known, refresh="force_blocking")
    finally:
        cold.computing.close()
    store.drain()
    cold = Insightlog(log.parts, share_secret="s")
    try:
        assert found["results"] == cold.project(project.id).query(known, refresh="force_blocking")["results"], known
    finally:
        cold.computing.close()


def test_sessions_that_go_on_and_cohorts_of_the_present_outlast_the_range_of_a_query(log):
    project = log.create_project("one")
    cohort, _ = named(project)
    over = {"since": "2024-03-02", "until": "2024-03-05"}
    asked = [
        trend(properties=IN_SESSION, **over),
        trend(properties=[{"key": "id", "type": "cohort", "value": cohort}], **over),
    ]
    happen(project, [("capture", "view", "a", 15.2, {"$session_id": "s"})])
    assert [project.query(one)["results"][0]["count"] for one in asked] == [0, 0]
    happen(project, [("capture", "click", "a", 14, {"$session_id": "s"}), ("capture", "buy", "a", 1, {})])
    assert [project.query(one)["results"][0]["count"] for one in asked] == [1, 1]


def test_the_last_interval_of_a_lifecycle_goes_on_after_the_last_day(log):
    project = log.create_project("one")
    series = [{"kind": "EventsNode", "event": "view"}]
    dates = {"date_from": "2024-03-01", "date_to": "2024-03-12"}  # a Tuesday
    query = {"kind": "LifecycleQuery", "series": series, "interval": "week", "dateRange": dates}
    assert [row["data"][-1] for row in project.query(query)["results"]] == [0, 0, 0, 0]
    happen(project, [("capture", "view", "a", 5.2, {})])  # on Friday
    assert [row["data"][-1] for row in project.query(query)["results"]] == [1, 0, 0, 0]


@pytest.mark.parametrize("before", [[], [("capture", "view", "a", 2, {})]])
def test_all_time_begins_with_the_first_event_whatever_it_is_called(log, before):
    project = log.create_project("one")
    query = trend(since="all")
    happen(project, before)
    project.query(query)
    happen(project, [("capture", "click", "a", 5, {})])
    assert project.query(query)["results"][0]["days"][0] == "2024-03-15"


def test_a_group_becomes_new_in_a_lifecycle_once_it_is_told_when_it_began(log):
    project = log.create_project("one")
    series = [{"kind": "EventsNode", "event": "view"}]
    query = {"kind": "LifecycleQuery", "series": series, "aggregation_group_type_index": 0}
    happen(project, [("capture", "view", "a", 1, {"$groups": {"org": "g"}})])
    assert [row["count"] for row in project.query(query)["results"]] == [0, 0, 1, -1]
    told = {"$group_type": "org", "$group_key": "g", "$group_set": {"size": 1}}
    happen(project, [("capture", "$groupidentify", "a", 1, told)])
    assert [row["count"] for row in project.query(query)["results"]] == [1, 0, 0, -1]


def named(project):
    """Make a cohort of who bought lately, and an action of the people with a plan and one of its members."""
    bought = {"type": "behavioral", "key": "buy", "event_type": "events", "value": "performed_event"}
    bought |= {"time_value": 30, "time_interval": "day"}
    criteria = {"properties": {"type": "AND", "values": [{"type": "AND", "values": [bought]}]}}
    cohort = project.cohorts.create(name="buyers", filters=criteria).id
    conditions = [
        {"type": "person", "key": "plan", "value": "a", "operator": "exact"},
        {"type": "cohort", "key": "id", "value": cohort},
    ]
    steps = [[{"event": "view", "properties": [one]}] for one in conditions]
    return cohort, [project.actions.create(name=f"action {place}", steps=one).id for place, one in enumerate(steps)]


def happen(project, steps):
    for step in steps:
        if step[0] == "capture":
            _, event, who, days, properties = step
            at = NOW - timedelta(days=days)
            found = {"event": event, "distinct_id": who, "timestamp": at.isoformat(), "properties": properties}
        elif step[0] == "merge":
            found = {"event": "$merge_dangerously", "distinct_id": step[1], "properties": {"alias": step[2]}}
        else:
            found = {"event": "$set", "distinct_id": step[1], "properties": {"$set": {"plan": step[2]}}}
        project.capture([found])
