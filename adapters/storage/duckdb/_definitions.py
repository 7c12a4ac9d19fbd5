"""Names of a batch of events: which events and properties there are, since when, and of which type.

`load_definitions` works inside the caller's transaction, on the relation `fresh` of `_loading`, after the groups; the
rest answers plans.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import Factory, define, field, frozen

from ....domain.definitions import (
    MAX_NAME_CHARACTERS,
    MAX_NAMES,
    NO_PROPERTIES,
    SeenEvent,
    SeenProperty,
    inferred_type,
)
from ....domain.persons import MERGING_EVENTS
from ....domain.queries.definition_plans import EventDefinitionsPlan, PropertyDefinitionsPlan, ValuesPlan
from ....domain.queries.scope import PropertyType
from ._columns import json_pointer
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
_CHANGING_KEYS = frozenset({"$set", "$set_once", "$unset"})
_LATEST = 200_000
"""Events that values of a property are looked for in."""
_EVENT_KEYS = """
SELECT place, ts_us, project_id, event, 'event' AS kind, unnest(json_keys(properties)) AS name FROM fresh
"""
_OTHER_KEYS = """
SELECT place, ts_us, project_id, '' AS event, 'person' AS kind,
    unnest(list_concat(json_keys(properties, '/$set'), json_keys(properties, '/$set_once'))) AS name
FROM fresh WHERE ($changing::VARCHAR[] IS NULL OR list_contains($changing, event)) AND contains(properties, '"$set')
UNION ALL SELECT place, ts_us, f.project_id, '', concat('group_', group_type_index),
    unnest(json_keys(properties, '/$group_set'))
FROM fresh f JOIN group_types t ON t.project_id = f.project_id
    AND t.group_type = json_extract_string(properties, '/$group_type') WHERE event = '$groupidentify'
"""
_LAST = "max(ts_us)"
_SPAN = f"min(place), min(ts_us), {_LAST} - ({_LAST} % 3600000000 + 3600000000) % 3600000000"
_IS_NAME = f"strlen(name) BETWEEN 1 AND {MAX_NAME_CHARACTERS}"
# The events themselves come as those without a name.
_SEEN = f"""
SELECT rank, NULL AS name, {_SPAN}, arg_min(known_us, place), any_value(project_id), any_value(event)
FROM fresh GROUP BY rank
UNION ALL SELECT rank, name, {_SPAN}, NULL, NULL, NULL
FROM (SELECT rank, place, ts_us, unnest(json_keys(properties)) AS name FROM fresh) WHERE {_IS_NAME} GROUP BY rank, name
"""
_OTHERS_SEEN = f"SELECT project_id, event, kind, name, {_SPAN} FROM ({_OTHER_KEYS}) WHERE {_IS_NAME} GROUP BY ALL"
_VALUE = """
CASE kind WHEN 'event' THEN json_extract(properties, pointer)
    WHEN 'person' THEN coalesce(json_extract(properties, '/$set' || pointer),
        json_extract(properties, '/$set_once' || pointer))
    ELSE json_extract(properties, '/$group_set' || pointer) END
"""
_FIRST_VALUES = f"SELECT u.project_id, kind, name, known_us, {_VALUE} FROM untyped u JOIN fresh USING (place)"
_LATER_VALUES = f"""
SELECT project_id, kind, name, arg_min(value, place) FROM (
    SELECT u.project_id, u.kind, u.name, k.place, {_VALUE.replace("kind", "u.kind")} AS value
    FROM still u JOIN ({_EVENT_KEYS} UNION ALL {_OTHER_KEYS}) k USING (project_id, kind, name)
        JOIN (SELECT place, properties FROM fresh) f ON f.place = k.place
) WHERE value <> 'null' GROUP BY ALL
"""
_WIDEN = """
UPDATE {table} AS d SET first_seen = make_timestamp(first_us), last_seen = make_timestamp(last_us)
FROM widened w WHERE d.project_id = w.project_id AND d.name = w.name {same}
"""
_NAME_COLUMNS = {"project_id": "int32", "kind": "text", "name": "text"}
PropertyName = tuple[int, str, str]
"""Project, kind, name."""
_Span = tuple[int, int]
"""First and last time in microseconds since 1970."""
Values = Callable[[Mapping[PropertyName, int]], Mapping[PropertyName, tuple[int, Any]]]
"""Gives of properties, each with the place where it is first, the ingestion instant there and the first value that is
not null, None without one."""
TypesByProject = Mapping[int, Mapping[tuple[str, str], PropertyType]]


@define
class KnownNames:
    """The definitions that are stored, in memory. PERF: most batches have nothing new, and then write nothing."""

    events: dict[tuple[int, str], _Span] = Factory(dict)
    properties: dict[PropertyName, _Span] = Factory(dict)
    untyped: set[PropertyName] = Factory(set)
    """Those of the properties that have had nothing but null."""
    pairs: set[PropertyName] = Factory(set)
    """Project, event, property."""
    counts: Counter[tuple[int, str]] = Factory(Counter)
    """Names by project and kind; events are of the kind `events`."""
    last_person: int = 0
    """The highest id of a person, of those too who became others."""
    owners: dict[tuple[int, str], int] = Factory(dict)
    """Project and distinct id -> person, of some of those that are stored."""
    without_profile: set[int] = Factory(set)
    """Which of the owners are only ids behind events."""

    @classmethod
    def of(cls, connection: duckdb.DuckDBPyConnection, *, last_person: int) -> KnownNames:
        """Return what the file holds."""
        known = cls(last_person=last_person)
        span = "epoch_us(first_seen), epoch_us(last_seen)"
        for project_id, name, *times in connection.execute(
            f"SELECT project_id, name, {span} FROM event_definitions"
        ).fetchall():
            known.events[project_id, name] = (times[0], times[1])
            known.counts[project_id, "events"] += 1
        for project_id, kind, name, property_type, *times in connection.execute(
            f"SELECT project_id, kind, name, property_type, {span} FROM property_definitions"
        ).fetchall():
            known.properties[project_id, kind, name] = (times[0], times[1])
            known.counts[project_id, kind] += 1
            if property_type is None:
                known.untyped.add((project_id, kind, name))
        known.pairs.update(connection.execute("SELECT project_id, event, name FROM event_properties").fetchall())
        return known

    def holds(self, batch: SeenNames) -> bool:
        """Whether a batch has no name that is new or was seen at other times, and nothing about persons or groups."""
        if batch.changing_persons or batch.has_groups:
            return False
        events = ((self.events.get(row[:2]), row[3:5]) for row in batch.events)
        keys = [(row[0], row[1], row[3], row[5:7]) for row in batch.keys if row[3] not in NO_PROPERTIES]
        properties = ((self.properties.get((project_id, "event", name)), span) for project_id, _, name, span in keys)
        return (
            all(before is not None and _joined(before, span) == before for before, span in (*events, *properties))
            and self.pairs.issuperset(key[:3] for key in keys)
            and self.untyped.isdisjoint((project_id, "event", name) for project_id, _, name, _ in keys)
        )

    def has_room(self, project_id: int, kind: str) -> bool:
        """Whether one more name is kept."""
        return self.counts[project_id, kind] < MAX_NAMES

    def note_owner(self, name: tuple[int, str], person_id: int, *, has_profile: bool) -> None:
        """Keep whom a distinct id belongs to."""
        self.owners[name] = person_id
        if has_profile:
            self.without_profile.discard(person_id)
        else:
            self.without_profile.add(person_id)

    def forget_owners(self) -> None:
        """Look the owners up anew when they are asked for."""
        self.owners.clear()
        self.without_profile.clear()


@frozen
class SeenNames:
    """The names in a batch, and what they tell of it. PERF: asked once, so that nothing looks for what is not there."""

    events: Sequence[tuple[Any, ...]]
    """Project, event, place, first and last time, ingestion."""
    keys: Sequence[tuple[Any, ...]]
    """Project, event, `event`, key of the properties, place, first and last time."""
    others: Callable[[], Sequence[tuple[Any, ...]]]
    """Gives the same of properties of persons and groups; `` for the event."""
    values: Values

    _key_names: frozenset[str] = field(init=False)

    @_key_names.default
    def _names_of_keys(self) -> frozenset[str]:
        return frozenset(row[3] for row in self.keys)

    @property
    def changing_persons(self) -> Sequence[str]:
        """The names of the events that may say something about persons."""
        merging = {row[1] for row in self.events if row[1] in MERGING_EVENTS}
        return sorted(merging | {row[1] for row in self.keys if row[3] in _CHANGING_KEYS})

    @property
    def may_merge(self) -> bool:
        """Whether an event may merge persons."""
        return any(row[1] in MERGING_EVENTS for row in self.events)

    @property
    def has_groups(self) -> bool:
        """Whether an event says something about groups, or belongs to one."""
        return self.may_have("$groups") or any(row[1] == "$groupidentify" for row in self.events)

    def may_have(self, name: str) -> bool:
        """Whether an event may have a property."""
        return name in self._key_names or not 1 <= len(name.encode()) <= MAX_NAME_CHARACTERS


def names_in_batch(connection: duckdb.DuckDBPyConnection) -> SeenNames:
    """Return the names of events and the keys of their properties in the batch."""
    seen = connection.execute(_SEEN).fetchall()
    events = {rank: (project_id, event) for rank, name, *_, project_id, event in seen if name is None}
    changing = sorted({events[rank][1] for rank, name, *_ in seen if name in _CHANGING_KEYS})
    return SeenNames(
        [(*events[rank], *row[:4]) for rank, name, *row in seen if name is None],
        [(*events[rank], "event", name, *row[:3]) for rank, name, *row in seen if name is not None],
        partial(other_names, connection, changing),
        partial(first_values, connection),
    )


def other_names(
    connection: duckdb.DuckDBPyConnection, changing: Sequence[str] | None = None
) -> Sequence[tuple[Any, ...]]:
    """Return the properties of persons and groups in the batch; `changing` are the events that may change persons."""
    return connection.execute(_OTHERS_SEEN, {"changing": changing}).fetchall()


def first_values(
    connection: duckdb.DuckDBPyConnection, untyped: Mapping[PropertyName, int]
) -> Mapping[PropertyName, tuple[int, Any]]:
    """Return `Values` of the batch."""
    asked = [(*key, place, json_pointer(key[2])) for key, place in untyped.items()]
    with offered(connection, "untyped", _NAME_COLUMNS | {"place": "int64", "pointer": "text"}, asked):
        rows = connection.execute(_FIRST_VALUES).fetchall()
    found = {(row[0], row[1], row[2]): (row[3], None if row[4] is None else json.loads(row[4])) for row in rows}
    still = [(*key, json_pointer(key[2])) for key, (_, value) in found.items() if value is None]
    if still:
        with offered(connection, "still", _NAME_COLUMNS | {"pointer": "text"}, still):
            for project_id, kind, name, value in connection.execute(_LATER_VALUES, {"changing": None}).fetchall():
                key = (project_id, kind, name)
                found[key] = (found[key][0], json.loads(value))
    return found


def load_definitions(connection: duckdb.DuckDBPyConnection, known: KnownNames, batch: SeenNames) -> bool:
    """Bring the definitions up to date with the batch; return whether a property got a type.

    A property has the type of its first value that is not null, in the order of ingestion. `known` moves along; when
    the transaction does not come to its end, it is wrong.
    """
    _load_events(connection, known, batch.events)
    seen = [row for row in batch.keys if row[3] not in NO_PROPERTIES]
    if batch.changing_persons or batch.has_groups:
        seen += batch.others()
    is_typed = _load_properties(connection, known, seen, batch.values)
    pairs = {(project_id, event, name) for project_id, event, kind, name, *_ in seen if kind == "event"} - known.pairs
    pairs = {
        pair for pair in pairs if (pair[0], "event", pair[2]) in known.properties and (pair[0], pair[1]) in known.events
    }
    if pairs:
        columns = {"project_id": "int32", "event": "text", "name": "text"}
        with offered(connection, "pairs", columns, sorted(pairs)):
            connection.execute("INSERT INTO event_properties SELECT project_id, event, name FROM pairs")
        known.pairs |= pairs
    return is_typed


def _load_events(connection: duckdb.DuckDBPyConnection, known: KnownNames, seen: Sequence[tuple[Any, ...]]) -> None:
    new, widened = [], []
    for project_id, name, _, first, last, known_us in sorted(seen, key=lambda row: row[2]):
        before = known.events.get((project_id, name))
        if before is None:
            if known.has_room(project_id, "events"):
                known.counts[project_id, "events"] += 1
                known.events[project_id, name] = (first, last)
                new.append((project_id, name, known_us, first, last))
        elif (after := _joined(before, (first, last))) != before:
            known.events[project_id, name] = after
            widened.append((project_id, "events", name, *after))
    if new:
        columns = {"project_id": "int32", "name": "text", **dict.fromkeys(("known_us", "first_us", "last_us"), "int64")}
        with offered(connection, "new_events", columns, new):
            connection.execute(
                "INSERT INTO event_definitions SELECT project_id, name, make_timestamp(known_us),"
                " make_timestamp(first_us), make_timestamp(last_us) FROM new_events"
            )
    _widen(connection, "event_definitions", widened, "")


def _load_properties(
    connection: duckdb.DuckDBPyConnection, known: KnownNames, seen: Sequence[tuple[Any, ...]], values_of: Values
) -> bool:
    found: dict[PropertyName, tuple[int, int, int]] = {}
    for project_id, _, kind, name, place, first, last in seen:
        key = (project_id, kind, name)
        one = found.get(key)
        found[key] = (
            (place, first, last) if one is None else (min(one[0], place), min(one[1], first), max(one[2], last))
        )
    widened: list[tuple[Any, ...]] = []
    untyped: dict[PropertyName, int] = {}
    for key, (place, first, last) in sorted(found.items(), key=lambda item: (item[1][0], item[0])):
        before = known.properties.get(key)
        if before is None:
            if known.has_room(*key[:2]):
                known.counts[key[:2]] += 1
                untyped[key] = place
            continue
        if (after := _joined(before, (first, last))) != before:
            known.properties[key] = after
            widened.append((*key, *after))
        if key in known.untyped:
            untyped[key] = place
    _widen(connection, "property_definitions", widened, "AND d.kind = w.kind")
    return _load_types(connection, known, values_of(untyped), found) if untyped else False


def _load_types(
    connection: duckdb.DuckDBPyConnection,
    known: KnownNames,
    values: Mapping[PropertyName, tuple[int, Any]],
    found: Mapping[PropertyName, tuple[int, int, int]],
) -> bool:
    """Note the properties that are new, and the types of those that had none yet."""
    types = {key: inferred_type(key[2], value) for key, (_, value) in values.items()}
    news = {key: found[key][1:] for key in values if key not in known.properties}
    new = [(*key, types[key], values[key][0], *span) for key, span in news.items()]
    if new:
        instants = dict.fromkeys(("known_us", "first_us", "last_us"), "int64")
        with offered(connection, "new_properties", _NAME_COLUMNS | {"property_type": "text", **instants}, new):
            connection.execute(
                "INSERT INTO property_definitions SELECT project_id, kind, name, property_type,"
                " make_timestamp(known_us), make_timestamp(first_us), make_timestamp(last_us) FROM new_properties"
            )
    typed = [(*key, one) for key, one in types.items() if one is not None and key in known.properties]
    if typed:
        with offered(connection, "typed", _NAME_COLUMNS | {"property_type": "text"}, typed):
            connection.execute(
                "UPDATE property_definitions AS d SET property_type = t.property_type FROM typed t"
                " WHERE d.project_id = t.project_id AND d.kind = t.kind AND d.name = t.name"
            )
    known.properties |= news
    known.untyped = (known.untyped | types.keys()) - {key for key, one in types.items() if one is not None}
    return any(one is not None for one in types.values())


def _widen(connection: duckdb.DuckDBPyConnection, table: str, widened: Sequence[Sequence[Any]], same: str) -> None:
    if widened:
        with offered(connection, "widened", _NAME_COLUMNS | {"first_us": "int64", "last_us": "int64"}, widened):
            connection.execute(_WIDEN.format(table=table, same=same))


def _joined(one: _Span, other: _Span) -> _Span:
    return min(one[0], other[0]), max(one[1], other[1])


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
