"""Bulk files read by DuckDB itself: JSON lines, CSV and Parquet become Parquet chunks that the store takes over.

SQL takes the rows that are plain beyond doubt; every other row goes through `application.importing.row_content`, one
by one in Python, so that both ways give the same events, and rejects the same reasons. Not the store.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from attrs import Factory, define, frozen

from ....application.importing import EXTRAS, JSON_EXTRAS, Format, Reject, RowContent, rejected, row_content
from ....domain.capture import MAX_DEPTH, MAX_NAME, BadPayload
from ....domain.errors import StoreUnavailable
from ....domain.timestamps import EARLIEST_US, LATEST_US
from ._bulk_rows import RawRows, compact, csv_rows, is_usual, jsonl_rows, parquet_rows
from ._relations import registered

SLICE_BYTES = 96 << 20
"""Bytes of JSON lines or CSV in a chunk."""
GROUP_ROWS = 20_480
"""Rows in a row group of a chunk."""

_CONTENT = "md5(concat(event, chr(0), distinct_id, chr(0), ts_us, chr(0), properties))"
_CHUNK_COLUMNS = "row, project_id, uuid, event, distinct_id, ts_us, properties, known_us"


@frozen
class StagedChunk:
    """Some rows of a file, in its order."""

    path: Path | None
    """A Parquet file with `row` and the columns of `_loading.BATCH`; None when no row can be stored."""
    name: str
    """Hash of the uuids and timestamps that it holds: the same rows of a project have the same name."""
    n_rows: int
    rejects: list[Reject]
    done: int
    """How much of the file is read by now, in bytes (JSON lines, CSV) or rows (Parquet)."""
    total: int


@define
class BulkFile:
    """A file of product events to be turned into chunks for one project.

    `scratch` is a folder for the chunks; whoever takes one moves it away or deletes it. Of a key that an object of the
    file has twice, either value may be kept.
    """

    path: Path
    file_format: Format
    scratch: Path
    project_id: int
    known_us: int
    """Ingestion instant of all rows, microseconds since 1970."""
    chunk_rows: int | None = None
    """Rows of Parquet in a chunk; None: as many as are quick and fit into memory."""
    slice_bytes: int = SLICE_BYTES
    _connection: duckdb.DuckDBPyConnection = Factory(duckdb.connect)

    def chunks(self) -> Iterator[StagedChunk]:
        """Yield the file's chunks in order, once; what a stopped run left staged is removed first.

        Raises `InvalidInput` for a file without the columns, `StoreUnavailable` where nothing can be staged, OSError.
        """
        connection = self._connection
        for left in self.scratch.glob("stage-*.tmp"):
            left.unlink()
        try:
            connection.execute("SET GLOBAL TimeZone = 'UTC'; SET enable_external_file_cache = false")
            connection.execute("CREATE TABLE seen (content UBIGINT, n BIGINT)")
            for number, raw in enumerate(self._raw_rows()):
                yield self._staged(self.scratch / f"stage-{number}.tmp", raw)
        finally:
            connection.close()

    def _raw_rows(self) -> Iterator[RawRows]:
        if self.file_format == "parquet":
            return parquet_rows(self._connection, self.path, self.chunk_rows)
        read = jsonl_rows if self.file_format == "jsonl" else csv_rows
        return read(self._connection, self.path, self.slice_bytes)

    def _staged(self, path: Path, raw: RawRows) -> StagedChunk:
        try:
            return self._written(path, raw)
        except duckdb.IOException as error:
            path.unlink(missing_ok=True)
            raise StoreUnavailable(f"A chunk cannot be written: {str(error).splitlines()[0]}") from error

    def _written(self, path: Path, raw: RawRows) -> StagedChunk:
        self._copy(_checked(raw, self.project_id, self.known_us), path)
        stage = f"read_parquet({_literal(path)})"
        odd = [row for (row,) in self._connection.execute(f"SELECT row FROM {stage} WHERE NOT is_plain").fetchall()]
        rows, rejects = _judged(raw, odd)
        ((is_named, n_rows),) = self._connection.execute(
            f"SELECT count(uuid) = count(*), count(*) FROM {stage} WHERE is_plain"
        ).fetchall()
        if odd or not is_named:
            self._complete(path, rows)
        n_rows += len(rows)
        if n_rows == 0:
            path.unlink()
        name = self._name_of(path) if n_rows else ""
        return StagedChunk(path if n_rows else None, name, n_rows, raw.rejects + rejects, raw.done, raw.total)

    def _complete(self, path: Path, rows: Sequence[tuple[int, RowContent]]) -> None:
        """Write a staged file again: with the rows that Python judged, and a uuid for each row that has none."""
        connection = self._connection
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE whole AS SELECT {_CHUNK_COLUMNS} FROM read_parquet({_literal(path)}) "
            "WHERE is_plain"
        )
        with registered(connection, "judged", _columns(rows)):
            connection.execute(
                f"INSERT INTO whole SELECT row, {self.project_id}, try_cast(nullif(uuid, '') AS UUID), event, "
                f"distinct_id, ts_us, properties, {self.known_us} FROM judged"
            )
        connection.execute(_NUMBERED)
        connection.execute("INSERT INTO seen SELECT md5_number_lower(content), count(*) FROM numbered GROUP BY content")
        self._copy(_NAMED, path)
        connection.execute("DROP TABLE whole; DROP TABLE numbered")

    def _copy(self, select: str, path: Path) -> None:
        # PERF: zstd makes it a third smaller, and takes a third longer to write and to read. Small groups of rows take
        # a tenth less to write: their memory is used again and again, while that of large ones is always new.
        options = f"FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE {GROUP_ROWS}"
        self._connection.execute(f"COPY ({select}) TO {_literal(path)} ({options})")

    def _name_of(self, path: Path) -> str:
        ((count, total),) = self._connection.execute(
            f"SELECT count(*), sum(hash(uuid, ts_us)::HUGEINT) FROM read_parquet({_literal(path)})"
        ).fetchall()
        return f"{self.project_id}-{count}-{total:x}"


_NUMBERED = f"""
CREATE OR REPLACE TEMP TABLE numbered AS
WITH nameless AS (SELECT row, {_CONTENT} AS content FROM whole WHERE uuid IS NULL),
    before AS (SELECT content, sum(n) AS n FROM seen
        WHERE content IN (SELECT md5_number_lower(content) FROM nameless) GROUP BY content)
SELECT row, nameless.content,
    row_number() OVER (PARTITION BY nameless.content ORDER BY row) - 1 + coalesce(n, 0) AS number
FROM nameless LEFT JOIN before ON md5_number_lower(nameless.content) = before.content
"""
_NAMED = """
SELECT row, project_id, coalesce(uuid, made) AS uuid, event, distinct_id, ts_us, properties, known_us
FROM whole LEFT JOIN (
    SELECT row, concat(digest[1:12], '3', digest[14:16],
        '89ab89ab89ab89ab'[strpos('0123456789abcdef', digest[17:17])], digest[18:])::UUID AS made
    FROM (SELECT row, CASE WHEN number = 0 THEN content ELSE md5(concat(content, '-', number)) END AS digest
        FROM numbered)) USING (row)
ORDER BY row
"""


def _checked(raw: RawRows, project_id: int, known_us: int) -> str:
    """Return SQL that gives the rows as they are to be stored, and whether they are plain."""
    added, is_odd_extra = [], ["false"]
    made = [f"CASE WHEN is_checked THEN properties ELSE {compact('properties')} END AS made"]
    for key, columns in EXTRAS.items():
        present = [f"nullif(\"{column}\", '')" for column in columns if column in raw.extras]
        if present:
            value, text = f"coalesce({', '.join(present)})", f'"made {key}"'
            made.append(f"{compact(value) if key in JSON_EXTRAS else f'to_json({value})::VARCHAR'} AS {text}")
            added.append(f"coalesce(',\"{key}\":' || nullif({text}, '{{}}'), '')")
            is_odd = f"contains(text, '\"{key}\"') OR " + (
                f"{text} IS NULL OR NOT {is_usual(value, text)}"
                if key in JSON_EXTRAS
                else f"regexp_matches({value}, '[\\x00-\\x1f]')"
            )
            is_odd_extra.append(f"({value} IS NOT NULL AND ({is_odd}))")
    joined = f"concat({', '.join(added)})" if added else "''"
    return f"""
        SELECT row, {project_id} AS project_id, uuid, event, distinct_id, ts_us, properties, {known_us} AS known_us,
            coalesce(NOT is_odd AND {_is_name("event")} AND {_is_name("distinct_id")}
                AND ts_us BETWEEN {EARLIEST_US} AND {LATEST_US} AND {_is_shallow("properties")}, false) AS is_plain
        FROM (SELECT * EXCLUDE (text, added, properties),
                CASE WHEN added = '' OR text IS NULL THEN text WHEN text = '{{}}' THEN concat('{{', added[2:], '}}')
                    ELSE concat(text[:-2], added, '}}') END AS properties
            FROM (SELECT * REPLACE (is_odd OR {" OR ".join(is_odd_extra)} AS is_odd), {joined} AS added
                FROM (SELECT *, CASE WHEN coalesce(properties, '') = '' THEN '{{}}'
                        WHEN is_checked THEN made WHEN {is_usual("properties", "made")} THEN made END AS text
                    FROM (SELECT *, {", ".join(made)} FROM ({raw.relation})))))
    """


def _is_name(text: str) -> str:
    return f"strlen({text}) BETWEEN 1 AND {MAX_NAME} AND NOT contains({text}, chr(0))"


def _is_shallow(text: str) -> str:
    """Return SQL that tells whether JSON text cannot be nested too deep; every level takes two characters."""
    n_open = f"2 * strlen({text}) - strlen(replace({text}, '{{', '')) - strlen(replace({text}, '[', ''))"
    return f"CASE WHEN strlen({text}) < {2 * MAX_DEPTH} THEN true ELSE coalesce({n_open} <= {MAX_DEPTH}, false) END"


def _judged(raw: RawRows, rows: Sequence[int]) -> tuple[list[tuple[int, RowContent]], list[Reject]]:
    """Return what Python makes of the rows that are not plain."""
    kept, rejects = [], []
    for row, text, item in raw.items(rows):
        try:
            kept.append((row, row_content(item())))
        except BadPayload as error:
            rejects.append(rejected(row, error.detail, text))
    return kept, rejects


def _columns(rows: Sequence[tuple[int, RowContent]]) -> dict[str, Any]:
    contents = [content for _, content in rows]
    texts = {
        "uuid": [str(content.uuid or "") for content in contents],
        "event": [content.event for content in contents],
        "distinct_id": [content.distinct_id for content in contents],
        "properties": [content.properties for content in contents],
    }
    return {
        "row": np.array([row for row, _ in rows], dtype=np.int64),
        "ts_us": np.array([content.timestamp_us for content in contents], dtype=np.int64),
        **{name: np.array(values, dtype=object) for name, values in texts.items()},
    }


def _literal(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
