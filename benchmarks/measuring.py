"""What benchmarks share: rows with their targets, and servers in processes of their own."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
KEY = "phx_" + "k" * 40
TOKEN = "phc_" + "t" * 40
READY_S = 30
POLL_S = 0.005


def row(
    name: str,
    ours: float,
    unit: str,
    *,
    ceiling: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    share: float | None = None,
    at_most_share: float | None = None,
) -> dict[str, Any]:
    """Return a row; its target is a least or highest figure, or a least or highest share of the ceiling."""
    ratio = None if ceiling is None else ours / ceiling
    target, ok = None, None
    if at_least is not None:
        target, ok = f">= {at_least:,.10g} {unit}", ours >= at_least
    elif at_most is not None:
        target, ok = f"<= {at_most:,.10g} {unit}", ours <= at_most
    elif share is not None and ratio is not None:
        target, ok = f">= {share:g} of ceiling", ratio >= share
    elif at_most_share is not None and ratio is not None:
        target, ok = f"<= {at_most_share:g} of ceiling", ratio <= at_most_share
    return {"name": name, "ours": ours, "ceiling": ceiling, "unit": unit, "ratio": ratio, "target": target, "ok": ok}


class Served:
    """A server in a process group of its own, from its start until it is stopped."""

    def __init__(self, command: Sequence[str], port: int, log: Path, path: str) -> None:
        self.port = port
        self._log = log
        environ = os.environ | {"INSIGHTLOG_BOOTSTRAP_API_KEY": KEY, "INSIGHTLOG_BOOTSTRAP_PROJECT_TOKEN": TOKEN}
        begun = time.perf_counter()
        with log.open("ab") as output:
            self.process = subprocess.Popen(command, env=environ, stdout=output, stderr=output, start_new_session=True)
        self._wait(path)
        self.ready_s = time.perf_counter() - begun

    def _wait(self, path: str) -> None:
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if self.request("GET", path)[0] == 200:
                    return
            except OSError:
                time.sleep(POLL_S)
        self.kill()
        raise RuntimeError(f"The server is not ready: {self._log.read_text()[-2000:]}")

    def request(self, method: str, path: str, body: bytes | None = None, *, timeout_s: float = 30) -> tuple[int, bytes]:
        """Send one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            connection.request(method, path, body, {"Authorization": f"Bearer {KEY}", "Connection": "close"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def processes(self) -> list[int]:
        """Return the process ids of the server and all that descend from it."""
        parents = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                after_name = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(stat.parent.name)] = int(after_name[1])
        found = [self.process.pid]
        for one in found:
            found += [pid for pid, parent in parents.items() if parent == one]
        return found

    def memory_mb(self, kind: str = "Rss") -> float:
        """Return the resident memory of all processes in MB; `Pss` counts what they share once."""
        kilobytes = 0
        for pid in self.processes():
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            kilobytes += next(int(one.split()[1]) for one in lines if one.startswith(f"{kind}:"))
        return kilobytes / 1024

    def stop(self) -> float:
        """End it as an operator would; return how many seconds that took."""
        begun = time.perf_counter()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        if code != 0:
            raise RuntimeError(f"The server ended with {code}: {self._log.read_text()[-2000:]}")
        return time.perf_counter() - begun

    def kill(self) -> None:
        """End it and its workers at once."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(30)


@contextmanager
def insightlog_server(folder: Path) -> Iterator[Served]:
    """Run `insightlog serve` on a folder; a new one gets `KEY` and `TOKEN`."""
    port = free_port()
    command = [sys.executable, "-m", "insightlog", "serve", "--data", str(folder), "--port", str(port)]
    with _ended(Served(command, port, folder.parent / "serve.log", "/_health")) as served:
        yield served


@contextmanager
def bare_server(folder: Path, *answers: Path) -> Iterator[Served]:
    """Run a Falcon app that answers `/0`, `/1` ... with the JSON in the given files, under the same gunicorn."""
    port = free_port()
    command = [sys.executable, str(HERE / "bare.py"), str(port), *map(str, answers)]
    with _ended(Served(command, port, folder / "bare.log", "/_health")) as served:
        yield served


@contextmanager
def _ended(served: Served) -> Iterator[Served]:
    try:
        yield served
        if served.process.poll() is None:
            served.stop()
    finally:
        served.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
