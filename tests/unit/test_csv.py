"""JSON values as CSV: against a slow reference, and read back by the standard library's reader."""

from __future__ import annotations

import csv
import io
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from insightlog.adapters.http.csv import (
    CHUNK_CHARS,
    Table,
    flattened,
    results_of,
    slug,
    trend_file_name,
    trend_table,
    written,
)

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6)
keys = st.sampled_from(["a", "b", "count", "0", "=x", "", "a.b"])
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=12
)
objects = st.dictionaries(keys, values, max_size=4)
relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def leaves(value, path=()):
    """A slow reference: every scalar with its path as a list of steps."""
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in leaves(inner, (*path, key))]
    if isinstance(value, list):
        return [leaf for index, inner in enumerate(value) for leaf in leaves(inner, (*path, str(index)))]
    return [(".".join(path), value)]


def lines(table, **options):
    return list(csv.reader(io.StringIO("".join(written(table, **options)), newline="")))


@relaxed
@given(objects | st.lists(objects, max_size=4))
def test_every_scalar_stands_once_under_its_dotted_key(value):
    table = flattened(value)
    rows = list(table.rows)
    items = value if isinstance(value, list) else [value]
    assert table.header == sorted(set(table.header))
    assert len(rows) == len(items)
    for item, row in zip(items, rows, strict=True):
        expected = dict(leaves(item))
        assert {key for key, _ in leaves(item)} <= set(table.header)
        assert row == [expected.get(key) for key in table.header]


@relaxed
@given(objects | st.lists(objects, max_size=4))
def test_the_text_reads_back_and_no_cell_is_a_formula(value):
    table = flattened(value)
    table = Table(table.header, list(table.rows))
    if not table.header:
        assert "".join(written(table)) == ""
        return
    for safe in (True, False):
        back = lines(table, are_formulas_escaped=safe)
        expected = [["" if cell is None else str(cell) for cell in row] for row in (table.header, *table.rows)]
        plain = [[cell.removeprefix("'") for cell in row] for row in back]
        assert plain == [[cell.removeprefix("'") for cell in row] for row in expected]
        if not safe:
            assert back == expected
    for row, cells in zip((table.header, *table.rows), lines(table), strict=True):
        for value_, cell in zip(row, cells, strict=True):
            if isinstance(value_, str):
                assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
            elif isinstance(value_, int | float) and not isinstance(value_, bool):
                assert math.isclose(float(cell), value_)


def test_numbers_booleans_nulls_and_quotes_look_as_the_contract_says():
    text = "".join(written(flattened([{"a": -2.0, "b": True, "c": None, "d": 'x, "y"\nz'}])))
    assert text == 'a,b,c,d\r\n-2.0,True,,"x, ""y""\nz"\r\n'


def test_an_object_is_one_row_and_results_may_be_rows():
    page = {"count": 2, "next": None, "results": [{"id": 1, "tags": []}, {"id": 2, "tags": ["a"]}]}
    assert flattened(page).header == ["count", "next", "results.0.id", "results.1.id", "results.1.tags.0"]
    rows = flattened(results_of(page))
    assert (rows.header, list(rows.rows)) == (["id", "tags.0"], [[1, None], [2, "a"]])
    assert results_of({"results": None}) == {"results": None}
    assert results_of([1]) == [1]


def test_large_tables_are_written_in_pieces():
    pieces = list(written(Table(["x"], ([index] for index in range(100_000)))))
    assert len(pieces) > 5
    assert max(map(len, pieces)) < CHUNK_CHARS + 100
    assert len("".join(pieces).splitlines()) == 100_001


def a_series(**fields):
    return {
        "label": "paid", "action": {"custom_name": None}, "labels": ["1-Jan-2026", "2-Jan-2026"], "data": [2.0, 0.0],
        "filter": {"date_from": "2026-01-01T00:00:00Z", "date_to": "2026-01-02T23:59:59Z"}, **fields,
    }  # fmt: skip


def test_a_trend_is_one_row_per_series():
    series = [a_series(), a_series(label="b", action={"custom_name": "=Mine"}), a_series(label="-c", action=None)]
    assert "".join(written(trend_table(series))).splitlines() == [
        "series,1-Jan-2026,2-Jan-2026", "paid,2.0,0.0", "'=Mine,2.0,0.0", "'-c,2.0,0.0",
    ]  # fmt: skip


def test_a_trend_without_series_has_a_header_only():
    assert "".join(written(trend_table([]))) == "series\r\n"


def test_total_values_have_a_column():
    total = a_series(labels=[], data=[], aggregated_value=7.0)
    assert "".join(written(trend_table([total]))) == "series,value\r\npaid,7.0\r\n"


@pytest.mark.parametrize(
    ("name", "start", "expected"),
    [
        ("Page views!", "2026-01-01", "page-views (2026-01-01 - 2026-01-02) from insightlog.csv"),
        (None, "2026-01-01", "export (2026-01-01 - 2026-01-02) from insightlog.csv"),
        ("x", None, "x (up until 2026-01-02) from insightlog.csv"),
        ('"\r\nSet-Cookie: x', None, "set-cookie-x (up until 2026-01-02) from insightlog.csv"),
    ],
)
def test_the_file_name(name, start, expected):
    assert trend_file_name(name, start, "2026-01-02") == expected


@given(st.text())
def test_a_slug_is_safe_in_a_header(text):
    assert set(slug(text)) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")
