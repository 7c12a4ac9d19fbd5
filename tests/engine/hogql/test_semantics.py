"""HogQL gives what ClickHouse gives, values and types; `regenerate.py` has asked ClickHouse."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from insightlog.adapters.storage.duckdb.store import DuckDBStore
from insightlog.adapters.storage.sqlite.capture_log import SQLiteCaptureLog
from insightlog.application.calculation import QueryContext, calculate
from insightlog.domain.product_event import ProductEvent

HERE = Path(__file__).parent
EXPECTED = json.loads((HERE / "expected.json").read_text())
EXPECTED_ROWS = json.loads((HERE / "expected_rows.json").read_text())
RECORD = json.loads((HERE / "record.json").read_text())
MOMENT, LATER = (datetime.fromisoformat(RECORD[name]).replace(tzinfo=UTC) for name in ("moment", "later"))
OTHER_TYPE = ("JSONType(", "fromUnixTimestamp(")
"""An enumeration there is text here; an instant without zone there has the project's here."""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("semantics")
    log = SQLiteCaptureLog(folder / "capture.sqlite")
    log.append(1, [ProductEvent(UUID(int=1), "e", "u", MOMENT, json.dumps(RECORD["properties"]))], captured_at=LATER)
    opened = DuckDBStore(folder / "products.duckdb", log, threads=1)
    yield opened
    opened.close()
    log.close()


def ask(store, query, zone="UTC"):
    node = {"kind": "HogQLQuery", "query": query}
    return calculate(node, context=QueryContext(1, LATER, zone), store=store)


def evaluated(store, expression, zone):
    text = re.sub(r"\bp\.", "properties.", expression)
    text = re.sub(r"\bmoment\b", "timestamp", re.sub(r"\blater\b", "created_at", text))
    body = ask(store, f"select {text} from events", zone)
    return body["results"][0][0], body["types"][0][1]


def as_clickhouse(value, kind):
    """Our JSON value as ClickHouse writes it: instants by the clock, without offset."""
    if kind.startswith(("DateTime", "Nullable(DateTime")) and value is not None:
        text = datetime.fromisoformat(value).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
        return text if "DateTime64" in kind else text[:19]
    return value


def is_same(ours, theirs):
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(is_same, ours, theirs))
    if isinstance(ours, float) and isinstance(theirs, int | float) and not isinstance(theirs, bool):
        return math.isclose(ours, theirs, rel_tol=1e-12)
    return ours == theirs and isinstance(ours, bool) == isinstance(theirs, bool)


@pytest.mark.parametrize("case", EXPECTED, ids=lambda case: f"{case['expression']} ({case['zone']})")
def test_expression_gives_what_clickhouse_gives(store, case):
    value, kind = evaluated(store, case["expression"], case["zone"])
    assert is_same(as_clickhouse(value, kind), case["value"])
    if not case["expression"].startswith(OTHER_TYPE):
        assert kind == case["type"]


@pytest.mark.parametrize("case", EXPECTED_ROWS, ids=lambda case: case["query"])
def test_query_gives_what_clickhouse_gives(store, case):
    body = ask(store, case["query"])
    assert is_same(body["results"], case["rows"])
    assert [kind for _, kind in body["types"]] == case["types"]
