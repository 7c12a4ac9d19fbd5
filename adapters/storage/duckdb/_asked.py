"""Columns for properties that queries ask for: made when one is asked for again, filled piece by piece.

Like those of `_hot` a column holds exactly what reading the JSON text gives; plans read it once it is complete.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from attrs import frozen

from ._hot import asked_column, json_pointer
from ._tables import transaction

if TYPE_CHECKING:
    import duckdb

MAX_COLUMNS = 64
"""PERF: one makes inserting about 1 % slower."""
N_ASKED = 2
"""How many queries must have read a property from the JSON text before it gets a column."""
MIN_ROWS = 200_000
"""With fewer events reading the text is quick enough."""
PIECE_ROWS = 122_880
"""Rows filled at a time, a row group. PERF: 50 to 100 ms, in which nothing else is written."""
MAX_COUNTED = 1_000


@frozen
class AskedColumn:
    """A column of the table of events that was added for a property."""

    place: int
    property_name: str
    n_rows: int
    """How many events there were when it was added; later ones come with it."""
    n_filled: int

    @property
    def name(self) -> str:
        """The column's name."""
        return asked_column(self.place)

    @property
    def is_complete(self) -> bool:
        """Whether every event has it."""
        return self.n_filled >= self.n_rows


class AskedProperties:
    """Counts the queries that read properties from the JSON text; safe for threads, bounded."""

    def __init__(self, columns: Iterable[AskedColumn] = ()) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        self._wanted: dict[str, None] = {}
        self.has_work = False
        """Whether a column is to be made or filled."""
        self.complete: dict[str, str] = {}
        """The names of the columns that plans may read, by property."""
        self.tended(columns)

    def tended(self, columns: Iterable[AskedColumn]) -> None:
        """Note which columns there are."""
        self.complete = {one.property_name: one.name for one in columns if one.is_complete}
        self.has_work = self.has_work or any(not one.is_complete for one in columns)

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


def columns_of(connection: duckdb.DuckDBPyConnection) -> list[AskedColumn]:
    """Return the columns in their order in the table."""
    rows = connection.execute("SELECT place, property_name, n_rows, n_filled FROM asked_columns ORDER BY place")
    return [AskedColumn(*row) for row in rows.fetchall()]


def tend(connection: duckdb.DuckDBPyConnection, asked: AskedProperties, *, min_rows: int = MIN_ROWS) -> bool:
    """Fill a piece of a column, or make one; return whether there is more to do. One transaction of its own."""
    columns = columns_of(connection)
    unfinished = next((column for column in columns if not column.is_complete), None)
    if unfinished is not None:
        with transaction(connection):
            _fill(connection, unfinished)
        asked.tended(columns_of(connection))
        return True
    name = asked.next()
    if name is None:
        asked.has_work = False
        return False
    ((n_rows,),) = connection.execute("SELECT coalesce(max(rowid) + 1, 0) FROM events").fetchall()
    if n_rows >= min_rows and len(columns) < MAX_COLUMNS and all(one.property_name != name for one in columns):
        column = AskedColumn(len(columns), name, n_rows, 0)
        with transaction(connection):
            connection.execute(f"ALTER TABLE events ADD COLUMN {column.name} VARCHAR")
            connection.execute("INSERT INTO asked_columns VALUES (?, ?, ?, 0)", [column.place, name, n_rows])
    return True


def _fill(connection: duckdb.DuckDBPyConnection, column: AskedColumn) -> None:
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
    connection.execute("UPDATE asked_columns SET n_filled = ? WHERE place = ?", [end, column.place])


def _key_text(name: str) -> str:
    """Return what the stored JSON text of an object with the key contains; it is compact, and escapes no ASCII letter.

    PERF: most properties are on few events, and looking for a text is quicker than writing NULL into all others.
    """
    is_plain = name.isascii() and name.isprintable() and not set(name) & set('"\\')
    return f'"{name}":' if is_plain else ""
