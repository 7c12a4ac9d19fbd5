"""What the application needs from the outside world, as small protocols."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from attrs import frozen

from ..domain.product_event import ProductEvent


class Clock(Protocol):
    """Tells the time; tests pass a frozen one."""

    def __call__(self) -> datetime:
        """Return now as an aware UTC datetime."""
        ...


@frozen
class CapturedEvent:
    """A row of the capture log: a product event with its place and its ingestion instant."""

    position: int
    """Rises with every stored event, over all projects."""
    project_id: int
    captured_at: datetime
    """Ingestion instant (`known_at`); aware UTC."""
    event: ProductEvent


class CaptureLog(Protocol):
    """Where captured product events are acknowledged from: durable and free of duplicates."""

    def append(self, project_id: int, events: Sequence[ProductEvent], *, captured_at: datetime) -> int:
        """Store the events, durable on return; events whose uuid the project already has are left out.

        Returns how many were new. Concurrent callers share a commit. Raises `StoreUnavailable`.
        """
        ...

    def position(self) -> int:
        """Return the highest acknowledged position, 0 for an empty log."""
        ...

    def read(self, after: int, limit: int) -> Sequence[CapturedEvent]:
        """Return up to `limit` rows with a position above `after`, in order of position."""
        ...

    def close(self) -> None:
        """Release the file."""
        ...


class ProductStore(Protocol):
    """The analytical store of product events and the engine that answers plans over it."""

    def drain(self) -> int:
        """Take over everything that the capture log acknowledged before this call; return the position reached."""
        ...

    def run(self, plan: Any, *, deadline_s: float) -> Any:
        """Answer a plan of `domain.queries` with plain rows. Raises `QueryTooLarge` past the deadline."""
        ...

    def import_events(self, project_id: int, batches: Iterable[Mapping[str, Any]]) -> int:
        """Take over bulk events; see the adapter for the form of a batch. Returns how many were new."""
        ...

    def first_event_at(self, project_id: int) -> datetime | None:
        """Return the timestamp of the project's earliest event since 2015, or None without events."""
        ...

    def close(self) -> None:
        """Release the file."""
        ...
