"""Insights that were seen lately are kept fresh while nobody asks for anything."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.builders import TREND

import insightlog
from insightlog.adapters.composition import Settings
from insightlog.application.computing import ComputingOptions
from insightlog.application.warming import Warming


@pytest.fixture
def log(tmp_path, clock):
    with insightlog.open(tmp_path / "data", clock=clock) as opened:
        opened.create_user("ines@example.com")
        opened.create_project("One").capture([{"event": "signed up", "distinct_id": "a"}])
        yield opened


@pytest.fixture
def quiet():
    """What is said about the machine, answer by answer; quiet at the end."""
    return []


@pytest.fixture
def warming(log, quiet):
    return Warming(log, seen_within=timedelta(hours=24), is_quiet=lambda: quiet.pop(0) if quiet else True)


def a_seen(log, **fields):
    insight = log.project(1).insights.create(by=1, **{"query": TREND, **fields})
    log.project(1).insights.view(insight.id, by=1)
    return insight


def kept(log, query=TREND):
    return log.project(1).query(query, refresh="force_cache")


def weekly(n):
    return {**TREND, "interval": "week", "dateRange": {"date_from": f"-{n}d"}}


def test_what_is_missing_or_stale_is_calculated_and_what_is_fresh_is_not(log, warming, clock):
    a_seen(log)
    assert (warming.once(), warming.once()) == (1, 0)
    first = kept(log)
    assert (first["results"][0]["count"], first["is_cached"], first["calculation_trigger"]) == (1, True, "warming")
    clock.forward(hours=6, seconds=1)
    assert (warming.once(), warming.once()) == (1, 0)
    assert kept(log)["last_refresh"] > first["last_refresh"]


def test_only_what_was_seen_lately_is_calculated(log, warming, clock):
    a_seen(log, query=weekly(1))
    clock.forward(hours=25)
    a_seen(log, query=weekly(2))
    assert warming.once() == 1
    assert "results" not in kept(log, weekly(1))
    assert "results" in kept(log, weekly(2))


def test_legacy_filters_are_calculated_too(log, warming):
    a_seen(log, query=None, filters={"insight": "TRENDS", "events": [{"id": "signed up", "type": "events"}]})
    assert warming.once() == 1


def test_a_busy_machine_or_a_running_query_comes_first(log, warming, quiet):
    for n in range(1, 4):
        a_seen(log, query=weekly(n))
    quiet += [True, False]
    assert warming.once() == 1
    with log.computing.runs.foreground(1, "somebody"):
        assert warming.once() == 0
    assert warming.once() == 2


def test_a_query_that_cannot_be_answered_is_tried_once_and_stops_nothing(log, warming, caplog):
    a_seen(log, query=weekly(1))
    a_seen(log, query={"kind": "InsightVizNode", "source": {"kind": "NoSuchQuery"}})
    with caplog.at_level("INFO", logger="insightlog.warming"):
        assert (warming.once(), warming.once()) == (1, 0)
    assert len(caplog.records) == 1


def test_warming_is_off_unless_it_is_asked_for_and_ends_with_the_log(tmp_path, clock):
    with insightlog.open(tmp_path / "off", clock=clock) as log:
        assert log.warming is None
    settings = Settings(computing=ComputingOptions(warms_seen_within=timedelta(days=1)))
    with insightlog.open(tmp_path / "on", clock=clock, settings=settings) as log:
        thread = log.warming._thread
        assert thread.is_alive()
    thread.join(10)
    assert not thread.is_alive()
