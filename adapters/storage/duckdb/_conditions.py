"""Conditions of a plan as SQL that is true or false, never NULL."""

from __future__ import annotations

from sqlglot import exp

from ....domain.queries.plan import (
    AllOf,
    AnyOf,
    CleanedPath,
    Condition,
    ElementTest,
    HogQLCondition,
    InPeople,
    InstantTest,
    Not,
    PropertyTest,
)
from ._elements import element_sql, some_passes
from ._instants import instant_sql
from ._numbers import number_sql
from ._people import people_sql
from ._sources import cleaned, hogql_sql, source_sql
from ._statement import Statement, person_sql, stored

_COMPARISONS: dict[str, type[exp.Binary]] = {"gt": exp.GT, "gte": exp.GTE, "lt": exp.LT, "lte": exp.LTE}
NEGATIVE = {"is_not": "exact", "not_icontains": "icontains", "not_regex": "regex"}


def condition_sql(condition: Condition, statement: Statement) -> exp.Expr:
    """Return a condition that is true or false, never NULL."""
    match condition:
        case AllOf(parts):
            return exp.and_(*(condition_sql(part, statement) for part in parts)) if parts else exp.true()
        case AnyOf(parts):
            return exp.or_(*(condition_sql(part, statement) for part in parts)) if parts else exp.false()
        case Not(part):
            return exp.not_(exp.paren(condition_sql(part, statement)))
        case PropertyTest():
            return _test_sql(condition, statement)
        case InstantTest():
            return _instant_test(condition, statement)
        case ElementTest():
            return element_sql(condition, statement, text_test)
        case InPeople(people):
            return exp.In(this=person_sql(statement), query=people_sql(people, statement, condition_sql).subquery())
        case HogQLCondition(text, path, scope):
            return hogql_sql(text, path, statement, scope=scope, wants="truth")
    raise TypeError(f"{condition!r} is no condition")


def _test_sql(test: PropertyTest, statement: Statement) -> exp.Expr:
    text = source_sql(test.source, statement)
    if test.operator in ("is_set", "is_not_set"):
        is_missing = exp.Is(this=text, expression=exp.null())
        return is_missing if test.operator == "is_not_set" else exp.not_(is_missing)
    if test.is_of_elements:
        listed = exp.TryCast(this=text, to=exp.DataType.build("JSON"))
        texts = exp.func("json_extract_string", listed, exp.Literal.string("$[*]"), dialect="duckdb")
        return some_passes(test, texts, statement, text_test)
    return text_test(test, text, statement)


def text_test(test: PropertyTest, text: exp.Expr, statement: Statement) -> exp.Expr:
    """Return whether the text passes the test's operator and values: true or false also for NULL."""
    if "regex" in test.operator and not all(statement.is_pattern(value) for value in test.values):
        return exp.false()
    operator = NEGATIVE.get(test.operator, test.operator)
    values = test.values
    matches: exp.Expr
    if operator == "exact":
        matches = _equals(test, text, statement)
    else:
        matches = exp.or_(*(_match(operator, text, value, statement) for value in values))
    known = exp.Coalesce(this=exp.paren(matches), expressions=[exp.false()])
    return exp.not_(known) if test.operator in NEGATIVE else known


def _equals(test: PropertyTest, text: exp.Expr, statement: Statement) -> exp.Expr:
    bound: list[exp.Expr] = [statement.bind(value) for value in test.values]
    if isinstance(test.source, CleanedPath):
        bound = [cleaned(value, test.source.rules, statement) for value in bound]
    same: exp.Expr = (
        exp.EQ(this=text.copy(), expression=bound[0]) if len(bound) == 1 else exp.In(this=text, expressions=bound)
    )
    numbers = [number for value in test.values if (number := _number(value)) is not None]
    if test.compares_as not in ("Numeric", "Duration") or not numbers:
        return same
    bound = [statement.bind(number) for number in numbers]
    return exp.or_(same, exp.In(this=number_sql(text.copy()), expressions=bound))


def _match(operator: str, text: exp.Expr, value: str, statement: Statement) -> exp.Expr:
    if operator == "icontains":
        return exp.ILike(this=text.copy(), expression=statement.bind(f"%{value}%"))
    if operator == "contains":
        return exp.Like(this=text.copy(), expression=statement.bind(f"%{value}%"))
    if operator == "regex":
        return exp.func("regexp_matches", text.copy(), statement.bind(value), dialect="duckdb")
    number = _number(value)
    if number is None:
        return exp.false()
    return _COMPARISONS[operator](this=number_sql(text.copy()), expression=statement.bind(number))


def _number(value: str) -> float | None:
    try:
        number = float(value.replace(" ", "").replace("_", "x"))
    except ValueError:
        return None
    return None if number != number else number  # noqa: PLR0124 - not a number


def _instant_test(test: InstantTest, statement: Statement) -> exp.Expr:
    moment = instant_sql(source_sql(test.source, statement), statement.bind(test.zone))
    parts: list[exp.Expr] = []
    if test.since is not None:
        parts.append(exp.GTE(this=moment.copy(), expression=statement.bind(stored(test.since))))
    if test.until is not None:
        parts.append(exp.LT(this=moment.copy(), expression=statement.bind(stored(test.until))))
    return exp.Coalesce(this=exp.paren(exp.and_(*parts)), expressions=[exp.false()])
