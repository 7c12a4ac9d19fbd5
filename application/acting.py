"""What calls of the library have in common: who acts, and fields given as keyword arguments."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import attrs

from ..domain.errors import InvalidInput
from ..domain.events import Actor
from ..domain.insight_commands import is_unicode
from .execution import By, new_request
from .model import User

Who = User | int | Actor | By | None
"""Who acts: a user, a user's id, an actor (with the correlation id of a request); None is the system."""

T = TypeVar("T")


def acting(by: Who, request: str | None = None) -> By:
    """Return who acts under which correlation id, a new one when none is given."""
    if isinstance(by, By):
        return by
    if isinstance(by, User):
        actor = Actor(by.id)
    elif isinstance(by, int) and not isinstance(by, bool) and 0 < by < 2**63:
        actor = Actor(by)
    elif by is None or isinstance(by, Actor):
        actor = by or Actor()
    else:
        raise InvalidInput(f"{by!r} is nobody: pass a user, a user's id, or None for the system.", path="by")
    return By(actor, request or new_request())


def require_number(name: str, value: Any, *, least: int = 1, below: int = 2**63) -> None:
    """Raise `InvalidInput` unless a value is a whole number of a range."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < below:
        raise InvalidInput(f"{name} is a whole number from {least}, not {value!r}.", path=name, code="min_value")


def require_seconds(name: str, value: Any) -> None:
    """Raise `InvalidInput` unless a value is a number of seconds above 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise InvalidInput(f"{name} is a number of seconds above 0, not {value!r}.", path=name)


def require_one_of(name: str, value: Any, known: Sequence[str]) -> None:
    """Raise `InvalidInput` unless a value is one of a few words."""
    if value not in known:
        raise InvalidInput(f"{name} is one of {', '.join(known)}, not {value!r}.", path=name)


def require_page(search: Any, limit: Any, offset: Any) -> None:
    """Raise `InvalidInput` for what cannot say which part of a list is asked for."""
    require_text("search", search)
    require_number("limit", limit)
    require_number("offset", offset, least=0)


def require_text(name: str, value: Any) -> None:
    """Raise `InvalidInput` unless a value is text that can be written as UTF-8, or None."""
    if value is not None and not (isinstance(value, str) and is_unicode(value)):
        raise InvalidInput(f"{name} is text, not {value!r}.", path=name)


def user_id_of(name: str, user: User | int) -> int:
    """Return a user's id, given as such or by the user. Raises `InvalidInput` for anything else."""
    found = user.id if isinstance(user, User) else user
    require_number(name, found)
    return found


def items_of(name: str, value: Any) -> tuple[Any, ...]:
    """Return several values as a tuple. Raises `InvalidInput` for one text, which would fall into its letters."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise InvalidInput(f"{name} are a list, not {value!r}.", path=name, code="not_a_list")
    return tuple(value)


def fields_of(kind: type[T], what: str, given: Mapping[str, Any]) -> T:
    """Return an attrs class out of keyword arguments. Raises `InvalidInput` for one that it does not have."""
    known = {field.name for field in attrs.fields(kind)}  # type: ignore[arg-type]
    for name in given:
        if name not in known:
            raise InvalidInput(f"{name!r} is no field of {what}; there are {', '.join(sorted(known))}.", path=name)
    return kind(**given)
