"""How high the ids of persons are, so that a set of persons fits into so many bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

_SPARE = 1.25
_FEWEST = 1_000


class PersonIds:
    """Remembers a bound of the ids of one file; those who came in since may be above it."""

    def __init__(self) -> None:
        self._bits = 0

    def bits(self, cursor: duckdb.DuckDBPyConnection) -> int:
        """Return the power of two that ids are below, with room for newcomers."""
        from ._persons import last_person  # noqa: PLC0415 - start-up time and idle memory

        if not self._bits:
            self._bits = (int(last_person(cursor) * _SPARE) + _FEWEST).bit_length()
        return self._bits

    def outgrown(self) -> None:
        """Look again the next time."""
        self._bits = 0
