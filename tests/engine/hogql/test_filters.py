"""What `{filters}` lets through."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest

from insightlog.adapters.storage.duckdb.store import DuckDBStore
from insightlog.adapters.storage.sqlite.capture_log import SQLiteCaptureLog
from insightlog.application.calculation import QueryContext, calculate
from insightlog.domain.product_event import ProductEvent

NOW = datetime(2020, 1, 4, 13, 0, 1, tzinfo=UTC)
HOURS = ("2020-01-02T12:00", "2020-01-03T12:00", "2020-01-03T23:30", "2020-01-04T12:30")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("filters")
    log = SQLiteCaptureLog(folder / "capture.sqlite")
    events = [
        ProductEvent(UUID(int=n), "e", "u", datetime.fromisoformat(at).replace(tzinfo=UTC), json.dumps({"n": n}))
        for n, at in enumerate(HOURS, 1)
    ]
    log.append(1, events, captured_at=NOW)
    opened = DuckDBStore(folder / "products.duckdb", log, clock=lambda: NOW, threads=1)
    yield opened
    opened.close()
    log.close()


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        ({"date_to": "2020-01-03"}, [1, 2, 3]), ({"date_to": "2020-1-3"}, [1, 2, 3]),
        ({"date_to": "2020-01-03T12:00:00Z"}, [1, 2]), ({"date_to": "-1d"}, [1, 2]), ({"date_to": "-1dEnd"}, [1, 2, 3]),
        ({"date_to": "-1h"}, [1, 2, 3]), ({"date_from": "-1d"}, [3, 4]), ({"date_from": "dStart"}, [4]),
        ({"date_from": ""}, [1, 2, 3, 4]), ({"date_from": "all", "date_to": ""}, [1, 2, 3, 4]),
    ],
)  # fmt: skip
def test_a_day_ends_a_range_with_its_last_moment_and_other_dates_where_they_say(store, dates, expected):
    text = "select properties.n from events where {filters} order by timestamp"
    node = {"kind": "HogQLQuery", "query": text, "filters": {"dateRange": dates}}
    found = calculate(node, context=QueryContext(1, NOW), store=store)["results"]
    assert [int(n) for (n,) in found] == expected
