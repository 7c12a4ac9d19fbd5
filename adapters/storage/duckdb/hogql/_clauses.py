"""The clauses of a SELECT after its columns: GROUP BY, HAVING, QUALIFY, DISTINCT, ORDER BY, LIMIT BY, LIMIT, OFFSET."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from .....domain.numbers import whole_number
from ._conversions import Environment
from ._translate import Translator
from ._types import Value, number
from ._windows import ordered


def only(env: Environment, node: exp.Expr, *allowed: str) -> None:
    """Refuse a node that carries more than the arguments which are read."""
    for name, argument in node.args.items():
        if argument and name not in allowed:
            env.refuse(f"{name.strip('_').upper()} is not supported", node)


def grouped(
    tree: exp.Select, select: exp.Select, columns: Sequence[tuple[str, Value]], rows: Translator, groups: Translator
) -> exp.Select:
    """Add GROUP BY and HAVING."""
    group, having = tree.args.get("group"), tree.args.get("having")
    if group is not None:
        only(rows.env, group, "expressions")
        keys = [_place(rows.env, node, columns) or rows.value(node).sql for node in group.expressions]
        select = select.group_by(*keys, copy=False)
    if having is not None:
        select = select.having(groups.condition(having.this), copy=False)
    return select


def _place(env: Environment, node: exp.Expr, columns: Sequence[tuple[str, Value]]) -> exp.Expr | None:
    """Return the place of the column that ORDER BY or GROUP BY means by number; None for an expression."""
    if not isinstance(node, exp.Literal) or node.is_string:
        return None
    place = whole_number(node.name)
    if place is None or not 1 <= place <= len(columns):
        env.refuse(f"There is no column {node.name}", node)
    return number(place)


def qualified(tree: exp.Select, select: exp.Select, groups: Translator) -> exp.Select:
    """Add QUALIFY, which chooses among the rows by what windows say of them."""
    qualify = tree.args.get("qualify")
    if qualify is not None:
        select.set("qualify", exp.Qualify(this=groups.condition(qualify.this)))
    return select


def made_distinct(tree: exp.Select, select: exp.Select, env: Environment) -> exp.Select:
    """Add DISTINCT."""
    distinct = tree.args.get("distinct")
    if distinct is None:
        return select
    only(env, distinct)
    return select.distinct(copy=False)


def sorted_by(
    tree: exp.Select, select: exp.Select, columns: Sequence[tuple[str, Value]], groups: Translator
) -> exp.Select:
    """Add ORDER BY."""
    order = tree.args.get("order")
    if order is None:
        return select
    only(groups.env, order, "expressions")
    items: list[exp.Expr] = []
    for node in order.expressions:
        place = _place(groups.env, node.this, columns) if isinstance(node, exp.Ordered) else None
        if place is not None:
            only(groups.env, node, "this", "desc", "nulls_first")
            items.append(exp.Ordered(this=place, desc=bool(node.args.get("desc")),
                                     nulls_first=bool(node.args.get("nulls_first"))))  # fmt: skip
        else:
            items.append(ordered(groups, node))
    return select.order_by(*items, copy=False)


def limit_by_of(tree: exp.Select, rows: Translator) -> tuple[int, list[exp.Expr]] | None:
    """Return the count and the keys of LIMIT BY, None without one."""
    limit = tree.args.get("limit")
    if limit is None or not limit.expressions:
        return None
    if any(tree.args.get(part) for part in ("distinct", "offset", "qualify")):
        rows.env.refuse("LIMIT BY is supported without DISTINCT, OFFSET and QUALIFY only", limit)
    return _whole(limit.expression, rows), [rows.value(node).sql for node in limit.expressions]


def limited_by(
    select: exp.Select, limit: tuple[int, list[exp.Expr]], columns: Sequence[tuple[str, Value]]
) -> exp.Select:
    """Add LIMIT BY, as a condition on the place of a row among those of its keys."""
    count, keys = limit
    order = select.args["order"].copy() if select.args.get("order") else None
    for item in order.expressions if order else ():
        if isinstance(item.this, exp.Literal):  # a window knows no places of columns
            item.set("this", columns[int(item.this.name) - 1][1].sql.copy())
    place = exp.Window(this=exp.RowNumber(), partition_by=keys, order=order)
    select.set("qualify", exp.Qualify(this=exp.LTE(this=place, expression=number(count))))
    return select


def limited(tree: exp.Select, select: exp.Select, translator: Translator) -> exp.Select:
    """Add LIMIT and OFFSET."""
    limit, offset = tree.args.get("limit"), tree.args.get("offset")
    if limit is not None:
        only(translator.env, limit, "expression", "expressions")
        if not limit.expressions:
            select = select.limit(number(_whole(limit.expression, translator)), copy=False)
    if offset is not None:
        only(translator.env, offset, "expression")
        select = select.offset(number(_whole(offset.expression, translator)), copy=False)
    return select


def _whole(node: exp.Expr, translator: Translator) -> int:
    value = translator.value(node)
    written = value.constant if value.is_constant else None
    if not isinstance(written, int) or isinstance(written, bool) or not 0 <= written < 1 << 62:
        translator.env.refuse("LIMIT and OFFSET are whole numbers", node)
    return written
