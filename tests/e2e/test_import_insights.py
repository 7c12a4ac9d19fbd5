"""`insightlog import-insights` between two real servers: definitions, times, users and history come over, once."""

from __future__ import annotations

import json

import pytest

from .conftest import KEY, Server, run

OTHER = {"INSIGHTLOG_BOOTSTRAP_API_KEY": "phx_" + "o" * 40, "INSIGHTLOG_BOOTSTRAP_PROJECT_TOKEN": "phc_other"}
TREND = {"kind": "InsightVizNode", "source": {"kind": "TrendsQuery", "series": [{"kind": "EventsNode", "event": "x"}]}}
SAME = ("short_id", "name", "derived_name", "description", "query", "filters", "order", "tags", "favorited", "saved",
        "created_at", "updated_at", "last_modified_at", "is_sample", "deleted")  # fmt: skip


@pytest.fixture
def other(tmp_path):
    made = Server(tmp_path / "other")
    made.start(**OTHER)
    yield made
    if made.process.poll() is None:
        made.kill()


NONE = {"imported": 0, "entries": 0, "known": 0, "rejected": 0, "rules_left": 0, "dashboards": 0, "tiles": 0}


def pull(server, source, key=KEY, *more):
    words = ["import-insights", "--data", server.data, "--from", source.url, "--from-project", "1", "--key", key, *more]
    return run(*words, "--json")


def ask(server, method, path, body=None):
    key = KEY if server.data.name == "data" else OTHER["INSIGHTLOG_BOOTSTRAP_API_KEY"]
    status, answer = server.request(method, path, body, key=key)
    assert status in (200, 201), answer
    return answer


def test_insights_come_over_with_their_history_and_only_once(server, other):
    signups = ask(server, "POST", "insights/", {"name": "Signups", "query": TREND, "tags": ["growth"], "order": 3})
    ask(server, "PATCH", f"insights/{signups['id']}/", {"name": "Signups a day", "description": "Every day"})
    ask(server, "PATCH", f"insights/{signups['id']}/", {"favorited": True, "tags": ["growth", "web"]})
    ask(server, "PATCH", f"insights/{signups['id']}/sharing/", {"enabled": True})
    ask(server, "POST", "insights/", {"name": "Legacy", "filters": {"insight": "TRENDS", "events": [{"id": "x"}]}})
    ask(server, "POST", "insights/", {"query": TREND})
    gone = ask(server, "POST", "insights/", {"name": "Gone"})
    ask(server, "PATCH", f"insights/{gone['id']}/", {"deleted": True})

    first = pull(server=other, source=server)
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout) == {**NONE, "imported": 3, "entries": 5}
    ask(server, "POST", "insights/", {"name": "New"})
    again = json.loads(pull(server=other, source=server).stdout)
    assert again == {**NONE, "imported": 1, "entries": 1, "known": 3}

    theirs = {one["short_id"]: one for one in ask(server, "GET", "insights/?limit=100")["results"]}
    ours = {one["short_id"]: one for one in ask(other, "GET", "insights/?limit=100")["results"]}
    assert theirs.keys() == ours.keys()
    for short_id, one in theirs.items():
        assert {name: ours[short_id][name] for name in SAME} == {name: one[name] for name in SAME}
        assert ours[short_id]["created_by"]["email"] == one["created_by"]["email"]
        before, after = (
            ask(where, "GET", f"insights/{found['id']}/activity/?limit=100")["results"]
            for where, found in ((server, one), (other, ours[short_id]))
        )
        for entry in before + after:
            del entry["item_id"]
        assert after == before
    other.stop()
    assert other.command("verify", "--json")["ok"]


def test_a_key_without_activity_brings_insights_without_history_and_a_wrong_one_nothing(server, other):
    ask(server, "POST", "insights/", {"name": "Signups", "query": TREND})
    words = ["key", "create", "--user", "owner@localhost", "--scope", "insight:read", "--json"]
    key = server.command(*words)["key"]
    done = pull(other, server, key)
    assert (done.returncode, "activity_log:read" in done.stderr) == (0, True), done.stderr
    assert json.loads(done.stdout) == {**NONE, "imported": 1}
    for scope in ("access_control:read", "dashboard:read", "sharing_configuration:read"):
        assert scope in done.stderr
    done = pull(other, server, "phx_wrong")
    assert (done.returncode, "answered 403" in done.stderr) == (1, True), done.stderr


def test_dashboards_shares_rules_and_last_views_come_over_and_only_once(server, other):
    weekly = ask(server, "POST", "dashboards/", {
        "name": "Weekly", "description": "d", "pinned": True, "tags": ["growth"], "filters": {"date_from": "-3d"},
        "restriction_level": 37, "tiles": [{"text": {"body": "Read this"}}],
    })  # fmt: skip
    ask(server, "PATCH", f"dashboards/{weekly['id']}/", {"tiles": [{"id": weekly["tiles"][0]["id"], "color": "blue"}]})
    signups = ask(server, "POST", "insights/", {"name": "Signups", "query": TREND, "dashboards": [weekly["id"]]})
    (tile, _) = ask(server, "GET", f"dashboards/{weekly['id']}/")["tiles"]
    look = {"id": tile["id"], "color": "red", "layouts": {"sm": {"x": 1}}, "filters_overrides": {"date_from": "-1d"}}
    ask(server, "PATCH", f"dashboards/{weekly['id']}/", {"tiles": [look]})
    for path in (f"insights/{signups['id']}", f"dashboards/{weekly['id']}"):
        ask(server, "PATCH", f"{path}/sharing/", {"enabled": True, "settings": {"legend": True}})
    ann = server.command("user", "create", "ann@example.com", "--json")["id"]
    members = server.request("GET", "/api/organizations/@current/members/", key=KEY)[1]["results"]
    membership = next(one["id"] for one in members if one["user"]["id"] == ann)
    for rule in ({"access_level": "none"}, {"access_level": "viewer", "organization_member": membership}):
        ask(server, "PUT", f"insights/{signups['id']}/access_controls/", rule)
    ask(server, "POST", "insights/", {"name": "Alone"})

    done = pull(other, server)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {**NONE, "imported": 2, "entries": 3, "dashboards": 1, "tiles": 1}
    extra = ask(server, "POST", "insights/", {"name": "Later", "dashboards": [weekly["id"]]})
    assert json.loads(pull(other, server).stdout) == {**NONE, "imported": 1, "entries": 1, "known": 2, "tiles": 1}
    assert json.loads(pull(other, server).stdout) == {**NONE, "known": 3}

    theirs = ask(server, "GET", f"dashboards/{weekly['id']}/")
    (shown,) = ask(other, "GET", "dashboards/")["results"]
    ours = ask(other, "GET", f"dashboards/{shown['id']}/")
    same = ("name", "description", "pinned", "tags", "filters", "restriction_level", "created_at")
    assert {name: ours[name] for name in same} == {name: theirs[name] for name in same}
    assert ours["created_by"]["email"] == theirs["created_by"]["email"]

    def tiles(board):
        return [
            (one["color"], one["layouts"], one["filters_overrides"], one["text"] and one["text"]["body"],
             one["insight"] and one["insight"]["short_id"]) for one in board["tiles"]
        ]  # fmt: skip

    assert tiles(ours) == tiles(theirs)
    assert {extra["short_id"], signups["short_id"]} == {one["insight"]["short_id"] for one in ours["tiles"][:2]}
    before, after = (
        {one["short_id"]: one for one in ask(where, "GET", "insights/")["results"]} for where in (server, other)
    )
    assert {name: one["last_viewed_at"] for name, one in after.items()} == {
        name: one["last_viewed_at"] for name, one in before.items()
    }
    came = after[signups["short_id"]]
    assert came["updated_at"] == before[signups["short_id"]]["updated_at"]
    assert ask(other, "GET", "insights/my_last_viewed/") == []
    share = ask(other, "GET", f"insights/{came['id']}/sharing/")
    assert (share["enabled"], share["settings"], share["created_at"] is None) == (False, {"legend": True}, False)
    assert ask(other, "GET", f"dashboards/{shown['id']}/sharing/")["settings"] == {"legend": True}
    second = other.command("project", "create", "Second", "--json")["id"]
    assert pull(other, server, KEY, "--project", str(second), "--open-shares").returncode == 0
    path = f"/api/projects/{second}/insights/"
    made = next(one for one in ask(other, "GET", path)["results"] if one["short_id"] == signups["short_id"])
    share = ask(other, "GET", f"{path}{made['id']}/sharing/")
    assert share["enabled"] is True
    assert other.request("GET", f"/shared/{share['access_token']}.json")[1]["insight"]["name"] == "Signups"
    rules = ask(other, "GET", f"insights/{came['id']}/access_controls/")["access_controls"]
    assert [(one["access_level"], one["role"]) for one in rules] == [("none", None), ("viewer", None)]
    other.stop()
    assert other.command("verify", "--json")["ok"]
