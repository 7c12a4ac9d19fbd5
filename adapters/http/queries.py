"""Queries over HTTP: `POST /query/` and the legacy trend endpoint."""

from __future__ import annotations

from typing import Any

import falcon
import orjson

from ...application.calculation import filters_to_query
from ...application.computing import refresh_mode
from ...application.library import Project
from ...domain.errors import InvalidInput
from . import rendering
from .bodies import json_body


class Query:
    """`/query/`."""

    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Answer a query node at once (insights-api.md 4.5); no mode and `force_cache` act as `blocking`."""
        body = json_body(req)
        if "query" not in body:
            raise InvalidInput("This field is required.", path="query", code="required")
        mode = refresh_mode(req.get_param("refresh") or body.get("refresh"), absent="blocking")
        mode = "blocking" if mode == "force_cache" else mode
        rendering.write_json(resp, project.query(body["query"], refresh=mode))


class Trend:
    """`/insights/trend/`: the legacy endpoint, parameters in the query string or as a JSON body."""

    csv_layout = "trend"

    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Answer a trend whose filters are in the query string, lists and objects as JSON text."""
        self._answer(req, resp, project, _from_query_string(req))

    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Answer a trend whose filters are in the body; the query string is merged, the body wins."""
        self._answer(req, resp, project, {**_from_query_string(req), **json_body(req)})

    def _answer(self, req: falcon.Request, resp: falcon.Response, project: Project, given: dict[str, Any]) -> None:
        mode = refresh_mode(given.pop("refresh", None), absent="blocking")
        filters = {key: value for key, value in given.items() if key not in NOT_FILTERS}
        body = project.query(filters_to_query(filters), refresh="blocking" if mode == "force_cache" else mode)
        rendering.write_json(
            resp,
            {
                "result": body["results"],
                "timezone": body["timezone"],
                "is_cached": body["is_cached"],
                "last_refresh": body["last_refresh"],
                "timings": body["timings"],
                "next": None,
            },
        )


NOT_FILTERS = frozenset(
    {"client_query_id", "session_id", "personal_api_key", "format", "csv_rows", "export_name",
     "export_insight_id", "offset", "name", "derived_name", "description",
     "query", "order", "deleted", "dashboards", "tags", "favorited", "saved", "from_dashboard", "filters"}
)  # fmt: skip
"""What clients may send beside the filters; none of it changes the answer."""


def _from_query_string(req: falcon.Request) -> dict[str, Any]:
    return {name: _value(value[-1] if isinstance(value, list) else value) for name, value in req.params.items()}


def _value(text: str) -> Any:
    """Return the JSON value of lists and objects, other texts as they are. Raises `InvalidInput`."""
    if text[:1] in {"[", "{"}:
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise InvalidInput(f"This must be JSON: {error}", path="filters") from error
    return text
