"""A load generator: a few keep-alive connections to this machine, each with one request under way.

`python benchmarks/load.py PORT CONNECTIONS COUNT SECONDS` sends the requests on its standard input (each as 4 bytes of
length and its text) round and round, COUNT of them or for SECONDS, and prints `{"n", "seconds", "p50_ms", "p99_ms"}`.
Any answer but 200 ends it with an error.
"""

from __future__ import annotations

import json
import selectors
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

LENGTH = struct.Struct(">I")


def load(port: int, requests: Iterable[bytes], *, connections: int, count: int, seconds: float) -> dict[str, Any]:
    """Send requests from a process of its own and return its figures."""
    command = [sys.executable, "-S", str(Path(__file__)), *map(str, (port, connections, count, seconds))]
    sent = b"".join(LENGTH.pack(len(one)) + one for one in requests)
    done = subprocess.run(command, input=sent, capture_output=True, timeout=seconds + 60)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.decode())
    return json.loads(done.stdout)


def request(method: str, path: str, *, key: str | None = None, body: bytes = b"") -> bytes:
    """Return a request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Accept: application/json"]
    if key is not None:
        lines.append(f"Authorization: Bearer {key}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def generate(port: int, requests: list[bytes], connections: int, count: int, seconds: float) -> dict[str, Any]:
    waiting = selectors.DefaultSelector()
    for _ in range(min(connections, count)):
        opened = socket.create_connection(("127.0.0.1", port), timeout=30)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        waiting.register(opened, selectors.EVENT_READ, Answer())
    took: list[float] = []
    n_sent = 0
    begun = time.perf_counter()

    def send(key: selectors.SelectorKey) -> None:
        nonlocal n_sent
        if n_sent < count and time.perf_counter() - begun < seconds:
            key.data.begin()
            key.fileobj.sendall(requests[n_sent % len(requests)])
            n_sent += 1

    for key in list(waiting.get_map().values()):
        send(key)
    while len(took) < n_sent:
        ready = waiting.select(30)
        if not ready:
            raise TimeoutError("no answer for 30 s")
        for key, _ in ready:
            if key.data.add(key.fileobj.recv(1 << 18)):
                took.append(time.perf_counter() - key.data.since)
                send(key)
    elapsed = time.perf_counter() - begun
    took.sort()
    n = len(took)
    return {"n": n, "seconds": elapsed, "p50_ms": took[n // 2] * 1000, "p99_ms": took[n * 99 // 100] * 1000}


class Answer:
    """What came back so far for one request."""

    def begin(self) -> None:
        self.since = time.perf_counter()
        self._came = b""
        self._wanted = 0

    def add(self, part: bytes) -> bool:
        """Take a part; whether the answer is whole."""
        if not part:
            raise ConnectionError(f"the server closed the connection after {self._came[:200]!r}")
        self._came += part
        if not self._wanted:
            head, end, _ = self._came.partition(b"\r\n\r\n")
            if not end:
                return False
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"unexpected answer: {self._came[:500]!r}")
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            self._wanted = len(head) + 4 + int(length)
        return len(self._came) >= self._wanted


def main() -> None:
    port, connections, count = (int(one) for one in sys.argv[1:4])
    requests = []
    while length := sys.stdin.buffer.read(LENGTH.size):
        requests.append(sys.stdin.buffer.read(LENGTH.unpack(length)[0]))
    print(json.dumps(generate(port, requests, connections, count, float(sys.argv[4]))))


if __name__ == "__main__":
    main()
