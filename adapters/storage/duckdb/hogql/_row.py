"""Names over the events row: its columns and properties, the person, groups and session it belongs to.

The same names over the persons row, for conditions on persons. Where each is kept is known to `_sources` alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from attrs import frozen
from sqlglot import exp

from .....domain.queries.actions import belonging
from .....domain.queries.nodes import PropertyFilter
from .....domain.queries.plan import Condition, EventColumn, EventProperty, GroupProperty, PersonProperty, SessionField
from .....domain.queries.properties import condition
from .._conditions import condition_sql
from .._sources import source_sql
from .._statement import Statement, person_sql
from ._conversions import Environment, instant_sql, to_float
from ._operators import json_key
from ._translate import Call
from ._types import (
    BOOL,
    INSTANT,
    INT,
    STRING,
    UUID,
    Type,
    Value,
    array_of,
    call,
    cast,
    coalesce,
    nullable,
    number,
    text,
    try_cast,
)

EVENT_COLUMNS = (
    "uuid", "event", "properties", "timestamp", "distinct_id", "elements_chain", "created_at", "$session_id",
    "$window_id", "person_id", "$group_0", "$group_1", "$group_2", "$group_3", "$group_4",
)  # fmt: skip
"""Fields of the events row that stand alone; `elements_chain_...` and those behind a dot are in `docs/hogql.md`."""
SESSION_TYPES: dict[str, Type] = {
    "session_id": STRING, "$start_timestamp": INSTANT, "$end_timestamp": INSTANT, "$session_duration": INT,
    "duration": INT, "distinct_id": STRING, "$num_uniq_urls": Type("UInt64"), "$pageview_count": Type("UInt64"),
    "$autocapture_count": Type("UInt64"), "$screen_count": Type("UInt64"), "$channel_type": STRING, "$is_bounce": BOOL,
}  # fmt: skip
"""Types of a session's fields; those not listed are texts that may be missing."""


@frozen
class EventRow:
    """Names over one event, whose relations are asked of the statement."""

    statement: Statement

    def field(self, parts: Sequence[str | int], node: exp.Expr, env: Environment) -> Value | None:
        """Return the field that a dotted name is, None when there is none."""
        names = list(parts)
        if names[0] == "events" and len(names) > 1:
            names = names[1:]
        return event_field(names, self.statement, node, env)

    def query(self, tree: exp.Query, node: exp.Expr, env: Environment) -> tuple[exp.Expr, tuple[Type, ...]]:
        """Refuse subqueries: an expression is about one event."""
        del tree
        return _no_query(node, env)

    def cohort(self, call_: Call) -> exp.Expr:
        """Return whether the event's person is in a cohort."""
        return _in_cohort(call_, self.statement)

    def action(self, call_: Call) -> exp.Expr:
        """Return whether the event belongs to an action."""
        return condition_sql(wanted_action(call_), self.statement)


def _no_query(node: exp.Expr, env: Environment) -> NoReturn:
    env.refuse("A subquery may not stand in an expression", node)


def _in_cohort(call_: Call, statement: Statement) -> exp.Expr:
    column = call_.arguments[0]
    if not isinstance(column, exp.Column) or column.name not in ("person_id", "id"):
        call_.refuse("Only person_id can be IN COHORT", 0)
    return condition_sql(cohort_condition(call_, call_.env), statement)


def cohort_condition(call_: Call, env: Environment) -> Condition:
    """Return the condition of `person_id IN COHORT`, whose cohort is given by its id or its name."""
    wanted = call_.value(1)
    known = env.scope.cohorts
    if wanted.is_constant and isinstance(wanted.constant, str):
        ids = [cohort.id for cohort in known.values() if cohort.name == wanted.constant and not cohort.is_deleted]
    else:
        ids = [cohort.id for cohort in known.values() if wanted.is_constant and cohort.id == wanted.constant]
    if len(ids) != 1:
        call_.refuse(f"Could not find one cohort {wanted.constant if wanted.is_constant else ''!r}", 1)
    leaf = PropertyFilter(key="id", value=ids[0], type="cohort")
    return condition((leaf,), path=env.path, scope=env.scope)


def wanted_action(call_: Call) -> Condition:
    """Return which events belong to the action that a call gives by its id or its name."""
    wanted = call_.value(0)
    if not wanted.is_constant or type(wanted.constant) not in (str, int):
        call_.refuse("matchesAction needs the id or the name of an action", 0)
    known = call_.env.scope.actions
    if isinstance(wanted.constant, str):
        found = [one for one in known.values() if one.name == wanted.constant and not one.is_deleted]
    else:
        found = [one for one in known.values() if one.id == wanted.constant]
    if len(found) != 1:
        call_.refuse(f"Could not find one action {wanted.constant!r}", 0)
    return belonging(found[0], call_.env.scope)


def event_field(names: list[str | int], statement: Statement, node: exp.Expr, env: Environment) -> Value | None:
    """Return a field of the statement's event."""
    first, rest = names[0], names[1:]
    if not isinstance(first, str):
        return None
    if first == "properties":
        return _event_property(rest, statement, node, env)
    if first in ("person", "poe") and rest:
        return _person(rest, statement, env, is_stored=first == "poe")
    if first == "pdi" and len(rest) == 1 and rest[0] in ("distinct_id", "person_id"):
        return event_field(rest, statement, node, env)
    if first == "pdi" and rest and rest[0] == "person":
        return event_field(rest, statement, node, env)
    if first == "session" and len(rest) == 1:
        return _session(str(rest[0]), statement, env)
    if first.startswith("group_") and first[6:] in ("0", "1", "2", "3", "4") and rest:
        return _group(int(first[6:]), rest, statement, env)
    return None if rest else _column(first, statement, env)


def _column(name: str, statement: Statement, env: Environment) -> Value | None:
    if name in ("event", "distinct_id"):
        return Value(exp.column(name, "events"), STRING)
    if name == "uuid":
        return Value(exp.column("uuid", "events"), UUID)
    if name in ("timestamp", "created_at"):
        return Value(exp.column("timestamp" if name == "timestamp" else "known_at", "events"), INSTANT)
    if name == "person_id":
        return person_id_of(statement)
    if name in EVENT_COLUMNS:
        source = EventProperty("$window_id") if name == "$window_id" else EventColumn(name)
        # COMPAT: these columns are empty, never NULL, in ClickHouse.
        return Value(coalesce(source_sql(source, statement), text("")), STRING)
    if name.startswith("elements_chain_"):
        return elements_part(name, source_sql(EventColumn("elements_chain"), statement))
    del env
    return None


_ELEMENT_PATTERNS = {
    "elements_chain_texts": r'[:"]text="((?:[^"\\]|\\.)*)"', "elements_chain_ids": r'[:"]attr_id="((?:[^"\\]|\\.)*)"',
    "elements_chain_elements": r"(?:^|;)([a-zA-Z0-9_-]+)",
}  # fmt: skip
"""Patterns of what is read out of a chain of elements, by the field's name."""


def elements_part(name: str, chain: exp.Expr) -> Value | None:
    """Return a field that is read out of a chain of elements."""
    chain = coalesce(chain, text(""))
    if name == "elements_chain_href":
        return Value(
            call("regexp_extract", chain, text(r'[:"]href="((?:[^"\\]|\\.)*)"'), exp.Literal.number(1)), STRING
        )
    if name not in _ELEMENT_PATTERNS:
        return None
    found = call("regexp_extract_all", chain, text(_ELEMENT_PATTERNS[name]), exp.Literal.number(1))
    return Value(call("list_distinct", found), array_of(STRING))


def person_id_of(statement: Statement) -> Value:
    """Return the uuid of the event's person; a person without a profile has that of its distinct id."""
    stored = statement.column("person", "uuid:all", lambda: exp.column("uuid", "persons"))
    made = person_uuid(exp.column("project_id", "events"), exp.column("distinct_id", "events"))
    return Value(coalesce(cast(stored, "VARCHAR"), made), STRING, identity=person_sql(statement))


def person_uuid(project_id: exp.Expr, distinct_id: exp.Expr) -> exp.Expr:
    """Return the text of the uuid that a distinct id brings into being, as `domain.person_changes.person_uuid` does."""
    digest = call("md5", call("concat", project_id, text(":"), distinct_id))

    def part(start: int, size: int) -> exp.Expr:
        return call("substring", digest.copy(), number(start), number(size))

    parts = (part(1, 8), part(9, 4), call("concat", text("8"), part(14, 3)),
             call("concat", text("8"), part(18, 3)), part(21, 12))  # fmt: skip
    return call("concat_ws", text("-"), *parts)


def _event_property(keys: list[str | int], statement: Statement, node: exp.Expr, env: Environment) -> Value | None:
    if not keys:
        return Value(exp.column("properties", "events"), STRING, is_json=True)
    found = Value(source_sql(EventProperty(str(keys[0])), statement), nullable(STRING))
    return typed(found, keys, ("event", str(keys[0])), node, env)


def typed(value: Value, keys: list[str | int], definition: tuple[str, str], node: exp.Expr, env: Environment) -> Value:
    """Return a property's text, or a path inside it, as the project's property definitions type it."""
    if len(keys) > 1:
        return json_key(value, keys[1:], env)
    kind = env.scope.property_types.get(definition)
    if kind in ("Numeric", "Duration"):
        return to_float(value, env, node)
    if kind == "Boolean":
        # Of an event's texts only these two are booleans, unlike those that `toBool` reads.
        names = [exp.If(this=text(name), true=exp.Boolean(this=name == "true")) for name in ("true", "false")]
        return Value(exp.Case(this=value.sql, ifs=names), nullable(BOOL))
    if kind == "DateTime":
        return Value(instant_sql(value.sql, env), nullable(INSTANT))
    return value


def _person(names: list[str | int], statement: Statement, env: Environment, *, is_stored: bool) -> Value | None:
    first, rest = names[0], names[1:]
    if first == "id" and not rest:
        return person_id_of(statement)
    if first == "properties" and rest:
        source = PersonProperty(str(rest[0]), is_stored=is_stored or env.scope.persons_mode != "joined")
        found = Value(source_sql(source, statement), nullable(STRING))
        return typed(found, rest, ("person", str(rest[0])), found.sql, env)
    if first == "properties" and is_stored:
        made = statement.column("stored", "properties:all", lambda: exp.column("properties", "person_versions"))
        return Value(made, nullable(STRING), is_json=True)
    if first == "properties":
        made = statement.column("person", "properties:all", lambda: exp.column("properties", "persons"))
        return Value(made, nullable(STRING), is_json=True)
    if first == "created_at" and not rest:
        made = statement.column("person", "created_at:all", lambda: exp.column("created_at", "persons"))
        return Value(made, nullable(INSTANT))
    if first == "is_identified" and not rest:
        made = statement.column("person", "is_identified:all", lambda: exp.column("is_identified", "persons"))
        return Value(made, nullable(BOOL))
    return None


def _group(index: int, names: list[str | int], statement: Statement, env: Environment) -> Value | None:
    first, rest = names[0], names[1:]
    relation = f"group_{index}"
    if first == "properties" and rest:
        found = Value(source_sql(GroupProperty(index, str(rest[0])), statement), nullable(STRING))
        return typed(found, rest, (relation, str(rest[0])), found.sql, env)
    if first == "properties":
        made = statement.column(relation, "properties:all", lambda: exp.column("properties", "groups"))
        return Value(made, nullable(STRING), is_json=True)
    if first in ("created_at", "updated_at") and not rest:
        made = statement.column(relation, "created_at:all", lambda: exp.column("created_at", "groups"))
        return Value(made, nullable(INSTANT))
    if first == "key" and not rest:
        return Value(coalesce(source_sql(EventColumn(f"$group_{index}"), statement), text("")), STRING)
    return None


def _session(name: str, statement: Statement, env: Environment) -> Value | None:
    name = "session_id" if name == "id" else name
    del env
    return session_value(name, source_sql(SessionField(name), statement))


def session_value(name: str, sql: exp.Expr) -> Value:
    """Return a session's field, whose text is given, with its type."""
    kind = SESSION_TYPES.get(name, STRING)
    if kind.is_integer:
        return Value(try_cast(sql, "BIGINT"), nullable(kind))
    if kind.is_instant:
        return Value(try_cast(sql, "TIMESTAMP"), nullable(kind))
    if kind == BOOL:
        return Value(try_cast(sql, "BOOLEAN"), nullable(kind))
    return Value(sql, nullable(kind))


@frozen
class PersonRow:
    """Names over one stored person."""

    statement: Statement

    def field(self, parts: Sequence[str | int], node: exp.Expr, env: Environment) -> Value | None:
        """Return the field that a dotted name is, None when there is none."""
        names = list(parts)
        if names[0] in ("person", "persons") and len(names) > 1:
            names = names[1:]
        if names[0] == "properties" and len(names) > 1:
            source = PersonProperty(str(names[1]))
            found = Value(source_sql(source, self.statement), nullable(STRING))
            return typed(found, names[1:], ("person", str(names[1])), node, env)
        columns = {
            "id": (cast(exp.column("uuid", "persons"), "VARCHAR"), STRING),
            "created_at": (exp.column("created_at", "persons"), INSTANT),
            "is_identified": (exp.column("is_identified", "persons"), BOOL),
        }
        if len(names) == 1 and names[0] in columns:
            return Value(*columns[str(names[0])])
        if names == ["properties"]:
            return Value(exp.column("properties", "persons"), STRING, is_json=True)
        return None

    def query(self, tree: exp.Query, node: exp.Expr, env: Environment) -> tuple[exp.Expr, tuple[Type, ...]]:
        """Refuse subqueries."""
        del tree
        return _no_query(node, env)

    def cohort(self, call_: Call) -> exp.Expr:
        """Return whether the person is in a cohort."""
        return _in_cohort(call_, self.statement)

    def action(self, call_: Call) -> exp.Expr:
        """Refuse: a person is no event."""
        call_.refuse("matchesAction needs events")
