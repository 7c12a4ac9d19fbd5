"""The real server beside a bare Falcon route under the same gunicorn: reading one insight, a list, capturing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

KEY, TOKEN = "phx_" + "k" * 40, "phc_" + "t" * 40
CONNECTIONS = 8
SECONDS = 3
BARE = """
import sys, json, falcon
from gunicorn.app.base import BaseApplication
body = sys.stdin.read().encode()
class R:
    def on_get(self, req, resp, project, ref=None):
        resp.content_type = "application/json"; resp.data = body
class H:
    def on_get(self, req, resp): resp.data = b"{}"
class S(BaseApplication):
    def load_config(self):
        settings = {"bind": "127.0.0.1:" + sys.argv[1], "workers": 1, "worker_class": "gthread", "threads": 64,
                    "keepalive": 30, "loglevel": "warning"}
        for name, value in settings.items(): self.cfg.set(name, value)
    def load(self):
        sys.setswitchinterval(0.0005)
        app = falcon.App(); app.req_options.strip_url_path_trailing_slash = True
        app.add_route("/api/projects/{project}/insights/{ref}", R()); app.add_route("/_health", H()); return app
sys.argv = sys.argv[:2]; S().run()
"""
LOAD = """
import http.client, json, sys, threading, time
port, method, path, key, seconds, connections, body = json.load(sys.stdin)
counts, statuses = [0] * connections, set()
def work(n):
    wire = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": "Bearer " + key, "Content-Type": "application/json"}
    while time.perf_counter() < end:
        wire.request(method, path, body=body, headers=headers)
        answer = wire.getresponse(); answer.read(); statuses.add(answer.status); counts[n] += 1
    wire.close()
end = time.perf_counter() + seconds
threads = [threading.Thread(target=work, args=(n,)) for n in range(connections)]
[t.start() for t in threads]; [t.join() for t in threads]
assert statuses == {200}, statuses
print(sum(counts) / seconds)
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def started(command, port, **options):
    """Start a server and wait until it answers; gives the process and the seconds it took."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, **options)
    if options.get("stdin"):
        process.stdin.write(options["text"] and BODY["text"])
        process.stdin.close()
    while time.perf_counter() - began < 30:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_health", timeout=1).close()
            return process, time.perf_counter() - began
        except OSError:
            time.sleep(0.005)
    raise RuntimeError("the server is not ready")


BODY = {"text": ""}


def serve(folder, port):
    env = os.environ | {"INSIGHTLOG_BOOTSTRAP_API_KEY": KEY, "INSIGHTLOG_BOOTSTRAP_PROJECT_TOKEN": TOKEN}
    return started(
        [sys.executable, "-m", "insightlog", "serve", "--data", str(folder), "--port", str(port)], port, env=env
    )


def ask(port, method, path, body=None):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode()


def rate(port, method, path, body=None):
    """Requests per second that one load generator gets answered over 8 connections in 3 seconds."""
    job = json.dumps([port, method, path, KEY, SECONDS, CONNECTIONS, None if body is None else json.dumps(body)])
    done = subprocess.run([sys.executable, "-c", LOAD], input=job, capture_output=True, text=True, check=True)
    return float(done.stdout)


def run(events):
    """Rows in requests, or events, per second."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        server, _ = serve(Path(folder) / "data", port)
        query = {
            "kind": "InsightVizNode",
            "source": {"kind": "TrendsQuery", "series": [{"kind": "EventsNode", "event": "x"}]},
        }
        for n in range(100):
            ask(port, "POST", "/api/projects/1/insights/", {"name": f"n{n}", "query": query})
        BODY["text"] = ask(port, "GET", "/api/projects/1/insights/1/")
        bare_port = free_port()
        bare, _ = started([sys.executable, "-c", BARE, str(bare_port)], bare_port, stdin=subprocess.PIPE, text=True)
        try:
            ours = rate(port, "GET", "/api/projects/1/insights/1/")
            ceiling = rate(bare_port, "GET", "/api/projects/1/insights/1/")
            yield {
                "name": "GET one insight",
                "ours": ours,
                "ceiling": ceiling,
                "unit": "requests/s",
                "ratio": ceiling / ours,
                "target": 2,
            }
            ours = rate(port, "GET", "/api/projects/1/insights/?basic=true&limit=100")
            yield {
                "name": "GET a page of 100, basic",
                "ours": ours,
                "ceiling": None,
                "unit": "requests/s",
                "ratio": None,
            }
            batch = [{"event": "x", "distinct_id": f"u{n}", "properties": {"plan": "pro", "n": n}} for n in range(100)]
            ours = 100 * rate(port, "POST", "/batch/", {"api_key": TOKEN, "batch": batch})
            yield {
                "name": "capture, batches of 100",
                "ours": ours,
                "ceiling": None,
                "unit": "events/s",
                "ratio": None,
                "least": 15_000,
            }
        finally:
            for process in (server, bare):
                process.terminate()
                process.wait(30)
