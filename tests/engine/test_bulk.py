"""Bulk files: what SQL and Python together make of rows, and that it is what Python alone makes of them."""

from __future__ import annotations

import csv
import functools
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar
from uuid import UUID

import duckdb
import pytest

from insightlog.adapters.storage.duckdb import _bulk_rows
from insightlog.adapters.storage.duckdb.bulk import BulkFile, StagedChunk
from insightlog.domain.errors import InvalidInput
from insightlog.domain.product_event import ProductEvent

KNOWN = "017d37c1-f285-0000-0e8b-e02d131925dc"


def a_row(**changes: object) -> dict:
    return {
        "event": "paid",
        "distinct_id": "u1",
        "timestamp": "2026-03-01T12:00:00Z",
        "properties": {"n": 1},
        **changes,
    }


def jsonl(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8")
    return path


def chunks(path: Path, **options: int) -> list[tuple[StagedChunk, list[ProductEvent]]]:
    """The chunks of a file with the events in them."""
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        for chunk in BulkFile(path, path.suffix[1:], Path(scratch), 1, 0, **options).chunks():
            found.append((chunk, stored(chunk.path) if chunk.path else []))
            assert len(found[-1][1]) == chunk.n_rows
    return found


@functools.cache
def reader() -> duckdb.DuckDBPyConnection:
    """PERF: one connection for all, since to open one takes longer than to read or write a small file."""
    return duckdb.connect()


def stored(chunk: Path) -> list[ProductEvent]:
    columns = "uuid, event, distinct_id, make_timestamp(ts_us), properties"
    rows = reader().execute(f"SELECT {columns} FROM read_parquet('{chunk}') ORDER BY row").fetchall()
    return [ProductEvent(uuid, name, who, at.replace(tzinfo=UTC), text) for uuid, name, who, at, text in rows]


def events(path: Path, **options: int) -> list[ProductEvent]:
    return [event for _, found in chunks(path, **options) for event in found]


def rejects(path: Path) -> list[tuple[int, str]]:
    return [(reject.row, reject.reason) for chunk, _ in chunks(path) for reject in chunk.rejects]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.jsonl"


class TestJsonLines:
    def test_a_row_becomes_an_event(self, path):
        (event,) = events(jsonl(path, a_row(uuid=KNOWN)))
        assert (event.uuid, event.event, event.distinct_id) == (UUID(KNOWN), "paid", "u1")
        assert event.timestamp == datetime(2026, 3, 1, 12, tzinfo=UTC)
        assert event.properties == '{"n":1}'

    def test_fields_follow_the_rules_of_capture(self, path):
        rows = [
            a_row(event="n" * 300, distinct_id=23, properties=None),
            a_row(distinct_id=None, properties={"distinct_id": "inside", "s": "a\0b"}, **{"$set": {"a": 1}}),
            a_row(properties='{"as": "text"}', timestamp=1772366400),
        ]
        first, second, third = events(jsonl(path, *rows))
        assert (first.event, first.distinct_id, first.properties) == ("n" * 200, "23", "{}")
        assert second.distinct_id == "inside"
        assert json.loads(second.properties) == {"distinct_id": "inside", "s": "a\ufffdb", "$set": {"a": 1}}
        assert (third.properties, third.timestamp) == ('{"as":"text"}', datetime(2026, 3, 1, 12, tzinfo=UTC))

    def test_bad_rows_are_told_and_the_rest_goes_on(self, path):
        rows = [
            a_row(),
            "{broken",
            "[1]",
            "",
            a_row(event=""),
            a_row(distinct_id=None),
            a_row(timestamp=None),
            a_row(timestamp="soon"),
            a_row(timestamp="0000-01-01"),
            a_row(properties=[1]),
            a_row(properties="{"),
            a_row(uuid="no"),
            a_row(),
        ]
        jsonl(path, *rows)
        assert len(events(path)) == 2
        found = rejects(path)
        assert [row for row, _ in found] == [2, 3, 5, 6, 7, 8, 9, 10, 11, 12]
        assert found[2][1] == "event submitted with an empty event name"
        assert found[4][1] == "the row has no timestamp"
        assert all(reason for _, reason in found)

    def test_rejects_show_the_row_as_it_was(self, path):
        ((chunk, _),) = chunks(jsonl(path, "{broken é"))
        assert chunk.rejects[0].raw == "{broken é"

    def test_bytes_that_are_not_text_are_rejected(self, path):
        path.write_bytes(b'{"event": "\xff"}\n' + json.dumps(a_row()).encode())
        assert len(events(path)) == len(rejects(path)) == 1

    def test_deep_properties_are_rejected(self, path):
        nested = json.loads("[" * 220 + "]" * 220)
        assert rejects(jsonl(path, a_row(properties={"a": nested})))[0][1] == "properties are nested deeper than 200"

    @pytest.mark.parametrize("text", ['{"a":1,}', '{"a":[1, ]}', '{"a":NaN}', '{"a":[-Infinity]}'])
    def test_what_is_no_json_is_rejected_wherever_it_stands(self, path, tmp_path, text):
        rows = [a_row(properties=text), a_row(properties=None, set=text)]
        assert len(rejects(jsonl(path, *rows))) == 2
        line = json.dumps(a_row(properties="?")).replace('"?"', text)
        assert len(rejects(jsonl(path, line))) == 1
        (tmp_path / "e.csv").write_text(
            'event,distinct_id,timestamp,properties\npaid,u1,2026-03-01,"' + text.replace('"', '""') + '"\n'
        )
        assert len(rejects(tmp_path / "e.csv")) == 1

    def test_numbers_beyond_64_bits_and_surrogates_are_kept_as_json(self, path):
        jsonl(path, a_row(properties={"big": 2**70, "deep": [[[]]] * 300}))
        assert json.loads(events(path)[0].properties)["big"] == float(2**70)

    def test_chunks_come_in_order_with_progress_in_bytes(self, path):
        jsonl(path, *(a_row(distinct_id=f"u{n}") for n in range(25)), "{broken")
        found = [chunk for chunk, _ in chunks(path, slice_bytes=1000)]
        assert len(found) > 2
        assert [event.distinct_id for event in events(path, slice_bytes=1000)] == [f"u{n}" for n in range(25)]
        assert [chunk.done for chunk in found] == sorted({chunk.done for chunk in found})
        assert found[-1].done == found[-1].total == path.stat().st_size

    def test_an_empty_file_has_nothing(self, path):
        assert events(jsonl(path)) == []


class TestUuidsOfRowsWithoutOne:
    def test_a_second_run_gives_the_same(self, path):
        jsonl(path, a_row(), a_row(distinct_id="u2"), a_row(properties={}))
        assert events(path) == events(path, slice_bytes=1)
        assert len({event.uuid for event in events(path)}) == 3

    def test_equal_rows_stay_as_many_events_as_they_are(self, path):
        jsonl(path, a_row(), a_row(), a_row(distinct_id="u2"), a_row())
        assert len({event.uuid for event in events(path)}) == 4
        assert events(path, slice_bytes=1) == events(path)

    def test_they_do_not_depend_on_place_or_format(self, path, tmp_path):
        one = events(jsonl(path, a_row(distinct_id="u2"), a_row()))[1]
        as_csv = tmp_path / "events.csv"
        as_csv.write_text('event,distinct_id,timestamp,properties\npaid,u1,2026-03-01 12:00:00,"{""n"": 1}"\n')
        assert events(as_csv) == [one]


class TestCsv:
    @staticmethod
    def write(path: Path, *rows: list[str]) -> Path:
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
        return path

    def test_columns_go_by_name_and_empty_cells_are_missing(self, tmp_path):
        path = self.write(
            tmp_path / "e.csv",
            ["uuid", "timestamp", "event", "distinct_id", "properties", "extra"],
            [KNOWN, "2026-03-01T12:00:00Z", "paid", "u1", '{"a": "x,y",\n"b": 1}', "?"],
            ["", "1772366400", "paid", "u2", "", ""],
        )
        first, second = events(path)
        assert (first.uuid, json.loads(first.properties)) == (UUID(KNOWN), {"a": "x,y", "b": 1})
        assert (second.timestamp, second.properties, second.uuid.version) == (first.timestamp, "{}", 3)

    def test_bad_rows_are_told_by_line(self, tmp_path):
        path = self.write(
            tmp_path / "e.csv",
            ["event", "distinct_id", "timestamp"],
            ["paid", "u1", "2026-03-01"],
            ["paid", "u1"],
            ["", "u,1", "2026-03-01"],
            ["paid", "u2", "2026-03-01"],
        )
        assert len(events(path)) == 2
        ((chunk, _),) = chunks(path)
        assert [(reject.row, reject.raw) for reject in chunk.rejects] == [(3, "paid,u1"), (4, ',"u,1",2026-03-01')]

    def test_a_byte_order_mark_and_foreign_bytes_do_no_harm(self, tmp_path):
        path = tmp_path / "e.csv"
        path.write_bytes(b"\xef\xbb\xbfevent,distinct_id,timestamp\nb\xffd,u1,2026-03-01\n")
        assert events(path)[0].event == "b\ufffdd"

    def test_a_file_without_the_columns_is_refused(self, tmp_path):
        for text in ("", "event,when\npaid,now\n"):
            path = tmp_path / "e.csv"
            path.write_text(text)
            with pytest.raises(InvalidInput, match="distinct_id"):
                events(path)


class TestParquet:
    @staticmethod
    def write(path: Path, select: str) -> Path:
        reader().execute(f"COPY ({select}) TO '{path}' (FORMAT parquet)")
        return path

    @pytest.mark.parametrize(
        "timestamp",
        [
            "TIMESTAMP '2026-03-01 12:00:00'",
            "TIMESTAMPTZ '2026-03-01 13:00:00+01'",
            "TIMESTAMP_NS '2026-03-01 12:00:00'",
            "1772366400",
            "1772366400000",
            "'2026-03-01T12:00:00Z'",
        ],
    )
    @pytest.mark.parametrize("properties", ["""'{"n":1}'""", "{'n': 1}", "MAP {'n': 1}", """'{"n":1}'::JSON"""])
    def test_every_type_of_column_gives_the_same_event(self, tmp_path, timestamp, properties):
        select = f"SELECT 'paid' AS event, 'u1' AS distinct_id, {timestamp} AS timestamp, {properties} AS properties"
        (event,) = events(self.write(tmp_path / "e.parquet", f"{select}, '{KNOWN}'::UUID AS uuid"))
        assert (event.timestamp, event.properties) == (datetime(2026, 3, 1, 12, tzinfo=UTC), '{"n":1}')
        assert event.uuid == UUID(KNOWN)

    def test_rows_keep_their_order_and_progress_counts_rows(self, tmp_path):
        select = "SELECT 'paid' AS event, i AS distinct_id, DATE '2026-03-01' AS timestamp FROM range(25) t(i)"
        path = self.write(tmp_path / "e.parquet", select)
        found = [(chunk.n_rows, chunk.done, chunk.total) for chunk, _ in chunks(path, chunk_rows=10)]
        assert found == [(10, 10, 25), (15, 25, 25)]
        assert [event.distinct_id for event in events(path, chunk_rows=10)] == [str(n) for n in range(25)]

    def test_a_chunk_holds_fewer_rows_where_they_are_long(self, tmp_path, monkeypatch):
        select = "SELECT 'paid' AS event, concat(i, repeat('x', 100)) AS distinct_id, DATE '2026-03-01' AS timestamp"
        path = self.write(tmp_path / "e.parquet", f"{select} FROM range(5000) t(i)")
        assert [chunk.n_rows for chunk, _ in chunks(path)] == [5000]
        monkeypatch.setattr(_bulk_rows, "CHUNK_BYTES", 300_000)
        n_rows = [chunk.n_rows for chunk, _ in chunks(path)]
        assert 2048 <= n_rows[0] < 3000
        assert sum(n_rows) == 5000
        monkeypatch.setattr(_bulk_rows, "CHUNK_BYTES", 1)
        assert [chunk.n_rows for chunk, _ in chunks(path)] == [2048, 2952]

    def test_bad_rows_are_told_by_number(self, tmp_path):
        select = (
            "SELECT 'paid' AS event, 'u' AS distinct_id, CASE WHEN i <> 2 THEN TIMESTAMP '2026-03-01' END AS timestamp"
        )
        path = self.write(tmp_path / "e.parquet", f"{select} FROM range(4) t(i)")
        assert rejects(path) == [(3, "the row has no timestamp")]
        assert len({event.uuid for event in events(path)}) == 3

    def test_infinite_timestamps_are_rejected(self, tmp_path):
        select = "SELECT 'paid' AS event, 'u' AS distinct_id, TIMESTAMP 'infinity' AS timestamp"
        assert len(rejects(self.write(tmp_path / "e.parquet", select))) == 1

    def test_other_files_are_refused(self, tmp_path):
        path = tmp_path / "e.parquet"
        path.write_bytes(b"no parquet")
        with pytest.raises(InvalidInput, match="no Parquet file"):
            events(path)
        with pytest.raises(InvalidInput, match="timestamp"):
            events(self.write(path, "SELECT 'paid' AS event, 'u' AS distinct_id"))


class TestExports:
    """Field names of PostHog's exports."""

    ROW: ClassVar = {
        "uuid": KNOWN, "event": "paid", "distinct_id": "u1", "timestamp": "2026-03-01 12:00:00.000000",
        "properties": '{"n":1}', "elements_chain": 'a:href="/"', "person_properties": '{"email":"a@example.com"}',
        "set": None, "set_once": '{"first":1}', "ip": "192.0.2.1", "team_id": 2, "person_id": KNOWN,
        "created_at": "2026-03-01 12:00:01",
    }  # fmt: skip
    EXPECTED: ClassVar = {
        "n": 1, "$set": {"email": "a@example.com"}, "$set_once": {"first": 1}, "$ip": "192.0.2.1",
        "$elements_chain": 'a:href="/"',
    }  # fmt: skip

    def test_columns_of_an_export_become_properties(self, tmp_path):
        lines = jsonl(tmp_path / "e.jsonl", self.ROW, {**self.ROW, "properties": {"n": 1}})
        table = tmp_path / "e.csv"
        with table.open("w", newline="") as file:
            writer = csv.DictWriter(file, self.ROW)
            writer.writeheader()
            writer.writerow(self.ROW)
        columns = tmp_path / "e.parquet"
        reader().execute(f"COPY (SELECT * FROM read_csv('{table}', all_varchar = true)) TO '{columns}'")
        for path in (lines, table, columns):
            for event in events(path):
                assert event.uuid == UUID(KNOWN)
                assert json.loads(event.properties) == self.EXPECTED
                assert list(json.loads(event.properties)) == list(self.EXPECTED)

    def test_what_is_in_the_properties_wins(self, path):
        inside = {"$set": {"email": "b@example.com"}, "$ip": "198.51.100.1"}
        (event,) = events(jsonl(path, {**self.ROW, "properties": inside}))
        assert json.loads(event.properties) == {
            **inside, "$set_once": {"first": 1}, "$elements_chain": 'a:href="/"',
        }  # fmt: skip
