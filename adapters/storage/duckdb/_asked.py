"""Columns for properties that queries ask for: made when one is asked for again, filled piece by piece.

Plans read a column once it is complete.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ._columns import COMMON, PropertyColumn, PropertyColumns, add_column, columns_of, json_pointer
from ._tables import transaction

if TYPE_CHECKING:
    import duckdb

MAX_COLUMNS = 64
"""Beside those of common properties. PERF: one makes inserting about 1 % slower."""
N_ASKED = 2
"""How many queries must have read a property from the JSON text before it gets a column."""
MIN_ROWS = 200_000
"""With fewer events reading the text is quick enough."""
PIECE_ROWS = 122_880
"""Rows filled at a time, a row group. PERF: 50 to 100 ms, in which nothing else is written."""
MAX_COUNTED = 1_000


class AskedProperties:
    """Counts the queries that read properties from the JSON text; safe for threads, bounded."""

    def __init__(self, *, has_work: bool = False) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        self._wanted: dict[str, None] = {}
        self.has_work = has_work
        """Whether a column is to be made or filled."""

    def note(self, names: Iterable[str]) -> bool:
        """Count one query that read these properties; return whether one of them is to get a column now."""
        with self._lock:
            before = len(self._wanted)
            for name in names:
                count = self._counts.pop(name, 0) + 1
                self._counts[name] = count
                if count == N_ASKED:
                    self._wanted[name] = None
            while len(self._counts) > MAX_COUNTED:
                del self._counts[next(iter(self._counts))]
            is_new = len(self._wanted) > before
            self.has_work = self.has_work or is_new
            return is_new

    def next(self) -> str | None:
        """Return a property that is to get a column, and forget that it was asked for; None without one."""
        with self._lock:
            name = next(iter(self._wanted), None)
            if name is not None:
                del self._wanted[name]
                self._counts.pop(name, None)
            return name


def tend(
    connection: duckdb.DuckDBPyConnection, asked: AskedProperties, made: PropertyColumns, *, min_rows: int = MIN_ROWS
) -> bool:
    """Fill a piece of a column, or make one; return whether there is more to do. One transaction of its own."""
    columns = columns_of(connection)
    unfinished = next((column for column in columns if not column.is_complete), None)
    if unfinished is not None:
        with transaction(connection):
            _fill(connection, unfinished)
        made.read(connection)
        return True
    name = asked.next()
    if name is None:
        asked.has_work = False
        return False
    ((n_rows,),) = connection.execute("SELECT coalesce(max(rowid) + 1, 0) FROM events").fetchall()
    n_asked = sum(column.property_name not in COMMON for column in columns)
    if n_rows >= min_rows and n_asked < MAX_COLUMNS and all(one.property_name != name for one in columns):
        with transaction(connection):
            add_column(connection, len(columns), name, n_rows)
        made.read(connection)
    return True


def _fill(connection: duckdb.DuckDBPyConnection, column: PropertyColumn) -> None:
    end = column.n_filled + PIECE_ROWS
    connection.execute(
        f"UPDATE events SET {column.name} = json_extract_string(properties, $pointer) "
        "WHERE rowid >= $start AND rowid < $end AND contains(properties, $key)",
        {
            "pointer": json_pointer(column.property_name),
            "key": _key_text(column.property_name),
            "start": column.n_filled,
            "end": min(end, column.n_rows),
        },
    )
    connection.execute("UPDATE property_columns SET n_filled = ? WHERE place = ?", [end, column.place])


def _key_text(name: str) -> str:
    """Return what the stored JSON text of an object with the key contains; it is compact, and escapes no ASCII letter.

    PERF: most properties are on few events, and looking for a text is quicker than writing NULL into all others.
    """
    is_plain = name.isascii() and name.isprintable() and not set(name) & set('"\\')
    return f'"{name}":' if is_plain else ""
