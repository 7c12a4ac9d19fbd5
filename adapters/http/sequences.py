"""The legacy endpoints of funnels, correlation, retention and paths (insights-api.md 3.11, 3.13, 3.18)."""

from __future__ import annotations

from typing import Any

import falcon

from ...application.library import Project
from ...domain.queries import legacy_paths, legacy_retention
from ...domain.queries.legacy import filters_to_query
from ...domain.queries.legacy_correlation import correlation_to_query
from ...domain.queries.legacy_results import wants_plain_values, with_plain_values
from ...domain.queries.legacy_sequence_actors import funnel_addresses
from . import rendering
from .legacy import answered, envelope, filters_of, given_filters
from .legacy_parameters import LEGACY_PARAMETERS
from .operations import operation
from .schemas import OBJECT, ref


class Funnel:
    """`/insights/funnel/`."""

    @operation(answer=ref("LegacyAnswer"), query=LEGACY_PARAMETERS)
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Answer a funnel whose filters are in the query string, lists and objects as JSON text."""
        self._answer(resp, project, given_filters(req))

    @operation(answer=ref("LegacyAnswer"), body=OBJECT, query=LEGACY_PARAMETERS)
    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Answer a funnel whose filters are in the body; old clients get plain breakdown values."""
        given = given_filters(req)
        self._answer(resp, project, given, is_plain=wants_plain_values(given))

    def _answer(
        self, resp: falcon.Response, project: Project, given: dict[str, Any], *, is_plain: bool = False
    ) -> None:
        filters = filters_of(given)
        answer = answered(project, filters_to_query(filters | {"insight": "FUNNELS"}), given)
        result = _linked(answer["results"], filters, _persons(project))
        rendering.write_json(resp, {"result": with_plain_values(result) if is_plain else result, **envelope(answer)})


class Correlation:
    """`/insights/funnel/correlation/`."""

    @operation(answer=ref("LegacyAnswer"), query=LEGACY_PARAMETERS)
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Answer a correlation whose filters are in the query string, lists and objects as JSON text."""
        self._answer(resp, project, given_filters(req))

    @operation(answer=ref("LegacyAnswer"), body=OBJECT, query=LEGACY_PARAMETERS)
    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Answer a correlation whose filters are in the body."""
        self._answer(resp, project, given_filters(req))

    def _answer(self, resp: falcon.Response, project: Project, given: dict[str, Any]) -> None:
        answer = answered(project, correlation_to_query(filters_of(given)), given)
        found = answer["results"]
        # COMPAT: since 2023 without the addresses, which only funnels kept (insights-api.md 3.13).
        rows = [{**row, "success_people_url": None, "failure_people_url": None} for row in found["events"]]
        rendering.write_json(resp, {"result": {"events": rows, "skewed": found["skewed"]}, **envelope(answer)})


class Retention:
    """`/insights/retention/`."""

    @operation(answer=ref("LegacyAnswer"), query=LEGACY_PARAMETERS)
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Answer a retention whose filters are in the query string, lists and objects as JSON text."""
        self._answer(resp, project, given_filters(req))

    @operation(answer=ref("LegacyAnswer"), body=OBJECT, query=LEGACY_PARAMETERS)
    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Answer a retention whose filters are in the body."""
        self._answer(resp, project, given_filters(req))

    def _answer(self, resp: falcon.Response, project: Project, given: dict[str, Any]) -> None:
        query = legacy_retention.with_defaults(filters_to_query(filters_of(given) | {"insight": "RETENTION"}))
        answer = answered(project, query, given)
        rendering.write_json(resp, {"result": answer["results"], **envelope(answer)})


class Path:
    """`/insights/path/`."""

    @operation(answer=ref("LegacyAnswer"), query=LEGACY_PARAMETERS)
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Answer paths whose filters are in the query string, lists and objects as JSON text."""
        self._answer(resp, project, given_filters(req))

    @operation(answer=ref("LegacyAnswer"), body=OBJECT, query=LEGACY_PARAMETERS)
    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Answer paths whose filters are in the body."""
        self._answer(resp, project, given_filters(req))

    def _answer(self, resp: falcon.Response, project: Project, given: dict[str, Any]) -> None:
        query = legacy_paths.with_defaults(filters_to_query(filters_of(given) | {"insight": "PATHS"}))
        answer = answered(project, query, given)
        rendering.write_json(resp, {"result": answer["results"], **envelope(answer)})


def _persons(project: Project) -> str:
    return f"/api/projects/{project.id}/persons/"


def _linked(result: Any, filters: dict[str, Any], root: str) -> Any:
    """Return the step objects with the addresses of their persons."""
    if isinstance(result, list):
        return [_linked(one, filters, root) for one in result]
    if "action_id" not in result:
        return result
    return {**result, **funnel_addresses(result, filters, root)}
