"""What `insightlog serve` is told about calculating: plain values, so that the command need not load the engine."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from attrs import frozen

if TYPE_CHECKING:
    from ..composition import Settings


@frozen(kw_only=True)
class QueryOptions:
    """How queries are calculated, limited and kept; each is an option of `serve`."""

    memory_limit: str = "1GB"
    query_threads: int = 2
    query_deadline: float = 30.0
    """Seconds."""
    running_queries: int = 4
    running_queries_per_project: int = 3
    waiting_queries: int = 32
    waiting_queries_per_project: int = 16
    follow_events: Literal["all", "late", "none"] = "all"
    incremental: bool = True
    results_mb: int = 256
    results_days: float = 7.0
    warm_hours: float = 0.0

    def settings(self, synchronous: Literal["FULL", "NORMAL"]) -> Settings:
        """Return how the folder is to be opened."""
        from ...application.computing import ComputingOptions  # noqa: PLC0415 PERF: the arbiter needs none of it
        from ...application.slots import Limits  # noqa: PLC0415
        from ..composition import Settings  # noqa: PLC0415

        limits = Limits(
            running=self.running_queries,
            running_per_project=self.running_queries_per_project,
            waiting=self.waiting_queries,
            waiting_per_project=self.waiting_queries_per_project,
            wait_s=self.query_deadline,
        )
        computing = ComputingOptions(
            follows=self.follow_events,
            is_incremental=self.incremental,
            deadline_s=self.query_deadline,
            limits=limits,
            kept_for=timedelta(days=self.results_days),
            warms_seen_within=timedelta(hours=self.warm_hours) if self.warm_hours else None,
        )
        return Settings(
            synchronous=synchronous,
            memory_limit=self.memory_limit,
            threads=self.query_threads,
            results_mb=self.results_mb,
            computing=computing,
        )
