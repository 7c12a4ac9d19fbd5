"""gunicorn's gthread, with threads that take turns, and answers that no thread waits for."""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from selectors import EVENT_READ
from typing import Any, NamedTuple

from gunicorn.http import get_parser, wsgi
from gunicorn.http.body import LengthReader
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, TConn, ThreadWorker

from ...application.turns import TurnPool, turn
from .later import LATER, Later, Refuse
from .live import LIVE, Live

ACCEPTED_AT_ONCE = 64
SILENT_S = 20
"""Seconds that a thread waits for the next bytes of a request, or for room for those of an answer."""
REQUEST_S = 60
"""Seconds that a request may take to arrive ..."""
LEAST_BYTES_PER_S = 10_000
"""... and what more of it may come at least in each further one."""
SENT_AT_ONCE = 1 << 16
"""Bytes of an answer that are gathered before they are sent."""
LEFT: Any = object()
"""In place of whether a connection may be used again, when its request is yet to be answered."""


class PromptWorker(ThreadWorker):  # type: ignore[misc]
    """gthread whose threads take turns, and that waits for clients only in the loop that waits for all.

    PERF: that loop begins all requests that have come in one turn, and whoever has answered one hands the connection
    back by himself; a future and a pipe between the two took as long as the rest of gunicorn.
    """

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._connections = threading.Lock()
        """Guards `nr_conns`, `keepalived_conns` and what `poller` watches: threads that answer change them too."""

    def get_thread_pool(self) -> TurnPool:
        """Return threads that take turns."""
        return TurnPool(self.cfg.threads)

    # -- the loop ----------------------------------------------------------------------------------------------------

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait, then begin all that has come, in a turn."""
        self.poller.select(timeout)
        with turn(), self._connections:
            super().wait_for_and_dispatch_events(0)

    def accept(self, listener: socket.socket) -> None:
        """Accept all who ask, up to a bound."""
        for _ in range(ACCEPTED_AT_ONCE):
            before = self.nr_conns
            super().accept(listener)
            if self.nr_conns == before:
                return

    def enqueue_req(self, conn: TConn) -> None:
        """Give a new connection to a thread once it has sent something: gunicorn lets a thread wait for that.

        A client that falls silent amid a request keeps its thread for `SILENT_S` at most; some never come back.
        One that sends a byte now and then has `REQUEST_S`.
        """
        for side in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            conn.sock.setsockopt(socket.SOL_SOCKET, side, struct.pack("@ll", SILENT_S, 0))
        self._watch(conn)

    def murder_keepalived(self, force: bool = False) -> None:
        """Close connections that were silent for too long, or all."""
        with self._connections:
            super().murder_keepalived(force)

    def _cap_keepalive(self, deadline: float) -> None:
        with self._connections:
            super()._cap_keepalive(deadline)

    def _watch(self, conn: TConn) -> None:
        """Wait for a connection in the loop until it sends something, or is silent for too long; with the lock."""
        conn.set_timeout()
        if not self.alive:
            conn.timeout = min(conn.timeout, time.monotonic() + STOP_KEEPALIVE_LINGER)
        self.keepalived_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self._begin, conn))

    def _begin(self, conn: TConn, sock: socket.socket) -> None:
        """Serve a connection that has sent something; with the lock."""
        self.poller.unregister(sock)
        self.keepalived_conns.remove(conn)
        conn.data_ready = True
        self.tpool.run(partial(self._serve, conn))

    # -- one request -------------------------------------------------------------------------------------------------

    def _serve(self, conn: TConn) -> None:
        goes_on = False
        if conn.parser is None:
            conn.parser = get_parser(self.cfg, conn.sock, conn.client)
            conn.parser.unreader = _Arriving(conn.sock)
        conn.parser.unreader.begin()
        try:
            goes_on = self.handle(conn)
        finally:
            if goes_on is not LEFT:
                self._finish(conn, goes_on)

    def handle_request(self, req: Any, conn: TConn) -> bool:
        """Answer a request; whether the connection may be used again, `LEFT` when the answer waits for something.

        As in gunicorn, but for what is not set here (its hooks, log of accesses and restarts), and answers go out in as
        few pieces as they can.
        """
        sent, waiting = _Gathered(conn.sock), list[Later]()
        resp, environ = wsgi.create(req, sent, conn.client, conn.server, self.cfg)
        live = Live(lambda: self.alive)
        environ.update({"wsgi.multithread": True, LATER: waiting, LIVE: live})
        if not self.alive or len(self.keepalived_conns) >= self.max_keepalived:
            resp.force_close()
        try:
            body = self.wsgi(environ, resp.start_response)
            if waiting:
                answer = _Answer(conn, req, resp, sent, body)
                waiting[0].appending.leave(self.tpool, partial(self._answer_late, answer, waiting[0].refuse))
                return LEFT  # type: ignore[no-any-return]
            _send(resp, sent, body, at_once=live.sends_at_once)
        except OSError:
            raise
        except Exception as error:
            if not sent.has_begun:
                raise
            self.log.exception("An answer could not be sent whole.")
            raise StopIteration from error
        return not resp.should_close()

    def _answer_late(self, answer: _Answer, refuse: Refuse, outcome: Callable[[], object]) -> None:
        """Send an answer once what it waited for has come, or the one in its place."""
        conn, req, resp, sent, body = answer
        goes_on = False
        try:
            try:
                outcome()
            except Exception as error:  # noqa: BLE001 raised again if it has no answer
                status, headers, text = refuse(error)
                must_close, resp, body = resp.must_close, wsgi.Response(req, sent, self.cfg), [text]
                resp.must_close = must_close
                resp.start_response(status, headers)
            _send(resp, sent, body)
            goes_on = self._keepalive_after(conn, not resp.should_close())
        except OSError as error:
            self.log.debug("The client is gone: %s", error)
        except Exception as error:
            self.log.exception("An answer could not be sent.")
            if not sent.has_begun:
                self.handle_error(req, conn.sock, conn.client, error)
        finally:
            self._finish(conn, goes_on)

    def _keepalive_after(self, conn: TConn, keepalive: bool) -> bool:
        """Whether the connection can be used again, once what is left of the body was read."""
        if keepalive is LEFT:
            return LEFT
        body = conn.parser.mesg.body
        if keepalive and isinstance(body.reader, LengthReader) and not body.reader.length and not body.failed:
            return True  # PERF: gunicorn sets the socket's timeout for a look at what is known to be over
        return bool(super()._keepalive_after(conn, keepalive))

    def _finish(self, conn: TConn, goes_on: bool) -> None:
        """Watch the connection again, or close it at once: gunicorn 27 lingers for two seconds there."""
        if goes_on and conn.parser.unreader.buf.getvalue():  # the next request came along with this one
            self.tpool.run(partial(self._serve, conn))
            return
        with self._connections:
            if goes_on:
                self._watch(conn)
                return
            self.nr_conns -= 1
        _close_at_once(conn.sock)
        if not (self.alive and self._accepting):  # the loop may be waiting for that
            self.method_queue.defer(lambda: None)


class _Arriving(SocketUnreader):  # type: ignore[misc]
    """The receiving side of a socket, for one request after the other, each of which has to arrive in its time."""

    def begin(self) -> None:
        """Give the next request its time."""
        self._until = time.monotonic() + REQUEST_S

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Return what has come, b"" at the end. Raises OSError, of a kind that is no news when it took too long."""
        if time.monotonic() > self._until:
            raise ConnectionResetError(errno.ECONNRESET, "The request took too long to arrive.")
        try:
            data: bytes = super().chunk(size_hint)
        except BlockingIOError as error:
            raise ConnectionResetError(errno.ECONNRESET, "The client fell silent.") from error
        self._until += len(data) / LEAST_BYTES_PER_S
        return data


class _Answer(NamedTuple):
    """An answer that was made and not sent."""

    conn: TConn
    req: Any
    resp: Any
    sent: _Gathered
    body: Iterable[bytes]


class _Gathered:
    """The sending side of a socket that gathers what is to be sent."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._parts: list[bytes] = []
        self._size = 0
        self.has_begun = False

    def sendall(self, data: bytes) -> None:
        """Send with what follows, unless it is much."""
        self._parts.append(data)
        self._size += len(data)
        if self._size >= SENT_AT_ONCE:
            self.flush()

    def send(self, data: bytes) -> int:
        """Send at once: what a client waits for before it sends its body."""
        return self._sock.send(data)

    def flush(self) -> None:
        """Send what was gathered."""
        data, self._parts, self._size = b"".join(self._parts), [], 0
        self.has_begun = True
        self._sock.sendall(data)


def _send(resp: Any, sent: _Gathered, body: Iterable[bytes], *, at_once: bool = False) -> None:
    try:
        for part in body:
            resp.write(part)
            if at_once:
                sent.flush()
        resp.close()
        sent.flush()
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()


def _close_at_once(sock: socket.socket) -> None:
    """Close, after reading what has arrived already: unread bytes would reset the connection under the answer."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
        sock.settimeout(0)
        for _ in range(16):
            if not sock.recv(4096):
                break
    sock.close()
