"""Connections to the SQLite file of the log: the library's pool with durable settings and immediate writes."""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from eventsourcing.sqlite import SQLiteConnection, SQLiteConnectionPool, SQLiteCursor, SQLiteDatastore

from ....application.turns import waiting
from ....domain.errors import StoreUnavailable

Synchronous = Literal["FULL", "NORMAL"]
LOCK_TIMEOUT_S = 15
CACHED_STATEMENTS = 256


def tells_damage(error: BaseException | None) -> bool:
    """Whether an error of SQLite says that the file itself is wrong."""
    code = (
        error.sqlite_errorcode & 0xFF if isinstance(error, sqlite3.Error) and hasattr(error, "sqlite_errorcode") else 0
    )
    is_text = "Could not decode" in str(error)  # what Python's module says of a text whose bytes are none
    return is_text or code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class ImmediateConnection(SQLiteConnection):
    """A connection whose writing transactions take the write lock at once, since they read before they write."""

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[SQLiteCursor]:
        """Run a transaction; rolled back unless `commit` and no exception."""
        cursor = self.cursor()
        cursor.execute("BEGIN IMMEDIATE" if commit else "BEGIN")
        try:
            yield cursor
        except BaseException:
            self.rollback()
            raise
        if commit:
            try:
                with waiting():
                    self.commit()
            except sqlite3.Error:
                self.rollback()
                raise
        else:
            self.rollback()


class DurablePool(SQLiteConnectionPool):
    """The library's pool, with the settings that make an acknowledged write durable."""

    def __init__(self, *, db_name: str, synchronous: Synchronous, lock_timeout: int) -> None:
        self.synchronous = synchronous
        super().__init__(
            db_name=db_name, lock_timeout=lock_timeout, pool_size=16, max_overflow=64, pool_timeout=lock_timeout
        )

    def _create_connection(self) -> SQLiteConnection:
        """Open a connection. PERF: the library's own keep one prepared statement; a command runs a dozen."""
        raw = sqlite3.connect(
            self.db_name,
            timeout=self.lock_timeout or LOCK_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=CACHED_STATEMENTS,
        )
        raw.row_factory = sqlite3.Row
        try:
            raw.execute("PRAGMA journal_mode=WAL")
            raw.execute(f"PRAGMA synchronous={self.synchronous}")
        except sqlite3.Error:
            raw.close()
            raise
        return ImmediateConnection(raw, max_age=self.max_age)


class DurableDatastore(SQLiteDatastore):
    """The library's datastore over a `DurablePool`; streams have names, not UUIDs."""

    def __init__(self, path: Path, *, synchronous: Synchronous = "FULL", lock_timeout: int = LOCK_TIMEOUT_S) -> None:
        super().__init__(str(path), originator_id_type="text")
        self.pool.close()
        self.pool = DurablePool(db_name=str(path), synchronous=synchronous, lock_timeout=lock_timeout)


class _Held:
    """A thread's connection; closed when the thread is gone."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def __del__(self) -> None:
        self.connection.close()


class ThreadConnections:
    """One reading connection for each living thread, closed together; refuses to work in a forked child."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pid = os.getpid()
        self._local = threading.local()
        self._lock = threading.Lock()
        self._all: weakref.WeakSet[_Held] = weakref.WeakSet()
        self._shared: _Held | None = None
        self._is_closed = False

    def get(self) -> sqlite3.Connection:
        """Return this thread's connection; rows are `sqlite3.Row`. Raises `StoreUnavailable` once closed."""
        held: _Held | None = getattr(self._local, "held", None)
        if held is None or self._is_closed:
            held = self._local.held = self._open()
        refuse_fork(self._pid)
        return held.connection

    def shared(self) -> sqlite3.Connection:
        """Return a connection for all threads, to be used by one at a time. Raises `StoreUnavailable` once closed."""
        if self._shared is None or self._is_closed:
            self._shared = self._open()
        refuse_fork(self._pid)
        return self._shared.connection

    def _open(self) -> _Held:
        refuse_fork(self._pid)
        if self._is_closed:
            raise StoreUnavailable("The log is closed.")
        connection = sqlite3.connect(self._path, timeout=LOCK_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA query_only=1")
        held = _Held(connection)
        with self._lock:
            self._all.add(held)
        return held

    def close(self) -> None:
        """Close every thread's connection."""
        with self._lock:
            self._is_closed = True
            for held in self._all:
                held.connection.close()


class _Seen(threading.local):
    """What a thread that looks once has seen."""

    looks_once = False
    version: int | None = None


class Writes:
    """Tells whether anything was committed to the file, by whatever process; safe for threads."""

    def __init__(self, connections: ThreadConnections) -> None:
        self._connections = connections
        self._lock = threading.Lock()
        self._told: object = None
        self._version = 0
        self._seen = _Seen()

    def version(self) -> int:
        """Return a number that is higher after every commit; in a `with` of this thread the one that was seen first.

        SQLite counts for each connection what others commit, so all ask one that never writes.
        """
        seen = self._seen.version
        if seen is not None:
            return seen
        version = self._look()
        if self._seen.looks_once:
            self._seen.version = version
        return version

    def __enter__(self) -> None:
        """Until the end of the `with` this thread looks once, and again after it has written something."""
        self._seen.looks_once = True

    def __exit__(self, *_: object) -> None:
        """Look each time again."""
        self._seen.looks_once = False
        self._seen.version = None

    def look_again(self) -> None:
        """Let this thread see what it has written."""
        self._seen.version = None

    def _look(self) -> int:
        with self._lock:
            try:
                told = self._connections.shared().execute("PRAGMA data_version").fetchone()[0]
            except sqlite3.Error as error:
                raise StoreUnavailable(f"The views cannot be read now: {error}.") from error
            if told != self._told:
                self._told = told
                self._version += 1
            return self._version


def refuse_fork(pid: int) -> None:
    """Raise `StoreUnavailable` when another process opened the store: handles do not survive a fork."""
    if os.getpid() != pid:
        raise StoreUnavailable(
            "This store was opened before the process forked. Call insightlog.open() in the worker, after the fork."
        )
