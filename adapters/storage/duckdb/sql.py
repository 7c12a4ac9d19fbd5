"""Plans as DuckDB SQL: sqlglot expressions whose values are all bound parameters; user input never becomes SQL text.

Holds no connection. SQL never asks for the time: every instant comes from the plan.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from attrs import Factory, define
from sqlglot import exp

from ....domain.queries.plan import AllOf, AnyOf, Condition, EventProperty, PropertyTest, Ranking, TrendPlan
from ._buckets import bucket_index
from ._hot import column_of

_COMPARISONS: dict[str, type[exp.Binary]] = {"gt": exp.GT, "gte": exp.GTE, "lt": exp.LT, "lte": exp.LTE}
_NEGATIVE = {"is_not": "exact", "not_icontains": "icontains", "not_regex": "regex"}


@define
class Statement:
    """A statement under construction: gives out the placeholders and remembers what is bound to them."""

    is_pattern: Callable[[str], bool]
    """Tells whether RE2 understands a pattern; one that it does not matches nothing, in either direction."""
    has_merges: bool = False
    """Whether persons were merged, so that the override map must be read."""
    parameters: dict[str, Any] = Factory(dict)

    def bind(self, value: Any) -> exp.Expr:
        """Return a placeholder for the value."""
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value
        return exp.Parameter(this=exp.Var(this=name))

    def render(self, query: exp.Expr) -> tuple[str, dict[str, Any]]:
        """Return the SQL text and the parameters that occur in it."""
        used = {parameter.name for parameter in query.find_all(exp.Parameter)}
        return query.sql(dialect="duckdb"), {name: self.parameters[name] for name in used}


def trend(plan: TrendPlan, statement: Statement) -> exp.Expr:
    """Return a SELECT of (bucket, breakdown value, number, is_rest) as the plan describes them."""
    numbers = _numbers(plan, statement)
    if plan.ranking is None:
        return exp.select("bucket", "value", "n", _as(exp.false(), "is_rest")).from_(numbers.subquery("numbers"))
    ranks = exp.select("value", _as(_rank(plan.ranking), "place")).from_("numbers").group_by("value")
    is_rest = exp.GT(this=exp.column("place"), expression=exp.Literal.number(plan.ranking.limit))
    shown = exp.Case(ifs=[exp.If(this=is_rest.copy(), true=exp.null())], default=exp.column("value", "numbers"))
    same = exp.NullSafeEQ(this=exp.column("value", "numbers"), expression=exp.column("value", "ranks"))
    return (
        exp.select("bucket", _as(shown, "shown"), _as(exp.Sum(this=exp.column("n")), "n"), _as(is_rest, "is_rest"))
        .from_("numbers")
        .join(exp.to_table("ranks"), on=same)
        .group_by("1", "2", "4")
        .with_("numbers", as_=numbers)
        .with_("ranks", as_=ranks)
    )


def _numbers(plan: TrendPlan, statement: Statement) -> exp.Select:
    """Return a SELECT of (bucket, value, n) with every breakdown value."""
    bucket = bucket_index(plan.edges, exp.column("timestamp"))
    value: exp.Expr = exp.cast(exp.null(), "VARCHAR")
    if plan.breakdown is not None:
        value = exp.Nullif(this=property_sql(plan.breakdown, statement), expression=exp.Literal.string(""))
    source = exp.select().from_("events").where(event_condition(plan, statement))
    if plan.unit == "events":
        return source.select(_as(bucket, "bucket"), _as(value, "value"), _as(_count(), "n")).group_by("1", "2")
    inner = _with_person(source, statement).select(_as(value, "value"))
    if plan.unit == "new_persons":
        inner = inner.select(_as(exp.Min(this=bucket), "bucket")).group_by("1", "2")
    else:
        inner = inner.select(_as(bucket, "bucket")).distinct()
    return exp.select("bucket", "value", _as(_count(), "n")).from_(inner.subquery("active")).group_by("1", "2")


def _with_person(source: exp.Select, statement: Statement) -> exp.Select:
    """Return the SELECT with the person that the event's person has become by merges, if there were any."""
    written = exp.column("person_id", "events")
    if not statement.has_merges:
        return source.select(_as(written, "person"))
    same = exp.and_(
        exp.EQ(this=exp.column("project_id", "merged"), expression=exp.column("project_id", "events")),
        exp.EQ(this=exp.column("old_person_id", "merged"), expression=written.copy()),
    )
    return source.join(exp.to_table("person_overrides", alias="merged"), on=same, join_type="left").select(
        _as(exp.Coalesce(this=exp.column("person_id", "merged"), expressions=[written]), "person")
    )


def _rank(ranking: Ranking) -> exp.Expr:
    order = [exp.Ordered(this=exp.Sum(this=exp.column("n")), desc=True), exp.Ordered(this=exp.column("value"))]
    if ranking.null_ranks_last:
        order.insert(0, exp.Ordered(this=exp.Is(this=exp.column("value"), expression=exp.null())))
    return exp.Window(this=exp.RowNumber(), order=exp.Order(expressions=order))


def event_condition(plan: TrendPlan, statement: Statement) -> exp.Expr:
    """Return which events the plan reads."""
    parts: list[exp.Expr] = [
        exp.EQ(this=exp.column("project_id", "events"), expression=statement.bind(plan.project_id)),
        exp.GTE(this=exp.column("timestamp"), expression=statement.bind(stored(plan.count_from))),
        exp.LTE(this=exp.column("timestamp"), expression=statement.bind(stored(plan.count_to))),
    ]
    if plan.event is not None:
        parts.append(exp.EQ(this=exp.column("event"), expression=statement.bind(plan.event)))
    if plan.condition != AllOf():
        parts.append(condition_sql(plan.condition, statement))
    return exp.and_(*parts)


def stored(moment: datetime) -> datetime:
    """Return an instant as the `timestamp` column holds it: UTC without zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def property_sql(source: EventProperty, statement: Statement) -> exp.Expr:
    """Return the text of a property, NULL when it is missing or JSON null.

    The one place that knows where properties are kept: hot ones in columns, all of them in the JSON text.
    """
    hot = column_of(source.name)
    if hot is not None:
        return exp.column(hot, "events")
    return exp.func("json_extract_string", exp.column("properties"), statement.bind(json_pointer(source.name)))


def json_pointer(name: str) -> str:
    """Return the JSON pointer (RFC 6901) of a top-level key, whatever characters it has."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def condition_sql(condition: Condition, statement: Statement) -> exp.Expr:
    """Return a condition that is true or false, never NULL."""
    if isinstance(condition, AllOf):
        return (
            exp.and_(*(condition_sql(part, statement) for part in condition.parts)) if condition.parts else exp.true()
        )
    if isinstance(condition, AnyOf):
        return (
            exp.or_(*(condition_sql(part, statement) for part in condition.parts)) if condition.parts else exp.false()
        )
    return _test_sql(condition, statement)


def _test_sql(test: PropertyTest, statement: Statement) -> exp.Expr:
    text = property_sql(test.source, statement)
    if test.operator == "is_set":
        return exp.not_(exp.Is(this=text, expression=exp.null()))
    if test.operator == "is_not_set":
        return exp.Is(this=text, expression=exp.null())
    positive = _NEGATIVE.get(test.operator)
    values = test.values
    if "regex" in test.operator and not all(statement.is_pattern(value) for value in values):
        return exp.false()
    operator = positive or test.operator
    matches: exp.Expr
    if operator == "exact" and len(values) > 1:
        matches = exp.In(this=text, expressions=[statement.bind(value) for value in values])
    else:
        matches = exp.or_(*(_match(operator, text, value, statement) for value in values))
    known = exp.Coalesce(this=exp.paren(matches), expressions=[exp.false()])
    return exp.not_(known) if positive else known


def _match(operator: str, text: exp.Expr, value: str, statement: Statement) -> exp.Expr:
    if operator == "exact":
        return exp.EQ(this=text.copy(), expression=statement.bind(value))
    if operator == "icontains":
        return exp.ILike(this=text.copy(), expression=statement.bind(f"%{value}%"))
    if operator == "regex":
        return exp.func("regexp_matches", text.copy(), statement.bind(value), dialect="duckdb")
    number = _number(value)
    if number is None:
        return exp.false()
    return _COMPARISONS[operator](this=number_sql(text.copy()), expression=statement.bind(number))


def number_sql(text: exp.Expr) -> exp.Expr:
    """Return the text as a 64-bit float, NULL when it is none.

    NOTE: blanks are removed as PostHog does; DuckDB would also read `1_000` and `nan`, which are no numbers here.
    """
    compact = exp.func("replace", exp.func("replace", text, exp.Literal.string(" "), exp.Literal.string("")),
                       exp.Literal.string("_"), exp.Literal.string("x"))  # fmt: skip
    return exp.Nullif(
        this=exp.TryCast(this=compact, to=exp.DataType.build("DOUBLE")),
        expression=exp.cast(exp.Literal.string("nan"), "DOUBLE"),
    )


def _number(value: str) -> float | None:
    try:
        number = float(value.replace(" ", "").replace("_", "x"))
    except ValueError:
        return None
    return None if number != number else number  # noqa: PLR0124 - not a number


def _count() -> exp.Expr:
    return exp.Count(this=exp.Star())


def _as(expression: exp.Expr, name: str) -> exp.Expr:
    return exp.alias_(expression, name)
