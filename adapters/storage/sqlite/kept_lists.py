"""Lists of insights as ids in their order: made once, then put right by what changed, whatever process changed it."""

from __future__ import annotations

import sqlite3
import threading
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from attrs import evolve, frozen

from ....application.ports import InsightsWanted
from .listing import INSTANTS, crossed, listing
from .recent_changes import RecentChanges

MOST_IDS = 4_000_000
"""How many ids all lists together keep, of 8 bytes each."""
MOST_LISTS = 1000
MOST_CHANGED = 250
"""PERF: changes that a list is put right by, at 0.1 to 0.4 ms each; for more it is made anew."""
LONG = 10_000
"""PERF: ids among which numpy looks for one, ten times as fast; for shorter lists it is not worth its loading."""


@frozen
class Moment:
    """What a snapshot holds: the log up to a position, and tables whose number changes when they are rebuilt."""

    position: int
    tables: int


class KeptLists:
    """The lists that were asked for lately; safe for threads. `is_fixed`: what they are read from never changes."""

    def __init__(self, *, is_fixed: bool) -> None:
        self._is_fixed = is_fixed
        self._lists: dict[tuple[Any, ...], _List] = {}
        self._lock = threading.Lock()
        self._changes = RecentChanges()

    def page(self, connection: sqlite3.Connection, wanted: InsightsWanted) -> tuple[int, Sequence[int]]:
        """Return how many insights fit and the ids of the page, as of one moment.

        Cost: per insight that changed since this list was asked for; at first, and after much, per insight found.
        Raises `sqlite3.Error`.
        """
        kept = self._list(wanted)
        # The list first, then the snapshot: it is never older than what the list was put right by.
        with kept.lock, self._snapshot(connection) as now:
            kept.bring_up(connection, wanted, now, self._changes)
            count, ids = len(kept.ids), kept.ids[wanted.offset : wanted.offset + wanted.limit].tolist()
        self._forget_oldest()
        return count, ids

    def _list(self, wanted: InsightsWanted) -> _List:
        """Return the list of this name: one whose dates move with the clock is the same for an hour."""
        hours: dict[str, Any] = {name: _hour(getattr(wanted, name)) for name in INSTANTS}
        asked = listing(evolve(wanted, **hours))
        name = (asked.sql, *asked.values)
        with self._lock:
            kept = self._lists.pop(name) if name in self._lists else _List()
            self._lists[name] = kept  # The one asked for last is the last in the order of the dict.
        return kept

    def _forget_oldest(self) -> None:
        with self._lock:
            n_ids = sum(len(kept.ids) for kept in self._lists.values())
            while len(self._lists) > 1 and (n_ids > MOST_IDS or len(self._lists) > MOST_LISTS):
                n_ids -= len(self._lists.pop(next(iter(self._lists))).ids)

    @contextmanager
    def _snapshot(self, connection: sqlite3.Connection) -> Iterator[Moment]:
        """Read everything from one snapshot: only there are all rows but the changed ones in the order of the list."""
        if self._is_fixed:
            yield Moment(0, 0)
            return
        connection.execute("BEGIN")
        try:
            (tables,) = connection.execute("PRAGMA schema_version").fetchone()
            head = connection.execute("SELECT position FROM log_head").fetchone()
            now = Moment(head[0] if head else 0, tables)
            self._changes.read(connection, now.position)
            yield now
        finally:
            if connection.in_transaction:
                connection.execute("COMMIT")


class _List:
    """The ids of a list in their order as of a moment; for who holds its lock."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.ids = array("q")
        self._at: Moment | None = None
        self._wanted: InsightsWanted | None = None

    def bring_up(self, connection: sqlite3.Connection, wanted: InsightsWanted, now: Moment, log: RecentChanges) -> None:
        """Make the list what it is now."""
        asked = listing(wanted)
        changed = None
        if self._at is not None and self._at.tables == now.tables:
            changed = log.after(self._at.position, heeds_views=asked.heeds_views)
        if changed is not None and self._wanted is not None:
            for sql, values in crossed(self._wanted, wanted):
                changed.update(_ids(connection, f"{sql} LIMIT ?", [*values, MOST_CHANGED + 1]))
        self._at = None  # Until it is whole again: what fails below makes it anew.
        if changed is None or len(changed) > MOST_CHANGED:
            self.ids = _ids(connection, asked.sql, asked.values)
        elif changed:
            self._put_right(connection, wanted, sorted(changed))
        self._at, self._wanted = now, wanted

    def _put_right(self, connection: sqlite3.Connection, wanted: InsightsWanted, changed: Sequence[int]) -> None:
        """Take out what changed, and put in, each in its place, what of it belongs to the list now."""
        for one in changed:
            place = _place_of(self.ids, one)
            if place is not None:
                self.ids.pop(place)
        asked = listing(wanted, among=changed)
        sql, values = asked.first_of_two
        place = 0
        for one in _ids(connection, asked.sql, asked.values):
            above = len(self.ids)
            while place < above:
                middle = (place + above) // 2
                if connection.execute(sql, [one, self.ids[middle], *values]).fetchone()[0] == one:
                    above = middle
                else:
                    place = middle + 1
            self.ids.insert(place, one)


def _ids(connection: sqlite3.Connection, sql: str, values: Sequence[Any]) -> array[int]:
    return array("q", (one for (one,) in connection.execute(sql, values)))


def _place_of(ids: array[int], one: int) -> int | None:
    """Return where an id is, None when it is not there."""
    if len(ids) < LONG:
        return ids.index(one) if one in ids else None
    import numpy as np  # noqa: PLC0415 PERF: 20 MB and a fifth of a second, for long lists only

    found = np.flatnonzero(np.frombuffer(ids, dtype=np.int64) == one)
    return int(found[0]) if len(found) else None


def _hour(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(minute=0, second=0, microsecond=0)
