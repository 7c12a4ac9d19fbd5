"""Sets of persons as SQL: a SELECT of person ids, for semi joins."""

from __future__ import annotations

from sqlglot import exp

from ....domain.queries.plan import Members, People
from ._statement import Statement


def people_sql(people: People, statement: Statement) -> exp.Select:
    """Return a SELECT of the ids, after merges, of the persons in the set; an id may come twice."""
    match people:
        case Members(cohort_id):
            return _members(cohort_id, statement)
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
