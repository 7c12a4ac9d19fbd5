"""What a caller may do in a project: levels on insights, restricted dashboards, and who enters at all.

Source: insights-api.md 1.7, 3.17. Scopes of keys are checked elsewhere, before this.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from attrs import frozen

from ..domain.access_rules import DEFAULT_LEVEL, LEVELS, RANKS, Level, highest
from ..domain.dashboard_events import ONLY_COLLABORATORS_CAN_EDIT
from ..domain.errors import PermissionDenied
from ..domain.insight import Insight
from .ports import Row, Subjects, Viewer
from .views.listing import Glance, from_json


@frozen
class Rights:
    """The rights of one user in one project."""

    user_id: int
    roles: tuple[int, ...]
    is_admin: bool
    """Administers the project, or the organisation that has it."""
    insight_default: Level = DEFAULT_LEVEL
    """What the rules for all insights give, where none is about the insight itself."""
    hides_insights: bool = False
    """Whether lists may have to leave something out."""

    @property
    def subjects(self) -> Subjects:
        """Whom rules may be about to concern this user."""
        return self.user_id, self.roles

    @property
    def viewer(self) -> Viewer | None:
        """For whom lists must leave out what is hidden; None when nothing is."""
        if self.is_admin or not self.hides_insights:
            return None
        return Viewer(self.subjects, RANKS[self.insight_default])

    def level(self, insight: Insight | Glance) -> Level:
        """Return what the user may do with an insight: the highest of what applies, strongest kind of rule first."""
        if self.is_admin or (insight.created_by is not None and insight.created_by == self.user_id):
            return "manager"
        own = highest(
            rule.level
            for rule in insight.access
            if rule.subject == (None, None) or rule.member == self.user_id or (rule.role in self.roles)
        )
        return cast("Level", own) if own is not None else self.insight_default

    def require(self, insight: Insight | Glance, needed: Level) -> None:
        """Raise `PermissionDenied` when the user may do less with an insight."""
        if RANKS[self.level(insight)] < RANKS[needed]:
            raise PermissionDenied(f"You do not have {needed} access to this resource.")

    def may_edit_dashboard(self, row: Row) -> bool:
        """Whether the user may edit a dashboard, given a row of it or of one of its tiles."""
        if row["restriction_level"] < ONLY_COLLABORATORS_CAN_EDIT or self.is_admin:
            return True
        return self.user_id == row["created_by"] or self.user_id in from_json(row["collaborators"])

    def may_restrict_dashboard(self, row: Row) -> bool:
        """Whether the user may say who may edit a dashboard, given a row of it."""
        return self.is_admin or self.user_id == row["created_by"]


def insight_default(levels: Iterable[str]) -> Level:
    """Return the level that rules for all insights give together."""
    found = highest(level for level in levels if level in LEVELS)
    return cast("Level", found) if found is not None else DEFAULT_LEVEL
