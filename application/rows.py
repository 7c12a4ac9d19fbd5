"""Calculating queries over rows: HogQLQuery and EventsQuery."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from attrs import define

from ..domain.errors import InvalidQuery, UnsupportedQuery
from ..domain.queries import person_list, sql, trend_actors, trends
from ..domain.queries.actor_nodes import ActorsQuery, InsightActorsQuery
from ..domain.queries.actors import Profile, ProfilesPlan
from ..domain.queries.cohorts import cohort_people
from ..domain.queries.event_nodes import EventsQuery
from ..domain.queries.group_plans import KeptCohortsPlan
from ..domain.queries.matching import MatchingPersonsPlan
from ..domain.queries.nodes import DateRange, TrendsQuery
from ..domain.queries.plan import Listed
from ..domain.queries.sql_nodes import HogQLQuery
from ..domain.queries.sql_plan import SqlAnswer
from ..domain.queries.trend_plan import TrendActorsPlan
from .query_context import QueryContext, Run, setting_of


@define
class _Undated:
    """Stands for a query whose dates are its own business."""

    date_range: DateRange | None = None


UNDATED = _Undated()


def hogql(node: HogQLQuery, context: QueryContext, run: Run) -> dict[str, Any]:
    """Answer a HogQL query: rows as lists, names and types of columns (queries.md 9.3)."""
    plan = sql.plan_of(node, setting_of(UNDATED, context, run.store))
    if "cohort_people" in node.query.lower():
        run.timed("members", lambda: _keep_members(context, run))
    answer: SqlAnswer = run.timed("calculate", lambda: run.answer(plan))
    types = [list(pair) for pair in zip(answer.columns, answer.types, strict=True)]
    return _response(answer, answer.rows, context, run) | {
        "columns": list(answer.columns),
        "types": types,
        "query": node.query,
        "hogql": node.query,
        "clickhouse": None,
        "explain": None,
        "metadata": None,
    }


def events(node: EventsQuery, context: QueryContext, run: Run) -> dict[str, Any]:
    """Answer a list of events: the columns are the texts that were asked for, the types a flat list."""
    plan = sql.event_plan(node, setting_of(UNDATED, context, run.store))
    if node.source is not None:
        path = "query.source"
        if not isinstance(node.source.source, TrendsQuery):
            raise UnsupportedQuery("Only the events behind a TrendsQuery are listed.", path=f"{path}.source.kind")
        behind = trend_actors_plan(node.source, context, run, limit=0, offset=0, path=path)
        plan = sql.narrowed_to(plan, trend_actors.events_behind(behind, path), behind.trend)
    answer: SqlAnswer = run.timed("calculate", lambda: run.answer(plan))
    rows = run.timed("format", lambda: sql.event_rows(node, answer, context.project_id))
    return _response(answer, rows, context, run) | {
        "columns": sql.event_columns(node, answer),
        "types": list(answer.types),
        "hogql": None,
    }


def trend_actors_plan(
    source: InsightActorsQuery, context: QueryContext, run: Run, *, limit: int, offset: int, path: str
) -> TrendActorsPlan:
    """Return the plan of the actors behind a number of a trend. Raises InvalidQuery for a number that is not there."""
    query = source.source
    assert isinstance(query, TrendsQuery)
    trend = trends.resolve(query, setting_of(query, context, run.store), path=f"{path}.source")
    return trend_actors.actors_plan(
        trend, day=source.day, series=source.series or 0, breakdown=source.breakdown,
        is_previous=source.compare == "previous", limit=limit, offset=offset, path=path,
    )  # fmt: skip


def persons(node: ActorsQuery, context: QueryContext, run: Run) -> dict[str, Any]:
    """Answer a list of persons, all of them or those of a HogQL query (queries.md 10.1)."""
    plan = person_list.plan_of(node, setting_of(UNDATED, context, run.store))
    answer: SqlAnswer = run.timed("calculate", lambda: run.answer(plan))
    found = run.timed("profiles", lambda: _profiles(person_list.uuids(node, answer), context, run))
    return _response(answer, person_list.rows(node, answer, found), context, run) | {
        "columns": list(plan.select),
        "types": list(answer.types),
        "missing_actors_count": 0,
        "hogql": "",
    }


def _profiles(uuids: list[str], context: QueryContext, run: Run) -> dict[str, Profile]:
    if not uuids:
        return {}
    plan = MatchingPersonsPlan(context.project_id, Listed((), tuple(uuids)), len(uuids))
    ids = tuple(person for (person,) in run.answer(plan))
    return {profile.uuid: profile for profile in run.answer(ProfilesPlan(context.project_id, ids))}


def _keep_members(context: QueryContext, run: Run) -> None:
    """Count the members of cohorts whose list is not kept, as after making the analytical file anew."""
    scope = context.scope
    kept = {cohort_id for (cohort_id,) in run.answer(KeptCohortsPlan(context.project_id))}
    wanted = []
    counted = {one.id for one in scope.cohorts.values() if not one.is_deleted}
    for cohort_id in sorted(counted - kept):
        with suppress(InvalidQuery):  # criteria that name what is gone
            people = cohort_people(cohort_id, scope, "cohort")
            wanted.append((cohort_id, people))
    for cohort_id, people in wanted:
        left = run.time_left()
        run.store.keep_members(context.project_id, cohort_id, people, deadline_s=left, stop=run.stop)


def _response(answer: SqlAnswer, rows: list[list[Any]], context: QueryContext, run: Run) -> dict[str, Any]:
    return {
        "results": rows,
        "hasMore": answer.has_more,
        "limit": answer.limit,
        "offset": answer.offset,
        "timings": run.timings,
        "modifiers": {},
        "error": None,
        "timezone": context.timezone,
        **{f"results::{name}": places for name, places in answer.not_finite.items()},
    }
