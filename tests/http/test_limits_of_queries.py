"""Limits of calculating: how many at once, of one project and in all, for how long, how large."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest
from tests.builders import TREND, FrozenClock

import insightlog
from insightlog.adapters.composition import Settings
from insightlog.application import computing
from insightlog.application.computing import ComputingOptions
from insightlog.application.slots import Limits

from .conftest import Api, error

ENDLESS = "select sum(a.number) from numbers(1000000) a join numbers(1000000) b on a.number < b.number"


@contextmanager
def served(tmp_path, options, **settings):
    """The API of projects 1 and 2 over a log with these options, and its slots."""
    given = Settings(computing=options, **settings)
    with insightlog.open(tmp_path / "data", clock=FrozenClock(), settings=given) as log:
        log.create_user("ines@example.com", level="owner")
        for name in ("One", "Two"):
            log.create_project(name).capture([{"event": "signed up", "distinct_id": "a"}])
        app = insightlog.adapters.http.create_app(log)
        key = log.create_key(1).value
        yield Api(app, key), Api(app, key, project=2), log.computing._slots


@pytest.fixture
def held(monkeypatch):
    """Holds calculations until it is opened; `entered` counts those that have begun."""
    calculate = computing.calculate
    gate, entered = threading.Event(), threading.Semaphore(0)

    def holding(*args, stop, **options):
        entered.release()
        with stop.interrupted_by(gate.set):
            assert gate.wait(20)
        return calculate(*args, stop=stop, **options)

    monkeypatch.setattr(computing, "calculate", holding)
    yield gate, entered
    gate.set()


def node(days):
    return {"query": {**TREND, "dateRange": {"date_from": f"-{days}d"}}}


def started(api, days, answers):
    thread = threading.Thread(target=lambda: answers.append(api.post("/query/", node(days)).status_code))
    thread.start()
    return thread


def until(condition):
    for _ in range(2_000):
        if condition():
            return
        threading.Event().wait(0.005)
    raise AssertionError("it never comes")


def test_beyond_those_that_run_and_wait_a_query_is_refused_with_when_to_come_again(tmp_path, held):
    gate, entered = held
    limits = Limits(running=1, running_per_project=1, waiting=1, waiting_per_project=1)
    with served(tmp_path, ComputingOptions(limits=limits)) as (api, _, slots):
        answers = []
        threads = [started(api, 1, answers)]
        assert entered.acquire(timeout=10)
        threads.append(started(api, 2, answers))
        until(lambda: slots.n_waiting == 1)
        refused = api.post("/query/", node(3))
        detail = "Request was throttled. Expected available in 1 second."
        error(refused, 429, "throttled_error", "throttled", detail)
        assert refused.headers["retry-after"] == "1"
        insight = api.create(query=node(4)["query"])["id"]
        shown = api.get(f"/insights/{insight}/", params={"refresh": "blocking"}).json
        assert (shown["result"], shown["query_status"]["error_message"]) == (None, "concurrency_limit_exceeded")
        gate.set()
        for thread in threads:
            thread.join(20)
        assert answers == [200, 200]
        assert api.post("/query/", node(3)).status_code == 200


def test_a_busy_project_leaves_room_for_another(tmp_path, held):
    gate, entered = held
    limits = Limits(running=2, running_per_project=1, waiting=8, waiting_per_project=2)
    with served(tmp_path, ComputingOptions(limits=limits)) as (api, other, slots):
        answers, others = [], []
        threads = [started(api, days, answers) for days in (1, 2, 3)]
        assert entered.acquire(timeout=10)
        until(lambda: slots.n_waiting == 2)
        threads.append(started(other, 1, others))
        assert entered.acquire(timeout=10)
        assert (slots.n_running, slots.n_waiting) == (2, 2)
        assert api.post("/query/", node(4)).status_code == 429
        gate.set()
        for thread in threads:
            thread.join(20)
        assert (sorted(answers), others) == ([200, 200, 200], [200])


def test_a_query_past_its_deadline_is_refused(tmp_path):
    with served(tmp_path, ComputingOptions(deadline_s=0.3)) as (api, *_):
        late = api.post("/query/", {"query": {"kind": "HogQLQuery", "query": ENDLESS}})
        assert (late.status_code, late.json["detail"]) == (400, "The query took too long.")
        assert api.post("/query/", node(1)).status_code == 200


def test_queries_in_sql_have_twice_the_time():
    options = ComputingOptions()
    assert [options.deadline_of(kind) for kind in ("TrendsQuery", "HogQLQuery", "EventsQuery")] == [30, 60, 60]


def test_a_query_that_needs_more_memory_than_there_is_is_refused_and_others_go_on(tmp_path):
    big = "select groupArray(concat(toString(number), repeat('x', 2000))) from numbers(1000000)"
    with served(tmp_path, ComputingOptions(), memory_limit="64MB") as (api, *_):
        refused = api.post("/query/", {"query": {"kind": "HogQLQuery", "query": big}})
        assert (refused.status_code, refused.json["detail"]) == (400, "The query needs more memory than it may have.")
        assert api.post("/query/", node(1)).status_code == 200


def test_buckets_times_series_are_limited(tmp_path):
    with served(tmp_path, ComputingOptions()) as (api, *_):
        for part in ({"dateRange": {"date_from": "-10y"}, "interval": "minute"}, {"series": TREND["series"] * 2_000}):
            refused = api.post(
                "/query/", {"query": {**TREND, "interval": "hour", "dateRange": {"date_from": "-90d"}, **part}}
            )
            assert (refused.status_code, refused.json["type"]) == (400, "validation_error"), refused.text
