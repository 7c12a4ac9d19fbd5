"""What every endpoint that calculates shares: failures that are shown, query ids, and why a result is null."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import falcon
from attrs import evolve

from ...application.computing import Asker, Refresh
from ...application.json_values import iso
from ...application.library import Insightlog, Project
from ...application.query_status import QueryStatus
from ...domain.errors import InsightlogError, InvalidQuery, TooManyQueries, UncalculatedKind, sentence
from .bodies import json_body

RESULT_HEADER = "Insightlog-Result"
MAX_NOTED = 100
MAX_REASON = 200

logger = logging.getLogger("insightlog.http")


def insight_result(
    log: Insightlog,
    req: falcon.Request,
    insight_id: int,
    project: Project,
    query: Mapping[str, Any],
    refresh: Refresh,
    *,
    in_list: bool,
    was_written: bool = False,
    dashboard_id: int | None = None,
) -> Mapping[str, Any]:
    """Return the answer to an insight's query, or one that says how its calculation failed (insights-api.md 3.4).

    Raises `InvalidQuery` for a query that cannot be answered; not in lists, not after a write, and not for kinds that
    are stored for others to calculate (2.3).
    """
    by = Asker(query_id=client_query_id(req), insight_id=insight_id, dashboard_id=dashboard_id)
    message, refused_at = None, None
    try:
        body = log.computing.answer(project.info, query, refresh, is_saved=True, by=by)
    except InvalidQuery as error:
        if not (in_list or was_written or isinstance(error, UncalculatedKind)):
            raise
        message = sentence(error)
    except InsightlogError as error:
        message = sentence(error)
        refused_at = log.now() if isinstance(error, TooManyQueries) else None
    except Exception:
        logger.exception("insight %s could not be calculated", insight_id)
    else:
        note_result(req, insight_id if in_list else None, body)
        return body
    status = QueryStatus(id=by.query_id, project_id=project.id, insight_id=insight_id, dashboard_id=dashboard_id)
    failed = evolve(status, complete=True, error=True, error_message=message).json()
    body = {
        "cache_key": log.computing.cache_key(project.info, query),
        "query_status": failed,
        "last_refresh": iso(refused_at),
    }
    note_result(req, insight_id if in_list else None, body)
    return body


def client_query_id(req: falcon.Request) -> str | None:
    """Return the id by which the caller will ask about the query or cancel it, from query string or body.

    Visitors of a share name no queries: the name could be that of somebody else's.
    """
    if req.context.share is not None:
        return None
    given: Any = req.get_param("client_query_id")
    if given is None and req.method != "GET":
        given = json_body(req).get("client_query_id")
    return given if isinstance(given, str) and given else None


def why_null(body: Mapping[str, Any]) -> str | None:
    """Return why an answer has no results: `cache_miss`, `calculating` or `failed: ...`; None when it has some."""
    if "results" in body:
        return None
    status = body.get("query_status")
    if status is not None and not status["complete"]:
        return "calculating"
    if status is not None and status["error"]:
        return f"failed: {status['error_message'] or 'unforeseen, the log of the server has the reason'}"
    return "cache_miss"


def note_result(req: falcon.Request, insight_id: int | None, body: Mapping[str, Any]) -> None:
    """Remember why a result is null, if it is, for the header; `insight_id` tells the items of a list apart."""
    reason = why_null(body)
    if reason is not None:
        noted: list[str] = getattr(req.context, "null_results", None) or []
        noted.append(_plain(reason if insight_id is None else f"{insight_id}={reason}"))
        req.context.null_results = noted


class NullResults:
    """Falcon middleware: the header `Insightlog-Result` says why results are null; in lists `481=cache_miss, ...`."""

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, _resource: object, _req_succeeded: bool
    ) -> None:
        """Add the header."""
        noted: list[str] | None = getattr(req.context, "null_results", None)
        if noted:
            resp.set_header(RESULT_HEADER, ", ".join(noted[:MAX_NOTED]))


def _plain(text: str) -> str:
    """Return a text as a header may hold it: printable ASCII, not too long."""
    return "".join(c if " " <= c <= "~" else "?" for c in text[:MAX_REASON])
