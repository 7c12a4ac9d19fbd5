"""What DuckDB refuses in a statement that holds HogQL, said in terms of the HogQL."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ....domain.errors import InvalidQuery, QueryTooLarge

if TYPE_CHECKING:
    from ._statement import Statement


TOO_LARGE = "insightlog: a value is too large"
"""What our own checks in a statement fail with."""


@contextlib.contextmanager
def hogql_refused(statement: Statement) -> Iterator[None]:
    """Raise what DuckDB refuses as InvalidQuery when the statement holds HogQL.

    The message says nothing of DuckDB's own, which may quote the SQL or values of rows that are not the project's.
    """
    import duckdb  # noqa: PLC0415

    try:
        yield
    except (duckdb.OperationalError, duckdb.InternalError, duckdb.FatalException, duckdb.InterruptException):
        raise
    except duckdb.Error as error:
        if not statement.hogql_paths:
            raise
        if TOO_LARGE in str(error):
            raise QueryTooLarge("The query needs more memory than it may have.", path="query") from error
        raise InvalidQuery(_reason(error), path=statement.hogql_paths[0]) from error
    except RecursionError as error:
        if not statement.hogql_paths:
            raise
        raise InvalidQuery("The HogQL text nests too deeply.", path=statement.hogql_paths[0]) from error


def _reason(error: Exception) -> str:
    text = str(error)
    if "GROUP BY" in text:
        return "The HogQL text selects a column that is neither in GROUP BY nor inside an aggregation."
    if "aggregate function calls cannot be nested" in text:
        return "The HogQL text has an aggregation inside another."
    if "WHERE clause cannot contain" in text:
        return "The HogQL text has an aggregation or a window function in its WHERE."
    if "Out of Range" in text or "Conversion" in text:
        return "A value is out of range in the HogQL text."
    return "Types or columns do not fit in the HogQL text."
