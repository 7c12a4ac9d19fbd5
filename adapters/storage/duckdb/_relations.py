"""Python rows as relations that SQL can read by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb


@contextmanager
def registered(connection: duckdb.DuckDBPyConnection, name: str, columns: Mapping[str, Any]) -> Iterator[None]:
    """Offer numpy columns to SQL under a name."""
    connection.register(name, columns)
    try:
        yield
    except BaseException:
        with suppress(Exception):  # a transaction that failed takes no statement but its end
            connection.unregister(name)
        raise
    connection.unregister(name)


MAX_STATEMENTS = 100


class Slots:
    """A relation of a few rows that is registered once and filled anew for each batch; for one connection, one thread.

    Slots that a batch leaves empty have the place -1. `execute` is for simple statements with a transaction of their
    own. PERF: registering and unregistering takes 0.6 ms and more, of the 4 that a drain of 300 events takes.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, name: str, columns: Mapping[str, str], size: int) -> None:
        import numpy as np  # noqa: PLC0415 - start-up time and idle memory

        self.name = name
        self.size = size
        self._n_rows = 0
        self._columns: dict[str, Any] = {
            column: np.empty(size, object) if kind == "text" else np.full(size, -1, kind)
            for column, kind in columns.items()
        }
        self._statements: dict[str, duckdb.Statement] = {}
        self._cursor = connection.cursor()
        for one in (connection, self._cursor):
            one.register(name, self._columns)

    def execute(self, sql: str, parameters: Mapping[str, Any]) -> None:
        """Run a statement and commit. PERF: parsing takes a tenth of a small INSERT and is done once."""
        if sql not in self._statements:
            if len(self._statements) >= MAX_STATEMENTS:
                self._statements.clear()
            (self._statements[sql],) = self._cursor.extract_statements(sql)
        self._cursor.execute(self._statements[sql], parameters)

    def close(self) -> None:
        """Let the connection be closed."""
        self._cursor.close()

    def fill(self, columns: Mapping[str, Sequence[Any]]) -> None:
        """Take a batch of at most `size` rows; `place` is one of its columns."""
        n_before, self._n_rows = self._n_rows, len(columns["place"])
        for column, array in self._columns.items():
            array[: self._n_rows] = columns[column]
            array[self._n_rows : n_before] = None if array.dtype == object else -1


@contextmanager
def offered(
    connection: duckdb.DuckDBPyConnection, name: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]
) -> Iterator[None]:
    """Offer the rows to SQL under a name; `columns` gives each a numpy type, or `text`.

    PERF: numpy object columns load 100,000 rows in 0.3 s; bound lists take 1.0 s, executemany minutes.
    """
    import numpy as np  # noqa: PLC0415 - start-up time and idle memory

    arrays = {
        column: np.array([row[place] for row in rows], dtype=object if kind == "text" else kind)
        for place, (column, kind) in enumerate(columns.items())
    }
    with registered(connection, name, arrays):
        yield


def applied(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    columns: Mapping[str, str],
    rows: Sequence[Sequence[Any]],
    *statements: str,
) -> list[tuple[Any, ...]]:
    """Run statements that read the rows under a name; return what the last one gives. Nothing runs without rows."""
    if not rows:
        return []
    with offered(connection, name, columns, rows):
        for statement in statements:
            connection.execute(statement)
        return connection.fetchall()
