"""Product events as they were known at a past moment: a store that is built again from what had come in by then.

Nothing of it is kept but the one that was asked for last, in a folder that goes with it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from ..application.history import KnownCaptureLog, known_until
from ..application.product_ports import CaptureLog, ProductStore
from ..domain.errors import QueryTooLarge
from ..domain.timestamps import to_us
from .storage.files import ARCHIVE, IMPORTS

MOST_EVENTS = 1_000_000
"""What is taken over in some seconds, while somebody waits."""
MakeStore = Callable[[Path, CaptureLog], ProductStore]
"""Makes the store of a file, which takes over a log and what lies in `imports/` and `archive/` beside the file."""
READ_KNOWN = "SELECT count(*), max(known_us) FROM read_parquet($1)"


class _Known:
    """A store over what was known at a moment; it goes with the last one who holds this."""

    def __init__(self, folder: Path, log: CaptureLog, moment: datetime, make: MakeStore) -> None:
        n_events = until = known_until(log, moment)
        beside = [(ARCHIVE, path) for path in sorted((folder / ARCHIVE).glob("*.parquet"))]
        for path, n_rows, last_us in _told(sorted((folder / IMPORTS).glob("*.parquet"))):
            if last_us <= to_us(moment):
                n_events += n_rows
                beside.append((IMPORTS, path))
        if n_events > MOST_EVENTS:
            raise QueryTooLarge(f"More than {MOST_EVENTS:,} events were known at that moment.", path="known_at")
        scratch = Path(tempfile.mkdtemp(prefix="insightlog-known-"))
        self.store = make(scratch / "events.duckdb", KnownCaptureLog(log, until))
        weakref.finalize(self, _release, self.store, scratch)
        for name, path in beside:
            (scratch / name).mkdir(exist_ok=True)
            _bring(path, scratch / name / path.name)


def _bring(path: Path, to: Path) -> None:
    try:
        os.link(path, to)
    except OSError:  # on another disk
        shutil.copy(path, to)


def _release(store: ProductStore, scratch: Path) -> None:
    store.close()
    shutil.rmtree(scratch, ignore_errors=True)


class KnownEvents:
    """Gives stores over what was known at past moments; safe for threads."""

    def __init__(self, folder: Path, log: CaptureLog, make: MakeStore) -> None:
        self._folder = folder
        self._log = log
        self._make = make
        self._lock = threading.Lock()
        self._kept: dict[datetime, _Known] = {}

    def at(self, moment: datetime) -> Callable[[], ProductStore]:
        """Return what gives the store of a moment, built on the first call.

        That raises `InvalidInput` for a moment whose events are archived, `QueryTooLarge` for more than a million.
        """
        held: list[_Known] = []

        def store() -> ProductStore:
            if not held:
                with self._lock:
                    known = self._kept.get(moment) or _Known(self._folder, self._log, moment, self._make)
                    self._kept = {moment: known}
                    held.append(known)
            return held[0].store

        return store

    def close(self) -> None:
        """Forget what is kept."""
        with self._lock:
            self._kept.clear()


def _told(paths: Sequence[Path]) -> Iterator[tuple[Path, int, int]]:
    """Give of each file how many events it has, and when the last of them came in, in microseconds since 1970."""
    import duckdb  # noqa: PLC0415 - start-up time and idle memory

    with duckdb.connect() as connection:
        for path in paths:
            ((n_rows, last_us),) = connection.execute(READ_KNOWN, [str(path)]).fetchall()
            yield path, n_rows, last_us or 0
