"""Fetches the events that sequences are made of: numbers for actor, time, conditions met, and texts as codes.

One scan per question. Texts (breakdown values, path items, actors that are no persons) become codes in DuckDB, so that
Python sees each distinct text once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import evolve, frozen
from sqlglot import exp

from ....domain.errors import QueryTooLarge
from ....domain.queries.plan import Source
from ....domain.queries.sequence_plans import EventTest, Selection
from ...kernels.checkpoint import by_blocks, checkpoint
from ...kernels.histories import Array
from ...kernels.packed import MAX_BITS, Packed, bits_of_times, move_actors, packed
from ._marks import MAX_BRANCHES, marks_of
from ._selects import actor_sql, event_conditions, fragment, sampled
from ._sources import source_sql
from ._statement import Statement, from_events
from ._tables import n_events, transaction

if TYPE_CHECKING:
    import duckdb

MAX_EVENTS = 60_000_000
"""Events that one question may follow; they take about 40 bytes each."""
ROWS_AT_ONCE = 1 << 21
"""Rows of the events of which lists are made in one step."""
_NO_END = 1 << 62
MAX_DENSE = 20_000_000
"""Up to so many ids merges are looked up in an array."""
_NO_KEYS = np.zeros(0, np.int64)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@frozen(eq=False)
class Fetched:
    """Events in no order, one array per column."""

    events: Packed | tuple[Array, Array]
    """Actors and times; the columns apart, times in microseconds since 1970 UTC, where they do not fit into 63 bits."""
    code: Array
    """Per event, a small number that tells the marks."""
    table: Array | None
    """The marks of each code; None when codes are marks."""
    columns: Mapping[str, Array]
    """Further columns; texts as codes."""
    texts: Mapping[str, Sequence[str]]
    """Per column of texts, what each code stands for, ascending."""

    @property
    def actor(self) -> Array:
        """Per event, who it is of."""
        return self.events.actor if isinstance(self.events, Packed) else self.events[0]

    @property
    def at(self) -> Array:
        """Per event, microseconds since 1970 UTC."""
        return self.events.at if isinstance(self.events, Packed) else self.events[1]

    @property
    def marks(self) -> Array:
        """Per event, the tests that it fulfils, a bit each."""
        table = self.table
        return (
            self.code if table is None else by_blocks(len(self.code), table.dtype, lambda of: table.take(self.code[of]))
        )

    def packed(self, reach_us: int, *, room: int) -> Packed | None:
        """Return the events as single numbers with so many bits unused, None when they do not fit or there are none."""
        if isinstance(self.events, Packed):
            return self.events.with_room(room) if len(self.code) else None
        return packed(*self.events, reach_us, room=room)

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
    reach_us: int = 0,
    texts: Mapping[str, exp.Expr] | None = None,
    numbers: Mapping[str, exp.Expr] | None = None,
    keeps_others: bool = False,
    keeps_order: bool = False,
) -> Fetched:
    """Return the events that fulfil a test, bit i of their marks telling that they fulfil test i.

    Times will be compared that are at most `reach_us` apart. `texts` and `numbers` are further columns, made with this
    statement; a text that is missing is "". `keeps_others` gives the events that fulfil no test too. Raises
    QueryTooLarge past 60 million events.
    """
    texts, numbers = dict(texts or {}), dict(numbers or {})
    # PERF: merges are looked up in an array, 2 ns an event; joining the override map takes 20.
    is_raw = statement.has_merges and selection.actor == "person" and not any(test.first for test in tests)
    actor = exp.column("person_id", "events") if is_raw else actor_sql(selection.actor, statement)
    if selection.actor != "person":
        texts["actor"] = actor
    frame, columns = _actors_and_times(selection, actor, cursor, reach_us, has_texts="actor" in texts)
    marks = marks_of(tests, selection, statement, keeps_others=keeps_others)
    if marks.type_name is not None:
        columns["code"] = exp.cast(marks.code, exp.DataType.build(marks.type_name, dialect="duckdb"))
    columns |= numbers
    columns |= {name: exp.Coalesce(this=text, expressions=[exp.Literal.string("")]) for name, text in texts.items()}
    parts = event_conditions(
        selection.project_id, None, selection.condition, selection.count_from, selection.count_to, statement
    )
    parts += sampled(selection.sampling, statement)
    is_by_name = marks.table is not None and not keeps_others and len(marks.named) <= MAX_BRANCHES
    is_gathered = len(texts) == 1 and "actor" not in texts and not keeps_order
    rows = None
    if is_gathered and not is_by_name and not statement.needed and not marks.firsts:
        rows = _Rows(statement.bind(0), statement.bind(0))
        parts += rows.conditions()
    select = exp.select(*(exp.alias_(expression, name) for name, expression in columns.items())).where(
        *parts, copy=False
    )
    select = from_events(select, statement)
    query: exp.Query
    if is_by_name:
        query = _all_of(marks.branches(select), "marked")
    else:
        query = marks.joined(select, is_outer=keeps_others or not marks.is_exact)
        if not keeps_others and marks.is_partial:
            query = _all_of(query, "marked").where("code <> 0", copy=False)
    if selection.actor != "person":
        query = _all_of(query, "known").where("actor <> ''", copy=False)
    known: Mapping[str, Sequence[str]] = {}
    if not texts:
        arrays = _run(cursor, statement, query)
    elif is_gathered:
        arrays, known = _gathered(cursor, statement, query, next(iter(texts)), list(columns), rows)
    else:
        arrays, known = _coded(cursor, statement, query, list(texts))
    found = _fetched(arrays, known, frame, marks.table)
    return _merged(found, selection.project_id, cursor) if is_raw else found


def _actors_and_times(
    selection: Selection, actor: exp.Expr, cursor: duckdb.DuckDBPyConnection, reach_us: int, *, has_texts: bool
) -> tuple[Packed | None, dict[str, exp.Expr]]:
    """Return the columns of actors, unless they are texts, and times; as one number where both fit into it."""
    low_us = (selection.count_from - _EPOCH) // _MICROSECOND
    span_us = (selection.count_to - selection.count_from) // _MICROSECOND
    reach_us = min(reach_us, span_us)
    at_bits = bits_of_times(span_us, reach_us)
    moment: exp.Expr = exp.func("epoch_us", exp.column("timestamp", "events"), dialect="duckdb")
    if has_texts or _last_person(cursor).bit_length() + at_bits > MAX_BITS:
        return None, {"at": moment} | ({} if has_texts else {"actor": actor})
    moment = exp.paren(exp.Sub(this=moment, expression=exp.Literal.number(low_us)))
    shifted = exp.Mul(this=actor, expression=exp.Literal.number(1 << at_bits))
    return Packed(_NO_KEYS, at_bits, low_us, reach_us), {"keys": exp.Add(this=shifted, expression=moment)}


def _all_of(query: exp.Query, name: str) -> exp.Select:
    """Return a SELECT of all columns of the query, which becomes a part of it: copying takes milliseconds."""
    return exp.select("*").from_(query.subquery(name, copy=False), copy=False)


def _last_person(cursor: duckdb.DuckDBPyConnection) -> int:
    """Return a number that no person's exceeds, also of those who come while this is asked."""
    ((last,),) = cursor.execute(
        "SELECT greatest((SELECT max(person_id) FROM distinct_ids), (SELECT max(old_person_id) FROM person_overrides))"
    ).fetchall()
    return 2 * (last or 0) + 1


def _merged(found: Fetched, project_id: int, cursor: duckdb.DuckDBPyConnection) -> Fetched:
    """Return the events with their persons after merges."""
    columns = cursor.execute(
        "SELECT old_person_id, person_id FROM person_overrides WHERE project_id = ?", [project_id]
    ).fetchnumpy()
    old, new = (np.ma.getdata(columns[name]) for name in ("old_person_id", "person_id"))
    if not len(old):
        return found
    moves = _moves(old, new)
    if isinstance(found.events, Packed):
        move_actors(found.events.keys, found.events.at_bits, moves)
    else:
        move_actors(found.events[0], 0, moves)
    return found


def _moves(old: Array, new: Array) -> Callable[[Array], Array]:
    """Return what tells how much is to be added to a person's number to get the number after merges."""
    size = int(old.max()) + 2
    if size <= MAX_DENSE:
        table = np.zeros(size, np.int64)
        table[old] = new - old
        return lambda actor: table.take(actor, mode="clip")
    order = np.argsort(old)
    old, change = old[order], (new - old)[order]

    def search(actor: Array) -> Array:
        place = np.minimum(np.searchsorted(old, actor), len(old) - 1)
        return np.where(old[place] == actor, change[place], 0)

    return search


def _run(cursor: duckdb.DuckDBPyConnection, statement: Statement, select: exp.Query) -> dict[str, Array]:
    text, parameters = statement.render(select.limit(MAX_EVENTS + 1, copy=False))
    return _bounded(cursor.execute(text, parameters).fetchnumpy())


def _bounded(columns: Mapping[str, Any]) -> dict[str, Array]:
    arrays = {name: np.ma.getdata(column) for name, column in columns.items()}
    _check_size(max(map(len, arrays.values())))
    return arrays


def _check_size(n_rows: int) -> None:
    if n_rows > MAX_EVENTS:
        raise QueryTooLarge(f"The query follows more than {MAX_EVENTS} events.", path="query")


def _fetched(
    arrays: dict[str, Array], texts: Mapping[str, Sequence[str]], frame: Packed | None, table: Array | None
) -> Fetched:
    events: Packed | tuple[Array, Array]
    if frame is not None:
        events = evolve(frame, keys=arrays.pop("keys"))
        size = len(events.keys)
    else:
        events = (arrays.pop("actor"), arrays.pop("at"))
        size = len(events[0])
    code = arrays.pop("code") if "code" in arrays else np.broadcast_to(np.uint8(0), size)
    return Fetched(events, code, table, arrays, texts)


@frozen
class _Rows:
    """A range of the rows of events, by placeholders for its first and for the one after its last."""

    first: exp.Expr
    end: exp.Expr

    def conditions(self) -> list[exp.Expr]:
        row = exp.column("rowid", "events")
        return [exp.GTE(this=row, expression=self.first), exp.LT(this=row.copy(), expression=self.end)]

    def pieces(self, cursor: duckdb.DuckDBPyConnection) -> list[dict[str, int]]:
        """Return values for the placeholders that go through all rows."""
        firsts = list(range(0, max(n_events(cursor), 1), ROWS_AT_ONCE))
        ends = [*firsts[1:], _NO_END]
        return [{self.first.name: first, self.end.name: end} for first, end in zip(firsts, ends, strict=True)]


def _gathered(
    cursor: duckdb.DuckDBPyConnection,
    statement: Statement,
    select: exp.Query,
    name: str,
    columns: Sequence[str],
    rows: _Rows | None,
) -> tuple[dict[str, Array], Mapping[str, Sequence[str]]]:
    """Fetch the rows text by text, the rows of each as lists; of a range of rows after the other where there is one.

    PERF: 1.4 M rows of 8 texts in 85 ms, by a table of the texts that is joined in 160. Each text costs 2 us, which is
    why actors, of whom there may be as many as rows, come the other way. Making lists cannot be interrupted: 10 M rows
    take 0.5 s at once, and in five pieces three quarters of the time in all.
    """
    inner = select.limit(MAX_EVENTS + 1, copy=False).subquery("gathered", copy=False)
    lists = [exp.alias_(fragment(f"list({column})"), column) for column in columns if column != name]
    text, parameters = statement.render(
        exp.select(name, *lists).from_(inner, copy=False).group_by(name, copy=False).order_by(name, copy=False)
    )
    texts: list[list[str]] = []
    parts: dict[str, list[Array]] = {column: [] for column in columns if column != name}
    sizes: list[list[int]] = []
    with transaction(cursor):
        for piece in [{}] if rows is None else rows.pieces(cursor):
            found = cursor.execute(text, parameters | piece).fetchnumpy()
            texts.append([str(one) for one in found.pop(name)])
            sizes.append([len(one) for one in next(iter(found.values()))])
            _check_size(sum(map(sum, sizes)))
            for column, lists_of in found.items():
                checkpoint()
                parts[column] += list(lists_of)
    known = sorted(set().union(*texts))
    place = {one: number for number, one in enumerate(known)}
    arrays = {column: np.concatenate(found) if known else np.zeros(0, np.int64) for column, found in parts.items()}
    codes = np.array([place[one] for piece in texts for one in piece], np.int32)
    arrays[name] = np.repeat(codes, [size for piece in sizes for size in piece])
    return arrays, {name: known}


def _coded(
    cursor: duckdb.DuckDBPyConnection, statement: Statement, select: exp.Query, names: Sequence[str]
) -> tuple[dict[str, Array], Mapping[str, Sequence[str]]]:
    """Give texts numbers in tables of their own, so that they are read once, and fetch those in their place.

    PERF: what must be read from JSON is kept in a table, as reading it twice takes longer.
    """
    text, parameters = statement.render(select.limit(MAX_EVENTS + 1, copy=False))
    walked, given = f"({text})", parameters
    if "json" in text or len(names) > 1:
        cursor.execute(f"CREATE OR REPLACE TEMP TABLE walked AS {text}", parameters)
        walked, given = "walked", {}
    joins, found = [], {}
    with transaction(cursor):
        for place, name in enumerate(names):
            cursor.execute(
                f"CREATE OR REPLACE TEMP TABLE texts_{place} AS "
                f"SELECT {name} AS text, (row_number() OVER (ORDER BY {name}) - 1)::INTEGER AS code "
                f"FROM (SELECT DISTINCT {name} FROM {walked})",
                given,
            )
            joins.append(f"JOIN texts_{place} ON texts_{place}.text = walked.{name}")
            found[name] = [one for (one,) in cursor.execute(f"SELECT text FROM texts_{place} ORDER BY code").fetchall()]
        codes = ", ".join(f"texts_{place}.code AS {name}" for place, name in enumerate(names))
        rows = cursor.execute(
            f"SELECT walked.* EXCLUDE ({', '.join(names)}), {codes} FROM {walked} AS walked {' '.join(joins)}", given
        )
        columns = _bounded(rows.fetchnumpy())
    for place in range(len(names)):
        cursor.execute(f"DROP TABLE texts_{place}")
    cursor.execute("DROP TABLE IF EXISTS walked")
    return columns, found


def joined_text(sources: Sequence[Source], statement: Statement) -> exp.Expr:
    """Return several texts as one: a single one as it is, others as a JSON list."""
    texts = [exp.Coalesce(this=source_sql(one, statement), expressions=[exp.Literal.string("")]) for one in sources]
    if len(texts) == 1:
        return texts[0]
    return exp.cast(exp.func("to_json", exp.Array(expressions=texts), dialect="duckdb"), "VARCHAR")
