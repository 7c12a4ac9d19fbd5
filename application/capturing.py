"""Product events as embedders hand them over: checked and normalised like those of SDKs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from ..domain.product_event import ProductEvent


def captured_events(events: Iterable[Mapping[str, Any]], *, now: datetime) -> list[ProductEvent]:
    """Return the events, normalised. Raises `InvalidInput` for the first wrong one, naming it as `events[N].field`."""
    raise NotImplementedError
