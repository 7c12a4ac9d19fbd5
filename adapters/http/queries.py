"""Queries over HTTP: `/query/` with its background runs, cancelling, and the legacy trend endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import falcon

from ...application.computing import Asker, Refresh, refresh_mode
from ...application.insight_queries import stood_for
from ...application.library import Insightlog, Project
from ...application.query_runs import Cancelled
from ...domain.errors import InvalidInput, NotFound, PermissionDenied
from ...domain.queries.legacy import filters_to_query
from ...domain.queries.legacy_results import bins_by_bound, with_plain_labels
from ...domain.queries.overrides import apply_filters, apply_variables
from . import rendering
from .bodies import boolean, json_body
from .errors import BareNotFound
from .legacy import envelope, filters_of, given_filters
from .legacy_parameters import LEGACY_PARAMETERS
from .operations import Parameter, operation
from .parameters import CALCULATION, CLIENT_QUERY_ID, PAST, flag
from .presenting import Presenter, waiting_mode
from .results import client_query_id, note_result
from .schemas import BOOLEAN, INTEGER, OBJECT, TEXT, accepted, ref, shape
from .value_pages import value_page
from .viewing import empty

MAX_NAME = 128
EXPORT_PARAMETERS = (
    Parameter("export_name", TEXT, "In CSV: what the file is named after."),
    Parameter("export_insight_id", TEXT, "In CSV: the short id of the insight that the first line links to."),
)
PROGRESS_PARAMETERS = (
    Parameter("show_progress", BOOLEAN, "With how far the calculation got."),
    Parameter("showProgress", BOOLEAN, "The same."),
)
DEQUEUE_ONLY = Parameter("dequeue_only", BOOLEAN, "Leave a calculation alone that has begun.")
STANDING = shape({"query_status": ref("QueryStatus")})
STANDING_OR_ERROR = {"anyOf": [STANDING, ref("Error")]}
OFFSET = Parameter("offset", INTEGER, "How many breakdown values to skip, the largest first.")
ASKED = (*CALCULATION, *PAST)
TREND_PARAMETERS = (*LEGACY_PARAMETERS, *EXPORT_PARAMETERS, OFFSET)


class Query:
    """`/query/`."""

    @operation(answers={200: ref("QueryAnswer"), 202: ref("QueryAnswer")}, body=ref("QueryInput"), query=ASKED)
    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Answer a query node (insights-api.md 4.5); no mode and `force_cache` act as `blocking`.

        202 while a calculation is under way whose end `query_status` lets the caller wait for.
        """
        _answer_query(req, resp, project)


class QueryItem:
    """`/query/:id/`, of POST `/query/:kind/`; visitors of a share may ask about calculations of what they are shown."""

    def __init__(self, log: Insightlog, present: Presenter) -> None:
        self._log = log
        self._present = present

    @operation(
        answers={200: STANDING, 202: STANDING, 400: STANDING_OR_ERROR, 500: STANDING_OR_ERROR},
        query=PROGRESS_PARAMETERS,
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project, query_id: str) -> None:
        """Say how a calculation in the background stands: 202, 200, 400 or 500 (insights-api.md 4.5)."""
        runs = self._log.computing.runs
        status = runs.status(project.id, query_id)
        if status is None or self._is_hidden(req, project, query_id, status.insight_id):
            raise BareNotFound(f"Query {query_id} not found for team {project.id}")
        shows_progress = flag(req, "show_progress") or flag(req, "showProgress")
        progress = runs.progress(project.id, query_id) if shows_progress else None
        resp.status = (
            falcon.HTTP_202 if not status.complete
            else falcon.HTTP_200 if not status.error
            else falcon.HTTP_400 if status.error_message is not None
            else falcon.HTTP_500
        )  # fmt: skip
        rendering.write_json(resp, {"query_status": status.json(with_results=True, progress=progress)})

    @operation(answers={200: ref("QueryAnswer"), 202: ref("QueryAnswer")}, body=ref("QueryInput"), query=ASKED)
    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project, query_id: str) -> None:
        """Answer a query node whose kind is the last part of the path; the rest is as at `/query/`."""
        query = json_body(req).get("query")
        kind = query.get("kind") if isinstance(query, Mapping) else None
        if kind != query_id:
            raise InvalidInput(f"The query must be of the kind that the path names, {query_id}.", path="query.kind")
        _answer_query(req, resp, project)

    @operation(answer=shape({"message": TEXT}), query=(DEQUEUE_ONLY,))
    def on_delete(self, req: falcon.Request, resp: falcon.Response, project: Project, query_id: str) -> None:
        """Cancel a calculation and forget its status; unknown ids too are answered with 200."""
        done = self._log.computing.runs.delete(project.id, query_id, only_dequeue=bool(flag(req, "dequeue_only")))
        rendering.write_json(resp, {"message": DELETED[done]})

    def _is_hidden(self, req: falcon.Request, project: Project, query_id: str, insight_id: int | None) -> bool:
        """Whether a calculation is that of an insight which the caller may not see."""
        if req.context.share is not None:
            key = self._log.computing.runs.key(project.id, query_id)
            return key not in self._present.shared_keys(req.context.share, project)
        if insight_id is None:
            return False
        try:
            project.insights.get(insight_id)
        except NotFound:
            return False
        except PermissionDenied:
            return True
        return False


class Cancel:
    """`/insights/cancel/`."""

    def __init__(self, log: Insightlog) -> None:
        self._log = log

    @operation(body=accepted({"client_query_id": TEXT}), query=(CLIENT_QUERY_ID,))
    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Cancel every calculation of the project whose id starts with the given one (insights-api.md 3.10)."""
        query_id = client_query_id(req)
        if query_id is None:
            raise InvalidInput("Field is required.", path="client_query_id")
        self._log.computing.runs.cancel(project.id, query_id)
        empty(resp)


class Timing:
    """`/insights/timing/`."""

    @operation(body=OBJECT)
    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Take how long a client waited; nothing is done with it (insights-api.md 3.15)."""
        json_body(req)
        empty(resp)


_TRENDS = frozenset({"TrendsQuery", "StickinessQuery", "LifecycleQuery"})
"""Kinds that are answered with series."""


class Trend:
    """`/insights/trend/`: the legacy endpoint, parameters in the query string or as a JSON body."""

    csv_layout = "trend"

    def __init__(self, site_url: str | None) -> None:
        self._site_url = site_url

    @operation(answer=ref("TrendAnswer"), query=TREND_PARAMETERS)
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Answer a trend whose filters are in the query string, lists and objects as JSON text."""
        self._answer(req, resp, project, given_filters(req))

    @operation(answer=ref("TrendAnswer"), body=OBJECT, query=TREND_PARAMETERS)
    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Answer a trend whose filters are in the body; the query string is merged, the body wins."""
        self._answer(req, resp, project, given_filters(req))

    def _answer(self, req: falcon.Request, resp: falcon.Response, project: Project, given: dict[str, Any]) -> None:
        query = filters_to_query(filters_of(given))
        if query["kind"] not in _TRENDS:
            raise InvalidInput(f"There are no trends of {given['insight']}.", path="insight", code="invalid_choice")
        page = value_page(project, query, given)
        req.context.days_shown = _days(page.answer["resolved_date_range"], given.get("date_from"))
        offset = page.next_offset
        after = None if offset is None else rendering.url_with(req, self._site_url, offset=offset)
        series = bins_by_bound(page.series) if given.get("breakdown_histogram_bin_count") else page.series
        shown = with_plain_labels(series)
        rendering.write_json(resp, {"result": shown, **envelope(page.answer), "next": after})


DELETED: Mapping[Cancelled, str] = {
    "cancelled": "Cancelled query on clickhouse",
    "already complete": "Query already complete",
    "only dequeued": "Only tried to dequeue, not cancelling query on clickhouse",
}
"""The contract's words; there need not be a ClickHouse."""


def _answer_query(req: falcon.Request, resp: falcon.Response, project: Project) -> None:
    log: Insightlog = req.context.log
    body = json_body(req)
    if "query" not in body:
        raise InvalidInput("This field is required.", path="query", code="required")
    _check_name(body.get("name"))
    query, insight_id = stood_for(body["query"], project.insights.get)
    query = apply_filters(query, _object(body, "filters_override"))
    query = apply_variables(query, _object(body, "variables_override"))
    by = Asker(query_id=client_query_id(req), insight_id=insight_id)
    is_saved = insight_id is not None
    mode = waiting_mode(req, _mode(req, body))
    answer = log.computing.answer(project.info, query, mode, is_saved=is_saved, by=by)
    note_result(req, None, answer)
    status = answer["query_status"]
    resp.status = falcon.HTTP_202 if status is not None and not status["complete"] else falcon.HTTP_200
    rendering.write_json(resp, answer)


def _days(bounds: Mapping[str, str], date_from: Any) -> tuple[str | None, str]:
    """Return the first and the last day of a range; no first day for one over all time."""
    return None if date_from == "all" else bounds["date_from"][:10], bounds["date_to"][:10]


def _mode(req: falcon.Request, body: Mapping[str, Any]) -> Refresh:
    asked = req.params["refresh"] if "refresh" in req.params else body.get("refresh")
    if asked is None and body.get("async") is not None and boolean(body["async"], "async"):
        return "async"
    mode = refresh_mode(asked, absent="blocking")
    return "blocking" if mode == "force_cache" else mode


def _object(body: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    value = body.get(name)
    if value is not None and not isinstance(value, Mapping):
        raise InvalidInput(f"Invalid JSON passed in {name} parameter", path=name)
    return value


def _check_name(name: Any) -> None:
    if name is not None and not isinstance(name, str):
        raise InvalidInput("Not a valid string.", path="name")
    if name is not None and len(name) > MAX_NAME:
        raise InvalidInput(f"Ensure this field has no more than {MAX_NAME} characters.", path="name", code="max_length")
