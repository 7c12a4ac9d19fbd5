"""Every statement of the contract's checklist is a test named after it, or docs/compatibility.md says why not."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONTRACT = (ROOT / "docs/spec/insights-api.md").read_text()
NAMED = re.compile(r"^def test_(\d{3})_\w+\(", re.MULTILINE)


def statements():
    checklist = CONTRACT.partition("## 9. Conformance checklist")[2].partition("\n## ")[0]
    return [int(number) for number in re.findall(r"^(\d+)\. ", checklist, re.MULTILINE)]


def covered():
    files = [*(ROOT / "tests/http").glob("test_*.py"), *(ROOT / "tests/e2e").glob("test_*.py")]
    return Counter(int(number) for file in files for number in NAMED.findall(file.read_text()))


def excused():
    table = (ROOT / "docs/compatibility.md").read_text()
    return {int(number) for number in re.findall(r"^- Statement (\d+) ", table, re.MULTILINE)}


def test_every_statement_is_one_test_or_a_line_that_says_why_not():
    assert statements() == list(range(1, len(statements()) + 1))
    assert len(statements()) > 100
    assert set(statements()) - set(covered()) == excused()
    assert set(covered()) <= set(statements())
    assert [number for number, times in covered().items() if times > 1] == []
