"""Product events coming in: bulk imports beside plain DuckDB, single captures beside plain SQLite, queries meanwhile.

`python benchmarks/run.py intake [--events N]`. Events have a dozen properties out of sixty, 200 bytes of JSON.
"""

from __future__ import annotations

import itertools
import json
import random
import sqlite3
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
from load import load, request
from measuring import TOKEN, Served, insightlog_server, row
from mixed import Request, Senders, filled_server, trend

import insightlog
from insightlog.adapters.storage.duckdb.store import DuckDBStore
from insightlog.adapters.storage.sqlite.capture_log import SQLiteCaptureLog
from insightlog.application.capturing import captured_events, captured_rows

SINGLES, SINGLE_CONNECTIONS = 6_000, 16
RATE, BATCH, SECONDS = 15_000, 100, 10.0
PROPERTIES = 60
_TURNS = itertools.count()
_WINDOWS = itertools.count(1_000)
"""Minutes of the funnels' windows: none is asked for twice."""
_EVENTS = """
CREATE TABLE made AS SELECT 'event ' || floor(pow(random(), 3) * 200)::INT AS event,
    'user' || floor(pow(random(), 2) * $n / 20)::BIGINT AS distinct_id,
    TIMESTAMP '2026-01-01' + to_microseconds((i::HUGEINT * 7776000000000 // $n)::BIGINT) AS timestamp, uuid() AS uuid,
    '{"$browser":"' || ['Chrome', 'Safari', 'Firefox'][(1 + hash(i) % 3)::BIGINT] || '","$os":"Linux","$current_url":'
        || '"https://shop.example/p/' || hash(i) % 1000 || '","$lib":"web","$session_id":"s' || i // 8
        || '","price":' || (hash(i) % 10000) / 100.0 || ',"n":' || hash(i, 1) % 100 || more || '}' AS properties
FROM (SELECT i, MORE AS more FROM range($n) numbers(i)) ORDER BY timestamp
"""
_VALUES = ("{0}", "'\"v' || {0} % 50 || '\"'", "['true', 'false'][(1 + {0} % 2)::BIGINT]", "'\"2026-01-01T10:00:00Z\"'")
_LINES = "SELECT * REPLACE (strftime(timestamp, '%Y-%m-%dT%H:%M:%S.%fZ') AS timestamp, properties::JSON AS properties)"
_JSON = """
CREATE TABLE events AS SELECT * FROM read_json('{0}', format = 'newline_delimited', columns = {{event: 'VARCHAR',
    distinct_id: 'VARCHAR', timestamp: 'TIMESTAMP', uuid: 'UUID', properties: 'JSON'}})
"""


def run(events: int = 1_000_000) -> Iterable[dict[str, Any]]:
    """Yield the rows of all parts."""
    with tempfile.TemporaryDirectory(prefix="bench-intake-") as name:
        folder = Path(name)
        made = files(folder, events)
        plain = {"parquet": f"CREATE TABLE events AS SELECT * FROM read_parquet('{made['parquet']}')"}
        plain["jsonl"] = _JSON.format(made["jsonl"])
        for kind, least in (("parquet", 300_000), ("jsonl", 100_000)):
            ours = events / best(lambda n, kind=kind: imported(folder / f"{kind}{n}", made[kind], kind))
            ceiling = events / best(lambda n, kind=kind: loaded(folder / f"{kind}{n}.duckdb", plain[kind]))
            yield row(f"import {kind}", ours, "events/s", ceiling=ceiling, at_least=least)
        yield rebuilding(folder / "rebuilt", events // 4)
        yield from draining(folder / "drained")
        (folder / "other").mkdir()
        with filled_server(folder, events) as served:
            yield singles(served, committed(folder / "plain.sqlite"))
            with insightlog_server(folder / "other" / "data") as other:
                yield from querying(served, other)


def files(folder: Path, events: int) -> dict[str, Path]:
    """Make the same events as a file of each format."""
    more = " || ".join(
        f"CASE WHEN hash(i, {k}) % 1000 < {1000 // (k + 1) + 2} THEN ',\"property {k}\":' || "
        f"{_VALUES[k % 4].format(f'(hash(i, {k}) % 1000)')} ELSE '' END"
        for k in range(PROPERTIES)
    )
    made = {kind: folder / f"events.{kind}" for kind in ("parquet", "jsonl")}
    with duckdb.connect() as connection:
        connection.execute(_EVENTS.replace("MORE", more), {"n": events})
        connection.execute(f"COPY made TO '{made['parquet']}' (FORMAT parquet, COMPRESSION zstd)")
        connection.execute(f"COPY ({_LINES} FROM made) TO '{made['jsonl']}' (FORMAT json)")
    return made


def best(work: Callable[[int], float], times: int = 2) -> float:
    """Return the shortest of a few runs."""
    return min(work(n) for n in range(times))


def imported(folder: Path, file: Path, kind: Any) -> float:
    folder.mkdir()
    log = SQLiteCaptureLog(folder / "capture.sqlite")
    store = DuckDBStore(folder / "events.duckdb", log)
    store.drain()
    begun = time.perf_counter()
    for _ in store.import_file(1, file, kind):
        pass
    took = time.perf_counter() - begun
    store.close()
    log.close()
    return took


def loaded(path: Path, statement: str) -> float:
    with duckdb.connect(str(path), config={"threads": 2}) as connection:
        begun = time.perf_counter()
        connection.execute(statement)
        connection.execute("CHECKPOINT")
        return time.perf_counter() - begun


def rebuilding(folder: Path, events: int) -> dict[str, Any]:
    """Measure how quickly a lost DuckDB file is built again from the capture log."""
    folder.mkdir()
    log = SQLiteCaptureLog(folder / "capture.sqlite")
    now = datetime.now(UTC)
    for first in range(0, events, 10_000):
        made = captured_events((event() for _ in range(min(10_000, events - first))), now=now)
        log.appending(captured_rows(1, made, captured_at=now)).wait()
    store = DuckDBStore(folder / "events.duckdb", log)
    begun = time.perf_counter()
    store.drain()
    took = time.perf_counter() - begun
    begun = time.perf_counter()
    after = 0
    while rows := log.read(after, 20_000):
        after = rows[-1].position
    ceiling = time.perf_counter() - begun
    store.close()
    log.close()
    return row("building again from the log", events / took, "events/s", ceiling=events / ceiling, at_least=100_000)


def event() -> dict[str, Any]:
    n = random.randrange(100_000)
    return {
        "event": f"event {n % 7}", "distinct_id": f"user{n % 2000}", "uuid": str(uuid.uuid4()),
        "properties": {"$browser": "Chrome", "$lib": "posthog-python", "plan": "pro", "n": n % 100},
    }  # fmt: skip


def draining(folder: Path) -> Iterator[dict[str, Any]]:
    """Measure what a query waits for when 15,000 events/s come in, the background writer at work."""
    with insightlog.open(folder) as log:
        project = log.create_project("One")
        project.capture([event()])
        store = log.parts.product_store()
        store.drain()
        over = threading.Event()
        given = [[event() for _ in range(BATCH)] for _ in range(int(RATE / BATCH * SECONDS))]

        def capture() -> None:
            begun = time.perf_counter()
            for n, batch in enumerate(given):
                time.sleep(max(0.0, begun + n * BATCH / RATE - time.perf_counter()))
                project.capture(batch)
            over.set()

        thread = threading.Thread(target=capture)
        thread.start()
        took = []
        while not over.is_set():
            time.sleep(random.uniform(0.05, 0.35))
            begun = time.perf_counter()
            store.drain()
            took.append(time.perf_counter() - begun)
        thread.join()
    yield row("drain before a query, 15,000 events/s", statistics.median(took) * 1000, "ms", at_most=50)
    yield row("drain, 95 of 100", sorted(took)[len(took) * 95 // 100] * 1000, "ms")


def singles(served: Served, ceiling: float) -> dict[str, Any]:
    """Capture one event a request."""
    sent = [
        request("POST", "/capture/", body=json.dumps({"api_key": TOKEN, **event()}).encode()) for _ in range(SINGLES)
    ]
    done = load(served.port, sent, connections=SINGLE_CONNECTIONS, count=SINGLES, seconds=30)
    rate = done["n"] / done["seconds"]
    return row("http capture, 1 a request", rate, "requests/s", ceiling=ceiling, at_least=1_500)


def committed(path: Path) -> float:
    """Return how many single rows a second plain SQLite commits, each synced."""
    with sqlite3.connect(path, isolation_level=None) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE t (uuid TEXT UNIQUE, event TEXT, distinct_id TEXT, properties TEXT)")
        begun, n = time.perf_counter(), 0
        while time.perf_counter() - begun < 2:
            n += 1
            given = event()
            values = (given["uuid"], given["event"], given["distinct_id"], json.dumps(given["properties"]))
            connection.execute("INSERT INTO t VALUES (?, ?, ?, ?)", values)
        return n / (time.perf_counter() - begun)


def querying(served: Served, other: Served) -> Iterator[dict[str, Any]]:
    """Ask the same queries while it is quiet, while 15,000 events/s come in, and while these go to another server.

    The last one has nothing to take over before a query: what it costs is the processor alone. Queries are trends of
    two events, one of which comes in meanwhile or none, and funnels; nothing of their answers is kept.
    Refreshes are of one trend whose events come in, of which all days but today are kept: quiet, today is kept as well.
    """
    for name, node in QUERIES.items():
        quiet = statistics.median(asked(served, served, lambda sent, begun: None, node))
        beside = statistics.median(asked(served, other, captures(), node))
        busy = statistics.median(asked(served, served, captures(), node))
        yield row(f"{name} while it is quiet", quiet * 1000, "ms")
        yield row(f"{name} while another server takes 15,000 events/s", beside * 1000, "ms")
        yield row(f"{name} during 15,000 events/s", busy * 1000, "ms")
        bound = {} if name.startswith("refresh") else {"at_most": 1.5}
        yield row(f"{name} during capture / quiet", busy / quiet, "x", **bound)
        yield row(f"{name} during capture / capture elsewhere", busy / beside, "x")


def captures() -> Callable[[Senders, float], None]:
    """Return what sends 15,000 events/s, of its own."""
    batches = ([event() for _ in range(BATCH)] for _ in range(int(RATE / BATCH * SECONDS)))
    bodies = [json.dumps({"api_key": TOKEN, "batch": batch}).encode() for batch in batches]

    def capture(sent: Senders, begun: float) -> None:
        for n, body in enumerate(bodies):
            sent.at(begun + n * BATCH / RATE, Request("capture", "POST", "/batch/", body))

    return capture


def light(n: int, *events: str) -> dict[str, Any]:
    """Return a trend whose condition was in no query before."""
    other = {"key": "$browser", "type": "event", "operator": "is_not", "value": f"browser {n}"}
    return {**refresh(n, *events), "properties": [other]}


def fresh(n: int) -> dict[str, Any]:
    """Return what must look at the events that have just come in, too."""
    return light(n, "event 3")


def refresh(n: int, *events: str) -> dict[str, Any]:
    """Return a trend that is asked for again and again."""
    del n
    series = [trend(event, "dau", days=30)["series"][0] for event in ("$pageview", *(events or ("click",)))]
    return {**trend(None, "dau", days=30), "series": series}


def heavy(n: int) -> dict[str, Any]:
    steps = [{"kind": "EventsNode", "event": event} for event in ("$pageview", "click", "signed up", "purchased")]
    return {
        "kind": "FunnelsQuery", "series": steps, "dateRange": {"date_from": "-90d"},
        "funnelsFilter": {"funnelWindowInterval": next(_WINDOWS), "funnelWindowIntervalUnit": "minute"},
    }  # fmt: skip


QUERIES: dict[str, Callable[[int], dict[str, Any]]] = {
    "query": light,
    "query of events that come in": fresh,
    "heavy query": heavy,
    "refresh of events that come in": lambda n: refresh(n, "event 3"),
}


def asked(
    served: Served,
    takes: Served,
    meanwhile: Callable[[Senders, float], None],
    node: Callable[[int], dict[str, Any]],
) -> list[float]:
    """Return how long queries took, two a second at random moments, in seconds."""
    sent, queries = Senders(takes, 24), Senders(served, 4)
    begun = time.perf_counter()

    def ask() -> None:
        for n in range(int(SECONDS * 2)):
            body = json.dumps({"query": node(next(_TURNS)), "refresh": "force_blocking"}).encode()
            queries.at(begun + (n + random.random() / 2) / 2, Request("query", "POST", "/api/projects/1/query/", body))

    asker = threading.Thread(target=ask)
    asker.start()
    meanwhile(sent, begun)
    asker.join()
    answers = [*sent.finished(), *queries.finished()]
    wrong = [one for one in answers if one.status != 200]
    if wrong:
        raise RuntimeError(f"{len(wrong)} answers were not 200, such as {wrong[0]}")
    return [one.took_s for one in answers if one.kind == "query"]
