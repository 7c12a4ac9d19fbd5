"""Actors as they are shown: who an id of a plan's answer is, and the columns that a page of actors may have.

Source: PostHog's ActorsQuery and its serialised persons and groups (queries.md 10).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import Factory, frozen

from ..errors import InvalidQuery, UnsupportedQuery
from .dates import format_instant
from .sequence_plans import ActorId

DEFAULT_LIMIT = 100
MAX_LIMIT = 10_000


@frozen
class ProfilesPlan:
    """Who some actors are. Answered with `Profile`s in no order; actors that are not stored are left out."""

    project_id: int
    ids: tuple[ActorId, ...]
    group_type_index: int | None = None
    """The ids are keys of groups of this type; None: persons."""


@frozen
class UuidsPlan:
    """The uuids of persons without a profile, who have one distinct id. Answered with rows (person id, uuid)."""

    project_id: int
    ids: tuple[int, ...]


@frozen
class Profile:
    """A stored person or group."""

    actor: ActorId
    uuid: str
    """The key, of a group."""
    created_at: datetime
    properties: Mapping[str, Any]
    is_identified: bool = False
    distinct_ids: tuple[str, ...] = ()


@frozen
class FoundActor:
    """An actor behind a number, and what the insight tells about them beside."""

    actor: ActorId
    more: Mapping[str, Any] = Factory(dict)


def shown(profile: Profile, group_type_index: int | None) -> dict[str, Any]:
    """Return a person or group as an object."""
    created_at = format_instant(profile.created_at)
    if group_type_index is not None:
        return {
            "id": profile.uuid, "type": "group", "group_key": profile.uuid, "group_type_index": group_type_index,
            "created_at": created_at, "properties": dict(profile.properties),
        }  # fmt: skip
    return {
        "id": profile.uuid, "type": "person", "uuid": profile.uuid, "name": _name(profile),
        "distinct_ids": list(profile.distinct_ids), "properties": dict(profile.properties),
        "is_identified": profile.is_identified, "created_at": created_at,
    }  # fmt: skip


def columns(select: Sequence[str] | None, path: str, *, more: Collection[str] = ()) -> tuple[str, ...]:
    """Return the columns of a page, without the comments that label them; `more` are those of the insight.

    Raises UnsupportedQuery for one not known.
    """
    wanted = tuple(bare(name) for name in select or DEFAULT_SELECT)
    for place, name in enumerate(wanted):
        if name not in _COLUMNS and name not in more and not name.startswith(_PROPERTIES):
            raise UnsupportedQuery(
                f"The column {name!r} of actors is not supported yet.", path=f"{path}.select[{place}]"
            )
    return wanted


def row(found: FoundActor, profile: Profile | None, names: Sequence[str], group_type_index: int | None) -> list[Any]:
    """Return the values of the columns for one actor; one that is not stored is an object with an id only."""
    return [_cell(name, found, profile, group_type_index) for name in names]


def sorting(order_by: Sequence[str] | None, path: str, *, more: Collection[str] = ()) -> tuple[tuple[str, bool], ...]:
    """Return the columns to sort by and whether from the largest on, of texts such as `event_count DESC, id`.

    `more` are columns of the insight. Raises InvalidQuery for what is no column with one value.
    """
    found = []
    for place, text in enumerate(order_by or ()):
        for part in text.split(","):
            name, _, direction = _LABEL.sub("", part).strip().partition(" ")
            name = SHOWN_BY.get(name, name)
            if name not in _SORTABLE and name not in more and not name.startswith(_PROPERTIES):
                raise InvalidQuery(f"Actors are not sorted by {name[:40]!r}.", path=f"{path}.orderBy[{place}]")
            if direction.strip().lower() not in ("", "asc", "desc"):
                raise InvalidQuery("The direction is ASC or DESC.", path=f"{path}.orderBy[{place}]")
            found.append((name, direction.strip().lower() == "desc"))
    return tuple(found)


def in_order(
    found: Sequence[FoundActor],
    profiles: Mapping[ActorId, Profile],
    by: Sequence[tuple[str, bool]],
    group_type_index: int | None,
) -> list[FoundActor]:
    """Return actors sorted by columns; numbers before texts, what is missing last in either direction."""
    rows = list(found)
    for name, is_descending in reversed(by):
        cells = {one.actor: _cell(name, one, profiles.get(one.actor), group_type_index) for one in rows}
        rows.sort(key=lambda one: _sort_key(cells[one.actor]), reverse=is_descending)
        rows.sort(key=lambda one: cells[one.actor] is None)
    return rows


def _sort_key(cell: Any) -> tuple[bool, Any]:
    return (False, cell) if isinstance(cell, int | float) else (True, str(cell))


def bare(name: str) -> str:
    """Return a column without the comment that labels it.

    >>> bare("person -- Who")
    'person'
    """
    return re.split("--|#", name, maxsplit=1)[0].strip()


def is_actor(name: str) -> bool:
    """Whether a column stands for the whole actor, as an object."""
    return bare(name) in _ACTORS


def page_size(limit: int | None, path: str) -> int:
    """Return how many actors to give. Raises InvalidQuery outside 1 to 10,000."""
    if limit is None:
        return DEFAULT_LIMIT
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidQuery(f"The limit is from 1 to {MAX_LIMIT}.", path=f"{path}.limit")
    return limit


NAMED_BY = ("email", "name", "username")
"""Properties that name a person, the first that is not empty."""
_MADE_ID = re.compile(r"(?:[a-z0-9]+-){4}[a-z0-9]+", re.IGNORECASE)
SHOWN_BY = {"person": "properties.email", "group": "properties.name"}
"""What whole persons and groups are sorted by."""
DEFAULT_SELECT = ("person", "id", "created_at", "person.$delete")
_ACTORS = frozenset({"actor", "person", "group", "*"})
_COLUMNS = _ACTORS | {
    "id", "actor_id", "person_id", "group_key", "created_at", "is_identified", "event_count", "appearances",
    "length(appearances)", "matched_recordings", "event_distinct_ids", "person.$delete", "person_display_name",
    "properties", "first_timestamp", "final_timestamp", "value_at_data_point",
}  # fmt: skip


_LABEL = re.compile(r"\s*--.*?(?=\s+(?:asc|desc)\s*$|$)", re.IGNORECASE)
_APPEARANCE = re.compile("(?:hour|day|week|month)_([0-9]+)")
"""Whether an actor was seen in a column of a retention."""
_PROPERTIES = ("properties.", "person.properties.", "group.properties.")
_SAME = {"value_at_data_point": "event_count"}
"""Columns with two names."""
_SORTABLE = frozenset(
    {"id", "actor_id", "person_id", "group_key", "created_at", "is_identified", "event_count", "appearances",
     "length(appearances)", "first_timestamp", "final_timestamp", "person_display_name"}
)  # fmt: skip


def _cell(name: str, found: FoundActor, profile: Profile | None, group_type_index: int | None) -> Any:
    if name in _ACTORS:
        return {"id": found.actor} if profile is None else shown(profile, group_type_index)
    more = _SAME.get(name, name)
    if "appearances" in found.more:
        seen = found.more["appearances"]
        if name == "appearances":
            return [place for place, is_seen in enumerate(seen) if is_seen]
        if name == "length(appearances)":
            return sum(seen)
        if (place := _APPEARANCE.fullmatch(name)) is not None:
            return seen[int(place[1])]
    if more in found.more:
        return found.more[more]
    if profile is None:
        return found.actor if name in ("id", "actor_id") else None
    match name:
        case "id" | "actor_id" | "person_id" | "group_key":
            return profile.uuid
        case "created_at":
            return format_instant(profile.created_at)
        case "is_identified":
            return profile.is_identified
        case "properties":
            return dict(profile.properties)
        case "person_display_name":
            return {"display_name": _named_by(profile.properties) or profile.uuid, "id": profile.uuid}
        case "event_distinct_ids":
            return list(profile.distinct_ids)
        case "matched_recordings":
            return []
        case "person.$delete":
            return 1
    if "properties." in name:
        return profile.properties.get(name.partition("properties.")[2])
    return None


def is_named(profile: Profile, text: str) -> bool:
    """Whether the text is part of a name, an address or an id, whatever its case."""
    known = [profile.uuid, *profile.distinct_ids]
    known += [str(profile.properties[key]) for key in ("email", "name") if profile.properties.get(key) is not None]
    return any(text.lower() in one.lower() for one in known)


def _name(profile: Profile) -> str:
    """Return a name of the person: a property, else the first distinct id, those last that look made by machines."""
    ids = sorted(profile.distinct_ids, key=lambda one: _MADE_ID.fullmatch(one) is not None)
    return _named_by(profile.properties) or next(iter(ids), profile.uuid)


def _named_by(properties: Mapping[str, Any]) -> str | None:
    value = next((properties[key] for key in NAMED_BY if properties.get(key)), None)
    return value if value is None or isinstance(value, str) else json.dumps(value)
