"""How records are written as bytes: JSON behind a checksum that chains each event to the one before.

Keys have a fixed order; those of queries keep the order in which they were given.

A stored state is `previous hash (32) + own hash (32) + JSON`; the own hash is the SHA-256 over the previous hash and
the JSON. Only names in the registry of events are ever loaded: a stored name never becomes an import.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from types import NoneType
from typing import Any, get_args

import cattrs
import orjson
from attrs import asdict, fields, frozen, resolve_types

from ...domain import access, action, cohort, dashboard_events, insight_events, name_definitions, organization, project
from ...domain.errors import CorruptLog
from ...domain.events import EVENT_TYPES, Actor, DomainEvent, Record, upcast

FAMILIES = (access, action, cohort, dashboard_events, insight_events, name_definitions, organization, project)
"""The modules whose events may be stored; importing them fills the registry."""
HASH_BYTES = 32
HASH_KEY = b',"hash":"'
"""What stands before the hash at the end of an exported record."""
ORIGIN = bytes(HASH_BYTES)
"""What the first event of a log follows."""

_PLAIN = frozenset({str, int, float, bool, NoneType, Any})
_converter = cattrs.Converter(detailed_validation=False)


@frozen
class Sealed:
    """A record with its place in the hash chain."""

    record: Record
    previous: bytes
    hash: bytes


def to_json(record: Record) -> dict[str, Any]:
    """Return a record as a JSON object: the form in which it is stored, hashed and exported."""
    return {
        "position": record.position,
        "stream": record.stream,
        "version": record.version,
        "type": record.event.type,
        "schema": record.event.schema,
        "at": _moment(record.at),
        "by": {"user": record.by.user_id, "key": record.by.key_id},
        "project_id": record.project_id,
        "request": record.request,
        "software": record.software,
        "part": record.part,
        "parts": record.parts,
        "data": _data(record.event),
    }


@lru_cache(maxsize=64)
def _moment(at: datetime) -> str:
    """Return an instant as text. PERF: takes 1.5 us, and records that are written together have the same."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _data(event: DomainEvent) -> dict[str, Any]:
    """Return the fields of an event. PERF: attrs.asdict takes 20 us; a nested value is rare and written by orjson."""
    return {name: getattr(event, name) for name in _names(event.type)}


@lru_cache
def _names(event_type: str) -> tuple[str, ...]:
    return tuple(field.name for field in fields(EVENT_TYPES[event_type]))  # type: ignore[arg-type]


@lru_cache
def _reader(event_type: str) -> tuple[type[DomainEvent], int, Callable[[dict[str, Any]], DomainEvent]] | None:
    """Return the class of an event, its current schema, and what makes one of its data; None for an unknown type.

    PERF: found once for each type. Most events have plain fields, which JSON gives as they are.
    """
    cls = EVENT_TYPES.get(event_type)
    if cls is None:
        return None
    resolve_types(cls)  # type: ignore[type-var]
    if all(_PLAIN.issuperset(get_args(field.type) or (field.type,)) for field in fields(cls)):  # type: ignore[arg-type]
        return cls, cls.schema, lambda data: cls(**data)
    structure = _converter.get_structure_hook(cls)
    return cls, cls.schema, lambda data: structure(data, cls)


def from_json(value: dict[str, Any]) -> Record:
    """Return the record of a JSON object, its event brought up to the current schema.

    Raises `CorruptLog` for an event that is not in the registry, or has other fields.
    """
    name = value["type"]
    reader = _reader(name)
    if reader is None:
        raise CorruptLog(
            f"event type {name!r} is unknown to this version of insightlog",
            stream=value["stream"],
            version=value["version"],
            position=value["position"],
        )
    _, schema, make = reader
    data = value["data"]
    try:
        event = make(data if value["schema"] == schema else upcast(name, value["schema"], data))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CorruptLog(
            f"the data of {name} do not fit: {error}", stream=value["stream"], version=value["version"]
        ) from error
    by = value["by"]
    return Record(
        value["position"],
        value["stream"],
        value["version"],
        datetime.fromisoformat(value["at"]),
        Actor(by["user"], by["key"]),
        value["project_id"],
        value["request"],
        value["software"],
        value["part"],
        value["parts"],
        event,
    )


def dumps(value: dict[str, Any], option: int = 0) -> bytes:
    """Return the JSON of `to_json`."""
    return orjson.dumps(value, default=asdict, option=option)


def seal(record: Record, previous: bytes) -> tuple[bytes, bytes]:
    """Return the state to store and its hash."""
    text = dumps(to_json(record))
    own = sha256(previous + text).digest()
    return previous + own + text, own


def unseal(state: bytes, *, stream: str, version: int, topic: str) -> Sealed:
    """Return the record of a stored state whose checksum holds. Raises `CorruptLog`."""
    record = opened(state, stream, version, topic)
    return Sealed(record, state[:HASH_BYTES], state[HASH_BYTES : 2 * HASH_BYTES])


def opened(state: bytes, stream: str, version: int, topic: str) -> Record:
    """Return the record of a stored state whose checksum holds. Raises `CorruptLog`."""
    text = state[2 * HASH_BYTES :]
    if sha256(state[:HASH_BYTES] + text).digest() != state[HASH_BYTES : 2 * HASH_BYTES]:
        raise CorruptLog("its checksum does not hold", stream=stream, version=version)
    value = orjson.loads(text)
    if value["stream"] != stream or value["version"] != version or value["type"] != topic:
        raise CorruptLog("it is stored under another name or version", stream=stream, version=version)
    return from_json(value)


def exported(state: bytes) -> bytes:
    """Return a stored state as one JSON object, which ends with its own hash in hexadecimal."""
    return state[2 * HASH_BYTES : -1] + HASH_KEY + state[HASH_BYTES : 2 * HASH_BYTES].hex().encode() + b'"}'


def imported(text: bytes, previous: bytes, position: int) -> bytes:
    """Return the state to store of an exported record that follows a hash. Raises `CorruptLog` when it does not."""
    body, key, end = text.strip().rpartition(HASH_KEY)
    body += b"}"
    own = sha256(previous + body).digest()
    if not key or end != own.hex().encode() + b'"}':
        raise CorruptLog("it does not follow the record before it", stream="the export", version=1, position=position)
    return previous + own + body
