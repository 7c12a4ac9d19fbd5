"""JSON Schemas of query nodes, read off the classes that the nodes are parsed into."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import attrs

from ...domain.queries.nodes import json_name
from .operations import Schema

_SCALARS: Mapping[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"}


def node_schemas(classes: Iterable[type[Any]]) -> dict[str, Schema]:
    """Return the schema of each class, and of those that its fields are made of, by class name."""
    found: dict[str, Schema] = {}
    waiting = list(classes)
    while waiting:
        node = waiting.pop()
        if node.__name__ not in found:
            attrs.resolve_types(node)
            fields = attrs.fields(node)
            found[node.__name__] = {
                "type": "object",
                "description": (node.__doc__ or "").partition("\n")[0],
                "properties": {json_name(field): _schema(field.type, waiting) for field in fields},
                "required": [json_name(field) for field in fields if _is_required(field)],
                "additionalProperties": False,
            }
    return found


def _is_required(field: attrs.Attribute[Any]) -> bool:
    """Whether JSON must have the field: the kind of a node tells what it is, even where Python has a default."""
    return field.default is attrs.NOTHING or (field.name == "kind" and get_origin(field.type) is Literal)


def _schema(kind: Any, waiting: list[type[Any]]) -> Schema:
    """Return the schema of a field's type; classes that it names are put on the waiting list."""
    origin = get_origin(kind)
    if origin is Literal:
        return {"type": "string", "enum": list(get_args(kind))}
    if origin in {Union, UnionType}:
        return {"anyOf": [_schema(option, waiting) for option in get_args(kind)]}
    if origin is tuple:
        return {"type": "array", "items": _schema(get_args(kind)[0], waiting)}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": True}
    if attrs.has(kind):
        waiting.append(kind)
        return {"$ref": f"#/components/schemas/{kind.__name__}"}
    return {"type": _SCALARS[kind]} if kind in _SCALARS else {}
