"""A disk without room: captures are refused and sent again later, reads go on, writing resumes by itself."""

from __future__ import annotations

import json
import os
import resource
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import pytest

from .conftest import TOKEN

ROOM = 4 << 20
TREND = {"kind": "TrendsQuery", "series": [{"kind": "EventsNode", "event": "hit"}]}


@pytest.fixture
def limited(server):
    """The server, whose files cannot grow beyond 4 MB."""
    yield server, lambda size: set_limit(server, size)
    if server.process.poll() is None:
        set_limit(server, resource.RLIM_INFINITY)


def set_limit(server, size):
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    for pid in map(int, children.read_text().split()):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def capture(server):
    batch = [
        {"event": "hit", "distinct_id": "u", "uuid": str(uuid.uuid4()), "properties": {"x": os.urandom(300).hex()}}
        for _ in range(200)
    ]
    body = json.dumps({"api_key": TOKEN, "batch": batch}).encode()
    request = urllib.request.Request(f"{server.url}/batch/", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, len(batch)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def counted(server):
    status, answer = server.request("POST", "query/", {"query": TREND, "refresh": "force_blocking"})
    assert status == 200, answer
    return sum(answer["results"][0]["data"])


def test_a_full_disk_refuses_captures_only_and_only_while_it_is_full(limited):
    server, set_room = limited
    insight = server.request(
        "POST", "insights/", {"name": "Hits", "query": {"kind": "InsightVizNode", "source": TREND}}
    )
    set_room(ROOM)
    acknowledged = 0
    for _ in range(100):
        status, said = capture(server)
        if status != 200:
            break
        acknowledged += said
        assert counted(server) <= acknowledged
    assert (status, said) == (503, b"transient error, please retry")
    assert server.request("GET", "insights/")[0] == 200
    assert server.request("GET", f"insights/{insight[1]['id']}/?refresh=blocking")[0] == 200
    assert server.request("GET", "persons/")[0] == 200
    seen = counted(server)
    _, health = server.request("GET", "/_health")
    waiting = health["product_events"]
    assert seen + (waiting["of"] if waiting else 0) == acknowledged, "what is missing is told"
    set_room(resource.RLIM_INFINITY)
    assert counted(server) == acknowledged
    assert server.request("GET", "/_health")[1]["product_events"] is None
    assert capture(server) == (200, 200)
    assert counted(server) == acknowledged + 200
    server.stop()
    assert server.command("verify", "--json")["ok"]
