"""Checks of single fields that several aggregates have: texts and booleans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import InvalidInput
from .insight_commands import is_unicode


def check_text(given: Mapping[str, Any], field: str, *, most: int, may_be_null: bool = False) -> None:
    """Raise `InvalidInput` when a field that is given is no text, or has more than `most` characters."""
    value = given.get(field, "")
    if value is None and may_be_null:
        return
    if not isinstance(value, str) or not is_unicode(value):
        raise InvalidInput("Not a valid string.", path=field)
    if "\x00" in value:
        raise InvalidInput("Null characters are not allowed.", path=field)
    if len(value) > most:
        raise InvalidInput(f"Ensure this field has no more than {most} characters.", path=field, code="max_length")


def check_flag(given: Mapping[str, Any], field: str) -> None:
    """Raise `InvalidInput` when a field that is given is no boolean."""
    if not isinstance(given.get(field, False), bool):
        raise InvalidInput("Must be a valid boolean.", path=field)
