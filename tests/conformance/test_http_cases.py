"""Recorded HTTP cases pass, all of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from run_http import CASES, PASSED, case_files, run  # noqa: E402


@pytest.mark.parametrize("file", case_files([CASES]), ids=lambda file: file.stem)
def test_recorded_http_cases_pass(file):
    rows = run([file])
    broken = {row["id"]: row["first"] for row in rows if row["status"] not in PASSED}
    assert not broken, "\n".join(f"{case}: {first}" for case, first in broken.items())
