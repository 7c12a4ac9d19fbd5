"""`replay --to` and its inverse: the exported log rebuilds the same folder."""

from __future__ import annotations

from datetime import timedelta

import orjson
import pytest
from click.testing import CliRunner
from tests.builders import TREND, FrozenClock

import insightlog
from insightlog.adapters.cli.main import main
from insightlog.adapters.verification import verify_folder


def run(*words, code=0):
    result = CliRunner().invoke(main, ["replay", *map(str, words)])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def data(tmp_path):
    with insightlog.open(tmp_path / "data", clock=FrozenClock()) as log:
        project, user = log.create_project("One"), log.create_user("ines@example.com")
        log.create_key(user, value="phx_" + "k" * 40)
        board = project.dashboards.create(name="board")
        made = project.insights.create(by=user, name="a", query=TREND, tags=["x"], dashboards=[board.id])
        project.insights.update(made.id, by=user, name="\u00e4, \u2028 and 1e400", description="b", order=7)
        project.insights.update(made.id, by=user, deleted=True)
    return tmp_path / "data"


def state(data):
    with insightlog.open(data, clock=FrozenClock()) as log:
        rows = [log.parts.views.row("insights", 1), *log.parts.views.activity(1, insight_id=1, limit=9, offset=0)[1]]
        return [list(map(bytes, log.parts.store.texts())), rows, log.authenticate("phx_" + "k" * 40).user.email]


def test_an_exported_log_rebuilds_the_same_folder(data, tmp_path):
    run("--data", data, "--to", tmp_path / "log.jsonl")
    run("--data", tmp_path / "new", "--from", tmp_path / "log.jsonl")
    assert state(tmp_path / "new") == state(data)
    assert verify_folder(tmp_path / "new", lambda *_: None).problems == []
    with insightlog.open(tmp_path / "new", clock=FrozenClock()) as log:
        assert log.project(1).insights.update(1, deleted=False).version == log.project(1).insights.history(1).count


def test_a_part_of_the_log_rebuilds_what_there_was(data, tmp_path):
    run("--data", data, "--as-of", "position:3", "--to", tmp_path / "log.jsonl")
    run("--data", tmp_path / "new", "--from", tmp_path / "log.jsonl")
    with insightlog.open(tmp_path / "new", clock=FrozenClock()) as log:
        assert (log.position(), len(log.projects()), len(log.all_keys())) == (3, 1, 1)


def test_records_that_were_touched_cut_or_mixed_up_are_refused_whole(data, tmp_path):
    file = tmp_path / "log.jsonl"
    run("--data", data, "--to", file)
    whole = file.read_text()
    lines = whole.splitlines(keepends=True)
    broken = {
        "position 5": whole.replace('"name":"a"', '"name":"b"'),
        "position 1": "".join(lines[1:]),
        "position 2": "".join([lines[0], *lines[2:]]),
        "amid a change": "".join(lines[:5]),
        "position 3": "".join([*lines[:2], "nonsense\n", *lines[3:]]),
    }
    for said, text in broken.items():
        file.write_text(text)
        assert said in run("--data", tmp_path / "new", "--from", file, code=1)
        with insightlog.open(tmp_path / "new", clock=FrozenClock()) as log:
            assert log.position() == 0
    file.write_text(whole)
    run("--data", tmp_path / "new", "--from", file)


def test_a_folder_that_holds_a_log_is_not_filled(data, tmp_path):
    run("--data", data, "--to", tmp_path / "log.jsonl")
    assert "holds a log" in run("--data", data, "--from", tmp_path / "log.jsonl", code=1)
    run("--data", data, "--from", tmp_path / "log.jsonl", "--to", tmp_path / "x", code=2)
    run("--data", tmp_path / "none", code=2)


def test_a_query_is_asked_of_the_past(tmp_path):
    clock = FrozenClock()
    query = {**TREND, "dateRange": {"date_from": "2026-01-01"}}
    (tmp_path / "q.json").write_bytes(orjson.dumps(query))
    with insightlog.open(tmp_path / "data", clock=clock) as log:
        log.create_project("One")
        log.project(1).capture([{"event": "signed up", "distinct_id": "u"}])
        position = log.position()

    def asked(*words):
        command = ["query", str(tmp_path / "q.json"), "--data", str(tmp_path / "data"), *words]
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 0, result.output
        return orjson.loads(result.output)["results"][0]

    assert asked()["count"] == 1
    assert asked("--as-of", f"position:{position}")["days"][-1] == clock.now.date().isoformat()
    before = (clock.now - timedelta(days=1)).isoformat()
    assert asked("--known-at", f"position:{position}")["count"] == 1
    assert asked("--known-at", before)["count"] == 0
