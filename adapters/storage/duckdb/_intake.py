"""How far the DuckDB file has got in taking over what is durable elsewhere: the capture log, its archive, the imports.

Works on an open connection whose use the store serialises; opening, closing and errors are the store's.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import define, field

from ....application.arrivals import Arrivals, Watermark
from ....application.product_ports import CapturedRow, CaptureLog, CatchingUp, Concerns
from ....domain.persons import MERGING_EVENTS, changes_persons
from ....domain.queries.scope import PropertyType
from ....domain.timestamps import HOUR_US, LATEST_US, from_us
from ._chunks import Chunk, latest_time, load_chunk, missing_chunks
from ._columns import PropertyColumns
from ._definitions import KnownNames, changed_types
from ._loading import Loaded, load_batch, load_plain_rows, load_rows, make_fresh, new_rows, slots_of
from ._persons import last_person
from ._tables import TAIL, checkpoint, transaction
from .archive import archived_batch

if TYPE_CHECKING:
    from datetime import datetime

    import duckdb

    from ._relations import Slots

DRAIN_BATCH = 20_000
"""Rows per transaction when the log is taken over."""
MAX_LEFT = 5_000
"""Rows that are looked at, whether they may be left for the next drain."""
SAID_EVERY_S = 5.0
_LAST_UNTIL = "SELECT position, project_id, uuid FROM events WHERE position <= ? ORDER BY position DESC LIMIT 1"
logger = logging.getLogger("insightlog.tail")


@define(eq=False)
class Intake:
    """What the file holds, and what is to come."""

    log: CaptureLog
    path: Path | None
    """The file; None in memory."""
    arrivals: Arrivals
    tail: int = 0
    """Position of the capture log that is taken over."""
    n_imports: int = 0
    _names: KnownNames | None = None
    """None: as the file has them."""
    types: Mapping[int, Mapping[tuple[str, str], PropertyType]] = field(factory=dict)
    progress: CatchingUp | None = None
    """How far a long run has got; None when there is nothing to wait for."""
    has_all_imports: bool = False
    has_merges: bool = True
    """Whether persons were merged; also while a transaction is under way that may do so."""
    _had_merges: bool = True
    _imported_until: int | None = None
    """Latest time among the imports, in microseconds since 1970; None: as their files tell."""
    columns: PropertyColumns = field(factory=PropertyColumns)
    """Those of properties."""
    _slots: Slots | None = None

    @property
    def folder(self) -> Path | None:
        """Where the imports and the archive lie; None in memory."""
        return None if self.path is None else self.path.parent

    def opened(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Find out how far the file has got that was just opened."""
        ((self.tail, self.n_imports),) = connection.execute(
            f"SELECT ({TAIL}), (SELECT count(*) FROM imported_chunks)"
        ).fetchall()
        self.has_all_imports = self.folder is None
        self.has_merges = _last_override(connection) >= 0
        self.types = changed_types(self.types, connection)
        self.columns.read(connection)
        self.arrivals.opened_at(self.watermark())

    def n_lost(self, connection: duckdb.DuckDBPyConnection) -> int:
        """Return how many rows were taken over that the log does not have, as it is another one or was cut short.

        Two logs that began as one are the same up to some position, which is found by halving.
        """
        shared, beyond = 0, self.tail
        while shared < beyond:  # the last one first: it is there but for a lost log
            middle = beyond if beyond == self.tail else (shared + beyond + 1) // 2
            found = connection.execute(_LAST_UNTIL, [middle]).fetchone()
            if found is None or self.log.uuid_at(found[0]) == (found[1], found[2].bytes):
                shared = middle
            else:
                beyond = found[0] - 1
        return self.tail - shared

    def names(self, connection: duckdb.DuckDBPyConnection, *, may_merge: bool = True) -> KnownNames:
        """Return the definitions that the file holds, for one transaction: call `took` when it came to its end."""
        self._had_merges, self.has_merges = self.has_merges, self.has_merges or may_merge
        names, self._names = self._names or self._stored_names(connection), None
        return names

    def _stored_names(self, connection: duckdb.DuckDBPyConnection) -> KnownNames:
        return KnownNames.of(connection, last_person=last_person(connection))

    def took(self, loaded: Loaded, names: KnownNames, connection: duckdb.DuckDBPyConnection) -> None:
        """Note what a transaction that came to its end has loaded."""
        self._names = names
        self.has_merges = self._had_merges or (loaded.may_merge and _last_override(connection) >= 0)
        if loaded.has_new_types:
            self.types = changed_types(self.types, connection)

    def close(self) -> None:
        """Let the connection be closed."""
        slots, self._slots = self._slots, None
        if slots is not None:
            slots.close()

    def watermark(self) -> Watermark:
        """Return how far the file has got."""
        return Watermark(self.tail, self.n_imports)

    def is_done(self, target: int) -> bool:
        """Whether there is nothing to take over up to a position that the log had reached a moment ago."""
        return self.has_all_imports and (self.tail == target or target < self.tail <= self.log.position())

    def may_leave(self, target: int, concerns: Concerns) -> bool:
        """Whether what is to be taken over is a few rows, and concerns nobody who asks now."""
        seen = self.tail
        if not self.has_all_imports or not 0 < target - seen <= MAX_LEFT:
            return False
        while seen < target:
            rows = self.log.read_rows(seen, target - seen)
            if not rows or concerns(rows):
                return False
            seen += len(rows)
        return True

    def catch_up(self, connection: duckdb.DuckDBPyConnection, target: int) -> None:
        """Take over the log up to a position, and the imports that the file lacks, in the order they once came in."""
        missing: Sequence[Chunk] = ()
        if not self.has_all_imports and self.folder is not None:
            missing = missing_chunks(connection, self.folder)
        total = max(target - self.tail, 0) + sum(chunk.n_rows for chunk in missing)
        started = time.monotonic()
        self.progress = CatchingUp(0, total, started)
        try:
            for chunk in missing:
                self._take_over(connection, min(chunk.position, target))
                names = self.names(connection)
                self.took(load_chunk(connection, chunk.path, names, self.columns), names, connection)
                self.n_imports += 1
                self._imported_until = None
                self._went_on(chunk.n_rows)
            self._take_over(connection, target)
        finally:
            if self.progress.n_done > 10 * DRAIN_BATCH:
                logger.warning("product events: %s", self.progress)
            self.progress = None
        if missing:
            self.arrivals.opened_at(self.watermark())
        self.has_all_imports = True

    def imported(self, project_id: int, connection: duckdb.DuckDBPyConnection) -> None:
        """Note that a chunk was just imported."""
        ((self.n_imports,),) = connection.execute("SELECT count(*) FROM imported_chunks").fetchall()
        self._imported_until = None
        checkpoint(connection, self.path)
        self.arrivals.imported(project_id, self.watermark())

    def _take_over(self, connection: duckdb.DuckDBPyConnection, target: int) -> None:
        while self.tail < target:
            before = self.tail
            if self.folder is not None and self.tail < self.log.archived():
                self._take_archived(connection, self.folder, target)
            else:
                rows = self._next_rows(min(DRAIN_BATCH, target - self.tail))
                if not rows:
                    return
                self._take_rows(connection, rows)
            checkpoint(connection, self.path, is_waited_for=True)
            self._went_on(self.tail - before)

    def _next_rows(self, n_rows: int) -> Sequence[CapturedRow]:
        rows = self.log.read_rows(self.tail, n_rows)
        if 0 < len(rows) < n_rows:  # those in memory lack the latest commit, and two batches take twice as long
            return [*rows, *self.log.read_rows(self.tail + len(rows), n_rows - len(rows))]
        return rows

    def _take_archived(self, connection: duckdb.DuckDBPyConnection, folder: Path, target: int) -> None:
        names = self.names(connection)
        with archived_batch(connection, folder, self.tail, target) as last:
            seen = make_fresh(connection, may_repeat=self.n_imports > 0)
            self.columns.prepare(connection, seen.may_have)
            with transaction(connection):
                loaded = load_batch(connection, seen, names, self.columns.loaded, is_captured=True)
                _note_repeated(connection, last, last - self.tail - loaded.n_new)
        self.took(loaded, names, connection)
        self.tail = last
        self.arrivals.opened_at(self.watermark())

    def _take_rows(self, connection: duckdb.DuckDBPyConnection, rows: Sequence[CapturedRow]) -> None:
        tail = self.tail + len(rows)
        may_merge = any(row[2] in MERGING_EVENTS for row in rows)
        last_override = _last_override(connection) if may_merge else 0
        names = self.names(connection, may_merge=may_merge)
        may_repeat = self.n_imports > 0 and min(row[4] for row in rows) <= self._latest_import(connection)
        new, positions, seen = new_rows(connection, rows, after=self.tail, may_repeat=may_repeat)
        self.columns.prepare(connection, seen.may_have)
        slots = self._slots = self._slots or slots_of(connection)
        columns = self.columns.loaded
        n_repeated = len(rows) - len(new)
        loaded = None if n_repeated else load_plain_rows(slots, new, positions, seen, names, columns)
        if loaded is None:
            with transaction(connection):
                loaded = load_rows(connection, new, positions, seen, names, columns, slots=slots)
                _note_repeated(connection, tail, n_repeated)
        if may_merge:
            found = connection.execute(
                "SELECT project_id, old_person_id FROM person_overrides WHERE rowid > ?", [last_override]
            )
            self.arrivals.note_merges(tail, found.fetchall())
        self.arrivals.note(tail, _arrivals(rows))
        self.took(loaded, names, connection)
        self.tail = tail

    def _latest_import(self, connection: duckdb.DuckDBPyConnection) -> int:
        """Return the latest time of an imported event. PERF: looking for repeated events takes 4 ms a batch."""
        if self._imported_until is None:
            self._imported_until = LATEST_US if self.folder is None else latest_time(connection, self.folder)
        return self._imported_until

    def _went_on(self, n_rows: int) -> None:
        if self.progress is None:
            return
        before = self.progress
        self.progress = before.further(n_rows, time.monotonic())
        if int(before.took_s / SAID_EVERY_S) != int(self.progress.took_s / SAID_EVERY_S):
            logger.warning("product events: %s", self.progress)


def _note_repeated(connection: duckdb.DuckDBPyConnection, tail: int, n_repeated: int) -> None:
    """Keep how far the log is taken over, and how many rows imports had brought; the others tell it themselves."""
    if n_repeated:
        connection.execute("UPDATE meta SET tail = ?, n_repeated = n_repeated + ?", [tail, n_repeated])


def _last_override(connection: duckdb.DuckDBPyConnection) -> int:
    ((row_id,),) = connection.execute("SELECT coalesce(max(rowid), -1) FROM person_overrides").fetchall()
    return int(row_id)


def _arrivals(rows: Sequence[CapturedRow]) -> Iterable[tuple[int, str, datetime, bool]]:
    """Give the earliest event of each name and hour, and whether one of them changed persons: no more is noted."""
    earliest: dict[tuple[int, str, int], int] = {}
    changing: set[tuple[int, str, int]] = set()
    for project_id, _, event, _, ts_us, properties, _ in rows:
        key = (project_id, event, ts_us // HOUR_US)
        if ts_us < earliest.get(key, LATEST_US + 1):
            earliest[key] = ts_us
        if changes_persons(event, properties):
            changing.add(key)
    for key, ts_us in earliest.items():
        yield key[0], key[1], from_us(ts_us), key in changing
