"""Functions over JSON texts. What is missing, or of another type, gives the default of the asked type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve
from sqlglot import exp

from ._operators import pointer_part
from ._registry import MANY, scalar
from ._types import (
    BOOL,
    FLOAT,
    INT,
    STRING,
    TRUTH,
    UINT,
    Value,
    array_of,
    call,
    cast,
    coalesce,
    is_null,
    nullable,
    number,
    text,
    try_cast,
    when,
)  # fmt: skip

if TYPE_CHECKING:
    from ._translate import Call


def _document(c: Call) -> Value:
    return c.text(0)


def _pointer(c: Call, first: int = 1) -> exp.Expr:
    parts = []
    for place in range(first, len(c)):
        value = c.value(place)
        key = value.constant if value.is_constant else None
        if not isinstance(key, str | int) or isinstance(key, bool):
            return c.refuse("A path in JSON must be written out", place)
        parts.append(pointer_part(key))
    return c.env.bind("".join(f"/{part}" for part in parts))


def _guarded(document: Value, sql: exp.Expr) -> exp.Expr:
    """Return what is read of the document, NULL when it is no JSON."""
    return sql if document.is_json else when(call("json_valid", document.sql.copy()), sql)


def _text_at(c: Call) -> exp.Expr:
    document = _document(c)
    return _guarded(document, call("json_extract_string", document.sql, _pointer(c)))


@scalar("JSONArrayLength", 1)
def _array_length(c: Call) -> Value:
    document = _document(c)
    is_array = exp.EQ(this=call("json_type", document.sql.copy()), expression=text("ARRAY"))
    size = when(is_array, call("json_array_length", document.sql.copy()))
    return Value(_guarded(document, size), nullable(UINT))


@scalar("JSONExtractString", 1, MANY)
def _string(c: Call) -> Value:
    return Value(coalesce(_text_at(c), text("")), STRING)


@scalar("JSONExtractInt JSONExtractUInt", 1, MANY)
def _int(c: Call) -> Value:
    number_ = try_cast(call("trunc", try_cast(_text_at(c), "DOUBLE")), "BIGINT")
    exact = exp.Coalesce(this=when(call("regexp_matches", _text_at(c), text(r"^-?\d+$")),
                                   try_cast(_text_at(c), "BIGINT")), expressions=[number_, number(0)])  # fmt: skip
    return Value(exact, INT if c.name == "JSONExtractInt" else UINT)


@scalar("JSONExtractFloat", 1, MANY)
def _float(c: Call) -> Value:
    return Value(coalesce(try_cast(_text_at(c), "DOUBLE"), cast(number(0), "DOUBLE")), FLOAT)


@scalar("JSONExtractBool", 1, MANY)
def _bool(c: Call) -> Value:
    return Value(coalesce(exp.EQ(this=_text_at(c), expression=text("true")), exp.false()), TRUTH)


@scalar("JSONExtractRaw", 1, MANY)
def _raw(c: Call) -> Value:
    document = _document(c)
    found = cast(_guarded(document, call("json_extract", document.sql, _pointer(c))), "VARCHAR")
    return Value(coalesce(found, text("")), STRING)


@scalar("JSONExtractArrayRaw", 1, MANY)
def _array_raw(c: Call) -> Value:
    document = _document(c)
    items = try_cast(_guarded(document, call("json_extract", document.sql, _pointer(c))), "JSON[]")
    return Value(cast(coalesce(items, cast(exp.Array(expressions=[]), "JSON[]")), "VARCHAR[]"), array_of(STRING))


@scalar("JSONExtractKeys", 1, MANY)
def _keys(c: Call) -> Value:
    document = _document(c)
    found = _guarded(document, call("json_keys", document.sql, _pointer(c)))
    return Value(coalesce(found, cast(exp.Array(expressions=[]), "VARCHAR[]")), array_of(STRING))


@scalar("JSONHas", 1, MANY)
def _has(c: Call) -> Value:
    document = _document(c)
    found = _guarded(document, call("json_exists", document.sql, _pointer(c)))
    return Value(coalesce(found, exp.false()), TRUTH)


@scalar("JSONLength", 1, MANY)
def _length(c: Call) -> Value:
    document = _document(c)
    inner = call("json_extract", document.sql, _pointer(c))
    kind = call("json_type", inner.copy())
    of_object = call("len", call("json_keys", inner.copy()))
    found = when(exp.EQ(this=kind, expression=text("OBJECT")), of_object, call("json_array_length", inner))
    return Value(coalesce(_guarded(document, found), number(0)), UINT)


@scalar("JSONType", 1, MANY)
def _type(c: Call) -> Value:
    document = _document(c)
    found = _guarded(document, call("json_type", document.sql, _pointer(c)))
    names = {"OBJECT": "Object", "ARRAY": "Array", "VARCHAR": "String", "UBIGINT": "Int64", "BIGINT": "Int64",
             "DOUBLE": "Double", "BOOLEAN": "Bool", "NULL": "Null"}  # fmt: skip
    shown = exp.Case(
        this=found,
        ifs=[exp.If(this=text(theirs), true=text(ours)) for theirs, ours in names.items()],
        default=text("Null"),
    )
    return Value(shown, STRING)


@scalar("isValidJSON", 1)
def _valid(c: Call) -> Value:
    value = c.text(0)
    return Value(call("json_valid", value.sql), nullable(TRUTH, when=value.type.is_nullable))


@scalar("toJSONString", 1)
def _to_json(c: Call) -> Value:
    value = c.value(0)
    sql = cast(call("to_json", value.sql), "VARCHAR")
    return Value(when(is_null(value.sql.copy()), exp.null(), sql), nullable(STRING, when=value.type.is_nullable))


@scalar("JSONExtract", 2, MANY)
def _typed(c: Call) -> Value:
    kind = c.literal(len(c) - 1, str, "the name of a type")
    base = kind.removeprefix("Nullable(").removesuffix(")")
    names = {"String": "JSONExtractString", "Int64": "JSONExtractInt", "UInt64": "JSONExtractUInt",
             "Float64": "JSONExtractFloat", "Bool": "JSONExtractBool", "Float": "JSONExtractFloat",
             "Int": "JSONExtractInt"}  # fmt: skip
    arguments = [argument.copy() for argument in c.arguments[:-1]]
    if kind.replace(" ", "") in ("Array(String)", "Array(Nullable(String))"):
        document = _document(c)
        keys = [c.value(place).constant for place in range(1, len(c) - 1)]
        pointer = c.env.bind("".join(f"/{pointer_part(key)}" for key in keys if isinstance(key, str | int)))
        items = try_cast(_guarded(document, call("json_extract", document.sql, pointer)), "VARCHAR[]")
        return Value(coalesce(items, cast(exp.Array(expressions=[]), "VARCHAR[]")), array_of(STRING))
    if base not in names:
        c.refuse(f"The type {kind!r} is not supported in JSONExtract", len(c) - 1)
    found = c.translator.value(exp.Anonymous(this=names[base], expressions=arguments))
    found = evolve(found, type=BOOL) if base == "Bool" else found
    if base == kind:
        return found
    raw = c.translator.value(exp.Anonymous(this="JSONExtractRaw", expressions=[one.copy() for one in arguments]))
    is_missing = exp.In(this=raw.sql, expressions=[text(""), text("null")])
    return Value(when(is_missing, exp.null(), found.sql), nullable(found.type))
