"""How long after a cancel, or its deadline, a calculation really ends: its threads are gone, not just its caller told.

`python benchmarks/run.py cancel [--events N]`. Each question is begun a hundred times over all events and cancelled at
a random moment; a figure is of those that were cancelled before they were answered.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from measuring import row
from sequences import filled_store, funnel
from trend import NOW

from insightlog.adapters.storage.duckdb.store import DuckDBStore
from insightlog.application.calculation import QueryContext, calculate
from insightlog.application.stopping import Stop
from insightlog.domain.errors import InsightlogError

TIMES = 100
MOST_TRIES = 3
"""Times that a question is begun, per cancel that is wanted."""
MOST_MS = 100
LONG_S = 3600.0
POLL_S = 0.001
THREADS = ("insightlog-walk", "insightlog-kernel")
ALL = {"date_from": "2024-01-01", "date_to": "2024-03-30"}
_EVERYTHING = {"id": None, "name": "All", "type": "events"}


def _funnel(n_steps: int, **more: Any) -> dict[str, Any]:
    return funnel(n_steps, **more) | {"dateRange": ALL}


def _trend(math: str, kind: str = "TrendsQuery", **more: Any) -> dict[str, Any]:
    return {
        "kind": kind, "dateRange": ALL, "series": [{"kind": "EventsNode", "event": None, "math": math, **more}]
    }  # fmt: skip


def _retention(**more: Any) -> dict[str, Any]:
    shape = {"period": "Week", "totalIntervals": 13, "targetEntity": _EVERYTHING, "returningEntity": _EVERYTHING}
    return {"kind": "RetentionQuery", "dateRange": {"date_to": "2024-03-30"}, "retentionFilter": shape, **more}


def _sql(text: str) -> dict[str, Any]:
    return {"kind": "HogQLQuery", "query": text}


def _actors(source: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"kind": "ActorsQuery", "select": ["actor"], "source": {"source": source, **more}}


_PATHS = {"kind": "PathsQuery", "dateRange": ALL, "pathsFilter": {"includeEventTypes": ["custom_event"]}}
_ANY_STEP = {"series": [{"kind": "EventsNode", "event": None}, {"kind": "EventsNode", "event": "e1"}]}
QUERIES: dict[str, dict[str, Any]] = {
    "funnel of 3": _funnel(3),
    "funnel of 20": _funnel(20),
    "funnel of any event": _funnel(2) | _ANY_STEP,
    "funnel by $browser": _funnel(3, breakdown="$browser"),
    "funnel by $browser at a step": _funnel(
        3, breakdown="$browser", breakdownAttributionType="step", breakdownAttributionValue=1
    ),
    "strict funnel": _funnel(3, funnelOrderType="strict"),
    "strict funnel by $browser": _funnel(3, funnelOrderType="strict", breakdown="$browser"),
    "unordered funnel": _funnel(3, funnelOrderType="unordered"),
    "funnel with an exclusion": _funnel(3, exclusion="e5"),
    "time to convert": _funnel(3, funnelVizType="time_to_convert"),
    "funnel trends": _funnel(3, funnelVizType="trends"),
    "strict funnel trends": _funnel(3, funnelOrderType="strict", funnelVizType="trends"),
    "actors of a strict funnel": _actors(
        _funnel(3, funnelOrderType="strict"), kind="FunnelsActorsQuery", funnelStep=1
    ),
    "correlation": {
        "kind": "FunnelCorrelationQuery", "funnelCorrelationType": "events",
        "source": {"kind": "FunnelsActorsQuery", "source": _funnel(2)},
    },
    "weekly retention": _retention(),
    "weekly retention by $browser": _retention(
        breakdownFilter={"breakdowns": [{"property": "$browser", "type": "event"}]}
    ),
    "paths": _PATHS,
    "lifecycle": _trend("total", "LifecycleQuery"),
    "stickiness": _trend("total", "StickinessQuery"),
    "weekly actives": _trend("weekly_active"),
    "events per person, 90 of 100": _trend("p90_count_per_actor"),
    "first times": _trend("first_time_for_user"),
    "SQL, distinct persons by event": _sql("SELECT event, count(DISTINCT person_id) FROM events GROUP BY event"),
    "SQL, the events of each person": _sql("SELECT person_id, groupArray(event) FROM events GROUP BY person_id"),
    "SQL, 50,000 rows": _sql("SELECT uuid, event, timestamp FROM events ORDER BY timestamp, uuid LIMIT 50000"),
}  # fmt: skip


def run(events: int = 1_000_000) -> Iterable[dict[str, Any]]:
    """Yield three rows per question, and three of a strict funnel's deadline: milliseconds."""
    with filled_store(events) as store:
        for name, query in QUERIES.items():
            yield from rows(f"cancel {name}", ended(store, query))
        yield from rows("deadline of a strict funnel", ended(store, QUERIES["strict funnel"], is_deadline=True))


def rows(name: str, found: list[float]) -> Iterable[dict[str, Any]]:
    if len(found) < TIMES:
        raise RuntimeError(f"{name}: only {len(found)} of {TIMES} were cancelled before they were answered.")
    yield row(f"{name}, median", found[len(found) // 2], "ms")
    yield row(f"{name}, 95 of 100", found[len(found) * 95 // 100], "ms")
    yield row(f"{name}, worst", found[-1], "ms", at_most=MOST_MS)


def ended(store: DuckDBStore, query: dict[str, Any], *, is_deadline: bool = False) -> list[float]:
    """Return how long after each cancel the calculation ended, ascending, in milliseconds."""
    context, draw = QueryContext(1, NOW, "UTC"), random.Random(7)

    def ask(stop: Stop, deadline_s: float = LONG_S) -> Any:
        return calculate(query, context=context, store=store, deadline_s=deadline_s, stop=stop)

    took_s = []
    for _ in range(3):
        begun = time.perf_counter()
        ask(Stop())
        took_s.append(time.perf_counter() - begun)
    found: list[float] = []
    for _ in range(MOST_TRIES * TIMES):
        if len(found) == TIMES:
            break
        stop, after_s = Stop(), draw.random() * min(took_s)
        given_up = threading.Event()
        deadline_s = after_s if is_deadline else LONG_S
        thread = threading.Thread(target=_tried, args=(lambda s=stop, d=deadline_s: ask(s, d), given_up))
        begun = time.perf_counter()
        thread.start()
        time.sleep(after_s)
        cancelled = begun + after_s if is_deadline else time.perf_counter()
        if not is_deadline:
            threading.Thread(target=stop.set).start()
        while thread.is_alive() or any(one.name.startswith(THREADS) for one in threading.enumerate()):
            time.sleep(POLL_S)
        if given_up.is_set():
            found.append((time.perf_counter() - cancelled) * 1000)
    return sorted(found)


def _tried(ask: Callable[[], Any], given_up: threading.Event) -> None:
    try:
        ask()
    except InsightlogError:
        given_up.set()
