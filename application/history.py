"""Looking back: the records up to a moment, and a log that ends there."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime

from attrs import frozen

from ..domain.errors import InsightlogError, InvalidInput
from ..domain.events import Record
from ..domain.timestamps import to_us
from .ports import EventStore, Views
from .product_ports import Appending, CapturedEvent, CapturedRow, CaptureLog
from .views.tables import EPOCH

READ_ONLY = "This is a past state of the log; it can only be read."


REPLAY_BATCH = 500


def records_of(store: EventStore, after: int = 0) -> Iterator[Record]:
    """Give the records of a log above a position, oldest first, in batches from the store."""
    while records := store.read(after=after, limit=REPLAY_BATCH):
        yield from records
        after = records[-1].position


def texts_of(store: EventStore, after: int = 0) -> Iterator[bytes]:
    """Give the records of a log above a position as they are stored, in batches from the store."""
    while texts := store.texts(after=after, limit=REPLAY_BATCH):
        yield from texts
        after += len(texts)


def moment_of(moment: datetime | str, path: str = "as_of") -> datetime | int:
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
        raise InvalidInput(f"{moment!r} is no moment: use an ISO 8601 instant or position:N.", path=path)
    if found.tzinfo is None:
        raise InvalidInput(f"{moment!r} has no time zone: use one like 2026-04-02T09:15:30Z.", path=path)
    return found


@frozen
class Moment:
    """A moment of a log: what was there, and what its clock said."""

    position: int
    """Of the last record that was there."""
    at: datetime


def moment_in(store: EventStore, asked: datetime | str, now: datetime, path: str = "as_of") -> Moment:
    """Return the moment that is asked for; at `position:N` the clock says when that record was written.

    Cost: reads some 20 records. Raises `InvalidInput` for what `moment_of` does not know, and for the future.
    """
    until, last = moment_of(asked, path), store.position()
    if isinstance(until, int):
        if until > last:
            raise InvalidInput(f"{asked} is not written yet: the log ends at position {last}.", path=path)
        return Moment(until, _written_at(store, until) if until else EPOCH)
    if until > now and (last == 0 or until > _written_at(store, last)):
        raise InvalidInput(f"{asked} is in the future.", path=path)
    positions = range(1, last + 1)
    return Moment(bisect_right(positions, until, key=lambda position: _written_at(store, position)), until)


def _written_at(store: EventStore, position: int) -> datetime:
    return store.read(after=position - 1, limit=1)[0].at


class PastViews:
    """The views over past states that were asked for last; safe for threads. Each costs a replay up to there."""

    def __init__(self, build: Callable[[Iterable[Record]], Views], *, most: int = 2) -> None:
        self._build = build
        self._most = most
        self._kept: dict[int, Views] = {}
        self._lock = threading.Lock()

    def at(self, position: int, store: EventStore) -> Views:
        """Return the views over the records of a store up to a position."""
        with self._lock:
            found = self._kept.pop(position, None) or self._build(records_of(PastStore(store, position)))
            self._kept[position] = found  # what was asked for last is the last in the order of the dict
            if len(self._kept) > self._most:
                self._kept.pop(next(iter(self._kept)))
        return found


class PastStore:
    """The log up to some position: it can be read, and nothing can be appended."""

    def __init__(self, present: EventStore, until: int) -> None:
        self._present = present
        self._until = until

    def append(self, _append: object) -> Sequence[Record]:
        """Refuse: the past cannot be changed."""
        raise InsightlogError(READ_ONLY)

    carry_out = append

    def load(self, stream: str, *, after: int = 0) -> Sequence[Record]:
        """Return a stream's records (port `EventStore`)."""
        return [record for record in self._present.load(stream, after=after) if record.position <= self._until]

    def read(self, *, after: int = 0, limit: int = 500) -> Sequence[Record]:
        """Return records of the log (port `EventStore`)."""
        most = min(limit, self._until - after)
        return self._present.read(after=after, limit=most) if most > 0 else ()

    def texts(self, *, after: int = 0, limit: int = 500) -> Sequence[bytes]:
        """Return records of the log as they are stored (port `EventStore`)."""
        most = min(limit, self._until - after)
        return self._present.texts(after=after, limit=most) if most > 0 else ()

    def position(self) -> int:
        """Return the last position (port `EventStore`)."""
        return self._until

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

    def know_again(self, _first: int, _uuids: object) -> bool:
        """Refuse: the past cannot be changed."""
        raise InsightlogError(READ_ONLY)

    def uuid_at(self, position: int) -> tuple[int, bytes] | None:
        """Return project and uuid of a row (port `CaptureLog`)."""
        return self._present.uuid_at(position)

    def forget(self, until: int) -> None:
        """Refuse: the past cannot be changed."""
        raise InsightlogError(READ_ONLY)

    def close(self) -> None:
        """Nothing to release: the present owns the file."""


class KnownCaptureLog(PastCaptureLog):
    """The capture log up to some position, as it was when that was the last one."""

    def __init__(self, present: CaptureLog, until: int) -> None:
        super().__init__(present)
        self._until = until

    def position(self) -> int:
        """Return the highest position (port `CaptureLog`)."""
        return self._until

    def read_rows(self, after: int, limit: int) -> Sequence[CapturedRow]:
        """Return rows (port `CaptureLog`)."""
        return super().read_rows(after, min(limit, self._until - after)) if after < self._until else ()

    def read(self, after: int, limit: int) -> Sequence[CapturedEvent]:
        """Return rows (port `CaptureLog`)."""
        return super().read(after, min(limit, self._until - after)) if after < self._until else ()


def known_until(log: CaptureLog, moment: datetime) -> int:
    """Return the position of the last event that was captured by a moment. Cost: reads some 20 rows.

    Raises `InvalidInput` for a moment before events of the log that were archived since.
    """
    n_archived = log.archived()
    positions = range(n_archived + 1, log.position() + 1)
    n_known = bisect_right(positions, to_us(moment), key=lambda position: log.read_rows(position - 1, 1)[0][-1])
    if n_archived and not n_known:
        raise InvalidInput("Events of before that moment are in the archive; name a later one.", path="known_at")
    return n_archived + n_known
