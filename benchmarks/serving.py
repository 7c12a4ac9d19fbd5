"""The server: get, list and capture over HTTP, beside a bare Falcon app under the same gunicorn settings.

`python benchmarks/run.py http`. The load generator is a process of its own and shares the cores with the server, for
both sides alike. (The name is not `http`, which would hide the standard library's from every benchmark.)
"""

from __future__ import annotations

import json
import random
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from load import load, request
from measuring import KEY, TOKEN, Served, bare_server, insightlog_server, row

CONNECTIONS = 16
SECONDS = 3.0
ROUNDS = 3
INSIGHTS = 100
BATCHES, BATCH, CAPTURE_CONNECTIONS = 600, 100, 8
LIST = f"/api/projects/1/insights/?basic=true&limit={INSIGHTS}"


def run() -> Iterable[dict[str, Any]]:
    """Yield a row for each kind of request: per second, the best of three rounds taken in turns."""
    with tempfile.TemporaryDirectory(prefix="bench-http-") as name:
        folder = Path(name)
        with insightlog_server(folder / "data") as ours:
            for i in range(INSIGHTS):
                ours.request("POST", "/api/projects/1/insights/", json.dumps(insight(i)).encode())
            paths = {"get one insight": "/api/projects/1/insights/1/", f"list {INSIGHTS} basic": LIST}
            answers = []
            for n, path in enumerate(paths.values()):
                answers.append(folder / f"{n}.json")
                answers[-1].write_bytes(ours.request("GET", path)[1])
            with bare_server(folder, *answers) as bare:
                for n, (what, path) in enumerate(paths.items()):
                    yield gets(f"http {what}", ours, path, bare, f"/{n}", share=0.5 if n == 0 else None)
                yield captures(ours, bare)


def gets(name: str, ours: Served, path: str, bare: Served, bare_path: str, *, share: float | None) -> dict[str, Any]:
    rates: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for found, server, one in ((rates[0], ours, path), (rates[1], bare, bare_path)):
            sent = [request("GET", one, key=KEY)]
            done = load(server.port, sent, connections=CONNECTIONS, count=100_000, seconds=SECONDS)
            found.append(done["n"] / done["seconds"])
    return row(name, max(rates[0]), "requests/s", ceiling=max(rates[1]), share=share)


def captures(ours: Served, bare: Served) -> dict[str, Any]:
    """Capture, durable on answer; the bare route only parses the body."""
    rates = []
    for server in (ours, bare):
        sent = list(batches(BATCHES))
        done = load(server.port, sent, connections=CAPTURE_CONNECTIONS, count=len(sent), seconds=30)
        rates.append(done["n"] * BATCH / done["seconds"])
    return row(f"http capture, {BATCH} a request", rates[0], "events/s", ceiling=rates[1], at_least=15_000)


def insight(i: int) -> dict[str, Any]:
    source = {
        "kind": "TrendsQuery",
        "interval": "week",
        "dateRange": {"date_from": "-90d"},
        "series": [{"kind": "EventsNode", "event": "signed up", "math": "dau"}],
        "breakdownFilter": {"breakdown": "$browser"},
    }
    return {
        "name": f"Weekly signups {i}",
        "description": "How many people signed up in each week",
        "query": {"kind": "InsightVizNode", "source": source},
        "tags": ["growth", "weekly"],
    }


def batches(n: int) -> Iterator[bytes]:
    """Requests as SDKs send them, every event with a uuid and a few properties."""
    rng = random.Random(7)
    for _ in range(n):
        events = [
            {
                "event": rng.choice(["$pageview", "signed up", "purchased"]),
                "distinct_id": f"user{rng.randrange(2_000)}",
                "uuid": str(uuid.uuid4()),
                "timestamp": f"2026-01-{rng.randrange(1, 29):02}T12:00:{rng.randrange(60):02}.123Z",
                "properties": {"$browser": "Chrome", "$lib": "posthog-python", "plan": "pro", "n": rng.randrange(100)},
            }
            for _ in range(BATCH)
        ]
        yield request("POST", "/batch/", body=json.dumps({"api_key": TOKEN, "batch": events}).encode())
