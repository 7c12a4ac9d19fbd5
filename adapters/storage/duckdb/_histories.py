"""Fetches the events that sequences are made of: numbers for actor, time, conditions met, and texts as codes.

One scan per question. Texts (breakdown values, path items, actors that are no persons) become codes in DuckDB, so that
Python sees each distinct text once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import evolve, frozen
from sqlglot import exp

from ....domain.errors import QueryTooLarge
from ....domain.queries.plan import Source
from ....domain.queries.sequence_plans import EventTest, Selection
from ...kernels.histories import Array
from ._marks import MAX_BRANCHES, marks_of
from ._selects import actor_sql, event_conditions, fragment, sampled
from ._sources import source_sql
from ._statement import Statement, from_events

if TYPE_CHECKING:
    import duckdb

MAX_EVENTS = 60_000_000
"""Events that one question may follow; they take about 40 bytes each."""
MAX_MOMENT_BITS = 62
MAX_DENSE = 20_000_000
"""Between so many ids merges are looked up in an array."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@frozen(eq=False)
class Fetched:
    """Events in no order, one array per column."""

    actor: Array
    moment: Array
    """Microseconds since `low_us`, and below them `code_bits` bits that tell the marks."""
    code_bits: int
    low_us: int
    table: Array | None
    """The marks of each code; None when codes are marks."""
    columns: Mapping[str, Array]
    """Further columns; texts as codes."""
    texts: Mapping[str, Sequence[str]]
    """Per column of texts, what each code stands for."""
    moved: Array | None = None
    """Which events are of persons who were merged into others, where the rest come in the order of their actors."""

    @property
    def at(self) -> Array:
        """Microseconds since 1970 UTC."""
        return np.asarray((self.moment >> self.code_bits) + self.low_us)

    @property
    def marks(self) -> Array:
        """Per event, the tests that it fulfils, a bit each."""
        if "marks" in self.columns:
            return self.columns["marks"]
        code = self.moment & ((1 << self.code_bits) - 1)
        return code.astype(np.uint64) if self.table is None else np.asarray(self.table[code])

    def actor_id(self, actor: int) -> int | str:
        """Return the person's id, or the text that the number stands for."""
        texts = self.texts.get("actor")
        return int(actor) if texts is None else texts[actor]


def fetch(
    selection: Selection,
    tests: Sequence[EventTest],
    statement: Statement,
    cursor: duckdb.DuckDBPyConnection,
    *,
    texts: Mapping[str, exp.Expr] | None = None,
    numbers: Mapping[str, exp.Expr] | None = None,
    keeps_others: bool = False,
) -> Fetched:
    """Return the events that fulfil a test, bit i of their marks telling that they fulfil test i.

    `texts` and `numbers` are further columns, made with this statement; a text that is missing is "". `keeps_others`
    gives the events that fulfil no test too. Raises QueryTooLarge past 60 million events.
    """
    texts, numbers = dict(texts or {}), dict(numbers or {})
    # PERF: merges are looked up in an array, 5 ns an event; joining the override map takes 20.
    is_raw = statement.has_merges and selection.actor == "person" and not any(test.first for test in tests)
    actor = exp.column("person_id", "events") if is_raw else actor_sql(selection.actor, statement)
    if selection.actor != "person":
        texts["actor"] = actor
    marks = marks_of(tests, selection, statement, keeps_others=keeps_others)
    span_us = (selection.count_to - selection.count_from) // _MICROSECOND
    is_packed = max(span_us, 1).bit_length() + marks.code_bits <= MAX_MOMENT_BITS
    low_us = (selection.count_from - _EPOCH) // _MICROSECOND
    moment: exp.Expr = exp.func("epoch_us", exp.column("timestamp", "events"), dialect="duckdb")
    moment = exp.paren(exp.Sub(this=moment, expression=exp.Literal.number(low_us)))
    if is_packed:
        shift = exp.Literal.number(1 << marks.code_bits)
        moment = exp.Add(this=exp.Mul(this=moment, expression=shift), expression=marks.code)
    else:
        numbers["marks"] = exp.cast(marks.code, exp.DataType.build("UBIGINT", dialect="duckdb"))
    columns = {
        **({} if "actor" in texts else {"actor": actor}),
        "moment": moment,
        **numbers,
        **{name: exp.Coalesce(this=text, expressions=[exp.Literal.string("")]) for name, text in texts.items()},
    }
    parts = event_conditions(
        selection.project_id, None, selection.condition, selection.count_from, selection.count_to, statement
    )
    parts += sampled(selection.sampling, statement)
    select = exp.select(*(exp.alias_(expression, name) for name, expression in columns.items())).where(
        *parts, copy=False
    )
    select = from_events(select, statement)
    query: exp.Query
    if marks.table is not None and not keeps_others and len(marks.named) <= MAX_BRANCHES:
        query = exp.select("*").from_(marks.branches(select).subquery("marked"))
    else:
        query = marks.joined(select, is_outer=keeps_others or not marks.is_exact)
        if not keeps_others and marks.is_partial:
            has_mark = exp.column("marks") if not is_packed else fragment(f"moment % {1 << marks.code_bits}")
            query = (
                exp.select("*")
                .from_(query.subquery("marked"))
                .where(exp.NEQ(this=has_mark, expression=exp.Literal.number(0)))
            )
    if selection.actor != "person":
        query = exp.select("*").from_(query.subquery("known")).where("actor <> ''")
    packing = _Packing(marks.code_bits if is_packed else 0, low_us, marks.table)
    if not texts:
        found = _fetched(_run(cursor, statement, query), {}, packing)
    elif len(texts) == 1 and "actor" not in texts:
        found = _gathered(cursor, statement, query, next(iter(texts)), list(columns), packing)
    else:
        found = _coded(cursor, statement, query, list(texts), packing)
    return _merged(found, selection.project_id, cursor) if is_raw else found


def _merged(found: Fetched, project_id: int, cursor: duckdb.DuckDBPyConnection) -> Fetched:
    """Return the events with their persons after merges."""
    columns = cursor.execute(
        "SELECT old_person_id, person_id FROM person_overrides WHERE project_id = ? ORDER BY 1", [project_id]
    ).fetchnumpy()
    old, new = (np.ma.getdata(columns[name]).astype(np.int64) for name in ("old_person_id", "person_id"))
    if not len(old) or not len(found.actor):
        return found
    low, size = int(old[0]), int(old[-1] - old[0]) + 1
    if size <= MAX_DENSE:
        place = np.full(size + 2, -1, np.int32)
        place[old - low + 1] = np.arange(len(old), dtype=np.int32)
        place = place.take(found.actor - (low - 1), mode="clip")
    else:
        place = np.minimum(np.searchsorted(old, found.actor), len(old) - 1)
        place[old[place] != found.actor] = -1
    moved = place >= 0
    actor = found.actor.astype(np.int64)
    actor[moved] = new[place[moved]]
    return evolve(found, actor=actor, moved=moved)


@frozen
class _Packing:
    """What the numbers in `moment` are made of, see `Fetched`."""

    code_bits: int
    low_us: int
    table: Array | None


def _run(cursor: duckdb.DuckDBPyConnection, statement: Statement, select: exp.Query) -> dict[str, Any]:
    text, parameters = statement.render(select.limit(MAX_EVENTS + 1))
    return _bounded(cursor.execute(text, parameters).fetchnumpy())


def _bounded(columns: dict[str, Any]) -> dict[str, Any]:
    if len(columns["moment"]) > MAX_EVENTS:
        raise QueryTooLarge(f"The query follows more than {MAX_EVENTS} events.", path="query")
    return columns


def _fetched(columns: dict[str, Any], texts: Mapping[str, Sequence[str]], packing: _Packing) -> Fetched:
    arrays = {name: np.ma.getdata(column) for name, column in columns.items()}
    actor, moment = arrays.pop("actor"), arrays.pop("moment")
    return Fetched(actor, moment, packing.code_bits, packing.low_us, packing.table, arrays, texts)


def _gathered(
    cursor: duckdb.DuckDBPyConnection,
    statement: Statement,
    select: exp.Query,
    name: str,
    columns: Sequence[str],
    packing: _Packing,
) -> Fetched:
    """Fetch the rows text by text, the rows of each as lists.

    PERF: 1.4 M rows of 8 texts in 85 ms, by a table of the texts that is joined in 160. Each text costs 2 us, which is
    why actors, of whom there may be as many as rows, come the other way.
    """
    inner = select.limit(MAX_EVENTS + 1).subquery("gathered")
    lists = [exp.alias_(fragment(f"list({column})"), column) for column in columns if column != name]
    text, parameters = statement.render(exp.select(name, *lists).from_(inner).group_by(name).order_by(name))
    found = cursor.execute(text, parameters).fetchnumpy()
    texts = [str(one) for one in found.pop(name)]
    sizes = [len(one) for one in found["moment"]]
    arrays = {
        column: np.concatenate(list(parts)) if texts else np.zeros(0, np.int64) for column, parts in found.items()
    }
    arrays[name] = np.repeat(np.arange(len(texts), dtype=np.int32), sizes)
    return _fetched(_bounded(arrays), {name: texts}, packing)


def _coded(
    cursor: duckdb.DuckDBPyConnection, statement: Statement, select: exp.Query, names: Sequence[str], packing: _Packing
) -> Fetched:
    """Keep the rows in a table of their own, so that texts are read once, and fetch codes in their place."""
    text, parameters = statement.render(select.limit(MAX_EVENTS + 1))
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE walked AS {text}", parameters)
    joins, found = [], {}
    for place, name in enumerate(names):
        cursor.execute(
            f"CREATE OR REPLACE TEMP TABLE texts_{place} AS "
            f"SELECT {name} AS text, (row_number() OVER (ORDER BY {name}) - 1)::INTEGER AS code "
            f"FROM (SELECT DISTINCT {name} FROM walked)"
        )
        joins.append(f"JOIN texts_{place} ON texts_{place}.text = walked.{name}")
        found[name] = [one for (one,) in cursor.execute(f"SELECT text FROM texts_{place} ORDER BY code").fetchall()]
    codes = ", ".join(f"texts_{place}.code AS {name}" for place, name in enumerate(names))
    rows = cursor.execute(f"SELECT walked.* EXCLUDE ({', '.join(names)}), {codes} FROM walked {' '.join(joins)}")
    columns = _bounded(rows.fetchnumpy())
    for place in range(len(names)):
        cursor.execute(f"DROP TABLE texts_{place}")
    cursor.execute("DROP TABLE walked")
    return _fetched(columns, found, packing)


def joined_text(sources: Sequence[Source], statement: Statement) -> exp.Expr:
    """Return several texts as one: a single one as it is, others as a JSON list."""
    texts = [exp.Coalesce(this=source_sql(one, statement), expressions=[exp.Literal.string("")]) for one in sources]
    if len(texts) == 1:
        return texts[0]
    return exp.cast(exp.func("to_json", exp.Array(expressions=texts), dialect="duckdb"), "VARCHAR")
