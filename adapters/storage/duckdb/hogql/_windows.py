"""Window functions: ranks, neighbours and aggregates OVER partitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from ._dialect import shown
from ._translate import call_of
from ._types import FLOAT, UINT, Value, call, coalesce, nullable, number

if TYPE_CHECKING:
    from ._translate import Call, Translator

RANKS = {"row_number": UINT, "rank": UINT, "dense_rank": UINT, "percent_rank": FLOAT, "cume_dist": FLOAT}
NEIGHBOURS = {"lag": "lag", "lead": "lead", "lagInFrame": "lag", "leadInFrame": "lead"}
OTHERS = ("first_value", "last_value", "nth_value", "ntile")
NAMES = (*RANKS, *NEIGHBOURS, *OTHERS)
"""Functions that only stand before OVER; every aggregate may as well."""
_MAX_FRAME = 1_000_000


def windowed(translator: Translator, node: Any) -> Value:
    """Return a function OVER a window."""
    translator.only(node, "this", "partition_by", "order", "spec", "over", "alias")
    if not translator.allows_windows:
        translator.env.refuse(f"The window function {shown(node.this)} may not stand here", node)
    if not isinstance(node.this, exp.Anonymous):
        translator.env.refuse(f"{shown(node.this)} is no window function", node)
    call_ = call_of(translator, node.this)
    value = _function(call_)
    window = _window(translator, node)
    sql = value.sql.transform(lambda inner: _over(inner, window), copy=True)
    return Value(sql, value.type)


_PLAIN = (exp.Count, exp.Sum, exp.Avg, exp.Min, exp.Max)


def _over(node: exp.Expr, window: exp.Window) -> exp.Expr:
    """Return the aggregate calls inside an expression, each OVER the window."""
    is_call = isinstance(node, exp.Filter | _PLAIN) or node.meta.get("aggregate")
    if not is_call or (node.parent is not None and isinstance(node.parent, exp.Filter)):
        return node
    found = window.copy()
    found.set("this", node)
    return found


def _function(call_: Call) -> Value:
    name = call_.name
    lowered = next((known for known in NAMES if known.lower() == name.lower()), None)
    if lowered is None:
        return _marked(call_.translator.value(call_.node))
    if lowered in RANKS:
        if len(call_):
            call_.refuse(f"'{name}' takes no arguments")
        return Value(_mark(call(lowered)), RANKS[lowered])
    if lowered in NEIGHBOURS:
        if not 1 <= len(call_) <= 3:
            call_.refuse(f"'{name}' expects 1 to 3 arguments")
        value = call_.value(0)
        sql = _mark(call(NEIGHBOURS[lowered], value.sql, *(call_.value(place).sql for place in range(1, len(call_)))))
        if lowered.endswith("InFrame") and len(call_) < 3 and value.type.is_number and not value.type.is_nullable:
            return Value(coalesce(sql, number(0)), value.type)
        return Value(sql, nullable(value.type))
    expected = 2 if lowered == "nth_value" else 1
    if len(call_) != expected:
        call_.refuse(f"'{name}' expects {expected} arguments")
    values = call_.values()
    return Value(_mark(call(lowered, *(value.sql for value in values))), UINT if lowered == "ntile" else values[0].type)


def _mark(sql: exp.Expr) -> exp.Expr:
    sql.meta["aggregate"] = True
    return sql


def _marked(value: Value) -> Value:
    """Mark the aggregate calls that the translation of an aggregate made by name."""
    for node in value.sql.find_all(exp.Anonymous):
        if node.name in _AGGREGATE_CALLS and not isinstance(node.parent, exp.Filter):
            _mark(node)
    return value


_AGGREGATE_CALLS = frozenset({
    "any_value", "last", "arg_min", "arg_max", "quantile_cont", "list", "stddev_pop", "stddev_samp", "var_pop",
    "var_samp", "corr", "covar_pop", "covar_samp", "bit_and", "bit_or", "bit_xor", "histogram", "skewness",
    "kurtosis_pop",
})  # fmt: skip


def _window(translator: Translator, node: Any) -> exp.Window:
    parts = [translator.value(part).sql for part in node.args.get("partition_by") or ()]
    order = None
    if node.args.get("order"):
        order = exp.Order(expressions=[ordered(translator, one) for one in node.args["order"].expressions])
    if node.args.get("alias") or node.args.get("over") not in (None, "OVER"):
        translator.env.refuse("Named windows are not supported", node)
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
        if value is None or value in ("UNBOUNDED", "CURRENT ROW"):
            return value
        is_number = isinstance(value, exp.Literal) and not value.is_string and value.name.isdigit()
        if is_number and int(value.name) <= _MAX_FRAME:
            return number(int(value.name))
        return translator.env.refuse("A window frame is bounded by numbers", spec)

    sides = {spec.args.get("start_side"), spec.args.get("end_side")}
    if not sides <= {None, "PRECEDING", "FOLLOWING"}:
        translator.env.refuse("The window frame is not supported", spec)
    return exp.WindowSpec(
        kind=str(spec.args["kind"]).upper(),
        start=edge(spec.args.get("start")),
        start_side=spec.args.get("start_side"),
        end=edge(spec.args.get("end")),
        end_side=spec.args.get("end_side"),
    )
