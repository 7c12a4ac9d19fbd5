"""The DuckDB file built again: from the log, its archive and the imports, in the order in which they came in."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import duckdb
import pytest

import insightlog
from insightlog.adapters.storage.duckdb import _intake, _open_file, _tables
from insightlog.adapters.storage.duckdb.archive import take_back
from insightlog.adapters.storage.duckdb.store import DuckDBStore
from insightlog.adapters.storage.sqlite.capture_log import SQLiteCaptureLog
from insightlog.domain.errors import CorruptLog, StoreUnavailable
from insightlog.domain.product_event import ProductEvent

NOW = datetime(2026, 4, 2, tzinfo=UTC)
STATE = (
    "SELECT uuid, event, distinct_id, person_id, timestamp, properties, known_at FROM events ORDER BY uuid",
    "SELECT person_id, uuid, properties, created_at, is_identified, known_at FROM persons ORDER BY person_id",
    "SELECT * FROM distinct_ids ORDER BY ALL",
    "SELECT * FROM person_overrides ORDER BY ALL",
    "SELECT * FROM person_merges ORDER BY ALL",
    "SELECT * FROM property_definitions ORDER BY ALL",
    "SELECT * FROM event_definitions ORDER BY ALL",
)


def event(n, name="view", who=None, properties="{}"):
    return ProductEvent(UUID(int=n), name, who or f"u{n % 5}", datetime(2026, 1, 1, tzinfo=UTC), properties)


def setting(n, who, plan):
    return event(n, "$set", who, f'{{"$set":{{"plan":"{plan}"}}}}')


def state(store):
    store.drain()
    return [store._file.opened().execute(query).fetchall() for query in STATE]


def numbers(found):
    """Return the numbers of the events in a state."""
    return [row[0].int for row in found[0]]


def lost(store, tmp_path):
    store.close()
    for path in tmp_path.glob("events.duckdb*"):
        path.unlink()


def fill(log, store):
    """Captures and imports by turns that contradict each other, and a merge."""
    log.append(1, [setting(1, "u1", "free"), event(2), event(3)], captured_at=NOW)
    store.import_events(1, [[setting(10, "u1", "pro"), event(11, who="new")]])
    log.append(1, [setting(20, "u1", "team"), event(21, properties='{"n":1}')], captured_at=NOW)
    store.import_events(1, [[setting(30, "u1", "last"), event(31, properties='{"n":"text"}')]])
    merge = '{"$anon_distinct_id":"u2"}'
    log.append(1, [event(40, "$identify", "u1", merge), event(41)], captured_at=NOW + timedelta(days=1))


def test_it_comes_out_as_it_was(tmp_path, log, open_store):
    store = open_store()
    fill(log, store)
    before = state(store)
    assert before[0][0][5] == '{"$set":{"plan":"free"}}'
    assert [row[2] for row in before[1] if "plan" in row[2]] == ['{"plan": "last"}']
    assert before[4] == [(1, "u2", "u1", (NOW + timedelta(days=1)).replace(tzinfo=None))]
    lost(store, tmp_path)
    assert state(open_store()) == before


def test_what_was_archived_is_built_from_the_archive(tmp_path, log, open_store):
    store = open_store()
    fill(log, store)
    before = state(store)
    assert store.archive(NOW + timedelta(hours=1), most=3) == 3
    assert store.archive(NOW + timedelta(hours=1), most=3) == 2
    assert store.archive(NOW + timedelta(hours=1), most=3) == 0, "the rest is younger"
    assert log.archived() == 5
    assert len(list((tmp_path / "archive").glob("*.parquet"))) == 2
    with pytest.raises(CorruptLog):
        log.read(0, 1)
    assert log.append(1, [event(2), event(50)], captured_at=NOW) == 1, "an archived event is still known"
    assert store.missing_events() == 0
    with_one_more = state(store)
    assert len(with_one_more[0]) == len(before[0]) + 1
    lost(store, tmp_path)
    assert state(open_store()) == with_one_more


def lost_log(store, log, tmp_path):
    store.close()
    log.close()
    for path in tmp_path.glob("capture.sqlite*"):
        path.unlink()


def test_an_archive_that_the_log_was_not_told_of_is_not_written_again(tmp_path, log, open_store, monkeypatch):
    store = open_store()
    fill(log, store)
    before = state(store)
    with monkeypatch.context() as stopped:
        stopped.setattr(SQLiteCaptureLog, "forget", lambda *_: None)
        store.archive(NOW + timedelta(hours=1), most=3)
    (file,) = (tmp_path / "archive").glob("*.parquet")
    written = file.stat()
    assert store.archive(NOW + timedelta(days=9)) == 3, "what is there, however much more is old by now"
    assert file.stat() == written
    assert log.archived() == 3
    assert store.archive(NOW + timedelta(days=9)) == 4
    lost(store, tmp_path)
    assert state(open_store()) == before


@pytest.mark.parametrize("n_kept", [0, 2, 3, 5])
def test_a_log_that_lost_what_is_archived_knows_it_again(tmp_path, log, open_store, n_kept):
    store = open_store()
    fill(log, store)
    before = state(store)
    rows = log.read_rows(0, 7)
    store.archive(NOW + timedelta(days=9), most=3)
    store.archive(NOW + timedelta(days=9), most=3)
    lost_log(store, log, tmp_path)
    log.appending(rows[:n_kept]).wait()  # a copy of earlier days
    assert take_back(log, tmp_path) == 6 - n_kept
    assert (log.position(), log.archived()) == (6, 6)
    assert log.append(1, [event(1), event(40), event(50)], captured_at=NOW) == 1
    again = open_store()
    assert numbers(state(again)) == sorted({*numbers(before), 50} - {41})
    assert again.missing_events() == 0
    (told,) = again.damaged_files()
    assert told.startswith("capture.sqlite lacks 1 captured events")
    assert take_back(log, tmp_path) == 0
    assert again.archive(NOW + timedelta(days=9)) == 1


def test_a_folder_knows_its_archived_events_without_the_capture_log(tmp_path, caplog):
    counts = {
        "kind": "TrendsQuery",
        "series": [{"kind": "EventsNode", "event": "view"}],
        "dateRange": {"date_from": "all"},
    }
    later = {
        "clock": lambda: datetime.now(UTC) + timedelta(days=2),
        "settings": insightlog.Settings(archive_after_days=1),
    }
    sent = [{"event": "view", "distinct_id": "u", "uuid": str(UUID(int=n))} for n in range(1, 6)]
    with insightlog.open(tmp_path) as log:
        log.create_project("one").capture(sent)
    with insightlog.open(tmp_path, **later) as log:
        log.project(1).capture([sent[0]])
        while not log.parts.capture_log.archived():  # in the background
            time.sleep(0.01)
    for path in tmp_path.glob("*[ets].[sd]*"):  # capture.sqlite, events.duckdb, results.sqlite
        path.unlink()
    with insightlog.open(tmp_path, **later) as log:
        assert log.project(1).capture(sent) == 0
        assert sum(log.project(1).query(counts)["results"][0]["data"]) == 5
    (tmp_path / "capture.sqlite").unlink()
    (file,) = (tmp_path / "archive").glob("*.parquet")
    away = file.rename(tmp_path / file.name)
    with insightlog.open(tmp_path) as log:
        log.project(1).capture(sent[::-1])
    away.rename(file)
    with insightlog.open(tmp_path, **later) as log:
        log.project(1).capture(sent)
        assert sum(log.project(1).query(counts)["results"][0]["data"]) == 5
        while not any("nothing is archived: archive/" in one.getMessage() for one in caplog.records):
            time.sleep(0.01)


def test_an_archive_of_another_log_is_neither_taken_back_nor_written_over(tmp_path, log, open_store):
    store = open_store()
    fill(log, store)
    store.archive(NOW + timedelta(days=9), most=3)
    store.archive(NOW + timedelta(days=9), most=3)
    files = sorted((tmp_path / "archive").glob("*.parquet"))
    kept = [file.read_bytes() for file in files]
    lost_log(store, log, tmp_path)
    log.append(1, [event(60 + n) for n in range(5)], captured_at=NOW)
    assert take_back(log, tmp_path) == 0
    again = open_store()
    for most in (2, 3, 9):
        with pytest.raises(StoreUnavailable, match="has other events at the positions 1 to"):
            again.archive(NOW + timedelta(days=9), most=most)
    assert log.archived() == 0
    assert [file.read_bytes() for file in sorted((tmp_path / "archive").glob("*"))] == kept
    for file in files:
        file.rename(tmp_path / file.name)
    assert again.archive(NOW + timedelta(days=9)) == 5


def test_an_archive_that_cannot_be_read_or_has_a_hole_is_left_where_it_is(tmp_path, log, open_store, caplog):
    store = open_store()
    fill(log, store)
    for _ in range(3):
        store.archive(NOW + timedelta(days=9), most=2)
    first, second, _ = sorted((tmp_path / "archive").glob("*.parquet"))
    second.write_bytes(b"nothing")
    lost_log(store, log, tmp_path)
    assert take_back(log, tmp_path) == 2
    (said,) = caplog.records
    assert said.getMessage().startswith(f"archive/{second.name} cannot be read")
    second.unlink()
    first.unlink()
    lost_log(store, log, tmp_path)
    assert take_back(log, tmp_path) == 0


def test_nothing_is_archived_before_it_is_on_disk_in_the_file(tmp_path, log, open_store, monkeypatch):
    store = open_store()
    fill(log, store)
    store.drain()
    happened = []
    monkeypatch.setattr(SQLiteCaptureLog, "forget", lambda _, until: happened.append((until, not wal.exists())))
    wal = tmp_path / "events.duckdb.wal"
    store.archive(NOW + timedelta(days=9))
    assert happened == [(7, True)]


def test_an_archive_with_a_hole_is_said(tmp_path, log, open_store):
    store = open_store()
    fill(log, store)
    store.archive(NOW + timedelta(days=9), most=3)
    store.archive(NOW + timedelta(days=9), most=3)
    next((tmp_path / "archive").glob("*.parquet")).rename(tmp_path / "elsewhere.parquet")
    lost(store, tmp_path)
    with pytest.raises(StoreUnavailable, match="archive lacks"):
        open_store().drain()


def test_a_damaged_import_keeps_nobody_from_the_rest_and_is_named_where_it_is_needed(tmp_path, log, open_store):
    store = open_store()
    fill(log, store)
    before = state(store)
    assert store.damaged_files() == []
    file = next((tmp_path / "imports").glob("*.parquet"))
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    log.append(1, [event(60)], captured_at=NOW)
    assert len(state(store)[0]) == len(before[0]) + 1
    assert [one.split(" is damaged")[0] for one in store.damaged_files()] == [f"imports/{file.name}"]
    lost(store, tmp_path)
    again = open_store()
    with pytest.raises(CorruptLog, match=file.name):
        again.drain()
    file.write_bytes(whole)
    assert len(state(again)[0]) == len(before[0]) + 1


def test_an_import_that_is_gone_or_holds_something_else_is_told(tmp_path, log, open_store):
    store = open_store()
    fill(log, store)
    file = next((tmp_path / "imports").glob("*.parquet"))
    kept = file.rename(tmp_path / "elsewhere.parquet")
    (told,) = store.damaged_files()
    assert "lacks" in told
    with duckdb.connect() as other:
        changed = f"SELECT * REPLACE (properties || ' ' AS properties) FROM '{kept}'"
        other.execute(f"COPY ({changed}) TO '{file}' (FORMAT parquet)")
    (told,) = store.damaged_files()
    assert told.startswith(f"imports/{file.name} differs")


def test_an_archive_that_was_changed_is_told(tmp_path, log, open_store):
    store = open_store()
    fill(log, store)
    store.archive(NOW + timedelta(days=9))
    assert store.damaged_files() == []
    file = next((tmp_path / "archive").glob("*.parquet"))
    kept = file.rename(tmp_path / "elsewhere.parquet")
    with duckdb.connect() as other:
        changed = f"SELECT * REPLACE (CASE WHEN place > 1 THEN uuid::UUID ELSE uuid() END AS uuid) FROM '{kept}'"
        other.execute(f"COPY ({changed}) TO '{file}' (FORMAT parquet)")
    assert [one.partition(" has ")[2] for one in store.damaged_files()] == ["1 events that were never captured."]
    for column in ("event", "distinct_id", "properties"):
        with duckdb.connect() as other:
            changed = f"SELECT * REPLACE (CASE WHEN place = 3 THEN '{{}} ' ELSE {column} END AS {column}) FROM '{kept}'"
            other.execute(f"COPY ({changed}) TO '{file}' (FORMAT parquet)")
        assert [one.partition(" has ")[2] for one in store.damaged_files()] == [
            "1 events otherwise than they were captured."
        ]
    file.write_bytes(b"nothing")
    assert [one.split(" is damaged")[0] for one in store.damaged_files()] == [f"archive/{file.name}"]


def test_events_that_the_capture_log_has_lost_are_told_until_the_note_is_deleted(tmp_path, log, open_store, caplog):
    store = open_store()
    fill(log, store)
    store.drain()
    store.close()
    log.close()
    for path in tmp_path.glob("capture.sqlite*"):
        path.unlink()
    again = open_store()
    assert numbers(state(again)) == [10, 11, 30, 31], "the imports stay"
    (told,) = again.damaged_files()
    assert told.startswith("capture.sqlite lacks 7 captured events that it once had")
    assert [one.getMessage() for one in caplog.records if one.levelname == "ERROR"] == [told]
    again.close()
    later = open_store()
    assert later.damaged_files() == [told]
    (note,) = tmp_path.glob("*.txt")
    with duckdb.connect(str(note.with_suffix("")), read_only=True) as kept:
        assert kept.sql("SELECT count(*) FROM events").fetchall() == [(11,)]
    note.unlink()
    assert later.damaged_files() == []


def test_another_log_is_noticed_however_far_it_has_got(tmp_path, log, open_store, caplog):
    store = open_store()
    log.append(1, [event(n) for n in range(1, 60)], captured_at=NOW)
    store.drain()
    shared = log.read_rows(0, 20)
    lost_log(store, log, tmp_path)
    log.appending(shared).wait()
    log.append(1, [event(n) for n in range(100, 200)], captured_at=NOW)
    again = open_store()
    assert numbers(state(again)) == [*range(1, 21), *range(100, 200)]
    assert [one.getMessage().partition(" that it")[0] for one in caplog.records if one.levelname == "ERROR"] == [
        "capture.sqlite lacks 39 captured events"
    ]


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.75, 0.98])
def test_a_file_with_a_flipped_byte_is_built_again_at_the_second_use_at_latest(tmp_path, log, open_store, share):
    store = open_store()
    fill(log, store)
    before = state(store)
    store.close()
    flipped = bytearray((tmp_path / "events.duckdb").read_bytes())
    flipped[int(len(flipped) * share)] ^= 0xFF
    (tmp_path / "events.duckdb").write_bytes(flipped)
    store = open_store()
    for _ in range(2):
        with contextlib.suppress(StoreUnavailable), store._file.translated():
            found = state(store)
    assert found == before


def test_what_keeps_a_whole_file_from_being_opened_leaves_it_in_place(tmp_path, log, open_store):
    store = open_store()
    fill(log, store)
    store.drain()
    other = DuckDBStore(tmp_path / "events.duckdb", log, threads=1, memory_limit="300MB")
    with pytest.raises(StoreUnavailable, match="open already"):
        other.drain()
    other.close()
    assert store.drain() == log.position()
    assert list(tmp_path.glob("*damaged*")) == []


def test_a_file_that_lost_rows_is_set_aside(tmp_path, log, open_store):
    store = open_store()
    fill(log, store)
    before = state(store)
    store._file.opened().execute("DELETE FROM events WHERE distinct_id = 'new'")
    store.close()
    assert state(open_store()) == before
    assert list(tmp_path.glob("events.duckdb.damaged-1"))


def test_a_file_knows_how_far_it_got_where_imports_had_brought_the_last_events(tmp_path, log, open_store):
    store = open_store()
    store.import_events(1, [[event(1), event(2)]])
    log.append(1, [event(1), event(3), event(2)], captured_at=NOW)
    before = state(store)
    assert numbers(before) == [1, 2, 3]
    store.close()
    store = open_store()
    assert (store.watermark().position, state(store)) == (3, before)
    log.append(1, [event(4)], captured_at=NOW)
    store.drain()
    store.close()
    store = open_store()
    assert (store.watermark().position, len(state(store)[0])) == (4, 4)
    assert list(tmp_path.glob("*damaged*")) == []
    lost(store, tmp_path)
    assert numbers(state(open_store())) == [1, 2, 3, 4]


def test_rows_that_are_not_in_memory_yet_come_in_the_same_transaction(log, open_store, monkeypatch):
    """As where a commit is on disk and the thread that made it is yet to go on."""
    store = open_store()
    log.append(1, [event(1)], captured_at=NOW)
    store.drain()
    log.append(1, [event(2), event(3)], captured_at=NOW)
    kept = log._recent.after
    monkeypatch.setattr(log._recent, "after", lambda position, limit: kept(position, 1) if position == 1 else ())
    taken = []
    take = _intake.Intake._take_rows
    monkeypatch.setattr(
        _intake.Intake,
        "_take_rows",
        lambda self, connection, rows: (taken.append(len(rows)), take(self, connection, rows)),
    )
    assert (store.drain(), taken) == (3, [2])


@pytest.mark.parametrize("lost", ["the end", "a page", "everything"])
def test_what_a_power_cut_leaves_of_the_write_ahead_log_is_enough(tmp_path, log, open_store, lost):
    """Small commits are not synced: the disk may have any part of them."""
    store = open_store()
    for n in range(0, 200, 20):
        log.append(1, [event(n + k, who=f"u{n + k}") for k in range(20)], captured_at=NOW)
        store.drain()
    before = state(store)
    after = tmp_path / "after"
    after.mkdir()
    shutil.copy(tmp_path / "events.duckdb", after)
    written = bytearray((tmp_path / "events.duckdb.wal").read_bytes())
    assert len(written) > 3 * 4096
    if lost == "the end":
        del written[len(written) // 2 :]
    elif lost == "a page":
        written[4096:8192] = bytes(4096)
    if lost != "everything":
        (after / "events.duckdb.wal").write_bytes(written)
    found = DuckDBStore(after / "events.duckdb", log, clock=lambda: NOW, threads=1)
    assert state(found) == before
    found.close()


@pytest.mark.parametrize(("limit", "tends"), [("CHECKPOINT_BYTES", True), ("LARGEST_LOG_BYTES", False)])
def test_the_write_ahead_log_moves_into_the_file_once_it_is_large(limit, tends, tmp_path, log, open_store, monkeypatch):
    monkeypatch.setattr(_tables, limit, 20_000)
    store, sizes, path = open_store(), [], tmp_path / "events.duckdb.wal"
    for n in range(0, 1000, 50):
        log.append(1, [event(n + k) for k in range(50)], captured_at=NOW)
        store.drain()
        if tends:  # as the background writer does, so that no query waits for it
            store.tend()
        sizes.append(path.stat().st_size if path.exists() else 0)
    assert max(sizes) < 40_000
    assert sizes != sorted(sizes)


def test_rows_that_concern_nobody_wait_for_a_later_drain(log, open_store):
    store, seen = open_store(), []

    def concerns(answer):
        return lambda rows: seen.append([row[2] for row in rows]) or answer

    log.append(1, [event(1)], captured_at=NOW)
    assert store.drain(concerns(False)) == 1  # the first one looks for imports as well
    assert seen == []
    log.append(1, [event(2, "click"), event(3, "buy")], captured_at=NOW)
    assert store.drain(concerns(False)) == store.watermark().position == 1
    assert store.drain(concerns(True)) == store.watermark().position == 3
    assert seen == [["click", "buy"]] * 2
    log.append(1, [event(n) for n in range(4, 4 + _intake.MAX_LEFT + 1)], captured_at=NOW)
    assert store.drain(concerns(False)) == 4 + _intake.MAX_LEFT
    assert len(seen) == 2


def test_who_waits_does_not_move_the_write_ahead_log(tmp_path, log, open_store, monkeypatch):
    monkeypatch.setattr(_tables, "CHECKPOINT_BYTES", 0)
    store, path = open_store(), tmp_path / "events.duckdb.wal"
    log.append(1, [event(1)], captured_at=NOW)
    store.drain()
    assert path.stat().st_size > 0
    store.tend()
    assert not path.exists() or path.stat().st_size == 0


def test_the_write_ahead_log_stays_while_others_write(tmp_path, log, open_store, monkeypatch):
    monkeypatch.setattr(_tables, "LARGEST_LOG_BYTES", 0)
    store = open_store()
    log.append(1, [event(1)], captured_at=NOW)
    with store._file.cursor(60) as cursor, _tables.transaction(cursor):
        cursor.execute("INSERT INTO layout FROM layout")
        assert store.drain() == 1
        assert len(state(store)[0]) == 1
    log.append(1, [event(2)], captured_at=NOW)
    assert store.drain() == 2


class SlowLog(SQLiteCaptureLog):
    """A log that waits at its third batch until it may go on."""

    reads = 0

    def read_rows(self, after, limit):
        self.reads += 1
        if self.reads == 3:
            self.is_there.set()
            assert self.may_go_on.wait(10)
        return super().read_rows(after, limit)


def test_progress_is_told_and_others_do_not_wait_for_ever(tmp_path, open_store, monkeypatch):
    monkeypatch.setattr(_intake, "DRAIN_BATCH", 10)
    monkeypatch.setattr(_open_file, "WAIT_S", 0.05)
    log = SlowLog(tmp_path / "capture.sqlite")
    log.is_there, log.may_go_on = threading.Event(), threading.Event()
    log.append(1, [event(n) for n in range(50)], captured_at=NOW)
    store = open_store(log)
    assert store.catching_up() is None
    drain = threading.Thread(target=store.drain)
    drain.start()
    assert log.is_there.wait(10)
    progress = store.catching_up()
    assert (progress.n_done, progress.n_all) == (20, 50)
    begun = time.monotonic()
    with pytest.raises(StoreUnavailable, match="20 of 50 events"):
        store.drain()
    assert time.monotonic() - begun < 5
    log.may_go_on.set()
    drain.join()
    assert (store.drain(), store.catching_up()) == (50, None)
    log.close()
