"""Who may do what with one thing: levels, the rules that give them, and what they add up to.

Source: insights-api.md 3.17. Scopes of API keys are another matter, see `access`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from attrs import evolve, frozen

from .errors import InvalidInput

Level = Literal["none", "viewer", "editor", "manager"]
LEVELS: tuple[Level, ...] = ("none", "viewer", "editor", "manager")
"""What somebody may do with an insight or a dashboard, rising."""
PROJECT_LEVELS = ("none", "member", "admin")
"""What somebody may do in a project, rising."""
DEFAULT_LEVEL: Level = "editor"
RANKS = {level: rank for levels in (LEVELS, PROJECT_LEVELS) for rank, level in enumerate(levels)}


@frozen
class AccessRule:
    """A level for a member, for the members of a role, or (neither) for everyone in the project."""

    level: str
    member: int | None
    """User id."""
    role: int | None
    created_by: int | None
    created_at: datetime
    updated_at: datetime

    @property
    def subject(self) -> tuple[int | None, int | None]:
        """Whom it is about; there is one rule for each."""
        return self.member, self.role


def highest(levels: Iterable[str]) -> str | None:
    """Return the highest level, None without any.

    >>> highest(["viewer", "editor", "none"]), highest([])
    ('editor', None)
    """
    return max(levels, key=RANKS.__getitem__, default=None)


def check_level(level: object, levels: tuple[str, ...] = LEVELS, *, path: str = "access_level") -> str:
    """Return the level. Raises `InvalidInput` for one that does not exist."""
    if not isinstance(level, str) or level not in levels:
        raise InvalidInput(f"Invalid access level. Must be one of: {', '.join(levels)}", path=path)
    return level


def with_rule(rules: tuple[AccessRule, ...], rule: AccessRule) -> tuple[AccessRule, ...]:
    """Return the rules with one more, or one changed: who made it and when stay as they were."""
    old = next((one for one in rules if one.subject == rule.subject), None)
    if old is None:
        return (*rules, rule)
    changed = evolve(rule, created_by=old.created_by, created_at=old.created_at)
    return tuple(changed if one is old else one for one in rules)


def without_rule(rules: tuple[AccessRule, ...], subject: tuple[int | None, int | None]) -> tuple[AccessRule, ...]:
    """Return the rules without the one about a subject."""
    return tuple(one for one in rules if one.subject != subject)
