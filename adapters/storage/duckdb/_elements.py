"""Autocapture elements as SQL: patterns over the text of an event's chain (`domain.elements` tells how it reads)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import permutations

from attrs import evolve
from sqlglot import exp

from ....domain.elements import SelectorPart, escaped, parse_selector
from ....domain.queries.plan import ElementTest, EventColumn, PropertyTest
from ._statement import Statement

TextTest = Callable[[PropertyTest, exp.Expr, Statement], exp.Expr]

_QUOTED = r'"(?:\\.|[^"\\])*"'
_ATTRIBUTE = rf"(?:[^\"=;]+={_QUOTED})"
_ELEMENT = rf'(?:[^";]|{_QUOTED})*'
_ANY_BEFORE = rf"^(?:{_ELEMENT};)*"
_CLASSES = r'(?:\.[^.;"]+?)*'
_END = r"(?:;|$)"
_MAX_ORDERED = 3
"""Up to so many classes or attributes are found in any order; more must be sorted, as chains usually are."""


def element_sql(test: ElementTest, statement: Statement, text_test: TextTest) -> exp.Expr:
    """Return whether some element of the event's chain passes the test; an event without a chain has no element."""
    if test.operator in ("is_set", "is_not_set"):
        found = exp.func(
            "regexp_matches", _chain(statement), statement.bind(_has_attribute(test.key)), dialect="duckdb"
        )
        known = exp.Coalesce(this=found, expressions=[exp.false()])
        return exp.not_(known) if test.operator == "is_not_set" else known
    if test.key in ("tag_name", "selector"):
        pattern = "|".join(f"(?:{_pattern(test.key, value)})" for value in test.values)
        test_of_chain = PropertyTest(
            EventColumn("elements_chain"), "regex" if test.operator == "exact" else "not_regex", (pattern,)
        )
        return text_test(test_of_chain, _chain(statement), statement)
    texts, column = _values(test.key, statement), EventColumn("elements_chain")
    if test.key == "text" and test.operator.startswith(("is_not", "not_")):
        each = [PropertyTest(column, test.operator, (value,)) for value in test.values]
        return exp.and_(*(_exists(texts.copy(), one, statement, text_test) for one in each))
    return some_passes(PropertyTest(column, test.operator, test.values), texts, statement, text_test)


def some_passes(test: PropertyTest, values: exp.Expr, statement: Statement, text_test: TextTest) -> exp.Expr:
    """Return whether some text of a list passes the test, or for the negative operators none; none of NULL does."""
    positive = {"is_not": "exact", "not_icontains": "icontains", "not_regex": "regex"}.get(test.operator)
    of_one = evolve(test, operator=positive or test.operator)  # type: ignore[arg-type]
    some = _exists(values, of_one, statement, text_test)
    return exp.not_(some) if positive else some


def _exists(values: exp.Expr, test: PropertyTest, statement: Statement, text_test: TextTest) -> exp.Expr:
    passes = text_test(test, exp.column("x"), statement)
    kept = exp.Anonymous(this="list_filter", expressions=[values, exp.Lambda(this=passes, expressions=[_x()])])
    return exp.Coalesce(
        this=exp.GT(this=exp.func("len", kept, dialect="duckdb"), expression=exp.Literal.number(0)),
        expressions=[exp.false()],
    )


def _chain(statement: Statement) -> exp.Expr:
    return statement.common_column("$elements_chain")


def _x() -> exp.Expr:
    return exp.to_identifier("x")


def _has_attribute(name: str) -> str:
    return rf'(?::|"){name}='


def _values(name: str, statement: Statement) -> exp.Expr:
    """Return the list of what the chain's elements have as `text`, or the one `href` that comes first."""
    pattern = rf'{_has_attribute(name)}"((?:\\.|[^"\\])*)"'
    found: exp.Expr = exp.Anonymous(
        this="regexp_extract_all", expressions=[_chain(statement), statement.bind(pattern), exp.Literal.number(1)]
    )
    if name == "href":
        found = exp.Anonymous(this="list_slice", expressions=[found, exp.Literal.number(1), exp.Literal.number(1)])
    plain = exp.Anonymous(
        this="regexp_replace",
        expressions=[exp.column("x"), statement.bind(r"\\(.)"), statement.bind(r"\1"), exp.Literal.string("g")],
    )
    return exp.Anonymous(this="list_transform", expressions=[found, exp.Lambda(this=plain, expressions=[_x()])])


def _pattern(key: str, value: str) -> str:
    if key == "tag_name":
        return f"{_ANY_BEFORE}{re.escape(value)}(?:[.:;]|$)"
    parts = parse_selector(value)
    if not parts:
        return "^"
    pattern, below = "", parts[-1]
    for part in reversed(parts):
        if pattern:
            pattern += ";" if below.combinator == "child" else rf";(?:{_ELEMENT};)*"
        pattern += _part_pattern(part)
        below = part
    return f"{_ANY_BEFORE}{pattern}{_END}"


def _part_pattern(part: SelectorPart) -> str:
    tag = re.escape(part.tag) if part.tag else r'[^.:;"]*'
    classes = _in_any_order((rf"\.(?:{_class(name)})" for name in part.classes), _CLASSES)
    if not part.attributes:
        return rf"{tag}{classes}(?::{_ATTRIBUTE}*)?"
    attributes = _in_any_order((f"{_names(name)}={_value(value)}" for name, value in part.attributes), f"{_ATTRIBUTE}*")
    return f"{tag}{classes}:{attributes}"


def _class(name: str) -> str:
    plain = re.sub(r"\\(.)", r"\1", name)
    return re.escape(name) if plain == name else f"{re.escape(name)}|{re.escape(plain)}"


def _in_any_order(wanted: Iterable[str], between: str) -> str:
    found = list(wanted)
    if not found:
        return between
    orders = permutations(found) if len(found) <= _MAX_ORDERED else [sorted(found)]
    return "(?:" + "|".join(between + "".join(one + between for one in order) for order in orders) + ")"


def _names(name: str) -> str:
    plain = re.escape(name)
    if name.startswith("nth-"):
        return plain
    return "(?:attr_id|attr__id)" if name == "id" else f"(?:{plain}|attr__{plain})"


def _value(value: str | None) -> str:
    return _QUOTED if value is None else f'"{re.escape(escaped(value))}"'
