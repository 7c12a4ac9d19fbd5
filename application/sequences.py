"""Calculating funnels, correlations, retention and paths, and finding the actors behind their numbers."""

from __future__ import annotations

from typing import Any

from ..domain.queries import correlation, funnel_results, funnels, paths, retention
from ..domain.queries.funnel_nodes import FunnelCorrelationQuery, FunnelsQuery
from ..domain.queries.path_nodes import PathsQuery
from ..domain.queries.retention_nodes import RetentionQuery
from .query_context import QueryContext, Run, response, setting_of


def funnel(node: FunnelsQuery, context: QueryContext, run: Run) -> dict[str, Any]:
    """Answer a FunnelsQuery."""
    found, answers = answered_funnel(node, context, run)
    results = run.timed("format", lambda: funnel_results.results(found, answers))
    return response(results, context, run, found.bounds)


def retained(node: RetentionQuery, context: QueryContext, run: Run) -> dict[str, Any]:
    """Answer a RetentionQuery."""
    found, answers = answered_retention(node, context, run)
    return response(retention.results(found, answers), context, run, found.bounds)


def answered_retention(node: RetentionQuery, context: QueryContext, run: Run) -> tuple[retention.Retention, list[Any]]:
    """Return a resolved RetentionQuery and the cells that answer its plans."""
    found = retention.resolve(node, setting_of(node, context, run.store))
    return found, run.timed("calculate", lambda: run.answers(plan for _, plan in found.plans))


def followed(node: PathsQuery, context: QueryContext, run: Run) -> dict[str, Any]:
    """Answer a PathsQuery."""
    found, rows = answered_paths(node, context, run)
    return response(paths.results(found, rows), context, run, found.bounds)


def answered_paths(node: PathsQuery, context: QueryContext, run: Run) -> tuple[paths.Paths, list[paths.PathRow]]:
    """Return a resolved PathsQuery and the edges that answer its plan."""
    found = paths.resolve(node, setting_of(node, context, run.store))
    return found, run.timed("calculate", lambda: run.answer(found.plan))


def correlated(node: FunnelCorrelationQuery, context: QueryContext, run: Run) -> dict[str, Any]:
    """Answer a FunnelCorrelationQuery."""
    found = correlation.resolve(node, setting_of(node.source.source, context, run.store))
    answer = run.timed("calculate", lambda: None if found.plan is None else run.answer(found.plan))
    paging = {"limit": None, "offset": None, "hasMore": False, "columns": None, "types": None}
    return response(correlation.results(answer), context, run, found.funnel.bounds) | paging


def answered_funnel(node: FunnelsQuery, context: QueryContext, run: Run) -> tuple[funnels.Funnel, list[Any]]:
    """Return a resolved FunnelsQuery and what answers its questions."""
    found = funnels.resolve(node, setting_of(node, context, run.store))
    return found, run.timed("calculate", lambda: run.answers(funnel_results.questions(found)))
