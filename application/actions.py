"""Actions of one project: create, list, get, update. What they match is told to queries by `definitions`."""

from __future__ import annotations

from ..domain.action import Action, ActionFields, check_steps, decide_creation, decide_edit, evolve_action, stream_of
from ..domain.errors import NotFound
from ..domain.insight_commands import Unset
from ..domain.queries.actions import action_condition
from ..domain.queries.scope import ActionMeaning, Scope, action_step
from .acting import require_page
from .execution import By, Executor, Kind
from .ids import row_id
from .model import Page
from .ports import StreamEvents, Views
from .views.definitions import action_from_row

ACTION: Kind[Action] = Kind("Action", "actions", stream_of, action_from_row, evolve_action)
MAX_PAGE = 1000


class ActionService:
    """What may be done with the actions of a project."""

    def __init__(self, project_id: int, views: Views, executor: Executor) -> None:
        self.project_id = project_id
        self._views = views
        self._executor = executor

    def create(self, fields: ActionFields, scope: Scope, by: By) -> Action:
        """Make an action. Raises `InvalidInput`, also for steps that no query could look for in this scope."""
        events = decide_creation(fields)
        _check_steps(fields, scope)
        records = self._executor.create(
            "actions", lambda new_id, _: (StreamEvents(stream_of(new_id), events, 0),), by, lambda _: self.project_id
        )
        return self._existing(records[0].subject_id)

    def get(self, action_id: int | str) -> Action:
        """Return an action. Raises `NotFound` for unknown, deleted and foreign ones."""
        found = self._existing(action_id)
        if found.deleted:
            raise NotFound("Action", action_id)
        return found

    def find(self, *, search: str | None = None, limit: int = 100, offset: int = 0) -> Page[Action]:
        """Return a page of the actions, newest first; `search` is a part of the name, whatever its case."""
        require_page(search, limit, offset)
        count, rows = self._views.definitions(
            "actions", self.project_id, search=search, limit=min(limit, MAX_PAGE), offset=offset
        )
        return Page(count, tuple(action_from_row(row) for row in rows))

    def update(self, action_id: int | str, fields: ActionFields, scope: Scope, by: By) -> Action:
        """Change an action and return it as it is then; `deleted=False` restores. Raises as `create`, `NotFound`."""
        found = self._existing(action_id)
        if not found.deleted or fields.deleted is False:
            fields.given()
            _check_steps(fields, scope)
        return self._executor.change(ACTION, self.project_id, found.id, lambda state, _: decide_edit(state, fields), by)

    def _existing(self, ref: int | str) -> Action:
        action_id = row_id(ref)
        row = None if action_id is None else self._views.row("actions", action_id)
        if row is None or row["project_id"] != self.project_id:
            raise NotFound("Action", ref)
        return action_from_row(row)


def _check_steps(fields: ActionFields, scope: Scope) -> None:
    """Raise `InvalidInput`, with its path, for a property filter of a step that cannot be read."""
    if not isinstance(fields.steps, Unset):
        steps = tuple(map(action_step, check_steps(fields.steps)))
        action_condition(ActionMeaning(0, None, steps), scope, path="steps")
