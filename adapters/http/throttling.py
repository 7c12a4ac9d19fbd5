"""How often one project's personal API keys may ask (insights-api.md 1.9); off unless the app is told to limit."""

from __future__ import annotations

import math
import re
import threading
from collections import OrderedDict, deque
from datetime import datetime, timedelta
from typing import Any

import falcon

from ...application.library import Project
from ...application.ports import Clock
from .errors import Throttled

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
ANALYTICS = re.compile(r"/api/(?:projects|environments)/[^/]+/(?:insights|query)(?=/|$)")
ANALYTICS_LIMITS = ((240, MINUTE), (1200, HOUR))
"""Of insights and queries: so many requests within so long."""
OTHER_LIMITS = ((480, MINUTE), (4800, HOUR))
"""Of everything else under /api."""
MAX_REMEMBERED = 10_000
"""How many projects are watched at once; the one that has been quiet for longest is forgotten first."""

Limits = tuple[tuple[int, timedelta], ...]


class RateLimits:
    """Falcon middleware that counts requests made with a personal API key, and refuses those beyond the limits.

    It stands behind the gatekeeper, who says whose request it is. Counts are of this process and in memory.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._asked: OrderedDict[tuple[str, Limits], deque[datetime]] = OrderedDict()

    def process_resource(
        self, req: falcon.Request, _resp: falcon.Response, _resource: object, params: dict[str, Any]
    ) -> None:
        """Count the request. Raises `Throttled` when there were as many as may be; those are not counted."""
        caller = getattr(req.context, "caller", None)
        if caller is None or not req.path.startswith("/api/"):
            return
        project = params.get("project")
        whose = f"project {project.id}" if isinstance(project, Project) else f"user {caller.user.id}"
        self._count(whose, ANALYTICS_LIMITS if ANALYTICS.match(req.path) else OTHER_LIMITS)

    def _count(self, whose: str, limits: Limits) -> None:
        now = self._clock()
        with self._lock:
            asked = self._asked.setdefault((whose, limits), deque())
            self._asked.move_to_end((whose, limits))
            while len(self._asked) > MAX_REMEMBERED:
                self._asked.popitem(last=False)
            while asked and asked[0] <= now - max(span for _, span in limits):
                asked.popleft()
            waits = [
                asked[-most] + span - now for most, span in limits if len(asked) >= most and asked[-most] > now - span
            ]
            if waits:
                raise Throttled(math.ceil(max(waits).total_seconds()))
            asked.append(now)
