"""The insights and dashboards of a project, with keyword arguments for embedders."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..domain.dashboard import Dashboard, DashboardFields
from ..domain.insight import Insight
from ..domain.sharing import SharePassword, SharePatch, Sharing
from .acting import Who, acting, fields_of, items_of
from .dashboards import DashboardService
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

    def __init__(self, service: InsightService) -> None:
        self.service = service

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

    def update(self, ref: int | str, *, by: Who = None, request: str | None = None, **fields: Any) -> Insight:
        """Change the given fields; `deleted=True` deletes softly, `deleted=False` restores."""
        return self.service.update(ref, definition_of(fields), acting(by, request))

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


def _dashboard_fields(fields: Mapping[str, Any]) -> DashboardFields:
    values = dict(fields)
    if "tags" in values:
        values["tags"] = items_of("tags", values["tags"])
    return fields_of(DashboardFields, "a dashboard", values)
