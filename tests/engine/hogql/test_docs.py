"""The page for users names every function and table that there is, and none besides."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

from insightlog.adapters.storage.duckdb.hogql._registry import AGGREGATES, SCALARS
from insightlog.adapters.storage.duckdb.hogql._tables import TABLES
from insightlog.adapters.storage.duckdb.hogql._windows import NAMES

for part in ("_aggregates", "_arrays", "_dates", "_functions", "_json", "_numbers", "_operators", "_starts", "_texts",
             "_urls"):  # fmt: skip
    import_module(f"insightlog.adapters.storage.duckdb.hogql.{part}")  # each registers its functions
PAGE = (Path(__file__).parents[3] / "docs" / "hogql.md").read_text()


def names(after, until):
    return set(re.findall(r"`([A-Za-z_0-9]+)`", PAGE.partition(after)[2].partition(until)[0]))


def test_every_function_is_named():
    assert names("- of a row:", "- aggregations:") == {name for name in SCALARS if not name.isupper()}
    assert names("- aggregations:", "Each also") == set(AGGREGATES)
    assert names("- over windows:", "##") == set(NAMES) - set(AGGREGATES) | {"first_value", "last_value"}


def test_every_table_is_named():
    named = set(re.findall(r"^\| ([^|]+) \|", PAGE.partition("## Tables")[2].partition("##")[0], re.MULTILINE))
    tables = set(re.findall(r"`([a-z_]+)`", " ".join(named)))
    assert tables == set(TABLES)
