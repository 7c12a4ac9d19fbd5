"""The Action aggregate: a name and the ways of doing it, its steps. No I/O, no clock.

What a step matches is said in `domain.queries.actions`. Source: PostHog's actions (queries.md 1.3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from attrs import evolve, frozen

from .errors import InvalidInput, NotFound
from .events import DomainEvent, Record, event
from .fields import check_flag, check_text
from .insight_commands import UNSET, Unset, clean_tags, is_unicode

MAX_NAME, MAX_DESCRIPTION, MAX_SLACK = 400, 4000, 1200
MAX_STEPS = 100
MAX_STEP_TEXT = 4000
TEXTS_OF_STEP = ("event", "url", "selector", "tag_name", "text", "href")
MATCHINGS_OF_STEP = ("url_matching", "text_matching", "href_matching")
MATCHINGS = ("contains", "exact", "regex")


@event("ActionCreated")
class ActionCreated(DomainEvent):
    """An action came into being."""

    name: str | None = None
    description: str = ""
    tags: tuple[str, ...] = ()
    steps: Any = ()
    """A list of objects, one for each way of doing it."""
    post_to_slack: bool = False
    slack_message_format: str = ""


@event("ActionRenamed")
class ActionRenamed(DomainEvent):
    """The name changed."""

    name: str | None


@event("ActionDescribed")
class ActionDescribed(DomainEvent):
    """The description changed."""

    description: str


@event("ActionTagsChanged")
class ActionTagsChanged(DomainEvent):
    """The set of tags changed; sorted."""

    tags: tuple[str, ...]


@event("ActionStepsChanged")
class ActionStepsChanged(DomainEvent):
    """What counts as doing it changed; all steps as they are now."""

    steps: Any


@event("ActionAnnounced")
class ActionAnnounced(DomainEvent):
    """Whether clients want it told to Slack changed; kept for them, nothing is sent."""

    post_to_slack: bool


@event("ActionAnnouncementChanged")
class ActionAnnouncementChanged(DomainEvent):
    """The text for Slack changed."""

    slack_message_format: str


@event("ActionSoftDeleted")
class ActionSoftDeleted(DomainEvent):
    """Is gone for readers and queries; everything about it is kept."""


@event("ActionRestored")
class ActionRestored(DomainEvent):
    """Is back after a soft delete."""


@frozen
class Action:
    """An action as it is after some version of its stream."""

    id: int
    project_id: int
    version: int
    created_at: datetime
    created_by: int | None
    updated_at: datetime
    name: str | None = None
    description: str = ""
    tags: tuple[str, ...] = ()
    steps: tuple[Mapping[str, Any], ...] = ()
    post_to_slack: bool = False
    slack_message_format: str = ""
    deleted: bool = False


FIELDS = ("name", "description", "tags", "steps", "post_to_slack", "slack_message_format", "deleted")
"""What an edit may change, in the order in which its events are appended."""


def stream_of(action_id: int) -> str:
    """Return the name of an action's stream."""
    return f"action:{action_id}"


def evolve_action(state: Action | None, record: Record) -> Action:
    """Return the action after one more record of its stream; `None` only before `ActionCreated`."""
    happened = record.event
    if isinstance(happened, ActionCreated):
        if record.project_id is None:
            raise InvalidInput("An action belongs to a project.", path="project_id")
        fields = {name: getattr(happened, name) for name in FIELDS[:-1]} | {"steps": tuple(happened.steps)}
        return Action(
            id=record.subject_id, project_id=record.project_id, version=record.version, created_at=record.at,
            created_by=record.by.user_id, updated_at=record.at, **fields,
        )  # fmt: skip
    if state is None:
        raise NotFound("Action", record.subject_id)
    return evolve(state, version=record.version, updated_at=record.at, **_changed(happened))


def _changed(happened: DomainEvent) -> dict[str, Any]:
    match happened:
        case ActionStepsChanged(steps=steps):
            return {"steps": tuple(steps)}
        case ActionSoftDeleted():
            return {"deleted": True}
        case ActionRestored():
            return {"deleted": False}
    field = _FIELD_OF.get(type(happened))
    if field is None:
        raise TypeError(f"{type(happened).__name__} is not an event of an action")
    return {field: getattr(happened, field)}


_FIELD_OF: Mapping[type[DomainEvent], str] = {
    ActionRenamed: "name",
    ActionDescribed: "description",
    ActionTagsChanged: "tags",
    ActionStepsChanged: "steps",
    ActionAnnounced: "post_to_slack",
    ActionAnnouncementChanged: "slack_message_format",
}
_EVENT_OF: Mapping[str, Callable[[Any], DomainEvent]] = {
    **{field: cls for cls, field in _FIELD_OF.items()},
    "deleted": lambda deleted: ActionSoftDeleted() if deleted else ActionRestored(),
}


# -- commands --------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class ActionFields:
    """What a caller says about an action: every field may be left out."""

    name: str | Unset | None = UNSET
    description: str | Unset = UNSET
    tags: tuple[str, ...] | Unset = UNSET
    steps: tuple[Mapping[str, Any], ...] | Unset = UNSET
    post_to_slack: bool | Unset = UNSET
    slack_message_format: str | Unset = UNSET
    deleted: bool | Unset = UNSET

    def given(self) -> dict[str, Any]:
        """Return the fields that are mentioned, cleaned as they will be stored. Raises `InvalidInput`."""
        values = {field: getattr(self, field) for field in FIELDS}
        values = {field: value for field, value in values.items() if value is not UNSET}
        check_text(values, "name", most=MAX_NAME, may_be_null=True)
        check_text(values, "description", most=MAX_DESCRIPTION)
        check_text(values, "slack_message_format", most=MAX_SLACK)
        check_flag(values, "post_to_slack")
        check_flag(values, "deleted")
        if "tags" in values:
            values["tags"] = clean_tags(values["tags"])
        if "steps" in values:
            values["steps"] = check_steps(values["steps"])
        return values


def decide_creation(fields: ActionFields) -> tuple[DomainEvent, ...]:
    """Return the events of a new action. Raises `InvalidInput`."""
    given = fields.given()
    deleted = given.pop("deleted", False)
    created = ActionCreated(**given)
    return (created, ActionSoftDeleted()) if deleted else (created,)


def decide_edit(state: Action, fields: ActionFields) -> tuple[DomainEvent, ...]:
    """Return the events of an edit; `deleted=False` restores a deleted action.

    Raises `NotFound` for a deleted action, `InvalidInput`.
    """
    given = fields.given()
    if state.deleted and given.get("deleted") is not False:
        raise NotFound("Action", state.id)
    return tuple(_EVENT_OF[field](value) for field, value in given.items() if value != getattr(state, field))


def check_steps(steps: Any) -> tuple[dict[str, Any], ...]:
    """Return the steps with their known fields only. Raises `InvalidInput` with the path of a wrong one."""
    if not isinstance(steps, list | tuple):
        raise InvalidInput("The steps of an action are a list of objects.", path="steps")
    if len(steps) > MAX_STEPS:
        raise InvalidInput(f"An action may have {MAX_STEPS} steps.", path="steps", code="max_length")
    return tuple(_checked_step(step, f"steps[{place}]") for place, step in enumerate(steps))


def _checked_step(step: Any, path: str) -> dict[str, Any]:
    if not isinstance(step, Mapping):
        raise InvalidInput("A step is an object.", path=path)
    found: dict[str, Any] = {}
    for name in TEXTS_OF_STEP:
        value = step.get(name)
        if value is not None and not (isinstance(value, str) and is_unicode(value)):
            raise InvalidInput("Not a valid string.", path=f"{path}.{name}")
        if value is not None and len(value) > MAX_STEP_TEXT:
            raise InvalidInput(
                f"Ensure this field has no more than {MAX_STEP_TEXT} characters.",
                path=f"{path}.{name}",
                code="max_length",
            )
        found[name] = value
    for name in MATCHINGS_OF_STEP:
        value = None if step.get(name) == "" else step.get(name)
        if value is not None and value not in MATCHINGS:
            raise InvalidInput(f"This is one of {', '.join(MATCHINGS)}.", path=f"{path}.{name}", code="invalid_choice")
        found[name] = value
    properties = step.get("properties")
    if properties is not None and not (
        isinstance(properties, list | tuple) and all(isinstance(one, Mapping) for one in properties)
    ):
        raise InvalidInput("The properties of a step are a list of property filters.", path=f"{path}.properties")
    found["properties"] = list(properties or ())
    return found
