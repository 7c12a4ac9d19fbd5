"""Whatever is done to an action or a cohort: its state equals a dict, a replay of its stream, and what its row keeps."""

from __future__ import annotations

from functools import reduce

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.builders import a_record

from insightlog.application.views.definitions import action_from_row, action_row, cohort_from_row, cohort_row
from insightlog.domain import action, cohort
from insightlog.domain.errors import InvalidInput, NotFound
from insightlog.domain.events import Actor

texts = st.sampled_from(["", "a", "Paying"])
steps = st.lists(st.sampled_from([{"event": "a"}, {"url": "/x", "url_matching": "exact"}, {}]), max_size=2).map(tuple)
criteria = st.sampled_from([None, {}, {"properties": {"type": "AND", "values": []}}, {"properties": {"type": "OR"}}])
groups = st.sampled_from([(), ({"properties": [{"key": "a", "value": 1}]},)])
ACTIONS = {"name": st.none() | texts, "description": texts, "steps": steps, "post_to_slack": st.booleans(),
           "deleted": st.booleans(), "tags": st.sampled_from([(), ("B ", "a")])}  # fmt: skip
COHORTS = {"name": st.none() | texts, "description": texts, "filters": criteria, "groups": groups,
           "deleted": st.booleans()}  # fmt: skip
DISTINCT_IDS = st.lists(st.sampled_from(["ann", "bob", "cid"]), min_size=1, max_size=3)


class Machine(RuleBasedStateMachine):
    """One stream, a state folded event by event, and a dict."""

    def begin(self, model):
        self.records, self.state, self.model = [], None, model

    def append(self, events, stream, evolve):
        for event in events:
            place = len(self.records) + 1
            self.records.append(a_record(event, stream=stream, version=place, position=place, by=Actor(3)))
            self.state = evolve(self.state, self.records[-1])


class ActionMachine(Machine):
    @initialize(given=st.fixed_dictionaries({}, optional=ACTIONS))
    def create(self, given):
        self.begin({"name": None, "description": "", "steps": (), "post_to_slack": False, "deleted": False, "tags": ()})
        self.append(action.decide_creation(action.ActionFields(**given)), "action:7", action.evolve_action)
        self.model |= self.cleaned(given)

    @rule(given=st.fixed_dictionaries({}, optional=ACTIONS))
    def edit(self, given):
        fields = action.ActionFields(**given)
        if self.model["deleted"] and given.get("deleted") is not False:
            with pytest.raises(NotFound):
                action.decide_edit(self.state, fields)
            return
        self.append(action.decide_edit(self.state, fields), "action:7", action.evolve_action)
        self.model |= self.cleaned(given)
        assert self.state.deleted or action.decide_edit(self.state, fields) == ()

    @rule(name=st.sampled_from([5, "x" * 401, "\0"]))
    def a_wrong_name_changes_nothing(self, name):
        with pytest.raises(InvalidInput) as refused:
            action.decide_edit(self.state, action.ActionFields(name=name, deleted=False))
        assert refused.value.path == "name"

    def cleaned(self, given):
        found = {**given}
        if "tags" in found:
            found["tags"] = tuple(sorted(tag.strip().lower() for tag in found["tags"]))
        if "steps" in found:
            found["steps"] = action.check_steps(found["steps"])
        return found

    @invariant()
    def state_is_the_dict_and_the_replay_and_the_row(self):
        assert {field: getattr(self.state, field) for field in self.model} == self.model
        assert reduce(action.evolve_action, self.records, None) == self.state
        assert action_from_row(action_row(self.state).row) == self.state


class CohortMachine(Machine):
    @initialize(given=st.fixed_dictionaries({}, optional=COHORTS), is_static=st.booleans())
    def create(self, given, is_static):
        self.begin({"name": None, "description": "", "filters": None, "groups": (), "deleted": False})
        self.listed = set()
        fields = cohort.CohortFields(**given, is_static=is_static)
        self.append(cohort.decide_creation(fields), "cohort:7", cohort.evolve_cohort)
        self.model |= self.cleaned(given)

    @rule(given=st.fixed_dictionaries({}, optional=COHORTS))
    def edit(self, given):
        fields, before = cohort.CohortFields(**given), self.state
        if self.model["deleted"] and given.get("deleted") is not False:
            with pytest.raises(NotFound):
                cohort.decide_edit(self.state, fields)
            return
        self.append(cohort.decide_edit(self.state, fields), "cohort:7", cohort.evolve_cohort)
        if given.get("groups") and "filters" not in given:
            self.model["filters"] = None
        self.model |= self.cleaned(given)
        has_changed = (before.filters, before.groups) != (self.state.filters, self.state.groups)
        assert (self.state.members_version > before.members_version) is has_changed

    @rule(names=DISTINCT_IDS, adds=st.booleans())
    def change_the_list(self, names, adds):
        if self.model["deleted"] or not self.state.is_static:
            with pytest.raises((NotFound, InvalidInput)):
                cohort.decide_listing(self.state, names, adds=adds)
            return
        events = cohort.decide_listing(self.state, names, adds=adds)
        self.append(events, "cohort:7", cohort.evolve_cohort)
        assert self.state.members_version == self.state.version

    def cleaned(self, given):
        return {**given, **({"filters": given["filters"] or None} if "filters" in given else {})}

    @invariant()
    def state_is_the_dict_and_the_replay_and_the_row(self):
        assert {field: getattr(self.state, field) for field in self.model} == self.model
        assert reduce(cohort.evolve_cohort, self.records, None) == self.state
        assert cohort_from_row(cohort_row(self.state).row) == self.state


TestAction, TestCohort = ActionMachine.TestCase, CohortMachine.TestCase
TestAction.settings = TestCohort.settings = settings(max_examples=40, stateful_step_count=15, deadline=None)


def test_long_lists_become_several_events_of_one_append():
    created = reduce(cohort.evolve_cohort, [a_record(cohort.CohortCreated(is_static=True), stream="cohort:7")], None)
    events = cohort.decide_listing(created, [f"u{number}" for number in range(cohort.NAMES_PER_EVENT + 1)], adds=True)
    assert [len(event.distinct_ids) for event in events] == [cohort.NAMES_PER_EVENT, 1]


def test_what_is_known_of_members_is_the_last_success_and_the_failures_since():
    happened = [
        cohort.CohortCalculated(5, 1), cohort.CohortCalculationFailed("no", 2), cohort.CohortCalculationFailed("no", 2),
    ]  # fmt: skip
    records = [a_record(event, stream="cohort-calculations:7", version=place) for place, event in enumerate(happened)]
    found = reduce(cohort.evolve_calculation, records, cohort.Calculation())
    assert (found.count, found.of_version, found.n_errors, found.error) == (5, 2, 2, "no")
    assert cohort.evolve_calculation(found, a_record(cohort.CohortCalculated(6, 3))).n_errors == 0
