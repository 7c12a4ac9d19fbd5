"""Fetches the events that sequences are made of: numbers for actor, time, conditions met, and texts as codes.

One scan per question. Texts (breakdown values, path items, actors that are no persons) become codes in DuckDB, so that
Python sees each distinct text once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import frozen
from sqlglot import exp

from ....domain.errors import QueryTooLarge
from ....domain.queries.plan import AllOf, Condition, Source
from ....domain.queries.properties import all_of
from ....domain.queries.sequence_plans import EventTest, Selection
from ...kernels.histories import Array
from ._conditions import condition_sql
from ._selects import actor_sql, event_conditions, sampled
from ._sources import source_sql
from ._statement import Statement, from_events

if TYPE_CHECKING:
    import duckdb

MAX_EVENTS = 60_000_000
"""Events that one question may follow; they take about 40 bytes each."""
_TYPES = ((8, "UTINYINT"), (16, "USMALLINT"), (32, "UINTEGER"), (64, "UBIGINT"))


@frozen(eq=False)
class Fetched:
    """Events in no order, one array per column."""

    actor: Array
    at: Array
    """Microseconds since 1970 UTC."""
    marks: Array
    columns: Mapping[str, Array]
    """Further columns; texts as codes."""
    texts: Mapping[str, Sequence[str]]
    """Per column of texts, what each code stands for."""

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
    actor = actor_sql(selection.actor, statement)
    if selection.actor != "person":
        texts["actor"] = actor
    marks = _marks(tests, selection, statement)
    columns = {
        **({} if "actor" in texts else {"actor": actor}),
        "moment": exp.func("epoch_us", exp.column("timestamp", "events"), dialect="duckdb"),
        "marks": exp.cast(marks.expression, _mark_type(len(tests))),
        **numbers,
        **{name: exp.Coalesce(this=text, expressions=[exp.Literal.string("")]) for name, text in texts.items()},
    }
    parts = event_conditions(
        selection.project_id, None, selection.condition, selection.count_from, selection.count_to, statement
    )
    parts += sampled(selection.sampling, statement)
    select = exp.select(*(exp.alias_(expression, name) for name, expression in columns.items())).where(*parts)
    select = from_events(select, statement)
    select = marks.joined(select, is_outer=keeps_others or not marks.is_exact)
    if not keeps_others and marks.is_partial:
        select = exp.select("*").from_(select.subquery("marked")).where("marks <> 0")
    if selection.actor != "person":
        select = exp.select("*").from_(select.subquery("known")).where("actor <> ''")
    if not texts:
        return _fetched(_run(cursor, statement, select), {})
    return _coded(cursor, statement, select, list(texts))


@frozen
class _Marks:
    """How the marks of an event are found: by its name in a small table, and by tests on top."""

    expression: exp.Expr
    named: Sequence[tuple[exp.Expr, int]]
    is_exact: bool
    """Whether every event of interest is in the table of names."""
    is_partial: bool
    """Whether an event may pass the filters and have no mark."""
    firsts: Sequence[tuple[str, exp.Select]]

    def joined(self, select: exp.Select, *, is_outer: bool) -> exp.Select:
        """Return the SELECT with the tables that the marks are read from."""
        if self.named:
            rows = [exp.Tuple(expressions=[name, exp.Literal.number(bits)]) for name, bits in self.named]
            table = exp.Values(
                expressions=rows,
                alias=exp.TableAlias(
                    this=exp.to_identifier("names"),
                    columns=[exp.to_identifier("event_name"), exp.to_identifier("bits")],
                ),
            )
            same = exp.EQ(this=exp.column("event_name", "names"), expression=exp.column("event", "events"))
            select = select.join(table, on=same, join_type="left" if is_outer else "inner")
        for name, subquery in self.firsts:
            on = exp.EQ(this=exp.column("actor", name), expression=subquery.meta["actor"])
            select = select.join(subquery.subquery(name), on=on, join_type="left")
        return select


def _marks(tests: Sequence[EventTest], selection: Selection, statement: Statement) -> _Marks:
    named: dict[str, int] = {}
    terms: list[exp.Expr] = []
    firsts: list[tuple[str, exp.Select]] = []
    is_exact, is_partial = True, False
    for place, test in enumerate(tests):
        bit = 1 << place
        if test.event is not None:
            named.setdefault(test.event, 0)
        if test.event is not None and test.condition == AllOf() and test.first is None:
            named[test.event] |= bit
            continue
        holds: list[exp.Expr] = []
        if test.event is not None:
            holds.append(exp.EQ(this=exp.column("event", "events"), expression=statement.bind(test.event)))
        if test.condition != AllOf():
            holds.append(condition_sql(test.condition, statement))
        if test.first is not None:
            first = _first(test, selection, statement)
            firsts.append((f"first_{place}", first))
            holds.append(
                exp.EQ(this=exp.column("timestamp", "events"), expression=exp.column("moment", f"first_{place}"))
            )
        is_exact &= test.event is not None
        is_partial |= bool(holds)
        number = exp.Literal.number(bit)
        condition = exp.and_(*holds) if holds else exp.true()
        terms.append(exp.Case(ifs=[exp.If(this=condition, true=number)], default=exp.Literal.number(0)))
    if named:
        base = exp.column("bits", "names")
        terms.insert(0, exp.Coalesce(this=base, expressions=[exp.Literal.number(0)]))
    found = terms[0] if terms else exp.Literal.number(0)
    for term in terms[1:]:
        found = exp.Add(this=found, expression=term)
    names = [(statement.bind(name), bits) for name, bits in named.items()]
    return _Marks(found, names, is_exact and bool(named), is_partial or not tests, firsts)


def _first(test: EventTest, selection: Selection, statement: Statement) -> exp.Select:
    """Return a SELECT of (actor, moment) of each actor's first event ever, of the name or of those that match."""
    inner = statement.inner()
    condition: Condition = AllOf()
    if test.first == "matching":
        condition = all_of([selection.condition, test.condition])
    parts = event_conditions(selection.project_id, test.event, condition, None, selection.count_to, inner)
    actor = actor_sql(selection.actor, inner)
    moment = exp.Min(this=exp.column("timestamp", "events"))
    select = exp.select(exp.alias_(actor, "actor"), exp.alias_(moment, "moment")).where(*parts).group_by("1")
    found = from_events(select, inner)
    found.meta["actor"] = actor_sql(selection.actor, statement)
    return found


def _mark_type(n_marks: int) -> exp.DataType:
    return exp.DataType.build(next(name for bits, name in _TYPES if n_marks <= bits), dialect="duckdb")


def _run(cursor: duckdb.DuckDBPyConnection, statement: Statement, select: exp.Select) -> dict[str, Any]:
    text, parameters = statement.render(select.limit(MAX_EVENTS + 1))
    return _bounded(cursor.execute(text, parameters).fetchnumpy())


def _bounded(columns: dict[str, Any]) -> dict[str, Any]:
    if len(columns["moment"]) > MAX_EVENTS:
        raise QueryTooLarge(f"The query follows more than {MAX_EVENTS} events.", path="query")
    return columns


def _fetched(columns: dict[str, Any], texts: Mapping[str, Sequence[str]]) -> Fetched:
    arrays = {name: np.ma.getdata(column) for name, column in columns.items()}
    return Fetched(arrays.pop("actor"), arrays.pop("moment"), arrays.pop("marks"), arrays, texts)


def _coded(
    cursor: duckdb.DuckDBPyConnection, statement: Statement, select: exp.Select, names: Sequence[str]
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
    return _fetched(columns, found)


def joined_text(sources: Sequence[Source], statement: Statement) -> exp.Expr:
    """Return several texts as one: a single one as it is, others as a JSON list."""
    texts = [exp.Coalesce(this=source_sql(one, statement), expressions=[exp.Literal.string("")]) for one in sources]
    if len(texts) == 1:
        return texts[0]
    return exp.cast(exp.func("to_json", exp.Array(expressions=texts), dialect="duckdb"), "VARCHAR")
