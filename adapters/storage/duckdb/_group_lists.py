"""Answers which group types and groups there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ....domain.queries.group_plans import GroupsPlan, GroupTypesPlan

if TYPE_CHECKING:
    import duckdb

    from ._statement import Statement

_TYPES = "SELECT group_type_index, group_type FROM group_types WHERE project_id = ? ORDER BY group_type_index"
_GROUPS = """
SELECT group_key FROM groups WHERE project_id = $project AND group_type_index = $index
    AND ($search IS NULL OR contains(lower(group_key), lower($search))
        OR contains(lower(json_extract_string(properties, '/name')), lower($search)))
ORDER BY created_at DESC, group_key LIMIT $limit OFFSET $offset
"""


def group_types(plan: GroupTypesPlan, statement: Statement, cursor: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    """Answer which types there are."""
    del statement
    return cursor.execute(_TYPES, [plan.project_id]).fetchall()


def groups(plan: GroupsPlan, statement: Statement, cursor: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    """Answer the keys of a page."""
    del statement
    values = {"project": plan.project_id, "index": plan.group_type_index, "search": plan.search or None,
              "limit": plan.limit, "offset": plan.offset}  # fmt: skip
    return cursor.execute(_GROUPS, values).fetchall()
