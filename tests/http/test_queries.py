"""Queries and results over HTTP: `/query/`, `/insights/trend/`, and saved insights that are calculated."""

from __future__ import annotations

import json

import pytest
from tests.builders import TREND

from .conftest import Api, error

SIGNUPS = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0]
DAYS = [f"2026-03-{day}" for day in range(26, 32)] + ["2026-04-01", "2026-04-02"]


@pytest.fixture
def captured(log):
    log.project(1).capture(
        [
            {"event": "signed up", "distinct_id": "a", "properties": {"plan": "pro"}},
            {"event": "signed up", "distinct_id": "b", "timestamp": "2026-04-02T01:00:00Z"},
            {"event": "signed up", "distinct_id": "a", "timestamp": "2026-04-01T23:59:59Z", "properties": {"n": 5}},
            {"event": "left", "distinct_id": "a"},
        ]
    )
    log.project(2).capture([{"event": "signed up", "distinct_id": f"secret{n}"} for n in range(7)])


def query(api, node, **more):
    return api.post("/query/", {"query": node, **more})


def test_a_trend_is_answered_with_the_cache_envelope(api, captured):
    answer = query(api, TREND).json
    (series,) = answer["results"]
    assert (series["data"], series["days"], series["count"], series["label"]) == (SIGNUPS, DAYS, 3.0, "signed up")
    assert (answer["is_cached"], answer["last_refresh"]) == (False, "2026-04-02T09:15:30.120000Z")
    assert answer["cache_target_age"] == "2026-04-02T15:15:30.120000Z"
    assert answer["query_status"] is None
    assert answer["cache_key"].startswith("cache_1_")


def test_the_cache_follows_the_events_and_never_crosses_projects(log, app, api, captured, clock):
    other = Api(app, api.key, project=2)
    for expected in (3, 7, 3, 7):
        assert query(api if expected == 3 else other, TREND).json["results"][0]["count"] == expected
    assert query(api, TREND).json["is_cached"] is True
    assert query(api, TREND, refresh="force_blocking").json["is_cached"] is False
    clock.forward(minutes=1)
    log.project(1).capture([{"event": "signed up", "distinct_id": "c"}])
    fresh = query(api, TREND).json
    assert (fresh["results"][0]["count"], fresh["is_cached"]) == (4, False)
    clock.forward(hours=6, seconds=1)
    assert query(api, TREND).json["is_cached"] is False


def test_presentation_does_not_change_the_cache_key(api, captured):
    plain = query(api, TREND).json["cache_key"]
    named = {**TREND, "tags": {"a": 1}}
    assert query(api, {"kind": "InsightVizNode", "source": named}).json["cache_key"] == plain
    assert query(api, {**TREND, "interval": "week"}).json["cache_key"] != plain


def test_legacy_trend_by_get_and_post(api, captured):
    events = [{"id": "signed up", "math": "dau"}]
    by_get = api.get(
        "/insights/trend/", params={"events": json.dumps(events), "date_from": "-1d"}, params_csv=False
    ).json
    by_post = api.post("/insights/trend", {"events": events, "date_from": "-1d"}).json
    assert by_get["result"] == by_post["result"]
    assert [row["data"] for row in by_get["result"]] == [[1.0, 2.0]]
    assert by_get["result"][0]["action"]["name"] == "signed up"
    assert by_get["next"] is None
    assert len(api.get("/insights/trend/", params={"events": '[{"id":"left"}]'}).json["result"][0]["days"]) == 8


@pytest.mark.parametrize("kind", ["trend", "funnel"])
def test_legacy_filters_in_the_body_of_a_get_count(api, captured, kind):
    """Some clients send them so; the body wins."""
    asked = {"events": [{"id": "signed up"}], "date_from": "-1d"}
    by_get = api("GET", f"/insights/{kind}/", asked, query_string="events=[]").json["result"]
    assert by_get == api.post(f"/insights/{kind}/", asked).json["result"]
    assert [one["count"] for one in by_get] == [3 if kind == "trend" else 2]


def test_a_query_may_be_posted_to_its_kind(api, captured):
    asked = {"query": TREND, "refresh": "force_blocking"}
    answer = api.post("/query/TrendsQuery/", asked)
    assert (answer.status_code, answer.json["results"]) == (200, api.post("/query/", asked).json["results"])
    for body in ({"query": {"kind": "HogQLQuery", "query": "select 1"}}, {"query": 1}, {}):
        error(api.post("/query/TrendsQuery/", body), 400, "validation_error", "invalid_input", attr="query__kind")


@pytest.mark.parametrize("text", ["9" * 5000, "²", "-²"], ids=["endless", "superscript", "minus superscript"])
def test_texts_that_only_look_like_numbers_are_refused(api, captured, text):
    """Python takes a superscript for a digit and refuses to read thousands of them."""
    action = {"id": text, "type": "actions"}
    behaviour = {"type": "behavioral", "key": text, "event_type": "actions", "value": "performed_event"}
    asked = [
        ("/query/", {"query": {"kind": "HogQLQuery", "query": f"select event from events {clause} {text}"}})
        for clause in ("group by", "order by")
    ]
    if text.isascii():  # a superscript may stand in a name
        asked.append(("/query/", {"query": {"kind": "HogQLQuery", "query": f"select properties.x.{text} from events"}}))
    asked += [
        (
            "/query/",
            {"query": {"kind": "HogQLQuery", "query": f"select sum(1) over (rows {text} preceding) from events"}},
        ),
        ("/query/", {"query": {"kind": "RetentionQuery", "retentionFilter": {"targetEntity": action}}}),
        ("/persons/funnel/", {"events": [{"id": "left"}, {"id": "left"}], "funnel_step": text}),
        ("/cohorts/", {"filters": {"properties": {"type": "OR", "values": [{"type": "OR", "values": [behaviour]}]}}}),
    ]
    for path, body in asked:
        answer = api.post(path, body)
        assert answer.status_code == 400, (body, answer.text)
        assert answer.json["type"] == "validation_error"


def test_a_saved_insight_is_calculated_when_asked(api, captured, clock):
    made = api.create(name="a", query={"kind": "InsightVizNode", "source": TREND, "shiny": True})
    path = f"/insights/{made['id']}/"
    miss = api.get(path).json
    assert (miss["result"], miss["is_cached"], miss["last_refresh"], miss["timezone"]) == (None, False, None, None)
    done = api.get(path, params={"refresh": "blocking"}).json
    assert (done["result"][0]["data"], done["is_cached"], done["timezone"]) == (SIGNUPS, False, "UTC")
    assert done["resolved_date_range"]["date_from"] == "2026-03-26T00:00:00Z"
    clock.forward(minutes=1)
    kept = api.get(path).json
    assert (kept["result"], kept["is_cached"], kept["last_refresh"]) == (done["result"], True, done["last_refresh"])
    assert kept["filters_hash"] == miss["filters_hash"] == done["filters_hash"]
    for text, cached in (("", False), ("true", False), ("nonsense", True), ("force_cache", True), ("blocking", True)):
        assert api.get(path, params={"refresh": text}).json["is_cached"] is cached, text
    assert api.get(path, params={"basic": "true", "refresh": "true"}).json["last_refresh"] is None


def test_one_insight_that_cannot_be_calculated_leaves_the_list_whole(api, captured):
    good = api.create(name="good", query=TREND)
    bad = api.create(name="bad", query={"kind": "WebOverviewQuery"})
    answer = api.get("/insights/", params={"refresh": "blocking"})
    assert answer.status_code == 200
    by_id = {one["id"]: one for one in answer.json["results"]}
    assert by_id[good["id"]]["result"][0]["data"] == SIGNUPS
    status = by_id[bad["id"]]["query_status"]
    assert (by_id[bad["id"]]["result"], status["error"], status["complete"]) == (None, True, True)
    assert "WebOverviewQuery" in status["error_message"]


@pytest.mark.parametrize("asked", [{"kind": "WebOverviewQuery"}, {"kind": "InsightVizNode", "source": {"kind": "New"}}])
def test_kinds_that_nothing_calculates_are_kept_and_shown_as_failed(api, asked):
    made = api.create(query=asked)
    answer = api.get(f"/insights/{made['id']}/", params={"refresh": "blocking", "client_query_id": "mine"})
    status = answer.json["query_status"]
    assert (answer.status_code, answer.json["query"], answer.json["result"]) == (200, asked, None)
    assert (status["id"], status["error"], status["complete"]) == ("mine", True, True)
    assert query(api, asked).status_code == 400


def node(**changes):
    return {**TREND, **changes}


def series(**changes):
    return [{**TREND["series"][0], **changes}]


@pytest.mark.parametrize(
    ("asked", "attr"),
    [
        (node(series="x"), "query__series"),
        (node(series=[3]), "query__series__0"),
        (node(series=series(math=7)), "query__series__0__math"),
        (node(series=series(math="median of all")), "query__series__0__math"),
        (node(series=series(shine=1)), "query__series__0__shine"),
        (node(nonsense=1), "query__nonsense"),
        (node(interval="eon"), "query__interval"),
        (node(dateRange={"date_from": 5}), "query__dateRange__date_from"),
        (node(properties=[{"key": "a", "operator": "like", "value": "x"}]), "query__properties__0__operator"),
        (node(breakdownFilter={"breakdown_limit": "x"}), "query__breakdownFilter__breakdown_limit"),
        ({"kind": "InsightVizNode", "source": node(interval="eon")}, "query__source__interval"),
        (
            {"kind": "InsightVizNode", "source": node(dateRange={"date_from": "x"})},
            "query__source__dateRange__date_from",
        ),
        ({"kind": "DataTableNode", "source": {"kind": "HogQLQuery", "query": "select x"}}, "query__source__query"),
        ({"kind": "Nonsense"}, "query__kind"),
        ({"kind": ["TrendsQuery"]}, "query__kind"),
        ({}, "query__kind"),
        ("x", "query"),
        (None, "query"),
        ([], "query"),
    ],
)
def test_a_wrong_query_is_refused_with_the_path_of_the_field(api, asked, attr):
    answer = query(api, asked)
    error(answer, 400, "validation_error", "invalid_input", answer.json["detail"], attr)


def test_a_body_without_a_query(api):
    error(api.post("/query/", {}), 400, "validation_error", "required", "This field is required.", "query")


@pytest.mark.parametrize("date", ["yesterday noon", "2026-13-45", "-", "\x00", "9" * 500])
def test_dates_that_are_none_are_refused(api, captured, date):
    answer = query(api, node(dateRange={"date_from": date}))
    error(answer, 400, "validation_error", "invalid_input", answer.json["detail"], "query__dateRange__date_from")


@pytest.mark.parametrize(
    "asked",
    [
        node(dateRange={"date_from": "-10y"}, interval="minute"),
        node(dateRange={"date_from": "0001-01-01", "date_to": "9999-12-31"}, interval="hour"),
        node(series=series() * 2000, interval="hour"),
    ],
)
def test_queries_without_bounds_are_refused(api, captured, asked):
    answer = query(api, asked)
    assert answer.status_code == 400, answer.text[:200]
    assert answer.json["type"] == "validation_error"


PAYLOADS = [
    "'; DROP TABLE events; --",
    '" OR 1=1 --',
    "$.plan",
    "a.b",
    'a"b',
    "%",
    "_",
    "\\",
    "signed up' OR '1'='1",
    "(a+)+$",
]


@pytest.mark.parametrize("text", PAYLOADS)
def test_user_input_is_never_sql(api, captured, text):
    asked = [
        node(series=[{"kind": "EventsNode", "event": text}]),
        node(properties=[{"key": text, "operator": "exact", "value": "pro", "type": "event"}]),
        node(properties=[{"key": "plan", "operator": "exact", "value": text, "type": "event"}]),
        node(properties=[{"key": "plan", "operator": "gt", "value": text, "type": "event"}]),
    ]
    for one in asked:
        answer = query(api, one)
        assert answer.status_code == 200, answer.text
        assert sum(answer.json["results"][0]["data"]) == 0
    broken_down = query(api, node(breakdownFilter={"breakdown": text})).json["results"]
    assert [row["breakdown_value"] for row in broken_down] == ["$$_posthog_breakdown_null_$$"]
    assert query(api, TREND).json["results"][0]["count"] == 3


def test_unknown_events_and_properties_count_nothing(api, captured):
    nothing = query(api, node(series=[{"kind": "EventsNode", "event": "never sent"}])).json["results"]
    assert nothing[0]["data"] == [0.0] * 8
    unset = {"key": "never", "operator": "is_set", "type": "event"}
    assert query(api, node(properties=[unset])).json["results"][0]["count"] == 0


def test_a_month_ago_is_four_weeks_ago_where_the_project_says_so(api, log):
    asked = TREND | {"dateRange": {"date_from": "2026-04-01", "date_to": "2026-04-02"}}
    asked |= {"compareFilter": {"compare": True, "compare_to": "-1m"}}
    days = [row["days"][0] for row in query(api, asked).json["results"]]
    assert days == ["2026-04-01", "2026-03-01"]
    log.project(1).update(human_friendly_comparison_periods=True)
    days = [row["days"][0] for row in query(api, asked).json["results"]]
    assert days == ["2026-04-01", "2026-03-04"]


def test_the_legacy_endpoint_has_labels_for_people(api, log):
    log.project(1).capture([{"event": "paid", "distinct_id": "a", "properties": {"n": n}} for n in (None, 1, 1, 2)])
    asked = {"events": [{"id": "paid"}], "breakdown": "n"}
    labels = [row["label"] for row in api.post("/insights/trend/", asked).json["result"]]
    assert labels == ["1", "2", "None (i.e. no value)"]
    folded = api.post("/insights/trend/", asked | {"breakdown_limit": 1}).json["result"]
    assert [row["label"] for row in folded] == ["1", "Other (i.e. all remaining values)"]
    assert folded[1]["breakdown_value"] == "$$_posthog_breakdown_other_$$"


def test_numbers_that_json_lacks_are_null_and_marked(api):
    asked = {"kind": "HogQLQuery", "query": "select 1/0, 2, [1, 0/0] union all select -1/0, 3, []"}
    answer = query(api, asked)
    for _ in range(2):  # calculated, then kept
        assert answer.json["results"] == [[None, 2, [1.0, None]], [None, 3, []]]
        assert answer.json["results::inf"] == {"0": {"0": True}, "1": {"0": True}}
        assert answer.json["results::nan"] == {"0": {"2": {"1": True}}}
        answer = query(api, asked)
    shown = api.post("/insights/", {"query": asked}, params={"refresh": "true"}).json
    assert shown["result"] == answer.json["results"]
    assert shown["result::inf"] == answer.json["results::inf"]
    assert "results::nan" not in query(api, {"kind": "HogQLQuery", "query": "select 1.5"}).json


def test_labels_of_hours_have_their_date_on_the_legacy_endpoint(api, captured):
    asked = {"events": [{"id": "signed up"}], "interval": "hour", "date_from": "-1d"}
    (row,) = api.post("/insights/trend/", asked).json["result"]
    assert (row["days"][14], row["labels"][14]) == ("2026-04-01 14:00:00", "1-Apr-2026 14:00")


def test_blank_parameters_of_the_legacy_endpoint_say_nothing(api, captured):
    asked = {"events": '[{"id": "signed up"}]'}
    blank = dict.fromkeys(("interval", "properties", "smoothing_intervals", "display", "breakdown"), "")
    assert (
        api.get("/insights/trend/", params=asked | blank).json["result"]
        == (api.get("/insights/trend/", params=asked).json["result"])
    )


@pytest.mark.parametrize("name", ["target_entity", "returning_entity"])
@pytest.mark.parametrize("value", ["x", 5, [], "[1]", True])
def test_entities_that_are_no_objects_are_refused(api, name, value):
    refused = api.post("/insights/retention/", {name: value})
    error(refused, 400, "validation_error", "invalid_input", "This must be a JSON object.", name)
    assert api.post("/insights/retention/", {name: '{"id": "paid", "type": "events"}'}).status_code == 200
