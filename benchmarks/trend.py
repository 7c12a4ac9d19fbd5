"""Trends: our answer, plan and response included, beside hand-written SQL on the same DuckDB file.

`python benchmarks/trend.py [--events N]` prints milliseconds, best of five runs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from insightlog.adapters.storage.duckdb.store import DuckDBStore
from insightlog.application.calculation import QueryContext, calculate
from insightlog.domain.queries.scope import CohortMeaning, Scope

NOW = datetime(2024, 3, 30, 23, 59, 59, tzinfo=UTC)
DAYS = 90
MOST_TIMES = 3
N_PERSONS = 50_000
_FILL = f"""
INSERT INTO events (project_id, uuid, event, distinct_id, person_id, timestamp, properties, known_at, {{browser}})
SELECT *, json_extract_string(properties, '/$browser') FROM (
SELECT 1 AS project_id, uuid(), (['$pageview', 'click', 'signup', '$autocapture'])[(1 + hash(i) % 4)::BIGINT],
       'user' || hash(i * 7) % {N_PERSONS}, hash(i * 7) % {N_PERSONS},
       TIMESTAMP '2024-01-01' + to_microseconds((i::HUGEINT * {DAYS * 86_400_000_000} // $n)::BIGINT),
       '{{{{"$browser":"' ||
           (['Chrome', 'Safari', 'Firefox', 'Edge'])[(1 + hash(i * 3) % 4)::BIGINT] ||
           '","plan":"pro","n":' || i || '}}}}',
       TIMESTAMP '2024-03-31'
FROM range($n::BIGINT) numbers(i)) made(a, b, c, d, e, f, properties, h)
"""
_FILL_PERSONS = f"""
INSERT INTO persons SELECT 1, i, uuid(), '2024-01-01', true,
    '{{"plan":"' || (['free', 'team', 'pro'])[(1 + hash(i) % 3)::BIGINT] || '"}}', '2024-01-01'
FROM range({N_PERSONS}) numbers(i)
"""
_PAYING = {"type": "AND", "values": [{"type": "person", "key": "plan", "value": ["team", "pro"]}]}
_SCOPE = Scope(cohorts={1: CohortMeaning(1, "paying", _PAYING)})
_DAY = "SELECT date_trunc('day', timestamp) AS day"
_WHERE = "FROM events WHERE event = '$pageview' AND timestamp >= '2024-01-01'"
QUERIES: dict[str, tuple[dict[str, Any], str]] = {
    "trend daily total": ({}, f"{_DAY}, count(*) {_WHERE} GROUP BY 1"),
    "trend daily actives": ({"math": "dau"}, f"{_DAY}, count(DISTINCT person_id) {_WHERE} GROUP BY 1"),
    "trend daily by property": (
        {"breakdownFilter": {"breakdown": "$browser"}},
        f"""{_DAY}, json_extract_string(properties, '$."$browser"') AS value, count(*) {_WHERE} GROUP BY 1, 2""",
    ),
    "trend daily filtered": (
        {"properties": [{"key": "$browser", "value": ["Chrome", "Safari"]}]},
        f"""{_DAY}, count(*) {_WHERE} AND json_extract_string(properties, '$."$browser"') IN ('Chrome', 'Safari')
            GROUP BY 1""",
    ),
    "trend daily of a cohort": (
        {"properties": [{"type": "cohort", "key": "id", "value": 1}]},
        f"""{_DAY}, count(*) {_WHERE} AND person_id IN (SELECT person_id FROM persons
            WHERE json_extract_string(properties, '$."plan"') IN ('team', 'pro')) GROUP BY 1""",
    ),
    "trend daily total, New York": (
        {"timezone": "America/New_York"},
        f"""SELECT date_trunc('day', timezone('America/New_York', timezone('UTC', timestamp))) AS day, count(*)
            {_WHERE} GROUP BY 1""",
    ),
    "trend monthly total": (
        {"interval": "month"},
        f"SELECT date_trunc('month', timestamp), count(*) {_WHERE} GROUP BY 1",
    ),
    "trend hourly total": (
        {"interval": "hour"},
        f"SELECT date_trunc('hour', timestamp), count(*) {_WHERE} GROUP BY 1",
    ),
}


class NoCapture:
    """A capture log without rows; the events are made in the engine."""

    def append(self, *_: Any, **__: Any) -> int:
        return 0

    def position(self) -> int:
        return 0

    def read_rows(self, *_: Any) -> list[Any]:
        return []

    def archived(self) -> int:
        return 0

    def forget(self, until: int) -> None: ...

    def close(self) -> None: ...


def column_for(store: DuckDBStore, name: str) -> str:
    """Return the column of a common property, made when there is none."""
    connection, intake = store._file.at_work()
    intake.columns.prepare(connection, name.__eq__)
    return intake.columns.loaded[name]


def run(events: int = 1_000_000) -> Iterable[dict[str, Any]]:
    """Yield one row per query: `name`, `ours` and `ceiling` in `unit`, `ratio` of the two."""
    with tempfile.TemporaryDirectory(prefix="bench-trend-") as folder:
        store = DuckDBStore(Path(folder) / "products.duckdb", NoCapture(), clock=lambda: NOW)
        store.drain()
        cursor = store._file.opened().cursor()
        cursor.execute(_FILL.format(browser=column_for(store, "$browser")), {"n": events})
        cursor.execute(_FILL_PERSONS)
        for name, (asked, sql) in QUERIES.items():
            ours = best(lambda asked=asked: ask(store, **asked))
            ceiling = best(lambda sql=sql: cursor.execute(sql).fetchall())
            yield {"name": name, "ours": ours, "ceiling": ceiling, "unit": "ms", "ratio": ours / ceiling} | within(
                name, ours / ceiling
            )
        cursor.close()
        store.close()


def within(name: str, ratio: float) -> dict[str, Any]:
    return {"target": f"<= {MOST_TIMES}x ceiling", "ok": ratio <= MOST_TIMES} if "daily" in name else {}


def ask(store: DuckDBStore, *, math: str = "total", timezone: str = "UTC", **more: Any) -> dict[str, Any]:
    query = {
        "kind": "TrendsQuery",
        "series": [{"kind": "EventsNode", "event": "$pageview", "math": math}],
        "dateRange": {"date_from": "2024-01-01"},
        **more,
    }
    return calculate(query, context=QueryContext(1, NOW, timezone, definitions=_SCOPE), store=store)


def best(work: Callable[[], Any], times: int = 5) -> float:
    """Return the shortest run in milliseconds."""
    found = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        found.append(time.perf_counter() - begun)
    return min(found) * 1000


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    for row in run(parser.parse_args().events):
        figures = f"{row['ours']:8.1f} {row['ceiling']:8.1f} {row['unit']}  x{row['ratio']:.2f}"
        print(f"{row['name']:32} {figures}", flush=True)
