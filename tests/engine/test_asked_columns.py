"""Properties that queries ask for get columns of their own, and answers stay what they are while that happens."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from insightlog.adapters.storage.duckdb import _answers, _asked, _columns
from insightlog.application.calculation import QueryContext, calculate
from insightlog.domain.product_event import ProductEvent

NOW = datetime(2020, 3, 31, 13, 0, 1, tzinfo=UTC)
ODD = 'a "quoted" näme/with~signs'


@pytest.fixture
def store(open_store):
    return open_store(column_rows=0)


def add(log, start, n, more=None):
    events = [
        ProductEvent(
            UUID(int=number), "view", f"u{number % 7}", NOW - timedelta(minutes=number),
            json.dumps({"size": number % 5, ODD: f"x{number % 3}", "rare": None if number % 2 else "yes", **(more or {})}),
        )
        for number in range(start, start + n)
    ]  # fmt: skip
    log.append(1, events, captured_at=NOW)


def counts(store, name):
    query = {"kind": "TrendsQuery", "series": [{"kind": "EventsNode", "event": "view"}],
             "breakdownFilter": {"breakdown": name}}  # fmt: skip
    results = calculate(query, context=QueryContext(1, NOW), store=store)["results"]
    return {row["breakdown_value"]: row["count"] for row in results}


def columns(store):
    return [(one.property_name, one.is_complete) for one in _columns.columns_of(store._file.opened())]


def test_a_property_that_is_asked_for_again_gets_a_column(store, log, monkeypatch):
    monkeypatch.setattr(_asked, "PIECE_ROWS", 30)
    add(log, 0, 100)
    first = {name: counts(store, name) for name in ("size", ODD, "rare")}
    assert not store.tend()
    assert columns(store) == []
    for name, expected in first.items():
        assert counts(store, name) == expected
    n_pieces = 0
    while store.tend():
        n_pieces += 1
        assert {name: counts(store, name) for name in first} == first
    assert columns(store) == [("size", True), (ODD, True), ("rare", True)]
    assert n_pieces >= 3 * (1 + 4)
    add(log, 100, 50)
    assert counts(store, "size") == {str(size): 30 for size in range(5)}
    assert sum(counts(store, ODD).values()) == 150
    assert counts(store, "rare") == {"yes": 75, "$$_posthog_breakdown_null_$$": 75}
    text = store._file.opened().execute("SELECT count(*) FROM events WHERE property_1 = 'x1'").fetchall()
    assert text == [(50,)]


def test_a_common_property_gets_a_column_when_an_event_first_has_it(store, log, monkeypatch):
    add(log, 0, 10)
    assert counts(store, "$os") == {"$$_posthog_breakdown_null_$$": 10}
    assert columns(store) == []
    rows_of = _answers.rows_of

    def with_news(*arguments):
        if not columns(store):  # planned, not asked yet
            add(log, 10, 5, more={"$os": "iOS"})
            store.drain()
        return rows_of(*arguments)

    monkeypatch.setattr(_answers, "rows_of", with_news)
    assert counts(store, "$os") == {"$$_posthog_breakdown_null_$$": 10, "iOS": 5}
    assert columns(store) == [("$os", True)]


def test_filling_goes_on_after_a_restart(store, log, open_store, monkeypatch):
    monkeypatch.setattr(_asked, "PIECE_ROWS", 30)
    add(log, 0, 100)
    before = [counts(store, "size") for _ in range(2)]
    assert store.tend()
    assert store.tend()
    assert columns(store) == [("size", False)]
    store.close()
    again = open_store(column_rows=0)
    assert counts(again, "size") == before[0]
    while again.tend():
        pass
    assert columns(again) == [("size", True)]
    assert counts(again, "size") == before[0]


def test_few_events_need_no_columns(log, open_store):
    store = open_store()
    add(log, 0, 10)
    for _ in range(3):
        counts(store, "size")
    while store.tend():
        pass
    assert columns(store) == []


def test_the_number_of_columns_is_bounded(store, log, monkeypatch):
    monkeypatch.setattr(_asked, "MAX_COLUMNS", 2)
    add(log, 0, 10)
    for name in ("a", "b", "c", "a", "b", "c"):
        counts(store, name)
    while store.tend():
        pass
    assert [name for name, _ in columns(store)] == ["a", "b"]
