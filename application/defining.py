"""The actions and cohorts of a project, with keyword arguments for embedders."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..domain.action import Action, ActionFields
from ..domain.cohort import Cohort, CohortFields
from ..domain.queries.actors import Profile
from ..domain.queries.scope import Scope
from .acting import Who, acting, fields_of, items_of
from .actions import ActionService
from .cohorts import CohortService
from .model import Page


class Actions:
    """The actions of a project."""

    def __init__(self, service: ActionService, scope: Callable[[], Scope]) -> None:
        self.service = service
        self._scope = scope

    def __repr__(self) -> str:
        return f"<Actions of project {self.service.project_id}>"

    def create(self, *, by: Who = None, request: str | None = None, **fields: Any) -> Action:
        """Make an action from its fields: name, description, tags, steps ...

        A step is an object with any of `event`, `properties`, `url`, `selector`, `tag_name`, `text`, `href`, and
        `url_matching`, `text_matching`, `href_matching` (contains, exact, regex).
        """
        return self.service.create(_action_fields(fields), self._scope(), acting(by, request))

    def get(self, action_id: int) -> Action:
        """Return an action. Raises `NotFound`, also for a deleted one."""
        return self.service.get(action_id)

    def list(self, *, search: str | None = None, limit: int = 100, offset: int = 0) -> Page[Action]:
        """Return a page, newest first."""
        return self.service.find(search=search, limit=limit, offset=offset)

    def update(self, action_id: int, *, by: Who = None, request: str | None = None, **fields: Any) -> Action:
        """Change the given fields; `deleted=True` deletes softly, `deleted=False` restores."""
        return self.service.update(action_id, _action_fields(fields), self._scope(), acting(by, request))


class Cohorts:
    """The cohorts of a project."""

    def __init__(self, service: CohortService) -> None:
        self.service = service

    def __repr__(self) -> str:
        return f"<Cohorts of project {self.service.project_id}>"

    def create(
        self, *, distinct_ids: Iterable[str] = (), by: Who = None, request: str | None = None, **fields: Any
    ) -> Cohort:
        """Make a cohort from its fields: name, description, and `filters`, the old `groups`, or `is_static`.

        `filters` is `{"properties": {"type": "AND", "values": [...]}}`; a static cohort takes `distinct_ids`.
        """
        made = fields_of(CohortFields, "a cohort", fields)
        return self.service.create(made, acting(by, request), items_of("distinct_ids", distinct_ids))

    def get(self, cohort_id: int) -> Cohort:
        """Return a cohort. Raises `NotFound`, also for a deleted one."""
        return self.service.get(cohort_id)

    def list(self, *, search: str | None = None, limit: int = 100, offset: int = 0) -> Page[Cohort]:
        """Return a page, newest first."""
        return self.service.find(search=search, limit=limit, offset=offset)

    def update(self, cohort_id: int, *, by: Who = None, request: str | None = None, **fields: Any) -> Cohort:
        """Change the given fields; `deleted=True` deletes softly, `deleted=False` restores."""
        return self.service.update(cohort_id, fields_of(CohortFields, "a cohort", fields), acting(by, request))

    def add(self, cohort_id: int, distinct_ids: Iterable[str], *, by: Who = None, request: str | None = None) -> Cohort:
        """Put persons on the list of a static cohort, each by one of their distinct ids."""
        return self.service.add(cohort_id, items_of("distinct_ids", distinct_ids), acting(by, request))

    def remove(
        self, cohort_id: int, distinct_ids: Iterable[str], *, by: Who = None, request: str | None = None
    ) -> Cohort:
        """Take distinct ids off the list of a static cohort."""
        return self.service.remove(cohort_id, items_of("distinct_ids", distinct_ids), acting(by, request))

    def persons(self, cohort_id: int, *, search: str | None = None, limit: int = 100, offset: int = 0) -> Page[Profile]:
        """Return a page of the persons who are in a cohort now, oldest first."""
        return self.service.persons(cohort_id, search=search, limit=limit, offset=offset)

    def calculate(self, cohort_id: int) -> Cohort:
        """Count who is in a cohort now, keep the list, and return the cohort with its `calculation`."""
        return self.service.calculate(cohort_id)


def _action_fields(fields: dict[str, Any]) -> ActionFields:
    for name in ("tags", "steps"):
        if fields.get(name) is not None:
            fields = {**fields, name: items_of(name, fields[name])}
    return fields_of(ActionFields, "an action", fields)
