"""Carries commands out: load the stream, decide, append; after a conflict load again and decide again."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy

from attrs import evolve, frozen

from ..domain.errors import VersionConflict
from ..domain.events import Actor, DomainEvent, Record
from ..domain.insight import Insight, replay_insight, stream_of
from .ports import Append, EventStore, StreamEvents, Views

MAX_TRIES = 8
CACHED_STATES = 1024
LOCKS = 64

Decide = Callable[[Insight | None], tuple[DomainEvent, ...]]


@frozen
class By:
    """Who acts, and under which correlation id."""

    actor: Actor
    request: str


def new_request() -> str:
    """Return a fresh correlation id."""
    return uuid.uuid4().hex


class Executor:
    """Runs commands on the streams of one log; safe to share between threads."""

    def __init__(self, store: EventStore, views: Views) -> None:
        self._store = store
        self._views = views
        self._states: OrderedDict[str, Insight] = OrderedDict()
        self._states_lock = threading.Lock()
        self._stream_locks = [threading.Lock() for _ in range(LOCKS)]
        self._id_lock = threading.Lock()
        self._last_ids: dict[str, int] = {}

    def change_insight(self, project_id: int, insight_id: int, decide: Decide, by: By) -> Insight:
        """Append what `decide` makes of the insight and return it as it is then.

        In this process, commands on one stream wait for each other; a writer in another process causes a conflict,
        and the command is decided again on the newer state. Raises what `decide` raises, `VersionConflict` after
        8 tries.
        """
        stream = stream_of(insight_id)
        with self._stream_locks[hash(stream) % LOCKS]:
            for attempt in range(MAX_TRIES):
                state = self._load(stream)
                version = state.version if state else 0
                events = decide(state)
                try:
                    records = self._store.append(
                        Append((StreamEvents(stream, events, version),), by.actor, project_id, by.request)
                    )
                except VersionConflict:
                    time.sleep(random.uniform(0, 0.002 * 2**attempt))  # noqa: S311 jitter
                    continue
                after = replay_insight(records, state)
                if after is None:
                    raise TypeError("a command on an insight left no insight")
                self._remember(stream, after)
                # What is handed out may be changed by its new owner; what is kept may not.
                return evolve(after, query=deepcopy(after.query), filters=deepcopy(after.filters))
        raise VersionConflict(stream, version)

    def create(
        self,
        table: str,
        make: Callable[[int], tuple[StreamEvents, ...]],
        by: By,
        project_id: Callable[[int], int | None],
        secrets: Callable[[int], Mapping[str, str]] = lambda _: {},
    ) -> Sequence[Record]:
        """Append the first events of something new under the next free id, and return the records."""
        for _ in range(MAX_TRIES):
            new_id = self._next_id(table)
            append = Append(make(new_id), by.actor, project_id(new_id), by.request, dict(secrets(new_id)))
            try:
                return self._store.append(append)
            except VersionConflict:
                self._forget_id(table)
        raise VersionConflict(table, 0)

    def _load(self, stream: str) -> Insight | None:
        with self._states_lock:
            state = self._states.get(stream)
        return replay_insight(self._store.load(stream, after=state.version if state else 0), state)

    def _remember(self, stream: str, state: Insight) -> None:
        with self._states_lock:
            self._states[stream] = state
            self._states.move_to_end(stream)
            if len(self._states) > CACHED_STATES:
                self._states.popitem(last=False)

    def _next_id(self, table: str) -> int:
        """Return an id that this process has not tried; another process may have, which is a conflict then."""
        with self._id_lock:
            last = self._last_ids.get(table) or self._views.highest_id(table)
            self._last_ids[table] = last + 1
            return last + 1

    def _forget_id(self, table: str) -> None:
        """Look into the views for the next id: another process has used those that were expected to be free."""
        with self._id_lock:
            self._last_ids[table] = max(self._views.highest_id(table), self._last_ids.get(table, 0))
