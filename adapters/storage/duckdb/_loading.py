"""Bulk rows into the DuckDB tables: columns of a batch, duplicates; persons and groups have modules of their own.

A batch is first made ready, so that its columns can be made, then loaded inside the caller's transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from attrs import frozen

from ....application.product_ports import CapturedRow
from ....domain.elements import chain_of
from ._captured import names_of
from ._columns import EXTRACTED, GROUP_KEYS, Extraction
from ._definitions import KnownNames, SeenNames, load_definitions, names_in_batch
from ._groups import group_pointers, load_groups
from ._owners import owners_of, remembered_owners
from ._persons import load_persons
from ._relations import Slots, applied, offered, registered

if TYPE_CHECKING:
    import duckdb

BATCH = "batch"
"""Name of the relation of incoming rows: place, project_id, uuid, event, distinct_id, ts_us, properties, known_us.

`place` numbers the rows in the order of ingestion.
"""
FRESH = "fresh"
"""The rows of the batch that are new, as a temporary table: everything else reads these.

`rank` numbers the names of events. PERF: numbers are sorted in two thirds of the time that names take, and grouped in
four fifths.
"""

MAX_SLOTS = 512
"""Rows that are given to SQL in `Slots`."""
MIN_SORTED = 10_000
"""Rows of a batch from which on it is worth sorting them."""
LATE_SHARE = 0.04
"""How many rows of a batch may be late ones."""

_KINDS = {
    "place": "int64", "project_id": "int32", "uuid": "text", "event": "text", "distinct_id": "text", "ts_us": "int64",
    "properties": "text", "known_us": "int64",
}  # fmt: skip
_OWNED = _KINDS | {"person_id": "int64", "position": "int64"}
_RANKED = {"rank": "int32"}
_COLUMNS = {
    "project_id": "b.project_id", "uuid": "b.uuid::UUID", "event": "b.event", "distinct_id": "b.distinct_id",
    "person_id": "person_id", "timestamp": "make_timestamp(b.ts_us)", "properties": "b.properties",
    "known_at": "make_timestamp(b.known_us)",
}  # fmt: skip
_OWNERS_JOIN = "JOIN distinct_ids d USING (project_id, distinct_id)"
_GROUPS_JOIN = f"LEFT JOIN {group_pointers()} g USING (project_id)"
_CHAINS_JOIN = "LEFT JOIN chains c USING (place)"
_ORDER = f"""
ORDER BY CASE WHEN ts_us < (SELECT quantile_disc(ts_us, {LATE_SHARE}) FROM {FRESH}) THEN rank - {2**30}
    ELSE rank END, person_id, ts_us
"""
_ELEMENTS = f"""
SELECT place, json_extract_string(properties, '/$elements') FROM {FRESH} WHERE contains(properties, '"$elements"')
"""
# Duplicates carry the same timestamp, so only the time range of the batch is looked at and zone maps skip the rest.
_STORED = f"""
(SELECT place FROM {FRESH} SEMI JOIN (
    SELECT project_id, uuid FROM events
    WHERE timestamp BETWEEN make_timestamp((SELECT min(ts_us) FROM {FRESH})::BIGINT)
        AND make_timestamp((SELECT max(ts_us) FROM {FRESH})::BIGINT)
) USING (project_id, uuid))
"""
_KNOWN = """
SELECT place FROM asked SEMI JOIN (
    SELECT project_id, uuid FROM events
    WHERE timestamp BETWEEN make_timestamp({first}) AND make_timestamp({last})
) known ON asked.project_id = known.project_id AND asked.uuid::UUID = known.uuid
"""
# PERF: looked for among the narrow columns alone; DISTINCT ON over whole rows takes as long as all the rest.
_REPEATED = f"""
WITH twice AS (SELECT project_id, uuid, min(place) AS first FROM {FRESH} GROUP BY ALL HAVING count(*) > 1)
SELECT place FROM {FRESH} JOIN twice USING (project_id, uuid) WHERE place <> first UNION {_STORED}
"""
_MAKE_FRESH = f"""
CREATE OR REPLACE TEMP TABLE {FRESH} AS SELECT {BATCH}.* REPLACE (uuid::UUID AS uuid), rank
FROM {BATCH} JOIN (SELECT *, row_number() OVER (ORDER BY project_id, event)::INTEGER AS rank
    FROM (SELECT DISTINCT project_id, event FROM {BATCH})) USING (project_id, event)
"""


@contextmanager
def batch_of(connection: duckdb.DuckDBPyConnection, rows: Sequence[CapturedRow]) -> Iterator[None]:
    """Offer the rows to SQL under the name `batch`.

    PERF: numpy object columns load 100,000 rows in 0.3 s; bound lists take 1.0 s, executemany minutes.
    """
    with registered(connection, BATCH, _arrays(_columns_of(rows))):
        yield


def slots_of(connection: duckdb.DuckDBPyConnection) -> Slots:
    """Return slots for captured rows; outside of a transaction."""
    return Slots(connection, "captured", _OWNED, MAX_SLOTS)


def _columns_of(rows: Sequence[CapturedRow]) -> dict[str, Sequence[Any]]:
    project_ids, uuids, events, distinct_ids, timestamps, properties, captured = zip(*rows, strict=True)
    return {
        "place": range(len(rows)),
        "project_id": project_ids,
        "uuid": [uuid.hex() for uuid in uuids],
        "event": events,
        "distinct_id": distinct_ids,
        "ts_us": timestamps,
        "properties": properties,
        "known_us": captured,
    }


def _ranks(rows: Sequence[CapturedRow]) -> Sequence[int]:
    ranks = {name: rank for rank, name in enumerate(sorted({(row[0], row[2]) for row in rows}))}
    return [ranks[row[0], row[2]] for row in rows]


def _arrays(columns: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    import numpy as np  # noqa: PLC0415 - start-up time and idle memory

    kinds = {name: object if kind == "text" else kind for name, kind in (_OWNED | _RANKED).items()}
    return {name: np.array(values, dtype=kinds[name]) for name, values in columns.items()}


@frozen
class Loaded:
    """What became of a batch."""

    n_new: int
    """Events that were new."""
    has_new_types: bool
    """Whether the type of a property became known."""
    may_merge: bool = False
    """Whether persons may have been merged."""


def load_rows(
    connection: duckdb.DuckDBPyConnection,
    rows: Sequence[CapturedRow],
    positions: Sequence[int],
    names: SeenNames,
    known: KnownNames,
    columns: Mapping[str, str],
    *,
    slots: Slots | None = None,
) -> Loaded:
    """Insert captured rows, as `load_batch` does with a relation; by way of the slots when there are few.

    `new_rows` gave them, their positions and their names.

    PERF: what Python can tell of rows by itself needs no statement: a single event takes 4 ms instead of 15. Nothing is
    sorted when there are few rows: queries pass over whole vectors of 2,048, and the layout sorts them later.
    """
    if not rows:
        return Loaded(0, has_new_types=False)
    owners = owners_of(connection, known, rows, names)
    found = {**_columns_of(rows), "person_id": owners, "position": positions}
    if slots is not None and _fit(slots, rows, names):
        slots.fill(found)
        has_new_types = load_definitions(connection, known, names)
        connection.execute(*_from_slots(slots, names, columns))
        return Loaded(len(rows), has_new_types, names.may_merge)
    is_sorted = len(rows) >= MIN_SORTED
    if is_sorted:
        found["rank"] = _ranks(rows)
    with registered(connection, FRESH, _arrays(found)):
        has_new_types, _ = _load_rest(connection, known, names, columns, "", "b.position", is_sorted=is_sorted)
    return Loaded(len(rows), has_new_types, names.may_merge)


def load_plain_rows(
    slots: Slots,
    rows: Sequence[CapturedRow],
    positions: Sequence[int],
    names: SeenNames,
    known: KnownNames,
    columns: Mapping[str, str],
) -> Loaded | None:
    """Insert captured rows as `load_rows` does, in a transaction of their own; None when they bring more than events.

    PERF: most batches bring no new names and persons, and are one INSERT: 300 events take 3.5 ms, in a transaction of
    several statements 5.
    """
    owners = remembered_owners(known, rows) if _fit(slots, rows, names) and known.holds(names) else None
    if owners is None:
        return None
    slots.fill({**_columns_of(rows), "person_id": owners, "position": positions})
    slots.execute(*_from_slots(slots, names, columns))
    return Loaded(len(rows), has_new_types=False)


def _fit(slots: Slots, rows: Sequence[CapturedRow], names: SeenNames) -> bool:
    return len(rows) <= slots.size and not (names.has_groups or names.may_have("$elements"))


def _from_slots(slots: Slots, names: SeenNames, columns: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """Return the statement that inserts what is in the slots, and its parameters."""
    extraction = Extraction(columns, names.may_have)
    insert = _events(extraction, f"{slots.name} WHERE place >= 0", position="b.position")
    return insert, {"pointers": extraction.pointers}


def new_rows(
    connection: duckdb.DuckDBPyConnection, rows: Sequence[CapturedRow], *, after: int, may_repeat: bool
) -> tuple[Sequence[CapturedRow], Sequence[int], SeenNames]:
    """Return the rows that follow a position of the log, without those that an import has brought already.

    With them come their positions and their names.
    """
    positions: Sequence[int] = range(after + 1, after + 1 + len(rows))
    if may_repeat and (repeated := _repeated(connection, rows)):
        new = [place for place in range(len(rows)) if place not in repeated]
        rows, positions = [rows[place] for place in new], [positions[place] for place in new]
    return rows, positions, names_of(connection, rows)


def _repeated(connection: duckdb.DuckDBPyConnection, rows: Sequence[CapturedRow]) -> AbstractSet[int]:
    """Return the places of rows that are events already."""
    times = [row[4] for row in rows]
    asked = [(place, row[0], row[1].hex()) for place, row in enumerate(rows)]
    statement = _KNOWN.format(first=min(times), last=max(times))
    columns = {"place": "int64", "project_id": "int32", "uuid": "text"}
    return {place for (place,) in applied(connection, "asked", columns, asked, statement)}


def make_fresh(connection: duckdb.DuckDBPyConnection, *, may_repeat: bool) -> SeenNames:
    """Make the relation `batch` ready for `load_batch`; return its names.

    `may_repeat`: leave out events whose (project, uuid) is there already; the capture log's own rows never repeat.
    """
    connection.execute(_MAKE_FRESH)
    repeated = connection.execute(_REPEATED).fetchall() if may_repeat else []
    if repeated:
        with offered(connection, "repeated", {"place": "int64"}, repeated):
            connection.execute(f"DELETE FROM {FRESH} WHERE place IN (SELECT place FROM repeated)")
    return names_in_batch(connection)


def load_batch(
    connection: duckdb.DuckDBPyConnection,
    names: SeenNames,
    known: KnownNames,
    columns: Mapping[str, str],
    *,
    is_captured: bool = False,
) -> Loaded:
    """Insert what `make_fresh` made ready; `known` are the definitions that are stored.

    `columns` are those that the table has for properties, by property. Of what `is_captured` the places are positions.
    """
    load_persons(connection, known, names)
    position = "b.place" if is_captured else None
    has_new_types, n_new = _load_rest(connection, known, names, columns, _OWNERS_JOIN, position, is_sorted=True)
    connection.execute(f"DROP TABLE {FRESH}")
    return Loaded(n_new, has_new_types, names.may_merge)


def _load_rest(
    connection: duckdb.DuckDBPyConnection,
    known: KnownNames,
    names: SeenNames,
    columns: Mapping[str, str],
    owners: str,
    position: str | None,
    *,
    is_sorted: bool,
) -> tuple[bool, int]:
    """Load groups, definitions and events; return whether a property got a type, and how many events there were."""
    if names.has_groups:
        load_groups(connection)
    has_new_types = load_definitions(connection, known, names)
    chains = _chains(connection) if names.may_have("$elements") else []
    has_groups = names.has_groups and connection.execute("SELECT 1 FROM group_types LIMIT 1").fetchall() != []
    extraction = Extraction(columns, names.may_have)
    parts = {"has_groups": has_groups, "has_chains": bool(chains), "is_sorted": is_sorted}
    insert = _events(extraction, FRESH, owners, position, **parts)
    with offered(connection, "chains", {"place": "int64", "chain": "text"}, chains) if chains else nullcontext():
        ((inserted,),) = connection.execute(insert, {"pointers": extraction.pointers}).fetchall()
    return has_new_types, int(inserted)


def _events(
    extraction: Extraction,
    source: str,
    owners: str = "",
    position: str | None = None,
    *,
    has_groups: bool = False,
    has_chains: bool = False,
    is_sorted: bool = False,
) -> str:
    """Return the statement that inserts the rows of a source; PERF: what none of them needs is left out of it.

    Rows of one event lie together, sorted by person. Zone maps then skip what other events left, and sequences
    come as few sorted runs: of 10 M events, a month of one event counts in 7 ms (by time alone: 24), three events
    are sorted by person in 13 (73). Sorting is a fifth of inserting; the JSON text is read after it, as what comes of
    that need not be moved then. Rows that came late lie apart, so that they do not widen the time range of all others.
    """
    elsewhere = {"$elements_chain": "chain"} if has_chains else {}
    if has_groups:
        groups = extraction.groups
        elsewhere |= {key: f"json_extract_string({groups}, p{n})" for n, key in enumerate(GROUP_KEYS)}
    columns = {**_COLUMNS, **({"position": position} if position else {}), **extraction.filled(elsewhere)}
    return f"""
        INSERT INTO events ({", ".join(columns)}) SELECT {", ".join(columns.values())}
        FROM (SELECT *, {EXTRACTED} AS texts FROM (
            SELECT * FROM {source} {owners} {_GROUPS_JOIN if has_groups else ""} {_CHAINS_JOIN if has_chains else ""}
            {_ORDER if is_sorted else ""})) b
    """


def _chains(connection: duckdb.DuckDBPyConnection) -> list[tuple[int, str]]:
    """Return the element chains of events that carry their elements one by one."""
    rows = ((place, _list_in(text)) for place, text in connection.execute(_ELEMENTS).fetchall())
    return [(place, chain_of(elements)) for place, elements in rows if elements is not None]


def _list_in(text: str | None) -> list[Any] | None:
    """Return a list in JSON; None for anything else, as clients may send what they like."""
    try:
        found = json.loads(text or "null")
    except ValueError:
        return None
    return found if isinstance(found, list) else None


def count_missing(connection: duckdb.DuckDBPyConnection) -> int:
    """Return how many rows of the relation `batch` are not among the events."""
    connection.execute(_MAKE_FRESH)
    ((count,),) = connection.execute(f"SELECT (SELECT count(*) FROM {FRESH}) - count(*) FROM {_STORED}").fetchall()
    connection.execute(f"DROP TABLE {FRESH}")
    return int(count)
