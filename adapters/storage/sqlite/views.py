"""The view tables in SQLite: made by sqlite-utils, filled by prepared SQL in the appending transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from functools import lru_cache

import sqlite_utils

from ....application.views.listing import insight_from_row
from ....application.views.tables import TABLES, Put, Table
from ....domain.insight import Insight

KEYS_OF = {table.name: table.key for table in TABLES}


class ViewTables:
    """The view tables under their own names, or under names with a suffix while they are rebuilt."""

    def __init__(self, suffix: str = "") -> None:
        self.suffix = suffix

    def create(self, connection: sqlite3.Connection) -> None:
        """Make the tables and indexes that are missing."""
        database = sqlite_utils.Database(connection)
        for table in TABLES:
            self._create_table(database, table)

    def drop(self, connection: sqlite3.Connection) -> None:
        """Drop the tables."""
        database = sqlite_utils.Database(connection)
        for table in TABLES:
            database.table(table.name + self.suffix).drop(ignore=True)

    def _create_table(self, database: sqlite_utils.Database, table: Table) -> None:
        name = table.name + self.suffix
        if name in database.table_names():
            return
        made = database.table(name)
        made.create(dict(table.columns), pk=table.key[0] if len(table.key) == 1 else table.key)
        for columns in table.indexes:
            made.create_index(columns, f"{name}_by_{'_'.join(columns)}", if_not_exists=True)

    def apply(self, cursor: sqlite3.Cursor, changes: Iterable[Put]) -> None:
        """Write row changes with prepared statements."""
        for change in changes:
            cursor.execute(_upsert(change.table, self.suffix, tuple(change.row)), tuple(change.row.values()))

    def read_insight(self, cursor: sqlite3.Cursor, insight_id: int) -> Insight | None:
        """Return an insight as the listing has it."""
        cursor.execute(f"SELECT * FROM insights{self.suffix} WHERE id = ?", (insight_id,))
        row = cursor.fetchone()
        return None if row is None else insight_from_row(row)


@lru_cache(maxsize=256)
def _upsert(table: str, suffix: str, columns: tuple[str, ...]) -> str:
    """Return the statement that inserts a row or updates the one with the same key; names are our own constants."""
    key = KEYS_OF[table]
    sets = ", ".join(f"{column} = excluded.{column}" for column in columns if column not in key)
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    return f"INSERT INTO {table}{suffix} ({names}) VALUES ({marks}) ON CONFLICT ({', '.join(key)}) DO UPDATE SET {sets}"
