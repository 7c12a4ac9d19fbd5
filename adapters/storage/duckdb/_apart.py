"""Runs what cannot be interrupted at once in a thread of its own, so that nobody waits for it once it is given up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from time import perf_counter
from typing import TypeVar

from ....application.stopping import Stop
from ....domain.errors import QueryTooLarge
from ...kernels.checkpoint import given_up_by

T = TypeVar("T")


def limits(stop: Stop, deadline_s: float) -> Callable[[], None]:
    """Return a check that raises QueryCancelled once stopped, and QueryTooLarge when so many seconds have passed."""
    until = perf_counter() + deadline_s

    def check() -> None:
        stop.check()
        if perf_counter() > until:
            raise QueryTooLarge("The query took too long.", path="query")

    return check


def run_apart(work: Callable[[], T], *, deadline_s: float, stop: Stop) -> T:
    """Return what `work` gives; when stopped, or late, raise at once and leave it to end at its next checkpoint.

    Raises QueryCancelled, QueryTooLarge, and what `work` raises.
    """
    check = limits(stop, deadline_s)
    outcome: Future[T] = Future()
    over = threading.Event()

    def run(outcome: Future[T]) -> None:
        try:
            with given_up_by(check):
                outcome.set_result(work())
        except BaseException as error:  # noqa: BLE001 carried over to the thread that waits
            with suppress(InvalidStateError):  # it waits no more
                outcome.set_exception(error)
        del outcome
        over.set()

    threading.Thread(target=run, args=(outcome,), name="insightlog-walk", daemon=True).start()
    try:
        with stop.interrupted_by(over.set):
            over.wait(deadline_s)
        if outcome.cancel():
            stop.check()
            raise QueryTooLarge("The query took too long.", path="query")
        return outcome.result()
    except KeyboardInterrupt:
        stop.set()  # nobody waits for it any more
        raise
    finally:
        # An error knows the variables of all that it came through, which may be 1 GB: they must not know the error.
        del outcome
