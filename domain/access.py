"""Users, personal API keys and their scopes: who may do what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from .errors import InvalidInput, PermissionDenied
from .events import UPCASTERS, DomainEvent, event
from .insight_commands import is_unicode
from .organization import DEFAULT_ORGANIZATION, check_level

SCOPE_OBJECTS = (
    "access_control", "action", "activity_log", "cohort", "dashboard", "event", "event_definition", "feature_flag",
    "group", "insight", "organization", "organization_member", "person", "project", "property_definition", "query",
    "session_recording", "sharing_configuration", "user",
)  # fmt: skip
"""What scopes are about (a subset of the peer's objects: those that insightlog serves or clients ask keys for)."""
ALL_SCOPES = "*"

Access = Literal["read", "write"]


@event("UserCreated", schema=2)
class UserCreated(DomainEvent):
    """A person who may own keys came into being, as a member of an organisation (None: of none)."""

    uuid: str
    email: str
    first_name: str
    distinct_id: str
    organization_id: int | None
    level: str | None


def _as_owner(data: dict[str, Any]) -> dict[str, Any]:
    """Bring schema 1 up: everybody might do everything in the one organisation that there was."""
    return {**data, "organization_id": DEFAULT_ORGANIZATION, "level": "owner"}


UPCASTERS["UserCreated", 1] = _as_owner


@event("KeyCreated", schema=2)
class KeyCreated(DomainEvent):
    """A personal API key was made; only its SHA-256 is kept."""

    user_id: int
    label: str
    key_sha256: str
    mask: str
    """The last four characters, to recognise it by."""
    scopes: tuple[str, ...]
    """Empty: a legacy key with full access."""
    project_ids: tuple[int, ...]
    """Empty: every project of its user."""
    organization_ids: tuple[int, ...]
    """Empty: every organisation of its user."""


def _anywhere(data: dict[str, Any]) -> dict[str, Any]:
    """Bring schema 1 up: no key was bound to organisations."""
    return {**data, "organization_ids": ()}


UPCASTERS["KeyCreated", 1] = _anywhere


@event("KeyRevoked")
class KeyRevoked(DomainEvent):
    """The key opens nothing any more."""


def user_stream_of(user_id: int) -> str:
    """Return the name of a user's stream."""
    return f"user:{user_id}"


def key_stream_of(key_id: int) -> str:
    """Return the name of a key's stream."""
    return f"key:{key_id}"


def check_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    """Return the scopes, sorted and unique. Raises `InvalidInput` for an unknown one, naming those that exist."""
    unique = tuple(sorted(set(scopes), key=str))
    for scope in unique:
        name, _, access = str(scope).partition(":")
        if scope != ALL_SCOPES and (name not in SCOPE_OBJECTS or access not in {"read", "write"}):
            known = ", ".join(SCOPE_OBJECTS)
            raise InvalidInput(
                f"{scope!r} is no scope: use '*' or OBJECT:read or OBJECT:write with OBJECT one of {known}.",
                path="scopes",
            )
    return unique


def create_user(
    email: str,
    *,
    uuid: str,
    distinct_id: str,
    first_name: str = "",
    organization_id: int | None = DEFAULT_ORGANIZATION,
    level: str | None = "owner",
) -> UserCreated:
    """Decide the creation of a user. Raises `InvalidInput` for what is no e-mail address or level."""
    for name, text in (("email", email), ("first_name", first_name)):
        if not isinstance(text, str) or not is_unicode(text):
            raise InvalidInput(f"{name} is text, not {text!r}.", path=name)
    local, at, host = email.strip().partition("@")
    if not (local and at and host) or len(email) > 254 or any(character.isspace() for character in email.strip()):
        raise InvalidInput(f"{email!r} is no e-mail address.", path="email")
    return UserCreated(
        uuid=uuid,
        email=email.strip(),
        first_name=first_name,
        distinct_id=distinct_id,
        organization_id=organization_id if level is not None else None,
        level=check_level(level) if organization_id is not None else None,
    )


def allows(scopes: Sequence[str], required: str) -> bool:
    """Whether a key's scopes cover `OBJECT:read` or `OBJECT:write`; write covers read, no scopes cover all.

    >>> allows(["insight:write"], "insight:read"), allows(["insight:read"], "insight:write"), allows([], "a:write")
    (True, False, True)
    """
    if not scopes or ALL_SCOPES in scopes or required in scopes:
        return True
    name, _, access = required.partition(":")
    return access == "read" and f"{name}:write" in scopes


def require_scope(scopes: Sequence[str], required: str) -> None:
    """Raise `PermissionDenied` when the scopes do not cover the required one."""
    if not allows(scopes, required):
        raise PermissionDenied(f"API key missing required scope '{required}'")
