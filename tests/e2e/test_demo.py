"""`insightlog demo` makes a product that one can look around in, and prints a key each time."""

from __future__ import annotations

import itertools

from click.testing import CliRunner

import insightlog
from insightlog.adapters.cli import demo_data, main
from insightlog.adapters.cli.demo_data import EVENTS, INSIGHTS, PERSONS
from insightlog.adapters.verification import verify_folder

from .conftest import run


def demo(data):
    done = run("demo", "--data", data)
    assert done.returncode == 0, done.stderr
    return next((word for word in done.stdout.split() if word.startswith("phx_")), None), done.stdout


def test_the_demo_is_believable_and_can_be_had_twice(tmp_path):
    first, _ = demo(tmp_path / "demo")
    second, _ = demo(tmp_path / "demo")
    with insightlog.open(tmp_path / "demo") as log:
        assert log.authenticate(second).key.scopes == ("*",)
        assert [key.revoked_at is None for key in log.all_keys()] == [False, True]
        assert first != second
        project = log.project(1)
        live = project.insights.list(limit=100)
        assert len(live) == len(INSIGHTS) - 1
        for insight in live:
            results = project.query(insight.query)["results"]
            assert results, insight.name
            if insight.query["source"]["kind"] == "TrendsQuery":
                assert sum(sum(row["data"]) for row in results) > 0, insight.name
        (growth,) = project.dashboards.list()
        assert len([one for one in live if growth.id in one.dashboards]) == 3
        (paying,) = project.cohorts.list()
        assert 0 < project.cohorts.calculate(paying.id).calculation.count < PERSONS
        everything = {"kind": "TrendsQuery", "series": [{"kind": "EventsNode"}], "dateRange": {"date_from": "-95d"}}
        assert project.query(everything)["results"][0]["count"] == EVENTS
        verbs = {entry.activity for entry in project.activity(limit=100)}
        assert verbs == {"created", "updated", "deleted", "restored", "sharing enabled"}
    assert verify_folder(tmp_path / "demo", lambda *_: None).problems == []


def test_a_demo_that_was_stopped_is_finished_by_the_next(tmp_path, monkeypatch):
    n_events = EVENTS // 10
    monkeypatch.setattr(demo_data, "EVENTS", n_events)
    monkeypatch.setattr(demo_data, "CHUNK", demo_data.CHUNK // 10)
    chunks = demo_data.events

    def stopped(now):
        yield from itertools.islice(chunks(now), 2)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(demo_data, "events", stopped)
        done = CliRunner().invoke(main, ["demo", "--data", str(tmp_path / "demo")])
        assert done.exit_code == 1
        assert "Aborted" in done.output
    demo(tmp_path / "demo")
    everything = {"kind": "TrendsQuery", "series": [{"kind": "EventsNode"}], "dateRange": {"date_from": "-95d"}}
    with insightlog.open(tmp_path / "demo") as log:
        assert log.project(1).query(everything)["results"][0]["count"] == n_events


def test_a_folder_with_another_project_is_left_as_it_is(tmp_path):
    with insightlog.open(tmp_path / "data") as log:
        log.create_project("Mine")
        position = log.position()
    assert "left as it is" in demo(tmp_path / "data")[1]
    with insightlog.open(tmp_path / "data") as log:
        assert log.position() == position
