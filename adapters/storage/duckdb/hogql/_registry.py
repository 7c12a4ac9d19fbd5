"""The allow-list of functions: name -> how many arguments it takes and what it becomes. Modules add their part."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

from attrs import frozen

from ._translate import Call
from ._types import Value

Build = Callable[[Any], Value]
"""Gets the `Call`, an aggregate an `AggregateCall`."""


@frozen
class Function:
    """One function of HogQL."""

    name: str
    least: int
    most: int
    build: Build


SCALARS: dict[str, Function] = {}
AGGREGATES: dict[str, Function] = {}
_SPELLINGS: dict[str, str] = {}


def scalar(names: str, least: int, most: int | None = None) -> Callable[[Build], Build]:
    """Register a function of rows under one or more names; `most` defaults to `least`."""
    return _register(SCALARS, names, least, most)


def aggregate(names: str, least: int, most: int | None = None) -> Callable[[Build], Build]:
    """Register an aggregate function."""
    return _register(AGGREGATES, names, least, most)


def _register(table: dict[str, Function], names: str, least: int, most: int | None) -> Callable[[Build], Build]:
    def keep(build: Build) -> Build:
        for name in names.split():
            table[name] = Function(name, least, least if most is None else most, build)
            _SPELLINGS.setdefault(name.lower(), name)
        return build

    return keep


def spelled(name: str) -> str:
    """Return the listed spelling of a name, whose case does not matter; the name itself when it is not listed."""
    return name if name in SCALARS or name in AGGREGATES else _SPELLINGS.get(name.lower(), name)


def check_count(function: Function, call: Call) -> None:
    """Refuse a call with too few or too many arguments."""
    if not function.least <= len(call) <= function.most:
        expected = str(function.least) if function.least == function.most else f"{function.least} to {function.most}"
        if function.most >= 100:
            expected = f"at least {function.least}"
        call.refuse(f"Function '{function.name}' expects {expected} arguments, found {len(call)}")


def similar(name: str) -> str:
    """Return a hint at a function of a similar name, or nothing."""
    close = get_close_matches(name, [*SCALARS, *AGGREGATES], n=1)
    return f", perhaps you meant '{close[0]}(...)'," if close else ""


MANY = 1000
"""As many arguments as one likes."""
