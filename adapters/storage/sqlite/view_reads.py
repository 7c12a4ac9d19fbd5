"""Plain reads of the view tables, with prepared SQL on a connection of the calling thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any, TypeVar

from ....application.ids import row_id
from ....application.ports import InsightsWanted, Row, Subjects, Viewer
from ....application.views.tables import INSIGHTS, TABLES, micros
from ....domain.errors import StoreUnavailable
from . import listing
from .connection import Writes
from .kept_lists import KeptLists

T = TypeVar("T")

OTHERS = ", ".join(f"i.{column}" for column in INSIGHTS.columns if column != "last_viewed_at")
"""The columns of an insight but when anybody viewed it last."""
GLANCE = "id, deleted, created_by, access"
KEY_AND_USER = """
SELECT k.*, u.uuid AS user_uuid, u.email AS user_email, u.first_name AS user_first_name,
       u.distinct_id AS user_distinct_id, u.created_at AS user_created_at, o.last_used_at
FROM keys k JOIN users u ON u.id = k.user_id LEFT JOIN key_uses o ON o.key_id = k.id
WHERE k.key_sha256 = ? AND k.revoked_at IS NULL
"""
MAX_KEPT = 4096
"""How much is kept at once: in insights, of a few kilobytes each."""
NEAR = 1000
"""PERF: rows that a page in an indexed order may skip, one by one."""
KNOWN_TABLES = frozenset(table.name for table in TABLES)


class SQLiteViews:
    """Reads of the views (port `Views`) over a function that gives the calling thread's connection.

    `writes` tells whether anything was written; None for views that never change.
    """

    def __init__(self, connection: Callable[[], sqlite3.Connection], writes: Writes | None = None) -> None:
        self._connection = connection
        self._writes = writes
        self._kept: tuple[int, dict[tuple[Any, ...], Any]] = (0, {})
        self._weight = 0
        self._lists = KeptLists(is_fixed=writes is None)

    def once(self) -> AbstractContextManager[None]:
        """Look for writes once within it (port `Views`)."""
        return nullcontext() if self._writes is None else self._writes

    def kept(self, name: tuple[Any, ...], find: Callable[[], T], *, weigh: Callable[[T], int] = lambda _: 1) -> T:
        """Return what `find` gives, or gave since the last write (port `Views`)."""
        version = 0 if self._writes is None else self._writes.version()
        kept_at, kept = self._kept
        if version > kept_at or self._weight >= MAX_KEPT:
            kept = {}
            self._kept, self._weight = (version, kept), 0
        if name not in kept:
            found = kept[name] = find()
            self._weight += weigh(found)
        return kept[name]  # type: ignore[no-any-return]

    def _all(self, sql: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        try:
            cursor = self._connection().execute(sql, values)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]  # PERF: dict(row) looks for each name
        except (OverflowError, UnicodeEncodeError):  # no column can hold such a value
            return []
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

    def insight(self, project_id: int, ref: int | str, *, is_glance: bool = False) -> Row | None:
        """Return an insight by id, else by short id (port `Views`)."""
        columns, found, insight_id = GLANCE if is_glance else "*", None, row_id(ref)
        if insight_id is not None:
            found = self._one(
                f"SELECT {columns} FROM insights WHERE id = ? AND project_id = ?", (insight_id, project_id)
            )
        if found is None and isinstance(ref, str):
            found = self._one(
                f"SELECT {columns} FROM insights WHERE project_id = ? AND short_id = ?", (project_id, ref)
            )
        return found

    def insights(self, wanted: InsightsWanted) -> tuple[int, Sequence[Row]]:
        """Return the count and the page (port `Views`)."""
        asked = listing.listing(wanted)
        if asked.is_plain and wanted.order in listing.INDEXED_ORDERS and wanted.offset <= NEAR:
            count = self._count("SELECT n FROM counts WHERE project_id = ? AND name = 'insights'", (wanted.project_id,))
            page = self._all(f"{asked.sql} LIMIT ? OFFSET ?", [*asked.values, wanted.limit, wanted.offset])
            return count, self._in_order("insights", [row["id"] for row in page])
        try:
            count, ids = self._lists.page(self._connection(), wanted)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"The views cannot be read now: {error}.") from error
        return count, self._in_order("insights", ids)

    def _count(self, sql: str, values: Sequence[Any]) -> int:
        row = self._one(sql, values)
        return row["n"] if row else 0

    def _in_order(self, table: str, ids: Sequence[int]) -> Sequence[Row]:
        """Return the rows with these ids, in their order. PERF: sorting ids moves less than sorting whole rows."""
        marks = ", ".join("?" * len(ids))
        rows = {row["id"]: row for row in self._all(f"SELECT * FROM {table} WHERE id IN ({marks})", ids)} if ids else {}
        return [rows[one] for one in ids if one in rows]

    def last_viewed(self, project_id: int, user_id: int, limit: int, viewer: Viewer | None) -> Sequence[Row]:
        """Return what a user viewed last (port `Views`); among equal times the higher id first."""
        seen, bound = listing.visible(viewer)
        return self._all(
            f"SELECT {OTHERS}, v.viewed_at AS last_viewed_at "
            "FROM insight_views v JOIN insights i ON i.id = v.insight_id "
            f"WHERE v.project_id = ? AND v.user_id = ? AND NOT i.deleted AND {seen} "
            "ORDER BY v.viewed_at DESC, v.insight_id DESC LIMIT ?",
            (project_id, user_id, *bound, limit),
        )

    def trending(self, project_id: int, since: datetime, limit: int, viewer: Viewer | None) -> Sequence[Row]:
        """Return what most people looked at (port `Views`); ties by the last modification, then the lower id."""
        seen, bound = listing.visible(viewer)
        rows = self._all(
            "SELECT i.*, COUNT(*) AS view_count FROM insight_views v JOIN insights i ON i.id = v.insight_id "
            f"WHERE v.project_id = ? AND v.viewed_at >= ? AND v.user_id > 0 AND NOT i.deleted AND {seen} "
            "GROUP BY i.id ORDER BY view_count DESC, i.last_modified_at DESC, i.id LIMIT ?",
            (project_id, micros(since), *bound, limit),
        )
        for row in rows:
            viewers = self._all(
                "SELECT user_id FROM insight_views WHERE insight_id = ? AND user_id > 0 AND viewed_at >= ? "
                "ORDER BY viewed_at DESC LIMIT 3",
                (row["id"], micros(since)),
            )
            row["viewer_ids"] = [one["user_id"] for one in viewers]
        return rows

    def tiles(self, *, insight_ids: Iterable[int] = (), dashboard_id: int | None = None) -> Sequence[Row]:
        """Return live tiles on live dashboards (port `Views`)."""
        wanted = [dashboard_id] if dashboard_id is not None else sorted(set(insight_ids))
        column = "insight_id" if dashboard_id is None else "dashboard_id"
        marks = ", ".join("?" * len(wanted))
        return self._all(
            "SELECT t.*, d.restriction_level, d.created_by, d.collaborators "
            "FROM tiles t JOIN dashboards d ON d.id = t.dashboard_id "
            f"WHERE t.{column} IN ({marks}) AND NOT coalesce(t.deleted, 0) AND NOT d.deleted ORDER BY t.id",
            wanted,
        )

    def dashboards(self, project_id: int, limit: int, offset: int) -> tuple[int, Sequence[Row]]:
        """Return the count and a page of dashboards, pinned ones first, then by name (port `Views`)."""
        where = "project_id = ? AND NOT deleted"
        count = self._count(f"SELECT COUNT(*) AS n FROM dashboards WHERE {where}", (project_id,))
        rows = self._all(
            f"SELECT * FROM dashboards WHERE {where} ORDER BY pinned DESC, name, id LIMIT ? OFFSET ?",
            (project_id, limit, offset),
        )
        return count, rows

    def dashboard_from(self, project_id: int, source: str) -> Row | None:
        """Return a dashboard by where it came from (port `Views`)."""
        return self._one("SELECT * FROM dashboards WHERE project_id = ? AND source = ?", (project_id, source))

    def said_names(self, project_id: int) -> Sequence[Row]:
        """Return what is said of names (port `Views`)."""
        return self._all("SELECT * FROM said_names WHERE project_id = ?", (project_id,))

    def definitions(
        self,
        table: str,
        project_id: int,
        *,
        search: str | None = None,
        limit: int = -1,
        offset: int = 0,
        with_deleted: bool = False,
    ) -> tuple[int, Sequence[Row]]:
        """Return the count and a page of actions or cohorts (port `Views`)."""
        if table not in {"actions", "cohorts"}:
            raise KeyError(table)
        values: list[Any] = [project_id]
        where = "project_id = ?" if with_deleted else "project_id = ? AND NOT deleted"
        if search:
            where, values = f"{where} AND instr(lower(coalesce(name, '')), lower(?))", [project_id, search]
        count = self._count(f"SELECT COUNT(*) AS n FROM {table} WHERE {where}", values)
        rows = self._all(
            f"SELECT * FROM {table} WHERE {where} ORDER BY id DESC LIMIT ? OFFSET ?", [*values, limit, offset]
        )
        return count, rows

    def listed(self, cohort_id: int) -> Sequence[str]:
        """Return the list of a static cohort (port `Views`)."""
        rows = self._all("SELECT distinct_id FROM cohort_lists WHERE cohort_id = ? ORDER BY distinct_id", (cohort_id,))
        return [row["distinct_id"] for row in rows]

    def share_of(self, token_sha256: str) -> Row | None:
        """Return what a share token is for (port `Views`)."""
        return self._one("SELECT * FROM share_tokens WHERE token_sha256 = ?", (token_sha256,))

    def access_rules(self, project_id: int, subjects: Subjects) -> Sequence[Row]:
        """Return the rules about whole resources that apply to somebody (port `Views`)."""
        user_id, roles = subjects
        marks = ", ".join("?" * (len(roles) + 1))
        return self._all(
            "SELECT resource, member, role, level FROM access_rules "
            f"WHERE project_id = ? AND resource_id = 0 AND member IN (0, ?) AND role IN ({marks})",
            (project_id, user_id, 0, *roles),
        )

    def hides_insights(self, project_id: int) -> bool:
        """Whether some rule hides insights (port `Views`)."""
        sql = "SELECT 1 FROM access_rules WHERE project_id = ? AND resource = 'insight' AND level = 'none' LIMIT 1"
        return self._one(sql, (project_id,)) is not None

    def mark(self, name: str) -> int:
        """Return where something changed last (port `Views`)."""
        return self.kept(("mark", name), lambda: self._count("SELECT position AS n FROM marks WHERE name = ?", (name,)))

    def organizations(self) -> Sequence[Row]:
        """Return organisations with a row (port `Views`)."""
        return self._all("SELECT * FROM organizations ORDER BY id")

    def members(self, *, organization_id: int | None = None, user_id: int | None = None) -> Sequence[Row]:
        """Return memberships (port `Views`)."""
        if user_id is not None:
            return self._all("SELECT * FROM members WHERE user_id = ? ORDER BY joined_at, organization_id", (user_id,))
        sql = "SELECT * FROM members WHERE organization_id = ? ORDER BY joined_at, user_id"
        return self._all(sql, (organization_id,))

    def roles(self, organization_id: int) -> Sequence[Row]:
        """Return roles with their members (port `Views`)."""
        rows = self._all("SELECT * FROM roles WHERE organization_id = ? ORDER BY id", (organization_id,))
        for row in rows:
            found = self._all("SELECT user_id FROM role_members WHERE role_id = ? ORDER BY user_id", (row["id"],))
            row["user_ids"] = [one["user_id"] for one in found]
        return rows

    def activity(
        self, project_id: int, *, insight_id: int | None, limit: int, offset: int, viewer: Viewer | None = None
    ) -> tuple[int, Sequence[Row]]:
        """Return the count and a page of the activity log (port `Views`)."""
        source, where, values = "activity a", "a.project_id = ?", [project_id]
        if insight_id is not None:
            where, values = f"{where} AND a.insight_id = ?", [*values, insight_id]
        if viewer is not None:
            condition, bound = listing.visible(viewer)
            source, where = f"{source} JOIN insights i ON i.id = a.insight_id", f"{where} AND {condition}"
            values += bound
        if insight_id is None and viewer is None:
            count = self._count("SELECT n FROM counts WHERE project_id = ? AND name = 'activity'", values)
        else:
            count = self._count(f"SELECT COUNT(*) AS n FROM {source} WHERE {where}", values)
        rows = self._all(
            f"SELECT a.*, u.first_name, u.email FROM {source} LEFT JOIN users u ON u.id = a.user_id "
            f"WHERE {where} ORDER BY a.position DESC LIMIT ? OFFSET ?",
            [*values, limit, offset],
        )
        return count, rows

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
        return self._all("SELECT k.*, o.last_used_at FROM keys k LEFT JOIN key_uses o ON o.key_id = k.id ORDER BY id")

    def key_by_hash(self, key_sha256: str) -> Row | None:
        """Return a key that is not revoked, with its user (port `Views`)."""
        return self._one(KEY_AND_USER, (key_sha256,))

    def highest_id(self, table: str) -> int:
        """Return the highest id in a view table (port `Views`)."""
        if table not in KNOWN_TABLES:
            raise KeyError(table)
        row = self._one(f"SELECT MAX(id) AS id FROM {table}")
        return (row["id"] if row else None) or 0
