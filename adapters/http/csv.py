"""JSON values as CSV (insights-api.md 7): any value flattened, and the table of a trend. Pure; knows no request."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterable, Iterator
from io import StringIO
from itertools import chain
from typing import Any

from attrs import frozen

PRODUCT = "insightlog"
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet take a text for a formula."""
CHUNK_CHARS = 1 << 16


@frozen
class Table:
    """A header and the rows below it, one cell per header each; a cell is a JSON scalar."""

    header: list[str]
    rows: Iterable[list[Any]]


def flattened(value: Any) -> Table:
    """Return a value with dotted keys: an object becomes one row, an array one row per item.

    The header is the union of the keys in alphabetical order. An empty object or array contributes no column.

    >>> table = flattened({"tags": ["a", "b"], "created_by": {"id": 1}})
    >>> table.header, list(table.rows)
    (['created_by.id', 'tags.0', 'tags.1'], [[1, 'a', 'b']])
    """
    rows = [dict(_cells(item)) for item in (value if isinstance(value, list) else [value])]
    header = sorted({key for row in rows for key in row})
    return Table(header, ([row.get(key) for key in header] for row in rows))


def _cells(value: Any, path: str | None = None) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in pairs:
            yield from _cells(inner, str(key) if path is None else f"{path}.{key}")
    else:
        yield path or "", value


def results_of(value: Any) -> Any:
    """Return the items of a list's answer, one row each; a value without `results` as it is."""
    return value["results"] if isinstance(value, dict) and isinstance(value.get("results"), list) else value


def trend_table(series: Any) -> Table:
    """Return one row per series under the labels of the first; total values stand in a column of their own."""
    rows = [one for one in series if isinstance(one, dict)] if isinstance(series, list) else []
    labels = [str(label) for label in rows[0].get("labels") or ()] if rows else []
    if rows and not labels and "aggregated_value" in rows[0]:
        return Table(["series", "value"], ([_series_name(one), one.get("aggregated_value")] for one in rows))
    return Table(["series", *labels], ([_series_name(one), *(one.get("data") or ())] for one in rows))


def _series_name(series: dict[str, Any]) -> Any:
    action = series.get("action")
    return (action.get("custom_name") if isinstance(action, dict) else None) or series.get("label")


def trend_file_name(export_name: str | None, start: str | None, end: str) -> str:
    """Return the name of the file that a trend of these days is saved as; without a first one it is of all time."""
    span = f"up until {end}" if start is None else f"{start} - {end}"
    return f"{slug(export_name or '') or 'export'} ({span}) from {PRODUCT}.csv"


def slug(text: str) -> str:
    """Return a text as lower-case ASCII words joined by hyphens.

    >>> slug("Page Views / Été!")
    'page-views-ete'
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain.lower())).strip("-_")


def written(table: Table, *, are_formulas_escaped: bool = True) -> Iterator[str]:
    """Yield a table as CSV text in pieces: commas, CRLF, quotes only where needed.

    With `are_formulas_escaped` a text that a spreadsheet would take for a formula gets a leading apostrophe; numbers
    never do. A table without columns gives no text.
    """
    if not table.header:
        return
    out = StringIO(newline="")
    writer = csv.writer(out)
    for row in chain([table.header], table.rows):
        writer.writerow([_escaped(cell) for cell in row] if are_formulas_escaped else row)
        if out.tell() > CHUNK_CHARS:
            yield out.getvalue()
            out.seek(0)
            out.truncate()
    yield out.getvalue()


def _escaped(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell
