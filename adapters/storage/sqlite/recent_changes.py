"""Which insights were changed or looked at lately, as the log tells it, whatever process wrote it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable

MOST_REMEMBERED = 4000
"""Insights that are remembered, of changes and of looks each."""
MOST_READ = 20_000
"""Records that are read at once; of what is further back nothing is known."""
WRITTEN = "SELECT rowid, originator_id FROM stored_events WHERE rowid > ? AND rowid <= ? ORDER BY rowid"
ON_DASHBOARD = "SELECT DISTINCT insight_id FROM tiles WHERE dashboard_id = ?"


class RecentChanges:
    """The positions at which insights were last changed and looked at; safe for threads.

    What a list of insights looks at changes with the insight, and with the dashboards that it stands on.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: int | None = None
        self._since = 0
        self._changed: dict[int, int] = {}
        self._viewed: dict[int, int] = {}

    def read(self, connection: sqlite3.Connection, head: int) -> None:
        """Read what was written up to a position. Raises `sqlite3.Error`."""
        with self._lock:
            if self._known is None or head - self._known > MOST_READ:
                self._changed.clear()
                self._viewed.clear()
                self._known = self._since = head
            if head <= self._known:
                return
            for position, stream in connection.execute(WRITTEN, (self._known, head)).fetchall():
                category, _, subject = stream.partition(":")
                if category == "insight":
                    self._note(self._changed, (int(subject),), position)
                elif category == "insight-views":
                    self._note(self._viewed, (int(subject),), position)
                elif category == "dashboard":
                    standing = connection.execute(ON_DASHBOARD, (int(subject),)).fetchall()
                    self._note(self._changed, (one for (one,) in standing), position)
            self._known = head

    def _note(self, last: dict[int, int], ids: Iterable[int], position: int) -> None:
        for one in ids:
            last.pop(one, None)  # The one noted last is the last in the order of the dict.
            last[one] = position
        while len(last) > MOST_REMEMBERED:
            oldest = next(iter(last))
            self._since = max(self._since, last.pop(oldest))

    def after(self, position: int, *, heeds_views: bool) -> set[int] | None:
        """Return the insights that changed above a position, or were looked at too; None when that is not known."""
        found: set[int] = set()
        with self._lock:
            if position < self._since:
                return None
            for last in (self._changed, self._viewed) if heeds_views else (self._changed,):
                for one in reversed(last):
                    if last[one] <= position:
                        break
                    found.add(one)
        return found
