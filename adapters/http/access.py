"""Who may call what: authentication, scopes and project isolation, in one place before any lookup."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import falcon
from attrs import frozen

from ...application.execution import By, new_request
from ...application.ids import row_id
from ...application.library import Insightlog, Project
from ...application.model import Caller
from ...domain.access import require_scope
from ...domain.errors import AuthenticationFailed, NotFound, PermissionDenied
from .bodies import json_body_or_nothing

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


def check_routes(routes: list[Route]) -> None:
    """Raise at start-up when a method of a route has no declared scope, or a scope has no method."""
    for route in routes:
        served = {method for method in METHODS if hasattr(route.resource, f"on_{method.lower()}")}
        if route.scopes is not None and served != set(route.scopes):
            missing = ", ".join(sorted(served ^ set(route.scopes)))
            raise RuntimeError(f"Route {route.path}: methods and declared scopes disagree about {missing}.")


class Gatekeeper:
    """Falcon middleware: finds the caller, checks scope and project, and hands the project to the resource.

    A resource gets `params["project"]` in place of `project_id`, and finds the caller in `req.context`.
    """

    def __init__(self, log: Insightlog, routes: list[Route]) -> None:
        self._log = log
        self._routes = {route.path: route for route in routes}

    def process_resource(
        self, req: falcon.Request, _resp: falcon.Response, _resource: object, params: dict[str, Any]
    ) -> None:
        """Let the request pass, or raise `AuthenticationFailed`, `PermissionDenied`, `NotFound`."""
        route = self._routes[req.uri_template or ""]
        req.context.challenges = route.challenges
        if route.scopes is None or req.method == "OPTIONS":
            return
        caller = self._caller(req)
        req.context.caller = caller
        req.context.by = By(caller.actor, _request_id(req))
        scope = route.scopes.get(req.method)
        if scope is not None:
            require_scope(caller.scopes, scope)
        if "project_id" in params:
            params["project"] = self._project(params.pop("project_id"), caller)

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

    def _project(self, text: str, caller: Caller) -> Project:
        if text == "@current":
            allowed = [one.id for one in self._log.projects() if not caller.project_ids or one.id in caller.project_ids]
            if not allowed:
                raise NotFound("Project")
            return self._log.project(allowed[0])
        project_id = row_id(text)
        if project_id is None:
            raise NotFound("Project", text)
        if caller.project_ids and project_id not in caller.project_ids:
            raise PermissionDenied(f"API key does not have access to the requested project: ID {project_id}.")
        return self._log.project(project_id)


def _request_id(req: falcon.Request) -> str:
    given = req.get_header("X-Request-ID")
    return given if given is not None and REQUEST_ID.fullmatch(given) else new_request()
