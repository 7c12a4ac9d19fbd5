"""What another process does to the folder holds for the very next request."""

from __future__ import annotations

import pytest
from tests.http.conftest import error

import insightlog
from insightlog.application.acting import acting


@pytest.fixture
def beside(api, tmp_path, clock):
    """The same folder as another process has it: on connections of its own."""
    with insightlog.open(tmp_path / "data", clock=clock) as opened:
        yield opened


def test_an_edit_a_deletion_and_a_restoration(api, beside):
    made = api.create(name="before")
    path = f"/insights/{made['id']}/"
    assert [api.get(path).json["name"] for _ in range(2)] == ["before", "before"]
    beside.project(1).insights.update(made["id"], name="after")
    assert api.get(path).json["name"] == "after"
    assert api.get(f"/insights/{made['short_id']}/").json["name"] == "after"
    beside.project(1).insights.update(made["id"], deleted=True)
    assert api.get(path).status_code == 404
    beside.project(1).insights.update(made["id"], deleted=False, favorited=True)
    assert api.get(path).json["favorited"] is True


def test_a_new_insight_where_there_was_none(api, beside):
    assert api.get("/insights/1/").status_code == 404
    beside.project(1).insights.create(name="theirs")
    assert api.get("/insights/1/").json["name"] == "theirs"


def test_a_revoked_key(api, omar, beside):
    made = api.create(name="one")
    assert omar.get(f"/insights/{made['id']}/").status_code == 200
    (key,) = [one for one in beside.all_keys() if one.user_id == 2]
    beside.revoke_key(key.id)
    error(omar.get(f"/insights/{made['id']}/"), 403, "authentication_error", "authentication_failed")


def test_levels_of_access(api, omar, beside):
    made = beside.project(1).insights.create(name="one", by=1)
    assert omar.get(f"/insights/{made.id}/").json["user_access_level"] == "editor"
    beside.project(1).insights.set_access(made.id, "viewer")
    assert omar.get(f"/insights/{made.id}/").json["user_access_level"] == "viewer"
    assert api.get(f"/insights/{made.id}/").json["user_access_level"] == "manager"
    beside.project(1).insights.set_access(made.id, "none")
    assert omar.get(f"/insights/{made.id}/").status_code == 403
    beside.organizations.set_member(1, 2, None, acting(None, None))
    assert omar.get("/insights/").status_code == 403


def test_a_dashboard_that_an_insight_is_put_on(api, beside):
    made, board = api.create(name="one"), api.board()
    assert api.get(f"/insights/{made['id']}/").json["dashboards"] == []
    beside.project(1).insights.update(made["id"], dashboards=[board])
    assert api.get(f"/insights/{made['id']}/").json["dashboards"] == [board]
    beside.project(1).dashboards.update(board, deleted=True)
    assert api.get(f"/insights/{made['id']}/").json["dashboards"] == []


def test_lists(api, omar, beside):
    def names(caller, **params):
        results = caller.get("/insights/", params={"basic": "true", **params}).json["results"]
        return [(one["name"], one["user_access_level"], one["favorited"]) for one in results]

    api.create(name="one")
    assert [names(api), names(omar), names(api, favorited="true")] == [
        [("one", "manager", False)],
        [("one", "editor", False)],
        [],
    ]
    beside.project(1).insights.update(1, favorited=True)
    assert names(api, favorited="true") == names(api) == [("one", "manager", True)]
    beside.project(1).insights.set_access(1, "none")
    assert (names(api), names(omar)) == ([("one", "manager", True)], [])
    beside.project(1).insights.view(1, by=2)
    (seen,) = api.get("/insights/", params={"basic": "true"}).json["results"]
    assert seen["last_viewed_at"] is not None


def test_a_project_setting(api, beside):
    assert api.get("/api/projects/1/").json["timezone"] == "UTC"
    beside.project(1).update(timezone="Europe/Berlin")
    assert api.get("/api/projects/1/").json["timezone"] == "Europe/Berlin"
