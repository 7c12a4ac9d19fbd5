"""Names of a batch of events: which events and properties there are, since when, and of which type.

`load_definitions` works inside the caller's transaction, on the relation `fresh` of `_loading`, after the groups; the
rest answers plans.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ....domain.definitions import (
    MAX_NAME_CHARACTERS,
    MAX_NAMES,
    NO_PROPERTIES,
    SeenEvent,
    SeenProperty,
    inferred_type,
)
from ....domain.queries.definition_plans import EventDefinitionsPlan, PropertyDefinitionsPlan, ValuesPlan
from ....domain.queries.scope import PropertyType
from ._hot import json_pointer
from ._relations import offered

if TYPE_CHECKING:
    import duckdb

    from ._statement import Statement

TABLES = """
CREATE TABLE event_definitions (
    project_id INTEGER NOT NULL, name VARCHAR NOT NULL, known_at TIMESTAMP NOT NULL, first_seen TIMESTAMP NOT NULL,
    last_seen TIMESTAMP NOT NULL);
CREATE TABLE property_definitions (
    project_id INTEGER NOT NULL, kind VARCHAR NOT NULL, name VARCHAR NOT NULL, property_type VARCHAR,
    known_at TIMESTAMP NOT NULL, first_seen TIMESTAMP NOT NULL, last_seen TIMESTAMP NOT NULL);
CREATE TABLE event_properties (project_id INTEGER NOT NULL, event VARCHAR NOT NULL, name VARCHAR NOT NULL);
"""
_LATEST = 200_000
"""Events that values of a property are looked for in."""
_SKIPPED = ", ".join(f"'{name}'" for name in NO_PROPERTIES)
_KEYS = f"""
(SELECT * FROM (
    SELECT place, ts_us, project_id, event, 'event' AS kind, unnest(json_keys(properties)) AS name FROM fresh
    UNION ALL SELECT place, ts_us, project_id, '', 'person',
        unnest(list_concat(json_keys(properties, '/$set'), json_keys(properties, '/$set_once')))
    FROM fresh WHERE contains(properties, '"$set')
    UNION ALL SELECT place, ts_us, f.project_id, '', concat('group_', group_type_index),
        unnest(json_keys(properties, '/$group_set'))
    FROM fresh f JOIN group_types t ON t.project_id = f.project_id
        AND t.group_type = json_extract_string(properties, '/$group_type') WHERE event = '$groupidentify'
) WHERE strlen(name) BETWEEN 1 AND {MAX_NAME_CHARACTERS} AND NOT (kind = 'event' AND name IN ({_SKIPPED})))
"""
_SPAN = "min(place) AS place, min(ts_us) AS first_us, max(ts_us) // 3600000000 * 3600000000 AS last_us"
_SEEN = f"""
CREATE OR REPLACE TEMP TABLE seen_names AS
SELECT project_id, event, kind, name, {_SPAN} FROM {_KEYS} GROUP BY ALL
"""
_EVENTS = f"(SELECT project_id, 'events' AS kind, event AS name, {_SPAN} FROM fresh GROUP BY ALL)"
_PROPERTIES = """
(SELECT project_id, kind, name, min(place) AS place, min(first_us) AS first_us, max(last_us) AS last_us
FROM seen_names GROUP BY ALL)
"""
_WIDEN = """
UPDATE {table} AS d SET first_seen = least(first_seen, make_timestamp(first_us)),
    last_seen = greatest(last_seen, make_timestamp(last_us))
FROM {seen} s WHERE d.project_id = s.project_id AND d.name = s.name {same}
    AND (make_timestamp(first_us) < first_seen OR make_timestamp(last_us) > last_seen)
"""
_VALUE = """
CASE kind WHEN 'event' THEN json_extract(properties, pointer)
    WHEN 'person' THEN coalesce(json_extract(properties, '/$set' || pointer),
        json_extract(properties, '/$set_once' || pointer))
    ELSE json_extract(properties, '/$group_set' || pointer) END
"""
_POINTER = "concat('/', replace(replace(name, '~', '~0'), '/', '~1')) AS pointer"
_UNTYPED = f"""
CREATE OR REPLACE TEMP TABLE untyped AS
SELECT s.*, d.name IS NULL AS is_new, {_POINTER}
FROM {_PROPERTIES} s LEFT JOIN property_definitions d USING (project_id, kind, name) WHERE d.property_type IS NULL
"""
_FIRST_VALUES = f"SELECT project_id, kind, name, {_VALUE} FROM untyped JOIN fresh USING (place, project_id)"
_LATER_VALUES = f"""
SELECT project_id, kind, name, arg_min(value, place) FROM (
    SELECT u.project_id, u.kind, u.name, k.place, {_VALUE.replace("kind", "u.kind")} AS value
    FROM still JOIN untyped u USING (project_id, kind, name) JOIN {_KEYS} k USING (project_id, kind, name)
        JOIN (SELECT place, properties FROM fresh) f ON f.place = k.place
) WHERE value <> 'null' GROUP BY ALL
"""
_NEW_PROPERTIES = f"""
INSERT INTO property_definitions
SELECT project_id, kind, name, NULL, make_timestamp(known_us), make_timestamp(first_us), make_timestamp(last_us)
FROM (SELECT u.*, row_number() OVER (PARTITION BY project_id, kind ORDER BY place, name) AS number
    FROM untyped u WHERE is_new) u
JOIN (SELECT place, known_us FROM fresh) USING (place)
LEFT JOIN (SELECT project_id, kind, count(*) AS n FROM property_definitions GROUP BY ALL) USING (project_id, kind)
WHERE number + coalesce(n, 0) <= {MAX_NAMES} ORDER BY place, name
"""
_NEW_EVENTS = f"""
INSERT INTO event_definitions
SELECT project_id, name, make_timestamp(known_us), make_timestamp(first_us), make_timestamp(last_us)
FROM (SELECT s.*, row_number() OVER (PARTITION BY project_id ORDER BY place) AS number
    FROM {_EVENTS} s ANTI JOIN event_definitions USING (project_id, name)) s
JOIN (SELECT place, known_us FROM fresh) USING (place)
LEFT JOIN (SELECT project_id, count(*) AS n FROM event_definitions GROUP BY ALL) USING (project_id)
WHERE number + coalesce(n, 0) <= {MAX_NAMES} ORDER BY place
"""
_NEW_PAIRS = """
INSERT INTO event_properties
SELECT project_id, event, name FROM (SELECT project_id, event, name FROM seen_names WHERE kind = 'event') s
    SEMI JOIN property_definitions d ON d.project_id = s.project_id AND d.kind = 'event' AND d.name = s.name
    SEMI JOIN event_definitions e ON e.project_id = s.project_id AND e.name = s.event
    ANTI JOIN event_properties p ON p.project_id = s.project_id AND p.event = s.event AND p.name = s.name
"""
_NAME_COLUMNS = {"project_id": "int32", "kind": "text", "name": "text"}
_Name = tuple[int, str, str]
TypesByProject = Mapping[int, Mapping[tuple[str, str], PropertyType]]


def load_definitions(connection: duckdb.DuckDBPyConnection) -> bool:
    """Bring the definitions up to date with the batch; return whether a property got a type.

    A property has the type of its first value that is not null, in the order of ingestion.
    """
    connection.execute(_WIDEN.format(table="event_definitions", seen=_EVENTS, same=""))
    connection.execute(_NEW_EVENTS)
    connection.execute(_SEEN)
    connection.execute(_WIDEN.format(table="property_definitions", seen=_PROPERTIES, same="AND d.kind = s.kind"))
    connection.execute(_UNTYPED)
    is_typed = _load_types(connection)
    connection.execute(_NEW_PAIRS)
    connection.execute("DROP TABLE seen_names; DROP TABLE untyped")
    return is_typed


def _load_types(connection: duckdb.DuckDBPyConnection) -> bool:
    """Note the properties that are new, and the types of those that have none yet."""
    if not connection.execute("SELECT 1 FROM untyped LIMIT 1").fetchall():
        return False
    connection.execute(_NEW_PROPERTIES)
    types = dict(_types(connection.execute(_FIRST_VALUES).fetchall()))
    still = [name for name, found in types.items() if found is None]
    if still:
        with offered(connection, "still", _NAME_COLUMNS, still):
            types |= dict(_types(connection.execute(_LATER_VALUES).fetchall()))
    typed = [(*name, found) for name, found in types.items() if found is not None]
    with offered(connection, "typed", _NAME_COLUMNS | {"property_type": "text"}, typed):
        connection.execute(
            "UPDATE property_definitions AS d SET property_type = t.property_type FROM typed t"
            " WHERE d.project_id = t.project_id AND d.kind = t.kind AND d.name = t.name"
        )
    return bool(typed)


def _types(rows: Iterable[tuple[int, str, str, str | None]]) -> Iterable[tuple[_Name, PropertyType | None]]:
    for project_id, kind, name, value in rows:
        yield (project_id, kind, name), inferred_type(name, None if value is None else json.loads(value))


def changed_types(known: TypesByProject, cursor: duckdb.DuckDBPyConnection) -> TypesByProject:
    """Return the types of all properties but texts, by project, then by kind and name.

    A project whose types are those known keeps its mapping.
    """
    found: dict[int, dict[tuple[str, str], PropertyType]] = {}
    for project_id, kind, name, property_type in cursor.execute(
        "SELECT project_id, kind, name, property_type FROM property_definitions WHERE property_type <> 'String'"
    ).fetchall():
        found.setdefault(project_id, {})[kind, name] = property_type
    return {project: known[project] if known.get(project) == types else types for project, types in found.items()}


# -- plans -----------------------------------------------------------------------------------------------------------


def events(plan: EventDefinitionsPlan, _: Statement, cursor: duckdb.DuckDBPyConnection) -> list[SeenEvent]:
    """Answer which events there are."""
    rows = cursor.execute(
        "SELECT name, known_at, first_seen, last_seen FROM event_definitions WHERE project_id = ? ORDER BY name",
        [plan.project_id],
    ).fetchall()
    return [SeenEvent(name, *map(_aware, instants)) for name, *instants in rows]


def properties(plan: PropertyDefinitionsPlan, _: Statement, cursor: duckdb.DuckDBPyConnection) -> list[SeenProperty]:
    """Answer which properties of a kind there are."""
    seen_on = None
    if plan.events is not None:
        names = cursor.execute(
            "SELECT DISTINCT name FROM event_properties WHERE project_id = ? AND list_contains(?::VARCHAR[], event)",
            [plan.project_id, list(plan.events)],
        )
        seen_on = {name for (name,) in names.fetchall()}
    rows = cursor.execute(
        "SELECT kind, name, property_type, known_at, first_seen, last_seen FROM property_definitions"
        " WHERE project_id = ? AND kind = ? ORDER BY name",
        [plan.project_id, plan.kind],
    ).fetchall()
    return [
        SeenProperty(
            kind,
            name,
            property_type,
            _aware(known_at),
            _aware(first),
            _aware(last),
            None if seen_on is None else name in seen_on,
        )
        for kind, name, property_type, known_at, first, last in rows
    ]


def values(plan: ValuesPlan, _: Statement, cursor: duckdb.DuckDBPyConnection) -> list[tuple[str]]:
    """Answer which values a property has most."""
    source = "events" if plan.kind == "event" else "persons"
    moment = "timestamp" if plan.kind == "event" else "created_at"
    wanted = "AND list_contains($events::VARCHAR[], event)" if plan.kind == "event" and plan.events else ""
    bound: dict[str, Any] = {
        "project": plan.project_id, "pointer": json_pointer(plan.name), "limit": plan.limit,
        "search": f"%{plan.search or ''}%",
    }  # fmt: skip
    if wanted:
        bound["events"] = list(plan.events)
    return cursor.execute(
        f"SELECT value FROM (SELECT json_extract_string(properties, $pointer) AS value FROM {source}"
        f" WHERE project_id = $project {wanted} ORDER BY {moment} DESC LIMIT {_LATEST})"
        " WHERE value ILIKE $search GROUP BY value ORDER BY count(*) DESC, value LIMIT $limit",
        bound,
    ).fetchall()


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)
