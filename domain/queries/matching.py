"""Plans that list what fulfils a condition: events, or persons."""

from __future__ import annotations

from datetime import datetime

from attrs import frozen

from .plan import Condition, People


@frozen
class MatchingEventsPlan:
    """Events that fulfil a condition, newest first.

    Answered with rows (uuid, event, distinct id, timestamp, properties as JSON text); equally new ones by uuid.
    """

    project_id: int
    event: str | None
    """Name, None for every event."""
    condition: Condition
    limit: int


@frozen(kw_only=True)
class EventsPagePlan:
    """A page of events, newest first, or oldest first.

    Answered with rows (uuid, event, distinct id, timestamp, properties as JSON text, chain of elements or None, person
    id after merges); equally new ones by uuid.
    """

    project_id: int
    condition: Condition
    event: str | None = None
    """Name, None for every event."""
    uuid: str | None = None
    after: datetime | None = None
    """Exclusive."""
    before: datetime | None = None
    """Exclusive."""
    limit: int = 100
    offset: int = 0
    oldest_first: bool = False


@frozen
class MatchingPersonsPlan:
    """The ids of a set of persons, oldest first; answered with rows (person id,), those of equal age by uuid.

    `newest_first` is the order the other way round.
    """

    project_id: int
    people: People
    limit: int
    offset: int = 0
    search: str | None = None
    """Case-insensitive part of a distinct id or of the e-mail address or name property."""
    newest_first: bool = False


@frozen
class CountPersonsPlan:
    """How many stored persons there are in a set, `search` as for their ids; answered with one row."""

    project_id: int
    people: People
    search: str | None = None
