"""SQL texts that are kept: a trend asked again on other dates gets what a text of its own would have got."""

from __future__ import annotations

import json
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from insightlog.adapters.storage.duckdb import _rendered, _trends
from insightlog.adapters.storage.duckdb.store import DuckDBStore
from insightlog.adapters.storage.sqlite.capture_log import SQLiteCaptureLog
from insightlog.application.calculation import QueryContext, calculate
from insightlog.domain.product_event import ProductEvent

NOW = datetime(2024, 4, 10, 15, 20, tzinfo=UTC)
DATES = [(NOW, "UTC"), (NOW + timedelta(days=1), "UTC"), (NOW - timedelta(days=20), "America/New_York")]
"""A range with a change of clocks has two runs of buckets."""
MATHS = [
    {"math": "total"},
    {"math": "dau"},
    {"math": "weekly_active"},
    {"math": "monthly_active"},
    {"math": "first_time_for_user"},
    {"math": "p90", "math_property": "n"},
    {"math": "avg", "math_property": "$session_duration"},
    {"math": "avg_count_per_actor"},
]
MORE = [
    {"interval": "week"},
    {"interval": "hour", "dateRange": {"date_from": "-2d"}},
    {"breakdownFilter": {"breakdown": "plan", "breakdown_limit": 1}},
    {"breakdownFilter": {"breakdowns": [{"property": "n", "type": "event", "histogram_bin_count": 3}]}},
    {"properties": [{"type": "session", "key": "$session_duration", "value": 1, "operator": "gt"}]},
    {"properties": [{"type": "event", "key": "when", "value": "-3d", "operator": "is_date_after"}]},
    {"trendsFilter": {"display": "BoldNumber"}},
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    log = SQLiteCaptureLog(tmp_path_factory.mktemp("rendered") / "capture.sqlite", synchronous="NORMAL")
    made = DuckDBStore(":memory:", log, threads=1, clock=lambda: NOW)
    log.append(1, [an_event(number) for number in range(600)], captured_at=NOW)
    yield made
    made.close()
    log.close()


def an_event(number):
    at = NOW - timedelta(hours=3 * number, minutes=number * 7 % 60)
    properties = {"plan": "abc"[number % 3], "n": number % 11, "$session_id": f"s{number // 2}", "when": at.isoformat()}
    name = "view" if number % 4 else "buy"
    return ProductEvent(UUID(int=number + 1), name, f"p{number * number % 7}", at, json.dumps(properties))


def asked(store, query):
    found = []
    for now, zone in DATES:
        found.append(calculate(query, context=QueryContext(1, now, zone), store=store)["results"])
    return found


def a_trend(math=None, **more):
    series = [{"kind": "EventsNode", "event": "view", **(math or {})}]
    return {"kind": "TrendsQuery", "series": series, "dateRange": {"date_from": "-30d"}, **more}


QUERIES = [a_trend(math) for math in MATHS] + [a_trend(**more) for more in MORE]


def test_a_kept_text_gives_what_a_text_of_its_own_gives(store, monkeypatch):
    monkeypatch.setattr(_rendered, "_texts", OrderedDict())
    kept = [asked(store, query) for query in QUERIES]
    assert 0 < len(_rendered._texts) < len(QUERIES) * len(DATES)
    monkeypatch.setattr(_rendered, "MAX_TEXTS", 0)
    monkeypatch.setattr(_rendered, "_texts", OrderedDict())
    assert kept == [asked(store, query) for query in QUERIES]
    assert len(_rendered._texts) == 0
    assert all(any(row["data"] or row["aggregated_value"] for row in rows) for answers in kept for rows in answers)


def test_texts_with_hogql_are_not_kept(store, monkeypatch):
    monkeypatch.setattr(_rendered, "_texts", OrderedDict())
    asked(store, a_trend({"math": "hogql", "math_hogql": "count()"}))
    asked(store, a_trend(properties=[{"type": "hogql", "key": "properties.n > 3"}]))
    assert len(_rendered._texts) == 0


def test_persons_that_do_not_fit_into_the_bits_are_counted_all_the_same(store, monkeypatch):
    monkeypatch.setattr(_rendered, "_texts", OrderedDict())
    query = a_trend({"math": "dau"})
    expected = asked(store, query)
    assert any("BITSTRING_AGG" in text.sql for text in _rendered._texts.values())
    assert sum(expected[0][0]["data"]) > 30
    store._file.person_ids._bits = 1
    assert asked(store, query) == expected
    assert store._file.person_ids._bits > 1
    monkeypatch.setattr(_trends, "MAX_BITS_BYTES", 0)
    monkeypatch.setattr(_rendered, "_texts", OrderedDict())
    assert asked(store, query) == expected
    assert not any("BITSTRING_AGG" in text.sql for text in _rendered._texts.values())
