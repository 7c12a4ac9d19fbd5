"""Captured events are sorted in the background, and nobody can tell from an answer."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

from insightlog.adapters.storage.duckdb import _layout
from insightlog.domain.product_event import ProductEvent

NOW = datetime(2026, 4, 2, tzinfo=UTC)
CONTENT = "SELECT * FROM events ORDER BY uuid"


def events(first, count):
    return [
        ProductEvent(UUID(int=n), f"event {n % 3}", f"u{n % 5}", NOW + timedelta(seconds=n), f'{{"$browser":"{n}"}}')
        for n in range(first, first + count)
    ]


def names(store):
    return [name for (name,) in store._file.opened().execute("SELECT event FROM events ORDER BY rowid").fetchall()]


def test_pieces_are_sorted_once_there_are_enough_and_hold_the_same(log, store):
    for batch in range(12):
        log.append(1, events(batch * 10, 10), captured_at=NOW + timedelta(seconds=batch))
        store.drain()
    before = store._file.opened().execute(CONTENT).fetchall()
    assert _layout.lay_out(store._file.opened(), piece_rows=121) is False
    assert _layout.lay_out(store._file.opened(), piece_rows=50) is True
    assert store._file.opened().execute(CONTENT).fetchall() == before
    assert names(store)[-50:] == sorted(names(store)[-50:])
    assert _layout.lay_out(store._file.opened(), piece_rows=50) is True
    assert _layout.lay_out(store._file.opened(), piece_rows=50) is False, "20 are too few"
    assert store._file.opened().execute(CONTENT).fetchall() == before
    store.close()
    assert store._file.opened().execute(CONTENT).fetchall() == before


def test_a_new_column_amid_it_leaves_the_piece_for_the_next_call(log, store):
    log.append(1, events(0, 30), captured_at=NOW)
    store.drain()

    @contextmanager
    def amid():
        rare = ProductEvent(UUID(int=30), "event 1", "u1", NOW, '{"utm_source":"mail"}')
        log.append(1, [rare], captured_at=NOW + timedelta(seconds=1))
        store.drain()
        yield

    assert _layout.lay_out(store._file.opened().cursor(), piece_rows=30, committing=amid()) is True
    before = store._file.opened().execute(CONTENT).fetchall()
    assert len(before) == 31
    assert names(store)[:3] == ["event 0", "event 1", "event 2"], "nothing was sorted"
    assert _layout.lay_out(store._file.opened(), piece_rows=30) is True
    assert store._file.opened().execute(CONTENT).fetchall() == before
    assert names(store)[1:] == sorted(names(store)[1:])


def test_imports_are_sorted_by_event_person_and_time_with_late_ones_apart(store):
    store.import_events(1, [[*events(100, 100), *events(0, 100)]])
    rows = store._file.opened().execute("SELECT event, person_id, timestamp FROM events ORDER BY rowid").fetchall()
    late = [row for row in rows if row[2].replace(tzinfo=UTC) < NOW + timedelta(seconds=7)]
    assert rows == sorted(late) + sorted(set(rows) - set(late))
    assert (len(rows), len(late), len(set(rows))) == (200, 7, 200)


def test_large_imports_are_passed_over(log, store):
    store.import_events(1, [events(0, 100)])
    rows = store._file.opened().execute("SELECT rowid FROM events").fetchall()
    assert _layout.lay_out(store._file.opened(), piece_rows=20) is True
    assert store._file.opened().execute("SELECT rowid FROM events").fetchall() == rows
    assert _layout.lay_out(store._file.opened(), piece_rows=20) is False


def test_a_query_that_began_before_sees_every_row(log, store):
    log.append(1, events(0, 100), captured_at=NOW)
    log.append(1, events(100, 100), captured_at=NOW + timedelta(seconds=1))
    store.drain()
    reader = store._file.opened().cursor()
    reader.begin()
    assert reader.execute("SELECT count(*) FROM events").fetchall() == [(200,)]
    assert _layout.lay_out(store._file.opened(), piece_rows=150) is True
    assert reader.execute("SELECT count(*), count(DISTINCT uuid) FROM events").fetchall() == [(200, 200)]
    reader.close()


def test_the_store_does_it_when_there_is_nothing_else_to_do(log, store, monkeypatch):
    monkeypatch.setattr(_layout, "PIECE_ROWS", 40)
    monkeypatch.setattr(_layout.lay_out, "__kwdefaults__", {"piece_rows": 40})
    for batch in range(5):
        log.append(1, events(batch * 20, 20), captured_at=NOW + timedelta(seconds=batch))
        store.drain()
    assert [store.tend(), store.tend(), store.tend()] == [True, True, False]
    assert names(store)[-40:] == sorted(names(store)[-40:])
    assert store.missing_events() == 0
