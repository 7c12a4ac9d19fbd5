"""One calculation per key at a time: who comes while it runs waits for its outcome instead of starting another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from attrs import Factory, define

from ..domain.errors import QueryCancelled, QueryTooLarge
from .stopping import Stop

T = TypeVar("T")


@define(eq=False)
class _Flight(Generic[T]):
    waiting: list[threading.Event] = Factory(list)
    outcome: T | None = None
    error: BaseException | None = None


class Flights(Generic[T]):
    """Calculations under way, by key; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[Hashable, _Flight[T]] = {}

    def share(
        self, key: Hashable, calculate: Callable[[], T], *, serves: Callable[[T], bool], stop: Stop, wait_s: float
    ) -> tuple[T, bool]:
        """Return an outcome for the key, and whether the caller calculated it.

        A caller who finds a calculation under way waits for it and shares its outcome or error, unless the outcome
        does not serve: it began before something that the caller must see. A cancelled calculation ends those who
        wait for it only if they are cancelled themselves. Raises QueryTooLarge after `wait_s`.
        """
        while True:
            landed = threading.Event()
            with self._lock:
                flight = self._flights.get(key)
                leads = flight is None
                if flight is None:
                    flight = self._flights[key] = _Flight()
                else:
                    flight.waiting.append(landed)
            if leads:
                return self._fly(key, flight, calculate), True
            with stop.interrupted_by(landed.set):
                if not landed.wait(wait_s):
                    raise QueryTooLarge("The query took too long.", path="query")
            stop.check()
            if isinstance(flight.error, QueryCancelled):
                continue
            if flight.error is not None:
                raise flight.error
            if flight.outcome is not None and serves(flight.outcome):
                return flight.outcome, False

    def _fly(self, key: Hashable, flight: _Flight[T], calculate: Callable[[], T]) -> T:
        try:
            flight.outcome = calculate()
        except BaseException as error:
            flight.error = error
            raise
        finally:
            with self._lock:
                del self._flights[key]
            for landed in flight.waiting:
                landed.set()
        return flight.outcome
