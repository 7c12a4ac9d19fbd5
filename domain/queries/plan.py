"""Plans: what an engine shall compute, free of dates to parse, defaults and names to look up; no SQL.

This module holds the parts that all plans are made of: texts of events, conditions, people. The plans are in
`trend_plan` and its siblings, the engines of `adapters.storage` answer them with plain rows.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from attrs import field, frozen

from .scope import PathRule, PropertyType, Scope

TextOperator = Literal["exact", "is_not", "contains", "icontains", "not_icontains", "regex", "not_regex"]
NumberOperator = Literal["gt", "gte", "lt", "lte"]
Comparison = Literal["gte", "lte", "exact", "gt", "lt"]
TestOperator = TextOperator | NumberOperator | Literal["is_set", "is_not_set"]


@frozen
class EventProperty:
    """The text of an event's property; NULL when the key is missing or its value is JSON null."""

    name: str


@frozen
class PersonProperty:
    """The text of a property of the event's person; NULL also for an event without a stored person."""

    name: str
    is_stored: bool = False
    """Whether the value is the one stored with the event at ingestion, not the person's own of now."""


@frozen
class GroupProperty:
    """The text of a property of the event's group; NULL for an event without a group of that type."""

    index: int
    """Of the group type, 0 to 4."""
    name: str


@frozen
class SessionField:
    """The text of a field of the event's session, such as `$session_duration`; NULL outside sessions."""

    name: str


@frozen
class EventColumn:
    """The text of a field of an event: `event`, `distinct_id`, `person_id`, `timestamp`, `uuid`, `$group_0` ...

    A group key, session id or elements chain that the event does not have is NULL.
    """

    name: str


@frozen
class HogQLExpression:
    """The text of a HogQL expression over the event."""

    text: str
    path: str
    """The place in the query, for errors."""
    scope: Scope = field(factory=Scope, eq=False, repr=False)
    """What the expression's present moment, zone and properties are."""


Property = EventProperty | PersonProperty | GroupProperty


@frozen
class TypedText:
    """A property as its type shows it: a number in its shortest form, `true` or `false`; NULL when it is none."""

    source: Property
    kind: Literal["Numeric", "Boolean"]


@frozen
class CleanedPath:
    """A text after path cleaning: the rules applied one after the other."""

    source: Property | SessionField | EventColumn | TypedText
    rules: tuple[PathRule, ...]


Source = Property | SessionField | EventColumn | HogQLExpression | TypedText | CleanedPath
"""The text of something about an event."""


@frozen
class PropertyTest:
    """A text against values: true if any matches, or for the negative operators if none does.

    NULL fails the positive operators and passes the negative ones. `contains` minds case, `icontains` does not; in
    both `%` and `_` are wildcards.
    """

    source: Source
    operator: TestOperator
    values: tuple[str, ...] = ()
    """Texts; the number operators read them as numbers, and one that is none never matches."""
    compares_as: PropertyType = "String"
    """How `exact` and `is_not` compare: Numeric and Duration by number."""
    is_of_elements: bool = False
    """Whether the text is a JSON list whose elements are compared: some passes, or for the negative operators none."""


@frozen
class InstantTest:
    """A text that is an instant in a range; a text that is none, and NULL, are never in it."""

    source: Source
    since: datetime | None
    """Inclusive."""
    until: datetime | None
    """Exclusive."""
    zone: str = "UTC"
    """IANA name: by whose clock a text without offset is read."""


@frozen
class ElementTest:
    """Some element of the event's chain has the value, or for the negative operators none has.

    A negative operator on `text` wants an element whose text is another one, for each of the values.
    """

    key: Literal["tag_name", "selector", "href", "text"]
    operator: TestOperator
    values: tuple[str, ...]


@frozen
class HogQLCondition:
    """A HogQL expression that is true; NULL is not."""

    text: str
    path: str
    scope: Scope = field(factory=Scope, eq=False, repr=False)


@frozen
class AllOf:
    """True when every part is; without parts always true."""

    parts: tuple[Condition, ...] = ()


@frozen
class AnyOf:
    """True when some part is; without parts never true."""

    parts: tuple[Condition, ...]


@frozen
class Not:
    """True when the part is not; no condition is ever unknown."""

    part: Condition


@frozen
class Members:
    """The persons in the membership of a cohort that was calculated last."""

    cohort_id: int


@frozen
class Listed:
    """The persons who own one of the distinct ids or have one of the uuids."""

    distinct_ids: tuple[str, ...]
    uuids: tuple[str, ...] = ()


@frozen
class PersonsWhere:
    """The stored persons who fulfil a condition; it reads nothing but persons and sets of persons."""

    condition: Condition


@frozen
class Occurrences:
    """How often a person did something within a time."""

    since: datetime | None
    """Exclusive; None: from the beginning."""
    until: datetime
    """Inclusive."""
    operator: Comparison
    n: int


@frozen
class Performed:
    """The persons who did something as often as asked."""

    event: str | None
    condition: Condition
    occurrences: tuple[Occurrences, ...]
    at_least: int
    """How many of the occurrences must hold."""


@frozen
class PerformedSequence:
    """The persons who did one thing and, within a time of it, later another."""

    first: tuple[str | None, Condition]
    """Event (None: any) and condition."""
    second: tuple[str | None, Condition]
    since: datetime
    """Exclusive."""
    until: datetime
    """Inclusive."""
    within_s: int


@frozen
class InPeople:
    """The event's person (after merges) is one of the people; an event without a stored person is in no set."""

    people: People


Condition = PropertyTest | InstantTest | ElementTest | HogQLCondition | InPeople | AllOf | AnyOf | Not
People = Members | Listed | PersonsWhere | Performed | PerformedSequence
"""A set of persons."""
