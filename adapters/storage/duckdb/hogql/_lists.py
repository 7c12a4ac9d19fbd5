"""What lists of events and lists of persons have in common: columns, groups, and what they are ordered by."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlglot import exp

from .....domain.errors import InvalidQuery
from ._aggregates import split_combinators
from ._dialect import parse_expression


def selected(columns: Sequence[exp.Expr], is_group: Sequence[bool], table: str) -> exp.Select:
    """Return the SELECT of columns, grouped by those without an aggregation where another has one (`is_group`)."""
    tree = exp.select(*(exp.alias_(column, f"column {place}", quoted=True) for place, column in enumerate(columns)))
    tree = tree.from_(table)
    keys = [column.copy() for column, grouped in zip(columns, is_group, strict=True) if not grouped]
    return tree.group_by(*keys) if any(is_group) and keys else tree


def column_of(text: str, path: str) -> exp.Expr:
    """Return the tree of a selected expression, without its alias. Raises InvalidQuery."""
    tree = parse_expression(text, path)
    if isinstance(tree, exp.Alias):
        tree = tree.this
    if isinstance(tree, exp.Star):
        raise InvalidQuery("Only * alone may stand for all columns.", path=path)
    return tree


def has_aggregate(tree: exp.Expr) -> bool:
    """Whether a tree has an aggregation in it."""
    return any(split_combinators(call.name) for call in tree.find_all(exp.Anonymous))


def place_of_count(columns: Sequence[exp.Expr], is_group: Sequence[bool]) -> int | None:
    """Return the place of `count()`, else of the first aggregation; None without one."""
    count = next((place for place, column in enumerate(columns)
                  if isinstance(column, exp.Anonymous) and column.name.lower() == "count" and not column.expressions),
                 None)  # fmt: skip
    return count if count is not None else next((place for place, one in enumerate(is_group) if one), None)


def direction_of(text: str, select: Sequence[str]) -> tuple[str, bool]:
    """Return an expression to order by and whether it falls: `x DESC`, or `-x` for one that is selected."""
    found = re.fullmatch(r"(.*?)(?:\s+(asc|desc))?\s*", text, re.IGNORECASE | re.DOTALL)
    assert found is not None
    bare, is_down = found[1].strip(), (found[2] or "").lower() == "desc"
    if bare.startswith("-") and found[2] is None and bare[1:].strip() in select:
        return bare[1:].strip(), True
    return bare, is_down
