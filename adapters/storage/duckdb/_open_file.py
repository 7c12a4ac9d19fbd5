"""DuckDB's file, open in one process: its lock, connection and cursors, what its errors mean, and beginning it anew.

What is in the file and how it got there is the business of `_intake.py`; what is asked of it, of `store.py`.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ....application.arrivals import Arrivals
from ....application.product_ports import CaptureLog, CatchingUp
from ....application.stopping import Stop
from ....domain.errors import QueryTooLarge, StoreUnavailable
from ..files import ARCHIVE, IMPORTS
from ._asked import AskedProperties
from ._deadlines import Deadlines
from ._person_ids import PersonIds
from ._progress import watched

if TYPE_CHECKING:
    import duckdb

    from ._intake import Intake

WAIT_S = 20
"""How long a call waits for another one that takes events over."""
CTRL_C = "Query interrupted"
"""What DuckDB says, with an error that is not among its own, when it swallowed a `KeyboardInterrupt`."""


class OpenFile:
    """The file, opened at its first use and again after each failure; safe for threads.

    It refuses to work in another process than the one that used it first (StoreUnavailable).
    """

    def __init__(
        self, path: str | Path, log: CaptureLog, arrivals: Arrivals, *, memory_limit: str, threads: int
    ) -> None:
        self.path = None if str(path) == ":memory:" else Path(path).absolute()
        self.lock = threading.RLock()
        """Held by whoever writes."""
        self.intake: Intake | None = None
        """How far the file has got; None before it is opened."""
        self.waiting: CatchingUp | None = None
        """What waits for room on a full disk."""
        self.asked = AskedProperties()
        self.person_ids = PersonIds()
        self._log = log
        self._arrivals = arrivals
        self._memory_limit = memory_limit
        self._threads = threads
        self._deadlines = Deadlines()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._process_id: int | None = None
        self._is_damaged = False
        self._cursors: set[duckdb.DuckDBPyConnection] = set()
        """Those in use."""
        _files.add(self)

    def keep_for_good(self) -> None:
        """Let the connection be closed by nobody in a forked child: DuckDB waits for threads that are not there."""
        if self._connection is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._connection))

    def close(self) -> None:
        """Close the file, and interrupt what is still asked of it; the next use opens it again."""
        with self.lock:
            if self._connection is not None and self._process_id == os.getpid():
                from ._tables import close  # noqa: PLC0415

                if self.intake is not None:
                    self.intake.close()
                close(self._connection, self._cursors, patience_s=WAIT_S)
            self._connection = None

    def catching_up(self) -> CatchingUp | None:
        """Return how far taking over has got, None when nothing waits; at once. A full disk makes all of it wait."""
        intake = self.intake
        return self.waiting if intake is None else intake.progress or self.waiting

    def opened(self) -> duckdb.DuckDBPyConnection:
        """Return the connection, opened if need be. Raises StoreUnavailable."""
        return self.at_work()[0]

    def at_work(self) -> tuple[duckdb.DuckDBPyConnection, Intake]:
        """Return the connection, opened if need be, and how far the file has got. Raises StoreUnavailable."""
        if self._process_id not in (None, os.getpid()):
            raise StoreUnavailable("The product events were opened by another process; open a store of your own.")
        connection, intake = self._connection, self.intake
        if connection is None or intake is None:
            with self.held(), self.translated():
                if self._connection is None or self.intake is None:
                    self._open()
                connection, intake = self._connection, self.intake
        assert connection is not None
        assert intake is not None
        return connection, intake

    def _open(self) -> None:
        from . import _tables  # noqa: PLC0415
        from ._lost import note_lost  # noqa: PLC0415

        folder = self.folder
        folders = [] if folder is None else [folder / name for name in (IMPORTS, ARCHIVE)]
        for one in folders:
            one.mkdir(parents=True, exist_ok=True)
        if self._is_damaged and self.path is not None:
            _tables.set_aside(self.path)
        self._is_damaged = False
        self._process_id = os.getpid()
        connection, intake, n_lost = self._connected(folders)
        if self.path is not None and n_lost:
            connection.close()
            note_lost(_tables.set_aside(self.path), n_lost)
            connection, intake, _ = self._connected(folders)
        self.asked, self.person_ids = AskedProperties(has_work=intake.columns.has_work), PersonIds()
        self._connection, self.intake = connection, intake

    def _connected(self, folders: Sequence[Path]) -> tuple[duckdb.DuckDBPyConnection, Intake, int]:
        """Open the file; the last value is how many captured events it has which the log has lost."""
        from . import _tables  # noqa: PLC0415
        from ._intake import Intake  # noqa: PLC0415

        connection = _tables.connect(self.path, folders, memory_limit=self._memory_limit, threads=self._threads)
        try:
            intake = Intake(self._log, self.path, self._arrivals)
            intake.opened(connection)
            n_lost = intake.n_lost(connection)
        except BaseException:
            connection.close()
            raise
        return connection, intake, n_lost

    @property
    def folder(self) -> Path | None:
        """Where it lies; None in memory."""
        return self.path.parent if self.path is not None else None

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock. Raises StoreUnavailable when somebody else does so for long."""
        if not self.lock.acquire(timeout=WAIT_S):
            raise StoreUnavailable(f"The product events are being taken over: {self.catching_up() or 'at work'}.")
        try:
            yield
        finally:
            self.lock.release()

    @contextlib.contextmanager
    def cursor(self, deadline_s: float, stop: Stop | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give a cursor of its own, interrupted at the deadline and when stopped."""
        stop = stop or Stop()
        cursor = self._new_cursor()
        self._cursors.add(cursor)
        try:
            with self.translated(), self._deadlines.interrupting(cursor.interrupt, deadline_s):
                done = watched(cursor) if stop.is_watched else None
                with stop.interrupted_by(cursor.interrupt, done):
                    yield cursor
        except QueryTooLarge:
            stop.check()
            raise
        finally:
            self._cursors.discard(cursor)
            with contextlib.suppress(Exception):
                cursor.close()

    def _new_cursor(self) -> duckdb.DuckDBPyConnection:
        import duckdb  # noqa: PLC0415

        try:
            return self.opened().cursor()
        except duckdb.ConnectionException:  # closed by a call that failed, since it was looked up
            with self.translated():
                return self.opened().cursor()

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        """Raise DuckDB's errors as ours; one that leaves the file in doubt closes it until the next use."""
        import duckdb  # noqa: PLC0415

        from ._tables import tells_damage  # noqa: PLC0415

        try:
            yield
        except RuntimeError as error:
            if str(error) != CTRL_C:
                raise
            raise KeyboardInterrupt from error
        except duckdb.InterruptException as error:
            if self._is_damaged:
                raise StoreUnavailable("The product events are damaged and will be built again.") from error
            raise QueryTooLarge("The query took too long.", path="query") from error
        except duckdb.OutOfMemoryException as error:
            raise QueryTooLarge("The query needs more memory than it may have.", path="query") from error
        except duckdb.Error as error:
            in_doubt = (
                duckdb.FatalException,
                duckdb.InternalException,
                duckdb.IOException,
                duckdb.TransactionException,
                duckdb.ConnectionException,
            )
            if not isinstance(error, in_doubt) and not tells_damage(error):
                raise
            self.close()
            self._is_damaged = tells_damage(error)
            what = "are damaged and will be built again" if self._is_damaged else "cannot be read or written now"
            raise StoreUnavailable(f"The product events {what}: {error}") from error


_files: weakref.WeakSet[OpenFile] = weakref.WeakSet()


def _keep_all() -> None:
    for file in _files:
        file.keep_for_good()


os.register_at_fork(after_in_child=_keep_all)
