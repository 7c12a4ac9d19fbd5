"""Ending a calculation from outside: what somebody cancels, and what the engine is interrupted by."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..domain.errors import QueryCancelled

INSIST_EVERY_S = 0.01
INSIST_FOR_S = 2.0


class Stop:
    """Belongs to one calculation; `set` ends it from any thread.

    An engine offers its interruption with `interrupted_by` while it works. Interrupting is repeated until the engine
    has let go, since an engine that has only just begun forgets an interruption.
    """

    def __init__(self) -> None:
        self._is_set = threading.Event()
        self._lock = threading.Lock()
        self._working: dict[object, Callable[[], None]] = {}
        self._idle = threading.Condition(self._lock)

    @property
    def is_set(self) -> bool:
        """Whether the calculation was cancelled."""
        return self._is_set.is_set()

    def set(self) -> None:
        """Cancel: interrupt what works now and let nothing begin. Returns once the engine has let go, or in 2 s."""
        self._is_set.set()
        with self._idle:
            for _ in range(int(INSIST_FOR_S / INSIST_EVERY_S)):
                for interrupt in list(self._working.values()):
                    interrupt()
                if self._idle.wait_for(lambda: not self._working, INSIST_EVERY_S):
                    return

    def check(self) -> None:
        """Raise `QueryCancelled` when the calculation was cancelled."""
        if self._is_set.is_set():
            raise QueryCancelled

    @contextmanager
    def interrupted_by(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Have `interrupt` called if the calculation is cancelled meanwhile. Raises `QueryCancelled` if it was."""
        token = object()
        with self._idle:
            self.check()
            self._working[token] = interrupt
        try:
            yield
        finally:
            with self._idle:
                del self._working[token]
                self._idle.notify_all()
