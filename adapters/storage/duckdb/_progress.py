"""How far DuckDB is with a statement, for those who ask while it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ....application.stopping import Done
from ._tables import n_events

if TYPE_CHECKING:
    import duckdb


def watched(cursor: duckdb.DuckDBPyConnection) -> Callable[[], Done]:
    """Have DuckDB keep count on this cursor; return what tells, from any thread, how far its statement is.

    Rows are those of all events, which is the most that a statement may have to read.
    """
    n_rows = n_events(cursor)
    cursor.execute("SET enable_progress_bar = true")
    cursor.execute("SET enable_progress_bar_print = false")
    return lambda: Done(max(cursor.query_progress(), 0.0) / 100, n_rows)
