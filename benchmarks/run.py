"""Run the benchmarks and print each figure beside its ceiling, measured in the same run.

A figure with a target is `ok` or `over`. A ceiling is what plain sqlite3, DuckDB or a bare Falcon route makes of the
same work on this machine, so that figures of two machines can be compared by their ratios.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sqlite3
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple


class Benchmark(NamedTuple):
    """A module with `run`, which yields rows (see `measuring.row`)."""

    name: str
    module: str
    about: str
    takes_events: bool = False
    takes_seconds: bool = False
    takes_insights: bool = False
    is_on_demand: bool = False
    """Whether it runs only when it is named."""


BENCHMARKS = (
    Benchmark("commands", "commands", "create, rename, view, replay and load through the library"),
    Benchmark("http", "serving", "get, list and capture over HTTP"),
    Benchmark("growth", "growth", "reads with many insights beside few", takes_insights=True),
    Benchmark("footprint", "footprint", "start, stop and memory of the server"),
    Benchmark("intake", "intake", "imports, single captures, draining, queries during capture", takes_events=True),
    Benchmark("trend", "trend", "trends on DuckDB", takes_events=True),
    Benchmark("sequences", "sequences", "funnels, correlation, retention, paths on DuckDB", takes_events=True),
    Benchmark(
        "peer", "peer", "trends beside ClickHouse's engine (installs chdb)", takes_events=True, is_on_demand=True
    ),
    Benchmark("refresh", "refreshing", "refreshing a 90-day trend, buckets kept or not", takes_events=True),
    Benchmark("cancel", "cancelling", "how long after a cancel a calculation has really ended", takes_events=True),
    Benchmark("mixed", "mixed", "the server under mixed load", takes_events=True, takes_seconds=True),
)
HEAD = ("benchmark", "ours", "ceiling", "ratio", "unit", "target", "")
WIDTHS = (44, 11, 11, 7, 12, 20, 4)
LIBRARIES = ("insightlog", "duckdb", "eventsourcing", "falcon", "gunicorn", "orjson")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; 1 when a benchmark broke, whatever the figures are."""
    options = parsed(arguments)
    chosen = [one for one in BENCHMARKS if one.name in options.name or not (options.name or one.is_on_demand)]
    print(line(HEAD))
    rows, broken = [], []
    for benchmark in chosen:
        try:
            for row in rows_of(benchmark, options):
                rows.append({"benchmark": benchmark.name, **row})
                print(line(cells(row)), flush=True)
        except Exception:  # noqa: BLE001 the others still have figures to give
            traceback.print_exc()
            broken.append(benchmark.name)
    if options.json is not None:
        options.json.write_text(json.dumps({"machine": machine(), "rows": rows, "broken": broken}, indent=1) + "\n")
    return 1 if broken else 0


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    listed = "\n".join(f"  {one.name:10} {one.about}" for one in BENCHMARKS)
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=f"benchmarks:\n{listed}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [one.name for one in BENCHMARKS]
    parser.add_argument("name", nargs="*", metavar="NAME", help=f"which to run: {', '.join(names)}; default: all")
    parser.add_argument(
        "--events", type=int, metavar="N", default=1_000_000, help="product events (default: 1,000,000)"
    )
    parser.add_argument(
        "--insights", type=int, metavar="N", default=100_000, help="how many insights are many (default: 100,000)"
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="how long mixed load goes on (default: 20)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows and facts about the machine there")
    options = parser.parse_args(arguments)
    for name in options.name:
        if name not in names:
            parser.error(f"there is no benchmark {name!r}; there are {', '.join(names)}")
    if options.events < 1:
        parser.error("--events starts at 1")
    return options


def rows_of(benchmark: Benchmark, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    given: dict[str, Any] = {"events": options.events} if benchmark.takes_events else {}
    given |= {"insights": options.insights} if benchmark.takes_insights else {}
    given |= {"seconds": options.seconds} if benchmark.takes_seconds else {}
    found: Iterable[dict[str, Any]] = importlib.import_module(benchmark.module).run(**given)
    yield from found


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    ratio = row.get("ratio")
    state = {True: "ok", False: "over", None: ""}[row.get("ok")]
    return (
        row["name"],
        figure(row["ours"]),
        figure(row.get("ceiling")),
        "" if ratio is None else f"{ratio:.2f}",
        row["unit"],
        row.get("target") or "",
        state,
    )


def figure(value: float | None) -> str:
    """Return a figure with three digits or more.

    >>> figure(12345.6), figure(17.25), figure(0.41234), figure(None)
    ('12,346', '17.2', '0.412', '')
    """
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3f}"


def line(parts: Sequence[str]) -> str:
    right = {1, 2, 3}
    padded = (
        text.rjust(width) if i in right else text.ljust(width)
        for i, (text, width) in enumerate(zip(parts, WIDTHS, strict=True))
    )
    return " ".join(padded).rstrip()


def machine() -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "versions": {name: version(name) for name in LIBRARIES},
    }


if __name__ == "__main__":
    sys.exit(main())
