"""What only a pedantic client notices: which of two errors is said, which field is named, where nothing is sorted."""

from __future__ import annotations

import itertools
import json
import time
from datetime import timedelta

import pytest
from falcon import testing
from tests.builders import TREND
from tests.http.conftest import error

NOT_FOUND = (404, "invalid_request", "not_found")
INVALID = (400, "validation_error", "invalid_input")
EVENTS = json.dumps([{"id": "signed up"}])


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_what_is_not_there_is_said_before_what_is_wrong_with_the_body(log, api, omar, method):
    gone = api.create(name="gone")
    api.changed(gone, deleted=True)
    for ref in (gone["id"], 999, "nowhere"):
        error(api(method, f"/insights/{ref}/", {"favorited": None}), *NOT_FOUND, "Not found.")
        error(api.patch(f"/insights/{ref}/sharing/", {"enabled": "maybe"}), *NOT_FOUND, "Insight not found.")
    assert api("PATCH", f"/insights/{gone['id']}/", {"deleted": False, "favorited": None}).json["attr"] == "favorited"
    mine = api.create(name="mine")
    api.put(f"/insights/{mine['id']}/access_controls/", {"access_level": "viewer"})
    refused = omar(method, f"/insights/{mine['id']}/", {"favorited": None})
    error(refused, 403, "authentication_error", "permission_denied")
    malformed = api(method, "/insights/999/", body="{", headers={"Content-Type": "application/json"})
    error(malformed, 400, "invalid_request", "parse_error")


def test_an_empty_format_is_none(api):
    assert api.get("/insights/?format=").json["count"] == 0
    error(api.get("/insights/?format=xml"), *NOT_FOUND)


def test_what_has_no_value_is_sorted_behind_the_rest_in_either_direction(log, api, omar):
    unnamed, named = api.create()["id"], omar.create(name="b", derived_name="x", order=2, description="d")["id"]
    machine = log.project(1).insights.create(name="a").id
    assert api.listed(order="name") == [machine, named, unnamed]
    assert api.listed(order="-name") == [named, machine, unnamed]
    assert api.listed(order="created_by") == [unnamed, named, machine]
    assert api.listed(order="-created_by") == [named, unnamed, machine]
    assert api.listed(order="order") == api.listed() == [named, unnamed, machine]
    assert api.listed(order="-order") == [named, unnamed, machine]
    assert api.listed(order="last_viewed_at")[0] == machine
    assert api.listed(order="-last_viewed_at")[-1] == machine
    assert api.listed(order="name", limit=1, offset=2) == [unnamed]


def test_a_search_with_a_character_that_no_text_has(api):
    error(api.get("/insights/", params={"search": "a\x00"}), *INVALID, "Not a valid string.", "search")


@pytest.mark.parametrize("name", ["generate_metadata", "bulk_update_tags"])
def test_what_is_not_served_is_no_insight(api, name):
    for method in ("GET", "POST"):
        error(api(method, f"/insights/{name}/", {}), *NOT_FOUND, "Not found.")


WRONG = [
    ("trend", "events", "x"), ("trend", "events", "{"), ("trend", "events", "[1]"), ("trend", "events", "{}"),
    ("trend", "actions", "[1]"), ("trend", "actions", '[{"id": "x"}]'), ("trend", "breakdowns", "x"),
    ("trend", "date_from", "soon"), ("trend", "date_to", "2026-99-01"), ("trend", "interval", "century"),
    ("trend", "formula", "A+"), ("trend", "breakdown_limit", "x"), ("trend", "sampling_factor", "x"),
    ("trend", "sampling_factor", "2"), ("trend", "smoothing_intervals", "x"), ("trend", "smoothing_intervals", "0"),
    ("trend", "properties", '[{"key": "a", "value": 1, "operator": "like"}]'),
    ("funnel", "funnel_window_interval", "x"), ("funnel", "funnel_window_interval", "0"),
    ("funnel", "funnel_window_interval_unit", "year"), ("funnel", "funnel_window_days", "x"),
    ("funnel", "funnel_viz_type", "pie"), ("funnel", "funnel_order_type", "any"), ("funnel", "bin_count", "x"),
    ("funnel", "exclusions", "x"), ("funnel", "funnel_aggregate_by_hogql", "f("),
    ("funnel", "exclusions", '[{"id": "x", "type": "events", "funnel_from_step": 0, "funnel_to_step": 9}]'),
    ("funnel/correlation", "funnel_correlation_type", "any"), ("funnel/correlation", "date_from", "soon"),
    ("retention", "total_intervals", "x"), ("retention", "period", "Century"), ("path", "step_limit", "x"),
    ("path", "edge_limit", "x"), ("path", "date_to", "soon"),
]  # fmt: skip


def test_legacy_endpoints_name_the_parameter_that_is_wrong(api):
    events = json.dumps([{"id": "a", "order": 0}, {"id": "b", "order": 1}])
    for endpoint, name, value in WRONG:
        answer = api.get(f"/insights/{endpoint}/", params={"events": events, name: value})
        assert (answer.status_code, answer.json["type"], answer.json["attr"]) == (400, "validation_error", name), value


def test_legacy_endpoints_name_the_field_that_a_math_lacks(api):
    for math, field in (("sum", "math_property"), ("unique_group", "math_group_type_index"), ("hogql", "math_hogql")):
        answer = api.get("/insights/trend/", params={"events": json.dumps([{"id": "a", "math": math}])})
        error(answer, 400, "validation_error", "required", attr=field)


def test_legacy_bodies_may_hold_lists_as_text_and_are_refused_with_the_same_names(api):
    assert api.post("/insights/trend/", {"events": EVENTS}).json["result"][0]["label"] == "signed up"
    for body, attr in (({"events": "x"}, "events"), ({"events": [1]}, "events"), ({"interval": 5}, "interval")):
        answer = api.post("/insights/trend/", body)
        assert (answer.status_code, answer.json["attr"]) == (400, attr)


NO_TEXTS = [
    ({"description": {"a": 1}}, "description"), ({"description": ["a"]}, "description"),
    ({"description": True}, "description"), ({"description": "a\x00"}, "description"),
    ({"tiles": [{"text": "a"}]}, "tiles"), ({"tiles": [{"text": ["a"]}]}, "tiles"),
]  # fmt: skip


def test_a_dashboard_is_not_made_of_what_is_no_text(log, api):
    position = log.position()
    for body, attr in NO_TEXTS:
        answer = api.post("/dashboards/", body)
        assert (answer.status_code, answer.json["code"], answer.json["attr"]) == (400, "invalid_input", attr), body
    assert log.position() == position


def test_a_tile_tells_when_its_insight_was_calculated(log, api):
    board = api.board()
    api.create(query={"kind": "TrendsQuery", "series": [{"kind": "EventsNode", "event": "a"}]}, dashboards=[board])
    (tile,) = api.get(f"/dashboards/{board}/").json["tiles"]
    assert (tile["last_refresh"], tile["is_cached"]) == (None, False)
    (tile,) = api.get(f"/dashboards/{board}/?refresh=blocking").json["tiles"]
    assert (tile["last_refresh"], tile["is_cached"]) == (tile["insight"]["last_refresh"], False)
    assert tile["last_refresh"] is not None
    (tile,) = api.get(f"/dashboards/{board}/").json["tiles"]
    assert (tile["last_refresh"], tile["is_cached"]) == (tile["insight"]["last_refresh"], True)


def test_a_sent_at_that_is_no_text_is_none(log, app, clock):
    at = (clock.now - timedelta(hours=2)).isoformat()
    for sent_at in (5, True, [], {}, None):
        event = {"event": "a", "distinct_id": "a", "timestamp": at}
        body = {"api_key": "phc_one", "batch": [event], "sent_at": sent_at}
        assert testing.TestClient(app).simulate_post("/batch/", json=body).status_code == 200
    assert {one.timestamp.isoformat() for one in log.project(1).captured.events()} == {at}


@pytest.fixture
def in_new_york(monkeypatch):
    """The machine's clock is set to another zone than UTC."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_times_of_events_are_utc_whatever_the_machines_zone_and_however_early(log, api, in_new_york):
    moments = ["2026-01-01T12:00:00Z", "0001-01-01T00:00:00Z"]
    log.project(1).capture([{"event": "a", "distinct_id": "a", "timestamp": at} for at in moments])
    listed = api.get("/events/").json["results"]
    assert [one["timestamp"] for one in listed] == moments
    assert [api.get(f"/events/{one['id']}/").json["timestamp"] for one in listed] == moments
    assert api.get("/events/?limit=1").json["next"] is not None
    assert [one.timestamp.utcoffset() for one in log.project(1).captured.events()] == [timedelta(0)] * 2
    person = api.get("/persons/").json["results"][0]
    assert person["created_at"] == moments[0]
    assert api.get("/event_definitions/").json["results"][0]["first_seen_at"] == moments[1]


EDGES = [
    {"date_from": "0001-01-01"}, {"date_to": "0001-01-01"}, {"date_from": "0001-01-01", "date_to": "0001-01-02"},
    {"date_to": "9999-12-31"}, {"date_from": "9999-12-31", "date_to": "9999-12-31"},
    {"date_from": "0001-01-01", "date_to": "9999-12-31"}, {"date_from": "0001-01-01T00:00:00+14:00"}, {"date_from": "all"},
]  # fmt: skip
STEPS = [{"kind": "EventsNode", "event": "a"}, {"kind": "EventsNode", "event": "b"}]


QUERIES = [
    {"kind": "TrendsQuery", "series": STEPS, "interval": "month"},
    {"kind": "TrendsQuery", "series": STEPS, "interval": "month", "compareFilter": {"compare": True}},
    {"kind": "TrendsQuery", "series": [{**STEPS[0], "math": "monthly_active"}], "interval": "week"},
    {"kind": "StickinessQuery", "series": STEPS, "interval": "month"},
    {"kind": "LifecycleQuery", "series": STEPS[:1], "interval": "month"},
    {"kind": "FunnelsQuery", "series": STEPS, "funnelsFilter": {"funnelVizType": "trends"}, "interval": "month"},
    {"kind": "RetentionQuery", "retentionFilter": {"period": "Month"}},
    {"kind": "RetentionQuery", "retentionFilter": {"period": "Week", "totalIntervals": 1000}},
    {"kind": "PathsQuery", "pathsFilter": {}},
]


def test_the_ends_of_the_calendar_are_answered_or_refused(log, api):
    log.project(1).capture([{"event": "a", "distinct_id": "a", "timestamp": at} for at in ("0001-01-01", "2026-04-01")])
    for query, edge in itertools.product(QUERIES, EDGES):
        answer = api.post("/query/", {"query": {**query, "dateRange": edge}})
        assert answer.status_code in (200, 400), (edge, answer.text)
        if answer.status_code == 400:
            assert answer.json["attr"].startswith("query"), answer.text


def test_a_range_of_too_many_months_is_refused_before_it_is_planned(api):
    asked = {"kind": "TrendsQuery", "series": STEPS[:1], "interval": "month", "dateRange": {"date_from": "1700-01-01"}}
    error(api.post("/query/", {"query": asked}), *INVALID, attr="query__interval")


AGENT = {"X-PostHog-Client": "mcp"}
SQL = {"kind": "HogQLQuery", "query": "select 1"}
VIZ = {"kind": "InsightVizNode", "source": TREND}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (TREND, VIZ), (SQL, {"kind": "DataVisualizationNode", "source": SQL}), (VIZ, VIZ),
        ({"kind": "DataVisualizationNode", "source": SQL, "display": "BoldNumber"},) * 2,
    ],
)  # fmt: skip
def test_bare_queries_of_agents_are_wrapped(api, sent, kept):
    made = api.post("/insights/", {"name": "a", "query": sent}, headers=AGENT)
    assert (made.status_code, made.json["query"]) == (201, kept)
    other = api.create(name="b", query=sent)
    assert other["query"] == sent
    after = api.patch(f"/insights/{other['id']}/", {"query": sent}, headers=AGENT)
    assert (after.status_code, after.json["query"]) == (200, kept)


def test_agents_save_insights_with_a_query_only(log, api):
    made, position = api.create(name="a", query=TREND), log.position()
    required = api.post("/insights/", {"name": "b"}, headers=AGENT)
    error(required, 400, "validation_error", "required", "This field is required.", "query")
    nothing = api.post("/insights/", {"name": "b", "query": None}, headers=AGENT)
    error(nothing, 400, "validation_error", "null", "This field may not be null.", "query")
    table = {"kind": "DataTableNode", "source": {"kind": "EventsQuery", "select": ["event"]}}
    for query in (table, {}):
        for refused in (
            api.post("/insights/", {"query": query}, headers=AGENT),
            api.patch(f"/insights/{made['id']}/", {"query": query}, headers=AGENT),
        ):
            error(refused, 400, "validation_error", "invalid_input", attr="query")
            assert refused.json["detail"].startswith("This query can't be saved: ")
    assert log.position() == position
    assert api.patch(f"/insights/{made['id']}/", {"name": "c"}, headers=AGENT).json["query"] == TREND
    assert api.patch(f"/insights/{made['id']}/", {"query": None}, headers=AGENT).status_code == 200


@pytest.mark.parametrize(("value", "found"), [("1", ["a"]), ("no", ["b"]), ("", ["b"]), ("perhaps", ["b"])])
def test_saved_means_unsaved_unless_it_says_yes(api, value, found):
    api.create(name="a")
    api.create(name="b", saved=False)
    listed = api.get("/insights/", params={"saved": value}).json["results"]
    assert [one["name"] for one in listed] == found
    assert api.get("/insights/").json["count"] == 2


@pytest.mark.parametrize(("value", "status"), [(True, 202), ("true", 202), (False, 200), ("0", 200), (None, 200)])
def test_a_query_is_asked_for_in_the_background_by_a_switch(api, value, status):
    assert api.post("/query/", {"query": TREND, "async": value}).status_code == status
    error(api.post("/query/", {"query": TREND, "async": "maybe"}), *INVALID, attr="async")
