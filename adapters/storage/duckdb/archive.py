"""The archive of the capture log: its oldest rows as Parquet files, so that the log itself stays small.

A file is named after the first and the last position in it; together they have no gap. They are read when the DuckDB
file is built again, and when the log has lost them. No file is ever written over.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ....application.product_ports import CapturedRow, CaptureLog
from ....domain.errors import CorruptLog, StoreUnavailable
from ..files import ARCHIVE, keep
from ._chunks import READ_ALL, reading
from ._loading import BATCH, batch_of

if TYPE_CHECKING:
    import duckdb

logger = logging.getLogger("insightlog.tail")

_POSITIONS = "SELECT min(place), max(place), count(DISTINCT place) FROM read_parquet($1)"
_CHANGED = """
SELECT count(*) FROM read_parquet($1) kept JOIN events ON events.position = kept.place
WHERE (events.project_id, events.event, events.distinct_id, events.properties, events.timestamp, events.known_at)
    IS DISTINCT FROM (kept.project_id, kept.event, kept.distinct_id, kept.properties, make_timestamp(kept.ts_us),
        make_timestamp(kept.known_us))
"""
_UNKNOWN = """
SELECT count(*) FROM read_parquet($1) kept
ANTI JOIN events ON events.project_id = kept.project_id AND events.uuid = kept.uuid::UUID
"""
_DIFFERENT = """
(FROM read_parquet($1) EXCEPT ({0})) UNION ALL (({0}) EXCEPT FROM read_parquet($1)) LIMIT 1
"""
_UUIDS = "SELECT place, project_id, uuid FROM read_parquet($1) ORDER BY place"
_NAME = re.compile(r"(\d{15})-(\d{15})\.parquet")


def archive_rows(connection: duckdb.DuckDBPyConnection, folder: Path, first: int, rows: Sequence[CapturedRow]) -> None:
    """Write the rows of the log from a position on as a file that is durable on return, or find that there is one.

    Raises `StoreUnavailable` when a file has other events at these positions: the log is not the one that it came from.
    """
    last = first + len(rows) - 1
    final = folder / ARCHIVE / f"{first:015}-{last:015}.parquet"
    final.parent.mkdir(parents=True, exist_ok=True)
    with batch_of(connection, rows):
        numbered = f"SELECT * REPLACE (place + {first} AS place) FROM {BATCH}"
        for path, from_, until in archive_files(folder):
            if from_ <= last and until >= first:
                with reading(connection, path):
                    if path == final and connection.execute(_DIFFERENT.format(numbered), [str(path)]).fetchall() == []:
                        return  # written before, but the log was not told
                raise StoreUnavailable(
                    f"{ARCHIVE}/{path.name} has other events at the positions {first} to {last} than the capture log, "
                    "which was replaced: restore its own, or move that file away"
                )
        temporary = final.with_suffix(".tmp")
        escaped = str(temporary).replace("'", "''")
        connection.execute(f"COPY ({numbered} ORDER BY place) TO '{escaped}' (FORMAT parquet, COMPRESSION zstd)")
    keep(temporary, final)


def archive_files(folder: Path) -> list[tuple[Path, int, int]]:
    """Return the files of the archive with the first and the last position in each, in their order."""
    found = ((path, _NAME.fullmatch(path.name)) for path in sorted((folder / ARCHIVE).glob("*.parquet")))
    return [(path, int(match[1]), int(match[2])) for path, match in found if match]


def take_back(log: CaptureLog, folder: Path) -> int:
    """Let a log that lost its archived rows know them again, so that it goes on after them; return how many.

    None when the log has rows of its own at their positions, or a file cannot be read (which is logged): then the
    archive stays as it is.
    """
    import duckdb  # noqa: PLC0415 - start-up time and idle memory

    before = log.position()
    for path, first, last in archive_files(folder):
        if first <= log.position() + 1 <= last:
            try:
                with duckdb.connect() as connection:
                    rows = connection.execute(_UUIDS, [str(path)]).fetchall()
            except duckdb.Error as error:
                logger.error("%s/%s cannot be read: %s", ARCHIVE, path.name, error)  # noqa: TRY400 - says enough
                break
            if [place for place, _, _ in rows] != list(range(first, last + 1)):
                break
            if not log.know_again(first, [(project_id, bytes.fromhex(uuid)) for _, project_id, uuid in rows]):
                break
    return log.position() - before


@contextmanager
def archived_batch(connection: duckdb.DuckDBPyConnection, folder: Path, after: int, until: int) -> Iterator[int]:
    """Offer the archived rows that follow a position as the relation `batch`; give the last position among them.

    Raises StoreUnavailable when no file has them, CorruptLog when the file that has them cannot be read.
    """
    for path, first, in_file in archive_files(folder):
        if first <= after + 1 <= in_file:
            last = min(in_file, until)
            with reading(connection, path):
                rows = connection.read_parquet(str(path))
                rows.filter(f"place > {after} AND place <= {last}").create_view(BATCH, replace=True)
                try:
                    yield last
                finally:
                    connection.execute(f"DROP VIEW {BATCH}")
            return
    raise StoreUnavailable(f"The archive lacks the captured events after position {after}.")


def damaged_archives(connection: duckdb.DuckDBPyConnection, folder: Path, archived: int) -> Iterator[str]:
    """Say which files cannot be read, do not hold the positions that their name tells, or hold unknown events.

    And which positions there is no file of, up to the one where the log has its own rows again.
    """
    files, following = archive_files(folder), 1
    for _, first, last in [*files, (folder, archived + 1, archived)]:
        if first > following:
            yield f"{ARCHIVE}/ lacks the captured events {following} to {first - 1}."
        following = max(following, last + 1)
    for path, first, last in files:
        try:
            with reading(connection, path):
                connection.execute(READ_ALL, [str(path)]).fetchall()
                (found,) = connection.execute(_POSITIONS, [str(path)]).fetchall()
                ((n_unknown,),) = connection.execute(_UNKNOWN, [str(path)]).fetchall()
                ((n_changed,),) = connection.execute(_CHANGED, [str(path)]).fetchall()
        except CorruptLog as error:
            yield str(error)
        else:
            if found != (first, last, last - first + 1):
                yield f"{ARCHIVE}/{path.name} does not hold the positions that its name tells."
            if n_unknown:
                yield f"{ARCHIVE}/{path.name} has {n_unknown} events that were never captured."
            if n_changed:
                yield f"{ARCHIVE}/{path.name} has {n_changed} events otherwise than they were captured."
