"""Finding the actors behind a number: an ActorsQuery over the actors of each kind of insight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import evolve, frozen

from ..domain.errors import QueryTooLarge, UnsupportedQuery
from ..domain.queries import (
    actors,
    correlation,
    funnel_actors,
    funnels,
    lifecycle,
    paths,
    person_list,
    retention,
    stickiness,
)
from ..domain.queries.actor_nodes import ActorsQuery, InsightActorsQuery
from ..domain.queries.actors import FoundActor, Profile, ProfilesPlan, UuidsPlan
from ..domain.queries.dates import format_instant
from ..domain.queries.funnel_nodes import FunnelCorrelationActorsQuery, FunnelsActorsQuery
from ..domain.queries.matching import MatchingPersonsPlan
from ..domain.queries.nodes import LifecycleQuery, StickinessQuery, TrendsQuery
from ..domain.queries.path_nodes import PathsQuery
from ..domain.queries.plan import PersonsWhere
from ..domain.queries.properties import all_of
from ..domain.queries.retention_nodes import RetentionQuery
from ..domain.queries.sql_nodes import HogQLQuery
from ..domain.queries.trend_plan import group_type_index
from . import rows
from .query_context import QueryContext, Run, setting_of

MAX_PERSONS = 1_000_000
MAX_LOOKED_AT = 100_000
"""Actors that are searched or sorted."""


@frozen
class Page:
    """Which of the actors are wanted."""

    limit: int
    offset: int
    path: str
    """Of the source, for errors."""


@frozen
class Found:
    """A page of actors; one more than asked for tells that there are more."""

    actors: Sequence[FoundActor]
    group_type_index: int | None


def actors_query(node: ActorsQuery, context: QueryContext, run: Run) -> dict[str, Any]:
    """Answer an ActorsQuery: one row of the selected columns per actor."""
    if node.source is None or isinstance(node.source, HogQLQuery):
        return rows.persons(node, context, run)
    more = _own_columns(node.source)
    names = actors.columns(node.select, "query", more=more)
    among = _fulfilling(node, context, run)
    limit, offset = actors.page_size(node.limit, "query"), max(node.offset or 0, 0)
    order = actors.sorting(node.order_by, "query", more=more)
    found = run.timed(
        "calculate",
        lambda: page_of(node.source, node.search, context, run, limit + 1, offset, among=among, order=order),
    )
    if not node.select and found.group_type_index is not None:
        names = ("group",)
    shown = found.actors[:limit]
    known = profiles(shown, found.group_type_index, context, run)
    unknown = tuple(one.actor for one in shown if isinstance(one.actor, int) and one.actor not in known)
    uuids = dict(run.answer(UuidsPlan(context.project_id, unknown))) if unknown else {}
    return {
        "results": [
            actors.row(
                evolve(one, actor=uuids.get(one.actor, one.actor)), known.get(one.actor), names, found.group_type_index
            )
            for one in shown
        ],
        "columns": list(node.select or names),
        "types": [],
        "limit": limit,
        "offset": offset,
        "hasMore": len(found.actors) > limit,
        "missing_actors_count": sum(one.actor not in known for one in shown),
        "hogql": "",
        "timings": run.timings,
        "modifiers": {},
        "timezone": context.timezone,
    }


def _own_columns(source: Any) -> tuple[str, ...]:
    """Return the columns that actors have of the insight behind them alone."""
    query = source.source
    return retention.appearance_columns(query) if isinstance(query, RetentionQuery) else ()


def page_of(
    source: Any,
    search: str | None,
    context: QueryContext,
    run: Run,
    limit: int,
    offset: int,
    path: str = "query.source",
    *,
    among: frozenset[int] | None = None,
    order: Sequence[tuple[str, bool]] = (),
) -> Found:
    """Return a page of the actors that a source means; with `search` of those whose name or id has the text.

    With `among` of those persons only; `order` are columns to sort by, and whether from the largest on. Raises
    QueryTooLarge when more than 100,000 actors would have to be looked at.
    """
    search = (search or "").strip()
    if not search and among is None and not order:
        return find(source, context, run, Page(limit, offset, path))
    found = find(source, context, run, Page(MAX_LOOKED_AT + 1, 0, path))
    if len(found.actors) > MAX_LOOKED_AT:
        raise QueryTooLarge(f"Up to {MAX_LOOKED_AT} actors are searched and sorted; ask for fewer.", path=path)
    known = profiles(found.actors, found.group_type_index, context, run) if search or order else {}
    matching = [
        one
        for one in found.actors
        if (not search or (one.actor in known and actors.is_named(known[one.actor], search)))
        and (among is None or one.actor in among)
    ]
    matching = actors.in_order(matching, known, order, found.group_type_index)
    return Found(matching[offset : offset + limit], found.group_type_index)


def _fulfilling(node: ActorsQuery, context: QueryContext, run: Run) -> frozenset[int] | None:
    """Return the persons that fulfil the query's properties; None when it has none."""
    if not node.properties and not node.fixed_properties:
        return None
    setting = setting_of(rows.UNDATED, context, run.store)
    wanted = all_of(
        [
            person_list.person_condition(node.properties, setting, "query.properties"),
            person_list.person_condition(node.fixed_properties, setting, "query.fixedProperties"),
        ]
    )
    plan = MatchingPersonsPlan(context.project_id, PersonsWhere(wanted), MAX_PERSONS)
    return frozenset(person for (person,) in run.answer(plan))


def find(source: Any, context: QueryContext, run: Run, page: Page) -> Found:
    """Return a page of the actors that a source means. Raises UnsupportedQuery for kinds without actors."""
    kind = type(source.source) if isinstance(source, InsightActorsQuery) else type(source)
    if kind not in _FINDERS:
        raise UnsupportedQuery(
            f"The actors of a {source.source.kind} are not found yet.", path=f"{page.path}.source.kind"
        )
    return _FINDERS[kind](source, context, run, page)


def profiles(
    found: Sequence[FoundActor], group_type_index: int | None, context: QueryContext, run: Run
) -> dict[int | str, Profile]:
    """Return who the actors are, by their ids; those that are not stored are left out."""
    if not found:
        return {}
    # Persons have numbers; what a HogQL expression counts is a text, and nobody.
    ids = tuple(one.actor for one in found if group_type_index is not None or isinstance(one.actor, int))
    plan = ProfilesPlan(context.project_id, ids, group_type_index)
    return {profile.actor: profile for profile in run.answer(plan)}


def _of_funnel(source: FunnelsActorsQuery, context: QueryContext, run: Run, page: Page) -> Found:
    query = source.source
    setting, where = setting_of(query, context, run.store).by_person, f"{page.path}.source"
    funnel = funnels.resolve(query, setting, path=where)
    if funnel.breakdown.cohorts and source.funnel_step_breakdown is None:
        funnel = funnels.resolve(evolve(query, breakdown_filter=None), setting, path=where)
    plan = funnel_actors.actors_plan(funnel, source, limit=page.limit, offset=page.offset, path=page.path)
    rows = [
        FoundActor(
            actor,
            {"first_timestamp": first and format_instant(first), "final_timestamp": last and format_instant(last)},
        )
        for actor, first, last in run.answer(plan)
    ]
    return Found(rows, query.aggregation_group_type_index)


def _of_retention(source: InsightActorsQuery, context: QueryContext, run: Run, page: Page) -> Found:
    query = source.source
    assert isinstance(query, RetentionQuery)
    if source.breakdown is None:
        query = evolve(query, breakdown_filter=None)
    setting = setting_of(query, context, run.store).by_person
    found = retention.resolve(query, setting, path=f"{page.path}.source")
    plan = retention.actors_plan(
        found, source.interval or 0, source.breakdown, limit=page.limit, offset=page.offset, path=page.path
    )
    rows = [FoundActor(actor, {"appearances": columns}) for actor, columns in run.answer(plan)]
    return Found(rows, query.aggregation_group_type_index)


def _of_paths(source: InsightActorsQuery, context: QueryContext, run: Run, page: Page) -> Found:
    query = source.source
    assert isinstance(query, PathsQuery)
    found = paths.resolve(query, setting_of(query, context, run.store), path=f"{page.path}.source")
    plan = paths.actors_plan(found, limit=page.limit, offset=page.offset)
    rows = [FoundActor(actor, {"event_count": count}) for actor, count in run.answer(plan)]
    return Found(rows, query.aggregation_group_type_index)


def _of_correlation(source: FunnelCorrelationActorsQuery, context: QueryContext, run: Run, page: Page) -> Found:
    query = source.source.source.source
    setting = setting_of(query, context, run.store)
    plan = correlation.actors_plan(source, setting, limit=page.limit, offset=page.offset, path=page.path)
    return Found([FoundActor(actor) for (actor,) in run.answer(plan)], query.aggregation_group_type_index)


def _of_trend(source: InsightActorsQuery, context: QueryContext, run: Run, page: Page) -> Found:
    plan = rows.trend_actors_plan(source, context, run, limit=page.limit, offset=page.offset, path=page.path)
    found = [FoundActor(actor, {"event_count": count}) for actor, count in run.answer(plan)]
    return Found(found, group_type_index(plan.actor))


def _of_stickiness(source: InsightActorsQuery, context: QueryContext, run: Run, page: Page) -> Found:
    query = source.source
    assert isinstance(query, StickinessQuery)
    found = stickiness.resolve(query, setting_of(query, context, run.store).by_person, path=f"{page.path}.source")
    plan = stickiness.actors_plan(
        found, source.day, series=source.series or 0, operator=source.operator,
        is_previous=source.compare == "previous", limit=page.limit, offset=page.offset, path=page.path,
    )  # fmt: skip
    return Found([FoundActor(actor) for actor, _ in run.answer(plan)], group_type_index(plan.actor))


def _of_lifecycle(source: InsightActorsQuery, context: QueryContext, run: Run, page: Page) -> Found:
    query = source.source
    assert isinstance(query, LifecycleQuery)
    found = lifecycle.resolve(query, setting_of(query, context, run.store), path=f"{page.path}.source")
    plan = lifecycle.actors_plan(
        found, source.day, source.status, limit=page.limit, offset=page.offset, path=page.path
    )  # fmt: skip
    return Found([FoundActor(actor) for actor, _ in run.answer(plan)], plan.group_type_index)


_FINDERS: dict[type, Callable[[Any, QueryContext, Run, Page], Found]] = {
    FunnelsActorsQuery: _of_funnel,
    FunnelCorrelationActorsQuery: _of_correlation,
    RetentionQuery: _of_retention,
    PathsQuery: _of_paths,
    TrendsQuery: _of_trend,
    StickinessQuery: _of_stickiness,
    LifecycleQuery: _of_lifecycle,
}
"""One line per kind of insight, or of a query for its actors."""
