"""Recorded HTTP cases pass, but for those that wait for something named."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from run_http import CASES, PASSED, case_files, run  # noqa: E402

WAITING = {
    "sharing/get-insights-sharing-access-token-587d62": "dashboards are not shared",
    "sharing/get-insights-sharing-access-token-de7fd6": "dashboards are not shared",
}


@pytest.mark.parametrize("file", case_files([CASES]), ids=lambda file: file.stem)
def test_recorded_http_cases_pass(file):
    rows = run([file])
    broken = {row["id"]: row["first"] for row in rows if row["status"] not in PASSED}
    waiting = {case for case in WAITING if case.startswith(f"{file.stem}/")}
    assert set(broken) == waiting, "\n".join(f"{case}: {first}" for case, first in broken.items())
