"""The log on real files: conflicts, group commit, durability, damage, forks."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import textwrap
import threading
from contextlib import closing, contextmanager
from datetime import timedelta
from functools import partial

import pytest
from tests.builders import NOW, FrozenClock

import insightlog
from insightlog.adapters.storage.sqlite.event_store import SQLiteEventStore
from insightlog.adapters.storage.sqlite.shared_commits import Ticket
from insightlog.adapters.storage.sqlite.upkeep import verify
from insightlog.application.ports import Append, StreamEvents
from insightlog.application.turns import Place
from insightlog.domain.errors import CorruptLog, StoreUnavailable, VersionConflict
from insightlog.domain.events import Actor
from insightlog.domain.insight_events import InsightCreated, InsightRenamed, InsightViewed


@pytest.fixture
def path(tmp_path):
    return tmp_path / "insightlog.sqlite"


@pytest.fixture
def store(path):
    opened = SQLiteEventStore(path, clock=FrozenClock(), software="test")
    yield opened
    opened.close()


def an_append(*items, **fields):
    return Append(tuple(items), **{"by": Actor(1, 2), "project_id": 1, "request": "r", **fields})


def created(n, version=0):
    return StreamEvents(f"insight:{n}", (InsightCreated(f"short{n:03}", name=f"n{n}"),), version)


def test_an_append_gets_positions_versions_and_one_instant(store):
    first = store.append(an_append(created(1), StreamEvents("insight-views:1", (InsightViewed(),))))
    second = store.append(an_append(StreamEvents("insight:1", (InsightRenamed("a"), InsightRenamed("b")), 1)))
    seen = [(r.position, r.stream, r.version, r.part, r.parts, r.at) for r in (*first, *second)]
    assert seen == [
        (1, "insight:1", 1, 1, 2, NOW),
        (2, "insight-views:1", 1, 2, 2, NOW),
        (3, "insight:1", 2, 1, 2, NOW),
        (4, "insight:1", 3, 2, 2, NOW),
    ]
    assert [record.event for record in store.load("insight:1", after=1)] == [InsightRenamed("a"), InsightRenamed("b")]
    assert [record.position for record in store.read(after=1, limit=2)] == [2, 3]


def test_time_never_runs_backwards_in_the_log(path):
    clock = FrozenClock()
    store = SQLiteEventStore(path, clock=clock, software="test")
    store.append(an_append(created(1)))
    clock.forward(hours=-1)
    (late,) = store.append(an_append(created(2)))
    clock.forward(hours=3)
    (later,) = store.append(an_append(created(3)))
    assert (late.at, later.at) == (NOW, NOW + timedelta(hours=2))
    store.close()


def test_a_wrong_version_is_a_conflict_and_leaves_nothing(store, path):
    store.append(an_append(created(1)))
    for item in (created(1), StreamEvents("insight:1", (InsightRenamed("x"),), 5)):
        with pytest.raises(VersionConflict):
            store.append(an_append(created(9), item))
    assert store.position() == 1
    assert store.load("insight:9") == []
    assert verify(path) == []


@contextmanager
def held_up(store, n_waiting, calls):
    """Run calls in threads of their own behind an append whose commit begins once they have queued up."""
    entered, go_on, commit = threading.Event(), threading.Event(), store._commits._commit
    sizes = []

    def slow(group):
        sizes.append(len(group))
        entered.set()
        assert go_on.wait(10)
        commit(group)

    store._commits._commit = slow
    threads = [threading.Thread(target=store.append, args=(an_append(created(999)),))]
    threads[0].start()
    assert entered.wait(10)
    threads += [threading.Thread(target=call) for call in calls]
    for thread in threads[1:]:
        thread.start()
    while len(store._commits.queue) < n_waiting:
        pass
    yield sizes
    go_on.set()
    for thread in threads:
        thread.join()


def test_one_failing_append_does_not_harm_those_it_shares_a_commit_with(store, path):
    outcomes = {}

    def run(n):
        item = created(1) if n % 2 else created(n + 10)
        try:
            outcomes[n] = store.append(an_append(item))[0].stream
        except VersionConflict as error:
            outcomes[n] = error

    with held_up(store, 8, [partial(run, n) for n in range(8)]) as sizes:
        pass
    assert sizes == [1, 8]
    assert sum(isinstance(one, VersionConflict) for one in outcomes.values()) == 3
    assert store.position() == 6
    assert verify(path) == []


def test_decisions_that_share_a_commit_see_what_was_written_before_them(store, path):
    def renamed(n):
        def decide(views):
            version = views.row("insights", 1)["version"]
            seen.append(version)
            return an_append(StreamEvents("insight:1", (InsightRenamed(f"n{n}"),), version))

        return decide

    store.append(an_append(created(1)))
    seen = []
    with held_up(store, 5, [partial(store.carry_out, renamed(n)) for n in range(5)]) as sizes:
        pass
    assert (sizes, seen) == ([1, 5], [1, 2, 3, 4, 5])
    assert [record.version for record in store.load("insight:1")] == [1, 2, 3, 4, 5, 6]
    assert verify(path) == []


def test_what_a_decision_raises_is_its_callers_and_nothing_for_none(store, path):
    outcomes = {}

    def refused(_views):
        raise ValueError("refused")

    def run(n, decide):
        try:
            outcomes[n] = len(store.carry_out(decide))
        except ValueError as error:
            outcomes[n] = str(error)

    decisions = [refused, lambda _: None, lambda _: an_append(created(1))]
    with held_up(store, 3, [partial(run, n, decide) for n, decide in enumerate(decisions)]) as sizes:
        pass
    assert (sizes, outcomes) == ([1, 3], {0: "refused", 1: 0, 2: 1})
    for n, decide in enumerate(decisions[:2]):
        run(n, decide)
    assert (store.position(), outcomes) == (2, {0: "refused", 1: 0, 2: 1})
    assert verify(path) == []


def test_decisions_are_asked_again_when_one_of_them_fails_amid_its_writing(store, path):
    asked, outcomes = [], []

    def decide(n, views):
        asked.append(n)
        new_id = 1 if n == 2 else views.highest_id("insights") + 1  # taken already: its insert fails
        return an_append(created(new_id))

    def run(n):
        try:
            outcomes.append(store.carry_out(partial(decide, n))[0].position)
        except VersionConflict:
            outcomes.append(None)

    store.append(an_append(created(1)))
    with held_up(store, 4, [partial(run, n) for n in range(4)]) as sizes:
        pass
    assert sizes == [1, 4]
    assert set(asked) == {0, 1, 2, 3}
    assert len(asked) > 4
    assert sorted(outcomes, key=str) == [3, 4, 5, None]
    assert verify(path) == []


def test_a_group_shares_one_commit(store, path):
    commits = []
    with store._datastore.get_connection(commit=True) as connection:
        connection._sqlite_conn.set_trace_callback(lambda sql: commits.append(sql) if "COMMIT" in sql else None)
    with held_up(store, 20, [partial(store.append, an_append(created(n))) for n in range(1, 21)]) as sizes:
        pass
    assert sizes == [1, 20]
    assert store.position() == 21
    assert len(commits) == 2


def test_an_append_behind_more_than_a_group_returns_only_once_it_is_committed(store):
    store._commits._most, positions = 3, []

    def run(n):
        positions.append(store.append(an_append(created(n)))[0].position)

    with held_up(store, 10, [partial(run, n) for n in range(10)]) as sizes:
        assert positions == []
    assert sizes == [1, 3, 3, 3, 1]
    assert sorted(positions) == list(range(2, 12))


def test_an_interrupted_commit_fails_everybody_in_it_and_blocks_nobody(store, path, monkeypatch):
    outcomes = []

    def interrupted(*_args, **_options):
        raise KeyboardInterrupt

    def run(n):
        try:
            store.append(an_append(created(n)))
        except (KeyboardInterrupt, StoreUnavailable) as error:
            outcomes.append(type(error))

    with held_up(store, 3, [partial(run, n) for n in range(3)]):
        commit = store._commits._commit

        def fails_once(group):
            if len(group) == 1:
                return commit(group)
            store._commits._commit = commit
            with monkeypatch.context() as patched:
                patched.setattr(store, "_insert", interrupted)
                return commit(group)

        store._commits._commit = fails_once
    assert sorted(outcomes, key=repr) == [KeyboardInterrupt, StoreUnavailable, StoreUnavailable]
    assert store.append(an_append(created(1)))[0].position == 2
    assert verify(path) == []


def test_a_caller_who_gives_up_while_waiting_leaves_the_lead_to_the_next(store):
    gone, waiting = (Ticket(lambda _, n=n: an_append(created(n)), Place(), leads=n == 1) for n in (1, 2))
    store._commits.queue.extend([gone, waiting])
    store._commits._has_leader = True
    store._commits._abandon(gone)
    assert waiting.leads
    assert waiting.place.given.acquire(timeout=10)
    store._commits._lead()
    assert (waiting.error, waiting.result[0].stream, store.position()) == (None, "insight:2", 1)


def test_commits_are_synced(store):
    with store._datastore.get_connection(commit=True) as connection:
        cursor = connection._sqlite_conn.cursor()
        assert cursor.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert cursor.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_writers_in_two_processes_lose_nothing(path):
    script = textwrap.dedent("""
        import sys
        from insightlog.adapters.composition import system_clock
        from insightlog.adapters.storage.sqlite.event_store import SQLiteEventStore
        from insightlog.application.ports import Append, StreamEvents
        from insightlog.domain.events import Actor
        from insightlog.domain.insight_events import InsightCreated
        store = SQLiteEventStore(sys.argv[1], clock=system_clock, software="test")
        for n in range(100):
            item = StreamEvents(f"insight:{int(sys.argv[2]) + n}", (InsightCreated("abcdefgh"),), 0)
            store.append(Append((item,), Actor(), 1, "r"))
        store.close()
    """)
    writers = [subprocess.Popen([sys.executable, "-c", script, str(path), str(start)]) for start in (1000, 2000, 3000)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    store = SQLiteEventStore(path, clock=FrozenClock(), software="test")
    assert store.position() == 300
    store.close()
    assert verify(path) == []


def test_a_kill_loses_nothing_that_was_acknowledged(path):
    script = textwrap.dedent("""
        import sys
        from insightlog.adapters.composition import system_clock
        from insightlog.adapters.storage.sqlite.event_store import SQLiteEventStore
        from insightlog.application.ports import Append, StreamEvents
        from insightlog.domain.events import Actor
        from insightlog.domain.insight_events import InsightCreated
        store = SQLiteEventStore(sys.argv[1], clock=system_clock, software="test")
        for n in range(1, 100_000):
            store.append(Append((StreamEvents(f"insight:{n}", (InsightCreated("abcdefgh"),), 0),), Actor(), 1, "r"))
            print(n, flush=True)
    """)
    writer = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True)
    acknowledged = 0
    for line in writer.stdout:
        acknowledged = int(line)
        if acknowledged >= 200:
            break
    writer.kill()
    rest = writer.stdout.read().split()
    writer.stdout.close()
    writer.wait()
    acknowledged = max([acknowledged, *map(int, rest)])
    store = SQLiteEventStore(path, clock=FrozenClock(), software="test")
    assert acknowledged <= store.position() <= acknowledged + 1
    store.close()
    assert verify(path) == []


def test_the_log_refuses_to_work_in_a_forked_child(store):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            store.append(an_append(created(1)))
            os.write(writer, b"acknowledged")
        except StoreUnavailable as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    assert b"after the fork" in os.read(reader, 1000)
    assert store.position() == 0


def test_a_full_disk_is_said_and_writing_goes_on_once_there_is_room(store):
    store.append(an_append(created(1)))
    with store._datastore.get_connection(commit=True) as connection:
        raw = connection._sqlite_conn
        pages = raw.execute("PRAGMA page_count").fetchone()[0]
        raw.execute(f"PRAGMA max_page_count={pages}")
    big = StreamEvents("insight:2", (InsightCreated("abcdefgh", name="x" * 400, filters={"a": "y" * 200_000}),), 0)
    with pytest.raises(StoreUnavailable, match="full"):
        store.append(an_append(big))
    assert store.position() == 1
    raw.execute("PRAGMA max_page_count=1000000")
    store.append(an_append(big))
    assert store.position() == 2


def filled(path):
    store = SQLiteEventStore(path, clock=FrozenClock(), software="test")
    for n in range(1, 31):
        store.append(an_append(created(n), StreamEvents(f"insight-views:{n}", (InsightViewed(),))))
    store.close()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("UPDATE stored_events SET state = CAST(replace(state, 'n9', 'n8') AS BLOB) WHERE rowid = 17", "position 17"),
        ("DELETE FROM stored_events WHERE rowid = 20", "position 20 is missing"),
        ("DELETE FROM stored_events WHERE rowid = 60", "records are missing"),
        ("UPDATE stored_events SET originator_version = 7 WHERE rowid = 11", "position 11"),
        ("UPDATE insights SET name = 'other' WHERE id = 3", "View insights differs from a replay of the log in 1"),
        ("DELETE FROM insight_views WHERE insight_id = 4", "View insight_views differs"),
    ],
)  # fmt: skip
def test_damage_is_found_and_named(path, damage, message):
    filled(path)
    assert verify(path) == []
    with sqlite3.connect(path) as connection:
        connection.execute(damage)
    connection.close()
    assert message in verify(path)[0]


def test_damage_of_an_index_is_found_that_no_view_shows(path):
    filled(path)
    with closing(sqlite3.connect(path)) as connection:
        of_index = (
            "SELECT rootpage FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'insights' ORDER BY name LIMIT 1"
        )
        ((page,),) = connection.execute(of_index).fetchall()
        ((size,),) = connection.execute("PRAGMA page_size").fetchall()
    whole = path.read_bytes()
    path.write_bytes(whole[: page * size - 60] + b"\x01" * 60 + whole[page * size :])
    (problem,) = verify(path)
    assert problem.startswith(("SQLite finds insightlog.sqlite damaged", "The log cannot be read"))


def test_a_replaced_record_breaks_the_chain_even_with_a_right_checksum(path, tmp_path):
    filled(path)
    other = tmp_path / "other.sqlite"
    filled(other)
    with sqlite3.connect(other) as connection:
        (state,) = connection.execute("SELECT state FROM stored_events WHERE rowid = 1").fetchone()
    connection.close()
    forger = SQLiteEventStore(tmp_path / "forged.sqlite", clock=FrozenClock(), software="forger")
    forger.append(an_append(created(1), StreamEvents("insight-views:1", (InsightViewed(),))))
    forger.close()
    with sqlite3.connect(tmp_path / "forged.sqlite") as connection:
        (forged,) = connection.execute("SELECT state FROM stored_events WHERE rowid = 1").fetchone()
    connection.close()
    assert forged != state
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE stored_events SET state = ? WHERE rowid = 1", (forged,))
    connection.close()
    (problem,) = verify(path)
    assert "position 2" in problem
    assert "does not follow" in problem


def test_damage_is_noticed_when_a_stream_is_loaded(path):
    filled(path)
    with sqlite3.connect(path) as connection:
        connection.execute(
            "UPDATE stored_events SET state = CAST(state || ' ' AS BLOB) WHERE originator_id = 'insight:5'"
        )
    connection.close()
    store = SQLiteEventStore(path, clock=FrozenClock(), software="test")
    with pytest.raises(CorruptLog, match="insight:5"):
        store.load("insight:5")
    store.close()


def test_many_processes_may_open_a_fresh_folder_at_once(path):
    script = textwrap.dedent("""
        import sys
        from insightlog.adapters.composition import system_clock
        from insightlog.adapters.storage.sqlite.event_store import SQLiteEventStore
        sys.stdin.read()
        SQLiteEventStore(sys.argv[1], clock=system_clock, software="test").close()
    """)
    command = [sys.executable, "-c", script, str(path)]
    openers = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(6)]
    for opener in openers:
        opener.stdin.close()
    assert [opener.wait(60) for opener in openers] == [0] * 6
    assert verify(path) == []


def test_a_log_whose_views_have_another_shape_gets_them_anew(tmp_path):
    with insightlog.open(tmp_path) as log:
        project = log.create_project("One")
        kept = project.insights.create(name="kept", tags=["a"])
        project.insights.view(kept.id, by=log.create_user("ines@example.com"))
    with closing(sqlite3.connect(tmp_path / "insightlog.sqlite")) as connection:
        connection.execute("DROP TABLE insight_texts_fts")
        connection.execute("DROP TABLE insight_texts")
        connection.execute("CREATE TABLE insight_texts (id INTEGER PRIMARY KEY, name TEXT)")
        connection.execute("PRAGMA user_version = 0")
        connection.commit()
    with insightlog.open(tmp_path) as log:
        project = log.project(1)
        assert [one.id for one in project.insights.list(search="kept").results] == [kept.id]
        assert [one.id for one in project.insights.last_viewed(by=1)] == [kept.id]
    assert verify(tmp_path / "insightlog.sqlite") == []
