"""Reading what was captured, one by one: events, persons, the names that events use. Numbers are for queries."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from attrs import frozen

from ..domain.definitions import SeenEvent, SeenProperty
from ..domain.errors import InvalidInput, InvalidQuery
from ..domain.queries.actions import belonging
from ..domain.queries.actors import Profile, ProfilesPlan
from ..domain.queries.definition_plans import EventDefinitionsPlan, PropertyDefinitionsPlan, ValuesPlan
from ..domain.queries.legacy_properties import clean_properties
from ..domain.queries.matching import CountPersonsPlan, EventsPagePlan, MatchingPersonsPlan
from ..domain.queries.nodes import Properties
from ..domain.queries.plan import (
    AllOf,
    Condition,
    InPeople,
    Listed,
    Members,
    PersonProperty,
    PersonsWhere,
    PropertyTest,
)
from ..domain.queries.properties import condition
from ..domain.queries.scope import Scope
from .acting import fields_of, items_of, require_number, require_text
from .model import Page
from .product_ports import ProductStore
from .query_nodes import structure

MAX_PAGE = 1000
DEADLINE_S = 20
KINDS = ("event", "person", *(f"group_{index}" for index in range(5)))
"""What properties belong to."""


@frozen(kw_only=True)
class EventsWanted:
    """Which events a page is asked for; filters combine with AND."""

    event: str | None = None
    distinct_id: str | None = None
    person: str | None = None
    """The person's uuid."""
    action_id: int | None = None
    """An action that the events belong to."""
    properties: Any = None
    """Property filters in JSON: a list, an object or a group."""
    after: datetime | None = None
    """Exclusive, like `before`."""
    before: datetime | None = None
    oldest_first: bool = False
    limit: int = 100
    offset: int = 0


@frozen(kw_only=True)
class PersonsWanted:
    """Which persons a page is asked for; filters combine with AND."""

    search: str | None = None
    """Case-insensitive part of a distinct id, or of the property `email` or `name`."""
    email: str | None = None
    distinct_id: str | None = None
    uuid: str | None = None
    cohort: int | None = None
    properties: Any = None
    limit: int = 100
    offset: int = 0


@frozen
class FoundEvent:
    """A stored event with its person, None for one without a stored person."""

    uuid: str
    event: str
    distinct_id: str
    timestamp: datetime
    """Aware UTC."""
    properties: Mapping[str, Any]
    elements_chain: str
    """What was clicked, `""` for nothing (`domain.elements`)."""
    person: Profile | None


class ProductReads:
    """What was captured for one project; what was acknowledged before a call is part of its answer.

    Everything raises `StoreUnavailable`, and `QueryTooLarge` past 20 seconds.
    """

    def __init__(self, project_id: int, store: Callable[[], ProductStore], scope: Callable[[], Scope]) -> None:
        self._project_id = project_id
        self._store = store
        self._scope = scope

    def events(self, **filters: Any) -> list[FoundEvent]:
        """Return a page of events, newest first unless told otherwise; filters are those of `EventsWanted`.

        Raises `InvalidInput` for property filters that cannot be read and an action that is not there.
        """
        wanted = fields_of(EventsWanted, "a page of events", filters)
        _check(wanted, "event", "distinct_id", "person")
        for name in ("after", "before"):
            moment = getattr(wanted, name)
            if moment is not None and (not isinstance(moment, datetime) or moment.tzinfo is None):
                raise InvalidInput(f"{name} is an aware datetime, not {moment!r}.", path=name)
        parts = [self._condition(wanted.properties)]
        if wanted.action_id is not None:
            parts += self._of_action(wanted.action_id)
        if wanted.distinct_id is not None or wanted.person is not None:
            ids = () if wanted.distinct_id is None else (wanted.distinct_id,)
            parts.append(InPeople(Listed(ids, () if wanted.person is None else (wanted.person,))))
        return self._events(
            EventsPagePlan(
                project_id=self._project_id,
                condition=_all_of(parts),
                event=wanted.event,
                after=wanted.after,
                before=wanted.before,
                limit=wanted.limit,
                offset=wanted.offset,
                oldest_first=wanted.oldest_first,
            )
        )

    def event(self, uuid: str) -> FoundEvent | None:
        """Return an event by its uuid."""
        if not _is_uuid(uuid):
            return None
        plan = EventsPagePlan(project_id=self._project_id, condition=AllOf(), uuid=uuid, limit=1)
        return next(iter(self._events(plan)), None)

    def persons(self, **filters: Any) -> Page[Profile]:
        """Return a page of persons, newest first; filters are those of `PersonsWanted`.

        Raises `InvalidInput` as `events` does.
        """
        wanted = fields_of(PersonsWanted, "a page of persons", filters)
        _check(wanted, "search", "email", "distinct_id", "uuid")
        if wanted.cohort is not None:
            require_number("cohort", wanted.cohort)
        parts = [self._condition(wanted.properties, is_of_persons=True)]
        if wanted.email is not None:
            parts.append(PropertyTest(PersonProperty("email"), "exact", (wanted.email,)))
        if wanted.distinct_id is not None:
            parts.append(InPeople(Listed((wanted.distinct_id,))))
        if wanted.uuid is not None:
            parts.append(InPeople(Listed((), (wanted.uuid,))))
        if wanted.cohort is not None:
            parts.append(InPeople(Members(wanted.cohort)))
        people = PersonsWhere(_all_of(parts))
        ((count,),) = self._ask(CountPersonsPlan(self._project_id, people, wanted.search))
        plan = MatchingPersonsPlan(
            self._project_id, people, wanted.limit, wanted.offset, wanted.search, newest_first=True
        )
        ids = [person for (person,) in self._ask(plan)] if wanted.offset < count else []
        known = self._profiles(ids)
        return Page(count, tuple(known[one] for one in ids if one in known))

    def person(self, ref: str) -> Profile | None:
        """Return a person by uuid, or by a distinct id."""
        require_text("person", ref)
        found = [*self.persons(uuid=ref)] if _is_uuid(ref) else []
        return next(iter(found or self.persons(distinct_id=ref)), None)

    def event_definitions(self, search: str | None = None) -> list[SeenEvent]:
        """Return the event names that were seen, those that contain the text. Raises `InvalidInput` for another."""
        require_text("search", search)
        return [one for one in self._ask(EventDefinitionsPlan(self._project_id)) if _fits(one.name, search)]

    def property_definitions(
        self, kind: str = "event", *, search: str | None = None, events: Sequence[str] | None = None
    ) -> list[SeenProperty]:
        """Return the properties that were seen, of events, persons or a type of groups (`group_0` ...).

        With `events` each says whether one of these events had it. Raises `InvalidInput` for another kind.
        """
        if kind not in KINDS:
            raise InvalidInput(f"Properties belong to one of {', '.join(KINDS)}.", path="type")
        require_text("search", search)
        plan = PropertyDefinitionsPlan(self._project_id, kind, None if events is None else items_of("events", events))
        return [one for one in self._ask(plan) if _fits(one.name, search)]

    def values(
        self, kind: str, name: str, *, search: str | None = None, events: Sequence[str] = (), limit: int = 10
    ) -> list[str]:
        """Return the most frequent values of a property of events or persons, as texts."""
        for field, text in (("kind", kind), ("name", name), ("search", search)):
            require_text(field, text)
        require_number("limit", limit)
        plan = ValuesPlan(self._project_id, kind, name, search, items_of("events", events), limit)
        return [value for (value,) in self._ask(plan)]

    def _ask(self, plan: Any) -> Any:
        store = self._store()
        store.drain()
        return store.run(plan, deadline_s=DEADLINE_S)

    def _events(self, plan: EventsPagePlan) -> list[FoundEvent]:
        rows = self._ask(plan)
        known = self._profiles(dict.fromkeys(row[-1] for row in rows))
        return [
            FoundEvent(
                str(uuid),
                event,
                distinct_id,
                at.replace(tzinfo=UTC),
                json.loads(properties),
                chain or "",
                known.get(person),
            )
            for uuid, event, distinct_id, at, properties, chain, person in rows
        ]

    def _profiles(self, ids: Any) -> dict[int | str, Profile]:
        plan = ProfilesPlan(self._project_id, tuple(ids))
        return {one.actor: one for one in self._store().run(plan, deadline_s=DEADLINE_S)} if plan.ids else {}

    def _of_action(self, action: int) -> list[Condition]:
        scope = self._scope()
        if action not in scope.actions:
            raise InvalidInput(f"There is no action {action}.", path="action_id")
        return [belonging(scope.actions[action], scope)]

    def _condition(self, filters: Any, *, is_of_persons: bool = False) -> Condition:
        """Return what property filters ask; of persons, a filter without a type is about a person's property."""
        try:
            cleaned = clean_properties(filters)
            if cleaned is None:
                return AllOf()
            if is_of_persons:
                cleaned = _of_persons(cleaned)
            return condition(structure(cleaned, Properties, "properties"), path="properties", scope=self._scope())
        except InvalidQuery as error:
            raise InvalidInput(error.detail, path=error.path or "properties") from error


def _check(wanted: EventsWanted | PersonsWanted, *texts: str) -> None:
    for name in texts:
        require_text(name, getattr(wanted, name))
    require_number("limit", wanted.limit)
    require_number("offset", wanted.offset, least=0)


def _of_persons(cleaned: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a group whose leaves are about persons where the asker said nothing else."""
    values = [
        _of_persons(one) if "values" in one else {**one, "type": "person"} if one["type"] == "event" else one
        for one in cleaned["values"]
    ]
    return {**cleaned, "values": values}


def _all_of(parts: Sequence[Condition]) -> Condition:
    kept = tuple(part for part in parts if part != AllOf())
    return kept[0] if len(kept) == 1 else AllOf(kept)


def _is_uuid(text: str) -> bool:
    try:
        UUID(str(text))
    except ValueError:
        return False
    return True


def _fits(name: str, search: str | None) -> bool:
    return not search or search.lower() in name.lower()
