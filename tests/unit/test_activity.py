"""Which entry a change leaves in the activity log (insights-api.md section 5)."""

from __future__ import annotations

import pytest
from tests.builders import a_record

from insightlog.domain.activity import insight_entry
from insightlog.domain.insight import decide, replay_insight
from insightlog.domain.insight_commands import CreateInsight, Definition, EditInsight
from insightlog.domain.sharing import ConfigureSharing, SharePatch


def an_insight(**fields):
    return replay_insight([a_record(decide(None, CreateInsight("abcdefgh", Definition(**fields)))[0])])


def entry_of(before, **changes):
    records = [
        a_record(event, position=5 + n, version=2 + n)
        for n, event in enumerate(decide(before, EditInsight(Definition(**changes))))
    ]
    return insight_entry(before, replay_insight(records, before), records)


def test_create_with_a_name_is_an_entry_without_changes():
    record = a_record(decide(None, CreateInsight("abcdefgh", Definition(derived_name="Derived")))[0])
    entry = insight_entry(None, replay_insight([record]), [record])
    assert (entry.activity, entry.changes, entry.name) == ("created", None, "Derived")


def test_create_without_any_name_leaves_no_entry():
    record = a_record(decide(None, CreateInsight("abcdefgh", Definition(name="")))[0])
    assert insight_entry(None, replay_insight([record]), [record]) is None


@pytest.mark.parametrize(
    ("before", "changes", "action", "shown"),
    [
        ({"description": None}, {"description": "d"}, "created", (None, "d")),
        ({"description": "d"}, {"description": ""}, "deleted", ("d", None)),
        ({"description": "d"}, {"description": "e"}, "changed", ("d", "e")),
        ({"favorited": False}, {"favorited": True}, "changed", (False, True)),
        ({"tags": ()}, {"tags": ("web", "Growth")}, "changed", ([], ["growth", "web"])),
        ({"tags": ("a",)}, {"tags": ()}, "changed", (["a"], [])),
        ({}, {"query": {"kind": "TrendsQuery"}}, "created", (None, {"kind": "TrendsQuery"})),
        ({"filters": {"a": 1}}, {"filters": {}}, "deleted", ({"a": 1}, None)),
    ],
)
def test_change_objects(before, changes, action, shown):
    entry = entry_of(an_insight(name="n", **before), **changes)
    ((field,),) = (changes.keys(),)
    expected = {"type": "Insight", "action": action, "field": field, "before": shown[0], "after": shown[1]}
    assert (entry.activity, entry.changes) == ("updated", [expected])


@pytest.mark.parametrize("changes", [{}, {"name": "n"}, {"order": 4}, {"saved": False}, {"description": ""}])
def test_untracked_or_equal_values_leave_no_entry(changes):
    assert entry_of(an_insight(name="n"), **changes) is None


def test_delete_and_restore_have_their_own_verbs_and_list_other_changes_too():
    live = an_insight(name="n")
    deleted = entry_of(live, deleted=True, tags=("a",))
    assert deleted.activity == "deleted"
    assert [change["field"] for change in deleted.changes] == ["tags", "deleted"]
    gone = replay_insight(
        [a_record(event, version=2) for event in decide(live, EditInsight(Definition(deleted=True)))], live
    )
    restored = entry_of(gone, deleted=False)
    assert restored.activity == "restored"
    assert [(one["before"], one["after"]) for one in restored.changes] == [(True, False)]


@pytest.mark.parametrize(("enabled", "verb"), [(True, "sharing enabled"), (False, "sharing disabled")])
def test_every_sharing_change_is_an_entry_even_without_a_name(enabled, verb):
    before = an_insight()
    events = decide(before, ConfigureSharing(SharePatch(enabled=enabled), "hash"))
    records = [a_record(event, version=2) for event in events]
    entry = insight_entry(before, replay_insight(records, before), records)
    assert (entry.activity, entry.name, entry.short_id) == (verb, None, "abcdefgh")
    assert entry.changes == [
        {"type": "Insight", "action": "changed", "field": "sharing", "before": None, "after": enabled}
    ]
