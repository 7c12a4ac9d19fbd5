"""Organisations, their members and roles: to whom projects belong. No I/O, no clock."""

from __future__ import annotations

from uuid import NAMESPACE_URL, UUID, uuid5

from .errors import InvalidInput
from .events import DomainEvent, event
from .insight_commands import is_unicode

LEVEL_NUMBERS = {"member": 1, "admin": 8, "owner": 15}
"""How the API spells levels of membership."""
DEFAULT_ORGANIZATION = 1
"""Exists in every log without an event: most logs need no other."""
DEFAULT_NAME = "Default organization"
DEFAULT_UUID = str(uuid5(NAMESPACE_URL, "insightlog:organization:1"))
MAX_NAME = 64


@event("OrganizationCreated")
class OrganizationCreated(DomainEvent):
    """One more organisation."""

    name: str
    uuid: str


@event("PublicSharingChanged")
class PublicSharingChanged(DomainEvent):
    """Whether the organisation's insights may be shared with people outside."""

    is_allowed: bool


@event("MembershipChanged")
class MembershipChanged(DomainEvent):
    """A user is a member of an organisation at a level, or (None) is one no more. Kept in the user's stream."""

    organization_id: int
    level: str | None


@event("RoleCreated")
class RoleCreated(DomainEvent):
    """A named group of members came into being."""

    organization_id: int
    uuid: str
    name: str


@event("RoleMembersChanged")
class RoleMembersChanged(DomainEvent):
    """The users who have a role, given whole, and those who had it before and have it no more; both sorted."""

    user_ids: tuple[int, ...]
    removed_ids: tuple[int, ...] = ()


def stream_of(organization_id: int) -> str:
    """Return the name of an organisation's stream."""
    return f"organization:{organization_id}"


def role_stream_of(role_id: int) -> str:
    """Return the name of a role's stream."""
    return f"role:{role_id}"


def member_uuid(organization_uuid: str, user_uuid: str) -> str:
    """Return the id that the API gives to a membership."""
    return str(uuid5(UUID(organization_uuid), user_uuid))


def check_name(name: str) -> str:
    """Return the name of an organisation or a role. Raises `InvalidInput` for one without letters or too long."""
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME or not is_unicode(name):
        raise InvalidInput(f"A name has 1 to {MAX_NAME} characters.", path="name")
    return name


def check_level(level: str | None) -> str | None:
    """Return the level of a membership. Raises `InvalidInput` for one that does not exist."""
    if level is not None and level not in LEVEL_NUMBERS:
        raise InvalidInput(f"{level!r} is no level: use {', '.join(LEVEL_NUMBERS)}.", path="level")
    return level


def is_admin(level: str | None) -> bool:
    """Whether a level of membership manages everything in the organisation."""
    return level in {"admin", "owner"}
