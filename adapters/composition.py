"""The composition root: puts a log together from its stores. Nothing is opened on import."""

from __future__ import annotations

import logging
import os
import re
import secrets
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from attrs import Factory, frozen

from ..application.acting import require_number, require_one_of
from ..application.arrivals import Arrivals
from ..application.computing import ComputingOptions
from ..application.definitions import NO_TYPES, ProjectDefinitions
from ..application.library import SHARE_SECRET, Insightlog
from ..application.parts import Parts
from ..application.ports import Clock, Views
from ..application.precedence import Precedence
from ..application.product_ports import CaptureLog, CatchingUp, ProductStore
from ..domain.errors import CorruptLog, InvalidInput, StoreUnavailable
from ..domain.events import Record
from ..domain.queries.scope import PropertyType
from .known_events import KnownEvents
from .storage.duckdb.tail import TailingWriter
from .storage.files import ARCHIVE, IMPORTS
from .storage.sqlite.capture_log import SQLiteCaptureLog
from .storage.sqlite.connection import ThreadConnections, Writes
from .storage.sqlite.event_store import SQLiteEventStore
from .storage.sqlite.results import SQLiteResults
from .storage.sqlite.upkeep import views_of
from .storage.sqlite.view_reads import SQLiteViews

logger = logging.getLogger("insightlog")

LOG_FILE = "insightlog.sqlite"
CAPTURE_FILE = "capture.sqlite"
PRODUCT_FILE = "events.duckdb"
RESULTS_FILE = "results.sqlite"
MEMORY = ":memory:"


@frozen(kw_only=True)
class Settings:
    """How a folder is opened. Raises `InvalidInput` for a value that a setting may not have."""

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

    def __attrs_post_init__(self) -> None:
        require_one_of("synchronous", self.synchronous, ("FULL", "NORMAL"))
        if not isinstance(self.memory_limit, str) or not re.fullmatch(r"\d+(\.\d+)? ?[KMGT]i?B", self.memory_limit):
            raise InvalidInput(f"memory_limit is a size like 512MB, not {self.memory_limit!r}.", path="memory_limit")
        require_number("threads", self.threads)
        require_number("results_mb", self.results_mb)
        if self.archive_after_days is not None:
            require_number("archive_after_days", self.archive_after_days)
        if not isinstance(self.computing, ComputingOptions):
            raise InvalidInput(f"computing are ComputingOptions, not {self.computing!r}.", path="computing")


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

    Raises `InvalidInput` for arguments of the wrong kind, `StoreUnavailable` for a folder that cannot be made, written
    or read.
    """
    settings = _checked(path, clock, settings)
    with ExitStack() as opened:
        return _open(path, clock, settings, opened)


def _checked(path: object, clock: object, settings: object) -> Settings:
    if not isinstance(path, str | Path) or not str(path) or "\x00" in str(path):
        raise InvalidInput(f"path is that of a folder, or ':memory:', not {path!r}.", path="path")
    if not callable(clock):
        raise InvalidInput(f"clock is a function that returns aware UTC datetimes, not {clock!r}.", path="clock")
    now = clock()
    if not isinstance(now, datetime) or now.tzinfo is None:
        raise InvalidInput(f"clock returns aware datetimes, as datetime.now(UTC) does, not {now!r}.", path="clock")
    settings = Settings() if settings is None else settings
    if not isinstance(settings, Settings):
        raise InvalidInput(f"settings are an insightlog.Settings, not {settings!r}.", path="settings")
    return settings


def _open(path: str | Path, clock: Clock, settings: Settings, opened: ExitStack) -> Insightlog:
    """Open a folder; `opened` closes what was opened before something failed."""
    is_scratch = str(path) == MEMORY
    folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="insightlog-")) if is_scratch else path)
    _make(folder)
    if not (folder / LOG_FILE).exists() and _has_product_events(folder):
        raise StoreUnavailable(f"{folder} has product events, but no {LOG_FILE} that tells whose: restore that file.")
    reads = ThreadConnections(folder / LOG_FILE)
    writes = Writes(reads)
    store = SQLiteEventStore(
        folder / LOG_FILE, clock=clock, software=software_version(), synchronous=settings.synchronous, writes=writes
    )
    opened.callback(store.close)
    opened.callback(reads.close)
    share_secret = store.secret(SHARE_SECRET) or store.ensure_secret(SHARE_SECRET, secrets.token_hex(32))
    capture_log = SQLiteCaptureLog(folder / CAPTURE_FILE, synchronous=settings.synchronous)
    opened.callback(capture_log.close)
    if any((folder / ARCHIVE).glob("*.parquet")):
        _take_back(capture_log, folder)
    arrivals = Arrivals()
    product_store = _Lazy(
        lambda: _duckdb_store(folder / PRODUCT_FILE, capture_log, clock, settings, arrivals, tail.wake)
    )
    known = KnownEvents(
        folder, capture_log, lambda path, log: _duckdb_store(path, log, clock, settings, Arrivals(), lambda: None)
    )
    opened.callback(known.close)
    precedence = Precedence()
    tail = TailingWriter(
        product_store,
        _archiving(product_store, clock, settings.archive_after_days),
        let_pass=precedence.let_pass,
    )
    works_ahead = settings.opens_early or settings.archive_after_days is not None

    def committed() -> None:
        """Let events be taken over; not by a process that only captures: DuckDB's file is for the one that asks."""
        if works_ahead or product_store.is_made:
            tail.wake()

    capture_log.committed = committed
    opened.callback(product_store.close)
    opened.callback(tail.stop)
    views = SQLiteViews(reads.get, writes)
    parts = Parts(
        store=store,
        views=views,
        capture_log=capture_log,
        product_store=product_store,
        catching_up=product_store.catching_up,
        clock=clock,
        past_views=_past_views,
        close=opened.pop_all().close,
        place="in memory" if is_scratch else str(folder),
        arrivals=arrivals,
        results=SQLiteResults(folder / RESULTS_FILE, max_bytes=settings.results_mb << 20),
        computing=settings.computing,
        precedence=precedence,
        definitions=ProjectDefinitions(views, product_store.property_types),
        known_events=known.at,
        definitions_over=lambda others: ProjectDefinitions(others, product_store.property_types),
        is_quiet=is_quiet,
    )
    if settings.opens_early and _has_product_events(folder):
        tail.wake()
    return Insightlog(parts, share_secret=share_secret)


def _has_product_events(folder: Path) -> bool:
    names = (CAPTURE_FILE, PRODUCT_FILE, f"{IMPORTS}/*.parquet", f"{ARCHIVE}/*.parquet")
    return any(any(folder.glob(name)) for name in names)


def _take_back(capture_log: SQLiteCaptureLog, folder: Path) -> None:
    from .storage.duckdb.archive import archive_files, take_back  # noqa: PLC0415 - start-up time and idle memory

    try:
        if max((last for _, _, last in archive_files(folder)), default=0) > capture_log.position():
            take_back(capture_log, folder)
    except (StoreUnavailable, CorruptLog) as error:
        logger.error("the archive is left alone: %s", error)  # noqa: TRY400 - its sentence says enough


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InvalidInput(f"{folder} is in the place of a file; name a folder.", path="path") from error
    except OSError as error:
        raise StoreUnavailable(f"The folder {folder} cannot be made: {error.strerror}.") from error


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
    capture_log: CaptureLog,
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
        try:
            while days is not None and store().archive(clock() - timedelta(days=days)):
                pass
        except (StoreUnavailable, CorruptLog) as error:
            logger.error("nothing is archived: %s", error)  # noqa: TRY400 - its sentence says enough

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

    @property
    def is_made(self) -> bool:
        """Whether the store was asked for."""
        return self._made is not None

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
