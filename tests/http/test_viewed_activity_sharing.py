"""Views, the activity log and sharing over HTTP (insights-api.md 3.3, 3.7 to 3.9, sections 5 and 6)."""

from __future__ import annotations

import pytest

from .conftest import error


def last_viewed(api):
    answer = api.get("/insights/my_last_viewed/")
    assert answer.status_code == 200
    return [one["id"] for one in answer.json]


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


def test_an_empty_log_has_a_first_page(api):
    assert api.get("/insights/activity/").json == {"results": [], "next": None, "previous": None, "total_count": 0}


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
