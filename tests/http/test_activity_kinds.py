"""Every kind of entry of the activity log, one by one (insights-api.md 5.2 to 5.5); more is in the checklist's tests."""

from __future__ import annotations

import pytest
from falcon import testing
from tests.builders import TREND

OTHER = {**TREND, "interval": "week"}
FILTERS, OTHER_FILTERS = {"events": [{"id": "a"}]}, {"events": [{"id": "b"}]}
COLUMNS = {
    "name": ("Alpha", "Beta"),
    "derived_name": ("Alpha", "Beta"),
    "description": ("Alpha", "Beta"),
    "query": (TREND, OTHER),
    "filters": (FILTERS, OTHER_FILTERS),
}
EMPTY = {"filters": {}}


def latest(api):
    entry = api.entries()[0]
    return entry["activity"], entry["detail"]["changes"]


def change(action, field, before, after):
    return {"type": "Insight", "action": action, "field": field, "before": before, "after": after}


def named(field):
    """Return what keeps an insight from being nameless while a field changes."""
    return {"derived_name": "kept"} if field == "name" else {"name": "kept"}


@pytest.mark.parametrize("field", COLUMNS)
def test_a_column_comes_changes_and_goes(api, field):
    first, second = COLUMNS[field]
    made = api.create(**named(field))
    api.changed(made, **{field: first})
    assert latest(api) == ("updated", [change("created", field, None, first)])
    api.changed(made, **{field: second})
    assert latest(api) == ("updated", [change("changed", field, first, second)])
    api.changed(made, **{field: EMPTY.get(field)})
    assert latest(api) == ("updated", [change("deleted", field, second, None)])
    n_entries = len(api.entries())
    api.changed(made, **{field: EMPTY.get(field, "" if field != "query" else None)})
    assert len(api.entries()) == n_entries


@pytest.mark.parametrize(
    "fields",
    [{"order": 4}, {"saved": False}, {"short_id": "x"}, {"is_sample": True}, {"created_by": 2}, {"layouts": {}}, {}],
)
def test_what_is_not_tracked_leaves_no_entry(api, fields):
    made = api.create(name="a")
    api.changed(made, **fields)
    assert [one["activity"] for one in api.entries()] == ["created"]


def test_deleting_with_other_fields_is_one_entry(api):
    made = api.create(name="a", dashboards=[api.board()])
    api.changed(made, deleted=True, name="b", favorited=True)
    verb, changes = latest(api)
    assert verb == "deleted"
    assert {one["field"]: (one["before"], one["after"]) for one in changes} == {
        "name": ("a", "b"), "deleted": (False, True), "favorited": (False, True),
    }  # fmt: skip
    assert len(api.entries()) == 2


def test_all_at_once_are_in_the_order_of_the_columns_and_dashboards_last(api):
    made = api.create(name="a")
    board = api.board("Growth")
    api.changed(
        made, dashboards=[board], favorited=True, query=TREND, filters=FILTERS, description="d", derived_name="e",
        name="b", tags=["t"],
    )  # fmt: skip
    assert [one["field"] for one in latest(api)[1]] == [
        "tags", "name", "derived_name", "description", "filters", "query", "favorited", "dashboards",
    ]  # fmt: skip


def test_the_name_of_an_entry_is_the_one_after_the_change(api):
    made = api.create(name="a", derived_name="derived")
    api.changed(made, name=None)
    entry = api.entries()[0]
    assert (entry["detail"]["name"], entry["activity"]) == ("derived", "updated")
    api.changed(made, derived_name="")
    assert len(api.entries()) == 2
    api.changed(made, name="back")
    assert api.entries()[0]["detail"]["changes"] == [change("created", "name", None, "back")]


def test_sharing_entries_need_no_name(api):
    made = api.create()
    path = f"/insights/{made['id']}/sharing/"
    api.patch(path, {"enabled": True})
    assert latest(api) == ("sharing enabled", [change("changed", "sharing", None, True)])
    api.patch(path, {"enabled": False})
    assert latest(api) == ("sharing disabled", [change("changed", "sharing", None, False)])
    api.post(f"{path}refresh/")
    assert latest(api) == ("access token refreshed", None)
    for entry in api.entries():
        assert (entry["detail"]["name"], entry["detail"]["short_id"]) == (None, made["short_id"])
        assert entry["user"] == {"first_name": "Ines", "email": "ines@example.com"}


@pytest.mark.parametrize("note", ["board", ""])
def test_tries_of_a_password_are_entries_of_the_system(api, app, note):
    made = api.create(name="a")
    path = f"/insights/{made['id']}/sharing/"
    token = api.patch(path, {"enabled": True, "password_required": True}).json["access_token"]
    password = api.post(f"{path}passwords/", {"raw_password": "open sesame", "note": note}).json["id"]
    n_entries = len(api.entries())
    visitor = testing.TestClient(app)
    for given in ("wrong words", "open sesame"):
        visitor.simulate_post(f"/shared/{token}", json={"password": given}, remote_addr="10.0.0.9")
    success, failure = api.entries(made)[:2]
    assert len(api.entries()) == n_entries + 2
    tried = {"access_token_suffix": token[-6:], "client_ip": "10.0.0.9", "resource_type": "insight"}
    after = {**tried, "success": False}
    assert (failure["activity"], failure["detail"]["changes"]) == (
        "share_login_failed", [change("changed", "authentication_attempt", None, after)],
    )  # fmt: skip
    shown = {"password_id": str(password), "password_note": note or "Untitled password"}
    after = {**tried, "success": True, **shown}
    assert (success["activity"], success["detail"]["changes"]) == (
        "share_login_success", [change("changed", "authentication_attempt", None, after)],
    )  # fmt: skip
    for entry in (success, failure):
        assert entry["user"] == {"first_name": "System", "email": None, "is_system": True}
        assert (entry["detail"]["short_id"], entry["item_id"]) == (None, str(made["id"]))
    assert token not in str(api.entries())


def test_dashboards_that_are_renamed_or_deleted_are_named_as_they_were_seen(api):
    first, second = api.board("Growth"), api.board("Web")
    made = api.create(name="a", dashboards=[first])
    api.changed(made, dashboards=[first, second])
    api.patch(f"/dashboards/{first}/", {"name": "Renamed"})
    shown = api.entries(made)[0]["detail"]["changes"][0]
    assert [one["name"] for one in shown["after"]] == ["Growth", "Web"]
    api.changed(made, dashboards=[second])
    assert api.entries(made)[0]["detail"]["changes"][0]["before"] == [
        {"id": first, "name": "Renamed"}, {"id": second, "name": "Web"},
    ]  # fmt: skip


def test_taking_an_insight_off_at_the_dashboard_is_a_change_of_the_insight(api):
    board = api.board("Growth")
    made = api.create(name="a", dashboards=[board])
    tile = made["dashboard_tiles"][0]["id"]
    assert api.patch(f"/dashboards/{board}/", {"tiles": [{"id": tile, "deleted": True}]}).status_code == 200
    assert api.get(f"/insights/{made['id']}/").json["dashboards"] == []
    assert latest(api) == ("updated", [change("changed", "dashboards", [{"id": board, "name": "Growth"}], [])])


def test_a_failed_request_leaves_no_entry(api):
    made = api.create(name="a")
    for fields in (
        {"name": "b", "dashboards": [999]},
        {"name": "b", "order": "x"},
        {"name": "b", "query": {"kind": "x"}},
    ):
        assert api.patch(f"/insights/{made['id']}/", fields).status_code == 400
    assert [one["activity"] for one in api.entries()] == ["created"]
    assert api.get(f"/insights/{made['id']}/").json["name"] == "a"
