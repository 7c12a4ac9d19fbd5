"""Cohorts of one project: create, list, get, update, persons on a list, who is in it, and counting them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from attrs import evolve, frozen

from ..domain.cohort import (
    MAX_ERROR,
    MAX_LISTED,
    Cohort,
    CohortCalculated,
    CohortCalculationFailed,
    CohortFields,
    calculations_stream_of,
    decide_creation,
    decide_edit,
    decide_listing,
    evolve_cohort,
    stream_of,
)
from ..domain.errors import InsightlogError, NotFound, TooManyQueries, sentence
from ..domain.events import Actor, DomainEvent
from ..domain.queries.actors import Profile, ProfilesPlan
from ..domain.queries.cohort_checks import check_criteria
from ..domain.queries.cohorts import cohort_people, criteria_of_groups
from ..domain.queries.matching import CountPersonsPlan, MatchingPersonsPlan
from ..domain.queries.plan import Listed, People, PersonProperty, PersonsWhere, PropertyTest
from ..domain.queries.scope import Scope
from .acting import require_page
from .execution import By, Executor, Kind, new_request
from .ids import row_id
from .model import Page, ProjectInfo
from .ports import Append, Clock, EventStore, StreamEvents, Views
from .product_ports import ProductStore
from .query_runs import QueryRuns
from .stopping import Stop
from .views.definitions import cohort_from_row

COHORT: Kind[Cohort] = Kind("Cohort", "cohorts", stream_of, cohort_from_row, evolve_cohort)
MAX_PAGE = 1000
DEADLINE_S = 30.0
"""For whoever waits."""
CALCULATION_DEADLINE_S = 300.0
MAX_ROUNDS = 5
"""Calculations in a row of a cohort that goes on being changed."""


@frozen(kw_only=True)
class CohortParts:
    """What cohorts need beside the log and its views."""

    product_store: Callable[[], ProductStore]
    events: EventStore
    runs: QueryRuns
    """Where members are calculated in the background."""
    clock: Clock
    scope: Callable[[ProjectInfo], Scope]


class CohortService:
    """What may be done with the cohorts of a project."""

    def __init__(self, project: ProjectInfo, views: Views, executor: Executor, parts: CohortParts) -> None:
        self.project_id = project.id
        self._project = project
        self._views = views
        self._executor = executor
        self._parts = parts

    # -- the resource ------------------------------------------------------------------------------------------------

    def create(self, fields: CohortFields, by: By, distinct_ids: Sequence[str] = ()) -> Cohort:
        """Make a cohort, with a list of persons when it is static. Raises `InvalidInput` with the path of a fault."""
        events = decide_creation(fields)
        self._check_criteria(fields, None)
        records = self._executor.create(
            "cohorts", lambda new_id, _: (StreamEvents(stream_of(new_id), events, 0),), by, lambda _: self.project_id
        )
        made = self._existing(records[0].subject_id)
        return self.add(made.id, distinct_ids, by) if distinct_ids else made

    def get(self, cohort_id: int | str) -> Cohort:
        """Return a cohort. Raises `NotFound` for unknown, deleted and foreign ones."""
        found = self._existing(cohort_id)
        if found.deleted:
            raise NotFound("Cohort", cohort_id)
        return found

    def find(self, *, search: str | None = None, limit: int = 100, offset: int = 0) -> Page[Cohort]:
        """Return a page of the cohorts, newest first; `search` is a part of the name, whatever its case."""
        require_page(search, limit, offset)
        count, rows = self._views.definitions(
            "cohorts", self.project_id, search=search, limit=min(limit, MAX_PAGE), offset=offset
        )
        return Page(count, tuple(cohort_from_row(row) for row in rows))

    def update(self, cohort_id: int | str, fields: CohortFields, by: By) -> Cohort:
        """Change a cohort and return it as it is then; `deleted=False` restores a deleted one.

        Raises `NotFound`, `InvalidInput` with the path of what is wrong.
        """
        found = self._existing(cohort_id)
        if not found.deleted or fields.deleted is False:
            fields.given()
            self._check_criteria(fields, found.id)
        return self._executor.change(COHORT, self.project_id, found.id, lambda state, _: decide_edit(state, fields), by)

    def add(self, cohort_id: int | str, distinct_ids: Sequence[str], by: By) -> Cohort:
        """Put persons on the list of a static cohort, each by a distinct id; those who are on it stay."""
        return self._list(cohort_id, distinct_ids, by, adds=True)

    def remove(self, cohort_id: int | str, distinct_ids: Sequence[str], by: By) -> Cohort:
        """Take persons off the list of a static cohort, by all their distinct ids."""
        return self._list(cohort_id, distinct_ids, by, adds=False)

    def _list(self, cohort_id: int | str, distinct_ids: Sequence[str], by: By, *, adds: bool) -> Cohort:
        found = self._existing(cohort_id)
        known = set(self._views.listed(found.id))
        wanted = [name for name in distinct_ids if (name in known) is not adds]
        return self._executor.change(
            COHORT, self.project_id, found.id, lambda state, _: decide_listing(state, wanted, adds=adds), by
        )

    def _check_criteria(self, fields: CohortFields, own_id: int | None) -> None:
        given = fields.given()
        scope = self._scope()
        filters, groups = given.get("filters"), given.get("groups")
        if filters is not None:
            check_criteria(filters["properties"], scope, "filters.properties", own_id=own_id)
        if groups:
            check_criteria(criteria_of_groups(list(groups)), scope, "groups", own_id=own_id)

    # -- its members -------------------------------------------------------------------------------------------------

    def persons(
        self, cohort_id: int | str, *, limit: int = 100, offset: int = 0, search: str | None = None
    ) -> Page[Profile]:
        """Return a page of the persons who are in a cohort now, newest first; `search` as for persons.

        Raises `NotFound`, `QueryTooLarge` past 30 seconds.
        """
        require_page(search, limit, offset)
        people = cohort_people(self.get(cohort_id).id, self._scope(), "cohort")
        store = self._parts.product_store()
        store.drain()
        ((count,),) = store.run(CountPersonsPlan(self.project_id, people, search), deadline_s=DEADLINE_S)
        plan = MatchingPersonsPlan(self.project_id, people, min(limit, MAX_PAGE), offset, search, newest_first=True)
        ids = [person for (person,) in store.run(plan, deadline_s=DEADLINE_S)]
        return Page(count, tuple(self._profiles(store, ids)))

    def distinct_ids_of(self, kind: str, names: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Return the distinct ids of stored persons by uuid, for the uuids (`person_id`) or addresses (`email`)."""
        people: People = Listed((), tuple(names))
        if kind == "email":
            people = PersonsWhere(PropertyTest(PersonProperty("email"), "exact", tuple(names)))
        store = self._parts.product_store()
        store.drain()
        ids = [row[0] for row in store.run(MatchingPersonsPlan(self.project_id, people, MAX_LISTED),
                                           deadline_s=DEADLINE_S)]  # fmt: skip
        return {profile.uuid: profile.distinct_ids for profile in self._profiles(store, ids)}

    def calculate(self, cohort_id: int | str, *, stop: Stop | None = None) -> Cohort:
        """Calculate who is in a cohort, keep the list, and return the cohort with the count.

        What goes wrong is noted and raised: `QueryTooLarge`, `InvalidQuery` for criteria that name what is gone.
        """
        cohort = self.get(cohort_id)
        stop = stop or Stop()
        try:
            store = self._parts.product_store()
            store.drain()
            stop.check()
            people = cohort_people(cohort.id, self._scope(), "cohort")
            count = store.keep_members(self.project_id, cohort.id, people, deadline_s=CALCULATION_DEADLINE_S, stop=stop)
        except InsightlogError as error:
            self._note(cohort, CohortCalculationFailed(sentence(error)[:MAX_ERROR], cohort.version))
            raise
        self._note(cohort, CohortCalculated(count, cohort.version))
        return self._existing(cohort.id)

    def start(self, cohort: Cohort) -> None:
        """Calculate its members in the background, unless that is under way or too much else waits already."""

        def work(stop: Stop) -> dict[str, Any]:
            for _ in range(MAX_ROUNDS):
                found = self.calculate(cohort.id, stop=stop)
                if found.is_calculated:
                    break
            return {"count": found.calculation.count}

        name = _run_name(cohort.id)
        with suppress(TooManyQueries):  # whoever looks at the cohort next starts it again
            self._parts.runs.start(self.project_id, name, work, key=name, is_forced=True, reuses_complete=False)

    def is_calculating(self, cohort: Cohort) -> bool:
        """Whether its members are being calculated, or about to be."""
        return self._parts.runs.unfinished(self.project_id, _run_name(cohort.id)) is not None

    def _note(self, cohort: Cohort, happened: DomainEvent) -> None:
        stream = calculations_stream_of(cohort.id)
        self._parts.events.append(Append((StreamEvents(stream, (happened,)),), Actor(), self.project_id, new_request()))

    def _profiles(self, store: ProductStore, ids: Sequence[int]) -> list[Profile]:
        found = store.run(ProfilesPlan(self.project_id, tuple(ids), None), deadline_s=DEADLINE_S)
        by_id = {profile.actor: profile for profile in found}
        return [by_id[person] for person in ids if person in by_id]

    def _scope(self) -> Scope:
        now: datetime = self._parts.clock()
        project = self._project
        return evolve(self._parts.scope(project), now=now, zone=project.zone, week_start_day=project.week_start_day)

    def _existing(self, ref: int | str) -> Cohort:
        cohort_id = row_id(ref)
        row = None if cohort_id is None else self._views.row("cohorts", cohort_id)
        if row is None or row["project_id"] != self.project_id:
            raise NotFound("Cohort", ref)
        return cohort_from_row(row)


def _run_name(cohort_id: int) -> str:
    return f"cohort:{cohort_id}"
