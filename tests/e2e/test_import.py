"""`insightlog import`: three formats, bad rows put aside, nothing twice, beside a running server too."""

from __future__ import annotations

import csv
import json
import os
import resource
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import duckdb
import pytest

import insightlog

from .conftest import TOKEN, free_port, run

NOW = datetime.now(UTC).replace(microsecond=0)
ROWS = [
    {
        "event": "signed up",
        "distinct_id": f"u{n}",
        "timestamp": (NOW - timedelta(minutes=n)).isoformat(),
        "properties": {"plan": "pro" if n % 2 else "free"},
    }
    for n in range(1000)
]
TREND = {
    "kind": "TrendsQuery",
    "series": [{"kind": "EventsNode", "event": "signed up"}],
    "breakdownFilter": {"breakdown": "plan"},
}


def write(path, rows):
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return
    with path.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ROWS[0].keys())
        writer.writeheader()
        writer.writerows({**row, "properties": json.dumps(row["properties"])} for row in rows)
    if path.suffix == ".parquet":
        duckdb.sql(f"SELECT * FROM read_csv('{path.with_suffix('.csv')}', all_varchar = true)").write_parquet(str(path))


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    with insightlog.open(folder) as log:
        log.create_project("One")
    return folder


def counts(data):
    with insightlog.open(data) as log:
        results = log.project(1).query(TREND)["results"]
    return {row["breakdown_value"]: row["count"] for row in results}


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_a_file_is_imported_once_and_survives_a_lost_duckdb_file(data, tmp_path, ending):
    file = tmp_path / f"events.{ending}"
    write(file, ROWS)
    first = run("import", file, "--data", data, "--json")
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout) == [
        {"file": str(file), "imported": 1000, "known": 0, "rejected": 0, "rejects": None}
    ]
    again = json.loads(run("import", file, "--data", data, "--json").stdout)
    assert (again[0]["imported"], again[0]["known"]) == (0, 1000)
    assert counts(data) == {"free": 500, "pro": 500}
    (data / "events.duckdb").unlink()
    assert counts(data) == {"free": 500, "pro": 500}


def test_a_full_disk_is_said_and_the_next_import_finishes(data, tmp_path):
    file = tmp_path / "events.jsonl"
    write(file, [{**row, "properties": {"plan": "pro", "x": os.urandom(1500).hex()}} for row in ROWS])
    command = [sys.executable, "-m", "insightlog", "import", str(file), "--data", str(data)]
    full = subprocess.run(
        command, capture_output=True, text=True, timeout=100,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY)),
    )  # fmt: skip
    assert full.returncode == 1
    assert "File too large" in full.stderr
    assert "Traceback" not in full.stderr
    assert not any((data / "imports").iterdir())
    (data / "imports" / "stage-7.tmp").write_bytes(b"left by a kill")
    assert run("import", file, "--data", data).returncode == 0
    assert counts(data) == {"pro": 1000}
    assert [one.suffix for one in (data / "imports").iterdir()] == [".parquet"]


def test_ctrl_c_ends_an_import_with_a_sentence_and_the_next_one_goes_on(data, tmp_path):
    file = tmp_path / "events.jsonl"
    write(file, ROWS * 30)
    command = [sys.executable, "-m", "insightlog", "import", str(file), "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not any((data / "imports").glob("*")):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=100) == (
            "", "\nStopped. What was imported stays; run the same command again, and it goes on from there.\n"
        )  # fmt: skip
    assert process.returncode == 130
    assert run("import", file, "--data", data).returncode == 0
    assert counts(data) == {"free": 15_000, "pro": 15_000}
    assert [one.suffix for one in (data / "imports").iterdir()] == [".parquet"]


def test_a_new_folder_gets_its_project_from_the_first_import(tmp_path):
    file = tmp_path / "events.jsonl"
    write(file, ROWS)
    done = run("import", file, "--data", tmp_path / "new", "--json")
    assert json.loads(done.stdout)[0]["imported"] == 1000, done.stderr
    assert counts(tmp_path / "new") == {"free": 500, "pro": 500}


def test_bad_rows_are_put_aside_with_their_reasons(data, tmp_path):
    file = tmp_path / "events.jsonl"
    bad = ['{"event": "", "distinct_id": "a", "timestamp": "2026-01-01"}', "not json", '{"event": "x"}', "[1]"]
    file.write_text("\n".join([*bad, *(json.dumps(row) for row in ROWS[:10])]) + "\n")
    done = run("import", file, "--data", data)
    assert done.returncode == 0, done.stderr
    assert "10 imported" in done.stdout
    assert "4 rejected" in done.stdout
    rejects = [json.loads(line) for line in (data / "rejects" / "events.jsonl.jsonl").read_text().splitlines()]
    assert [(one["row"], one["raw"]) for one in rejects] == list(enumerate(bad, start=1))
    assert all(one["reason"] for one in rejects)
    assert counts(data) == {"free": 5, "pro": 5}


def test_beside_a_running_server_the_events_are_sent_to_it(server, tmp_path):
    file = tmp_path / "events.jsonl"
    write(file, ROWS)
    assert server.request("POST", "query/", {"query": TREND})[0] == 200
    held = run("import", file, "--data", server.data)
    assert held.returncode == 1
    assert "--url" in held.stderr
    for _ in range(2):
        sent = run("import", file, "--data", server.data, "--url", server.url, "--key", TOKEN)
        assert sent.returncode == 0, sent.stderr
    _, answer = server.request("POST", "query/", {"query": TREND, "refresh": "force_blocking"})
    assert {row["breakdown_value"]: row["count"] for row in answer["results"]} == {"free": 500, "pro": 500}


def test_a_wrong_capture_token_is_told_instead_of_sending_events_to_nobody(server, tmp_path):
    file = tmp_path / "events.jsonl"
    write(file, ROWS)
    sent = run("import", file, "--data", server.data, "--url", server.url, "--key", "phc_wrong")
    assert sent.returncode == 1
    assert "no project with this capture token" in sent.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["import"], ["import", "nosuchfile.jsonl"], ["history", "--as-of", "yesterday"], ["nonsense"],
        ["import", __file__, "--format", "csv", "--url", "127.0.0.1:8000", "--key", TOKEN],
        ["query", __file__, "--url", "127.0.0.1:8000"], ["serve", "--site-url", "insights.example.com"],
    ],
)  # fmt: skip
def test_wrong_usage_is_exit_code_2(words):
    done = run(*words)
    assert done.returncode == 2
    assert "Usage:" in done.stderr


COMMANDS = [["verify"], ["history"], ["replay"], ["rebuild"], ["project", "list"], ["key", "list"], ["query", "-"]]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_folder_without_a_log_is_refused_and_stays_empty(tmp_path, words):
    done = run(*words, "--data", tmp_path)
    assert done.returncode == 1
    assert "log" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [*COMMANDS[:-1], ["serve"]], ids=" ".join)
def test_a_file_that_is_no_log_is_refused_with_a_sentence(tmp_path, words):
    (tmp_path / "insightlog.sqlite").write_bytes(b"no database at all" * 1000)
    words = [*words, "--data", str(tmp_path)]
    if words[0] == "serve":
        command = [sys.executable, "-m", "insightlog", *words, "--port", str(free_port())]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    else:
        done = run(*words)
    assert done.returncode not in {0, 2}
    assert "not a database" in done.stderr
    assert "Traceback" not in done.stderr
