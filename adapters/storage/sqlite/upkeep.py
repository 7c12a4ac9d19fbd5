"""Keeping the log whole: verify it, rebuild its views, and build views of the past in memory."""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from eventsourcing.persistence import StoredEvent

from ....application.ports import Views
from ....application.views.projections import appends, project
from ....application.views.tables import TABLES
from ....domain.errors import CorruptLog, StoreUnavailable
from ....domain.events import Record
from ..codec import ORIGIN
from .event_store import SQLiteEventStore, unsealed
from .view_reads import SQLiteViews
from .views import ViewTables

BATCH = 500
Progress = Callable[[int, int], None]
"""Told how many records are done, and how many there are."""


def no_progress(_done: int, _total: int) -> None:
    """Tell nobody."""


class _Dropped(sqlite3.Connection):
    """Closed when nobody looks back through it any more; Python 3.13 warns of one that is not."""

    def __del__(self) -> None:
        self.close()


def views_of(records: Iterable[Record]) -> tuple[Views, sqlite3.Connection]:
    """Return views over the given records, and the connection that holds them: in memory, what is large on disk."""
    connection = sqlite3.connect("", check_same_thread=False, isolation_level=None, factory=_Dropped)
    connection.row_factory = sqlite3.Row
    tables = ViewTables()
    tables.create(connection)
    connection.execute("BEGIN")
    apply_all(records, tables, connection.cursor())
    connection.execute("COMMIT")
    return SQLiteViews(lambda: connection), connection


def apply_all(records: Iterable[Record], tables: ViewTables, cursor: sqlite3.Cursor) -> None:
    """Project records, append by append, into view tables."""
    for one in appends(records):
        tables.apply(cursor, project(one, lambda table, ref: tables.read(cursor, table, ref)))


def verify(path: Path, progress: Progress = no_progress) -> list[str]:
    """Check hash chain, versions, head and views of a log, all in one snapshot; return what is wrong, if anything.

    Cost: reads the whole log once and rebuilds the views in memory; writers are not held up. The first break of the
    chain ends the check, since nothing behind it can be trusted.
    """
    if not path.is_file():
        return [f"There is no log: {path} does not exist, or is no file."]
    live = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None)
    live.row_factory = sqlite3.Row
    try:
        live.execute("BEGIN")
        head = live.execute("SELECT position, hash FROM log_head").fetchone()
        total = head["position"] if head else 0
        chain = _Chain()
        try:
            _, replayed = views_of(chain.follow(_all_records(live, total, progress)))
        except CorruptLog as error:
            return [str(error)]
        found = chain.end(head)
        found += [
            f"View {name} differs from a replay of the log in {n} rows; insightlog rebuild mends it."
            for name, n in differences(live, replayed).items()
            if n
        ]
        replayed.close()
        wrong = [text for (text,) in live.execute("PRAGMA integrity_check(3)") if text != "ok"]
        found += [f"SQLite finds {path.name} damaged: {text}." for text in wrong]
    except sqlite3.DatabaseError as error:
        return [f"The log cannot be read: {error}."]
    else:
        return found
    finally:
        live.close()


def rebuild(store: SQLiteEventStore, progress: Progress = no_progress) -> dict[str, int]:
    """Build every view anew from the log and switch to it in one transaction; return differing rows per view.

    The bulk is read and written in batches beside running writers; only the last step, which takes over what was
    appended meanwhile, holds them up. Raises `StoreUnavailable` while another rebuild runs.
    """
    with _alone(store.path):
        return _rebuild(store, progress)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock beside the file, which ends with the process."""
    with path.with_suffix(".rebuilding").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreUnavailable("Another rebuild is running. Wait for its end.") from error
        yield


def _rebuild(store: SQLiteEventStore, progress: Progress) -> dict[str, int]:
    fresh = ViewTables("__new")
    with store.writing() as cursor:
        fresh.drop(cursor.connection)
        fresh.create(cursor.connection)
    done, held_back = 0, _Reader(store)
    while records := held_back.read(done):
        with store.writing() as cursor:
            apply_all(records, fresh, cursor)
        done = records[-1].position
        progress(done, max(done, store.position()))
        if len(records) < BATCH:
            break
    with store.writing() as cursor:
        while records := held_back.read(done):
            apply_all(records, fresh, cursor)
            done = records[-1].position
        changed = differences(cursor.connection, cursor.connection, "__new")
        for table in TABLES:
            cursor.execute(f"DELETE FROM {table.name}")
            columns = ", ".join(table.columns)
            cursor.execute(f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {table.name}__new")
        fresh.drop(cursor.connection)
    progress(done, done)
    return changed


class _Reader:
    """Reads whole appends: a batch never ends in the middle of one."""

    def __init__(self, store: SQLiteEventStore) -> None:
        self._store = store

    def read(self, after: int) -> Sequence[Record]:
        records = list(self._store.read(after=after, limit=BATCH))
        while records and records[-1].part != records[-1].parts:
            records += self._store.read(after=records[-1].position, limit=records[-1].parts - records[-1].part)
        return records


class _Chain:
    """Follows the hash chain and the versions of the streams."""

    def __init__(self) -> None:
        self.position = 0
        self.hash = ORIGIN
        self._versions: dict[str, int] = {}
        self._at = ""

    def follow(self, rows: Iterable[tuple[int, StoredEvent]]) -> Iterator[Record]:
        for position, stored in rows:
            sealed = unsealed(stored, position)
            record = sealed.record
            reason = None
            if position != self.position + 1 or record.position != position:
                reason = f"position {self.position + 1} is missing"
            elif sealed.previous != self.hash:
                reason = "it does not follow the record before it"
            elif record.version != self._versions.get(record.stream, 0) + 1:
                reason = "a version of its stream is missing"
            if reason:
                raise CorruptLog(reason, stream=record.stream, version=record.version, position=position)
            self.position, self.hash = position, sealed.hash
            self._versions[record.stream] = record.version
            yield record

    def end(self, head: sqlite3.Row | None) -> list[str]:
        expected = (head["position"], bytes(head["hash"])) if head else (0, ORIGIN)
        if expected != (self.position, self.hash):
            return [f"The log ends at position {self.position}, its head says {expected[0]}: records are missing."]
        return []


def _all_records(connection: sqlite3.Connection, total: int, progress: Progress) -> Iterator[tuple[int, StoredEvent]]:
    rows = connection.execute("SELECT rowid, * FROM stored_events ORDER BY rowid")
    for done, row in enumerate(rows, start=1):
        if done % BATCH == 0:
            progress(done, total)
        yield (
            row["rowid"],
            StoredEvent(row["originator_id"], row["originator_version"], row["topic"], row["state"]),
        )
    progress(total, total)


def differences(one: sqlite3.Connection, other: sqlite3.Connection, suffix: str = "") -> dict[str, int]:
    """Count, for each view, the rows that are in only one of two databases (changed rows count once)."""
    found = {}
    for table in TABLES:
        columns, key = ", ".join(table.columns), ", ".join(table.key)
        places = [list(table.columns).index(column) for column in table.key]
        sql = f"SELECT {columns} FROM {table.name}{{}} ORDER BY {key}"
        left, right = (set(map(tuple, c.execute(sql.format(s)))) for c, s in ((one, ""), (other, suffix)))
        found[table.name] = len({tuple(row[place] for place in places) for row in left ^ right})
    return found
