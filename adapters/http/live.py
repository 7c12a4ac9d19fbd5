"""Answers that go on: a server that can sends each part at once, and says when it is about to end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define

LIVE = "insightlog.live"
"""Where in the WSGI environ a server that can has put a `Live`."""


@define
class Live:
    """What the server and an answer that goes on tell each other."""

    goes_on: Callable[[], bool] = lambda: True
    """Whether the server will be there for a while yet."""
    sends_at_once: bool = False
    """Whether the parts of the answer are to be sent as they come."""


def live(environ: dict[str, Any]) -> Live:
    """Have the parts of an answer sent as they come, and return what tells whether the server goes on."""
    found: Live = environ.get(LIVE) or Live()
    found.sends_at_once = True
    return found
