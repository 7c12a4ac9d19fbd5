"""Commands through the library beside plain sqlite3, which writes the very rows that the library had stored.

`python benchmarks/run.py commands`. Plain sqlite3 executes the statements that each command caused, on the same tables,
indexes and triggers: WAL, `synchronous=FULL`, and one
`BEGIN IMMEDIATE` transaction for each command; beside 16 threads, which share commits, for each 16 commands. What
commands read before they write is not among them.
"""

from __future__ import annotations

import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from measuring import row

import insightlog
from insightlog.adapters.storage.sqlite import views
from insightlog.adapters.storage.sqlite.views import ViewTables
from insightlog.application.views.tables import Change, Count, Put
from insightlog.domain.insight import replay_insight

LOG = "insightlog.sqlite"
THREADS = 16
ALONE, TOGETHER = 1_500, 8_000
RENAMED = 200
ROUNDS = 3
REPLAY_BATCH = 500
HASH_BYTES = 32
QUERY = {
    "kind": "InsightVizNode",
    "source": {
        "kind": "TrendsQuery",
        "interval": "week",
        "dateRange": {"date_from": "-90d"},
        "series": [{"kind": "EventsNode", "event": "signed up", "math": "dau"}],
    },
}
Write = tuple[str, tuple[Any, ...]]


class Work(NamedTuple):
    """A kind of command: what the library is told."""

    name: str
    do: Callable[[Any, Any, int], object]


WORKS = (
    Work("create", lambda project, user, n: project.insights.create(name=f"Insight {n}", query=QUERY, by=user)),
    Work("rename", lambda project, user, n: project.insights.update(1 + n % RENAMED, name=f"Renamed {n}", by=user)),
    Work("view", lambda project, user, n: project.insights.view(1 + n % RENAMED, by=user)),
)


def run() -> Iterable[dict[str, Any]]:
    """Yield commands per second, the best of three rounds in turns; then replay and load."""
    for n_commands, threads in ((ALONE, 1), (TOGETHER, THREADS)):
        best = {work.name: (0.0, 0.0) for work in WORKS}
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory(prefix="bench-commands-") as name:
                for work, ours, ceiling in one_round(Path(name), n_commands, threads):
                    best[work] = (max(best[work][0], ours), max(best[work][1], ceiling))
        how = "1 thread" if threads == 1 else f"{threads} threads"
        for work, (ours, ceiling) in best.items():
            yield row(f"{work}, {how}", ours, "commands/s", ceiling=ceiling, share=0.5)
    with tempfile.TemporaryDirectory(prefix="bench-replay-") as name:
        yield from looking_back(Path(name))


def one_round(folder: Path, n_commands: int, threads: int) -> Iterable[tuple[str, float, float]]:
    """Yield each kind of command with its rates: the library's and plain sqlite3's."""
    with written_down() as written, insightlog.open(folder / "data") as log:
        user = log.create_user("owner@example.com")
        project = log.create_project("Shop")
        raw = Raw(folder / "raw.sqlite", like=folder / "data" / LOG)
        for work in WORKS:
            before = log.position()
            written.clear()
            ours = n_commands / in_threads(lambda n, do=work.do: do(project, user, n), n_commands, threads)
            ceiling = n_commands / raw.write(raw.commands(before, written), per_commit=threads)
            yield work.name, ours, ceiling
        raw.close()


@contextmanager
def written_down() -> Iterator[list[list[Change]]]:
    """Give a list of the row changes that each append makes from now on; writing them down takes a microsecond each."""
    found: list[list[Change]] = []
    apply = ViewTables.apply

    def noting(views: ViewTables, cursor: sqlite3.Cursor, changes: Iterable[Change]) -> None:
        own: list[Change] = []
        found.append(own)
        apply(views, cursor, (own.append(change) or change for change in changes))

    ViewTables.apply = noting
    try:
        yield found
    finally:
        ViewTables.apply = apply


def in_threads(do: Callable[[int], object], n: int, threads: int) -> float:
    """Call a function with 0 to n - 1 in so many threads; return the seconds."""
    failed: list[BaseException] = []

    def some(first: int) -> None:
        try:
            for i in range(first, n, threads):
                do(i)
        except BaseException as error:  # noqa: BLE001 carried over to the caller's thread
            failed.append(error)

    workers = [threading.Thread(target=some, args=(first,)) for first in range(threads)]
    begun = time.perf_counter()
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    if failed:
        raise failed[0]
    return time.perf_counter() - begun


class Raw:
    """Plain sqlite3 on a file with the tables of a log."""

    def __init__(self, path: Path, *, like: Path) -> None:
        self._like = like
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        with closing(sqlite3.connect(like)) as log:
            made = log.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE '%_fts_%' ")
            for (text,) in made:
                self._connection.execute(text)

    def commands(self, after: int, written: Sequence[Sequence[Change]]) -> list[list[Write]]:
        """Return what each command since a position stored, as statements; the last one moves the head of the log."""
        with closing(sqlite3.connect(self._like)) as log:
            events = log.execute("SELECT * FROM stored_events WHERE rowid > ? ORDER BY rowid", (after,)).fetchall()
        made, own = [], []
        for event in events:
            own.append(("INSERT INTO stored_events VALUES (?, ?, ?, ?)", event))
            value = orjson.loads(event[3][2 * HASH_BYTES :])
            if value["part"] == value["parts"]:
                head = (value["position"], event[3][HASH_BYTES : 2 * HASH_BYTES], 0)
                changes = [statement(change) for change in written[len(made)]]
                made.append([*own, *changes, ("INSERT OR REPLACE INTO log_head VALUES (1, ?, ?, ?)", head)])
                own = []
        return made

    def write(self, commands: Sequence[list[Write]], *, per_commit: int) -> float:
        """Write them, so many in one transaction; return the seconds."""
        execute = self._connection.execute
        begun = time.perf_counter()
        for first in range(0, len(commands), per_commit):
            execute("BEGIN IMMEDIATE")
            for writes in commands[first : first + per_commit]:
                for sql, values in writes[:-1]:
                    execute(sql, values)
            execute(*writes[-1])  # once a commit, as the library does
            execute("COMMIT")
        return time.perf_counter() - begun

    def close(self) -> None:
        self._connection.close()


def statement(change: Change) -> Write:
    """Return the statement of a row change, as the views prepare it."""
    if isinstance(change, Put):
        return views._upsert(change.table, "", tuple(change.row), change.once), tuple(change.row.values())
    if isinstance(change, Count):
        return views._count(change.table, "", tuple(change.key), change.column), (*change.key.values(), change.by)
    return views._delete(change.table, "", tuple(change.key)), tuple(change.key.values())


def looking_back(folder: Path) -> Iterable[dict[str, Any]]:
    """Yield the rows for replaying a log and for loading one insight out of its events."""
    with insightlog.open(folder) as log:
        user = log.create_user("owner@example.com")
        project = log.create_project("Shop")
        for work in WORKS:
            in_threads(lambda n, do=work.do: do(project, user, n), TOGETHER, THREADS)
        edited = project.insights.create(name="Edited", by=user).id
        for n in range(99):
            project.insights.update(edited, name=f"Name {n}", by=user)
        events = log.position()
        with closing(sqlite3.connect(folder / LOG)) as plain:
            ours = events / fastest(lambda: sum(1 for _ in log.replay()), times=6)
            ceiling = events / fastest(lambda: plain_replay(plain), times=6)
            yield row("replay of the log", ours, "events/s", ceiling=ceiling, at_least=100_000)
            stream = f"insight:{edited}"
            ours = fastest(lambda: replay_insight(log.parts.store.load(stream)), times=50) * 1000
            ceiling = fastest(lambda: plain_load(plain, stream), times=50) * 1000
            yield row("load of an insight with 100 events", ours, "ms", ceiling=ceiling, at_most=1)


def plain_replay(connection: sqlite3.Connection) -> None:
    """Read all events in batches, check their hashes and parse their JSON."""
    after = 0
    sql = "SELECT rowid, state FROM stored_events WHERE rowid > ? ORDER BY rowid LIMIT ?"
    while found := connection.execute(sql, (after, REPLAY_BATCH)).fetchall():
        for _, state in found:
            checked(state)
        after = found[-1][0]


def plain_load(connection: sqlite3.Connection, stream: str) -> None:
    sql = "SELECT state FROM stored_events WHERE originator_id = ? ORDER BY originator_version"
    for (state,) in connection.execute(sql, (stream,)):
        checked(state)


def checked(state: bytes) -> Any:
    text = state[2 * HASH_BYTES :]
    if sha256(state[:HASH_BYTES] + text).digest() != state[HASH_BYTES : 2 * HASH_BYTES]:
        raise ValueError(state)
    return orjson.loads(text)


def fastest(work: Callable[[], object], times: int = 3) -> float:
    """Return the shortest run in seconds."""
    found = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        found.append(time.perf_counter() - begun)
    return min(found)
