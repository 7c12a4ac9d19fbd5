"""Clients of the Insights API, unchanged, doing their insight work against a real server."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from .conftest import KEY, TOKEN
from .installed import MUST_RUN, npm_packages, python_client

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
    batch = [{"event": "$pageview", "distinct_id": who, "properties": {"plan": "pro"}} for who in ("a", "a", "b")]
    assert server.request("POST", "/batch/", {"api_key": TOKEN, "batch": batch}, key=None)[0] == 200
    return server


@pytest.fixture
def run(filled, tmp_path):
    """Runs a client's command with the environment that its makers document, and returns what it prints as JSON."""

    def run_one(*command, fails=False, lines=False, stdin=None):
        env = {
            "PATH": os.environ["PATH"], "HOME": str(tmp_path), "POSTHOG_HOST": filled.url, "POSTHOG_API_KEY": KEY,
            "POSTHOG_PROJECT_ID": "1", "POSTHOG_CLI_API_KEY": KEY, "POSTHOG_CLI_PROJECT_ID": "1",
            "BASE_URL": filled.url, "BEARER_TOKEN": KEY,
        }  # fmt: skip
        done = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, timeout=240, env=env, cwd=tmp_path, input=stdin
        )
        assert (done.returncode != 0) == fails, f"{command}: {done.stdout}{done.stderr}"
        if fails:
            return done.stderr + done.stdout
        return [json.loads(line) for line in done.stdout.splitlines()] if lines else json.loads(done.stdout)

    return run_one


def total(results):
    return sum(results[0]["data"])


def test_the_official_command_line(run, npm, filled):
    """Each call of it takes two seconds of computing, so that it is called as seldom as will do."""
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
    assert total(call("insight-query", insightId=made["short_id"])["results"]) == 3
    answer = call("query-trends", series=[{"kind": "EventsNode", "event": "$pageview", "math": "dau"}])
    assert total(answer["results"]) == 2
    entries = call("insights-activity-retrieve", id=made["id"])["results"]
    assert [(entry["activity"], entry["detail"]["name"]) for entry in entries] == [
        ("updated", "Page views"), ("created", "Views"),
    ]  # fmt: skip
    assert call("insight-delete", "--confirm", id=made["id"])["deleted"] is True
    assert filled.request("GET", "insights/")[1]["results"] == []


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


def test_the_official_agent_toolkit(run, npm):
    """Its schemas refuse answers with missing or null fields, so that each answer is checked by the client itself."""
    script = npm / "toolkit.mjs"
    script.write_text((HERE / "toolkit.mjs").read_text())
    said = run("node", script)
    assert {"insight-query", "insights-get-all", "dashboard-create", "query-run"} <= set(said["tools"])
    assert [one["id"] for one in said["projects"]] == [1]
    assert said["organization"] == said["organizations"][0]
    made = said["created"]
    assert (made["name"], made["description"], made["query"]["source"]["kind"]) == ("Views", "per day", "TrendsQuery")
    assert said["got"]["id"] == made["id"]
    assert said["updated"]["name"] == "Page views"
    assert [one["id"] for one in said["listed"]] == [made["id"]]
    assert total(said["run"]) == 3
    assert total(said["queried"]["results"]) == 3
    assert said["board"]["tiles"][0]["insight"]["short_id"] == made["short_id"]
    assert (said["renamed"]["name"], [one["name"] for one in said["boards"]]) == ("Growth", ["Growth"])
    assert [one["name"] for one in said["events"]] == ["$pageview"]
    assert "plan" in [one["name"] for one in said["properties"]]
    assert said["unboarded"]["success"] is said["deleted"]["success"] is True
    assert said["left"] == []


# -- large ones ------------------------------------------------------------------------------------------------------

large = pytest.mark.skipif(not MUST_RUN, reason="takes a minute to install; INSIGHTLOG_ALL_CLIENTS=1 runs it")


@large
def test_airbyte(run, filled, tmp_path):
    """Copies projects, insights, events, persons and cohorts, in pages of 100."""
    source = python_client("airbyte-source-posthog==1.1.28") / "source-posthog"
    names = {filled.request("POST", "insights/", {"name": f"n{n}", "query": VIEWS})[1]["name"] for n in range(103)}
    config, catalog = tmp_path / "config.json", tmp_path / "catalog.json"
    config.write_text(json.dumps({"api_key": KEY, "start_date": "2026-01-01T00:00:00Z", "base_url": filled.url}))
    checked = run(source, "check", "--config", config, lines=True)
    assert {"SUCCEEDED"} == {one["connectionStatus"]["status"] for one in checked if "connectionStatus" in one}
    streams = next(
        one["catalog"]["streams"] for one in run(source, "discover", "--config", config, lines=True) if "catalog" in one
    )
    wanted = [
        {"stream": one, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}
        for one in streams
        if one["name"] in {"projects", "insights", "persons", "events", "cohorts"}
    ]
    assert len(wanted) == 5
    catalog.write_text(json.dumps({"streams": wanted}))
    read = run(source, "read", "--config", config, "--catalog", catalog, lines=True)
    found = {}
    for one in read:
        if one["type"] == "RECORD":
            found.setdefault(one["record"]["stream"], []).append(one["record"]["data"])
    assert [one["id"] for one in found["projects"]] == [1]
    assert {one["name"] for one in found["insights"]} == names
    assert len(found["insights"]) == 103
    assert sorted(one["distinct_id"] for one in found["events"]) == ["a", "a", "b"]
    assert len(found["persons"]) == 2


@large
def test_mcparmory(run, filled, tmp_path):
    """An MCP server of others, used as an agent uses it."""
    commands = python_client("mcparmory-posthog==1.0.5")
    made = {"from": ["created", "id"]}
    steps = {
        "created": [
            "create_insight",
            {"description": "per day", "tags": ["Growth"], "favorited": True, "query": VIEWS},
        ],
        "got": ["get_insight", {"id": made, "refresh": "blocking"}],
        "listed": ["list_insights", {"basic": True, "limit": 5}],
        "changed": ["update_insight_partial", {"id": made, "description": "by day"}],
        "sharing": ["list_insight_sharing", {"insight_id": made}],
        "rotated": ["refresh_insight_sharing", {"insight_id": made}],
        "activity": ["get_project_activity_insights", {}],
        "board": ["create_dashboard", {"description": "a board"}],
        "queried": ["query_create", {"query": VIEWS["source"]}],
        "deleted": ["mark_insight_deleted", {"id": made}],
    }
    for _, arguments in steps.values():
        arguments["project_id"] = "1"
    said = run(commands / "python", HERE / "mcp_tools.py", commands / "mcparmory-posthog", stdin=json.dumps(steps))
    assert (said["created"]["tags"], said["created"]["favorited"]) == (["growth"], True)
    assert total(said["got"]["result"]) == total(said["queried"]["results"]) == 3
    assert [one["id"] for one in said["listed"]["results"]] == [said["created"]["id"]]
    assert said["changed"]["description"] == "by day"
    assert said["sharing"]["enabled"] is said["rotated"]["enabled"] is False
    assert [one["activity"] for one in said["activity"]["results"]] == ["access token refreshed"]
    assert said["board"]["description"] == "a board"
    assert said["deleted"]["deleted"] is True
