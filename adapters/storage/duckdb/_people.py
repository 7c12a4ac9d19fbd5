"""Sets of persons as SQL: a SELECT of person ids, for semi joins."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from ....domain.queries.plan import (
    AllOf,
    Condition,
    Listed,
    Members,
    Occurrences,
    People,
    Performed,
    PerformedSequence,
    PersonsWhere,
)
from ._statement import Statement, from_events, from_persons, person_sql, stored

ConditionSql = Callable[[Condition, Statement], exp.Expr]
_COMPARISONS: dict[str, type[exp.Binary]] = {
    "gte": exp.GTE, "lte": exp.LTE, "exact": exp.EQ, "gt": exp.GT, "lt": exp.LT,
}  # fmt: skip


def people_sql(people: People, statement: Statement, condition_sql: ConditionSql) -> exp.Select:
    """Return a SELECT of the ids, after merges, of the persons in the set; an id may come twice."""
    match people:
        case Members(cohort_id):
            return _members(cohort_id, statement)
        case Listed():
            return _listed(people, statement)
        case PersonsWhere(condition):
            inner = statement.inner("persons")
            found = exp.select("persons.person_id").where(condition_sql(condition, inner))
            return from_persons(found, inner)
        case Performed():
            return _performed(people, statement.inner(), condition_sql)
        case PerformedSequence():
            return _sequence(people, statement.inner(), condition_sql)
    raise TypeError(f"{people!r} is no set of persons")


def _members(cohort_id: int, statement: Statement) -> exp.Select:
    found = exp.select("cohort_people.person_id").from_("cohort_people").where(
        exp.EQ(this=exp.column("project_id", "cohort_people"), expression=statement.bind(statement.project_id)),
        exp.EQ(this=exp.column("cohort_id", "cohort_people"), expression=statement.bind(cohort_id)),
    )  # fmt: skip
    if not statement.has_merges:
        return found
    now = exp.Coalesce(this=exp.column("person_id", "merged"), expressions=[exp.column("person_id", "cohort_people")])
    same = exp.EQ(this=exp.column("old_person_id", "merged"), expression=exp.column("person_id", "cohort_people"))
    return found.select(now, append=False).join(
        exp.to_table("person_overrides", alias="merged"), on=same, join_type="left"
    )


def _listed(people: Listed, statement: Statement) -> exp.Select:
    """Return the persons of a list, bound as two parameters however long it is."""
    of_project = exp.EQ(this=exp.column("project_id"), expression=statement.bind(statement.project_id))
    owners = exp.select("person_id").from_("distinct_ids")
    owners = owners.where(of_project, _one_of("distinct_id", people.distinct_ids, statement))
    persons = (
        exp.select("person_id").from_("persons").where(of_project.copy(), _one_of("uuid", people.uuids, statement))
    )
    stored_ones = exp.select("person_id").from_("persons").where(of_project.copy())
    owners = owners.where(exp.In(this=exp.column("person_id"), query=stored_ones.subquery()))
    return exp.select("person_id").from_(exp.union(owners, persons, distinct=False).subquery("listed"))


def _one_of(column: str, values: tuple[str, ...], statement: Statement) -> exp.Expr:
    listed = exp.select(exp.Explode(this=exp.cast(statement.bind(list(values)), "VARCHAR[]")))
    return exp.In(this=exp.cast(exp.column(column), "VARCHAR"), query=listed.subquery())


def _performed(people: Performed, statement: Statement, condition_sql: ConditionSql) -> exp.Select:
    begins = [one.since for one in people.occurrences]
    where = _matches(people.event, people.condition, statement, condition_sql)
    where.append(_timestamp(exp.LTE, max(one.until for one in people.occurrences), statement))
    if None not in begins:
        where.append(_timestamp(exp.GT, min(begin for begin in begins if begin is not None), statement))
    holds = [_holds(one, statement) for one in people.occurrences]
    if people.at_least >= len(holds):
        having: exp.Expr = exp.and_(*holds)
    else:
        ones = [exp.cast(one, "INTEGER") for one in holds]
        total: exp.Expr = ones[0]
        for one in ones[1:]:
            total = exp.Add(this=total, expression=one)
        having = exp.GTE(this=total, expression=exp.Literal.number(people.at_least))
    found = exp.select(exp.alias_(person_sql(statement), "person_id")).where(*where).group_by("1").having(having)
    return from_events(found, statement)


def _holds(asked: Occurrences, statement: Statement) -> exp.Expr:
    inside = [_timestamp(exp.LTE, asked.until, statement)]
    if asked.since is not None:
        inside.append(_timestamp(exp.GT, asked.since, statement))
    counted = exp.Filter(this=exp.Count(this=exp.Star()), expression=exp.Where(this=exp.and_(*inside)))
    return _COMPARISONS[asked.operator](this=counted, expression=exp.Literal.number(asked.n))


def _sequence(people: PerformedSequence, statement: Statement, condition_sql: ConditionSql) -> exp.Select:
    """Return whoever has a second event with a first one before it, no further away than asked."""
    first, second = (
        exp.and_(exp.true(), *_of_entity(*one, statement, condition_sql)) for one in (people.first, people.second)
    )
    rows = exp.select(
        exp.alias_(person_sql(statement), "person_id"), exp.column("timestamp", "events"),
        exp.alias_(first, "is_first"), exp.alias_(second, "is_second"),
    ).where(
        exp.EQ(this=exp.column("project_id", "events"), expression=statement.bind(statement.project_id)),
        _timestamp(exp.GT, people.since, statement), _timestamp(exp.LTE, people.until, statement),
        exp.or_(first.copy(), second.copy()),
    )  # fmt: skip
    rows = from_events(rows, statement)
    before: exp.Expr = exp.maybe_parse(
        "coalesce(bool_or(is_first) OVER (PARTITION BY person_id ORDER BY timestamp RANGE BETWEEN"
        f" INTERVAL {people.within_s} SECOND PRECEDING AND INTERVAL 1 MICROSECOND PRECEDING), false)",
        dialect="duckdb",
    )
    seen = exp.select("person_id", "is_second", exp.alias_(before, "follows")).from_(rows.subquery("done"))
    return exp.select("person_id").from_(seen.subquery("seen")).where("is_second AND follows")


def _matches(
    event: str | None, condition: Condition, statement: Statement, condition_sql: ConditionSql
) -> list[exp.Expr]:
    of_project = exp.EQ(this=exp.column("project_id", "events"), expression=statement.bind(statement.project_id))
    return [of_project, *_of_entity(event, condition, statement, condition_sql)]


def _of_entity(
    event: str | None, condition: Condition, statement: Statement, condition_sql: ConditionSql
) -> list[exp.Expr]:
    found: list[exp.Expr] = []
    if event is not None:
        found.append(exp.EQ(this=exp.column("event", "events"), expression=statement.bind(event)))
    if condition != AllOf():
        found.append(condition_sql(condition, statement))
    return found


def _timestamp(comparison: type[exp.Binary], moment: object, statement: Statement) -> exp.Expr:
    return comparison(
        this=exp.column("timestamp", "events"),
        expression=statement.bind(stored(moment)),  # type: ignore[arg-type]
    )
