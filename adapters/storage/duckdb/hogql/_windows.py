"""Window functions: ranks, neighbours and aggregates OVER partitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from .....domain.numbers import whole_number
from ._aggregates import aggregated
from ._dialect import shown
from ._translate import call_of
from ._types import FLOAT, UINT, Value, call, coalesce, nullable, number

if TYPE_CHECKING:
    from ._translate import Call, Translator

RANKS = {
    "row_number": UINT, "rank": UINT, "dense_rank": UINT, "percent_rank": FLOAT, "cume_dist": FLOAT, "ntile": UINT,
}  # fmt: skip
NEIGHBOURS = {"lag": "lag", "lead": "lead", "lagInFrame": "lag", "leadInFrame": "lead"}
VALUES = ("first_value", "last_value", "nth_value")
NAMES = (*RANKS, *NEIGHBOURS, *VALUES)
"""Functions that only stand before OVER; every aggregate may as well."""
_COUNTS = {
    **dict.fromkeys(RANKS, (0, 0)), **dict.fromkeys(NEIGHBOURS, (1, 3)),
    "ntile": (1, 1), "first_value": (1, 1), "last_value": (1, 1), "nth_value": (2, 2),
}  # fmt: skip
_MAX_FRAME = 1_000_000


def with_windows(select: exp.Select) -> exp.Select:
    """Return a SELECT whose `OVER w` are written out as its WINDOW clause tells, which is taken out."""
    named = {one.name: one for one in select.args.get("windows") or ()}
    if not named:
        return select
    select.set("windows", None)
    for node in list(select.find_all(exp.Window)):
        defined = named.get(node.args["alias"].name) if node.args.get("alias") else None
        if defined is not None and not any(node.args.get(part) for part in ("partition_by", "order", "spec")):
            for part in ("partition_by", "order", "spec"):
                value = defined.args.get(part)
                node.set(part, [one.copy() for one in value] if isinstance(value, list) else value and value.copy())
            node.set("alias", None)
    return select


def windowed(translator: Translator, node: Any) -> Value:
    """Return a function OVER a window."""
    translator.only(node, "this", "partition_by", "order", "spec", "over", "alias")
    if not translator.allows_windows:
        translator.env.refuse(f"The window function {shown(node.this)} may not stand here", node)
    if not isinstance(node.this, exp.Anonymous | exp.Filter):
        translator.env.refuse(f"{shown(node.this)} is no window function", node)
    call_ = call_of(translator, node.this)
    window = _window(translator, node)
    name = next((known for known in NAMES if known.lower() == call_.name.lower()), None)
    if name is None:
        found = aggregated(call_, window)
        return found if found is not None else call_.refuse(f"'{call_.name}' is no window function")
    return _only_windowed(call_, name, window)


def _only_windowed(call_: Call, name: str, window: exp.Window) -> Value:
    least, most = _COUNTS[name]
    if not least <= len(call_) <= most or call_.parameters or call_.is_distinct or call_.rows is not None:
        call_.refuse(f"'{name}' expects {least} to {most} arguments" if most else f"'{name}' takes no arguments")
    values = call_.values()
    sql = window.copy()
    sql.set("this", call(NEIGHBOURS.get(name, name), *(value.sql for value in values)))
    if name in RANKS:
        return Value(sql, RANKS[name])
    if name.endswith("InFrame") and len(call_) < 3 and values[0].type.is_number and not values[0].type.is_nullable:
        return Value(coalesce(sql, number(0)), values[0].type)
    return Value(sql, nullable(values[0].type, when=name not in ("first_value", "last_value")))


def _window(translator: Translator, node: Any) -> exp.Window:
    parts = [translator.value(part).sql for part in node.args.get("partition_by") or ()]
    order = None
    if node.args.get("order"):
        order = exp.Order(expressions=[ordered(translator, one) for one in node.args["order"].expressions])
    if node.args.get("alias") or node.args.get("over") not in (None, "OVER"):
        translator.env.refuse("A window is named in the WINDOW clause, and not changed where it is used", node)
    spec = node.args.get("spec")
    frame = _frame(translator, spec) if spec is not None else None
    return exp.Window(partition_by=parts, order=order, spec=frame)


def ordered(translator: Translator, node: exp.Expr) -> exp.Expr:
    """Return one item of ORDER BY; NULL comes last either way, as in ClickHouse."""
    if not isinstance(node, exp.Ordered):
        return exp.Ordered(this=translator.value(node).sql, nulls_first=False)
    translator.only(node, "this", "desc", "nulls_first")
    return exp.Ordered(
        this=translator.value(node.this).sql,
        desc=bool(node.args.get("desc")),
        nulls_first=bool(node.args.get("nulls_first")),
    )


def _frame(translator: Translator, spec: Any) -> exp.WindowSpec:
    translator.only(spec, "kind", "start", "start_side", "end", "end_side")
    if str(spec.args.get("kind")).upper() not in ("ROWS", "RANGE"):
        translator.env.refuse("A window frame is in ROWS or RANGE", spec)

    def edge(value: Any) -> Any:
        if value is None or (isinstance(value, str) and value.upper() in ("UNBOUNDED", "CURRENT ROW")):
            return value.upper() if value else None
        rows = whole_number(value.name) if isinstance(value, exp.Literal) and not value.is_string else None
        if rows is not None and rows <= _MAX_FRAME:
            return number(rows)
        return translator.env.refuse("A window frame is bounded by numbers", spec)

    def side(name: str) -> str | None:
        found = spec.args.get(name)
        if found is not None and found.upper() not in ("PRECEDING", "FOLLOWING"):
            translator.env.refuse("The window frame is not supported", spec)
        return found.upper() if found else None

    return exp.WindowSpec(
        kind=str(spec.args["kind"]).upper(),
        start=edge(spec.args.get("start")),
        start_side=side("start_side"),
        end=edge(spec.args.get("end")),
        end_side=side("end_side"),
    )
