"""Statements 68 to 82 of the contract's checklist: update, delete and restore."""

from __future__ import annotations

from tests.builders import TREND
from tests.http.conftest import error

import insightlog.application.library

AT, LATER = "2026-04-02T09:15:30.120000Z", "2026-04-02T10:15:30.120000Z"
MOVED = {"name", "updated_at", "last_modified_at"}


def test_068_a_name_changes_and_nothing_else(api, clock):
    made = api.create(
        name="a", description="d", query=TREND, tags=["t"], favorited=True, order=3, derived_name="e",
        dashboards=[api.board()],
    )  # fmt: skip
    clock.forward(hours=1)
    after = api.changed(made, name="x")
    assert {key: after[key] for key in made if key not in MOVED} == {key: made[key] for key in made if key not in MOVED}
    assert (after["name"], after["updated_at"], after["last_modified_at"]) == ("x", LATER, LATER)


def test_069_a_favourite_is_no_modification(api, clock):
    made = api.create(name="a")
    clock.forward(hours=1)
    for fields in ({"favorited": True}, {"tags": ["x"]}, {"saved": True}, {"order": 3}, {"derived_name": "d"}):
        after = api.changed(made, **fields)
        assert (after["updated_at"], after["last_modified_at"]) == (LATER, AT)
    assert api.changed(made, query=TREND)["last_modified_at"] == LATER


def test_070_another_users_change_names_them(api, omar):
    made = api.create(name="a")
    after = omar.changed(made, description="d")
    assert after["last_modified_by"]["email"] == "omar@example.com"
    assert after["created_by"]["email"] == "ines@example.com"


def test_071_the_same_values_leave_no_entry(api, clock):
    same = {"name": "a", "description": "d", "query": TREND, "tags": ["x", "y"], "favorited": True}
    made = api.create(**same, dashboards=[api.board("a"), api.board("b")])
    clock.forward(hours=1)
    after = api.changed(made, **{**same, "tags": ["Y", "x"]}, dashboards=made["dashboards"][::-1])
    assert after["updated_at"] == LATER
    assert [entry["activity"] for entry in api.entries(made)] == ["created"]


def test_072_tags_are_cleared_by_an_empty_list_and_kept_without(api):
    made = api.create(name="a", tags=["x"])
    assert api.changed(made, name="b")["tags"] == ["x"]
    assert api.changed(made, tags=[])["tags"] == []


def test_073_a_tile_that_is_taken_off_comes_back_as_it_was(api):
    first, second = api.board("a"), api.board("b")
    made = api.create(name="a", dashboards=[first, second])
    tile = next(one["id"] for one in made["dashboard_tiles"] if one["dashboard_id"] == second)
    look = {"color": "green", "layouts": {"sm": {"x": 0, "y": 4, "w": 6, "h": 5}}}
    api.patch(f"/dashboards/{second}/", {"tiles": [{"id": tile, **look}]})
    after = api.changed(made, dashboards=[first])
    assert (after["dashboards"], len(after["dashboard_tiles"])) == ([first], 1)
    assert api.get(f"/dashboards/{second}/").json["tiles"] == []
    again = api.changed(made, dashboards=[first, second])
    assert next(one for one in again["dashboard_tiles"] if one["dashboard_id"] == second)["id"] == tile
    (shown,) = api.get(f"/dashboards/{second}/").json["tiles"]
    assert (shown["id"], shown["color"], shown["layouts"]) == (tile, look["color"], look["layouts"])


def test_074_no_dashboard_at_all(api):
    made = api.create(name="a", dashboards=[api.board()])
    after = api.changed(made, dashboards=[])
    assert (after["dashboards"], after["dashboard_tiles"]) == ([], [])


def test_075_a_sample_that_is_changed_is_none_and_saved(log, api):
    acting = insightlog.application.library.acting
    definition = insightlog.domain.insight_commands.Definition
    for n, fields in enumerate(({"order": 3}, {"favorited": False}, {"name": "b"}, {})):
        made = log.project(1).insights.service.create(
            definition(name=f"a{n}", saved=False), acting(1, None), is_sample=True
        )
        shown = api.get(f"/insights/{made.id}/").json
        assert (shown["is_sample"], shown["saved"]) == (True, False)
        after = api.changed(shown, **fields)
        assert (after["is_sample"], after["saved"]) == (False, True)
    assert api.changed(after, saved=False)["saved"] is False


def test_076_delete_is_405_without_a_body(log, api):
    made = api.create(name="a")
    position = log.position()
    answer = api.delete(f"/insights/{made['id']}/")
    assert (answer.status_code, answer.content) == (405, b"")
    assert (log.position(), api.get(f"/insights/{made['id']}/").status_code) == (position, 200)


def test_077_a_deleted_insight_is_gone_and_so_are_its_tiles(api):
    board = api.board()
    made = api.create(name="a", dashboards=[board])
    after = api.changed(made, deleted=True)
    assert (after["deleted"], after["dashboards"], after["dashboard_tiles"]) == (True, [], [])
    assert api.get(f"/insights/{made['id']}/").status_code == 404
    assert api.get(f"/dashboards/{board}/").json["tiles"] == []


def test_078_restoring_takes_other_fields_along(api):
    made = api.create(name="a")
    api.changed(made, deleted=True)
    after = api.changed(made, deleted=False, name="y")
    assert (after["deleted"], after["name"]) == (False, "y")
    assert api.get(f"/insights/{made['id']}/").json["name"] == "y"


def test_079_a_deleted_insight_cannot_be_changed_nor_put_back(log, api):
    made = api.create(name="a")
    api.changed(made, deleted=True)
    position = log.position()
    path = f"/insights/{made['id']}/"
    for answer in (
        api.patch(path, {"name": "z"}), api.put(path, {"deleted": False}), api.patch(path, {"deleted": "false"}),
        api.patch(path, {"deleted": 0}), api.patch(path, {"deleted": True}),
    ):  # fmt: skip
        error(answer, 404, "invalid_request", "not_found", "Not found.")
    assert log.position() == position


def test_080_an_insight_of_another_project_is_not_restored(log, api, other):
    foreign = other.create(name="secret")
    other.changed(foreign, deleted=True)
    position = log.position()
    for ref in (foreign["id"], foreign["short_id"]):
        answer = api.patch(f"/insights/{ref}/", {"deleted": False})
        error(answer, 404, "invalid_request", "not_found", "Not found.")
    assert log.position() == position


def test_081_restoring_brings_no_tile_back(api):
    board = api.board()
    made = api.create(name="a", dashboards=[board])
    api.changed(made, deleted=True)
    assert api.changed(made, deleted=False)["dashboards"] == []
    assert api.get(f"/dashboards/{board}/").json["tiles"] == []


def test_082_a_viewer_may_not_change(log, api, omar):
    made = api.create(name="a")
    assert api.put(f"/insights/{made['id']}/access_controls/", {"access_level": "viewer"}).status_code == 200
    position = log.position()
    detail = "You do not have editor access to this resource."
    for fields in ({"name": "b"}, {"deleted": True}, {"favorited": True}, {}):
        answer = omar.patch(f"/insights/{made['id']}/", fields)
        error(answer, 403, "authentication_error", "permission_denied", detail)
    assert log.position() == position
    assert omar.get(f"/insights/{made['id']}/").json["user_access_level"] == "viewer"
    assert api.changed(made, name="b")["user_access_level"] == "manager"
