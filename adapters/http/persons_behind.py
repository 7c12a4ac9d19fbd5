"""The legacy endpoints of who is behind a number of an insight (queries.md 10.2)."""

from __future__ import annotations

from typing import Any

import falcon

from ...application.library import Project
from ...application.query_nodes import parse_query
from ...domain.queries.legacy_actors import ACTORS
from ...domain.queries.legacy_sequence_actors import SEQUENCE_ACTORS
from ...domain.queries.retention import appearance_columns
from ...domain.queries.retention_nodes import RetentionQuery
from . import rendering
from .legacy import answered, filters_of, given_filters
from .legacy_parameters import LEGACY_PARAMETERS
from .operations import Parameter, operation
from .parameters import PAGE, page_window
from .schemas import BOOLEAN, INTEGER, MOMENT, OBJECT, TEXT, array, nullable, shape

DEFAULT_PAGE, MAX_PAGE = 100, 1000
KINDS = {**ACTORS, **SEQUENCE_ACTORS}
"""One endpoint each."""
_PAGE_PREFIXES = {"funnel/correlation": "funnel_correlation_person_"}
"""What stands before `limit` and `offset` in the addresses of pages, where anything does."""
_WITHOUT_INITIAL = frozenset({"stickiness", "lifecycle"})
_SELECTORS = (
    Parameter("entity_id", TEXT, "The event or action of the series."),
    Parameter("entity_type", TEXT, "`events` or `actions`."),
    Parameter("entity_math", TEXT, "What the series counts."),
    Parameter("entity_order", INTEGER, "Which of the series, from 0."),
    Parameter("breakdown_value", TEXT, "Only those with this breakdown value; the empty text is the missing one."),
    Parameter("stickiness_days", INTEGER, "Of stickiness: active in so many intervals."),
    Parameter("target_date", TEXT, "Of a lifecycle: the day."),
    Parameter("lifecycle_type", TEXT, "Of a lifecycle: new, returning, resurrecting or dormant."),
    Parameter("funnel_step", INTEGER, "Of a funnel: n, who took the step; -n, who took the one before and not this."),
    Parameter("funnel_custom_steps", array(INTEGER), "Of a funnel: who came to one of these.", is_json_text=True),
    Parameter("funnel_step_breakdown", TEXT, "Of a funnel: only those with this breakdown value."),
    Parameter("entrance_period_start", TEXT, "Of a funnel trend: when the period begins."),
    Parameter("drop_off", BOOLEAN, "Of a funnel trend: those who did not come through."),
    Parameter("funnel_correlation_person_converted", BOOLEAN, "Of a correlation: those who converted, or did not."),
    Parameter("funnel_correlation_person_entity", OBJECT, "Of a correlation: what they did.", is_json_text=True),
    Parameter(
        "funnel_correlation_property_values", array(OBJECT), "Of a correlation: what they have.", is_json_text=True
    ),
    Parameter("funnel_correlation_person_limit", INTEGER, "Of a correlation: as `limit`."),
    Parameter("funnel_correlation_person_offset", INTEGER, "Of a correlation: as `offset`."),
    Parameter("path_start_key", TEXT, "Of paths: the step that an edge begins with, such as `1_/`."),
    Parameter("path_end_key", TEXT, "Of paths: the step that an edge ends with."),
    Parameter("path_dropoff_key", TEXT, "Of paths: the last step of a path."),
    Parameter("selected_interval", INTEGER, "Of retention: the row, from 0."),
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


_RETAINED = shape(
    {
        "result": array(shape({"person": OBJECT, "appearances": array(INTEGER)})), "next": nullable(TEXT),
        "missing_persons": INTEGER,
    }
)  # fmt: skip


class PersonsBehind:
    """`/persons/trends/` and its siblings, one per kind of insight but retention."""

    def __init__(self, kind: str, site_url: str | None) -> None:
        self._kind = kind
        self._site_url = site_url

    @operation(answer=_ANSWER, query=_PARAMETERS)
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """List the persons or groups behind a number, those with most events first; filters in the query string."""
        self._answer(req, resp, project, given_filters(req))

    @operation(answer=_ANSWER, body=OBJECT, query=_PARAMETERS)
    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """List the persons or groups behind a number, those with most events first; filters in the body."""
        self._answer(req, resp, project, given_filters(req))

    def _answer(self, req: falcon.Request, resp: falcon.Response, project: Project, given: dict[str, Any]) -> None:
        prefix = _PAGE_PREFIXES.get(self._kind, "")
        limit, offset = page_window(req, DEFAULT_PAGE, MAX_PAGE, prefix)
        query = {
            "kind": "ActorsQuery", "select": ["actor", "event_count"], "source": KINDS[self._kind](filters_of(given)),
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
            page = {f"{prefix}limit": limit, f"{prefix}offset": offset + limit}
            found["next"] = rendering.url_with(req, self._site_url, **page)
        if self._kind not in _WITHOUT_INITIAL:
            found["initial"] = rendering.url_with(req, self._site_url)
            found["missing_persons"] = answer["missing_actors_count"]
        rendering.write_json(resp, found)


class PersonsRetained:
    """`/persons/retention/`."""

    def __init__(self, site_url: str | None) -> None:
        self._site_url = site_url

    @operation(answer=_RETAINED, query=_PARAMETERS)
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """List who entered in a row and in which columns they were seen; filters in the query string."""
        self._answer(req, resp, project, given_filters(req))

    @operation(answer=_RETAINED, body=OBJECT, query=_PARAMETERS)
    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """List who entered in a row and in which columns they were seen; filters in the body."""
        self._answer(req, resp, project, given_filters(req))

    def _answer(self, req: falcon.Request, resp: falcon.Response, project: Project, given: dict[str, Any]) -> None:
        limit, offset = page_window(req, DEFAULT_PAGE, MAX_PAGE)
        source = KINDS["retention"](filters_of(given))
        retention = parse_query(source["source"])
        assert isinstance(retention, RetentionQuery)
        seen = appearance_columns(retention)
        query = {
            "kind": "ActorsQuery", "select": ["actor", *seen], "source": source,
            "search": str(given["search"]) if given.get("search") else None, "limit": limit, "offset": offset,
        }  # fmt: skip
        answer = answered(project, query, given)
        following = rendering.url_with(req, self._site_url, limit=limit, offset=offset + limit)
        found = {
            "result": [
                {"person": actor, "appearances": columns} for actor, *columns in answer["results"] if "type" in actor
            ],
            "next": following if answer["hasMore"] else None,
            "missing_persons": answer["missing_actors_count"],
        }
        rendering.write_json(resp, found)
