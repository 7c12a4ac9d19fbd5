"""Whether a log with many insights answers as fast as one with few.

`python benchmarks/run.py growth [--insights N]`. Two folders, 1,000 insights and N, each under a server of its own; the
ceiling of each figure is the latency with few. Before each request another insight is viewed or renamed, so that no
page is kept. Figures are medians: the first asking of each list is not in them, but in the last row, of words never
asked for.
"""

from __future__ import annotations

import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
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
    "list by name, falling, a page in the middle": "?limit=100&basic=true&order=-name&offset={half}",
    "list of favorites": "?limit=100&basic=true&favorited=true",
    "list with a rare tag": '?limit=20&basic=true&tags=["rare"]',
    "list with a common tag": '?limit=20&basic=true&tags=["mobile"]',
    "list with an order by time": "?limit=100&basic=true&order=-last_modified_at",
    "list of the last 1,000 days": "?limit=100&basic=true&date_from=-1000d",
    "search, one rare word": "?limit=20&basic=true&search=zanzibar",
    "search, one common word": "?limit=20&basic=true&search=retention",
    "search, one common word, a page in the middle": "?limit=20&basic=true&search=retention&offset={sixth}",
    "search, two letters": "?limit=20&basic=true&search=et",
    "my last viewed": "my_last_viewed/",
    "activity of an insight": "{id}/activity/",
    "activity of the project": "activity/?limit=20",
}
NEW_SEARCH = "?limit=20&basic=true&search={word}"


def run(insights: int = 100_000) -> Iterable[dict[str, Any]]:
    """Yield a row for each kind of request: median milliseconds with many and with few insights."""
    with tempfile.TemporaryDirectory(prefix="bench-growth-") as name:
        folders = {count: Path(name) / str(count) / "data" for count in (FEW, insights)}
        for count, folder in folders.items():
            folder.parent.mkdir()
            fill(folder, count)
        with insightlog_server(folders[FEW]) as few, insightlog_server(folders[insights]) as many:
            servers = {FEW: few, insights: many}
            for written, write in (("a view", view), ("an edit", edit)):
                for what, path in REQUESTS.items():
                    found = medians(path, servers, write)
                    yield row(
                        f"{what}, after {written}, {insights:,} insights", found[insights], "ms", ceiling=found[FEW],
                        at_most=1.5 * found[FEW],
                    )  # fmt: skip
            found = medians(NEW_SEARCH, servers, edit, rounds=len(WORDS))
            what = "search, a common word for the first time"
            yield row(f"{what}, {insights:,} insights", found[insights], "ms", ceiling=found[FEW])


def medians(
    path: str, servers: dict[int, Served], write: Callable[[Served, int, int], None], rounds: int = ROUNDS
) -> dict[int, float]:
    """Return the median latency of each server, asked in turns, each time after something was written."""
    took: dict[int, list[float]] = {count: [] for count in servers}
    for n in range(rounds):
        for count, server in servers.items():
            some = {"half": count // 2, "sixth": count // 6, "word": WORDS[n % len(WORDS)][:-1]}
            asked = PREFIX + path.format(id=1 + (n * 7919) % count, **some)
            write(server, 2 + (n * 104_729) % (count - 2), n)
            begun = time.perf_counter()
            status, body = server.request("GET", asked)
            took[count].append((time.perf_counter() - begun) * 1000)
            if status != 200:
                raise RuntimeError(f"{asked}: {status} {body[:300]!r}")
    return {count: statistics.median(found) for count, found in took.items()}


def view(server: Served, insight: int, _n: int) -> None:
    """Look at an insight."""
    server.request("POST", f"{PREFIX}{insight}/viewed/")


def edit(server: Served, insight: int, n: int) -> None:
    """Rename an insight to words of the same kind; a rare one stays rare."""
    _, body = server.request("GET", f"{PREFIX}{insight}/")
    is_rare = "zanzibar" in json.loads(body)["name"]
    name = f"{' '.join(random.Random(n).choices(WORDS, k=3))} again {insight}{' zanzibar' if is_rare else ''}"
    status, body = server.request("PATCH", f"{PREFIX}{insight}/", json.dumps({"name": name}).encode())
    if status != 200:
        raise RuntimeError(f"rename: {status} {body[:300]!r}")


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
