"""Clients of the Insights API, unchanged, doing their insight work against a real server."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from .conftest import KEY, TOKEN
from .installed import npm_packages, python_client

HERE = Path(__file__).parent / "clients"
VIEWS = {
    "kind": "InsightVizNode",
    "source": {"kind": "TrendsQuery", "series": [{"kind": "EventsNode", "event": "$pageview", "math": "total"}]},
}


@pytest.fixture(scope="session")
def npm():
    return npm_packages("clients-npm", (HERE / "package.json").read_text())


@pytest.fixture
def filled(server):
    """A server that has seen three page views."""
    batch = [{"event": "$pageview", "distinct_id": who} for who in ("a", "a", "b")]
    assert server.request("POST", "/batch/", {"api_key": TOKEN, "batch": batch}, key=None)[0] == 200
    return server


@pytest.fixture
def run(filled, tmp_path):
    """Runs a client's command with the environment that its makers document, and returns what it prints as JSON."""

    def run_one(*command, fails=False):
        env = {
            "PATH": os.environ["PATH"], "HOME": str(tmp_path), "POSTHOG_HOST": filled.url, "POSTHOG_API_KEY": KEY,
            "POSTHOG_PROJECT_ID": "1", "POSTHOG_CLI_API_KEY": KEY, "POSTHOG_CLI_PROJECT_ID": "1",
        }  # fmt: skip
        done = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, timeout=120, env=env, cwd=tmp_path
        )
        assert (done.returncode != 0) == fails, f"{command}: {done.stdout}{done.stderr}"
        return done.stderr + done.stdout if fails else json.loads(done.stdout)

    return run_one


def total(results):
    return sum(results[0]["data"])


def test_the_official_command_line(run, npm):
    program = npm / "node_modules/@posthog/cli/lib/posthog-api-cli.mjs"

    def call(tool, *options, **parameters):
        return run("node", program, "call", "--json", *options, tool, json.dumps(parameters))

    made = call("insight-create", name="Views", query=VIEWS, tags=["growth"], description="per day")
    assert (made["name"], made["tags"], made["query"]["source"]["kind"]) == ("Views", ["growth"], "TrendsQuery")
    assert call("insight-get", id=made["short_id"])["id"] == made["id"]
    changed = call("insight-update", id=made["id"], name="Page views", favorited=True)
    assert (changed["name"], changed["favorited"], changed["query"]) == ("Page views", True, made["query"])
    listed = call("insights-list", search="views", favorited=True, tags='["growth"]')
    assert [one["short_id"] for one in listed["results"]] == [made["short_id"]]
    for ref in (str(made["id"]), made["short_id"]):
        assert total(call("insight-query", insightId=ref)["results"]) == 3
    answer = call("query-trends", series=[{"kind": "EventsNode", "event": "$pageview", "math": "dau"}])
    assert total(answer["results"]) == 2
    entries = call("insights-activity-retrieve", id=made["id"])["results"]
    assert [(entry["activity"], entry["detail"]["name"]) for entry in entries] == [
        ("updated", "Page views"), ("created", "Views"),
    ]  # fmt: skip
    assert len(call("insights-all-activity-retrieve", limit=1)["results"]) == 1
    assert call("insight-delete", "--confirm", id=made["id"])["deleted"] is True
    assert call("insights-list")["results"] == []


def test_piglet(run):
    piglet = python_client("cased-piglet==0.1.0") / "piglet"
    made = run(piglet, "--json", "insights", "create", "--name", "Views", "--description", "per day")
    assert (made["name"], made["description"], made["saved"]) == ("Views", "per day", True)
    assert run(piglet, "--json", "insights", "get", made["short_id"])["id"] == made["id"]
    changed = run(piglet, "--json", "insights", "update", made["id"], "--name", "Page views")
    assert changed["name"] == "Page views"
    assert [one["name"] for one in run(piglet, "--json", "insights", "list", "--saved")] == ["Page views"]
    assert run(piglet, "--json", "insights", "delete", made["id"], "-y") == {"deleted": True, "id": made["id"]}
    assert run(piglet, "--json", "insights", "list") == []
    assert "not found" in run(piglet, "--json", "insights", "get", 99, fails=True)


def test_phog_cli(run):
    posthog = python_client("phog-cli==0.1.0") / "posthog"
    made = run(
        posthog, "--json", "insight", "create", "--name", "Views", "--query-json", json.dumps(VIEWS), "--tags", "a,b"
    )
    assert (made["name"], made["tags"]) == ("Views", ["a", "b"])
    run(posthog, "--json", "insight", "update", made["id"], "--name", "Page views", "--favorited")
    listed = run(posthog, "--json", "insight", "list", "--search", "page", "--favorited", "--limit", 5)
    assert [one["name"] for one in listed] == ["Page views"]
    assert run(posthog, "--json", "insight", "get", made["id"])["name"] == "Page views"
    assert total(run(posthog, "--json", "insight", "query", made["id"])["results"]) == 3
    assert "API error 405" in run(posthog, "--json", "insight", "delete", made["id"], fails=True)
