"""A SELECT under construction: its bound values, and the relations that its expressions read beside their base row.

An expression over an event that needs the person, a group or the session asks for a column with `Statement.column`;
`from_events` then adds what was asked for, and nothing else: without a person property no person is joined.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Protocol

from attrs import Factory, define, evolve, frozen
from sqlglot import exp

from ....domain.errors import UnsupportedQuery
from ._buckets import Run
from ._columns import NOTHING, column_of
from ._sessions import sessions
from ._tables import VERSION_STEP

Base = Literal["events", "persons"]
SESSION_REACH = timedelta(days=1)
"""How far a session may reach out of the asked range and still be seen whole."""


@frozen
class PlanDate:
    """A date of a trend plan that a placeholder stands for, so that the same SQL serves the plan on other dates."""

    of: Literal["since", "until", "run", "edge"]
    """An end of the plan's period, the beginning of a run of its buckets, or an edge of these."""
    place: int = 0
    """Of the run or the edge."""
    moved: timedelta = timedelta()


class PatternCheck(Protocol):
    """Whether RE2 understands a pattern, and a text that replaces its matches."""

    def __call__(self, pattern: str, new: str = "") -> bool: ...


@define
class Statement:
    """Gives out the placeholders and remembers what is bound to them, for one project."""

    project_id: int
    is_pattern: PatternCheck
    """Tells whether RE2 understands a pattern; one that it does not matches nothing, in either direction."""
    has_merges: bool = False
    """Whether persons were merged, so that the override map must be read."""
    person_bits: int = 0
    """The power of two that ids of persons are below, as far as is known; 0: nothing is."""
    columns: Mapping[str, str] = Factory(dict)
    """Properties of events that have a column, and its name."""
    asked: set[str] = Factory(set)
    """Properties of events that are read from the JSON text."""
    base: Base = "events"
    """The table whose rows the expressions are about."""
    period: tuple[datetime, datetime] | None = None
    """The instants between which events are read, when known: sessions outside are not looked at."""
    n_buckets: int = 1
    runs: Sequence[Run] = ()
    """Those of the plan's buckets; none when there is one bucket, whatever the time."""
    parameters: dict[str, Any] = Factory(dict)
    dates: dict[str, PlanDate] = Factory(dict)
    """Which of the parameters are dates of the plan."""
    hogql_paths: list[str] = Factory(list)
    """Where in the query the HogQL texts are that went into the SQL."""
    needed: dict[str, dict[str, exp.Expr]] = Factory(dict)
    """Relation -> column -> what it holds; emptied by `from_events`."""

    def bind(self, value: Any) -> exp.Expr:
        """Return a placeholder for the value."""
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value
        return exp.Parameter(this=exp.Var(this=name))

    def bind_date(self, value: Any, date: PlanDate) -> exp.Expr:
        """Return a placeholder for a value that is a date of the plan."""
        self.dates[f"p{len(self.parameters)}"] = date
        return self.bind(value)

    def bind_end(self, of: Literal["since", "until"], moment: datetime, moved: timedelta = timedelta()) -> exp.Expr:
        """Return a placeholder for an end of the plan's period, moved."""
        return self.bind_date(stored(moment + moved), PlanDate(of, moved=moved))

    def property_column(self, name: str) -> exp.Column | None:
        """Return the column that holds the text of an event's property; None when only the JSON text does."""
        column = column_of(name, self.columns)
        return None if column is None else exp.column(column, "events")

    def common_column(self, name: str) -> exp.Column:
        """Return the column that holds the text of one of the common properties."""
        return exp.column(self.columns.get(name, NOTHING), "events")

    def render(self, query: exp.Expr) -> tuple[str, dict[str, Any]]:
        """Return the SQL text and the parameters that occur in it."""
        used = {parameter.name for parameter in query.find_all(exp.Parameter)}
        return query.sql(dialect="duckdb", copy=False), {name: self.parameters[name] for name in used}

    def inner(self, base: Base = "events") -> Statement:
        """Return a statement for a SELECT inside this one: same values, relations of its own."""
        return evolve(self, base=base, period=None, needed={})

    def need(self, relation: str) -> None:
        """Ask for a relation: `merged`, `person`, `stored` (the person as of the event), `group_0` ..., `session`."""
        if self.base == "persons" and relation != "person":
            raise UnsupportedQuery("A condition on persons reads persons only.")
        self.needed.setdefault(relation, {})

    def column(self, relation: str, name: str, make: Callable[[], exp.Expr]) -> exp.Expr:
        """Return a column of a relation, asking for it; `make` gives its expression over the relation's own table."""
        self.need(relation)
        columns = self.needed[relation]
        alias = next((alias for alias, known in columns.items() if known.meta.get("name") == name), None)
        if alias is None:
            alias = f"c{len(columns)}"
            expression = make()
            expression.meta["name"] = name
            columns[alias] = expression
        return exp.column(alias, relation)


def person_sql(statement: Statement) -> exp.Expr:
    """Return the id of the row's person, after merges."""
    if statement.base == "persons":
        return exp.column("person_id", "persons")
    written = exp.column("person_id", "events")
    if not statement.has_merges:
        return written
    statement.need("merged")
    return exp.Coalesce(this=exp.column("person_id", "merged"), expressions=[written])


def from_events(select: exp.Select, statement: Statement) -> exp.Select:
    """Return the SELECT with its FROM events and the relations that its expressions asked for.

    Call it once all expressions of this SELECT are made; the statement can then be used for the next SELECT. The
    SELECT given is changed: copying it took as long as DuckDB needed to plan it.
    """
    needed, statement.needed = statement.needed, {}
    select = select.from_(exp.Table(this=exp.to_identifier("events")), copy=False)
    if statement.has_merges and ("merged" in needed or "person" in needed):
        select = select.join(
            exp.to_table("person_overrides", alias="merged"), on=_is_merged(), join_type="left", copy=False
        )
    for relation in sorted(needed.keys() - {"merged"}):
        select = _joined(select, relation, needed[relation], statement)
    return select


def from_persons(select: exp.Select, statement: Statement) -> exp.Select:
    """Return the SELECT over the stored persons of the project; the statement's base is `persons`."""
    return select.from_("persons").where(of_project("persons", statement))


def stored(moment: datetime) -> datetime:
    """Return an instant as timestamp columns hold it: UTC without zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def _joined(select: exp.Select, relation: str, columns: dict[str, exp.Expr], statement: Statement) -> exp.Select:
    """Add a relation: a subquery that reads each of its rows' texts once, however many events it has."""
    shown = [exp.alias_(expression, alias) for alias, expression in columns.items()]
    if relation == "person":
        key, mine = exp.column("person_id", "person"), person_sql(statement)
        statement.needed = {}
        table = exp.select("person_id", *shown).from_("persons").where(of_project("persons", statement))
    elif relation == "stored":
        return _with_version(select, shown, statement)
    elif relation == "session":
        key, mine = exp.column("session_id", "session"), statement.common_column("$session_id")
        table = exp.select("session_id", *shown).from_(_sessions(statement).subquery("sessions"))
    else:
        key, mine = exp.column("group_key", relation), statement.common_column(f"${relation}")
        is_type = exp.EQ(this=exp.column("group_type_index"), expression=exp.Literal.number(int(relation[-1])))
        table = exp.select("group_key", *shown).from_("groups").where(of_project("groups", statement), is_type)
    return select.join(table.subquery(relation), on=exp.EQ(this=key, expression=mine), join_type="left", copy=False)


def _with_version(select: exp.Select, shown: list[exp.Expr], statement: Statement) -> exp.Select:
    """Add the version of the person's properties that was current when the event came in."""
    table = exp.select("person_id", "moment", *shown).from_("person_versions")
    table = table.where(of_project("person_versions", statement))
    came_in: exp.Expr = exp.maybe_parse(
        f"epoch_us(events.known_at) * {VERSION_STEP} + epoch_us(events.timestamp)", dialect="duckdb"
    )
    on = exp.and_(
        exp.EQ(this=exp.column("person_id", "stored"), expression=exp.column("person_id", "events")),
        exp.GTE(this=came_in, expression=exp.column("moment", "stored")),
    )
    return select.join(table.subquery("stored"), on=on, join_type="asof left")


def _sessions(statement: Statement) -> exp.Select:
    where = [of_project("events", statement)]
    if statement.period is not None:
        since, until = statement.period
        where += [
            exp.GTE(this=exp.column("timestamp"), expression=statement.bind_end("since", since, -SESSION_REACH)),
            exp.LTE(this=exp.column("timestamp"), expression=statement.bind_end("until", until, SESSION_REACH)),
        ]
    return sessions(statement.columns).where(*where)


def _is_merged() -> exp.Expr:
    return exp.and_(
        exp.EQ(this=exp.column("project_id", "merged"), expression=exp.column("project_id", "events")),
        exp.EQ(this=exp.column("old_person_id", "merged"), expression=exp.column("person_id", "events")),
    )


def of_project(table: str, statement: Statement) -> exp.Expr:
    """Return whether a row of a table is of the statement's project."""
    return exp.EQ(this=exp.column("project_id", table), expression=statement.bind(statement.project_id))
