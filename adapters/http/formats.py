"""Which format an answer has, decided in one place: path suffix, `format` parameter, Accept header (1.2, 7).

`SuffixAsFormat` takes the suffix off a path before it is routed; `Formats` decides, and turns the JSON of the
insights endpoints into CSV where that was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import quote

import falcon
import orjson

from . import csv
from .body import WSGIApp
from .errors import BareNotFound

JSON, CSV = falcon.MEDIA_JSON, "text/csv"
MEDIA = {"json": JSON, "csv": CSV}
SUFFIX, ASKED_PATH = "insightlog.suffix", "insightlog.asked_path"
INSIGHTS = re.compile(r"/api/(?:projects|environments)/[^/]+/insights(?=[/.]|$)")


class SuffixAsFormat:
    """WSGI middleware: `/insights/17.csv` is `/insights/17`, asked for as CSV; a trailing slash stays."""

    def __init__(self, app: WSGIApp) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one request."""
        asked: str = environ.get("PATH_INFO", "")
        environ[ASKED_PATH] = asked
        path = asked.removesuffix("/")
        stem, dot, suffix = path.rpartition(".")
        if dot and suffix and "/" not in suffix and INSIGHTS.match(path):
            environ[SUFFIX] = suffix
            environ["PATH_INFO"] = stem + asked[len(path) :]
        return self._app(environ, start_response)


class Formats:
    """Falcon middleware: decides the format before anything else is looked at, and writes CSV, errors too.

    A resource whose CSV is a table of its own says so by `csv_layout = "trend"`, and leaves the days of its answer in
    `req.context.days_shown`.
    """

    def __init__(self, site_url: str | None, *, are_formulas_escaped: bool) -> None:
        self._site_url = site_url
        self._are_formulas_escaped = are_formulas_escaped

    def process_resource(self, req: falcon.Request, _resp: falcon.Response, resource: object, _params: Any) -> None:
        """Choose the format. Raises `BareNotFound` for an unknown one, Falcon's 406 for an Accept nobody can meet."""
        if req.path.startswith("/api/") and req.method != "OPTIONS":
            req.context.media = chosen(req, getattr(resource, "media", None))

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, _req_succeeded: bool
    ) -> None:
        """Turn a JSON answer into CSV when that was chosen."""
        if getattr(req.context, "media", JSON) != CSV or not resp.data:
            return
        value = orjson.loads(resp.data)
        is_trend = getattr(resource, "csv_layout", None) == "trend" and resp.status == falcon.HTTP_200
        first_line = ""
        if is_trend:
            series = value["result"]
            table = csv.trend_table(series)
            name = csv.trend_file_name(req.get_param("export_name"), *req.context.days_shown)
            resp.set_header("Content-Disposition", f'attachment; filename="{name}"')
            first_line = self._source_line(req)
        else:
            table = csv.flattened(csv.results_of(value) if req.get_param("csv_rows") == "results" else value)
        resp.content_type = f"{CSV}; charset=utf-8"
        resp.data = None
        resp.stream = self._encoded(first_line, table)

    def _source_line(self, req: falcon.Request) -> str:
        short_id = req.get_param("export_insight_id")
        site = (self._site_url or req.prefix).rstrip("/")
        return f"{site}/insights/{quote(short_id, safe='')}/\n" if short_id else ""

    def _encoded(self, first_line: str, table: csv.Table) -> Iterator[bytes]:
        yield first_line.encode()
        for text in csv.written(table, are_formulas_escaped=self._are_formulas_escaped):
            yield text.encode()


def chosen(req: falcon.Request, served: Sequence[str] | None = None) -> str:
    """Return the media type to answer with: suffix, else `format`, else Accept; only insights have CSV.

    `served` are the types of a resource that has others, which only Accept can ask for.

    Raises `BareNotFound` for an unknown suffix or `format`, `falcon.HTTPNotAcceptable` for an Accept header that
    nothing served satisfies.
    """
    offered = list(served or ([JSON, CSV] if INSIGHTS.match(req.path) else [JSON]))
    named = req.env.get(SUFFIX) or req.get_param("format")
    if named:
        media = MEDIA.get(named)
        if media not in offered:
            raise BareNotFound
        return media
    header = req.get_header("Accept")
    accepted = req.client_prefers(offered) if header and header != JSON else JSON
    if accepted is None:
        raise falcon.HTTPNotAcceptable
    return accepted
