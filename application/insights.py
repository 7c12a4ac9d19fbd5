"""Insights of one project: create, list, get, update, view, share. What HTTP and embedders call."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from attrs import evolve

from ..domain.errors import InvalidInput, NotFound
from ..domain.insight import (
    UNSET,
    ConfigureSharing,
    CreateInsight,
    Definition,
    EditInsight,
    Insight,
    InsightViewed,
    decide,
    evolve_insight,
    stream_of,
    views_stream_of,
)
from ..domain.sharing import SharePatch, Sharing
from .execution import By, Executor, Kind
from .model import Page
from .ports import ORDERS, Append, EventStore, InsightsWanted, StreamEvents, Views
from .sharing_tokens import ShareTokens
from .views.listing import insight_from_row
from .views.tables import instant

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
SHORT_ID_LENGTH = 8
MAX_PAGE = 1000
LAST_VIEWED = 5
MAX_BULK_VIEWS = 2500
INSIGHT: Kind[Insight] = Kind("Insight", "insights", stream_of, insight_from_row, evolve_insight)


class InsightService:
    """What may be done with the insights of a project."""

    def __init__(
        self, project_id: int, store: EventStore, views: Views, executor: Executor, tokens: ShareTokens
    ) -> None:
        self.project_id = project_id
        self._store = store
        self._views = views
        self._executor = executor
        self._tokens = tokens

    def create(self, definition: Definition, by: By) -> Insight:
        """Make an insight, which its creator thereby has viewed. Raises `InvalidInput`; then nothing is made."""
        command = CreateInsight(self._free_short_id(), _own(definition))
        created = decide(None, command)
        viewed = (InsightViewed(),) if by.actor.user_id is not None else ()

        def make(new_id: int) -> tuple[StreamEvents, ...]:
            views = (StreamEvents(views_stream_of(new_id), viewed),) if viewed else ()
            return (StreamEvents(stream_of(new_id), created, 0), *views)

        records = self._executor.create("insights", make, by, lambda _: self.project_id)
        return evolve_insight(None, records[0])

    def get(self, ref: int | str) -> Insight:
        """Return an insight by id or short id. Raises `NotFound` for unknown, deleted and foreign ones."""
        found = self._existing(ref)
        if found.deleted:
            raise NotFound("Insight", ref)
        return found

    def find(self, wanted: InsightsWanted) -> Page[Insight]:
        """Return a page of the insights that fit. Raises `InvalidInput` for an unknown order."""
        if wanted.order is not None and wanted.order.removeprefix("-") not in ORDERS:
            raise InvalidInput(f"Insights cannot be ordered by {wanted.order!r}.", path="order")
        for name, least in (("limit", 1), ("offset", 0)):
            number = getattr(wanted, name)
            if isinstance(number, bool) or not isinstance(number, int) or not least <= number < 2**63:
                raise InvalidInput(f"{name} is a whole number from {least}, not {number!r}.", path=name)
        count, rows = self._views.insights(evolve(wanted, limit=min(wanted.limit, MAX_PAGE)))
        return _page(count, rows)

    def update(self, ref: int | str, definition: Definition, by: By, *, may_restore: bool = True) -> Insight:
        """Change an insight and return it as it is then; `deleted=False` restores a deleted one.

        Raises `NotFound`, `InvalidInput`, `VersionConflict` when other processes kept changing it.
        """
        insight_id = self._existing(ref).id
        command = EditInsight(_own(definition), may_restore)
        return self._executor.change(INSIGHT, self.project_id, insight_id, lambda state: decide(state, command), by)

    def view(self, refs: Iterable[int | str], by: By, *, skip_missing: bool = False) -> None:
        """Note that the caller looked at insights, all at the same instant. Raises `NotFound` unless told to skip."""
        ids: list[int] = []
        for ref in refs:
            try:
                ids.append(self.get(ref).id)
            except NotFound:
                if not skip_missing:
                    raise
        if ids:
            viewed = tuple(StreamEvents(views_stream_of(one), (InsightViewed(),)) for one in dict.fromkeys(ids))
            self._store.append(Append(viewed, by.actor, self.project_id, by.request))

    def last_viewed(self, user_id: int, limit: int = LAST_VIEWED) -> Page[Insight]:
        """Return what a user viewed last, newest first, deleted insights left out before the limit."""
        rows = self._views.last_viewed(self.project_id, user_id, limit)
        return _page(len(rows), rows)

    def sharing(self, insight_id: int) -> tuple[Sharing | None, str]:
        """Return the stored sharing configuration with its token; before the first change None and a random token.

        Raises `NotFound` for unknown, deleted and foreign insights.
        """
        found = self.get(insight_id)
        return found.sharing, self._tokens.of(found.id, found.sharing)

    def share(self, insight_id: int, patch: SharePatch, by: By) -> tuple[Sharing | None, str]:
        """Change the sharing configuration; returned like `sharing`. Raises `NotFound`, `InvalidInput`."""
        found = self.get(insight_id)
        command = ConfigureSharing(patch, self._tokens.hash_of_first(found.id))
        after = self._executor.change(INSIGHT, self.project_id, found.id, lambda state: decide(state, command), by)
        return after.sharing, self._tokens.of(after.id, after.sharing)

    def _existing(self, ref: int | str) -> Insight:
        row = self._views.insight(self.project_id, ref)
        if row is None:
            raise NotFound("Insight", ref)
        return insight_from_row(row)

    def _free_short_id(self) -> str:
        while True:
            short_id = "".join(secrets.choice(ALPHABET) for _ in range(SHORT_ID_LENGTH))
            if self._views.insight(self.project_id, short_id) is None:
                return short_id


def definition_of(fields: Mapping[str, Any]) -> Definition:
    """Return a definition from keyword arguments. Raises `InvalidInput` for a field that does not exist."""
    known = {one.name for one in Definition.__attrs_attrs__}
    for name in fields:
        if name not in known:
            raise InvalidInput(f"{name!r} is no field of an insight; there are {', '.join(sorted(known))}.", path=name)
    values = dict(fields)
    if "tags" in values:
        values["tags"] = tuple(values["tags"])
    return Definition(**values)


def _page(count: int, rows: Iterable[Mapping[str, Any]]) -> Page[Insight]:
    gathered = list(rows)
    viewed = {row["id"]: instant(row["last_viewed_at"]) for row in gathered if row["last_viewed_at"] is not None}
    return Page(count, tuple(insight_from_row(row) for row in gathered), viewed)


def _own(definition: Definition) -> Definition:
    """Return the definition with copies of its JSON values: the caller's objects may change later.

    Raises `InvalidInput` for a query or filters that cannot be stored as JSON.
    """
    for path in ("query", "filters"):
        value = getattr(definition, path)
        if value is not UNSET:
            definition = evolve(definition, **{path: _copied(value, path)})
    return definition


def _copied(value: Any, path: str) -> Any:
    try:
        return orjson.loads(orjson.dumps(value))
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"This is no JSON value: {error}", path=path) from error
