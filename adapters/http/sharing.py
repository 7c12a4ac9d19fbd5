"""Sharing of an insight over HTTP: read, switch, settings (insights-api.md 3.3)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import falcon

from ...application.ids import row_id
from ...application.library import Project
from ...domain.errors import NotFound
from . import rendering
from .bodies import json_body, share_patch
from .errors import BareNotFound
from .operations import operation
from .schemas import ref


class InsightSharing:
    """`/insights/:id/sharing/`: one object, addressed by the numeric id only."""

    @operation(answer=ref("Sharing"))
    def on_get(self, _req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Return the configuration; before the first change nothing is stored and the token is a fresh one."""
        with _insight_not_found():
            configuration, token = project.insights.sharing(_numeric(ref))
        rendering.write_json(resp, rendering.sharing(configuration, token))

    @operation(answer=ref("Sharing"), body=ref("SharingInput"))
    def on_patch(self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Change the configuration; every call is an entry of the activity log."""
        patch = share_patch(json_body(req))
        with _insight_not_found():
            configuration, token = project.insights.service.share(_numeric(ref), patch, req.context.by)
        rendering.write_json(resp, rendering.sharing(configuration, token))


def _numeric(ref: str) -> int:
    insight_id = row_id(ref)
    if insight_id is None:
        raise NotFound("Insight", ref)
    return insight_id


@contextmanager
def _insight_not_found() -> Iterator[None]:
    try:
        yield
    except NotFound as error:
        raise BareNotFound("Insight not found.") from error
