"""`insightlog backup` beside a server that is written to, and `restore`: nothing acknowledged before is missing."""

from __future__ import annotations

import json
import threading
import uuid
from uuid import UUID

import insightlog
from insightlog.adapters.verification import verify_folder
from insightlog.domain.product_event import ProductEvent

from .conftest import TOKEN, Server, run

TREND = {"kind": "TrendsQuery", "series": [{"kind": "EventsNode", "event": None}]}


def test_a_backup_under_load_holds_what_was_acknowledged_before_it(server, tmp_path):
    acknowledged, names, failed = [], [], []
    started, enough = threading.Event(), threading.Event()

    def write():
        while not enough.is_set():
            batch = [{"event": "hit", "distinct_id": "u", "uuid": str(uuid.uuid4())} for _ in range(10)]
            name = f"insight {len(names)}"
            codes = (
                server.request("POST", "/batch/", {"api_key": TOKEN, "batch": batch}, key=None)[0],
                server.request("POST", "insights/", {"name": name})[0],
            )
            if codes != (200, 201):
                failed.append(codes)
            acknowledged.append(len(batch))
            names.append(name)
            if len(names) >= 10:
                started.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert started.wait(30)
    n_events, n_names = sum(acknowledged), len(names)
    done = run("backup", "--data", server.data, "--to", tmp_path / "copy", "--json")
    enough.set()
    writer.join()
    assert (done.returncode, failed) == (0, []), done.stderr
    assert json.loads(done.stdout)["captured"] >= n_events
    server.stop()
    assert json.loads(run("verify", "--data", tmp_path / "copy", "--json").stdout)["ok"]

    back = run("restore", "--from", tmp_path / "copy", "--data", tmp_path / "again", "--json")
    assert back.returncode == 0, back.stderr
    other = Server(tmp_path / "again")
    other.start()
    try:
        _, page = other.request("GET", "insights/?limit=1000&basic=true")
        found = {one["name"] for one in page["results"]}
        assert set(names[:n_names]) <= found <= set(names)
        _, answer = other.request("POST", "query/", {"query": TREND, "refresh": "force_blocking"})
        assert n_events <= sum(answer["results"][0]["data"]) <= sum(acknowledged)
    finally:
        other.kill()


def test_imports_and_the_archive_are_in_a_backup(tmp_path):
    with insightlog.open(tmp_path / "data") as log:
        project = log.create_project("One")
        project.capture([{"event": "old", "distinct_id": "a"}, {"event": "old", "distinct_id": "b"}])
        store = log.parts.product_store()
        (one,) = log.parts.capture_log.read(1, 1)
        store.import_events(1, [[ProductEvent(UUID(int=1), "bulk", "c", log.now(), "{}")]])
        assert store.archive(one.captured_at.replace(year=one.captured_at.year + 1)) == 2
        project.capture([{"event": "new", "distinct_id": "a"}])
    assert run("backup", "--data", tmp_path / "data", "--to", tmp_path / "copy").returncode == 0
    assert run("restore", "--from", tmp_path / "copy", "--data", tmp_path / "again").returncode == 0
    with insightlog.open(tmp_path / "again") as log:
        assert [one.name for one in log.project(1).captured.event_definitions()] == ["bulk", "new", "old"]
        assert sum(log.project(1).query(TREND)["results"][0]["data"]) == 4
    assert verify_folder(tmp_path / "again", lambda *_: None).problems == []
    next((tmp_path / "again" / "archive").iterdir()).unlink()
    (problem,) = verify_folder(tmp_path / "again", lambda *_: None).problems
    assert problem == "archive/ lacks the captured events 1 to 2."


def test_what_is_not_empty_or_no_backup_is_refused(tmp_path):
    with insightlog.open(tmp_path / "data") as log:
        log.create_project("One")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for words, text in (
        (["backup", "--data", tmp_path / "data", "--to", tmp_path / "full"], "not empty"),
        (["backup", "--data", tmp_path / "full", "--to", tmp_path / "copy"], "no log"),
        (["restore", "--from", tmp_path / "full", "--data", tmp_path / "again"], "no backup"),
    ):
        done = run(*words)
        assert (done.returncode, text in done.stderr) == (1, True), done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "full"]
