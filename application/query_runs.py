"""Calculations in the background: a bounded pool that is fair to projects, and the statuses that clients poll."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Literal

from attrs import Factory, define, evolve

from ..domain.errors import InsightlogError, StoreUnavailable, TooManyQueries, sentence
from .json_values import json_bytes
from .ports import Clock
from .query_status import QueryStatus
from .stopping import Stop

STATUS_LIFETIME = timedelta(minutes=20)
MAX_STATUSES = 2_000
MAX_RESULT_BYTES = 64 << 20
"""Of all statuses together; beyond, the oldest are forgotten."""
WORKERS = 2
MAX_QUEUED = 200
MAX_QUEUED_PER_PROJECT = 50
RETRY_AFTER_S = 5
CLOSE_S = 10.0

logger = logging.getLogger("insightlog.queries")

Work = Callable[[Stop], Mapping[str, Any]]
"""Calculates and returns the whole query response, ready for JSON."""
Cancelled = Literal["cancelled", "already complete", "only dequeued"]


@define(eq=False)
class _Run:
    key: str
    """Cache key of what it calculates."""
    status: QueryStatus
    written_at: datetime
    work: Work | None = None
    """None for one whose status is all that is left."""
    stop: Stop = Factory(lambda: Stop(is_watched=True))


class QueryRuns:
    """Runs of one folder, safe for threads. Everything is in memory: after a restart no run is known, hence none hangs.

    A status lives 20 minutes after its last change, by the given clock. Threads are started by the first run.
    """

    def __init__(self, clock: Clock, *, workers: int = WORKERS) -> None:
        self._clock = clock
        self._n_workers = workers
        self._changed = threading.Condition()
        self._runs: dict[tuple[int, str], _Run] = {}
        self._unfinished: dict[tuple[int, str], _Run] = {}
        """By project and cache key."""
        self._queues: dict[int, deque[_Run]] = {}
        """Project -> runs not picked up yet; projects take turns."""
        self._foreground: dict[tuple[int, str], set[Stop]] = {}
        self._workers: list[threading.Thread] = []
        self._is_closed = False

    # -- background runs ---------------------------------------------------------------------------------------------

    def start(
        self,
        project_id: int,
        query_id: str,
        work: Work,
        *,
        key: str,
        is_forced: bool,
        reuses_complete: bool,
        insight_id: int | None = None,
        dashboard_id: int | None = None,
    ) -> QueryStatus:
        """Enqueue a calculation and return its status; one that is under way under the same id is returned instead.

        So is a complete one when `reuses_complete` or when it failed, unless the start `is_forced`. Raises
        `TooManyQueries` when the queue is full, `StoreUnavailable` once closed.
        """
        with self._changed:
            self._check_open()
            old = self._known((project_id, query_id))
            if old is not None and (
                not old.status.complete or (not is_forced and (reuses_complete or old.status.error))
            ):
                return old.status
            queue = self._queues.setdefault(project_id, deque())
            if len(queue) >= MAX_QUEUED_PER_PROJECT or sum(map(len, self._queues.values())) >= MAX_QUEUED:
                raise TooManyQueries(RETRY_AFTER_S)
            now = self._clock()
            status = QueryStatus(
                id=query_id, project_id=project_id, insight_id=insight_id, dashboard_id=dashboard_id, started_at=now
            )
            run = _Run(key, status, now, work)
            self._runs[project_id, query_id] = self._unfinished[project_id, key] = run
            queue.append(run)
            self._ensure_workers()
            self._changed.notify()
        return status

    def status(self, project_id: int, query_id: str) -> QueryStatus | None:
        """Return how a run stands; None for an unknown or outlived one."""
        with self._changed:
            run = self._known((project_id, query_id))
            return run.status if run is not None else None

    def key(self, project_id: int, query_id: str) -> str | None:
        """Return the cache key of what a run calculates; None for an unknown or outlived one."""
        with self._changed:
            run = self._known((project_id, query_id))
            return run.key if run is not None else None

    def progress(self, project_id: int, query_id: str) -> dict[str, int] | None:
        """Return how far a run has got (see `Stop.progress`); None for one that is unknown or not picked up."""
        run = self._runs.get((project_id, query_id))
        return run.stop.progress() if run is not None else None

    def unfinished(self, project_id: int, key: str) -> QueryStatus | None:
        """Return the status of a run under way for a cache key, if any. Costs a dictionary lookup."""
        run = self._unfinished.get((project_id, key))
        return run.status if run is not None else None

    # -- calculations that a caller waits for ------------------------------------------------------------------------

    @contextmanager
    def foreground(self, project_id: int, query_id: str) -> Iterator[Stop]:
        """Make what runs inside known under an id, so that it can be cancelled. Raises `StoreUnavailable`."""
        stop, name = Stop(), (project_id, query_id)
        with self._changed:
            self._check_open()
            self._foreground.setdefault(name, set()).add(stop)
        try:
            yield stop
        finally:
            with self._changed:
                self._foreground[name].discard(stop)
                if not self._foreground[name]:
                    del self._foreground[name]

    # -- ending ------------------------------------------------------------------------------------------------------

    def cancel(self, project_id: int, id_prefix: str) -> int:
        """End every calculation of the project whose id starts so; return how many. They end as failed."""
        with self._changed:
            stops = [
                stop
                for (project, query_id), found in self._foreground.items()
                if project == project_id and query_id.startswith(id_prefix)
                for stop in found
            ]
            runs = [
                run
                for (project, query_id), run in list(self._runs.items())
                if project == project_id and query_id.startswith(id_prefix) and not run.status.complete
            ]
            for run in runs:
                self._dequeue(run)
        for stop in [*stops, *(run.stop for run in runs)]:
            stop.set()
        return len(stops) + len(runs)

    def delete(self, project_id: int, query_id: str, *, only_dequeue: bool = False) -> Cancelled:
        """End the calculations of this very id and forget the status."""
        with self._changed:
            run = self._known((project_id, query_id))
            stops = list(self._foreground.get((project_id, query_id), ()))
            if run is not None:
                was_complete = run.status.complete
                self._forget((project_id, query_id))
                if was_complete and not stops:
                    return "only dequeued" if only_dequeue else "already complete"
                self._dequeue(run)
                stops.append(run.stop)
        if only_dequeue:
            return "only dequeued"
        for stop in stops:
            stop.set()
        return "cancelled"

    def close(self) -> None:
        """Cancel everything and end the threads; nothing can be started any more."""
        with self._changed:
            self._is_closed = True
            stops = [run.stop for run in self._runs.values() if not run.status.complete]
            stops += [stop for found in self._foreground.values() for stop in found]
            self._queues.clear()
            self._changed.notify_all()
        for stop in stops:
            stop.set()
        for worker in self._workers:
            worker.join(CLOSE_S)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is calculated or waits for it."""
        return not self._unfinished and not self._foreground

    # -- inside ------------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._is_closed and not any(self._queues.values()):
                    self._changed.wait()
                if self._is_closed:
                    return
                run = self._next()
                run.status = evolve(run.status, picked_up_at=self._clock())
                run.written_at = self._clock()
            self._finish(run)

    def _next(self) -> _Run:
        """Take a run of the project whose turn it is; the caller holds the condition."""
        project_id = next(project for project, queue in self._queues.items() if queue)
        queue = self._queues.pop(project_id)
        run = queue.popleft()
        if queue:
            self._queues[project_id] = queue
        return run

    def _finish(self, run: _Run) -> None:
        error_message, results = None, None
        try:
            run.stop.check()
            assert run.work is not None
            results = json_bytes(run.work(run.stop))
        except InsightlogError as error:
            error_message = sentence(error)
        except Exception:  # the thread's outermost edge: the status tells that it failed
            logger.exception("a query in the background failed")
        with self._changed:
            self._complete(run, error_message, results)

    def _complete(self, run: _Run, error_message: str | None, results: bytes | None) -> None:
        now = self._clock()
        run.work, run.written_at = None, now
        run.status = evolve(
            run.status, complete=True, error=results is None, error_message=error_message, results=results, ended_at=now
        )
        name = (run.status.project_id, run.key)
        if self._unfinished.get(name) is run:
            del self._unfinished[name]
        self._purge(now)

    def _dequeue(self, run: _Run) -> None:
        """Take a run out of its queue and end it as cancelled; one that is picked up ends by itself."""
        queue = self._queues.get(run.status.project_id)
        if queue is not None and run in queue:
            queue.remove(run)
            run.stop.set()
            self._complete(run, "The query was cancelled.", None)

    def _known(self, name: tuple[int, str]) -> _Run | None:
        run = self._runs.get(name)
        if run is not None and run.status.complete and self._clock() > run.written_at + STATUS_LIFETIME:
            self._forget(name)
            return None
        return run

    def _forget(self, name: tuple[int, str]) -> None:
        run = self._runs.pop(name)
        key = (name[0], run.key)
        if self._unfinished.get(key) is run:
            del self._unfinished[key]

    def _purge(self, now: datetime) -> None:
        complete = [(name, run) for name, run in self._runs.items() if run.status.complete]
        n_bytes = 0
        for place, (name, run) in enumerate(sorted(complete, key=lambda one: one[1].written_at, reverse=True)):
            n_bytes += len(run.status.results or b"")
            is_too_much = place > 0 and (place >= MAX_STATUSES or n_bytes > MAX_RESULT_BYTES)
            if is_too_much or now > run.written_at + STATUS_LIFETIME:
                self._forget(name)

    def _ensure_workers(self) -> None:
        if not self._workers:
            for number in range(self._n_workers):
                worker = threading.Thread(target=self._work, name=f"insightlog-query-{number}", daemon=True)
                self._workers.append(worker)
                worker.start()

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreUnavailable("The log is closed.")
