"""Bulk files, whatever is in them: SQL and Python together give what Python alone makes of each row."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from datetime import datetime
from pathlib import Path

import orjson
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from insightlog.application.importing import content_uuid, row_content
from insightlog.domain.capture import BadPayload
from insightlog.domain.product_event import ProductEvent
from insightlog.domain.timestamps import from_us

from .test_bulk import chunks, reader

EARLY, LATE = datetime(1, 1, 3), datetime(9999, 12, 28)  # noqa: DTZ001 - written without a zone
TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["", " ", "a\0b", "\\", '"', "é" * 201, "x" * 201, "a\nb", "null", "\ufeff", "{", "1"]),
)
NUMBERS = st.one_of(
    st.integers(), st.floats(), st.decimals(-(10**6), 10**6, places=3).map(float), st.sampled_from([-0.0, 1e16, 1e-5])
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.one_of(TEXTS, st.sampled_from(["$set", "$ip", "distinct_id"])), VALUES, max_size=4)
TIMES = st.one_of(
    st.datetimes(min_value=EARLY, max_value=LATE).map(str),
    st.datetimes(min_value=EARLY).map(lambda at: at.isoformat() + "Z"),
    st.sampled_from([
        "2026-03-01T12:00:00+02:00", "2026-03-01 12:00:00.5-11:30", "2026-02-30 12:00:00", "2026-03-01T24:00:00Z",
        "2026-03-01T23:59:60Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+02:00", "9999-12-31T23:59:59-10:00",
        "2026-03-01", "1772366400", "1 Mar 2026 12:00:00 GMT", "2026-03-01T12:00:00.1234567Z", "soon", "",
    ]),
)  # fmt: skip
UUIDS = st.one_of(
    st.none(), st.uuids().map(str), st.uuids().map(lambda one: one.hex.upper()), st.sampled_from(["", "no"])
)
EXTRA = {
    "$set": st.one_of(st.none(), OBJECTS, OBJECTS.map(json.dumps), st.just("{")),
    "set_once": st.one_of(st.none(), OBJECTS),
    "ip": st.one_of(st.none(), TEXTS, st.integers()),
    "elements_chain": st.one_of(st.none(), TEXTS),
}


@st.composite
def json_texts(draw):
    """JSON objects as sloppy writers write them, and some that are none."""
    text = json.dumps(draw(OBJECTS), ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1])))
    return draw(st.one_of(st.just(text), st.just(text.replace("}", ",}")), st.just(text + " "), st.just(text[:-1])))


ROWS = st.fixed_dictionaries(
    {
        "event": st.one_of(TEXTS, st.just("paid")),
        "distinct_id": st.one_of(st.just("u1"), TEXTS, st.none()),
        "timestamp": TIMES,
        "properties": st.one_of(json_texts(), st.none()),
    },
    optional={
        "uuid": UUIDS,
        "ip": TEXTS,
        "elements_chain": TEXTS,
        "set": json_texts(),
        "person_properties": json_texts(),
    },
)
LINES = st.fixed_dictionaries(
    {
        "event": st.one_of(TEXTS, st.none(), st.integers()),
        "distinct_id": st.one_of(TEXTS, NUMBERS, st.none(), VALUES),
        "timestamp": st.one_of(TIMES, st.none(), st.integers(-(10**14), 10**14), VALUES),
        "properties": st.one_of(OBJECTS, json_texts(), VALUES),
    },
    optional={"uuid": st.one_of(UUIDS, st.integers()), "$distinct_id": TEXTS, **EXTRA},
)


def judged(items) -> tuple[list[ProductEvent], list[tuple[int, str]]]:
    """What Python alone makes of rows: the obvious loop. An item is the fields, or the reason why there are none."""
    found, refused, repeats = [], [], {}
    for row, item in items:
        if isinstance(item, str):
            refused.append((row, item))
            continue
        try:
            content = row_content(item)
        except BadPayload as error:
            refused.append((row, str(error)))
            continue
        key = (content.event, content.distinct_id, content.timestamp_us, content.properties)
        uuid = content.uuid
        if uuid is None:
            uuid = content_uuid(content, repeats.get(key, 0))
            repeats[key] = repeats.get(key, 0) + 1
        at = from_us(content.timestamp_us)
        found.append(ProductEvent(uuid, content.event, content.distinct_id, at, content.properties))
    return found, refused


def agrees(path: Path, items, **options) -> None:
    found = chunks(path, **options)
    expected, refused = judged(items)
    assert [event for _, some in found for event in some] == expected
    assert sorted((reject.row, reject.reason) for chunk, _ in found for reject in chunk.rejects) == refused


@settings(deadline=None, max_examples=12, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    st.lists(
        st.one_of(
            LINES, LINES, st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=20)
        ),
        min_size=10,
        max_size=30,
    ),
    st.sampled_from([1000, 10**6]),
)
def test_json_lines_are_read_as_python_alone_would(rows, slice_bytes):
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows for _ in range(2)]
    items = []
    for number, line in enumerate(lines, 1):
        if not line.encode().strip():
            continue
        try:
            item = orjson.loads(line)
            items.append((number, item if isinstance(item, dict) else "the line is not a JSON object"))
        except orjson.JSONDecodeError as error:
            items.append((number, str(error)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "e.jsonl"
        path.write_bytes("".join(line + "\n" for line in lines).encode())
        agrees(path, items, slice_bytes=slice_bytes)


def in_columns(rows):
    names = list(
        dict.fromkeys(["event", "distinct_id", "timestamp", "properties", *(name for row in rows for name in row)])
    )
    return names, [{name: row.get(name) for name in names} for row in rows]


@settings(deadline=None, max_examples=12, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.lists(ROWS, min_size=5, max_size=30))
def test_csv_is_read_as_python_alone_would(rows):
    names, full = in_columns(rows)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(names)
    writer.writerows([[row[name] for name in names] for row in full])
    reader = csv.reader(io.StringIO(text.getvalue(), newline=""))
    next(reader)
    items = [(reader.line_num, dict(zip(names, [value or None for value in values], strict=True))) for values in reader]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "e.csv"
        path.write_text(text.getvalue(), newline="", encoding="utf-8")
        agrees(path, items)


@settings(deadline=None, max_examples=12, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.lists(ROWS, min_size=5, max_size=30), st.sampled_from([10, 1000]))
def test_parquet_is_read_as_python_alone_would(rows, chunk_rows):
    names, full = in_columns(rows)
    with tempfile.TemporaryDirectory() as folder:
        path, connection = Path(folder) / "e.parquet", reader()
        connection.execute("CREATE OR REPLACE TABLE t (" + ", ".join(f'"{name}" VARCHAR' for name in names) + ")")
        connection.executemany(
            f"INSERT INTO t VALUES ({', '.join('?' * len(names))})", [[row[name] for name in names] for row in full]
        )
        connection.execute(f"COPY t TO '{path}' (FORMAT parquet)")
        agrees(path, list(enumerate(full, 1)), chunk_rows=chunk_rows)
