"""How values that JSON lacks are written in answers."""

from __future__ import annotations

from datetime import UTC, datetime


def iso(at: datetime | None) -> str | None:
    """Return an instant as ISO 8601 in UTC with `Z`; the fraction only when there is one; None for None.

    >>> iso(datetime(2026, 4, 2, 9, 15, 30, 120000, tzinfo=UTC))
    '2026-04-02T09:15:30.120000Z'
    """
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")
