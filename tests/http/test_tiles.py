"""Tiles of a dashboard one by one, as PostHog's command line and agents change them."""

from __future__ import annotations

import pytest
from tests.builders import TREND

from insightlog.adapters.storage.sqlite.event_store import SQLiteEventStore

from .conftest import error


@pytest.fixture
def board(api):
    return api.board("one")


def tiles(api, board):
    return api.get(f"/dashboards/{board}/").json["tiles"]


def added(api, board, body="words", **look):
    answer = api.post(f"/dashboards/{board}/create_text_tile/", {"type": "text", "body": body, **look})
    assert answer.status_code == 201, answer.text
    return answer.json


def standing(api, board, **fields):
    """Make an insight on a dashboard and return the id of its tile."""
    return api.create(dashboards=[board], **fields)["dashboard_tiles"][0]["id"]


def at(x, y, w=6, h=5):
    return {"sm": {"x": x, "y": y, "w": w, "h": h}}


def test_a_text_is_added_changed_and_taken_off(api, board):
    made = added(api, board, "# Growth", layouts=at(0, 3), color="blue")
    assert (made["text"]["body"], made["layouts"], made["color"]) == ("# Growth", at(0, 3), "blue")
    assert tiles(api, board) == [made]
    path = f"/dashboards/{board}/update_text_tile/"
    changed = api.post(path, {"tile_id": made["id"], "body": "# Decline"}).json
    assert changed == made | {"text": changed["text"]}
    assert (changed["text"]["id"], changed["text"]["body"]) == (made["id"], "# Decline")
    assert api.post(path, {"tile_id": made["id"], "color": ""}).json["color"] is None
    gone = api.post(f"/dashboards/{board}/delete_tile/", {"tile_id": made["id"]})
    assert (gone.status_code, gone.content) == (204, b"")
    assert tiles(api, board) == []


def test_a_new_text_in_an_edit_or_a_new_dashboard_keeps_its_look(api, board):
    new = {"text": {"body": "words"}, "layouts": at(6, 0), "color": "red"}
    later = api.patch(f"/dashboards/{board}/", {"tiles": [{"text": {"body": "plain"}}, new]}).json["tiles"]
    first = api.get(f"/dashboards/{api.board('two', tiles=[new])}/").json["tiles"]
    for shown in (later, first):
        assert [(one["layouts"], one["color"]) for one in shown if one["text"]["body"] == "words"] == [
            (at(6, 0), "red")
        ]
    assert [one["layouts"] for one in later if one["text"]["body"] == "plain"] == [{}]


def test_tiles_are_shown_as_they_stand(api, board):
    first, second = standing(api, board, name="a"), standing(api, board, name="b")
    text = added(api, board, layouts=at(0, 0))["id"]
    api.patch(
        f"/dashboards/{board}/", {"tiles": [{"id": first, "layouts": at(0, 10)}, {"id": second, "layouts": at(6, 0)}]}
    )
    assert [(one["id"], one["order"]) for one in tiles(api, board)] == [(text, 0), (second, 1), (first, 2)]


def test_tiles_are_put_into_an_order(api, board):
    ids = [standing(api, board, name=name) for name in "abc"]
    path = f"/dashboards/{board}/reorder_tiles/"
    answer = api.post(path, {"tile_order": [ids[2], ids[0], ids[1]], "layout": "two_column"}).json
    assert [one["id"] for one in answer["tiles"]] == [ids[2], ids[0], ids[1]]
    assert [one["layouts"]["sm"]["x"] for one in answer["tiles"]] == [0, 6, 0]
    kept = api.post(path, {"tile_order": [ids[1], ids[2], ids[0]]}).json["tiles"]
    assert [one["id"] for one in kept] == [ids[1], ids[2], ids[0]]
    for body, attr in (
        ({}, "tile_order"), ({"tile_order": []}, "tile_order"), ({"tile_order": 1}, "tile_order"),
        ({"tile_order": [ids[0], ids[0]]}, "tile_order"), ({"tile_order": ["x"]}, "tile_order__0"),
        ({"tile_order": ids, "layout": "spiral"}, "layout"), ({"tile_order": ids, "layout": []}, "layout"),
    ):  # fmt: skip
        answer = api.post(path, body)
        assert (answer.status_code, answer.json["attr"]) == (400, attr), answer.text
    error(api.post(path, {"tile_order": [*ids, 999]}), 404, "invalid_request", "not_found")
    assert tiles(api, board) == kept


def test_what_stood_below_a_tile_that_is_taken_off_moves_up(api, board):
    ids = [standing(api, board, name=name) for name in "ab"]
    api.post(f"/dashboards/{board}/reorder_tiles/", {"tile_order": ids, "layout": "full_width"})
    api.post(f"/dashboards/{board}/delete_tile/", {"tile_id": ids[0]})
    (left,) = tiles(api, board)
    assert (left["id"], left["layouts"]["sm"]["y"]) == (ids[1], 0)
    assert len(api.listed()) == 2, "the insight stays"


def test_a_tile_is_copied_to_another_dashboard_as_it_looks(api, log, board):
    two = api.board("two")
    text = added(api, board, color="blue")["id"]
    made = api.create(name="a", dashboards=[board])
    tile = made["dashboard_tiles"][0]["id"]
    api.patch(f"/dashboards/{board}/", {"tiles": [{"id": tile, "layouts": at(0, 9), "color": "red"}]})
    path = f"/dashboards/{two}/copy_tile/"
    for one in (text, tile):
        answer = api.post(path, {"fromDashboardId": board, "tileId": one})
        assert (answer.status_code, answer.json["id"]) == (200, two), answer.text
    assert [(one["color"], one["layouts"]) for one in answer.json["tiles"]] == [("red", at(0, 9)), ("blue", {})]
    assert api.get(f"/insights/{made['id']}/").json["dashboards"] == [board, two]
    assert len(tiles(api, board)) == 2
    position = log.position()
    for body, attr in (
        ({"fromDashboardId": board, "tileId": tile}, "tileId"),
        ({"fromDashboardId": two, "tileId": tile}, "fromDashboardId"),
        ({"fromDashboardId": board}, "tileId"),
        ({"fromDashboardId": "x", "tileId": 1}, "fromDashboardId"),
    ):
        answer = api.post(path, body)
        assert (answer.status_code, answer.json["attr"]) == (400, attr), answer.text
    error(api.post(path, {"fromDashboardId": board, "tileId": 999}), 404, "invalid_request", "not_found")
    assert log.position() == position


def test_newer_clients_name_the_target_of_a_move_otherwise(api, board):
    two, tile = api.board("two"), standing(api, board, name="a")
    body = {"tile": {"id": tile}, "to_dashboard": two}
    refused = api.patch(f"/dashboards/{board}/move_tile/", {**body, "to_dashboard": 999})
    assert (refused.status_code, refused.json["attr"]) == (400, "to_dashboard")
    assert api.post(f"/dashboards/{board}/move_tile/", body).status_code == 200
    assert len(tiles(api, two)) == 1


def test_a_text_is_moved_in_one_transaction_and_keeps_its_look(api, log, board):
    two, tile = api.board("two"), added(api, board, color="blue")
    before = log.position()
    body = {"tile": {"id": tile["id"]}, "toDashboard": two}
    assert api.patch(f"/dashboards/{board}/move_tile/", body).json["tiles"] == []
    assert [(one["text"]["body"], one["color"]) for one in tiles(api, two)] == [(tile["text"]["body"], "blue")]
    records = [(one.stream, one.event.type, one.part, one.parts) for one in log.replay(after=before)]
    assert records[:2] == [
        (f"dashboard:{two}", "DashboardTextAdded", 1, 2), (f"dashboard:{board}", "DashboardTextRemoved", 2, 2)
    ]  # fmt: skip


def test_a_text_that_two_move_at_once_stands_in_one_place(api, log, board, monkeypatch):
    two, three, tile = api.board("two"), api.board("three"), added(api, board)
    carry_out, position = SQLiteEventStore.carry_out, log.position()

    def overtaken(store, decide):
        monkeypatch.setattr(SQLiteEventStore, "carry_out", carry_out)
        api.patch(f"/dashboards/{board}/move_tile/", {"tile": {"id": tile["id"]}, "toDashboard": three})
        return carry_out(store, decide)

    monkeypatch.setattr(SQLiteEventStore, "carry_out", overtaken)
    answer = api.patch(f"/dashboards/{board}/move_tile/", {"tile": {"id": tile["id"]}, "toDashboard": two})
    assert answer.status_code == 404, answer.text
    assert [len(tiles(api, one)) for one in (board, two, three)] == [0, 0, 1]
    assert log.position() == position + 2


def test_all_insights_of_a_dashboard_are_run(api, log, board):
    log.project(1).capture([{"event": "signed up", "distinct_id": "u"}])
    tile = standing(api, board, name="a", query=TREND)
    added(api, board)
    path = f"/dashboards/{board}/run_insights/"
    (kept,) = api.get(path).json["results"]
    assert (kept["id"], kept["insight"]["result"]) == (tile, None)
    (run,) = api.get(path, params={"refresh": "blocking", "output_format": "json"}).json["results"]
    assert sum(run["insight"]["result"][0]["data"]) == 1
    (seen,) = api.get(path, params={"refresh": "blocking", "filters_override": '{"date_from": "-1d"}'}).json["results"]
    assert len(seen["insight"]["result"][0]["data"]) == 2


@pytest.mark.parametrize(
    ("path", "body", "attr"),
    [
        ("create_text_tile", {}, "body"), ("create_text_tile", {"body": " "}, "body"),
        ("create_text_tile", {"body": 1}, "body"), ("create_text_tile", {"body": "x" * 4001}, "body"),
        ("create_text_tile", {"body": "x", "layouts": []}, "layouts"), ("create_text_tile", {"body": "x", "color": 1}, "color"),
        ("update_text_tile", {"body": "x"}, "tile_id"), ("update_text_tile", {"tile_id": "x"}, "tile_id"),
        ("delete_tile", {}, "tile_id"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(api, log, board, path, body, attr):
    position = log.position()
    answer = api.post(f"/dashboards/{board}/{path}/", body)
    assert (answer.status_code, answer.json["attr"]) == (400, attr), answer.text
    assert log.position() == position


def test_tiles_that_are_not_there_and_dashboards_of_others(api, other, board):
    theirs = other.board()
    insight = standing(api, board, name="a")
    for place, status in ((board, 404), (theirs, 404), (999, 404)):
        for path, body in (("update_text_tile", {"body": "x"}), ("delete_tile", {})):
            assert api.post(f"/dashboards/{place}/{path}/", {"tile_id": 999, **body}).status_code == status
    assert api.post(f"/dashboards/{theirs}/create_text_tile/", {"body": "x"}).status_code == 404
    assert api.post(f"/dashboards/{board}/copy_tile/", {"fromDashboardId": theirs, "tileId": 1}).status_code == 404
    assert api.get(f"/dashboards/{theirs}/run_insights/").status_code == 404
    refused = api.post(f"/dashboards/{board}/update_text_tile/", {"tile_id": insight, "body": "x"})
    assert (refused.status_code, refused.json["attr"]) == (400, "tile_id")


def test_restricted_dashboards_and_hidden_insights_stay_as_they_are(api, somebody, board):
    reader = somebody()
    closed = api.board("closed", restriction_level=37)
    words, made = added(api, closed)["id"], api.create(name="hidden", dashboards=[board])
    hidden = made["dashboard_tiles"][0]["id"]
    api.put(f"/insights/{made['id']}/access_controls/", {"access_level": "none"})
    for path, body in (
        ("create_text_tile", {"body": "x"}), ("update_text_tile", {"tile_id": words, "body": "x"}),
        ("delete_tile", {"tile_id": words}), ("reorder_tiles", {"tile_order": [words]}),
        ("copy_tile", {"fromDashboardId": board, "tileId": hidden}),
    ):  # fmt: skip
        assert reader.post(f"/dashboards/{closed}/{path}/", body).status_code == 403, path
    own = reader.board("own")
    assert reader.post(f"/dashboards/{own}/copy_tile/", {"fromDashboardId": board, "tileId": hidden}).status_code == 403
    assert reader.post(f"/dashboards/{own}/copy_tile/", {"fromDashboardId": closed, "tileId": words}).status_code == 200
    assert reader.get(f"/dashboards/{board}/run_insights/").json["results"] == []
    assert [one["text"]["body"] for one in tiles(api, closed)] == ["words"]
