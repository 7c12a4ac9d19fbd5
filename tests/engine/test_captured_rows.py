"""Captured rows come into the tables as a relation of the same rows does, which bulk imports are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache, partial
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insightlog.adapters.storage.duckdb import _owners
from insightlog.adapters.storage.duckdb._columns import PropertyColumns
from insightlog.adapters.storage.duckdb._definitions import KnownNames
from insightlog.adapters.storage.duckdb._loading import (
    Loaded,
    batch_of,
    load_batch,
    load_plain_rows,
    load_rows,
    make_fresh,
    new_rows,
    slots_of,
)
from insightlog.adapters.storage.duckdb._persons import last_person
from insightlog.adapters.storage.duckdb._tables import connect, transaction
from insightlog.application.product_ports import captured_row
from insightlog.domain.capture import properties_text
from insightlog.domain.product_event import ProductEvent

COLUMNS = PropertyColumns()
slots_once = cache(slots_of)
START = datetime(1970, 1, 1, tzinfo=UTC)
TABLES = (
    "events", "distinct_ids", "persons", "person_overrides", "person_merges", "person_versions", "groups",
    "group_types", "event_definitions", "property_definitions", "event_properties",
)  # fmt: skip
NAMES = ("a", "b", "c", "null", "ü")

values = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, 7, 2.5, 10**30, -(10**400), "", "true", "2026-04-02T09:15:30Z", [1, None], {"x": None}]),
)
changes = st.one_of(st.none(), st.just("odd"), st.dictionaries(st.sampled_from(["x", "y", "a/b", "m~n"]), values))
switched = st.sampled_from([True, False, "false", 0, None])
properties = st.fixed_dictionaries(
    {},
    optional={
        "$browser": values,
        "$session_id": st.sampled_from(["", "s1"]),
        "plan": values,
        "a/b~c": values,
        "": values,
        "ü" * 300: values,
        "note": st.sampled_from(['"$set"', '"$elements"', "$groups"]),
        "$set": changes,
        "$set_once": changes,
        "$unset": st.lists(st.sampled_from("xy"), max_size=1),
        "$process_person_profile": switched,
        "$anon_distinct_id": st.sampled_from(NAMES),
        "alias": st.sampled_from([*NAMES, 5]),
        "$groups": st.one_of(
            st.just("odd"), st.dictionaries(st.sampled_from(["company", "team", ""]), st.sampled_from(["k1", 5, ""]))
        ),
        "$group_type": st.sampled_from(["company", "team", "", None]),
        "$group_key": st.sampled_from(["k1", 5, None]),
        "$group_set": changes,
        "$elements": st.sampled_from(
            [[], [{"tag_name": "a", "$el_text": "Go"}], "odd", 5, [5], [{"tag_name": 1, "classes": 5, "attributes": 5}]]
        ),
    },
)
names = st.sampled_from(
    ["view", "view", "paid", "$identify", "$create_alias", "$merge_dangerously", "$groupidentify", "ü"]
)
events = st.tuples(names, st.sampled_from(NAMES), st.integers(-90, 90), st.integers(1, 2), properties)


def rows_of(told):
    return [
        captured_row(
            project_id,
            ProductEvent(UUID(int=place), name, who, START + timedelta(minutes=minute), properties_text(given)),
            START + timedelta(days=20_000, hours=place),
        )
        for place, (name, who, minute, project_id, given) in enumerate(told)
    ]


@pytest.fixture(scope="module")
def empty():
    """Gives a connection to empty tables, which have all columns."""
    connection = connect(None, [], memory_limit="500MB", threads=1)
    COLUMNS.prepare(connection, lambda _: True)
    yield connection
    connection.close()


def content(connection):
    """Return the rows of each table, but for positions of the log, which a relation does not tell."""
    sql = {table: f"FROM {table}" for table in TABLES} | {"events": "SELECT * EXCLUDE position FROM events"}
    return {table: sorted(map(repr, connection.execute(sql[table]).fetchall())) for table in TABLES}


def as_relation(connection, *batches):
    def load(rows, known):
        with batch_of(connection, rows):
            load_batch(connection, make_fresh(connection, may_repeat=False), known, COLUMNS.loaded)

    return after(connection, load, batches)


def as_rows(connection, *batches):
    """Load them as few rows are, in slots that others were in before; as many rows they come to the same."""

    def load(rows, known, slots=None):
        load_rows(
            connection, *new_rows(connection, rows, after=0, may_repeat=False), known, COLUMNS.loaded, slots=slots
        )

    found = after(connection, partial(load, slots=slots_once(connection)), batches)
    assert after(connection, load, batches) == found
    return found


def after(connection, load, batches):
    """Return what the tables hold after some batches, and leave them empty."""
    known = KnownNames()
    connection.begin()
    try:
        for rows in batches:
            load(rows, known)
        assert known.last_person >= last_person(connection)
        return content(connection)
    finally:
        connection.rollback()


@settings(max_examples=12, deadline=None)
@given(st.lists(events, min_size=1, max_size=12), st.integers(1, 12))
def test_both_ways_give_the_same_tables(empty, told, cut):
    rows = rows_of(told)
    batches = [part for part in (rows[:cut], rows[cut:]) if part]
    assert as_rows(empty, *batches) == as_relation(empty, *batches)


def test_owners_that_are_forgotten_are_looked_up_again(empty, monkeypatch):
    """More distinct ids than are remembered, and one who is merged meanwhile."""
    monkeypatch.setattr(_owners, "MAX_OWNERS", 20)
    many = [("view", f"u{n}", 0, 1, {"n": n}) for n in range(21)]
    merging = [("$identify", "u3", 1, 1, {"$anon_distinct_id": "u9"})]
    rows = rows_of([*many, *merging, *many[:20]])
    batches = [rows[: len(many)], rows[len(many) : len(many) + 1], rows[len(many) + 1 :]]
    assert as_rows(empty, *batches) == as_relation(empty, *batches)


def test_whoever_was_merged_is_not_taken_for_who_it_was(empty):
    who = [("view", "a", 0, 1, {}), ("view", "b", 0, 1, {}), ("view", "c", 0, 1, {"$process_person_profile": False})]
    rows = rows_of([*who, ("$merge_dangerously", "a", 1, 1, {"alias": "b"}), *who, ("view", "c", 2, 1, {})])
    batches = [rows[:3], rows[3:4], rows[4:7], rows[7:]]
    assert as_rows(empty, *batches) == as_relation(empty, *batches)


def test_slots_hold_a_batch_and_nothing_of_those_before(empty):
    slots = slots_once(empty)
    for n_rows in (5, 512, 3, 512, 1):
        told = rows_of([(f"event {n_rows}", f"u{n}", 0, 1, {"n": n_rows}) for n in range(n_rows)])
        empty.begin()
        load_rows(empty, *new_rows(empty, told, after=0, may_repeat=False), KnownNames(), COLUMNS.loaded, slots=slots)
        found = empty.execute("SELECT event, distinct_id, properties FROM events ORDER BY known_at").fetchall()
        assert found == [(row[2], row[3], row[5]) for row in told]
        empty.rollback()


KNOWN = [
    ("view", "a", 0, 1, {"n": 1}),
    ("view", "b", 59, 1, {"n": 2}),
    ("paid", "a", 5, 1, {"plan": "x", "none": None}),
]


@pytest.fixture
def filled():
    """Gives a connection to tables with some rows, slots of it and what is known of names."""
    connection, known = connect(None, [], memory_limit="500MB", threads=1), KnownNames()
    columns = PropertyColumns()
    columns.prepare(connection, lambda _: True)
    slots = slots_of(connection)
    with transaction(connection):
        told = new_rows(connection, rows_of(KNOWN), after=0, may_repeat=False)
        load_rows(connection, *told, known, columns.loaded, slots=slots)
    yield connection, slots, known, columns.loaded
    slots.close()
    connection.close()


def test_rows_that_bring_only_events_come_by_one_statement(empty, filled):
    connection, slots, known, columns = filled
    later = [("view", "b", 7, 1, {"n": 3}), ("view", "a", 1, 1, {}), ("paid", "b", 50, 1, {"plan": "y"})]
    rows = rows_of([*KNOWN, *later])
    told = new_rows(connection, rows[3:], after=3, may_repeat=False)
    assert load_plain_rows(slots, *told, known, columns) == Loaded(3, has_new_types=False)
    assert content(connection) == as_relation(empty, rows)
    positions = connection.execute("SELECT position FROM events ORDER BY uuid").fetchall()
    assert positions == [(n,) for n in range(1, 7)]


@pytest.mark.parametrize(
    "more",
    [
        ("new", "a", 0, 1, {}),
        ("view", "new", 0, 1, {}),
        ("view", "a", 0, 2, {}),
        ("view", "a", 0, 1, {"new": 1}),
        ("view", "a", 0, 1, {"plan": "x"}),
        ("paid", "a", 5, 1, {"none": 5}),
        ("view", "a", -1, 1, {}),
        ("view", "a", 60, 1, {}),
        ("view", "a", 0, 1, {"$set": {"n": 1}}),
        ("view", "a", 0, 1, {"$groups": {"company": "k"}}),
        ("view", "a", 0, 1, {"$elements": []}),
        ("$identify", "a", 0, 1, {"$anon_distinct_id": "b"}),
    ],
)
def test_rows_that_bring_more_than_events_are_left_for_several_statements(filled, more):
    connection, slots, known, columns = filled
    before = content(connection)
    told = new_rows(connection, rows_of([*KNOWN, more])[3:], after=3, may_repeat=False)
    assert load_plain_rows(slots, *told, known, columns) is None
    assert content(connection) == before
