"""Kept results: in memory for quick reads, and in a store that outlives the process; not which of them are fresh."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from attrs import frozen

from .arrivals import Watermark

MAX_MEMORY_BYTES = 64 << 20
MAX_RESULT_BYTES = 4 << 20
"""A larger answer is given and forgotten."""
LIFETIME = timedelta(days=7)
FORGET_EVERY = timedelta(hours=1)


@frozen
class KeptResult:
    """A calculated answer and what it takes to tell whether it still holds."""

    key: str
    project_id: int
    body: bytes
    """JSON of the response without its cache envelope: what is handed out is always a copy."""
    last_refresh: datetime
    interval: str | None
    """What its age is measured by."""
    watermark: Watermark
    """What had been taken over when it was calculated."""
    custom_names: tuple[str | None, ...] = ()
    """What the series were called in the query that it was calculated for."""


class ResultStore(Protocol):
    """Keeps results beyond the process; may lose any of them at any time, and never raises for that."""

    def keys(self) -> Sequence[str]:
        """Return the keys of everything that is kept."""
        ...

    def get(self, key: str) -> KeptResult | None:
        """Return a result, or None."""
        ...

    def put(self, result: KeptResult) -> Sequence[str]:
        """Keep a result in place of an earlier one; return the keys that had to make room."""
        ...

    def forget(self, *, before: datetime) -> Sequence[str]:
        """Drop the results that were calculated earlier and return their keys."""
        ...

    def close(self) -> None:
        """Release the file."""
        ...


class NoResults:
    """Keeps nothing."""

    def keys(self) -> Sequence[str]:
        """Return nothing."""
        return ()

    def get(self, key: str) -> KeptResult | None:
        """Return nothing."""
        return None

    def put(self, result: KeptResult) -> Sequence[str]:
        """Forget it."""
        return ()

    def forget(self, *, before: datetime) -> Sequence[str]:
        """Return nothing."""
        return ()

    def close(self) -> None:
        """Do nothing."""


class ResultCache:
    """Results by key, safe for threads. Reading one that was read before costs a dictionary lookup.

    A key that is not kept is known to be so without asking the store. Results live seven days unless told otherwise.
    """

    def __init__(
        self, store: ResultStore, *, max_bytes: int = MAX_MEMORY_BYTES, lifetime: timedelta = LIFETIME
    ) -> None:
        self._store = store
        self._max_bytes = max_bytes
        self._lifetime = lifetime
        self._lock = threading.Lock()
        self._memory: OrderedDict[str, KeptResult] = OrderedDict()
        self._bytes = 0
        self._stored: set[str] | None = None
        self._forgot_at: datetime | None = None

    def get(self, key: str, *, now: datetime) -> KeptResult | None:
        """Return what is kept for a key, or None."""
        with self._lock:
            found = self._memory.get(key)
            if found is not None:
                self._memory.move_to_end(key)
            elif key in self._known():
                found = self._store.get(key)
                if found is not None:
                    self._take(found)
        return found if found is not None and now <= found.last_refresh + self._lifetime else None

    def put(self, result: KeptResult) -> None:
        """Keep a result in place of an earlier one, unless it is very large: then neither is kept."""
        with self._lock:
            self._leave(result.key)
            if len(result.body) > MAX_RESULT_BYTES:
                return
            self._take(result)
            known = self._known()
            known.add(result.key)
            known.difference_update(self._store.put(result))
            now = result.last_refresh
            if self._forgot_at is None or now >= self._forgot_at + FORGET_EVERY:
                self._forgot_at = now
                known.difference_update(self._store.forget(before=now - self._lifetime))

    def _known(self) -> set[str]:
        if self._stored is None:
            self._stored = set(self._store.keys())
        return self._stored

    def _take(self, result: KeptResult) -> None:
        self._memory[result.key] = result
        self._bytes += len(result.body)
        while self._bytes > self._max_bytes:
            self._bytes -= len(self._memory.popitem(last=False)[1].body)

    def _leave(self, key: str) -> None:
        old = self._memory.pop(key, None)
        self._bytes -= len(old.body) if old else 0
