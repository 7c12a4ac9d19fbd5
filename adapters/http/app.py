"""The Falcon app: every route with its resource and scopes, error handlers and middleware. Plain WSGI."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import falcon
from attrs import frozen

from ...application.library import Insightlog
from ...domain.errors import InsightlogError
from . import activity, errors, insights, queries, rendering, sequences, sharing
from .access import Gatekeeper, Route, check_routes
from .body import BodyMiddleware
from .capture import capture_routes
from .flags import LocalEvaluation, start_routes
from .formats import Formats, SuffixAsFormat
from .openapi import Document
from .operations import operation
from .results import RESULT_HEADER, NullResults
from .schemas import INTEGER, one_of, shape
from .throttling import RateLimits

READ, WRITE, QUERY = "insight:read", "insight:write", "query:read"
PREFIXES = ("/api/projects/{project_id}", "/api/environments/{project_id}")
EXPOSED = f"Content-Disposition, Retry-After, {RESULT_HEADER}"
WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@frozen(kw_only=True)
class HttpOptions:
    """How the app behaves."""

    site_url: str | None = None
    """What absolute links start with; None: the scheme and host of the request."""
    are_csv_formulas_escaped: bool = True
    """Whether a text cell that a spreadsheet would run as a formula gets a leading apostrophe."""
    rate_limits: bool = False
    """Whether requests of a project's keys are limited to the contract's numbers (insights-api.md 1.9)."""


HEALTH = shape({"status": one_of("ok"), "position": INTEGER})


class Health:
    """`/_health`."""

    def __init__(self, log: Insightlog) -> None:
        self._log = log

    @operation(answer=HEALTH)
    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Answer 200 when the stores can be read."""
        rendering.write_json(resp, {"status": "ok", "position": self._log.position()})


def routes_of(log: Insightlog, options: HttpOptions) -> list[Route]:
    """Return every route; each says for each of its methods which scope it takes."""
    site = options.site_url
    inside: list[tuple[str, Any, Mapping[str, str], bool]] = [
        ("/insights", insights.InsightList(log, site), {"GET": READ, "POST": WRITE}, False),
        ("/insights/activity", activity.ProjectActivity(site), {"GET": "activity_log:read"}, False),
        ("/insights/my_last_viewed", insights.MyLastViewed(log, site), {"GET": READ}, False),
        ("/insights/trend", queries.Trend(), {"GET": READ, "POST": READ}, False),
        ("/insights/funnel", sequences.Funnel(), {"GET": READ, "POST": READ}, False),
        ("/insights/funnel/correlation", sequences.Correlation(), {"GET": READ, "POST": READ}, False),
        ("/insights/retention", sequences.Retention(), {"GET": READ, "POST": READ}, False),
        ("/insights/path", sequences.Path(), {"GET": READ, "POST": READ}, False),
        ("/insights/viewed", insights.InsightsViewed(log, site), {"POST": READ}, False),
        (
            "/insights/{ref}",
            insights.InsightItem(log, site),
            {"GET": READ, "PATCH": WRITE, "PUT": WRITE, "DELETE": WRITE},
            False,
        ),
        ("/insights/{ref}/activity", activity.InsightActivity(site), {"GET": "activity_log:read"}, False),
        (
            "/insights/{ref}/sharing",
            sharing.InsightSharing(),
            {"GET": "sharing_configuration:read", "PATCH": "sharing_configuration:write"},
            True,
        ),
        ("/insights/{ref}/viewed", insights.InsightViewed(log, site), {"POST": READ}, False),
        ("/insights/cancel", queries.Cancel(log), {"POST": READ}, False),
        ("/insights/timing", queries.Timing(), {"POST": READ}, False),
        ("/query", queries.Query(log), {"POST": QUERY}, False),
        ("/query/{query_id}", queries.QueryItem(log), {"GET": QUERY, "DELETE": QUERY}, False),
    ]
    routes = [
        Route(prefix + path, resource, scopes, challenges)
        for prefix in PREFIXES
        for path, resource, scopes, challenges in inside
    ]
    routes.append(Route("/_health", Health(log), None))
    routes.append(Route("/api/schema", Document(lambda: routes), None))
    routes += [Route(path, resource, None) for path, resource in capture_routes(log.capture_by_token, clock=log.now)]
    project_of_token = log.administration.project_of_token
    routes += [Route(path, resource, None) for path, resource in start_routes(project_of_token, log.now)]
    definitions = {"GET": "feature_flag:read"}
    routes += [
        Route(path, LocalEvaluation(), definitions)
        for path in ("/api/feature_flag/local_evaluation", "/flags/definitions")
    ]
    return routes


def create_app(log: Insightlog, options: HttpOptions | None = None) -> WSGIApp:
    """Return a WSGI app that serves a log; mount it into any WSGI server.

    Make it in the process that serves, after any fork; it does not close the log. Raises RuntimeError for a route
    without declared scopes.
    """
    options = options or HttpOptions()
    routes = routes_of(log, options)
    check_routes(routes)
    formats = Formats(options.site_url, are_formulas_escaped=options.are_csv_formulas_escaped)
    limits = [RateLimits(log.now)] if options.rate_limits else []
    app: Any = falcon.App(middleware=[formats, Gatekeeper(log, routes), *limits, Cors(), NullResults()])
    app.req_options.strip_url_path_trailing_slash = True
    app.req_options.keep_blank_qs_values = True
    app.req_options.auto_parse_qs_csv = False
    app.resp_options.secure_cookies_by_default = True
    for route in routes:
        app.add_route(route.path, route.resource)
    app.add_error_handler(Exception, errors.on_any_error)
    app.add_error_handler(InsightlogError, errors.on_insightlog_error)
    app.add_error_handler(falcon.HTTPError, errors.on_http_error)
    wrapped: WSGIApp = BodyMiddleware(SuffixAsFormat(HeadAsGet(app)))
    return wrapped


class HeadAsGet:
    """WSGI middleware: HEAD answers like GET, without a body."""

    def __init__(self, app: WSGIApp) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one request."""
        if environ["REQUEST_METHOD"] != "HEAD":
            return self._app(environ, start_response)
        body = self._app({**environ, "REQUEST_METHOD": "GET"}, start_response)
        close = getattr(body, "close", None)
        if close is not None:
            close()
        return []


class Cors:
    """Falcon middleware: OPTIONS answers 200 and names the methods; keys are no cookies, so any origin may try."""

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, _resource: object, _req_succeeded: bool
    ) -> None:
        """Add the headers."""
        if req.path.startswith("/api/"):
            resp.set_header("Access-Control-Allow-Origin", "*")
            if req.method == "OPTIONS":
                resp.set_header("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE, OPTIONS")
                asked = req.get_header("Access-Control-Request-Headers")
                resp.set_header("Access-Control-Allow-Headers", asked or "Authorization, Content-Type, X-Request-ID")
                resp.set_header("Access-Control-Max-Age", "86400")
            else:
                resp.set_header("Access-Control-Expose-Headers", EXPOSED)
