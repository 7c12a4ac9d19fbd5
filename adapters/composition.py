"""The composition root: puts a log together from its stores. Nothing is opened on import."""

from __future__ import annotations

import os
import secrets
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from attrs import Factory, frozen

from ..application.arrivals import Arrivals
from ..application.computing import ComputingOptions
from ..application.definitions import NO_TYPES, ProjectDefinitions
from ..application.library import SHARE_SECRET, Insightlog, Parts
from ..application.ports import Clock, Views
from ..application.product_ports import CatchingUp, ProductStore
from ..domain.errors import StoreUnavailable
from ..domain.events import Record
from ..domain.queries.scope import PropertyType
from .storage.duckdb.tail import TailingWriter
from .storage.sqlite.capture_log import SQLiteCaptureLog
from .storage.sqlite.connection import ThreadConnections, Writes
from .storage.sqlite.event_store import SQLiteEventStore
from .storage.sqlite.results import SQLiteResults
from .storage.sqlite.upkeep import views_of
from .storage.sqlite.view_reads import SQLiteViews

LOG_FILE = "insightlog.sqlite"
CAPTURE_FILE = "capture.sqlite"
PRODUCT_FILE = "events.duckdb"
RESULTS_FILE = "results.sqlite"
IMPORTS_FOLDER = "imports"
MEMORY = ":memory:"


@frozen(kw_only=True)
class Settings:
    """How a folder is opened."""

    synchronous: Literal["FULL", "NORMAL"] = "FULL"
    """FULL: acknowledged means on disk. NORMAL: faster, a power cut may lose the last acknowledged writes."""
    memory_limit: str = "1GB"
    """What DuckDB may use, as in 512MB."""
    opens_early: bool = False
    """Whether product events are opened, and built again if need be, in the background before anybody asks."""
    archive_after_days: int | None = None
    """Captured events older than this are moved out of the capture log into `archive/`; None: never."""
    threads: int = 2
    """How many threads DuckDB may use."""
    results_mb: int = 256
    """How much room calculated results may take on disk, in MB."""
    computing: ComputingOptions = Factory(ComputingOptions)
    """Which events make a kept result out of date, and how many calculations may run."""


def system_clock() -> datetime:
    """Return now, aware, UTC."""
    return datetime.now(UTC)


def software_version() -> str:
    """Return the version that is written into every record."""
    try:
        return version("insightlog")
    except PackageNotFoundError:
        return "0+unknown"


def open_log(path: str | Path = MEMORY, *, clock: Clock = system_clock, settings: Settings | None = None) -> Insightlog:
    """Open a folder as a log, making it when it is missing.

    `:memory:` keeps everything in a private temporary folder that goes when the log is closed. `clock` returns aware
    UTC datetimes. Open it after a fork, not before. Close it, or use it as a context manager.
    """
    settings = settings or Settings()
    scratch = tempfile.TemporaryDirectory(prefix="insightlog-") if str(path) == MEMORY else None
    folder = Path(scratch.name if scratch else path)
    folder.mkdir(parents=True, exist_ok=True)
    reads = ThreadConnections(folder / LOG_FILE)
    writes = Writes(reads)
    store = SQLiteEventStore(
        folder / LOG_FILE, clock=clock, software=software_version(), synchronous=settings.synchronous, writes=writes
    )
    share_secret = store.secret(SHARE_SECRET) or store.ensure_secret(SHARE_SECRET, secrets.token_hex(32))
    capture_log = SQLiteCaptureLog(folder / CAPTURE_FILE, synchronous=settings.synchronous)
    arrivals = Arrivals()
    product_store = _Lazy(
        lambda: _duckdb_store(folder / PRODUCT_FILE, capture_log, clock, settings, arrivals, tail.wake)
    )
    tail = TailingWriter(product_store, _archiving(product_store, clock, settings.archive_after_days))

    def close() -> None:
        tail.stop()
        product_store.close()
        capture_log.close()
        reads.close()
        store.close()
        if scratch is not None:
            scratch.cleanup()

    views = SQLiteViews(reads.get, writes)
    parts = Parts(
        store=store,
        views=views,
        capture_log=capture_log,
        product_store=product_store,
        captured=tail.wake,
        catching_up=product_store.catching_up,
        clock=clock,
        past_views=_past_views,
        close=close,
        arrivals=arrivals,
        results=SQLiteResults(folder / RESULTS_FILE, max_bytes=settings.results_mb << 20),
        computing=settings.computing,
        definitions=ProjectDefinitions(views, product_store.property_types),
        is_quiet=is_quiet,
    )
    if settings.opens_early and (capture_log.position() or any((folder / IMPORTS_FOLDER).glob("*.parquet"))):
        tail.wake()
    return Insightlog(parts, share_secret=share_secret)


def is_quiet() -> bool:
    """Whether half of the processors or more had nothing to do in the last minute; true where that is not told."""
    return not hasattr(os, "getloadavg") or os.getloadavg()[0] <= (os.cpu_count() or 1) / 2


def _past_views(records: Iterable[Record]) -> Views:
    return views_of(records)[0]


def log_store(log: Insightlog) -> SQLiteEventStore:
    """Return the SQLite event store of a log, for its upkeep."""
    store = log.parts.store
    if not isinstance(store, SQLiteEventStore):
        raise TypeError("This log is not kept in SQLite.")
    return store


def _duckdb_store(
    path: Path,
    capture_log: SQLiteCaptureLog,
    clock: Clock,
    settings: Settings,
    arrivals: Arrivals,
    on_work: Callable[[], None],
) -> ProductStore:
    from .storage.duckdb.store import DuckDBStore  # noqa: PLC0415 PERF: DuckDB costs 60 MB and 0.1 s, asked for or not

    return DuckDBStore(
        path,
        capture_log,
        memory_limit=settings.memory_limit,
        threads=settings.threads,
        clock=clock,
        arrivals=arrivals,
        on_work=on_work,
    )


def _archiving(store: Callable[[], ProductStore], clock: Clock, days: int | None) -> Callable[[], None]:
    def archive() -> None:
        while days is not None and store().archive(clock() - timedelta(days=days)):
            pass

    return archive


class _Lazy:
    """Opens the analytical store when it is first asked for."""

    def __init__(self, make: Callable[[], ProductStore]) -> None:
        self._make = make
        self._made: ProductStore | None = None
        self._lock = threading.Lock()
        self._is_closed = False

    def __call__(self) -> ProductStore:
        with self._lock:
            if self._is_closed:
                raise StoreUnavailable("The log is closed.")
            if self._made is None:
                self._made = self._make()
            return self._made

    def catching_up(self) -> CatchingUp | None:
        """Return how far the store has got in taking events over; None when nothing is under way."""
        return self._made.catching_up() if self._made is not None else None

    def property_types(self, project_id: int) -> Mapping[tuple[str, str], PropertyType]:
        """Return the types of a project's properties, none before the store is opened."""
        return self._made.property_types(project_id) if self._made is not None else NO_TYPES

    def close(self) -> None:
        with self._lock:
            if self._made is not None:
                self._made.close()
            self._made = None
            self._is_closed = True
