"""WSGI middleware that owns request bodies: size, transfer and content encoding, JSON depth.

The app behind it gets a body that is whole, within bounds and inflated, with its true CONTENT_LENGTH. What a body
means is the resources' business; capture paths decode theirs, since their hints may stand in the query string.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from io import BytesIO
from typing import Any, Protocol

import orjson

from .inflate import NotCompressed, TooLarge, inflate

WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

MAX_CAPTURE_BYTES = 2 << 20
MAX_BATCH_BYTES = 20 << 20
MAX_API_BYTES = 4 << 20
MAX_JSON_DEPTH = 200

CAPTURE_LIMITS: Mapping[str, int] = {
    **dict.fromkeys(("/e", "/i/v0/e", "/capture", "/track", "/engage", "/flags", "/decide"), MAX_CAPTURE_BYTES),
    **dict.fromkeys(("/batch", "/i/v0/ai/batch", "/i/v1/analytics/events", "/s"), MAX_BATCH_BYTES),
}
"""Paths whose bodies are handed on as they came and whose refusals are plain text, with the bytes that each takes."""

_STEP_BYTES = 1 << 16
_DRAIN_BYTES = 64 << 20
_JSON_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))
_NO_ENCODING = frozenset({"", "identity"})
_ENCODINGS = frozenset({"gzip", "x-gzip", "deflate"})


class _Input(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class Refused(Exception):
    """A body that is not handed on."""

    def __init__(self, status: str, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail


class BodyMiddleware:
    """Reads, bounds, inflates and checks the body of every request.

    `limits` gives the bytes that a path may take, before and after inflating, with everything else under
    `max_api_bytes`. Refusals: 413 too large, 400 damaged, short or too deep, 411 chunked on a server that does not
    end the stream, 415 an unknown content encoding.
    """

    def __init__(
        self, app: WSGIApp, *, limits: Mapping[str, int] = CAPTURE_LIMITS, max_api_bytes: int = MAX_API_BYTES
    ) -> None:
        self._app = app
        self._limits = limits
        self._max_api_bytes = max_api_bytes

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        path = environ.get("PATH_INFO", "").rstrip("/")
        is_capture = path in self._limits
        limit = self._limits.get(path, self._max_api_bytes)
        try:
            body = _read(environ, limit)
            if not is_capture and body:
                body = _decoded(environ, body, limit)
                _check_depth(body)
        except Refused as refusal:
            return _refuse(refusal, environ, start_response, as_text=is_capture)
        environ["wsgi.input"] = BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        return self._app(environ, start_response)


def is_nested_deeper(body: bytes, depth: int) -> bool:
    """Whether JSON text opens more than `depth` brackets at once; brackets in strings do not count."""
    if body.count(b"[") + body.count(b"{") <= depth:
        return False
    open_now = 0
    for bracket in _JSON_STRING.sub(b"", body).translate(None, _NO_BRACKET):
        open_now += 1 if bracket in b"[{" else -1
        if open_now > depth:
            return True
    return False


def _read(environ: dict[str, Any], limit: int) -> bytes:
    """Return the whole body, at most `limit` bytes. Raises `Refused`."""
    stream: _Input = environ["wsgi.input"]
    declared = environ.get("CONTENT_LENGTH") or ""
    is_ended_by_server = bool(environ.get("wsgi.input_terminated"))
    if declared:
        if not (declared.isascii() and declared.isdigit()):
            raise _malformed("Content-Length is no number")
        n_declared = int(declared)
    elif is_ended_by_server:
        n_declared = None
    elif environ.get("HTTP_TRANSFER_ENCODING"):
        raise Refused("411 Length Required", "length_required", "This server takes no chunked bodies.")
    else:
        return b""
    try:
        if n_declared is not None and n_declared > limit:
            _drain(stream, n_declared)
            raise _too_large(limit)
        return _read_up_to(stream, limit, n_declared)
    except OSError as error:
        raise _malformed("the body ended too early") from error


def _read_up_to(stream: _Input, limit: int, n_declared: int | None) -> bytes:
    """Return the bytes of a stream that ends by itself, or after `n_declared` bytes."""
    parts, n_bytes = [], 0
    while n_declared is None or n_bytes < n_declared:
        part = stream.read(_STEP_BYTES if n_declared is None else min(_STEP_BYTES, n_declared - n_bytes))
        if not part:
            break
        parts.append(part)
        n_bytes += len(part)
        if n_bytes > limit:
            _drain(stream, _DRAIN_BYTES)
            raise _too_large(limit)
    if n_declared is not None and n_bytes < n_declared:
        raise _malformed(f"the body ended after {n_bytes} of {n_declared} bytes")
    return b"".join(parts)


def _drain(stream: _Input, n_bytes: int) -> None:
    """Read and forget a refused body, within bounds: most clients read the answer after they have sent all."""
    left = min(n_bytes, _DRAIN_BYTES)
    while left > 0:
        part = stream.read(min(_STEP_BYTES, left))
        if not part:
            return
        left -= len(part)


def _decoded(environ: dict[str, Any], body: bytes, limit: int) -> bytes:
    """Return the body without its content encoding. Raises `Refused`."""
    encoding = environ.pop("HTTP_CONTENT_ENCODING", "").strip().lower()
    if encoding in _NO_ENCODING:
        return body
    if encoding not in _ENCODINGS:
        detail = f'Unsupported content encoding "{encoding[:40]}" in request.'
        raise Refused("415 Unsupported Media Type", "unsupported_media_type", detail)
    try:
        return inflate(body, limit)
    except TooLarge as error:
        raise _too_large(limit) from error
    except NotCompressed as error:
        raise _malformed(f"the {encoding} body cannot be read: {error}") from error


def _check_depth(body: bytes) -> None:
    if is_nested_deeper(body, MAX_JSON_DEPTH):
        raise _malformed(f"nested deeper than {MAX_JSON_DEPTH}")


def _malformed(problem: str) -> Refused:
    return Refused("400 Bad Request", "parse_error", f"JSON parse error - {problem}")


def _too_large(limit: int) -> Refused:
    return Refused("413 Content Too Large", "request_too_large", f"the body is larger than {limit} bytes")


def _refuse(
    refusal: Refused, environ: dict[str, Any], start_response: Callable[..., Any], *, as_text: bool
) -> Iterable[bytes]:
    headers = []
    if as_text:
        text = refusal.detail
        if refusal.code == "request_too_large":
            text = f"maximum event size exceeded: {text}"
        kind, body = "text/plain; charset=utf-8", text.encode()
        if "HTTP_ORIGIN" in environ:
            # Without it a browser's SDK sees no status at all and sends the same again.
            headers = [("Access-Control-Allow-Origin", environ["HTTP_ORIGIN"]), ("Vary", "Origin")]
    else:
        answer = {"type": "invalid_request", "code": refusal.code, "detail": refusal.detail, "attr": None}
        kind, body = "application/json", orjson.dumps(answer)
        headers = [("Access-Control-Allow-Origin", "*")]
    start_response(refusal.status, [*headers, ("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]
