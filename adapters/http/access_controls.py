"""Who may do what with one insight, over HTTP: rules, levels, and who comes out with which (insights-api.md 3.17)."""

from __future__ import annotations

from typing import Any

import falcon

from ...application.json_values import iso
from ...application.library import Insightlog, Project
from ...domain.access_rules import DEFAULT_LEVEL, LEVELS, AccessRule
from ...domain.errors import InvalidInput, PermissionDenied
from ...domain.insight import Insight
from ...domain.organization import LEVEL_NUMBERS, is_admin, member_uuid
from . import rendering
from .bodies import json_body
from .operations import operation
from .schemas import INTEGER, array, ref, shape

NO_MEMBER = (
    "Invalid organization member id. Use the 'id' field from the "
    "/api/organizations/<organization_id>/members/ endpoint."
)


class _Named:
    """Finds members and roles by the ids that the API gives them, and back."""

    def __init__(self, log: Insightlog, project: Project) -> None:
        organizations = log.organizations
        organization = organizations.get(project.info.organization_id)
        self.members = {
            one.user.id: (member_uuid(organization.uuid, one.user.uuid), one)
            for one in organizations.members(organization.id)
        }
        self.roles = {one.id: one for one in organizations.roles(organization.id)}

    def member(self, given: object) -> int | None:
        """Return the user of a membership. Raises `InvalidInput`."""
        if given is None:
            return None
        for user_id, (uuid, _) in self.members.items():
            if uuid == given:
                return user_id
        raise InvalidInput(NO_MEMBER)

    def role(self, given: object) -> int | None:
        """Return the number of a role. Raises `InvalidInput`."""
        if given is None:
            return None
        for role_id, role in self.roles.items():
            if role.uuid == given:
                return role_id
        raise InvalidInput("Invalid role id.")

    def row(self, insight: Insight, rule: AccessRule) -> dict[str, Any]:
        """Return a rule as the API shows it."""
        member = self.members.get(rule.member or 0)
        role = self.roles.get(rule.role or 0)
        return {
            "access_level": rule.level,
            "resource": "insight",
            "resource_id": str(insight.id),
            "organization_member": member[0] if member else None,
            "role": role.uuid if role else None,
            "created_by": rule.created_by,
            "created_at": iso(rule.created_at),
            "updated_at": iso(rule.updated_at),
        }


class InsightAccessControls:
    """`/insights/:id/access_controls/`."""

    def __init__(self, log: Insightlog) -> None:
        self._log = log

    @operation(answer=ref("AccessControls"))
    def on_get(self, _req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Return the rules about an insight, the levels there are, and the caller's own."""
        found = project.insights.get(ref)
        named = _Named(self._log, project)
        level = project.rights.level(found) if project.rights else None
        rendering.write_json(
            resp,
            {
                "access_controls": [named.row(found, rule) for rule in found.access],
                "available_access_levels": list(LEVELS),
                "default_access_level": DEFAULT_LEVEL,
                "minimum_access_level": LEVELS[0],
                "maximum_access_level": LEVELS[-1],
                "user_access_level": level,
                "user_can_edit_access_levels": level == "manager",
            },
        )

    @operation(answers={200: ref("AccessControl"), 204: None}, body=ref("AccessControlInput"))
    def on_put(self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Set or (level null) take away the rule for a member, a role or everyone."""
        body, named = json_body(req), _Named(self._log, project)
        found = project.insights.get(ref)
        if project.rights is not None and project.rights.level(found) != "manager":
            raise PermissionDenied("Must be manager to modify insight permissions.")
        if body.get("organization_member") is not None and body.get("role") is not None:
            raise InvalidInput("You can not scope an access control to both a member and a role.")
        if "access_level" not in body:
            raise InvalidInput("This field is required.", path="access_level", code="required")
        member, role = named.member(body.get("organization_member")), named.role(body.get("role"))
        rule = project.insights.service.set_access(
            found.id, body["access_level"], req.context.by, member=member, role=role
        )
        if rule is None:
            resp.status = falcon.HTTP_204
        else:
            rendering.write_json(resp, named.row(found, rule))


class InsightUsersWithAccess:
    """`/insights/:id/users_with_access/`."""

    def __init__(self, log: Insightlog) -> None:
        self._log = log

    @operation(answer=shape({"users": array(ref("UserWithAccess")), "total_count": INTEGER}))
    def on_get(self, _req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Return everybody who may see an insight, with the level and where it comes from."""
        found = project.insights.get(ref)
        users = []
        for user_id, (uuid, member) in _Named(self._log, project).members.items():
            try:
                rights = self._log.access.rights(user_id, project.info)
            except PermissionDenied:
                continue
            level = rights.level(found)
            if level == "none":
                continue
            users.append(
                {
                    "user_id": user_id,
                    "access_level": level,
                    "access_source": _source(found, user_id, rights.roles, member.level, administers=rights.is_admin),
                    "organization_membership_id": uuid,
                    "organization_membership_level": LEVEL_NUMBERS[member.level],
                }
            )
        rendering.write_json(resp, {"users": users, "total_count": len(users)})


class NoRulesHere:
    """`/insights/:id/resource_access_controls/` and `/global_access_controls/`."""

    @operation(answers={})
    def on_get(self, _req: falcon.Request, _resp: falcon.Response, project: Project, ref: str) -> None:
        """Refuse: such rules are about projects."""
        project.insights.get(ref)
        raise InvalidInput("Resource-level access controls can only be configured for projects.")

    on_put = on_get


def _source(insight: Insight, user_id: int, roles: tuple[int, ...], membership: str, *, administers: bool) -> str:
    if is_admin(membership):
        return "organization_admin"
    if insight.created_by == user_id:
        return "creator"
    if administers:
        return "project_admin"
    if any(rule.member == user_id for rule in insight.access):
        return "explicit_member"
    return "explicit_role" if any(rule.role in roles for rule in insight.access if rule.role) else "default"
