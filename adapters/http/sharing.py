"""Sharing over HTTP: read, switch, settings, token rotation, passwords (insights-api.md 3.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import falcon
from attrs import frozen

from ...application.ids import row_id
from ...application.json_values import iso
from ...application.library import Insightlog, Project
from ...application.sharing import Shares
from ...domain.dashboard import Dashboard
from ...domain.errors import NotFound, PermissionDenied
from ...domain.insight import Insight
from ...domain.sharing import Sharing
from . import rendering
from .bodies import json_body, share_patch
from .errors import BareNotFound
from .operations import operation
from .parameters import AS_OF
from .schemas import ref


@frozen
class Of:
    """What is shared under a path: the resources of one type."""

    name: str
    shares: Callable[[Project], Shares[Insight] | Shares[Dashboard]]

    def number(self, ref: str) -> int:
        """Return the numeric id, the only one that is taken here. Raises `NotFound`."""
        found = row_id(ref)
        if found is None:
            raise NotFound(self.name, ref)
        return found

    @contextmanager
    def not_found(self) -> Iterator[None]:
        """Say of what is not there what the contract says."""
        try:
            yield
        except NotFound as error:
            if error.what == "Password":
                raise
            raise BareNotFound(f"{self.name} not found.") from error


INSIGHTS = Of("Insight", lambda project: project.insights.service.shares)
DASHBOARDS = Of("Dashboard", lambda project: project.dashboards.service.shares)


class SharingItem:
    """`/insights/:id/sharing/` and `/dashboards/:id/sharing/`: one object, addressed by the numeric id only."""

    def __init__(self, log: Insightlog, of: Of) -> None:
        self._log = log
        self._of = of

    @operation(answer=ref("Sharing"), query=(AS_OF,))
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Return the configuration; before the first change nothing is stored and the token is a fresh one."""
        with self._of.not_found():
            configuration, token = self._of.shares(project).configuration(self._of.number(ref))
        write(resp, req.context.log, configuration, token)

    @operation(answer=ref("Sharing"), body=ref("SharingInput"))
    def on_patch(self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Change the configuration; every call is an entry of an insight's activity log."""
        body, shares = json_body(req), self._of.shares(project)
        with self._of.not_found():
            resource_id = shares.get(self._of.number(ref)).id
        patch = share_patch(body)
        if patch.enabled and self._log.organizations.get(project.info.organization_id).forbids_sharing:
            raise PermissionDenied("Public sharing is disabled for this organization.")
        configuration, token = shares.change(resource_id, patch, req.context.by)
        write(resp, self._log, configuration, token)


class SharingRefresh:
    """`.../sharing/refresh/`."""

    def __init__(self, log: Insightlog, of: Of) -> None:
        self._log = log
        self._of = of

    @operation(answer=ref("Sharing"))
    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Replace the token; the old one works for five minutes yet."""
        with self._of.not_found():
            configuration, token = self._of.shares(project).rotate_token(self._of.number(ref), req.context.by)
        write(resp, self._log, configuration, token)


class SharePasswords:
    """`.../sharing/passwords/`."""

    def __init__(self, of: Of) -> None:
        self._of = of

    @operation(answer=ref("NewSharePassword"), status=201, body=ref("SharePasswordInput"))
    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Make a password; its value is in this answer and nowhere else."""
        body = json_body(req)
        raw, note = body.get("raw_password") or None, body.get("note") or ""
        with self._of.not_found():
            made, value = self._of.shares(project).add_password(
                self._of.number(ref), req.context.by, password=raw, note=note
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


class SharePasswordItem:
    """`.../sharing/passwords/:password_id/`."""

    def __init__(self, of: Of) -> None:
        self._of = of

    @operation(status=204)
    def on_delete(
        self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str, password_id: str
    ) -> None:
        """Let a password open the share no more; that it was there stays in the log."""
        with self._of.not_found():
            known = row_id(password_id)
            if known is None:
                raise NotFound("Password")
            self._of.shares(project).remove_password(self._of.number(ref), known, req.context.by)
        resp.status = falcon.HTTP_204


def write(resp: falcon.Response, log: Insightlog, configuration: Sharing | None, token: str) -> None:
    """Put a configuration into a response."""
    makers = {one.created_by for one in configuration.passwords if one.created_by} if configuration else set()
    users = {one.id: one for one in log.administration.users_by_id(makers)} if makers else {}
    rendering.write_json(resp, rendering.sharing(configuration, token, users))
