"""Organisations, their members and roles, and the rules about whole projects. What administrators do."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence

from attrs import evolve

from ..domain.access import user_stream_of
from ..domain.access_rules import LEVELS, PROJECT_LEVELS, check_level
from ..domain.errors import InvalidInput, NotFound
from ..domain.organization import (
    DEFAULT_NAME,
    DEFAULT_ORGANIZATION,
    DEFAULT_UUID,
    MembershipChanged,
    OrganizationCreated,
    PublicSharingChanged,
    RoleCreated,
    RoleMembersChanged,
    check_name,
    role_stream_of,
    stream_of,
)
from ..domain.organization import check_level as check_membership
from ..domain.project import ProjectAccessGranted, ProjectAccessRevoked
from ..domain.project import stream_of as project_stream_of
from .acting import Who, acting, items_of, require_number, user_id_of
from .administration import Administration
from .execution import Executor
from .model import Member, Organization, Role, User, organization_from_row
from .ports import StreamEvents, Views
from .views.tables import instant

_DEFAULT = Organization(DEFAULT_ORGANIZATION, DEFAULT_UUID, DEFAULT_NAME, forbids_sharing=False, created_at=None)
RESOURCES = {"project": PROJECT_LEVELS, "insight": LEVELS}
"""What rules for a whole project may be about, and the levels of each."""


class Organizations:
    """What may be done with the organisations of a log."""

    def __init__(self, views: Views, executor: Executor, administration: Administration) -> None:
        self._views = views
        self._executor = executor
        self._administration = administration

    def all(self) -> Sequence[Organization]:
        """Return all organisations in order of id; there is always one."""
        found = {_DEFAULT.id: _DEFAULT}
        for row in self._views.organizations():
            if row["name"] is None:
                found[row["id"]] = evolve(_DEFAULT, forbids_sharing=bool(row["forbids_sharing"]))
            else:
                found[row["id"]] = organization_from_row(row)
        return list(found.values())

    def get(self, organization_id: int) -> Organization:
        """Return an organisation. Raises `NotFound`."""
        for one in self.all():
            if one.id == organization_id:
                return one
        raise NotFound("Organization", organization_id)

    def create(self, name: str, by: Who = None) -> Organization:
        """Make an organisation. Raises `InvalidInput`."""
        created = OrganizationCreated(check_name(name), str(uuid.uuid4()))
        records = self._executor.create(
            "organizations",
            lambda new_id, _: (StreamEvents(stream_of(new_id), (created,), 0),),
            acting(by),
            lambda _: None,
        )
        return self.get(records[0].subject_id)

    def allow_public_sharing(self, organization_id: int, is_allowed: bool, by: Who = None) -> None:
        """Allow or forbid that insights are shared with people outside. Raises `NotFound`."""
        self.get(organization_id)
        self._administration.append(stream_of(organization_id), PublicSharingChanged(is_allowed), acting(by))

    def set_member(self, organization_id: int, user: User | int, level: str | None, by: Who = None) -> None:
        """Make a user a member at a level (member, admin, owner), or none any more (None).

        Raises `NotFound`, `InvalidInput` for a level that does not exist.
        """
        self.get(organization_id)
        user_id = self._user_id("user", user)
        changed = MembershipChanged(organization_id, check_membership(level))
        self._administration.append(user_stream_of(user_id), changed, acting(by))

    def members(self, organization_id: int) -> Sequence[Member]:
        """Return the members of an organisation in the order of joining."""
        rows = self._views.members(organization_id=organization_id)
        users = {one.id: one for one in self._administration.users_by_id(row["user_id"] for row in rows)}
        return [_member(row["level"], row["joined_at"], organization_id, users[row["user_id"]]) for row in rows]

    def memberships(self, user: User) -> Sequence[Member]:
        """Return the memberships of a user in the order of joining."""
        rows = self._views.members(user_id=user.id)
        return [_member(row["level"], row["joined_at"], row["organization_id"], user) for row in rows]

    def create_role(
        self, organization_id: int, name: str, by: Who = None, *, user_ids: Iterable[User | int] = ()
    ) -> Role:
        """Make a role, with its first members. Raises `NotFound`, `InvalidInput`."""
        self.get(organization_id)
        created = RoleCreated(organization_id, str(uuid.uuid4()), check_name(name))
        first = RoleMembersChanged(self._checked_members(organization_id, user_ids))
        records = self._executor.create(
            "roles",
            lambda new_id, _: (StreamEvents(role_stream_of(new_id), (created, first), 0),),
            acting(by),
            lambda _: None,
        )
        return self.role(organization_id, records[0].subject_id)

    def set_role_members(
        self, organization_id: int, role_id: int, user_ids: Iterable[User | int], by: Who = None
    ) -> Role:
        """Replace the members of a role. Raises `NotFound`, `InvalidInput`."""
        old = self.role(organization_id, role_id)
        wanted = self._checked_members(organization_id, user_ids)
        changed = RoleMembersChanged(wanted, tuple(sorted(set(old.user_ids) - set(wanted))))
        self._administration.append(role_stream_of(role_id), changed, acting(by))
        return self.role(organization_id, role_id)

    def role(self, organization_id: int, role_id: int) -> Role:
        """Return a role. Raises `NotFound`."""
        for one in self.roles(organization_id):
            if one.id == role_id:
                return one
        raise NotFound("Role", role_id)

    def roles(self, organization_id: int) -> Sequence[Role]:
        """Return the roles of an organisation in order of id."""
        return [
            Role(
                row["id"], organization_id, row["uuid"], row["name"], tuple(row["user_ids"]), instant(row["created_at"])
            )
            for row in self._views.roles(organization_id)
        ]

    def set_project_access(
        self,
        project_id: int,
        resource: str,
        level: str | None,
        by: Who = None,
        *,
        member: User | int | None = None,
        role: int | None = None,
    ) -> None:
        """Give a member, a role or everyone a level on `project` or on all its insights (`insight`); None revokes it.

        `project` with `none` for everyone makes a project private. Raises `InvalidInput`, `NotFound`, also for a user
        or a role that does not exist.
        """
        organization_id = self._administration.project(project_id).organization_id
        if resource not in RESOURCES:
            raise InvalidInput(f"{resource!r} has no rules; use {' or '.join(RESOURCES)}.", path="resource")
        if member is not None and role is not None:
            raise InvalidInput("You can not scope an access control to both a member and a role.")
        user_id = None if member is None else self._user_id("member", member)
        if role is not None:
            require_number("role", role)
            self.role(organization_id, role)
        changed = (
            ProjectAccessRevoked(resource, user_id, role)
            if level is None
            else ProjectAccessGranted(resource, check_level(level, RESOURCES[resource]), user_id, role)
        )
        self._administration.append(project_stream_of(project_id), changed, acting(by), project_id)

    def _user_id(self, name: str, user: User | int) -> int:
        user_id = user_id_of(name, user)
        return self._administration.user(user_id).id

    def _checked_members(self, organization_id: int, user_ids: Iterable[User | int]) -> tuple[int, ...]:
        wanted = tuple(sorted({user_id_of("user_ids", one) for one in items_of("user_ids", user_ids)}))
        members = {row["user_id"] for row in self._views.members(organization_id=organization_id)}
        for user_id in wanted:
            if user_id not in members:
                raise InvalidInput(f"User {user_id} is no member of the organization.", path="user_ids")
        return wanted


def _member(level: str, joined_at: int, organization_id: int, user: User) -> Member:
    return Member(user, organization_id, level, instant(joined_at))
