"""The DuckDB file: its tables, its settings, and what to do when it cannot be opened."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ....domain.errors import StoreUnavailable
from ._columns import NOTHING
from ._columns import TABLE as _COLUMN_TABLE
from ._definitions import TABLES as _DEFINITION_TABLES

if TYPE_CHECKING:
    import duckdb

SCHEMA_VERSION = 10
"""Raise it when a table changes: a file of another version is thrown away and built again."""

CHECKPOINT_BYTES = 16 << 20
"""Of the write-ahead log, from which on it is moved into the file."""
LARGEST_LOG_BYTES = 4 * CHECKPOINT_BYTES
"""The same while somebody waits."""
ASIDE = ".damaged-"
"""What is added, with a number, to the name of a file that is moved aside."""
NO_LOCK: contextlib.AbstractContextManager[object] = contextlib.nullcontext()

VERSION_STEP = "10000000000000000000::HUGEINT"
"""Of the moment of a person's version: microseconds of its ingestion times this, and those of its event."""
# PERF: zstd packs the text of all properties in half the time of what DuckDB would choose, to half the size; a property
# is read from it a fifth more slowly, until the second query that asks for it gives it a column of its own.
_TABLES = f"""
CREATE TABLE meta (schema_version INTEGER NOT NULL, tail BIGINT NOT NULL, n_repeated BIGINT NOT NULL);
CREATE TABLE events (
    project_id INTEGER NOT NULL, uuid UUID NOT NULL, event VARCHAR NOT NULL, distinct_id VARCHAR NOT NULL,
    person_id BIGINT NOT NULL, timestamp TIMESTAMP NOT NULL, properties VARCHAR NOT NULL USING COMPRESSION zstd,
    known_at TIMESTAMP NOT NULL, position BIGINT, {NOTHING} VARCHAR);
CREATE TABLE distinct_ids (project_id INTEGER NOT NULL, distinct_id VARCHAR NOT NULL, person_id BIGINT NOT NULL);
CREATE TABLE person_overrides (project_id INTEGER NOT NULL, old_person_id BIGINT NOT NULL, person_id BIGINT NOT NULL);
CREATE TABLE person_merges (
    project_id INTEGER NOT NULL, distinct_id VARCHAR NOT NULL, into_distinct_id VARCHAR NOT NULL,
    known_at TIMESTAMP NOT NULL);
CREATE TABLE persons (
    project_id INTEGER NOT NULL, person_id BIGINT NOT NULL, uuid UUID NOT NULL, created_at TIMESTAMP NOT NULL,
    is_identified BOOLEAN NOT NULL, properties VARCHAR NOT NULL, known_at TIMESTAMP NOT NULL);
CREATE TABLE person_versions (
    project_id INTEGER NOT NULL, person_id BIGINT NOT NULL, moment HUGEINT NOT NULL, properties VARCHAR NOT NULL);
CREATE TABLE group_types (project_id INTEGER NOT NULL, group_type_index INTEGER NOT NULL, group_type VARCHAR NOT NULL);
CREATE TABLE groups (
    project_id INTEGER NOT NULL, group_type_index INTEGER NOT NULL, group_key VARCHAR NOT NULL,
    properties VARCHAR NOT NULL, created_at TIMESTAMP NOT NULL, known_at TIMESTAMP NOT NULL);
CREATE TABLE cohort_people (project_id INTEGER NOT NULL, cohort_id INTEGER NOT NULL, person_id BIGINT NOT NULL);
CREATE TABLE imported_chunks (name VARCHAR NOT NULL, n_events BIGINT NOT NULL);
CREATE TABLE layout (laid_until TIMESTAMP NOT NULL);
INSERT INTO layout VALUES (TIMESTAMP '1970-01-01');
{_COLUMN_TABLE}{_DEFINITION_TABLES}"""
# An event that was captured has its position in the log; where the last ones have none, as imports had brought them
# before, `tail` in `meta` tells how far the log was taken over.
TAIL = "SELECT greatest(tail, (SELECT coalesce(max(position), 0) FROM events)) FROM meta"
"""SQL that gives the position of the capture log that is taken over."""
_IS_WHOLE = f"""
SELECT n_captured = ({TAIL}) - n_repeated AND n_events - n_captured = n_imported
FROM meta, (SELECT count(*) AS n_events, count(position) AS n_captured FROM events),
    (SELECT coalesce(sum(n_events), 0) AS n_imported FROM imported_chunks)
"""


def connect(
    path: Path | None, folders: Sequence[Path], *, memory_limit: str, threads: int
) -> duckdb.DuckDBPyConnection:
    """Open the file, new or not, locked down: only the folders can be read or written beside it.

    A file that cannot be read, lacks events that it once had or is of another version is moved aside and an empty one
    opened in its place. Raises StoreUnavailable when others hold it, or the machine does not let it be opened.
    """
    import duckdb  # noqa: PLC0415 - start-up time and idle memory

    try:
        connection = _open(path, memory_limit, threads)
    except duckdb.Error as error:
        if path is None:
            raise
        reason = _why_not_opened(error)
        if reason is not None:
            raise StoreUnavailable(f"The product events in {path} cannot be opened: {reason}.") from error
        set_aside(path)
        connection = _open(path, memory_limit, threads)
    if path is not None and not _is_current(connection):
        connection.close()
        set_aside(path)
        connection = _open(path, memory_limit, threads)
    if connection.execute("SELECT current_setting('lock_configuration')").fetchall() == [(True,)]:
        connection.close()
        raise StoreUnavailable(f"The product events in {path} cannot be opened: {_HELD_HERE}.")
    if folders:
        quoted = ", ".join("'" + str(folder).replace("'", "''") + "/'" for folder in folders)
        connection.execute(f"SET allowed_directories = [{quoted}]")
    connection.execute("SET GLOBAL TimeZone = 'UTC'; SET enable_external_access = false")
    connection.execute("SET checkpoint_threshold = '1TB'; SET enable_external_file_cache = false")
    # PERF: numpy columns of objects are texts; finding that out takes a third of inserting 1,500 rows.
    connection.execute("SET GLOBAL pandas_analyze_sample = 0")
    connection.execute("SET fsync_mode = 'NONE'")
    connection.execute("SET allowed_configs = ['enable_progress_bar', 'enable_progress_bar_print', 'fsync_mode']")
    connection.execute("SET lock_configuration = true")
    return connection


def close(
    connection: duckdb.DuckDBPyConnection, cursors: Collection[duckdb.DuckDBPyConnection], *, patience_s: float
) -> None:
    """Close a connection, and interrupt what runs on its cursors: while something does, DuckDB refuses to close it."""
    import duckdb  # noqa: PLC0415

    with contextlib.suppress(duckdb.Error):  # what failed may take no statement
        connection.execute("SET fsync_mode = 'STANDARD'")
    until = time.monotonic() + patience_s
    while True:
        try:
            return connection.close()
        except duckdb.ResourceInUseException:
            if time.monotonic() > until:
                raise
        for cursor in tuple(cursors):
            cursor.interrupt()
        time.sleep(0.01)


_FULL = ("no space left", "file too large", "quota exceeded")


def is_full(error: Exception) -> bool:
    """Whether an error says that the disk has no room."""
    text = str(error).lower()
    return any(sign in text for sign in _FULL)


def tells_damage(error: Exception) -> bool:
    """Whether an error says that the file itself is wrong, so that opening it again would not help."""
    text = str(error).lower()
    return any(sign in text for sign in ("checksum", "corrupt", "could not read enough bytes"))


_HELD_HERE = "this process, or the one it was forked from, has them open already; close that log first"
_NOT_THE_FILE = {
    "could not set lock": "another process holds them, and one at a time can",
    "different configuration": _HELD_HERE,
    **dict.fromkeys(_FULL, "the disk has no room"),
    "permission denied": "permission denied",
    "read-only": "they can only be read",
    "too many open files": "too many files are open",
}


def _why_not_opened(error: Exception) -> str | None:
    """Return what keeps a file that may be whole from being opened; None when it is the file itself."""
    text = str(error).lower()
    return next((reason for sign, reason in _NOT_THE_FILE.items() if sign in text), None)


def set_aside(path: Path) -> Path:
    """Rename the file and its write-ahead log to the first free `.damaged-N` name, and return it.

    Nothing is renamed without a file.
    """
    number = 1
    while path.with_name(f"{path.name}{ASIDE}{number}").exists():
        number += 1
    aside = path.with_name(f"{path.name}{ASIDE}{number}")
    for suffix in ("", ".wal"):
        source = path.with_name(path.name + suffix)
        if source.exists():
            source.rename(aside.with_name(aside.name + suffix))
    return aside


@contextlib.contextmanager
def synced(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Wait for the disk in here, which no other commit does; hold the lock of all commits.

    What others commit is durable elsewhere. It lies in the write-ahead log, whose entries have checksums: when the
    machine stops, it ends earlier or cannot be read, and they are taken over again. PERF: beside captures, which sync
    as well, a commit takes 11 ms with and 3 ms without it.
    """
    connection.execute("SET fsync_mode = 'STANDARD'")
    try:
        yield
    finally:
        connection.execute("SET fsync_mode = 'NONE'")


def checkpoint(connection: duckdb.DuckDBPyConnection, path: Path | None, *, is_waited_for: bool = False) -> None:
    """Move the write-ahead log into the file, synced, when it has grown large; by itself it never moves.

    While somebody waits, only when it is very large; while others write, later. PERF: takes 20 ms and more, in which
    nothing else is written.
    """
    import duckdb  # noqa: PLC0415

    n_bytes = LARGEST_LOG_BYTES if is_waited_for else CHECKPOINT_BYTES
    with contextlib.suppress(FileNotFoundError, duckdb.TransactionException):
        if path is not None and path.with_name(f"{path.name}.wal").stat().st_size > n_bytes:
            with synced(connection):
                connection.execute("CHECKPOINT")


def _open(path: Path | None, memory_limit: str, threads: int) -> duckdb.DuckDBPyConnection:
    import duckdb  # noqa: PLC0415

    connection = duckdb.connect(str(path or ":memory:"), config={"memory_limit": memory_limit, "threads": threads})
    try:
        if not connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'meta'").fetchall():
            with transaction(connection):
                connection.execute(_TABLES)
                connection.execute("INSERT INTO meta VALUES (?, 0, 0)", [SCHEMA_VERSION])
    except duckdb.Error:
        connection.close()
        raise
    return connection


def _is_current(connection: duckdb.DuckDBPyConnection) -> bool:
    import duckdb  # noqa: PLC0415

    try:
        rows = connection.execute("SELECT schema_version FROM meta").fetchall()
        if rows != [(SCHEMA_VERSION,)]:
            return False
        # A write-ahead log with a flipped byte may open without some of its rows.
        is_whole = connection.execute(_IS_WHOLE).fetchall()
    except duckdb.Error:
        return False
    return is_whole == [(True,)]


def n_events(connection: duckdb.DuckDBPyConnection) -> int:
    """Return how many events there are, as the engine estimates it; at once."""
    sql = "SELECT estimated_size FROM duckdb_tables() WHERE table_name = 'events'"
    ((n_rows,),) = connection.execute(sql).fetchall()
    return int(n_rows)


@contextlib.contextmanager
def transaction(
    connection: duckdb.DuckDBPyConnection, *, committing: contextlib.AbstractContextManager[object] = NO_LOCK
) -> Iterator[None]:
    """Commit on success, roll back on any error; `committing` is entered for the commit."""
    connection.begin()
    try:
        yield
        with committing:
            connection.commit()
    except BaseException:
        with contextlib.suppress(Exception):
            connection.rollback()
        raise
