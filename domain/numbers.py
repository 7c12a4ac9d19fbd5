"""Whole numbers as callers write them in texts."""

from __future__ import annotations

MAX_DIGITS = 18
"""What 64 bit hold in any case; Python itself refuses texts of thousands of digits."""


def natural_number(text: str) -> int | None:
    """Return the number that ASCII digits write; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS else None


def whole_number(text: str) -> int | None:
    """Return the number that ASCII digits write, with a minus or without; None for anything else.

    >>> whole_number("17"), whole_number("-1"), whole_number("²"), whole_number("1.0"), whole_number("9" * 5000)
    (17, -1, None, None, None)
    """
    number = natural_number(text.removeprefix("-"))
    return None if number is None else -number if text.startswith("-") else number
