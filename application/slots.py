"""How many calculations run at once: in all, and of one project, so that a busy project leaves room for the others."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from attrs import define, frozen

from ..domain.errors import TooManyQueries
from .acting import require_number, require_seconds
from .stopping import Stop

RETRY_AFTER_S = 1


@frozen(kw_only=True)
class Limits:
    """How many calculations may run and wait; those beyond are refused at once (`TooManyQueries`).

    Raises `InvalidInput` for what is no number.
    """

    running: int = 4
    running_per_project: int = 3
    waiting: int = 32
    """A caller who waits holds a thread of the server: keep it well below their number."""
    waiting_per_project: int = 16
    wait_s: float = 30.0

    def __attrs_post_init__(self) -> None:
        for name, least in (("running", 1), ("running_per_project", 1), ("waiting", 0), ("waiting_per_project", 0)):
            require_number(name, getattr(self, name), least=least)
        require_seconds("wait_s", self.wait_s)


@define(eq=False)
class _Ticket:
    project_id: int
    is_called: bool = False


class Slots:
    """Gives out the right to calculate, first come, first served among the projects that have not used up theirs."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._changed = threading.Condition()
        self._waiting: list[_Ticket] = []
        self._running: Counter[int] = Counter()

    @contextmanager
    def taken(self, project_id: int, stop: Stop) -> Iterator[None]:
        """Hold a slot. Raises `TooManyQueries` when as many wait already, `QueryCancelled` when stopped meanwhile."""
        self._enter(project_id, stop)
        try:
            yield
        finally:
            with self._changed:
                self._running[project_id] -= 1
                self._call()

    @property
    def n_running(self) -> int:
        """How many slots are held now."""
        return sum(self._running.values())

    @property
    def n_waiting(self) -> int:
        """How many wait for a slot now."""
        return len(self._waiting)

    def _enter(self, project_id: int, stop: Stop) -> None:
        ticket = _Ticket(project_id)
        with self._changed:
            of_project = sum(one.project_id == project_id for one in self._waiting)
            self._waiting.append(ticket)
            self._call()
            if not ticket.is_called and (
                of_project >= self._limits.waiting_per_project or len(self._waiting) > self._limits.waiting
            ):
                self._waiting.remove(ticket)
                raise TooManyQueries(RETRY_AFTER_S)
        if not ticket.is_called:
            self._wait(ticket, stop)

    def _wait(self, ticket: _Ticket, stop: Stop) -> None:
        until = monotonic() + self._limits.wait_s
        try:
            with stop.interrupted_by(self._wake), self._changed:
                while not ticket.is_called and self._changed.wait(until - monotonic()):
                    stop.check()
            if not ticket.is_called:
                raise TooManyQueries(RETRY_AFTER_S)  # noqa: TRY301 the ticket must be taken back as in any other case
        except BaseException:
            self._leave(ticket)
            raise

    def _leave(self, ticket: _Ticket) -> None:
        with self._changed:
            if ticket.is_called:
                self._running[ticket.project_id] -= 1
                self._call()
            else:
                self._waiting.remove(ticket)

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _call(self) -> None:
        """Give free slots to those who wait; the caller holds the condition."""
        for ticket in list(self._waiting):
            if self.n_running >= self._limits.running:
                break
            if self._running[ticket.project_id] < self._limits.running_per_project:
                self._waiting.remove(ticket)
                self._running[ticket.project_id] += 1
                ticket.is_called = True
        self._changed.notify_all()
