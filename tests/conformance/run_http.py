"""Runs recorded HTTP cases: `python tests/conformance/run_http.py [CASES...] [-v] [--json FILE]`.

Prints `area passed/total` per area and `TOTAL passed/total` last. Every case gets a fresh folder, served in this process
over a real socket with a clock that the case sets. Statements that contradict the contract (`differs`) are checked in
their present form, or left out where there is none. A case with no other statements counts as passed when its requests
were answered; cases about endpoints that need not exist (`optional`) are counted apart.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from http_setup import Setup, check  # noqa: E402

CASES = HERE / "http"
PASSED = frozenset({"pass", "empty"})


def case_files(paths: Iterable[Path]) -> list[Path]:
    """Return the case files among files and folders."""
    return [file for path in paths for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])]


def run(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """Return the outcome of every case, each with its area."""
    setup, rows = Setup(), []
    try:
        for file in case_files(paths):
            cases = check.load(file)
            for case, row in zip(cases, check.run_cases(cases, setup), strict=True):
                rows.append({"area": case["id"].split("/")[0], **row})
    finally:
        setup.end()
        setup.close()
    return rows


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", type=Path, default=[CASES])
    parser.add_argument("--json", type=Path, help="write every outcome to this file")
    parser.add_argument("-v", "--verbose", action="store_true", help="show the first failing statement of each case")
    asked = parser.parse_args(arguments)
    rows = run(asked.cases)
    passed, total = Counter(), Counter()
    for row in rows:
        total[row["area"]] += 1
        passed[row["area"]] += row["status"] in PASSED
        if asked.verbose and row["status"] not in PASSED:
            print(f"{row['status']:8} {row['id']}  {row['first']}")
    for area, count in total.items():
        print(f"{area} {passed[area]}/{count}")
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1))
    print(f"TOTAL {passed.total()}/{len(rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
