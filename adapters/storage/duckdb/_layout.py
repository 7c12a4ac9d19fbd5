"""Order of what is stored: captured events lie in the order of their arrival until there are enough to sort them.

A piece of settled rows is deleted and inserted again, sorted, in one transaction: queries see the same rows before and
after it. PERF: of 10 M events in order of time a month of one event counts in 24 ms, sorted in pieces in 7.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING

from ._tables import NO_LOCK, transaction

if TYPE_CHECKING:
    import duckdb

PIECE_ROWS = 245_760
"""Rows sorted at a time, two row groups: a second or so, within the memory limit of queries."""
_NEXT = """
SELECT max(known_at), sum(n) FROM (
    SELECT known_at, count(*) AS n, sum(count(*)) OVER (ORDER BY known_at) AS n_until FROM events
    WHERE known_at > (SELECT laid_until FROM layout) GROUP BY known_at
) WHERE n_until - n < $piece
"""


def lay_out(
    connection: duckdb.DuckDBPyConnection,
    *,
    piece_rows: int = PIECE_ROWS,
    committing: AbstractContextManager[object] = NO_LOCK,
) -> bool:
    """Sort the next piece of rows if there are enough; return whether there was one.

    What came in at one instant stays together: a bulk import is sorted already, and passed over when it is large.
    `committing` is held for the commit. When the table gets another column meanwhile, the piece is left for the next
    call.
    """
    ((until, n_rows),) = connection.execute(_NEXT, {"piece": piece_rows}).fetchall()
    if n_rows is None or n_rows < piece_rows:
        return False
    import duckdb  # noqa: PLC0415 - start-up time and idle memory

    try:
        _sort(connection, until, is_small=n_rows < 2 * piece_rows, committing=committing)
    except duckdb.TransactionException as error:
        if "altered" not in str(error):
            raise  # no column was added meanwhile
    return True


def _sort(
    connection: duckdb.DuckDBPyConnection,
    until: datetime,
    *,
    is_small: bool,
    committing: AbstractContextManager[object],
) -> None:
    with transaction(connection, committing=committing):
        if is_small:
            settled = "known_at > (SELECT laid_until FROM layout) AND known_at <= $until"
            connection.execute(f"CREATE OR REPLACE TEMP TABLE settled AS FROM events WHERE {settled}", {"until": until})
            connection.execute(f"DELETE FROM events WHERE {settled}", {"until": until})
            connection.execute("INSERT INTO events FROM settled ORDER BY project_id, event, person_id, timestamp")
            connection.execute("DROP TABLE settled")
        connection.execute("UPDATE layout SET laid_until = ?", [until])
