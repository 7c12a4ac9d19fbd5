"""The Insight aggregate: what may be done to an insight, and what it is after each event. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import Factory, fields, frozen

from .access_rules import AccessRule, check_level, with_rule, without_rule
from .errors import InvalidInput, NotFound
from .events import DomainEvent, Record
from .insight_commands import (
    DEFINITION,
    Command,
    CreateInsight,
    EditInsight,
    SetAccess,
    SetBack,
    StandOn,
    check_definition,
)
from .insight_events import (
    SHARING,
    InsightAccessGranted,
    InsightAccessRevoked,
    InsightCreated,
    InsightDashboardsChanged,
    InsightDerivedNameChanged,
    InsightDescribed,
    InsightFavorited,
    InsightImported,
    InsightQueryChanged,
    InsightRenamed,
    InsightReordered,
    InsightRestored,
    InsightReverted,
    InsightSaved,
    InsightSoftDeleted,
    InsightTagsChanged,
    InsightTileImported,
    InsightUnfavorited,
    InsightUpdated,
)
from .sharing import (
    SharePasswordAdded,
    SharePasswordRemoved,
    Sharing,
    SharingSet,
    decide_sharing,
    sharing_after,
)
from .tiles import Tile, live_dashboards, steps_to, tiles_after

# -- state -----------------------------------------------------------------------------------------------------------


@frozen
class Insight:
    """An insight as it is after some version of its stream."""

    id: int
    project_id: int
    short_id: str
    version: int
    created_at: datetime
    created_by: int | None
    updated_at: datetime
    last_modified_at: datetime
    last_modified_by: int | None
    name: str | None = None
    derived_name: str | None = None
    description: str | None = None
    query: Any = None
    filters: Any = Factory(dict)
    order: int | None = None
    tags: tuple[str, ...] = ()
    favorited: bool = False
    saved: bool = True
    deleted: bool = False
    is_sample: bool = False
    """Made from a template and not touched since."""
    sharing: Sharing | None = None
    """None until sharing is configured for the first time."""
    tiles: tuple[Tile, ...] = ()
    """Every place it ever had on a dashboard, those that it left too."""
    access: tuple[AccessRule, ...] = ()

    @property
    def dashboards(self) -> tuple[int, ...]:
        """The dashboards on which it stands, deleted ones included."""
        return live_dashboards(self.tiles)


FIELDS = tuple(field.name for field in fields(Insight))
DEFAULTS: Mapping[str, Any] = {"sharing": None, "tiles": (), "access": ()}
"""Fields that a new insight has not got from its definition."""
MATERIAL = (InsightRenamed, InsightDescribed, InsightQueryChanged)


def stream_of(insight_id: int) -> str:
    """Return the name of the stream that holds an insight's definition and sharing."""
    return f"insight:{insight_id}"


def views_stream_of(insight_id: int) -> str:
    """Return the name of the stream that holds an insight's views."""
    return f"insight-views:{insight_id}"


def logins_stream_of(insight_id: int) -> str:
    """Return the name of the stream that holds the tries to open a shared insight with a password."""
    return f"insight-logins:{insight_id}"


def past_stream_of(insight_id: int) -> str:
    """Return the name of the stream that holds what happened to an insight on the server that it came from."""
    return f"insight-past:{insight_id}"


def evolve_insight(state: Insight | None, record: Record) -> Insight:
    """Return the insight after one more record of its stream; `None` only before its first one."""
    after = replay_insight((record,), state)
    assert after is not None
    return after


def _step(state: dict[str, Any] | None, record: Record) -> dict[str, Any]:
    """Return the fields of the state after one more record. PERF: a state is made once, not for each of its events."""
    happened = record.event
    if isinstance(happened, InsightCreated):
        times = {"created_at": record.at, "updated_at": record.at, "last_modified_at": record.at}
        return _created(happened, record, created_by=record.by.user_id, last_modified_by=record.by.user_id, **times)
    if isinstance(happened, InsightImported):
        times = {
            name: datetime.fromisoformat(getattr(happened, name))
            for name in ("created_at", "updated_at", "last_modified_at")
        }
        users = {"created_by": happened.created_by, "last_modified_by": happened.last_modified_by}
        return _created(happened, record, **times, **users)
    if state is None:
        raise NotFound("Insight", record.subject_id)
    state["version"] = record.version
    beside = _changed_beside(state, happened, record)
    if beside is not None:
        state.update(beside)
        return state
    if isinstance(happened, MATERIAL) or (isinstance(happened, InsightUpdated) and happened.material):
        state["last_modified_at"], state["last_modified_by"] = record.at, record.by.user_id
    state["updated_at"], state["is_sample"] = record.at, False
    state.update(_changed(state, happened, record))
    return state


def _changed_beside(state: Mapping[str, Any], happened: DomainEvent, record: Record) -> dict[str, Any] | None:
    """Return what an event beside the definition sets (sharing, access, tiles that came over); None for others."""
    match happened:
        case SharingSet() | SharePasswordAdded() | SharePasswordRemoved():
            return {"sharing": sharing_after(state["sharing"], record)}
        case InsightTileImported(dashboard_id=dashboard_id):
            standing = live_dashboards(state["tiles"])
            return {"tiles": tiles_after(state["tiles"], (*standing, dashboard_id), record.position)}
        case InsightAccessGranted(level=level, member=member, role=role):
            rule = AccessRule(level, member, role, record.by.user_id, record.at, record.at)
            return {"access": with_rule(state["access"], rule)}
        case InsightAccessRevoked(member=member, role=role):
            return {"access": without_rule(state["access"], (member, role))}
    return None


def _created(happened: InsightCreated | InsightImported, record: Record, **when_and_who: Any) -> dict[str, Any]:
    if record.project_id is None:
        raise InvalidInput("An insight belongs to a project.", path="project_id")
    return {
        **DEFAULTS,
        "id": record.subject_id,
        "project_id": record.project_id,
        "short_id": happened.short_id,
        "version": record.version,
        "is_sample": happened.is_sample,
        **when_and_who,
        **{field: getattr(happened, field) for field in DEFINITION},
    }


def _changed(state: Mapping[str, Any], happened: DomainEvent, record: Record) -> dict[str, Any]:
    """Return the fields of the state that an edit sets, with their new values."""
    match happened:
        case InsightRenamed(name=name):
            return {"name": name}
        case InsightDerivedNameChanged(derived_name=derived_name):
            return {"derived_name": derived_name}
        case InsightDescribed(description=description):
            return {"description": description}
        case InsightQueryChanged(query=query, filters=filters):
            return {"query": query, "filters": filters}
        case InsightTagsChanged(tags=tags):
            return {"tags": tags}
        case InsightFavorited():
            return {"favorited": True}
        case InsightUnfavorited():
            return {"favorited": False}
        case InsightReordered(order=order):
            return {"order": order}
        case InsightSaved(saved=saved):
            return {"saved": saved}
        case InsightDashboardsChanged(dashboards=dashboards):
            return {"tiles": tiles_after(state["tiles"], dashboards, record.position)}
        case InsightSoftDeleted():
            return {"deleted": True, "tiles": tiles_after(state["tiles"], (), record.position)}
        case InsightRestored():
            return {"deleted": False}
        case InsightUpdated() | InsightReverted():
            return {}
    raise TypeError(f"{type(happened).__name__} is not an event of an insight's definition")


def replay_insight(records: Iterable[Record], state: Insight | None = None) -> Insight | None:
    """Fold records of one insight's stream over a state."""
    values = None if state is None else {name: getattr(state, name) for name in FIELDS}
    for record in records:
        values = _step(values, record)
    return None if values is None else Insight(**values)


# -- decisions --------------------------------------------------------------------------------------------------------


def decide(state: Insight | None, command: Command) -> tuple[DomainEvent, ...]:
    """Return the events that a command leads to.

    Raises `NotFound` for a missing or deleted insight, `InvalidInput` for a value that a field may not have.
    """
    if isinstance(command, CreateInsight):
        given = command.definition.given()
        check_definition(given)
        dashboards = given.pop("dashboards", ())
        created = InsightCreated(short_id=command.short_id, is_sample=command.is_sample, **given)
        if created.deleted:
            return (created,)
        return (created, *map(InsightDashboardsChanged, steps_to((), dashboards)))
    if state is None:
        raise NotFound("Insight")
    if isinstance(command, EditInsight):
        return _decide_edit(state, command)
    if isinstance(command, SetBack):
        return _decide_set_back(state, command)
    if state.deleted:
        raise NotFound("Insight", state.id)
    if isinstance(command, StandOn):
        return tuple(map(InsightDashboardsChanged, steps_to(state.tiles, command.dashboards)))
    if isinstance(command, SetAccess):
        return _decide_access(state, command)
    return decide_sharing(state.sharing, command, SHARING)


def _decide_access(state: Insight, command: SetAccess) -> tuple[DomainEvent, ...]:
    subject = (command.member, command.role)
    if None not in subject:
        raise InvalidInput("You can not scope an access control to both a member and a role.")
    if command.level is not None:
        return (InsightAccessGranted(check_level(command.level), *subject),)
    exists = any(rule.subject == subject for rule in state.access)
    return (InsightAccessRevoked(*subject),) if exists else ()


MAKERS: Mapping[str, Any] = {
    "name": InsightRenamed,
    "derived_name": InsightDerivedNameChanged,
    "description": InsightDescribed,
    "order": InsightReordered,
    "tags": InsightTagsChanged,
    "saved": InsightSaved,
    "favorited": lambda on: InsightFavorited() if on else InsightUnfavorited(),
    "deleted": lambda on: InsightSoftDeleted() if on else InsightRestored(),
}
"""What makes the event of a field that changed, in the order in which they happen."""


def _decide_edit(state: Insight, command: EditInsight) -> tuple[DomainEvent, ...]:
    given = command.definition.given()
    restores = given.get("deleted") is False and command.may_restore
    if state.deleted and not restores:
        raise NotFound("Insight", state.id)
    check_definition(given)
    material = bool(given.keys() & {"name", "description", "query", "filters"})
    dashboards = given.pop("dashboards", None)
    given.setdefault("saved", True)
    events = _changes(state, given, dashboards)
    if not events or (material and not any(isinstance(one, MATERIAL) for one in events)):
        events.append(InsightUpdated(material))
    return tuple(events)


def _decide_set_back(state: Insight, command: SetBack) -> tuple[DomainEvent, ...]:
    values = dict(command.values)
    dashboards = values.pop("dashboards", None)
    events = _changes(state, values, dashboards)
    if events and command.to_version is not None:
        return (InsightReverted(command.to_version), *events)
    return tuple(events)


def _changes(state: Insight, values: Mapping[str, Any], dashboards: Sequence[int] | None) -> list[DomainEvent]:
    """Return the events after which fields have these values, and the insight stands on these dashboards if any."""
    wanted = {field: value for field, value in values.items() if value != getattr(state, field)}
    events: list[DomainEvent] = []
    if wanted.keys() & {"query", "filters"}:
        events.append(InsightQueryChanged(wanted.get("query", state.query), wanted.get("filters", state.filters)))
    if dashboards is not None and wanted.get("deleted") is not True:
        events += map(InsightDashboardsChanged, steps_to(state.tiles, dashboards))
    return events + [make(wanted[field]) for field, make in MAKERS.items() if field in wanted]
