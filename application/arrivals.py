"""Which stretches of time have received events lately: what tells a kept answer that it is out of date.

Kept in memory by the analytical store as it takes events over; what arrived before the store was opened is unknown.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from attrs import Factory, define, frozen

HOUR = timedelta(hours=1)
MAX_SPANS = 100_000
"""Names times hours that are told apart in one project; beyond, all that came before counts as touched."""
MAX_MERGES = 5_000
"""Merges that are told apart in one project."""
MAX_STEPS = 64
"""Arrivals that are told apart within one hour."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@frozen(order=True)
class Watermark:
    """How far a store had got: what came later is news to an answer that was calculated then."""

    position: int
    """Of the capture log."""
    n_imports: int = 0
    """Bulk imports taken over; they have no position."""


@frozen
class Span:
    """Events with one of the names (None: any) between two instants, both inclusive, None for open."""

    names: frozenset[str] | None = None
    after: datetime | None = None
    until: datetime | None = None

    def holds(self, name: str, timestamp: datetime) -> bool:
        """Whether an event is one of them."""
        return (
            (self.names is None or name in self.names)
            and (self.after is None or timestamp >= self.after)
            and (self.until is None or timestamp <= self.until)
        )


@define
class _Arrived:
    """Arrivals of one event name within one hour: positions and timestamps, both ascending.

    A later arrival with an earlier timestamp replaces those before it, so the first one past a position is the
    earliest event that arrived after it.
    """

    positions: list[int] = Factory(list)
    timestamps: list[datetime] = Factory(list)

    def add(self, position: int, timestamp: datetime) -> None:
        while self.timestamps and self.timestamps[-1] >= timestamp:
            self.timestamps.pop()
            self.positions.pop()
        self.timestamps.append(timestamp)
        self.positions.append(position)
        if len(self.positions) > MAX_STEPS:
            # Of each two the later position and the earlier timestamp are kept, which claims both; one is left over.
            self.positions = [*self.positions[1::2], self.positions[-1]]
            self.timestamps = self.timestamps[::2]

    def first_after(self, position: int) -> datetime | None:
        index = bisect_right(self.positions, position)
        return self.timestamps[index] if index < len(self.positions) else None


@define
class _Project:
    known_from: Watermark
    """Of what arrived before this, nothing is known."""
    spans: dict[int, dict[str, _Arrived]] = Factory(dict)
    """Hour since 1970 -> event name -> arrivals."""
    n_spans: int = 0
    persons_changed: int = 0
    """Position of the last event that merged persons or changed their properties."""
    merges: list[tuple[int, int]] = Factory(list)
    """Position, and the person who became another one."""
    merges_known_from: int = 0


class Arrivals:
    """Where in time, and under which names, events arrived; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._projects: dict[int, _Project] = {}
        self._opened = Watermark(0)

    def opened_at(self, watermark: Watermark) -> None:
        """Forget everything: the store was opened, or built again, and stands at this mark."""
        with self._lock:
            self._projects.clear()
            self._opened = watermark

    def note(self, position: int, events: Iterable[tuple[int, str, datetime, bool]]) -> None:
        """Note events that the store has just taken over, all of them by `position`.

        Each is (project, name, timestamp, whether it changed persons).
        """
        with self._lock:
            for project_id, name, timestamp, changes_persons in events:
                project = self._of(project_id)
                named = project.spans.setdefault((timestamp - _EPOCH) // HOUR, {})
                span = named.get(name)
                if span is None:
                    span = named[name] = _Arrived()
                    project.n_spans += 1
                if not span.positions or span.positions[-1] != position or timestamp < span.timestamps[-1]:
                    span.add(position, timestamp)
                if changes_persons:
                    project.persons_changed = position
            self._bound(position)

    def note_merges(self, position: int, merged: Iterable[tuple[int, int]]) -> None:
        """Note persons who became others, as (project, person), by an event at or before `position`."""
        with self._lock:
            for project_id, person_id in merged:
                project = self._of(project_id)
                project.merges.append((position, person_id))
                if len(project.merges) > MAX_MERGES:
                    project.merges_known_from = project.merges[MAX_MERGES // 2][0]
                    del project.merges[: MAX_MERGES // 2 + 1]

    def imported(self, project_id: int, watermark: Watermark) -> None:
        """Note a bulk import: whatever was calculated before it may be out of date."""
        with self._lock:
            self._projects[project_id] = _Project(watermark)

    def touched(self, project_id: int, since: Watermark, span: Span) -> bool:
        """Whether an event of the span arrived since; the span's beginning counts by the hour. True if not known."""
        with self._lock:
            if self._is_unknown(project_id, since):
                return True
            project = self._projects.get(project_id)
            first_hour = None if span.after is None else (span.after - _EPOCH) // HOUR
            last_hour = None if span.until is None else (span.until - _EPOCH) // HOUR
            for hour, named in (project.spans if project else {}).items():
                if (first_hour is not None and hour < first_hour) or (last_hour is not None and hour > last_hour):
                    continue
                for name, arrived in named.items():
                    if span.names is None or name in span.names:
                        first = arrived.first_after(since.position)
                        if first is not None and (span.until is None or first <= span.until):
                            return True
            return False

    def touched_hours(
        self, project_id: int, since: Watermark, *, names: frozenset[str] | None = None
    ) -> frozenset[int] | None:
        """Return the hours (since 1970, UTC) in which events arrived since; None when it is not known."""
        with self._lock:
            if self._is_unknown(project_id, since):
                return None
            project = self._projects.get(project_id)
            return frozenset(
                hour
                for hour, named in (project.spans.items() if project else ())
                if any(
                    (names is None or name in names) and span.first_after(since.position) is not None
                    for name, span in named.items()
                )
            )

    def merged(self, project_id: int, since: Watermark) -> list[int] | None:
        """Return the persons who became others since; None when it is not known."""
        with self._lock:
            project = self._projects.get(project_id)
            if self._is_unknown(project_id, since) or (
                project is not None and since.position < project.merges_known_from
            ):
                return None
            return [person for position, person in (project.merges if project else ()) if position > since.position]

    def persons_changed(self, project_id: int, since: Watermark) -> bool:
        """Whether persons were merged or their properties changed since; True when it is not known."""
        with self._lock:
            project = self._projects.get(project_id)
            return self._is_unknown(project_id, since) or (
                project is not None and project.persons_changed > since.position
            )

    def _of(self, project_id: int) -> _Project:
        if project_id not in self._projects:
            self._projects[project_id] = _Project(self._opened)
        return self._projects[project_id]

    def _is_unknown(self, project_id: int, since: Watermark) -> bool:
        project = self._projects.get(project_id)
        known_from = project.known_from if project else self._opened
        return since.position < known_from.position or since.n_imports < known_from.n_imports

    def _bound(self, position: int) -> None:
        for project_id, project in self._projects.items():
            if project.n_spans > MAX_SPANS:
                self._projects[project_id] = _Project(Watermark(position, project.known_from.n_imports))
