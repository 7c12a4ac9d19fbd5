"""Plain reads of the view tables, with prepared SQL on a connection of the calling thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ....application.ids import row_id
from ....application.ports import InsightsWanted, Row
from ....application.views.tables import TABLES
from ....domain.errors import StoreUnavailable

LAST_VIEWED = "(SELECT MAX(viewed_at) FROM insight_views v WHERE v.insight_id = i.id)"
ORDER_COLUMNS = {
    "order": "i.sort_order",
    "last_viewed_at": "last_viewed_at",
    "name": "i.name COLLATE NOCASE",
    "derived_name": "i.derived_name COLLATE NOCASE",
}
KEY_AND_USER = """
SELECT k.*, u.uuid AS user_uuid, u.email AS user_email, u.first_name AS user_first_name,
       u.distinct_id AS user_distinct_id, u.created_at AS user_created_at
FROM keys k JOIN users u ON u.id = k.user_id WHERE k.key_sha256 = ? AND k.revoked_at IS NULL
"""
KNOWN_TABLES = frozenset(table.name for table in TABLES)


class SQLiteViews:
    """Reads of the views (port `Views`) over a function that gives the calling thread's connection."""

    def __init__(self, connection: Callable[[], sqlite3.Connection]) -> None:
        self._connection = connection

    def _all(self, sql: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        try:
            return [dict(row) for row in self._connection().execute(sql, values)]
        except sqlite3.Error as error:
            raise StoreUnavailable(f"The views cannot be read now: {error}.") from error

    def _one(self, sql: str, values: Sequence[Any] = ()) -> dict[str, Any] | None:
        rows = self._all(sql, values)
        return rows[0] if rows else None

    def row(self, table: str, subject_id: int) -> Row | None:
        """Return a row by id (port `Views`)."""
        if table not in KNOWN_TABLES:
            raise KeyError(table)
        return self._one(f"SELECT * FROM {table} WHERE id = ?", (subject_id,))

    def insight(self, project_id: int, ref: int | str) -> Row | None:
        """Return an insight by id, else by short id (port `Views`)."""
        found, insight_id = None, row_id(ref)
        if insight_id is not None:
            found = self._one("SELECT * FROM insights WHERE id = ? AND project_id = ?", (insight_id, project_id))
        if found is None and isinstance(ref, str):
            found = self._one("SELECT * FROM insights WHERE project_id = ? AND short_id = ?", (project_id, ref))
        return found

    def insights(self, wanted: InsightsWanted) -> tuple[int, Sequence[Row]]:
        """Return the count and the page (port `Views`)."""
        where, values = _conditions(wanted)
        count = self._one(f"SELECT COUNT(*) AS n FROM insights i WHERE {where}", values)
        rows = self._all(
            f"SELECT i.*, {LAST_VIEWED} AS last_viewed_at FROM insights i WHERE {where} "
            f"ORDER BY {_order(wanted.order)} LIMIT ? OFFSET ?",
            [*values, wanted.limit, wanted.offset],
        )
        return (count["n"] if count else 0), rows

    def last_viewed(self, project_id: int, user_id: int, limit: int) -> Sequence[Row]:
        """Return what a user viewed last (port `Views`); among equal times the higher id first."""
        return self._all(
            "SELECT i.*, v.viewed_at AS last_viewed_at FROM insight_views v JOIN insights i ON i.id = v.insight_id "
            "WHERE v.project_id = ? AND v.user_id = ? AND NOT i.deleted "
            "ORDER BY v.viewed_at DESC, v.insight_id DESC LIMIT ?",
            (project_id, user_id, limit),
        )

    def activity(
        self, project_id: int, *, insight_id: int | None, limit: int, offset: int
    ) -> tuple[int, Sequence[Row]]:
        """Return the count and a page of the activity log (port `Views`)."""
        where, values = "a.project_id = ?", [project_id]
        if insight_id is not None:
            where, values = "a.project_id = ? AND a.insight_id = ?", [project_id, insight_id]
        count = self._one(f"SELECT COUNT(*) AS n FROM activity a WHERE {where}", values)
        rows = self._all(
            "SELECT a.*, u.first_name, u.email FROM activity a LEFT JOIN users u ON u.id = a.user_id "
            f"WHERE {where} ORDER BY a.position DESC LIMIT ? OFFSET ?",
            [*values, limit, offset],
        )
        return (count["n"] if count else 0), rows

    def users(self, ids: Iterable[int] | None = None) -> Sequence[Row]:
        """Return users (port `Views`)."""
        if ids is None:
            return self._all("SELECT * FROM users ORDER BY id")
        wanted = sorted(set(ids))
        marks = ", ".join("?" * len(wanted))
        return self._all(f"SELECT * FROM users WHERE id IN ({marks}) ORDER BY id", wanted)

    def user_by_email(self, email: str) -> Row | None:
        """Return a user by e-mail address, whatever its case (port `Views`)."""
        return self._one("SELECT * FROM users WHERE email = ? COLLATE NOCASE", (email,))

    def projects(self) -> Sequence[Row]:
        """Return all projects (port `Views`)."""
        return self._all("SELECT * FROM projects ORDER BY id")

    def project(self, project_id: int) -> Row | None:
        """Return a project (port `Views`)."""
        return self._one("SELECT * FROM projects WHERE id = ?", (project_id,))

    def project_by_token(self, token_sha256: str) -> Row | None:
        """Return the project of a capture token (port `Views`)."""
        return self._one("SELECT * FROM projects WHERE token_sha256 = ?", (token_sha256,))

    def all_keys(self) -> Sequence[Row]:
        """Return all keys (port `Views`)."""
        return self._all("SELECT * FROM keys ORDER BY id")

    def key_by_hash(self, key_sha256: str) -> Row | None:
        """Return a key that is not revoked, with its user (port `Views`)."""
        return self._one(KEY_AND_USER, (key_sha256,))

    def highest_id(self, table: str) -> int:
        """Return the highest id in a view table (port `Views`)."""
        if table not in KNOWN_TABLES:
            raise KeyError(table)
        row = self._one(f"SELECT MAX(id) AS id FROM {table}")
        return (row["id"] if row else None) or 0


def _conditions(wanted: InsightsWanted) -> tuple[str, list[Any]]:
    where = ["i.project_id = ?", "NOT i.deleted"]
    bound: list[Any] = [wanted.project_id]
    if wanted.short_id is not None:
        where.append("i.short_id = ?")
        bound.append(wanted.short_id)
    if wanted.created_by:
        where.append(f"i.created_by IN ({', '.join('?' * len(wanted.created_by))})")
        bound += wanted.created_by
    if wanted.favorited:
        where.append("i.favorited")
    if wanted.saved is not None:
        where.append("i.saved = ?")
        bound.append(int(wanted.saved))
    if wanted.tags:
        marks = ", ".join("?" * len(wanted.tags))
        where.append(f"EXISTS (SELECT 1 FROM json_each(i.tags) t WHERE t.value IN ({marks}))")
        bound += wanted.tags
    if wanted.search:
        where.append(
            "(i.name LIKE ? ESCAPE '\\' OR i.derived_name LIKE ? ESCAPE '\\' OR i.description LIKE ? ESCAPE '\\' "
            "OR EXISTS (SELECT 1 FROM json_each(i.tags) t WHERE t.value LIKE ? ESCAPE '\\'))"
        )
        bound += [_like(wanted.search)] * 4
    return " AND ".join(where), bound


def _like(text: str) -> str:
    """Return a LIKE pattern (escape character: backslash) for texts that contain this one."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def _order(order: str | None) -> str:
    """Return the ORDER BY list of an order that is known to be one of `ORDERS`; ties by id."""
    if order is None:
        return "i.sort_order ASC NULLS LAST, i.id ASC"
    name = order.removeprefix("-")
    column = ORDER_COLUMNS.get(name, f"i.{name}")
    direction = "DESC NULLS LAST" if order.startswith("-") else "ASC NULLS FIRST"
    return f"{column} {direction if name != 'order' else direction.replace('FIRST', 'LAST')}, i.id ASC"
