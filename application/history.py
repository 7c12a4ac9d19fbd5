"""Looking back: the records up to a moment, and a log that ends there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime

from ..domain.errors import InsightlogError, InvalidInput
from ..domain.events import Record
from .ports import EventStore
from .product_ports import Appending, CapturedEvent, CapturedRow, CaptureLog

READ_ONLY = "This is a past state of the log; it can only be read."


def records_until(records: Iterable[Record], moment: datetime | str) -> Iterator[Record]:
    """Give records up to a moment, inclusive. Raises `InvalidInput` for what `moment_of` does not know."""
    until = moment_of(moment)
    for record in records:
        if (record.at > until) if isinstance(until, datetime) else (record.position > until):
            return
        yield record


def moment_of(moment: datetime | str) -> datetime | int:
    """Return an aware datetime (given as such or as ISO 8601 text), or the position of `position:N`.

    Raises `InvalidInput` for anything else.
    """
    found: datetime | None = moment if isinstance(moment, datetime) else None
    if isinstance(moment, str):
        word, _, number = moment.partition(":")
        if word == "position" and number.isdecimal() and len(number) < 20:
            return int(number)
        with suppress(ValueError):
            found = datetime.fromisoformat(moment)
    if found is None:
        raise InvalidInput(f"{moment!r} is no moment: use an ISO 8601 instant or position:N.", path="as_of")
    if found.tzinfo is None:
        raise InvalidInput(f"{moment!r} has no time zone: use one like 2026-04-02T09:15:30Z.", path="as_of")
    return found


class PastStore:
    """The log up to some position: it can be read, and nothing can be appended."""

    def __init__(self, records: list[Record], present: EventStore) -> None:
        self.records = records
        self._present = present

    def append(self, _append: object) -> Sequence[Record]:
        """Refuse: the past cannot be changed."""
        raise InsightlogError(READ_ONLY)

    def load(self, stream: str, *, after: int = 0) -> Sequence[Record]:
        """Return a stream's records (port `EventStore`)."""
        return [record for record in self.records if record.stream == stream and record.version > after]

    def read(self, *, after: int = 0, limit: int = 500) -> Sequence[Record]:
        """Return records of the log (port `EventStore`)."""
        return self.records[after : after + limit]

    def position(self) -> int:
        """Return the last position (port `EventStore`)."""
        return len(self.records)

    def note_key_use(self, key_id: int, at: datetime) -> None:
        """Refuse: the past cannot be changed."""
        raise InsightlogError(READ_ONLY)

    def secret(self, name: str) -> str | None:
        """Return a secret of the present (port `EventStore`)."""
        return self._present.secret(name)

    def close(self) -> None:
        """Nothing to release: the present owns the file."""


class PastCaptureLog:
    """The capture log of a past state: it can be read, and nothing can be captured."""

    def __init__(self, present: CaptureLog) -> None:
        self._present = present

    def append(self, _project_id: int, _events: object, *, captured_at: datetime) -> int:
        """Refuse: the past cannot be changed."""
        raise InsightlogError(READ_ONLY)

    def appending(self, _rows: object) -> Appending:
        """Refuse: the past cannot be changed."""
        raise InsightlogError(READ_ONLY)

    def position(self) -> int:
        """Return the highest position (port `CaptureLog`)."""
        return self._present.position()

    def read_rows(self, after: int, limit: int) -> Sequence[CapturedRow]:
        """Return rows (port `CaptureLog`)."""
        return self._present.read_rows(after, limit)

    def read(self, after: int, limit: int) -> Sequence[CapturedEvent]:
        """Return rows (port `CaptureLog`)."""
        return self._present.read(after, limit)

    def archived(self) -> int:
        """Return the position up to which rows are forgotten (port `CaptureLog`)."""
        return self._present.archived()

    def forget(self, until: int) -> None:
        """Refuse: the past cannot be changed."""
        raise InsightlogError(READ_ONLY)

    def close(self) -> None:
        """Nothing to release: the present owns the file."""
