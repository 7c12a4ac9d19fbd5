"""What lists of events and lists of persons have in common: columns, groups, and what they are ordered by."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlglot import exp

from .....domain.errors import InvalidQuery
from .....domain.queries.actors import NAMED_BY
from .....domain.queries.sql_plan import unnamed
from ._aggregates import split_combinators
from ._dialect import parse_expression


def selected(columns: Sequence[exp.Expr], is_group: Sequence[bool], table: str) -> exp.Select:
    """Return the SELECT of columns, grouped by those without an aggregation where another has one (`is_group`)."""
    tree = exp.select(
        *(column if isinstance(column, exp.Alias) else exp.alias_(column, unnamed(place), quoted=True)
          for place, column in enumerate(columns))
    ).from_(table)  # fmt: skip
    keys = [column.unalias().copy() for column, grouped in zip(columns, is_group, strict=True)
            if not grouped and not isinstance(column.unalias(), exp.Literal)]  # fmt: skip
    return tree.group_by(*keys) if any(is_group) and keys else tree


def column_of(text: str, path: str) -> exp.Expr:
    """Return the tree of a selected expression. Raises InvalidQuery."""
    tree = parse_expression(text, path)
    if isinstance(tree.unalias(), exp.Star):
        raise InvalidQuery("Only * alone may stand for all columns.", path=path)
    return tree


def display_name(properties: str, otherwise: str, *ids: str) -> exp.Expr:
    """Return the tuple of what a person is called, else `otherwise`, and of ids. All names are ours, never a user's."""
    named = (f"nullIf(toString({properties}.{name}), '')" for name in NAMED_BY)
    return parse_expression(f"tuple(coalesce({', '.join(named)}, {otherwise}), {', '.join(ids)})", "query")


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
    name, is_down = found[1].strip(), (found[2] or "").lower() == "desc"
    if name.startswith("-") and found[2] is None and name[1:].strip() in select:
        return name[1:].strip(), True
    return name, is_down
