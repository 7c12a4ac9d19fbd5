"""Numeric ids as callers write them."""

from __future__ import annotations

from ..domain.numbers import natural_number


def row_id(ref: int | str) -> int | None:
    """Return the id that a reference spells in ASCII digits, None when it is none or larger than any row's.

    >>> row_id("17"), row_id(17), row_id("abc"), row_id("-1"), row_id("9" * 19)
    (17, 17, None, None, None)
    """
    return natural_number(str(ref))
