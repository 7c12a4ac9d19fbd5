"""Persons of a batch of events: the few events that change persons are folded one by one, all others in bulk.

Works inside the caller's transaction. `load_persons` does it for the relation `fresh` of `_loading`, whose rows are
numbered in the order of their ingestion (`place`); `_owners` for rows that are in memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ....domain.person_changes import Name, Person, PersonEvent, Roster, person_uuid
from ....domain.persons import MERGING_EVENTS, merge_of
from ._relations import applied, offered
from ._tables import VERSION_STEP

if TYPE_CHECKING:
    import duckdb

    from ._definitions import KnownNames, SeenNames

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - stored instants are UTC without zone
_MICROSECOND = timedelta(microseconds=1)
_MERGING = ", ".join(f"'{name}'" for name in sorted(MERGING_EVENTS))
PERSON_KEYS = ("$set", "$set_once", "$unset", "$anon_distinct_id", "alias")
"""The properties that a `PersonEvent` has."""
_PATHS = ", ".join(f"'/{key}'" for key in PERSON_KEYS)
TELLS_PROFILE = "$process_person_profile"
_HAS_PROFILE = """(NOT contains(properties, '"$process_person_profile"')
    OR coalesce(json_extract_string(properties, '/$process_person_profile'), 'true') <> 'false')"""

_CHANGES_PERSONS = f"""list_contains($names::VARCHAR[], event)
    AND (event IN ({_MERGING}) OR contains(properties, '"$set') OR contains(properties, '"$unset"'))"""
"""SQL that tells whether an event may say something about persons; rather too often than not."""
_PERSON_EVENTS = f"""
SELECT place, project_id, distinct_id, event, ts_us, known_us, {_HAS_PROFILE}, json_extract(properties, [{_PATHS}])
FROM fresh WHERE {_CHANGES_PERSONS} ORDER BY place
"""
# What a touched distinct id did first, with and without a profile: the moments at which its person comes into being.
_FIRST_EVENTS = f"""
SELECT min(place), project_id, distinct_id, 'first', arg_min(ts_us, place), arg_min(known_us, place), has_profile, NULL
FROM (SELECT *, {_HAS_PROFILE} AS has_profile FROM fresh SEMI JOIN touched USING (project_id, distinct_id))
GROUP BY project_id, distinct_id, has_profile
"""
_OWNERS = """
SELECT d.project_id, d.distinct_id, d.person_id, p.uuid, p.created_at, coalesce(p.is_identified, false), p.properties,
    p.known_at
FROM touched JOIN distinct_ids d USING (project_id, distinct_id) LEFT JOIN persons p USING (project_id, person_id)
"""
_NEW_DISTINCT_IDS = """
INSERT INTO distinct_ids
SELECT project_id, distinct_id, row_number() OVER (ORDER BY place) + $last
FROM (SELECT project_id, distinct_id, min(place) AS place FROM fresh GROUP BY ALL)
ANTI JOIN distinct_ids USING (project_id, distinct_id)
"""
_NEW_PERSONS = """
INSERT INTO persons
SELECT project_id, person_id, CAST(concat(digest[1:12], '8', digest[14:16], '8', digest[18:]) AS UUID),
    make_timestamp(ts_us), false, '{{}}', make_timestamp(known_us)
FROM (
    SELECT project_id, person_id, md5(concat(project_id, ':', any_value(distinct_id))) AS digest,
        arg_min(ts_us, place) AS ts_us, arg_min(known_us, place) AS known_us
    FROM fresh JOIN (FROM distinct_ids ANTI JOIN persons USING (project_id, person_id)) USING (project_id, distinct_id)
    WHERE {has_profile} GROUP BY project_id, person_id
)
"""
_MOVE = (
    "UPDATE person_overrides SET person_id = moves.new FROM moves WHERE person_id = moves.old",
    "INSERT INTO person_overrides SELECT project_id, old, new FROM moves",
    "DELETE FROM persons WHERE person_id IN (SELECT old FROM moves)",
    """UPDATE distinct_ids SET person_id = moves.new FROM moves WHERE person_id = moves.old
    RETURNING project_id, distinct_id, person_id""",
)
_MERGES = 'INSERT INTO person_merges SELECT project_id, distinct_id, "into", make_timestamp(known_us) FROM merges'
_VERSIONS = f"""
INSERT INTO person_versions SELECT project_id, person_id, known_us * {VERSION_STEP} + ts_us, properties FROM versions
"""
_CHANGE = (
    "DELETE FROM persons WHERE person_id IN (SELECT person_id FROM changed)",
    """INSERT INTO persons SELECT project_id, person_id, uuid::UUID, make_timestamp(created_us), is_identified,
        properties, make_timestamp(known_us) FROM changed""",
)


def load_persons(connection: duckdb.DuckDBPyConnection, known: KnownNames, names: SeenNames) -> None:
    """Bring persons, distinct ids and overrides up to date with the batch.

    Persons whose first event says nothing about them are made in bulk.
    """
    changing = names.changing_persons
    rows = connection.execute(_PERSON_EVENTS, {"names": changing}).fetchall() if changing else []
    if rows:
        fold(connection, known, [(row[0], _person_event(row)) for row in rows], lambda _: _firsts_in(connection))
    ((n_new,),) = connection.execute(_NEW_DISTINCT_IDS, {"last": known.last_person}).fetchall()
    known.last_person += n_new
    # PERF: looking into every text for what no event has takes as long as all the rest.
    connection.execute(_NEW_PERSONS.format(has_profile=_HAS_PROFILE if names.may_have(TELLS_PROFILE) else "true"))
    known.forget_owners()


def fold(
    connection: duckdb.DuckDBPyConnection,
    known: KnownNames,
    told: Sequence[tuple[int, PersonEvent]],
    firsts_of: Callable[[AbstractSet[Name]], Sequence[tuple[int, PersonEvent]]],
) -> None:
    """Apply the events that may change persons, each with its place.

    `firsts_of` gives what distinct ids did first in the batch, with and without a profile. A person merged into another
    whose events are stored already gets an entry in `person_overrides`, applied when a query runs.
    """
    touched = _touched(event for _, event in told)
    last = known.last_person
    with offered(connection, "touched", {"project_id": "int32", "distinct_id": "text"}, sorted(touched)):
        firsts = firsts_of(touched)
        owned = connection.execute(_OWNERS).fetchall()
    owners = {(row[0], row[1]): row[2] for row in owned}
    roster = Roster((_person(row) for row in owned), owners, last + 1)
    for _, event in sorted([*told, *firsts], key=lambda item: item[0]):
        roster.apply(event)
    moved = _store(connection, roster, owners, last)
    known.last_person = roster.next_id - 1
    known.owners |= moved
    for name in roster.owners:
        if (owner := roster.owner(name)) is not None:
            known.note_owner(name, owner, has_profile=roster.persons[owner].has_profile)


def _firsts_in(connection: duckdb.DuckDBPyConnection) -> list[tuple[int, PersonEvent]]:
    return [(row[0], _person_event(row)) for row in connection.execute(_FIRST_EVENTS).fetchall()]


def _touched(events: Iterable[PersonEvent]) -> set[Name]:
    names: set[Name] = set()
    for event in events:
        names.add(event.name)
        merge = merge_of(event.event, event.name[1], event.properties)
        if merge is not None:
            names.add((event.name[0], merge.merged))
    return names


def _person_event(row: tuple[Any, ...]) -> PersonEvent:
    _, project_id, distinct_id, event, ts_us, known_us, has_profile, found = row
    properties = {
        key: json.loads(text) for key, text in zip(PERSON_KEYS, found or (), strict=False) if text is not None
    }
    return PersonEvent((project_id, distinct_id), event, ts_us, known_us, has_profile, properties)


def _person(row: tuple[Any, ...]) -> Person:
    project_id, distinct_id, person_id, uuid, created_at, is_identified, properties, known_at = row
    if uuid is None:  # no profile yet, and therefore no other distinct id
        return Person(person_id, project_id, person_uuid(project_id, distinct_id), None)
    return Person(person_id, project_id, uuid, _us(created_at), is_identified, json.loads(properties), _us(known_at))


def _us(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _store(connection: duckdb.DuckDBPyConnection, roster: Roster, known: dict[Name, int], last: int) -> dict[Name, int]:
    """Write what came of the persons; return the distinct ids that belong to another one than before, with that."""
    news = [(*name, roster.owner(name)) for name in roster.owners if name not in known]
    columns = {"project_id": "int32", "distinct_id": "text", "person_id": "int64"}
    applied(connection, "news", columns, news, "INSERT INTO distinct_ids FROM news")
    moves = [(roster.persons[old].project_id, old, new) for old, new in roster.moves().items() if old <= last]
    columns = {"project_id": "int32", "old": "int64", "new": "int64"}
    moved = applied(connection, "moves", columns, moves, *_MOVE)
    _store_merges(connection, roster)
    _store_versions(connection, roster, last)
    changed = [roster.persons[one] for one in roster.changed]
    columns = {
        "project_id": "int32", "person_id": "int64", "uuid": "text", "created_us": "int64", "is_identified": "bool",
        "properties": "text", "known_us": "int64",
    }  # fmt: skip
    rows = [
        (one.project_id, one.id, str(one.uuid), one.created_us, one.is_identified,
         json.dumps(one.properties, ensure_ascii=False), one.known_us)
        for one in changed
    ]  # fmt: skip
    applied(connection, "changed", columns, rows, *_CHANGE)
    return {(project_id, distinct_id): person_id for project_id, distinct_id, person_id in moved}


def _store_merges(connection: duckdb.DuckDBPyConnection, roster: Roster) -> None:
    """Keep which distinct ids became one person's, and the ingestion instant since which that is known."""
    rows = [(one.project_id, one.distinct_id, one.into, one.known_us) for one in roster.merges]
    columns = {"project_id": "int32", "distinct_id": "text", "into": "text", "known_us": "int64"}
    applied(connection, "merges", columns, rows, _MERGES)


def _store_versions(connection: duckdb.DuckDBPyConnection, roster: Roster, last: int) -> None:
    """Keep what properties were when events came in, for queries that read them as stored with events.

    A person who came and went within the batch has no events of its own: those are written with the one it became.
    """
    moves = roster.moves()
    rows = [
        (
            roster.persons[person].project_id,
            moves.get(person, person) if person > last else person,
            known_us,
            ts_us,
            json.dumps(properties, ensure_ascii=False),
        )
        for (person, known_us, ts_us), properties in roster.versions.items()
    ]
    columns = {"project_id": "int32", "person_id": "int64", "known_us": "int64", "ts_us": "int64", "properties": "text"}
    applied(connection, "versions", columns, rows, _VERSIONS)


def last_person(connection: duckdb.DuckDBPyConnection) -> int:
    """Return the highest id that a person has or had, 0 without persons."""
    ((person_id,),) = connection.execute("SELECT coalesce(max(person_id), 0) FROM distinct_ids").fetchall()
    ((merged,),) = connection.execute("SELECT coalesce(max(old_person_id), 0) FROM person_overrides").fetchall()
    return int(max(person_id, merged))
