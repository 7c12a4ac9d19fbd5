"""What clients ask at start: who the caller is, which key this is, organisations and projects (3.18)."""

from __future__ import annotations

from typing import Any

import falcon

from ...application.json_values import iso
from ...application.library import Insightlog, Project
from ...application.model import Caller, Organization, ProjectInfo
from ...domain.errors import NotFound
from ...domain.organization import LEVEL_NUMBERS, member_uuid
from . import rendering
from .errors import BareNotFound
from .operations import operation
from .parameters import PAGE, page_window
from .schemas import page_of, ref

DEFAULT_PAGE, MAX_PAGE = 100, 1000


class _Account:
    def __init__(self, log: Insightlog, site_url: str | None) -> None:
        self._log = log
        self._site_url = site_url

    def _page(self, req: falcon.Request, resp: falcon.Response, items: list[Any]) -> None:
        limit, offset = page_window(req, DEFAULT_PAGE, MAX_PAGE)
        shown = items[offset : offset + limit]
        rendering.write_json(resp, rendering.envelope(req, self._site_url, len(items), limit, offset, shown))

    def _organizations(self, caller: Caller) -> list[tuple[Organization, str]]:
        """Return the organisations that the caller's key opens, each with the level of the caller's membership."""
        allowed = set(caller.key.organization_ids)
        if caller.key.project_ids:
            allowed = {one.organization_id for one in self._log.access.projects_of(caller)}
        is_bound = bool(caller.key.organization_ids or caller.key.project_ids)
        return [
            (self._log.organizations.get(one.organization_id), one.level)
            for one in self._log.organizations.memberships(caller.user)
            if not is_bound or one.organization_id in allowed
        ]

    def _organization(self, caller: Caller, ref: str) -> tuple[Organization, str]:
        for one, level in self._organizations(caller):
            if ref in {"@current", one.uuid, str(one.id)}:
                return one, level
        raise BareNotFound

    def _project(self, info: ProjectInfo) -> dict[str, Any]:
        organization = self._log.organizations.get(info.organization_id)
        return shown_project(info, organization, self._log.administration.project_token(info.id))

    def _projects(self, caller: Caller, organization: Organization | None = None) -> list[dict[str, Any]]:
        return [
            self._project(info)
            for info in self._log.access.projects_of(caller)
            if organization is None or info.organization_id == organization.id
        ]

    def _shown(self, caller: Caller, organization: Organization, level: str) -> dict[str, Any]:
        return {
            "id": organization.uuid,
            "name": organization.name,
            "slug": f"organization-{organization.id}",
            "created_at": iso(organization.created_at),
            "membership_level": LEVEL_NUMBERS[level],
            "teams": self._projects(caller, organization),
            "projects": self._projects(caller, organization),
            "available_product_features": [],
            "is_member_join_email_enabled": False,
            "allow_publicly_shared_resources": not organization.forbids_sharing,
            "member_count": len(self._log.organizations.members(organization.id)),
        }


class Me(_Account):
    """`/api/users/@me/`."""

    @operation(answer=ref("Me"))
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Return the caller with the current organisation and project."""
        caller: Caller = req.context.caller
        organizations = self._organizations(caller)
        projects = self._projects(caller)
        current = self._shown(caller, *organizations[0]) if organizations else None
        shown = rendering.user(caller.user) or {}
        rendering.write_json(
            resp,
            shown
            | {
                "date_joined": iso(caller.user.created_at),
                "is_staff": False,
                "organization": current,
                "organizations": [{"id": one.uuid, "name": one.name} for one, _ in organizations],
                "team": projects[0] if projects else None,
            },
        )


class CurrentKey(_Account):
    """`/api/personal_api_keys/@current`."""

    @operation(answer=ref("PersonalApiKey"))
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Return the key of this request, without its value."""
        key = self._log.administration.key(req.context.caller.key.id)
        organizations = {one.id: one.uuid for one in self._log.organizations.all()}
        rendering.write_json(
            resp,
            {
                "id": str(key.id),
                "label": key.label,
                "mask_value": f"phx_...{key.mask}",
                "created_at": iso(key.created_at),
                "last_used_at": iso(key.last_used_at),
                "user_id": key.user_id,
                "scopes": list(key.scopes) or ["*"],
                "scoped_teams": list(key.project_ids),
                "scoped_organizations": [organizations[one] for one in key.organization_ids],
            },
        )


class OrganizationList(_Account):
    """`/api/organizations/`."""

    @operation(answer=page_of(ref("Organization")), query=PAGE)
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List the caller's organisations."""
        caller = req.context.caller
        self._page(req, resp, [self._shown(caller, *one) for one in self._organizations(caller)])


class OrganizationItem(_Account):
    """`/api/organizations/:id/`, by uuid or `@current`."""

    @operation(answer=ref("Organization"))
    def on_get(self, req: falcon.Request, resp: falcon.Response, organization: str) -> None:
        """Retrieve."""
        caller = req.context.caller
        rendering.write_json(resp, self._shown(caller, *self._organization(caller, organization)))


class OrganizationProjects(_Account):
    """`/api/organizations/:id/projects/`."""

    @operation(answer=page_of(ref("Project")), query=PAGE)
    def on_get(self, req: falcon.Request, resp: falcon.Response, organization: str) -> None:
        """List the projects of an organisation that the caller may enter."""
        found, _ = self._organization(req.context.caller, organization)
        self._page(req, resp, self._projects(req.context.caller, found))


class OrganizationProject(_Account):
    """`/api/organizations/:id/projects/:id/`."""

    @operation(answer=ref("Project"))
    def on_get(self, req: falcon.Request, resp: falcon.Response, organization: str, project: Project) -> None:
        """Retrieve a project of an organisation."""
        found, _ = self._organization(req.context.caller, organization)
        if project.info.organization_id != found.id:
            raise NotFound("Project")
        rendering.write_json(resp, self._project(project.info))


class OrganizationMembers(_Account):
    """`/api/organizations/:id/members/`."""

    @operation(answer=page_of(ref("Member")), query=PAGE)
    def on_get(self, req: falcon.Request, resp: falcon.Response, organization: str) -> None:
        """List the members of an organisation."""
        found, _ = self._organization(req.context.caller, organization)
        members = [
            {
                "id": member_uuid(found.uuid, one.user.uuid),
                "user": rendering.user(one.user),
                "level": LEVEL_NUMBERS[one.level],
                "joined_at": iso(one.joined_at),
                "updated_at": iso(one.joined_at),
                "is_2fa_enabled": False,
                "has_social_auth": False,
                "last_login": None,
            }
            for one in self._log.organizations.members(found.id)
        ]
        self._page(req, resp, members)


class OrganizationRoles(_Account):
    """`/api/organizations/:id/roles/`."""

    @operation(answer=page_of(ref("Role")), query=PAGE)
    def on_get(self, req: falcon.Request, resp: falcon.Response, organization: str) -> None:
        """List the roles of an organisation with their members."""
        found, _ = self._organization(req.context.caller, organization)
        users = {one.user.id: one.user for one in self._log.organizations.members(found.id)}
        roles = [
            {
                "id": role.uuid,
                "name": role.name,
                "created_at": iso(role.created_at),
                "members": [{"user": rendering.user(users.get(user_id))} for user_id in role.user_ids],
            }
            for role in self._log.organizations.roles(found.id)
        ]
        self._page(req, resp, roles)


class ProjectList(_Account):
    """`/api/projects/` and `/api/environments/`."""

    @operation(answer=page_of(ref("Project")), query=PAGE)
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List the projects that the caller may enter."""
        self._page(req, resp, self._projects(req.context.caller))


class ProjectItem(_Account):
    """`/api/projects/:id/` and `/api/environments/:id/`."""

    @operation(answer=ref("Project"))
    def on_get(self, _req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Retrieve a project, also as `@current`."""
        rendering.write_json(resp, self._project(project.info))


def shown_project(info: ProjectInfo, organization: Organization, token: str) -> dict[str, Any]:
    """Return a project as clients read it."""
    return {
        "id": info.id,
        "uuid": info.uuid,
        "organization": organization.uuid,
        "api_token": token,
        "name": info.name,
        "completed_snippet_onboarding": True,
        "ingested_event": True,
        "is_demo": False,
        "timezone": info.timezone,
        "week_start_day": info.week_start_day,
        "access_control": False,
        "created_at": iso(info.created_at),
        "test_account_filters": info.settings.get("test_account_filters", []),
        "path_cleaning_filters": info.settings.get("path_cleaning_filters", []),
        "base_currency": info.settings.get("base_currency", "USD"),
        "effective_membership_level": None,
    }
