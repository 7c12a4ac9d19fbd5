"""How insights are shown to the one who asks: with rights, places, context and results; full, basic or by a share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import falcon

from ...application.computing import Refresh, refresh_mode
from ...application.library import Insightlog, Project
from ...application.model import User
from ...application.refresh_policy import shared_mode
from ...application.visiting import Share
from ...domain.insight import Insight
from . import rendering
from .bodies import TRUE, json_body
from .context import PLAIN, Context
from .results import insight_result

WAITING: Mapping[Refresh, Refresh] = {
    "async": "blocking",
    "lazy_async": "blocking",
    "async_except_on_cache_miss": "blocking",
    "force_async": "force_blocking",
}
"""What modes act as over the past, of which no result is kept that could be shown in the meantime."""


class Presenter:
    """Shows insights of a log."""

    def __init__(self, log: Insightlog, *, echoes_filters: bool = False) -> None:
        self._log = log
        self._echoes_filters = echoes_filters

    def full(
        self,
        req: falcon.Request,
        project: Project,
        insight: Insight,
        context: Context = PLAIN,
        *,
        was_written: bool = False,
    ) -> dict[str, Any]:
        """Return the full representation of one insight. Raises `InvalidQuery` when its query cannot be answered.

        After a write it does not: an error would say that nothing was written. The failure is in `query_status` then.
        """
        shown, look = context.definition(insight, project)
        result = self.result(req, insight, shown, project, context=context, was_written=was_written)
        log: Insightlog = req.context.log
        if context is PLAIN and req.context.caller is not None and not (was_written or log.is_past):
            # PERF: all but the result stays as it is for one who looks again, until something is written.
            name = ("insight shown", project.id, insight.id, insight.version, req.context.caller.user.id)
            stored = log.parts.views.kept(name, lambda: self._stored(req, project, insight, shown))
            return stored | result.fields()
        found = self._stored(req, project, insight, shown) | result.fields()
        if look is not None:
            found |= {"color": look.color, "layouts": look.layouts}
        return found

    def page(
        self,
        req: falcon.Request,
        project: Project,
        insights: Sequence[Insight],
        context: Context = PLAIN,
        *,
        last_viewed_at: Mapping[int, datetime] | None = None,
        match: str | None = None,
    ) -> list[dict[str, Any]]:
        """Return the representations of a list: basic when asked for, else full.

        A result that cannot be calculated stays with its item.
        """
        users, standings = self.users(req, insights), self.standings(req, project, insights)
        viewed, is_short = last_viewed_at or {}, is_basic(req)
        found = []
        for one in insights:
            shown, _ = context.definition(one, project)
            more: dict[str, Any] = {"last_viewed_at": viewed.get(one.id), "match": match}
            if is_short:
                found.append(self._finished(req, one, rendering.basic(one, shown, users, standings[one.id], **more)))
            else:
                result = self.result(req, one, shown, project, context=context, in_list=True)
                stored = rendering.stored(one, shown, users, standings[one.id], **more)
                found.append(self._finished(req, one, stored) | result.fields())
        return found

    def basic(
        self,
        req: falcon.Request,
        project: Project,
        insights: Sequence[Insight],
        last_viewed_at: Mapping[int, datetime] | None = None,
    ) -> list[dict[str, Any]]:
        """Return basic representations, whatever is asked for."""
        users, standings = self.users(req, insights), self.standings(req, project, insights)
        viewed = last_viewed_at or {}
        return [
            self._finished(
                req,
                one,
                rendering.basic(
                    one, rendering.definition_of(one), users, standings[one.id], last_viewed_at=viewed.get(one.id)
                ),
            )
            for one in insights
        ]

    def on_page(
        self,
        req: falcon.Request,
        project: Project,
        insight: Insight,
        context: Context,
        *,
        page_mode: Refresh | None = None,
    ) -> dict[str, Any]:
        """Return an insight as a tile or a shared page has it: three keys of one that the caller may not see."""
        level = project.rights.level(insight) if project.rights else None
        if level == "none":
            return {"id": insight.id, "short_id": insight.short_id, "user_access_level": level}
        shown, _ = context.definition(insight, project)
        result = self.result(req, insight, shown, project, context=context, in_list=True, page_mode=page_mode)
        return self._stored(req, project, insight, shown) | result.fields()

    def result(
        self,
        req: falcon.Request,
        insight: Insight,
        shown: rendering.Definition,
        project: Project,
        *,
        context: Context = PLAIN,
        in_list: bool = False,
        was_written: bool = False,
        page_mode: Refresh | None = None,
    ) -> rendering.Result:
        """Return what the definition gives, as the request says; no failure leaves a list or a write's answer.

        `page_mode` is for pages, where a request says nothing.
        """
        refresh = page_mode or refresh_of(req)
        zone = project.timezone if refresh not in {None, "force_cache"} else None
        if shown.query is None:
            key = req.context.log.computing.cache_key(project.info, {"filters": shown.filters})
            return rendering.Result({"cache_key": key}, zone, has_query=False)
        mode = refresh or "force_cache"
        if req.context.share is not None and page_mode is None:
            kept = self._log.computing.answer(project.info, shown.query, "force_cache", is_saved=True)
            mode = shared_mode(refresh, _age(kept, self._log.now()))
        body = insight_result(
            req.context.log, req, insight.id, project, shown.query, mode,
            in_list=in_list, was_written=was_written, dashboard_id=context.dashboard_id,
        )  # fmt: skip
        return rendering.Result(body, zone)

    def shared_keys(self, share: Share, project: Project) -> set[str]:
        """Return the cache keys of the results that a visitor of a share may be shown."""
        if share.shared.deleted:
            return set()
        shown = [] if share.insight is None else [(share.insight, PLAIN)]
        if share.dashboard is not None:
            insights = [one for _, one in project.dashboards.service.tiles(share.dashboard.id)]
            seen = [one for one in insights if project.rights is None or project.rights.level(one) != "none"]
            shown = [(one, context) for one in seen for context in (PLAIN, Context(share.dashboard.id))]
        queries = [context.definition(one, project)[0].query for one, context in shown]
        return {self._log.computing.cache_key(project.info, query) for query in queries if query is not None}

    def users(self, req: falcon.Request, insights: Iterable[Insight], more: Iterable[int] = ()) -> dict[int, User]:
        """Return the users that insights name, and more; the caller is known already."""
        caller: dict[int, User] = {req.context.caller.user.id: req.context.caller.user} if req.context.caller else {}
        ids = {one for insight in insights for one in (insight.created_by, insight.last_modified_by) if one}
        ids = ids.union(more) - caller.keys()
        return caller | {one.id: one for one in (req.context.log.administration.users_by_id(ids) if ids else ())}

    def standings(
        self, req: falcon.Request, project: Project, insights: Sequence[Insight]
    ) -> Mapping[int, rendering.Standing]:
        """Return what each insight is to the caller, by id."""
        if req.context.share is not None:
            return {one.id: rendering.VISITED for one in insights}
        tiles = project.insights.service.tiles(insights)
        return {one.id: rendering.standing(one, tiles.get(one.id, ()), project.rights) for one in insights}

    def _stored(
        self, req: falcon.Request, project: Project, insight: Insight, shown: rendering.Definition
    ) -> dict[str, Any]:
        """Return the full representation but for the result."""
        standing = self.standings(req, project, [insight])[insight.id]
        return self._finished(req, insight, rendering.stored(insight, shown, self.users(req, [insight]), standing))

    def _finished(self, req: falcon.Request, insight: Insight, found: dict[str, Any]) -> dict[str, Any]:
        """Show stored filters where the server is told to; leave out personal details where a share says so."""
        if self._echoes_filters and not insight.query:
            found["filters"] = insight.filters
        return rendering.without_details(found, req.context.share)


def _age(answer: Mapping[str, Any], now: datetime) -> timedelta | None:
    """Return how old a cached answer is, None without one."""
    last_refresh = answer.get("last_refresh")
    return None if last_refresh is None else now - datetime.fromisoformat(last_refresh)


def is_basic(req: falcon.Request) -> bool:
    """Whether the basic representation is asked for."""
    return (req.get_param("basic") or "").lower() in TRUE


def refresh_of(req: falcon.Request) -> Refresh | None:
    """Return the asked mode: from the query string, else from the body; None when not asked."""
    value = req.params.get("refresh")
    if isinstance(value, list):
        value = value[-1]
    if value is None and req.method != "GET":
        value = json_body(req).get("refresh")
    return None if value is None else waiting_mode(req, refresh_mode(value))


def waiting_mode(req: falcon.Request, mode: Refresh) -> Refresh:
    """Return a mode, or over the past the one that it acts as there: nothing is calculated in the background."""
    return WAITING.get(mode, mode) if req.context.log.is_past else mode
