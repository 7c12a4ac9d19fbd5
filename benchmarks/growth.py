"""Whether a log with many insights answers as fast as one with few.

`python benchmarks/run.py growth [--insights N]`. Two folders, 1,000 insights and N, each under a server of its own; the
ceiling of each figure is the latency with few. Before each request an insight is viewed, so that no page is kept.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from measuring import KEY, TOKEN, Served, insightlog_server, row

import insightlog
from insightlog.application.insights import definition_of
from insightlog.application.ports import Append, StreamEvents
from insightlog.domain.events import Actor
from insightlog.domain.insight import decide, stream_of
from insightlog.domain.insight_commands import CreateInsight

FEW = 1_000
BATCH = 500
ROUNDS = 60
WORDS = [
    "weekly", "daily", "signup", "retention", "funnel", "revenue", "checkout", "mobile", "churn", "onboarding",
    "activation", "search", "invite", "billing", "north", "south", "trial", "upgrade", "session", "landing", "campaign",
    "newsletter", "support", "latency", "errors", "cohort", "growth",
]  # fmt: skip
PREFIX = "/api/projects/1/insights/"
REQUESTS = {
    "get": "{id}/",
    "list, first page": "?limit=100&basic=true",
    "list, a page in the middle": "?limit=100&basic=true&offset={half}",
    "list by name": "?limit=100&basic=true&order=name",
    "list of favorites": "?limit=100&basic=true&favorited=true",
    "list with a tag": '?limit=100&basic=true&tags=["rare"]',
    "list with an order by time": "?limit=100&basic=true&order=-last_modified_at",
    "search, one rare word": "?limit=20&basic=true&search=zanzibar",
    "search, one common word": "?limit=20&basic=true&search=retention",
    "search, two words": "?limit=20&basic=true&search=retention%20mobile",
    "my last viewed": "my_last_viewed/",
    "activity of an insight": "{id}/activity/",
    "activity of the project": "activity/?limit=20",
}


def run(insights: int = 100_000) -> Iterable[dict[str, Any]]:
    """Yield a row for each kind of request: median milliseconds with many and with few insights."""
    with tempfile.TemporaryDirectory(prefix="bench-growth-") as name:
        folders = {count: Path(name) / str(count) / "data" for count in (FEW, insights)}
        for count, folder in folders.items():
            folder.parent.mkdir()
            fill(folder, count)
        with insightlog_server(folders[FEW]) as few, insightlog_server(folders[insights]) as many:
            for what, path in REQUESTS.items():
                found = medians(path, {FEW: few, insights: many})
                yield row(
                    f"{what}, {insights:,} insights", found[insights], "ms", ceiling=found[FEW],
                    at_most=1.5 * found[FEW],
                )  # fmt: skip


def medians(path: str, servers: dict[int, Served]) -> dict[int, float]:
    """Return the median latency of each server, asked in turns."""
    took: dict[int, list[float]] = {count: [] for count in servers}
    for n in range(ROUNDS):
        for count, server in servers.items():
            asked = PREFIX + path.format(id=1 + (n * 7919) % count, half=count // 2)
            server.request("POST", f"{PREFIX}1/viewed/")
            begun = time.perf_counter()
            status, body = server.request("GET", asked)
            took[count].append((time.perf_counter() - begun) * 1000)
            if status != 200:
                raise RuntimeError(f"{asked}: {status} {body[:300]!r}")
    return {count: statistics.median(found) for count, found in took.items()}


def fill(folder: Path, count: int) -> None:
    """Make a folder with so many insights, each created, every tenth renamed, some viewed."""
    rng, begun = random.Random(3), datetime(2026, 1, 1, tzinfo=UTC)
    now = begun
    with insightlog.open(folder, clock=lambda: now) as log:
        owner = log.create_user("owner@example.com", level="owner")
        log.create_project("Many", token=TOKEN)
        log.create_key(owner, value=KEY)
        for first in range(1, count + 1, BATCH):
            now += timedelta(seconds=60)
            streams = tuple(
                StreamEvents(stream_of(one), decide(None, creation(one, count, rng)), 0)
                for one in range(first, min(first + BATCH, count + 1))
            )
            log.parts.store.append(Append(streams, Actor(owner.id), 1, "fill"))
        for one in range(1, count + 1, max(1, count // 200)):
            log.project(1).insights.view(one, by=owner)


def creation(n: int, count: int, rng: random.Random) -> CreateInsight:
    """Return the command that makes the n-th insight of so many; 20 are rare ones, whatever their number."""
    is_rare = n % (count // 20) == 0
    return CreateInsight(
        f"b{n:07d}",
        definition_of(
            {
                "name": f"{' '.join(rng.choices(WORDS, k=3))} {n}{' zanzibar' if is_rare else ''}",
                "description": " ".join(rng.choices(WORDS, k=8)),
                "query": {
                    "kind": "InsightVizNode",
                    "source": {"kind": "TrendsQuery", "series": [{"kind": "EventsNode", "event": rng.choice(WORDS)}]},
                },
                "tags": [rng.choice(WORDS), *(["rare"] if is_rare else [])],
                "favorited": n % 5 == 0,
                "saved": True,
            }
        ),
    )
