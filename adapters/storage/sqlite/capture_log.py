"""The capture log: captured product events in a SQLite file of their own, acknowledged once they are on disk.

Not the event store: no streams and no versions, only rows that are never changed. Not the engine either, which is a
projection of this log.
"""

from __future__ import annotations

import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from os import getpid
from pathlib import Path
from typing import Any
from uuid import UUID

from attrs import frozen

from ....application.product_ports import Appending, CapturedEvent, CapturedRow, captured_row
from ....application.turns import TurnPool, waiting
from ....domain.errors import CorruptLog, StoreUnavailable
from ....domain.product_event import ProductEvent
from .connection import LOCK_TIMEOUT_S, Synchronous, refuse_fork, tells_damage
from .recent_rows import RecentRows
from .shared_commits import SharedCommits, Ticket

MAX_ROWS_PER_COMMIT = 20_000
"""Bounds one transaction; a single larger batch still goes in whole."""
FORGOTTEN_PER_COMMIT = 2_000
"""Bounds how long captures wait for rows that are forgotten."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS capture (
    position INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL,
    uuid BLOB NOT NULL,
    event TEXT NOT NULL,
    distinct_id TEXT NOT NULL,
    timestamp INTEGER NOT NULL,
    properties TEXT NOT NULL,
    captured_at INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    UNIQUE (project_id, uuid)
)
"""
_COLUMNS = "project_id, uuid, event, distinct_id, timestamp, properties, captured_at, checksum"
_ROWS_PER_STATEMENT = 100
_ROW = "(?, ?, ?, ?, ?, ?, ?, ?)"
_READ = f"SELECT position, {_COLUMNS} FROM capture WHERE position > ? ORDER BY position LIMIT ?"
_LAST = "SELECT coalesce(max(position), 0) FROM capture"
_ARCHIVED = "CREATE TABLE IF NOT EXISTS archived (position INTEGER NOT NULL)"
_HAS_ARCHIVED = "SELECT 1 FROM sqlite_schema WHERE name = 'archived'"
_UUID_AT = "SELECT project_id, uuid FROM capture WHERE position = ?"
_FORGET = """
UPDATE capture SET event = '', distinct_id = '', properties = '', checksum = -1 WHERE position BETWEEN ? AND ?
"""
_KNOW_AGAIN = f"INSERT INTO capture (position, {_COLUMNS}) VALUES (?, ?, ?, '', '', 0, '', 0, -1)"
_STREAM = "capture"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_Row = tuple[int, bytes, str, str, int, str, int, int]
"""project, uuid, event, distinct id, timestamp and ingestion in microseconds since 1970, checksum."""


@cache
def _insert(n_rows: int) -> str:
    """PERF: what can only end with the whole transaction needs no journal of its own statement, a copy of all pages."""
    values = ", ".join([_ROW] * n_rows)
    return f"INSERT OR ROLLBACK INTO capture ({_COLUMNS}) VALUES {values} ON CONFLICT (project_id, uuid) DO NOTHING"


@frozen
class _Appending:
    """Rows to be stored (port `Appending`)."""

    _commits: SharedCommits[list[_Row]]
    _rows: list[_Row]

    def wait(self) -> int:
        """Store them; durable on return."""
        return int(self._commits.join(self._rows)) if self._rows else 0

    def leave(self, pool: TurnPool, then: Callable[[Callable[[], int]], object]) -> None:
        """Let them be stored, and `then` be called."""
        self._commits.leave(self._rows, pool, then)


class SQLiteCaptureLog:
    """Captured events in one SQLite file (port `CaptureLog`); thread-safe, and other processes may write beside it.

    Callers that wait at the same time share one synced commit: the first of them commits what all have queued, then
    hands over to the first who queued meanwhile. Positions have no gaps, so that a lost row is noticed when read.
    The file is opened at first use; after a fork, the child must make a log of its own.
    """

    def __init__(
        self, path: str | Path, *, synchronous: Synchronous = "FULL", lock_timeout_s: float = LOCK_TIMEOUT_S
    ) -> None:
        self.committed: Callable[[], None] = lambda: None
        """Called after each commit, by whoever made it."""
        self._path = path
        self._synchronous = synchronous
        self._lock_timeout_s = lock_timeout_s
        self._pid: int | None = None
        self._writer: sqlite3.Connection | None = None
        self._readers: list[sqlite3.Connection] = []
        self._mutex = threading.Lock()
        self._recent = RecentRows()
        self._commits: SharedCommits[list[_Row]] = SharedCommits(self._commit, most=MAX_ROWS_PER_COMMIT, weigh=len)

    def append(self, project_id: int, events: Sequence[ProductEvent], *, captured_at: datetime) -> int:
        """Store the events, durable on return; those whose uuid the project already has are left out.

        Returns how many were new. Raises `StoreUnavailable` when disk or lock do not allow it and `CorruptLog` when
        the file is damaged; nothing of this call is stored then.
        """
        return self.appending([captured_row(project_id, event, captured_at) for event in events]).wait()

    def appending(self, rows: Sequence[CapturedRow]) -> Appending:
        """Return what stores plain values as `append` does, once it is told to (port `CaptureLog`)."""
        self._remember_process()
        # In the caller's thread, so that a text that is not Unicode fails its own caller only.
        return _Appending(self._commits, [(*row, _checksum(row)) for row in rows])

    def position(self) -> int:
        """Return the highest acknowledged position, 0 for an empty log; other processes' commits count."""
        with self._reader() as reader:
            (position,) = reader.execute(_LAST).fetchone()
        return int(position)

    def read_rows(self, after: int, limit: int) -> Sequence[CapturedRow]:
        """Return what `read` does as plain values; the first row has the position after + 1. Raises `CorruptLog`.

        Rows that this log has just committed come from memory, and may be fewer than there are.
        """
        self._remember_process()
        return self._recent.after(after, limit) or self._read_rows(after, limit)

    def _read_rows(self, after: int, limit: int) -> Sequence[CapturedRow]:
        with self._reader() as reader:
            rows = reader.execute(_READ, (after, limit)).fetchall()
        return [_checked(row, position) for position, row in enumerate(rows, after + 1)]

    def read(self, after: int, limit: int) -> Sequence[CapturedEvent]:
        """Return up to `limit` rows with a position above `after`, in order of position, as they are on disk.

        Raises `CorruptLog` at the first row that is missing, forgotten or does not match its checksum.
        """
        return [_captured(row, position) for position, row in enumerate(self._read_rows(after, limit), after + 1)]

    def archived(self) -> int:
        """Return the position up to which rows are forgotten, 0 when none are."""
        with self._reader() as reader:
            if not reader.execute(_HAS_ARCHIVED).fetchone():
                return 0
            (position,) = reader.execute("SELECT coalesce(max(position), 0) FROM archived").fetchone()
        return int(position)

    def forget(self, until: int) -> None:
        """Give up what the rows up to a position hold, but their uuids: an event that comes again is still known.

        Only for rows that are kept elsewhere. Positions keep having no gaps; the room is used for rows to come, and
        given back to the disk piece by piece. Raises `StoreUnavailable`.
        """
        self._remember_process()
        first = self.archived() + 1
        try:
            connection = self._connect()
            try:
                connection.execute(_ARCHIVED)
                for start in range(first, until + 1, FORGOTTEN_PER_COMMIT):
                    last = min(start + FORGOTTEN_PER_COMMIT - 1, until)
                    connection.execute("BEGIN IMMEDIATE")
                    connection.execute(_FORGET, (start, last))
                    _note_archived(connection, last)
                    connection.execute("COMMIT")
                connection.execute("PRAGMA incremental_vacuum")
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise _translated(error) from error

    def know_again(self, first: int, uuids: Sequence[tuple[int, bytes]]) -> bool:
        """Take projects and uuids at the positions from `first` on as forgotten rows, in one transaction.

        For a log that lost them, which are kept elsewhere. Returns False, and changes nothing, when it has all these
        positions, lacks some before them, or has another row at the last one that it has. Raises `StoreUnavailable`.
        """
        self._remember_process()
        last = first + len(uuids) - 1
        try:
            connection = self._connect()
            try:
                connection.execute("BEGIN IMMEDIATE")
                (position,) = connection.execute(_LAST).fetchone()
                n_known = position - first + 1
                if not 0 <= n_known < len(uuids) or (n_known and _uuid_at(connection, position) != uuids[n_known - 1]):
                    return False
                missing = [(place, *one) for place, one in enumerate(uuids[n_known:], position + 1)]
                connection.executemany(_KNOW_AGAIN, missing)
                connection.execute(_ARCHIVED)
                _note_archived(connection, last)
                connection.execute("COMMIT")
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise _translated(error) from error
        return True

    def uuid_at(self, position: int) -> tuple[int, bytes] | None:
        """Return project and uuid of the row at a position, forgotten or not; None without one."""
        with self._reader() as reader:
            return _uuid_at(reader, position)

    def close(self) -> None:
        """Release the file; a later call opens it again."""
        with self._mutex:
            connections = [*self._readers, *([self._writer] if self._writer else [])]
            self._readers, self._writer, self._recent = [], None, RecentRows()
        for connection in connections:
            connection.close()

    # -- commits -----------------------------------------------------------------------------------------------------

    def _commit(self, group: Sequence[Ticket[list[_Row]]]) -> None:
        """Insert the rows of a group in one transaction; each result is how many were new."""
        batches = [ticket.wanted for ticket in group]
        together = [row for rows in batches for row in rows]
        try:
            writer = self._writing()
            writer.execute("BEGIN IMMEDIATE")
            counts = [len(rows) for rows in batches]
            n_new, last = _insert_rows(writer, together)
            if n_new != len(together):
                # Somebody sent a duplicate: only now does it cost statements of one's own to say whose it was.
                writer.execute("ROLLBACK")
                writer.execute("BEGIN IMMEDIATE")
                counts = [_insert_rows(writer, rows)[0] for rows in batches]
            with waiting():
                writer.execute("COMMIT")
        except sqlite3.Error as error:
            self._drop_writer()
            raise _translated(error) from error
        except BaseException:
            self._drop_writer()
            raise
        if n_new == len(together):
            self._recent.add(last, [row[:-1] for row in together])
        for ticket, n_new in zip(group, counts, strict=True):
            ticket.result = n_new
        self.committed()

    # -- connections -------------------------------------------------------------------------------------------------

    def _remember_process(self) -> None:
        if self._pid is None:
            self._pid = getpid()
        refuse_fork(self._pid)

    def _writing(self) -> sqlite3.Connection:
        if self._writer is None:
            self._writer = self._connect()
        return self._writer

    def _drop_writer(self) -> None:
        """Close the writing connection, which rolls back: after a failed commit its state is not worth trusting."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(sqlite3.Error):
                writer.close()

    def _connect(self) -> sqlite3.Connection:
        """Open the file, made ready if it is new."""
        connection = sqlite3.connect(
            self._path, timeout=self._lock_timeout_s, isolation_level=None, check_same_thread=False
        )
        try:
            if not Path(self._path).stat().st_size:  # it can only be chosen for a new file
                connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA synchronous={self._synchronous}")
            connection.execute("PRAGMA cache_size=-16384")
            connection.execute("PRAGMA wal_autocheckpoint=4000")
            if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'capture'").fetchone():
                connection.execute(_SCHEMA)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        """Lend a reading connection; there are as many as were ever reading at once."""
        self._remember_process()
        with self._mutex:
            connection = self._readers.pop() if self._readers else None
        try:
            connection = connection or self._connect()
            yield connection
        except sqlite3.Error as error:
            if connection is not None:
                connection.close()
            raise _translated(error) from error
        with self._mutex:
            self._readers.append(connection)


def _insert_rows(writer: sqlite3.Connection, rows: list[_Row]) -> tuple[int, int]:
    """Insert rows inside the caller's transaction; returns how many were new, and the position of the last one.

    PERF: every sqlite3_step gives up the interpreter lock, which takes 5 ms to get back from a busy thread; hence a
    hundred rows per statement.
    """
    n_new, last = 0, 0
    for start in range(0, len(rows), _ROWS_PER_STATEMENT):
        some = rows[start : start + _ROWS_PER_STATEMENT]
        cursor = writer.execute(_insert(len(some)), [value for row in some for value in row])
        n_new, last = n_new + cursor.rowcount, cursor.lastrowid or 0
    return n_new, last


def _note_archived(connection: sqlite3.Connection, position: int) -> None:
    connection.execute("DELETE FROM archived")
    connection.execute("INSERT INTO archived VALUES (?)", (position,))


def _uuid_at(connection: sqlite3.Connection, position: int) -> tuple[int, bytes] | None:
    found: tuple[int, bytes] | None = connection.execute(_UUID_AT, (position,)).fetchone()
    return found


def _checksum(content: CapturedRow) -> int:
    """Return the CRC-32 of a row without its position, whose gaps tell already."""
    project_id, uuid, event, distinct_id, timestamp_us, properties, captured_us = content
    head = f"{project_id}\0{timestamp_us}\0{captured_us}\0{event}\0{distinct_id}\0{properties}"
    return zlib.crc32(head.encode(), zlib.crc32(uuid))


def _checked(row: tuple[Any, ...], expected: int) -> CapturedRow:
    """Return a row without position and checksum. Raises `CorruptLog`."""
    content: CapturedRow = row[1:-1]
    if row[0] != expected:
        raise CorruptLog(f"the next row is {row[0]}", stream=_STREAM, version=expected, position=expected)
    if not isinstance(content[1], bytes) or row[-1] != _checksum(content):
        raise CorruptLog("the row does not match its checksum", stream=_STREAM, version=expected, position=expected)
    return content


def _captured(row: CapturedRow, position: int) -> CapturedEvent:
    project_id, uuid, event, distinct_id, timestamp_us, properties, captured_us = row
    return CapturedEvent(
        position,
        project_id,
        _EPOCH + captured_us * _MICROSECOND,
        ProductEvent(UUID(bytes=uuid), event, distinct_id, _EPOCH + timestamp_us * _MICROSECOND, properties),
    )


def _translated(error: sqlite3.Error) -> StoreUnavailable | CorruptLog:
    if tells_damage(error):
        return CorruptLog(str(error), stream="capture.sqlite", version=0)
    return StoreUnavailable(f"The capture log cannot be used now: {error}.")
