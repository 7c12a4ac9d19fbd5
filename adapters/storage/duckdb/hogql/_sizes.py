"""How large answers and texts may become: DuckDB's own limit does not count what single values hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from .....domain.errors import QueryTooLarge
from .._pieces import pieces
from .._refusals import TOO_LARGE
from ._types import Type, call, cast, coalesce, number, text, when

if TYPE_CHECKING:
    import duckdb

MAX_ROW = 16 << 20
"""Characters in the texts and lists of one row."""
MAX_ANSWER = 64 << 20
"""Characters in the texts and lists of an answer."""
MAX_TEXT = 16 << 20
"""Characters that a replacement, or joining a list, may give."""
_PIECE = 256
_ELEMENT = 8
"""What an element of a list counts as beside its characters."""


def bounded(size: exp.Expr, value: exp.Expr, *, most: int = MAX_TEXT) -> exp.Expr:
    """Return a text, whose computation is given up where its size would be more than `most`."""
    return when(exp.GT(this=size, expression=number(most)), cast(call("error", text(TOO_LARGE)), "VARCHAR"), value)


def product(*texts: exp.Expr) -> exp.Expr:
    """Return the product of the lengths of texts, at least 1 each."""
    lengths = [cast(call("greatest", call("strlen", one.copy()), number(1)), "BIGINT") for one in texts]
    found: exp.Expr = lengths[0]
    for one in lengths[1:]:
        found = exp.Mul(this=found, expression=one)
    return found


def with_size(sql: exp.Query, types: Sequence[Type]) -> exp.Query:
    """Return a query whose last column tells how large each row is; rows beyond `MAX_ROW` end it."""
    found = [_size(exp.column(f"c{place}", "s"), kind) for place, kind in enumerate(types)]
    sizes = [size for size in found if size is not None]
    total: exp.Expr = number(0)
    for size in sizes:
        total = exp.Add(this=total, expression=coalesce(cast(size, "BIGINT"), number(0)))
    if sizes:
        limit = exp.GT(this=total.copy(), expression=number(MAX_ROW))
        total = when(exp.paren(limit), cast(call("error", text(TOO_LARGE)), "BIGINT"), total)
    columns = [exp.column(f"c{place}", "s") for place in range(len(types))]
    inner = exp.Subquery(this=sql, alias=exp.TableAlias(this=exp.to_identifier("s")))
    return exp.select(*columns, exp.alias_(total, "size")).from_(inner)


def fetched(cursor: duckdb.DuckDBPyConnection, most: int) -> list[tuple[Any, ...]]:
    """Return up to `most` rows without their sizes. Raises `QueryTooLarge` when they are too large together."""
    rows: list[tuple[Any, ...]] = []
    total = 0
    for piece in pieces(cursor, most, n_rows=_PIECE):
        total += sum(row[-1] for row in piece)
        if total > MAX_ANSWER:
            raise QueryTooLarge(f"The answer has more than {MAX_ANSWER >> 20} MB.", path="query")
        rows += [row[:-1] for row in piece]
    return rows


def _size(column: exp.Expr, kind: Type) -> exp.Expr | None:
    if kind.name == "String":
        return call("strlen", column)
    if kind.name == "Array":
        inner = kind.items[0]
        if inner.name == "String":
            length = exp.Add(this=call("strlen", exp.column("x")), expression=number(_ELEMENT))
            each = exp.Lambda(this=length, expressions=[exp.to_identifier("x")], colon=True)
            return call("list_sum", call("list_transform", column, each))
        if inner.name not in ("Array", "Tuple"):
            return exp.Mul(this=call("len", column), expression=number(_ELEMENT))
    if kind.name in ("Array", "Tuple"):
        return call("strlen", cast(column, "VARCHAR"))
    return None
