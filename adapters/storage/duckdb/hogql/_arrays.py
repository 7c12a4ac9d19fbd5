"""Functions of arrays, with lambdas where ClickHouse takes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlglot import exp

from ._conversions import as_number, as_text, as_truth, known
from ._registry import MANY, scalar
from ._sizes import bounded, product
from ._translate import array_value, tuple_value
from ._types import (
    BYTE,
    FLOAT,
    INT,
    STRING,
    TRUTH,
    UINT,
    Type,
    Value,
    array_of,
    call,
    cast,
    coalesce,
    common_type,
    nan,
    number,
    text,
    when,
    whole_type,
)  # fmt: skip

if TYPE_CHECKING:
    from ._translate import Call

MAX_RANGE = 100_000


def _over(c: Call, make: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    """Return a lambda of ours with one argument of a fresh name."""
    name = c.translator.fresh()
    return exp.Lambda(this=make(exp.column(name)), expressions=[exp.to_identifier(name)], colon=True)


def _places(sql: exp.Expr) -> exp.Expr:
    """Return the positions 1 to the length of an array."""
    return call("range", number(1), exp.Add(this=call("len", sql.copy()), expression=number(1)))


@scalar("array", 0, MANY)
def _array(c: Call) -> Value:
    return array_value(c.translator, c.arguments, c.node)


@scalar("range", 1, 3)
def _range(c: Call) -> Value:
    values = [c.integer(place) for place in range(len(c))]
    parts = [value.sql for value in values]
    if len(parts) == 1:
        parts.insert(0, number(0))
    start, stop = parts[0], parts[1]
    last = exp.Add(this=exp.paren(start.copy()), expression=number(MAX_RANGE))
    bounded = call("least", stop, last)
    kind = whole_type(*(value.type for value in values))
    return Value(call("range", start, bounded, *parts[2:]), array_of(kind))


@scalar("emptyArrayString emptyArrayInt64 emptyArrayFloat64", 0)
def _nothing(c: Call) -> Value:
    kinds = {"String": ("VARCHAR[]", STRING), "Int64": ("BIGINT[]", INT), "Float64": ("DOUBLE[]", FLOAT)}
    sql_type, kind = kinds[c.name.removeprefix("emptyArray")]
    return Value(cast(exp.Array(expressions=[]), sql_type), array_of(kind))


def _item(c: Call, place: int, kind: Type) -> exp.Expr:
    value = c.value(place)
    if common_type([value.type, kind]) is not None:
        return value.sql
    if kind.name == "String":
        return as_text(value, c.env, c.arguments[place]).sql
    return as_number(value, c.env, c.arguments[place]).sql


@scalar("has", 2)
def _has(c: Call) -> Value:
    sql, kind = c.array(0)
    return Value(known(call("list_contains", sql, _item(c, 1, kind)), otherwise=False), TRUTH)


@scalar("hasAll hasAny", 2)
def _has_all(c: Call) -> Value:
    (one, _), (two, _) = c.array(0), c.array(1)
    return Value(call("list_has_all" if c.name == "hasAll" else "list_has_any", one, two), TRUTH)


@scalar("indexOf", 2)
def _index_of(c: Call) -> Value:
    sql, kind = c.array(0)
    return Value(coalesce(call("list_position", sql, _item(c, 1, kind)), number(0)), UINT)


@scalar("countEqual", 2)
def _count_equal(c: Call) -> Value:
    sql, kind = c.array(0)
    wanted = exp.paren(_item(c, 1, kind))
    found = call("list_filter", sql, _over(c, lambda item: exp.NullSafeEQ(this=item, expression=wanted)))
    return Value(call("len", found), UINT)


@scalar("arrayElement", 2)
def _element(c: Call) -> Value:
    from ._operators import element  # noqa: PLC0415

    return element(c.value(0), c.integer(1), c.env, c.node)


@scalar("arrayConcat", 1, MANY)
def _concat(c: Call) -> Value:
    arrays = [c.array(place) for place in range(len(c))]
    kind = common_type([kind for _, kind in arrays])
    if kind is None:
        return c.refuse("The arrays hold different types")
    sql = arrays[0][0]
    for other, _ in arrays[1:]:
        sql = call("list_concat", sql, other)
    return Value(sql, array_of(kind))


@scalar("arrayPushBack arrayPushFront", 2)
def _push(c: Call) -> Value:
    sql, kind = c.array(0)
    item = _item(c, 1, kind)
    found_type = common_type([kind, c.value(1).type])
    if kind.is_integer and found_type is not None and found_type.name == "Float64":
        sql = cast(sql, "DOUBLE[]")
    kind = kind if found_type is None else found_type
    found = call("list_append", sql, item) if c.name == "arrayPushBack" else call("list_prepend", item, sql)
    return Value(found, array_of(kind))


@scalar("arrayPopBack arrayPopFront", 1)
def _pop(c: Call) -> Value:
    sql, kind = c.array(0)
    bounds = (number(1), number(-2)) if c.name == "arrayPopBack" else (number(2), call("len", sql.copy()))
    return Value(call("list_slice", sql, *bounds), array_of(kind))


@scalar("arraySlice", 2, 3)
def _slice(c: Call) -> Value:
    sql, kind = c.array(0)
    start = c.integer(1).sql
    size = call("len", sql.copy())
    behind = exp.Add(this=exp.Add(this=size.copy(), expression=exp.paren(start.copy())), expression=number(1))
    first = when(exp.LT(this=exp.paren(start.copy()), expression=number(0)), call("greatest", behind, number(1)), start)
    if len(c) == 2:
        return Value(call("list_slice", sql, first, size), array_of(kind))
    length = c.integer(2).sql
    last = exp.Sub(this=exp.Add(this=first.copy(), expression=exp.paren(length)), expression=number(1))
    cut = exp.Add(this=size, expression=exp.paren(length.copy()))
    end = when(exp.LT(this=exp.paren(length.copy()), expression=number(0)), cut, last)
    return Value(call("list_slice", sql, first.copy(), call("greatest", end, number(0))), array_of(kind))


@scalar("arrayReverse arrayDistinct arrayCompact arrayFlatten", 1)
def _reshape(c: Call) -> Value:
    sql, kind = c.array(0)
    if c.name == "arrayReverse":
        return Value(call("list_reverse", sql), array_of(kind))
    if c.name == "arrayFlatten":
        while kind.name == "Array":
            sql, kind = call("flatten", sql), kind.items[0]
        return Value(sql, array_of(kind))

    def keeps(place: exp.Expr) -> exp.Expr:
        item = call("list_extract", sql.copy(), place)
        if c.name == "arrayDistinct":
            return exp.EQ(this=call("list_position", sql.copy(), item), expression=place.copy())
        before = call("list_extract", sql.copy(), exp.Sub(this=place.copy(), expression=number(1)))
        is_first = exp.EQ(this=place.copy(), expression=number(1))
        return exp.or_(is_first, exp.NullSafeNEQ(this=item, expression=before))

    kept = call("list_filter", _places(sql), _over(c, keeps))
    return Value(call("list_select", sql, kept), array_of(kind))


@scalar("arrayEnumerate", 1)
def _enumerate(c: Call) -> Value:
    sql, _ = c.array(0)
    return Value(_places(sql), array_of(Type("UInt32")))


@scalar("arrayUniq", 1)
def _uniq(c: Call) -> Value:
    sql, _ = c.array(0)
    return Value(call("list_unique", sql), Type("UInt32"))


@scalar("arrayStringConcat", 1, 2)
def _join(c: Call) -> Value:
    sql, kind = c.array(0)
    if kind.name not in ("String", "Nothing"):
        sql = cast(sql, "VARCHAR[]")
    between = c.text(1).sql if len(c) == 2 else text("")
    made = coalesce(call("array_to_string", sql.copy(), between.copy()), text(""))
    return Value(bounded(exp.Mul(this=product(between), expression=call("len", sql)), made), STRING)


@scalar("arrayZip", 1, 5)
def _zip(c: Call) -> Value:
    arrays = [c.array(place) for place in range(len(c))]
    name = c.translator.fresh()
    items = [Value(call("list_extract", sql.copy(), exp.column(name)), kind) for sql, kind in arrays]
    row = tuple_value(items)
    function = exp.Lambda(this=row.sql, expressions=[exp.to_identifier(name)], colon=True)
    return Value(call("list_transform", _places(arrays[0][0]), function), array_of(row.type))


@scalar("arrayIntersect", 2)
def _intersect(c: Call) -> Value:
    (one, kind), (two, _) = c.array(0), c.array(1)
    return Value(call("list_sort", call("list_intersect", one, two)), array_of(kind))


# With lambdas


def _mapped(c: Call) -> tuple[exp.Expr, Type, Value]:
    """Return the array of what the lambda makes of the items, its type of items, and the body."""
    arrays = [c.array(place) for place in range(1, len(c))]
    kinds = [kind for _, kind in arrays]
    function, body = c.translator.lambda_(c.arguments[0], kinds)
    if len(arrays) == 1:
        return call("list_transform", arrays[0][0], function), body.type, body
    names = [identifier.name for identifier in function.expressions]
    place = c.translator.fresh()
    columns = {name: call("list_extract", sql, exp.column(place)) for name, (sql, _) in zip(names, arrays, strict=True)}
    indexed = body.sql.copy().transform(
        lambda node: columns[node.name].copy() if isinstance(node, exp.Column) and node.name in columns else node
    )
    over = exp.Lambda(this=indexed, expressions=[exp.to_identifier(place)], colon=True)
    return call("list_transform", _places(arrays[0][0]), over), body.type, body


@scalar("arrayMap", 2, 4)
def _map(c: Call) -> Value:
    sql, kind, _ = _mapped(c)
    return Value(sql, array_of(kind))


@scalar("arrayFilter", 2)
def _filter(c: Call) -> Value:
    sql, kind = c.array(1)
    return Value(call("list_filter", sql, _condition(c, kind)), array_of(kind))


def _condition(c: Call, kind: Type) -> exp.Expr:
    function, body = c.translator.lambda_(c.arguments[0], [kind])
    function.set("this", known(as_truth(body, c.env, c.arguments[0]), otherwise=False))
    return function


@scalar("arrayExists arrayAll arrayCount", 1, 2)
def _exists(c: Call) -> Value:
    sql, kind = c.array(len(c) - 1)
    if len(c) == 2:
        condition = _condition(c, kind)
    else:
        condition = _over(c, lambda item: known(as_truth(Value(item, kind), c.env, c.arguments[0]), otherwise=False))
    hits = call("len", call("list_filter", sql, condition))
    if c.name == "arrayCount":
        return Value(hits, Type("UInt32"))
    if c.name == "arrayAll":
        return Value(exp.EQ(this=hits, expression=call("len", sql.copy())), TRUTH)
    return Value(exp.GT(this=hits, expression=number(0)), TRUTH)


@scalar("arrayFirst arrayLast arrayFirstIndex arrayLastIndex", 2)
def _first(c: Call) -> Value:
    sql, kind = c.array(1)
    place = number(1) if "First" in c.name else number(-1)
    if not c.name.endswith("Index"):
        from ._operators import element  # noqa: PLC0415

        kept = Value(call("list_filter", sql, _condition(c, kind)), array_of(kind))
        return element(kept, Value(place, INT), c.env, c.node)
    condition = _condition(c, kind)
    flags = call("list_transform", sql, condition)
    hits = call("list_filter", _places(sql), _over(c, lambda at: call("list_extract", flags, at)))
    return Value(coalesce(call("list_extract", hits, place), number(0)), Type("UInt32"))


@scalar("arraySum arrayAvg arrayMin arrayMax", 1, 2)
def _aggregate(c: Call) -> Value:
    sql, kind = _mapped(c)[:2] if len(c) == 2 else c.array(0)
    if kind.is_truth:
        sql, kind = cast(sql, "BIGINT[]"), BYTE
    if kind.name == "String" and c.name in ("arraySum", "arrayAvg"):
        c.refuse(f"{c.name} expects numbers")
    names = {"arraySum": "list_sum", "arrayAvg": "list_avg", "arrayMin": "list_min", "arrayMax": "list_max"}
    found = call(names[c.name], sql)
    if c.name == "arrayAvg":
        return Value(coalesce(found, nan()), FLOAT)
    if c.name == "arraySum":
        kind = FLOAT if kind.name == "Float64" else UINT if kind.name.startswith("U") else INT
    return Value(coalesce(found, number(0)) if kind.is_number else found, kind)


@scalar("arrayProduct", 1, 2)
def _product(c: Call) -> Value:
    sql, kind = _mapped(c)[:2] if len(c) == 2 else c.array(0)
    if not kind.is_number:
        c.refuse("arrayProduct expects numbers")
    return Value(coalesce(cast(call("list_product", sql), "DOUBLE"), cast(number(1), "DOUBLE")), FLOAT)


@scalar("arraySort arrayReverseSort", 1, 2)
def _sort(c: Call) -> Value:
    order = text("DESC") if c.name == "arrayReverseSort" else text("ASC")
    if len(c) == 1:
        sql, kind = c.array(0)
        return Value(call("list_sort", sql, order, text("NULLS LAST")), array_of(kind))
    sql, kind = c.array(1)
    keys = _mapped(c)[0]
    places = call("list_grade_up", keys, order, text("NULLS LAST"))
    return Value(call("list_select", sql, places), array_of(kind))


@scalar("arrayCumSum arrayDifference", 1)
def _running(c: Call) -> Value:
    sql, kind = c.array(0)

    def body(at: exp.Expr) -> exp.Expr:
        if c.name == "arrayCumSum":
            return call("list_sum", call("list_slice", sql.copy(), number(1), at))
        before = call("list_extract", sql.copy(), exp.Sub(this=at.copy(), expression=number(1)))
        gap = exp.Sub(this=call("list_extract", sql.copy(), at), expression=before)
        return when(exp.EQ(this=at.copy(), expression=number(1)), number(0), gap)

    found = call("list_transform", _places(sql), _over(c, body))
    if kind.is_number and kind.name != "Float64":
        is_sum = c.name == "arrayCumSum"
        kind = (UINT if kind.name.startswith("U") else INT) if is_sum else Type(f"Int{min(64, 2 * kind.bits)}")
    return Value(found, array_of(kind))


@scalar("arrayJoin", 1)
def _array_join(c: Call) -> Value:
    if not c.translator.allows_windows:
        c.refuse("arrayJoin may not stand here")
    sql, kind = c.array(0)
    return Value(call("unnest", sql), kind)
