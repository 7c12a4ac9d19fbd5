"""Who looked at which insight, over HTTP: noting views, the caller's last ones, what most people look at."""

from __future__ import annotations

from datetime import timedelta

import falcon

from ...application.insights import MAX_BULK_VIEWS
from ...application.library import Insightlog, Project
from ...domain.errors import InvalidInput
from . import rendering
from .bodies import insight_ids, json_body
from .operations import Parameter, operation
from .parameters import AS_OF
from .presenting import Presenter
from .schemas import INTEGER, array, page_of, ref

MAX_TRENDING = 100
MAX_DAYS = 3650
TRENDING = (
    Parameter("days", INTEGER, "How many days to look back, 7 by default."),
    Parameter("limit", INTEGER, "How many insights, 10 by default, at most 100."),
)


class InsightViewed:
    """`/insights/:id/viewed/`."""

    @operation()
    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Note a view; the body is ignored (insights-api.md 3.8)."""
        project.insights.service.view([ref], req.context.by)
        empty(resp)


class InsightsViewed:
    """`/insights/viewed/`."""

    @operation(body=ref("SeenInput"))
    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Note views of several insights; ids that lead nowhere are dropped."""
        ids = insight_ids(json_body(req), MAX_BULK_VIEWS)
        project.insights.service.view(ids, req.context.by, skip_missing=True)
        empty(resp)


class MyLastViewed:
    """`/insights/my_last_viewed/`."""

    def __init__(self, present: Presenter) -> None:
        self._present = present

    @operation(answer=array(ref("BasicInsight")), query=(AS_OF,))
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Return the caller's last five as a bare array (insights-api.md 3.14)."""
        page = project.insights.service.last_viewed(req.context.caller.user.id)
        rendering.write_json(resp, self._present.basic(req, project, page.results, page.last_viewed_at))


class Trending:
    """`/insights/trending/`."""

    def __init__(self, log: Insightlog, present: Presenter) -> None:
        self._log = log
        self._present = present

    @operation(answer=page_of(ref("TrendingInsight")), query=TRENDING)
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Return what most people looked at lately (insights-api.md 3.18)."""
        days, limit = _whole(req, "days", 7, MAX_DAYS), _whole(req, "limit", 10, MAX_TRENDING)
        found = project.insights.service.trending(self._log.now() - timedelta(days=days), limit)
        insights = [one for one, _ in found]
        users = self._present.users(req, insights, (viewer for _, row in found for viewer in row["viewer_ids"]))
        results = []
        for shown, (one, row) in zip(self._present.basic(req, project, insights), found, strict=True):
            viewers = [rendering.user(users.get(viewer)) for viewer in row["viewer_ids"]]
            modified_by = rendering.user(users.get(one.last_modified_by or 0))
            more = {"view_count": row["view_count"], "viewers": viewers, "last_modified_by": modified_by}
            results.append(shown | more)
        rendering.write_json(resp, {"count": len(results), "next": None, "previous": None, "results": results})


def empty(resp: falcon.Response) -> None:
    """Answer 200 with an empty body."""
    resp.status = falcon.HTTP_200
    resp.data = b""


def _whole(req: falcon.Request, name: str, default: int, most: int) -> int:
    text = req.get_param(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        raise InvalidInput("days and limit must be valid integers")
    return max(1, min(int(text), most))
