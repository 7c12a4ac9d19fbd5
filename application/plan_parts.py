"""Plans taken apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs


def parts_of(value: Any) -> Iterator[Any]:
    """Give a value and everything it is made of, but the edges of buckets."""
    yield value
    inner = value if isinstance(value, tuple) else ()
    if attrs.has(type(value)):
        inner = tuple(getattr(value, field.name) for field in attrs.fields(type(value)) if field.name != "edges")
    for one in inner:
        yield from parts_of(one)
