"""Bulk imports as durable Parquet files beside the DuckDB file, so that this can be thrown away and built again.

A file is named `POSITION_NAME.parquet`: how far the capture log was taken over when it was imported, and the hash of
what it holds. Building again goes through both in the order in which they came in.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from ....application.product_ports import CapturedRow
from ....domain.errors import CorruptLog
from ....domain.timestamps import EARLIEST_US, LATEST_US
from ..files import IMPORTS, keep, sync
from ._columns import PropertyColumns
from ._definitions import KnownNames
from ._loading import BATCH, Loaded, batch_of, load_batch, make_fresh
from ._tables import synced, transaction

if TYPE_CHECKING:
    import duckdb

    from .bulk import StagedChunk

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOTHING = Loaded(0, has_new_types=False)
_LATEST = """
SELECT CASE WHEN bool_and(stats_max_value IS NOT NULL) THEN max(stats_max_value::BIGINT) END
FROM parquet_metadata($1) WHERE path_in_schema = 'ts_us'
"""
READ_ALL = """
SELECT count(*), sum(hash(project_id, uuid, event, distinct_id, ts_us, properties, known_us)::HUGEINT)
FROM read_parquet($1)
"""
"""Reads every value of a file."""
_SAME = """
WITH kept AS (FROM read_parquet($1))
SELECT count(DISTINCT kept.uuid) FROM kept JOIN events ON events.project_id = kept.project_id
    AND events.uuid = kept.uuid::UUID AND events.timestamp = make_timestamp(kept.ts_us)
    AND events.event = kept.event AND events.distinct_id = kept.distinct_id AND events.properties = kept.properties
WHERE events.timestamp BETWEEN (SELECT make_timestamp(min(ts_us)) FROM kept)
    AND (SELECT make_timestamp(max(ts_us)) FROM kept)
"""
"""How many events of a file are stored as it has them."""
_POSITIONED = re.compile(r"(\d{12})_(.+)")


@frozen(order=True)
class Chunk:
    """A file of an import."""

    position: int
    """Of the capture log when it was imported; 0 for files of earlier versions."""
    modified_ns: int
    path: Path
    n_rows: int = 0


def import_chunk(
    connection: duckdb.DuckDBPyConnection,
    folder: Path | None,
    rows: Sequence[CapturedRow],
    position: int,
    known: KnownNames,
    columns: PropertyColumns,
) -> Loaded:
    """Keep the rows as a chunk and insert those that are new.

    The chunk's name is the hash of what it holds (without ingestion instants), so the same rows again add nothing.
    Without a folder (in memory) nothing is kept.
    """
    name = _name_of(rows)
    if _is_known(connection, name):
        return NOTHING
    with batch_of(connection, rows):
        if folder is not None:
            _write(connection, _path_of(folder, position, name))
        return _load(connection, name, known, columns)


def on_disk(staged: StagedChunk) -> StagedChunk:
    """Wait until a staged chunk is on disk. PERF: whoever takes it need not, and does so beside other work."""
    if staged.path is not None:
        sync(staged.path)
    return staged


def take_chunk(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    staged: StagedChunk,
    position: int,
    known: KnownNames,
    columns: PropertyColumns,
) -> Loaded:
    """Keep a staged chunk, which lies among the imports, and insert its rows that are new."""
    if staged.path is None:
        return NOTHING
    if _is_known(connection, staged.name):
        staged.path.unlink()
        return NOTHING
    final = _path_of(folder, position, staged.name)
    keep(staged.path, final)
    return load_chunk(connection, final, known, columns)


def missing_chunks(connection: duckdb.DuckDBPyConnection, folder: Path) -> list[Chunk]:
    """Return the chunks that the file does not have, in the order of their import.

    There are some after a rebuild, or after a crash between keeping a chunk and inserting it.
    """
    known = {name for (name,) in connection.execute("SELECT name FROM imported_chunks").fetchall()}
    found = []
    for path in (folder / IMPORTS).glob("*.parquet"):
        position, name = _parts_of(path)
        if name not in known:
            with reading(connection, path):
                ((n_rows,),) = connection.read_parquet(str(path)).count("*").fetchall()
            found.append(Chunk(position, path.stat().st_mtime_ns, path, n_rows))
    return sorted(found)


def damaged_chunks(connection: duckdb.DuckDBPyConnection, folder: Path) -> Iterator[str]:
    """Say which chunks cannot be read, hold other events than were loaded from them, or were loaded and are gone."""
    loaded = dict(connection.execute("SELECT name, n_events FROM imported_chunks").fetchall())
    for path in sorted((folder / IMPORTS).glob("*.parquet")):
        n_new = loaded.pop(_parts_of(path)[1], 0)
        try:
            with reading(connection, path):
                connection.execute(READ_ALL, [str(path)]).fetchall()
                ((n_same,),) = connection.execute(_SAME, [str(path)]).fetchall()
        except CorruptLog as error:
            yield str(error)
        else:
            if n_same < n_new:
                yield f"{IMPORTS}/{path.name} differs in {n_new - n_same} of the events that were loaded from it."
    yield from (f"{IMPORTS}/ lacks *_{name}.parquet, from which {n} events were loaded." for name, n in loaded.items())


@contextmanager
def reading(connection: duckdb.DuckDBPyConnection, path: Path) -> Iterator[None]:
    """Raise `CorruptLog` instead of DuckDB's error when it is this file that cannot be read."""
    import duckdb  # noqa: PLC0415

    try:
        yield
    except duckdb.Error as error:
        if isinstance(error, duckdb.InterruptException | duckdb.OutOfMemoryException) or _can_be_read(connection, path):
            raise
        reason = f"{str(error).splitlines()[0]} Restore the file, or move it away to go on without its events"
        raise CorruptLog(reason, stream=f"{path.parent.name}/{path.name}", version=0) from error


def _can_be_read(connection: duckdb.DuckDBPyConnection, path: Path) -> bool:
    import duckdb  # noqa: PLC0415

    with connection.cursor() as cursor:
        try:
            cursor.execute(READ_ALL, [str(path)]).fetchall()
        except duckdb.Error:
            return False
    return True


def latest_time(connection: duckdb.DuckDBPyConnection, folder: Path) -> int:
    """Return the latest time of an event in the chunks, in microseconds since 1970, as their files tell."""
    import duckdb  # noqa: PLC0415

    paths = [str(path) for path in (folder / IMPORTS).glob("*.parquet")]
    try:
        ((latest,),) = connection.execute(_LATEST, [paths]).fetchall() if paths else [(EARLIEST_US,)]
    except duckdb.Error:  # a damaged file says nothing; its events are in, so that nobody need wait for its repair
        return LATEST_US
    return LATEST_US if latest is None else int(latest)


def load_chunk(
    connection: duckdb.DuckDBPyConnection, path: Path, known: KnownNames, columns: PropertyColumns
) -> Loaded:
    """Insert the rows of a kept chunk that are new. Raises `CorruptLog` for a file that cannot be read."""
    with reading(connection, path):
        rows = connection.read_parquet(str(path), file_row_number=True)
        rows.project("* EXCLUDE file_row_number, file_row_number AS place").create_view(BATCH, replace=True)
        try:
            return _load(connection, _parts_of(path)[1], known, columns)
        finally:
            connection.execute(f"DROP VIEW {BATCH}")


def _path_of(folder: Path, position: int, name: str) -> Path:
    return folder / IMPORTS / f"{position:012}_{name}.parquet"


def _parts_of(path: Path) -> tuple[int, str]:
    match = _POSITIONED.fullmatch(path.stem)
    return (int(match[1]), match[2]) if match else (0, path.stem)


def _is_known(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    return connection.execute("SELECT 1 FROM imported_chunks WHERE name = ?", [name]).fetchall() != []


def _load(connection: duckdb.DuckDBPyConnection, name: str, known: KnownNames, columns: PropertyColumns) -> Loaded:
    names = make_fresh(connection, may_repeat=True)
    columns.prepare(connection, names.may_have)
    with synced(connection), transaction(connection):
        loaded = load_batch(connection, names, known, columns.loaded)
        connection.execute("INSERT INTO imported_chunks VALUES (?, ?)", [name, loaded.n_new])
    return loaded


def _write(connection: duckdb.DuckDBPyConnection, final: Path) -> None:
    temporary = final.with_suffix(".tmp")
    escaped = str(temporary).replace("'", "''")
    connection.execute(f"COPY (SELECT * EXCLUDE place FROM {BATCH}) TO '{escaped}' (FORMAT parquet, COMPRESSION zstd)")
    keep(temporary, final)


def _name_of(rows: Sequence[CapturedRow]) -> str:
    digest = hashlib.sha256()
    for project_id, uuid, event, distinct_id, ts_us, properties, _ in rows:
        at = (EPOCH + timedelta(microseconds=ts_us)).isoformat()
        parts = (str(project_id), event, distinct_id, at, properties)
        digest.update(uuid + "\0".join(parts).encode() + b"\0\0")
    return digest.hexdigest()
