"""The background writer: takes captured events over into DuckDB soon after they are acknowledged, and tends it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from ....application.product_ports import ProductStore
from ....domain.errors import InsightlogError, StoreUnavailable

GATHER_S, GATHER_ASKED_S = 0.05, 0.02
"""How long it waits for more events before it takes over what is there; the second while queries are asked.

PERF: a query takes over the rest itself. While 15,000 events/s come in, one of 7 ms takes 40 ms with 0.2, 19 with 0.05
and 13 with 0.02, which costs a quarter of a processor.
"""
ASKED_S = 1.0
"""How long after a query the next one is expected."""
PAUSE_S = 0.02
"""What others have between two pieces of work to write."""
STOP_S = 10.0
HOUR_S = 3600.0

logger = logging.getLogger("insightlog.tail")


class TailingWriter:
    """One daemon thread that drains the capture log when woken, then does the store's work that can wait.

    Started by the first wake, stopped by `stop`. Queries drain by themselves, so draining only saves them the work; a
    failure is logged and tried again at the next wake. `hourly` is done at the first wake and once an hour after that;
    `let_pass` waits before each drain while others come before it.
    """

    def __init__(
        self,
        store: Callable[[], ProductStore],
        hourly: Callable[[], None] = lambda: None,
        *,
        let_pass: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._hourly = hourly
        self._let_pass = let_pass
        self._next_hour = 0.0
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Say that events were captured or that the store has work; returns at once."""
        if not self._news.is_set():  # PERF: to set it again would take a lock
            self._news.set()
        if self._thread is None:
            with self._lock:
                if self._thread is None and not self._stopping.is_set():
                    self._thread = threading.Thread(target=self._run, name="insightlog-tail", daemon=True)
                    self._thread.start()

    def stop(self) -> None:
        """End the thread; what it had not taken over is taken over after the next start."""
        self._stopping.set()
        self._news.set()
        with self._lock:
            if self._thread is not None:
                self._thread.join(STOP_S)
                self._thread = None

    def _run(self) -> None:
        tail, asked_until = 0, 0.0
        while True:
            self._news.wait()
            if self._stopping.wait(GATHER_ASKED_S if time.monotonic() < asked_until else GATHER_S):
                return
            self._let_pass()
            self._news.clear()
            if self._stopping.is_set():  # the news just cleared may have been those of `stop`
                return
            try:
                if self._store().watermark().position != tail:  # a query has taken something over
                    asked_until = time.monotonic() + ASKED_S
                tail = self._store().drain()
                if time.monotonic() >= self._next_hour:
                    self._hourly()
                    self._next_hour = time.monotonic() + HOUR_S
                while self._store().tend():  # at least a piece between two drains
                    if self._stopping.wait(PAUSE_S):
                        return
                    if self._news.is_set():
                        break
            except StoreUnavailable as error:  # its sentence says enough, as that others hold the file
                logger.warning("captured events could not be taken over yet: %s", error)
            except InsightlogError:
                logger.exception("captured events could not be taken over yet")
