"""The state of a calculation that somebody may ask about: the `query_status` of answers (insights-api.md 4.5)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from attrs import frozen

from .json_values import iso


@frozen(kw_only=True)
class QueryStatus:
    """One moment of a calculation's life: enqueued, picked up, finished."""

    id: str | None
    """The caller's `client_query_id`, or the cache key."""
    project_id: int
    insight_id: int | None = None
    dashboard_id: int | None = None
    complete: bool = False
    """Finished, whether well or not."""
    error: bool = False
    error_message: str | None = None
    """None when the reason is not for clients."""
    results: bytes | None = None
    """JSON of the whole query response once it is there."""
    started_at: datetime | None = None
    """When it was enqueued."""
    picked_up_at: datetime | None = None
    ended_at: datetime | None = None

    def json(self, *, with_results: bool = False, progress: Mapping[str, int] | None = None) -> dict[str, Any]:
        """Return the object of the contract, all keys present; results only where they are asked for."""
        return {
            "id": self.id,
            "team_id": self.project_id,
            "insight_id": self.insight_id,
            "dashboard_id": self.dashboard_id,
            "query_async": True,
            "complete": self.complete,
            "error": self.error,
            "error_message": self.error_message,
            "results": orjson.loads(self.results) if with_results and self.results is not None else None,
            "start_time": iso(self.started_at),
            "pickup_time": iso(self.picked_up_at),
            "end_time": iso(self.ended_at),
            "expiration_time": None,
            "task_id": None,
            "labels": None,
            "query_progress": progress,
        }
