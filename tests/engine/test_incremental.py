"""Trends that keep their buckets: always the answer of a cold calculation, and only what was touched is asked for."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insightlog.adapters.storage.duckdb.store import DuckDBStore
from insightlog.adapters.storage.sqlite.capture_log import SQLiteCaptureLog
from insightlog.application.arrivals import Arrivals
from insightlog.application.calculation import QueryContext, calculate
from insightlog.application.incremental import Buckets
from insightlog.domain.product_event import ProductEvent
from insightlog.domain.queries.trend_plan import TrendPlan

NOW = datetime(2024, 3, 12, 15, 20, tzinfo=UTC)


class Watched:
    """A store, and what is asked of it."""

    def __init__(self, store, log, arrivals):
        self.store, self.log = store, log
        self.buckets = Buckets(arrivals)
        self.asked = []
        self.now = NOW
        self.n = 0

    def __getattr__(self, name):
        return getattr(self.store, name)

    def run(self, plan, **options):
        self.asked.append(plan)
        return self.store.run(plan, **options)

    def capture(self, *events):
        made = []
        for name, who, at, properties in events:
            self.n += 1
            made.append(ProductEvent(UUID(int=self.n), name, who, at, json.dumps(properties)))
        self.log.append(1, made, captured_at=self.now)

    def bring(self, who, at):
        self.n += 1
        self.store.import_events(1, [[ProductEvent(UUID(int=self.n), "view", who, at, "{}")]])

    def answer(self, query, *, zone="UTC", buckets=None):
        found = calculate(query, context=QueryContext(1, self.now, zone), store=self, buckets=buckets)
        return {key: value for key, value in found.items() if key != "timings"}

    def kept(self, query, **options):
        return self.answer(query, buckets=self.buckets, **options)

    def days_asked(self):
        """How many buckets were asked for since the last time."""
        asked = [plan for plan in self.asked if isinstance(plan, TrendPlan)]
        found = sum(max(len(plan.edges) - 1, 1) - len(plan.unread) for plan in asked)
        self.asked.clear()
        return found


@contextmanager
def watched(folder):
    log, arrivals = SQLiteCaptureLog(folder / "capture.sqlite", synchronous="NORMAL"), Arrivals()
    store = DuckDBStore(":memory:", log, threads=1, arrivals=arrivals, clock=lambda: NOW)
    try:
        yield Watched(store, log, arrivals)
    finally:
        store.close()
        log.close()


@pytest.fixture
def store(tmp_path):
    with watched(tmp_path) as made:
        yield made


def trend(*, math=None, event="view", days=30, **more):
    series = {"kind": "EventsNode", "event": event, "math": math, **more.pop("series", {})}
    return {"kind": "TrendsQuery", "series": [series], "dateRange": {"date_from": f"-{days}d"}, **more}


def person(key, value):
    return [{"key": key, "value": value, "operator": "exact", "type": "person"}]


VIEWS = {"kind": "EventsNode", "event": "view"}
BUYERS = {"kind": "EventsNode", "event": "buy", "math": "dau"}
QUERIES = [
    trend(),
    trend(math="dau"),
    trend(event=None, math="dau", days=60),
    trend(math="unique_session", interval="hour", days=2),
    trend(math="weekly_active"),
    trend(math="dau", interval="week", days=45),
    trend(math="dau", interval="month", days=70),
    trend(math="sum", series={"math_property": "n"}),
    trend(math="p90_count_per_actor"),
    trend(math="first_time_for_user"),
    trend(breakdownFilter={"breakdown": "plan"}),
    trend(breakdownFilter={"breakdown": "plan", "breakdown_limit": 1}),
    trend(math="dau", breakdownFilter={"breakdown": "plan", "breakdown_type": "person"}),
    trend(properties=person("plan", "a")),
    trend(trendsFilter={"display": "ActionsLineGraphCumulative"}, math="dau"),
    trend(compareFilter={"compare": True}, days=7),
    trend(trendsFilter={"display": "BoldNumber"}, math="dau"),
    trend(samplingFactor=0.5),
    trend(event="buy", interval="hour", days=3),
    trend(properties=[{"type": "session", "key": "$session_duration", "value": 60, "operator": "gt"}]),
    trend(properties=person("plan", "a"), modifiers={"personsOnEventsMode": "person_id_override_properties_on_events"}),
    {**trend(math="dau"), "series": [VIEWS, BUYERS], "trendsFilter": {"formula": "A / (B + 1)"}},
    {**trend(), "series": [VIEWS, BUYERS], "breakdownFilter": {"breakdown": "plan", "breakdown_limit": 2}},
]
FUNNEL = {
    "kind": "FunnelsQuery",
    "series": [{"kind": "EventsNode", "event": "view"}, {"kind": "EventsNode", "event": "buy"}],
    "dateRange": {"date_from": "-60d"},
}
CORRELATION = {
    "kind": "FunnelCorrelationQuery",
    "source": {"kind": "FunnelsActorsQuery", "source": FUNNEL, "funnelStep": 1},
}
SEQUENCES = [
    FUNNEL,
    FUNNEL | {"breakdownFilter": {"breakdown": "plan", "breakdown_type": "person"}},
    FUNNEL | {"funnelsFilter": {"funnelVizType": "time_to_convert"}},
    FUNNEL | {"funnelsFilter": {"funnelVizType": "trends"}},
    FUNNEL | {"properties": person("plan", "a")},
    CORRELATION,
    {"kind": "RetentionQuery", "retentionFilter": {"period": "Day", "totalIntervals": 7}},
    {"kind": "PathsQuery", "pathsFilter": {"includeEventTypes": ["custom_event"]}},
]
QUERIES += SEQUENCES

people = st.sampled_from(["a", "b", "c", "d"])
ago = st.one_of(st.floats(0, 0.3), st.floats(0, 75), st.floats(-1, 0))
values = st.sampled_from([{}, {"plan": "a"}, {"plan": "b"}, {"plan": "c", "n": 3}, {"n": 2, "$session_id": "s"}])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("capture"), st.sampled_from(["view", "buy"]), people, ago, values),
        st.tuples(st.just("merge"), people, people),
        st.tuples(st.just("set"), people, st.sampled_from(["a", "b"])),
        st.tuples(st.just("import"), people, ago),
        st.tuples(st.just("wait"), st.sampled_from([0.001, 0.5, 1, 9])),
        st.tuples(st.just("ask"), st.sampled_from(QUERIES)),
    ),
    min_size=4,
    max_size=24,
)


@settings(max_examples=20, deadline=None)
@given(
    steps=steps,
    last=st.lists(st.sampled_from(QUERIES), min_size=1, max_size=3),
    zone=st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York"]),
)
def test_kept_buckets_never_change_an_answer(tmp_path_factory, steps, last, zone):
    with watched(tmp_path_factory.mktemp("history")) as store:
        for step in [*steps, *(("ask", query) for query in last), ("wait", 1), *(("ask", query) for query in last)]:
            if step[0] == "capture":
                _, name, who, days, properties = step
                store.capture((name, who, store.now - timedelta(days=days), properties))
            elif step[0] == "merge":
                store.capture(("$merge_dangerously", step[1], store.now, {"alias": step[2]}))
            elif step[0] == "set":
                store.capture(("$set", step[1], store.now, {"$set": {"plan": step[2]}}))
            elif step[0] == "import":
                store.bring(step[1], store.now - timedelta(days=step[2]))
            elif step[0] == "wait":
                store.now += timedelta(days=step[1])
            else:
                assert store.kept(step[1], zone=zone) == store.answer(step[1], zone=zone)


def views(store, *days_ago, who="a", event="view"):
    store.capture(*((event, who, store.now - timedelta(days=days), {}) for days in days_ago))


def test_nothing_is_asked_for_when_nothing_happened(store):
    views(store, *range(30))
    first = store.kept(trend())
    assert store.days_asked() == 31
    assert store.kept(trend()) == first
    assert store.days_asked() == 0


def test_a_new_day_asks_for_the_day_that_was_cut_off_and_the_new_one(store):
    views(store, *range(30))
    store.kept(trend())
    store.days_asked()
    store.now += timedelta(days=1)
    store.kept(trend())
    assert store.days_asked() == 2


def test_a_shorter_range_shares_the_days_of_a_longer_one(store):
    views(store, *range(30))
    store.kept(trend(days=30))
    store.days_asked()
    store.kept(trend(days=7))
    assert store.days_asked() == 0


@pytest.mark.parametrize(
    ("math", "change", "asked"),
    [
        (None, lambda store: views(store, 5), 1),
        (None, lambda store: views(store, 5, 6), 2),
        (None, lambda store: views(store, 4, 5, 11, 25), 4),
        (None, lambda store: views(store, 2, 9, 16, 23), 22),
        (None, lambda store: views(store, 5, event="buy"), 0),
        (None, lambda store: views(store, 200), 0),
        (None, lambda store: store.capture(("$merge_dangerously", "a", store.now, {"alias": "b"})), 0),
        ("dau", lambda store: store.capture(("$merge_dangerously", "a", store.now, {"alias": "b"})), 2),
        ("dau", lambda store: store.capture(("$merge_dangerously", "a", store.now, {"alias": "new"})), 0),
        ("dau", lambda store: store.capture(("$set", "a", store.now, {"$set": {"plan": "a"}})), 0),
    ],
)
def test_exactly_what_was_touched_is_asked_for(store, math, change, asked):
    views(store, *range(30))
    views(store, 3, 12, who="b")
    store.kept(trend(math=math))
    store.days_asked()
    change(store)
    assert store.kept(trend(math=math)) == store.answer(trend(math=math))
    store.asked.pop()
    assert len(store.asked) == (asked > 0)
    assert store.days_asked() == asked


def test_properties_of_people_touch_the_trends_that_read_them(store):
    views(store, *range(30))
    asked = trend(properties=person("plan", "pro"))
    assert store.kept(asked)["results"][0]["count"] == 0
    store.capture(("$set", "a", store.now, {"$set": {"plan": "pro"}}))
    assert store.kept(asked)["results"][0]["count"] == 30


def test_an_import_touches_everything(store):
    views(store, *range(30))
    store.kept(trend())
    store.days_asked()
    store.store.import_events(1, [[ProductEvent(UUID(int=10**9), "view", "z", NOW - timedelta(days=4), "{}")]])
    assert store.kept(trend())["results"][0]["count"] == 31
    assert store.days_asked() == 31


def test_values_beyond_the_limit_are_ranked_by_the_whole_plan(store):
    asked = trend(breakdownFilter={"breakdown": "plan", "breakdown_limit": 2})
    for number, plan in enumerate("aab"):
        store.capture(("view", "x", store.now - timedelta(days=number + 2), {"plan": plan}))
    store.kept(asked)
    store.days_asked()
    store.capture(("view", "x", store.now, {"plan": "b"}))
    assert store.kept(asked) == store.answer(asked)
    store.asked.pop()
    assert store.days_asked() == 1
    store.capture(*(("view", "x", store.now, {"plan": "c"}) for _ in range(3)))
    assert store.kept(asked) == store.answer(asked)


def test_folded_values_are_asked_for_again_only_after_something_arrived_in_their_project(store):
    asked = trend(breakdownFilter={"breakdown": "plan", "breakdown_limit": 1})
    store.capture(*(("view", "x", store.now - timedelta(days=2), {"plan": plan}) for plan in "aab"))
    first = store.kept(asked)
    assert store.days_asked() == 31
    assert store.kept(asked) == first
    assert store.days_asked() == 0
    store.capture(("view", "x", store.now, {"plan": "b"}), ("view", "x", store.now, {"plan": "b"}))
    assert store.kept(asked) == store.answer(asked) != first


@pytest.mark.parametrize("query", SEQUENCES, ids=lambda query: query["kind"])
def test_sequences_are_asked_again_only_after_something_arrived_in_their_project(store, query):
    views(store, 3, 2, who="a")
    views(store, 2, who="a", event="buy")
    first = store.kept(query)
    assert store.asked != []
    store.asked.clear()
    assert store.kept(query) == first
    assert store.asked == []
    views(store, 1, who="b")
    assert store.kept(query) == store.answer(query)
    assert store.asked != []


def test_an_answer_belongs_to_who_asked(store):
    views(store, 2)
    plan = resolve_plan(store)
    first = store.buckets.whole.answer(plan, store.watermark(), lambda one: store.run(one, deadline_s=9))
    expected = list(first)
    first.clear()
    assert store.buckets.whole.answer(plan, store.watermark(), lambda _: pytest.fail("asked")) == expected


def resolve_plan(store):
    store.asked.clear()
    store.answer(FUNNEL)
    return store.asked[-1]


@pytest.mark.parametrize(
    "condition",
    [
        {"type": "hogql", "key": "timestamp < now()"},
        {"type": "event", "key": "plan", "value": "a", "operator": "exact"},
    ],
    ids=["hogql", "plain"],
)
def test_expressions_may_look_at_the_clock_and_are_always_asked(store, condition):
    views(store, 2)
    query = FUNNEL | {"properties": [condition]}
    store.kept(query)
    store.asked.clear()
    store.kept(query)
    assert (store.asked != []) is (condition["type"] == "hogql")
