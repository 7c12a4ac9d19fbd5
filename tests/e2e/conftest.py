"""A real server: the installed `insightlog serve` in a process of its own, on a folder on disk."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from attrs import frozen
from click.testing import CliRunner

from insightlog.adapters.cli import main

KEY = "phx_" + "k" * 40
TOKEN = "phc_" + "t" * 40
BOOTSTRAP = {"INSIGHTLOG_BOOTSTRAP_API_KEY": KEY, "INSIGHTLOG_BOOTSTRAP_PROJECT_TOKEN": TOKEN}
READY_S = 30


class Server:
    """One server on one folder; it may be stopped, killed and started again."""

    program = ("-m", "insightlog")

    def __init__(self, data: Path):
        self.data = data
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None
        self.output = data.parent / "server.log"

    def start(self, **bootstrap):
        """Start and wait until it is ready; `bootstrap` are the environment's credentials for a new folder."""
        env = os.environ | (bootstrap or BOOTSTRAP)
        command = [sys.executable, *self.program, "serve", "--data", str(self.data), "--port", str(self.port)]
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                command, env=env, stdout=output, stderr=output, cwd=self.data.parent, start_new_session=True
            )
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/_health", timeout=1) as answer:
                    assert answer.status == 200
                    return self
            except OSError:
                time.sleep(0.02)
        raise AssertionError(f"the server is not ready: {self.output.read_text()}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0, self.output.read_text()

    def kill(self):
        """Kill the arbiter and its worker at once, as a power switch would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)

    def request(self, method, path, body=None, key=KEY):
        url = path if path.startswith("/") else f"/api/projects/1/{path}"
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        request = urllib.request.Request(self.url + url, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"null")

    def command(self, *words):
        """Run an `insightlog` command on the folder and return its output as JSON."""
        done = run(*words, "--data", self.data)
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout)


@frozen
class Done:
    """What became of a command."""

    returncode: int
    stdout: str
    stderr: str


def run(*words):
    """Run an `insightlog` command in this process, which has loaded what it needs; errors that it does not tell are raised."""
    done = CliRunner().invoke(main, [*map(str, words)], input="{}", catch_exceptions=False)
    return Done(done.exit_code, done.stdout, done.stderr)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def server(tmp_path):
    made = Server(tmp_path / "data")
    made.start()
    yield made
    if made.process.poll() is None:
        made.kill()
