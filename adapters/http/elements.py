"""Autocaptured elements and sessions over HTTP: what was clicked, and which values there are to filter by.

Both arise from events and are read by HogQL; nothing of them is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import falcon
import orjson

from ...application.library import Project
from ...domain.elements import elements_of
from ...domain.errors import InvalidInput
from ...domain.sessions import SESSION_FIELDS
from . import rendering
from .operations import Parameter, operation
from .parameters import PAGE, page_window
from .schemas import BOOLEAN, INTEGER, OBJECT, TEXT, array, nullable, one_of, page_of, shape

MAX_PAGE = 1000
DEFAULT_PAGE = 100
N_VALUES = 10
CLICKS = ("$autocapture", "$rageclick", "$dead_click")
_STATS = """
SELECT elements_chain, event, count() FROM events
WHERE event IN {include} AND elements_chain != '' AND {filters}
GROUP BY elements_chain, event ORDER BY count() DESC, elements_chain, event LIMIT %d OFFSET %d
"""
_VALUES = """
SELECT value, count() FROM (SELECT %s AS value FROM %s WHERE %s)
WHERE value != '' AND value ILIKE {search} GROUP BY value ORDER BY count() DESC, value LIMIT %d
"""
_LATEST = "timestamp > now() - interval 30 day"
ELEMENT_KEYS = {
    "text": "arrayJoin(elements_chain_texts)",
    "href": "elements_chain_href",
    "tag_name": "arrayJoin(elements_chain_elements)",
}
_DATES = (
    Parameter("date_from", TEXT, "Default: 7 days ago."),
    Parameter("date_to", TEXT, "Default: now."),
)
_INCLUDE = Parameter("include", one_of(*CLICKS), "Which events; again for several. All three kinds by default.")
_PROPERTIES = Parameter("properties", array(OBJECT), "Property filters that the events fulfil.", is_json_text=True)
_KEY = Parameter("key", TEXT, "Which field.")
_VALUE = Parameter("value", TEXT, "Only values that have this in them.")
VALUES = array(shape({"name": TEXT}))
STATS = shape(
    {
        "results": array(shape({"count": INTEGER, "hash": nullable(TEXT), "type": TEXT, "elements": array(OBJECT)})),
        "next": nullable(TEXT),
        "previous": nullable(TEXT),
    }
)
SESSION_PROPERTY = shape(
    {"id": TEXT, "name": TEXT, "property_type": TEXT, "is_numerical": BOOLEAN, "tags": array(TEXT)}
)


class ElementStats:
    """`/elements/stats/`."""

    def __init__(self, site_url: str | None) -> None:
        self._site_url = site_url

    @operation(answer=STATS, query=(*_DATES, _INCLUDE, _PROPERTIES, *PAGE))
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Count clicks by the chain of elements that was clicked, the most frequent first."""
        limit, offset = page_window(req, DEFAULT_PAGE, MAX_PAGE)
        given = req.params.get("include") or list(CLICKS)
        include = given if isinstance(given, list) else [given]
        if not set(include) <= set(CLICKS):
            raise InvalidInput(f"Clicks are {', '.join(CLICKS)}.", path="include", code="invalid_choice")
        dates = {"date_from": req.get_param("date_from") or "-7d", "date_to": req.get_param("date_to") or None}
        rows = _rows(
            project,
            _STATS % (limit + 1, offset),
            {"include": include},
            {"dateRange": dates, "properties": _json_list(req, "properties")},
        )
        results = [
            {"count": count, "hash": None, "type": event, "elements": elements_of(chain)}
            for chain, event, count in rows[:limit]
        ]
        page = rendering.envelope(req, self._site_url, offset + len(rows), limit, offset, results)
        del page["count"]
        rendering.write_json(resp, page)


class ElementValues:
    """`/elements/values/`."""

    @operation(answer=VALUES, query=(_KEY, _VALUE))
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """List the most frequent values of a field of elements of the last 30 days."""
        wanted, expression = req.get_param("value"), ELEMENT_KEYS.get(req.get_param("key") or "")
        if expression is None:
            raise InvalidInput(f"The field is one of {', '.join(ELEMENT_KEYS)}.", path="key", code="invalid_choice")
        where = f"event = '$autocapture' AND {_LATEST}"
        rendering.write_json(resp, _values(wanted, project, _VALUES % (expression, "events", where, N_VALUES)))


class SessionProperties:
    """`/sessions/property_definitions/`."""

    def __init__(self, site_url: str | None) -> None:
        self._site_url = site_url

    @operation(
        answer=page_of(SESSION_PROPERTY), query=(Parameter("search", TEXT, "Only names that contain this."), *PAGE)
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """List the fields that sessions have."""
        del project
        limit, offset = page_window(req, DEFAULT_PAGE, MAX_PAGE)
        search = (req.get_param("search") or "").lower()
        found = [
            {"id": name, "name": name, "property_type": kind, "is_numerical": kind in ("Numeric", "Duration"),
             "tags": []}
            for name, kind in SESSION_FIELDS.items()
            if search in name.lower()
        ]  # fmt: skip
        page = found[offset : offset + limit]
        rendering.write_json(resp, rendering.envelope(req, self._site_url, len(found), limit, offset, page))


class SessionValues:
    """`/sessions/values/`."""

    @operation(answer=VALUES, query=(_KEY, _VALUE))
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """List the most frequent values of a field of sessions that began in the last 30 days."""
        wanted, key = req.get_param("value"), req.get_param("key") or ""
        if key not in SESSION_FIELDS:
            raise InvalidInput("Sessions have no such field.", path="key", code="invalid_choice")
        where = _LATEST.replace("timestamp", "`$start_timestamp`")
        query = _VALUES % (f"toString(`{key}`)", "sessions", where, N_VALUES)
        rendering.write_json(resp, _values(wanted, project, query))


def _values(wanted: str | None, project: Project, query: str) -> list[dict[str, str]]:
    pattern = (wanted or "").replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return [{"name": value} for value, _ in _rows(project, query, {"search": f"%{pattern}%"})]


def _rows(
    project: Project, query: str, values: Mapping[str, Any], filters: Mapping[str, Any] | None = None
) -> list[list[Any]]:
    node = {"kind": "HogQLQuery", "query": query, "values": dict(values), **({"filters": filters} if filters else {})}
    try:
        found: list[list[Any]] = project.query(node)["results"]
    except InvalidInput as error:
        path = (error.path or "").removeprefix("query.filters.").removeprefix("dateRange.")
        raise InvalidInput(error.detail, path=path or None, code=error.code) from error
    return found


def _json_list(req: falcon.Request, name: str) -> list[Any] | None:
    text = req.get_param(name)
    if not text:
        return None
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"This must be JSON: {error}", path=name) from error
    if not isinstance(value, list):
        raise InvalidInput("This is a list of property filters.", path=name)
    return value
