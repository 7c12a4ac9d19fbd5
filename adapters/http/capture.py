"""Falcon resources that take events from SDKs (insights-api.md 8.1 and 8.8); errors here are plain text."""

from __future__ import annotations

import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import falcon

from ...application.json_values import quick_text
from ...application.ports import Clock
from ...application.product_ports import Appending
from ...domain.capture import IDENTIFY, BadPayload, BadToken, Receipt, read_payload, uuid7
from ...domain.errors import CorruptLog, StoreUnavailable
from ...domain.product_event import PlainEvent
from ...domain.timestamps import parse_timestamp, sent_at_of_query
from .body import CAPTURE_LIMITS
from .inflate import TooLarge
from .later import Later, store
from .operations import Parameter, operation
from .payload import Payload, Sent, decode_payload
from .schemas import INTEGER, TEXT, one_of, shape

Capture = Callable[[str, Sequence[PlainEvent]], Appending | None]
"""Returns what stores events under a token; None for an unknown token. Raises `StoreUnavailable`."""
LetPass = Callable[[], None]
"""Waits while others come before captures."""

EVENT_PATHS = ("/batch", "/capture", "/e", "/i/v0/e", "/i/v0/ai/batch", "/track")
ENGAGE_PATH = "/engage"
RECORDING_PATH = "/s"
TRANSIENT = "transient error, please retry"
TEXT_MEDIA = "text/plain; charset=utf-8"
_OK = b'{"status": "Ok"}'
_METHODS = "GET, POST, OPTIONS"
_DEFAULT_HEADERS = "X-Requested-With, Content-Type, Content-Encoding"

BEACON = Parameter("beacon", TEXT, "1: answer 204 without a body.")
PACKED_IN_QUERY = (
    Parameter("data", TEXT, "The payload; stronger than the body."),
    Parameter("compression", TEXT, "How the payload is packed: gzip, gzip-js, base64 or lz64."),
)
SENT_IN_QUERY = (*PACKED_IN_QUERY, Parameter("_", INTEGER, "When it was sent, in milliseconds since 1970."), BEACON)
TAKEN = {200: shape({"status": one_of("Ok")}), 204: None}


def at_once() -> None:
    """Wait for nobody."""


class UnknownTokens:
    """Counts requests with a well-formed token that no project has, in bounded memory."""

    def __init__(self, max_tokens: int = 1000) -> None:
        self.n_requests = 0
        self._max_tokens = max_tokens
        self._by_token: Counter[str] = Counter()
        self._lock = threading.Lock()

    def count(self, token: str) -> None:
        """Count a request; tokens beyond the first `max_tokens` count in `n_requests` only."""
        with self._lock:
            self.n_requests += 1
            if token in self._by_token or len(self._by_token) < self._max_tokens:
                self._by_token[token] += 1

    def most_common(self, n_tokens: int) -> list[tuple[str, int]]:
        """Return the tokens that most requests came with, and how many."""
        with self._lock:
            return self._by_token.most_common(n_tokens)


class CaptureResource:
    """Takes events by GET (in `data`) and POST and answers once they are durable."""

    def __init__(
        self,
        capture: Capture,
        clock: Clock,
        *,
        max_bytes: int,
        default_event: str | None = None,
        unknown: UnknownTokens | None = None,
        let_pass: LetPass = at_once,
    ) -> None:
        self._capture = capture
        self._clock = clock
        self._max_bytes = max_bytes
        self._default_event = default_event
        self._unknown = unknown if unknown is not None else UnknownTokens()
        self._let_pass = let_pass

    @operation(answers=TAKEN, query=SENT_IN_QUERY)
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Take the events in the query string."""
        self._take(req, resp)

    @operation(answers=TAKEN, query=SENT_IN_QUERY, is_body_any=True)
    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Take the events in the query string or the body."""
        self._take(req, resp)

    def on_options(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer a preflight request."""
        allow_origin(req, resp)

    def _take(self, req: falcon.Request, resp: falcon.Response) -> None:
        allow_origin(req, resp)
        with refusals(resp):
            appending = self._read(req)
            _write_ok(req, resp)
            store_before(req, resp, appending)

    def _read(self, req: falcon.Request) -> Appending | None:
        """Return what stores the events of a request; None when there is nothing to store."""
        self._let_pass()
        payload = decode_payload(sent_of(req), self._max_bytes)
        now = self._clock()
        # What is imported was sent by others long ago: the importer's address says nothing about it.
        is_migration = isinstance(payload.value, dict) and payload.value.get("historical_migration") is True
        receipt = Receipt(
            now=now,
            new_uuid=lambda: uuid7(now, secrets.randbits(74)),
            sent_at_us=_sent_at(req, payload),
            ip=None if is_migration else req.remote_addr,
            default_event=self._default_event,
            token=payload.form.get("api_key") or payload.form.get("token"),
            write=quick_text,
        )
        batch = read_payload(payload.value, receipt)
        if not batch.events:
            return None
        appending = self._capture(batch.token, batch.events)
        if appending is None:
            self._unknown.count(batch.token)
        return appending


class DiscardResource:
    """Takes session recordings and forgets them."""

    @operation(answers=TAKEN, query=(BEACON,))
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer as if they were stored."""
        self.on_post(req, resp)

    @operation(answers=TAKEN, query=(BEACON,), is_body_any=True)
    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer as if they were stored."""
        allow_origin(req, resp)
        _write_ok(req, resp)

    def on_options(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer a preflight request."""
        allow_origin(req, resp)


class Probe:
    """`/_readiness` and `/_liveness`."""

    @operation(answer=one_of("ok"), media="text/plain")
    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Answer 200: the process serves."""
        _write_text(resp, falcon.HTTP_200, "ok")


def capture_routes(
    capture: Capture, clock: Clock, *, unknown: UnknownTokens | None = None, let_pass: LetPass = at_once
) -> list[tuple[str, Any]]:
    """Return paths, without trailing slash, and the resource of each; `unknown` counts unknown tokens."""
    counter = unknown if unknown is not None else UnknownTokens()

    def resource(path: str, default_event: str | None = None) -> CaptureResource:
        return CaptureResource(
            capture,
            clock,
            max_bytes=CAPTURE_LIMITS[path],
            default_event=default_event,
            unknown=counter,
            let_pass=let_pass,
        )

    return [
        *((path, resource(path)) for path in EVENT_PATHS),
        (ENGAGE_PATH, resource(ENGAGE_PATH, IDENTIFY)),
        (RECORDING_PATH, DiscardResource()),
        ("/_readiness", Probe()),
        ("/_liveness", Probe()),
    ]


@contextmanager
def refusals(resp: falcon.Response) -> Iterator[None]:
    """Answer what a capture endpoint refuses, in plain text (insights-api.md 8.8)."""
    try:
        yield
    except BadPayload as error:
        _write_text(resp, falcon.HTTP_400, error.detail)
    except BadToken as error:
        _write_text(resp, falcon.HTTP_401, str(error))
    except TooLarge as error:
        _write_text(resp, falcon.HTTP_413, f"maximum event size exceeded: {error}")
    except (StoreUnavailable, CorruptLog):
        _write_text(resp, falcon.HTTP_503, TRANSIENT)


def store_before(req: falcon.Request, resp: falcon.Response, appending: Appending | None) -> None:
    """Have events stored before the answer is sent, in whose place stands a refusal when that fails."""
    if appending is not None:
        store(req.env, Later(appending, partial(_unavailable, resp)))


def _unavailable(resp: falcon.Response, error: Exception) -> tuple[str, list[tuple[str, str]], bytes]:
    """Return the answer in place of one that was made. Raises an error that has none."""
    if not isinstance(error, StoreUnavailable | CorruptLog):
        raise error
    headers = {**resp.headers, "content-type": TEXT_MEDIA, "content-length": str(len(TRANSIENT))}
    return falcon.HTTP_503, list(headers.items()), TRANSIENT.encode()


def sent_of(req: falcon.Request) -> Sent:
    """Return where a request's payload may be and how it says it is packed."""
    return Sent(
        query={name: req.get_param(name) or "" for name in ("data", "compression") if req.has_param(name)},
        body=req.bounded_stream.read(),
        content_type=req.content_type or "",
        content_encoding=req.get_header("Content-Encoding") or "",
    )


def _sent_at(req: falcon.Request, payload: Payload) -> int | None:
    """Return when the client sent the request by its own clock, as the query string or the form says."""
    if payload.form.get("sent_at"):
        return parse_timestamp(payload.form["sent_at"])
    return sent_at_of_query(req.get_param("_") or "")


def allow_origin(req: falcon.Request, resp: falcon.Response) -> None:
    """Let any page send events: pages of the measured product live on origins of their own."""
    origin = req.get_header("Origin")
    if origin is None:
        return
    resp.set_header("Access-Control-Allow-Origin", origin)
    resp.set_header("Access-Control-Allow-Credentials", "true")
    resp.set_header("Access-Control-Allow-Methods", _METHODS)
    resp.set_header(
        "Access-Control-Allow-Headers", req.get_header("Access-Control-Request-Headers") or _DEFAULT_HEADERS
    )
    resp.append_header("Vary", "Origin")


def _write_ok(req: falcon.Request, resp: falcon.Response) -> None:
    if req.get_param("beacon") == "1":
        resp.status = falcon.HTTP_204
        return
    resp.content_type = falcon.MEDIA_JSON
    resp.data = _OK


def _write_text(resp: falcon.Response, status: str, text: str) -> None:
    resp.status = status
    resp.content_type = TEXT_MEDIA
    resp.text = text
