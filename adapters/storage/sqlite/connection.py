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

from ....domain.errors import StoreUnavailable

Synchronous = Literal["FULL", "NORMAL"]
LOCK_TIMEOUT_S = 15
CACHED_STATEMENTS = 256


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
        raw.execute("PRAGMA journal_mode=WAL")
        raw.execute(f"PRAGMA synchronous={self.synchronous}")
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
        self._is_closed = False

    def get(self) -> sqlite3.Connection:
        """Return this thread's connection; rows are `sqlite3.Row`. Raises `StoreUnavailable` once closed."""
        held: _Held | None = getattr(self._local, "held", None)
        if held is None or self._is_closed:
            held = self._local.held = self._open()
        refuse_fork(self._pid)
        return held.connection

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


def refuse_fork(pid: int) -> None:
    """Raise when this process is not the one that opened the store: handles do not survive a fork."""
    if os.getpid() != pid:
        raise RuntimeError(
            "This store was opened before the process forked. Call insightlog.open() in the worker, after the fork."
        )
