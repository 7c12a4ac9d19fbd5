"""HogQL in DuckDB: expressions over an event, and whole queries.

`expression_sql` is what filters, breakdowns, math and aggregations call; `_select` answers HogQLQuery.
"""

from __future__ import annotations

from typing import Literal

from sqlglot import exp

from .....domain.queries.scope import Scope
from .._statement import Statement
from ._answers import answer_sql
from ._conversions import Environment, as_number, as_text
from ._dialect import parse_expression
from ._event_list import answer_events
from ._functions import called as called
from ._person_list import answer_persons
from ._row import EventRow, PersonRow
from ._translate import Translator

__all__ = ["Wanted", "answer_events", "answer_persons", "answer_sql", "expression_sql"]

Wanted = Literal["text", "truth", "aggregate"]


def expression_sql(
    text: str,
    statement: Statement,
    *,
    path: str,
    wants: Wanted = "text",
    scope: Scope,
) -> exp.Expr:
    """Return one HogQL expression over the statement's row as a DuckDB expression, its literals bound.

    `wants` says as what: `text` (for breakdowns and actors; NULL where the value is), `truth` (for filters; never
    NULL), `aggregate` (for `math: hogql`: aggregations over the rows, the caller groups; a 64-bit float, NULL for what
    is no number). `scope` gives the present moment, the zone and the types of properties. Relations that the
    expression reads are asked of the statement. Raises InvalidQuery at `path` for what HogQL has not, with its
    position in the text.
    """
    statement.hogql_paths.append(path)
    environment = Environment(statement, scope, path)
    names = EventRow(statement) if statement.base == "events" else PersonRow(statement)
    translator = Translator(environment, names, allows_aggregates=wants == "aggregate")
    tree = parse_expression(text, path)
    if wants == "truth":
        return translator.condition(tree)
    value = translator.value(tree)
    if wants == "aggregate":
        return exp.cast(as_number(value, environment, tree).sql, "DOUBLE")
    return as_text(value, environment, tree).sql
