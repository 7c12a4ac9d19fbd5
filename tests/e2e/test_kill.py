"""A real server under load is killed with -9 and started again: what it acknowledged is there, exactly once."""

from __future__ import annotations

import http.client
import threading
import uuid
from datetime import UTC, datetime

from .conftest import TOKEN


def test_nothing_acknowledged_is_lost_or_doubled_by_a_kill(server):
    created, captured, attempted = [], [], []
    enough = threading.Event()

    def client(number):
        n = 0
        while not enough.is_set():
            n += 1
            name = f"insight {number}-{n}"
            batch = [
                {"event": "hit", "distinct_id": f"{number}", "uuid": str(uuid.uuid4()), "properties": {}}
                for _ in range(20)
            ]
            attempted.extend(event["uuid"] for event in batch)
            try:
                if server.request("POST", "insights/", {"name": name})[0] == 201:
                    created.append(name)
                if server.request("POST", "/batch/", {"api_key": TOKEN, "batch": batch}, key=None)[0] == 200:
                    captured.extend(batch)
            except (OSError, ValueError, http.client.HTTPException):
                return

    threads = [threading.Thread(target=client, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    while len(created) < 120:
        pass
    server.kill()
    enough.set()
    for thread in threads:
        thread.join()
    server.start()

    _, page = server.request("GET", "insights/?limit=1000&basic=true")
    names = [one["name"] for one in page["results"]]
    assert len(set(names)) == len(names)
    assert set(created) <= set(names)
    for start in range(0, len(captured), 500):
        again = captured[start : start + 500]
        assert server.request("POST", "/batch/", {"api_key": TOKEN, "batch": again}, key=None)[0] == 200
    query = {"kind": "TrendsQuery", "series": [{"kind": "EventsNode", "event": "hit"}]}
    _, answer = server.request("POST", "query/", {"query": query, "refresh": "force_blocking"})
    counted = sum(answer["results"][0]["data"])
    assert len(captured) <= counted <= len(attempted)
    assert answer["results"][0]["days"][-1] == datetime.now(UTC).date().isoformat()
    server.stop()
    assert server.command("verify", "--json")["ok"]
