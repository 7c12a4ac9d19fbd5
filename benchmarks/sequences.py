"""Funnels, correlation, retention and paths: our answer, plan and response included, beside hand-written SQL.

`python benchmarks/sequences.py [--events N]` prints milliseconds, best of five runs. The ceiling of a funnel, of
retention and of paths is what every way to answer them begins with: grouping the same events by person, in order.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from trend import NOW, NoCapture, best, column_for

from insightlog.adapters.storage.duckdb.store import DuckDBStore
from insightlog.application.calculation import QueryContext, calculate

MOST_TIMES, MOST_TIMES_LONGER = 2, 3
N_NAMES, N_BROWSERS = 40, 5
CHUNK = 491_520
"""Rows of a batch as imports store them: by name, person and time."""
RANGE = {"date_from": "2024-01-01", "date_to": "2024-01-30"}
_INSERT = """
INSERT INTO events (project_id, uuid, event, distinct_id, person_id, timestamp, properties, known_at, {browser})
SELECT 1, uuid(), 'e' || name, 'u' || person, person, make_timestamp(moment), '{{"$browser":"b' || browser || '"}}',
    TIMESTAMP '2024-03-31', 'b' || browser
FROM made ORDER BY name, person, moment
"""
_GROUPED = """
SELECT sum(len(names)) FROM (
    SELECT person_id, list(event ORDER BY timestamp) AS names FROM events
    WHERE project_id = 1 AND timestamp >= '2024-01-01' AND timestamp < '2024-01-31' {named} GROUP BY person_id)
"""
_COUNTED = """
SELECT event, count(DISTINCT person_id) FROM events
WHERE project_id = 1 AND timestamp >= '2024-01-01' AND timestamp < '2024-01-31' GROUP BY event
"""


def grouped(*names: str) -> str:
    """Return the SQL that groups the events of these names, or of all."""
    return _GROUPED.format(named=f"AND event IN {names + names[:1]}" if names else "")


def funnel(n_steps: int, *, breakdown: str | None = None, exclusion: str | None = None, **more: Any) -> dict[str, Any]:
    """Return a funnel through the first names."""
    if exclusion:
        span = {"funnelFromStep": 0, "funnelToStep": n_steps - 1}
        more["exclusions"] = [{"kind": "EventsNode", "event": exclusion, **span}]
    node = {
        "kind": "FunnelsQuery", "dateRange": RANGE, "funnelsFilter": more,
        "series": [{"kind": "EventsNode", "event": f"e{place}"} for place in range(n_steps)],
    }  # fmt: skip
    return node | ({"breakdownFilter": {"breakdown": breakdown, "breakdown_type": "event"}} if breakdown else {})


_NAMES = tuple(f"e{place}" for place in range(20))
_ENTITY = {"id": "e0", "type": "events"}
_RETENTION = {
    "kind": "RetentionQuery", "dateRange": {"date_to": "2024-01-27"},
    "retentionFilter": {"period": "Week", "totalIntervals": 4, "targetEntity": _ENTITY, "returningEntity": _ENTITY},
}  # fmt: skip
_CORRELATION = {
    "kind": "FunnelCorrelationQuery", "funnelCorrelationType": "events",
    "source": {"kind": "FunnelsActorsQuery", "source": funnel(2)},
}  # fmt: skip
QUERIES: dict[str, tuple[dict[str, Any], str]] = {
    "funnel of 3": (funnel(3), grouped(*_NAMES[:3])),
    "funnel of 6": (funnel(6), grouped(*_NAMES[:6])),
    "funnel of 20": (
        funnel(20), grouped(*_NAMES)
    ),
    "funnel of 3 by $browser": (
        funnel(3, breakdown="$browser"), grouped(*_NAMES[:3])
    ),
    "funnel of 3, strict": (funnel(3, funnelOrderType="strict"), grouped()),
    "funnel of 3, unordered": (
        funnel(3, funnelOrderType="unordered"), grouped(*_NAMES[:3])
    ),
    "funnel of 3 with an exclusion": (
        funnel(3, exclusion="e5"), grouped(*_NAMES[:3], "e5")
    ),
    "time to convert": (
        funnel(3, funnelVizType="time_to_convert"), grouped(*_NAMES[:3])
    ),
    "funnel trends": (
        funnel(3, funnelVizType="trends"), grouped(*_NAMES[:3])
    ),
    "correlation of all events": (_CORRELATION, _COUNTED),
    "weekly retention": (_RETENTION, grouped("e0")),
    "paths of all events": (
        {"kind": "PathsQuery", "dateRange": RANGE, "pathsFilter": {"includeEventTypes": ["custom_event"]}},
        grouped(),
    ),
}  # fmt: skip


def run(events: int = 1_000_000) -> Iterable[dict[str, Any]]:
    """Yield one row per query, and how much longer 20 steps take than 3."""
    with filled_store(events) as store:
        cursor = store._file.opened().cursor()
        context, took = QueryContext(1, NOW, "UTC"), {}
        for name, (query, sql) in QUERIES.items():
            ours = took[name] = best(lambda query=query: calculate(query, context=context, store=store))
            ceiling = ceiling_of(sql, cursor)
            ratio = None if ceiling is None else ours / ceiling
            yield {"name": name, "ours": ours, "ceiling": ceiling, "unit": "ms", "ratio": ratio} | within(sql, ratio)
        times = took["funnel of 20"] / took["funnel of 3"]
        yield {
            "name": "funnel of 20 beside one of 3", "ours": times, "ceiling": None, "unit": "x", "ratio": None,
            "target": f"<= {MOST_TIMES_LONGER} x", "ok": times <= MOST_TIMES_LONGER,
        }  # fmt: skip
        cursor.close()


def ceiling_of(sql: str, cursor: duckdb.DuckDBPyConnection) -> float | None:
    """Return how long hand-written SQL takes; None when it needs more memory than a query may have."""
    try:
        return best(lambda: cursor.execute(sql).fetchall())
    except duckdb.OutOfMemoryException:
        return None


def within(sql: str, ratio: float | None) -> dict[str, Any]:
    """Return the target: of what begins with the same grouping."""
    if sql == _COUNTED or ratio is None:
        return {"target": None, "ok": None}
    return {"target": f"<= {MOST_TIMES}x ceiling", "ok": ratio <= MOST_TIMES}


@contextmanager
def filled_store(events: int) -> Iterator[DuckDBStore]:
    """Give a store with events of 90 days, in the order in which batches are stored."""
    with tempfile.TemporaryDirectory(prefix="bench-sequences-") as folder:
        store = DuckDBStore(Path(folder) / "products.duckdb", NoCapture(), clock=lambda: NOW)
        store.drain()
        fill(store, events)
        yield store
        store.close()


def fill(store: DuckDBStore, events: int) -> None:
    connection, random = store._file.opened().cursor(), np.random.default_rng(7)
    start, day_us = 1_704_067_200_000_000, 86_400_000_000
    insert = _INSERT.format(browser=column_for(store, "$browser"))
    for first in range(0, events, CHUNK):
        size = min(CHUNK, events - first)
        since, until = (start + 90 * day_us * place // events for place in (first, first + size))
        made = {
            # The first names and persons are the commonest.
            "name": (N_NAMES * random.random(size) ** 2).astype(np.int64),
            "person": (events // 60 * random.random(size) ** 2).astype(np.int64),
            "browser": random.integers(0, N_BROWSERS, size),
            "moment": random.integers(since, until, size) // 1000 * 1000,
        }
        connection.register("made", made)
        connection.execute(insert)
        connection.unregister("made")
    connection.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    for row in run(parser.parse_args().events):
        beside = "" if row["ceiling"] is None else f"{row['ceiling']:8.1f} {row['unit']}  x{row['ratio']:.2f}"
        judged = {True: "ok", False: "over", None: ""}[row["ok"]]
        print(f"{row['name']:32} {row['ours']:8.1f} {beside}  {judged}", flush=True)
