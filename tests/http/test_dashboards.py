"""Dashboards over HTTP, as far as insights need them (insights-api.md 3.18, 4.7)."""

from __future__ import annotations

import json

import pytest
from tests.builders import TREND
from tests.http.conftest import error

VIZ = {"kind": "InsightVizNode", "source": TREND}
BROKEN = {"kind": "HogQLQuery", "query": "select nothing_of_that_name"}


@pytest.fixture
def captured(log):
    log.project(1).capture(
        [
            {"event": "signed up", "distinct_id": "a", "properties": {"plan": "pro"}},
            {"event": "signed up", "distinct_id": "b", "properties": {"plan": "free"}},
            {"event": "signed up", "distinct_id": "b", "timestamp": "2026-03-10T00:00:00Z"},
        ]
    )


def get(api, path, **params):
    answer = api.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json


def change(api, board, **fields):
    answer = api.patch(f"/dashboards/{board}/", fields)
    assert answer.status_code == 200, answer.text
    return answer.json


def test_made_read_changed_deleted_and_restored(api):
    made = api.post(
        "/dashboards/", {"name": "Growth", "description": "d", "tags": ["B", "a"], "pinned": True, "odd": 1}
    )
    assert made.status_code == 201
    board = made.json
    assert (board["name"], board["description"], board["tags"], board["pinned"]) == ("Growth", "d", ["a", "b"], True)
    assert (board["tiles"], board["filters"], board["variables"], board["deleted"]) == ([], {}, {}, False)
    assert (board["restriction_level"], board["created_by"]["email"]) == (21, "ines@example.com")
    path = f"/dashboards/{board['id']}/"
    assert get(api, path) == board
    assert change(api, board["id"], name="Web")["name"] == "Web"
    assert api.put(path, {"description": None}).json["description"] == ""
    assert change(api, board["id"], deleted=True)["deleted"] is True
    error(api.get(path), 404, "invalid_request", "not_found", "Not found.")
    error(api.patch(path, {"name": "x"}), 404, "invalid_request", "not_found", "Not found.")
    assert get(api, "/dashboards/")["count"] == 0
    assert change(api, board["id"], deleted=False)["name"] == "Web"
    refused = api.delete(path)
    assert (refused.status_code, refused.content) == (405, b"")


def test_lists_have_pages_pinned_first_then_by_name(api):
    for name, pinned in (("b", False), ("a", False), ("z", True)):
        api.board(name, pinned=pinned)
    page = get(api, "/dashboards/", limit="2")
    assert (page["count"], [one["name"] for one in page["results"]]) == (3, ["z", "a"])
    assert "tiles" not in page["results"][0]
    assert page["next"].endswith("/api/projects/1/dashboards/?limit=2&offset=2")
    assert [one["name"] for one in get(api, "/dashboards/", offset="2")["results"]] == ["b"]


def test_an_unnamed_dashboard_has_an_empty_name(api):
    made = api.post("/dashboards/", {})
    assert (made.status_code, made.json["name"]) == (201, "")
    assert get(api, "/dashboards/")["results"][0]["name"] == ""


WRONG = [
    ({"name": "x" * 401}, "max_length", "name"), ({"name": [1]}, "invalid_input", "name"),
    ({"pinned": "maybe"}, "invalid_input", "pinned"), ({"tags": "a"}, "not_a_list", "tags"),
    ({"filters": [1]}, "invalid_input", "filters"), ({"filters": None}, "null", "filters"),
    ({"restriction_level": 5}, "invalid_choice", "restriction_level"),
    ({"restriction_level": "x"}, "invalid_input", "restriction_level"), ({"deleted": None}, "null", "deleted"),
    ({"tiles": 3}, "not_a_list", "tiles"), ({"tiles": [3]}, "invalid_input", "tiles"),
    ({"tiles": [{"text": {"body": "x" * 4001}}]}, "max_length", "tiles"),
    ({"tiles": [{"text": {"body": 5}}]}, "invalid_input", "tiles"), ({"tiles": [{"id": "x"}]}, "invalid_input", "tiles"),
    ({"variables": "x"}, "invalid_input", "variables"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "code", "attr"), WRONG)
def test_a_wrong_value_is_refused_and_changes_nothing(log, api, body, code, attr):
    board = api.board()
    position = log.position()
    for answer in (api.post("/dashboards/", {"name": "new", **body}), api.patch(f"/dashboards/{board}/", body)):
        error(answer, 400, "validation_error", code, attr=attr)
    assert log.position() == position


@pytest.mark.parametrize("name", ["filters_override", "variables_override", "tile_filters_override"])
def test_an_override_that_is_none_is_refused_before_anything_is_written(log, api, name):
    board = api.board()
    position = log.position()
    for answer in (
        api.post("/dashboards/", {"name": "new"}, params={name: "xx"}),
        api.patch(f"/dashboards/{board}/", {"name": "new"}, params={name: "xx"}),
        api.put(f"/dashboards/{board}/", {"name": "new"}, params={name: "[]"}),
    ):
        error(answer, 400, "validation_error", "invalid_input", attr=name)
    assert log.position() == position


def test_a_write_is_answered_as_one_even_when_the_query_cannot_be(api):
    """A 4xx says that nothing was changed, so what cannot be calculated is told inside the answer."""
    made = api.post("/insights/", {"name": "a", "query": BROKEN}, params={"refresh": "blocking"})
    assert made.status_code == 201
    assert (made.json["result"], made.json["query_status"]["error"]) == (None, True)
    assert made.headers["Insightlog-Result"].startswith("failed: ")
    after = api.patch(f"/insights/{made.json['id']}/", {"name": "b"}, params={"refresh": "true"})
    assert (after.status_code, after.json["name"], after.json["query_status"]["error"]) == (200, "b", True)
    assert api.get(f"/insights/{made.json['id']}/", params={"refresh": "true"}).status_code == 400


def test_texts_and_tiles_are_changed_one_by_one(api):
    board = api.board()
    made = api.create(name="a", dashboards=[board])
    tile = made["dashboard_tiles"][0]["id"]
    tiles = change(api, board, tiles=[{"text": {"body": "words"}}])["tiles"]
    assert [(one["order"], one["insight"] and one["insight"]["name"], one["text"] and one["text"]["body"]) for one in tiles] == [
        (0, "a", None), (1, None, "words"),
    ]  # fmt: skip
    text = tiles[1]["id"]
    look = {"layouts": {"sm": {"x": 1}}, "color": "red"}
    tiles = change(api, board, tiles=[{"id": text, "text": {"body": "more"}}, {"id": tile, **look}])["tiles"]
    assert (tiles[1]["text"]["body"], tiles[0]["color"], tiles[0]["layouts"]) == ("more", "red", {"sm": {"x": 1}})
    tiles = change(api, board, tiles=[{"id": text, "deleted": True}])["tiles"]
    assert [one["id"] for one in tiles] == [tile]
    error(
        api.patch(f"/dashboards/{board}/", {"tiles": [{"id": 999, "color": "red"}]}),
        404,
        "invalid_request",
        "not_found",
    )


def test_a_tile_of_another_dashboard_is_not_changed(log, api, other):
    mine, theirs = api.board(), other.board()
    foreign = other.create(name="secret", dashboards=[theirs])["dashboard_tiles"][0]["id"]
    position = log.position()
    answer = api.patch(f"/dashboards/{mine}/", {"name": "x", "tiles": [{"id": foreign, "deleted": True}]})
    error(answer, 404, "invalid_request", "not_found")
    assert log.position() == position
    error(api.get(f"/dashboards/{theirs}/"), 404, "invalid_request", "not_found")
    error(api.patch(f"/dashboards/{theirs}/", {"name": "x"}), 404, "invalid_request", "not_found")


def test_filters_of_the_dashboard_apply_to_its_tiles_and_in_lists(api, captured):
    board = api.board(filters={"date_from": "-60d"})
    made = api.create(query=VIZ, dashboards=[board])
    (tile,) = get(api, f"/dashboards/{board}/", refresh="blocking")["tiles"]
    assert tile["insight"]["result"][0]["count"] == 3
    (listed,) = get(api, "/insights/", from_dashboard=str(board), refresh="blocking")["results"]
    assert listed["result"][0]["count"] == 3
    assert get(api, f"/insights/{made['id']}/", refresh="blocking")["result"][0]["count"] == 2
    override = json.dumps({"properties": [{"key": "plan", "value": "pro", "type": "event"}]})
    found = get(
        api, f"/insights/{made['id']}/", from_dashboard=str(board), filters_override=override, refresh="blocking"
    )
    assert found["result"][0]["count"] == 1
    assert found["query"]["source"]["dateRange"]["date_from"] == "-60d"


def test_filters_of_a_tile_replace_those_of_the_dashboard(api, captured):
    board = api.board(filters={"date_from": "-60d"})
    made = api.create(query=VIZ, dashboards=[board])
    tile = made["dashboard_tiles"][0]["id"]
    change(api, board, tiles=[{"id": tile, "filters_overrides": {"date_from": "-1d"}}])
    found = get(api, f"/insights/{made['id']}/", from_dashboard=str(board), refresh="blocking")
    assert (found["query"]["source"]["dateRange"]["date_from"], found["result"][0]["count"]) == ("-1d", 2)
    override = json.dumps({"date_from": "-90d"})
    found = get(api, f"/insights/{made['id']}/", from_dashboard=str(board), tile_filters_override=override)
    assert found["query"]["source"]["dateRange"]["date_from"] == "-90d"


def test_deleting_a_dashboard_takes_it_from_its_insights_and_back(api):
    board = api.board()
    made = api.create(name="a", dashboards=[board])
    change(api, board, deleted=True)
    shown = get(api, f"/insights/{made['id']}/")
    assert (shown["dashboards"], shown["dashboard_tiles"]) == ([], [])
    assert api.listed(dashboards=f"[{board}]") == []
    assert api.changed(made, dashboards=[board])["dashboards"] == []
    change(api, board, deleted=False)
    assert api.changed(made, dashboards=[board])["dashboards"] == [board]


def test_scopes_of_dashboards(with_scopes):
    reader = with_scopes("dashboard:read", "insight:write")
    assert reader.get("/dashboards/").status_code == 200
    detail = "API key missing required scope 'dashboard:write'"
    error(reader.post("/dashboards/", {}), 403, "authentication_error", "permission_denied", detail)
    error(reader.patch("/dashboards/1/", {}), 403, "authentication_error", "permission_denied", detail)
    detail = "API key missing required scope 'dashboard:read'"
    error(with_scopes("insight:write").get("/dashboards/"), 403, "authentication_error", "permission_denied", detail)


def test_a_new_dashboard_has_its_texts_at_once(log, api):
    made = api.post("/dashboards/", {"name": "a", "tiles": [{"text": {"body": "one"}}, {"text": {"body": "two"}}]})
    assert (made.status_code, [one["text"]["body"] for one in made.json["tiles"]]) == (201, ["one", "two"])
    position = log.position()
    error(
        api.post("/dashboards/", {"name": "a", "tiles": [{"id": 1, "color": "red"}]}),
        404,
        "invalid_request",
        "not_found",
    )
    assert log.position() == position


@pytest.mark.parametrize("filters", ["x", 1, ["a"], False])
def test_filters_of_a_dashboard_pass_over_definitions_that_are_no_objects(api, filters):
    board = api.board(filters={"date_from": "-3d"})
    made = api.create(filters=filters, dashboards=[board])
    shown = api.get(f"/insights/{made['id']}/", params={"filters_override": '{"date_from": "-1d"}'})
    assert (shown.status_code, shown.json["filters"]) == (200, filters)
    (tile,) = api.get(f"/dashboards/{board}/").json["tiles"]
    assert tile["insight"]["filters"] == filters


def move(api, board, tile, to):
    return api.patch(f"/dashboards/{board}/move_tile/", {"tile": {"id": tile}, "toDashboard": to})


def test_a_tile_moves_to_another_dashboard_as_it_looks(api, log):
    one, two = api.board("one"), api.board("two", tiles=[{"text": {"body": "there"}}])
    made = api.create(name="a", dashboards=[one])
    tile = made["dashboard_tiles"][0]["id"]
    look = {"layouts": {"sm": {"x": 1}}, "color": "red", "filters_overrides": {"date_from": "-1d"}}
    tiles = change(api, one, tiles=[{"id": tile, **look}, {"text": {"body": "words"}}])["tiles"]
    left = move(api, one, tile, two)
    assert (left.status_code, left.json["id"]) == (200, one)
    assert [shown["text"]["body"] for shown in left.json["tiles"]] == ["words"]
    arrived = api.get(f"/dashboards/{two}/").json["tiles"]
    assert [shown["insight"] and shown["insight"]["id"] for shown in arrived] == [made["id"], None]
    assert {name: arrived[0][name] for name in look} == look
    assert api.get(f"/insights/{made['id']}/").json["dashboards"] == [two]
    assert api.entries()[0]["detail"]["changes"][0]["after"] == [{"id": two, "name": "two"}]
    assert move(api, one, tiles[1]["id"], two).json["tiles"] == []
    assert [shown["text"]["body"] for shown in api.get(f"/dashboards/{two}/").json["tiles"][1:]] == ["there", "words"]
    position = log.position()
    assert move(api, two, arrived[0]["id"], two).status_code == 200
    assert log.position() == position


def test_a_tile_moves_to_a_dashboard_that_has_its_insight_by_going_away(api):
    one, two = api.board("one"), api.board("two")
    made = api.create(name="a", dashboards=[one, two])
    tiles = {tile["dashboard_id"]: tile["id"] for tile in made["dashboard_tiles"]}
    change(api, one, tiles=[{"id": tiles[one], "color": "red"}])
    assert move(api, one, tiles[one], two).json["tiles"] == []
    (tile,) = api.get(f"/dashboards/{two}/").json["tiles"]
    assert (tile["id"], tile["color"]) == (tiles[two], None)


def test_what_cannot_be_moved_is_refused_and_stays(log, api, other):
    one, two, theirs = api.board("one"), api.board("two"), other.board()
    tile = api.create(name="a", dashboards=[one])["dashboard_tiles"][0]["id"]
    position = log.position()
    path = f"/dashboards/{one}/move_tile/"
    for body, attr in (
        ({"toDashboard": two}, "tile"),
        ({"tile": {"id": tile}}, "toDashboard"),
        ({"tile": tile, "toDashboard": two}, "tile"),
        ({"tile": {}, "toDashboard": two}, "tile__id"),
        ({"tile": {"id": tile}, "toDashboard": None}, "toDashboard"),
        ({"tile": {"id": tile}, "toDashboard": theirs}, "toDashboard"),
        ({"tile": {"id": tile}, "toDashboard": 999}, "toDashboard"),
    ):
        answer = api.patch(path, body)
        assert (answer.status_code, answer.json["attr"]) == (400, attr), answer.text
    for wrong in (move(api, one, 999, two), move(api, two, tile, one), move(api, 999, tile, one)):
        error(wrong, 404, "invalid_request", "not_found")
    assert log.position() == position
