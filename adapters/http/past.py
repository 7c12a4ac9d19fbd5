"""Looking back over HTTP: `as_of`, and the header that tells the position of an answer (history.md 2)."""

from __future__ import annotations

import falcon
from attrs import evolve

from ...application.library import Insightlog, Project
from ...application.rights import Rights
from ...domain.errors import PermissionDenied
from .operations import declared
from .parameters import AS_OF

POSITION_HEADER = "Insightlog-Position"


def asked_moment(req: falcon.Request, resource: object) -> str | None:
    """Return the moment in the past that is asked for, None for the present or where an endpoint has no past."""
    operation = declared(resource, req.method)
    if not req.query_string or operation is None or AS_OF not in operation.query:
        return None
    moment = req.get_param(AS_OF.name)
    # A plus sign that nobody escaped has become a blank.
    return moment.replace(" ", "+") if moment else None


def in_the_past(req: falcon.Request, project: Project, rights: Rights, moment: str) -> Project:
    """Return a project as it was, to a caller with the rights of today; `req.context.log` is that of then.

    Raises `InvalidInput` for a moment that is none, `NotFound` before the project was there, and `PermissionDenied` for
    a caller from whom insights are hidden today: in the past they may not have been.
    """
    if rights.viewer is not None:
        raise PermissionDenied("The past is closed to you, since some insights are hidden from you today.")
    log = req.context.log = req.context.log.as_of(moment)
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
