"""The server under mixed load: lists while heavy queries run, then captures, reads and queries at a steady rate.

`python benchmarks/run.py mixed [--events N] [--seconds S]`. Requests are sent when they are due, however long those
before them take, and latencies count from then. The generator shares the cores with the server.
"""

from __future__ import annotations

import http.client
import json
import queue
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from measuring import KEY, TOKEN, Served, insightlog_server, row

HEAVY = 8
HEAVY_SECONDS = 10.0
HEAVY_TIMEOUT_S = 90
"""A query may wait for its turn for 30 s, and run for as long."""
INSIGHTS = 100
CAPTURES, BATCH, READS, QUERIES = 50, 20, 20, 2
SENDERS = 40
ROWS_PER_FILE = 1_000_000
LIST = "/api/projects/1/insights/?limit=20&basic=true"
_EVENTS = """
COPY (SELECT ['$pageview', 'click', 'signed up', 'purchased'][(1 + hash(i) % 4)::BIGINT] AS event,
      'user' || hash(i * 7) % 50000 AS distinct_id,
      (now()::TIMESTAMP - INTERVAL 90 DAY + to_microseconds((i::HUGEINT * 7700000000000 // $n)::BIGINT)) AS timestamp,
      '{"$browser":"' || ['Chrome', 'Safari', 'Firefox'][(1 + hash(i * 3) % 3)::BIGINT] || '","n":' || i % 1000 || '}'
      AS properties, uuid() AS uuid
      FROM range($first::BIGINT, $last::BIGINT) numbers(i)) TO '{path}' (FORMAT parquet)
"""


def run(events: int = 1_000_000, seconds: float = 20.0) -> Iterable[dict[str, Any]]:
    """Yield the rows of both parts."""
    with tempfile.TemporaryDirectory(prefix="bench-mixed-") as name:
        folder = Path(name)
        with filled_server(folder, events) as served:
            for i in range(INSIGHTS):
                served.request("POST", "/api/projects/1/insights/", json.dumps(insight(i)).encode())
            yield from heavy(served)
            yield from steady(served, seconds)


@contextmanager
def filled_server(folder: Path, events: int) -> Iterator[Served]:
    """Run a server over a folder with many events of the last 90 days."""
    with insightlog_server(filled(folder, events)) as served:
        yield served


def filled(folder: Path, events: int) -> Path:
    """Make a folder with project 1 and many events of the last 90 days; return where it is."""
    import duckdb

    data = folder / "data"
    with insightlog_server(data):
        pass
    files = []
    with duckdb.connect() as connection:
        for first in range(0, events, ROWS_PER_FILE):
            files.append(folder / f"{first}.parquet")
            last = min(first + ROWS_PER_FILE, events)
            sql = _EVENTS.replace("{path}", str(files[-1]))
            connection.execute(sql, {"n": events, "first": first, "last": last})
    given = ["--data", str(data), "--format", "parquet"]
    command = [sys.executable, "-m", "insightlog", "import", *map(str, files), *given]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for file in files:
        file.unlink()
    return data


def heavy(served: Served) -> Iterator[dict[str, Any]]:
    """Measure the list of insights alone, then while heavy queries run all the time."""
    alone = times_of(served, HEAVY_SECONDS / 2)
    stop, done, refused = threading.Event(), [], []

    def ask(number: int) -> None:
        n = 0
        while not stop.is_set():
            n += 1
            body = heavy_query(number * 100_000 + n)
            status, _ = served.request("POST", "/api/projects/1/query/", body, timeout_s=HEAVY_TIMEOUT_S)
            (done if status == 200 else refused).append(status)
            if status == 429:
                time.sleep(0.2)

    askers = [threading.Thread(target=ask, args=(number,)) for number in range(HEAVY)]
    for asker in askers:
        asker.start()
    time.sleep(0.5)
    begun = time.perf_counter()
    busy = times_of(served, HEAVY_SECONDS)
    elapsed = time.perf_counter() - begun
    stop.set()
    for asker in askers:
        asker.join()
    yield row("list p99, alone", percentile(alone, 99), "ms")
    yield row(f"list p99, {HEAVY} heavy queries", percentile(busy, 99), "ms", at_most=100)
    yield row("heavy queries meanwhile", len(done) / elapsed, "queries/s")
    yield row("heavy answers but 200, 400, 429", sum(one not in {400, 429} for one in refused), "answers", at_most=0)


def times_of(served: Served, seconds: float) -> list[float]:
    """Return how long each of the lists took that were asked for every 50 ms, in seconds."""
    sent = Senders(served, 8)
    begun = time.perf_counter()
    for n in range(int(seconds * 20)):
        sent.at(begun + n / 20, Request("list", "GET", LIST))
    return [one.took_s for one in sent.finished()]


def steady(served: Served, seconds: float) -> Iterator[dict[str, Any]]:
    """Capture, read and query at a steady rate."""
    sent = Senders(served, SENDERS)
    due: list[tuple[float, Callable[[], Request]]] = []
    due += [(n / CAPTURES, capture) for n in range(int(seconds * CAPTURES))]
    due += [(n / READS, lambda n=n: read(n)) for n in range(int(seconds * READS))]
    due += [(n / QUERIES, lambda n=n: query(n)) for n in range(int(seconds * QUERIES))]
    begun = time.perf_counter()
    for after, make in sorted(due, key=lambda one: one[0]):
        sent.at(begun + after, make())
    answers = sent.finished()
    kinds = {kind: [one.took_s for one in answers if one.kind == kind] for kind in ("capture", "read", "query")}
    yield row(f"reads p99, {READS}/s", percentile(kinds["read"], 99), "ms", at_most=100)
    yield row(f"captures p99, {CAPTURES}/s of {BATCH}", percentile(kinds["capture"], 99), "ms", at_most=250)
    yield row(f"queries p99, {QUERIES}/s", percentile(kinds["query"], 99), "ms")
    yield row("answers but 200 or 202", sum(one.status not in {200, 202} for one in answers), "answers", at_most=0)


class Request(NamedTuple):
    """What is to be sent."""

    kind: str
    method: str
    path: str
    body: bytes | None = None


class Answer(NamedTuple):
    """What came of it: the time counts from when the request was due."""

    kind: str
    status: int
    took_s: float


class Senders:
    """Threads with a keep-alive connection each, which send requests when they are due."""

    def __init__(self, served: Served, n: int) -> None:
        self._port = served.port
        self._due: queue.Queue[tuple[float, Request] | None] = queue.Queue()
        self._answers: list[Answer] = []
        self._threads = [threading.Thread(target=self._send) for _ in range(n)]
        for thread in self._threads:
            thread.start()

    def at(self, moment: float, request: Request) -> None:
        """Wait until the moment and have the request sent."""
        time.sleep(max(0.0, moment - time.perf_counter()))
        self._due.put((moment, request))

    def finished(self) -> list[Answer]:
        """Wait for all answers."""
        for _ in self._threads:
            self._due.put(None)
        for thread in self._threads:
            thread.join()
        return self._answers

    def _send(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        while (due := self._due.get()) is not None:
            moment, request = due
            headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
            try:
                connection.request(request.method, request.path, request.body, headers)
                answer = connection.getresponse()
                answer.read()
                status = answer.status
            except (OSError, http.client.HTTPException):
                connection.close()
                status = 0
            self._answers.append(Answer(request.kind, status, time.perf_counter() - moment))
        connection.close()


def capture() -> Request:
    events = [
        {"event": "$pageview", "distinct_id": f"user{uuid.uuid4().int % 50_000}", "uuid": str(uuid.uuid4()),
         "properties": {"$browser": "Chrome", "n": 5}}
        for _ in range(BATCH)
    ]  # fmt: skip
    return Request("capture", "POST", "/batch/", json.dumps({"api_key": TOKEN, "batch": events}).encode())


def read(n: int) -> Request:
    one = f"/api/projects/1/insights/{1 + n % INSIGHTS}/"
    return Request("read", "GET", (one, f"{one}?refresh=async", LIST, one)[n % 4])


def query(n: int) -> Request:
    events = ("$pageview", "click", "signed up", "purchased")
    node = trend(events[n % 4], ("total", "dau")[n // 4 % 2], days=(7, 30, 90)[n % 3])
    return Request("query", "POST", "/api/projects/1/query/", json.dumps({"query": node}).encode())


def heavy_query(number: int) -> bytes:
    """Return a query that nobody else asks: every event, by a property that is read from JSON."""
    node = trend(None, "p90_count_per_actor", days=90)
    node["properties"] = [{"key": "n", "value": str(-number), "operator": "gt", "type": "event"}]
    node["breakdownFilter"] = {"breakdown": "n"}
    return json.dumps({"query": node, "refresh": "force_blocking"}).encode()


def insight(i: int) -> dict[str, Any]:
    node = trend(("$pageview", "click", "signed up")[i % 3], "total", days=7 + i)
    return {"name": f"Insight {i}", "query": {"kind": "InsightVizNode", "source": node}, "tags": ["growth"]}


def trend(event: str | None, math: str, *, days: int) -> dict[str, Any]:
    series = {"kind": "EventsNode", "event": event, "math": math}
    return {"kind": "TrendsQuery", "series": [series], "dateRange": {"date_from": f"-{days}d"}}


def percentile(times: list[float], share: int) -> float:
    """Return a percentile in milliseconds."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, len(ordered) * share // 100)] * 1000
