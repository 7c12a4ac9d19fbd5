"""Rows of an answer, fetched piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ...kernels.checkpoint import checkpoint

if TYPE_CHECKING:
    import duckdb


def pieces(cursor: duckdb.DuckDBPyConnection, most: int, *, n_rows: int) -> Iterator[list[tuple[Any, ...]]]:
    """Give up to `most` rows, at most `n_rows` of them at once; between the pieces a calculation can be given up."""
    while most > 0 and (piece := cursor.fetchmany(min(n_rows, most))):
        checkpoint()
        yield piece
        most -= len(piece)
