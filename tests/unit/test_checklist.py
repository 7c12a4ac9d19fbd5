"""What docs/compatibility.md says is served is what is served, and each statement of the contract's checklist is a test."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

import insightlog
from insightlog.adapters.http import HttpOptions
from insightlog.adapters.http.app import routes_of

ROOT = Path(__file__).parents[2]
CONTRACT = (ROOT / "docs/spec/insights-api.md").read_text()
COMPATIBILITY = (ROOT / "docs/compatibility.md").read_text()
NAMED = re.compile(r"^def test_(\d{3})_\w+\(", re.MULTILINE)
ORGANIZATION = "/api/organizations/:id/"


def statements():
    checklist = CONTRACT.partition("## 9. Conformance checklist")[2].partition("\n## ")[0]
    return [int(number) for number in re.findall(r"^(\d+)\. ", checklist, re.MULTILINE)]


def covered():
    files = [*(ROOT / "tests/http").glob("test_*.py"), *(ROOT / "tests/e2e").glob("test_*.py")]
    return Counter(int(number) for file in files for number in NAMED.findall(file.read_text()))


def excused():
    return {int(number) for number in re.findall(r"^- Statement (\d+) ", COMPATIBILITY, re.MULTILINE)}


def test_every_statement_is_one_test_or_a_line_that_says_why_not():
    assert statements() == list(range(1, len(statements()) + 1))
    assert len(statements()) > 100
    assert set(statements()) - set(covered()) == excused()
    assert set(covered()) <= set(statements())
    assert [number for number, times in covered().items() if times > 1] == []


def as_shown(path):
    """Return a route as the document writes it."""
    shown = re.sub(r"{(\w+)}", lambda place: ":token" if place[1] == "token" else ":id", path)
    inside = shown.removeprefix("/api/projects/:id/").removeprefix("/api/environments/:id/")
    if inside != shown:
        return f"{inside}/"
    has_slash = shown == "/" or shown.startswith(("/shared", "/embedded", "/array", "/_"))
    return shown if has_slash else f"{shown}/"


@pytest.fixture(scope="module")
def shown_routes(tmp_path_factory):
    with insightlog.open(tmp_path_factory.mktemp("log") / "data") as log:
        return {as_shown(route.path) for route in routes_of(log, HttpOptions())}


def told():
    """Return the paths in the first column of the document's tables."""
    cells = [line.split("|")[1] for line in COMPATIBILITY.splitlines() if line.startswith("| ")]
    words = [word for cell in cells for quoted in re.findall("`([^`]+)`", cell) for word in quoted.split()]
    return {word for word in words if "/" in word and "<" not in word}


def test_every_route_is_told_and_nothing_else(shown_routes):
    shown = {ORGANIZATION if one == ORGANIZATION else one.removeprefix(ORGANIZATION) for one in shown_routes}
    shown |= {"/api/projects/:id/"}
    shown -= {"/api/environments/:id/"}
    assert told() == shown
