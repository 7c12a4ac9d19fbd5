"""Builders with defaults for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from insightlog.domain.events import Actor, DomainEvent, Record

NOW = datetime(2026, 4, 2, 9, 15, 30, 120000, tzinfo=UTC)


class FrozenClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


def a_record(event: DomainEvent, **fields) -> Record:
    """A record of an event with every field of the envelope filled in."""
    defaults = {
        "position": 1, "stream": "insight:1", "version": 1, "at": NOW, "by": Actor(1, 2), "project_id": 1,
        "request": "r1", "software": "test", "part": 1, "parts": 1,
    }  # fmt: skip
    return Record(event=event, **{**defaults, **fields})


TREND = {
    "kind": "TrendsQuery",
    "series": [{"kind": "EventsNode", "event": "signed up"}],
    "dateRange": {"date_from": "-7d"},
}
