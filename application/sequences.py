"""Calculating funnels, correlations, retention and paths, and finding the actors behind their numbers."""

from __future__ import annotations

from typing import Any

from ..domain.queries import funnel_results, funnels
from ..domain.queries.funnel_nodes import FunnelsQuery
from .query_context import QueryContext, Run, response, setting_of


def funnel(node: FunnelsQuery, context: QueryContext, run: Run) -> dict[str, Any]:
    """Answer a FunnelsQuery."""
    found, answers = answered_funnel(node, context, run)
    results = run.timed("format", lambda: funnel_results.results(found, answers))
    return response(results, context, run, found.bounds)


def answered_funnel(node: FunnelsQuery, context: QueryContext, run: Run) -> tuple[funnels.Funnel, list[Any]]:
    """Return a resolved FunnelsQuery and what answers its questions."""
    found = funnels.resolve(node, setting_of(node, context, run.store))
    return found, run.timed("calculate", lambda: [run.answer(plan) for plan in funnel_results.questions(found)])
