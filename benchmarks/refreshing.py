"""Refreshing a 90-day daily trend after a few events came in: with its buckets kept, beside a cold calculation.

`python benchmarks/run.py refresh [--events N]`. Both take over the same new events before; what is measured is the
whole answer of the library, without HTTP.
"""

from __future__ import annotations

import tempfile
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from measuring import row
from mixed import filled, trend

import insightlog
from insightlog import Settings
from insightlog.application.computing import ComputingOptions

ROUNDS = 15
DAYS = 90
QUERIES = {
    "total": trend("$pageview", "total", days=DAYS),
    "daily actives": trend("$pageview", "dau", days=DAYS),
    "total by property": {**trend("$pageview", "total", days=DAYS), "breakdownFilter": {"breakdown": "$browser"}},
    "90th percentile of a property": {
        **trend(None, "p90", days=DAYS),
        "series": [{"kind": "EventsNode", "event": "$pageview", "math": "p90", "math_property": "n"}],
    },
}


def run(events: int = 1_000_000) -> Iterable[dict[str, Any]]:
    """Yield a row per query: milliseconds, the median of the rounds."""
    with tempfile.TemporaryDirectory(prefix="bench-refresh-") as name:
        data = filled(Path(name), events)
        times = {kept: medians(data, kept=kept) for kept in (True, False)}
    for name in QUERIES:
        ours, cold = times[True][name], times[False][name]
        yield row(f"refresh of {name}, {DAYS} days", ours, "ms", ceiling=cold, at_most_share=0.2)


def medians(data: Path, *, kept: bool) -> dict[str, float]:
    """Return how long a refresh of each query takes after 20 events of the last minutes, in milliseconds."""
    settings = Settings(computing=ComputingOptions(is_incremental=kept))
    took: dict[str, list[float]] = {name: [] for name in QUERIES}
    with insightlog.open(data, settings=settings) as log:
        project = log.project(1)
        for turn in range(ROUNDS + 1):
            project.capture(
                {"event": "$pageview", "distinct_id": f"user{i}", "uuid": str(uuid.uuid4()), "properties": {"n": turn}}
                for i in range(20)
            )
            log.parts.product_store().drain()
            for name, query in QUERIES.items():
                begun = time.perf_counter()
                project.query(query, refresh="force_blocking")
                if turn:
                    took[name].append((time.perf_counter() - begun) * 1000)
    return {name: sorted(found)[len(found) // 2] for name, found in took.items()}
