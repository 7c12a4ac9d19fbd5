"""The insights and dashboards of a project, with keyword arguments for embedders."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..domain.dashboard import Dashboard, DashboardFields
from ..domain.insight import Insight
from ..domain.insight_changes import FieldChange, VersionChange
from ..domain.sharing import SharePassword, SharePatch, Sharing
from .acting import Who, acting, fields_of, items_of, require_number
from .dashboards import DashboardService
from .insight_history import InsightHistory, UndoReport, Wrong
from .insights import InsightService, definition_of
from .model import Page, User
from .ports import SEVERAL, InsightsWanted


class _Shared:
    """What insights and dashboards have in common: both can be shared with visitors."""

    service: InsightService | DashboardService

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of project {self.service.project_id}>"

    def sharing(self, ref: int) -> tuple[Sharing | None, str]:
        """Return the stored sharing configuration (None before the first change) and the token."""
        return self.service.shares.configuration(ref)

    def share(
        self,
        ref: int,
        *,
        enabled: bool = True,
        settings: Mapping[str, Any] | None = None,
        password_required: bool | None = None,
        expires_at: datetime | str | None = None,
        by: Who = None,
        request: str | None = None,
    ) -> tuple[Sharing | None, str]:
        """Switch sharing on or off, choose how it looks, until when it opens, and whether it asks for a password.

        What is None stays as it is; `expires_at` is an aware datetime or ISO 8601 text. Returned like `sharing`.
        Raises `NotFound`, `InvalidInput`.
        """
        if isinstance(expires_at, datetime):
            expires_at = expires_at.isoformat()
        patch = SharePatch(
            enabled=enabled, settings=settings, password_required=password_required, expires_at=expires_at
        )
        return self.service.shares.change(ref, patch, acting(by, request))

    def rotate_share_token(self, ref: int, *, by: Who = None, request: str | None = None) -> tuple[Sharing | None, str]:
        """Replace the token; the old one works for five minutes yet. Returned like `sharing`."""
        return self.service.shares.rotate_token(ref, acting(by, request))

    def add_share_password(
        self, ref: int, password: str | None = None, *, note: str = "", by: Who = None, request: str | None = None
    ) -> tuple[SharePassword, str]:
        """Make one more password of a share that asks for one; its value (random when None) is shown only here."""
        return self.service.shares.add_password(ref, acting(by, request), password=password, note=note)

    def remove_share_password(self, ref: int, password_id: int, *, by: Who = None, request: str | None = None) -> None:
        """Let a password open the share no more."""
        self.service.shares.remove_password(ref, password_id, acting(by, request))


class Insights(_Shared):
    """The insights of a project, with keyword arguments for embedders."""

    service: InsightService

    def __init__(self, history: InsightHistory) -> None:
        self.past = history
        self.service = history.service

    def create(self, *, by: Who = None, request: str | None = None, **fields: Any) -> Insight:
        """Make an insight from its fields: name, description, query, filters, tags, favorited, saved ..."""
        return self.service.create(definition_of(fields), acting(by, request))

    def get(self, ref: int | str) -> Insight:
        """Return an insight by id or short id. Raises `NotFound`, also for a deleted one."""
        return self.service.get(ref)

    def list(self, **wanted: Any) -> Page[Insight]:
        """Return a page; filters are those of `InsightsWanted`: search, tags, favorited, order, limit, offset ..."""
        several = {name: items_of(name, wanted[name]) for name in SEVERAL if name in wanted}
        given = {**wanted, **several, "project_id": self.service.project_id}
        return self.service.find(fields_of(InsightsWanted, "a list of insights", given))

    def update(
        self,
        ref: int | str,
        *,
        by: Who = None,
        request: str | None = None,
        if_version: int | None = None,
        **fields: Any,
    ) -> Insight:
        """Change the given fields; `deleted=True` deletes softly, `deleted=False` restores.

        With `if_version`, raises `Outdated` for an insight that is at another version.
        """
        return self.service.update(ref, definition_of(fields), acting(by, request), meant_for=_only(if_version))

    def history(self, ref: int | str, *, limit: int = 100, offset: int = 0) -> Page[VersionChange]:
        """Return what each version changed, newest first; of a deleted insight too."""
        return self.past.versions(ref, limit=limit, offset=offset)

    def version(self, ref: int | str, version: int) -> Insight:
        """Return an insight as it was after a version. Raises `NotFound`."""
        return self.past.version(ref, version)

    def compare(self, ref: int | str, version: int, other: int | None = None) -> tuple[FieldChange, ...]:
        """Return the fields that differ between two versions, the second the current one when None."""
        return self.past.compare(ref, version, other)

    def revert(
        self,
        ref: int | str,
        *,
        to_version: int | None = None,
        as_of: datetime | str | None = None,
        by: Who = None,
        request: str | None = None,
        if_version: int | None = None,
    ) -> Insight:
        """Bring the definition back to what it was after a version, or at a moment; a deleted insight comes back."""
        who = acting(by, request)
        return self.past.revert(ref, who, to_version=to_version, as_of=as_of, meant_for=_only(if_version))

    def undo(
        self, *, dry_run: bool = True, by: Who = None, undo_request: str | None = None, **wrong: Any
    ) -> UndoReport:
        """Undo, newest first, what `by_user`, `by_key` or `request` did, `since`, `until`, to `insights` (ids).

        What is given narrows it down together. What somebody else has changed since is left alone and reported;
        `undo_request` is the correlation id by which the undoing can be undone.
        """
        if "insights" in wrong:
            wrong["insights"] = items_of("insights", wrong["insights"])
        asked = fields_of(Wrong, "what is to be undone", wrong)
        return self.past.undo(asked, acting(by, undo_request), is_dry=dry_run)

    def view(self, ref: int | str, *, by: Who, request: str | None = None) -> None:
        """Note that somebody looked at it."""
        self.service.view([ref], acting(by, request))

    def last_viewed(self, *, by: Who) -> Page[Insight]:
        """Return the five that somebody viewed last, newest first."""
        return self.service.last_viewed(acting(by, None).actor.user_id or 0)

    def set_access(
        self,
        ref: int | str,
        level: str | None,
        *,
        member: User | int | None = None,
        role: int | None = None,
        by: Who = None,
        request: str | None = None,
    ) -> None:
        """Give a user, a role's members or everyone a level on an insight: none, viewer, editor, manager, or None."""
        self.service.set_access(ref, level, acting(by, request), member=member, role=role)


class Dashboards(_Shared):
    """The dashboards of a project, with keyword arguments for embedders."""

    service: DashboardService

    def __init__(self, service: DashboardService) -> None:
        self.service = service

    def create(self, *, by: Who = None, request: str | None = None, **fields: Any) -> Dashboard:
        """Make a dashboard from its fields: name, description, pinned, filters, variables, tags, restriction_level."""
        return self.service.create(_dashboard_fields(fields), acting(by, request))

    def duplicate(
        self,
        dashboard_id: int,
        *,
        copies_insights: bool = False,
        by: Who = None,
        request: str | None = None,
        **fields: Any,
    ) -> Dashboard:
        """Make a dashboard with the tiles of another; its insights stand on both, or are copied."""
        given = _dashboard_fields(fields)
        return self.service.duplicate(dashboard_id, given, acting(by, request), copies_insights=copies_insights)

    def get(self, dashboard_id: int) -> Dashboard:
        """Return a dashboard. Raises `NotFound`, also for a deleted one."""
        return self.service.get(dashboard_id)

    def list(self, *, limit: int = 100, offset: int = 0) -> Page[Dashboard]:
        """Return a page, pinned ones first, then by name."""
        return self.service.find(limit=limit, offset=offset)

    def update(self, dashboard_id: int, *, by: Who = None, request: str | None = None, **fields: Any) -> Dashboard:
        """Change the given fields; `deleted=True` deletes softly, `deleted=False` restores.

        With `delete_insights=True`, insights that stand nowhere else are deleted with it, and come back with it.
        """
        return self.service.update(dashboard_id, _dashboard_fields(fields), acting(by, request))

    def set_collaborator(
        self, dashboard_id: int, user: User | int, *, may_edit: bool = True, by: Who = None, request: str | None = None
    ) -> Dashboard:
        """Let a user edit a restricted dashboard, or no more."""
        user_id = user.id if isinstance(user, User) else user
        return self.service.set_collaborator(dashboard_id, user_id, acting(by, request), may_edit=may_edit)


def _only(version: int | None) -> tuple[int, ...] | None:
    if version is None:
        return None
    require_number("if_version", version)
    return (version,)


def _dashboard_fields(fields: Mapping[str, Any]) -> DashboardFields:
    values = dict(fields)
    if "tags" in values:
        values["tags"] = items_of("tags", values["tags"])
    return fields_of(DashboardFields, "a dashboard", values)
