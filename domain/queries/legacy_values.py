"""Values of legacy filters: as these come from query strings, numbers, booleans and lists may be texts."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from ..errors import InvalidQuery

LARGEST = 2**53
"""Numbers are smaller: greater ones are not the same in every JSON."""
_TRUE = frozenset({"true", "1", "t", "y", "yes"})


def is_true(value: Any) -> bool:
    """Whether a value of a query string means yes."""
    return value is True or str(value).lower() in _TRUE


def flag(value: Any) -> bool | None:
    """Whether a value means yes; None for nothing."""
    return None if value is None else is_true(value)


def whole(value: Any, path: str = "filters") -> int | None:
    """Return a whole number, None for nothing. Raises InvalidQuery with the path."""
    try:
        # A text, so that a fraction is refused instead of cut.
        asked = str(value) if isinstance(value, float) and not value.is_integer() else value
        found = None if asked is None or asked == "" else int(asked)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidQuery(f"A whole number is expected, not {value!r}.", path=path) from error
    if found is not None and abs(found) >= LARGEST:
        raise InvalidQuery("This number is too large.", path=path)
    return found


def number(value: Any, path: str) -> float | None:
    """Return a finite number, None for nothing. Raises InvalidQuery with the path."""
    try:
        found = None if value is None or value == "" else float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidQuery(f"A number is expected, not {value!r}.", path=path) from error
    if found is not None and not math.isfinite(found):
        raise InvalidQuery(f"A number is expected, not {value!r}.", path=path)
    return found


def decoded(value: Any) -> Any:
    """Return a list or object that arrived as text."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def given(section: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a section that are given."""
    return {key: value for key, value in section.items() if value is not None}
