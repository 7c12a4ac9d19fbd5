"""The text of something about an event as SQL: properties of the event, its person, groups and session; columns.

The one place that knows where each is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from ....domain.errors import InvalidQuery, UnsupportedQuery
from ....domain.queries.plan import (
    CleanedPath,
    EventColumn,
    EventProperty,
    GroupProperty,
    HogQLExpression,
    PersonProperty,
    SessionField,
    Source,
    TypedText,
)
from ....domain.queries.scope import PathRule, Scope
from ._columns import GROUP_KEYS, json_pointer
from ._numbers import shown_number, shown_truth
from ._sessions import field_sql
from ._statement import Statement

if TYPE_CHECKING:
    from .hogql import Wanted

_PLAIN_COLUMNS = frozenset({"event", "distinct_id"})
_TEXT_COLUMNS = {"uuid": "uuid", "timestamp": "timestamp", "created_at": "known_at"}
_NULLABLE_COLUMNS = {
    "elements_chain": "$elements_chain",
    **{name: name for name in ("$elements_chain", "$session_id", *GROUP_KEYS)},
}


def source_sql(source: Source, statement: Statement) -> exp.Expr:
    """Return the text of a source for the statement's row, NULL when it is missing.

    Raises InvalidQuery for a column or session field that there is not.
    """
    match source:
        case EventProperty():
            return property_sql(source, statement)
        case PersonProperty(name):
            return _person_property(source, statement)
        case GroupProperty(index, name):
            return statement.column(f"group_{index}", name, lambda: json_text("properties", name, statement))
        case SessionField(name):
            return statement.column("session", name, lambda: field_sql(name))
        case EventColumn(name):
            return _column(name, statement)
        case TypedText(inner, kind):
            return (shown_number if kind == "Numeric" else shown_truth)(source_sql(inner, statement))
        case CleanedPath(inner, rules):
            return cleaned(source_sql(inner, statement), rules, statement)
        case HogQLExpression(text, path, scope):
            return hogql_sql(text, path, statement, scope=scope)
    raise TypeError(f"{source!r} is no source")


def property_sql(source: EventProperty, statement: Statement) -> exp.Expr:
    """Return the text of an event's property, out of its column if it has one."""
    if statement.base != "events":
        raise UnsupportedQuery("A condition on persons cannot read properties of events.")
    column = statement.property_column(source.name)
    if column is not None:
        return column
    statement.asked.add(source.name)
    return json_text("properties", source.name, statement, table="events")


def json_text(column: str, name: str, statement: Statement, table: str | None = None) -> exp.Expr:
    """Return the text of a top-level key of a JSON object, NULL when it is missing or JSON null."""
    return exp.func("json_extract_string", exp.column(column, table), statement.bind(json_pointer(name)))


def cleaned(text: exp.Expr, rules: tuple[PathRule, ...], statement: Statement) -> exp.Expr:
    """Return a text after path cleaning; a rule that cannot be read changes nothing."""
    for rule in rules:
        if statement.is_pattern(rule.regex, rule.alias):
            text = exp.Anonymous(
                this="regexp_replace",
                expressions=[text, statement.bind(rule.regex), statement.bind(rule.alias), exp.Literal.string("g")],
            )
    return text


def hogql_sql(text: str, path: str, statement: Statement, *, scope: Scope, wants: Wanted = "text") -> exp.Expr:
    """Return a HogQL expression over the row, as `hogql.expression_sql` does. Raises InvalidQuery with the path."""
    from .hogql import expression_sql  # noqa: PLC0415 - start-up time, and it reads sources itself

    return expression_sql(text, statement, path=path, wants=wants, scope=scope)


def _person_property(source: PersonProperty, statement: Statement) -> exp.Expr:
    if source.is_stored and statement.base == "events":
        return statement.column(
            "stored", source.name, lambda: json_text("properties", source.name, statement, table="person_versions")
        )
    if statement.base == "persons":
        return json_text("properties", source.name, statement, table="persons")
    return statement.column(
        "person", source.name, lambda: json_text("properties", source.name, statement, table="persons")
    )


def _column(name: str, statement: Statement) -> exp.Expr:
    if name in _PLAIN_COLUMNS:
        return exp.column(name, "events")
    if name in _NULLABLE_COLUMNS:
        return statement.common_column(_NULLABLE_COLUMNS[name])
    if name in _TEXT_COLUMNS:
        return exp.cast(exp.column(_TEXT_COLUMNS[name], "events"), "VARCHAR")
    if name == "person_id":
        from .hogql._row import person_id_of  # noqa: PLC0415 - as above

        return person_id_of(statement).sql
    raise InvalidQuery(f"An event has no column '{name}'.")
