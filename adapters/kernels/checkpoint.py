"""Lets a calculation over large arrays be given up between two steps of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_check: ContextVar[Callable[[], None] | None] = ContextVar("check", default=None)


@contextmanager
def given_up_by(check: Callable[[], None]) -> Iterator[None]:
    """Have `check` called again and again by the kernels that run inside, in this thread; what it raises ends them."""
    token = _check.set(check)
    try:
        yield
    finally:
        _check.reset(token)


def checkpoint() -> None:
    """Raise what the check of this thread raises, if there is one; called by every step over a whole history."""
    check = _check.get()
    if check is not None:
        check()
