"""Calculations come before what can wait: captures, and the background writer that takes them over.

PERF: a calculation is made of short steps over large arrays, and of statements; between two of them it needs the
interpreter's lock, which whoever captures holds most of the time, and processors. A funnel over a million events takes
62 ms while captures wait for it, 121 beside them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from .turns import waiting

HOLD_S = 0.1
"""How long others wait at a time; as long as they waited, they need not wait again."""
AFTER_S = 0.003
"""How long they still wait when it is done, so that its answer is written and sent before."""
MOST_WAITING = 16
"""How many wait at once: each holds a thread of the server."""


class Precedence:
    """Lets others wait for calculations, half of the time at most; safe for threads."""

    def __init__(self, hold_s: float = HOLD_S, most_waiting: int = MOST_WAITING) -> None:
        self._hold_s = hold_s
        self._most_waiting = most_waiting
        self._changed = threading.Condition()
        self._n_calculations = 0
        self._n_waiting = 0
        self._until = 0.0
        """When those who wait go on; by the monotonic clock, like all moments here."""
        self._not_before = 0.0
        """When others may have to wait again."""

    @contextmanager
    def calculating(self) -> Iterator[None]:
        """Come before others."""
        with self._changed:
            self._n_calculations += 1
        try:
            yield
        finally:
            with self._changed:
                self._n_calculations -= 1
                spared_s = self._until - monotonic() - AFTER_S
                if not self._n_calculations and spared_s > 0:
                    self._until -= spared_s
                    self._not_before -= 2 * spared_s
                    self._changed.notify_all()

    def let_pass(self) -> None:
        """Wait while something is calculated and a little longer, for a moment in all."""
        if not self._n_calculations and monotonic() >= self._until:  # PERF: without a lock, as missing one is no harm
            return
        with waiting(), self._changed:
            now = monotonic()
            if self._n_calculations and now >= self._not_before:
                self._until = now + self._hold_s
                self._not_before = self._until + self._hold_s
            if self._n_waiting >= self._most_waiting:
                return
            self._n_waiting += 1
            try:
                while (left_s := self._until - monotonic()) > 0:
                    self._changed.wait(left_s)
            finally:
                self._n_waiting -= 1
