"""Cancelling ends what really runs: DuckDB at once, a kernel at its next step, and nobody waits for it."""

from __future__ import annotations

import gc
import os
import signal
import threading
import weakref
from time import perf_counter

import numpy as np
import pytest

import insightlog
from insightlog.adapters.kernels import histories, packed, plain
from insightlog.adapters.kernels.checkpoint import checkpoint, given_up_by
from insightlog.adapters.kernels.histories import history
from insightlog.adapters.storage.duckdb._apart import run_apart
from insightlog.adapters.storage.duckdb._deadlines import Deadlines
from insightlog.application.stopping import Stop
from insightlog.domain.errors import QueryCancelled, QueryTooLarge

ENDLESS = {
    "kind": "HogQLQuery",
    "query": "select sum(a.number) from numbers(1000000) a join numbers(1000000) b on a.number < b.number",
}


@pytest.fixture(scope="module")
def project():
    with insightlog.open() as log:
        yield log.create_project("One")


def in_thread(work):
    """Start something; what it raised, and when it was over."""
    ended = {}

    def run():
        try:
            work()
        except Exception as error:  # noqa: BLE001 looked at by the test
            ended["error"] = error
        ended["at"] = perf_counter()

    thread = threading.Thread(target=run)
    thread.start()
    return thread, ended


def test_the_engine_is_interrupted_within_a_tenth_of_a_second(project):
    took = []
    for _ in range(3):
        thread, ended = in_thread(lambda: project.query(ENDLESS, refresh="force_blocking", query_id="tab-1"))
        while project._log.computing.runs.is_idle:
            threading.Event().wait(0.01)
        threading.Event().wait(0.2)
        begun = perf_counter()
        assert project.cancel("tab-") == 1
        thread.join(10)
        assert isinstance(ended["error"], QueryCancelled)
        took.append(ended["at"] - begun)
    assert min(took) < 0.1
    while any(thread.name == "insightlog-walk" for thread in threading.enumerate()):
        threading.Event().wait(0.01)


def test_ctrl_c_amid_a_query_is_a_keyboard_interrupt(project):
    def press():
        while project._log.computing.runs.is_idle:
            threading.Event().wait(0.01)
        threading.Event().wait(0.2)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press).start()
    with pytest.raises(KeyboardInterrupt):
        project.query(ENDLESS, refresh="force_blocking")
    assert project.query({"kind": "HogQLQuery", "query": "select 1"})["results"] == [[1]]


def test_a_background_run_is_interrupted_and_its_worker_is_free_again(project):
    for _ in range(3):
        status = project.query(ENDLESS, refresh="force_async", query_id="endless")["query_status"]
        while project.query_status("endless").picked_up_at is None:
            threading.Event().wait(0.01)
        project.cancel("endless")
        while not project.query_status("endless").complete:
            threading.Event().wait(0.01)
        assert project.query_status(status["id"]).error_message == "The query was cancelled."


def test_a_background_run_tells_how_far_the_engine_is(project):
    project.capture({"event": "view", "distinct_id": "a"} for _ in range(100))
    project.query(ENDLESS, refresh="force_async", query_id="watched")
    runs = project._log.computing.runs
    while (told := runs.progress(project.id, "watched")) is None:
        threading.Event().wait(0.01)
    assert set(told) == {"bytes_read", "rows_read", "estimated_rows_total", "time_elapsed", "active_cpu_time"}
    assert 0 <= told["rows_read"] <= told["estimated_rows_total"]
    assert told["estimated_rows_total"] >= 100
    project.cancel("watched")


def test_what_cannot_be_interrupted_is_left_behind_and_ends_at_its_next_step():
    stop, entered, go_on, left = Stop(), threading.Event(), threading.Event(), threading.Event()
    rows = np.arange(3)

    def work():
        entered.set()
        assert go_on.wait(10)
        try:
            history(rows, rows, rows)
        finally:
            left.set()

    thread, ended = in_thread(lambda: run_apart(work, deadline_s=10, stop=stop))
    assert entered.wait(10)
    stop.set()
    thread.join(10)
    assert isinstance(ended["error"], QueryCancelled)
    assert not left.is_set()
    go_on.set()
    assert left.wait(10)


@pytest.mark.parametrize("walk", [plain.walk, plain.walk_strictly], ids=["ordered", "strict"])
def test_a_funnel_is_given_up_in_the_middle_of_its_walk(walk, monkeypatch):
    monkeypatch.setattr(histories, "PIECE", 10_000)
    numbers = np.random.default_rng(7).integers(0, 2**30, 100_000)
    events, steps, calls = packed.packed(numbers % 999, numbers, 2**28, room=4), (numbers % 4).astype(np.uint8), []
    with given_up_by(lambda: calls.append("step")):
        walk(events, steps, 4)
    n_steps = len(calls)
    assert n_steps > 2 * 100_000 / 10_000

    def check():
        calls.append("step")
        if len(calls) == n_steps // 2:
            raise QueryCancelled

    calls.clear()
    with pytest.raises(QueryCancelled), given_up_by(check):
        walk(events, steps, 4)
    assert len(calls) == n_steps // 2


def test_a_kernel_past_its_deadline_is_given_up():
    go_on = threading.Event()
    with pytest.raises(QueryTooLarge):
        run_apart(lambda: go_on.wait(10), deadline_s=0.01, stop=Stop())
    go_on.set()


def test_what_runs_apart_gives_its_outcome_or_error():
    assert run_apart(lambda: 7, deadline_s=10, stop=Stop()) == 7
    with pytest.raises(ZeroDivisionError):
        run_apart(lambda: 1 / 0, deadline_s=10, stop=Stop())


@pytest.mark.parametrize("error", [QueryCancelled, MemoryError], ids=["given up", "failed"])
def test_what_a_walk_held_is_given_back_when_it_ends(error):
    class Held:
        pass

    known, entered, go_on = [], threading.Event(), threading.Event()

    def work():
        held = Held()
        known.append(weakref.ref(held))
        entered.set()
        assert go_on.wait(10)
        if error is MemoryError:
            raise MemoryError
        checkpoint()
        raise AssertionError(held)

    stop = Stop()
    thread, ended = in_thread(lambda: run_apart(work, deadline_s=10, stop=stop))
    gc.disable()
    try:
        assert entered.wait(10)
        if error is QueryCancelled:
            stop.set()
            thread.join(10)
        go_on.set()
        thread.join(10)
        while any(one.name == "insightlog-walk" for one in threading.enumerate()):
            threading.Event().wait(0.01)
        assert isinstance(ended.pop("error"), error)
        assert known[0]() is None
    finally:
        gc.enable()


def test_checks_hold_for_what_runs_inside_only():
    def refuse():
        raise QueryCancelled

    rows = np.arange(3)
    with pytest.raises(QueryCancelled), given_up_by(refuse):
        history(rows, rows, rows)
    assert history(rows, rows, rows).n_units == 3


def test_deadlines_interrupt_what_takes_too_long_until_it_ends_and_nothing_else():
    deadlines, calls = Deadlines(), []
    ended = threading.Event()

    def interrupt():
        calls.append("late")
        if len(calls) == 3:
            ended.set()

    with deadlines.interrupting(lambda: calls.append("in time"), 60):
        with deadlines.interrupting(interrupt, 0.01):
            assert ended.wait(10)
        n = len(calls)
        threading.Event().wait(0.15)
    assert len(calls) == n
    assert set(calls) == {"late"}
