"""Commands through the library beside raw sqlite3 with the same durability, and replaying the log."""

from __future__ import annotations

import sqlite3
import tempfile
import threading
import time
from pathlib import Path

import insightlog

N = 2000
THREADS = 16
QUERY = {"kind": "TrendsQuery", "series": [{"kind": "EventsNode", "event": "signed up"}]}


def per_second(n, work):
    began = time.perf_counter()
    work()
    return n / (time.perf_counter() - began)


def in_threads(work):
    """Run `work(first, n)` in 16 threads that share N."""
    share = N // THREADS
    threads = [threading.Thread(target=work, args=(number * share, share)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Raw:
    """What a create costs at the least: two events and three view rows of the same size, one synced transaction."""

    def __init__(self, path):
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("PRAGMA synchronous=FULL")
        self.connection.execute(
            "CREATE TABLE events (stream TEXT, version INTEGER, topic TEXT, state BLOB, PRIMARY KEY (stream, version))"
        )
        self.connection.execute("CREATE TABLE listing (id INTEGER PRIMARY KEY, project INTEGER, short TEXT, body TEXT)")
        self.connection.execute("CREATE INDEX by_short ON listing (project, short)")
        self.connection.execute(
            "CREATE TABLE views (insight INTEGER, user INTEGER, at INTEGER, PRIMARY KEY (insight, user))"
        )
        self.connection.execute(
            "CREATE TABLE activity (position INTEGER PRIMARY KEY, project INTEGER, insight INTEGER, body TEXT)"
        )
        self.connection.execute("CREATE INDEX by_insight ON activity (insight, position)")

    def rows(self, n):
        execute = self.connection.execute
        state = b"x" * 420
        execute("INSERT INTO events VALUES (?, 1, 'InsightCreated', ?)", (f"insight:{n}", state))
        execute("INSERT INTO events VALUES (?, 1, 'InsightViewed', ?)", (f"insight-views:{n}", state[:330]))
        execute("INSERT INTO listing VALUES (?, 1, ?, ?)", (n, f"short{n}", "y" * 300))
        execute("INSERT INTO views VALUES (?, 1, ?)", (n, n))
        execute("INSERT INTO activity VALUES (?, 1, ?, ?)", (2 * n, n, "z" * 60))

    def write(self, first, n, per_commit):
        for start in range(first, first + n, per_commit):
            self.connection.execute("BEGIN IMMEDIATE")
            for one in range(start, start + per_commit):
                self.rows(one)
            self.connection.execute("COMMIT")


def row(name, ours, ceiling, unit="commands/s", **more):
    return {"name": name, "ours": ours, "ceiling": ceiling, "unit": unit, "ratio": ceiling / ours, **more}


def run(events):
    """Rows in commands per second; the ceiling is raw SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Raw(Path(folder) / "raw.sqlite")
        log = insightlog.open(Path(folder) / "data")
        project, user = log.create_project("One"), log.create_user("ines@example.com")

        def create(first, n):
            for one in range(first, first + n):
                project.insights.create(name=f"insight {one}", query=QUERY, by=user)

        single = per_second(N, lambda: raw.write(1, N, 1))
        yield row("create, one by one", per_second(N, lambda: create(0, N)), single, target=2)
        grouped = per_second(N, lambda: raw.write(N + 1, N, THREADS))
        yield row("create, 16 threads sharing commits", per_second(N, lambda: in_threads(create)), grouped)
        one = project.insights.get(1)

        def rename():
            for n in range(N):
                project.insights.update(one.id, name=f"name {n}", by=user)

        def view():
            for n in range(N):
                project.insights.view(1 + n, by=user)

        yield row("rename, one insight, one by one", per_second(N, rename), single)
        yield row("view, one by one", per_second(N, view), single)
        yield row(
            "get by id",
            per_second(N, lambda: [project.insights.get(1 + n) for n in range(N)]),
            per_second(
                N,
                lambda: [
                    raw.connection.execute("SELECT * FROM listing WHERE id = ?", (1 + n,)).fetchone() for n in range(N)
                ],
            ),
            "gets/s",
        )
        began = time.perf_counter()
        replayed = sum(1 for _ in log.replay())
        seconds = time.perf_counter() - began
        yield {
            "name": "replay",
            "ours": replayed / seconds,
            "ceiling": None,
            "ratio": None,
            "unit": "events/s",
            "least": 100_000,
        }
        log.close()
        raw.connection.close()
