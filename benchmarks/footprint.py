"""The server's footprint: start to ready, memory at rest, stopping; beside a bare Falcon app under the same gunicorn.

`python benchmarks/run.py footprint`; memory is read from /proc, so Linux only. Memory is the sum over the server's
processes; "shared once" counts pages that they share one time.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

from measuring import KEY, Served, bare_server, insightlog_server, row

import insightlog

STARTS = 5
IDLE_S = 1.0
INSIGHTS, EVENTS, BATCH = 500, 20_000, 1_000
QUERY = {"kind": "TrendsQuery", "series": [{"kind": "EventsNode", "event": "signed up"}]}


def run() -> Iterable[dict[str, Any]]:
    """Yield rows; times are medians of five starts."""
    with tempfile.TemporaryDirectory(prefix="bench-footprint-") as name:
        folder = Path(name)
        bare_s, bare_mb, bare_stop_s = bare(folder)
        empty, idle, stops = [], (0.0, 0.0), []
        for n in range(STARTS):
            with insightlog_server(folder / f"new{n}") as served:
                empty.append(served.ready_s)
                if n == 0:
                    idle = memory(served)
                stops.append(served.stop())
        filled = folder / "filled"
        fill(filled)
        later, asked = [], (0.0, 0.0)
        for n in range(STARTS):
            with insightlog_server(filled) as served:
                later.append(served.ready_s)
                if n == 0:
                    asked = after_query(served)
        yield row("start to ready, empty folder", median(empty), "s", ceiling=bare_s, at_most=1.5)
        yield row(f"start to ready, {INSIGHTS} insights", median(later), "s", ceiling=bare_s, at_most=1.5)
        yield row("memory at rest", idle[0], "MB", ceiling=bare_mb[0], at_most=150)
        yield row("memory at rest, shared once", idle[1], "MB", ceiling=bare_mb[1])
        yield row("memory after a query", asked[0], "MB", ceiling=bare_mb[0], at_most=150)
        yield row("memory after a query, shared once", asked[1], "MB", ceiling=bare_mb[1])
        yield row("stop", median(stops), "s", ceiling=bare_stop_s)


def bare(folder: Path) -> tuple[float, tuple[float, float], float]:
    ready, stops, found = [], [], (0.0, 0.0)
    for n in range(STARTS):
        with bare_server(folder) as served:
            ready.append(served.ready_s)
            if n == 0:
                found = memory(served)
            stops.append(served.stop())
    return median(ready), found, median(stops)


def memory(served: Served) -> tuple[float, float]:
    time.sleep(IDLE_S)
    return served.memory_mb("Rss"), served.memory_mb("Pss")


def after_query(served: Served) -> tuple[float, float]:
    status, answer = served.request("POST", "/api/projects/1/query/", json.dumps({"query": QUERY}).encode())
    if status != 200:
        raise RuntimeError(f"The query was answered with {status}: {answer[:500]!r}")
    return memory(served)


def fill(folder: Path) -> None:
    """Make a folder with insights, captured events and a DuckDB file that has them."""
    with insightlog.open(folder) as log:
        owner = log.create_user("owner@localhost")
        log.create_key(owner, value=KEY)
        project = log.create_project("Shop")
        for i in range(INSIGHTS):
            project.insights.create(name=f"Insight {i}", query=QUERY, by=owner)
        for first in range(0, EVENTS, BATCH):
            project.capture(
                {"event": "signed up", "distinct_id": f"user{i % 500}", "properties": {"plan": "pro", "n": i}}
                for i in range(first, first + BATCH)
            )
        project.query(QUERY)
