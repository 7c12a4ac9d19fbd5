"""Carries commands out: read the state, decide, append, all in the transaction that appends."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Generic, Protocol, TypeVar

from attrs import frozen

from ..domain.errors import InvalidInput, NotFound
from ..domain.events import Actor, DomainEvent, Record
from ..domain.organization import DEFAULT_ORGANIZATION
from .ports import Append, Decision, EventStore, Row, StreamEvents, Versioned, Views

WITHOUT_EVENT = {"organizations": DEFAULT_ORGANIZATION}
"""Ids that are taken though no event made them."""


class Aggregate(Versioned, Protocol):
    """A state that knows whose it is, too."""

    @property
    def id(self) -> int:
        """The number behind the colon of the stream's name."""
        ...


S = TypeVar("S", bound=Aggregate)


def _row_of_id(views: Views, table: str, project_id: int, ref: int | str) -> Row | None:
    row = views.row(table, ref) if isinstance(ref, int) else None
    return None if row is None or row["project_id"] != project_id else row


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
    find: Callable[[Views, str, int, int | str], Row | None] = _row_of_id
    """Gives the row of one in a project, out of its table, by what callers may name it."""

    def read(self, views: Views, project_id: int, ref: int | str) -> S:
        """Return one of a project as it is in the views. Raises `NotFound`."""
        row = self.find(views, self.table, project_id, ref)
        if row is None:
            raise NotFound(self.name, ref)
        return self.from_row(row)


@frozen
class By:
    """Who acts, and under which correlation id."""

    actor: Actor
    request: str


def new_request() -> str:
    """Return a fresh correlation id."""
    return os.urandom(16).hex()


class Executor:
    """Runs commands on the streams of one log; safe to share between threads.

    What decides is asked in the transaction that appends, so it always knows the newest state, whoever else writes.
    It may be asked again, and on another thread.
    """

    def __init__(self, store: EventStore, views: Views) -> None:
        self._store = store
        self._views = views
        self._known_users: set[int] = set()

    def append(self, append: Append) -> Sequence[Record]:
        """Append a change to the log, durable on return. Raises `InvalidInput` unless a user does it, or the system."""
        self._require_user(append.by.user_id)
        return self._store.append(append)

    def carry_out(self, decide: Decision, by: By) -> Sequence[Record]:
        """Append what is decided and return the records. Raises what `decide` raises; then nothing is stored."""
        self._require_user(by.actor.user_id)
        return self._store.carry_out(decide)

    def _require_user(self, user_id: int | None) -> None:
        if user_id is None or user_id in self._known_users:
            return
        if self._views.row("users", user_id) is None:
            raise InvalidInput(f"There is no user {user_id}.", path="by")
        self._known_users.add(user_id)  # for good: nothing takes a user away

    def change(
        self,
        kind: Kind[S],
        project_id: int,
        ref: int | str,
        decide: Callable[[S, Views], tuple[DomainEvent, ...]],
        by: By,
        secrets: Mapping[str, str] | None = None,
    ) -> S:
        """Append what `decide` makes of an aggregate and return it as it is then; without events it stays as it is.

        Raises `NotFound`, and what `decide` raises. `secrets` are kept beside the log in the same transaction.
        """
        state: S | None = None

        def decided(views: Views) -> Append | None:
            nonlocal state
            state = kind.read(views, project_id, ref)
            events = decide(state, views)
            if not events:
                return None
            items = (StreamEvents(kind.stream_of(state.id), events, state=state),)
            return Append(items, by.actor, project_id, by.request, secrets or {})

        records = self.carry_out(decided, by)
        after = reduce(kind.evolve, records, state)
        assert after is not None
        return after

    def change_together(
        self, project_id: int, decide: Callable[[Views], tuple[StreamEvents, ...]], by: By
    ) -> Sequence[Record]:
        """Append to several streams in one transaction, and return the records. Raises what `decide` raises."""
        return self.carry_out(lambda views: Append(decide(views), by.actor, project_id, by.request), by)

    def create(
        self,
        table: str,
        make: Callable[[int, Views], tuple[StreamEvents, ...]],
        by: By,
        project_id: Callable[[int], int | None],
        secrets: Callable[[int], Mapping[str, str]] = lambda _: {},
    ) -> Sequence[Record]:
        """Append the first events of something new under the next free id, and return the records."""

        def decided(views: Views) -> Append:
            new_id = max(views.highest_id(table), WITHOUT_EVENT.get(table, 0)) + 1
            return Append(make(new_id, views), by.actor, project_id(new_id), by.request, secrets(new_id))

        return self.carry_out(decided, by)
