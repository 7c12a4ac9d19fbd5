"""Runs recorded conformance cases: `python tests/conformance/run.py [CASES...] [-v] [--json FILE]`.

Prints `area passed/total` per area and `TOTAL passed/total` last. Every case gets a fresh folder: its events go
through a real capture log into a real DuckDB file, its questions through the same calculation that HTTP uses. What
the product does not offer yet counts as not passed and is said with `-v`. `--update-baseline` writes the ids that
pass today to `baseline.json`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import check  # noqa: E402
from adapter import Executor  # noqa: E402

CASES = HERE / "cases"
BASELINE = HERE / "baseline.json"
DIFFERS = HERE / "differs.json"
COMPOSED = ("_by_step", "_by_period")


def case_files(paths: Iterable[Path]) -> list[Path]:
    """Return the case files among files and folders."""
    return [file for path in paths for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])]


def _without_envelope(case: dict[str, Any]) -> dict[str, Any]:
    """Return the case with its lists of people, which are put together from several answers, asked for bare.

    They have no response body that the checker could wrap, also where the answers they consist of came over HTTP.
    """
    steps = [
        {**step, "query": {**step["query"], "via": None}}
        if step.get("query", {}).get("kind", "").endswith(COMPOSED)
        else step
        for step in case["steps"]
    ]
    return {**case, "steps": steps}


def run_case(case: dict[str, Any], engine: str = "duckdb") -> dict[str, Any]:
    """Return `{"id", "status", "checked", "first"}` of one case, run in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        executor = Executor(Path(folder), engine)
        try:
            return check.run_case(_without_envelope(case), executor.execute)
        finally:
            executor.close()


def run(paths: Iterable[Path], engine: str = "duckdb", only: frozenset[str] | None = None) -> list[dict[str, Any]]:
    """Return the outcome of every case, each with its area; `only` names the ids to run."""
    rows = []
    for file in case_files(paths):
        wanted = (case for case in check.load(file) if only is None or case["id"] in only)
        rows.extend({"area": case["id"].split("/")[0], **run_case(case, engine)} for case in wanted)
    return rows


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", type=Path, default=[CASES])
    parser.add_argument("--engine", choices=("duckdb", "clickhouse"), default="duckdb")
    parser.add_argument("--json", type=Path, help="write every outcome to this file")
    parser.add_argument("--update-baseline", action="store_true", help="remember the cases that pass today")
    parser.add_argument("-v", "--verbose", action="store_true", help="show the first failing statement of each case")
    asked = parser.parse_args(arguments)
    differs = json.loads(DIFFERS.read_text())
    rows = run(asked.cases, asked.engine)
    for row in rows:
        if row["id"] in differs:
            row.update(status="differs", first=differs[row["id"]])
        if asked.verbose and row["status"] != "pass":
            print(f"{row['status']:8} {row['id']}  {row['first']}")
    passed = Counter(row["area"] for row in rows if row["status"] == "pass")
    for area, total in Counter(row["area"] for row in rows).items():
        print(f"{area} {passed[area]}/{total}")
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1))
    if asked.update_baseline:
        known = set(json.loads(BASELINE.read_text())) if BASELINE.exists() else set()
        ran = {row["id"] for row in rows}
        passing = {row["id"] for row in rows if row["status"] == "pass"}
        BASELINE.write_text(json.dumps(sorted(known - ran | passing), indent=0) + "\n")
    print(f"differs {sum(row['status'] == 'differs' for row in rows)}")
    print(f"TOTAL {passed.total()}/{len(rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
