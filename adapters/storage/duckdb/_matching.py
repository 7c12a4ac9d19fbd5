"""Plans that list events or persons as SQL."""

from __future__ import annotations

from sqlglot import exp

from ....domain.queries.matching import CountPersonsPlan, EventsPagePlan, MatchingEventsPlan, MatchingPersonsPlan
from ....domain.queries.plan import AllOf
from ._conditions import condition_sql
from ._people import people_sql
from ._statement import Statement, from_events, from_persons, person_sql, stored


def events(plan: MatchingEventsPlan, statement: Statement) -> exp.Expr:
    """Return a SELECT of the plan's rows."""
    where = [exp.EQ(this=exp.column("project_id", "events"), expression=statement.bind(plan.project_id))]
    if plan.event is not None:
        where.append(exp.EQ(this=exp.column("event", "events"), expression=statement.bind(plan.event)))
    if plan.condition != AllOf():
        where.append(condition_sql(plan.condition, statement))  # type: ignore[arg-type]
    columns = ("uuid", "event", "distinct_id", "timestamp", "properties")
    found = exp.select(*(exp.column(name, "events") for name in columns)).where(*where)
    return from_events(found, statement).order_by('"events"."timestamp" DESC', '"events"."uuid"').limit(plan.limit)


def events_page(plan: EventsPagePlan, statement: Statement) -> exp.Expr:
    """Return a SELECT of the plan's rows."""
    where: list[exp.Expr] = [
        exp.EQ(this=exp.column("project_id", "events"), expression=statement.bind(plan.project_id))
    ]
    for name, value in (("event", plan.event), ("uuid", plan.uuid)):
        if value is not None:
            where.append(exp.EQ(this=exp.column(name, "events"), expression=statement.bind(value)))
    for comparison, moment in ((exp.GT, plan.after), (exp.LT, plan.before)):
        if moment is not None:
            where.append(comparison(this=exp.column("timestamp", "events"), expression=statement.bind(stored(moment))))
    if plan.condition != AllOf():
        where.append(condition_sql(plan.condition, statement))
    columns = [exp.column(name, "events") for name in ("uuid", "event", "distinct_id", "timestamp", "properties")]
    chain = statement.common_column("$elements_chain")
    found = exp.select(*columns, chain, person_sql(statement)).where(*where)
    direction = "ASC" if plan.oldest_first else "DESC"
    ordered = from_events(found, statement).order_by(f'"events"."timestamp" {direction}', '"events"."uuid"')
    return ordered.limit(plan.limit).offset(plan.offset)


def persons(plan: MatchingPersonsPlan, statement: Statement) -> exp.Expr:
    """Return a SELECT of the plan's rows."""
    found = _stored(exp.select("persons.person_id"), plan, statement)
    direction = "DESC" if plan.newest_first else "ASC"
    ordered = found.order_by(f"persons.created_at {direction}", f"persons.uuid {direction}")
    return ordered.limit(plan.limit).offset(plan.offset)


def count_persons(plan: CountPersonsPlan, statement: Statement) -> exp.Expr:
    """Return a SELECT of one number."""
    return _stored(exp.select("count(*)"), plan, statement)


def _stored(select: exp.Select, plan: MatchingPersonsPlan | CountPersonsPlan, statement: Statement) -> exp.Select:
    inner = statement.inner("persons")
    members = people_sql(plan.people, statement, condition_sql)
    is_member = exp.In(this=exp.column("person_id", "persons"), query=members.subquery())
    found = from_persons(select.where(is_member), inner)
    return found.where(is_found(plan.search, statement)) if plan.search else found


def is_found(search: str, statement: Statement, *, in_uuid: bool = False) -> exp.Expr:
    """Return whether the row of `persons` has a text in a distinct id, the e-mail address, the name, or its uuid."""
    pattern = statement.bind(f"%{search.strip()}%")
    of_project = exp.EQ(this=exp.column("project_id", "distinct_ids"), expression=statement.bind(statement.project_id))
    owners = exp.select("person_id").from_("distinct_ids")
    owners = owners.where(of_project, exp.ILike(this=exp.column("distinct_id"), expression=pattern))
    texts: list[exp.Expr] = [
        exp.func("json_extract_string", exp.column("properties", "persons"), exp.Literal.string(f"/{name}"))
        for name in ("email", "name")
    ]
    if in_uuid:
        texts.append(exp.cast(exp.column("uuid", "persons"), "VARCHAR"))
    return exp.or_(
        exp.In(this=exp.column("person_id", "persons"), query=owners.subquery()),
        *(exp.ILike(this=text, expression=pattern.copy()) for text in texts),
    )
