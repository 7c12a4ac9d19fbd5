"""The tables of HogQL: each is a SELECT over stored rows of the project alone, with the columns that the query reads.

No other table can be named, and none of these can be read without its project filter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import Factory, define, evolve, field
from sqlglot import exp

from .....domain.queries.plan import Condition
from .._conditions import condition_sql
from .._sessions import FIELDS as SESSION_FIELDS
from .._sessions import field_sql, sessions
from .._statement import Statement, from_events, of_project
from ._conversions import Environment
from ._row import EVENT_COLUMNS, event_field, person_uuid, session_value, typed
from ._translate import Call
from ._types import BOOL, INSTANT, INT, STRING, TRUTH, Type, Value, cast, coalesce, nullable, number, or_empty

MAX_NUMBERS = 1_000_000
Fields = dict[str, Callable[[], Value]]


@define
class Relation:
    """Something in FROM: gives its fields as columns, and at last the SELECT that has them."""

    alias: str
    """Ours; what the query calls it is known to the scope alone."""
    is_optional: bool = False
    """Whether an outer join may leave its row out: ClickHouse then gives empty values, not NULL."""
    _columns: dict[str, tuple[str, Value]] = Factory(dict)

    def field(self, parts: Sequence[str | int], node: exp.Expr, env: Environment) -> Value | None:
        """Return a field as a column of the relation, None when it has none of this name."""
        value = self._column(parts, node, env)
        if value is None or not self.is_optional:
            return value
        return evolve(value, sql=or_empty(value.sql, value.type), identity=None, is_json=False)

    def _column(self, parts: Sequence[str | int], node: exp.Expr, env: Environment) -> Value | None:
        key = repr(tuple(parts))
        if key not in self._columns:
            value = self._made(parts, node, env)
            if value is None:
                return None
            self._columns[key] = (f"f{len(self._columns)}", value)
        name, value = self._columns[key]
        identity = self._identity(f"{key} id", value.identity) if value.identity is not None else None
        return evolve(value, sql=exp.column(name, self.alias), identity=identity)

    def star(self) -> list[str]:
        """Return the names that `*` stands for."""
        raise NotImplementedError

    def sql(self) -> exp.Expr:
        """Return the relation for FROM, once every field has been asked for."""
        shown = [exp.alias_(value.sql, name) for name, value in self._columns.values()]
        return self._select(shown or [exp.alias_(number(1), "f0")]).subquery(self.alias)

    def people(self, condition: Condition, call_: Call, key: str) -> exp.Expr:
        """Return whether the row's person fulfils a condition on persons; the same column for the same key."""
        del condition, key
        return call_.refuse("Only rows that have a person can be in a cohort")

    def _kept(self, truth: exp.Expr, key: str = "") -> exp.Expr:
        """Return a column with what holds of a row, the one there is for the key."""
        key = f"condition {key or len(self._columns)}"
        name, _ = self._columns.setdefault(key, (f"f{len(self._columns)}", Value(truth, TRUTH)))
        return exp.column(name, self.alias)

    def _identity(self, key: str, sql: exp.Expr) -> exp.Expr:
        if key not in self._columns:
            self._columns[key] = (f"f{len(self._columns)}", Value(sql, INT))
        return exp.column(self._columns[key][0], self.alias)

    def _made(self, parts: Sequence[str | int], node: exp.Expr, env: Environment) -> Value | None:
        raise NotImplementedError

    def _select(self, shown: list[exp.Expr]) -> exp.Select:
        raise NotImplementedError


@define
class Events(Relation):
    """`events`, with the person, groups and session that each belongs to."""

    statement: Statement = field(kw_only=True)

    def star(self) -> list[str]:
        """Return the plain columns."""
        return list(EVENT_COLUMNS)

    def condition(self, condition: Condition, key: str = "") -> exp.Expr:
        """Return whether the event fulfils a plan's condition; the same column for the same key."""
        return self._kept(condition_sql(condition, self.statement), key)

    def people(self, condition: Condition, call_: Call, key: str) -> exp.Expr:
        """Return whether the event's person fulfils the condition."""
        del call_
        return self.condition(condition, key)

    def _made(self, parts: Sequence[str | int], node: exp.Expr, env: Environment) -> Value | None:
        return event_field(list(parts), self.statement, node, env)

    def _select(self, shown: list[exp.Expr]) -> exp.Select:
        return from_events(exp.select(*shown), self.statement).where(of_project("events", self.statement))


@define
class Stored(Relation):
    """A table whose rows are read as they are: its fields by name, and how to select them."""

    fields: Fields = Factory(dict)
    properties: str | None = None
    """The table with JSON properties, when it has some; `definition` is how these are defined."""
    definition: str = "person"
    base: Callable[[set[str]], exp.Select] = field(kw_only=True)
    """Gives the SELECT without columns, for the first parts of the names that were asked for."""
    plain: tuple[str, ...] = ()
    statement: Statement | None = None
    """Of tables whose rows belong to a person, the row of `persons` joined to them; None: they do not."""
    reads_person: str = "id"
    """Name of a field that has the row of `persons` joined."""
    read: set[str] = Factory(set)

    def star(self) -> list[str]:
        """Return the plain columns."""
        return list(self.plain)

    def people(self, condition: Condition, call_: Call, key: str) -> exp.Expr:
        """Return whether the row's person fulfils a condition on persons."""
        if self.statement is None:
            call_.refuse("Rows of this table have no person, who could be in a cohort")
        return self.condition(condition, key)

    def condition(self, condition: Condition, key: str = "") -> exp.Expr:
        """Return whether the row's person fulfils a condition on persons."""
        assert self.statement is not None
        return self.added(condition_sql(condition, self.statement.inner("persons")), key)

    def added(self, truth: exp.Expr, key: str = "") -> exp.Expr:
        """Return a column with what holds of the row of `persons`; false for a row without one."""
        self.read.add(self.reads_person)
        return self._kept(coalesce(truth, exp.false()), key)

    def _made(self, parts: Sequence[str | int], node: exp.Expr, env: Environment) -> Value | None:
        keys = list(parts)
        prefix, table = "", self.properties
        if keys[0] == "person" and "person.properties" in self.fields and len(keys) > 1:
            prefix, table, keys = "person.", "persons", keys[1:]
        if keys[0] == "pdi" and len(keys) == 2:
            prefix, keys = "pdi.", keys[1:]
        if keys[0] == "properties" and len(keys) > 1 and table is not None:
            self.read.add(f"{prefix}properties")
            found = Value(_json_text(table, str(keys[1]), env), nullable(STRING))
            return typed(found, keys[1:], (self.definition, str(keys[1])), node, env)
        make = self.fields.get(f"{prefix}{keys[0]}") if len(keys) == 1 else None
        if make is None:
            return None
        self.read.add(f"{prefix}{keys[0]}")
        return make()

    def _select(self, shown: list[exp.Expr]) -> exp.Select:
        return self.base(self.read).select(*shown)


@define
class Derived(Relation):
    """A subquery or a CTE: its columns by the names that its SELECT gave them."""

    query: exp.Expr | None = None
    """None for a CTE, which is named instead."""
    name: str = ""
    names: tuple[str, ...] = ()
    types: tuple[Type, ...] = ()

    def star(self) -> list[str]:
        """Return all of its columns."""
        return list(self.names)

    def _column(self, parts: Sequence[str | int], node: exp.Expr, env: Environment) -> Value | None:
        from ._conversions import constant  # noqa: PLC0415
        from ._operators import element  # noqa: PLC0415

        first = ".".join(map(str, parts))
        whole = first in self.names
        if not whole and parts[0] not in self.names:
            return None
        place = self.names.index(first if whole else str(parts[0]))
        value = Value(exp.column(f"c{place}", self.alias), self.types[place])
        for part in () if whole else parts[1:]:
            value = element(value, constant(part, env), env, node)
        return value

    def sql(self) -> exp.Expr:
        """Return the subquery, or the CTE's name."""
        if self.query is None:
            return exp.to_table(self.name, alias=self.alias)
        return exp.Subquery(this=self.query, alias=exp.TableAlias(this=exp.to_identifier(self.alias)))


def relation_of(name: str, arguments: Sequence[Any] | None, alias: str, env: Environment) -> Relation | None:
    """Return the table of a name, None when there is none; `arguments` are those of a table function."""
    if arguments is not None:
        return _numbers(alias, arguments) if name == "numbers" and 1 <= len(arguments) <= 2 else None
    make = TABLES.get(name)
    return make(alias, env) if make else None


def _events(alias: str, env: Environment) -> Relation:
    return Events(alias, statement=env.statement.inner())


def _persons(alias: str, env: Environment) -> Relation:
    statement = env.statement

    def base(read: set[str]) -> exp.Select:
        select = exp.select().from_("persons").where(of_project("persons", statement))
        if any(name.startswith("pdi.") for name in read):
            select = select.join(
                exp.to_table("distinct_ids"), on=_same_person("distinct_ids", "persons"), join_type="left"
            )
        return select

    fields: Fields = {
        **_person_fields(),
        "pdi.distinct_id": lambda: Value(exp.column("distinct_id", "distinct_ids"), nullable(STRING)),
        "pdi.person_id": _person_id,
    }
    return Stored(alias, fields=fields, properties="persons", base=base, statement=statement,
                  plain=("id", "created_at", "properties", "is_identified"))  # fmt: skip


def _person_fields(prefix: str = "", *, may_miss: bool = False) -> Fields:
    def made(kind: Type) -> Type:
        return nullable(kind, when=may_miss)

    return {
        f"{prefix}id": lambda: _person_id(may_miss=may_miss),
        f"{prefix}created_at": lambda: Value(exp.column("created_at", "persons"), made(INSTANT)),
        f"{prefix}properties": lambda: Value(exp.column("properties", "persons"), made(STRING), is_json=True),
        f"{prefix}is_identified": lambda: Value(exp.column("is_identified", "persons"), made(BOOL)),
    }


def _person_id(*, may_miss: bool = False) -> Value:
    uuid = cast(exp.column("uuid", "persons"), "VARCHAR")
    return Value(uuid, nullable(STRING, when=may_miss), identity=exp.column("person_id", "persons"))


def _person_distinct_ids(alias: str, env: Environment) -> Relation:
    statement = env.statement

    def base(read: set[str]) -> exp.Select:
        select = exp.select().from_("distinct_ids").where(of_project("distinct_ids", statement))
        if read - {"distinct_id"}:
            select = select.join(exp.to_table("persons"), on=_same_person("persons", "distinct_ids"), join_type="left")
        return select

    def person_id() -> Value:
        made = coalesce(
            cast(exp.column("uuid", "persons"), "VARCHAR"),
            person_uuid(exp.column("project_id", "distinct_ids"), exp.column("distinct_id", "distinct_ids")),
        )
        return Value(made, STRING, identity=exp.column("person_id", "distinct_ids"))

    fields: Fields = {
        "distinct_id": lambda: Value(exp.column("distinct_id", "distinct_ids"), STRING),
        "person_id": person_id,
        **_person_fields("person.", may_miss=True),
    }
    return Stored(alias, fields=fields, base=base, statement=statement, reads_person="person.id",
                  plain=("distinct_id", "person_id"))  # fmt: skip


def _groups(alias: str, env: Environment) -> Relation:
    def base(_: set[str]) -> exp.Select:
        return exp.select().from_("groups").where(of_project("groups", env.statement))

    fields: Fields = {
        "index": lambda: Value(cast(exp.column("group_type_index", "groups"), "BIGINT"), Type("UInt8")),
        "key": lambda: Value(exp.column("group_key", "groups"), STRING),
        "created_at": lambda: Value(exp.column("created_at", "groups"), INSTANT),
        "updated_at": lambda: Value(exp.column("known_at", "groups"), INSTANT),
        "properties": lambda: Value(exp.column("properties", "groups"), STRING, is_json=True),
    }
    return Stored(alias, fields=fields, properties="groups", definition="group", base=base,
                  plain=("index", "key", "created_at", "updated_at", "properties"))  # fmt: skip


def _sessions(alias: str, env: Environment) -> Relation:
    def base(_: set[str]) -> exp.Select:
        inner = sessions(env.statement.columns).where(of_project("events", env.statement))
        return exp.select().from_(inner.subquery("sessions"))

    def made(name: str) -> Callable[[], Value]:
        return lambda: session_value(name, field_sql(name))

    fields: Fields = {name: made(name) for name in SESSION_FIELDS}
    fields["id"] = fields["session_id"]
    return Stored(alias, fields=fields, base=base, plain=tuple(SESSION_FIELDS))


def _static_cohort_people(alias: str, env: Environment) -> Relation:
    return _cohort_people(alias, env, [one.id for one in env.scope.cohorts.values() if one.is_static])


def _cohort_people(alias: str, env: Environment, only: Sequence[int] | None = None) -> Relation:
    statement = env.statement

    def base(_: set[str]) -> exp.Select:
        select = exp.select().from_("cohort_people").where(of_project("cohort_people", statement))
        if only is not None:
            select = select.where(
                exp.In(this=exp.column("cohort_id", "cohort_people"), expressions=[exp.null(), *map(number, only)])
            )
        owner: exp.Expr = exp.column("person_id", "cohort_people")
        if statement.has_merges:
            same = exp.and_(
                exp.EQ(this=exp.column("project_id", "merged"), expression=exp.column("project_id", "cohort_people")),
                exp.EQ(this=exp.column("old_person_id", "merged"), expression=owner),
            )
            select = select.join(exp.to_table("person_overrides", alias="merged"), on=same, join_type="left")
            owner = exp.Coalesce(this=exp.column("person_id", "merged"), expressions=[owner.copy()])
        known = exp.and_(
            exp.EQ(this=exp.column("project_id", "persons"), expression=exp.column("project_id", "cohort_people")),
            exp.EQ(this=exp.column("person_id", "persons"), expression=owner),
        )
        return select.join(exp.to_table("persons"), on=known)

    fields: Fields = {
        "person_id": _person_id,
        "cohort_id": lambda: Value(cast(exp.column("cohort_id", "cohort_people"), "BIGINT"), INT),
    }
    return Stored(alias, fields=fields, base=base, statement=statement, plain=("person_id", "cohort_id"))


def _numbers(alias: str, arguments: Sequence[Any]) -> Relation:
    start, count = (0, arguments[0]) if len(arguments) == 1 else arguments
    last = number(start + count)

    def base(_: set[str]) -> exp.Select:
        return exp.select().from_(exp.Table(this=exp.Anonymous(this="range", expressions=[number(start), last]),
                                            alias=exp.TableAlias(this=exp.to_identifier("numbers"),
                                                                 columns=[exp.to_identifier("number")])))  # fmt: skip

    fields: Fields = {"number": lambda: Value(exp.column("number", "numbers"), Type("UInt64"))}
    return Stored(alias, fields=fields, base=base, plain=("number",))


TABLES: dict[str, Callable[[str, Environment], Relation]] = {
    "events": _events,
    "persons": _persons,
    "person_distinct_ids": _person_distinct_ids,
    "groups": _groups,
    "sessions": _sessions,
    "cohort_people": _cohort_people,
    "static_cohort_people": _static_cohort_people,
}
"""Every table that can be named; `numbers(n)` is one as well."""


def _json_text(table: str, name: str, env: Environment) -> exp.Expr:
    from .._columns import json_pointer  # noqa: PLC0415

    pointer = env.bind(json_pointer(name))
    return exp.func("json_extract_string", exp.column("properties", table), pointer)


def _same_person(one: str, two: str) -> exp.Expr:
    return exp.and_(
        *(exp.EQ(this=exp.column(key, one), expression=exp.column(key, two)) for key in ("project_id", "person_id"))
    )
