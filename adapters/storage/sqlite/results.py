"""Calculated results in a SQLite file of their own: a cache, which may be deleted whenever no server runs."""

from __future__ import annotations

import logging
import sqlite3
import threading
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from os import getpid
from pathlib import Path
from typing import TypeVar

import orjson

from ....application.arrivals import Watermark
from ....application.result_cache import KeptResult
from .connection import refuse_fork

MAX_BYTES = 256 << 20
"""Bodies kept at once; the results that were calculated first make room."""
VERSION = 1
"""Raise it when a column changes, or when results mean something else: the file is made anew."""

_SCHEMA = f"""
CREATE TABLE results (
    key TEXT PRIMARY KEY,
    project_id INTEGER NOT NULL,
    last_refresh INTEGER NOT NULL,
    interval TEXT,
    position INTEGER NOT NULL,
    n_imports INTEGER NOT NULL,
    custom_names TEXT NOT NULL,
    n_bytes INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX results_by_age ON results (last_refresh, key, n_bytes);
PRAGMA user_version = {VERSION};
"""
_COLUMNS = "key, project_id, last_refresh, interval, position, n_imports, custom_names, n_bytes, checksum, body"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

T = TypeVar("T")
logger = logging.getLogger("insightlog.results")


class _Damaged(Exception):
    """A row whose checksum is not that of its content."""


class SQLiteResults:
    """Port `ResultStore`; thread-safe, opened at first use, refuses to work in a forked child.

    Not synced: a power cut may lose results or the whole file, which is then made anew. One that cannot be used at
    all (no space, no rights) keeps nothing, and says so in the log.
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._pid: int | None = None
        self._n_bytes = 0

    def keys(self) -> Sequence[str]:
        """Return the keys of everything that is kept."""
        return self._do(lambda c: [key for (key,) in c.execute("SELECT key FROM results")], [])

    def get(self, key: str) -> KeptResult | None:
        """Return a result, or None."""

        def read(connection: sqlite3.Connection) -> KeptResult | None:
            row = connection.execute(f"SELECT {_COLUMNS} FROM results WHERE key = ?", (key,)).fetchone()
            return None if row is None else _result(row)

        return self._do(read, None)

    def put(self, result: KeptResult) -> Sequence[str]:
        """Keep a result in place of an earlier one; return the keys that had to make room. One commit."""

        def write(connection: sqlite3.Connection) -> list[str]:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                old = connection.execute("SELECT n_bytes FROM results WHERE key = ?", (result.key,)).fetchone()
                marks = ", ".join("?" * 10)
                connection.execute(f"INSERT OR REPLACE INTO results ({_COLUMNS}) VALUES ({marks})", _row(result))
                self._n_bytes += len(result.body) - (old[0] if old else 0)
                return self._make_room(connection, result.key)

        return self._do(write, [])

    def forget(self, *, before: datetime) -> Sequence[str]:
        """Drop the results that were calculated earlier and return their keys."""

        def delete(connection: sqlite3.Connection) -> list[str]:
            with connection:
                gone = connection.execute(
                    "DELETE FROM results WHERE last_refresh < ? RETURNING key, n_bytes", (_us(before),)
                ).fetchall()
                self._n_bytes -= sum(n_bytes for _, n_bytes in gone)
                return [key for key, _ in gone]

        return self._do(delete, [])

    def close(self) -> None:
        """Release the file; a later call opens it again."""
        with self._lock:
            self._drop()

    def _make_room(self, connection: sqlite3.Connection, keep: str) -> list[str]:
        gone: list[str] = []
        if self._n_bytes <= self._max_bytes:
            return gone
        by_age = connection.execute("SELECT key, n_bytes FROM results ORDER BY last_refresh, key").fetchall()
        for key, n_bytes in by_age:
            if self._n_bytes <= self._max_bytes * 3 // 4:
                break
            if key != keep:
                connection.execute("DELETE FROM results WHERE key = ?", (key,))
                self._n_bytes -= n_bytes
                gone.append(key)
        return gone

    def _do(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """Return what `work` gives, after making the file anew when it is damaged; `otherwise` when that fails too."""
        with self._lock:
            for _ in range(2):
                try:
                    return work(self._opened())
                except sqlite3.OperationalError as error:
                    logger.warning("The kept results cannot be used now: %s", error)
                    self._drop()
                    break
                except (sqlite3.DatabaseError, _Damaged) as error:
                    logger.warning("The kept results are damaged (%s) and made anew.", error)
                    self._start_anew()
            return otherwise

    def _opened(self) -> sqlite3.Connection:
        if self._pid is not None:
            refuse_fork(self._pid)
        if self._connection is None:
            self._pid = getpid()
            connection = self._connection = sqlite3.connect(
                self._path, timeout=1, isolation_level=None, check_same_thread=False
            )
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=OFF")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version != VERSION:
                connection.execute("DROP TABLE IF EXISTS results")
                connection.executescript(_SCHEMA)
            (self._n_bytes,) = connection.execute("SELECT coalesce(sum(n_bytes), 0) FROM results").fetchone()
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None

    def _start_anew(self) -> None:
        self._drop()
        for suffix in ("", "-wal", "-shm"):
            with suppress(OSError):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)


def _row(result: KeptResult) -> tuple[object, ...]:
    head = (
        result.key,
        result.project_id,
        _us(result.last_refresh),
        result.interval,
        result.watermark.position,
        result.watermark.n_imports,
        orjson.dumps(result.custom_names).decode(),
        len(result.body),
    )
    return (*head, _checksum(head, result.body), result.body)


def _result(row: tuple[str, int, int, str | None, int, int, str, int, int, bytes]) -> KeptResult:
    *head, checksum, body = row
    if not isinstance(body, bytes) or checksum != _checksum(tuple(head), body):
        raise _Damaged("a checksum differs")
    key, project_id, last_refresh, interval, position, n_imports, names, *_ = row
    return KeptResult(
        key, project_id, body, _EPOCH + last_refresh * _MICROSECOND, interval, Watermark(position, n_imports),
        tuple(orjson.loads(names)),
    )  # fmt: skip


def _checksum(head: tuple[object, ...], body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(repr(head).encode()))


def _us(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND
