"""One turn for all threads of the process: many may wait for something, one at a time runs.

PERF: threads that all run hand the interpreter's lock to and fro between processors at each call that releases it (a
socket, a statement, a sync), which takes longer than what they do. So requests and commands run one after another, and
whoever waits lets others run. A turn that lasts longer than `PATIENCE_S` while others wait is taken away: its thread
goes on beside theirs, so that nobody waits for a thread that waits itself or calculates.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

PATIENCE_S = 0.002
END_S = 5.0
"""How long threads at work may hold up the end of the process."""

logger = logging.getLogger("insightlog.turns")


class Taker(Protocol):
    """Who asks for the turn: a thread that sleeps, or work that has no thread yet."""

    def called(self) -> Place | None:
        """Take the turn, asleep or not; None when nobody is there any more. The caller holds the mutex."""
        ...


class Place:
    """A thread among those that take turns."""

    def __init__(self) -> None:
        self.given = threading.Lock()
        """Taken while the thread may sleep on it; released by giving it the turn."""
        self.given.acquire()
        self.is_left = False
        """Whether its thread was interrupted while it slept."""

    def called(self) -> Place | None:
        """Wake the thread."""
        if self.is_left:
            return None
        self.given.release()
        return self


class Turns:
    """Passes one turn on in the order in which it was asked for; who waited in its midst comes before."""

    def __init__(self) -> None:
        self.mutex = threading.Lock()
        self.holder: Place | None = None
        self.asking: deque[Taker] = deque()
        self.returning: deque[Taker] = deque()
        self._n_turns = 0
        self._is_wanted = threading.Event()
        self._is_watched = False
        self._here = threading.local()

    def here(self) -> Place:
        """Return the place of the calling thread."""
        place: Place | None = getattr(self._here, "place", None)
        if place is None:
            place = Place()
            self.stand_at(place)
        return place

    def stand_at(self, place: Place) -> None:
        """Give the calling thread a place that others know already."""
        self._here.place = place

    def is_mine(self) -> bool:
        """Whether the calling thread has the turn."""
        return self.holder is self.here()

    def take(self) -> bool:
        """Wait for the turn; False when the calling thread has it already."""
        place = self.here()
        with self.mutex:
            if self.holder is place:
                return False
            is_mine = self.ask(place)
        if not is_mine:
            self._sleep(place)
        return True

    def give_up(self) -> bool:
        """Let the next one run; False when the turn of the calling thread was taken away, or it has none."""
        with self.mutex:
            if self.holder is not self.here():
                return False
            self.pass_on()
        return True

    def take_back(self) -> None:
        """Wait for the turn, before all who have not begun."""
        place = self.here()
        with self.mutex:
            if self.holder is None:
                self._hand_to(place)
                return
            self.returning.append(place)
            self._want()
        self._sleep(place)

    def let_pass(self) -> None:
        """Let all run who ask for the turn now."""
        place = self.here()
        with self.mutex:
            if self.holder is not place or not (self.asking or self.returning):
                return
            self.asking.append(place)
            self.pass_on()
        self._sleep(place)

    def wait_for_call(self) -> None:
        """Give up the turn until another thread calls this one back."""
        self.give_up()
        self._sleep(self.here())

    def call_back(self, takers: Sequence[Taker]) -> None:
        """Let those go on that wait for that, in their order."""
        if not takers:
            return
        with self.mutex:
            self.returning.extend(takers)
            if self.holder is None:
                self.pass_on()
            else:
                self._want()

    def ask(self, taker: Taker) -> bool:
        """Queue for the turn; True for a thread that has it at once. The caller holds the mutex."""
        if self.holder is None and isinstance(taker, Place):
            self._hand_to(taker)
            return True
        self.asking.append(taker)
        if self.holder is None:
            self.pass_on()
        else:
            self._want()
        return False

    def queue(self, taker: Taker) -> None:
        """Ask for a turn after all who ask for one now."""
        with self.mutex:
            self.ask(taker)

    def next_of(self, asked: type[Any]) -> Any:
        """Return who is next, to be done in the turn that goes on, if it is of a class; with the mutex."""
        queue = self.returning or self.asking
        if not queue or not isinstance(queue[0], asked):
            return None
        self._n_turns += 1
        return queue.popleft()

    def pass_on(self) -> None:
        """Give the turn to whoever is next; the caller holds the mutex."""
        self.holder = None
        while self.holder is None and (self.returning or self.asking):
            taker = self.returning.popleft() if self.returning else self.asking.popleft()
            self._hand_to(taker.called())

    def _hand_to(self, place: Place | None) -> None:
        self.holder = place
        self._n_turns += 1

    def _sleep(self, place: Place) -> None:
        try:
            place.given.acquire()
        except BaseException:
            with self.mutex:
                place.is_left = True
                if self.holder is place:
                    self.pass_on()
            del self._here.place
            raise

    def _want(self) -> None:
        """Have the turn watched, as somebody waits for it; the caller holds the mutex."""
        if not self._is_wanted.is_set():
            self._is_wanted.set()
            if not self._is_watched:
                self._is_watched = True
                threading.Thread(target=self._watch, name="insightlog-turns", daemon=True).start()

    def _watch(self) -> None:
        while True:
            self._is_wanted.wait()
            before = self._n_turns
            time.sleep(PATIENCE_S)
            with self.mutex:
                if not self.asking and not self.returning:
                    self._is_wanted.clear()
                elif self._n_turns == before:
                    self.pass_on()


TURNS = Turns()


def _begin_anew() -> None:
    """Forget, in a forked child, the threads that it does not have."""
    TURNS.__init__()  # type: ignore[misc]


os.register_at_fork(after_in_child=_begin_anew)


class _Turn:
    """PERF: a generator in its place would take two microseconds more, of the hundred that a command takes."""

    def __enter__(self) -> None:
        self._is_first = TURNS.take()

    def __exit__(self, *_: object) -> None:
        if self._is_first:
            TURNS.give_up()


class _Waiting:
    def __enter__(self) -> None:
        self._had_it = TURNS.give_up()

    def __exit__(self, *_: object) -> None:
        if self._had_it:
            TURNS.take_back()


def turn() -> _Turn:
    """Run what follows in the turn of this thread, which it may have already."""
    return _Turn()


def waiting() -> _Waiting:
    """Let others run while this thread waits for something; nothing for a thread without the turn."""
    return _Waiting()


class Work:
    """Something to do in a turn, on a thread of a pool; it may be called back like a thread that waited."""

    def __init__(self, pool: TurnPool, do: Callable[[], object] = lambda: None) -> None:
        self._pool = pool
        self.do = do

    def called(self) -> Place | None:
        """Wake a thread for it; without one it waits for the next that has nothing to do."""
        return self._pool.begin(self)

    def run(self) -> None:
        """Do it. What it raises is logged, as nobody waits for it."""
        try:
            self.do()
        except BaseException:
            logger.exception("work of a pool failed")


class _Worker(threading.Thread):
    """A thread of a pool; it begins and ends each work with the turn, unless that was taken away."""

    def __init__(self, pool: TurnPool, work: Work) -> None:
        super().__init__(name="insightlog-worker", daemon=True)
        self._pool = pool
        self.place = Place()
        self.work: Work | None = work

    def run(self) -> None:
        TURNS.stand_at(self.place)
        while True:
            self.place.given.acquire()
            work, self.work = self.work, None
            if work is None:
                return  # woken by the end of the pool
            while work is not None:
                work.run()
                work = self._pool.next_for(self)


class TurnPool:
    """Runs work on up to `max_threads` threads, in turns.

    One thread goes on from work to work as long as none waits for anything.
    """

    def __init__(self, max_threads: int) -> None:
        self._max_threads = max_threads
        self._threads: list[_Worker] = []
        self._idle: list[_Worker] = []
        self._left: deque[Work] = deque()
        """Whose turn has come while all threads were waiting."""
        self.is_shut = False
        atexit.register(self._end)

    def run(self, do: Callable[[], object]) -> None:
        """Do something in its turn. Raises RuntimeError once the pool is shut down."""
        with TURNS.mutex:
            if self.is_shut:
                raise RuntimeError("The pool is shut down.")
            TURNS.ask(Work(self, do))

    def shutdown(self, wait: bool = True) -> None:
        """Let threads end once they have nothing to do; with `wait`, until all have."""
        with TURNS.mutex:
            self.is_shut = True
            self._end_idle()
        if wait:
            for thread in self._threads:
                thread.join()

    def _end_idle(self) -> None:
        """Let threads without work end, unless some is left to begin (with the mutex of the turns)."""
        if not self._left and not any(isinstance(one, Work) for one in (*TURNS.returning, *TURNS.asking)):
            while self._idle:
                self._idle.pop().place.given.release()

    def _end(self) -> None:
        """Give those who are at work a while, as a thread that is inside a library when Python ends breaks it."""
        self.shutdown(wait=False)
        deadline = time.monotonic() + END_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def begin(self, work: Work) -> Place | None:
        """Give work to a thread (with the mutex of the turns)."""
        if self._idle:
            worker = self._idle.pop()
            worker.work = work
        elif len(self._threads) < self._max_threads:
            worker = _Worker(self, work)
            self._threads.append(worker)
            worker.start()
        else:
            self._left.append(work)
            return None
        return worker.place.called()

    def next_for(self, worker: _Worker) -> Work | None:
        """Return what a thread does next; None when it has to sleep, or to end."""
        with TURNS.mutex:
            if self._left:
                TURNS.asking.appendleft(self._left.popleft())
            has_turn = TURNS.holder is worker.place
            work: Work | None = TURNS.next_of(Work) if has_turn else None
            if work is None:
                self._idle.append(worker)
                if has_turn or TURNS.holder is None:
                    TURNS.pass_on()
                if self.is_shut:
                    self._end_idle()
        return work
