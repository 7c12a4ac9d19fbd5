"""What a run of product events makes of the persons behind it: creation, properties, merges. Pure.

Fold events in the order of their ingestion over a `Roster` that knows the persons involved so far; what it holds
afterwards does not depend on how the run was cut into batches. Source: PostHog capture, person processing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from attrs import Factory, define, frozen

from .persons import MERGING_EVENTS, merge_of

Name = tuple[int, str]
"""Project and distinct id."""


@define
class Person:
    """A person as far as known."""

    id: int
    project_id: int
    uuid: UUID
    created_us: int | None
    """Microseconds since 1970; None without a stored profile."""
    is_identified: bool = False
    properties: dict[str, Any] = Factory(dict)
    known_us: int = 0
    """Ingestion instant of the last change."""

    @property
    def has_profile(self) -> bool:
        """Whether the person is stored, not only an id behind events."""
        return self.created_us is not None


@frozen
class Merge:
    """Two distinct ids of one project that belong to one person since a moment.

    The persons as they were known at some moment are what the merges until then connect.
    """

    project_id: int
    distinct_id: str
    into: str
    known_us: int
    """Ingestion instant of the event that told it."""


@frozen
class PersonEvent:
    """The part of a product event that persons depend on."""

    name: Name
    event: str
    timestamp_us: int
    known_us: int
    has_profile: bool
    """False when the client switched person processing off for this event."""
    properties: Mapping[str, Any] = Factory(dict)
    """`$set`, `$set_once`, `$unset`, `$anon_distinct_id`, `alias`; others are not looked at."""


def person_uuid(project_id: int, distinct_id: str) -> UUID:
    """Return the uuid of the person that the distinct id brings into being; always the same one."""
    digest = hashlib.md5(f"{project_id}:{distinct_id}".encode(), usedforsecurity=False).hexdigest()
    return UUID(f"{digest[:12]}8{digest[13:16]}8{digest[17:]}")


class Roster:
    """The persons and distinct ids that a run of events touches; `next_id` is the first free person id."""

    def __init__(self, persons: Iterable[Person], owners: Mapping[Name, int], next_id: int) -> None:
        self.persons = {person.id: person for person in persons}
        self.owners = dict(owners)
        self._moved: dict[int, int] = {}
        self.changed: set[int] = set()
        """Persons whose stored row differs from before."""
        self.versions: dict[tuple[int, int, int], Mapping[str, Any]] = {}
        """Person, microseconds of ingestion and of the event -> the properties that it had from then on."""
        self.merges: list[Merge] = []
        """In the order in which they happened; what was refused or known already is none."""
        self.next_id = next_id

    def apply(self, happened: PersonEvent) -> None:
        """Fold one event."""
        has_profile = happened.has_profile or happened.event in MERGING_EVENTS
        merge = merge_of(happened.event, happened.name[1], happened.properties)
        if merge is not None:
            project_id = happened.name[0]
            self._merge((project_id, merge.merged), (project_id, merge.into), happened, merge.refuses_identified)
        person = self._owner(happened.name)
        if person is None:
            person = self._create(happened.name)
        if not has_profile:
            return
        if person.created_us is None:
            person.created_us = happened.timestamp_us
            self._note(person, happened)
        changed = changed_properties(person.properties, happened.properties)
        if changed != person.properties:
            person.properties = changed
            self._note(person, happened)

    def moves(self) -> dict[int, int]:
        """Return which persons were merged away, each with the person that it is now."""
        return {old: self._final(old) for old in self._moved}

    def owner(self, name: Name) -> int | None:
        """Return the person that a distinct id belongs to now, None for one that nothing was told about."""
        known = self.owners.get(name)
        return None if known is None else self._final(known)

    def _merge(self, merged: Name, into: Name, happened: PersonEvent, refuses_identified: bool) -> None:
        left, kept = self._owner(merged), self._owner(into)
        is_news = left is None or left is not kept
        if left is None or kept is None or left is kept:
            person = kept or left or self._create(into)
            self.owners[merged] = self.owners[into] = person.id
        elif refuses_identified and left.is_identified:
            return
        else:
            person = kept
            self._absorb(person, left)
        if is_news:
            self.merges.append(Merge(merged[0], merged[1], into[1], happened.known_us))
        if person.created_us is None:
            person.created_us = happened.timestamp_us
        person.is_identified = True
        self._note(person, happened)

    def _absorb(self, kept: Person, left: Person) -> None:
        created = [one.created_us for one in (kept, left) if one.created_us is not None]
        kept.created_us = min(created, default=None)
        kept.properties = {**left.properties, **kept.properties}
        self._moved[left.id] = kept.id
        self.changed.discard(left.id)

    def _owner(self, name: Name) -> Person | None:
        owner = self.owner(name)
        return None if owner is None else self.persons[owner]

    def _final(self, person_id: int) -> int:
        while (merged_into := self._moved.get(person_id)) is not None:
            further = self._moved.get(merged_into)
            if further is not None:
                self._moved[person_id] = further  # shortens the chain for the next look
            person_id = merged_into
        return person_id

    def _create(self, name: Name) -> Person:
        person = Person(self.next_id, name[0], person_uuid(*name), None)
        self.next_id += 1
        self.persons[person.id] = person
        self.owners[name] = person.id
        return person

    def _note(self, person: Person, happened: PersonEvent) -> None:
        person.known_us = max(person.known_us, happened.known_us)
        self.changed.add(person.id)
        self.versions[person.id, happened.known_us, happened.timestamp_us] = person.properties


def changed_properties(properties: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties after `$set_once`, `$set` and `$unset` of one event, in this order.

    >>> changed_properties({"a": 1, "b": 2}, {"$set": {"a": 3}, "$set_once": {"b": 4, "c": 5}, "$unset": ["a"]})
    {'b': 2, 'c': 5}
    """
    found = dict(properties)
    once, always, unset = asked.get("$set_once"), asked.get("$set"), asked.get("$unset")
    if isinstance(once, Mapping):
        found = {**once, **found}
    if isinstance(always, Mapping):
        found |= always
    if isinstance(unset, list | Mapping):
        for name in unset:
            found.pop(name if isinstance(name, str) else "", None)
    return found
