"""Product events as embedders hand them over: checked and normalised like those of SDKs."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from ..domain.capture import BadPayload, Receipt, read_events, uuid7
from ..domain.errors import InvalidInput
from ..domain.product_event import PlainEvent
from ..domain.timestamps import parse_timestamp, to_us
from .product_ports import CapturedRow


def captured_events(events: Iterable[Mapping[str, Any]], *, now: datetime) -> tuple[PlainEvent, ...]:
    """Return the events, normalised. Raises `InvalidInput` for the first wrong one, naming it as in `events[3]`.

    Unlike SDKs over the network, who must not lose an event for a bad clock, an embedder is told about a timestamp
    that cannot be read.
    """
    if isinstance(events, Mapping | str | bytes) or not isinstance(events, Iterable):
        raise InvalidInput("Events are an iterable of mappings, each with event and distinct_id.", path="events")
    items = [_checked(event, f"events[{index}]") for index, event in enumerate(events)]
    receipt = Receipt(now=now, new_uuid=lambda: uuid7(now, secrets.randbits(74)))
    try:
        return read_events(items, receipt)
    except BadPayload as error:
        raise InvalidInput(error.detail, path=f"events{error.path or ''}") from error


def captured_rows(project_id: int, events: Sequence[PlainEvent], *, captured_at: datetime) -> list[CapturedRow]:
    """Return events as rows of the capture log."""
    captured_us = to_us(captured_at)
    return [(project_id, *event, captured_us) for event in events]


def _checked(event: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(event, Mapping):
        raise InvalidInput("An event is a mapping with event and distinct_id.", path=path)
    timestamp = event.get("timestamp")
    if timestamp is None:
        return event
    if isinstance(timestamp, datetime):
        if timestamp.tzinfo is None:
            raise InvalidInput("A timestamp needs a time zone: use datetime.now(UTC).", path=f"{path}.timestamp")
        return {**event, "timestamp": timestamp.isoformat()}
    if not isinstance(timestamp, str) or parse_timestamp(timestamp) is None:
        raise InvalidInput(f"{timestamp!r} is no timestamp: use ISO 8601.", path=f"{path}.timestamp")
    return event
