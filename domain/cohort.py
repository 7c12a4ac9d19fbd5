"""The Cohort aggregate: criteria, or a list of persons, and when its members were calculated. No I/O, no clock.

What criteria mean is said in `domain.queries.cohorts`. Source: PostHog's cohorts (queries.md 1.3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import evolve, frozen

from .errors import InvalidInput, NotFound
from .events import DomainEvent, Record, event
from .fields import check_flag, check_text
from .insight_commands import UNSET, Unset, is_unicode

MAX_NAME, MAX_DESCRIPTION = 400, 4000
MAX_LISTED = 500_000
"""Persons that are put on a list at once."""
NAMES_PER_EVENT = 5_000
"""Distinct ids in one event: longer lists become several events of one append."""
MAX_DISTINCT_ID = 400
MAX_ERROR = 1000


@event("CohortCreated")
class CohortCreated(DomainEvent):
    """A cohort came into being; static ones have a list of persons in place of criteria."""

    name: str | None = None
    description: str = ""
    filters: Any = None
    """`{"properties": {"type": "AND" or "OR", "values": [...]}}`, or None."""
    groups: Any = ()
    """The old form of criteria, looked at when there are no filters."""
    is_static: bool = False


@event("CohortRenamed")
class CohortRenamed(DomainEvent):
    """The name changed."""

    name: str | None


@event("CohortDescribed")
class CohortDescribed(DomainEvent):
    """The description changed."""

    description: str


@event("CohortCriteriaChanged")
class CohortCriteriaChanged(DomainEvent):
    """Who belongs to it is told otherwise; both forms as they are now."""

    filters: Any
    groups: Any


@event("CohortPersonsAdded")
class CohortPersonsAdded(DomainEvent):
    """Persons were put on the list of a static cohort, each by a distinct id."""

    distinct_ids: tuple[str, ...]


@event("CohortPersonsRemoved")
class CohortPersonsRemoved(DomainEvent):
    """Distinct ids were taken off the list of a static cohort."""

    distinct_ids: tuple[str, ...]


@event("CohortSoftDeleted")
class CohortSoftDeleted(DomainEvent):
    """Is gone for readers and queries; everything about it is kept."""


@event("CohortRestored")
class CohortRestored(DomainEvent):
    """Is back after a soft delete."""


@event("CohortCalculated")
class CohortCalculated(DomainEvent):
    """Its members were counted, as of a version of its stream; in a stream of its own, so that it never conflicts."""

    count: int
    of_version: int


@event("CohortCalculationFailed")
class CohortCalculationFailed(DomainEvent):
    """Its members could not be counted."""

    error: str
    of_version: int


@frozen
class Calculation:
    """What is known of the members of a cohort."""

    count: int | None = None
    at: datetime | None = None
    """When they were counted last."""
    of_version: int = 0
    """The version of the cohort that was tried last, successfully or not."""
    n_errors: int = 0
    """Tries that failed since the last success."""
    error: str | None = None


@frozen
class Cohort:
    """A cohort as it is after some version of its stream."""

    id: int
    project_id: int
    version: int
    created_at: datetime
    created_by: int | None
    updated_at: datetime
    name: str | None = None
    description: str = ""
    filters: Mapping[str, Any] | None = None
    groups: tuple[Mapping[str, Any], ...] = ()
    is_static: bool = False
    deleted: bool = False
    members_version: int = 0
    """The version at which the criteria or the list changed last."""
    calculation: Calculation = Calculation()

    @property
    def is_calculated(self) -> bool:
        """Whether the last calculation was of the criteria as they are."""
        return self.calculation.of_version >= self.members_version


FIELDS = ("name", "description", "filters", "groups", "deleted")
"""What an edit may change."""


def stream_of(cohort_id: int) -> str:
    """Return the name of a cohort's stream."""
    return f"cohort:{cohort_id}"


def calculations_stream_of(cohort_id: int) -> str:
    """Return the name of the stream of a cohort's calculations."""
    return f"cohort-calculations:{cohort_id}"


def evolve_cohort(state: Cohort | None, record: Record) -> Cohort:
    """Return the cohort after one more record of its stream; `None` only before `CohortCreated`."""
    happened = record.event
    if isinstance(happened, CohortCreated):
        if record.project_id is None:
            raise InvalidInput("A cohort belongs to a project.", path="project_id")
        return Cohort(
            id=record.subject_id, project_id=record.project_id, version=record.version, created_at=record.at,
            created_by=record.by.user_id, updated_at=record.at, name=happened.name, description=happened.description,
            filters=happened.filters, groups=tuple(happened.groups), is_static=happened.is_static,
            members_version=record.version,
        )  # fmt: skip
    if state is None:
        raise NotFound("Cohort", record.subject_id)
    return evolve(state, version=record.version, updated_at=record.at, **_changed(happened, record.version))


def _changed(happened: DomainEvent, version: int) -> dict[str, Any]:
    match happened:
        case CohortRenamed(name=name):
            return {"name": name}
        case CohortDescribed(description=description):
            return {"description": description}
        case CohortCriteriaChanged(filters=filters, groups=groups):
            return {"filters": filters, "groups": tuple(groups), "members_version": version}
        case CohortPersonsAdded() | CohortPersonsRemoved():
            return {"members_version": version}
        case CohortSoftDeleted():
            return {"deleted": True}
        case CohortRestored():
            return {"deleted": False}
    raise TypeError(f"{type(happened).__name__} is not an event of a cohort")


def evolve_calculation(state: Calculation, record: Record) -> Calculation:
    """Return what is known of the members after one more record of the stream of calculations."""
    match record.event:
        case CohortCalculated(count=count, of_version=version):
            return Calculation(count, record.at, version)
        case CohortCalculationFailed(error=error, of_version=version):
            return evolve(state, of_version=version, n_errors=state.n_errors + 1, error=error)
    raise TypeError(f"{type(record.event).__name__} is no calculation of a cohort")


_EVENT_OF: Mapping[str, Callable[[Any], DomainEvent]] = {
    "name": CohortRenamed,
    "description": CohortDescribed,
    "deleted": lambda deleted: CohortSoftDeleted() if deleted else CohortRestored(),
}


# -- commands --------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class CohortFields:
    """What a caller says about a cohort: every field may be left out."""

    name: str | Unset | None = UNSET
    description: str | Unset = UNSET
    filters: Any = UNSET
    groups: Any = UNSET
    is_static: bool | Unset = UNSET
    deleted: bool | Unset = UNSET

    def given(self) -> dict[str, Any]:
        """Return the fields that are mentioned. Raises `InvalidInput`; what criteria say is not looked at here."""
        values = {field: getattr(self, field) for field in (*FIELDS, "is_static")}
        values = {field: value for field, value in values.items() if value is not UNSET}
        check_text(values, "name", most=MAX_NAME, may_be_null=True)
        check_text(values, "description", most=MAX_DESCRIPTION)
        check_flag(values, "deleted")
        check_flag(values, "is_static")
        if "filters" in values:
            values["filters"] = _checked_filters(values["filters"])
        if "groups" in values:
            values["groups"] = _checked_groups(values["groups"])
        return values


def decide_creation(fields: CohortFields) -> tuple[DomainEvent, ...]:
    """Return the events of a new cohort. Raises `InvalidInput`."""
    given = fields.given()
    deleted = given.pop("deleted", False)
    created = CohortCreated(**given)
    return (created, CohortSoftDeleted()) if deleted else (created,)


def decide_edit(state: Cohort, fields: CohortFields) -> tuple[DomainEvent, ...]:
    """Return the events of an edit; `deleted=False` restores a deleted cohort.

    Whoever gives `groups` without `filters` tells the criteria in the old form, and the new one goes. Raises
    `NotFound` for a deleted cohort, `InvalidInput` also for a change between static and not.
    """
    given = fields.given()
    if state.deleted and given.get("deleted") is not False:
        raise NotFound("Cohort", state.id)
    if given.get("is_static", state.is_static) != state.is_static:
        raise InvalidInput("A cohort stays static, or stays by criteria.", path="is_static")
    filters = given.get("filters", None if given.get("groups") else state.filters)
    groups = given.get("groups", state.groups)
    events = [
        make(given[field])
        for field, make in _EVENT_OF.items()
        if field in given and given[field] != getattr(state, field)
    ]
    if (filters, groups) != (state.filters, state.groups):
        events.append(CohortCriteriaChanged(filters, groups))
    return tuple(events)


def decide_listing(state: Cohort, distinct_ids: Sequence[str], *, adds: bool) -> tuple[DomainEvent, ...]:
    """Return the events that put distinct ids on the list of a static cohort, or take them off.

    Raises `NotFound` for a deleted cohort, `InvalidInput` for one by criteria, or a name that is no distinct id.
    """
    if state.deleted:
        raise NotFound("Cohort", state.id)
    if not state.is_static:
        raise InvalidInput("Only a static cohort has a list of persons.", path="is_static")
    if len(distinct_ids) > MAX_LISTED:
        raise InvalidInput(f"At most {MAX_LISTED} persons can be listed at once.", path="distinct_ids")
    for name in distinct_ids:
        if not isinstance(name, str) or not name or len(name) > MAX_DISTINCT_ID or not is_unicode(name):
            raise InvalidInput(f"A distinct id has 1 to {MAX_DISTINCT_ID} characters.", path="distinct_ids")
    names = tuple(dict.fromkeys(distinct_ids))
    made = CohortPersonsAdded if adds else CohortPersonsRemoved
    return tuple(made(names[start : start + NAMES_PER_EVENT]) for start in range(0, len(names), NAMES_PER_EVENT))


def _checked_filters(filters: Any) -> Mapping[str, Any] | None:
    if filters is None or filters == {}:
        return None
    if not isinstance(filters, Mapping):
        raise InvalidInput("The filters of a cohort are an object with properties.", path="filters")
    properties = filters.get("properties")
    if properties is None or properties == {}:
        return None
    if not isinstance(properties, Mapping):
        raise InvalidInput("The properties are a tree of criteria.", path="filters.properties")
    return {"properties": properties}


def _checked_groups(groups: Any) -> tuple[Mapping[str, Any], ...]:
    if groups is None:
        return ()
    if not isinstance(groups, list | tuple) or not all(isinstance(one, Mapping) for one in groups):
        raise InvalidInput("The groups of a cohort are a list of objects.", path="groups")
    return tuple(groups)
