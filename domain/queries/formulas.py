"""Formulas over the series of a trend: `(A + B) / 2` as a small program, run point by point.

A recursive-descent parser makes postfix steps once; running them needs neither recursion nor `eval`. Source:
PostHog's trend formulas (letters follow the order of the series).
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence

from attrs import frozen

from ..errors import InvalidQuery

MAX_LENGTH = 1000
"""Characters."""
MAX_DEPTH = 50
"""Brackets, signs and powers inside each other."""
MAX_SERIES = 26

_TOKEN = re.compile(r"\s*(?:(?P<number>\d+\.?\d*|\.\d+)|(?P<letters>[A-Za-z]+)|(?P<sign>\*\*|[-+*/%()])|(?P<odd>\S))")
_OPERATIONS: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
    "**": operator.pow,
}


@frozen
class Formula:
    """A parsed formula: steps in postfix order."""

    text: str
    steps: tuple[float | int | str, ...]
    """A float is a constant, an int the index of a series, a text an operation (`negate` takes one operand)."""


def parse(text: str, *, n_series: int, path: str) -> Formula:
    """Return the program of a formula over `n_series` series, A being the first; letters in either case.

    Raises InvalidQuery for anything but numbers, letters of series, `+ - * / % **`, signs and brackets.
    """
    if len(text) > MAX_LENGTH:
        raise InvalidQuery(f"A formula may have {MAX_LENGTH} characters.", path=path)
    return Formula(text, tuple(_Parser(text, min(n_series, MAX_SERIES), path).program()))


def evaluate(formula: Formula, series: Sequence[Sequence[float]], *, undefined: float = 0.0) -> list[float]:
    """Return the formula's value at every point; all series are equally long.

    An operation without a finite real result, such as a division by zero, gives `undefined`: 0, or NaN to make the
    whole point 0.
    """
    return [_point(formula.steps, values, undefined) for values in zip(*series, strict=True)]


def _point(steps: Sequence[float | int | str], values: Sequence[float], undefined: float) -> float:
    stack: list[float] = []
    for step in steps:
        if isinstance(step, float):
            stack.append(step)
        elif isinstance(step, int):
            stack.append(float(values[step]))
        elif step == "negate":
            stack.append(-stack.pop())
        else:
            right = stack.pop()
            stack.append(_operated(step, stack.pop(), right, undefined))
    return stack[0] + 0.0 if math.isfinite(stack[0]) else 0.0  # no negative zero


def _operated(name: str, left: float, right: float, undefined: float) -> float:
    try:
        found = _OPERATIONS[name](left, right)
    except (ZeroDivisionError, OverflowError):
        return undefined
    return found if isinstance(found, float) and math.isfinite(found) else undefined


class _Parser:
    """Reads from left to right; every method appends the steps of what it has read."""

    def __init__(self, text: str, n_series: int, path: str) -> None:
        self._tokens = [
            (match.lastgroup or "", match[match.lastgroup or 0]) for match in _TOKEN.finditer(text) if match.lastgroup
        ]
        self._place = 0
        self._depth = 0
        self._n_series = n_series
        self._path = path
        self._steps: list[float | int | str] = []

    def program(self) -> list[float | int | str]:
        self._sum()
        if self._place < len(self._tokens):
            raise self._refusal(f"{self._peek()!r} is not expected there")
        return self._steps

    def _sum(self) -> None:
        self._left_to_right(self._product, ("+", "-"))

    def _product(self) -> None:
        self._left_to_right(self._signed, ("*", "/", "%"))

    def _left_to_right(self, operand: Callable[[], None], operations: Sequence[str]) -> None:
        operand()
        while self._peek() in operations:
            operation = self._next()
            operand()
            self._steps.append(operation)

    def _signed(self) -> None:
        """Read signs, which bind less than the power to their right: -2 ** 2 is -4."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._refusal(f"it has more than {MAX_DEPTH} levels")
        if self._peek() in ("+", "-"):
            sign = self._next()
            self._signed()
            if sign == "-":
                self._steps.append("negate")
        else:
            self._atom()
            if self._peek() == "**":
                self._next()
                self._signed()
                self._steps.append("**")
        self._depth -= 1

    def _atom(self) -> None:
        if self._place >= len(self._tokens):
            raise self._refusal("it ends too early")
        kind, text = self._tokens[self._place]
        self._place += 1
        if kind == "number":
            self._steps.append(float(text))
        elif kind == "letters":
            self._steps.append(self._series(text))
        elif text == "(":
            self._sum()
            if self._peek() != ")":
                raise self._refusal("a bracket is not closed")
            self._next()
        else:
            raise self._refusal(f"{text!r} is not expected there")

    def _series(self, letters: str) -> int:
        index = ord(letters.upper()[0]) - ord("A")
        if len(letters) > 1 or index >= self._n_series:
            raise self._refusal(f"there is no series {letters!r}")
        return index

    def _peek(self) -> str:
        return self._tokens[self._place][1] if self._place < len(self._tokens) else ""

    def _next(self) -> str:
        self._place += 1
        return self._tokens[self._place - 1][1]

    def _refusal(self, reason: str) -> InvalidQuery:
        return InvalidQuery(f"The formula cannot be read: {reason}.", path=self._path)
