"""Puts the persons, groups, events and definitions of a recorded case into the product, step by step.

Events go through the capture log. Persons arise from events as they always do (`$set`, merges); the uuids and creation
times that a case gives them, which no client can choose, are then written over what the product chose.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from attrs import evolve

from insightlog.adapters.storage.duckdb._tables import transaction
from insightlog.adapters.storage.duckdb.store import DuckDBStore
from insightlog.application.calculation import QueryContext
from insightlog.application.product_ports import CaptureLog
from insightlog.domain.elements import chain_of
from insightlog.domain.product_event import ProductEvent
from insightlog.domain.queries.cohorts import criteria_of_groups
from insightlog.domain.queries.scope import ActionMeaning, CohortMeaning, PathRule, Scope, action_step

Calculate = Callable[[int, QueryContext], None]
CLOCK = datetime(2023, 11, 2, 12, tzinfo=UTC)
LONG_AGO = "1990-01-01T00:00:00Z"
"""When the events that make persons happened; they are taken out again before a question is asked."""


class World:
    """What the store knows of one case so far."""

    def __init__(self, store: DuckDBStore, log: CaptureLog) -> None:
        self._store = store
        self._log = log
        self._n_steps = 0
        self._cohorts: dict[int, CohortMeaning] = {}
        self._owned: set[tuple[int, str]] = set()
        self._n_moments = 0
        self._given: list[tuple[int, str, datetime, dict[str, Any]]] = []
        """Stored properties: project, distinct id, when the event came in, properties."""

    def advance(self, fixtures: dict[str, Any], context: QueryContext, calculate: Calculate) -> None:
        """Take over the steps that came since the last question; `calculate` keeps the members of a cohort."""
        history = fixtures["history"]
        for step in history[self._n_steps :]:
            created = step.get("create", {})
            self._make_persons(created.get("persons", ()))
            self._make_overrides(created.get("person_overrides", ()))
            self._make_groups(created)
            for cohort in created.get("cohorts", ()):
                self._cohorts[cohort["id"]] = cohort_meaning(cohort)
            self._capture(created.get("events", ()))
            if "calculate_cohort" in step:
                self._store.drain()
                then = evolve(context.definitions, cohorts=dict(self._cohorts))
                calculate(step["calculate_cohort"], evolve(context, definitions=then))
        self._n_steps = len(history)
        self._store.drain()
        self._keep_stored_properties()

    @contextmanager
    def of_persons(self, context: QueryContext) -> Iterator[None]:
        """Leave out the events of distinct ids that nobody owns, where events do not carry their persons."""
        if context.definitions.persons_mode != "joined" or context.definitions.aggregates_by_distinct_id:
            yield
            return
        team, aside = context.project_id, -context.project_id
        owned = [name for owner, name in self._owned if owner == team]
        move = "UPDATE events SET project_id = ? WHERE project_id = ? AND NOT list_contains(?::VARCHAR[], distinct_id)"
        self._sql(move, aside, team, owned)
        try:
            yield
        finally:
            self._sql(move, team, aside, owned)

    def _capture(self, events: Sequence[dict[str, Any]]) -> None:
        """Capture events; each a moment after the one before where some have stored properties of their own."""
        have_own = any("person_properties" in event or event.get("orphan") for event in events)
        for team, some in groupby(events, lambda event: event.get("team", 1)):
            for together in ([event] for event in some) if have_own else [list(some)]:
                known_at = self._next_moment()
                self._log.append(team, [self._product_event(event) for event in together], captured_at=known_at)
                for event in together:
                    given = {} if event.get("orphan") else event.get("person_properties")
                    if given is not None:
                        self._given.append((team, str(event["distinct_id"]), known_at, given))

    def _next_moment(self) -> datetime:
        self._n_moments += 1
        return CLOCK + self._n_moments * timedelta(microseconds=2)

    def _keep_stored_properties(self) -> None:
        """Write what events were given as the properties of their person, until the next event of that person."""
        for team, name, known_at, properties in self._given:
            ids = self._sql("SELECT person_id FROM distinct_ids WHERE project_id = ? AND distinct_id = ?", team, name)
            for (person_id,) in ids:
                before = self._sql(
                    "SELECT properties FROM person_versions WHERE person_id = ? AND moment <= ? ORDER BY moment DESC",
                    person_id, _moment(known_at),
                )  # fmt: skip
                self._keep_version(team, person_id, known_at, json.dumps(properties))
                later = known_at + timedelta(microseconds=1)
                self._keep_version(team, person_id, later, before[0][0] if before else "{}")
        self._given.clear()

    def _keep_version(self, team: int, person_id: int, known_at: datetime, properties: str) -> None:
        self._sql("INSERT INTO person_versions VALUES (?, ?, ?, ?)", team, person_id, _moment(known_at), properties)

    def _make_persons(self, persons: Any) -> None:
        for team, some in groupby(persons, lambda person: person.get("team", 1)):
            self._log.append(team, [event for one in some for event in self._merges(team, one)], captured_at=CLOCK)
        if persons:
            self._store.drain()
            self._rewrite(persons)
            self._sql("DELETE FROM events WHERE timestamp < TIMESTAMP '1991-01-01'")

    def _merges(self, team: int, person: dict[str, Any]) -> Iterator[ProductEvent]:
        ids = [str(name) for name in person.get("distinct_ids") or ()]
        for name in ids:
            self._owned.add((team, name))
            properties = {"alias": name, "$set": {}}
            happened = {"event": "$merge_dangerously", "distinct_id": ids[0], "properties": properties}
            yield self._product_event(happened | {"timestamp": LONG_AGO})

    def _rewrite(self, persons: Sequence[dict[str, Any]]) -> None:
        owners = {
            (team, name): person_id
            for team, name, person_id in self._sql("SELECT project_id, distinct_id, person_id FROM distinct_ids")
        }
        rows, versions = {}, []
        for person in persons:
            team, ids = person.get("team", 1), person.get("distinct_ids") or ()
            person_id = owners[team, str(ids[0])] if ids else -person["id"]
            properties = json.dumps(person.get("properties") or {})
            versions.append((team, person_id, _moment(self._next_moment()), properties))
            rows[person_id] = (
                team, person_id, person["uuid"], _stored(person["created_at"]), bool(person.get("is_identified")),
                properties, CLOCK.replace(tzinfo=None),
            )  # fmt: skip
        connection = self._store._file.opened()
        with transaction(connection):
            self._sql("DELETE FROM persons WHERE person_id IN (SELECT unnest(?))", list(rows))
            self._sql(
                "DELETE FROM person_versions WHERE person_id IN (SELECT unnest(?)) AND properties = '{}'", list(rows)
            )
            connection.executemany("INSERT INTO person_versions VALUES (?, ?, ?, ?)", versions)
            connection.executemany("INSERT INTO persons VALUES (?, ?, ?, ?, ?, ?, ?)", list(rows.values()))

    def _make_overrides(self, overrides: Any) -> None:
        for one in overrides:
            self._sql(
                "DELETE FROM person_overrides WHERE project_id = ? "
                "AND old_person_id IN (SELECT person_id FROM persons WHERE project_id = ? AND uuid = ?)",
                one.get("team", 1), one.get("team", 1), one["old_person_id"],
            )  # fmt: skip
            self._sql(
                "INSERT INTO person_overrides SELECT old.project_id, old.person_id, new.person_id "
                "FROM persons AS old, persons AS new "
                "WHERE old.project_id = ? AND new.project_id = old.project_id AND old.uuid = ? AND new.uuid = ?",
                one.get("team", 1), one["old_person_id"], one["override_person_id"],
            )  # fmt: skip
            # Written past the intake, which remembers whether anybody was merged.
            self._store._file.at_work()[1].has_merges = True

    def _make_groups(self, created: dict[str, Any]) -> None:
        for one in created.get("group_types", ()):
            team, index = one.get("team", 1), one["group_type_index"]
            self._sql("DELETE FROM group_types WHERE project_id = ? AND group_type_index = ?", team, index)
            self._sql("INSERT INTO group_types VALUES (?, ?, ?)", team, index, one["group_type"])
        for one in created.get("groups", ()):
            key = (one.get("team", 1), one["group_type_index"], one["group_key"])
            self._sql("DELETE FROM groups WHERE project_id = ? AND group_type_index = ? AND group_key = ?", *key)
            created_at, properties = _stored(one["created_at"]), json.dumps(one.get("properties") or {})
            self._sql("INSERT INTO groups VALUES (?, ?, ?, ?, ?, ?)", *key, properties, created_at, created_at)

    def _product_event(self, event: dict[str, Any]) -> ProductEvent:
        properties = dict(event.get("properties") or {})
        if event.get("elements"):
            # The places of elements were 0 where they were not given.
            properties["$elements_chain"] = chain_of(
                [{"nth_child": 0, "nth_of_type": 0} | one for one in event["elements"]]
            )
        if (event.get("team", 1), str(event["distinct_id"])) not in self._owned and event["timestamp"] != LONG_AGO:
            properties["$process_person_profile"] = False
        return ProductEvent(
            uuid=uuid.UUID(event["uuid"]) if event.get("uuid") else uuid.uuid4(),
            event=event["event"],
            distinct_id=str(event["distinct_id"]),
            timestamp=instant(event["timestamp"]),
            properties=json.dumps(properties),
        )

    def _sql(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._store._file.opened().execute(query, list(values)).fetchall()


def context_of(fixtures: dict[str, Any], now: str) -> QueryContext:
    """Return what the case's question depends on beside the events: its project with actions, cohorts, settings."""
    request = fixtures["request"]
    wanted = request.get("team", 1)
    team = next((team for team in fixtures["teams"] if team["id"] == wanted), {})
    return QueryContext(
        project_id=wanted,
        now=instant(now or CLOCK.isoformat()),
        timezone=team.get("timezone") or "UTC",
        week_start_day=team.get("week_start_day") or 0,
        test_account_filters=tuple(team.get("test_account_filters") or ()),
        definitions=_definitions(fixtures, team, wanted),
    )


def _definitions(fixtures: dict[str, Any], team: dict[str, Any], wanted: int) -> Scope:
    settings = fixtures["request"].get("settings", {})
    mine = [action for action in fixtures["actions"] if action.get("team", 1) == wanted and not action.get("deleted")]
    by_distinct_id = str(settings.get("AGGREGATE_BY_DISTINCT_IDS_TEAMS", "")).split(",")
    mode = "joined"
    if settings.get("PERSON_ON_EVENTS_V2_OVERRIDE"):
        mode = "on_events"
    elif settings.get("PERSON_ON_EVENTS_ENABLED"):
        mode = "on_events_without_override"
    return Scope(
        actions={
            action["id"]: ActionMeaning(action["id"], action.get("name"), tuple(map(action_step, action["steps"])))
            for action in mine
        },
        cohorts={one["id"]: cohort_meaning(one) for one in fixtures["cohorts"] if one.get("team", 1) == wanted},
        path_rules=tuple(
            PathRule(rule["regex"], rule["alias"])
            for rule in team.get("path_cleaning_filters") or ()
            if "regex" in rule
        ),
        aggregates_by_distinct_id=str(wanted) in by_distinct_id,
        persons_mode=mode,
    )


def cohort_meaning(cohort: dict[str, Any]) -> CohortMeaning:
    """Return what a recorded cohort stands for."""
    filters, groups = cohort.get("filters"), cohort.get("groups")
    criteria = filters["properties"] if filters else criteria_of_groups(groups) if groups else None
    names = tuple(map(str, cohort.get("static_distinct_ids") or ()))
    return CohortMeaning(cohort["id"], cohort.get("name"), criteria, bool(cohort.get("is_static")), names)


def instant(text: str) -> datetime:
    """Return the instant of an ISO text, UTC when it has no offset."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _moment(known_at: datetime) -> int:
    """Return the moment of a version that counts for every event that came in then, however old."""
    return ((known_at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)) * 10**19


def _stored(text: str) -> datetime:
    return instant(text).astimezone(UTC).replace(tzinfo=None)
