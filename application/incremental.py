"""Trends calculated bit by bit: the buckets that nothing has touched since are kept, only the others are asked for.

Works on plans and their rows, below the meaning of queries: queries whose plans differ in their dates only share
buckets. An answer is always the one that the whole plan would get.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Literal

import attrs
from attrs import Factory, define, evolve, frozen

from ..domain.queries import plan as plans
from ..domain.queries import trend_plan as trends
from ..domain.queries.scope import PathRule
from ..domain.queries.trend_plan import TrendPlan, TrendRow
from .arrivals import HOUR, Arrivals, Watermark
from .kept_answers import MAX_SIZE, KeptAnswers
from .plan_parts import parts_of

MAX_FAMILIES = 5_000
MAX_ROWS = 1_000_000
"""Rows kept in all."""
MAX_FAMILY_ROWS = 50_000
MAX_RUNS = 3
"""Stretches of missing buckets between which nothing is read; with more of them, all from the first to the last is."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Reads = Literal["events", "merges", "people"]
"""What the rows of a bucket hang on beside its events: nothing, who was merged with whom, properties of people."""
RunPlan = Callable[[TrendPlan], Sequence[TrendRow]]

_PLAIN = (
    plans.EventProperty, plans.EventColumn, plans.TypedText, plans.CleanedPath, PathRule, plans.PropertyTest,
    plans.InstantTest, plans.ElementTest, plans.AllOf, plans.AnyOf, plans.Not, trends.CountEvents, trends.CountActors,
    trends.Measure, trends.CountPerActor, trends.SplitBySource, trends.SplitByCondition, trends.Ranking, TrendPlan,
)  # fmt: skip
"""Parts of plans that look at one event at a time; a plan with any other part is answered as a whole."""


@frozen
class _Stretch:
    """The instants of a bucket that the plan counts: inclusive, exclusive."""

    start: datetime
    end: datetime

    def hours(self) -> range:
        """Return the hours since 1970 that it touches."""
        return range((self.start - _EPOCH) // HOUR, -((_EPOCH - self.end) // HOUR))


Kept = dict[_Stretch, tuple[TrendRow, ...]]
"""Rows by stretch, without their bucket index (0)."""


@define(eq=False)
class _Family:
    """The buckets of all plans that differ in their dates only."""

    watermark: Watermark
    buckets: Kept = Factory(dict)
    n_rows: int = 0


class Buckets:
    """Keeps rows of trend plans by bucket; safe for threads, bounded, in memory."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._lock = threading.Lock()
        self._families: OrderedDict[TrendPlan, _Family] = OrderedDict()
        self._n_rows = 0
        self.whole = KeptAnswers(arrivals)
        """What is answered as a whole."""

    def answer(
        self,
        plan: TrendPlan,
        watermark: Watermark,
        run: RunPlan,
        merged_hours: Callable[[Sequence[int]], frozenset[int]],
    ) -> Sequence[TrendRow]:
        """Return the rows of a plan; `run` answers it, or parts of it.

        `watermark` is how far the store had got before the call; `merged_hours` gives the hours in which the given
        persons, who were merged into others, have events.
        """
        reads = reads_of(plan)
        stretches = stretches_of(plan)
        if reads is None or not stretches:
            found: Sequence[TrendRow] = self.whole.answer(plan, watermark, run)
            return found
        name = evolve(plan, count_from=_EPOCH, count_to=_EPOCH, edges=())
        kept = self._still_right(name, plan, reads, merged_hours)
        joined = self._joined(plan, stretches, kept, run) if kept else None
        if joined is not None:
            found, fresh = joined
            self._keep(name, watermark, kept | fresh)
            return found
        found = self.whole.find(plan)  # that of values which are folded
        if found is None:
            found = run(plan)
            if not any(row[2] for row in found):
                self._keep(name, watermark, kept | _by_stretch(stretches, found))
            elif len(found) * len(found[0]) <= MAX_SIZE:
                self.whole.keep(plan, watermark, found)
        return found

    def _still_right(
        self, name: TrendPlan, plan: TrendPlan, reads: Reads, merged_hours: Callable[[Sequence[int]], frozenset[int]]
    ) -> Kept:
        """Return what is kept of the family and was not touched since."""
        with self._lock:
            family = self._families.get(name)
            if family is None:
                return {}
            self._families.move_to_end(name)
            since, buckets = family.watermark, dict(family.buckets)
        names = None if plan.event is None else frozenset({plan.event})
        touched = self._arrivals.touched_hours(plan.project_id, since, names=names)
        if touched is None or (reads == "people" and self._arrivals.persons_changed(plan.project_id, since)):
            return {}
        if reads != "events":
            merged = self._arrivals.merged(plan.project_id, since)
            if merged is None:
                return {}
            touched = touched | (merged_hours(merged) if merged else frozenset())
        if not touched:
            return buckets
        first, end = _EPOCH + min(touched) * HOUR, _EPOCH + (max(touched) + 1) * HOUR
        return {
            stretch: rows
            for stretch, rows in buckets.items()
            if stretch.end <= first or stretch.start >= end or not _meet(touched, stretch.hours())
        }

    @staticmethod
    def _joined(
        plan: TrendPlan, stretches: Sequence[_Stretch], kept: Kept, run: RunPlan
    ) -> tuple[list[TrendRow], Kept] | None:
        """Return the plan's rows, asking for the missing buckets, and these; None when only the whole plan can tell."""
        missing = [place for place, stretch in enumerate(stretches) if stretch not in kept]
        if 2 * len(missing) > len(stretches):
            return None
        fresh: dict[int, list[TrendRow]] = {place: [] for place in missing}
        limit = None if plan.ranking is None else plan.ranking.limit
        if missing:
            part, places = _part(plan, _runs(missing), limit)
            rows = run(part)
            if part.most is not None and len(rows) >= part.most:
                return None
            for row in rows:
                place = places[row[0]]
                if place in fresh:
                    fresh[place].append((0, *row[1:]))
        made = {stretches[place]: tuple(rows) for place, rows in fresh.items()}
        rows = [
            (place, *row[1:])
            for place, stretch in enumerate(stretches)
            for row in (made[stretch] if place in fresh else kept[stretch])
        ]
        if limit is not None and len({row[3:] for row in rows}) > limit:
            return None
        return rows, made

    def _keep(self, name: TrendPlan, watermark: Watermark, buckets: Kept) -> None:
        n_rows = sum(map(len, buckets.values())) + len(buckets)
        with self._lock:
            old = self._families.get(name)
            if old is not None and old.watermark > watermark:
                return
            self._n_rows -= old.n_rows if old is not None else 0
            self._families.pop(name, None)
            if n_rows > MAX_FAMILY_ROWS:
                return
            self._families[name] = _Family(watermark, buckets, n_rows)
            self._n_rows += n_rows
            while self._n_rows > MAX_ROWS or len(self._families) > MAX_FAMILIES:
                self._n_rows -= self._families.popitem(last=False)[1].n_rows


def reads_of(plan: TrendPlan) -> Reads | None:
    """Return what each bucket's rows hang on; None when they hang on other buckets, or on what is not watched."""
    found: Reads = "events"
    if isinstance(plan.counting, trends.CountActors) and plan.counting.is_once:
        return None
    for part in parts_of(plan):
        if isinstance(part, plans.PersonProperty | plans.GroupProperty):
            found = "people"
        elif not _is_watched(part):
            return None
        elif found == "events" and (part == "person" or part == plans.EventColumn("person_id")):
            found = "merges"
    return found


def _is_watched(part: Any) -> bool:
    has_bins = isinstance(part, trends.SplitBySource) and part.n_bins is not None
    return not has_bins and (isinstance(part, _PLAIN) or not attrs.has(type(part)))


def stretches_of(plan: TrendPlan) -> list[_Stretch]:
    """Return what the plan counts of each bucket; nothing for a plan without buckets, or with an empty one."""
    until = plan.count_to + _MICROSECOND
    found = [_Stretch(max(start, plan.count_from), min(end, until)) for start, end in pairwise(plan.edges)]
    return found if all(stretch.start < stretch.end for stretch in found) else []


def _meet(hours: frozenset[int], stretch: range) -> bool:
    return any(hour in stretch for hour in hours) if len(hours) < len(stretch) else not hours.isdisjoint(stretch)


def _by_stretch(stretches: Sequence[_Stretch], rows: Sequence[TrendRow]) -> Kept:
    table: dict[_Stretch, list[TrendRow]] = {stretch: [] for stretch in stretches}
    for row in rows:
        table[stretches[row[0]]].append((0, *row[1:]))
    return {stretch: tuple(found) for stretch, found in table.items()}


def _part(
    plan: TrendPlan, runs: Sequence[tuple[int, int]], limit: int | None
) -> tuple[TrendPlan, Sequence[int | None]]:
    """Return the plan of some runs of buckets, and which bucket of the whole each of its own is; None is between runs.

    PERF: one statement, as a plan of one day takes 1.5 ms, most of it for planning. Ranking values that need not be
    folded would take longer than all else; `limit` of them in every bucket are as many as can be told apart.
    """
    places: list[int | None] = []
    for first, last in runs:
        places += [None] if places else []
        places += range(first, last + 1)
    edges = [edge for first, last in runs for edge in plan.edges[first : last + 2]]
    return evolve(
        plan,
        count_from=max(plan.count_from, edges[0]),
        count_to=min(plan.count_to, edges[-1] - _MICROSECOND),
        edges=tuple(edges),
        unread=tuple(place for place, whole in enumerate(places) if whole is None),
        ranking=None,
        most=None if limit is None else limit * (len(places) - len(runs) + 1) + 1,
    ), places


def _runs(places: Sequence[int]) -> list[tuple[int, int]]:
    """Return the first and last of each run of neighbours; one that spans them all when there are many."""
    runs: list[tuple[int, int]] = []
    for place in places:
        if runs and runs[-1][1] == place - 1:
            runs[-1] = (runs[-1][0], place)
        else:
            runs.append((place, place))
    return runs if len(runs) <= MAX_RUNS else [(runs[0][0], runs[-1][1])]
