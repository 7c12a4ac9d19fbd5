"""Answers plans about funnels: DuckDB fetches the events, the kernels walk them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen

from ....domain.errors import QueryTooLarge
from ....domain.queries.sequence_plans import (
    ActorId,
    FunnelActorsPlan,
    FunnelPeriodsPlan,
    FunnelPlan,
    FunnelRow,
    FunnelStepsPlan,
    FunnelTimes,
    FunnelTimesPlan,
    Value,
)
from ...kernels import attempts, chains, unordered
from ...kernels.attribution import attributed
from ...kernels.funnel_rows import REST, funnel_rows, histogram, period_rows, seconds_between
from ...kernels.histories import Array, History, history
from ...kernels.moments import Exclusion
from ...kernels.outcomes import NEVER, Outcomes
from ._histories import Fetched, fetch, joined_text
from ._statement import Statement

if TYPE_CHECKING:
    import duckdb

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@frozen(eq=False)
class Walked:
    """A funnel that was walked."""

    fetched: Fetched
    history: History
    outcomes: Outcomes

    @property
    def values(self) -> Array | None:
        """Per outcome, the code of its breakdown value; None without breakdown."""
        return None if self.history.values is None else self.history.values[self.outcomes.unit]

    @property
    def actors(self) -> Array:
        """Per outcome, whose it is."""
        return self.history.actors[self.outcomes.unit]


def steps(plan: FunnelStepsPlan, statement: Statement, cursor: duckdb.DuckDBPyConnection) -> list[FunnelRow]:
    """Answer how many took each step."""
    walked = walk(plan.funnel, statement, cursor)
    texts = walked.fetched.texts.get("value", ())
    rows = funnel_rows(
        walked.outcomes, walked.values, limit=plan.limit, optional=plan.funnel.optional, rank_of=_ranks(texts)
    )
    return [FunnelRow(_value(plan.funnel, texts, row.value), row.counts, row.average_s, row.median_s) for row in rows]


def times(plan: FunnelTimesPlan, statement: Statement, cursor: duckdb.DuckDBPyConnection) -> FunnelTimes:
    """Answer how long it took from one step to another."""
    walked = walk(plan.funnel, statement, cursor)
    unit_us = 1_000_000 if plan.in_whole_seconds else 1
    samples = seconds_between(walked.outcomes, plan.from_step, plan.to_step, unit_us)
    bins, average = histogram(samples, plan.bin_count)
    return FunnelTimes(tuple(bins), average)


def periods(
    plan: FunnelPeriodsPlan, statement: Statement, cursor: duckdb.DuckDBPyConnection
) -> list[tuple[Value, int, int, int]]:
    """Answer who came how far, by the period in which they began."""
    fetched, found = _history(plan.funnel, statement, cursor)
    best = _attempts(plan.funnel, found, plan.edges)
    rows = period_rows(best, found.values, len(plan.edges) - 1, plan.from_step, plan.to_step)
    texts = fetched.texts.get("value", ())
    return [(_value(plan.funnel, texts, value), period, began, came) for value, period, began, came in rows]


def actors(
    plan: FunnelActorsPlan, statement: Statement, cursor: duckdb.DuckDBPyConnection
) -> list[tuple[ActorId, datetime | None, datetime | None]]:
    """Answer who took some step."""
    if plan.edges:
        return _period_actors(plan, statement, cursor)
    walked = walk(plan.funnel, statement, cursor)
    outcomes = walked.outcomes
    chosen = outcomes.took(plan.took)
    if plan.missed is not None:
        chosen &= ~outcomes.took(plan.missed)
    if plan.furthest is not None:
        chosen &= np.isin(outcomes.furthest, plan.furthest)
    chosen &= _has_value(plan, walked)
    places = np.flatnonzero(chosen)
    first = outcomes.times[0, places]
    last = outcomes.times[outcomes.furthest[places], places]
    return _page(plan, walked.fetched, walked.actors[places], first, last)


def walk(plan: FunnelPlan, statement: Statement, cursor: duckdb.DuckDBPyConnection) -> Walked:
    """Follow the funnel's actors."""
    fetched, found = _history(plan, statement, cursor)
    n_steps = len(plan.steps)
    if plan.order == "unordered":
        any_step = _any_step(plan)
        outcomes = unordered.walk(
            found, n_steps, plan.window_us, exclusions=_exclusions(plan), first_mark=any_step and any_step[1]
        )
    else:
        outcomes = chains.walk(
            found, n_steps, plan.window_us,
            is_strict=plan.order == "strict", optional=plan.optional, exclusions=_exclusions(plan),
        )  # fmt: skip
    return Walked(fetched, found, outcomes)


def _any_step(plan: FunnelPlan) -> tuple[int, int] | None:
    """Return number of steps and the mark of events that carry the value, when the value may come from any step.

    An unordered funnel has no first step; the first event of a window is it.
    """
    if plan.order != "unordered" or plan.attribution is None or plan.attribution.kind != "step":
        return None
    return len(plan.steps), len(plan.steps) + len(plan.exclusions)


def _history(plan: FunnelPlan, statement: Statement, cursor: duckdb.DuckDBPyConnection) -> tuple[Fetched, History]:
    attribution = plan.attribution
    texts = {"value": joined_text(attribution.sources, statement)} if attribution else {}
    tests = [*plan.steps, *(one.test for one in plan.exclusions)]
    fetched = fetch(plan.events, tests, statement, cursor, texts=texts, keeps_others=plan.order == "strict")
    if attribution is None:
        return fetched, history(fetched.actor, fetched.at, fetched.marks)
    known = fetched.texts["value"]
    missing = _missing(len(attribution.sources))
    nothing = known.index(missing) if missing in known else None
    try:
        found = attributed(
            fetched.actor, fetched.at, fetched.marks, fetched.columns["value"], attribution.kind,
            step=attribution.step, nothing=nothing, any_step=_any_step(plan),
        )  # fmt: skip
    except MemoryError as error:
        raise QueryTooLarge(str(error), path="query.breakdownFilter") from error
    return fetched, found


def _exclusions(plan: FunnelPlan) -> list[Exclusion]:
    return [Exclusion(len(plan.steps) + place, one.from_step, one.to_step) for place, one in enumerate(plan.exclusions)]


def _attempts(plan: FunnelPlan, found: History, edges: Sequence[datetime]) -> attempts.Attempts:
    edges_us = [(edge - _EPOCH) // timedelta(microseconds=1) for edge in edges]
    return attempts.walk(
        found, len(plan.steps), plan.window_us, edges_us, order=plan.order, exclusions=_exclusions(plan)
    )


def _period_actors(
    plan: FunnelActorsPlan, statement: Statement, cursor: duckdb.DuckDBPyConnection
) -> list[tuple[ActorId, datetime | None, datetime | None]]:
    fetched, found = _history(plan.funnel, statement, cursor)
    best = _attempts(plan.funnel, found, plan.edges)
    chosen = best.furthest >= plan.took
    if plan.missed is not None:
        chosen &= best.furthest < plan.missed
    if plan.value is not None and found.values is not None:
        chosen &= found.values[best.unit] == _code(plan, fetched)
    return _page(plan, fetched, found.actors[best.unit[chosen]], None, None)


def _has_value(plan: FunnelActorsPlan, walked: Walked) -> Array:
    values = walked.values
    if values is None or (plan.value is None and not plan.is_rest):
        return np.ones(len(walked.outcomes.unit), bool)
    if plan.value is not None:
        return np.asarray(values == _code(plan, walked.fetched))
    texts = walked.fetched.texts["value"]
    shown = funnel_rows(
        walked.outcomes, values, limit=plan.n_values, optional=plan.funnel.optional, rank_of=_ranks(texts)
    )
    return ~np.isin(values, [row.value for row in shown])


def _code(plan: FunnelActorsPlan, fetched: Fetched) -> int:
    assert plan.value is not None
    text = plan.value[0] if len(plan.value) == 1 else _json_list(plan.value)
    known = fetched.texts["value"]
    return known.index(text) if text in known else -2


def _page(
    plan: FunnelActorsPlan, fetched: Fetched, actor: Array, first: Array | None, last: Array | None
) -> list[tuple[ActorId, datetime | None, datetime | None]]:
    known, places = np.unique(actor, return_index=True)
    ids = [fetched.actor_id(one) for one in known.tolist()]
    rows = sorted(zip(ids, places.tolist(), strict=True), key=lambda row: row[0])[
        plan.offset : plan.offset + plan.limit
    ]
    return [(one, _moment(first, place), _moment(last, place)) for one, place in rows]


def _moment(times: Array | None, place: int) -> datetime | None:
    if times is None or times[place] == NEVER:
        return None
    return _EPOCH + timedelta(microseconds=int(times[place]))


def _value(plan: FunnelPlan, texts: Sequence[str], code: int) -> Value:
    if plan.attribution is None or code == REST:
        return None
    n_sources = len(plan.attribution.sources)
    if code >= len(texts) or code < 0:
        return ("",) * n_sources
    return (texts[code],) if n_sources == 1 else tuple(json.loads(texts[code]))


def _missing(n_sources: int) -> str:
    return "" if n_sources == 1 else _json_list(("",) * n_sources)


def _json_list(texts: Sequence[str]) -> str:
    return json.dumps(list(texts), ensure_ascii=False, separators=(",", ":"))


def _ranks(texts: Sequence[str]) -> Array | None:
    """Return per code the place of its text in the order of texts."""
    if not texts:
        return None
    ranks = np.empty(len(texts), np.int64)
    ranks[sorted(range(len(texts)), key=lambda code: texts[code])] = np.arange(len(texts))
    return ranks
