"""Persons as they arise from events, however these are cut into batches."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.builders import FrozenClock

import insightlog
from insightlog import InvalidInput
from insightlog.adapters.storage.duckdb.store import DuckDBStore
from insightlog.application.product_ports import captured_row
from insightlog.domain.person_changes import PersonEvent, Roster, person_uuid
from insightlog.domain.product_event import ProductEvent
from insightlog.domain.queries.scope import Scope
from insightlog.domain.queries.sql_plan import SqlPlan

START = datetime(2024, 3, 1, tzinfo=UTC)
NAMES = ("a", "b", "c", "d")


class Log:
    """A capture log of given rows, of which the first `shown` are acknowledged."""

    def __init__(self, events):
        self.rows = [captured_row(1, event, START + timedelta(hours=place)) for place, event in enumerate(events, 1)]
        self.shown = 0

    def position(self):
        return self.shown

    def read_rows(self, after, limit):
        return self.rows[after : min(self.shown, after + limit)]


def happened(place, event="view", who="a", minute=None, **properties):
    moment = START + timedelta(minutes=place if minute is None else minute)
    return ProductEvent(UUID(int=place + 1), event, who, moment, json.dumps(properties))


def load(events, cuts=()):
    """Return the store after loading the events in batches that end at the cuts."""
    log = Log(events)
    store = DuckDBStore(":memory:", log, threads=1)
    for cut in (*cuts, len(events)):
        log.shown = cut
        store.drain()
    return store


def persons(store):
    """Return what is known of the person of each distinct id."""
    rows = store._file.opened().execute(
        "SELECT distinct_id, uuid, created_at, is_identified, properties FROM distinct_ids"
        " LEFT JOIN persons USING (project_id, person_id)"
    )
    return {name: (uuid, at, known, text and json.loads(text)) for name, uuid, at, known, text in rows.fetchall()}


def owners(store):
    """Return which events share a person, merges applied: uuid of event -> uuid of person."""
    rows = store._file.opened().execute(
        "SELECT e.uuid, coalesce(o.person_id, e.person_id) FROM events e"
        " LEFT JOIN person_overrides o ON o.old_person_id = e.person_id"
    )
    by_person = {}
    for event, person in rows.fetchall():
        by_person.setdefault(person, set()).add(event)
    return sorted(sorted(map(str, group)) for group in by_person.values())


def merges(store):
    """Return which distinct ids became one person's, with the number of the hour at which that was known."""
    rows = store._file.opened().execute(
        "SELECT distinct_id, into_distinct_id, known_at FROM person_merges ORDER BY rowid"
    )
    start = START.replace(tzinfo=None)
    return [(merged, into, (at - start) // timedelta(hours=1)) for merged, into, at in rows.fetchall()]


values = st.dictionaries(st.sampled_from("xyz"), st.integers(0, 3), max_size=2)


@st.composite
def histories(draw):
    events = []
    for place in range(draw(st.integers(1, 9))):
        properties = {}
        for key in ("$set", "$set_once"):
            if draw(st.booleans()):
                properties[key] = draw(values)
        if draw(st.booleans()):
            properties["$unset"] = draw(st.lists(st.sampled_from("xyz"), max_size=1))
        if draw(st.integers(0, 3)) == 0:
            properties["$process_person_profile"] = False
        kind = draw(st.sampled_from(["view", "view", "$identify", "$create_alias", "$merge_dangerously"]))
        if kind != "view":
            properties["$anon_distinct_id" if kind == "$identify" else "alias"] = draw(st.sampled_from(NAMES))
        minute = draw(st.integers(0, 5))
        events.append(happened(place, kind, draw(st.sampled_from(NAMES)), minute, **properties))
    return events


@settings(max_examples=12, deadline=None)
@given(histories(), st.data())
def test_persons_do_not_depend_on_how_events_are_batched(events, data):
    cuts = sorted(data.draw(st.sets(st.integers(1, len(events)))))
    at_once, by_pieces = load(events), load(events, cuts)
    assert persons(at_once) == persons(by_pieces)
    assert owners(at_once) == owners(by_pieces)
    assert merges(at_once) == merges(by_pieces)


@settings(max_examples=12, deadline=None)
@given(histories(), st.data())
def test_merges_tell_the_persons_as_they_were_known_at_any_moment(events, data):
    """What was known after `n` events is what the merges until then connect, whatever came later."""
    n = data.draw(st.integers(1, len(events)))
    people = [{name} for name in NAMES]
    for merged, into, hour in merges(load(events)):
        if hour <= n:
            left = [one for one in people if merged in one or into in one]
            people = [one for one in people if one not in left] + [set().union(*left)]
    then = [(str(event.uuid), event.distinct_id) for event in events[:n]]
    expected = [sorted(uuid for uuid, who in then if who in one) for one in people]
    assert owners(load(events[:n])) == sorted(one for one in expected if one)


def test_a_merge_is_kept_with_its_instant_and_what_changes_nothing_is_none():
    events = [
        happened(0, who="anon"),
        happened(1, "$identify", "known", **{"$anon_distinct_id": "anon"}),
        happened(2, "$identify", "known", **{"$anon_distinct_id": "anon"}),
        happened(3, "$create_alias", "known", alias="other"),
        happened(4, who="third"),
        happened(5, "$identify", "third", **{"$anon_distinct_id": "known"}),
        happened(6, "$merge_dangerously", "third", alias="known"),
    ]
    assert merges(load(events)) == [("anon", "known", 2), ("other", "known", 4), ("known", "third", 7)]


def stored(store):
    """Return the properties that each event's person had when it came in: number of the event -> properties."""
    plan = SqlPlan(1, "select toString(uuid), poe.properties from events", "query", Scope())
    rows = store.run(plan, deadline_s=20).rows
    return {UUID(text).int - 1: json.loads(found or "{}") for text, found in rows}


def folded(events):
    """Return the same, told by folding one event after the other."""
    roster, found = Roster((), {}, 1), {}
    for place, event in enumerate(events):
        properties = json.loads(event.properties)
        has_profile = properties.get("$process_person_profile") is not False
        name = (1, event.distinct_id)
        roster.apply(PersonEvent(name, event.event, 0, place, has_profile, properties))
        found[place] = roster.persons[roster.owner(name)].properties
    return found


@settings(max_examples=12, deadline=None)
@given(histories(), st.data())
def test_properties_as_stored_with_events_are_those_of_the_moment_they_came_in(events, data):
    assert stored(load(events, range(1, len(events)))) == folded(events)
    apart = [event for event in events if event.event == "view"]
    if apart:
        cuts = sorted(data.draw(st.sets(st.integers(1, len(apart)))))
        assert stored(load(apart, cuts)) == stored(load(apart))


def test_a_query_sees_properties_as_stored_when_it_asks_for_that(tmp_path):
    clock = FrozenClock()
    with insightlog.open(tmp_path, clock=clock) as log:
        project = log.create_project("One")
        for plan in ("free", "pro"):
            project.capture([{"event": "paid", "distinct_id": "a", "properties": {"$set": {"plan": plan}}}])
            clock.forward(seconds=1)

        def counts(mode):
            query = {"kind": "TrendsQuery", "series": [{"kind": "EventsNode", "event": "paid"}],
                     "breakdownFilter": {"breakdown": "plan", "breakdown_type": "person"},
                     "modifiers": {"personsOnEventsMode": mode}}  # fmt: skip
            return {one["breakdown_value"]: one["count"] for one in project.query(query)["results"]}

        assert counts("person_id_override_properties_on_events") == {"free": 1, "pro": 1}
        assert counts("person_id_override_properties_joined") == {"pro": 2}
        with pytest.raises(InvalidInput) as refused:
            counts("sideways")
        assert refused.value.path == "query.modifiers.personsOnEventsMode"


def test_set_once_set_and_unset_apply_in_this_order():
    events = [
        happened(0, **{"$set": {"plan": "free", "old": 1}, "$set_once": {"first": 1}}),
        happened(1, **{"$set": {"plan": "pro"}, "$set_once": {"first": 2, "plan": "x"}, "$unset": ["old"]}),
    ]
    assert persons(load(events))["a"][3] == {"plan": "pro", "first": 1}


@pytest.mark.parametrize("cuts", [(), (1,), (1, 2), (2,)])
def test_a_merge_keeps_the_survivors_values_and_the_earliest_creation(cuts):
    events = [
        happened(0, who="anon", minute=5, **{"$set": {"plan": "free", "browser": "Chrome"}}),
        happened(1, who="known", minute=9, **{"$set": {"plan": "pro"}}),
        happened(2, "$identify", "known", **{"$anon_distinct_id": "anon"}),
    ]
    found = persons(load(events, cuts))
    created_at = (START + timedelta(minutes=5)).replace(tzinfo=None)
    assert found["known"] == (person_uuid(1, "known"), created_at, True, {"plan": "pro", "browser": "Chrome"})
    assert found["anon"] == found["known"]


def test_an_alias_that_is_a_number_is_the_distinct_id_it_is_stored_as():
    store = load([happened(0, who="23"), happened(1, "$create_alias", "a", alias=23)])
    assert len(owners(store)) == 1


def test_an_identified_person_is_not_merged_by_identify():
    events = [
        happened(0, "$identify", "known", **{"$anon_distinct_id": "anon"}),
        happened(1, who="other"),
        happened(2, "$identify", "other", **{"$anon_distinct_id": "known"}),
        happened(3, "$merge_dangerously", "third", alias="known"),
    ]
    found = persons(load(events))
    assert found["anon"][0] == found["known"][0] == found["third"][0] != found["other"][0]


def test_an_event_without_profile_leaves_no_person():
    events = [happened(0, **{"$process_person_profile": False, "$set": {"plan": "pro"}}), happened(1, who="b")]
    found = persons(load(events))
    assert found["a"] == (None, None, None, None)
    assert found["b"][0] == person_uuid(1, "b")


def test_groups_get_their_index_in_order_of_sight_and_events_their_key():
    events = [
        happened(0, **{"$groups": {"company": "acme"}}),
        happened(1, "$groupidentify", **{"$group_type": "team", "$group_key": "red", "$group_set": {"size": 3}}),
        happened(2, **{"$groups": {"team": "red", "company": "acme"}}),
        happened(3, "$groupidentify", **{"$group_type": "team", "$group_key": "red", "$group_set": {"lead": "x"}}),
    ]
    for cuts in ((), (1, 2, 3)):
        connection, intake = load(events, cuts)._file.at_work()
        run, keys = connection.execute, [intake.columns.complete[f"$group_{index}"] for index in range(2)]
        assert run("SELECT group_type_index, group_type FROM group_types ORDER BY 1").fetchall() == [
            (0, "company"), (1, "team"),
        ]  # fmt: skip
        assert run(f"SELECT {keys[0]}, {keys[1]} FROM events WHERE event = 'view' ORDER BY uuid").fetchall() == [
            ("acme", None), ("acme", "red"),
        ]  # fmt: skip
        ((index, key, properties),) = run("SELECT group_type_index, group_key, properties FROM groups").fetchall()
        assert (index, key, json.loads(properties)) == (1, "red", {"size": 3, "lead": "x"})
