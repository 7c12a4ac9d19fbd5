"""The log of a project over HTTP: a page, JSON lines to its end, or live as server-sent events (history.md 1)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from threading import BoundedSemaphore
from typing import Any

import falcon
import orjson

from ...application.history import PastStore, texts_of
from ...application.ids import row_id
from ...application.library import Insightlog, Project
from ...application.ports import EventStore
from ...application.turns import waiting
from ...domain.errors import InvalidInput, PermissionDenied
from . import rendering
from .errors import Throttled
from .live import Live, live
from .operations import Parameter, operation
from .parameters import BEYOND, page_limit
from .schemas import INTEGER, OBJECT, TEXT, array, nullable, shape

JSON, LINES, EVENTS = falcon.MEDIA_JSON, "application/x-ndjson", "text/event-stream"
DEFAULT_PAGE, MAX_PAGE = 100, 1000
SCANNED_AT_MOST = 20_000
"""Records that a page looks through; those of other projects among them."""
MOST_FOLLOWERS = 16
"""Each keeps a thread of the server."""
RETRY_AFTER_S = 5
LOOKS_EVERY_S = 0.2
STIRS_EVERY_S = 15.0
"""How often a client that waits is sent a comment, so that one that is gone is noticed."""
LOG_PARAMETERS = (
    Parameter("after", INTEGER, "Records above this position of the log only."),
    Parameter("limit", INTEGER, "How many records a page holds, at most 1000."),
)


class LogRecords:
    """`/log/`."""

    media = (JSON, LINES, EVENTS)

    def __init__(self, log: Insightlog, site_url: str | None) -> None:
        self._log = log
        self._site_url = site_url
        self._followers = BoundedSemaphore(MOST_FOLLOWERS)

    @operation(
        answer=shape({"results": array(OBJECT), "next": nullable(TEXT), "position": INTEGER}), query=LOG_PARAMETERS
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Return records of the project, oldest first, each with its hash.

        With `Accept: application/x-ndjson` all of them to the end of the log, one a line; with `text/event-stream`
        those that come later too, as they come, and `Last-Event-ID` resumes.
        """
        if project.rights is not None and project.rights.viewer is not None:
            raise PermissionDenied("The log is closed to you, since some insights are hidden from you.")
        after, store = _after(req), self._log.parts.store
        resp.content_type = media = req.context.media
        if media == LINES:
            past = PastStore(store, store.position())
            resp.stream = (text + b"\n" for _, text in own_texts(past, project.id, after))
        elif media == EVENTS:
            self._follow(req, resp, store, project.id, after)
        else:
            self._page(req, resp, store, project.id, after)

    def _page(self, req: falcon.Request, resp: falcon.Response, store: EventStore, project_id: int, after: int) -> None:
        limit = page_limit(req, DEFAULT_PAGE, MAX_PAGE)
        last = store.position()
        until = min(last, after + SCANNED_AT_MOST)
        results, position = [], max(after, until)
        for place, text in own_texts(PastStore(store, until), project_id, after):
            results.append(orjson.Fragment(text))
            if len(results) == limit:
                position = place
                break
        more = rendering.url_with(req, self._site_url, after=position) if position < last else None
        rendering.write_json(resp, {"results": results, "next": more, "position": position})

    def _follow(
        self, req: falcon.Request, resp: falcon.Response, store: EventStore, project_id: int, after: int
    ) -> None:
        if not self._followers.acquire(blocking=False):
            raise Throttled(RETRY_AFTER_S)
        resp.set_header("Cache-Control", "no-store")
        resp.set_header("X-Accel-Buffering", "no")
        resp.stream = _Following(store, project_id, after, live(req.env), self._followers)


class _Following:
    """Server-sent events: what is there above a position, then what comes, until client or server go."""

    def __init__(
        self, store: EventStore, project_id: int, after: int, server: Live, followers: BoundedSemaphore
    ) -> None:
        self._followers: BoundedSemaphore | None = followers
        self._parts = self._sent(store, project_id, after, server)

    def __iter__(self) -> Iterator[bytes]:
        return self._parts

    @staticmethod
    def _sent(store: EventStore, project_id: int, after: int, server: Live) -> Iterator[bytes]:
        stirred_at = 0.0
        while server.goes_on():
            last = store.position()
            for place, text in own_texts(PastStore(store, last), project_id, after):
                yield b"id: %d\ndata: %b\n\n" % (place, text)
            after = max(after, last)
            if time.monotonic() - stirred_at >= STIRS_EVERY_S:
                stirred_at = time.monotonic()
                yield b": %d\n\n" % after
            with waiting():
                time.sleep(LOOKS_EVERY_S)

    def close(self) -> None:
        """Let another client follow; the server calls this once, whatever happened."""
        followers, self._followers = self._followers, None
        if followers is not None:
            followers.release()


def own_texts(store: EventStore, project_id: int, after: int) -> Iterator[tuple[int, bytes]]:
    """Give position and text of a project's records above a position."""
    for position, text in enumerate(texts_of(store, after), start=after + 1):
        if orjson.loads(text)["project_id"] == project_id:
            yield position, text


def _after(req: falcon.Request) -> int:
    """Return the position to go on from. Raises `InvalidInput`."""
    given: Any = req.get_param("after") or req.get_header("Last-Event-ID") or "0"
    number = row_id(given)
    if number is None:
        raise InvalidInput("A valid integer is required.", path="after")
    return min(number, BEYOND)
