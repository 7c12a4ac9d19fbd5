"""The rows of the capture log that were committed last, for whoever takes them over soon after."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from ....application.product_ports import CapturedRow

MAX_ROWS = 10_000
MAX_CHARACTERS = 16 << 20
"""Of properties."""


class RecentRows:
    """Rows at the end of the log, without gaps; safe for threads, bounded.

    PERF: reading 3,000 rows back from SQLite and checking them takes 6 ms of Python beside the captures of others.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._first = 0
        self._rows: list[CapturedRow] = []
        self._n_characters = 0

    def add(self, last: int, rows: Sequence[CapturedRow]) -> None:
        """Keep rows that were committed one after the other, the last one at this position."""
        first = last - len(rows) + 1
        n_characters = sum(len(row[5]) for row in rows)
        with self._lock:
            is_next = self._rows and first == self._first + len(self._rows)
            has_room = len(self._rows) + len(rows) <= MAX_ROWS and self._n_characters + n_characters <= MAX_CHARACTERS
            if not (is_next and has_room):
                self.clear()
                self._first = first
            if len(rows) <= MAX_ROWS and n_characters <= MAX_CHARACTERS:
                self._rows.extend(rows)
                self._n_characters += n_characters

    def after(self, position: int, limit: int) -> Sequence[CapturedRow]:
        """Return rows from position + 1 on, up to `limit`; empty when the next one is not kept.

        Those before are forgotten, as whoever asks for these has them.
        """
        with self._lock:
            n_had = position + 1 - self._first
            if not 0 <= n_had < len(self._rows):
                return ()
            for row in self._rows[:n_had]:
                self._n_characters -= len(row[5])
            del self._rows[:n_had]
            self._first += n_had
            return self._rows[:limit]
