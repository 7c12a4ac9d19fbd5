"""A calculation as seen from outside: how far it is, and how somebody ends it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

from attrs import frozen

from ..domain.errors import QueryCancelled

INSIST_EVERY_S = 0.01
INSIST_FOR_S = 2.0
WAIT_S = 0.05


@frozen
class Done:
    """How far an engine is with a plan."""

    share: float
    """From 0 to 1; 0 as long as it is not known."""
    n_rows: int
    """How many rows it has to look at, at most."""


class Stop:
    """Belongs to one calculation; `set` ends it from any thread.

    An engine offers its interruption with `interrupted_by` while it works. Interrupting is repeated until the engine
    has let go, since an engine that has only just begun forgets an interruption.
    """

    def __init__(self, *, is_watched: bool = False) -> None:
        self.is_watched = is_watched
        """Whether somebody may ask how far it is, which costs an engine a little."""
        self._is_set = threading.Event()
        self._lock = threading.Lock()
        self._working: dict[object, tuple[Callable[[], None], Callable[[], Done] | None]] = {}
        self._idle = threading.Condition(self._lock)
        self._begun: float | None = None

    @property
    def is_set(self) -> bool:
        """Whether the calculation was cancelled."""
        return self._is_set.is_set()

    def set(self) -> None:
        """Cancel: interrupt what works now and let nothing begin. Returns once the engine has let go, or in 50 ms.

        An engine that has not let go by then goes on being interrupted.
        """
        self._is_set.set()
        if not self._insist(WAIT_S):
            threading.Thread(target=self._insist, args=(INSIST_FOR_S,), name="insightlog-stop", daemon=True).start()

    def _insist(self, for_s: float) -> bool:
        """Interrupt until nothing works any more; whether that is so."""
        with self._idle:
            for _ in range(int(for_s / INSIST_EVERY_S)):
                for interrupt, _ in list(self._working.values()):
                    interrupt()
                if self._idle.wait_for(lambda: not self._working, INSIST_EVERY_S):
                    return True
            return False

    def check(self) -> None:
        """Raise `QueryCancelled` when the calculation was cancelled."""
        if self._is_set.is_set():
            raise QueryCancelled

    def progress(self) -> dict[str, int] | None:
        """Return the contract's `query_progress` of what the engine works at, None before it began.

        Rows are those of the plan under way, as far as the engine tells; `time_elapsed` is in seconds; what the engine
        does not tell is 0.
        """
        with self._idle:
            if self._begun is None:
                return None
            told = [told() for _, told in self._working.values() if told is not None]
            return {
                "bytes_read": 0,
                "rows_read": sum(int(done.share * done.n_rows) for done in told),
                "estimated_rows_total": sum(done.n_rows for done in told),
                "time_elapsed": int(perf_counter() - self._begun),
                "active_cpu_time": 0,
            }

    @contextmanager
    def interrupted_by(self, interrupt: Callable[[], None], done: Callable[[], Done] | None = None) -> Iterator[None]:
        """Have `interrupt` called if the calculation is cancelled meanwhile. Raises `QueryCancelled` if it was.

        `done` tells how far the work is.
        """
        token = object()
        with self._idle:
            self.check()
            self._working[token] = (interrupt, done)
            self._begun = self._begun or (perf_counter() if done is not None else None)
        try:
            yield
        finally:
            with self._idle:
                del self._working[token]
                self._idle.notify_all()
