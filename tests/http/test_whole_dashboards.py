"""Dashboards as wholes over HTTP: duplicated, deleted with their insights, restricted; asked for without a key."""

from __future__ import annotations

import pytest
from tests.builders import TREND
from tests.http.conftest import error


@pytest.fixture
def board(api):
    """A dashboard with filters, a text and two insights, one of them on another dashboard too."""
    made = api.board("Growth", filters={"date_from": "-90d"}, tiles=[{"text": {"body": "words"}, "color": "red"}])
    api.create(name="only here", query=TREND, tags=["a"], description="d", dashboards=[made])
    shared = api.create(name="elsewhere too", dashboards=[made, api.board("other")])
    tile = next(one["id"] for one in shared["dashboard_tiles"] if one["dashboard_id"] == made)
    api.patch(f"/dashboards/{made}/", {"tiles": [{"id": tile, "color": "blue", "layouts": {"sm": {"x": 1, "y": 2}}}]})
    return made


def whole(api, board):
    answer = api.get(f"/dashboards/{board}/")
    assert answer.status_code == 200, answer.text
    return answer.json


def looks(dashboard):
    return {
        (tile["text"] or {}).get("body") or tile["insight"]["name"]: (tile["color"], tile["layouts"])
        for tile in dashboard["tiles"]
    }


def insights_of(dashboard):
    return {tile["insight"]["name"]: tile["insight"]["id"] for tile in dashboard["tiles"] if tile["insight"]}


def test_a_dashboard_is_duplicated_as_it_looks(api, board):
    copy = api.post("/dashboards/", {"name": "copy", "use_dashboard": board})
    assert copy.status_code == 201
    assert (copy.json["name"], copy.json["creation_mode"]) == ("copy", "duplicate")
    assert copy.json["filters"] == {"date_from": "-90d"}
    before, after = whole(api, board), whole(api, copy.json["id"])
    assert looks(after) == looks(before)
    assert insights_of(after) == insights_of(before)
    assert {one["id"] for one in after["tiles"]}.isdisjoint(one["id"] for one in before["tiles"])
    own = api.post("/dashboards/", {"use_dashboard": board, "filters": {"date_from": "-7d"}}).json
    assert own["filters"] == {"date_from": "-7d"}


def test_a_dashboard_is_duplicated_with_copies_of_its_insights(api, board):
    copy = api.post("/dashboards/", {"use_dashboard": board, "duplicate_tiles": True}).json
    assert set(looks(copy)) == {"words", "only here (Copy)", "elsewhere too (Copy)"}
    assert looks(copy)["elsewhere too (Copy)"] == ("blue", {"sm": {"x": 1, "y": 2}})
    made = api.get(f"/insights/{insights_of(copy)['only here (Copy)']}/").json
    assert (made["query"], made["tags"], made["description"]) == (TREND, ["a"], "d")
    assert made["dashboards"] == [copy["id"]]
    assert set(insights_of(copy).values()).isdisjoint(insights_of(whole(api, board)).values())


@pytest.mark.parametrize(
    ("body", "attr", "detail"),
    [
        ({"use_dashboard": 999}, "use_dashboard", "Invalid value provided"),
        ({"use_dashboard": "x"}, "use_dashboard", "A valid integer is required."),
        ({"use_dashboard": None, "use_template": "APP"}, "use_template", "Invalid template provided: APP"),
        ({"use_template": "APP"}, None, "`use_dashboard` and `use_template` cannot be used together"),
        ({"duplicate_tiles": "maybe"}, "duplicate_tiles", "Must be a valid boolean."),
        ({"delete_insights": "maybe"}, "delete_insights", "Must be a valid boolean."),
        ({"filters": [1]}, "filters", "Filters must be a dictionary"),
        ({"variables": "x"}, "variables", "Variables must be a dictionary"),
    ],
)
def test_what_cannot_be_duplicated_is_refused(log, api, board, body, attr, detail):
    position = log.position()
    refused = api.post("/dashboards/", {"use_dashboard": board, **body})
    error(refused, 400, "validation_error", "invalid_input", detail, attr)
    assert log.position() == position


def test_dashboards_of_other_projects_and_deleted_ones_are_not_duplicated(api, other, board):
    foreign = other.post("/dashboards/", {"use_dashboard": board})
    error(foreign, 400, "validation_error", "invalid_input", attr="use_dashboard")
    api.patch(f"/dashboards/{board}/", {"deleted": True})
    gone = api.post("/dashboards/", {"use_dashboard": board})
    error(gone, 400, "validation_error", "invalid_input", attr="use_dashboard")


def test_a_hidden_insight_is_not_duplicated(api, somebody, board):
    hidden = insights_of(whole(api, board))["only here"]
    api.put(f"/insights/{hidden}/access_controls/", {"access_level": "none"})
    copy = somebody().post("/dashboards/", {"use_dashboard": board, "duplicate_tiles": True}).json
    assert set(looks(copy)) == {"words", "elsewhere too (Copy)"}


def test_insights_that_stand_nowhere_else_are_deleted_with_a_dashboard_and_come_back(api, clock, board):
    before = whole(api, board)
    alone, shared = (insights_of(before)[name] for name in ("only here", "elsewhere too"))
    api.patch(f"/insights/{alone}/", {"saved": False})
    gone = api.patch(f"/dashboards/{board}/", {"deleted": True, "delete_insights": True})
    assert (gone.status_code, gone.json["deleted"], gone.json["tiles"]) == (200, True, [])
    assert api.get(f"/insights/{alone}/").status_code == 404
    assert len(api.get(f"/insights/{shared}/").json["dashboards"]) == 1
    assert api.entries()[0]["activity"] == "deleted"
    back = api.patch(f"/dashboards/{board}/", {"deleted": False}).json
    assert looks(back) == looks(before)
    assert insights_of(back) == insights_of(before)
    assert api.get(f"/insights/{alone}/").json["saved"] is False
    assert [one["activity"] for one in api.entries({"id": alone})][:2] == ["restored", "deleted"]


def test_a_dashboard_is_deleted_without_its_insights_unless_told(api, board):
    alone = insights_of(whole(api, board))["only here"]
    api.patch(f"/insights/{alone}/", {"deleted": True})
    for body in ({"delete_insights": True}, {"deleted": True}, {"deleted": False}, {"deleted": True}):
        assert api.patch(f"/dashboards/{board}/", body).status_code == 200
    assert api.get(f"/insights/{alone}/").status_code == 404


def test_insights_that_one_may_only_see_stay_when_their_dashboard_goes(api, somebody, board):
    alone = insights_of(whole(api, board))["only here"]
    api.put(f"/insights/{alone}/access_controls/", {"access_level": "viewer"})
    assert somebody().patch(f"/dashboards/{board}/", {"deleted": True, "delete_insights": True}).status_code == 200
    assert api.get(f"/insights/{alone}/").json["dashboards"] == []


def test_only_owners_and_admins_restrict_a_dashboard(api, somebody, board):
    member, admin = somebody(), somebody("admin")
    path = f"/dashboards/{board}/"
    refused = member.patch(path, {"name": "x", "restriction_level": 37})
    detail = "Only the dashboard owner and project admins have the restriction rights required to change"
    error(refused, 403, "authentication_error", "permission_denied", f"{detail} the dashboard's restriction level.")
    assert whole(api, board)["name"] == "Growth"
    assert member.patch(path, {"name": "x", "restriction_level": 21}).json["name"] == "x"
    assert admin.patch(path, {"restriction_level": 37}).json["restriction_level"] == 37
    detail = "You don't have edit permissions for this dashboard."
    error(member.patch(path, {"name": "y"}), 403, "authentication_error", "permission_denied", detail)
    assert api.patch(path, {"restriction_level": 21}).status_code == 200
    own = member.board("own", restriction_level=37)
    assert member.patch(f"/dashboards/{own}/", {"restriction_level": 21}).json["restriction_level"] == 21


def test_texts_say_who_wrote_and_changed_them(log, api, omar, clock):
    board = api.board("words", tiles=[{"text": {"body": "a"}}])
    (tile,) = whole(api, board)["tiles"]
    shown = tile["text"]
    assert (shown["body"], shown["created_by"]["email"], shown["last_modified_by"]) == ("a", "ines@example.com", None)
    assert (shown["last_modified_at"], shown["team"]) == ("2026-04-02T09:15:30.120000Z", 1)
    clock.forward(hours=1)
    omar.patch(f"/dashboards/{board}/", {"tiles": [{"id": tile["id"], "color": "red", "text": {"body": "a"}}]})
    assert whole(api, board)["tiles"][0]["text"] == shown
    changed = omar.post(f"/dashboards/{board}/update_text_tile/", {"tile_id": tile["id"], "body": "b"}).json["text"]
    assert (changed["created_by"]["id"], changed["last_modified_by"]["email"]) == (1, "omar@example.com")
    assert changed["last_modified_at"] == "2026-04-02T10:15:30.120000Z"
    assert whole(api, board)["tiles"][0]["text"] == changed
    token = api.patch(f"/dashboards/{board}/sharing/", {"enabled": True}).json["access_token"]
    seen = api.client.simulate_get(f"/shared/{token}.json").json["dashboard"]["tiles"][0]["text"]
    assert (seen["body"], seen["created_by"], seen["last_modified_by"]) == ("b", None, None)


def test_nobody_comes_to_edit_a_restricted_insight_by_another_dashboard(log, api, somebody):
    member = somebody()
    closed = api.board("closed", restriction_level=37)
    made = api.create(name="a", dashboards=[closed])
    tile, own = made["dashboard_tiles"][0]["id"], member.board("own")
    position = log.position()
    for refused in (
        member.post("/dashboards/", {"use_dashboard": closed}),
        member.post(f"/dashboards/{own}/copy_tile/", {"fromDashboardId": closed, "tileId": tile}),
        member.patch(f"/insights/{made['id']}/", {"name": "b"}),
    ):
        error(refused, 403, "authentication_error", "permission_denied")
    assert log.position() == position
    copy = member.post("/dashboards/", {"use_dashboard": closed, "duplicate_tiles": True})
    assert (copy.status_code, set(insights_of(copy.json))) == (201, {"a (Copy)"})
    assert api.post("/dashboards/", {"use_dashboard": closed}).status_code == 201


def test_an_update_shows_dashboards_in_the_order_of_the_request(api):
    one, two, three = api.board("1"), api.board("2"), api.board("3")
    made = api.create(name="a", dashboards=[one, two])
    assert api.changed(made, dashboards=[three, two, one])["dashboards"] == [three, two, one]
    assert api.changed(made, name="b")["dashboards"] == [one, two, three]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/dashboards/", 401), ("/dashboards/1/", 401), ("/dashboards/1/run_insights/", 401), ("/actions/", 401),
        ("/cohorts/1/", 401), ("/groups/", 401), ("/elements/stats/", 401), ("/sessions/values/", 401),
        ("/groups_types/", 403), ("/insights/1/", 403), ("/query/x/", 403),
    ],
)  # fmt: skip
def test_where_visitors_of_shares_have_nothing_to_look_for_a_key_is_asked_for_by_a_challenge(nobody, path, status):
    answer = nobody.get(path)
    error(answer, status, "authentication_error", "not_authenticated", "Authentication credentials were not provided.")
    assert answer.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)
