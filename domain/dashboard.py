"""The Dashboard aggregate: fields, text tiles, how tiles look, who may edit it, how it is shared. No I/O, no clock.

Which insights stand on a dashboard is said by the insights themselves (`InsightDashboardsChanged`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from attrs import Factory, evolve, frozen

from .dashboard_events import (
    EVERYONE_CAN_EDIT,
    ONLY_COLLABORATORS_CAN_EDIT,
    SHARING,
    DashboardCollaboratorAdded,
    DashboardCollaboratorRemoved,
    DashboardCreated,
    DashboardDescribed,
    DashboardFiltersChanged,
    DashboardImported,
    DashboardPinned,
    DashboardRenamed,
    DashboardRestored,
    DashboardRestricted,
    DashboardSoftDeleted,
    DashboardTagsChanged,
    DashboardTextAdded,
    DashboardTextChanged,
    DashboardTextRemoved,
    DashboardTileArranged,
    DashboardVariablesChanged,
)
from .errors import InvalidInput, NotFound
from .events import DomainEvent, Record
from .insight_commands import UNSET, Unset, clean_tags, is_unicode
from .sharing import (
    ShareCommand,
    SharePasswordAdded,
    SharePasswordRemoved,
    Sharing,
    SharingSet,
    decide_sharing,
    sharing_after,
)

MAX_NAME, MAX_DESCRIPTION, MAX_TEXT_TILE = 400, 4000, 4000


@frozen
class TileLook:
    """Where a tile stands, its colour, and filters of its own that replace the dashboard's."""

    layouts: Any = Factory(dict)
    color: str | None = None
    filters_overrides: Any = None


@frozen
class TextTile:
    """A tile with a text."""

    id: int
    body: str
    created_by: int | None
    last_modified_at: datetime
    last_modified_by: int | None = None
    """None for one that stands as it was made."""


@frozen
class Dashboard:
    """A dashboard as it is after some version of its stream."""

    id: int
    project_id: int
    version: int
    created_at: datetime
    created_by: int | None
    updated_at: datetime
    name: str | None = None
    description: str = ""
    pinned: bool = False
    filters: Any = Factory(dict)
    variables: Any = Factory(dict)
    tags: tuple[str, ...] = ()
    restriction_level: int = EVERYONE_CAN_EDIT
    creation_mode: str = "default"
    deleted: bool = False
    collaborators: tuple[int, ...] = ()
    texts: tuple[TextTile, ...] = ()
    looks: Mapping[int, TileLook] = Factory(dict)
    """By tile id, for tiles that were arranged; insights' tiles and texts alike."""
    sharing: Sharing | None = None
    """None until sharing is configured for the first time."""
    source: str | None = None
    """Its address on the server that it came from; None for one that was made here."""

    def look_of(self, tile_id: int) -> TileLook:
        """Return how a tile looks."""
        return self.looks.get(tile_id, TileLook())


FIELDS = (
    "name", "description", "pinned", "filters", "variables", "tags", "restriction_level", "deleted",
)  # fmt: skip
"""What an edit may change, in the order in which its events are appended."""


def stream_of(dashboard_id: int) -> str:
    """Return the name of a dashboard's stream."""
    return f"dashboard:{dashboard_id}"


def logins_stream_of(dashboard_id: int) -> str:
    """Return the name of the stream that holds the tries to open a shared dashboard with a password."""
    return f"dashboard-logins:{dashboard_id}"


def evolve_dashboard(state: Dashboard | None, record: Record) -> Dashboard:
    """Return the dashboard after one more record of its stream; `None` only before its first one."""
    happened = record.event
    if isinstance(happened, DashboardCreated | DashboardImported):
        if record.project_id is None:
            raise InvalidInput("A dashboard belongs to a project.", path="project_id")
        fields = {name: getattr(happened, name) for name in (*FIELDS[:-1], "creation_mode")}
        made: dict[str, Any] = {"created_at": record.at, "created_by": record.by.user_id}
        if isinstance(happened, DashboardImported):
            created_at = datetime.fromisoformat(happened.created_at)
            made = {"created_at": created_at, "created_by": happened.created_by, "source": happened.source}
        return Dashboard(
            id=record.subject_id, project_id=record.project_id, version=record.version, updated_at=record.at,
            **made, **fields,
        )  # fmt: skip
    if state is None:
        raise NotFound("Dashboard", record.subject_id)
    if isinstance(happened, SharingSet | SharePasswordAdded | SharePasswordRemoved):
        return evolve(state, version=record.version, sharing=sharing_after(state.sharing, record))
    return evolve(state, version=record.version, updated_at=record.at, **_changed(state, happened, record))


def _changed(state: Dashboard, happened: DomainEvent, record: Record) -> dict[str, Any]:
    field = _FIELD_OF.get(type(happened))
    if field is not None:
        return {field: getattr(happened, field)}
    match happened:
        case DashboardSoftDeleted():
            return {"deleted": True}
        case DashboardRestored():
            return {"deleted": False}
        case DashboardCollaboratorAdded(user_id=user_id):
            return {"collaborators": tuple(sorted({*state.collaborators, user_id}))}
        case DashboardCollaboratorRemoved(user_id=user_id):
            return {"collaborators": tuple(one for one in state.collaborators if one != user_id)}
        case DashboardTextAdded(body=body):
            return {"texts": (*state.texts, TextTile(record.position, body, record.by.user_id, record.at))}
        case DashboardTextChanged(tile_id=tile_id, body=body):
            changes: dict[str, Any] = {
                "body": body,
                "last_modified_at": record.at,
                "last_modified_by": record.by.user_id,
            }
            return {"texts": tuple(evolve(one, **changes) if one.id == tile_id else one for one in state.texts)}
        case DashboardTextRemoved(tile_id=tile_id):
            return {"texts": tuple(one for one in state.texts if one.id != tile_id)}
        case DashboardTileArranged(tile_id=tile_id):
            look = TileLook(happened.layouts, happened.color, happened.filters_overrides)
            return {"looks": {**state.looks, tile_id: look}}
    raise TypeError(f"{type(happened).__name__} is not an event of a dashboard")


_FIELD_OF: Mapping[type[DomainEvent], str] = {
    DashboardRenamed: "name",
    DashboardDescribed: "description",
    DashboardPinned: "pinned",
    DashboardFiltersChanged: "filters",
    DashboardVariablesChanged: "variables",
    DashboardTagsChanged: "tags",
    DashboardRestricted: "restriction_level",
}
_EVENT_OF: Mapping[str, Callable[[Any], DomainEvent]] = {field: cls for cls, field in _FIELD_OF.items()}


# -- commands --------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class TileChange:
    """What a caller says about one tile: a new text, or changes to a tile that is there."""

    id: int | None = None
    """None makes a new text tile."""
    body: str | None = None
    layouts: Any = UNSET
    color: str | Unset | None = UNSET
    filters_overrides: Any = UNSET
    deleted: bool = False


@frozen(kw_only=True)
class DashboardFields:
    """What a caller says about a dashboard: every field may be left out."""

    name: str | Unset | None = UNSET
    description: str | Unset = UNSET
    pinned: bool | Unset = UNSET
    filters: Any = UNSET
    variables: Any = UNSET
    tags: tuple[str, ...] | Unset = UNSET
    restriction_level: int | Unset = UNSET
    deleted: bool | Unset = UNSET
    tiles: tuple[TileChange, ...] = ()
    delete_insights: bool = False
    """With `deleted`: whether insights go with it that stand on no other dashboard."""

    def given(self) -> dict[str, Any]:
        """Return the fields that are mentioned, cleaned as they will be stored. Raises `InvalidInput`."""
        values = {field: getattr(self, field) for field in FIELDS}
        values = {field: value for field, value in values.items() if value is not UNSET}
        if "tags" in values:
            values["tags"] = clean_tags(values["tags"])
        _check(values)
        return values


def decide_creation(fields: DashboardFields, *, creation_mode: str = "default") -> tuple[DomainEvent, ...]:
    """Return the events of a new dashboard with its texts. Raises `InvalidInput`, `NotFound` for a tile with an id."""
    given = fields.given()
    deleted = given.pop("deleted", False)
    events: list[DomainEvent] = [DashboardCreated(creation_mode=creation_mode, **given)]
    for tile in fields.tiles:
        if tile.id is not None:
            raise NotFound("Tile", tile.id)
        if tile.body is not None:
            events.append(DashboardTextAdded(_checked_text(tile.body)))
    return (*events, DashboardSoftDeleted()) if deleted else tuple(events)


def decide_edit(state: Dashboard, fields: DashboardFields, insights: tuple[int, ...] = ()) -> tuple[DomainEvent, ...]:
    """Return the events of an edit; `deleted=False` restores a deleted dashboard.

    `insights` are those that go with it when it is deleted. Tiles of insights that are taken off are the insights'
    affair and lead to no event here. Raises `NotFound` for a deleted dashboard or an unknown text tile, `InvalidInput`.
    """
    given = fields.given()
    if state.deleted and given.get("deleted") is not False:
        raise NotFound("Dashboard", state.id)
    events = [_event(field, value, insights) for field, value in given.items() if value != getattr(state, field)]
    texts = {one.id: one.body for one in state.texts}
    for tile in fields.tiles:
        events += _tile_events(state, texts, tile)
    return tuple(events)


def decide_share(state: Dashboard, command: ShareCommand) -> tuple[DomainEvent, ...]:
    """Return the events of a command about sharing. Raises `NotFound` for a deleted dashboard, `InvalidInput`."""
    if state.deleted:
        raise NotFound("Dashboard", state.id)
    return decide_sharing(state.sharing, command, SHARING)


def _event(field: str, value: Any, insights: tuple[int, ...]) -> DomainEvent:
    """Return the event by which a field gets a value."""
    if field == "deleted":
        return DashboardSoftDeleted(insights) if value else DashboardRestored()
    return _EVENT_OF[field](value)


def _tile_events(state: Dashboard, texts: Mapping[int, str], tile: TileChange) -> Iterable[DomainEvent]:
    body = None if tile.body is None else _checked_text(tile.body)
    if tile.id is None:
        if body is not None:
            yield DashboardTextAdded(body)
        return
    if tile.id in texts and tile.deleted:
        yield DashboardTextRemoved(tile.id)
        return
    if tile.id in texts and body not in (None, texts[tile.id]):
        yield DashboardTextChanged(tile.id, body or "")
    old = state.look_of(tile.id)
    given = {name: getattr(tile, name) for name in ("layouts", "color", "filters_overrides")}
    look = evolve(old, **{name: value for name, value in given.items() if value is not UNSET})
    if look != old:
        yield DashboardTileArranged(tile.id, look.layouts, look.color, look.filters_overrides)


def _checked_text(body: str) -> str:
    if not is_unicode(body):
        raise InvalidInput("Not a valid string.", path="tiles")
    if len(body) > MAX_TEXT_TILE:
        raise InvalidInput(
            f"Ensure this field has no more than {MAX_TEXT_TILE} characters.", path="tiles", code="max_length"
        )
    return body


def _check(given: Mapping[str, Any]) -> None:
    for field, most in (("name", MAX_NAME), ("description", MAX_DESCRIPTION)):
        text = given.get(field)
        if text is not None and not (isinstance(text, str) and is_unicode(text)):
            raise InvalidInput("Not a valid string.", path=field)
        if text is not None and len(text) > most:
            raise InvalidInput(f"Ensure this field has no more than {most} characters.", path=field, code="max_length")
    for field in ("filters", "variables"):
        if not isinstance(given.get(field, {}), dict):
            raise InvalidInput(f"{field.capitalize()} must be a dictionary", path=field)
    for field in ("pinned", "deleted"):
        if not isinstance(given.get(field, False), bool):
            raise InvalidInput("Must be a valid boolean.", path=field)
    level = given.get("restriction_level", EVERYONE_CAN_EDIT)
    if level not in (EVERYONE_CAN_EDIT, ONLY_COLLABORATORS_CAN_EDIT):
        raise InvalidInput(f'"{level}" is not a valid choice.', path="restriction_level", code="invalid_choice")
