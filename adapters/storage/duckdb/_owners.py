"""Persons of captured rows that are in memory: whom each event belongs to, told before DuckDB sees the events.

PERF: who was looked up once is remembered, so that most batches need no statement at all; the statements of `_persons`
take 9 ms for a single event.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from ....application.product_ports import CapturedRow
from ....domain.person_changes import Name, PersonEvent, person_uuid
from ....domain.persons import MERGING_EVENTS
from ._captured import properties_of
from ._persons import PERSON_KEYS, TELLS_PROFILE, fold
from ._relations import applied

if TYPE_CHECKING:
    import duckdb

    from ._definitions import KnownNames, SeenNames

MAX_OWNERS = 50_000
"""Distinct ids that are remembered: 10 MB or so."""
_NAMES = {"project_id": "int32", "distinct_id": "text"}
_STORED = """
SELECT d.project_id, d.distinct_id, d.person_id, p.person_id IS NOT NULL
FROM asked JOIN distinct_ids d USING (project_id, distinct_id) LEFT JOIN persons p USING (project_id, person_id)
"""
_NEW_PERSONS = """
INSERT INTO persons SELECT project_id, person_id, uuid::UUID, make_timestamp(created_us), false, '{}',
    make_timestamp(known_us)
FROM profiles
"""


def owners_of(
    connection: duckdb.DuckDBPyConnection, known: KnownNames, rows: Sequence[CapturedRow], names: SeenNames
) -> list[int]:
    """Bring persons, distinct ids and overrides up to date with the rows; return the person of each."""
    if len(known.owners) > MAX_OWNERS:
        known.forget_owners()
    has_profile = _profiles(rows, names)
    changing = set(names.changing_persons)
    told = list(_told(rows, changing, has_profile)) if changing else []
    if told:
        fold(connection, known, told, lambda touched: _firsts(rows, touched, has_profile))
    if (owners := remembered_owners(known, rows)) is not None:
        return owners
    asked = list({name for row in rows if (name := (row[0], row[3])) not in known.owners})
    for project_id, distinct_id, person_id, is_stored in applied(connection, "asked", _NAMES, asked, _STORED):
        known.note_owner((project_id, distinct_id), person_id, has_profile=is_stored)
    return _given(connection, known, rows, has_profile)


def remembered_owners(known: KnownNames, rows: Sequence[CapturedRow]) -> list[int] | None:
    """Return the person of each row; None when one is to be looked up, or may get a profile. PERF: mostly none is."""
    try:
        owners = [known.owners[row[0], row[3]] for row in rows]
    except KeyError:
        return None
    return owners if known.without_profile.isdisjoint(owners) else None


def _given(
    connection: duckdb.DuckDBPyConnection,
    known: KnownNames,
    rows: Sequence[CapturedRow],
    has_profile: Sequence[bool],
) -> list[int]:
    """Return the person of each row; make those who are new."""
    owners, without_profile = known.owners, known.without_profile
    given: list[int] = []
    news, profiles = [], []
    for place, (project_id, _, _, distinct_id, ts_us, _, known_us) in enumerate(rows):
        owner = owners.get((project_id, distinct_id))
        if owner is None:
            known.last_person += 1
            owner = known.last_person
            known.note_owner((project_id, distinct_id), owner, has_profile=False)
            news.append((project_id, distinct_id, owner))
        if owner in without_profile and has_profile[place]:
            # Without a profile nobody was merged yet, so this is the person's only distinct id.
            without_profile.discard(owner)
            profiles.append((project_id, owner, str(person_uuid(project_id, distinct_id)), ts_us, known_us))
        given.append(owner)
    applied(connection, "news", _NAMES | {"person_id": "int64"}, news, "INSERT INTO distinct_ids FROM news")
    columns = {"project_id": "int32", "person_id": "int64", "uuid": "text", "created_us": "int64", "known_us": "int64"}
    applied(connection, "profiles", columns, profiles, _NEW_PERSONS)
    return given


def _profiles(rows: Sequence[CapturedRow], names: SeenNames) -> Sequence[bool]:
    """Return of each row whether its client has not switched person processing off."""
    if not names.may_have(TELLS_PROFILE):
        return [True] * len(rows)
    return [f'"{TELLS_PROFILE}"' not in row[5] or not _is_off(properties_of(row[5]).get(TELLS_PROFILE)) for row in rows]


def _is_off(told: object) -> bool:
    return told is False or told == "false"


def _told(
    rows: Sequence[CapturedRow], changing: AbstractSet[str], has_profile: Sequence[bool]
) -> Iterator[tuple[int, PersonEvent]]:
    for place, (_, _, event, _, _, text, _) in enumerate(rows):
        if event in changing and (event in MERGING_EVENTS or '"$set' in text or '"$unset"' in text):
            properties = json.loads(text)  # exact whatever numbers there are
            kept = {key: properties[key] for key in PERSON_KEYS if key in properties}
            yield place, _event(rows[place], has_profile[place], kept, event)


def _firsts(
    rows: Sequence[CapturedRow], touched: AbstractSet[Name], has_profile: Sequence[bool]
) -> list[tuple[int, PersonEvent]]:
    """Return what touched distinct ids did first, with and without a profile."""
    found: dict[tuple[Name, bool], tuple[int, PersonEvent]] = {}
    for place, row in enumerate(rows):
        key = ((row[0], row[3]), has_profile[place])
        if key[0] in touched and key not in found:
            found[key] = (place, _event(row, has_profile[place], {}, "first"))
    return list(found.values())


def _event(row: CapturedRow, has_profile: bool, properties: Mapping[str, object], event: str) -> PersonEvent:
    return PersonEvent((row[0], row[3]), event, row[4], row[6], has_profile, properties)
