"""Trends beside ClickHouse's engine on PostHog's table layout, and beside hand-written SQL on an ideal flat table.

The peer is chDB in a process and a virtual environment of its own, made on first use. It answers each question with the
work that PostHog's 2023 SQL makes it do (recorded shape) and, where one is known, a quicker one. Our figures are of
whole calculations: no result and no bucket of an earlier one is used.
"""

from __future__ import annotations

import math
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
from peer_engine import Peer

from insightlog.adapters.composition import open_log
from insightlog.application.calculation import QueryContext, calculate

HOME = Path(tempfile.gettempdir()) / "insightlog-peer"
THREADS, MEMORY = 2, "1GB"
TIMES = 5
FASTER_THAN_RECORDED, FASTER_THAN_BEST, SLOWER_THAN_FLAT = 5, 2, 2
COLUMNS_S = 300
NOW = datetime(2026, 10, 29, 23, 59, 59, tzinfo=UTC)

# 200 names of which the k-th comes 1/k as often as the first; heavy-tailed persons; 4 common properties, 6 of 500
# uneven ones that hang on the event, `amount` of purchases, `utm_campaign` on 1 % of the page views; 2 % arrive late.
EVENTS = """
COPY (
    SELECT md5(i::VARCHAR)::UUID AS uuid, event, 'person-' || who AS distinct_id, moment AS timestamp, concat(
        '{"$browser":"', ['Chrome', 'Safari', 'Firefox', 'Edge', 'Opera'][1 + (5 * u(i, 1) ** 2)::INT % 5],
        '","$os":"', ['Windows', 'Mac OS X', 'iOS'][1 + (3 * u(i, 2))::INT % 3],
        '","$current_url":"https://app.example.com/', (2000 * u(i, 3) ** 3)::INT, '","$lib":"web"',
        CASE WHEN event = 'event 4' THEN concat(',"amount":', round(exp(3.5 + 2 * u(i, 4)), 2)) END,
        CASE WHEN event = '$pageview' AND u(i, 5) < 0.01
            THEN concat(',"utm_campaign":"campaign ', (40 * u(i, 6))::INT, '"') END,
        list_aggregate(list_transform(range(6), lambda k: concat(
            ',"own_', k + 6 * (83 * u(hash(event), k) ** 2)::INT, '":', hash(i, k) % 1000)), 'string_agg', ''), '}'
    ) AS properties
    FROM (
        SELECT i, floor($n / 60 * u(i, 7) ** 2.2)::BIGINT AS who,
            CASE rank WHEN 1 THEN '$pageview' ELSE 'event ' || rank END AS event,
            TIMESTAMP '2026-08-01' + to_microseconds((i::HUGEINT * 7775999000000 // $n)::BIGINT) AS moment
        FROM (SELECT i, floor(exp(u(i, 8) * ln(201)))::INT AS rank FROM range($n) numbers(i)))
    ORDER BY i + CASE WHEN u(i, 9) < 0.02 THEN 400000 ELSE 0 END
) TO '$file' (FORMAT parquet, COMPRESSION zstd)
"""
FLAT = """
CREATE TABLE events AS SELECT event, distinct_id, hash(distinct_id) AS person, timestamp AS moment,
    properties->>'$."$browser"' AS browser, properties->>'$.utm_campaign' AS campaign,
    (properties->>'$.amount')::DOUBLE AS amount
FROM read_parquet('$file') ORDER BY event, timestamp
"""
MONTH, HALF, WEEK = "2026-09-30", "2026-10-16", "2026-10-23"
WHEN = "moment >= '{since}' AND moment <= '2026-10-29 23:59:59'"


class Question:
    """One question: our query node, SQL for the flat table, and the peer's SQL in its recorded and its best shape."""

    def __init__(self, name: str, node: dict[str, Any], flat: str, peer: str, best: str | None = None) -> None:
        self.name, self.flat, self.peer, self.best = name, flat, peer, best
        self.node = {"kind": "TrendsQuery", "interval": "day", "dateRange": _range(MONTH), **node}


def run(events: int = 1_000_000) -> Iterator[dict[str, Any]]:
    """Yield a row per question and the geometric means."""
    from measuring import row

    home = HOME / str(events)
    home.mkdir(parents=True, exist_ok=True)
    file = _generated(home, events)
    with open_log(_imported(home, file)) as log, Peer(HOME, home / "peer", file, THREADS) as peer:
        store = log.parts.product_store()
        flat = _flat(home, file)
        context = QueryContext(1, NOW)

        def ours(question: Question) -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = calculate(question.node, context=context, store=store)["results"]
            return found

        for _ in range(2):  # properties that are asked for again get columns
            for question in QUESTIONS:
                ours(question)
        _until_idle(store)
        ratios: dict[str, list[float]] = {"recorded": [], "best": [], "flat": []}
        for question in QUESTIONS:
            _check(question, ours(question), flat.execute(question.flat).fetchall(), peer.ask(question.peer)[1])
            took = _measured(question, lambda asked=question: ours(asked), flat, peer)
            ratios["recorded"].append(took["recorded"] / took["ours"])
            ratios["best"].append(min(took["recorded"], took.get("best", math.inf)) / took["ours"])
            ratios["flat"].append(took["ours"] / took["flat"])
            yield row(f"peer {question.name}", took["ours"], "ms", ceiling=took["recorded"], at_most_share=1)
            yield row(f"flat {question.name}", took["ours"], "ms", ceiling=took["flat"])
    means = {name: statistics.geometric_mean(values) for name, values in ratios.items()}
    yield row("peer: times faster than recorded", means["recorded"], "x", at_least=FASTER_THAN_RECORDED)
    yield row("peer: times faster than its best", means["best"], "x", at_least=FASTER_THAN_BEST)
    yield row("flat: times slower than the ideal table", means["flat"], "x", at_most=SLOWER_THAN_FLAT)


def _measured(
    question: Question, ours: Callable[[], Any], flat: duckdb.DuckDBPyConnection, peer: Peer
) -> dict[str, float]:
    """Return the median milliseconds of each side, asked in turns so that a neighbour's load falls on all."""
    took: dict[str, list[float]] = {}
    for _ in range(TIMES + 1):
        for name, ask in (("ours", ours), ("flat", lambda: flat.execute(question.flat).fetchall())):
            begun = time.perf_counter()
            ask()
            took.setdefault(name, []).append((time.perf_counter() - begun) * 1000)
        for name, sql in (("recorded", question.peer), ("best", question.best)):
            if sql is not None:
                took.setdefault(name, []).append(peer.ask(sql)[0] * 1000)
    return {name: statistics.median(values[1:]) for name, values in took.items()}


def _check(question: Question, ours: list[dict[str, Any]], *others: Iterable[Any]) -> None:
    """Raise when the sides do not agree in the sum of all their numbers; the peer's quantiles are estimates."""
    expected = sum(sum(one["data"]) for one in ours)
    for rows in others:
        found = sum(float(line[-1] or 0) for line in rows)
        if not math.isclose(found, expected, rel_tol=0.04):
            raise AssertionError(f"{question.name}: ours {expected}, not {found}")


def _until_idle(store: Any) -> None:
    deadline = time.monotonic() + COLUMNS_S
    while store.tend():
        if time.monotonic() > deadline:
            raise TimeoutError("the columns are not filled")


def _generated(home: Path, events: int) -> Path:
    file = home / "events.parquet"
    if not file.exists():
        part = file.with_suffix(".part")
        with duckdb.connect() as connection:
            connection.execute("CREATE MACRO u(a, b) AS (hash(a, b) % 1000000007) / 1000000007.0")
            connection.execute(EVENTS.replace("$n", str(events)).replace("$file", str(part)))
        part.rename(file)
    return file


def _imported(home: Path, file: Path) -> Path:
    folder, part = home / "ours", home / "ours.part"
    if not folder.exists():
        shutil.rmtree(part, ignore_errors=True)
        command = [sys.executable, "-m", "insightlog", "import", str(file), "--data", str(part)]
        subprocess.run(command, check=True, capture_output=True, cwd=home)
        part.rename(folder)
    return folder


def _flat(home: Path, file: Path) -> duckdb.DuckDBPyConnection:
    path = home / "flat.duckdb"
    if not path.exists():
        part = path.with_suffix(".part")
        part.unlink(missing_ok=True)
        with duckdb.connect(str(part)) as connection:
            connection.execute(FLAT.replace("$file", str(file)))
        part.rename(path)
    return duckdb.connect(str(path), read_only=True, config={"threads": THREADS, "memory_limit": MEMORY})


def _range(since: str) -> dict[str, str]:
    return {"date_from": since, "date_to": "2026-10-29T23:59:59"}


def _series(event: str = "$pageview", **more: Any) -> dict[str, Any]:
    return {"kind": "EventsNode", "event": event, **more}


def _flat_sql(value: str, event: str = "$pageview", since: str = MONTH, unit: str = "day", more: str = "") -> str:
    where = f"event = '{event}' AND {WHEN.format(since=since)} {more}"
    return f"SELECT date_trunc('{unit}', moment) AS slot, {value} FROM events WHERE {where} GROUP BY 1"


def _peer_sql(value: str, event: str = "$pageview", since: str = MONTH, unit: str = "Day", more: str = "") -> str:
    zoned = "toTimeZone(timestamp, 'UTC')"
    return (
        f"SELECT toStartOf{unit}({zoned}) AS slot, {value} FROM events WHERE team_id = 1 AND event = '{event}' "
        f"AND {zoned} >= toDateTime('{since} 00:00:00', 'UTC') AND {zoned} <= toDateTime('2026-10-29 23:59:59', 'UTC') "
        f"{more} GROUP BY slot ORDER BY slot"
    )


def _text(name: str) -> str:
    return f"""replaceRegexpAll(JSONExtractRaw(properties, '{name}'), '^"|"$', '')"""


def _split(value: str, *, twice: bool) -> str:
    """A breakdown: the commonest values first (as recorded), then their lines; or all in one scan."""
    lines = (
        _peer_sql("count()").replace("SELECT ", f"SELECT {value} AS v, ").replace("GROUP BY slot", "GROUP BY v, slot")
    )
    if not twice:
        return lines
    top = _peer_sql("count() AS n").replace("toStartOfDay(toTimeZone(timestamp, 'UTC'))", value)
    top = top.replace("ORDER BY slot", "ORDER BY n DESC LIMIT 100")
    return lines.replace("GROUP BY v", f"AND {value} IN (SELECT slot FROM ({top})) GROUP BY v")


def _weekly() -> str:
    return (
        "SELECT d, uniqExact(person) FROM (SELECT toDateTime('2026-10-29 00:00:00', 'UTC') - toIntervalDay(number) "
        "AS d FROM numbers(30)) AS days "
        "CROSS JOIN (SELECT toTimeZone(timestamp, 'UTC') AS t, person_id AS person FROM events "
        "WHERE team_id = 1 AND event = '$pageview' AND t >= toDateTime('2026-09-24 00:00:00', 'UTC') "
        "AND t <= toDateTime('2026-10-29 23:59:59', 'UTC') GROUP BY t, person) AS seen "
        "WHERE t >= d - INTERVAL 6 DAY AND t < d + INTERVAL 1 DAY GROUP BY d ORDER BY d"
    )


def _split_node(name: str) -> dict[str, Any]:
    return {"series": [_series()], "breakdownFilter": {"breakdown": name, "breakdown_limit": 100}}


AMOUNT = f"toFloat64OrNull({_text('amount')})"
FIREFOX = {"key": "$browser", "value": ["Firefox"], "operator": "exact"}
LARGE = {"key": "amount", "value": 60, "operator": "gt"}
QUESTIONS = (
    Question("daily total", {"series": [_series()]}, _flat_sql("count(*)"), _peer_sql("count()")),
    Question(
        "daily actives", {"series": [_series(math="dau")]}, _flat_sql("count(DISTINCT person)"),
        _peer_sql("uniqExact(person_id)"),
    ),
    Question(
        "weekly active", {"series": [_series(math="weekly_active")]},
        "SELECT d, count(DISTINCT person) FROM (SELECT unnest(range(DATE '2026-09-30', DATE '2026-10-30', "
        "INTERVAL 1 DAY)) AS d) JOIN (SELECT DISTINCT date_trunc('day', moment) AS t, person FROM events "
        "WHERE event = '$pageview' AND moment >= '2026-09-24') ON t BETWEEN d - INTERVAL 6 DAY AND d GROUP BY 1",
        _weekly(),
    ),
    Question(
        "by a common property", _split_node("$browser"), _flat_sql("browser, count(*)") + ", 2",
        _split(_text("$browser"), twice=True), _split("browser", twice=False),
    ),
    Question(
        "by a rare property", _split_node("utm_campaign"), _flat_sql("campaign, count(*)") + ", 2",
        _split(_text("utm_campaign"), twice=True), _split(_text("utm_campaign"), twice=False),
    ),
    Question(
        "property equals", {"series": [_series(properties=[FIREFOX])]},
        _flat_sql("count(*)", more="AND browser = 'Firefox'"),
        _peer_sql("count()", more=f"AND has(['Firefox'], {_text('$browser')})"),
        _peer_sql("count()", more="AND has(['Firefox'], browser)"),
    ),
    Question(
        "property greater", {"series": [_series("event 4", properties=[LARGE])]},
        _flat_sql("count(*)", "event 4", more="AND amount > 60"),
        _peer_sql("count()", "event 4", more=f"AND {AMOUNT} > 60"),
    ),
    Question(
        "property sum", {"series": [_series("event 4", math="sum", math_property="amount")]},
        _flat_sql("sum(amount)", "event 4"), _peer_sql(f"sum({AMOUNT})", "event 4"),
    ),
    Question(
        "property p90", {"series": [_series("event 4", math="p90", math_property="amount")]},
        _flat_sql("quantile_cont(amount, 0.9)", "event 4"), _peer_sql(f"quantile(0.9)({AMOUNT})", "event 4"),
    ),
    Question(
        "formula", {"series": [_series("event 4"), _series()], "trendsFilter": {"formula": "A/B"}},
        f"SELECT a / b FROM ({_flat_sql('count(*) AS a', 'event 4')}) JOIN ({_flat_sql('count(*) AS b')}) USING (slot)",
        f"SELECT a / b FROM ({_peer_sql('count() AS a', 'event 4')}) AS p JOIN ({_peer_sql('count() AS b')}) AS q "
        "ON p.slot = q.slot",
    ),
    Question(
        "compared", {"series": [_series()], "dateRange": _range(HALF), "compareFilter": {"compare": True}},
        _flat_sql("count(*)", since="2026-10-02"), _peer_sql("count()", since="2026-10-02"),
    ),
    Question(
        "hourly of a week", {"series": [_series()], "interval": "hour", "dateRange": _range(WEEK)},
        _flat_sql("count(*)", since=WEEK, unit="hour"), _peer_sql("count()", since=WEEK, unit="Hour"),
    ),
    Question(
        "all events", {"series": [{"kind": "EventsNode", "event": None}]},
        _flat_sql("count(*)").replace("event = '$pageview' AND ", ""),
        _peer_sql("count()").replace("AND event = '$pageview' ", ""),
    ),
)  # fmt: skip
