"""Group commit: callers queue what they want written, and one of them commits for all; who does not wait is called."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Generic, TypeVar

from attrs import define

from ....application.turns import TURNS, Taker, TurnPool, Work
from ....domain.errors import StoreUnavailable

T = TypeVar("T")


@define(eq=False)
class Ticket(Generic[T]):
    """What one caller wants committed, and what became of it."""

    wanted: T
    place: Taker
    """Its caller's, who sleeps until the ticket is done, or it is his to lead; or the work that he left for then."""
    result: Any = None
    error: BaseException | None = None
    leads: bool = False

    def outcome(self) -> Any:
        """Return the result. Raises the error."""
        if self.error is not None:
            raise self.error
        return self.result


class SharedCommits(Generic[T]):
    """Gives what callers want to `commit`, in order, at most `most` at once as `weigh` counts them; safe for threads.

    `commit` sets result or error of each ticket; what it raises is everybody's. PERF: whoever leads lets all others
    who run just now come as far before he commits.
    """

    def __init__(
        self, commit: Callable[[Sequence[Ticket[T]]], None], *, most: int, weigh: Callable[[T], int] = lambda _: 1
    ) -> None:
        self._commit = commit
        self._most = most
        self._weigh = weigh
        self._mutex = threading.Lock()
        self.queue: deque[Ticket[T]] = deque()
        self._has_leader = False

    def join(self, wanted: T) -> Any:
        """Return the result once it is committed. Raises its error; `StoreUnavailable` for an interrupted commit."""
        had_turn = TURNS.is_mine()
        ticket = Ticket(wanted, TURNS.here())
        self._enter(ticket)
        try:
            if ticket.leads:
                TURNS.take()
            else:
                TURNS.wait_for_call()
            if ticket.leads:
                TURNS.let_pass()
                self._lead()
        except BaseException:
            self._abandon(ticket)
            raise
        finally:
            if not had_turn:
                TURNS.give_up()
        return ticket.outcome()

    def leave(self, wanted: T, pool: TurnPool, then: Callable[[Callable[[], Any]], object]) -> None:
        """Return at once; once it is committed, `then` is called on a thread of the pool with what gives the outcome.

        PERF: many who leave cost one thread that commits for them all; to sleep and be woken takes longer than the rest
        of a small commit.
        """
        ticket = Ticket(wanted, work := Work(pool))
        work.do = partial(self._go_on, ticket, then)
        self._enter(ticket)
        if ticket.leads:
            TURNS.queue(work)

    def _enter(self, ticket: Ticket[T]) -> None:
        """Queue; who comes when nobody leads does."""
        with self._mutex:
            self.queue.append(ticket)
            ticket.leads, self._has_leader = not self._has_leader, True

    def _go_on(self, ticket: Ticket[T], then: Callable[[Callable[[], Any]], object]) -> None:
        try:
            if ticket.leads:
                self._lead()
        finally:
            then(ticket.outcome)

    def _lead(self) -> None:
        """Commit what is queued (the leader's comes first), then wake the next leader and those who waited."""
        group = self._take()
        try:
            self._commit(group)
        except BaseException as error:
            is_ours = isinstance(error, Exception)
            for ticket in group:
                ticket.error = error if is_ours else StoreUnavailable("The commit was interrupted. Try again.")
            if not is_ours:
                raise
        finally:
            with self._mutex:
                leader = self._hand_over()
            TURNS.call_back([*leader, *(ticket.place for ticket in group[1:])])

    def _take(self) -> list[Ticket[T]]:
        """Return the first in the queue and those behind it that fit in."""
        with self._mutex:
            group = [self.queue.popleft()]
            weight = self._weigh(group[0].wanted)
            while self.queue and (weight := weight + self._weigh(self.queue[0].wanted)) <= self._most:
                group.append(self.queue.popleft())
        return group

    def _hand_over(self) -> list[Taker]:
        """Let the first in the queue lead, and return whom to call for that; the caller holds the mutex."""
        self._has_leader = bool(self.queue)
        if not self.queue:
            return []
        self.queue[0].leads = True
        return [self.queue[0].place]

    def _abandon(self, ticket: Ticket[T]) -> None:
        """Take back what a caller wanted who was interrupted while waiting, unless it is being committed."""
        leader: list[Taker] = []
        with self._mutex, suppress(ValueError):
            self.queue.remove(ticket)
            if ticket.leads:
                leader = self._hand_over()
        TURNS.call_back(leader)
