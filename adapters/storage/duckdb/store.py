"""Product events in DuckDB: a projection of the capture log and the import chunks, and the engine that answers plans.

The file can be thrown away at any time: it is built again from the log and the chunks. One process opens it, on first
use.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....application.arrivals import Arrivals, Watermark
from ....application.importing import Format, ImportProgress
from ....application.ports import CapturedEvent, CaptureLog, Clock
from ....application.stopping import Stop
from ....domain.errors import InvalidInput, QueryTooLarge, StoreUnavailable
from ....domain.persons import MERGING_EVENTS, changes_persons
from ....domain.product_event import ProductEvent
from ....domain.queries.matching import MatchingPersonsPlan
from ....domain.queries.plan import People
from ....domain.queries.scope import PropertyType
from ....domain.timestamps import to_us
from ._apart import run_apart
from ._asked import MIN_ROWS, AskedProperties, columns_of, tend
from ._refusals import hogql_refused

if TYPE_CHECKING:
    import duckdb

    from ._answers import Walk
    from ._loading import Loaded
    from ._statement import Statement

DRAIN_BATCH = 20_000
"""Rows per transaction when the log is taken over."""
MAX_ROWS = 1_000_000
"""Rows that a plan may be answered with."""
HOURS_DEADLINE_S = 30
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
        self._path = None if str(path) == ":memory:" else Path(path).absolute()
        self._log = capture_log
        self._memory_limit = memory_limit
        self._threads = threads
        self._clock = clock
        self._lock = threading.RLock()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._process_id: int | None = None
        self._tail = 0
        self._has_imports = False
        self._n_imports = 0
        self._arrivals = arrivals or Arrivals()
        self._asked = AskedProperties()
        self._on_work = on_work
        self._column_rows = column_rows
        self._types: Mapping[int, Mapping[tuple[str, str], PropertyType]] = {}

    def drain(self) -> int:
        """Take over everything that the capture log acknowledged before this call; return the position reached.

        Opens the file if need be; without news no DuckDB work is done. Raises StoreUnavailable.
        """
        target = self._log.position()
        self._opened()
        if self._tail == target:
            return target
        with self._lock, self._translated():
            connection = self._opened()
            if self._tail > target:  # somebody else has gone on while this call waited for the lock
                target = self._log.position()
            if self._tail > target:  # the log is another one than this file was built from
                connection = self._rebuilt()
            while self._tail < target:
                rows = self._log.read(self._tail, DRAIN_BATCH)
                if not rows:
                    break
                self._take_over(connection, rows)
            return self._tail

    def watermark(self) -> Watermark:
        """Return how far the file has got; what is taken over later is noted in the arrivals with a higher mark."""
        self._opened()
        return Watermark(self._tail, self._n_imports)

    def run(self, plan: Any, *, deadline_s: float, stop: Stop | None = None) -> Any:
        """Answer a plan of `domain.queries` with plain rows, or whatever the plan says it is answered with.

        Raises QueryTooLarge past the deadline, the memory limit or a million rows, QueryCancelled when stopped,
        StoreUnavailable when the file fails.
        """
        from ._answers import walks  # noqa: PLC0415 - start-up time and idle memory

        walk = walks().get(type(plan))
        stop = stop or Stop()
        if walk is None:
            return self._answered(plan, None, deadline_s, stop)
        return run_apart(lambda: self._answered(plan, walk, deadline_s, stop), deadline_s=deadline_s, stop=stop)

    def _answered(self, plan: Any, walk: Walk | None, deadline_s: float, stop: Stop) -> Any:
        from ._answers import builders  # noqa: PLC0415
        from ._statement import Statement  # noqa: PLC0415

        with self._cursor(deadline_s, stop) as cursor:
            columns = {one.property_name: one.name for one in columns_of(cursor) if one.is_complete}
            statement = Statement(
                plan.project_id, _pattern_check(cursor), has_merges=self._has_merges(cursor), columns=columns
            )
            with hogql_refused(statement):
                if walk is not None:
                    found = walk(plan, statement, cursor)
                    self._note_asked(statement)
                    return found
                text, parameters = statement.render(builders()[type(plan)](plan, statement))
                rows = cursor.execute(text, parameters).fetchmany(MAX_ROWS + 1)
        if len(rows) > MAX_ROWS:
            raise QueryTooLarge(f"The query has more than {MAX_ROWS} rows.", path="query")
        self._note_asked(statement)
        return rows

    def tend(self) -> bool:
        """Do a piece of the work that makes later queries quicker; return whether there is more. Takes 0.1 s or so.

        Properties that queries asked for get columns of their own.
        """
        if not self._asked.has_work:
            return False
        with self._lock, self._translated():
            return tend(self._opened(), self._asked, min_rows=self._column_rows)

    def _note_asked(self, statement: Statement) -> None:
        if statement.asked and self._asked.note(statement.asked):
            self._on_work()

    def property_types(self, project_id: int) -> Mapping[tuple[str, str], PropertyType]:
        """Return the types of a project's properties as seen so far, by kind and name; those of text are left out.

        Always the same mapping until one of the types changes. Nothing is known before the file is opened; no waiting.
        """
        return self._types.get(project_id, NO_TYPES)

    def hours_of_merged(self, project_id: int, person_ids: Sequence[int]) -> frozenset[int]:
        """Return the hours since 1970 in which persons have events who were merged into others.

        Those who were merged into the same ones count too. Cost: reads one column of all events.
        """
        with self._cursor(HOURS_DEADLINE_S) as cursor:
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
            rows = [CapturedEvent(0, project_id, known_at, event) for event in batch]
            if rows:
                with self._lock, self._translated():
                    loaded = import_chunk(self._opened(), self._folder(), rows)
                    self._noted_import(project_id, loaded)
                added += loaded.n_new
        return added

    def import_file(self, project_id: int, path: Path, file_format: Format) -> Iterator[ImportProgress]:
        """Take over a file of product events, chunk by chunk, each durable when it is yielded.

        What was imported before adds nothing; a stop leaves whole chunks behind, and the next run goes on from there.
        Raises `InvalidInput` for a file without the columns that every event needs, StoreUnavailable, OSError.
        """
        from ._chunks import take_chunk  # noqa: PLC0415
        from .bulk import BulkFile  # noqa: PLC0415

        folder = self._folder()
        if folder is None:
            raise InvalidInput("A store in memory takes no files.")
        self.drain()
        known_us = to_us(self._clock())
        for chunk in BulkFile(path, file_format, folder, project_id, known_us).chunks():
            with self._lock, self._translated():
                loaded = take_chunk(self._opened(), folder, chunk)
                self._noted_import(project_id, loaded)
            added = loaded.n_new
            yield ImportProgress(
                added=added, known=chunk.n_rows - added, rejects=chunk.rejects, done=chunk.done, total=chunk.total
            )

    def missing_events(self) -> int:
        """Return how many captured events the file lacks after taking over the log; 0 unless the file is damaged.

        Reads the whole log, batch by batch.
        """
        from ._loading import batch_of, count_missing  # noqa: PLC0415

        target, after, missing = self.drain(), 0, 0
        while after < target and (rows := self._log.read(after, DRAIN_BATCH)):
            with self._lock, self._translated(), batch_of(self._opened(), rows):
                missing += count_missing(self._opened())
            after = rows[-1].position
        return missing

    def keep_members(
        self, project_id: int, cohort_id: int, people: People, *, deadline_s: float, stop: Stop | None = None
    ) -> int:
        """Calculate who is in a cohort and keep the list, in place of the one kept before; return how many are in it.

        Raises what `run` raises; then the list stays as it was.
        """
        rows = self.run(MatchingPersonsPlan(project_id, people, MAX_ROWS), deadline_s=deadline_s, stop=stop)
        from ._members import keep_members  # noqa: PLC0415
        from ._tables import transaction  # noqa: PLC0415

        with self._lock, self._translated(), transaction(self._opened()):
            keep_members(self._opened(), project_id, cohort_id, [person for (person,) in rows])
        return len(rows)

    def first_event_at(self, project_id: int) -> datetime | None:
        """Return the timestamp of the project's earliest event since 2015, or None without events."""
        with self._cursor(60) as cursor:
            ((earliest,),) = cursor.execute(
                "SELECT min(timestamp) FROM events WHERE project_id = ? AND timestamp >= ?", [project_id, _EARLIEST]
            ).fetchall()
        return None if earliest is None else earliest.replace(tzinfo=UTC)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None and self._process_id == os.getpid():
                self._connection.close()
            self._connection = None

    def _noted_import(self, project_id: int, loaded: Loaded) -> None:
        self._has_imports = True
        self._noted_types(loaded)
        self._n_imports = _imports_in(self._opened())
        self._arrivals.imported(project_id, self.watermark())

    def _noted_types(self, loaded: Loaded) -> None:
        from ._definitions import changed_types  # noqa: PLC0415

        if loaded.has_new_types:
            self._types = changed_types(self._types, self._opened())

    def _opened(self) -> duckdb.DuckDBPyConnection:
        if self._process_id not in (None, os.getpid()):
            raise StoreUnavailable("The product events were opened by another process; open a store of your own.")
        if self._connection is not None:
            return self._connection
        with self._lock, self._translated():
            if self._connection is None:
                self._connection = self._open()
            return self._connection

    def _open(self) -> duckdb.DuckDBPyConnection:
        from . import _tables  # noqa: PLC0415
        from ._chunks import load_missing_chunks  # noqa: PLC0415
        from ._definitions import changed_types  # noqa: PLC0415

        folder = self._folder()
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        self._process_id = os.getpid()
        connection = _tables.connect(self._path, folder, memory_limit=self._memory_limit, threads=self._threads)
        if folder is not None:
            load_missing_chunks(connection, folder)
        ((self._tail, self._has_imports),) = connection.execute("SELECT tail, has_imports FROM meta").fetchall()
        self._n_imports = _imports_in(connection)
        self._arrivals.opened_at(Watermark(self._tail, self._n_imports))
        self._types = changed_types(self._types, connection)
        self._asked = AskedProperties(has_work=not all(one.is_complete for one in columns_of(connection)))
        return connection

    def _rebuilt(self) -> duckdb.DuckDBPyConnection:
        from . import _tables  # noqa: PLC0415

        self.close()
        if self._path is not None:
            _tables.set_aside(self._path)
        return self._opened()

    def _folder(self) -> Path | None:
        return self._path.parent / "imports" if self._path is not None else None

    def _take_over(self, connection: duckdb.DuckDBPyConnection, rows: Sequence[CapturedEvent]) -> None:
        from ._loading import batch_of, load_batch  # noqa: PLC0415
        from ._tables import transaction  # noqa: PLC0415

        tail = rows[-1].position
        may_merge = any(row.event.event in MERGING_EVENTS for row in rows)
        last_override = _last_override(connection) if may_merge else 0
        with batch_of(connection, rows), transaction(connection):
            loaded = load_batch(connection, may_repeat=self._has_imports)
            connection.execute("UPDATE meta SET tail = ?", [tail])
        if may_merge:
            found = connection.execute(
                "SELECT project_id, old_person_id FROM person_overrides WHERE rowid > ?", [last_override]
            )
            self._arrivals.note_merges(tail, found.fetchall())
        self._arrivals.note(tail, map(_arrival, rows))
        self._noted_types(loaded)
        self._tail = tail

    @staticmethod
    def _has_merges(cursor: duckdb.DuckDBPyConnection) -> bool:
        return cursor.execute("SELECT 1 FROM person_overrides LIMIT 1").fetchall() != []

    @contextlib.contextmanager
    def _cursor(self, deadline_s: float, stop: Stop | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give a cursor of its own, interrupted at the deadline and when stopped."""
        stop = stop or Stop()
        cursor = self._new_cursor()
        timer = threading.Timer(deadline_s, cursor.interrupt)
        timer.daemon = True
        timer.start()
        try:
            with stop.interrupted_by(cursor.interrupt), self._translated():
                yield cursor
        except QueryTooLarge:
            stop.check()
            raise
        finally:
            timer.cancel()
            with contextlib.suppress(Exception):
                cursor.close()

    def _new_cursor(self) -> duckdb.DuckDBPyConnection:
        import duckdb  # noqa: PLC0415

        try:
            return self._opened().cursor()
        except duckdb.ConnectionException:  # closed by a call that failed, since it was looked up
            with self._translated():
                return self._opened().cursor()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Raise DuckDB's errors as ours; one that leaves the file in doubt closes it until the next use."""
        import duckdb  # noqa: PLC0415

        try:
            yield
        except duckdb.InterruptException as error:
            raise QueryTooLarge("The query took too long.", path="query") from error
        except duckdb.OutOfMemoryException as error:
            raise QueryTooLarge("The query needs more memory than it may have.", path="query") from error
        except (
            duckdb.FatalException,
            duckdb.InternalException,
            duckdb.IOException,
            duckdb.ConnectionException,
        ) as error:
            self.close()
            raise StoreUnavailable(f"The product events cannot be read or written now: {error}") from error


def _last_override(connection: duckdb.DuckDBPyConnection) -> int:
    ((row_id,),) = connection.execute("SELECT coalesce(max(rowid), -1) FROM person_overrides").fetchall()
    return int(row_id)


def _imports_in(connection: duckdb.DuckDBPyConnection) -> int:
    ((count,),) = connection.execute("SELECT count(*) FROM imported_chunks").fetchall()
    return int(count)


def _arrival(row: CapturedEvent) -> tuple[int, str, datetime, bool]:
    event = row.event
    return row.project_id, event.event, event.timestamp, changes_persons(event.event, event.properties)


def _pattern_check(cursor: duckdb.DuckDBPyConnection) -> Callable[[str], bool]:
    import duckdb  # noqa: PLC0415

    def is_pattern(pattern: str) -> bool:
        try:
            cursor.execute("SELECT regexp_matches('', $pattern)", {"pattern": pattern})
        except duckdb.InvalidInputException:
            return False
        return True

    return is_pattern
