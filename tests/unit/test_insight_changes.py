"""What differs between versions of an insight, and what of it can be undone."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.builders import a_record

from insightlog.domain.events import Actor
from insightlog.domain.insight import decide, evolve_insight, replay_insight
from insightlog.domain.insight_changes import field_changes, undoing, value_of, version_changes
from insightlog.domain.insight_commands import CreateInsight, Definition, EditInsight, SetBack

INES, OMAR = Actor(1), Actor(2)


class Stream:
    """One insight's records, as commands of several actors append them."""

    def __init__(self, by=INES, **fields):
        self.records, self.state, self.ends = [], None, []
        self.append(decide(None, CreateInsight("abcdefgh", Definition(**fields))), by)

    def append(self, events, by):
        for event in events:
            version = len(self.records) + 1
            record = a_record(event, stream="insight:1", version=version, position=version, by=by, project_id=1)
            self.records.append(record)
            self.state = evolve_insight(self.state, record)
        self.ends.append(len(self.records))

    def edit(self, by, **fields):
        self.append(decide(self.state, EditInsight(Definition(**fields))), by)

    def undoing(self, by):
        return undoing(version_changes(self.records), lambda record: record.by == by)


def test_changes_name_field_before_and_after():
    stream = Stream(name="a", tags=("x",))
    stream.edit(OMAR, name="b", favorited=True)
    changes = [[(one.field, one.before, one.after) for one in each.changes] for each in version_changes(stream.records)]
    assert changes == [
        [("name", None, "a"), ("tags", None, ["x"]), ("saved", None, True)],
        [("name", "a", "b")],
        [("favorited", False, True)],
    ]


def test_what_one_actor_did_is_undone_where_nobody_came_after():
    stream = Stream(name="a", description="one")
    stream.edit(OMAR, name="b", description="two")
    stream.edit(OMAR, name="c")
    stream.edit(INES, description="three")
    found = stream.undoing(OMAR)
    assert found.values == {"name": "a"}
    assert [(one.field, one.by) for one in found.conflicts] == [("description", INES)]


def test_an_insight_that_was_made_by_mistake_is_deleted_unless_others_changed_it():
    stream = Stream(by=OMAR, name="a")
    stream.edit(OMAR, name="b")
    assert stream.undoing(OMAR).values == {"deleted": True}
    stream.edit(INES, favorited=True)
    found = stream.undoing(OMAR)
    assert found.values == {"name": "a"}
    assert [(one.field, one.by) for one in found.conflicts] == [("deleted", INES)]


EDITS = st.lists(
    st.tuples(
        st.sampled_from([INES, OMAR]),
        st.fixed_dictionaries(
            {},
            optional={
                "name": st.sampled_from([None, "a", "b"]),
                "description": st.sampled_from([None, "x"]),
                "tags": st.sampled_from([(), ("t",), ("t", "u")]),
                "favorited": st.booleans(),
                "saved": st.booleans(),
                "order": st.sampled_from([None, 1]),
                "deleted": st.booleans(),
                "dashboards": st.sampled_from([(), (1,), (1, 2)]),
                "query": st.sampled_from([None, {"kind": "HogQLQuery"}]),
            },
        ),
    ),
    max_size=8,
)


def edited(edits):
    stream = Stream(name="start")
    for by, fields in edits:
        if not stream.state.deleted or fields.get("deleted") is False:
            stream.edit(by, **fields)
    return stream


@settings(max_examples=60, deadline=None)
@given(EDITS, st.integers(0, 30))
def test_any_version_can_be_gone_back_to_and_back_again(edits, place):
    stream = edited(edits)
    then = replay_insight(stream.records[: stream.ends[place % len(stream.ends)]])  # amid an edit nobody has seen it
    for goal in (then, stream.state):
        values = {field: value_of(goal, field) for field in ("name", "description", "deleted", "favorited", "query")}
        values |= {"tags": goal.tags, "dashboards": goal.dashboards, "saved": goal.saved, "order": goal.order}
        stream.append(decide(stream.state, SetBack(values, goal.version)), OMAR)
        assert all(one.field == "dashboards" for one in field_changes(goal, stream.state))
        assert set(goal.dashboards) == set(stream.state.dashboards)


@settings(max_examples=60, deadline=None)
@given(EDITS)
def test_undoing_everything_of_one_actor_leaves_no_field_of_theirs_but_conflicts(edits):
    stream = edited(edits)
    found = stream.undoing(OMAR)
    changes_of = defaultdict(list)
    for one in version_changes(stream.records):
        for change in one.changes:
            changes_of[change.field].append((one.record.by, change))
    theirs = {field for field, changes in changes_of.items() if changes[-1][0] == OMAR}
    assert set(found.values) == theirs
    for field in theirs:
        changes = changes_of[field]
        while changes and changes[-1][0] == OMAR:
            _, first = changes.pop()
        assert found.values[field] == first.before
