"""Answers that hold once something is stored: a server that can sends them then, without a thread that waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen

from ...application.product_ports import Appending

Refuse = Callable[[Exception], tuple[str, list[tuple[str, str]], bytes]]
"""Gives status, headers and body of the answer for an error, or raises it."""
LATER = "insightlog.later"
"""Where in the WSGI environ a server that can has put a list, which gets at most one `Later`."""


@frozen
class Later:
    """What an answer that was made already waits for, and the one in its place when that fails."""

    appending: Appending
    refuse: Refuse


def store(environ: dict[str, Any], later: Later) -> None:
    """Have events stored: before the server sends the answer if it can wait, else now. Raises `StoreUnavailable`."""
    waiting: list[Later] | None = environ.get(LATER)
    if waiting is None:
        later.appending.wait()
    else:
        waiting.append(later)
