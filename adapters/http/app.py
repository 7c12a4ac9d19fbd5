"""The Falcon app: every route with its resource and scopes, error handlers and middleware. Plain WSGI."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import falcon
from attrs import evolve, frozen

from ...application.library import Insightlog
from ...domain.errors import InsightlogError
from ..composition import software_version
from . import (
    access_controls,
    account,
    actions,
    activity,
    capture_v1,
    cohorts,
    dashboards,
    elements,
    errors,
    groups,
    insight_history,
    insights,
    log_records,
    persons,
    persons_behind,
    product_events,
    queries,
    rendering,
    seen_names,
    sequences,
    shared,
    sharing,
    tiles,
    viewing,
)
from .access import METHODS, Gatekeeper, Route, check_routes
from .body import BodyMiddleware, WSGIApp
from .capture import capture_routes
from .flags import LocalEvaluation, start_routes
from .formats import Formats, SuffixAsFormat
from .forwarded import ClientAddress
from .openapi import Document
from .operations import operation
from .past import POSITION_HEADER, Positions
from .presenting import Presenter
from .results import RESULT_HEADER, NullResults
from .schemas import INTEGER, TEXT, nullable, one_of, shape
from .throttling import RateLimits

READ, WRITE, QUERY = "insight:read", "insight:write", "query:read"
PREFIXES = ("/api/projects/{project_id}", "/api/environments/{project_id}")
EXPOSED = f"Content-Disposition, ETag, Retry-After, {POSITION_HEADER}, {RESULT_HEADER}"


@frozen(kw_only=True)
class HttpOptions:
    """How the app behaves."""

    site_url: str | None = None
    """What absolute links start with; None: the scheme and host of the request."""
    are_csv_formulas_escaped: bool = True
    """Whether a text cell that a spreadsheet would run as a formula gets a leading apostrophe."""
    rate_limits: bool = False
    """Whether requests of a project's keys are limited to the contract's numbers (insights-api.md 1.9)."""
    trusted_proxies: int = 0
    """How many proxies stand in front whose word on who sent a request is taken; 0: none, the connection counts."""
    strict_scopes: bool = False
    """Whether keys with scopes are refused where PostHog lists no scope (insights-api.md 1.8)."""
    legacy_filters_echo: bool = False
    """Whether insights that were stored with legacy filters show these beside the query they convert to (2.4)."""


TAKING_OVER = shape({"taken_over": INTEGER, "of": INTEGER, "seconds_left": nullable(INTEGER)})
HEALTH = shape({"status": one_of("ok"), "position": INTEGER, "product_events": nullable(TAKING_OVER)})


class Health:
    """`/_health`."""

    def __init__(self, log: Insightlog) -> None:
        self._log = log

    @operation(answer=HEALTH)
    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Answer 200 when the stores can be read; `product_events` tells how far building them again has got."""
        catching_up = self._log.parts.catching_up()
        shown = None
        if catching_up is not None:
            left = catching_up.left_s
            shown = {
                "taken_over": catching_up.n_done,
                "of": catching_up.n_all,
                "seconds_left": None if left is None else round(left),
            }
        rendering.write_json(resp, {"status": "ok", "position": self._log.position(), "product_events": shown})


class Root:
    """`/`: what whoever opens the printed address gets to see."""

    @operation(answer=shape({"service": TEXT, "version": TEXT, "schema": TEXT, "health": TEXT}))
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Say what is served here, and where it is described."""
        here = req.prefix
        shown = {"service": "insightlog", "version": software_version()}
        rendering.write_json(resp, {**shown, "schema": f"{here}/api/schema/", "health": f"{here}/_health"})


def routes_of(log: Insightlog, options: HttpOptions) -> list[Route]:
    """Return every route; each says for each of its methods which scope it takes."""
    present = Presenter(log, echoes_filters=options.legacy_filters_echo)
    inside = _project_routes(log, present, options.site_url)
    routes = [evolve(route, path=prefix + route.path) for prefix in PREFIXES for route in inside]
    routes += _account_routes(log, options.site_url)
    for path, kind in (("/shared", "scene"), ("/shared_dashboard", "scene"), ("/embedded", "embed")):
        routes.append(Route(f"{path}/{{token}}", shared.Shared(log, present, kind), None))
    routes += [Route("/", Root(), None), Route("/_health", Health(log), None)]
    routes.append(Route("/api/schema", Document(lambda: routes), None))
    let_pass = log.parts.precedence.let_pass
    captures = capture_routes(log.capturing, clock=log.now, let_pass=let_pass)
    routes += [Route(path, resource, None) for path, resource in captures]
    routes.append(Route(capture_v1.PATH, capture_v1.BatchV1(log.capturing, log.now, let_pass), None))
    project_of_token = log.access.project_of_token
    routes += [Route(path, resource, None) for path, resource in start_routes(project_of_token, log.now)]
    definitions = {"GET": "feature_flag:read"}
    routes += [
        Route(path, LocalEvaluation(), definitions)
        for path in ("/api/feature_flag/local_evaluation", "/flags/definitions")
    ]
    return routes


def _project_routes(log: Insightlog, present: Presenter, site: str | None) -> list[Route]:
    """Return the routes inside a project, without the prefix."""
    edit = {"GET": READ, "PATCH": WRITE, "PUT": WRITE, "DELETE": WRITE}
    rule = {"GET": "access_control:read", "PUT": "access_control:write"}
    event_names, properties = ({"GET": f"{kind}_definition:read"} for kind in ("event", "property"))
    say_event, say_property = (
        {"GET": f"{kind}_definition:read", **dict.fromkeys(("PATCH", "PUT"), f"{kind}_definition:write")}
        for kind in ("event", "property")
    )
    board, one, log_read = "/dashboards", "/insights/{ref}", "activity_log:read"
    board_edit = {method: scope.replace("insight", "dashboard") for method, scope in edit.items()}
    return [
        Route("", account.ProjectItem(log, site), {"GET": "project:read"}, challenges=True),
        Route("/insights", insights.InsightList(present, site), {"GET": READ, "POST": WRITE}, is_shareable=True),
        Route("/insights/activity", activity.ProjectActivity(site), {"GET": log_read}),
        Route("/insights/my_last_viewed", viewing.MyLastViewed(present), {"GET": READ}, is_unscoped=True),
        Route("/insights/cancel", queries.Cancel(log), {"POST": READ}, is_unscoped=True),
        Route("/insights/timing", queries.Timing(), {"POST": READ}, is_unscoped=True),
        Route("/insights/trend", queries.Trend(site), {"GET": READ, "POST": READ}),
        Route("/insights/funnel", sequences.Funnel(), {"GET": READ, "POST": READ}),
        Route("/insights/funnel/correlation", sequences.Correlation(), {"GET": READ, "POST": READ}, is_unscoped=True),
        Route("/insights/retention", sequences.Retention(), {"GET": READ, "POST": READ}),
        Route("/insights/path", sequences.Path(), {"GET": READ, "POST": READ}),
        Route("/insights/trending", viewing.Trending(log, present), {"GET": READ}),
        *(
            Route(f"/insights/{name}", insights.NotServed(), {"GET": READ, "POST": READ})
            for name in ("generate_metadata", "bulk_update_tags")
        ),
        Route("/insights/viewed", viewing.InsightsViewed(), {"POST": READ}),
        Route(one, insights.InsightItem(present), edit, is_shareable=True),
        Route(f"{one}/access_controls", access_controls.InsightAccessControls(log), rule),
        Route(f"{one}/global_access_controls", access_controls.NoRulesHere(), rule),
        Route(f"{one}/resource_access_controls", access_controls.NoRulesHere(), rule),
        Route(f"{one}/users_with_access", access_controls.InsightUsersWithAccess(log), {"GET": rule["GET"]}),
        Route(f"{one}/activity", activity.InsightActivity(site), {"GET": log_read}),
        Route("/insights/undo", insight_history.InsightsUndo(), {"POST": WRITE}),
        Route(f"{one}/history", insight_history.InsightVersions(site), {"GET": log_read}),
        Route(f"{one}/history/{{version}}", insight_history.InsightVersion(log, present), {"GET": READ}),
        Route(f"{one}/compare", insight_history.InsightComparison(), {"GET": READ}),
        Route(f"{one}/revert", insight_history.InsightRevert(present), {"POST": WRITE}),
        Route(f"{one}/viewed", viewing.InsightViewed(), {"POST": READ}),
        Route(
            board,
            dashboards.DashboardList(present, site),
            {"GET": board_edit["GET"], "POST": board_edit["PATCH"]},
            challenges=True,
        ),
        Route(f"{board}/{{ref}}", dashboards.DashboardItem(present), board_edit, challenges=True),
        *_tile_routes(present, f"{board}/{{ref}}"),
        *_sharing_routes(log, one, sharing.INSIGHTS),
        *_sharing_routes(log, f"{board}/{{ref}}", sharing.DASHBOARDS),
        *_definition_routes(present, site),
        Route("/events", product_events.EventList(log, site), {"GET": QUERY}, challenges=True),
        Route("/events/values", product_events.EventValues(), {"GET": QUERY}, challenges=True),
        Route("/events/{event_id}", product_events.EventItem(), {"GET": QUERY}, challenges=True),
        Route("/persons", persons.PersonList(site), {"GET": "person:read"}, challenges=True),
        Route("/persons/values", persons.PersonValues(), {"GET": "person:read"}, challenges=True),
        *(
            Route(
                f"/persons/{kind}",
                persons_behind.PersonsBehind(kind, site),
                {"GET": QUERY, "POST": QUERY},
                challenges=True,
            )
            for kind in persons_behind.KINDS
            if kind != "retention"
        ),
        Route(
            "/persons/retention", persons_behind.PersonsRetained(site), {"GET": QUERY, "POST": QUERY}, challenges=True
        ),
        Route("/persons/{person_id}", persons.PersonItem(), {"GET": "person:read"}, challenges=True),
        Route("/event_definitions", seen_names.EventDefinitionList(log, site), event_names, challenges=True),
        Route("/event_definitions/by_name", seen_names.EventDefinitionNamed(log), event_names, challenges=True),
        Route("/event_definitions/{definition}", seen_names.EventDefinitionItem(log), say_event, challenges=True),
        Route("/property_definitions", seen_names.PropertyDefinitionList(log, site), properties, challenges=True),
        Route(
            "/property_definitions/{definition}", seen_names.PropertyDefinitionItem(log), say_property, challenges=True
        ),
        Route("/log", log_records.LogRecords(log, site), {"GET": log_read}),
        Route("/query", queries.Query(), {"POST": QUERY}),
        Route(
            "/query/{query_id}",
            queries.QueryItem(log, present),
            {"GET": QUERY, "POST": QUERY, "DELETE": QUERY},
            is_shareable=True,
        ),
    ]


def _sharing_routes(log: Insightlog, item: str, of: sharing.Of) -> list[Route]:
    """Return the routes of the sharing of what is at a path."""
    read, write = "sharing_configuration:read", "sharing_configuration:write"
    found: list[tuple[str, Any, Mapping[str, str]]] = [
        ("", sharing.SharingItem(log, of), {"GET": read, "PATCH": write}),
        ("/refresh", sharing.SharingRefresh(log, of), {"POST": write}),
        ("/passwords", sharing.SharePasswords(of), {"POST": write}),
        ("/passwords/{password_id}", sharing.SharePasswordItem(of), {"DELETE": write}),
    ]
    return [Route(f"{item}/sharing{path}", resource, scopes, challenges=True) for path, resource, scopes in found]


def _tile_routes(present: Presenter, item: str) -> list[Route]:
    """Return the routes of the tiles of a dashboard at a path."""
    write = {"POST": "dashboard:write"}
    found: list[tuple[str, Any, Mapping[str, str]]] = [
        ("move_tile", tiles.TileMove(present), {"PATCH": write["POST"], **write}),
        ("copy_tile", tiles.TileCopy(present), write),
        ("reorder_tiles", tiles.TileOrder(present), write),
        ("delete_tile", tiles.TileRemoval(), write),
        ("create_text_tile", tiles.TextTileMade(present), write),
        ("update_text_tile", tiles.TextTileChanged(present), write),
        ("run_insights", tiles.InsightsRun(present), {"GET": QUERY}),
    ]
    return [Route(f"{item}/{name}", resource, scopes, challenges=True) for name, resource, scopes in found]


def _definition_routes(present: Presenter, site: str | None) -> list[Route]:
    """Return the routes of what queries name: actions, cohorts, groups, elements, sessions."""
    found: list[tuple[str, Any, str]] = [
        ("/actions", actions.ActionList(present, site), "action"),
        ("/actions/{action_id}", actions.ActionItem(present), "action"),
        ("/cohorts", cohorts.CohortList(present, site), "cohort"),
        ("/cohorts/{cohort_id}", cohorts.CohortItem(present), "cohort"),
        ("/cohorts/{cohort_id}/persons", cohorts.CohortPersons(site), "cohort"),
        ("/cohorts/{cohort_id}/add_persons_to_static_cohort", cohorts.CohortAdd(), "cohort"),
        ("/cohorts/{cohort_id}/remove_person_from_static_cohort", cohorts.CohortRemove(), "cohort"),
    ]
    found += [
        ("/groups", groups.GroupList(site), "group"),
        ("/groups/find", groups.GroupFind(), "group"),
        ("/groups_types", groups.GroupTypes(), "group"),
        ("/groups_types/update_metadata", groups.GroupTypeNames(), "group"),
        ("/elements/stats", elements.ElementStats(site), "event"),
        ("/elements/values", elements.ElementValues(), "event"),
        ("/sessions/property_definitions", elements.SessionProperties(site), "query"),
        ("/sessions/values", elements.SessionValues(), "query"),
    ]
    routes = []
    for path, resource, name in found:
        served = [method for method in METHODS if hasattr(resource, f"on_{method.lower()}")]
        scopes = {method: f"{name}:{'read' if method == 'GET' else 'write'}" for method in served}
        # COMPAT: of these PostHog opens only the types of groups to visitors of shares (insights-api.md 1.5).
        routes.append(Route(path, resource, scopes, challenges=path != "/groups_types"))
    return routes


def _account_routes(log: Insightlog, site: str | None) -> list[Route]:
    """Return the routes outside of projects that clients ask at start."""
    organization, read = "/api/organizations/{organization}", {"GET": "organization:read"}
    members = {"GET": "organization_member:read"}
    projects = {"GET": "project:read"}
    found: list[tuple[str, Any, Mapping[str, str]]] = [
        ("/api/users/@me", account.Me(log, site), {"GET": "user:read"}),
        ("/api/personal_api_keys/@current", account.CurrentKey(log, site), {"GET": ""}),
        ("/api/organizations", account.OrganizationList(log, site), read),
        (organization, account.OrganizationItem(log, site), read),
        (f"{organization}/projects", account.OrganizationProjects(log, site), projects),
        (f"{organization}/projects/{{project_id}}", account.OrganizationProject(log, site), projects),
        (f"{organization}/members", account.OrganizationMembers(log, site), members),
        (f"{organization}/roles", account.OrganizationRoles(log, site), read),
        ("/api/projects", account.ProjectList(log, site), projects),
        ("/api/environments", account.ProjectList(log, site), projects),
    ]
    return [Route(path, resource, scopes, challenges=True) for path, resource, scopes in found]


def create_app(log: Insightlog, options: HttpOptions | None = None) -> WSGIApp:
    """Return a WSGI app that serves a log; mount it into any WSGI server.

    Make it in the process that serves, after any fork; it does not close the log. Raises RuntimeError for a route
    without declared scopes.
    """
    options = options or HttpOptions()
    routes = routes_of(log, options)
    check_routes(routes)
    formats = Formats(options.site_url, are_formulas_escaped=options.are_csv_formulas_escaped)
    gatekeeper = Gatekeeper(log, routes, is_strict=options.strict_scopes)
    limits = [RateLimits(log.now)] if options.rate_limits else []
    app: Any = falcon.App(middleware=[formats, gatekeeper, *limits, Cors(), NullResults(), Positions()])
    app.req_options.strip_url_path_trailing_slash = True
    app.req_options.keep_blank_qs_values = True
    app.req_options.auto_parse_qs_csv = False
    app.resp_options.secure_cookies_by_default = True
    for route in routes:
        app.add_route(route.path, route.resource)
    app.add_error_handler(Exception, errors.on_any_error)
    app.add_error_handler(InsightlogError, errors.on_insightlog_error)
    app.add_error_handler(falcon.HTTPError, errors.on_http_error)
    wrapped: WSGIApp = BodyMiddleware(SuffixAsFormat(Methods(LooksOnce(log, app))))
    return ClientAddress(wrapped, options.trusted_proxies) if options.trusted_proxies else wrapped


class Methods:
    """WSGI middleware: HEAD answers like GET, without a body; a method that nobody knows is one that nobody serves."""

    def __init__(self, app: WSGIApp) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one request."""
        method = environ["REQUEST_METHOD"]
        if method not in falcon.COMBINED_METHODS:  # Falcon says 400 of those, and 405 only of methods that it knows
            environ = {**environ, "REQUEST_METHOD": "TRACE", errors.ASKED_METHOD: method}
        if method != "HEAD":
            return self._app(environ, start_response)
        body = self._app({**environ, "REQUEST_METHOD": "GET"}, start_response)
        close = getattr(body, "close", None)
        if close is not None:
            close()
        return []


class LooksOnce:
    """WSGI middleware: a request looks once for what other processes have written."""

    def __init__(self, log: Insightlog, app: WSGIApp) -> None:
        self._views = log.parts.views
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one request."""
        with self._views.once():
            return self._app(environ, start_response)


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
