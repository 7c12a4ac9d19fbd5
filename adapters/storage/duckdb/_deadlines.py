"""Interrupts statements that are past their deadline: one thread for all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from ....application.stopping import INSIST_EVERY_S

LINGER_S = 5.0
"""How long the thread stays when there is nothing to watch."""


class Deadlines:
    """Calls what interrupts a statement once its time is up, and again as long as it has not ended.

    PERF: a timer per statement starts a thread each time, which takes 2 ms on a busy machine. Safe for threads.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: dict[object, tuple[float, Callable[[], None]]] = {}
        self._thread: threading.Thread | None = None
        self._looks_at = 0.0
        """When the thread looks at them again, by the monotonic clock."""

    @contextmanager
    def interrupting(self, interrupt: Callable[[], None], after_s: float) -> Iterator[None]:
        """Have `interrupt` called when what runs inside takes longer."""
        token, due = object(), monotonic() + after_s
        with self._changed:
            self._due[token] = (due, interrupt)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="insightlog-deadlines", daemon=True)
                self._thread.start()
            elif due < self._looks_at:  # PERF: to be woken for nothing, it would take the interpreter from the query
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                del self._due[token]

    def _watch(self) -> None:
        with self._changed:
            while True:
                now = monotonic()
                late = [interrupt for due, interrupt in self._due.values() if due <= now]
                for interrupt in late:
                    interrupt()
                first = min((due for due, _ in self._due.values()), default=None)
                wait_s = LINGER_S if first is None else INSIST_EVERY_S if late else first - now
                self._looks_at = now + wait_s
                if not self._changed.wait(wait_s) and first is None and not self._due:
                    self._thread = None
                    return
