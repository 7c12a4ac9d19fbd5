"""`insightlog import-insights` between two real servers: definitions, times, users and history come over, once."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from .conftest import KEY, Server

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


def pull(server, source, key=KEY):
    words = ["import-insights", "--data", server.data, "--from", source.url, "--from-project", "1", "--key", key]
    return subprocess.run(
        [sys.executable, "-m", "insightlog", *map(str, words), "--json"], capture_output=True, text=True, timeout=60
    )


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
    assert json.loads(first.stdout) == {"imported": 3, "entries": 5, "known": 0, "rejected": 0}
    ask(server, "POST", "insights/", {"name": "New"})
    again = json.loads(pull(server=other, source=server).stdout)
    assert again == {"imported": 1, "entries": 1, "known": 3, "rejected": 0}

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


def test_a_key_without_activity_brings_insights_without_history(server, other):
    ask(server, "POST", "insights/", {"name": "Signups", "query": TREND})
    words = ["key", "create", "--user", "owner@localhost", "--scope", "insight:read", "--json"]
    key = server.command(*words)["key"]
    done = pull(other, server, key)
    assert (done.returncode, "activity_log:read" in done.stderr) == (0, True), done.stderr
    assert json.loads(done.stdout) == {"imported": 1, "entries": 0, "known": 0, "rejected": 0}


def test_a_wrong_key_is_said(server, other):
    done = pull(other, server, "phx_wrong")
    assert (done.returncode, "answered 403" in done.stderr) == (1, True), done.stderr
