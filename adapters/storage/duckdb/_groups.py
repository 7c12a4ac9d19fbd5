"""Groups of a batch of events: which types there are, what `$groupidentify` says about groups.

Works inside the caller's transaction, on the relation `fresh` of `_loading`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ....domain.groups import MAX_GROUP_TYPES, next_types
from ._relations import offered

if TYPE_CHECKING:
    import duckdb

_TYPES_SEEN = """
SELECT project_id, type, min(place) FROM (
    SELECT project_id, place, unnest(json_keys(properties, '/$groups')) AS type FROM fresh
    WHERE contains(properties, '"$groups"')
    UNION ALL SELECT project_id, place, json_extract_string(properties, '/$group_type') FROM fresh
    WHERE event = '$groupidentify'
) WHERE type IS NOT NULL AND type <> '' GROUP BY ALL ORDER BY 3
"""
_IDENTIFIED = """
SELECT f.project_id, t.group_type_index, json_extract_string(properties, '/$group_key') AS group_key, ts_us, known_us,
    json_extract(properties, '/$group_set')
FROM fresh f JOIN group_types t ON t.project_id = f.project_id
    AND t.group_type = json_extract_string(properties, '/$group_type')
WHERE event = '$groupidentify' AND group_key IS NOT NULL AND group_key <> '' ORDER BY place
"""
_KNOWN = """
SELECT g.project_id, g.group_type_index, g.group_key, epoch_us(g.created_at), g.properties
FROM groups g SEMI JOIN touched USING (project_id, group_type_index, group_key)
"""
_COLUMNS = {"project_id": "int32", "group_type_index": "int32", "group_key": "text"}

Group = tuple[int, int, str]
"""Project, index of the type, key."""


def load_groups(connection: duckdb.DuckDBPyConnection) -> list[tuple[Group, dict[str, Any]]]:
    """Bring group types and groups up to date with the batch; return the groups it changed with their properties.

    A type gets the next free index when it is first seen; a project has five at most, further types are not kept.
    """
    _load_types(connection)
    rows = connection.execute(_IDENTIFIED).fetchall()
    return _load_identified(connection, rows) if rows else []


def _load_types(connection: duckdb.DuckDBPyConnection) -> None:
    seen: dict[int, list[str]] = {}
    for project_id, name, _ in connection.execute(_TYPES_SEEN).fetchall():
        seen.setdefault(project_id, []).append(name)
    for project_id, names in seen.items():
        known = connection.execute(
            "SELECT group_type FROM group_types WHERE project_id = ? ORDER BY group_type_index", [project_id]
        ).fetchall()
        for index, name in next_types([name for (name,) in known], names):
            connection.execute("INSERT INTO group_types VALUES (?, ?, ?)", [project_id, index, name])


def _load_identified(
    connection: duckdb.DuckDBPyConnection, rows: list[tuple[Any, ...]]
) -> list[tuple[Group, dict[str, Any]]]:
    groups: dict[Group, tuple[int, dict[str, Any], int]] = {}
    keys = sorted({(row[0], row[1], row[2]) for row in rows})
    with offered(connection, "touched", _COLUMNS, keys):
        for project_id, index, key, created_us, properties in connection.execute(_KNOWN).fetchall():
            groups[project_id, index, key] = (created_us, json.loads(properties), 0)
        for project_id, index, key, ts_us, known_us, given in rows:
            created_us, properties, _ = groups.get((project_id, index, key), (ts_us, {}, 0))
            found = json.loads(given) if given is not None else None
            if isinstance(found, dict):
                properties = {**properties, **found}
            groups[project_id, index, key] = (created_us, properties, known_us)
        connection.execute("DELETE FROM groups USING touched WHERE groups.project_id = touched.project_id"
                           " AND groups.group_type_index = touched.group_type_index"
                           " AND groups.group_key = touched.group_key")  # fmt: skip
    stored = [
        (*group, json.dumps(properties, ensure_ascii=False), created_us, known_us)
        for group, (created_us, properties, known_us) in groups.items()
    ]
    columns = _COLUMNS | {"properties": "text", "created_us": "int64", "known_us": "int64"}
    with offered(connection, "stored", columns, stored):
        connection.execute(
            "INSERT INTO groups SELECT project_id, group_type_index, group_key, properties,"
            " make_timestamp(created_us), make_timestamp(known_us) FROM stored"
        )
    return [(group, properties) for group, (_, properties, _) in groups.items()]


def group_pointers() -> str:
    """Return SQL of one row per project: `p0` ... `p4`, the JSON pointer of each group type in `$groups`."""
    pointers = ", ".join(
        f"any_value(pointer) FILTER (WHERE group_type_index = {index}) AS p{index}" for index in range(MAX_GROUP_TYPES)
    )
    escaped = "concat('/', replace(replace(group_type, '~', '~0'), '/', '~1'))"
    return f"(SELECT project_id, {pointers} FROM (SELECT *, {escaped} AS pointer FROM group_types) GROUP BY project_id)"
