"""Batches of Capture V1, whose events are answered one by one: what their fields are in the older form.

Source: PostHog's `/i/v1/analytics/events`, as its SDKs send to it when told to. What an event in the older form is, is
told by `capture`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from attrs import frozen

from .capture import BadPayload, Receipt, event_uuid, read_events
from .product_event import PlainEvent

MAX_SDK = 200
"""Characters of the SDK's name and version; longer ones are left out."""
_FLAGS = {"cookieless_mode": "$cookieless_mode", "process_person_profile": "$process_person_profile"}
_SKEW = "disable_skew_correction"
_TEXTS = {"session_id": "$session_id", "window_id": "$window_id"}
_TRUE, _FALSE = frozenset({"true", "1"}), frozenset({"false", "0"})


@frozen
class AnsweredBatch:
    """What a batch holds."""

    events: tuple[PlainEvent, ...]
    """To be stored, in order."""
    problems: Mapping[UUID, str | None]
    """Of every event of the batch, in order: why it is refused, None when it is not."""


def read_batch(payload: Any, receipt: Receipt, sdk: str | None = None) -> AnsweredBatch:
    """Return the events of a batch, and which are refused; `sdk` is the sender as `name/version`.

    Raises `BadPayload` for what is no batch, and for an event without a uuid to answer it by.
    """
    items = payload.get("batch") if isinstance(payload, Mapping) else None
    if not isinstance(items, list) or not items:
        raise BadPayload("the payload must be a batch of events")
    library = _library(sdk)
    events: list[PlainEvent] = []
    problems: dict[UUID, str | None] = {}
    for index, item in enumerate(items):
        uuid = event_uuid(_trimmed(item.get("uuid"))) if isinstance(item, Mapping) else None
        if uuid is None:
            raise BadPayload("event submitted without a uuid", path=f"[{index}]")
        try:
            older, is_exact = _older_form(item, library)
            sent_at_us = None if is_exact else receipt.sent_at_us
            events += read_events([older], receipt, sent_at_us=sent_at_us)
            problems[UUID(bytes=uuid)] = None
        except BadPayload as error:
            problems[UUID(bytes=uuid)] = error.detail
    return AnsweredBatch(tuple(events), problems)


def _older_form(item: Mapping[str, Any], library: Mapping[str, str]) -> tuple[dict[str, Any], bool]:
    """Return an event as `capture` reads it, and whether its time is exact. Raises `BadPayload`."""
    properties = item.get("properties")
    if properties is None:
        properties = {}
    elif not isinstance(properties, Mapping):
        raise BadPayload("event submitted with properties that are not an object")
    options = item.get("options")
    if options is None:
        options = {}
    elif not isinstance(options, Mapping):
        raise BadPayload("event submitted with options that are not an object")
    said: dict[str, Any] = {name: item[field] for field, name in _TEXTS.items() if isinstance(item.get(field), str)}
    for option, name in _FLAGS.items():
        value = _flag(options, option)
        if value is not None:
            said[name] = value
    tour = options.get("product_tour_id")
    if isinstance(tour, str | int) and not isinstance(tour, bool):
        said["$product_tour_id"] = str(tour)
    older = {
        "event": item.get("event"),
        "uuid": _trimmed(item["uuid"]),
        "distinct_id": _trimmed(item.get("distinct_id")),
        "timestamp": item.get("timestamp"),
        "properties": {**library, **properties, **said},
    }
    return older, _flag(options, _SKEW) is True


def _flag(options: Mapping[str, Any], name: str) -> bool | None:
    value = options.get(name)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value != 0
    text = value.strip().lower() if isinstance(value, str) else ""
    if text not in _TRUE | _FALSE:
        raise BadPayload(f"event submitted with an option that cannot be read: {name}")
    return text in _TRUE


def _library(sdk: str | None) -> dict[str, str]:
    """Return the properties that name the sender, `{}` when it does not say who it is."""
    name, _, version = (sdk or "").rpartition("/")
    name, version = name.strip(), version.strip()
    return {"$lib": name, "$lib_version": version} if name and version and len(sdk or "") <= MAX_SDK else {}


def _trimmed(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value
