"""The Insight aggregate: what may be done to an insight, and what it is after each event. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from attrs import Factory, evolve, frozen

from .errors import InvalidInput, NotFound
from .events import DomainEvent, Record, event
from .sharing import SharePatch, ShareState, Sharing, sharing_after

MAX_TEXT = 400
MIN_ORDER, MAX_ORDER = -(2**31), 2**31 - 1


class Unset:
    """The type of `UNSET`: a field that a command does not mention."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET = Unset()


# -- events ----------------------------------------------------------------------------------------------------------


@event("InsightCreated")
class InsightCreated(DomainEvent):
    """An insight came into being with everything that was given."""

    short_id: str
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


@event("InsightRenamed")
class InsightRenamed(DomainEvent):
    """The name changed."""

    name: str | None


@event("InsightDerivedNameChanged")
class InsightDerivedNameChanged(DomainEvent):
    """The label that clients compute from the query changed."""

    derived_name: str | None


@event("InsightDescribed")
class InsightDescribed(DomainEvent):
    """The description changed."""

    description: str | None


@event("InsightQueryChanged")
class InsightQueryChanged(DomainEvent):
    """The query or the legacy filters changed; both are given as they are now."""

    query: Any
    filters: Any


@event("InsightTagsChanged")
class InsightTagsChanged(DomainEvent):
    """The set of tags changed; sorted."""

    tags: tuple[str, ...]


@event("InsightFavorited")
class InsightFavorited(DomainEvent):
    """Became a favourite of the project."""


@event("InsightUnfavorited")
class InsightUnfavorited(DomainEvent):
    """Is no favourite any more."""


@event("InsightReordered")
class InsightReordered(DomainEvent):
    """Got another place in the default order of lists."""

    order: int | None


@event("InsightSaved")
class InsightSaved(DomainEvent):
    """The `saved` mark was set or taken away."""

    saved: bool


@event("InsightSoftDeleted")
class InsightSoftDeleted(DomainEvent):
    """Is gone for readers; everything about it is kept."""


@event("InsightRestored")
class InsightRestored(DomainEvent):
    """Is back after a soft delete."""


@event("InsightUpdated")
class InsightUpdated(DomainEvent):
    """Was saved without a difference; still a save, so the time of update moves."""

    material: bool
    """Whether the save mentioned a field that counts as a modification (insights-api.md 2.6)."""


@event("InsightViewed")
class InsightViewed(DomainEvent):
    """Somebody looked at it. Kept in a stream of its own, so that looking never conflicts with editing."""


@event("InsightShared")
class InsightShared(DomainEvent):
    """Sharing was configured and is on; everything is given as it is now."""

    sharing: ShareState


@event("InsightUnshared")
class InsightUnshared(DomainEvent):
    """Sharing was configured and is off; everything is given as it is now."""

    sharing: ShareState


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
    sharing: Sharing | None = None
    """None until sharing is configured for the first time."""


MATERIAL = (InsightRenamed, InsightDescribed, InsightQueryChanged)


def stream_of(insight_id: int) -> str:
    """Return the name of the stream that holds an insight's definition and sharing."""
    return f"insight:{insight_id}"


def views_stream_of(insight_id: int) -> str:
    """Return the name of the stream that holds an insight's views."""
    return f"insight-views:{insight_id}"


def evolve_insight(state: Insight | None, record: Record) -> Insight:
    """Return the insight after one more record of its stream; `None` only before `InsightCreated`."""
    happened = record.event
    if isinstance(happened, InsightCreated):
        return _created(happened, record)
    if state is None:
        raise NotFound("Insight", record.subject_id)
    if isinstance(happened, InsightShared | InsightUnshared):
        return evolve(state, version=record.version, sharing=sharing_after(state.sharing, happened.sharing, record.at))
    material = isinstance(happened, MATERIAL) or (isinstance(happened, InsightUpdated) and happened.material)
    modified: dict[str, Any] = (
        {"last_modified_at": record.at, "last_modified_by": record.by.user_id} if material else {}
    )
    return evolve(state, version=record.version, updated_at=record.at, **modified, **_changed(happened))


def _created(happened: InsightCreated, record: Record) -> Insight:
    if record.project_id is None:
        raise InvalidInput("An insight belongs to a project.", path="project_id")
    return Insight(
        id=record.subject_id,
        project_id=record.project_id,
        short_id=happened.short_id,
        version=record.version,
        created_at=record.at,
        created_by=record.by.user_id,
        updated_at=record.at,
        last_modified_at=record.at,
        last_modified_by=record.by.user_id,
        **{field: getattr(happened, field) for field in DEFINITION},
    )


DEFINITION = (
    "name", "derived_name", "description", "query", "filters", "order", "tags", "favorited", "saved", "deleted",
)  # fmt: skip
"""The fields that an edit may change, in the order in which they are listed everywhere."""


def _changed(happened: DomainEvent) -> dict[str, Any]:
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
        case InsightSoftDeleted():
            return {"deleted": True}
        case InsightRestored():
            return {"deleted": False}
        case InsightUpdated():
            return {}
    raise TypeError(f"{type(happened).__name__} is not an event of an insight's definition")


def replay_insight(records: Iterable[Record], state: Insight | None = None) -> Insight | None:
    """Fold records of one insight's stream over a state."""
    for record in records:
        state = evolve_insight(state, record)
    return state


# -- commands --------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class Definition:
    """What a caller says about an insight: every field may be left out."""

    name: str | Unset | None = UNSET
    derived_name: str | Unset | None = UNSET
    description: str | Unset | None = UNSET
    query: Any = UNSET
    filters: Any = UNSET
    order: int | Unset | None = UNSET
    tags: tuple[str, ...] | Unset = UNSET
    favorited: bool | Unset = UNSET
    saved: bool | Unset = UNSET
    deleted: bool | Unset = UNSET

    def given(self) -> dict[str, Any]:
        """Return the fields that are mentioned, cleaned as they will be stored."""
        values = {field: getattr(self, field) for field in DEFINITION}
        values = {field: value for field, value in values.items() if value is not UNSET}
        if "tags" in values:
            values["tags"] = clean_tags(values["tags"])
        return values


@frozen
class CreateInsight:
    """The wish for a new insight under a free short id."""

    short_id: str
    definition: Definition


@frozen
class EditInsight:
    """The wish for changes; `deleted=False` on a deleted insight restores it."""

    definition: Definition
    may_restore: bool = True


@frozen
class ConfigureSharing:
    """The wish to switch sharing or to change how it looks; `token_sha256` is used when there is no token yet."""

    patch: SharePatch
    token_sha256: str


Command = CreateInsight | EditInsight | ConfigureSharing


def decide(state: Insight | None, command: Command) -> tuple[DomainEvent, ...]:
    """Return the events that a command leads to.

    Raises `NotFound` for a missing or deleted insight, `InvalidInput` for a value that a field may not have.
    """
    if isinstance(command, CreateInsight):
        given = command.definition.given()
        _check(given)
        return (InsightCreated(short_id=command.short_id, **given),)
    if state is None:
        raise NotFound("Insight")
    if isinstance(command, EditInsight):
        return _decide_edit(state, command)
    if state.deleted:
        raise NotFound("Insight", state.id)
    after = command.patch.applied_to(state.sharing, command.token_sha256)
    return (InsightShared(after),) if after.enabled else (InsightUnshared(after),)


def _decide_edit(state: Insight, command: EditInsight) -> tuple[DomainEvent, ...]:
    given = command.definition.given()
    restores = given.get("deleted") is False and command.may_restore
    if state.deleted and not restores:
        raise NotFound("Insight", state.id)
    _check(given)
    material = bool(given.keys() & {"name", "description", "query", "filters"})
    given.setdefault("saved", True)
    wanted = {field: value for field, value in given.items() if value != getattr(state, field)}
    events: list[DomainEvent] = []
    if wanted.keys() & {"query", "filters"}:
        events.append(InsightQueryChanged(wanted.get("query", state.query), wanted.get("filters", state.filters)))
    makers: dict[str, Any] = {
        "name": InsightRenamed,
        "derived_name": InsightDerivedNameChanged,
        "description": InsightDescribed,
        "order": InsightReordered,
        "tags": InsightTagsChanged,
        "saved": InsightSaved,
        "favorited": lambda on: InsightFavorited() if on else InsightUnfavorited(),
        "deleted": lambda on: InsightSoftDeleted() if on else InsightRestored(),
    }
    events += [make(wanted[field]) for field, make in makers.items() if field in wanted]
    if not events or (material and not any(isinstance(one, MATERIAL) for one in events)):
        events.append(InsightUpdated(material))
    return tuple(events)


def clean_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Trim, lower-case and sort tags, without empty ones and duplicates. Raises `InvalidInput` for what is no text.

    >>> clean_tags([" Growth", "growth", "", "Web"])
    ('growth', 'web')
    """
    gathered = list(tags)
    if not all(isinstance(tag, str) and _is_unicode(tag) for tag in gathered):
        raise InvalidInput("Not a valid string.", path="tags")
    return tuple(sorted({tag.strip().lower() for tag in gathered} - {""}))


def _is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8: it has no lone surrogates, and no NUL characters."""
    return not any(character == "\x00" or "\ud800" <= character <= "\udfff" for character in text)


def _check(given: Mapping[str, Any]) -> None:
    for field in ("name", "derived_name", "description"):
        text = given.get(field)
        if text is not None and not (isinstance(text, str) and _is_unicode(text)):
            raise InvalidInput("Not a valid string.", path=field)
        if text is not None and len(text) > MAX_TEXT:
            raise InvalidInput(
                f"Ensure this field has no more than {MAX_TEXT} characters.", path=field, code="max_length"
            )
    for field in ("favorited", "saved", "deleted"):
        if not isinstance(given.get(field, False), bool):
            raise InvalidInput("Must be a valid boolean.", path=field)
    order = given.get("order")
    if order is not None and (isinstance(order, bool) or not isinstance(order, int)):
        raise InvalidInput("A valid integer is required.", path="order")
    if order is not None and order > MAX_ORDER:
        raise InvalidInput(f"Ensure this value is less than or equal to {MAX_ORDER}.", path="order", code="max_value")
    if order is not None and order < MIN_ORDER:
        raise InvalidInput(
            f"Ensure this value is greater than or equal to {MIN_ORDER}.", path="order", code="min_value"
        )
