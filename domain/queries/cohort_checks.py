"""What criteria may say when a cohort is stored: others exist, none contains itself, somebody is meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import InvalidQuery
from .cohorts import criteria_condition, negations
from .scope import Scope

_COHORT_TYPES = ("cohort", "static-cohort", "precalculated-cohort")


def check_criteria(tree: Mapping[str, Any], scope: Scope, path: str, *, own_id: int | None = None) -> None:
    """Raise `InvalidQuery`, with its path, for criteria that no query could look for.

    These are unknown fields and cohorts, cohorts that contain `own_id`, and negations that nothing positive narrows.
    """
    criteria_condition(tree, scope, path)
    for value, place in cohorts_in(tree, path):
        if int(value) not in scope.cohorts:
            raise InvalidQuery(f"The cohort {value} does not exist.", path=place)
        if own_id is not None and own_id in reached(int(value), scope):
            raise InvalidQuery("A cohort cannot contain itself.", path=place)
    if tree and negations(tree)[0]:
        raise InvalidQuery("What is negated needs something positive beside it, joined by AND.", path=path)


def cohorts_in(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Give the ids of the cohorts that criteria name, as texts, each with its path."""
    values = tree.get("values")
    if tree.get("type") in ("AND", "OR") and values is not None:
        for place, one in enumerate(values if isinstance(values, list | tuple) else [values]):
            if isinstance(one, Mapping):
                yield from cohorts_in(one, f"{path}.values[{place}]")
    elif tree.get("type") in _COHORT_TYPES:
        value = tree.get("value")
        for one in value if isinstance(value, list | tuple) else [value]:
            yield str(one), f"{path}.value"


def reached(cohort_id: int, scope: Scope) -> set[int]:
    """Return a cohort and all cohorts that it is made of."""
    found: set[int] = set()
    waiting = [cohort_id]
    while waiting:
        one = waiting.pop()
        if one in found or one not in scope.cohorts:
            continue
        found.add(one)
        waiting += [int(value) for value, _ in cohorts_in(scope.cohorts[one].criteria or {}) if value.isdecimal()]
    return found
