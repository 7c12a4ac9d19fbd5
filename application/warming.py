"""Keeps the results of insights that were seen lately fresh, while nothing else is going on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ..domain.errors import InsightlogError
from .insight_queries import query_of
from .model import ProjectInfo
from .ports import InsightsWanted

if TYPE_CHECKING:
    from .library import Insightlog

EVERY_S = 30.0
MAX_INSIGHTS = 200
"""Of one project, those seen last."""
MAX_FAILED = 1_000

logger = logging.getLogger("insightlog.warming")


class Warming:
    """Refreshes one result after the other in a thread of its own; stops at once when somebody else asks.

    Insights count that anybody viewed within `seen_within`; `is_quiet` says whether the machine has nothing else to do.
    """

    def __init__(self, log: Insightlog, *, seen_within: timedelta, is_quiet: Callable[[], bool]) -> None:
        self._log = log
        self._seen_within = seen_within
        self._is_quiet = is_quiet
        self._failed: set[str] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="insightlog-warming", daemon=True)

    def start(self) -> None:
        """Begin, and go on until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """End; waits for nothing that is being calculated, which is cancelled with everything else."""
        self._stopping.set()

    def once(self) -> int:
        """Refresh what is stale or missing, as long as it is quiet; return how many results were calculated."""
        n = 0
        for project, query in self._queries():
            if self._stopping.is_set() or not (self._log.computing.is_idle and self._is_quiet()):
                break
            n += self._warm(project, query)
        return n

    def _queries(self) -> Iterator[tuple[ProjectInfo, Mapping[str, Any]]]:
        since = self._log.now() - self._seen_within
        for project in self._log.projects():
            wanted = InsightsWanted(
                project_id=project.id, viewed_after=since, order="-last_viewed_at", limit=MAX_INSIGHTS
            )
            for insight in self._log.insights_of(project.id).find(wanted).results:
                query = query_of(insight)
                if query is not None:
                    yield project, query

    def _warm(self, project: ProjectInfo, query: Mapping[str, Any]) -> bool:
        key = self._log.computing.cache_key(project, query)
        if key in self._failed:
            return False
        try:
            return self._log.computing.warm(project, query)
        except InsightlogError as error:
            logger.info("a result of project %s is not kept warm: %s", project.id, error)
            if len(self._failed) >= MAX_FAILED:
                self._failed.clear()
            self._failed.add(key)
            return False

    def _run(self) -> None:
        while not self._stopping.wait(EVERY_S):
            try:
                self.once()
            except Exception:  # the thread's outermost edge: the next round may go better
                logger.exception("results could not be kept warm")
