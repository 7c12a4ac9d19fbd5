"""Carries commands out: load the stream, decide, append; after a conflict load again and decide again."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Generic, Protocol, TypeVar

from attrs import frozen

from ..domain.errors import InvalidInput, NotFound, VersionConflict
from ..domain.events import Actor, DomainEvent, Record
from ..domain.organization import DEFAULT_ORGANIZATION
from .ports import Append, EventStore, Row, StreamEvents, Views
from .turns import turn, waiting

MAX_TRIES = 8
LOCKS = 1024
WITHOUT_EVENT = {"organizations": DEFAULT_ORGANIZATION}
"""Ids that are taken though no event made them."""


class Aggregate(Protocol):
    """A state that knows which version of its stream it is."""

    @property
    def version(self) -> int:
        """Place in the stream."""
        ...


S = TypeVar("S", bound=Aggregate)


@frozen
class Kind(Generic[S]):
    """A kind of aggregate: where it is kept, and what its events make of it."""

    name: str
    """What people call it, as in `Insight`."""
    table: str
    """The view table whose row holds the whole state; written in the transaction that appends."""
    stream_of: Callable[[int], str]
    from_row: Callable[[Row], S]
    evolve: Callable[[S | None, Record], S]


@frozen
class By:
    """Who acts, and under which correlation id."""

    actor: Actor
    request: str


def new_request() -> str:
    """Return a fresh correlation id."""
    return os.urandom(16).hex()


class Executor:
    """Runs commands on the streams of one log; safe to share between threads."""

    def __init__(self, store: EventStore, views: Views) -> None:
        self._store = store
        self._views = views
        self._stream_locks = [threading.Lock() for _ in range(LOCKS)]
        self._id_lock = threading.Lock()
        self._last_ids: dict[str, int] = {}
        self._known_users: set[int] = set()

    def append(self, append: Append) -> Sequence[Record]:
        """Append a change to the log, durable on return. Raises `InvalidInput` unless a user does it, or the system."""
        self._require_user(append.by.user_id)
        return self._store.append(append)

    def _require_user(self, user_id: int | None) -> None:
        if user_id is None or user_id in self._known_users:
            return
        if self._views.row("users", user_id) is None:
            raise InvalidInput(f"There is no user {user_id}.", path="by")
        self._known_users.add(user_id)  # for good: nothing takes a user away

    @turn()
    def change(
        self,
        kind: Kind[S],
        project_id: int | None,
        subject_id: int,
        decide: Callable[[S], tuple[DomainEvent, ...]],
        by: By,
        secrets: Mapping[str, str] | None = None,
        *,
        known: S | None = None,
    ) -> S:
        """Append what `decide` makes of an aggregate and return it as it is then; without events it stays as it is.

        `known` is its state as the caller has just read it, which saves reading it again; a conflict tells when it is
        out of date.

        In this process, commands on one stream wait for each other; a writer in another process causes a conflict,
        and the command is decided again on the newer state. Raises `NotFound`, what `decide` raises, and
        `VersionConflict` after 8 tries. `secrets` are kept beside the log in the same transaction.
        """
        stream = kind.stream_of(subject_id)
        lock = self._stream_locks[hash(stream) % LOCKS]
        if not lock.acquire(blocking=False):
            known = None  # who waited for another command has an old state
            with waiting():
                lock.acquire()
        try:
            for attempt in range(MAX_TRIES):
                state = known if known is not None and not attempt else self._read(kind, project_id, subject_id)
                events = decide(state)
                if not events:
                    return state
                items = (StreamEvents(stream, events, state.version),)
                try:
                    records = self.append(Append(items, by.actor, project_id, by.request, dict(secrets or {})))
                except VersionConflict:
                    _give_way(attempt)
                    continue
                return reduce(kind.evolve, records, state)
            raise VersionConflict(stream, state.version)
        finally:
            lock.release()

    @turn()
    def change_together(
        self, project_id: int, decide: Callable[[], tuple[StreamEvents, ...]], by: By
    ) -> Sequence[Record]:
        """Append to several streams in one transaction, and return the records.

        `decide` reads their states and says what follows which versions; it is asked again after a conflict. Raises
        what it raises, and `VersionConflict` after 8 tries.
        """
        for attempt in range(MAX_TRIES):
            items = decide()
            try:
                return self.append(Append(items, by.actor, project_id, by.request))
            except VersionConflict:
                _give_way(attempt)
        raise VersionConflict(items[0].stream, items[0].expected_version or 0)

    def _read(self, kind: Kind[S], project_id: int | None, subject_id: int) -> S:
        row = self._views.row(kind.table, subject_id)
        if row is None or (project_id is not None and row["project_id"] != project_id):
            raise NotFound(kind.name, subject_id)
        return kind.from_row(row)

    @turn()
    def create(
        self,
        table: str,
        make: Callable[[int], tuple[StreamEvents, ...]],
        by: By,
        project_id: Callable[[int], int | None],
        secrets: Callable[[int], Mapping[str, str]] = lambda _: {},
    ) -> Sequence[Record]:
        """Append the first events of something new under the next free id, and return the records."""
        self._require_user(by.actor.user_id)  # before an id is spent
        for _ in range(MAX_TRIES):
            new_id = self._next_id(table)
            append = Append(make(new_id), by.actor, project_id(new_id), by.request, dict(secrets(new_id)))
            try:
                return self.append(append)
            except VersionConflict:
                self._forget_id(table)
        raise VersionConflict(table, 0)

    def _next_id(self, table: str) -> int:
        """Return an id that this process has not tried; another process may have, which is a conflict then."""
        with self._id_lock:
            last = self._last_ids.get(table) or self._highest_id(table)
            self._last_ids[table] = last + 1
            return last + 1

    def _forget_id(self, table: str) -> None:
        """Look into the views for the next id: another process has used those that were expected to be free."""
        with self._id_lock:
            self._last_ids[table] = max(self._highest_id(table), self._last_ids.get(table, 0))

    def _highest_id(self, table: str) -> int:
        return max(self._views.highest_id(table), WITHOUT_EVENT.get(table, 0))


def _give_way(attempt: int) -> None:
    """Let others go first after a conflict, the longer the more there were."""
    with waiting():
        time.sleep(random.uniform(0, 0.002 * 2**attempt))  # noqa: S311 jitter
