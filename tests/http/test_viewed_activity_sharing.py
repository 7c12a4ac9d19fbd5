"""Views, the activity log and sharing over HTTP (insights-api.md 3.3, 3.7 to 3.9, sections 5 and 6)."""

from __future__ import annotations

import pytest

from .conftest import error
from .test_insights import BASIC_KEYS


def last_viewed(api):
    answer = api.get("/insights/my_last_viewed/")
    assert answer.status_code == 200
    return [one["id"] for one in answer.json]


def test_creating_is_viewing_and_the_last_five_are_kept(api, omar, clock):
    made = []
    for n in range(6):
        clock.forward(minutes=1)
        made.append(api.create(name=f"n{n}")["id"])
    assert last_viewed(api) == made[:0:-1]
    assert last_viewed(omar) == []
    clock.forward(minutes=1)
    for _ in range(2):
        answer = api.post(f"/insights/{made[0]}/viewed/")
        assert (answer.status_code, answer.content) == (200, b"")
    assert last_viewed(api) == [made[0], *made[:1:-1]]
    api.patch(f"/insights/{made[0]}/", {"deleted": True})
    assert last_viewed(api) == made[:0:-1]
    api.patch(f"/insights/{made[0]}/", {"deleted": False})
    assert last_viewed(api)[0] == made[0]
    assert list(api.get("/insights/my_last_viewed/").json[0]) == BASIC_KEYS


def test_viewed_needs_only_read_and_ignores_its_body(log, api, with_scopes):
    made = api.create(name="a")
    reader = with_scopes("insight:read")
    for ref in (made["id"], made["short_id"]):
        assert reader.post(f"/insights/{ref}/viewed/", {"anything": 1}).status_code == 200
    position = log.position()
    error(reader.post("/insights/999/viewed/"), 404, "invalid_request", "not_found", "Not found.")
    api.patch(f"/insights/{made['id']}/", {"deleted": True})
    assert reader.post(f"/insights/{made['id']}/viewed/").status_code == 404
    assert log.position() == position + 1


def test_bulk_views_drop_what_leads_nowhere(api, omar, clock):
    first, second, deleted = (api.create(name=name)["id"] for name in "abc")
    api.patch(f"/insights/{deleted}/", {"deleted": True})
    answer = omar.post("/insights/viewed/", {"insight_ids": [first, 999, deleted, second, first]})
    assert (answer.status_code, answer.content) == (200, b"")
    assert last_viewed(omar) == [second, first]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "required"), ({"insight_ids": []}, "empty"), ({"insight_ids": [1] * 2501}, "max_length"),
        ({"insight_ids": ["x"]}, "invalid_input"), ({"insight_ids": 1}, "not_a_list"), ({"insight_ids": None}, "null"),
    ],
)  # fmt: skip
def test_bulk_views_with_wrong_ids(log, api, body, code):
    position = log.position()
    answer = api.post("/insights/viewed/", body)
    error(answer, 400, "validation_error", code, answer.json["detail"], "insight_ids")
    assert log.position() == position


def test_the_activity_of_one_insight(api, omar):
    made = api.create(name="Signups")
    omar.patch(f"/insights/{made['id']}/", {"name": "Signups per day", "tags": ["Growth"]})
    body = api.get(f"/insights/{made['short_id']}/activity/").json
    assert set(body) == {"results", "next", "previous", "total_count"}
    updated, created = body["results"]
    assert created["detail"]["changes"] is None
    assert updated == {
        "user": {"first_name": "Omar", "email": "omar@example.com"},
        "activity": "updated",
        "scope": "Insight",
        "item_id": str(made["id"]),
        "detail": {
            "changes": [
                {"type": "Insight", "action": "changed", "field": "tags", "before": [], "after": ["growth"]},
                {"type": "Insight", "action": "changed", "field": "name", "before": "Signups",
                 "after": "Signups per day"},
            ],
            "trigger": None,
            "name": "Signups per day",
            "short_id": made["short_id"],
            "type": None,
        },
        "created_at": "2026-04-02T09:15:30.120000Z",
    }  # fmt: skip


def test_what_leaves_no_entry(api):
    nameless = api.create()
    api.patch(f"/insights/{nameless['id']}/", {"description": "d"})
    named = api.create(name="a")
    api.patch(f"/insights/{named['id']}/", {"name": "a", "order": 3})
    api.post(f"/insights/{named['id']}/viewed/")
    api.get("/insights/", params={"refresh": "true"})
    assert [one["activity"] for one in api.get("/insights/activity/").json["results"]] == ["created"]


def test_project_activity_keeps_deleted_insights_and_pages(api):
    made = api.create(name="a")
    for n in range(11):
        api.patch(f"/insights/{made['id']}/", {"name": f"a{n}"})
    api.patch(f"/insights/{made['id']}/", {"deleted": True})
    error(api.get(f"/insights/{made['id']}/activity/"), 404, "invalid_request", "not_found")
    first = api.get("/insights/activity/").json
    assert (first["total_count"], len(first["results"]), first["previous"]) == (13, 10, None)
    assert first["results"][0]["activity"] == "deleted"
    assert first["next"].endswith("/api/projects/1/insights/activity/?page=2&limit=10")
    second = api.get("/insights/activity/", params={"page": "2", "limit": "10"}).json
    assert (len(second["results"]), second["next"]) == (3, None)
    assert second["previous"].endswith("?page=1&limit=10")
    error(api.get("/insights/activity/", params={"page": "3"}), 404, "invalid_request", "not_found", "Invalid page.")


@pytest.mark.parametrize(("name", "value", "code"), [("limit", "x", "invalid_input"), ("page", "0", "min_value"),
                                                     ("limit", "-3", "min_value"), ("page", "1e9", "invalid_input")])  # fmt: skip
def test_activity_pages_that_are_none(api, name, value, code):
    answer = api.get("/insights/activity/", params={name: value})
    error(answer, 400, "validation_error", code, answer.json["detail"], name)


def test_an_empty_log_has_a_first_page(api):
    assert api.get("/insights/activity/").json == {"results": [], "next": None, "previous": None, "total_count": 0}


def test_sharing_before_the_first_change_stores_nothing(log, api):
    made = api.create(name="a")
    position = log.position()
    first, second = (api.get(f"/insights/{made['id']}/sharing/").json for _ in range(2))
    assert list(first) == [
        "created_at",
        "enabled",
        "access_token",
        "settings",
        "password_required",
        "share_passwords",
    ]
    assert (first["enabled"], first["created_at"], first["settings"]) == (False, None, None)
    assert first["access_token"] != second["access_token"]
    assert len(first["access_token"]) == 30
    assert log.position() == position


def test_sharing_is_switched_and_keeps_its_token(log, api):
    made = api.create(name="a")
    path = f"/insights/{made['id']}/sharing/"
    on = api.patch(path, {"enabled": True, "settings": {"legend": True, "odd": 1, "theme": None}}).json
    assert (on["enabled"], on["settings"], on["created_at"]) == (
        True,
        {"legend": True},
        "2026-04-02T09:15:30.120000Z",
    )
    off = api.patch(path, {"enabled": False}).json
    again = api.patch(path, {"enabled": True}).json
    assert on["access_token"] == off["access_token"] == again["access_token"] == api.get(path).json["access_token"]
    verbs = [(one["activity"], one["detail"]["changes"][0]["after"]) for one in
             api.get("/insights/activity/").json["results"][:3]]  # fmt: skip
    assert verbs == [("sharing enabled", True), ("sharing disabled", False), ("sharing enabled", True)]
    assert on["access_token"] not in "".join(map(repr, log.replay()))


def test_sharing_by_short_id_and_of_what_is_not_there(api):
    made = api.create(name="a")
    for ref in (made["short_id"], 999):
        error(api.get(f"/insights/{ref}/sharing/"), 404, "invalid_request", "not_found", "Insight not found.")
    api.patch(f"/insights/{made['id']}/", {"deleted": True})
    answer = api.patch(f"/insights/{made['id']}/sharing/", {"enabled": True})
    error(answer, 404, "invalid_request", "not_found", "Insight not found.")


@pytest.mark.parametrize(
    ("body", "attr", "detail"),
    [
        ({"settings": {"legend": "yes"}}, "settings", "Invalid settings format"),
        ({"settings": {"theme": "pink"}}, "settings", "Invalid settings format"),
        ({"settings": [1]}, "settings", "Invalid settings format"),
        ({"enabled": "perhaps"}, "enabled", "Must be a valid boolean."),
    ],
)
def test_wrong_sharing_settings(log, api, body, attr, detail):
    made = api.create(name="a")
    position = log.position()
    answer = api.patch(f"/insights/{made['id']}/sharing/", body)
    error(answer, 400, "validation_error", "invalid_input", detail, attr)
    assert log.position() == position
