"""Bulk rows into the DuckDB tables: columns of a batch, duplicates; persons and groups have modules of their own.

Every function works inside the caller's transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from attrs import frozen

from ....application.product_ports import CapturedRow
from ....domain.elements import chain_of
from ._definitions import KnownNames, load_definitions, names_in_batch
from ._groups import group_pointers, load_groups
from ._hot import EXTRACTED, N_GROUP_TYPES, Extraction
from ._persons import load_persons
from ._relations import offered

if TYPE_CHECKING:
    import duckdb

BATCH = "batch"
"""Name of the relation of incoming rows: place, project_id, uuid, event, distinct_id, ts_us, properties, known_us.

`place` numbers the rows in the order of ingestion.
"""
FRESH = "fresh"
"""The rows of the batch that are new, as a temporary table: everything else reads these."""

LATE_SHARE = 0.04
"""How many rows of a batch may be late ones."""

_GROUPS_JOIN = f"LEFT JOIN {group_pointers()} g USING (project_id)"
_CHAINS_JOIN = "LEFT JOIN chains c USING (place)"
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
# PERF: looked for among the narrow columns alone; DISTINCT ON over whole rows takes as long as all the rest.
_REPEATED = f"""
WITH twice AS (SELECT project_id, uuid, min(place) AS first FROM {FRESH} GROUP BY ALL HAVING count(*) > 1)
SELECT place FROM {FRESH} JOIN twice USING (project_id, uuid) WHERE place <> first UNION {_STORED}
"""
_MAKE_FRESH = f"CREATE OR REPLACE TEMP TABLE {FRESH} AS SELECT * REPLACE (uuid::UUID AS uuid) FROM {BATCH}"


@contextmanager
def batch_of(connection: duckdb.DuckDBPyConnection, rows: Sequence[CapturedRow]) -> Iterator[None]:
    """Offer the rows to SQL under the name `batch`.

    PERF: numpy object columns load 100,000 rows in 0.3 s; bound lists take 1.0 s, executemany minutes.
    """
    import numpy as np  # noqa: PLC0415 - start-up time and idle memory

    project_ids, uuids, events, distinct_ids, timestamps, properties, captured = zip(*rows, strict=True)
    columns = {
        "place": np.arange(len(rows), dtype=np.int64),
        "project_id": np.array(project_ids, dtype=np.int32),
        "uuid": np.array([uuid.hex() for uuid in uuids], dtype=object),
        "event": np.array(events, dtype=object),
        "distinct_id": np.array(distinct_ids, dtype=object),
        "ts_us": np.array(timestamps, dtype=np.int64),
        "properties": np.array(properties, dtype=object),
        "known_us": np.array(captured, dtype=np.int64),
    }
    connection.register(BATCH, columns)
    try:
        yield
    finally:
        connection.unregister(BATCH)


@frozen
class Loaded:
    """What became of a batch."""

    n_new: int
    """Events that were new."""
    has_new_types: bool
    """Whether the type of a property became known."""
    may_merge: bool = False
    """Whether persons may have been merged."""


def load_batch(
    connection: duckdb.DuckDBPyConnection, known: KnownNames, columns: Sequence[str], *, may_repeat: bool
) -> Loaded:
    """Insert the relation `batch`; `known` are the definitions that are stored.

    `columns` are the properties with columns of their own beside those of `_hot`, in the order of the table.
    `may_repeat`: leave out events whose (project, uuid) is there already; the capture log's own rows never repeat.
    """
    connection.execute(_MAKE_FRESH)
    repeated = connection.execute(_REPEATED).fetchall() if may_repeat else []
    if repeated:
        with offered(connection, "repeated", {"place": "int64"}, repeated):
            connection.execute(f"DELETE FROM {FRESH} WHERE place IN (SELECT place FROM repeated)")
    names = names_in_batch(connection)
    load_persons(connection, known, names)
    if names.has_groups:
        load_groups(connection)
    has_new_types = load_definitions(connection, known, names)
    chains = _chains(connection) if names.may_have("$elements") else []
    has_groups = names.has_groups and connection.execute("SELECT 1 FROM group_types LIMIT 1").fetchall() != []
    extraction = Extraction(columns, names.may_have)
    insert = _events(extraction, has_groups=has_groups, has_chains=bool(chains))
    with offered(connection, "chains", {"place": "int64", "chain": "text"}, chains) if chains else nullcontext():
        ((inserted,),) = connection.execute(insert, {"pointers": extraction.pointers}).fetchall()
    connection.execute(f"DROP TABLE {FRESH}")
    return Loaded(int(inserted), has_new_types, names.may_merge)


def _events(extraction: Extraction, *, has_groups: bool, has_chains: bool) -> str:
    """Return the statement that inserts the fresh rows; PERF: what none of them needs is left out of it.

    Rows of one event lie together, sorted by person. Zone maps then skip what other events left, and sequences
    come as few sorted runs: of 10 M events, a month of one event counts in 7 ms (by time alone: 24), three events
    are sorted by person in 13 (73). Sorting is a fifth of inserting. Rows that came late lie apart, so that they do not
    widen the time range of all others.
    """
    elsewhere = {"elements_chain": "c.chain"} if has_chains else {}
    if has_groups:
        groups = extraction.groups
        elsewhere |= {f"group_{n}": f"json_extract_string({groups}, g.p{n})" for n in range(N_GROUP_TYPES)}
    return f"""
        INSERT INTO events
        SELECT b.project_id, b.uuid, b.event, b.distinct_id, d.person_id, make_timestamp(b.ts_us), b.properties,
            make_timestamp(b.known_us), {extraction.columns(elsewhere)}
        FROM (SELECT *, {EXTRACTED} AS hot FROM {FRESH}) b JOIN distinct_ids d USING (project_id, distinct_id)
            {_GROUPS_JOIN if has_groups else ""} {_CHAINS_JOIN if has_chains else ""}
        ORDER BY b.project_id, b.ts_us < (SELECT quantile_disc(ts_us, {LATE_SHARE}) FROM {FRESH}) DESC, b.event,
            d.person_id, b.ts_us
    """


def _chains(connection: duckdb.DuckDBPyConnection) -> list[tuple[int, str]]:
    """Return the element chains of events that carry their elements one by one."""
    rows = ((place, json.loads(text)) for place, text in connection.execute(_ELEMENTS).fetchall() if text)
    return [(place, chain_of(elements)) for place, elements in rows if isinstance(elements, list)]


def count_missing(connection: duckdb.DuckDBPyConnection) -> int:
    """Return how many rows of the relation `batch` are not among the events."""
    connection.execute(_MAKE_FRESH)
    ((count,),) = connection.execute(f"SELECT (SELECT count(*) FROM {FRESH}) - count(*) FROM {_STORED}").fetchall()
    connection.execute(f"DROP TABLE {FRESH}")
    return int(count)
