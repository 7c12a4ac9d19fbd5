"""Marks of events: which of several tests each fulfils, as one small number per event."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import frozen
from sqlglot import exp

from ....domain.queries.plan import AllOf
from ....domain.queries.properties import all_of
from ....domain.queries.sequence_plans import EventTest, Selection
from ...kernels.histories import Array
from ._conditions import condition_sql
from ._selects import actor_sql, event_conditions
from ._statement import Statement, from_events

MAX_BRANCHES = 8
"""PERF: so many names are read one by one, with zone maps skipping the other events: three of them in 24 ms instead
of 45 out of 10 M events; 20 of them take 103 instead of 73."""
MAX_CASES = 8
_NAMES = "names"
_TYPES = ((8, "UTINYINT"), (16, "USMALLINT"), (32, "UINTEGER"), (64, "UBIGINT"))


@frozen
class Marks:
    """How the code of an event is found: by its name in a small table, and by tests on top."""

    code: exp.Expr
    """A whole number: the marks themselves, or a place in `table`."""
    code_bits: int
    table: Array | None
    """The marks of each code, ascending; None when codes are marks."""
    named: Sequence[tuple[exp.Expr, int]]
    """Names and what the small table says about them."""
    is_exact: bool
    """Whether every event of interest is in the table of names."""
    is_partial: bool
    """Whether an event may pass the filters and have no mark."""
    firsts: Sequence[tuple[str, exp.Select]]

    @property
    def type_name(self) -> str | None:
        """The narrowest type of codes; None when all events have the same."""
        return next((name for bits, name in _TYPES if self.code_bits <= bits), None) if self.code_bits else None

    def branches(self, select: exp.Select) -> exp.Query:
        """Return the SELECT once per name, each with the name's number in place of the small table."""

        def of(name: exp.Expr, number: int) -> exp.Select:
            found = select.copy()
            for column in list(found.find_all(exp.Column)):
                if column.table == _NAMES:
                    column.replace(exp.Literal.number(number))
            return found.where(exp.EQ(this=exp.column("event", "events"), expression=name), copy=False)

        queries: list[exp.Query] = [of(name, number) for name, number in self.named]
        return queries[0] if len(queries) == 1 else exp.union(*queries, distinct=False, copy=False)

    def joined(self, select: exp.Select, *, is_outer: bool) -> exp.Select:
        """Return the SELECT with the tables that the marks are read from."""
        if self.named:
            rows = [exp.Tuple(expressions=[name, exp.Literal.number(bits)]) for name, bits in self.named]
            table = exp.Values(
                expressions=rows,
                alias=exp.TableAlias(
                    this=exp.to_identifier(_NAMES),
                    columns=[exp.to_identifier("event_name"), exp.to_identifier("bits")],
                ),
            )
            same = exp.EQ(this=exp.column("event_name", _NAMES), expression=exp.column("event", "events"))
            select = select.join(table, on=same, join_type="left" if is_outer else "inner", copy=False)
        for name, subquery in self.firsts:
            on = exp.EQ(this=exp.column("actor", name), expression=subquery.meta["actor"])
            select = select.join(subquery.subquery(name), on=on, join_type="left", copy=False)
        return select


def marks_of(tests: Sequence[EventTest], selection: Selection, statement: Statement, *, keeps_others: bool) -> Marks:
    """Return how to tell which tests an event fulfils; bit i of its marks stands for test i."""
    if tests and all(_is_plain(test) for test in tests):
        return _by_name(tests, statement, keeps_others=keeps_others)
    return _by_tests(tests, selection, statement)


def _is_plain(test: EventTest) -> bool:
    return test.event is not None and test.condition == AllOf() and test.first is None


def _by_name(tests: Sequence[EventTest], statement: Statement, *, keeps_others: bool) -> Marks:
    """Return the marks of tests that only ask for names: an event's name gives all of them."""
    names: dict[str, int] = {}
    for place, test in enumerate(tests):
        names[str(test.event)] = names.get(str(test.event), 0) | 1 << place
    known = sorted(names.items(), key=lambda item: item[1])
    first = 1 if keeps_others else 0
    table = np.array([0] * first + [bits for _, bits in known], np.min_scalar_type(max(names.values())))
    named = [(statement.bind(name), place + first) for place, (name, _) in enumerate(known)]
    code: exp.Expr = exp.column("bits", _NAMES)
    if keeps_others and len(named) <= MAX_CASES:
        # PERF: texts of a dictionary are compared once per text; joining takes 20 ns a row.
        ifs = [exp.If(this=_is_named(name), true=exp.Literal.number(number)) for name, number in named]
        code, named = exp.Case(ifs=ifs, default=exp.Literal.number(0)), []
    elif keeps_others:
        code = exp.Coalesce(this=code, expressions=[exp.Literal.number(0)])
    return Marks(code, (len(table) - 1).bit_length(), table, named, is_exact=True, is_partial=False, firsts=())


def _is_named(name: exp.Expr) -> exp.Expr:
    return exp.EQ(this=exp.column("event", "events"), expression=name)


def _by_tests(tests: Sequence[EventTest], selection: Selection, statement: Statement) -> Marks:
    named: dict[str, int] = {}
    terms: list[exp.Expr] = []
    firsts: list[tuple[str, exp.Select]] = []
    is_exact, is_partial = True, False
    for place, test in enumerate(tests):
        bit = 1 << place
        if test.event is not None:
            named.setdefault(test.event, 0)
        if test.event is not None and _is_plain(test):
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
        base = exp.column("bits", _NAMES)
        terms.insert(0, exp.Coalesce(this=base, expressions=[exp.Literal.number(0)]))
    found = terms[0] if terms else exp.Literal.number(0)
    for term in terms[1:]:
        found = exp.Add(this=found, expression=term)
    names = [(statement.bind(name), bits) for name, bits in named.items()]
    return Marks(found, len(tests), None, names, is_exact and bool(named), is_partial or not tests, firsts)


def _first(test: EventTest, selection: Selection, statement: Statement) -> exp.Select:
    """Return a SELECT of (actor, moment) of each actor's first event ever, of the name or of those that match."""
    inner = statement.inner()
    match test.first:
        case "named":
            condition = test.among
        case "selected":
            condition = all_of([selection.condition, test.condition])
        case _:
            condition = test.condition
    parts = event_conditions(selection.project_id, test.event, condition, None, selection.count_to, inner)
    actor = actor_sql(selection.actor, inner)
    moment = exp.Min(this=exp.column("timestamp", "events"))
    select = exp.select(exp.alias_(actor, "actor"), exp.alias_(moment, "moment")).where(*parts).group_by("1")
    found = from_events(select, inner)
    found.meta["actor"] = actor_sql(selection.actor, statement)
    return found
