"""Figures beside their raw ceilings, measured in the same run.

    python benchmarks/run.py [NAME...] [--events N] [--json FILE]

Every benchmark module has `run(events) -> rows`. A row has name, ours, ceiling, unit, and ratio: how many times slower
than the ceiling, so 1 is as fast. Where there is a goal it has `target`, the highest ratio, or for rows without a
ceiling `most` or `least`, the highest or lowest figure.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
BENCHMARKS = ("commands", "web", "footprint", "trend")


def load(name):
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def verdict(row):
    """Whether a row is within its target; empty when it has none."""
    if row.get("target") is not None:
        return "ok" if row["ratio"] <= row["target"] else "OVER"
    if row.get("most") is not None:
        return "ok" if row["ours"] <= row["most"] else "OVER"
    if row.get("least") is not None:
        return "ok" if row["ours"] >= row["least"] else "UNDER"
    return ""


def shown(row):
    goal = f"<= {row['target']}x" if row.get("target") is not None else ""
    goal = f"<= {row['most']:g}" if row.get("most") is not None else goal
    goal = f">= {row['least']:,}" if row.get("least") is not None else goal
    ceiling = f"{row['ceiling']:,.1f}" if row.get("ceiling") is not None else ""
    ratio = f"{row['ratio']:.2f}" if row.get("ratio") is not None else ""
    return (row["name"], f"{row['ours']:,.1f}", ceiling, row["unit"], ratio, goal, verdict(row))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--events", type=int, default=1_000_000, help="events for the trends (default 1,000,000)")
    parser.add_argument("--json", type=Path, help="write the rows and the machine's facts there")
    given = parser.parse_args()
    rows = []
    print(f"{'benchmark':44} {'ours':>12} {'ceiling':>12} {'unit':14} {'ratio':>6}  {'target':10}")
    for name in given.names or BENCHMARKS:
        for row in load(name).run(given.events):
            rows.append({"benchmark": name, **row})
            cells = shown(row)
            print(
                f"{cells[0]:44} {cells[1]:>12} {cells[2]:>12} {cells[3]:14} {cells[4]:>6}  {cells[5]:10} {cells[6]}",
                flush=True,
            )
    if given.json:
        facts = {"cores": os.cpu_count(), "python": platform.python_version(), "at": datetime.now(UTC).isoformat()}
        given.json.write_text(json.dumps({"machine": facts, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
