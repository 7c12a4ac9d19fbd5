"""What the names in the queries of a project stand for, out of its settings and resources."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..domain.queries.scope import PathRule, Scope
from .model import ProjectInfo

Definitions = Callable[[ProjectInfo], Scope]
"""Gives what a project's names stand for now; its `now`, `zone` and `week_start_day` are not looked at.

Called for every answer, a kept one too: cheap as long as nothing changes.
"""


def from_settings(project: ProjectInfo) -> Scope:
    """Return what a project's settings say: rules for paths, and whether users are told by their distinct ids."""
    rules = project.settings.get("path_cleaning_filters")
    return Scope(
        path_rules=tuple(_rules(rules)) if isinstance(rules, list) else (),
        aggregates_by_distinct_id=project.settings.get("aggregate_users_by_distinct_id") is True,
    )


def test_account_filters(project: ProjectInfo) -> tuple[Mapping[str, Any], ...]:
    """Return the property filters that `filterTestAccounts` adds."""
    found = project.settings.get("test_account_filters")
    return tuple(found) if isinstance(found, list) else ()


def _rules(values: list[Any]) -> list[PathRule]:
    return [
        PathRule(one["regex"], one.get("alias") or "")
        for one in values
        if isinstance(one, Mapping) and isinstance(one.get("regex"), str) and one["regex"]
    ]
