"""Insights of one project: create, list, get, update, view, share, access. What HTTP and embedders call."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import orjson
from attrs import evolve

from ..domain.access_rules import AccessRule
from ..domain.errors import InvalidInput, NotFound, Outdated, PermissionDenied
from ..domain.events import DomainEvent
from ..domain.insight import Insight, decide, evolve_insight, replay_insight, stream_of, views_stream_of
from ..domain.insight_commands import (
    DEFINITION,
    MAX_TEXT,
    UNSET,
    Command,
    CreateInsight,
    Definition,
    EditInsight,
    SetAccess,
    is_unicode,
)
from ..domain.insight_events import InsightViewed
from .acting import items_of, require_number, user_id_of
from .execution import By, Executor, Kind
from .model import Page, User
from .ports import ORDERS, Append, EventStore, InsightsWanted, Row, StreamEvents, Views
from .rights import Rights
from .sharing import Shares
from .sharing_tokens import SharePasswords, ShareTokens
from .views.listing import Glance, glance_from_row, insight_from_row
from .views.tables import instant

Seen = TypeVar("Seen", Insight, Glance)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
SHORT_ID_LENGTH = 8
MAX_PAGE = 1000
MAX_SEARCH = 200
LAST_VIEWED = 5
MAX_BULK_VIEWS = 2500
USUAL_BYTES = 4000
"""What a definition takes as JSON, but for unusually large ones."""
COPY = " (Copy)"
"""What the name of a copy ends with."""
INSIGHT: Kind[Insight] = Kind(
    "Insight",
    "insights",
    stream_of,
    insight_from_row,
    evolve_insight,
    lambda views, _, project_id, ref: views.insight(project_id, ref),
)
RESTRICTED = (
    "This insight is on a dashboard that can only be edited by its owner, team members invited to editing the "
    "dashboard, and project admins."
)


class InsightService:
    """What may be done with the insights of a project.

    With `rights`, methods raise `PermissionDenied` for what these do not allow, and lists leave out what they hide;
    without, everything is allowed: that is for embedders, who decide themselves.
    """

    def __init__(
        self,
        project_id: int,
        store: EventStore,
        views: Views,
        executor: Executor,
        tokens: ShareTokens,
        rights: Rights | None = None,
    ) -> None:
        self.project_id = project_id
        self.rights = rights
        self._store = store
        self._views = views
        self._executor = executor
        self._tokens = tokens

    @property
    def shares(self) -> Shares[Insight]:
        """How the insights are shared."""
        passwords = SharePasswords(self._store)
        return Shares(
            "insight",
            INSIGHT,
            self.project_id,
            self._executor,
            self._tokens,
            passwords,
            self.get,
            self._to_share,
            decide,
        )

    def create(self, definition: Definition, by: By, *, is_sample: bool = False) -> Insight:
        """Make an insight, which its creator thereby has viewed. Raises `InvalidInput`; then nothing is made."""
        viewed = (InsightViewed(),) if by.actor.user_id is not None else ()

        def make(new_id: int, views: Views) -> tuple[StreamEvents, ...]:
            own = _own(definition, views, self.project_id)
            created = decide(None, CreateInsight(self._free_short_id(views), own, is_sample))
            seen = (StreamEvents(views_stream_of(new_id), viewed, 0),) if viewed else ()
            return (StreamEvents(stream_of(new_id), created, 0), *seen)

        records = self._executor.create("insights", make, by, lambda _: self.project_id)
        made = replay_insight(record for record in records if record.category == "insight")
        assert made is not None
        return made

    def get(self, ref: int | str) -> Insight:
        """Return an insight by id or short id. Raises `NotFound` for unknown, deleted and foreign ones."""
        return self._seen(ref, self._existing(ref))

    def look_at(self, ref: int | str) -> Insight:
        """Return what `get` does, for somebody who changes nothing inside it: it is shared until the next write."""
        name = ("insight", self.project_id, ref)
        return self._seen(ref, self._views.kept(name, lambda: self._existing(ref), weigh=_weight))

    def find(self, wanted: InsightsWanted) -> Page[Insight]:
        """Return a page of the insights that fit. Raises `InvalidInput` for an unknown order or a long search."""
        if wanted.order is not None and str(wanted.order).removeprefix("-") not in ORDERS:
            raise InvalidInput(f"Insights cannot be ordered by {wanted.order!r}.", path="order")
        for name, least in (("limit", 1), ("offset", 0)):
            require_number(name, getattr(wanted, name), least=least)
        if wanted.search is not None and not isinstance(wanted.search, str):
            raise InvalidInput(f"A search is text, not {wanted.search!r}.", path="search")
        if wanted.search and len(wanted.search) > MAX_SEARCH:
            raise InvalidInput(f"A search has at most {MAX_SEARCH} characters.", path="search", code="max_length")
        if wanted.search and not is_unicode(wanted.search):
            raise InvalidInput("Not a valid string.", path="search")
        viewer = self.rights.viewer if self.rights is not None else None
        count, rows = self._views.insights(evolve(wanted, limit=min(wanted.limit, MAX_PAGE), viewer=viewer))
        return _page(count, rows)

    def update(
        self,
        ref: int | str,
        definition: Definition,
        by: By,
        *,
        may_restore: bool = True,
        meant_for: Collection[int] | None = None,
    ) -> Insight:
        """Change an insight and return it as it is then; `deleted=False` restores a deleted one.

        Raises `NotFound`, `InvalidInput`, `Outdated` when it is at none of the versions that the change is `meant_for`.
        """
        restores = may_restore and definition.deleted is False

        def edited(found: Insight, views: Views) -> tuple[DomainEvent, ...]:
            self._require_edit(ref, found, views, restores=restores)
            own = _own(definition, views, self.project_id)
            if isinstance(own.dashboards, tuple):
                self.require_moves(found, own.dashboards, views)
                # The caller sees no tiles of deleted dashboards: these stay, and come back with their dashboard.
                hidden = [one for one in found.dashboards if not _is_live(one, views, self.project_id)]
                own = evolve(own, dashboards=(*own.dashboards, *hidden))
            _require_version(found, meant_for)
            return decide(found, EditInsight(own, may_restore))

        return self._executor.change(INSIGHT, self.project_id, ref, edited, by)

    def known(self, ref: int | str) -> Insight:
        """Return an insight, a deleted one too. Raises `NotFound`, `PermissionDenied`."""
        found = self._existing(ref)
        if self.rights is not None:
            self.rights.require(found, "viewer")
        return found

    def get_to_edit(self, ref: int | str, *, restores: bool = False) -> Insight:
        """Return an insight that the caller may change, a deleted one only to restore it.

        Raises `NotFound`, `PermissionDenied`.
        """
        found = self._existing(ref)
        self._require_edit(ref, found, self._views, restores=restores)
        return found

    def view(self, refs: Iterable[int | str], by: By, *, skip_missing: bool = False) -> None:
        """Note that the caller looked at insights, all at the same instant. Raises `NotFound` unless told to skip."""
        wanted = tuple(refs)

        def viewed(views: Views) -> Append | None:
            ids: dict[int, None] = {}
            for ref in wanted:
                try:
                    ids[self._glance(ref, views).id] = None
                except (NotFound, PermissionDenied):
                    if not skip_missing:
                        raise
            seen = tuple(StreamEvents(views_stream_of(one), (InsightViewed(),)) for one in ids)
            return Append(seen, by.actor, self.project_id, by.request) if seen else None

        self._executor.carry_out(viewed, by)

    def last_viewed(self, user_id: int, limit: int = LAST_VIEWED) -> Page[Insight]:
        """Return what a user viewed last, newest first, deleted insights left out before the limit."""
        viewer = self.rights.viewer if self.rights is not None else None
        rows = self._views.last_viewed(self.project_id, user_id, limit, viewer)
        return _page(len(rows), rows)

    def trending(self, since: datetime, limit: int) -> list[tuple[Insight, Row]]:
        """Return the insights with the most viewers since a moment, each with `view_count` and `viewer_ids`."""
        viewer = self.rights.viewer if self.rights is not None else None
        return [(insight_from_row(row), row) for row in self._views.trending(self.project_id, since, limit, viewer)]

    def tiles(self, insights: Iterable[Insight]) -> Mapping[int, list[Row]]:
        """Return the live tiles of insights on dashboards that are not deleted, by insight id."""
        return _tiles(insights, self._views)

    # -- access ------------------------------------------------------------------------------------------------------

    def set_access(
        self, ref: int | str, level: str | None, by: By, *, member: User | int | None = None, role: int | None = None
    ) -> AccessRule | None:
        """Give a member, a role or everyone a level on an insight; None takes the rule away. Returns the rule.

        Raises `NotFound`, `InvalidInput`, `PermissionDenied` for who does not manage it.
        """
        found = self.get(ref)
        if self.rights is not None and self.rights.level(found) != "manager":
            raise PermissionDenied("Must be manager to modify insight permissions.")
        member = None if member is None else user_id_of("member", member)
        if role is not None:
            require_number("role", role)
        if level is not None and member is not None and not self._views.users([member]):
            raise NotFound("User", member)
        if level is not None and role is not None and self._views.row("roles", role) is None:
            raise NotFound("Role", role)
        after = self.change(found.id, SetAccess(level, member, role), by)
        return next((rule for rule in after.access if rule.subject == (member, role)), None)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _glance(self, ref: int | str, views: Views) -> Glance:
        """Return what tells of an insight that the caller may look at it. Raises `NotFound`, `PermissionDenied`."""
        row = views.insight(self.project_id, ref, is_glance=True)
        if row is None:
            raise NotFound("Insight", ref)
        return self._seen(ref, glance_from_row(row))

    def _seen(self, ref: int | str, found: Seen) -> Seen:
        """Return what was found. Raises when it is deleted, or the rights hide it."""
        if found.deleted:
            raise NotFound("Insight", ref)
        if self.rights is not None:
            self.rights.require(found, "viewer")
        return found

    def change(self, insight_id: int, command: Command, by: By, *, meant_for: Collection[int] | None = None) -> Insight:
        """Carry out a command, whatever the rights. Raises what `update` raises."""

        def decided(state: Insight, _: Views) -> tuple[DomainEvent, ...]:
            _require_version(state, meant_for)
            return decide(state, command)

        return self._executor.change(INSIGHT, self.project_id, insight_id, decided, by)

    def _to_share(self, insight_id: int) -> Insight:
        found = self.get(insight_id)
        if self.rights is not None and self.rights.level(found) not in {"editor", "manager"}:
            raise PermissionDenied("You don't have edit permissions for this insight.")
        return found

    def _require_edit(self, ref: int | str, insight: Insight, views: Views, *, restores: bool) -> None:
        """Raise when what was found is deleted, or the rights do not allow a change: level too low, or as below."""
        if insight.deleted and not restores:
            raise NotFound("Insight", ref)
        if self.rights is not None:
            self.rights.require(insight, "editor")
            self.require_unrestricted(insight, views)

    def require_unrestricted(self, insight: Insight, views: Views | None = None) -> None:
        """Raise `PermissionDenied` for an insight that stands only on dashboards which one may not edit."""
        if self.rights is None:
            return
        tiles = _tiles([insight], views or self._views).get(insight.id, [])
        if tiles and not any(self.rights.may_edit_dashboard(tile) for tile in tiles):
            raise PermissionDenied(RESTRICTED)

    def require_moves(self, insight: Insight, wanted: tuple[int, ...], views: Views | None = None) -> None:
        """Raise for a dashboard that an insight would be put on or taken off, and that may not be edited."""
        if self.rights is None:
            return
        views = views or self._views
        standing = {tile["dashboard_id"] for tile in _tiles([insight], views).get(insight.id, ())}
        for dashboard_id, what in (
            *((one, "add insights to") for one in wanted if one not in standing),
            *((one, "remove insights from") for one in sorted(standing - set(wanted))),
        ):
            row = views.row("dashboards", dashboard_id)
            if row is not None and not self.rights.may_edit_dashboard(row):
                raise PermissionDenied(f"You don't have permission to {what} dashboard: {dashboard_id}")

    def _existing(self, ref: int | str) -> Insight:
        return INSIGHT.read(self._views, self.project_id, ref)

    def _free_short_id(self, views: Views) -> str:
        while True:
            short_id = random_short_id()
            if views.insight(self.project_id, short_id, is_glance=True) is None:
                return short_id


def _require_version(insight: Insight, meant_for: Collection[int] | None) -> None:
    if meant_for is not None and insight.version not in meant_for:
        raise Outdated(insight.version)


def _own(definition: Definition, views: Views, project_id: int) -> Definition:
    """Return the definition with JSON values of its own, and just the dashboards that are not deleted.

    Raises `InvalidInput` for what cannot be stored as JSON, and for a dashboard that the project does not have.
    """
    for path in ("query", "filters"):
        value = getattr(definition, path)
        if value is not UNSET:
            if path == "query" and value is not None and not isinstance(value, Mapping):
                raise InvalidInput("A query is a JSON object with a kind, or None.", path=path)
            definition = evolve(definition, **{path: _copied(value, path)})
    if isinstance(definition.dashboards, tuple):
        kept = tuple(one for one in dict.fromkeys(definition.dashboards) if _is_live(one, views, project_id))
        definition = evolve(definition, dashboards=kept)
    return definition


def _is_live(dashboard_id: int, views: Views, project_id: int) -> bool:
    """Whether a dashboard is not deleted. Raises `InvalidInput` for one that the project does not have."""
    row = views.row("dashboards", dashboard_id) if 0 < dashboard_id < 2**63 else None
    if row is None or row["project_id"] != project_id:
        raise InvalidInput(
            f'Invalid pk "{dashboard_id}" - object does not exist.', path="dashboards", code="does_not_exist"
        )
    return not row["deleted"]


def _tiles(insights: Iterable[Insight], views: Views) -> Mapping[int, list[Row]]:
    standing = [one.id for one in insights if one.dashboards]
    found: dict[int, list[Row]] = {}
    for row in views.tiles(insight_ids=standing) if standing else ():
        found.setdefault(row["insight_id"], []).append(row)
    return found


def random_short_id() -> str:
    """Return eight random letters and digits. PERF: eight choices would take ten times as long."""
    number, letters = secrets.randbelow(len(ALPHABET) ** SHORT_ID_LENGTH), []
    for _ in range(SHORT_ID_LENGTH):
        number, place = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[place])
    return "".join(letters)


def copy_of(insight: Insight, dashboard_id: int) -> Definition:
    """Return what a copy of an insight is made from, named as one, that stands on a dashboard."""
    fields = {field: getattr(insight, field) for field in DEFINITION}
    if insight.name:
        fields["name"] = f"{insight.name[: MAX_TEXT - len(COPY)]}{COPY}"
    return Definition(**fields, dashboards=(dashboard_id,))


def definition_of(fields: Mapping[str, Any]) -> Definition:
    """Return a definition from keyword arguments. Raises `InvalidInput` for a field that does not exist."""
    known = {one.name for one in Definition.__attrs_attrs__}
    for name in fields:
        if name not in known:
            raise InvalidInput(f"{name!r} is no field of an insight; there are {', '.join(sorted(known))}.", path=name)
    values = dict(fields)
    for several in ("tags", "dashboards"):
        if several in values:
            values[several] = items_of(several, values[several])
    return Definition(**values)


def _weight(insight: Insight) -> int:
    """Return how many usual insights one is as large as."""
    return 1 + len(orjson.dumps([insight.query, insight.filters])) // USUAL_BYTES


def _page(count: int, rows: Iterable[Mapping[str, Any]]) -> Page[Insight]:
    gathered = list(rows)
    viewed = {row["id"]: instant(row["last_viewed_at"]) for row in gathered if row["last_viewed_at"] is not None}
    return Page(count, tuple(insight_from_row(row) for row in gathered), viewed)


def _copied(value: Any, path: str) -> Any:
    try:
        return orjson.loads(orjson.dumps(value))
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"This is no JSON value: {error}", path=path) from error
