"""Sharing of what a project has: switch, settings, token, passwords. What HTTP and embedders call."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable
from typing import Generic, Literal, Protocol, TypeVar

from attrs import frozen

from ..domain.events import DomainEvent
from ..domain.sharing import (
    AddSharePassword,
    ConfigureSharing,
    RemoveSharePassword,
    Resource,
    RotateShareToken,
    ShareCommand,
    SharePassword,
    SharePatch,
    Sharing,
    check_password,
)
from .execution import By, Executor, Kind
from .sharing_tokens import SharePasswords, ShareTokens


class Shareable(Protocol):
    """An aggregate that can be shared."""

    @property
    def version(self) -> int:
        """Place in the stream."""
        ...

    @property
    def id(self) -> int:
        """Its number."""
        ...

    @property
    def sharing(self) -> Sharing | None:
        """Its configuration, None until the first change."""
        ...


S = TypeVar("S", bound=Shareable)


@frozen
class Shares(Generic[S]):
    """How the resources of one type in a project are shared.

    Configurations are returned with the token; before the first change these are None and a random token. Methods
    raise `NotFound` for unknown, deleted and foreign resources.
    """

    type: Literal["insight", "dashboard"]
    kind: Kind[S]
    project_id: int
    executor: Executor
    tokens: ShareTokens
    passwords: SharePasswords
    get: Callable[[int], S]
    """Gives a resource that the caller may see."""
    get_to_edit: Callable[[int], S]
    """Gives a resource that the caller may edit. Raises `PermissionDenied`."""
    decide: Callable[[S, ShareCommand], tuple[DomainEvent, ...]]

    def configuration(self, resource_id: int) -> tuple[Sharing | None, str]:
        """Return the stored configuration with its token."""
        return self._with_token(self.get(resource_id))

    def change(self, resource_id: int, patch: SharePatch, by: By) -> tuple[Sharing | None, str]:
        """Change the configuration and return it. Raises `InvalidInput`, `PermissionDenied`."""
        found = self.get_to_edit(resource_id)
        return self._with_token(self._done(found, ConfigureSharing(patch, self.tokens.hash_of(self._of(found), 0)), by))

    def rotate_token(self, resource_id: int, by: By) -> tuple[Sharing | None, str]:
        """Replace the token and return the configuration; the old one works for five minutes yet."""
        found = self.get_to_edit(resource_id)
        command = RotateShareToken(lambda rotation: self.tokens.hash_of(self._of(found), rotation))
        return self._with_token(self._done(found, command, by))

    def add_password(
        self, resource_id: int, by: By, *, password: str | None = None, note: str = ""
    ) -> tuple[SharePassword, str]:
        """Make one more password, a random one when none is given; returned with its value.

        Raises `InvalidInput`, `PasswordsOff` while the share asks for none. Slow on purpose (argon2id).
        """
        found = self.get_to_edit(resource_id)
        raw, note = check_password(secrets.token_urlsafe(16) if password is None else password, note)
        ref = uuid.uuid4().hex
        command = AddSharePassword(ref, note)
        self.decide(found, command)  # refused before the slow part
        kept = self.passwords.secret_of(ref, raw)
        after = self.executor.change(
            self.kind, self.project_id, found.id, lambda state, _: self.decide(state, command), by, kept
        )
        assert after.sharing is not None
        return next(one for one in after.sharing.passwords if one.ref == ref), raw

    def remove_password(self, resource_id: int, password_id: int, by: By) -> None:
        """Let a password open the share no more. Raises `NotFound` for an unknown one, too."""
        self._done(self.get_to_edit(resource_id), RemoveSharePassword(password_id), by)

    def _done(self, found: S, command: ShareCommand, by: By) -> S:
        return self.executor.change(
            self.kind, self.project_id, found.id, lambda state, _: self.decide(state, command), by
        )

    def _of(self, found: S) -> Resource:
        return Resource(self.type, found.id)

    def _with_token(self, found: S) -> tuple[Sharing | None, str]:
        return found.sharing, self.tokens.of(self._of(found), found.sharing)
