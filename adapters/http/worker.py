"""gunicorn's gthread, with threads that take turns, and answers that no thread waits for."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterable
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.http import wsgi
from gunicorn.http.body import LengthReader
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, TConn, ThreadWorker

from ...application.turns import TurnPool, turn

ACCEPTED_AT_ONCE = 64
SENT_AT_ONCE = 1 << 16
"""Bytes of an answer that are gathered before they are sent."""


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
        """Give a new connection to a thread once it has sent something: gunicorn lets a thread wait for that."""
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
        try:
            goes_on = self.handle(conn)
        finally:
            self._finish(conn, goes_on)

    def handle_request(self, req: Any, conn: TConn) -> bool:
        """Answer a request; whether the connection may be used again.

        As in gunicorn, but for what is not set here (its hooks, log of accesses and restarts), and answers go out in as
        few pieces as they can.
        """
        sent = _Gathered(conn.sock)
        resp, environ = wsgi.create(req, sent, conn.client, conn.server, self.cfg)
        environ["wsgi.multithread"] = True
        if not self.alive or len(self.keepalived_conns) >= self.max_keepalived:
            resp.force_close()
        try:
            _send(resp, sent, self.wsgi(environ, resp.start_response))
        except OSError:
            raise
        except Exception as error:
            if not sent.has_begun:
                raise
            self.log.exception("An answer could not be sent whole.")
            raise StopIteration from error
        return not resp.should_close()

    def _keepalive_after(self, conn: TConn, keepalive: bool) -> bool:
        """Whether the connection can be used again, once what is left of the body was read."""
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


def _send(resp: Any, sent: _Gathered, body: Iterable[bytes]) -> None:
    try:
        for part in body:
            resp.write(part)
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
