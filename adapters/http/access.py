"""Who may call what: authentication, scopes and project isolation, in one place before any lookup."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import falcon
from attrs import frozen

from ...application.execution import By, new_request
from ...application.library import Insightlog, Project
from ...application.model import Caller
from ...application.visiting import Share
from ...domain.access import require_scope
from ...domain.errors import AuthenticationFailed, PermissionDenied
from .bodies import json_body_or_nothing
from .past import asked_past, in_the_past

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


@frozen
class Route:
    """A path, its resource and what calling it takes."""

    path: str
    resource: Any
    scopes: Mapping[str, str] | None
    """Method -> scope; None for a route that is open to everybody."""
    challenges: bool = False
    """Whether a missing or wrong key gives 401 with a challenge instead of 403 (insights-api.md 1.5)."""
    is_shareable: bool = False
    """Whether a share's token opens it for GET."""
    is_unscoped: bool = False
    """Whether PostHog lists no scope for it and refuses keys with scopes (insights-api.md 1.8)."""


def check_routes(routes: list[Route]) -> None:
    """Raise at start-up when a method of a route has no declared scope, or a scope has no method."""
    for route in routes:
        served = {method for method in METHODS if hasattr(route.resource, f"on_{method.lower()}")}
        if route.scopes is not None and served != set(route.scopes):
            missing = ", ".join(sorted(served ^ set(route.scopes)))
            raise RuntimeError(f"Route {route.path}: methods and declared scopes disagree about {missing}.")


VISIT_COOKIE = "posthog_sharing_token"
SHARE_PARAMETER = "sharing_access_token"


class Gatekeeper:
    """Falcon middleware: finds the caller, checks scope and project, and hands the project to the resource.

    A resource gets `params["project"]` in place of `project_id`, as the caller sees it. In `req.context` it finds
    `caller` (None for a visitor of a share) and `share` (None for everybody else).
    """

    def __init__(self, log: Insightlog, routes: list[Route], *, is_strict: bool = False) -> None:
        self._log = log
        self._routes = {route.path: route for route in routes}
        self._is_strict = is_strict

    def process_resource(
        self, req: falcon.Request, _resp: falcon.Response, resource: object, params: dict[str, Any]
    ) -> None:
        """Let the request pass, or raise `AuthenticationFailed`, `PermissionDenied`, `NotFound`."""
        route = self._routes[req.uri_template or ""]
        req.context.challenges = route.challenges
        req.context.caller = req.context.share = None
        req.context.log = self._log
        if route.scopes is None or req.method == "OPTIONS":
            return
        share = None if route.challenges else self._share(req, params)
        if share is not None:
            self._let_visitor_in(req, share, route, params)
            return
        caller = self._caller(req)
        req.context.caller = caller
        req.context.by = By(caller.actor, _request_id(req))
        if self._is_strict and route.is_unscoped and caller.key.scopes:
            raise PermissionDenied("This action does not support Personal API Key access")
        scope = route.scopes.get(req.method)
        if scope:
            require_scope(caller.key.scopes, scope)
        if "project_id" in params:
            info, rights = self._log.access.enter(caller, params.pop("project_id"))
            project = Project(self._log, info, rights)
            params["project"] = in_the_past(req, project, rights, *asked_past(req, resource))

    def _caller(self, req: falcon.Request) -> Caller:
        header = req.get_header("Authorization")
        if header is not None and header.startswith("Bearer "):
            return self._log.authenticate(header.removeprefix("Bearer ").strip())
        body = json_body_or_nothing(req)
        for place, fields in (("body", body), ("query string", req.params)):
            key = fields.get("personal_api_key")
            if isinstance(key, str) and key:
                return self._log.authenticate(key, place=place)
        raise AuthenticationFailed("Authentication credentials were not provided.", code="not_authenticated")

    def _share(self, req: falcon.Request, params: Mapping[str, Any]) -> Share | None:
        """Return the share whose visitor is calling, None for a caller of another sort. Raises for a wrong token."""
        visited = self._visited(req)
        if visited is not None:
            return visited
        token = req.get_param(SHARE_PARAMETER)
        if not token:
            return None
        if req.method != "GET":
            raise AuthenticationFailed("Sharing access token can only be used for GET requests.")
        share = self._log.visiting.find(token)
        if share is None or share.needs_password or str(share.shared.project_id) != params.get("project_id"):
            raise AuthenticationFailed("Sharing access token is invalid.")
        return share

    def _visited(self, req: falcon.Request) -> Share | None:
        """Return the share that a visitor opened with a password, from the bearer token or the cookie."""
        if req.method != "GET":
            return None
        bearer = (req.get_header("Authorization") or "").removeprefix("Bearer ").strip()
        visit = bearer if bearer.count(".") == 2 else (req.cookies.get(VISIT_COOKIE) or "")
        return self._log.visiting.find_by_visit(visit) if visit else None

    def _let_visitor_in(self, req: falcon.Request, share: Share, route: Route, params: dict[str, Any]) -> None:
        if not route.is_shareable:
            raise PermissionDenied("A share's token opens only the list and what is shared.")
        req.context.share = share
        project = project_of(self._log, share)
        if params.pop("project_id", None) != str(project.id):
            raise AuthenticationFailed("Sharing access token is invalid.")
        params["project"] = project


def project_of(log: Insightlog, share: Share) -> Project:
    """Return the project as a visitor of a share sees it: who shares a dashboard shares nothing that is hidden."""
    info = log.administration.project(share.shared.project_id)
    return Project(log, info, None if share.insight is not None else log.access.visitor(info))


def _request_id(req: falcon.Request) -> str:
    given = req.get_header("X-Request-ID")
    return given if given is not None and REQUEST_ID.fullmatch(given) else new_request()
