"""The archive of the capture log: its oldest rows as Parquet files, so that the log itself stays small.

A file is named after the first and the last position in it; together they have no gap. They are read only when the
DuckDB file is built again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ....application.product_ports import CapturedRow
from ....domain.errors import CorruptLog, StoreUnavailable
from ._chunks import READ_ALL, keep, reading
from ._loading import BATCH, batch_of

if TYPE_CHECKING:
    import duckdb

FOLDER = "archive"
_POSITIONS = "SELECT min(place), max(place), count(DISTINCT place) FROM read_parquet($1)"
_UNKNOWN = """
SELECT count(*) FROM read_parquet($1) kept
ANTI JOIN events ON events.project_id = kept.project_id AND events.uuid = kept.uuid::UUID
"""
_NAME = re.compile(r"(\d{15})-(\d{15})\.parquet")


def archive_rows(connection: duckdb.DuckDBPyConnection, folder: Path, first: int, rows: Sequence[CapturedRow]) -> None:
    """Write the rows of the log from a position on as a file that is durable on return."""
    final = folder / FOLDER / f"{first:015}-{first + len(rows) - 1:015}.parquet"
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.with_suffix(".tmp")
    escaped = str(temporary).replace("'", "''")
    with batch_of(connection, rows):
        connection.execute(
            f"COPY (SELECT * REPLACE (place + {first} AS place) FROM {BATCH} ORDER BY place) "
            f"TO '{escaped}' (FORMAT parquet, COMPRESSION zstd)"
        )
    keep(temporary, final)


@contextmanager
def archived_batch(connection: duckdb.DuckDBPyConnection, folder: Path, after: int, until: int) -> Iterator[int]:
    """Offer the archived rows that follow a position as the relation `batch`; give the last position among them.

    Raises StoreUnavailable when no file has them, CorruptLog when the file that has them cannot be read.
    """
    for path in sorted((folder / FOLDER).glob("*.parquet")):
        match = _NAME.fullmatch(path.name)
        if match is not None and int(match[1]) <= after + 1 <= int(match[2]):
            last = min(int(match[2]), until)
            with reading(connection, path):
                rows = connection.read_parquet(str(path))
                rows.filter(f"place > {after} AND place <= {last}").create_view(BATCH, replace=True)
                try:
                    yield last
                finally:
                    connection.execute(f"DROP VIEW {BATCH}")
            return
    raise StoreUnavailable(f"The archive lacks the captured events after position {after}.")


def damaged_archives(connection: duckdb.DuckDBPyConnection, folder: Path) -> Iterator[str]:
    """Say which files cannot be read, do not hold the positions that their name tells, or hold unknown events."""
    for path in sorted((folder / FOLDER).glob("*.parquet")):
        match = _NAME.fullmatch(path.name)
        try:
            with reading(connection, path):
                connection.execute(READ_ALL, [str(path)]).fetchall()
                (found,) = connection.execute(_POSITIONS, [str(path)]).fetchall()
                ((n_unknown,),) = connection.execute(_UNKNOWN, [str(path)]).fetchall()
        except CorruptLog as error:
            yield str(error)
        else:
            if match is not None and found != (int(match[1]), int(match[2]), int(match[2]) - int(match[1]) + 1):
                yield f"{FOLDER}/{path.name} does not hold the positions that its name tells."
            if n_unknown:
                yield f"{FOLDER}/{path.name} has {n_unknown} events that were never captured."
