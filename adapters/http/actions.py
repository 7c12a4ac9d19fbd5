"""Actions over HTTP: list, create, retrieve, update, delete softly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import falcon

from ...application.actions import MAX_PAGE
from ...application.json_values import iso
from ...application.library import Project
from ...application.model import User
from ...domain.action import Action
from . import rendering
from .bodies import json_body
from .definition_bodies import action_fields
from .definition_schemas import ACTION, ACTION_INPUT
from .operations import Parameter, operation
from .parameters import PAGE, page_window
from .presenting import Presenter
from .schemas import TEXT, page_of

DEFAULT_PAGE = 100
SEARCH = Parameter("search", TEXT, "Part of the name, whatever its case.")
ALLOWED = "GET, PATCH, PUT, HEAD, OPTIONS"


class ActionList:
    """`/actions/`."""

    def __init__(self, present: Presenter, site_url: str | None) -> None:
        self._site_url = site_url
        self._present = present

    @operation(answer=page_of(ACTION), query=(*PAGE, SEARCH))
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """List, newest first."""
        limit, offset = page_window(req, DEFAULT_PAGE, MAX_PAGE)
        page = project.actions.list(search=req.get_param("search"), limit=limit, offset=offset)
        users = self._present.users(req, (), (one.created_by for one in page if one.created_by))
        results = [representation(one, users, project) for one in page]
        rendering.write_json(resp, rendering.envelope(req, self._site_url, page.count, limit, offset, results))

    @operation(answer=ACTION, status=201, body=ACTION_INPUT)
    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Create."""
        scope = project.definitions()
        made = project.actions.service.create(action_fields(json_body(req)), scope, req.context.by)
        resp.status = falcon.HTTP_201
        rendering.write_json(resp, _one(self._present, req, project, made))


class ActionItem:
    """`/actions/:id/`."""

    def __init__(self, present: Presenter) -> None:
        self._present = present

    @operation(answer=ACTION)
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project, action_id: str) -> None:
        """Retrieve."""
        rendering.write_json(resp, _one(self._present, req, project, project.actions.service.get(action_id)))

    @operation(answer=ACTION, body=ACTION_INPUT)
    def on_patch(self, req: falcon.Request, resp: falcon.Response, project: Project, action_id: str) -> None:
        """Update; `deleted` deletes softly and restores, `steps` are given all together."""
        fields, scope = action_fields(json_body(req)), project.definitions()
        after = project.actions.service.update(action_id, fields, scope, req.context.by)
        rendering.write_json(resp, _one(self._present, req, project, after))

    on_put = on_patch

    @operation(status=405)
    def on_delete(self, _req: falcon.Request, resp: falcon.Response, project: Project, action_id: str) -> None:
        """Refuse: actions are deleted softly, by PATCH."""
        del project, action_id
        resp.status = falcon.HTTP_405
        resp.set_header("Allow", ALLOWED)


def level_of(project: Project, created_by: int | None) -> str | None:
    """Return what the caller may do with an action or a cohort; None for nobody in person."""
    rights = project.rights
    if rights is None:
        return None
    return "manager" if rights.is_admin or created_by == rights.user_id else "editor"


def _one(present: Presenter, req: falcon.Request, project: Project, action: Action) -> dict[str, Any]:
    return representation(action, present.users(req, (), (action.created_by,) if action.created_by else ()), project)


def representation(action: Action, users: Mapping[int, User], project: Project) -> dict[str, Any]:
    """Return the representation of an action."""
    return {
        "id": action.id,
        "name": action.name,
        "description": action.description,
        "tags": list(action.tags),
        "post_to_slack": action.post_to_slack,
        "slack_message_format": action.slack_message_format,
        "steps": list(action.steps),
        "created_at": iso(action.created_at),
        "created_by": rendering.user(users.get(action.created_by or 0)),
        "deleted": action.deleted,
        "is_calculating": False,
        "last_calculated_at": None,
        "team_id": action.project_id,
        "is_action": True,
        "bytecode_error": None,
        "pinned_at": None,
        "creation_context": None,
        "user_access_level": level_of(project, action.created_by),
    }
