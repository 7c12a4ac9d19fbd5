"""The rows of JSON lines, CSV and Parquet files as relations of texts, some tens of megabytes at a time.

What the texts must be is told by `bulk`; here only the three formats differ.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import orjson
from attrs import frozen

from ....application.importing import COLUMNS, EXTRAS, Reject, check_columns, rejected
from ....domain.capture import BadPayload
from ....domain.errors import InvalidInput
from ._relations import registered

PLAIN_TIME = r"\d{4}-\d\d-\d\d[T ]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+-](0\d|1[0-4]):[0-5]\d)?"
_UNUSUAL_NUMBER = r"-?((?i:nan|inf)|\d+(\.\d+)?[eE]|[\d.]{17}|0\.0000)"
"""What DuckDB takes for a number more leniently than we do, or writes differently."""
EXTRA_COLUMNS = tuple(column for columns in EXTRAS.values() for column in columns)
CHUNK_ROWS = 491_520
"""Rows of Parquet in a chunk: four row groups, or two of a small file. PERF: two threads share an even number."""
CHUNK_BYTES, VECTOR_ROWS = 256 << 20, 2_048
"""Bytes of Parquet in a chunk, uncompressed, unless so few rows are more."""
_FIELD_BYTES = 16 << 20
_UUID = "________-____-____-____-____________"
_ROWS = "found"

Item = tuple[int, str, Callable[[], Mapping[str, Any]]]
"""A row's number from 1, its text for a reject, and what gives its fields by name or raises `BadPayload`."""


@frozen(kw_only=True)
class RawRows:
    """Some rows of a file as they were found."""

    relation: str
    """SQL that gives row, event, distinct_id, ts_us, properties, uuid, is_odd (whether to leave the row to Python),
    is_checked (whether the properties are compact and usual already) and a text column for each of `extras`."""
    extras: Sequence[str]
    """The columns of `EXTRA_COLUMNS` that the file has."""
    items: Callable[[Sequence[int]], Iterator[Item]]
    """Gives rows by their numbers in rising order; blank lines are left out."""
    rejects: list[Reject]
    done: int
    total: int


def instant(text: str) -> str:
    """Return SQL that gives the microseconds of a plain ISO 8601 text, NULL for any other text."""
    return f"CASE WHEN regexp_full_match({text}, '{PLAIN_TIME}') THEN epoch_us(try_cast({text} AS TIMESTAMPTZ)) END"


def compact(text: str) -> str:
    """Return SQL that gives the JSON of an object without needless characters, NULL for anything else.

    PERF: looking whether it is JSON first takes half as long again; with one bad row in 500 this takes three times.
    """
    return f"try(json(CASE WHEN starts_with({text}, '{{') THEN {text} END)::VARCHAR)"


def is_usual(text: str, made: str) -> str:
    """Return SQL that tells whether JSON text, made compact, is surely what we would read and write ourselves.

    PERF: a pattern that begins with a plain character is looked for three times as quickly as others, and only CASE
    leaves out what need not be looked at.
    """
    return f"""CASE WHEN contains({made}, '\\u00') OR regexp_matches({made}, ':{_UNUSUAL_NUMBER}') THEN false
        WHEN CASE WHEN {made} <> {text} THEN regexp_matches({text}, ',\\s*[}}\\]]') END THEN false
        WHEN contains({made}, '[') THEN NOT regexp_matches({made}, '[\\[,]{_UNUSUAL_NUMBER}') ELSE true END"""


# -- JSON lines ------------------------------------------------------------------------------------------------------


def jsonl_rows(connection: duckdb.DuckDBPyConnection, path: Path, slice_bytes: int) -> Iterator[RawRows]:
    """Yield the lines of a file."""
    relation, first, done, total = _jsonl_relation(), 1, 0, path.stat().st_size
    with path.open("rb") as file:
        while block := file.read(slice_bytes) + file.readline():
            done += len(block)
            lines = block.removesuffix(b"\n").split(b"\n")
            texts = _decoded(block.removesuffix(b"\n"), lines)
            with _offered(connection, {"row": np.arange(first, first + len(lines)), "line": _texts(texts)}):
                yield RawRows(
                    relation=relation, extras=EXTRA_COLUMNS, items=_jsonl_items(lines, first), rejects=[],
                    done=done, total=total,
                )  # fmt: skip
            first += len(lines)


def _decoded(block: bytes, lines: list[bytes]) -> Sequence[str | None]:
    try:
        return block.decode().split("\n")
    except UnicodeDecodeError:
        return [_text_or_none(line) for line in lines]


def _text_or_none(line: bytes) -> str | None:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return None


def _jsonl_relation() -> str:
    names = (*COLUMNS, *EXTRA_COLUMNS)
    place = {name: f"x[{number}]" for number, name in enumerate(names, 1)}
    paths = ", ".join(f"'/{name}'" for name in names)
    values = {name: _json_text(place[name]) for name in names}
    values["distinct_id"] = (
        f"CASE WHEN regexp_full_match({place['distinct_id']}, '[1-9]\\d{{0,14}}') THEN {place['distinct_id']} "
        f"ELSE {_json_text(place['distinct_id'])} END"
    )
    for name in ("properties", "$set", "set", "person_properties", "$set_once", "set_once"):
        value = place[name]
        values[name] = f"CASE WHEN starts_with({value}, '\"') THEN {_json_text(value)} ELSE nullif({value}, 'null') END"
    no_texts = (place[name] for name in ("uuid", "ip", "elements_chain"))
    is_odd = " OR ".join(f"({value} <> 'null' AND NOT starts_with({value}, '\"'))" for value in no_texts)
    extras = "".join(f', {values[name]} AS "{name}"' for name in EXTRA_COLUMNS)
    return f"""
        SELECT row, event, distinct_id, {instant("timestamp")} AS ts_us, properties, {_uuid("uuid")} AS uuid,
            coalesce(is_odd, false) OR {_is_no_uuid("uuid")} AS is_odd, coalesce(is_checked, false) AS is_checked
            {"".join(f', "{name}"' for name in EXTRA_COLUMNS)}
        FROM (SELECT row, {", ".join(f"{values[name]} AS {name}" for name in COLUMNS)}, {is_odd} AS is_odd,
                starts_with({place["properties"]}, '{{') AS is_checked{extras}
            FROM (SELECT row,
                    CASE WHEN {is_usual("line", "made")} THEN json_extract(made, [{paths}])::VARCHAR[] END AS x
                FROM (SELECT row, line, {compact("line")} AS made FROM {_ROWS})))
    """


def _json_text(value: str) -> str:
    """Return SQL that gives the text of a JSON string, NULL for other JSON; PERF: most hold no escape."""
    return (
        f"CASE WHEN starts_with({value}, '\"') THEN CASE WHEN contains({value}, '\\') "
        f"THEN json_extract_string({value}, '$') ELSE {value}[2:-2] END END"
    )


def _jsonl_items(lines: list[bytes], first: int) -> Callable[[Sequence[int]], Iterator[Item]]:
    def items(rows: Sequence[int]) -> Iterator[Item]:
        for row in rows:
            line = lines[row - first]
            if line.strip():
                yield row, line.decode("utf-8", "replace").rstrip("\r\n"), lambda line=line: _jsonl_item(line)  # type: ignore[misc]

    return items


def _jsonl_item(line: bytes) -> Mapping[str, Any]:
    try:
        item = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BadPayload(str(error)) from error
    if not isinstance(item, dict):
        raise BadPayload("the line is not a JSON object")
    return item


# -- CSV -------------------------------------------------------------------------------------------------------------


def csv_rows(connection: duckdb.DuckDBPyConnection, path: Path, slice_bytes: int) -> Iterator[RawRows]:
    """Yield the records of a file whose first line names its columns. Raises `InvalidInput` without those needed."""
    total = path.stat().st_size
    csv.field_size_limit(max(_FIELD_BYTES, csv.field_size_limit()))
    with path.open("rb") as raw, io.TextIOWrapper(raw, "utf-8-sig", errors="replace", newline="") as file:
        reader = csv.reader(file)
        header = [name.strip() for name in next(reader, [])]
        check_columns(header)
        names = [name for name in (*COLUMNS, *EXTRA_COLUMNS) if name in header]
        is_over = False
        while not is_over:
            rejects: list[Reject] = []
            numbers, records, is_over = _csv_slice(reader, raw, slice_bytes, header, rejects)
            columns = {name: _texts([record[header.index(name)] or None for record in records]) for name in names}
            with _offered(connection, {"row": np.array(numbers, dtype=np.int64), **columns}):
                yield RawRows(
                    relation=_text_relation(names), extras=[name for name in EXTRA_COLUMNS if name in names],
                    items=_csv_items(dict(zip(numbers, records, strict=True)), header), rejects=rejects,
                    done=total if is_over else min(raw.tell(), total), total=total,
                )  # fmt: skip


def _csv_slice(
    reader: Any, raw: io.BufferedReader, slice_bytes: int, header: list[str], rejects: list[Reject]
) -> tuple[list[int], list[list[str]], bool]:
    """Return line numbers and records of some megabytes, and whether the file is over."""
    end = raw.tell() + slice_bytes
    numbers: list[int] = []
    records: list[list[str]] = []
    while raw.tell() < end or len(records) % 256:
        try:
            values = next(reader)
        except StopIteration:
            return numbers, records, True
        except csv.Error as error:
            rejects.append(rejected(reader.line_num, str(error), ""))
            continue
        if len(values) == len(header):
            numbers.append(reader.line_num)
            records.append(values)
        elif values:
            reason = f"the row has {len(values)} fields, the header {len(header)}"
            rejects.append(rejected(reader.line_num, reason, _csv_line(values)))
    return numbers, records, False


def _csv_items(records: Mapping[int, list[str]], header: list[str]) -> Callable[[Sequence[int]], Iterator[Item]]:
    def items(rows: Sequence[int]) -> Iterator[Item]:
        for row in rows:
            values = records[row]
            item = {name: value or None for name, value in zip(header, values, strict=True)}
            yield row, _csv_line(values), lambda item=item: item  # type: ignore[misc]

    return items


def _csv_line(values: list[str]) -> str:
    quoted = ('"' + value.replace('"', '""') + '"' if set(value) & set(',"\r\n') else value for value in values)
    return ",".join(quoted)


# -- Parquet ---------------------------------------------------------------------------------------------------------


def parquet_rows(connection: duckdb.DuckDBPyConnection, path: Path, most: int | None) -> Iterator[RawRows]:
    """Yield the rows of a file, `most` at a time; None: as many as are quick and fit into memory.

    Raises `InvalidInput` for no Parquet or without its columns.
    """
    source = f"read_parquet({_literal(str(path))}, file_row_number = true)"
    try:
        described = connection.execute(f"DESCRIBE SELECT * EXCLUDE file_row_number FROM {source}").fetchall()
        ((total,),) = connection.execute(f"SELECT count(*) FROM {source}").fetchall()
    except duckdb.Error as error:
        what = str(error).splitlines()[0]
        raise InvalidInput(f"{path} is no Parquet file: {what}") from error
    types = {str(name): str(kind) for name, kind, *_ in described}
    check_columns(types)
    names = [name for name in (*COLUMNS, *EXTRA_COLUMNS) if name in types]
    n_rows = most or _rows_at_once(connection, path, total)
    for start, end in _parts(total, n_rows):
        rows = f"(SELECT * FROM {source} WHERE file_row_number >= {start} AND file_row_number < {end})"
        yield RawRows(
            relation=_parquet_relation(rows, names, types), extras=[name for name in EXTRA_COLUMNS if name in names],
            items=_parquet_items(connection, source, names, types), rejects=[], done=end, total=total,
        )  # fmt: skip
        if start == 0:
            _leave_room(connection)


def _parts(total: int, n_rows: int) -> Iterator[tuple[int, int]]:
    """Yield from and until which row each chunk goes; the last one takes a small rest along."""
    ends = [*range(n_rows, total - n_rows // 2, n_rows), total]
    yield from zip([0, *ends], ends, strict=False)


def _leave_room(connection: duckdb.DuckDBPyConnection) -> None:
    """Use half as many threads from now on: the chunk before is inserted while one is read.

    PERF: with more threads than processors both take a tenth more of them.
    """
    ((n_threads,),) = connection.execute("SELECT current_setting('threads')").fetchall()
    connection.execute(f"SET threads = {max(n_threads // 2, 1)}")


def _rows_at_once(connection: duckdb.DuckDBPyConnection, path: Path, total: int) -> int:
    """Return how many rows make a chunk.

    PERF: the more, the better they are sorted; but the first is read, and the last inserted, with nothing beside it.
    """
    ((n_bytes,),) = connection.execute(
        f"SELECT sum(total_uncompressed_size) FROM parquet_metadata({_literal(str(path))})"
    ).fetchall()
    quick = CHUNK_ROWS if total > 2 * CHUNK_ROWS else CHUNK_ROWS // 2
    return max(min(quick, CHUNK_BYTES * total // (n_bytes or 1)), VECTOR_ROWS)


def _parquet_relation(rows: str, names: list[str], types: Mapping[str, str]) -> str:
    texts = {name: _parquet_text(name, types) for name in names}
    texts["ts_us"] = _parquet_instant(types["timestamp"])
    is_uuid = types.get("uuid") == "UUID"
    texts["uuid"] = '"uuid"' if is_uuid else texts.get("uuid", "NULL::VARCHAR")
    texts.setdefault("properties", "NULL::VARCHAR")
    columns = ", ".join(f'{text} AS "{name}"' for name, text in texts.items() if name != "timestamp")
    found = f"(SELECT file_row_number + 1 AS row, {columns} FROM {rows})"
    extras = "".join(f', "{name}"' for name in names if name in EXTRA_COLUMNS)
    uuid, is_odd = ("uuid", "false") if is_uuid else (_uuid("uuid"), _is_no_uuid("uuid"))
    return (
        f"SELECT row, event, distinct_id, ts_us, properties, {uuid} AS uuid, "
        f"{is_odd} AS is_odd, false AS is_checked{extras} FROM {found}"
    )


def _parquet_text(name: str, types: Mapping[str, str]) -> str:
    is_nested = types[name].startswith(("STRUCT", "MAP"))
    return f'to_json("{name}")::VARCHAR' if is_nested and name not in REQUIRED_TEXT else f'"{name}"::VARCHAR'


REQUIRED_TEXT = frozenset({"event", "distinct_id", "uuid"})


def _parquet_instant(kind: str) -> str:
    """Return SQL that gives the microseconds of the timestamp column, whatever its type."""
    if kind == "TIMESTAMP WITH TIME ZONE":
        return 'epoch_us("timestamp")'
    if kind.startswith("TIMESTAMP") or kind == "DATE":
        return 'epoch_us(try_cast("timestamp" AS TIMESTAMP))'
    return instant('"timestamp"') if kind == "VARCHAR" else "NULL::BIGINT"


def _parquet_items(
    connection: duckdb.DuckDBPyConnection, source: str, names: list[str], types: Mapping[str, str]
) -> Callable[[Sequence[int]], Iterator[Item]]:
    values = [_parquet_text(name, types) for name in names]
    values[names.index("timestamp")] = _parquet_moment(types["timestamp"])

    def items(rows: Sequence[int]) -> Iterator[Item]:
        if not rows:
            return
        found = connection.execute(
            f"SELECT file_row_number + 1, {', '.join(values)} FROM {source} "
            f"WHERE file_row_number BETWEEN {rows[0] - 1} AND {rows[-1] - 1} "
            f"AND file_row_number + 1 IN (SELECT unnest(?)) ORDER BY file_row_number",
            [list(rows)],
        ).fetchall()
        for row, *fields in found:
            item = dict(zip(names, fields, strict=True))
            yield row, orjson.dumps(item, default=str).decode(), lambda item=item: item  # type: ignore[misc]

    return items


def _parquet_moment(kind: str) -> str:
    """Return SQL that makes the timestamp column a text, a number or a naive UTC timestamp that Python can hold."""
    if kind.startswith("TIMESTAMP") or kind == "DATE":
        moment = "\"timestamp\" AT TIME ZONE 'UTC'" if kind == "TIMESTAMP WITH TIME ZONE" else '"timestamp"::TIMESTAMP'
        return f"CASE WHEN year({moment}) BETWEEN 1 AND 9999 THEN {moment} END"
    return '"timestamp"::BIGINT' if kind.endswith("INT") else '"timestamp"::VARCHAR'


# -- common ----------------------------------------------------------------------------------------------------------


class _offered:  # noqa: N801 - reads as a statement
    """Offers columns to SQL as the table `found` while it is entered."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, columns: Mapping[str, Any]) -> None:
        self._connection = connection
        self._columns = columns

    def __enter__(self) -> None:
        with registered(self._connection, "incoming", self._columns):
            # PERF: a table is read by all threads, arrays of Python objects by one.
            self._connection.execute(f"CREATE OR REPLACE TEMP TABLE {_ROWS} AS SELECT * FROM incoming")

    def __exit__(self, *_: object) -> None:
        self._connection.execute(f"DROP TABLE {_ROWS}")


def _texts(values: Sequence[str | None]) -> Any:
    return np.array(values, dtype=object)


def _text_relation(names: Sequence[str]) -> str:
    """Return SQL over the table of texts `found`."""
    text = {name: f'"{name}"::VARCHAR' if name in names else "NULL::VARCHAR" for name in COLUMNS}
    extras = "".join(f', "{name}"::VARCHAR AS "{name}"' for name in EXTRA_COLUMNS if name in names)
    return (
        f"SELECT row, {text['event']} AS event, {text['distinct_id']} AS distinct_id, "
        f"{instant(text['timestamp'])} AS ts_us, {text['properties']} AS properties, {_uuid(text['uuid'])} AS uuid, "
        f"{_is_no_uuid(text['uuid'])} AS is_odd, false AS is_checked{extras} FROM {_ROWS}"
    )


def _uuid(text: str) -> str:
    return f"try_cast(nullif({text}, '') AS UUID)"


def _is_no_uuid(text: str) -> str:
    """Return SQL that tells whether a text is something else than 32 digits with hyphens where they belong.

    PERF: a pattern that tells digits from other characters takes twice as long; the cast refuses these.
    """
    return f"coalesce({text} <> '' AND ({_uuid(text)} IS NULL OR NOT {text} LIKE '{_UUID}'), false)"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
