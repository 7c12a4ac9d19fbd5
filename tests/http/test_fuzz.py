"""Whatever a client sends: never a 5xx, errors in the contract's shape, and a refused request writes nothing."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.builders import TREND

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
REFS = (
    "1",
    "2",
    "0",
    "-1",
    "99",
    "abcdefgh",
    "9" * 30,
    "activity",
    "viewed",
    "x.csv",
    "1.csv",
    "\x00",
    "é",
    "..",
    "'--",
)
PATHS = (
    "", "/{}", "/{}/viewed", "/{}/activity", "/{}/sharing", "/my_last_viewed", "/activity", "/trend", "/viewed", "/trending",
    "/{}/sharing/refresh", "/{}/sharing/passwords", "/1/sharing/passwords/{}", "/{}/access_controls",
    "/{}/users_with_access", "/{}/resource_access_controls", "/cancel", "/timing", "/funnel", "/retention", "/path",
)  # fmt: skip
BOARDS = ("", "/1", "/2", "/{}")
NAMES = (
    "limit", "offset", "page", "order", "search", "tags", "created_by", "saved", "favorited", "user", "basic",
    "refresh", "format", "short_id", "events", "interval", "date_from", "properties", "personal_api_key", "insight",
    "breakdown", "display", "compare", "data", "compression", "from_dashboard", "filters_override", "variables_override",
    "tile_filters_override", "dashboards", "created_date_from", "last_viewed_date_to", "feature_flag", "days", "total_intervals",
    "sharing_access_token", "sampling_factor", "breakdown_limit", "smoothing_intervals", "funnel_window_days",
)  # fmt: skip
FIELDS = (
    "name",
    "derived_name",
    "description",
    "query",
    "filters",
    "order",
    "deleted",
    "favorited",
    "saved",
    "tags",
    "dashboards",
    "enabled",
    "settings",
    "password_required",
    "insight_ids",
    "refresh",
    "events",
    "actions",
    "properties",
    "interval",
    "date_from",
    "date_to",
    "breakdown",
    "personal_api_key",
    "api_key",
    "batch",
    "event",
    "distinct_id",
    "timestamp",
    "sent_at",
    "uuid",
    "offset",
    "kind",
    "series",
    "access_level",
    "organization_member",
    "role",
    "raw_password",
    "note",
    "expires_at",
    "client_query_id",
    "days",
)
BOARD_FIELDS = (
    "name", "description", "pinned", "filters", "variables", "tags", "restriction_level", "deleted", "tiles", "id", "text",
    "body", "color", "layouts", "filters_overrides", "creation_mode",
)  # fmt: skip
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["", "-7d", "day", "true", "TrendsQuery", "a" * 500, "2026-01-01", "$pageview", TREND]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
bodies = st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=4).map(json.dumps) | json_values.map(json.dumps)
raw = bodies.map(str.encode) | st.binary(max_size=40) | st.just(b"[" * 300)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
params = st.lists(
    st.tuples(st.sampled_from(NAMES), texts | st.sampled_from(["1", "-1", "[1]", "true", "[", "{}"])), max_size=3
)
media = st.sampled_from(
    ["application/json", "", "text/plain", "application/x-www-form-urlencoded", "a/b; charset=é", "json"]
)
relaxed = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def filled(api):
    api.create(name="one", query=TREND)
    api.create(name="two", tags=["a"])
    api.patch("/insights/2/", {"deleted": True})
    api.board("one")
    api.patch("/insights/1/", {"dashboards": [1]})
    api.patch("/dashboards/1/", {"tiles": [{"text": {"body": "words"}}]})
    return api


def check(answer, method):
    assert answer.status_code < 500, answer.text
    assert "Traceback" not in answer.text
    if answer.status_code >= 400 and method != "HEAD" and not (method == "DELETE" and answer.status_code == 405):
        is_csv = answer.headers["Content-Type"].startswith("text/csv")
        keys = set(answer.text.splitlines()[0].split(",") if is_csv else answer.json)
        assert keys == {"type", "code", "detail", "attr"} or (keys == {"error"} and "assword" in answer.text), (
            answer.text
        )


@relaxed
@given(st.sampled_from(METHODS), st.sampled_from(PATHS), st.sampled_from(REFS), params, raw, media)
def test_requests_about_insights(log, filled, method, path, ref, given_params, body, content_type):
    position = log.position()
    query = "&".join(f"{quote(name)}={quote(value)}" for name, value in given_params)
    answer = filled(
        method,
        "/insights" + path.format(quote(ref)),
        body=body,
        query_string=query,
        headers={"Content-Type": content_type.encode().decode("latin-1")},
    )
    check(answer, method)
    if answer.status_code >= 400:
        assert log.position() == position


board_values = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 40) | st.integers() | st.text(max_size=8)
    | st.sampled_from(["", "-7d", "a" * 500, 21, 37, {"date_from": "-7d"}, {"properties": [{"key": "a", "value": "b"}]}]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(BOARD_FIELDS), inner, max_size=4),
    max_leaves=10,
)  # fmt: skip


@relaxed
@given(
    st.sampled_from(METHODS), st.sampled_from(BOARDS), st.sampled_from(REFS), params,
    st.dictionaries(st.sampled_from(BOARD_FIELDS), board_values, max_size=4),
)  # fmt: skip
def test_requests_about_dashboards(log, filled, method, path, ref, given_params, body):
    position = log.position()
    query = "&".join(f"{quote(name)}={quote(value)}" for name, value in given_params)
    answer = filled(method, "/dashboards" + path.format(quote(ref)), body, query_string=query)
    check(answer, method)
    if answer.status_code >= 400:
        assert log.position() == position
    elif method not in {"HEAD", "OPTIONS"}:
        assert filled.get("/dashboards/", params={"limit": "5"}).status_code == 200
        assert filled.get("/insights/1/", params={"from_dashboard": "1", "refresh": "blocking"}).status_code == 200


@relaxed
@given(st.dictionaries(st.sampled_from(["query", "refresh", "async", "client_query_id"]), json_values, max_size=3))
def test_queries(filled, body):
    check(filled("POST", "/query/", body=json.dumps(body)), "POST")


node_changes = st.dictionaries(
    st.sampled_from(["series", "interval", "dateRange", "properties", "breakdownFilter", "trendsFilter", "compareFilter"]),
    json_values
    | st.sampled_from(
        [
            {"date_from": "-1000000y"}, {"date_from": "all"}, {"breakdown": "a.b"}, {"breakdown": ""},
            {"breakdown": "x", "breakdown_limit": 10**12}, {"compare": True, "compare_to": "-1y"},
            {"display": "ActionsPie"}, [{"key": "a", "value": "(", "operator": "regex"}],
            [{"key": "a", "value": ["1", None], "operator": "gt"}], {"type": "OR", "values": []},
        ]
    ),
    max_size=3,
)  # fmt: skip


@relaxed
@given(node_changes)
def test_trends_around_the_schema(filled, changes):
    check(filled("POST", "/query/", body=json.dumps({"query": {**TREND, **changes}})), "POST")


CAPTURE_PATHS = ("/batch/", "/e/", "/capture", "/i/v0/e/", "/engage/", "/track/", "/s/", "/i/v1/analytics/events")
IN_BATCH = st.fixed_dictionaries(
    {"uuid": st.sampled_from(["01890a5d-ac96-774b-bcce-b302099a8051", "x", 1])},
    optional=dict.fromkeys(("event", "distinct_id", "timestamp", "session_id", "properties", "options"), json_values),
)


@relaxed
@given(
    st.lists(IN_BATCH, min_size=1, max_size=3), st.dictionaries(st.sampled_from(["cookieless_mode", "x"]), json_values)
)
def test_batches_that_are_answered_one_by_one(filled, batch, options):
    batch[0]["options"] = options
    answer = filled.client.simulate_post(
        "/i/v1/analytics/events", body=json.dumps({"batch": batch}), headers={"Authorization": "Bearer phc_one"}
    )
    assert answer.status_code in {200, 400}, answer.text
    assert answer.status_code == 400 or len(answer.json["results"]) >= 1


@relaxed
@given(st.sampled_from(CAPTURE_PATHS), raw, params, media)
def test_capture(filled, path, body, given_params, content_type):
    query = "&".join(f"{quote(name)}={quote(value)}" for name, value in given_params)
    answer = filled.client.simulate_post(
        path, body=body, query_string=query, headers={"Content-Type": content_type.encode().decode("latin-1")}
    )
    assert answer.status_code < 500, answer.text
    assert "Traceback" not in answer.text
