"""Names of events and properties: found as events are taken over, whatever the batches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insightlog.adapters.storage.duckdb import _intake
from insightlog.adapters.storage.duckdb.store import DuckDBStore
from insightlog.adapters.storage.sqlite.capture_log import SQLiteCaptureLog
from insightlog.domain.capture import properties_text
from insightlog.domain.product_event import ProductEvent
from insightlog.domain.queries.definition_plans import EventDefinitionsPlan, PropertyDefinitionsPlan, ValuesPlan

KNOWN = datetime(2026, 4, 2, 9, 30, tzinfo=UTC)


@pytest.fixture
def capture(tmp_path):
    """Captures events given as (event, properties), an hour apart, and gives the store."""
    made = []

    def capture(*events, project=1, at=KNOWN):
        if not made:
            log = SQLiteCaptureLog(tmp_path / "capture.sqlite")
            made.extend((log, DuckDBStore(tmp_path / "events.duckdb", log)))
        rows = [
            ProductEvent(UUID(int=project << 64 | len(made) << 32 | n), event, "u",
                         datetime(2026, 1, 1, n, 40, tzinfo=UTC), properties_text(properties))
            for n, (event, properties) in enumerate(events)
        ]  # fmt: skip
        made.append(None)
        made[0].append(project, rows, captured_at=at)
        made[1].drain()
        return made[1]

    yield capture
    for one in made[1::-1]:
        one.close()


def seen(store, kind="event", project=1, **wanted):
    return {one.name: one for one in store.run(PropertyDefinitionsPlan(project, kind, **wanted), deadline_s=5)}


def types(store, kind="event"):
    return {name: one.property_type for name, one in seen(store, kind).items()}


def test_events_are_kept_with_first_and_last_time(capture):
    capture(("a", {}), ("b", {}), ("a", {}))
    store = capture(("b", {}), at=KNOWN + timedelta(hours=3))
    found = store.run(EventDefinitionsPlan(1), deadline_s=5)
    assert [(one.name, one.known_at, one.first_seen.hour, one.last_seen) for one in found] == [
        ("a", KNOWN, 0, datetime(2026, 1, 1, 2, tzinfo=UTC)),
        ("b", KNOWN, 0, datetime(2026, 1, 1, 1, tzinfo=UTC)),
    ]
    assert store.run(EventDefinitionsPlan(2), deadline_s=5) == []


def test_types_are_those_of_the_first_value(capture):
    store = capture(
        ("a", {"n": 1, "b": False, "t": "x", "at": "2026-01-01", "later": None, "/~": 1.5, "$set": {"age": 3}}),
        ("a", {"n": "now text", "later": 7, "list": [1], "$set_once": {"age": "x", "since": "2026-01-01T10:00:00Z"}}),
    )
    assert types(store) == {
        "n": "Numeric", "b": "Boolean", "t": "String", "at": "DateTime", "later": "Numeric", "/~": "Numeric",
        "list": "String",
    }  # fmt: skip
    assert types(store, "person") == {"age": "Numeric", "since": "DateTime"}


def test_a_type_that_null_left_open_comes_with_a_later_batch(capture):
    store = capture(("a", {"n": None}))
    assert types(store) == {"n": None}
    assert types(capture(("a", {"n": None}), ("b", {"n": True}))) == {"n": "Boolean"}
    assert types(capture(("a", {"n": 5}))) == {"n": "Boolean"}
    assert types(store) == {"n": "Boolean"}


def test_properties_of_groups_are_kept_by_the_type_of_the_group(capture):
    store = capture(("$groupidentify", {"$group_type": "org", "$group_key": "acme", "$group_set": {"seats": 5}}))
    assert types(store, "group_0") == {"seats": "Numeric"}


def test_it_is_known_which_event_has_which_property(capture):
    store = capture(("a", {"x": 1, "y": 1}), ("b", {"y": 1}), ("a", {"z": 1}))
    found = seen(store, events=("b", "nothing"))
    assert {name: one.is_seen_on for name, one in found.items()} == {"x": False, "y": True, "z": False}


def test_projects_do_not_share_names(capture):
    capture(("a", {"x": 1}))
    store = capture(("b", {"y": "t"}), project=2)
    assert (set(seen(store)), set(seen(store, project=2))) == ({"x"}, {"y"})


def test_values_are_given_by_how_often_they_occur(capture):
    store = capture(("a", {"x": "p"}), ("a", {"x": "q"}), ("a", {"x": "q"}), ("b", {"x": "other"}), ("a", {"x": None}))
    assert store.run(ValuesPlan(1, "event", "x", events=("a",)), deadline_s=5) == [("q",), ("p",)]
    assert store.run(ValuesPlan(1, "event", "x", search="OTH"), deadline_s=5) == [("other",)]


def test_names_beyond_the_limit_are_not_kept(capture, monkeypatch):
    from insightlog.adapters.storage.duckdb import _definitions

    monkeypatch.setattr(_definitions, "MAX_NAMES", 3)
    store = capture(("a", {f"p{n}": 1 for n in range(5)}))
    assert list(seen(capture(("a", {"q": 1})))) == ["p0", "p1", "p2"]
    assert store.run(EventDefinitionsPlan(1), deadline_s=5)[0].name == "a"


VALUES = st.sampled_from([None, 1, 2.5, True, "text", "true", "2026-01-01", [1], {"a": 1}])
EVENTS = st.lists(
    st.tuples(st.sampled_from("ab"), st.dictionaries(st.sampled_from(["x", "y", "$set", "z/~"]), VALUES)), max_size=12
)


@settings(max_examples=15, deadline=None)
@given(EVENTS, st.integers(1, 5))
def test_batches_make_no_difference(tmp_path_factory, events, size):
    folder = tmp_path_factory.mktemp("definitions")
    log = SQLiteCaptureLog(folder / "capture.sqlite")
    rows = [
        ProductEvent(UUID(int=n), event, "u", datetime(2026, 1, 1, n, tzinfo=UTC), properties_text(properties))
        for n, (event, properties) in enumerate(events)
    ]
    log.append(1, rows, captured_at=KNOWN)
    found = []
    with pytest.MonkeyPatch.context() as patched:
        for batch in (1000, size):
            patched.setattr(_intake, "DRAIN_BATCH", batch)
            store = DuckDBStore(":memory:", log)
            store.drain()
            found.append([
                store.run(plan, deadline_s=5)
                for plan in (EventDefinitionsPlan(1), PropertyDefinitionsPlan(1, "event", ("a",)))
            ])  # fmt: skip
            store.close()
    log.close()
    assert found[0] == found[1]
