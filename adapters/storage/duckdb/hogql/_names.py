"""Names in HogQL, dotted and in brackets, and elements of values, as DuckDB expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from .....domain.numbers import whole_number
from . import _operators
from ._conversions import constant
from ._dialect import shown

if TYPE_CHECKING:
    from ._translate import Translator
    from ._types import Value


def column(translator: Translator, node: exp.Expr) -> Value:
    """Return what a name of up to four parts stands for."""
    translator.only(node, "this", "table", "db", "catalog")
    parts: list[str | int] = []
    assert isinstance(node, exp.Column)
    for part in node.parts:
        if isinstance(part, exp.Identifier):
            if part.args.get("quoted") and part.name.startswith("{"):
                translator.env.refuse(f"Unable to resolve field: {part.name}", node)
            parts.append(part.name)
        elif isinstance(part, exp.Literal) and not part.is_string:
            parts += [_place(translator, piece, node) for piece in part.name.split(".") if piece.isdigit()]
        else:
            translator.env.refuse(f"{shown(node)} is not supported", node)
    return translator.name(parts, node)


def _place(translator: Translator, digits: str, node: exp.Expr) -> int:
    place = whole_number(digits)
    return translator.env.refuse(f"There is no element {digits}", node) if place is None else place


def identifier(translator: Translator, node: exp.Expr) -> Value:
    """Return what a name of one part stands for."""
    return translator.name([node.name], node)


def dotted_name(translator: Translator, node: exp.Expr) -> Value:
    """Return what a longer name stands for, or an element of a value."""
    translator.only(node, "this", "expression")
    key = node.expression
    parts = _dotted(node)
    if parts is not None:
        return translator.name(parts, node)
    if isinstance(key, exp.Literal) and not key.is_string and key.name.isdigit():
        place = _place(translator, key.name, node)
        return _operators.element(translator.value(node.this), constant(place, translator.env), translator.env, node)
    if isinstance(key, exp.Identifier):
        return _operators.element(translator.value(node.this), constant(key.name, translator.env), translator.env, node)
    return translator.env.refuse(f"{shown(node)} is not supported", node)


def _dotted(node: exp.Expr) -> list[str | int] | None:
    """Return the parts of a name with more than four of them."""
    keys: list[str | int] = []
    while isinstance(node, exp.Dot):
        key = node.expression
        if not isinstance(key, exp.Identifier):
            return None
        keys.insert(0, key.name)
        node = node.this
    if not isinstance(node, exp.Column) or not all(isinstance(part, exp.Identifier) for part in node.parts):
        return None
    return [part.name for part in node.parts] + keys


def bracket(translator: Translator, node: exp.Expr) -> Value:
    """Return an element of a value, or the property that a name in brackets is."""
    translator.only(node, "this", "expressions", "offset")
    if len(node.expressions) != 1 or isinstance(node.expressions[0], exp.Slice):
        translator.env.refuse(f"{shown(node)} is not supported", node)
    outer, key = node.this, node.expressions[0]
    keys: list[str | int] = []
    inner = node
    while isinstance(inner, exp.Bracket) and len(inner.expressions) == 1:
        literal = inner.expressions[0]
        if not isinstance(literal, exp.Literal):
            break
        place = None if literal.is_string else whole_number(literal.name)
        keys.insert(0, literal.name if literal.is_string else -1 if place is None else place)
        inner = inner.this
    if isinstance(inner, exp.Column) and all(isinstance(part, exp.Identifier) for part in inner.parts):
        parts = [part.name for part in inner.parts]
        if "properties" in parts or (isinstance(keys[0] if keys else 0, str)):
            return translator.name([*parts, *keys], node)
    return _operators.element(translator.value(outer), translator.value(key), translator.env, node)
