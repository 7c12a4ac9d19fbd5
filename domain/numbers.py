"""Whole numbers as callers write them in texts."""

from __future__ import annotations

MAX_DIGITS = 18
"""What 64 bit hold in any case; Python itself refuses texts of thousands of digits."""


def whole_number(text: str) -> int | None:
    """Return the number that ASCII digits write, with a minus or without; None for anything else.

    >>> whole_number("17"), whole_number("-1"), whole_number("²"), whole_number("1.0"), whole_number("9" * 5000)
    (17, -1, None, None, None)
    """
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= MAX_DIGITS else None
