"""The official SDKs, unchanged, against a real server: posthog-js in a real browser, posthog-node, posthog-python."""

from __future__ import annotations

import gzip
import http.server
import json
import os
import shutil
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlencode

import pytest

from .conftest import KEY, TOKEN
from .installed import needed, npm_packages

HERE = Path(__file__).parent / "sdks"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WAIT_S = 15


@pytest.fixture(scope="session")
def npm():
    """The folder of the installed npm packages."""
    return npm_packages("sdks", (HERE / "package.json").read_text())


class Shop(http.server.ThreadingHTTPServer):
    """The measured product: a page with posthog-js on an origin of its own."""

    def __init__(self, script):
        super().__init__(("127.0.0.1", 0), ShopPages)
        self.script = script
        self.done = threading.Event()
        self.said = None
        threading.Thread(target=self.serve_forever, daemon=True).start()


class ShopPages(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        script = self.path.endswith(".js")
        body = self.server.script if script else (HERE / "page.html").read_bytes()
        self._answer(body, "application/javascript" if script else "text/html")

    def do_POST(self):
        self.server.said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(b"", "text/plain")
        self.server.done.set()

    def _answer(self, body, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def stored(server):
    """All events that the server has acknowledged so far, as (event, distinct id, properties)."""
    import insightlog
    from insightlog.adapters.storage.sqlite.capture_log import SQLiteCaptureLog

    assert insightlog
    log = SQLiteCaptureLog(server.data / "capture.sqlite")
    rows = log.read(0, 10_000)
    log.close()
    return [(row.event.event, row.event.distinct_id, json.loads(row.event.properties)) for row in rows]


def wait_for(server, *names):
    """Return the stored events once all the names are among them."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        events = stored(server)
        if set(names) <= {event for event, _, _ in events}:
            return events
        time.sleep(0.1)
    raise AssertionError(f"these events came: {[event for event, _, _ in stored(server)]}")


@pytest.mark.parametrize(
    ("bundle", "options"),
    [("array.js", {}), ("array.full.no-external.js", {"compression": "none", "batching": "false"})],
    ids=["config as a script, gzip", "config as JSON, not compressed"],
)
def test_150_posthog_js_in_a_browser_starts_and_delivers(server, npm, tmp_path, bundle, options):
    needed(CHROMIUM, "no chromium is installed")
    shop = Shop((npm / "node_modules/posthog-js/dist" / bundle).read_bytes())
    query = urlencode({"token": TOKEN, "host": server.url, **options})
    page = f"http://127.0.0.1:{shop.server_address[1]}/?{query}"
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", f"--user-data-dir={tmp_path / 'browser'}", "--remote-debugging-port=0"]  # fmt: skip
    browser = subprocess.Popen([CHROMIUM, *flags, page], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert shop.done.wait(WAIT_S), "posthog-js never got its flags"
        wanted = ("$pageview", "cart filled", "$identify", "$groupidentify", "$autocapture", "flags came")
        events = wait_for(server, *wanted)
    finally:
        browser.terminate()
        browser.wait(30)
        shop.shutdown()
        shop.server_close()
    by_name = {event: (who, properties) for event, who, properties in events}
    if bundle == "array.js":
        assert shop.said[TOKEN]["config"]["supportedCompression"] == ["gzip", "gzip-js"]
    who, properties = by_name["cart filled"]
    assert (properties["items"], properties["name"]) == (3, "Größe 💻")
    assert properties["$lib"] == "web"
    assert by_name["$identify"][0] == "shopper-1"
    assert by_name["$identify"][1]["$anon_distinct_id"] == who
    assert by_name["$identify"][1]["$set"]["email"] == "shopper@example.com"
    assert by_name["$groupidentify"][1]["$group_set"] == {"plan": "pro"}
    assert by_name["flags came"][1]["flags"] == []
    assert "button" in by_name["$autocapture"][1]["$elements_chain"]
    people = [{"kind": "EventsNode", "event": None, "math": "dau"}]
    _, answer = server.request(
        "POST", "query/", {"query": {"kind": "TrendsQuery", "series": people}, "refresh": "force_blocking"}
    )
    assert sum(answer["results"][0]["data"]) == 1, "who came anonymously and was identified is one person"


@pytest.mark.parametrize("mode", ["v0", "v1"])
def test_posthog_node_delivers(server, npm, mode):
    script = npm / "send.mjs"
    script.write_text((HERE / "send.mjs").read_text())
    done = subprocess.run(
        ["node", str(script), server.url, TOKEN],
        capture_output=True, text=True, timeout=60,
        env=os.environ | {"INSIGHTLOG_KEY": KEY, "POSTHOG_CAPTURE_MODE": mode},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"flags": {}}
    events = wait_for(server, "order shipped", "$identify", "$create_alias", "$groupidentify")
    assert Counter(event for event, _, _ in events)["order placed"] == 50
    assert sorted(properties["n"] for event, _, properties in events if event == "order placed") == list(range(50))
    by_name = {event: (who, properties) for event, who, properties in events}
    assert by_name["order shipped"][1]["$groups"] == {"organization": "acme"}
    assert by_name["$identify"][1]["$set"]["email"] == "node@example.com"
    assert by_name["$create_alias"][1]["alias"] == "node-0-before"


@pytest.mark.parametrize("mode", ["v0", "v1"])
def test_posthog_python_delivers_and_finds_no_flags(server, mode):
    posthog = pytest.importorskip("posthog")
    failed = []
    client = posthog.Posthog(
        TOKEN, host=server.url, secret_key=KEY, flush_at=10, gzip=True, capture_mode=mode,
        on_error=lambda error, _batch: failed.append(error),
    )  # fmt: skip
    for n in range(25):
        client.capture("order placed", distinct_id="python-1", properties={"n": n})
    client.set(distinct_id="python-1", properties={"email": "python@example.com"})
    client.group_identify("organization", "acme", {"plan": "pro"})
    client.alias("python-0", "python-1")
    assert client.get_all_flags("python-1") == {}
    client.shutdown()
    assert failed == []
    events = wait_for(server, "order placed", "$set", "$groupidentify", "$create_alias")
    assert Counter(event for event, _, _ in events)["order placed"] == 25


def test_sdks_that_compress_by_header_are_read(server):
    body = gzip.compress(json.dumps({"api_key": TOKEN, "batch": [{"event": "x", "distinct_id": "u"}]}).encode())
    import urllib.request

    request = urllib.request.Request(
        f"{server.url}/batch/", data=body, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        assert json.loads(answer.read()) == {"status": "Ok"}
    assert [event for event, _, _ in stored(server)] == ["x"]
