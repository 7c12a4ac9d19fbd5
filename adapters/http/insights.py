"""The insights of a project over HTTP: list, create, retrieve, update, delete."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import falcon
import orjson

from ...application.insights import MAX_PAGE
from ...application.json_values import json_bytes
from ...application.library import Insightlog, Project
from ...application.ports import InsightsWanted
from ...domain.errors import InvalidInput
from . import rendering
from .bodies import TRUE, definition, json_body
from .context import CONTEXT, PLAIN, context_of
from .errors import BareNotFound, ParseFailed
from .insight_history import meant_for, write_tagged
from .operations import Parameter, operation
from .parameters import CALCULATION, PAST, flag, integers, moment, page_window, texts
from .presenting import Presenter, is_basic
from .schemas import BOOLEAN, INTEGER, TEXT, array, page_of, ref
from .wrapping import wrapped

DEFAULT_PAGE = 100
FEATURE_FLAG_INSIGHTS = (
    "Feature Flag Called Total Volume",
    "Feature Flag calls made by unique users per variant",
)
"""The names of the insights that PostHog makes for each feature flag."""
BASIC = Parameter("basic", BOOLEAN, "Leave out the result; nothing is calculated.")
LIST_PARAMETERS = (
    Parameter("limit", INTEGER, "How many insights a page holds, at most 1000."),
    Parameter("offset", INTEGER, "How many insights to skip."),
    BASIC,
    *CALCULATION,
    *CONTEXT,
    Parameter("short_id", TEXT, "Just the insight of this short id."),
    Parameter("created_by", array(INTEGER), "Created by any of these users.", is_json_text=True),
    Parameter("user", TEXT, "Created by the caller; any value counts."),
    Parameter("favorited", TEXT, "Favourites only; any value counts."),
    Parameter("saved", BOOLEAN, "Saved insights, or unsaved ones."),
    Parameter("search", TEXT, "Words in name, derived name, description or tags."),
    Parameter("tags", array(TEXT), "With any of these tags.", is_json_text=True),
    Parameter("events", array(TEXT), "Using all of these events.", is_json_text=True),
    Parameter("dashboards", array(INTEGER), "On all of these dashboards.", is_json_text=True),
    Parameter("insight", TEXT, "Of a type: TRENDS, FUNNELS, RETENTION, PATHS, STICKINESS, LIFECYCLE, SQL, JSON."),
    Parameter("feature_flag", TEXT, "Mentioning this feature flag."),
    Parameter("hide_feature_flag_insights", BOOLEAN, "Leave out what is made for feature flags."),
    Parameter("date_from", TEXT, "Modified after this date."),
    Parameter("date_to", TEXT, "Modified before this date."),
    Parameter("created_date_from", TEXT, "Created after this date."),
    Parameter("created_date_to", TEXT, "Created before this date."),
    Parameter("last_viewed_date_from", TEXT, "Viewed by anybody after this date."),
    Parameter("last_viewed_date_to", TEXT, "Viewed by nobody since this date."),
    Parameter("order", TEXT, "A column to sort by, - in front for falling order."),
    *PAST,
)


class InsightList:
    """`/insights/`."""

    def __init__(self, present: Presenter, site_url: str | None) -> None:
        self._site_url = site_url
        self._present = present

    @operation(answer=page_of(ref("AnyInsight")), query=LIST_PARAMETERS)
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """List (insights-api.md 3.1)."""
        log: Insightlog = req.context.log
        limit, offset = page_window(req, DEFAULT_PAGE, MAX_PAGE)
        asked, context = wanted(req, project, limit, offset, log.now()), context_of(req)

        def found() -> tuple[int, orjson.Fragment]:
            page = project.insights.service.find(asked)
            match = "exact" if asked.search else None
            viewed = page.last_viewed_at
            shown = self._present.page(req, project, page.results, context, last_viewed_at=viewed, match=match)
            return page.count, orjson.Fragment(json_bytes(shown))

        if is_basic(req) and context is PLAIN and req.context.caller is not None and not log.is_past:
            name = ("basic page", asked, req.context.caller.user.id)
            count, results = log.parts.views.kept(name, found, weigh=lambda _: limit)
        else:
            count, results = found()
        rendering.write_json(resp, rendering.envelope(req, self._site_url, count, limit, offset, results))

    @operation(answer=ref("Insight"), status=201, body=ref("InsightInput"), query=CALCULATION)
    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Create (insights-api.md 3.2)."""
        asked = wrapped(req, definition(json_body(req)), is_new=True)
        made = project.insights.service.create(asked, req.context.by)
        resp.status = falcon.HTTP_201
        write_tagged(resp, made, self._present.full(req, project, made, was_written=True))


class InsightItem:
    """`/insights/:id/`."""

    def __init__(self, present: Presenter) -> None:
        self._present = present

    @operation(answer=ref("AnyInsight"), query=(BASIC, *CALCULATION, *CONTEXT, *PAST))
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Retrieve (insights-api.md 3.4); no view is recorded."""
        found = project.insights.service.look_at(ref)
        if req.context.share is not None and not req.context.share.opens(found):
            raise BareNotFound
        if is_basic(req):
            shown = self._present.page(req, project, [found], context_of(req))[0]
        else:
            shown = self._present.full(req, project, found, context_of(req))
        write_tagged(resp, found, shown)

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
        try:
            body = wrapped(req, definition(json_body(req)))
        except ParseFailed:
            raise  # what cannot be parsed is refused before anything is looked up
        except InvalidInput:
            service.get_to_edit(ref, restores=may_restore)  # what is not there is said before what is wrong with it
            raise
        versions = meant_for(req, project, ref)
        after = service.update(ref, body, req.context.by, may_restore=may_restore, meant_for=versions)
        shown = self._present.full(req, project, after, was_written=True)
        if isinstance(body.dashboards, tuple):
            places = {one: place for place, one in enumerate(body.dashboards)}
            shown["dashboards"].sort(key=lambda one: places.get(one, len(places)))  # COMPAT: as the request orders them
        write_tagged(resp, after, shown)


class NotServed:
    """What PostHog has beside insights and insightlog has not, where the name would be taken for an insight's."""

    @operation(answers={})
    def on_post(self, _req: falcon.Request, _resp: falcon.Response, project: Project) -> None:
        """Answer that there is nothing (insights-api.md 3.18)."""
        raise BareNotFound

    on_get = on_post


def wanted(req: falcon.Request, project: Project, limit: int, offset: int, now: datetime) -> InsightsWanted:
    """Return what a list is asked for. Raises `InvalidInput` naming the parameter that cannot be read."""
    caller, share = req.context.caller, req.context.share
    dates: dict[str, Any] = {
        name: moment(req, parameter, now, project.timezone)
        for name, parameter in (
            ("modified_after", "date_from"),
            ("modified_before", "date_to"),
            ("created_after", "created_date_from"),
            ("created_before", "created_date_to"),
            ("viewed_after", "last_viewed_date_from"),
            ("viewed_before", "last_viewed_date_to"),
        )
    }
    hides_flags = (req.get_param("hide_feature_flag_insights") or "").lower() in TRUE
    return InsightsWanted(
        project_id=project.id,
        limit=limit,
        offset=offset,
        short_id=req.get_param("short_id") or None,
        created_by=integers(req, "created_by"),
        mine=caller.user.id if caller and "user" in req.params else None,
        favorited="favorited" in req.params,
        saved=bool(flag(req, "saved")) if "saved" in req.params else None,
        search=req.get_param("search"),
        tags=tuple(tag.strip().lower() for tag in texts(req, "tags")),
        events=texts(req, "events"),
        feature_flag=req.get_param("feature_flag") or None,
        dashboards=(*integers(req, "dashboards"), *((share.dashboard.id,) if share and share.dashboard else ())),
        kind=req.get_param("insight") or None,
        hide_names=FEATURE_FLAG_INSIGHTS if hides_flags else (),
        only_id=share.insight.id if share and share.insight else None,
        order=req.get_param("order") or None,
        **dates,
    )
