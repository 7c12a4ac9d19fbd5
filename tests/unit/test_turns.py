"""Threads that take turns: one runs, those that wait or take long hold up nobody."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import Future, wait
from functools import partial

import pytest

from insightlog.application import turns
from insightlog.application.turns import TURNS, Place, TurnPool, turn, waiting

LONG_S = 10


@pytest.fixture
def pool():
    made = TurnPool(4)
    yield made
    made.shutdown(wait=True)


def submit(pool, do, *args):
    """Run something on a pool, and return what tells when it is done."""
    done = Future()

    def work():
        try:
            done.set_result(do(*args))
        except ValueError as error:
            done.set_exception(error)

    pool.run(work)
    return done


class Overlap:
    """Counts how many threads are inside at once."""

    def __init__(self):
        self.now = self.most = 0

    def __enter__(self):
        self.now += 1
        self.most = max(self.most, self.now)

    def __exit__(self, *_):
        self.now -= 1


def test_work_runs_one_after_another_in_its_order_on_one_thread(pool):
    inside, order, threads = Overlap(), [], set()

    def work(n):
        with inside:
            threads.add(threading.get_ident())
            order.append(n)
        return n * n

    with turn():
        submitted = [submit(pool, work, n) for n in range(50)]
    assert [one.result(LONG_S) for one in submitted] == [n * n for n in range(50)]
    assert (inside.most, order, len(threads)) == (1, list(range(50)), 1)


def test_what_work_raises_is_its_callers(pool):
    def fails():
        raise ValueError("no")

    failing, other = submit(pool, fails), submit(pool, lambda: "yes")
    with pytest.raises(ValueError, match="no"):
        failing.result(LONG_S)
    assert other.result(LONG_S) == "yes"


def test_who_waits_lets_others_run_and_goes_on_before_what_has_not_begun(pool, monkeypatch):
    monkeypatch.setattr(turns, "PATIENCE_S", 0.5)  # a slow machine shall not lose the turn
    happened, order = threading.Event(), []

    def first():
        with waiting():
            assert happened.wait(LONG_S)
            order.append("woken")
        order.append("first")

    def second():
        happened.set()
        while "woken" not in order or not (TURNS.returning or "first" in order):
            time.sleep(0)
        order.append("second")

    with turn():
        submitted = [submit(pool, first), submit(pool, second), submit(pool, order.append, "third")]
    wait(submitted, LONG_S)
    assert order == ["woken", "second", "first", "third"]


def test_work_that_waits_without_saying_so_holds_up_nobody(pool):
    happened = threading.Event()
    silent = submit(pool, happened.wait, LONG_S)
    assert submit(pool, lambda: "ran").result(LONG_S) == "ran"
    assert not silent.done()
    happened.set()
    assert silent.result(LONG_S)


def test_work_waits_for_a_thread_when_all_of_them_wait(pool):
    happened = threading.Event()

    def long():
        with waiting():
            return happened.wait(LONG_S)

    submitted = [submit(pool, long) for _ in range(6)]
    last = submit(pool, lambda: "ran")
    with turn():  # which comes after all of them
        assert not last.done()
    happened.set()
    assert [one.result(LONG_S) for one in submitted] == [True] * 6
    assert last.result(LONG_S) == "ran"


def test_work_whose_turn_came_while_all_threads_waited_unsaid_is_done_in_the_end():
    pool, happened = TurnPool(1), threading.Event()
    silent = submit(pool, happened.wait, LONG_S)
    submitted = [submit(pool, lambda n=n: n) for n in range(3)]
    with turn():  # taken away from the one that waits, and offered to those behind it
        assert not any(one.done() for one in submitted)
    happened.set()
    assert silent.result(LONG_S)
    assert [one.result(LONG_S) for one in submitted] == [0, 1, 2]
    pool.shutdown(wait=True)


def test_threads_of_their_own_take_turns_too_and_inside_one_another(pool):
    inside = Overlap()

    def work():
        for _ in range(100):
            with turn(), turn(), inside:
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    submitted = [submit(pool, partial(work)) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(LONG_S)
    wait(submitted, LONG_S)
    assert inside.most == 1
    assert TURNS.holder is None


def test_who_was_called_back_after_an_interruption_does_not_keep_the_turn():
    gone = Place()
    gone.is_left = True
    with turn():
        TURNS.call_back([gone])
    assert TURNS.holder is None


def test_a_pool_that_is_shut_down_ends_what_was_submitted_and_takes_no_more():
    pool = TurnPool(2)
    with turn():
        submitted = [submit(pool, lambda: "ran") for _ in range(3)]
        pool.shutdown(wait=False)
        with pytest.raises(RuntimeError, match="shut down"):
            pool.run(print)
    assert [one.result(LONG_S) for one in submitted] == ["ran"] * 3
    pool.shutdown(wait=True)
    assert not any(thread.is_alive() for thread in pool._threads)


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_does_not_wait_for_the_threads_of_its_parent():
    held, over = threading.Event(), threading.Event()

    def hold():
        with turn():
            held.set()
            over.wait(LONG_S)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(LONG_S)
    child = os.fork()
    if child == 0:
        with turn():
            os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    over.set()
    holder.join(LONG_S)
