"""In which context an insight is looked at: on a dashboard, with filters and variables laid over (4.7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import falcon
import orjson
from attrs import frozen

from ...application.ids import row_id
from ...application.library import Project
from ...domain.dashboard import Dashboard, TileLook
from ...domain.errors import InvalidInput
from ...domain.insight import Insight
from ...domain.queries.overrides import apply_filters, apply_filters_to_legacy, apply_variables, lay_over
from . import rendering
from .operations import Parameter
from .schemas import INTEGER, OBJECT

CONTEXT = (
    Parameter("from_dashboard", INTEGER, "Show it as it stands on this dashboard."),
    Parameter("filters_override", OBJECT, "Filters laid over the dashboard's, or the query's own.", is_json_text=True),
    Parameter("variables_override", OBJECT, "Values of SQL variables.", is_json_text=True),
    Parameter("tile_filters_override", OBJECT, "Filters that replace the dashboard's.", is_json_text=True),
)
"""What endpoints take that show insights."""
OVERRIDES = ("filters_override", "variables_override", "tile_filters_override")


@frozen
class Context:
    """What a request lays over the insights that it asks for."""

    dashboard_id: int | None = None
    filters: Mapping[str, Any] | None = None
    variables: Mapping[str, Any] | None = None
    tile_filters: Mapping[str, Any] | None = None

    def definition(self, insight: Insight, project: Project) -> tuple[rendering.Definition, TileLook | None]:
        """Return the definition in this context, and how the tile looks when there is one."""
        if self is PLAIN:
            return rendering.definition_of(insight), None
        found = None if self.dashboard_id is None else project.dashboards.service.tile_of(self.dashboard_id, insight)
        if found is None:
            return self._laid_over(insight, None, None), None
        dashboard, tile_id = found
        look = dashboard.look_of(tile_id)
        return self._laid_over(insight, dashboard, look), look

    def _laid_over(self, insight: Insight, dashboard: Dashboard | None, look: TileLook | None) -> rendering.Definition:
        shown = rendering.definition_of(insight)
        filters = lay_over(dashboard.filters if dashboard else None, self.filters)
        own = lay_over(look.filters_overrides if look else None, self.tile_filters)
        filters = own or filters
        variables = lay_over(dashboard.variables if dashboard else None, self.variables)
        if not filters and not variables:
            return shown
        if shown.query is None:
            return rendering.Definition(apply_filters_to_legacy(shown.filters, filters), None)
        return rendering.Definition(shown.filters, apply_variables(apply_filters(shown.query, filters), variables))


PLAIN = Context()
"""Nothing is laid over."""


def context_of(req: falcon.Request) -> Context:
    """Return the context that a request asks for; a visitor of a share can ask for that of the shared dashboard only.

    Raises `InvalidInput` for overrides that are no JSON objects. A dashboard that is no number is ignored.
    """
    if not req.params:
        return PLAIN
    given = req.get_param("from_dashboard")
    share = req.context.share
    if share is not None:
        is_own = share.dashboard is not None and given == str(share.dashboard.id)
        return Context(share.dashboard.id) if is_own else PLAIN
    filters, variables, tile_filters = (_override(req, name) for name in OVERRIDES)
    found = Context(row_id(given) if given else None, filters, variables, tile_filters)
    return PLAIN if found == PLAIN else found


def _override(req: falcon.Request, name: str) -> Mapping[str, Any] | None:
    text = req.get_param(name)
    if not text:
        return None
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"Invalid JSON passed in {name} parameter", path=name) from error
    if not isinstance(value, dict):
        raise InvalidInput(f"Invalid JSON passed in {name} parameter", path=name)
    return value
