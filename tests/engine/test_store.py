"""The DuckDB file is a projection: it can be damaged, lost or outdated, and nothing acknowledged is."""

from __future__ import annotations

import multiprocessing
import threading
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from insightlog.adapters.storage.duckdb._intake import DRAIN_BATCH
from insightlog.adapters.storage.duckdb.store import DuckDBStore
from insightlog.adapters.storage.sqlite.capture_log import SQLiteCaptureLog
from insightlog.application.calculation import QueryContext, calculate
from insightlog.domain.errors import QueryTooLarge, StoreUnavailable
from insightlog.domain.product_event import ProductEvent

NOW = datetime(2024, 1, 31, tzinfo=UTC)
QUERY = {"kind": "TrendsQuery", "series": [{"kind": "EventsNode"}], "dateRange": {"date_from": "2024-01-01"}}


def events(first, count, *, who="u", **more):
    start = datetime(2024, 1, 1, tzinfo=UTC)
    fields = {"event": "view", "properties": "{}", **more}
    return [
        ProductEvent(uuid=UUID(int=i), distinct_id=f"{who}{i % 7}", timestamp=start + timedelta(minutes=i), **fields)
        for i in range(first, first + count)
    ]


def total(store, math="total"):
    query = QUERY | {"series": [{"kind": "EventsNode", "math": math}], "trendsFilter": {"display": "ActionsTable"}}
    return calculate(query, context=QueryContext(1, NOW), store=store)["results"][0]["aggregated_value"]


def test_query_sees_what_was_acknowledged_before_it(log, open_store):
    store = open_store()
    for done in range(1, 4):
        log.append(1, events(done * 10, 10), captured_at=NOW)
        assert total(store) == done * 10


class RacingLog(SQLiteCaptureLog):
    """A log in which something happens right after its position was looked at."""

    meanwhile = None

    def position(self):
        found = super().position()
        happens, self.meanwhile = self.meanwhile, None
        if happens is not None:
            happens()
        return found


def test_a_drain_that_another_one_overtakes_does_not_take_the_log_for_another(tmp_path, open_store):
    log = RacingLog(tmp_path / "capture.sqlite")
    store = open_store(log)
    log.append(1, events(0, 10), captured_at=NOW)
    log.meanwhile = lambda: (log.append(1, events(10, 10), captured_at=NOW), store.drain())
    assert store.drain() == 20
    assert total(store) == 20
    assert list(tmp_path.glob("*damaged*")) == []
    store.close()
    log.close()


def test_reopened_file_goes_on_from_its_tail(log, open_store):
    log.append(1, events(0, DRAIN_BATCH + 10), captured_at=NOW)
    store = open_store()
    assert total(store) == DRAIN_BATCH + 10
    store.close()
    log.append(1, events(30_000, 5, who="v"), captured_at=NOW)
    again = open_store()
    assert again.drain() == log.position()
    assert total(again) == DRAIN_BATCH + 10 + 5


def test_second_handle_on_the_same_file_is_refused(log, open_store):
    open_store().drain()
    with pytest.raises(StoreUnavailable):
        open_store().drain()


@pytest.mark.parametrize("damage", [b"", b"garbage" * 1000])
@pytest.mark.parametrize("suffix", ["", ".wal"])
def test_damaged_file_is_set_aside_and_built_again(tmp_path, log, open_store, damage, suffix):
    log.append(1, events(0, 10), captured_at=NOW)
    store = open_store()
    store.import_events(1, [events(50, 20)])
    assert total(store) == 30
    store.close()
    (tmp_path / f"events.duckdb{suffix}").write_bytes(damage)
    again = open_store()
    assert total(again) == 30
    assert total(again, "dau") == 7


def test_lost_file_is_built_again_with_imports(tmp_path, log, open_store):
    store = open_store()
    assert store.import_events(1, [events(0, 20), events(20, 20)]) == 40
    store.close()
    (tmp_path / "events.duckdb").unlink()
    assert total(open_store()) == 40


def test_importing_twice_adds_nothing(log, open_store):
    log.append(1, events(0, 10), captured_at=NOW)
    store = open_store()
    assert store.import_events(1, [events(5, 10)]) == 5
    assert store.import_events(1, [events(5, 10)]) == 0
    assert store.import_events(1, [events(0, 15)]) == 0
    log.append(1, events(14, 2), captured_at=NOW)
    assert total(store) == 16
    assert store.import_events(2, [events(0, 3)]) == 3


def test_what_was_imported_is_not_captured_again_whenever_it_was(log, open_store):
    """Only captured events as early as the imports are looked for among these, after another start too."""
    store = open_store()
    assert store.import_events(1, [events(0, 10)]) == 10
    log.append(1, events(9, 3), captured_at=NOW)
    assert total(store) == 12
    log.append(1, events(20, 2), captured_at=NOW)
    assert total(store) == 14
    store.close()
    log.append(1, events(5, 2), captured_at=NOW)
    reopened = open_store()
    assert total(reopened) == 14
    assert reopened.import_events(1, [events(30, 2)]) == 2
    log.append(1, events(31, 2), captured_at=NOW)
    assert total(reopened) == 17


def test_log_that_was_replaced_means_a_new_file(tmp_path, log, open_store):
    log.append(1, events(0, 10), captured_at=NOW)
    store = open_store()
    assert total(store) == 10
    store.close()
    with_fewer = SQLiteCaptureLog(tmp_path / "other.sqlite")
    with_fewer.append(1, events(0, 3), captured_at=NOW)
    other = open_store(with_fewer)
    assert total(other) == 3
    other.close()
    with_fewer.close()


def test_deadline_stops_a_query(log, open_store):
    store = open_store()
    with pytest.raises(QueryTooLarge):
        calculate(QUERY, context=QueryContext(1, NOW), store=store, deadline_s=0)


def test_other_process_is_refused(log, open_store):
    store = open_store()
    store.drain()
    store._file._process_id = -1
    with pytest.raises(StoreUnavailable):
        store.drain()
    store._file._process_id = multiprocessing.current_process().pid


def test_engine_cannot_read_files_or_change_settings(log, open_store):
    import duckdb

    store = open_store()
    store.drain()
    cursor = store._file.opened().cursor()
    for statement in (
        "SELECT * FROM read_text('/etc/hostname')",
        "SET memory_limit = '9GB'",
        "ATTACH '/tmp/x.duckdb'",
    ):
        with pytest.raises(duckdb.Error):
            cursor.execute(statement)
    cursor.close()


def test_what_draining_needs_changes_no_setting_of_queries(log, open_store):
    def settings():
        with store._file.cursor(5) as cursor:
            return cursor.execute("SELECT name, value FROM duckdb_settings() ORDER BY name").fetchall()

    store = open_store()
    before = settings()
    for done in range(1, 4):
        log.append(1, events(done * 10, 10), captured_at=NOW)
        assert total(store) == done * 10
    assert settings() == before


def test_memory_store_works_without_a_folder(log):
    log.append(1, events(0, 3), captured_at=NOW)
    store = DuckDBStore(":memory:", log, clock=lambda: NOW)
    assert store.import_events(1, [events(5, 4)]) == 4
    assert total(store) == 7
    store.close()


def test_missing_events_are_counted(log, open_store):
    log.append(1, events(0, 10), captured_at=NOW)
    store = open_store()
    assert store.missing_events() == 0
    store._file.opened().execute("DELETE FROM events WHERE distinct_id = 'u3'")
    assert store.missing_events() == 1


def test_a_store_can_be_closed_while_something_is_asked(log, open_store):
    store = open_store()
    log.append(1, events(1, 10), captured_at=NOW)
    endless = "select sum(a.number) from numbers(1000000) a join numbers(1000000) b on a.number < b.number"
    query = {"kind": "HogQLQuery", "query": endless}
    refused = []

    def ask():
        try:
            calculate(query, context=QueryContext(1, NOW), store=store)
        except (QueryTooLarge, StoreUnavailable) as error:  # interrupted, or closed before its next statement
            refused.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    while not store._file._cursors:
        time.sleep(0.01)
    time.sleep(0.3)
    store.close()
    asking.join()
    assert len(refused) == 1
    assert total(store) == 10
