"""Product events: what SDKs capture about the measured product (not the domain events of the log)."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from attrs import frozen


class PlainEvent(NamedTuple):
    """A `ProductEvent` in plain values. PERF: it takes 3 us less, a third of what capturing one in a batch took."""

    uuid: bytes
    event: str
    distinct_id: str
    timestamp_us: int
    """Microseconds since 1970 UTC, between the years 1 and 9999."""
    properties: str


@frozen
class ProductEvent:
    """One captured event, normalised and ready to be stored."""

    uuid: UUID
    """Identity: a second event of the project with the same uuid is the same event."""
    event: str
    """Name, at most 200 characters."""
    distinct_id: str
    """Who, as told by the client; at most 200 characters."""
    timestamp: datetime
    """When it happened; aware, UTC, microseconds."""
    properties: str
    """A JSON object as text, without NaN, NUL characters or lone surrogates."""
