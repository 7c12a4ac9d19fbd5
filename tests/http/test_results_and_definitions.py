"""Kept results go by what the names in a query stand for: settings of the project, actions, cohorts, property types."""

from __future__ import annotations

import pytest
from attrs import evolve
from tests.builders import TREND

from insightlog.application.computing import Asker
from insightlog.application.library import Insightlog
from insightlog.domain.queries.scope import ActionMeaning, ActionStep, CohortMeaning, Scope

from .conftest import Api


class Named:
    """Definitions of a project that tests change."""

    def __init__(self):
        self.scope = Scope()
        self.once = None
        """What is told the next time only."""
        self.action(1, "signed up")
        self.action(2, "left")

    def __call__(self, _project):
        told, self.once = self.once or self.scope, None
        return told

    def action(self, number, *events):
        steps = tuple(ActionStep(event) for event in events)
        self.scope = evolve(self.scope, actions={**self.scope.actions, number: ActionMeaning(number, "x", steps)})

    def cohort(self, number, plan):
        criteria = {"type": "AND", "values": [{"key": "plan", "type": "person", "value": plan}]}
        self.scope = evolve(self.scope, cohorts={**self.scope.cohorts, number: CohortMeaning(number, "c", criteria)})


@pytest.fixture
def names():
    return Named()


@pytest.fixture
def ask(log, names):
    """Asks a trend, waiting; returns its count and whether it was kept."""
    again = Insightlog(evolve(log.parts, definitions=names), share_secret="s")
    set_plan = {"$set": {"plan": "pro"}}
    again.project(1).capture(
        [
            {"event": "signed up", "distinct_id": "a", "properties": {**set_plan, "host": "internal"}},
            {"event": "signed up", "distinct_id": "b"},
            {"event": "left", "distinct_id": "a"},
        ]
    )

    def answer(**changed):
        found = again.project(1).query({**TREND, **changed})
        return found["results"][0]["count"], found["is_cached"]

    yield answer
    again.computing.close()


def test_a_changed_action_touches_the_results_that_use_it_and_no_others(ask, names):
    joined = [{"kind": "ActionsNode", "id": 1}]
    left = [{"kind": "ActionsNode", "id": 2}]
    assert [ask(series=joined), ask(series=left), ask()] == [(2, False), (1, False), (2, False)]
    names.action(1, "signed up", "left")
    assert [ask(series=joined), ask(series=left), ask()] == [(3, False), (1, True), (2, True)]
    names.action(1, "signed up")
    assert ask(series=joined) == (2, True)


def test_an_action_that_changes_while_its_query_waits_leaves_no_wrong_result_behind(ask, names):
    of_signups = names.scope
    names.action(1, "left")
    names.once = of_signups
    assert ask(series=[{"kind": "ActionsNode", "id": 1}]) == (1.0, False)
    names.scope = of_signups
    assert ask(series=[{"kind": "ActionsNode", "id": 1}]) == (2.0, False)
    names.action(1, "left")
    assert ask(series=[{"kind": "ActionsNode", "id": 1}]) == (1.0, True)


def test_a_changed_cohort_touches_the_results_that_use_it_and_no_others(ask, names):
    names.cohort(7, "pro")
    members = [{"key": "id", "type": "cohort", "value": 7}]
    assert [ask(properties=members), ask()] == [(1, False), (2, False)]
    names.cohort(7, "free")
    assert [ask(properties=members), ask()] == [(0, False), (2, True)]


def test_the_projects_test_accounts_are_left_out_and_their_filters_are_part_of_the_key(log, ask):
    internal = [{"key": "host", "value": "internal", "operator": "is_not", "type": "event"}]
    assert [ask(filterTestAccounts=True), ask()] == [(2, False), (2, False)]
    log.project(1).update(test_account_filters=internal)
    assert [ask(filterTestAccounts=True), ask()] == [(1, False), (2, True)]


def test_a_changed_time_zone_or_week_start_is_another_result(log, ask):
    assert ask() == (2, False)
    log.project(1).update(timezone="Asia/Tokyo")
    assert ask()[1] is False
    log.project(1).update(week_start_day=1)
    assert ask()[1] is False
    log.project(1).update(week_start_day=0, timezone="UTC")
    assert ask() == (2, True)


def test_tags_of_a_query_are_no_part_of_its_key_and_values_of_placeholders_are(log):
    def key(**more):
        query = {"kind": "HogQLQuery", "query": "select {tags}", **more}
        return log.computing.cache_key(log.project(1).info, query)

    assert key(tags={"scene": "a"}) == key(tags={"scene": "b"}) == key()
    assert key(values={"tags": "a"}) != key(values={"tags": "b"})


def test_callers_with_other_rights_and_other_projects_never_share_a_result(log):
    def is_cached(project=1, rights=""):
        return log.computing.answer(log.project(project).info, TREND, by=Asker(rights=rights))["is_cached"]

    asked = [{}, {"rights": "no email"}, {"rights": "no name"}, {"project": 2}]
    assert [is_cached(**one) for one in asked] == [False] * 4
    assert [is_cached(**one) for one in asked] == [True] * 4


def test_merges_and_properties_of_people_touch_the_results_that_read_them(log, ask):
    people = [{"kind": "EventsNode", "event": "signed up", "math": "dau"}]
    pro = [{"key": "plan", "value": "pro", "operator": "exact", "type": "person"}]
    asked = {"of events": {}, "of people": {"series": people}, "of properties": {"properties": pro}}

    def answers():
        return {name: ask(**query) for name, query in asked.items()}

    assert [count for count, _ in answers().values()] == [2, 2, 1]
    log.project(1).capture([{"event": "$set", "distinct_id": "b", "properties": {"$set": {"plan": "pro"}}}])
    assert answers() == {"of events": (2, True), "of people": (2, True), "of properties": (2, False)}
    log.project(1).capture([{"event": "$merge_dangerously", "distinct_id": "a", "properties": {"alias": "b"}}])
    assert answers() == {"of events": (2, True), "of people": (1, False), "of properties": (2, False)}
    assert {is_cached for _, is_cached in answers().values()} == {True}


def test_events_of_an_actions_steps_touch_its_results_and_others_do_not(log, ask):
    joined = [{"kind": "ActionsNode", "id": 1}]
    assert ask(series=joined) == (2, False)
    log.project(1).capture([{"event": "left", "distinct_id": "b"}])
    assert ask(series=joined) == (2, True)
    log.project(1).capture([{"event": "signed up", "distinct_id": "c"}])
    assert ask(series=joined) == (3, False)


def counts(api, node):
    answer = api.post("/query/", {"query": node}).json
    return answer["results"][0]["count"], answer["is_cached"]


def test_editing_an_action_over_http_touches_its_results(log, api):
    log.project(1).capture([{"event": name, "distinct_id": "a"} for name in ("signed up", "left", "left")])
    action = api.post("/actions/", {"name": "Joins", "steps": [{"event": "signed up"}]}).json
    other = api.post("/actions/", {"name": "Leaves", "steps": [{"event": "left"}]}).json
    asked = {**TREND, "series": [{"kind": "ActionsNode", "id": action["id"]}]}
    beside = {**TREND, "series": [{"kind": "ActionsNode", "id": other["id"]}]}
    assert [counts(api, asked), counts(api, beside)] == [(1, False), (2, False)]
    api.patch(f"/actions/{action['id']}/", {"steps": [{"event": "signed up"}, {"event": "left"}]})
    assert [counts(api, asked), counts(api, beside)] == [(3, False), (2, True)]


def test_editing_a_cohort_over_http_touches_its_results(log, api):
    events = [("a", "pro"), ("b", "free"), ("c", "free")]
    log.project(1).capture(
        {"event": "signed up", "distinct_id": who, "properties": {"$set": {"plan": plan}}} for who, plan in events
    )

    def of(plan):
        return {"properties": {"type": "AND", "values": [{"key": "plan", "type": "person", "value": plan}]}}

    dynamic = api.post("/cohorts/", {"name": "Members", "filters": of("pro")}).json
    listed = api.post("/cohorts/", {"name": "Listed", "is_static": True}).json
    dynamic_query, listed_query = (
        {**TREND, "properties": [{"key": "id", "type": "cohort", "value": one["id"]}]} for one in (dynamic, listed)
    )
    assert [counts(api, dynamic_query), counts(api, listed_query), counts(api, TREND)] == [
        (1, False), (0, False), (3, False),
    ]  # fmt: skip
    api.patch(f"/cohorts/{dynamic['id']}/", {"filters": of("free")})
    assert [counts(api, dynamic_query), counts(api, listed_query), counts(api, TREND)] == [
        (2, False), (0, True), (3, True),
    ]  # fmt: skip
    log.project(1).cohorts.add(listed["id"], ["a", "b"])
    assert [counts(api, dynamic_query), counts(api, listed_query), counts(api, TREND)] == [
        (2, True), (2, False), (3, True),
    ]  # fmt: skip


def test_a_visitor_of_a_share_can_force_a_calculation_every_half_hour(log, app, api, clock):
    log.project(1).capture([{"event": "signed up", "distinct_id": "a"}])
    path = f"/insights/{api.create(query=TREND)['id']}/"
    token = api.patch(f"{path}sharing/", {"enabled": True}).json["access_token"]
    visitor = Api(app, None)

    def look(**params):
        return visitor.get(path, params={"sharing_access_token": token, **params}).json

    first = look(refresh="true")
    assert (first["result"][0]["count"], first["is_cached"]) == (1, False)
    clock.forward(minutes=30)
    assert look(refresh="force_blocking")["is_cached"] is True
    clock.forward(seconds=1)
    again = look(refresh="force_blocking")
    assert (again["is_cached"], again["last_refresh"] > first["last_refresh"]) == (False, True)
    clock.forward(hours=7)
    assert (look()["query_status"], look(refresh="blocking")["is_cached"]) == (None, False)
