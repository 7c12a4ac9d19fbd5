"""Cases that passed once keep passing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from run import BASELINE, CASES, DIFFERS, case_files, run  # noqa: E402

ADVICE = "After making more cases pass: python tests/conformance/run.py --update-baseline"


@pytest.mark.parametrize("file", case_files([CASES]), ids=lambda file: file.stem)
def test_recorded_cases_of_the_baseline_still_pass(file):
    baseline = frozenset(json.loads(BASELINE.read_text()))
    broken = [f"{row['id']}: {row['first']}" for row in run([file], only=baseline) if row["status"] != "pass"]
    assert not broken, "\n".join([*broken, ADVICE])


def test_baseline_and_differences_name_recorded_cases():
    known = {case["id"] for file in case_files([CASES]) for case in json.loads(file.read_text())}
    baseline, differs = set(json.loads(BASELINE.read_text())), set(json.loads(DIFFERS.read_text()))
    assert baseline <= known
    assert differs <= known
    assert not baseline & differs
