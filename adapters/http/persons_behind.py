"""The legacy endpoints of who is behind a number of a trend, of stickiness or of a lifecycle (queries.md 10.2)."""

from __future__ import annotations

from typing import Any

import falcon

from ...application.library import Project
from ...domain.queries.legacy_actors import ACTORS
from . import rendering
from .legacy import answered, filters_of, from_body, from_query_string
from .legacy_parameters import LEGACY_PARAMETERS
from .operations import Parameter, operation
from .parameters import PAGE, page_window
from .schemas import BOOLEAN, INTEGER, MOMENT, OBJECT, TEXT, array, nullable, shape

DEFAULT_PAGE, MAX_PAGE = 100, 1000
_SELECTORS = (
    Parameter("entity_id", TEXT, "The event or action of the series."),
    Parameter("entity_type", TEXT, "`events` or `actions`."),
    Parameter("entity_math", TEXT, "What the series counts."),
    Parameter("entity_order", INTEGER, "Which of the series, from 0."),
    Parameter("breakdown_value", TEXT, "Only those with this breakdown value; the empty text is the missing one."),
    Parameter("stickiness_days", INTEGER, "Of stickiness: active in so many intervals."),
    Parameter("target_date", TEXT, "Of a lifecycle: the day."),
    Parameter("lifecycle_type", TEXT, "Of a lifecycle: new, returning, resurrecting or dormant."),
    Parameter("search", TEXT, "Only those whose name or id has this text."),
)
_PARAMETERS = (*LEGACY_PARAMETERS, *_SELECTORS, *PAGE)
_ANSWER = shape(
    {
        "results": array(shape({"people": array(OBJECT), "count": INTEGER})), "next": nullable(TEXT),
        "is_cached": BOOLEAN, "last_refresh": nullable(MOMENT), "initial": TEXT, "missing_persons": INTEGER,
    },
    optional=("initial", "missing_persons"),
)  # fmt: skip


class PersonsBehind:
    """`/persons/trends/`, `/persons/stickiness/` and `/persons/lifecycle/`."""

    def __init__(self, kind: str, site_url: str | None) -> None:
        self._kind = kind
        self._site_url = site_url

    @operation(answer=_ANSWER, query=_PARAMETERS)
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """List the persons or groups behind a number, those with most events first; filters in the query string."""
        self._answer(req, resp, project, from_query_string(req))

    @operation(answer=_ANSWER, body=OBJECT, query=_PARAMETERS)
    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """List the persons or groups behind a number, those with most events first; filters in the body."""
        self._answer(req, resp, project, from_body(req))

    def _answer(self, req: falcon.Request, resp: falcon.Response, project: Project, given: dict[str, Any]) -> None:
        limit, offset = page_window(req, DEFAULT_PAGE, MAX_PAGE)
        query = {
            "kind": "ActorsQuery", "select": ["actor", "event_count"], "source": ACTORS[self._kind](filters_of(given)),
            "search": str(given["search"]) if given.get("search") else None, "limit": limit, "offset": offset,
        }  # fmt: skip
        answer = answered(project, query, given)
        people = [
            {**actor, "matched_recordings": [], "value_at_data_point": count}
            for actor, count in answer["results"]
            if "type" in actor
        ]
        found: dict[str, Any] = {
            "results": [{"people": people, "count": len(people)}],
            "next": None,
            "is_cached": answer["is_cached"],
            "last_refresh": answer["last_refresh"],
        }
        if answer["hasMore"]:
            found["next"] = rendering.url_with(req, self._site_url, limit=limit, offset=offset + limit)
        if self._kind == "trends":
            found["initial"] = rendering.url_with(req, self._site_url)
            found["missing_persons"] = answer["missing_actors_count"]
        rendering.write_json(resp, found)
