"""The insights of a project over HTTP: list, create, retrieve, update, delete, viewed, last viewed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import falcon

from ...application.computing import Refresh, cache_key, refresh_mode
from ...application.insights import MAX_BULK_VIEWS, MAX_PAGE
from ...application.library import Insightlog, Project
from ...application.model import User
from ...application.ports import InsightsWanted
from ...domain.insight import Insight
from . import rendering
from .bodies import TRUE, definition, insight_ids, json_body
from .operations import Parameter, operation
from .parameters import CALCULATION, flag, integers, page_window, texts
from .results import insight_result
from .schemas import BOOLEAN, INTEGER, TEXT, array, page_of, ref

DEFAULT_PAGE = 100
BASIC = Parameter("basic", BOOLEAN, "Leave out the result; nothing is calculated.")
LIST_PARAMETERS = (
    Parameter("limit", INTEGER, "How many insights a page holds, at most 1000."),
    Parameter("offset", INTEGER, "How many insights to skip."),
    BASIC,
    *CALCULATION,
    Parameter("short_id", TEXT, "Just the insight of this short id."),
    Parameter("created_by", array(INTEGER), "Created by any of these users.", is_json_text=True),
    Parameter("user", TEXT, "Created by the caller; any value counts."),
    Parameter("favorited", TEXT, "Favourites only; any value counts."),
    Parameter("saved", BOOLEAN, "Saved insights, or unsaved ones."),
    Parameter("search", TEXT, "Words in name, derived name, description or tags."),
    Parameter("tags", array(TEXT), "With any of these tags.", is_json_text=True),
    Parameter("order", TEXT, "A column to sort by, - in front for falling order."),
)


class InsightsBase:
    """What the resources of insights share: how an insight is shown to the caller."""

    def __init__(self, log: Insightlog, site_url: str | None) -> None:
        self._log = log
        self._site_url = site_url

    def _refresh(self, req: falcon.Request) -> Refresh | None:
        """Return the asked mode: from the query string, else from the body; None when not asked."""
        value = req.get_param("refresh") if req.has_param("refresh") else None
        if value is None and "refresh" in req.params:
            value = ""
        if value is None and req.method != "GET":
            value = json_body(req).get("refresh")
        return None if value is None else refresh_mode(value)

    def _result(
        self, req: falcon.Request, insight: Insight, project: Project, refresh: Refresh | None, *, in_list: bool = False
    ) -> rendering.Result:
        """Return what the insight shows of its calculation; in a list no failure leaves its item."""
        query = rendering.effective_query(insight)
        zone = project.timezone if refresh not in {None, "force_cache"} else None
        if query is None:
            return rendering.Result({"cache_key": cache_key(project.info, {"filters": insight.filters})}, zone)
        body = insight_result(self._log, req, insight.id, project, query, refresh or "force_cache", in_list=in_list)
        return rendering.Result(body, zone)

    def _users(self, req: falcon.Request, insights: Iterable[Insight]) -> dict[int, User]:
        """Return the users that insights name; the caller is known already."""
        caller: User = req.context.caller.user
        ids = {one for insight in insights for one in (insight.created_by, insight.last_modified_by) if one}
        others = self._log.administration.users_by_id(ids - {caller.id}) if ids - {caller.id} else ()
        return {caller.id: caller, **{one.id: one for one in others}}

    def _full(self, req: falcon.Request, insight: Insight, project: Project) -> dict[str, Any]:
        return rendering.full(
            insight,
            self._result(req, insight, project, self._refresh(req)),
            self._users(req, [insight]),
            viewer=req.context.caller.user.id,
        )

    def _basic(
        self,
        req: falcon.Request,
        insights: Iterable[Insight],
        viewed: Mapping[int, datetime],
        match: str | None = None,
    ) -> list[dict[str, Any]]:
        gathered = list(insights)
        users = self._users(req, gathered)
        return [
            rendering.basic(
                one, users, viewer=req.context.caller.user.id, last_viewed_at=viewed.get(one.id), match=match
            )
            for one in gathered
        ]


class InsightList(InsightsBase):
    """`/insights/`."""

    @operation(answer=page_of(ref("AnyInsight")), query=LIST_PARAMETERS)
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """List (insights-api.md 3.1)."""
        limit, offset = page_window(req, DEFAULT_PAGE, MAX_PAGE)
        page = project.insights.service.find(
            InsightsWanted(
                project_id=project.id,
                limit=limit,
                offset=offset,
                short_id=req.get_param("short_id"),
                created_by=(*integers(req, "created_by"), *_own(req)),
                favorited="favorited" in req.params,
                saved=flag(req, "saved"),
                search=req.get_param("search"),
                tags=tuple(tag.strip().lower() for tag in texts(req, "tags")),
                order=req.get_param("order") or None,
            )
        )
        match = "exact" if req.get_param("search") else None
        if is_basic(req):
            results = self._basic(req, page, page.last_viewed_at, match)
        else:
            users, refresh = self._users(req, page), self._refresh(req)
            results = [
                rendering.full(
                    one,
                    self._result(req, one, project, refresh, in_list=True),
                    users,
                    viewer=req.context.caller.user.id,
                    last_viewed_at=page.last_viewed_at.get(one.id),
                    match=match,
                )
                for one in page
            ]
        after = url(req, self._site_url, limit, offset + limit) if offset + limit < page.count else None
        before = url(req, self._site_url, limit, offset - limit) if offset > 0 else None
        rendering.write_json(resp, {"count": page.count, "next": after, "previous": before, "results": results})

    @operation(answer=ref("Insight"), status=201, body=ref("InsightInput"), query=CALCULATION)
    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Create (insights-api.md 3.2)."""
        made = project.insights.service.create(definition(json_body(req)), req.context.by)
        resp.status = falcon.HTTP_201
        rendering.write_json(resp, self._full(req, made, project))


class InsightItem(InsightsBase):
    """`/insights/:id/`."""

    @operation(answer=ref("AnyInsight"), query=(BASIC, *CALCULATION))
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Retrieve (insights-api.md 3.4); no view is recorded."""
        found = project.insights.get(ref)
        if is_basic(req):
            rendering.write_json(resp, self._basic(req, [found], {})[0])
        else:
            rendering.write_json(resp, self._full(req, found, project))

    @operation(answer=ref("Insight"), body=ref("InsightInput"), query=CALCULATION)
    def on_patch(self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Update, delete softly, restore (insights-api.md 3.5)."""
        self._update(req, resp, project, ref, may_restore=json_body(req).get("deleted") is False)

    @operation(answer=ref("Insight"), body=ref("InsightInput"), query=CALCULATION)
    def on_put(self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Update; absent fields keep their values, and nothing is restored."""
        self._update(req, resp, project, ref, may_restore=False)

    @operation(status=405)
    def on_delete(self, _req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Refuse: insights are deleted softly, by PATCH. The body stays empty (insights-api.md 3.6)."""
        resp.status = falcon.HTTP_405
        resp.set_header("Allow", "GET, PATCH, PUT, HEAD, OPTIONS")

    def _update(
        self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str, *, may_restore: bool
    ) -> None:
        service = project.insights.service
        if not may_restore:
            service.get(ref)
        after = service.update(ref, definition(json_body(req)), req.context.by, may_restore=may_restore)
        rendering.write_json(resp, self._full(req, after, project))


class InsightViewed(InsightsBase):
    """`/insights/:id/viewed/`."""

    @operation()
    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Note a view; the body is ignored (insights-api.md 3.8)."""
        project.insights.service.view([ref], req.context.by)
        empty(resp)


class InsightsViewed(InsightsBase):
    """`/insights/viewed/`."""

    @operation(body=ref("SeenInput"))
    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Note views of several insights; ids that lead nowhere are dropped."""
        ids = insight_ids(json_body(req), MAX_BULK_VIEWS)
        project.insights.service.view(ids, req.context.by, skip_missing=True)
        empty(resp)


class MyLastViewed(InsightsBase):
    """`/insights/my_last_viewed/`."""

    @operation(answer=array(ref("BasicInsight")))
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Return the caller's last five as a bare array (insights-api.md 3.14)."""
        page = project.insights.service.last_viewed(req.context.caller.user.id)
        rendering.write_json(resp, self._basic(req, page, page.last_viewed_at))


def is_basic(req: falcon.Request) -> bool:
    """Whether the basic representation is asked for."""
    return (req.get_param("basic") or "").lower() in TRUE


def empty(resp: falcon.Response) -> None:
    """Answer 200 with an empty body."""
    resp.status = falcon.HTTP_200
    resp.data = b""


def url(req: falcon.Request, site_url: str | None, limit: int, offset: int) -> str:
    """Return the address of another page of a list."""
    return rendering.url_with(req, site_url, limit=limit, offset=offset if offset > 0 else None)


def _own(req: falcon.Request) -> tuple[int, ...]:
    """Return the caller's id when only the caller's insights are wanted: the parameter's presence counts."""
    return (req.context.caller.user.id,) if "user" in req.params else ()
