"""Statements 56 to 67 of the contract's checklist: retrieving one insight, alone and on a dashboard."""

from __future__ import annotations

import json

import pytest
from tests.builders import TREND
from tests.http.conftest import error

VIZ = {"kind": "InsightVizNode", "source": TREND}


def get(api, ref, **params):
    answer = api.get(f"/insights/{ref}/", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json


@pytest.fixture
def captured(log):
    log.project(1).capture(
        [
            {"event": "signed up", "distinct_id": "a"},
            {"event": "signed up", "distinct_id": "b", "timestamp": "2026-03-10T00:00:00Z"},
        ]
    )


def test_056_by_id_and_by_short_id(api):
    made = api.create(name="a", query=TREND)
    assert get(api, made["id"]) == get(api, made["short_id"])


def test_057_a_short_id_of_digits_that_is_no_id(api, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("insightlog.application.insights.ALPHABET", "7")
        made = api.create(name="a")
    assert made["short_id"] == "77777777"
    assert get(api, "77777777")["id"] == made["id"]
    assert api.changed({"id": "77777777"}, name="b")["id"] == made["id"]


def test_058_a_foreign_and_a_deleted_insight_are_not_found(api, other):
    foreign, gone = other.create(name="secret"), api.create(name="a")
    api.changed(gone, deleted=True)
    for ref in (foreign["id"], foreign["short_id"], gone["id"], gone["short_id"]):
        error(api.get(f"/insights/{ref}/"), 404, "invalid_request", "not_found", "Not found.")


def test_059_without_refresh_and_cache_there_is_no_result(api, captured):
    found = get(api, api.create(query=TREND)["id"])
    assert (found["result"], found["is_cached"], found["last_refresh"], found["timezone"]) == (None, False, None, None)
    assert found["filters_hash"].startswith("cache_1_")


def test_060_a_refresh_calculates_and_the_next_look_is_cached(api, captured, clock):
    made = api.create(query=TREND)
    first = get(api, made["id"], refresh="true")
    assert (first["result"][0]["count"], first["is_cached"]) == (1, False)
    clock.forward(minutes=1)
    again = get(api, made["id"])
    assert (again["is_cached"], again["last_refresh"], again["result"]) == (
        True,
        first["last_refresh"],
        first["result"],
    )


def test_061_filters_are_shown_as_a_query(api):
    made = api.create(filters={"insight": "FUNNELS", "events": [{"id": "a", "order": 0}, {"id": "b", "order": 1}]})
    found = get(api, made["id"])
    assert found["filters"] == {}
    assert (found["query"]["kind"], found["query"]["source"]["kind"]) == ("InsightVizNode", "FunnelsQuery")
    assert [one["event"] for one in found["query"]["source"]["series"]] == ["a", "b"]


def test_062_retrieving_is_no_view(log, api, omar):
    made = api.create(name="a")
    position = log.position()
    get(omar, made["id"], refresh="true")
    get(omar, made["short_id"], basic="true")
    assert log.position() == position
    assert omar.get("/insights/my_last_viewed/").json == []


def test_063_last_viewed_at_is_null(api):
    made = api.create(name="a")
    assert made["last_viewed_at"] is None
    assert get(api, made["id"])["last_viewed_at"] is None
    assert api.get("/insights/").json["results"][0]["last_viewed_at"] is not None


def test_064_on_a_dashboard(api, other, captured):
    board = api.board(filters={"date_from": "-60d"})
    made = api.create(query=VIZ, dashboards=[board])
    tile = made["dashboard_tiles"][0]["id"]
    api.patch(f"/dashboards/{board}/", {"tiles": [{"id": tile, "color": "blue", "layouts": {"sm": {"x": 1}}}]})
    found = get(api, made["id"], from_dashboard=board, refresh="true")
    assert (found["color"], found["layouts"]) == ("blue", {"sm": {"x": 1}})
    assert found["query"]["source"]["dateRange"] == {"date_from": "-60d", "date_to": None}
    assert found["result"][0]["count"] == 2
    plain = get(api, made["id"])
    assert plain["query"] == VIZ
    assert {"color", "layouts"}.isdisjoint(plain)
    foreign, elsewhere = other.board(filters={"date_from": "-1h"}), api.board(filters={"date_from": "-1h"})
    for ignored in (foreign, elsewhere, 999, "x"):
        assert get(api, made["id"], from_dashboard=ignored) == plain


def test_065_an_override_changes_the_answer_only(api, captured):
    made = api.create(query=VIZ)
    found = get(api, made["id"], filters_override=json.dumps({"date_from": "-30d"}), refresh="true")
    assert found["query"]["source"]["dateRange"] == {"date_from": "-30d", "date_to": None}
    assert found["result"][0]["count"] == 2
    assert get(api, made["id"], refresh="true")["result"][0]["count"] == 1
    assert get(api, made["id"])["query"] == VIZ


@pytest.mark.parametrize("name", ["filters_override", "variables_override", "tile_filters_override"])
@pytest.mark.parametrize("value", ["xx", "[1]", "{", "1"])
def test_066_an_override_that_is_no_object(api, name, value):
    made = api.create(query=VIZ)
    for path in (f"/insights/{made['id']}/", "/insights/"):
        answer = api.get(path, params={name: value})
        detail = f"Invalid JSON passed in {name} parameter"
        error(answer, 400, "validation_error", "invalid_input", detail, name)


def test_067_basic_calculates_nothing(api, captured):
    made = api.create(query=TREND)
    assert "result" not in get(api, made["id"], basic="true", refresh="true")
    assert get(api, made["id"])["last_refresh"] is None
