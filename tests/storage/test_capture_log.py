"""The capture log on real files: what is acknowledged is there, once, in order, and undamaged."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from attrs import evolve

from insightlog.adapters.storage.sqlite import recent_rows
from insightlog.adapters.storage.sqlite.capture_log import SQLiteCaptureLog
from insightlog.application.product_ports import captured_row
from insightlog.application.turns import TurnPool, turn
from insightlog.domain.errors import CorruptLog, StoreUnavailable
from insightlog.domain.product_event import ProductEvent

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)

WRITER = """
import sys
from datetime import UTC, datetime
from uuid import UUID
from insightlog.adapters.storage.sqlite.capture_log import SQLiteCaptureLog
from insightlog.domain.product_event import ProductEvent

log, first, last, batch = SQLiteCaptureLog(sys.argv[1]), *map(int, sys.argv[2:5])
now = datetime(2026, 3, 1, tzinfo=UTC)
for start in range(first, last, batch):
    events = [ProductEvent(UUID(int=n), "x", "u", now, "{}") for n in range(start, start + batch)]
    log.append(1, events, captured_at=now)
    print(start + batch, flush=True)
"""


def an_event(n: int = 1, **changes: object) -> ProductEvent:
    event = ProductEvent(UUID(int=n), "signed up", f"user {n}", NOW + timedelta(seconds=n), '{"plan":"frée"}')
    return evolve(event, **changes)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "capture.sqlite"


@pytest.fixture
def log(path):
    log = SQLiteCaptureLog(path)
    yield log
    log.close()


def append(log: SQLiteCaptureLog, *events: ProductEvent, project_id: int = 1) -> int:
    return log.append(project_id, events, captured_at=NOW)


def test_nothing_is_opened_before_the_first_use(path):
    SQLiteCaptureLog(path)
    assert not path.exists()


def test_events_are_read_back_as_they_were_given(log):
    events = [an_event(1), an_event(2, properties='{"a":[1,2.5,null]}', timestamp=datetime(1, 1, 1, tzinfo=UTC))]
    assert append(log, *events) == 2
    rows = log.read(0, 10)
    assert [row.event for row in rows] == events
    assert [(row.position, row.project_id, row.captured_at) for row in rows] == [(1, 1, NOW), (2, 1, NOW)]


def test_empty_log_is_at_position_zero(log):
    assert log.position() == 0
    assert log.read(0, 10) == []
    assert append(log) == 0


def test_reading_starts_after_a_position_and_stops_at_the_limit(log):
    append(log, *(an_event(n) for n in range(1, 251)))
    assert [row.position for row in log.read(100, 3)] == [101, 102, 103]
    assert log.read(250, 3) == []
    assert log.position() == 250


def test_duplicates_within_a_batch_are_stored_once(log):
    assert append(log, an_event(1), an_event(2), an_event(1, event="other")) == 2
    assert [row.event.event for row in log.read(0, 10)] == ["signed up", "signed up"]


def test_duplicates_across_batches_are_left_out_without_gaps(log):
    append(log, an_event(1), an_event(2))
    assert append(log, an_event(2), an_event(3)) == 1
    assert append(log, an_event(1)) == 0
    assert [row.position for row in log.read(0, 10)] == [1, 2, 3]


def test_the_same_uuid_in_two_projects_is_two_events(log):
    assert append(log, an_event(1), project_id=1) == 1
    assert append(log, an_event(1), project_id=2) == 1
    assert [row.project_id for row in log.read(0, 10)] == [1, 2]


def test_a_text_that_is_not_unicode_fails_its_own_caller_only(log):
    with pytest.raises(UnicodeEncodeError):
        append(log, an_event(1, event="\ud800"))
    assert append(log, an_event(1)) == 1


def test_threads_share_commits_and_each_learns_its_own_count(log):
    """Eight threads send overlapping batches; the counts add up to what is stored."""

    def send(worker: int) -> int:
        return sum(append(log, *(an_event(worker * 500 + n + k) for k in range(5))) for n in range(0, 1000, 5))

    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(send, range(8)))
    assert sum(counts) == log.position() == 4500
    assert {row.event.uuid.int for row in log.read(0, 10_000)} == set(range(4500))


def held_commits(log, monkeypatch):
    """Hold up commits; return their sizes, what is set once one has begun, and what lets them go on."""
    sizes, entered, go_on, commit = [], threading.Event(), threading.Event(), log._commits._commit

    def slow(group):
        sizes.append(len(group))
        entered.set()
        go_on.wait(10)
        commit(group)

    monkeypatch.setattr(log._commits, "_commit", slow)
    return sizes, entered, go_on


def test_waiting_callers_share_one_commit(log, monkeypatch):
    sizes, entered, go_on = held_commits(log, monkeypatch)
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(append, log, an_event(1))
        entered.wait(10)
        others = [pool.submit(append, log, an_event(n)) for n in (2, 3, 4, 4)]
        while len(log._commits.queue) < 4:
            pass
        go_on.set()
        assert first.result() == 1
        assert sorted(other.result() for other in others) == [0, 1, 1, 1]
    assert sizes == [1, 4]


def test_an_interrupted_commit_fails_everybody_in_it_and_blocks_nobody(log, monkeypatch):
    append(log, an_event(1))
    with monkeypatch.context() as patched:
        patched.setattr("insightlog.adapters.storage.sqlite.capture_log._insert_rows", interrupted)
        with pytest.raises(KeyboardInterrupt):
            append(log, an_event(2))
    assert append(log, an_event(2)) == 1


def interrupted(*_):
    raise KeyboardInterrupt


class Left:
    """What became of the events that callers left to be stored, by their numbers."""

    def __init__(self, log, pool):
        self.log, self.pool, self.threads = log, pool, set()
        self.found: dict[tuple[int, ...], object] = {}
        self._all = threading.Semaphore(0)

    def leave(self, *numbers):
        def then(outcome):
            self.threads.add(threading.get_ident())
            try:
                self.found[numbers] = outcome()
            except StoreUnavailable as error:
                self.found[numbers] = error
            self._all.release()

        self.log.appending([captured_row(1, an_event(n), NOW) for n in numbers]).leave(self.pool, then)

    def wait(self, n):
        for _ in range(n):
            assert self._all.acquire(timeout=10)
        return self.found


@pytest.fixture
def left(log):
    pool = TurnPool(4)
    yield Left(log, pool)
    pool.shutdown(wait=True)


def test_what_is_left_to_be_stored_is_durable_when_its_caller_is_told(log, left):
    with turn():  # so that all of it is there before the first is stored
        for numbers in ((1, 2), (3,), (2, 4)):
            left.leave(*numbers)
        assert not left.found
    assert left.wait(3) == {(1, 2): 2, (3,): 1, (2, 4): 1}
    assert [row.event.uuid.int for row in log.read(0, 10)] == [1, 2, 3, 4]
    assert len(left.threads) == 1


def test_those_who_wait_and_those_who_leave_share_commits(log, left, monkeypatch):
    sizes, entered, go_on = held_commits(log, monkeypatch)
    with ThreadPoolExecutor(4) as pool:
        left.leave(1)
        assert entered.wait(10)
        waiting = [pool.submit(append, log, an_event(n)) for n in (2, 3)]
        while len(log._commits.queue) < 2:
            pass
        left.leave(4)
        go_on.set()
        assert [one.result(10) for one in waiting] == [1, 1]
        assert left.wait(2) == {(1,): 1, (4,): 1}
    assert (sizes, log.position()) == ([1, 3], 4)


def test_an_interrupted_commit_is_told_to_all_who_left_something_in_it(log, left, monkeypatch):
    append(log, an_event(1))
    with monkeypatch.context() as patched:
        patched.setattr("insightlog.adapters.storage.sqlite.capture_log._insert_rows", interrupted)
        with turn():
            left.leave(2)
            left.leave(3)
        assert [type(one) for one in left.wait(2).values()] == [StoreUnavailable] * 2
    left.leave(2)
    assert left.wait(1)[2,] == 1
    assert log.position() == 2


def test_two_processes_write_at_once(log, path):
    """Both send 0..2000, so every event is stored once; the position of this process follows."""
    append(log, an_event(10**6))
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), "0", "2000", "10"], stdout=subprocess.DEVNULL)
        for _ in range(2)
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert log.position() == 2001
    assert {row.event.uuid.int for row in log.read(1, 5000)} == set(range(2000))


def test_a_killed_writer_loses_nothing_acknowledged(log, path):
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), "0", "1000000", "3"], stdout=subprocess.PIPE, text=True
    )
    for _ in range(300):
        acknowledged = int(writer.stdout.readline())
    writer.send_signal(signal.SIGKILL)
    acknowledged = int(([acknowledged, *writer.stdout.read().split("\n")[:-1]])[-1])
    writer.wait(10)
    writer.stdout.close()
    stored = [row.event.uuid.int for row in log.read(0, 10**6)]
    assert stored == list(range(len(stored)))
    assert len(stored) >= acknowledged >= 900
    assert len(stored) % 3 == 0


def test_reopened_log_goes_on_where_it_was(log, path):
    append(log, an_event(1), an_event(2))
    log.close()
    again = SQLiteCaptureLog(path)
    assert again.position() == 2
    assert append(again, an_event(2), an_event(3)) == 1
    assert again.read(2, 10)[0].position == 3
    again.close()


def test_a_closed_log_opens_again_when_used(log):
    append(log, an_event(1))
    log.close()
    assert append(log, an_event(2)) == 1


FORK = """
import os, sys
from insightlog.adapters.storage.sqlite.capture_log import SQLiteCaptureLog
from insightlog.domain.errors import StoreUnavailable
log = SQLiteCaptureLog(sys.argv[1])
if sys.argv[2] == "opened":
    log.position()
if os.fork() == 0:
    try:
        log.append(1, [], captured_at=None)
    except StoreUnavailable as error:
        os._exit(3 if "fork" in str(error) else 4)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.wait()[1]))
"""


@pytest.mark.parametrize(("state", "expected"), [("opened", "3"), ("unopened", "0")])
def test_an_opened_log_refuses_a_forked_child(path, state, expected):
    done = subprocess.run(
        [sys.executable, "-c", FORK, str(path), state], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == expected


FULL_DISK = """
import resource, sys
from insightlog.adapters.storage.sqlite.capture_log import SQLiteCaptureLog
from insightlog.domain.errors import StoreUnavailable
from insightlog.domain.product_event import ProductEvent
from datetime import UTC, datetime
from uuid import UUID
log, now, stored = SQLiteCaptureLog(sys.argv[1]), datetime(2026, 3, 1, tzinfo=UTC), 0
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, hard))
def send():
    batch = [ProductEvent(UUID(int=stored + k), "x", "u", now, "{}" + " " * 500) for k in range(100)]
    return log.append(1, batch, captured_at=now)
refused = 0
while refused < 3:
    try:
        stored += send()
    except StoreUnavailable:
        refused += 1
assert log.position() == stored == len(log.read(0, 10**6)) > 0, (log.position(), stored)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
stored += send()
assert log.position() == stored
print("ok")
"""


def test_a_full_disk_refuses_writes_and_nothing_else(path):
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "ok", done.stderr


def test_a_lock_held_elsewhere_is_said_and_passes(path):
    log = SQLiteCaptureLog(path, lock_timeout_s=0.05)
    append(log, an_event(1))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"):
        append(log, an_event(2))
    assert log.position() == 1
    other.execute("ROLLBACK")
    other.close()
    assert append(log, an_event(2)) == 1
    log.close()


def test_a_flipped_byte_is_noticed(log, path):
    append(log, an_event(1), an_event(2, properties='{"k":"a value to damage"}'), an_event(3))
    log.close()
    whole = path.read_bytes()
    at = whole.index(b"a value to damage")
    path.write_bytes(whole[:at] + b"B" + whole[at + 1 :])
    assert log.read(0, 1)[0].position == 1
    with pytest.raises(CorruptLog) as caught:
        log.read(0, 10)
    assert caught.value.position == 2


def test_a_byte_that_makes_a_text_none_is_damage_as_well(log, path):
    append(log, an_event(1, properties='{"k":"a value to damage"}'))
    log.close()
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"a value to damage", b"a \xff value to dam"))
    with pytest.raises(CorruptLog, match="damaged"):
        log.read(0, 1)


def test_a_row_that_vanished_is_noticed(log, path):
    append(log, *(an_event(n) for n in range(1, 5)))
    other = sqlite3.connect(path)
    with other:
        other.execute("DELETE FROM capture WHERE position = 2")
    other.close()
    with pytest.raises(CorruptLog) as caught:
        log.read(0, 10)
    assert caught.value.position == 2


def test_a_file_that_is_no_database_is_said_to_be_damaged(path):
    Path(path).write_bytes(b"not a database at all" * 100)
    with pytest.raises(CorruptLog):
        append(SQLiteCaptureLog(path), an_event(1))


def test_rows_just_committed_are_those_on_disk(log, path):
    """Duplicates, another writer and a reader that lags or looks back make no difference."""
    other, fresh = SQLiteCaptureLog(path), SQLiteCaptureLog(path)

    def both(after, limit):
        """Return the rows as the log has them in memory, followed to their end, and as they are on disk."""
        found = []
        while len(found) < limit and (rows := log.read_rows(after + len(found), limit - len(found))):
            found += rows
        return found, list(fresh.read_rows(after, limit))

    append(log, an_event(1), an_event(2))
    append(log, an_event(2), an_event(3), an_event(3))
    append(other, an_event(4), an_event(5))
    append(log, an_event(6), an_event(7), project_id=2)
    append(log, an_event(8))
    for after, limit in ((0, 100), (2, 2), (5, 1), (6, 100), (1, 3), (8, 5), (20, 5)):
        mine, disk = both(after, limit)
        assert mine == disk
    assert [row.event.uuid.int for row in log.read(0, 100)] == list(range(1, 9))
    other.close()
    fresh.close()


def test_rows_in_memory_are_bounded_and_given_without_the_disk(monkeypatch):
    monkeypatch.setattr(recent_rows, "MAX_ROWS", 5)
    monkeypatch.setattr(recent_rows, "MAX_CHARACTERS", 100)
    row = (1, b"", "e", "u", 0, "x" * 10, 0)
    kept = recent_rows.RecentRows()
    kept.add(3, [row] * 3)
    kept.add(5, [row] * 2)
    assert (len(kept.after(0, 9)), len(kept.after(1, 2)), len(kept.after(0, 9)), len(kept.after(4, 9))) == (5, 2, 0, 1)
    kept.add(9, [row] * 4)
    assert len(kept.after(4, 9)) == 5
    kept.add(10, [row])
    assert (len(kept.after(4, 9)), len(kept.after(9, 9))) == (0, 1)
    kept.add(16, [row] * 6)
    kept.add(17, [(*row[:5], "x" * 101, 0)])
    assert (len(kept.after(10, 9)), len(kept.after(16, 9))) == (0, 0)
