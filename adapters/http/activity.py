"""The activity log over HTTP: of one insight and of all (insights-api.md 3.7, 3.9, 5.6)."""

from __future__ import annotations

import falcon

from ...application.library import Project
from . import rendering
from .errors import BareNotFound
from .operations import Parameter, operation
from .parameters import AS_OF, page_number
from .schemas import INTEGER, ref

DEFAULT_LIMIT = 10
MAX_LIMIT = 1000
PAGE_PARAMETERS = (
    Parameter("limit", {**INTEGER, "minimum": 1}, "How many entries a page holds, at most 1000."),
    Parameter("page", {**INTEGER, "minimum": 1}, "The page, from 1."),
    AS_OF,
)


class ProjectActivity:
    """`/insights/activity/`."""

    def __init__(self, site_url: str | None) -> None:
        self._site_url = site_url

    @operation(answer=ref("ActivityPage"), query=PAGE_PARAMETERS)
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Return entries of all insights of the project, deleted ones included."""
        self._answer(req, resp, project, None)

    def _answer(self, req: falcon.Request, resp: falcon.Response, project: Project, insight: int | None) -> None:
        limit = min(page_number(req, "limit", DEFAULT_LIMIT), MAX_LIMIT)
        number = page_number(req, "page", 1)
        page = project.activity(insight, limit=limit, page=number)
        if number > 1 and not page.results:
            raise BareNotFound("Invalid page.")
        more = number * limit < page.count
        rendering.write_json(
            resp,
            {
                "results": [rendering.activity(entry) for entry in page],
                "next": self._url(req, number + 1, limit) if more else None,
                "previous": self._url(req, number - 1, limit) if number > 1 else None,
                "total_count": page.count,
            },
        )

    def _url(self, req: falcon.Request, page: int, limit: int) -> str:
        return rendering.url_with(req, self._site_url, page=page, limit=limit)


class InsightActivity(ProjectActivity):
    """`/insights/:id/activity/`."""

    @operation(answer=ref("ActivityPage"), query=PAGE_PARAMETERS)
    def on_get(  # type: ignore[override]
        self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str
    ) -> None:
        """Return the entries of one insight; a deleted one is not found."""
        self._answer(req, resp, project, project.insights.get(ref).id)
