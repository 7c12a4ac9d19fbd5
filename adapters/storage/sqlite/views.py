"""The view tables in SQLite: made by sqlite-utils, filled by prepared SQL in the appending transaction."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.abc import MetaPathFinder
from threading import get_ident
from typing import TYPE_CHECKING, Any
from zlib import crc32

from ....application.views.tables import BESIDE, TABLES, Change, Count, Put, PutAll, Table

if TYPE_CHECKING:
    from types import ModuleType

    from sqlite_utils import Database

KEYS_OF = {table.name: table.key for table in (*TABLES, *BESIDE)}
SHAPE = crc32(repr((TABLES, BESIDE)).encode()) >> 1
"""Tells tables of this version from those of another one."""


class ViewTables:
    """The view tables under their own names, or under names with a suffix while they are rebuilt."""

    def __init__(self, suffix: str = "") -> None:
        self.suffix = suffix

    def create(self, connection: sqlite3.Connection) -> bool:
        """Make the tables and indexes that are missing; return whether tables of another shape had to give way."""
        was_other = False
        if not self.suffix:
            (shape,) = connection.execute("PRAGMA user_version").fetchone()
            was_other = shape != SHAPE and TABLES[0].name in _table_names(connection)
            if was_other:
                self.drop(connection)
            connection.execute(f"PRAGMA user_version = {SHAPE}")
        known = _table_names(connection)
        for table in (*TABLES, *(BESIDE if not self.suffix else ())):
            if table.name + self.suffix not in known:
                self._create_table(connection, table)
        return was_other

    def drop(self, connection: sqlite3.Connection) -> None:
        """Drop the tables."""
        database = _database(connection)
        for table in TABLES:
            if table.searched and not self.suffix:
                database.table(f"{table.name}_fts").drop(ignore=True)
            database.table(table.name + self.suffix).drop(ignore=True)

    def _create_table(self, connection: sqlite3.Connection, table: Table) -> None:
        name = table.name + self.suffix
        database = _database(connection)
        made = database.table(name)
        made.create(dict(table.columns), pk=table.key[0] if len(table.key) == 1 else table.key)
        for columns in table.indexes:
            place = "_".join(column.strip("-~") for column in columns)
            ordered = ", ".join(map(_ordered, columns))
            database.execute(f"CREATE INDEX IF NOT EXISTS {name}_by_{place} ON {name} ({ordered})")
        if table.searched and not self.suffix:
            made.enable_fts(table.searched, tokenize="trigram", create_triggers=True)

    def apply(self, cursor: sqlite3.Cursor, changes: Iterable[Change]) -> None:
        """Write row changes with prepared statements."""
        for change in changes:
            if isinstance(change, Put):
                sql = _upsert(change.table, self.suffix, tuple(change.row), change.once)
                cursor.execute(sql, tuple(change.row.values()))
            elif isinstance(change, PutAll):
                cursor.executemany(_upsert(change.table, self.suffix, change.columns), change.rows)
            elif isinstance(change, Count):
                sql = _count(change.table, self.suffix, tuple(change.key), change.column)
                cursor.execute(sql, (*change.key.values(), change.by))
            else:
                sql = _delete(change.table, self.suffix, tuple(change.key))
                cursor.execute(sql, tuple(change.key.values()))

    def read(self, cursor: sqlite3.Cursor, table: str, subject_id: int) -> Mapping[str, Any] | None:
        """Return the row with an id, as it is in this transaction."""
        cursor.execute(_select(table, self.suffix), (subject_id,))
        row = cursor.fetchone()
        return None if row is None else dict(row)


class _Hidden(MetaPathFinder):
    """Keeps modules from being found by the thread that made it, so that optional imports leave them out."""

    def __init__(self, *names: str) -> None:
        self._names = names
        self._thread = get_ident()

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if name in self._names and get_ident() == self._thread:
            raise ModuleNotFoundError(f"{name} is not looked for here", name=name)


def _database(connection: sqlite3.Connection) -> Database:
    """Return sqlite-utils on a connection.

    PERF: it looks for numpy and pandas, which take 25 MB and a fifth of a second each, for rows that we never give it.
    """
    hidden = _Hidden("numpy", "pandas")
    sys.meta_path.insert(0, hidden)
    try:
        import sqlite_utils  # noqa: PLC0415 PERF: most starts make no table
    finally:
        sys.meta_path.remove(hidden)
    return sqlite_utils.Database(connection)


def _table_names(connection: sqlite3.Connection) -> frozenset[str]:
    return frozenset(name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'"))


def _ordered(column: str) -> str:
    """Return a column of an index as `Table.indexes` spells it."""
    if column.startswith("-"):
        return f"{column[1:]} DESC"
    return f"{column[1:]} COLLATE NOCASE" if column.startswith("~") else column


@lru_cache(maxsize=256)
def _upsert(table: str, suffix: str, columns: tuple[str, ...], once: tuple[str, ...] = ()) -> str:
    """Return the statement that inserts a row or updates the one with the same key; names are our own constants."""
    key = KEYS_OF[table]
    fixed = {*key, *once}
    sets = ", ".join(f"{column} = excluded.{column}" for column in columns if column not in fixed)
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    then = f"UPDATE SET {sets}" if sets else "NOTHING"
    return f"INSERT INTO {table}{suffix} ({names}) VALUES ({marks}) ON CONFLICT ({', '.join(key)}) DO {then}"


@lru_cache(maxsize=64)
def _count(table: str, suffix: str, key: tuple[str, ...], column: str) -> str:
    names, marks = ", ".join((*key, column)), ", ".join("?" * (len(key) + 1))
    return (
        f"INSERT INTO {table}{suffix} ({names}) VALUES ({marks}) "
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {column} = {column} + excluded.{column}"
    )


@lru_cache(maxsize=64)
def _delete(table: str, suffix: str, key: tuple[str, ...]) -> str:
    return f"DELETE FROM {table}{suffix} WHERE {' AND '.join(f'{column} = ?' for column in key)}"


@lru_cache(maxsize=64)
def _select(table: str, suffix: str) -> str:
    return f"SELECT * FROM {table}{suffix} WHERE {KEYS_OF[table][0]} = ?"
