"""Statements 83 to 96 of the contract's checklist: the activity log."""

from __future__ import annotations

import pytest
from tests.builders import TREND
from tests.http.conftest import error


def change(action, field, before, after):
    return {"type": "Insight", "action": action, "field": field, "before": before, "after": after}


def latest(api, insight):
    """Return verb and changes of the newest entry."""
    entry = api.entries(insight)[0]
    return entry["activity"], entry["detail"]["changes"]


@pytest.fixture
def made(api):
    return api.create(name="a")


def test_083_a_rename(api, made):
    api.changed(made, name="b")
    assert latest(api, made) == ("updated", [change("changed", "name", "a", "b")])
    assert len(api.entries(made)) == 2


def test_084_a_description_comes_and_goes(api, made):
    api.changed(made, description="d")
    assert latest(api, made) == ("updated", [change("created", "description", None, "d")])
    api.changed(made, description=None)
    assert latest(api, made) == ("updated", [change("deleted", "description", "d", None)])
    api.changed(made, description="d")
    api.changed(made, description="")
    assert latest(api, made) == ("updated", [change("deleted", "description", "d", None)])


def test_085_a_favourite_is_changed_with_booleans(api, made):
    api.changed(made, favorited=True)
    assert latest(api, made) == ("updated", [change("changed", "favorited", False, True)])
    api.changed(made, favorited=False)
    assert latest(api, made) == ("updated", [change("changed", "favorited", True, False)])


def test_086_tags_are_sorted_names(api, made):
    api.changed(made, tags=["web", "growth"])
    assert latest(api, made) == ("updated", [change("changed", "tags", [], ["growth", "web"])])
    api.changed(made, tags=[])
    assert latest(api, made) == ("updated", [change("changed", "tags", ["growth", "web"], [])])


def test_087_dashboards_have_ids_and_names(api):
    first, second, third = (api.board(name) for name in ("Growth", "Web", "Sales"))
    made = api.create(name="a", dashboards=[third, first])
    api.changed(made, dashboards=[second, first, third])
    growth, web, sales = (
        {"id": one, "name": name} for one, name in ((first, "Growth"), (second, "Web"), (third, "Sales"))
    )
    assert latest(api, made) == ("updated", [change("changed", "dashboards", [growth, sales], [web, growth, sales])])
    api.changed(made, dashboards=[])
    assert latest(api, made) == ("updated", [change("changed", "dashboards", [growth, web, sales], [])])


def test_088_delete_and_restore_have_verbs_of_their_own(api, made):
    api.changed(made, deleted=True)
    assert api.entries()[0]["activity"] == "deleted"
    assert api.entries()[0]["detail"]["changes"] == [change("changed", "deleted", False, True)]
    api.changed(made, deleted=False)
    assert latest(api, made) == ("restored", [change("changed", "deleted", True, False)])


def test_089_one_call_is_one_entry(api, made):
    api.changed(made, name="b", tags=["t"])
    verb, changes = latest(api, made)
    assert verb == "updated"
    assert sorted(changes, key=lambda one: one["field"]) == [
        change("changed", "name", "a", "b"), change("changed", "tags", [], ["t"]),
    ]  # fmt: skip
    assert len(api.entries(made)) == 2


def test_090_an_entry_has_exactly_these_keys(api, made):
    (entry,) = api.entries(made)
    assert list(entry) == ["user", "activity", "scope", "item_id", "detail", "created_at"]
    assert list(entry["detail"]) == ["changes", "trigger", "name", "short_id", "type"]
    assert (entry["scope"], entry["item_id"]) == ("Insight", str(made["id"]))
    assert entry["detail"]["short_id"] == made["short_id"]


def test_091_the_user_is_a_name_and_an_address(api, made):
    assert api.entries(made)[0]["user"] == {"first_name": "Ines", "email": "ines@example.com"}


def test_092_newest_first_in_pages_of_ten(api, made):
    for n in range(14):
        api.changed(made, name=f"a{n}")
    for path in (f"/insights/{made['id']}/activity/", f"/insights/{made['short_id']}/activity", "/insights/activity/"):
        first = api.get(path).json
        assert set(first) == {"results", "next", "previous", "total_count"}
        assert [one["detail"]["name"] for one in first["results"]] == [f"a{n}" for n in range(13, 3, -1)]
        address = f"http://falconframework.org/api/projects/1{path}"
        assert (first["total_count"], first["previous"]) == (15, None)
        assert first["next"] == f"{address}?page=2&limit=10"
        second = api.get(path, params={"page": "2", "limit": "10"}).json
        assert [one["detail"]["name"] for one in second["results"]] == ["a3", "a2", "a1", "a0", "a"]
        assert (second["next"], second["previous"]) == (None, f"{address}?page=1&limit=10")


def test_093_the_projects_log_keeps_deleted_insights(api, made):
    api.changed(made, deleted=True)
    assert [one["activity"] for one in api.entries()] == ["deleted", "created"]
    error(api.get(f"/insights/{made['id']}/activity/"), 404, "invalid_request", "not_found")


@pytest.mark.parametrize("name", ["limit", "page"])
@pytest.mark.parametrize("value", ["x", "", "0", "-1", "1.5", "9" * 30])
def test_094_pages_that_are_none(api, made, name, value):
    for path in ("/insights/activity/", f"/insights/{made['id']}/activity/"):
        answer = api.get(path, params={name: value})
        assert (answer.status_code, answer.json["type"], answer.json["attr"]) == (400, "validation_error", name)


def test_095_the_log_has_a_scope_of_its_own(api, made, with_scopes):
    detail = "API key missing required scope 'activity_log:read'"
    for path in ("/insights/activity/", f"/insights/{made['id']}/activity/"):
        for scopes in (("insight:write",), ("query:read", "sharing_configuration:write")):
            error(with_scopes(*scopes).get(path), 403, "authentication_error", "permission_denied", detail)
        assert with_scopes("activity_log:read").get(path).json["total_count"] == 1


def test_096_views_refreshes_and_access_write_nothing(api, omar):
    made = api.create(name="a", query=TREND)
    path = f"/insights/{made['id']}/"
    omar.post(f"{path}viewed/")
    omar.post("/insights/viewed/", {"insight_ids": [made["id"]]})
    api.get(path, params={"refresh": "true"})
    api.get("/insights/", params={"refresh": "true"})
    assert api.put(f"{path}access_controls/", {"access_level": "viewer"}).status_code == 200
    assert api.put(f"{path}access_controls/", {"access_level": None}).status_code == 204
    api.post("/insights/cancel/", {"client_query_id": "x"})
    api.post("/insights/timing/", {})
    api.get("/insights/trend/")
    api.get(f"{path}sharing/")
    api.patch(path, {"name": "x" * 401})
    api.delete(path)
    api.changed(made, order=3, saved=False)
    assert [one["activity"] for one in api.entries(made)] == ["created"]
