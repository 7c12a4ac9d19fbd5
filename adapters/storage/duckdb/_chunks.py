"""Bulk imports as durable Parquet files beside the DuckDB file, so that this can be thrown away and built again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ....application.ports import CapturedEvent
from ._loading import BATCH, Loaded, batch_of, load_batch
from ._tables import transaction

if TYPE_CHECKING:
    import duckdb

    from .bulk import StagedChunk


NOTHING = Loaded(0, has_new_types=False)


def import_chunk(connection: duckdb.DuckDBPyConnection, folder: Path | None, rows: Sequence[CapturedEvent]) -> Loaded:
    """Keep the rows as a chunk and insert those that are new.

    The chunk's name is the hash of what it holds (without ingestion instants), so the same rows again add nothing.
    Without a folder (in memory) nothing is kept.
    """
    name = _name_of(rows)
    if connection.execute("SELECT 1 FROM imported_chunks WHERE name = ?", [name]).fetchall():
        return NOTHING
    with batch_of(connection, rows):
        if folder is not None:
            _write(connection, folder, name)
        return _load(connection, name)


def take_chunk(connection: duckdb.DuckDBPyConnection, folder: Path, staged: StagedChunk) -> Loaded:
    """Keep a staged chunk, which lies in the folder, and insert its rows that are new."""
    if staged.path is None:
        return NOTHING
    if connection.execute("SELECT 1 FROM imported_chunks WHERE name = ?", [staged.name]).fetchall():
        staged.path.unlink()
        return NOTHING
    final = folder / f"{staged.name}.parquet"
    _keep(staged.path, final)
    return _load_file(connection, final)


def load_missing_chunks(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Insert the chunks of the folder that the file does not have: after a rebuild, or a crash between two steps."""
    known = {name for (name,) in connection.execute("SELECT name FROM imported_chunks").fetchall()}
    for path in sorted(folder.glob("*.parquet"), key=lambda file: (file.stat().st_mtime_ns, file.name)):
        if path.stem not in known:
            _load_file(connection, path)


def _load_file(connection: duckdb.DuckDBPyConnection, path: Path) -> Loaded:
    rows = connection.read_parquet(str(path), file_row_number=True)
    rows.project("* EXCLUDE file_row_number, file_row_number AS place").create_view(BATCH, replace=True)
    try:
        return _load(connection, path.stem)
    finally:
        connection.execute(f"DROP VIEW {BATCH}")


def _load(connection: duckdb.DuckDBPyConnection, name: str) -> Loaded:
    with transaction(connection):
        loaded = load_batch(connection, may_repeat=True)
        connection.execute("INSERT INTO imported_chunks VALUES (?, ?)", [name, loaded.n_new])
        connection.execute("UPDATE meta SET has_imports = true")
    return loaded


def _write(connection: duckdb.DuckDBPyConnection, folder: Path, name: str) -> None:
    temporary, final = folder / f"{name}.tmp", folder / f"{name}.parquet"
    escaped = str(temporary).replace("'", "''")
    connection.execute(f"COPY (SELECT * EXCLUDE place FROM {BATCH}) TO '{escaped}' (FORMAT parquet, COMPRESSION zstd)")
    _keep(temporary, final)


def _keep(temporary: Path, final: Path) -> None:
    """Give a written file its name, durably."""
    _sync(temporary)
    temporary.rename(final)
    _sync(final.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _name_of(rows: Sequence[CapturedEvent]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        event = row.event
        parts = (str(row.project_id), event.event, event.distinct_id, event.timestamp.isoformat(), event.properties)
        digest.update(event.uuid.bytes + "\0".join(parts).encode() + b"\0\0")
    return digest.hexdigest()
