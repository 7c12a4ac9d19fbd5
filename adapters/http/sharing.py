"""Sharing of an insight over HTTP: read, switch, settings, token rotation, passwords (insights-api.md 3.3)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import falcon

from ...application.ids import row_id
from ...application.json_values import iso
from ...application.library import Insightlog, Project
from ...domain.errors import NotFound, PermissionDenied
from ...domain.sharing import Sharing
from . import rendering
from .bodies import json_body, share_patch
from .errors import BareNotFound
from .operations import operation
from .schemas import ref


class _Sharing:
    def __init__(self, log: Insightlog) -> None:
        self._log = log

    def _write(self, resp: falcon.Response, configuration: Sharing | None, token: str) -> None:
        makers = {one.created_by for one in configuration.passwords if one.created_by} if configuration else set()
        users = {one.id: one for one in self._log.administration.users_by_id(makers)} if makers else {}
        rendering.write_json(resp, rendering.sharing(configuration, token, users))


class InsightSharing(_Sharing):
    """`/insights/:id/sharing/`: one object, addressed by the numeric id only."""

    @operation(answer=ref("Sharing"))
    def on_get(self, _req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Return the configuration; before the first change nothing is stored and the token is a fresh one."""
        with _insight_not_found():
            configuration, token = project.insights.sharing(_numeric(ref))
        self._write(resp, configuration, token)

    @operation(answer=ref("Sharing"), body=ref("SharingInput"))
    def on_patch(self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Change the configuration; every call is an entry of the activity log."""
        patch = share_patch(json_body(req))
        with _insight_not_found():
            insight_id = project.insights.get(_numeric(ref)).id
        if patch.enabled and self._log.organizations.get(project.info.organization_id).forbids_sharing:
            raise PermissionDenied("Public sharing is disabled for this organization.")
        configuration, token = project.insights.service.share(insight_id, patch, req.context.by)
        self._write(resp, configuration, token)


class InsightSharingRefresh(_Sharing):
    """`/insights/:id/sharing/refresh/`."""

    @operation(answer=ref("Sharing"))
    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Replace the token; the old one works for five minutes yet."""
        with _insight_not_found():
            configuration, token = project.insights.service.rotate_share_token(_numeric(ref), req.context.by)
        self._write(resp, configuration, token)


class InsightSharePasswords:
    """`/insights/:id/sharing/passwords/`."""

    @operation(answer=ref("NewSharePassword"), status=201, body=ref("SharePasswordInput"))
    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Make a password; its value is in this answer and nowhere else."""
        body = json_body(req)
        raw, note = body.get("raw_password") or None, body.get("note") or ""
        with _insight_not_found():
            made, value = project.insights.service.add_share_password(
                _numeric(ref), req.context.by, password=raw, note=note
            )
        resp.status = falcon.HTTP_201
        rendering.write_json(
            resp,
            {
                "id": made.id,
                "password": value,
                "note": made.note,
                "created_at": iso(made.created_at),
                "created_by_email": req.context.caller.user.email,
            },
        )


class InsightSharePassword:
    """`/insights/:id/sharing/passwords/:password_id/`."""

    @operation(status=204)
    def on_delete(
        self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str, password_id: str
    ) -> None:
        """Let a password open the share no more; that it was there stays in the log."""
        with _insight_not_found():
            known = row_id(password_id)
            if known is None:
                raise NotFound("Password")
            project.insights.service.remove_share_password(_numeric(ref), known, req.context.by)
        resp.status = falcon.HTTP_204


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
        if error.what == "Password":
            raise
        raise BareNotFound("Insight not found.") from error
