"""What the application needs where product events are kept: the capture log, and the store that answers plans."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from attrs import frozen

from ..domain.product_event import ProductEvent
from ..domain.queries.plan import People
from ..domain.queries.scope import PropertyType
from ..domain.timestamps import to_us
from .arrivals import Watermark
from .importing import Format, ImportProgress
from .stopping import Stop
from .turns import TurnPool


@frozen
class CapturedEvent:
    """A row of the capture log: a product event with its place and its ingestion instant."""

    position: int
    """Rises with every stored event, over all projects."""
    project_id: int
    captured_at: datetime
    """Ingestion instant (`known_at`); aware UTC."""
    event: ProductEvent


CapturedRow = tuple[int, bytes, str, str, int, str, int]
"""Project, uuid, event, distinct id, timestamp, properties, ingestion: `CapturedEvent` in plain values.

Instants are microseconds since 1970. What lies between project and ingestion is a `PlainEvent`.
"""


Concerns = Callable[[Sequence[CapturedRow]], bool]
"""Whether one of some rows may change what somebody is about to ask."""


def captured_row(project_id: int, event: ProductEvent, captured_at: datetime) -> CapturedRow:
    """Return an event in plain values."""
    texts = (event.event, event.distinct_id)
    return (project_id, event.uuid.bytes, *texts, to_us(event.timestamp), event.properties, to_us(captured_at))


@frozen
class CatchingUp:
    """How far a store has got that takes over what is durable elsewhere.

    >>> print(CatchingUp(0, 1_000_000, 0.0).further(250_000, 2.0))
    250,000 of 1,000,000 events taken over, 125,000/s, 6 s left
    """

    n_done: int
    n_all: int
    started: float
    """By a monotonic clock, in seconds."""
    took_s: float = 0.0

    def further(self, n_rows: int, now: float) -> CatchingUp:
        """Return this after some more rows."""
        return CatchingUp(self.n_done + n_rows, self.n_all, self.started, now - self.started)

    @property
    def left_s(self) -> float | None:
        """How many seconds the rest will take; None when it cannot be told yet."""
        return self.took_s / self.n_done * max(self.n_all - self.n_done, 0) if self.n_done and self.took_s else None

    def __str__(self) -> str:
        text = f"{self.n_done:,} of {self.n_all:,} events taken over"
        left = self.left_s
        return text if left is None else f"{text}, {self.n_done / self.took_s:,.0f}/s, {left:.0f} s left"


class Appending(Protocol):
    """Events that are ready to be stored."""

    def wait(self) -> int:
        """Store them, durable on return; return how many were new. Raises `StoreUnavailable`."""
        ...

    def leave(self, pool: TurnPool, then: Callable[[Callable[[], int]], object]) -> None:
        """Return at once and let them be stored; after that `then` is called on a thread of the pool.

        It is given what returns or raises what `wait` does.
        """
        ...


class CaptureLog(Protocol):
    """Where captured product events are acknowledged from: durable and free of duplicates."""

    def append(self, project_id: int, events: Sequence[ProductEvent], *, captured_at: datetime) -> int:
        """Store the events, durable on return; events whose uuid the project already has are left out.

        Returns how many were new. Concurrent callers share a commit. Raises `StoreUnavailable`.
        """
        ...

    def appending(self, rows: Sequence[CapturedRow]) -> Appending:
        """Return what stores plain values as `append` does, once it is told to. PERF: a third of the time an event."""
        ...

    def position(self) -> int:
        """Return the highest acknowledged position, 0 for an empty log."""
        ...

    def read_rows(self, after: int, limit: int) -> Sequence[CapturedRow]:
        """Return what `read` does as plain values. PERF: a third of the time; the first row has position after + 1."""
        ...

    def read(self, after: int, limit: int) -> Sequence[CapturedEvent]:
        """Return up to `limit` rows with a position above `after`, in order of position; none that are forgotten."""
        ...

    def archived(self) -> int:
        """Return the position up to which rows are forgotten, 0 when none are."""
        ...

    def forget(self, until: int) -> None:
        """Give up what the rows up to a position hold, but their uuids. Raises `StoreUnavailable`."""
        ...

    def know_again(self, first: int, uuids: Sequence[tuple[int, bytes]]) -> bool:
        """Take projects and uuids at the positions from `first` on as forgotten rows, if the log lost them and fits."""
        ...

    def uuid_at(self, position: int) -> tuple[int, bytes] | None:
        """Return project and uuid of the row at a position, forgotten or not; None without one."""
        ...

    def close(self) -> None:
        """Release the file."""
        ...


class ProductStore(Protocol):
    """The analytical store of product events and the engine that answers plans over it."""

    def drain(self, concerns: Concerns | None = None) -> int:
        """Take over everything that the capture log acknowledged before this call; return the position reached.

        A few rows none of which concerns the caller, when told so, may be left for later.
        """
        ...

    def catching_up(self) -> CatchingUp | None:
        """Return how far taking over has got, None when nothing is under way; does not wait."""
        ...

    def archive(self, before: datetime) -> int:
        """Move a batch of the log's rows from before a moment into the archive; return how many were moved."""
        ...

    def watermark(self) -> Watermark:
        """Return how far the store has got in taking over events."""
        ...

    def run(self, plan: Any, *, deadline_s: float, stop: Stop | None = None) -> Any:
        """Answer a plan of `domain.queries` with plain rows.

        Raises `QueryTooLarge` past the deadline, `QueryCancelled` when stopped.
        """
        ...

    def tend(self) -> bool:
        """Do a piece of the work that makes later queries quicker; return whether there is more."""
        ...

    def property_types(self, project_id: int) -> Mapping[tuple[str, str], PropertyType]:
        """Return the types of a project's properties as seen so far, by (`event`, `person` or `group_0` ..., name).

        Those of text are left out. Always the same mapping until one of the types changes. Never waits: a store that
        is not open knows none.
        """
        ...

    def hours_of_merged(self, project_id: int, person_ids: Sequence[int]) -> frozenset[int]:
        """Return the hours since 1970 in which persons have events who were merged into others."""
        ...

    def import_events(self, project_id: int, batches: Iterable[Sequence[ProductEvent]]) -> int:
        """Take over bulk events, durable batch by batch; returns how many were new.

        Known batches and known events add nothing; 50,000 events per batch are quick.
        """
        ...

    def import_file(self, project_id: int, path: Path, file_format: Format) -> Iterator[ImportProgress]:
        """Take over a file of product events, durable chunk by chunk; what was imported before adds nothing."""
        ...

    def missing_events(self) -> int:
        """Return how many captured events the store lacks after a drain; 0 unless it is damaged. Reads the log."""
        ...

    def damaged_files(self) -> Sequence[str]:
        """Return what is wrong with the files that the store is built from, a sentence each. Reads all of them."""
        ...

    def keep_members(
        self, project_id: int, cohort_id: int, people: People, *, deadline_s: float, stop: Stop | None = None
    ) -> int:
        """Calculate who is in a cohort and keep the list in place of the one before; return how many are in it."""
        ...

    def first_event_at(self, project_id: int) -> datetime | None:
        """Return the timestamp of the project's earliest event since 2015, or None without events."""
        ...

    def close(self) -> None:
        """Release the file."""
        ...
