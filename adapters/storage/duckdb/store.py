"""Product events in DuckDB: a projection of the capture log and the import chunks, and the engine that answers plans.

The file can be thrown away at any time: it is built again from the log and the chunks. One process opens it, on first
use.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....application.arrivals import Arrivals, Watermark
from ....application.importing import Format, ImportProgress
from ....application.ports import Clock
from ....application.product_ports import CaptureLog, CatchingUp, Concerns, captured_row
from ....application.stopping import Stop
from ....domain.errors import InvalidInput, QueryTooLarge
from ....domain.product_event import ProductEvent
from ....domain.queries.matching import MatchingPersonsPlan
from ....domain.queries.plan import People
from ....domain.queries.scope import PropertyType
from ....domain.timestamps import to_us
from ...kernels.checkpoint import given_up_by
from ..files import IMPORTS
from ._apart import limits, run_apart
from ._asked import MIN_ROWS, tend
from ._open_file import OpenFile
from ._refusals import hogql_refused

if TYPE_CHECKING:
    import duckdb

    from ._answers import Walk
    from ._statement import Statement

logger = logging.getLogger("insightlog.tail")

ARCHIVED_AT_ONCE = 200_000
LOG_BATCH = 20_000
MAX_ROWS = 1_000_000
"""Rows that a plan may be answered with."""
HOURS_DEADLINE_S = 30
LAYOUT_DEADLINE_S = 60
NO_TYPES: Mapping[tuple[str, str], PropertyType] = {}
_HOURS_OF_MERGED = """
SELECT DISTINCT epoch_us(timestamp) // 3600000000 FROM events
WHERE project_id = $project AND person_id IN (
    SELECT also.old_person_id FROM person_overrides AS one JOIN person_overrides AS also USING (project_id, person_id)
    WHERE one.project_id = $project AND list_contains($merged, one.old_person_id))
"""
_EARLIEST = datetime(2015, 1, 1)  # noqa: DTZ001 - stored instants are UTC without zone


class DuckDBStore:
    """The product events of all projects in one DuckDB file, safe for threads.

    `path` is the file, or `:memory:`; chunks of bulk imports lie in `imports/` beside it. Nothing is opened before
    the first use; a handle refuses to work in another process than the one that used it first (StoreUnavailable).
    """

    def __init__(
        self,
        path: str | Path,
        capture_log: CaptureLog,
        *,
        memory_limit: str = "1GB",
        threads: int = 2,
        clock: Clock = lambda: datetime.now(UTC),
        arrivals: Arrivals | None = None,
        on_work: Callable[[], None] = lambda: None,
        column_rows: int = MIN_ROWS,
    ) -> None:
        self._log = capture_log
        self._clock = clock
        arrivals = arrivals or Arrivals()
        self._file = OpenFile(path, capture_log, arrivals, memory_limit=memory_limit, threads=threads)
        self._laid_out_at = -1_000_000
        self._on_work = on_work
        self._column_rows = column_rows

    def drain(self, concerns: Concerns | None = None) -> int:
        """Take over everything that the capture log acknowledged before this call; return the position reached.

        Opens the file if need be; without news no DuckDB work is done. A few rows that do not concern the caller, when
        told so, are left for a later call, and while the disk is full the rest is. Raises StoreUnavailable, also when a
        long run of another call is not at its end in 20 seconds.
        """
        import duckdb  # noqa: PLC0415

        from ._tables import is_full  # noqa: PLC0415

        target = self._log.position()
        _, intake = self._file.at_work()
        if intake.is_done(target) or (concerns is not None and intake.may_leave(target, concerns)):
            return intake.tail
        with self._file.held(), self._file.translated():
            connection, intake = self._file.at_work()
            if intake.tail >= target and intake.has_all_imports:
                return intake.tail  # somebody else took it over while this call waited for the lock
            try:
                intake.catch_up(connection, target)
            except duckdb.Error as error:
                if not is_full(error):
                    raise
                logger.warning("the disk is full; product events after %s wait in the capture log", intake.tail)
                self._file.waiting = CatchingUp(0, target - intake.tail, 0.0)
                if isinstance(error, duckdb.FatalException):
                    self._file.close()
            else:
                self._file.waiting = None
            return intake.tail

    def catching_up(self) -> CatchingUp | None:
        """Return how far taking over has got, None when nothing waits; at once. A full disk makes all of it wait."""
        return self._file.catching_up()

    def watermark(self) -> Watermark:
        """Return how far the file has got; what is taken over later is noted in the arrivals with a higher mark."""
        return self._file.at_work()[1].watermark()

    def run(self, plan: Any, *, deadline_s: float, stop: Stop | None = None) -> Any:
        """Answer a plan of `domain.queries` with plain rows, or whatever the plan says it is answered with.

        Raises QueryTooLarge past the deadline, the memory limit or a million rows, QueryCancelled when stopped,
        StoreUnavailable when the file fails.
        """
        from ._answers import walks  # noqa: PLC0415 - start-up time and idle memory

        walk = walks().get(type(plan))
        stop = stop or Stop()
        if walk is None:
            with given_up_by(limits(stop, deadline_s)):
                return self._answered(plan, None, deadline_s, stop)
        return run_apart(lambda: self._answered(plan, walk, deadline_s, stop), deadline_s=deadline_s, stop=stop)

    def _answered(self, plan: Any, walk: Walk | None, deadline_s: float, stop: Stop) -> Any:
        found, n_common = None, -1
        with self._file.cursor(deadline_s, stop) as cursor:
            # An event may have been found that came after the planning, with the first column of a common property.
            while n_common != (columns := self._file.at_work()[1].columns).n_common:
                n_common = columns.n_common
                found = self._found(plan, walk, cursor, columns.complete)
        return found

    def _found(
        self, plan: Any, walk: Walk | None, cursor: duckdb.DuckDBPyConnection, columns: Mapping[str, str]
    ) -> Any:
        from ._answers import pattern_check, rows_of  # noqa: PLC0415
        from ._statement import Statement  # noqa: PLC0415

        # PERF: from memory, as two more statements would take a millisecond.
        has_merges = self._file.at_work()[1].has_merges
        statement = Statement(plan.project_id, pattern_check(cursor), has_merges=has_merges, columns=columns)
        with hogql_refused(statement):
            if walk is not None:
                found = walk(plan, statement, cursor)
            else:
                found = rows_of(plan, statement, cursor, self._file.person_ids, MAX_ROWS + 1)
        if walk is None and len(found) > MAX_ROWS:
            raise QueryTooLarge(f"The query has more than {MAX_ROWS} rows.", path="query")
        self._note_asked(statement)
        return found

    def tend(self) -> bool:
        """Do a piece of the work that makes later queries quicker; return whether there is more. Takes 0.1 s or so.

        Properties that queries asked for get columns of their own, settled events their order.
        """
        from ._tables import checkpoint  # noqa: PLC0415

        with self._file.lock, self._file.translated():
            checkpoint(self._file.opened(), self._file.path)
        if not self._file.asked.has_work:
            return self._lay_out()
        with self._file.lock, self._file.translated():
            connection, intake = self._file.at_work()
            return tend(connection, self._file.asked, intake.columns, min_rows=self._column_rows)

    def _lay_out(self) -> bool:
        """Sort a piece of what was captured, beside everything else; return whether there was one."""
        from ._layout import PIECE_ROWS, lay_out  # noqa: PLC0415

        _, intake = self._file.at_work()
        if intake.tail - self._laid_out_at < PIECE_ROWS // 4:
            return False
        before, self._laid_out_at = self._laid_out_at, intake.tail
        with self._file.cursor(LAYOUT_DEADLINE_S) as cursor:
            found = lay_out(cursor, committing=self._committing(cursor))
        if found:  # look for the next one
            self._laid_out_at = before
        return found

    @contextlib.contextmanager
    def _committing(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
        from ._tables import synced  # noqa: PLC0415

        with self._file.lock, synced(cursor):
            yield

    def _note_asked(self, statement: Statement) -> None:
        if statement.asked and self._file.asked.note(statement.asked):
            self._on_work()

    def property_types(self, project_id: int) -> Mapping[tuple[str, str], PropertyType]:
        """Return the types of a project's properties as seen so far, by kind and name; those of text are left out.

        Always the same mapping until one of the types changes. Nothing is known before the file is opened; no waiting.
        """
        intake = self._file.intake
        return NO_TYPES if intake is None else intake.types.get(project_id, NO_TYPES)

    def hours_of_merged(self, project_id: int, person_ids: Sequence[int]) -> frozenset[int]:
        """Return the hours since 1970 in which persons have events who were merged into others.

        Those who were merged into the same ones count too. Cost: reads one column of all events.
        """
        with self._file.cursor(HOURS_DEADLINE_S) as cursor:
            rows = cursor.execute(_HOURS_OF_MERGED, {"project": project_id, "merged": list(person_ids)}).fetchall()
        return frozenset(hour for (hour,) in rows)

    def import_events(self, project_id: int, batches: Iterable[Sequence[ProductEvent]]) -> int:
        """Take over bulk events, one durable chunk per batch; return how many were new.

        A batch that was imported before, or an event whose uuid the project has at the same time, adds nothing;
        50,000 events or more per batch are quickest. A stop leaves whole batches behind; run it again.
        """
        from ._chunks import import_chunk  # noqa: PLC0415

        self.drain()
        added = 0
        known_at = self._clock()
        for batch in batches:
            rows = [captured_row(project_id, event, known_at) for event in batch]
            if rows:
                with self._file.lock, self._file.translated():
                    connection, intake = self._file.at_work()
                    names = intake.names(connection)
                    loaded = import_chunk(connection, self._file.folder, rows, intake.tail, names, intake.columns)
                    intake.took(loaded, names, connection)
                    intake.imported(project_id, connection)
                added += loaded.n_new
        return added

    def import_file(self, project_id: int, path: Path, file_format: Format) -> Iterator[ImportProgress]:
        """Take over a file of product events, chunk by chunk, each durable when it is yielded.

        What was imported before adds nothing; a stop leaves whole chunks behind, and the next run goes on from there.
        Raises `InvalidInput` for a file without the columns that every event needs, StoreUnavailable, OSError.
        """
        from ._ahead import ahead  # noqa: PLC0415
        from ._chunks import on_disk, take_chunk  # noqa: PLC0415
        from .bulk import BulkFile  # noqa: PLC0415

        folder = self._file.folder
        if folder is None:
            raise InvalidInput("A store in memory takes no files.")
        self.drain()
        known_us = to_us(self._clock())
        for chunk in ahead(map(on_disk, BulkFile(path, file_format, folder / IMPORTS, project_id, known_us).chunks())):
            with self._file.lock, self._file.translated():
                connection, intake = self._file.at_work()
                names = intake.names(connection)
                loaded = take_chunk(connection, folder, chunk, intake.tail, names, intake.columns)
                intake.took(loaded, names, connection)
                intake.imported(project_id, connection)
            added = loaded.n_new
            yield ImportProgress(
                added=added, known=chunk.n_rows - added, rejects=chunk.rejects, done=chunk.done, total=chunk.total
            )

    def missing_events(self) -> int:
        """Return how many captured events the file lacks after taking over the log; 0 unless the file is damaged.

        Reads the whole log, batch by batch.
        """
        from ._loading import batch_of, count_missing  # noqa: PLC0415

        target, after, missing = self.drain(), self._log.archived(), 0
        while after < target and (rows := self._log.read_rows(after, LOG_BATCH)):
            with self._file.lock, self._file.translated():
                connection, _ = self._file.at_work()
                with batch_of(connection, rows):
                    missing += count_missing(connection)
            after += len(rows)
        return missing

    def damaged_files(self) -> list[str]:
        """Return what is wrong with the capture log, and the files of imports and of the archive, a sentence each.

        All are read and held against what was taken over from them, after a drain. Raises StoreUnavailable, and
        CorruptLog for one that is yet to be taken over and cannot be read.
        """
        from ._chunks import damaged_chunks  # noqa: PLC0415
        from ._lost import lost_events  # noqa: PLC0415
        from .archive import damaged_archives  # noqa: PLC0415

        folder = self._file.folder
        if folder is None:
            return []
        self.drain()
        with self._file.held(), self._file.translated():
            connection, _ = self._file.at_work()
            return [
                *lost_events(folder),
                *damaged_chunks(connection, folder),
                *damaged_archives(connection, folder, self._log.archived()),
            ]

    def keep_members(
        self, project_id: int, cohort_id: int, people: People, *, deadline_s: float, stop: Stop | None = None
    ) -> int:
        """Calculate who is in a cohort and keep the list, in place of the one kept before; return how many are in it.

        Raises what `run` raises; then the list stays as it was.
        """
        rows = self.run(MatchingPersonsPlan(project_id, people, MAX_ROWS), deadline_s=deadline_s, stop=stop)
        from ._members import keep_members  # noqa: PLC0415
        from ._tables import synced, transaction  # noqa: PLC0415

        with self._file.lock, self._file.translated(), synced(self._file.opened()), transaction(self._file.opened()):
            keep_members(self._file.opened(), project_id, cohort_id, [person for (person,) in rows])
        return len(rows)

    def first_event_at(self, project_id: int) -> datetime | None:
        """Return the timestamp of the project's earliest event since 2015, or None without events."""
        with self._file.cursor(60) as cursor:
            ((earliest,),) = cursor.execute(
                "SELECT min(timestamp) FROM events WHERE project_id = ? AND timestamp >= ?", [project_id, _EARLIEST]
            ).fetchall()
        return None if earliest is None else earliest.replace(tzinfo=UTC)

    def close(self) -> None:
        """Close the file, and interrupt what is still asked of it; the next use opens it again."""
        self._file.close()

    def archive(self, before: datetime, *, most: int = ARCHIVED_AT_ONCE) -> int:
        """Move the rows of the capture log that are older than a moment into the archive; return how many were moved.

        Only rows that the file holds and has written to disk, whole batches of `most` or the rest. The log keeps their
        uuids, so that they cannot come in again. Raises StoreUnavailable, also when the archive has other events at
        their positions, as after the log was replaced: nothing is written over.
        """
        from ._tables import synced  # noqa: PLC0415
        from .archive import archive_files, archive_rows  # noqa: PLC0415

        folder = self._file.folder
        if folder is None:
            return 0
        tail = self.drain()
        first = self._log.archived() + 1
        written = next((last - first + 1 for _, start, last in archive_files(folder) if start == first), None)
        rows = self._log.read_rows(first - 1, min(written or most, tail - first + 1))
        if not written:
            rows = list(itertools.takewhile(lambda row: row[-1] < to_us(before), rows))
        if not rows:
            return 0
        with self._file.lock, self._file.translated():
            connection, _ = self._file.at_work()
            with synced(connection):
                connection.execute("CHECKPOINT")
            archive_rows(connection, folder, first, rows)
        self._log.forget(first + len(rows) - 1)
        return len(rows)
