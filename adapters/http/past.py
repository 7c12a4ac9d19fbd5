"""Looking back over HTTP: `as_of`, and the header that tells the position of an answer (history.md 2)."""

from __future__ import annotations

import falcon
from attrs import evolve

from ...application.library import Insightlog, Project
from ...application.rights import Rights
from ...domain.errors import PermissionDenied
from .operations import Parameter, declared
from .parameters import PAST

POSITION_HEADER = "Insightlog-Position"


def asked_past(req: falcon.Request, resource: object) -> tuple[str | None, str | None]:
    """Return `as_of` and `known_at`; None for the present, and where an endpoint does not take them."""
    operation = declared(resource, req.method)
    if not req.query_string or operation is None:
        return None, None
    as_of, known_at = (_moment(req, one) if one in operation.query else None for one in PAST)
    return as_of, known_at


def _moment(req: falcon.Request, parameter: Parameter) -> str | None:
    """Return what a parameter says: a plus sign that nobody escaped has become a blank."""
    return (req.get_param(parameter.name) or "").replace(" ", "+") or None


def in_the_past(
    req: falcon.Request, project: Project, rights: Rights, as_of: str | None, known_at: str | None
) -> Project:
    """Return a project as it was, to a caller with the rights of today; `req.context.log` is that of then.

    Raises `InvalidInput` for a moment that is none, `NotFound` before the project was there, and `PermissionDenied` for
    a caller from whom insights are hidden today: in the past they may not have been.
    """
    if as_of is None and known_at is None:
        return project
    if rights.viewer is not None:
        raise PermissionDenied("The past is closed to you, since some insights are hidden from you today.")
    present: Insightlog = req.context.log
    log = req.context.log = present.as_of(as_of or present.now(), known_at=known_at)
    then = log.project(project.id)
    hides = log.parts.views.hides_insights(project.id)
    return Project(log, then.info, evolve(rights, hides_insights=hides))


class Positions:
    """Falcon middleware: the header `Insightlog-Position` names the position of the log that an answer is of."""

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, _resource: object, req_succeeded: bool
    ) -> None:
        """Add the header. PERF: the position is looked up again only after something was written."""
        if req_succeeded and getattr(req.context, "caller", None) is not None:
            log: Insightlog = req.context.log
            resp.set_header(POSITION_HEADER, str(log.parts.views.kept(("position",), log.position)))
