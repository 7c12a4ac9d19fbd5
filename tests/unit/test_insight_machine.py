"""Whatever is done to an insight, in whatever order: its state equals a dict and a replay of its stream."""

from __future__ import annotations

from datetime import timedelta

import pytest
from attrs import evolve
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.builders import NOW, a_record

from insightlog.domain.errors import InvalidInput, NotFound
from insightlog.domain.events import Actor
from insightlog.domain.insight import decide, replay_insight, stream_of
from insightlog.domain.insight_commands import CreateInsight, Definition, EditInsight
from insightlog.domain.sharing import ConfigureSharing, SharePatch

texts = st.none() | st.sampled_from(["", "a", "Weekly signups", "x" * 400])
tags = st.lists(st.sampled_from(["a", "B", " b ", "growth", ""]), max_size=4).map(tuple)
queries = st.none() | st.sampled_from([{"kind": "TrendsQuery", "series": []}, {"kind": "HogQLQuery", "query": "1"}])
FIELDS = {
    "name": texts,
    "derived_name": texts,
    "description": texts,
    "query": queries,
    "filters": st.sampled_from([{}, {"events": [{"id": "x"}]}]),
    "order": st.none() | st.integers(-5, 5),
    "tags": tags,
    "favorited": st.booleans(),
    "saved": st.booleans(),
}
definitions = st.fixed_dictionaries({}, optional=FIELDS)
DEFAULTS = {
    "name": None, "derived_name": None, "description": None, "query": None, "filters": {}, "order": None, "tags": (),
    "favorited": False, "saved": True, "deleted": False,
}  # fmt: skip
MATERIAL = {"name", "description", "query", "filters"}


class InsightMachine(RuleBasedStateMachine):
    """One insight, two users, a clock that moves, and a dict that says what must be true."""

    @initialize(given=definitions, user=st.sampled_from([1, 2]))
    def create(self, given, user):
        self.records, self.state, self.at = [], None, NOW
        self.append(decide(None, CreateInsight("abcdefgh", Definition(**given))), user)
        self.model = {**DEFAULTS, **cleaned(given)}
        self.times = {"created_at": NOW, "updated_at": NOW, "last_modified_at": NOW, "last_modified_by": user}
        self.sharing = None

    @rule(given=definitions, user=st.sampled_from([1, 2]))
    def edit(self, given, user):
        self.change(given, user)

    @rule(given=definitions, user=st.sampled_from([1, 2]))
    def delete(self, given, user):
        self.change({**given, "deleted": True}, user)

    @rule(given=definitions, user=st.sampled_from([1, 2]))
    def restore(self, given, user):
        self.change({**given, "deleted": False}, user)

    @rule(given=definitions)
    def edit_that_may_not_restore(self, given):
        command = EditInsight(Definition(**given, deleted=False), may_restore=False)
        if self.model["deleted"]:
            with pytest.raises(NotFound):
                decide(self.state, command)

    @rule(field=st.sampled_from(["name", "derived_name", "description"]))
    def a_text_that_is_too_long_changes_nothing(self, field):
        if not self.model["deleted"]:
            with pytest.raises(InvalidInput) as caught:
                decide(self.state, EditInsight(Definition(**{field: "x" * 401})))
            assert (caught.value.path, caught.value.code) == (field, "max_length")

    @rule(enabled=st.booleans() | st.none(), legend=st.booleans() | st.none())
    def share(self, enabled, legend):
        command = ConfigureSharing(SharePatch(enabled=enabled, settings={"legend": legend, "odd": 1}), "token-hash")
        if self.model["deleted"]:
            with pytest.raises(NotFound):
                decide(self.state, command)
            return
        before = self.sharing or {"enabled": False, "created_at": self.at}
        self.append(decide(self.state, command), 1)
        self.sharing = {
            "enabled": before["enabled"] if enabled is None else enabled,
            "created_at": before["created_at"],
            "settings": {} if legend is None else {"legend": legend},
        }

    @rule(seconds=st.integers(1, 100_000))
    def time_passes(self, seconds):
        self.at += timedelta(seconds=seconds)

    @invariant()
    def live_state_equals_the_dict(self):
        for field, value in {**self.model, **self.times}.items():
            assert getattr(self.state, field) == value, field
        if self.sharing is None:
            assert self.state.sharing is None
        else:
            assert self.state.sharing.created_at == self.sharing["created_at"]
            assert self.state.sharing.state.enabled is self.sharing["enabled"]
            assert self.state.sharing.state.settings == self.sharing["settings"]
            assert self.state.sharing.state.token_sha256 == "token-hash"

    @invariant()
    def live_state_equals_a_replay(self):
        assert replay_insight(self.records) == self.state

    def change(self, given, user):
        command = EditInsight(Definition(**given))
        if self.model["deleted"] and given.get("deleted") is not False:
            with pytest.raises(NotFound):
                decide(self.state, command)
            return
        self.append(decide(self.state, command), user)
        self.model.update({"saved": True, **cleaned(given)})
        self.times["updated_at"] = self.at
        if given.keys() & MATERIAL:
            self.times |= {"last_modified_at": self.at, "last_modified_by": user}

    def append(self, events, user):
        assert events, "an accepted command leaves at least one event"
        for event in events:
            record = a_record(
                event,
                position=len(self.records) + 1,
                version=len(self.records) + 1,
                stream=stream_of(7),
                at=self.at,
                by=Actor(user),
            )
            self.records.append(record)
            self.state = replay_insight([record], self.state)


def cleaned(given):
    values = dict(given)
    if "tags" in values:
        values["tags"] = tuple(sorted({tag.strip().lower() for tag in values["tags"]} - {""}))
    return values


TestInsight = InsightMachine.TestCase
TestInsight.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_an_edit_of_nothing_is_still_a_save():
    created = replay_insight([a_record(decide(None, CreateInsight("abcdefgh", Definition(name="x")))[0])])
    later = NOW + timedelta(hours=1)
    for given, material in (({}, False), ({"name": "x"}, True), ({"favorited": False}, False)):
        (event,) = decide(created, EditInsight(Definition(**given)))
        after = replay_insight([a_record(event, version=2, at=later, by=Actor(9))], created)
        expected = {"last_modified_at": later, "last_modified_by": 9} if material else {}
        assert after == evolve(created, version=2, updated_at=later, **expected)
