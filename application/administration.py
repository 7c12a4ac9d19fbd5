"""Projects, users and keys: making them, finding them, and telling who a caller is."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..domain.access import (
    KeyCreated,
    KeyRevoked,
    check_scopes,
    create_user,
    key_stream_of,
    user_stream_of,
)
from ..domain.capture import MAX_TOKEN
from ..domain.errors import InvalidInput, NotFound
from ..domain.events import DomainEvent
from ..domain.organization import DEFAULT_ORGANIZATION
from ..domain.project import ProjectSettingsChanged, check_settings, create_project
from ..domain.project import stream_of as project_stream_of
from .access import digest
from .acting import items_of, require_number, require_text
from .execution import By, Executor
from .model import (
    Key,
    NewKey,
    ProjectInfo,
    User,
    key_from_row,
    project_from_row,
    user_from_row,
)
from .ports import Append, EventStore, StreamEvents, Views

KEY_PREFIX = "phx_"
TOKEN_PREFIX = "phc_"  # noqa: S105 the public prefix of capture tokens
MIN_KEY, MAX_KEY = 16, 200


class Administration:
    """What may be done with the projects, users and keys of a log."""

    def __init__(self, store: EventStore, views: Views, executor: Executor) -> None:
        self._store = store
        self._views = views
        self._executor = executor

    def create_project(
        self,
        name: str,
        by: By,
        *,
        timezone: str = "UTC",
        week_start_day: int = 0,
        token: str | None = None,
        organization_id: int = DEFAULT_ORGANIZATION,
    ) -> ProjectInfo:
        """Make a project with a capture token of its own. Raises `InvalidInput`, `NotFound` for the organisation."""
        value = token if token is not None else TOKEN_PREFIX + secrets.token_urlsafe(32)
        is_token = isinstance(value, str) and value.strip() and value.isascii() and len(value) <= MAX_TOKEN
        if not is_token or value.startswith(KEY_PREFIX):
            raise InvalidInput("A capture token is 1 to 64 ASCII characters without a key's prefix.", path="token")
        if self._views.project_by_token(digest(value)) is not None:
            raise InvalidInput("Another project has this capture token.", path="token")
        self.check_organization(organization_id)
        created = create_project(
            name,
            timezone,
            digest(value),
            uuid=str(uuid.uuid4()),
            organization_id=organization_id,
            week_start_day=week_start_day,
        )
        records = self._executor.create(
            "projects",
            lambda project_id, _: (StreamEvents(project_stream_of(project_id), (created,), 0),),
            by,
            lambda project_id: project_id,
            lambda project_id: {_token_name(project_id): value},
        )
        return self.project(records[0].subject_id)

    def project(self, project_id: int) -> ProjectInfo:
        """Return a project. Raises `NotFound`."""
        row = self._views.project(project_id) if type(project_id) is int else None
        if row is None:
            raise NotFound("Project", project_id)
        return project_from_row(row)

    def projects(self) -> Sequence[ProjectInfo]:
        """Return all projects in order of id."""
        return [project_from_row(row) for row in self._views.projects()]

    def change_project(self, project_id: int, settings: Mapping[str, Any], by: By) -> ProjectInfo:
        """Change settings of a project (`domain.project.SETTINGS`). Raises `InvalidInput`, `NotFound`."""
        old = self.project(project_id)
        check_settings(dict(settings))
        known = {"name": old.name, "timezone": old.timezone, "week_start_day": old.week_start_day, **old.settings}
        changed = {name: value for name, value in settings.items() if name not in known or known[name] != value}
        if changed:
            self.append(project_stream_of(project_id), ProjectSettingsChanged(changed), by, project_id)
        return self.project(project_id)

    def check_organization(self, organization_id: int) -> None:
        """Raise `NotFound` for an organisation that does not exist."""
        known = {row["id"] for row in self._views.organizations()} | {DEFAULT_ORGANIZATION}
        if organization_id not in known:
            raise NotFound("Organization", organization_id)

    def append(self, stream: str, event: DomainEvent, by: By, project_id: int | None = None) -> None:
        """Append one event to a stream, whatever its version."""
        self._executor.append(Append((StreamEvents(stream, (event,)),), by.actor, project_id, by.request))

    def project_token(self, project_id: int) -> str:
        """Return a project's capture token. Raises `NotFound`."""
        token = self._store.secret(_token_name(project_id))
        if token is None:
            raise NotFound("Project", project_id)
        return token

    def create_user(
        self,
        email: str,
        by: By,
        *,
        first_name: str = "",
        organization_id: int | None = DEFAULT_ORGANIZATION,
        level: str | None = "member",
    ) -> User:
        """Make a user, at a level of an organisation. Raises `InvalidInput` for a bad or taken e-mail address."""
        if organization_id is not None:
            self.check_organization(organization_id)
        created = create_user(
            email,
            uuid=str(uuid.uuid4()),
            distinct_id=secrets.token_urlsafe(24),
            first_name=first_name,
            organization_id=organization_id,
            level=level,
        )
        if self._views.user_by_email(created.email) is not None:
            raise InvalidInput(f"There is a user {created.email} already.", path="email")
        records = self._executor.create(
            "users", lambda user_id, _: (StreamEvents(user_stream_of(user_id), (created,), 0),), by, lambda _: None
        )
        return self.user(records[0].subject_id)

    def user(self, ref: int | str) -> User:
        """Return a user by id or e-mail address. Raises `NotFound`."""
        rows = [self._views.user_by_email(ref)] if isinstance(ref, str) else self._views.users([ref])
        for row in rows:
            if row is not None:
                return user_from_row(row)
        raise NotFound("User", ref)

    def users_by_id(self, ids: Iterable[int]) -> Sequence[User]:
        """Return the users among the given ids."""
        return [user_from_row(row) for row in self._views.users(ids)]

    def users(self) -> Sequence[User]:
        """Return all users in order of id."""
        return [user_from_row(row) for row in self._views.users()]

    def create_key(
        self,
        user: User,
        scopes: Sequence[str],
        by: By,
        *,
        project_ids: Sequence[int] = (),
        organization_ids: Sequence[int] = (),
        label: str = "",
        value: str | None = None,
    ) -> NewKey:
        """Make a personal API key; its value is in the answer and nowhere else.

        Raises `InvalidInput` for unknown scopes or a bad value, `NotFound` for an unknown project.
        """
        require_text("value", value)
        require_text("label", label)
        secret = value if value is not None else KEY_PREFIX + secrets.token_urlsafe(32)
        if not MIN_KEY <= len(secret) <= MAX_KEY or not secret.isascii() or any(map(str.isspace, secret)):
            raise InvalidInput(f"A key has {MIN_KEY} to {MAX_KEY} ASCII characters without blanks.", path="key")
        if self._views.key_by_hash(digest(secret)) is not None:
            raise InvalidInput("There is such a key already.", path="key")
        projects, organizations = items_of("projects", project_ids), items_of("organizations", organization_ids)
        for project_id in projects:
            require_number("projects", project_id)
            self.project(project_id)
        for organization_id in organizations:
            require_number("organizations", organization_id)
            self.check_organization(organization_id)
        created = KeyCreated(
            user_id=user.id,
            label=label,
            key_sha256=digest(secret),
            mask=secret[-4:],
            scopes=check_scopes(items_of("scopes", scopes)),
            project_ids=tuple(sorted(set(projects))),
            organization_ids=tuple(sorted(set(organizations))),
        )
        records = self._executor.create(
            "keys", lambda key_id, _: (StreamEvents(key_stream_of(key_id), (created,), 0),), by, lambda _: None
        )
        return NewKey(self.key(records[0].subject_id), secret)

    def key(self, key_id: int) -> Key:
        """Return a key, revoked or not. Raises `NotFound`."""
        for key in self.all_keys():
            if key.id == key_id:
                return key
        raise NotFound("Key", key_id)

    def all_keys(self) -> Sequence[Key]:
        """Return all keys in order of id."""
        return [key_from_row(row) for row in self._views.all_keys()]

    def revoke_key(self, key_id: int, by: By) -> Key:
        """Close a key for good; doing it twice changes nothing. Raises `NotFound`."""
        if self.key(key_id).revoked_at is None:
            self.append(key_stream_of(key_id), KeyRevoked(), by)
        return self.key(key_id)


def _token_name(project_id: int) -> str:
    return f"capture-token:{project_id}"
