"""Insights that come over from another server, with the times, users and history that they have there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import Factory, frozen

from ..domain.errors import InvalidInput
from ..domain.insight import Insight, evolve_insight, past_stream_of, stream_of
from ..domain.insight_commands import DEFINITION, Definition, check_definition
from ..domain.insight_events import InsightImported, InsightPastImported
from .administration import Administration
from .execution import By, Executor
from .ports import StreamEvents, Views

MAX_SHORT_ID = 12


@frozen
class Person:
    """Somebody on the other server; told by the e-mail address."""

    email: str
    first_name: str = ""


@frozen
class PastEntry:
    """An entry of the other server's activity log."""

    activity: str
    changes: Any
    name: str | None
    short_id: str | None
    at: datetime
    by: Person | None = None


@frozen(kw_only=True)
class ImportedInsight:
    """An insight of another server."""

    source: str
    """Its address there."""
    short_id: str
    definition: Definition
    created_at: datetime
    """Aware, like the others."""
    updated_at: datetime
    last_modified_at: datetime
    created_by: Person | None = None
    last_modified_by: Person | None = None
    is_sample: bool = False
    past: tuple[PastEntry, ...] = ()
    """Its activity, in any order."""


@frozen
class InsightImports:
    """Takes insights of other servers into one project, each in one append, and none twice."""

    project_id: int
    views: Views
    executor: Executor
    administration: Administration
    _users: dict[str, int] = Factory(dict)

    def has(self, short_id: str) -> bool:
        """Whether the project has an insight with this short id, deleted ones included."""
        return self.views.insight(self.project_id, short_id) is not None

    def take(self, one: ImportedInsight, by: By) -> Insight | None:
        """Make the insight as it is there, with its history; None when the project has its short id already.

        Whoever the history names and nobody here is becomes a user of no organisation, who may do nothing. Raises
        `InvalidInput` for what an insight may not have; then nothing is made.
        """
        if not one.short_id or len(one.short_id) > MAX_SHORT_ID or not one.short_id.isalnum():
            raise InvalidInput(f"{one.short_id!r} is no short id.", path="short_id")
        given = {name: value for name, value in one.definition.given().items() if name in DEFINITION}
        check_definition(given)
        if self.has(one.short_id):
            return None
        imported = InsightImported(
            source=one.source,
            short_id=one.short_id,
            created_at=one.created_at.isoformat(),
            created_by=self._user(one.created_by, by),
            updated_at=one.updated_at.isoformat(),
            last_modified_at=one.last_modified_at.isoformat(),
            last_modified_by=self._user(one.last_modified_by, by),
            is_sample=one.is_sample,
            **given,
        )
        past = tuple(self._past(entry, by) for entry in sorted(one.past, key=lambda entry: entry.at))

        def make(new_id: int) -> tuple[StreamEvents, ...]:
            history = (StreamEvents(past_stream_of(new_id), past, 0),) if past else ()
            return (StreamEvents(stream_of(new_id), (imported,), 0), *history)

        records = self.executor.create("insights", make, by, lambda _: self.project_id)
        return evolve_insight(None, records[0])

    def _past(self, entry: PastEntry, by: By) -> InsightPastImported:
        user_id = self._user(entry.by, by)
        return InsightPastImported(
            entry.activity, entry.changes, entry.name, entry.short_id, user_id, entry.at.isoformat()
        )

    def _user(self, person: Person | None, by: By) -> int | None:
        if person is None:
            return None
        email = person.email.strip()
        if email.lower() not in self._users:
            row: Mapping[str, Any] | None = self.views.user_by_email(email)
            if row is not None:
                found = int(row["id"])
            else:
                made = self.administration.create_user(
                    email, by, first_name=person.first_name, organization_id=None, level=None
                )
                found = made.id
            self._users[email.lower()] = found
        return self._users[email.lower()]
