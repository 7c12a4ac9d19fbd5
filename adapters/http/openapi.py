"""The OpenAPI 3.1 document, made out of the routes and the declarations of their responders; served at /api/schema/."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import falcon
import orjson

from .access import METHODS, SHARE_PARAMETER, Route
from .formats import CSV, INSIGHTS, JSON
from .operations import Operation, Parameter, declared, operation
from .schemas import COMPONENTS, OBJECT, TEXT, one_of, ref

VERSION = "1.0"
FORMAT = Parameter("format", one_of("json"), "The format of the answer.")
INSIGHTS_FORMAT = Parameter("format", one_of("json", "csv"), "The format of the answer.")
CSV_ROWS = Parameter("csv_rows", one_of("results"), "In CSV: one row per item of a list, not one for the page.")
PATH_PARAMETERS: Mapping[str, str] = {
    "project_id": "The project's number, or @current.",
    "ref": "An insight's number or short id, a dashboard's number.",
    "query_id": "The id of a calculation; of POST the kind of the query.",
    "token": "The project's capture token, or the token of a share.",
    "password_id": "A password's number.",
    "organization": "An organisation's uuid, or @current.",
}
KEY_PARAMETER = "personal_api_key"


class Document:
    """`/api/schema/`."""

    def __init__(self, routes: Callable[[], Sequence[Route]]) -> None:
        self._routes = routes
        self._document = b""

    @operation(answer=OBJECT)
    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Return this document."""
        self._document = self._document or orjson.dumps(document(self._routes()))
        resp.content_type = JSON
        resp.data = self._document


class SharedParameters:
    """The parameters of the query string, each written once however many operations take it."""

    def __init__(self) -> None:
        self.by_name: dict[str, dict[str, Any]] = {}

    def ref(self, one: Parameter) -> dict[str, Any]:
        """Return a reference to a parameter; one that differs under the same name gets a number."""
        shown, base = _parameter(one), re.sub(r"[^\w.-]", "_", one.name)
        name = next(
            name
            for name in itertools.chain([base], (f"{base}_{n}" for n in itertools.count(2)))
            if self.by_name.setdefault(name, shown) == shown
        )
        return {"$ref": f"#/components/parameters/{name}"}


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """Return the document of all routes. Raises RuntimeError for a responder that declares nothing."""
    parameters = SharedParameters()
    paths = {_shown(route.path): _path_item(route, parameters) for route in routes}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "insightlog",
            "version": VERSION,
            "description": "PostHog's Insights API and capture endpoints, as insightlog serves them.",
        },
        "paths": paths,
        "components": {
            "schemas": COMPONENTS,
            "parameters": parameters.by_name,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "A personal API key."},
                "keyInQuery": {"type": "apiKey", "in": "query", "name": KEY_PARAMETER},
                "share": {"type": "apiKey", "in": "query", "name": SHARE_PARAMETER},
            },
        },
    }


def _shown(path: str) -> str:
    return f"{path}/" if path.startswith("/api/") else path


def _path_item(route: Route, parameters: SharedParameters) -> dict[str, Any]:
    names = re.findall(r"{(\w+)}", route.path)
    item: dict[str, Any] = {
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1},
             "description": PATH_PARAMETERS.get(name, "An id.")}
            for name in names
        ]
    }  # fmt: skip
    for method in METHODS:
        if hasattr(route.resource, f"on_{method.lower()}"):
            found = declared(route.resource, method)
            if found is None:
                raise RuntimeError(f"{method} {route.path}: on_{method.lower()} is not declared by @operation.")
            item[method.lower()] = _operation(route, method, found, parameters)
    return item


def _operation(route: Route, method: str, found: Operation, parameters: SharedParameters) -> dict[str, Any]:
    docstring = (getattr(route.resource, f"on_{method.lower()}").__doc__ or "").strip()
    scope = route.scopes.get(method) if route.scopes is not None else None
    required = [scope] if scope else []
    shown: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{method.lower()}{route.path}").strip("_"),
        "summary": docstring.partition("\n")[0],
        "parameters": [parameters.ref(one) for one in (*found.query, *common_parameters(route.path))],
        "responses": _responses(route, found),
        "security": [{"key": required}, {"keyInQuery": required}] if route.scopes is not None else [],
    }
    if route.is_shareable and method == "GET":
        shown["security"].append({"share": []})
    if found.is_body_any:
        shown["requestBody"] = {"content": {JSON: {"schema": {}}, "*/*": {"schema": {}}}}
    elif found.body is not None:
        shown["requestBody"] = {"content": {JSON: {"schema": found.body}}}
    return shown


def common_parameters(path: str) -> tuple[Parameter, ...]:
    """Return the parameters that the middleware reads for every endpoint of a path."""
    if not path.startswith("/api/"):
        return ()
    return (INSIGHTS_FORMAT, CSV_ROWS) if INSIGHTS.match(path) else (FORMAT,)


def _parameter(one: Parameter) -> dict[str, Any]:
    schema = one.schema
    if one.is_json_text:  # as `content` it would say the same, but generators of clients leave out what takes it
        schema = {**TEXT, "contentMediaType": JSON, "contentSchema": one.schema}
    return {"name": one.name, "in": "query", "description": one.does, "schema": schema}


def _responses(route: Route, found: Operation) -> dict[str, Any]:
    has_csv = INSIGHTS.match(route.path) is not None
    responses: dict[str, Any] = {}
    for status, schema in sorted(found.answers.items()):
        answer: dict[str, Any] = {"description": falcon.code_to_http_status(status)}
        if schema is not None:
            answer["content"] = {found.media: {"schema": schema}, **({CSV: {"schema": TEXT}} if has_csv else {})}
        responses[str(status)] = answer
    if route.path.startswith("/api/"):
        content = {JSON: {"schema": ref("AnyError")}, **({CSV: {"schema": TEXT}} if has_csv else {})}
    else:
        content = {"text/plain": {"schema": TEXT}, JSON: {"schema": ref("Error")}}
    return {**responses, **{status: {"description": "An error", "content": content} for status in ("4XX", "5XX")}}
