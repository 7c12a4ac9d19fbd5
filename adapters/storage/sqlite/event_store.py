"""The log in SQLite: the eventsourcing library's recorder with our codec, group commit and views."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from attrs import frozen
from eventsourcing.persistence import ConnectionPoolClosedError, IntegrityError, PersistenceError, StoredEvent
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteCursor

from ....application.history import records_of
from ....application.ports import Append, Clock, Decision, StreamEvents
from ....application.views.projections import appends, project
from ....application.views.tables import Put, instant, micros
from ....domain.errors import CorruptLog, StoreUnavailable, VersionConflict
from ....domain.events import Record
from ..codec import HASH_BYTES, ORIGIN, Sealed, exported, from_json, imported, opened, seal, unseal
from .connection import DurableDatastore, Synchronous, Writes, refuse_fork, tells_damage
from .shared_commits import SharedCommits, Ticket
from .view_reads import SQLiteViews
from .views import ViewTables

MAX_GROUP = 256
"""How many waiting appends share one commit at the most."""

LOG_HEAD = """CREATE TABLE IF NOT EXISTS log_head (
    id INTEGER PRIMARY KEY CHECK (id = 1), position INTEGER NOT NULL, hash BLOB NOT NULL, at INTEGER NOT NULL)"""
SECRETS = "CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"


@frozen
class Head:
    """The end of the log: what the next record follows."""

    position: int
    hash: bytes
    at: datetime


class Recorder(SQLiteApplicationRecorder):
    """The library's recorder; views and the head move in the transaction that inserts."""

    def __init__(self, datastore: DurableDatastore) -> None:
        super().__init__(datastore)
        self.views = ViewTables()

    def construct_create_table_statements(self) -> list[str]:
        """Add the head of the log and the secrets beside it."""
        return [
            *super().construct_create_table_statements(),
            LOG_HEAD,
            SECRETS,
        ]

    def _insert_events(self, c: SQLiteCursor, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int]:
        positions = super()._insert_events(c, stored_events, **kwargs) or []
        records: list[Record] = kwargs["records"]
        states: Mapping[str, Any] = kwargs.get("states", {})
        if positions != [record.position for record in records]:
            raise CorruptLog("the log's head disagrees with its rows", stream=records[0].stream, version=0)
        self.views.apply(
            c.sqlite_cursor, project(records, lambda table, ref: self.views.read(c.sqlite_cursor, table, ref), states)
        )
        return positions


SELECT = "SELECT rowid, originator_id, originator_version, topic, state FROM stored_events"


class SQLiteEventStore:
    """The log of one folder (port `EventStore`). Made before a fork, it refuses to work after it."""

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock,
        software: str,
        synchronous: Synchronous = "FULL",
        writes: Writes | None = None,
    ) -> None:
        self._pid = os.getpid()
        self.path = path
        self._clock = clock
        self._software = software
        self._writes = writes
        self._datastore = DurableDatastore(path, synchronous=synchronous)
        self._recorder = Recorder(self._datastore)
        try:
            with _translated():
                self._recorder.create_table()
            with self.writing() as cursor:
                if self._recorder.views.create(cursor.connection):
                    self._refill(cursor)
        except BaseException:
            self._datastore.close()
            raise
        self._writing: sqlite3.Connection
        """Of the transaction in which a group is decided and written just now."""
        self._views = SQLiteViews(lambda: self._writing)
        self._commits: SharedCommits[Decision] = SharedCommits(self._commit, most=MAX_GROUP)

    def append(self, append: Append) -> Sequence[Record]:
        """Store one change, durable on return (port `EventStore`); callers share commits."""
        return self.carry_out(lambda _: append)

    def carry_out(self, decide: Decision) -> Sequence[Record]:
        """Store what is decided in the writing transaction (port `EventStore`); callers share commits."""
        refuse_fork(self._pid)
        try:
            records: Sequence[Record] = self._commits.join(decide)
        finally:
            if self._writes is not None:
                self._writes.look_again()
        return records

    def load(self, stream: str, *, after: int = 0) -> Sequence[Record]:
        """Return a stream's records above a version (port `EventStore`)."""
        refuse_fork(self._pid)
        rows = self._rows(f"{SELECT} WHERE originator_id = ? AND originator_version > ? ORDER BY 3", (stream, after))
        return [opened(state, stream, version, topic) for _, _, version, topic, state in rows]

    def read(self, *, after: int = 0, limit: int = 500) -> Sequence[Record]:
        """Return records of the log above a position (port `EventStore`); positions come without gaps.

        Raises `CorruptLog` with the first position that is missing or damaged.
        """
        return [record for record, _ in self._read(after, limit)]

    def texts(self, *, after: int = 0, limit: int = 500) -> Sequence[bytes]:
        """Return what `read` does as it is stored, with its hash (port `EventStore`)."""
        return [exported(state) for _, state in self._read(after, limit)]

    def take_over(self, texts: Iterable[bytes], progress: Callable[[int], object] = lambda _: None) -> int:
        """Append records as `texts` gives them, views with them; return how many. All or nothing.

        Raises `CorruptLog` for a text that is no record, or does not follow the one before it, with its position, and
        for an end amid a change.
        """
        refuse_fork(self._pid)
        with _translated(), self._datastore.transaction(commit=True) as cursor:
            head, n_done = _read_head(cursor), 0
            states: list[bytes] = []
            for group in appends(_following(head, texts, states)):
                stored = [
                    StoredEvent(record.stream, record.version, record.event.type, state)
                    for record, state in zip(group, states, strict=True)
                ]
                try:
                    self._recorder._insert_events(cursor, stored, records=group)  # noqa: SLF001 the library's own hook
                except (sqlite3.IntegrityError, IntegrityError) as error:
                    raise CorruptLog("it is there twice", stream=group[0].stream, version=group[0].version) from error
                last = group[-1]
                head = Head(last.position, states[-1][HASH_BYTES : 2 * HASH_BYTES], last.at)
                states.clear()
                n_done += len(group)
                progress(n_done)
            if states:
                raise CorruptLog("the records end amid a change", stream="the export", version=head.position + 1)
            _write_head(cursor, head)
        return n_done

    def _read(self, after: int, limit: int) -> list[tuple[Record, bytes]]:
        """Return records above a position with their stored states."""
        refuse_fork(self._pid)
        rows = self._rows(f"{SELECT} WHERE rowid > ? ORDER BY rowid LIMIT ?", (after, limit))
        records: list[tuple[Record, bytes]] = []
        for position, (row_id, stream, version, topic, state) in enumerate(rows, start=after + 1):
            try:
                record = opened(state, stream, version, topic)
            except CorruptLog as error:
                raise CorruptLog(error.reason, stream=stream, version=version, position=position) from error
            if row_id != position or record.position != position:
                raise CorruptLog(f"position {position} is missing", stream=stream, version=version, position=position)
            records.append((record, state))
        return records

    def _rows(self, sql: str, parameters: tuple[object, ...]) -> list[Any]:
        """PERF: the library's recorder makes an object of each row, a tenth of the time of a replay."""
        with _translated(), self._datastore.transaction(commit=False) as cursor:
            raw = cursor.sqlite_cursor
            raw.row_factory = None
            return raw.execute(sql, parameters).fetchall()

    def head(self) -> Head:
        """Return the end of the log as the views know it."""
        refuse_fork(self._pid)
        with _translated(), self._datastore.transaction(commit=False) as cursor:
            return _read_head(cursor)

    def position(self) -> int:
        """Return the position of the last record (port `EventStore`)."""
        return self.head().position

    def note_key_use(self, key_id: int, at: datetime) -> None:
        """Keep when a key was used last (port `EventStore`)."""
        with self.writing() as cursor:
            self._recorder.views.apply(cursor, [Put("key_uses", {"key_id": key_id, "last_used_at": micros(at)})])

    def secret(self, name: str) -> str | None:
        """Return a secret kept beside the log (port `EventStore`)."""
        refuse_fork(self._pid)
        with _translated(), self._datastore.transaction(commit=False) as cursor:
            cursor.execute("SELECT value FROM secrets WHERE name = ?", (name,))
            row = cursor.fetchone()
        return None if row is None else str(row["value"])

    def ensure_secret(self, name: str, value: str) -> str:
        """Keep a secret unless there is one under that name; return the one that is kept."""
        with self.writing() as cursor:
            cursor.execute("INSERT OR IGNORE INTO secrets VALUES (?, ?)", (name, value))
        kept = self.secret(name)
        if kept is None:
            raise StoreUnavailable(f"The secret {name} could not be kept.")
        return kept

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Cursor]:
        """Run a writing transaction of one's own: for rebuilding the views."""
        refuse_fork(self._pid)
        with _translated(), self._datastore.transaction(commit=True) as cursor:
            yield cursor.sqlite_cursor

    def _refill(self, cursor: sqlite3.Cursor) -> None:
        """Fill the views of a log that an earlier version wrote."""
        views = self._recorder.views
        for records in appends(records_of(self)):
            views.apply(cursor, project(records, lambda table, ref: views.read(cursor, table, ref)))

    def close(self) -> None:
        """Close all connections."""
        self._datastore.close()

    def _commit(self, group: Sequence[Ticket[Decision]]) -> None:
        """Decide and write a group in one transaction; an append that fails alone leaves the others whole.

        PERF: a savepoint for each would take as long as the append itself (0.06 ms: the search index writes what it
        has gathered, pages are copied), so they have them only once one failed amid the others.
        """
        with _translated():
            try:
                self._write(group, savepoints=False)
            except _Spoilt:
                self._write(group, savepoints=True)

    def _write(self, group: Sequence[Ticket[Decision]], *, savepoints: bool) -> None:
        """Write a group in one transaction. Raises `_Spoilt` when one failed that cannot be undone without the rest."""
        with self._datastore.transaction(commit=True) as cursor:
            self._writing = cursor.sqlite_cursor.connection
            before = head = _read_head(cursor)
            at = max(self._clock(), before.at)
            for ticket in group:
                ticket.result, ticket.error = (), None
                try:
                    append = ticket.wanted(self._views)
                    if append is None:
                        continue
                    sealed = self._seal(cursor, append, head, at)
                except sqlite3.Error:
                    raise
                except Exception as error:  # noqa: BLE001 whatever it is, it is this caller's and not the group's
                    ticket.error = error
                    continue
                if savepoints:
                    cursor.execute("SAVEPOINT one")
                try:
                    self._insert(cursor, append, sealed)
                except sqlite3.Error:
                    raise
                except Exception as error:  # likewise
                    if len(group) == 1:
                        raise
                    if not savepoints:
                        raise _Spoilt from error
                    ticket.error = error
                    cursor.execute("ROLLBACK TO one")
                else:
                    ticket.result, head = sealed.records, sealed.head
                if savepoints:
                    cursor.execute("RELEASE one")
            if head is not before:
                _write_head(cursor, head)

    def _insert(self, cursor: SQLiteCursor, append: Append, sealed: _SealedAppend) -> None:
        """Insert the events of an append and what hangs on them. Raises `VersionConflict`."""
        states = {item.stream: item.state for item in append.items if item.state is not None}
        insert = self._recorder._insert_events  # noqa: SLF001 the library's own hook
        try:
            insert(cursor, sealed.stored, records=sealed.records, states=states)
            for name, value in append.secrets.items():
                cursor.execute("INSERT INTO secrets VALUES (?, ?)", (name, value))
        except sqlite3.IntegrityError as error:
            first = append.items[0]
            raise VersionConflict(first.stream, first.expected_version or 0) from error

    def _seal(self, cursor: SQLiteCursor, append: Append, head: Head, at: datetime) -> _SealedAppend:
        """Give the events of an append their place, time and hash. Raises `VersionConflict`."""
        parts = sum(len(item.events) for item in append.items)
        records: list[Record] = []
        stored: list[StoredEvent] = []
        previous = head.hash
        for item in append.items:
            version = _version_before(cursor, item)
            for happened in item.events:
                version += 1
                part = len(records) + 1
                record = Record(
                    head.position + part,
                    item.stream,
                    version,
                    at,
                    append.by,
                    append.project_id,
                    append.request,
                    self._software,
                    part,
                    parts,
                    happened,
                )
                state, previous = seal(record, previous)
                records.append(record)
                stored.append(StoredEvent(item.stream, version, happened.type, state))
        return _SealedAppend(records, stored, Head(head.position + len(records), previous, at))


class _SealedAppend(NamedTuple):
    """The records of an append, as they are stored, and the head of the log after them."""

    records: list[Record]
    stored: list[StoredEvent]
    head: Head


class _Spoilt(Exception):
    """One append of a group failed when the others had no savepoints."""


def unsealed(stored: StoredEvent, position: int | None = None) -> Sealed:
    """Return the record of a stored event. Raises `CorruptLog` with the position where it is known."""
    try:
        return unseal(
            stored.state,
            stream=str(stored.originator_id),
            version=stored.originator_version,
            topic=stored.topic,
        )
    except CorruptLog as error:
        if position is None:
            raise
        raise CorruptLog(error.reason, stream=error.stream, version=error.version, position=position) from error


def _following(head: Head, texts: Iterable[bytes], states: list[bytes]) -> Iterator[Record]:
    """Give the records of exported texts that follow a head, and add their states to a list. Raises `CorruptLog`."""
    previous, position = head.hash, head.position
    for text in texts:
        position += 1
        state = imported(text, previous, position)
        record = from_json(orjson.loads(state[2 * HASH_BYTES :]))
        if record.position != position:
            raise CorruptLog(f"position {position} is missing", stream="the export", version=1, position=position)
        previous = state[HASH_BYTES : 2 * HASH_BYTES]
        states.append(state)
        yield record


def _read_head(cursor: SQLiteCursor) -> Head:
    cursor.execute("SELECT position, hash, at FROM log_head")
    row = cursor.fetchone()
    return Head(0, ORIGIN, instant(0)) if row is None else Head(row["position"], bytes(row["hash"]), instant(row["at"]))


def _write_head(cursor: SQLiteCursor, head: Head) -> None:
    row = (head.position, head.hash, micros(head.at))
    cursor.execute("INSERT OR REPLACE INTO log_head VALUES (1, ?, ?, ?)", row)


def _version_before(cursor: SQLiteCursor, item: StreamEvents) -> int:
    """Return the version of a stream before events are appended to it. Raises `VersionConflict` for an unexpected one.

    What needs no look: the stream of a state that was read in this transaction, and a new stream. If it is not new, its
    first version is taken and the insert conflicts.
    """
    if item.state is not None:
        return item.state.version
    if item.expected_version == 0:
        return 0
    cursor.execute("SELECT MAX(originator_version) FROM stored_events WHERE originator_id = ?", (item.stream,))
    version: int = cursor.fetchone()[0] or 0
    if item.expected_version not in (None, version):
        raise VersionConflict(item.stream, item.expected_version or 0)
    return version


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the library's and SQLite's failures into `StoreUnavailable`, those of a damaged file into `CorruptLog`."""
    try:
        yield
    except IntegrityError:
        raise
    except ConnectionPoolClosedError as error:
        raise StoreUnavailable("The log is closed.") from error
    except (PersistenceError, sqlite3.Error) as error:
        if tells_damage(error if isinstance(error, sqlite3.Error) else error.__cause__):
            raise CorruptLog(str(error), stream="insightlog.sqlite", version=0) from error
        raise StoreUnavailable(f"The event store cannot be read or written now: {error}. Try again later.") from error
