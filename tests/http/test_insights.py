"""Insights over HTTP: list, create, retrieve, update, delete, restore (insights-api.md section 3)."""

from __future__ import annotations

import re

import pytest
from tests.builders import TREND

from insightlog.adapters.http.app import HttpOptions, create_app

from .conftest import Api, error

AT = "2026-04-02T09:15:30.120000Z"
FULL_KEYS = [
    "id", "short_id", "name", "derived_name", "filters", "query", "order", "deleted", "dashboards", "dashboard_tiles",
    "last_refresh", "cache_target_age", "next_allowed_client_refresh", "result", "hasMore", "columns", "created_at",
    "created_by", "description", "updated_at", "tags", "favorited", "saved", "last_modified_at", "last_modified_by",
    "is_sample", "effective_restriction_level", "effective_privilege_level", "user_access_level", "timezone",
    "is_cached", "query_status", "hogql", "types", "resolved_date_range", "alerts", "last_viewed_at",
    "search_match_type", "filters_hash",
]  # fmt: skip
BASIC_KEYS = [
    "id", "short_id", "name", "derived_name", "filters", "query", "dashboards", "dashboard_tiles", "description",
    "last_refresh", "refreshing", "saved", "tags", "updated_at", "created_by", "created_at", "last_modified_at",
    "favorited", "user_access_level", "last_viewed_at", "search_match_type",
]  # fmt: skip


def test_create_from_nothing(api):
    made = api.create()
    assert list(made) == [*FULL_KEYS[:-1], "result_null_reason", FULL_KEYS[-1]]  # ours, as the result is null
    assert list(api.get(f"/insights/{made['id']}/", params={"refresh": "blocking"}).json) == FULL_KEYS
    assert re.fullmatch("[A-Za-z0-9]{8}", made["short_id"])
    expected = {
        "name": None, "derived_name": None, "description": None, "filters": {}, "order": None, "deleted": False,
        "saved": True, "favorited": False, "tags": [], "dashboards": [], "result": None, "is_cached": False,
        "last_refresh": None, "timezone": None, "last_viewed_at": None, "created_at": AT, "updated_at": AT,
        "last_modified_at": AT, "user_access_level": "manager", "is_sample": False,
    }  # fmt: skip
    assert {key: made[key] for key in expected} == expected
    assert made["created_by"] == made["last_modified_by"]
    assert made["created_by"]["email"] == "ines@example.com"
    assert made["filters_hash"].startswith("cache_1_")


TEXT_TOO_LONG = "Ensure this field has no more than 400 characters."
NO_LIST = 'Expected a list of items but got type "str".'
BAD_FIELDS = [
    ({"name": "x" * 401}, "max_length", TEXT_TOO_LONG, "name"),
    ({"derived_name": "x" * 401}, "max_length", TEXT_TOO_LONG, "derived_name"),
    ({"description": "x" * 401}, "max_length", TEXT_TOO_LONG, "description"),
    ({"name": {"a": 1}}, "invalid_input", "Not a valid string.", "name"),
    ({"name": True}, "invalid_input", "Not a valid string.", "name"),
    ({"name": "a\x00b"}, "invalid_input", "Null characters are not allowed.", "name"),
    ({"favorited": "maybe"}, "invalid_input", "Must be a valid boolean.", "favorited"),
    ({"favorited": None}, "null", "This field may not be null.", "favorited"),
    ({"saved": []}, "invalid_input", "Must be a valid boolean.", "saved"),
    ({"deleted": None}, "null", "This field may not be null.", "deleted"),
    ({"filters": None}, "null", "This field may not be null.", "filters"),
    ({"tags": None}, "null", "This field may not be null.", "tags"),
    ({"tags": "a"}, "not_a_list", NO_LIST, "tags"),
    ({"tags": [1, {}]}, "invalid_input", "Not a valid string.", "tags"),
    ({"order": "x"}, "invalid_input", "A valid integer is required.", "order"),
    ({"order": 2**31}, "max_value", "Ensure this value is less than or equal to 2147483647.", "order"),
    ({"order": -(2**31) - 1}, "min_value", "Ensure this value is greater than or equal to -2147483648.", "order"),
    ({"order": 1e300}, "invalid_input", "A valid integer is required.", "order"),
    ({"dashboards": "x"}, "not_a_list", NO_LIST, "dashboards"),
    ({"dashboards": ["x"]}, "incorrect_type", "Incorrect type. Expected pk value, received str.", "dashboards"),
    ({"dashboards": [999]}, "does_not_exist", 'Invalid pk "999" - object does not exist.', "dashboards"),
    ({"query": []}, "invalid_input", "Query must be a valid JSON object", "query"),
    ({"query": ""}, "invalid_input", "Query must be a valid JSON object", "query"),
]


@pytest.mark.parametrize(("body", "code", "detail", "attr"), BAD_FIELDS)
def test_a_wrong_value_is_refused_and_changes_nothing(log, api, body, code, detail, attr):
    made = api.create(name="before")
    position = log.position()
    error(api.post("/insights/", {"name": "new", **body}), 400, "validation_error", code, detail, attr)
    error(api.patch(f"/insights/{made['id']}/", body), 400, "validation_error", code, detail, attr)
    assert log.position() == position


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({"kind": "Nonsense"}, "query.kind"),
        ({"kind": "InsightVizNode", "source": {**TREND, "interval": 7}}, "query.source.interval"),
        ({"kind": "InsightVizNode", "source": "x"}, "query.source"),
        ({**TREND, "series": "x"}, "query.series"),
        ({**TREND, "series": [{"kind": "EventsNode", "math": 3}]}, "query.series[0].math"),
        ({**TREND, "interval": "eon"}, "query.interval"),
        ("SELECT 1", "query"),
        ([1], "query"),
    ],
)
def test_a_query_that_does_not_fit_is_refused_with_the_path(log, api, query, path):
    position = log.position()
    answer = api.post("/insights/", {"query": query})
    assert (answer.status_code, answer.json["type"], answer.json["code"]) == (400, "invalid_request", "parse_error")
    assert answer.json["detail"].startswith(f"{path}: ")
    assert log.position() == position


def test_unknown_fields_of_a_stored_query_survive(api):
    query = {**TREND, "myColour": "red", "series": [{"kind": "EventsNode", "event": "x", "glow": 1}]}
    wrapped = {"kind": "InsightVizNode", "source": query, "shiny": True}
    made = api.create(query=wrapped)
    assert api.get(f"/insights/{made['id']}/").json["query"] == wrapped
    assert api.create(query={"kind": "FunnelsQuery", "series": [], "anything": 1})["query"]["anything"] == 1
    not_yet = {"kind": "InsightVizNode", "source": {"kind": "QuantumQuery"}}
    assert api.create(query=not_yet)["query"] == not_yet
    assert api.create(query={})["query"] == {
        "kind": "InsightVizNode",
        "source": {"kind": "TrendsQuery", "series": []},
        "full": True,
    }


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"{nonsense", "application/json", 400, "parse_error"),
        (b'{"name": NaN}', "application/json", 400, "parse_error"),
        (b'{"name": "\\ud800"}', "application/json", 400, "parse_error"),
        (b'{"name": "\xff"}', "application/json", 400, "parse_error"),
        (b"[1, 2]", "application/json", 400, "parse_error"),
        (b"[" * 100_000, "application/json", 400, "parse_error"),
        (b'{"filters": ' + b'{"a":' * 5000 + b"1" + b"}" * 5001, "application/json", 400, "parse_error"),
        (b"name=x", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b"x", "text/plain", 415, "unsupported_media_type"),
    ],
)
def test_bodies_that_are_no_json_object(log, api, body, content_type, status, code):
    position = log.position()
    answer = api.client.simulate_post(
        "/api/projects/1/insights/",
        body=body,
        headers={"Authorization": f"Bearer {api.key}", "Content-Type": content_type},
    )
    error(answer, status, "invalid_request", code, answer.json["detail"])
    assert log.position() == position


@pytest.mark.parametrize("ref", ["999", "nosuchid", "0", "9" * 40, "%00", "é"])
def test_unknown_insights(api, ref):
    error(api.get(f"/insights/{ref}/"), 404, "invalid_request", "not_found", "Not found.")


def test_filters_are_shown_as_the_query_they_convert_to(api):
    made = api.create(filters={"events": [{"id": "signed up"}]})
    assert made["filters"] == {}
    assert made["query"]["kind"] == "InsightVizNode"
    assert made["query"]["source"]["series"] == [{"kind": "EventsNode", "event": "signed up", "name": "signed up"}]
    assert made["query"]["full"] is True


def test_update_moves_the_times_and_the_editor_as_the_contract_says(api, omar, clock):
    made = api.create(name="a", query=TREND)
    clock.forward(hours=1)
    favoured = omar.patch(f"/insights/{made['id']}/", {"favorited": True}).json
    assert (favoured["updated_at"], favoured["last_modified_at"]) == ("2026-04-02T10:15:30.120000Z", AT)
    assert favoured["last_modified_by"]["email"] == "ines@example.com"
    renamed = omar.patch(f"/insights/{made['short_id']}/", {"name": "b"}).json
    assert renamed["last_modified_at"] == "2026-04-02T10:15:30.120000Z"
    assert renamed["last_modified_by"]["email"] == "omar@example.com"
    assert (renamed["name"], renamed["favorited"], renamed["query"]) == ("b", True, made["query"])
    assert renamed["user_access_level"] == "editor"


@pytest.mark.parametrize("number", [2**63, 2**64, -(2**70)])
def test_numbers_that_no_row_has_are_no_crash(api, number):
    assert api.get("/insights/", params={"created_by": f"[{number}]"}).status_code in {200, 400}
    assert api.post("/insights/viewed/", {"insight_ids": [number]}).status_code in {200, 400}
    assert api.get(f"/insights/{number}/").status_code == 404


def test_texts_lose_the_white_space_around_them(api):
    """As PostHog's serializers have it; what is left may have 400 characters."""
    made = api.create(name="  Views\n", description=f"\t{'d' * 400} ", derived_name=" ")
    assert (made["name"], made["description"], made["derived_name"]) == ("Views", "d" * 400, "")
    assert api.changed(made, name=" Views ")["name"] == "Views"
    assert len(api.entries(made)) == 1, "nothing changed, nothing is told"
    for path, more in (("dashboards", {}), ("actions", {"steps": [{"event": "x"}]}), ("cohorts", {"is_static": True})):
        shown = api.post(f"/{path}/", {"name": f" {path} ", "description": " d ", **more}).json
        assert (shown["name"], shown["description"]) == (path, "d"), shown


def test_list_filters(api, omar):
    first = api.create(name="Signups 100%", tags=["growth"], favorited=True, order=2)
    second = omar.create(description="signups_by_day", saved=False, order=1, tags=["web", "growth"])
    third = api.create(derived_name="Pageviews")

    def ids(**params):
        return [one["id"] for one in api.get("/insights/", params=params).json["results"]]

    assert ids() == [second["id"], first["id"], third["id"]]
    assert ids(favorited="false") == [first["id"]]
    assert ids(user="anything") == [first["id"], third["id"]]
    assert ids(created_by="2") == ids(created_by="[2]") == [second["id"]]
    assert ids(created_by="[1,2]") == [second["id"], first["id"], third["id"]]
    assert ids(created_by="[]") == ids()
    assert ids(saved="false") == [second["id"]]
    assert ids(saved="true") == [first["id"], third["id"]]
    assert ids(short_id=third["short_id"]) == [third["id"]]
    assert ids(short_id="") == ids()
    assert ids(tags='["web","growth"]') == [second["id"], first["id"]]
    assert api.get("/insights/", params={"search": "web"}).json["results"][0]["search_match_type"] == "exact"
    assert ids(tags='["GROWTH"]') == [second["id"], first["id"]]
    assert ids(search="SIGNUPS") == [first["id"], second["id"]]
    assert ids(search="100%") == [first["id"]]
    assert ids(search="signups_") == [second["id"]]
    assert ids(search="web") == [second["id"]]
    assert ids(order="-id") == [third["id"], second["id"], first["id"]]
    assert ids(order="-order") == [first["id"], second["id"], third["id"]]
    assert ids(unknown="1", limit="1") == [second["id"]]


@pytest.mark.parametrize(("name", "value"), [("order", "nonsense"), ("order", "id; DROP TABLE insights"), ("tags", "[x"),
                                             ("tags", '{"a":1}'), ("created_by", "x"), ("created_by", "[null]")])  # fmt: skip
def test_list_parameters_that_cannot_be_read(api, name, value):
    answer = api.get("/insights/", params={name: value})
    error(answer, 400, "validation_error", "invalid_input", answer.json["detail"], name)


def test_legacy_filters_are_echoed_when_the_server_is_told_to(log, api):
    filters = {"insight": "TRENDS", "events": [{"id": "$pageview"}]}
    made = api.create(filters=filters)
    assert made["filters"] == {}
    echoing = Api(create_app(log, HttpOptions(legacy_filters_echo=True)), api.key)
    for answer in (
        echoing.get(f"/insights/{made['id']}/").json,
        *echoing.get("/insights/").json["results"],
        *echoing.get("/insights/", params={"basic": "true"}).json["results"],
        *echoing.get("/insights/my_last_viewed/").json,
    ):
        assert answer["filters"] == filters
        assert answer["query"] == made["query"]
    asked = echoing.create(query={"kind": "InsightVizNode", "source": {"kind": "TrendsQuery", "series": []}})
    assert asked["filters"] == {}
