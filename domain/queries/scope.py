"""What the names in a query stand for in one project: actions, cohorts, property types, path rules, ways of counting.

Plain values, put together by the application before a query is resolved; the defaults are those of an empty project.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any, Literal

from attrs import Factory, field, fields, frozen

PropertyType = Literal["String", "Numeric", "Boolean", "DateTime", "Duration"]
PersonsMode = Literal["joined", "on_events", "on_events_without_override"]
"""Which person properties a query sees: those of now, or those stored with the event (queries.md 1.5)."""
PERSONS_MODES: Mapping[str, PersonsMode] = {
    "person_id_override_properties_joined": "joined",
    "disabled": "joined",
    "person_id_override_properties_on_events": "on_events",
    "person_id_no_override_properties_on_events": "on_events_without_override",
}
"""What `modifiers.personsOnEventsMode` may say."""
TextMatching = Literal["contains", "exact", "regex"]


@frozen
class ActionStep:
    """One way to do an action: every condition that is given must hold.

    Selector, tag name, text and href are about autocaptured elements: a step of another event has none to look at.
    """

    event: str | None = None
    properties: tuple[Mapping[str, Any], ...] = ()
    """Property filters in JSON."""
    url: str | None = None
    url_matching: TextMatching = "contains"
    selector: str | None = None
    tag_name: str | None = None
    text: str | None = None
    text_matching: TextMatching = "exact"
    href: str | None = None
    href_matching: TextMatching = "exact"


@frozen
class ActionMeaning:
    """An action: an event belongs to it when any step matches, or when it has none."""

    id: int
    name: str | None
    steps: tuple[ActionStep, ...] = ()
    is_deleted: bool = False
    """Not to be found by its name; queries that name its number go on."""


@frozen
class CohortMeaning:
    """A cohort: either a list of persons, or criteria."""

    id: int
    name: str | None
    criteria: Mapping[str, Any] | None = None
    """The tree of the API's `filters.properties`: `{"type": "AND" | "OR", "values": [...]}`; None matches nobody."""
    is_static: bool = False
    distinct_ids: tuple[str, ...] = field(default=(), repr=False)
    """Of the persons on a static cohort's list."""
    uuids: tuple[str, ...] = ()
    """Persons on the list by uuid."""
    revision: int = 0
    """Rises when the list changes, which may be too long to be compared."""
    is_deleted: bool = False
    """Not to be found by its name; queries that name its number go on."""


@frozen
class PathRule:
    """One step of path cleaning: every match of the pattern becomes the alias."""

    regex: str
    alias: str


@frozen
class Scope:
    """Everything that a query's names and relative words depend on beside its dates."""

    now: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    """Aware; what relative dates in property values and cohorts count from."""
    zone: tzinfo = UTC
    week_start_day: int = 0
    """0 Sunday, 1 Monday."""
    actions: Mapping[int, ActionMeaning] = Factory(dict)
    cohorts: Mapping[int, CohortMeaning] = Factory(dict)
    property_types: Mapping[tuple[str, str], PropertyType] = Factory(dict)
    """By (`event`, `person` or `group_0` ... `group_4`, name); what is missing is a String."""
    path_rules: tuple[PathRule, ...] = ()
    aggregates_by_distinct_id: bool = False
    """Whether math over users counts distinct ids instead of persons."""
    persons_mode: PersonsMode = "joined"
    compares_by_weeks: bool = False
    """Whether a comparison with a month or a year ago means 4 or 52 weeks, so that weekdays line up."""
    base_currency: str = "USD"
    """What amounts of money are told in."""


def action_step(value: Mapping[str, Any]) -> ActionStep:
    """Return a step out of its JSON; what is missing or null has its default."""
    given = {one.name: value[one.name] for one in fields(ActionStep) if value.get(one.name) not in (None, "", [])}
    properties = given.pop("properties", ())
    return ActionStep(**given, properties=tuple(properties) if isinstance(properties, list | tuple) else ())
