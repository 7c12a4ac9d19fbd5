"""Answers the questions of recorded cases about what a filter, an action or a cohort matches."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from of_2023.filters import parsed, simplified

from insightlog.adapters.storage.duckdb.store import DuckDBStore
from insightlog.application.calculation import calculate
from insightlog.application.query_context import QueryContext
from insightlog.application.query_nodes import structure
from insightlog.domain.errors import InvalidQuery
from insightlog.domain.queries.actions import action_condition
from insightlog.domain.queries.actors import ProfilesPlan
from insightlog.domain.queries.cohorts import cohort_people, criteria_condition, criteria_of_groups, negations
from insightlog.domain.queries.legacy import filters_to_query
from insightlog.domain.queries.legacy_properties import clean_properties
from insightlog.domain.queries.matching import MatchingEventsPlan, MatchingPersonsPlan
from insightlog.domain.queries.nodes import PropertyGroup
from insightlog.domain.queries.plan import AllOf, Condition, Members, PersonsWhere
from insightlog.domain.queries.properties import condition
from insightlog.domain.queries.scope import ActionMeaning, action_step

LIMIT = 10_000
DEADLINE_S = 30


class Filtering:
    """The part of a case's questions that is about matching."""

    def __init__(self, store: DuckDBStore) -> None:
        self._store = store
        self._project = 1000
        self.fixtures: dict[str, Any] = {}

    def answers(self) -> dict[str, Callable[[Any, QueryContext], Any]]:
        return {
            "events_matching": self._events,
            "events_matching_action": self._of_action,
            "events_matching_step": self._of_step,
            "persons_matching": self._persons,
            "cohort_persons": self._cohort_persons,
            "cohort_members": self._members,
            "cohort_properties": self._cohort_properties,
            "cohort_negation_check": lambda query, _: dict(
                zip(("has_pending_negation", "has_primary_clause"), negations(query), strict=True)
            ),
            "match_property": self._match_property,
            "parse_filter": lambda query, _: parsed(query),
            "simplify_filter": self._simplified,
            "breakdown_values": self._breakdown_values,
        }

    def _events(self, query: dict[str, Any], context: QueryContext) -> Any:
        matches = _condition(query.get("properties"), context)
        if query.get("filter_test_accounts"):
            matches = AllOf((matches, _condition(list(context.test_account_filters), context)))
        events = query.get("events") or [{"id": None}]
        return self._matching(events[0]["id"], matches, context)

    def _of_action(self, query: dict[str, Any], context: QueryContext) -> Any:
        event, matches = action_condition(context.scope.actions[query["action"]], context.scope)
        return self._matching(event, matches, context)

    def _of_step(self, query: dict[str, Any], context: QueryContext) -> Any:
        step = ActionMeaning(0, None, (action_step(query["step"]),))
        return self._matching(*action_condition(step, context.scope), context)

    def _matching(self, event: str | None, matches: Condition, context: QueryContext) -> Any:
        plan = MatchingEventsPlan(context.project_id, event, matches, LIMIT)
        names = ("id", "event", "distinct_id", "timestamp", "properties")
        rows = [dict(zip(names, row, strict=True)) for row in self._store.run(plan, deadline_s=DEADLINE_S)]
        given = "$process_person_profile"
        return [
            row
            | {"id": str(row["id"]), "timestamp": row["timestamp"].isoformat()}
            | {"properties": {key: value for key, value in json.loads(row["properties"]).items() if key != given}}
            for row in rows
        ]

    def _persons(self, query: dict[str, Any], context: QueryContext) -> Any:
        matches = _condition(query.get("properties"), context, kind="person")
        profiles = self._profiles(MatchingPersonsPlan(context.project_id, PersonsWhere(matches), LIMIT))
        return [
            {"uuid": one.uuid, "properties": dict(one.properties), "distinct_ids": list(one.distinct_ids)}
            for one in profiles
        ]

    def _profiles(self, plan: MatchingPersonsPlan) -> Any:
        ids = [person for (person,) in self._store.run(plan, deadline_s=DEADLINE_S)]
        found = self._store.run(ProfilesPlan(plan.project_id, tuple(ids), None), deadline_s=DEADLINE_S)
        by_id = {profile.actor: profile for profile in found}
        return [by_id[person] for person in ids]

    def _cohort_persons(self, query: dict[str, Any], context: QueryContext) -> Any:
        matches = criteria_condition(query["properties"], context.scope, "properties")
        profiles = self._profiles(MatchingPersonsPlan(context.project_id, PersonsWhere(matches), LIMIT))
        return [one.uuid for one in profiles]

    def _members(self, query: dict[str, Any], context: QueryContext) -> Any:
        profiles = self._profiles(MatchingPersonsPlan(context.project_id, Members(query["cohort"]), LIMIT))
        return [one.uuid for one in profiles]

    def _cohort_properties(self, query: dict[str, Any], context: QueryContext) -> Any:
        del context
        cohort = next(one for one in self.fixtures["cohorts"] if one["id"] == query["cohort"])
        return criteria_of_groups(cohort["groups"])

    def _match_property(self, query: dict[str, Any], context: QueryContext) -> bool:
        """Judge by a person of a project of its own that has the properties."""
        leaf, properties = query["property"], query["properties"]
        if leaf["key"] not in properties:
            raise InvalidQuery("The property is not there to be judged.")
        self._project += 1
        self._store._file.opened().execute(
            "INSERT INTO persons VALUES (?, ?, uuid(), '2020-01-01', false, ?, '2020-01-01')",
            [self._project, -self._project, json.dumps(properties)],
        )
        matches = _condition([leaf | {"type": "person"}], context)
        plan = MatchingPersonsPlan(self._project, PersonsWhere(matches), LIMIT)
        return bool(self._store.run(plan, deadline_s=DEADLINE_S))

    def _simplified(self, query: dict[str, Any], context: QueryContext) -> Any:
        settings = self.fixtures["request"].get("settings", {})
        return simplified(
            query,
            context.scope,
            context.test_account_filters,
            is_precalculated=bool(settings.get("USE_PRECALCULATED_CH_COHORT_PEOPLE")),
        )

    def _breakdown_values(self, query: dict[str, Any], context: QueryContext) -> Any:
        """The values that a breakdown shows are those of a table of totals."""
        request = self.fixtures["request"]
        entity = request["entity"]
        asked = {name: value for name, value in query.items() if name not in {"events", "actions", "insight"}}
        asked |= {"insight": "TRENDS", "display": "ActionsTable", entity["type"]: [{"order": 0, **entity}]}
        asked["breakdown_hide_other_aggregation"] = True
        rows = calculate(filters_to_query(asked), context=context, store=self._store)["results"]
        rows = sorted(rows, key=lambda row: str(row["breakdown_value"]), reverse=True)
        values = [row["breakdown_value"] for row in sorted(rows, key=lambda row: -row["aggregated_value"])]
        return [float(one) for one in values] if query.get("breakdown_type") == "session" else values

    def calculate(self, cohort_id: int, context: QueryContext) -> None:
        """Calculate a cohort's members and keep them."""
        people = cohort_people(cohort_id, context.scope, "cohort")
        self._store.keep_members(context.project_id, cohort_id, people, deadline_s=DEADLINE_S)


def _condition(properties: Any, context: QueryContext, kind: str = "event") -> Condition:
    cleaned = clean_properties(properties)
    if cleaned is None:
        return AllOf()
    typed = _typed(cleaned, kind)
    return condition(structure(typed, PropertyGroup, "properties"), path="properties", scope=context.scope)


def _typed(value: dict[str, Any], kind: str) -> dict[str, Any]:
    if "values" in value and value.get("type") in ("AND", "OR"):
        return value | {"values": [_typed(one, kind) for one in value["values"]]}
    return {"type": kind} | value
