"""What another server that speaks the same API tells of a project: its insights and dashboards, as values."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from attrs import define, field

from ...application.insight_imports import (
    ImportedDashboard,
    ImportedInsight,
    ImportedRule,
    ImportedShare,
    ImportedTile,
    PastEntry,
    Person,
)
from ...application.insights import definition_of
from ...domain.dashboard import DashboardFields, TileLook
from ...domain.errors import InvalidInput
from .remote import Refused, get_json

PAGE = 100
MAX_WAIT_S = 120
FIELDS = ("name", "derived_name", "description", "query", "filters", "order", "tags", "favorited", "saved", "deleted")
_NULLABLE = frozenset({"name", "derived_name", "description", "query", "order"})
_BOARD_FIELDS = ("name", "description", "pinned", "filters", "variables", "restriction_level")

ACTIVITY, DASHBOARDS, SHARING, RULES = (
    "activity_log:read", "dashboard:read", "sharing_configuration:read", "access_control:read",
)  # fmt: skip
MEMBERS, ROLES = "organization_member:read", "organization:read"


@define(slots=False)
class Source:
    """A project of another server."""

    url: str
    project: str
    key: str
    refused: set[str] = field(factory=set, init=False)
    """The scopes that the key was found not to have: what they open is not asked for again."""

    @property
    def address(self) -> str:
        """The address of the project."""
        return f"{self.url.rstrip('/')}/api/projects/{self.project}"

    def insights(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield all insights as they are shown, oldest first, each with how many there are in all."""
        return self._pages(f"{self.address}/insights/", order="created_at")

    def insight(self, shown: Mapping[str, Any]) -> ImportedInsight:
        """Return an insight, with what is told beside it. Raises `InvalidInput` for what cannot be read."""
        fields = {name: shown[name] for name in FIELDS if name in shown}
        if fields.get("filters") is None:
            fields["filters"] = {}
        if fields.get("query") is not None and fields["filters"]:
            fields["filters"] = {}  # the filters of a query are shown only, as what it converts to
        fields["tags"] = [tag for tag in fields.get("tags") or () if isinstance(tag, str)]
        fields = {name: value for name, value in fields.items() if value is not None or name in _NULLABLE}
        created_at = _moment(shown.get("created_at"), "created_at")
        modified_at = _moment(shown.get("last_modified_at"), "last_modified_at", created_at)
        address = f"{self.address}/insights/{shown['id']}"
        return ImportedInsight(
            source=f"{address}/",
            short_id=str(shown.get("short_id") or ""),
            definition=definition_of(fields),
            created_at=created_at,
            updated_at=_moment(shown.get("updated_at"), "updated_at", modified_at),
            last_modified_at=modified_at,
            created_by=_person(shown.get("created_by")),
            last_modified_by=_person(shown.get("last_modified_by")),
            is_sample=shown.get("is_sample") is True,
            past=tuple(map(_past, self._activity(address))),
            last_viewed_at=_moment(shown["last_viewed_at"], "last_viewed_at") if shown.get("last_viewed_at") else None,
            rules=tuple(self._rules(address)),
            share=self._share(address),
        )

    def dashboards(self) -> Iterator[tuple[int, ImportedDashboard]]:
        """Yield all dashboards with their tiles, each with how many there are; none where the key may not read them.

        Raises `InvalidInput` for what cannot be read.
        """
        try:
            for count, one in self._pages(f"{self.address}/dashboards/"):
                yield count, self._dashboard(self._get(f"{self.address}/dashboards/{one['id']}/"))
        except Refused as error:
            if error.status != 403:
                raise
            self.refused.add(DASHBOARDS)

    def _dashboard(self, shown: Mapping[str, Any]) -> ImportedDashboard:
        fields = {name: shown[name] for name in _BOARD_FIELDS if shown.get(name) is not None}
        fields["tags"] = tuple(tag for tag in shown.get("tags") or () if isinstance(tag, str))
        address = f"{self.address}/dashboards/{shown['id']}"
        return ImportedDashboard(
            source=f"{address}/",
            fields=DashboardFields(**fields),
            created_at=_moment(shown.get("created_at"), "created_at"),
            created_by=_person(shown.get("created_by")),
            tiles=tuple(_tile(one) for one in shown.get("tiles") or () if not one.get("deleted")),
            share=self._share(address),
        )

    def _activity(self, address: str) -> Iterator[dict[str, Any]]:
        """Yield the activity of an insight, newest first."""
        number, count = 1, 1
        while (number - 1) * PAGE < count:
            page = self._allowed(ACTIVITY, f"{address}/activity/?{urlencode({'limit': PAGE, 'page': number})}")
            if not page or not page["results"]:
                return
            yield from page["results"]
            number, count = number + 1, page["total_count"]

    def _share(self, address: str) -> ImportedShare | None:
        shown = self._allowed(SHARING, f"{address}/sharing/")
        if not shown or shown.get("created_at") is None:
            return None
        settings = shown.get("settings")
        return ImportedShare(
            bool(shown.get("enabled")),
            settings if isinstance(settings, Mapping) else None,
            shown.get("password_required") is True,
        )

    def _rules(self, address: str) -> Iterator[ImportedRule]:
        """Yield the rules about an insight; one for somebody who cannot be told is for a role without a name."""
        shown = self._allowed(RULES, f"{address}/access_controls/") or {}
        for rule in shown.get("access_controls") or ():
            level, member, role = (rule.get(name) for name in ("access_level", "organization_member", "role"))
            if member is not None:
                person = _person(self._members.get(member))
                yield ImportedRule(level, person) if person else ImportedRule(level, role=str(member))
            else:
                yield ImportedRule(level, role=None if role is None else self._roles.get(role, str(role)))

    @cached_property
    def _members(self) -> Mapping[str, Any]:
        """Users of the organisation by the id of their membership."""
        return {str(one["id"]): one.get("user") for one in self._of_organization(MEMBERS, "members")}

    @cached_property
    def _roles(self) -> Mapping[str, str]:
        """Names of the organisation's roles by id."""
        return {str(one["id"]): str(one["name"]) for one in self._of_organization(ROLES, "roles")}

    def _of_organization(self, scope: str, what: str) -> list[dict[str, Any]]:
        try:
            organization = self._get(f"{self.address}/")["organization"]
            address = f"{self.url.rstrip('/')}/api/organizations/{organization}/{what}/"
            return [one for _, one in self._pages(address)]
        except Refused as error:
            if error.status not in {403, 404}:
                raise
            self.refused.add(scope)
            return []

    def _allowed(self, scope: str, address: str) -> Any:
        """Return an answer, None where there is nothing or the key may not read it; a refusal is remembered."""
        if scope in self.refused:
            return None
        try:
            return self._get(address)
        except Refused as error:
            if error.status not in {401, 403, 404}:
                raise
            if error.status != 404:
                self.refused.add(scope)
            return None

    def _pages(self, address: str, **asked: str) -> Iterator[tuple[int, dict[str, Any]]]:
        offset, count = 0, 1
        while offset < count:
            page = self._get(f"{address}?{urlencode({'limit': PAGE, 'offset': offset, **asked})}")
            count = page["count"]
            if not page["results"]:
                return
            for one in page["results"]:
                yield count, one
            offset += len(page["results"])

    def _get(self, address: str) -> Any:
        while True:
            try:
                return get_json(address, {"Authorization": f"Bearer {self.key}"})
            except Refused as error:
                if error.status != 429:
                    raise
                time.sleep(min(error.retry_after_s, MAX_WAIT_S))


def _tile(shown: Mapping[str, Any]) -> ImportedTile:
    text, insight = shown.get("text"), shown.get("insight")
    layouts, color = shown.get("layouts"), shown.get("color")
    return ImportedTile(
        short_id=str(insight.get("short_id")) if isinstance(insight, Mapping) else None,
        text=str(text.get("body") or "") if isinstance(text, Mapping) else None,
        look=TileLook(
            layouts if isinstance(layouts, Mapping) else {},
            color if isinstance(color, str) else None,
            shown.get("filters_overrides") or None,
        ),
    )


def _past(shown: Mapping[str, Any]) -> PastEntry:
    detail = shown.get("detail") or {}
    return PastEntry(
        activity=str(shown.get("activity")),
        changes=detail.get("changes"),
        name=detail.get("name"),
        short_id=detail.get("short_id"),
        at=_moment(shown.get("created_at"), "created_at"),
        by=_person(shown.get("user")),
    )


def _person(shown: Any) -> Person | None:
    if not isinstance(shown, Mapping) or not shown.get("email"):
        return None  # the system, or somebody who was removed
    return Person(str(shown["email"]), str(shown.get("first_name") or ""))


def _moment(text: Any, path: str, default: datetime | None = None) -> datetime:
    if text is None and default is not None:
        return default
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no moment.", path=path) from error
    if moment.tzinfo is None:
        raise InvalidInput(f"{text!r} has no time zone.", path=path)
    return moment
