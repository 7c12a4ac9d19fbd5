"""What waits for calculations, and for how long."""

from __future__ import annotations

import threading
from contextlib import ExitStack

from insightlog.application.precedence import Precedence

LONG_S = 30.0
"""Longer than a test may take: whoever waits so long makes it fail."""


def started(precedence: Precedence) -> tuple[threading.Thread, threading.Event]:
    """Return a thread that lets calculations pass, and what it sets then."""
    passed = threading.Event()

    def wait() -> None:
        precedence.let_pass()
        passed.set()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread, passed


def test_nobody_waits_while_nothing_is_calculated():
    precedence = Precedence(LONG_S)
    with precedence.calculating():
        pass
    thread, passed = started(precedence)
    assert passed.wait(10)
    thread.join()


def test_who_waits_goes_on_when_the_last_calculation_ends():
    precedence = Precedence(LONG_S)
    with ExitStack() as last:
        last.enter_context(precedence.calculating())
        with precedence.calculating():
            waiting = [started(precedence) for _ in range(3)]
        assert not any(passed.wait(0.05) for _, passed in waiting)
    assert all(passed.wait(10) for _, passed in waiting)


def test_a_long_calculation_is_waited_for_a_moment_and_then_for_none():
    precedence = Precedence(0.5)
    with precedence.calculating():
        _, passed = started(precedence)
        assert not passed.wait(0.1)
        assert passed.wait(10)
        _, again = started(precedence)
        assert again.wait(0.4)


def test_a_short_calculation_is_followed_by_one_that_nobody_waits_for():
    precedence = Precedence(LONG_S)
    with precedence.calculating():
        _, passed = started(precedence)
        assert not passed.wait(0.5)
    assert passed.wait(10)
    with precedence.calculating():
        _, passed = started(precedence)
        assert passed.wait(0.4)


def test_only_so_many_wait():
    precedence = Precedence(LONG_S, most_waiting=2)
    with precedence.calculating():
        waiting = [started(precedence) for _ in range(3)]
        passed = sum(passed.wait(1.0) for _, passed in waiting)
        assert passed == 1
    assert all(passed.wait(10) for _, passed in waiting)
