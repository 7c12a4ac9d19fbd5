"""What only a real server shows: chunked bodies, half-open connections, bombs, a folder that is held, clean ends."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import resource
import select
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from urllib.parse import quote

import pytest

import insightlog
from insightlog.adapters.http.server import ServerOptions, bootstrap

from .conftest import KEY, TOKEN, Server, free_port, run


def connection(server):
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)


def test_a_chunked_body_arrives_whole(server):
    wire = connection(server)
    body = json.dumps({"name": "chunked", "description": "x" * 300}).encode()
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    chunks = (body[n : n + 7] for n in range(0, len(body), 7))
    wire.request("POST", "/api/projects/1/insights/", body=chunks, headers=headers, encode_chunked=True)
    answer = wire.getresponse()
    assert answer.status == 201
    assert json.loads(answer.read())["name"] == "chunked"
    wire.close()


def test_the_log_is_followed_live_and_resumed_until_the_server_ends(server):
    server.request("POST", "insights/", {"name": "before"})
    position = server.request("GET", "/_health")[1]["position"]
    headers = {"Authorization": f"Bearer {KEY}", "Accept": "text/event-stream"}
    with closing(connection(server)) as wire:
        wire.request("GET", "/api/projects/1/log/", headers=headers | {"Last-Event-ID": str(position)})
        answer = wire.getresponse()
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/event-stream")
        server.request("POST", "insights/", {"name": "live"})
        seen = iter(answer.readline, b"")
        data = next(json.loads(line.removeprefix(b"data: ")) for line in seen if line.startswith(b"data: "))
        assert (data["position"], data["data"]["name"]) == (position + 1, "live")
        server.stop()
        try:
            assert list(seen)[-1:] in ([], [b"\n"])
        finally:
            server.start()


def test_bombs_and_large_bodies_are_refused_and_the_connection_or_server_goes_on(server):
    bomb = gzip.compress(bytes(200_000_000))
    for path, expected in (("/batch/", "maximum event size exceeded"), ("/api/projects/1/insights/", "too_large")):
        wire = connection(server)
        wire.request(
            "POST", path, body=bomb,
            headers={"Content-Encoding": "gzip", "Content-Type": "application/json", "Authorization": f"Bearer {KEY}"},
        )  # fmt: skip
        answer = wire.getresponse()
        assert answer.status == 413
        assert expected in answer.read().decode()
        wire.close()
    assert server.request("GET", "insights/")[0] == 200


def test_half_open_requests_do_not_keep_others_waiting(server):
    stuck = []
    for _ in range(40):
        half = socket.create_connection(("127.0.0.1", server.port))
        half.sendall(b"POST /batch/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
        stuck.append(half)
    wire = http.client.HTTPConnection("127.0.0.1", server.port, timeout=2)
    wire.request("GET", "/_health")
    assert wire.getresponse().status == 200
    wire.close()
    for half in stuck:
        half.close()


def test_many_idle_connections_keep_nobody_waiting(server):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(4096, hard)), hard))
    with contextlib.ExitStack() as idle:
        for _ in range(1_200):
            idle.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))
        wire = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        wire.request("GET", "/_health")
        assert wire.getresponse().status == 200
        wire.close()


def test_clients_that_fall_silent_or_drip_amid_a_request_give_their_threads_back(tmp_path):
    server = Server(tmp_path / "data")
    quicker = (
        "from insightlog.adapters.http import worker; worker.SILENT_S = worker.REQUEST_S = 1; "
        "import insightlog.__main__ as run; run.main()"
    )
    server.program = ("-c", quicker)
    server.start()
    try:
        with contextlib.ExitStack() as silent:
            for n in range(80):
                wire = silent.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))
                head = b"POST /batch/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
                wire.sendall(head if n % 2 else head + b"\r\n{")
            assert server.request("GET", "insights/")[0] == 200
            wire.settimeout(10)
            assert wire.recv(100)[:12] in {b"HTTP/1.1 400", b""}
            for begun, answered in ((head, b""), (head + b"\r\n{", b"HTTP/1.1 400")):
                drip = silent.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))
                drip.sendall(begun)
                n_sent = 0
                while not select.select([drip], [], [], 0.05)[0]:
                    drip.sendall(b"a")
                    n_sent += 1
                assert drip.recv(100)[:12] == answered
                assert n_sent < 60
        assert "Traceback" not in server.output.read_text()
    finally:
        server.kill()


def test_a_client_that_never_closes_keeps_nobody_waiting(server):
    lingering = []
    for _ in range(10):
        one = socket.create_connection(("127.0.0.1", server.port))
        one.sendall(b"GET /_health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert one.recv(1000).startswith(b"HTTP/1.1 200")
        lingering.append(one)
    wire = http.client.HTTPConnection("127.0.0.1", server.port, timeout=1.5)
    wire.request("GET", "/_health")
    assert wire.getresponse().status == 200
    wire.close()
    for one in lingering:
        one.close()


def test_captures_are_answered_once_they_are_stored_and_keep_nobody_waiting(server):
    """More captures wait than there are threads; a HEAD is one of them, and one brings its next request along."""
    event = json.dumps({"api_key": TOKEN, "event": "e", "distinct_id": "d"}).encode()
    post = b"POST /e/ HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(event), event)
    sent = [post * 2, b"HEAD /e/?data=%s HTTP/1.1\r\nHost: x\r\n\r\n" % quote(event).encode(), *[post] * 80]
    assert server.request("POST", "/e/", json.loads(event), key=None)[0] == 200
    waiting = []
    with closing(sqlite3.connect(server.data / "capture.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for text in sent:
            waiting.append(socket.create_connection(("127.0.0.1", server.port), timeout=20))
            waiting[-1].sendall(text)
        for _ in range(3):
            assert server.request("GET", "insights/")[0] == 200
        assert select.select(waiting, [], [], 0)[0] == []
        other.execute("COMMIT")
    for one, text in zip(waiting, sent, strict=True):
        answered = b""
        while answered.count(b"HTTP/1.1 200 OK") < 1 + (text == post * 2):
            part = one.recv(10_000)
            assert part, answered
            answered += part
        one.close()
    node = {"kind": "TrendsQuery", "series": [{"kind": "EventsNode", "event": "e"}]}
    answer = server.request("POST", "query/", {"query": node, "refresh": "force_blocking"})[1]
    assert sum(answer["results"][0]["data"]) == 1 + 2 + 1 + 80


def test_commands_beside_a_running_server(server):
    made = server.command("project", "create", "Second", "--timezone", "Europe/Berlin", "--json")
    assert (made["id"], made["name"], made["api_token"][:4]) == (2, "Second", "phc_")
    assert [one["id"] for one in server.command("project", "list", "--json")] == [1, 2]
    user = server.command("user", "create", "omar@example.com", "--json")
    key = server.command("key", "create", "--user", user["email"], "--scope", "insight:read", "--json")
    assert key["scopes"] == ["insight:read"]
    assert server.request("GET", "/api/projects/2/insights/", key=key["key"])[0] == 200
    assert server.request("POST", "insights/", {}, key=key["key"])[0] == 403
    server.command("key", "revoke", str(key["id"]), "--json")
    assert server.request("GET", "insights/", key=key["key"])[0] == 403
    assert server.command("rebuild", "--json")["differences"]["insights"] == 0
    assert server.command("verify", "--json")["ok"]
    event = {"api_key": made["api_token"], "event": "e", "distinct_id": "d"}
    assert server.request("POST", "/capture/", event, key=None) == (200, {"status": "Ok"})


def test_a_query_by_command_asks_the_server_that_holds_the_folder(server, tmp_path):
    server.request("POST", "/capture/", {"api_key": TOKEN, "event": "e", "distinct_id": "d"}, key=None)
    node = {"kind": "TrendsQuery", "series": [{"kind": "EventsNode", "event": "e"}]}
    server.request("POST", "query/", {"query": node})
    file = tmp_path / "query.json"
    file.write_text(json.dumps({"events": [{"id": "e"}]}))
    command = ["query", file, "--data", server.data]
    held = run(*command)
    assert held.returncode == 1
    assert "--url" in held.stderr
    asked = run(*command, "--url", server.url, "--key", KEY)
    assert sum(json.loads(asked.stdout)["results"][0]["data"]) == 1, asked.stderr


@pytest.mark.parametrize(
    ("data", "said"), [("data", "Another server serves"), ("other", "Address already in use. Choose another --port")]
)
def test_a_second_server_is_refused_and_the_first_goes_on(server, data, said):
    port = free_port() if data == "data" else server.port
    second = [
        sys.executable,
        "-m",
        "insightlog",
        "serve",
        "--data",
        str(server.data.parent / data),
        "--port",
        str(port),
    ]
    done = subprocess.run(second, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert not (server.data.parent / "other").exists()
    assert server.request("POST", "query/", {"query": {"kind": "HogQLQuery", "query": "SELECT 1"}})[0] == 200


@pytest.mark.parametrize("n_made", [1, 2])
def test_a_first_start_that_was_cut_short_is_carried_on(tmp_path, n_made):
    options = ServerOptions(data=tmp_path, host="", port=0, bootstrap_api_key=KEY, bootstrap_project_token=TOKEN)
    with insightlog.open(tmp_path) as log:
        owner = log.create_user("owner@localhost", level="owner")
        if n_made == 2:
            log.create_key(owner, value=KEY)
        said = []
        for _ in range(2):
            bootstrap(log, options, said.append)
        assert [(one.id, one.name) for one in log.projects()] == [(1, "Default project")]
        assert log.project(1).token == TOKEN
        assert log.authenticate(KEY).user.email == "owner@localhost"
        assert (len(log.users()), len(log.all_keys()), len(said)) == (1, 1, 1)


def test_generated_credentials_are_printed_once_and_nothing_is_written_elsewhere(tmp_path):
    server, home = Server(tmp_path / "data"), tmp_path / "home"
    home.mkdir()
    try:
        server.start(
            INSIGHTLOG_BOOTSTRAP_API_KEY="", INSIGHTLOG_BOOTSTRAP_PROJECT_TOKEN="",
            HOME=str(home), XDG_RUNTIME_DIR=str(home),
        )  # fmt: skip
        assert list(home.iterdir()) == []
        text = server.output.read_text()
        assert text.count("phx_") == text.count("phc_") == 1
        key = next(word for word in text.split() if word.startswith("phx_"))
        assert server.request("GET", "insights/", key=key)[0] == 200
        server.stop()
        server.start()
        server.stop()
        assert server.output.read_text().count("phx_") == 1
    finally:
        if server.process.poll() is None:
            server.kill()
