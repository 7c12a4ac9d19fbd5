"""Product events out of a Parquet file, read by DuckDB in a connection of its own. Not the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb

from ....application.importing import COLUMNS, check_columns
from ....domain.errors import InvalidInput


class DuckDBParquetFile:
    """A Parquet file with some of the columns event, distinct_id, timestamp, properties, uuid (port `ParquetFile`).

    Timestamps without zone count as UTC; properties may be JSON text, a struct or a map. Raises `InvalidInput` when
    opened for a file that is no Parquet or lacks a column that every event needs.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with duckdb.connect() as connection:
                described = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
                counted = connection.execute("SELECT count(*) FROM read_parquet(?)", [str(path)]).fetchone()
        except duckdb.Error as error:
            raise InvalidInput(f"{path} is no Parquet file: {error}") from error
        self._types = {str(row[0]): str(row[1]) for row in described}
        check_columns(self._types)
        self.n_rows = int(counted[0]) if counted else 0
        """Rows in the file."""

    def batches(self, n_rows: int) -> Iterator[Sequence[tuple[Any, ...]]]:
        """Yield lists of up to `n_rows` rows with the values of `COLUMNS`, in file order; reads as it goes."""
        selected = ", ".join(f"{_expression(name, self._types.get(name))} AS {name}" for name in COLUMNS)
        with duckdb.connect() as connection:
            connection.execute(f"SELECT {selected} FROM read_parquet(?)", [str(self._path)])
            while rows := connection.fetchmany(n_rows):
                yield rows


def open_parquet(path: Path) -> DuckDBParquetFile:
    """Open a Parquet file for `read_chunks`. Raises `InvalidInput`."""
    return DuckDBParquetFile(path)


def _expression(name: str, kind: str | None) -> str:
    """Return SQL that makes a column text, a number or a naive UTC timestamp."""
    if kind is None:
        return "NULL"
    if name == "timestamp" and (kind.startswith("TIMESTAMP") or kind == "DATE"):
        moment = f"{name} AT TIME ZONE 'UTC'" if kind == "TIMESTAMP WITH TIME ZONE" else f"{name}::TIMESTAMP"
        return f"CASE WHEN year({moment}) BETWEEN 1 AND 9999 THEN {moment} END"
    if name == "timestamp" and kind.endswith("INT"):
        return f"{name}::BIGINT"
    if name == "properties" and kind.startswith(("STRUCT", "MAP")):
        return f"to_json({name})::VARCHAR"
    return f"{name}::VARCHAR"
