"""Answers plans about funnels: DuckDB fetches the events, the kernels walk them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
from attrs import evolve, frozen

from ....domain.errors import QueryTooLarge
from ....domain.queries.sequence_plans import (
    ActorId,
    Attribution,
    FunnelActorsPlan,
    FunnelPeriodsPlan,
    FunnelPlan,
    FunnelRow,
    FunnelStepsPlan,
    FunnelTimes,
    FunnelTimesPlan,
    Value,
)
from ...kernels import attempts, chains, plain, plain_unordered, unordered
from ...kernels.attribution import attributed, touched
from ...kernels.checkpoint import by_blocks
from ...kernels.funnel_rows import REST, funnel_rows, histogram, period_rows, seconds_between
from ...kernels.histories import Array, Flags, History, chosen, history
from ...kernels.moments import Exclusion
from ...kernels.outcomes import NEVER, Outcomes, joined
from ...kernels.packed import Packed
from ._histories import Fetched, fetch, joined_text
from ._statement import Statement

if TYPE_CHECKING:
    import duckdb

_BYTE_BITS, _SEVERAL = 8, 255
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@frozen(eq=False)
class Walked:
    """A funnel that was walked."""

    fetched: Fetched
    outcomes: Outcomes
    actors: Array
    """Per outcome, whose it is."""
    values: Array | None
    """Per outcome, the code of its breakdown value; None without breakdown."""

    def only(self, chosen: Flags) -> Walked:
        """Return some of the outcomes."""
        one = self.outcomes
        outcomes = Outcomes(one.unit[chosen], one.furthest[chosen], one.times[:, chosen])
        values = None if self.values is None else self.values[chosen]
        return Walked(self.fetched, outcomes, self.actors[chosen], values)


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
    samples = seconds_between(walked.outcomes, plan.from_step, plan.to_step)
    bins, average = histogram(samples, plan.bin_count)
    return FunnelTimes(tuple(bins), average)


def periods(
    plan: FunnelPeriodsPlan, statement: Statement, cursor: duckdb.DuckDBPyConnection
) -> list[tuple[Value, int, int, int]]:
    """Answer who came how far, by the period in which they began."""
    tried = _attempts(plan.funnel, plan.edges, statement, cursor)
    rows = period_rows(tried.best, tried.values, len(plan.edges) - 1, plan.from_step, plan.to_step)
    texts = tried.fetched.texts.get("value", ())
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
    fetched = _fetched(plan, statement, cursor)
    shortly = _walked_shortly(plan, fetched)
    if shortly is not None:
        return shortly
    parts, values = [], []
    for part in _histories(plan, fetched):
        found = _walked(plan, part)
        parts.append((found, part.actors[found.unit]))
        if part.values is not None:
            values.append(part.values[found.unit])
    return Walked(fetched, *joined(parts), np.concatenate(values) if values else None)


def _walked(plan: FunnelPlan, part: History) -> Outcomes:
    n_steps = len(plan.steps)
    if plan.order == "unordered":
        return unordered.walk(part, n_steps, plan.window_us, exclusions=_exclusions(plan), first_mark=_first_mark(plan))
    return chains.walk(
        part, n_steps, plan.window_us,
        is_strict=plan.order == "strict", optional=plan.optional, exclusions=_exclusions(plan),
    )  # fmt: skip


def _plain(plan: FunnelPlan, fetched: Fetched) -> tuple[Packed, Array] | None:
    """Return the events and steps of a funnel in which each event is one step and nothing else matters, None of others.

    In a strict funnel 0 stands for no step, and each step is one more.
    """
    if plan.exclusions or plan.optional:
        return None
    if plan.attribution is not None and plan.attribution.kind not in ("first_touch", "last_touch"):
        return None
    code = _steps_of(fetched, len(plan.steps), has_others=plan.order == "strict")
    room = 1 if plan.order == "ordered" else len(plan.steps).bit_length()
    events = None if code is None else fetched.packed(plan.window_us, room=room)
    return None if events is None or code is None else (events, code)


def _steps_of(fetched: Fetched, n_steps: int, *, has_others: bool) -> Array | None:
    """Return each event's only step, or None when one is none or several; with others, 0 for none and one more."""
    if fetched.table is not None:
        return fetched.code if len(fetched.table) == n_steps + has_others else None
    if n_steps > _BYTE_BITS:
        return None
    table = np.full(1 << _BYTE_BITS, _SEVERAL, np.uint8)
    table[1 << np.arange(n_steps)] = np.arange(n_steps) + has_others
    if has_others:
        table[0] = 0
    code = by_blocks(len(fetched.code), np.uint8, lambda of: table.take(fetched.code[of]))
    return None if int(code.max(initial=0)) == _SEVERAL else code


def _walked_shortly(plan: FunnelPlan, fetched: Fetched) -> Walked | None:
    plain_rows = _plain(plan, fetched)
    if plain_rows is None:
        return None
    n_steps = len(plan.steps)
    walked = _WALKS[plan.order](*plain_rows, n_steps)
    if walked is None:
        return None
    outcomes, actors = walked
    return Walked(fetched, outcomes, actors, _values_of(plan, fetched, *plain_rows, actors))


_WALKS = {"ordered": plain.walk, "strict": plain.walk_strictly, "unordered": plain_unordered.walk}


def _values_of(plan: FunnelPlan, fetched: Fetched, events: Packed, code: Array, actors: Array) -> Array | None:
    """Return the value that each actor was touched by first or last; the missing one when by none."""
    if plan.attribution is None:
        return None
    value, nothing = fetched.columns["value"], _nothing(plan.attribution, fetched)
    if plan.order == "strict":
        # Values of events of no step do not matter.
        steps = code != 0
        events, code, value = (
            evolve(events, keys=chosen(events.keys, steps)), chosen(code, steps), chosen(value, steps),
        )  # fmt: skip
    return touched(events, code, value, actors, nothing=nothing, is_last=plan.attribution.kind == "last_touch")


def _any_step(plan: FunnelPlan) -> tuple[int, int] | None:
    """Return number of steps and the mark of events that carry the value, when the value may come from any step.

    An unordered funnel has no first step; the first event of a window is it.
    """
    if plan.order != "unordered" or plan.attribution is None or plan.attribution.kind != "step":
        return None
    return len(plan.steps), len(plan.steps) + len(plan.exclusions)


def _first_mark(plan: FunnelPlan) -> int | None:
    any_step = _any_step(plan)
    return None if any_step is None else any_step[1]


def _fetched(plan: FunnelPlan, statement: Statement, cursor: duckdb.DuckDBPyConnection) -> Fetched:
    texts = {"value": joined_text(plan.attribution.sources, statement)} if plan.attribution else {}
    tests = [*plan.steps, *(one.test for one in plan.exclusions)]
    return fetch(
        plan.events, tests, statement, cursor,
        reach_us=plan.window_us, texts=texts, keeps_others=plan.order == "strict",
    )  # fmt: skip


def _nothing(attribution: Attribution, fetched: Fetched) -> int | None:
    """Return the code of the missing value, None when no event lacks one."""
    known, missing = fetched.texts["value"], _missing(len(attribution.sources))
    return known.index(missing) if missing in known else None


def _histories(plan: FunnelPlan, fetched: Fetched) -> Iterator[History]:
    attribution = plan.attribution
    if attribution is None:
        yield from (part for _, part in history(fetched.actor, fetched.at, fetched.marks).parts())
        return
    try:
        yield from attributed(
            fetched.actor, fetched.at, fetched.marks, fetched.columns["value"], attribution.kind,
            step=attribution.step, nothing=_nothing(attribution, fetched), any_step=_any_step(plan),
        )  # fmt: skip
    except MemoryError as error:
        raise QueryTooLarge(str(error), path="query.breakdownFilter") from error


def _exclusions(plan: FunnelPlan) -> list[Exclusion]:
    return [Exclusion(len(plan.steps) + place, one.from_step, one.to_step) for place, one in enumerate(plan.exclusions)]


@frozen(eq=False)
class _Tried:
    """The attempts of a funnel."""

    fetched: Fetched
    best: attempts.Attempts
    actors: Array
    """Per unit."""
    values: Array | None
    """Per unit, the code of its breakdown value; None without breakdown."""


def _attempts(
    plan: FunnelPlan, edges: Sequence[datetime], statement: Statement, cursor: duckdb.DuckDBPyConnection
) -> _Tried:
    fetched = _fetched(plan, statement, cursor)
    edges_us = [(edge - _EPOCH) // timedelta(microseconds=1) for edge in edges]
    plain_rows = _plain(plan, fetched) if plan.order == "ordered" else None
    if plain_rows is not None:
        best, actors = plain.attempts(*plain_rows, len(plan.steps), edges_us)
        return _Tried(fetched, best, actors, _values_of(plan, fetched, *plain_rows, actors))
    parts, values = [], []
    for part in _histories(plan, fetched):
        tried = attempts.walk(
            part, len(plan.steps), plan.window_us, edges_us,
            order=plan.order, exclusions=_exclusions(plan), first_mark=_first_mark(plan),
        )  # fmt: skip
        parts.append((tried, part.actors))
        if part.values is not None:
            values.append(part.values)
    return _Tried(fetched, *attempts.joined(parts), np.concatenate(values) if values else None)


def _period_actors(
    plan: FunnelActorsPlan, statement: Statement, cursor: duckdb.DuckDBPyConnection
) -> list[tuple[ActorId, datetime | None, datetime | None]]:
    tried = _attempts(plan.funnel, plan.edges, statement, cursor)
    best = tried.best
    chosen = best.furthest >= plan.took
    if plan.missed is not None:
        chosen &= best.furthest < plan.missed
    if plan.value is not None and tried.values is not None:
        chosen &= tried.values[best.unit] == _code(plan, tried.fetched)
    return _page(plan, tried.fetched, tried.actors[best.unit[chosen]], None, None)


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
    page = slice(plan.offset, plan.offset + plan.limit)
    return [
        (fetched.actor_id(actor), _moment(first, place), _moment(last, place))
        for actor, place in zip(known[page].tolist(), places[page].tolist(), strict=True)
    ]


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
