"""Who is calling and what is open to them: keys, memberships, projects. Answers are kept as long as they are true."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TypeVar

from ..domain.access_rules import highest
from ..domain.errors import AuthenticationFailed, NotFound, PermissionDenied, StoreUnavailable
from ..domain.organization import is_admin
from .ids import row_id
from .model import Caller, ProjectInfo, key_from_row, project_from_row, user_from_row
from .ports import Clock, EventStore, Views
from .rights import Rights, insight_default

USER_COLUMNS = ("uuid", "email", "first_name", "distinct_id", "created_at")
USED_AT_MOST_EVERY = timedelta(hours=1)
MAX_KEPT = 4096
NOBODY = 0
"""The user id of who is no user."""

T = TypeVar("T")


def digest(secret: str) -> str:
    """Return the SHA-256 of a random secret, in hexadecimal: how keys and tokens are stored and looked up."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class Access:
    """Authenticates callers and lets them into projects; safe to share between threads.

    PERF: what was found is kept until a record changes who may do what (the mark `access`), so that other writes do not
    make anybody look again.
    """

    def __init__(self, store: EventStore, views: Views, clock: Clock) -> None:
        self._store = store
        self._views = views
        self._clock = clock
        self._kept: tuple[int, dict[tuple[object, ...], object]] = (-1, {})
        self._used: dict[str, datetime] = {}
        """By hash of the key: when its use was written down last."""

    def authenticate(self, value: str, *, place: str = "Authorization header") -> Caller:
        """Return whose key this is and what it opens. Raises `AuthenticationFailed`, naming its place."""
        own = digest(str(value))
        caller = self._remembered(("key", own), lambda: self._caller(own, place))
        self._note_use(own, caller)
        return caller

    def project_of_token(self, token: str) -> int | None:
        """Return the id of the project that a capture token belongs to, None for an unknown token."""
        own = digest(token)
        row = self._remembered(("token", own), lambda: self._views.project_by_token(own))
        return None if row is None else int(row["id"])

    def enter(self, caller: Caller, ref: str) -> tuple[ProjectInfo, Rights]:
        """Return a project by id or `@current`, and what the caller may do there.

        Raises `NotFound` for a project that does not exist, `PermissionDenied` for one that the key is not for, or that
        the user is no member of.
        """
        return self._remembered(("project", caller.key.id, ref), lambda: self._enter(caller, ref))

    def projects_of(self, caller: Caller) -> Sequence[ProjectInfo]:
        """Return the projects that the caller may enter, in order of id."""
        return self._remembered(("projects", caller.key.id), lambda: self._projects_of(caller))

    def rights(self, user_id: int, project: ProjectInfo) -> Rights:
        """Return a user's rights in a project. Raises `PermissionDenied` for one who is no member of it."""
        memberships = self._views.members(user_id=user_id)
        level = next((row["level"] for row in memberships if row["organization_id"] == project.organization_id), None)
        if level is None:
            raise PermissionDenied("You don't have access to the project.")
        roles = tuple(role["id"] for role in self._views.roles(project.organization_id) if user_id in role["user_ids"])
        rules = self._views.access_rules(project.id, (user_id, roles))
        in_project = highest(rule["level"] for rule in rules if rule["resource"] == "project") or "member"
        if in_project == "none" and not is_admin(level):
            raise PermissionDenied("You don't have access to the project.")
        return Rights(
            user_id,
            roles,
            is_admin=is_admin(level) or in_project == "admin",
            insight_default=insight_default(rule["level"] for rule in rules if rule["resource"] == "insight"),
            hides_insights=self._views.hides_insights(project.id),
        )

    def visitor(self, project: ProjectInfo) -> Rights:
        """Return the rights of a visitor of something shared: those that the rules for everyone give, and no more."""
        rules = self._views.access_rules(project.id, (NOBODY, ()))
        return Rights(
            NOBODY,
            (),
            is_admin=False,
            insight_default=insight_default(rule["level"] for rule in rules if rule["resource"] == "insight"),
            hides_insights=self._views.hides_insights(project.id),
        )

    def _caller(self, own: str, place: str) -> Caller:
        row = self._views.key_by_hash(own)
        if row is None or not hmac.compare_digest(row["key_sha256"], own):
            raise AuthenticationFailed(f"Personal API key found in request {place} is invalid.")
        key = key_from_row(row)
        user = user_from_row({"id": key.user_id, **{name: row[f"user_{name}"] for name in USER_COLUMNS}})
        return Caller(user, key)

    def _enter(self, caller: Caller, ref: str) -> tuple[ProjectInfo, Rights]:
        if ref == "@current":
            allowed = self.projects_of(caller)
            if not allowed:
                raise NotFound("Project")
            return allowed[0], self.rights(caller.user.id, allowed[0])
        project_id = row_id(ref)
        row = None if project_id is None else self._views.project(project_id)
        if row is None:
            raise NotFound("Project", ref)
        project = project_from_row(row)
        key = caller.key
        if key.project_ids and project.id not in key.project_ids:
            raise PermissionDenied(f"API key does not have access to the requested project: ID {project.id}.")
        if key.organization_ids and project.organization_id not in key.organization_ids:
            raise PermissionDenied(
                f"API key does not have access to the requested organization: ID {project.organization_id}."
            )
        return project, self.rights(caller.user.id, project)

    def _projects_of(self, caller: Caller) -> Sequence[ProjectInfo]:
        found = []
        for row in self._views.projects():
            try:
                found.append(self._enter(caller, str(row["id"]))[0])
            except PermissionDenied:
                continue
        return found

    def _note_use(self, own: str, caller: Caller) -> None:
        """Write down that a key was used, once an hour."""
        now, last = self._clock(), caller.key.last_used_at
        noted = self._used.get(own, last)
        if noted is not None and now - noted < USED_AT_MOST_EVERY:
            return
        if len(self._used) > MAX_KEPT:
            self._used.clear()
        self._used[own] = now
        with suppress(StoreUnavailable):  # a full disk does not keep anybody from reading
            self._store.note_key_use(caller.key.id, now)

    def _remembered(self, name: tuple[object, ...], find: Callable[[], T]) -> T:
        """Return what `find` gives, or gave since the rights changed last; what it raises is not kept."""
        mark = self._views.mark("access")
        kept_at, kept = self._kept
        if kept_at != mark or len(kept) > MAX_KEPT:
            kept = {}
            self._kept = (mark, kept)
        if name not in kept:
            kept[name] = find()
        return kept[name]  # type: ignore[return-value]
