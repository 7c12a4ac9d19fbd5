"""Autocapture elements as SQL over the text of an event's chain."""

from __future__ import annotations

from sqlglot import exp

from ....domain.errors import UnsupportedQuery
from ....domain.queries.plan import ElementTest
from ._statement import Statement


def element_sql(test: ElementTest, statement: Statement) -> exp.Expr:
    """Return whether some element of the event's chain passes the test; false without a chain."""
    del statement
    raise UnsupportedQuery(f"Filters on the {test.key} of elements are not supported yet.")
