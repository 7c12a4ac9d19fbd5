"""Which module answers which kind of plan."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING, Any

from attrs import evolve

from ....domain.queries.actors import ProfilesPlan, UuidsPlan
from ....domain.queries.definition_plans import EventDefinitionsPlan, PropertyDefinitionsPlan, ValuesPlan
from ....domain.queries.group_plans import GroupsPlan, GroupTypesPlan, KeptCohortsPlan
from ....domain.queries.lifecycle import LifecyclePlan
from ....domain.queries.matching import CountPersonsPlan, EventsPagePlan, MatchingEventsPlan, MatchingPersonsPlan
from ....domain.queries.sequence_plans import (
    CorrelationActorsPlan,
    CorrelationPlan,
    FunnelActorsPlan,
    FunnelPeriodsPlan,
    FunnelStepsPlan,
    FunnelTimesPlan,
    PathActorsPlan,
    PathsPlan,
    RetentionActorsPlan,
    RetentionPlan,
)
from ....domain.queries.sql_plan import EventListPlan, PersonListPlan, SqlPlan
from ....domain.queries.stickiness import StickinessPlan
from ....domain.queries.trend_plan import TrendActorsPlan, TrendPlan
from ._pieces import pieces

if TYPE_CHECKING:
    import duckdb
    from sqlglot import exp

    from ._person_ids import PersonIds
    from ._statement import PatternCheck, Statement

    Walk = Callable[[Any, Statement, duckdb.DuckDBPyConnection], Any]

PIECE = 10_000
"""Rows that become Python's values in one step."""


def rows_of(
    plan: Any, statement: Statement, cursor: duckdb.DuckDBPyConnection, persons: PersonIds, most: int
) -> list[tuple[Any, ...]]:
    """Return the rows of a plan that SQL alone answers, at most so many."""
    import duckdb  # noqa: PLC0415

    statement.person_bits = persons.bits(cursor)
    try:
        return _fetched(cursor.execute(*_sql_of(plan, statement)), most)
    except duckdb.OutOfRangeException:
        if statement.hogql_paths:
            raise
        persons.outgrown()  # since the statement was built
        again = evolve(statement, person_bits=0, parameters={}, dates={}, needed={})
        return _fetched(cursor.execute(*_sql_of(plan, again)), most)


def _fetched(cursor: duckdb.DuckDBPyConnection, most: int) -> list[tuple[Any, ...]]:
    return list(chain.from_iterable(pieces(cursor, most, n_rows=PIECE)))


def _sql_of(plan: Any, statement: Statement) -> tuple[str, dict[str, Any]]:
    """Return the SQL text of a plan that SQL alone answers, and its parameters. One line per kind of plan."""
    from . import _lifecycle, _matching, _rendered, _stickiness, _trends  # noqa: PLC0415 - start-up time and memory

    if isinstance(plan, TrendPlan):
        return _rendered.trend(plan, statement)
    builders: dict[type, Callable[[Any, Statement], exp.Expr]] = {
        TrendActorsPlan: _trends.trend_actors,
        LifecyclePlan: _lifecycle.lifecycle,
        StickinessPlan: _stickiness.stickiness,
        MatchingEventsPlan: _matching.events,
        EventsPagePlan: _matching.events_page,
        MatchingPersonsPlan: _matching.persons,
        CountPersonsPlan: _matching.count_persons,
    }
    return statement.render(builders[type(plan)](plan, statement))


def walks() -> dict[type, Walk]:
    """One line per kind of plan that SQL alone does not answer."""
    from . import (  # noqa: PLC0415
        _correlation,
        _definitions,
        _funnels,
        _group_lists,
        _members,
        _paths,
        _profiles,
        _retention,
    )
    from .hogql import answer_events, answer_persons, answer_sql  # noqa: PLC0415

    return {
        FunnelStepsPlan: _funnels.steps,
        FunnelTimesPlan: _funnels.times,
        FunnelPeriodsPlan: _funnels.periods,
        FunnelActorsPlan: _funnels.actors,
        RetentionPlan: _retention.cells,
        RetentionActorsPlan: _retention.actors,
        CorrelationPlan: _correlation.correlated,
        CorrelationActorsPlan: _correlation.actors,
        PathsPlan: _paths.edges,
        PathActorsPlan: _paths.actors,
        ProfilesPlan: _profiles.profiles,
        UuidsPlan: _profiles.uuids,
        EventDefinitionsPlan: _definitions.events,
        PropertyDefinitionsPlan: _definitions.properties,
        ValuesPlan: _definitions.values,
        SqlPlan: answer_sql,
        EventListPlan: answer_events,
        PersonListPlan: answer_persons,
        GroupTypesPlan: _group_lists.group_types,
        GroupsPlan: _group_lists.groups,
        KeptCohortsPlan: _members.kept_cohorts,
    }


def pattern_check(cursor: duckdb.DuckDBPyConnection) -> PatternCheck:
    """Return what tells whether DuckDB can read a text as a regular expression, and another as what replaces it."""
    import duckdb  # noqa: PLC0415

    def is_pattern(pattern: str, new: str = "") -> bool:
        try:
            cursor.execute("SELECT regexp_replace('', $pattern, $new)", {"pattern": pattern, "new": new})
        except duckdb.InvalidInputException:
            return False
        return True

    return is_pattern
