"""What a calculation needs beside the query: the project's context, the store, the time that is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from time import perf_counter
from typing import Any, Protocol, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from attrs import Factory, define, evolve, frozen

from ..domain.errors import InvalidInput, QueryTooLarge
from ..domain.queries import dates
from ..domain.queries.nodes import DateRange, PropertyFilter
from ..domain.queries.resolution import Setting
from ..domain.queries.scope import Scope
from ..domain.queries.trend_plan import TrendPlan
from .arrivals import Watermark
from .incremental import Buckets
from .product_ports import ProductStore
from .query_nodes import structure
from .stopping import Stop

T = TypeVar("T")


class Dated(Protocol):
    """A query with a range of dates."""

    @property
    def date_range(self) -> DateRange | None:
        """The range."""
        ...


@frozen
class QueryContext:
    """What a query means depends on this beside its own text and the events."""

    project_id: int
    now: datetime
    """Aware; what relative dates count from."""
    timezone: str = "UTC"
    """IANA name."""
    week_start_day: int = 0
    """0 Sunday, 1 Monday."""
    test_account_filters: tuple[Mapping[str, Any], ...] = ()
    """Property filters in JSON, added by `filterTestAccounts`."""
    definitions: Scope = Factory(Scope)
    """The project's actions, cohorts, property types and ways of counting; its `now` and `zone` are not looked at."""

    @property
    def scope(self) -> Scope:
        """What the names and relative dates in a query stand for."""
        return evolve(self.definitions, now=self.now, zone=self.zone, week_start_day=self.week_start_day)

    @property
    def zone(self) -> ZoneInfo:
        """The project's zone. Raises InvalidInput for an unknown name."""
        try:
            return ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise InvalidInput(f"Unknown time zone {self.timezone!r}.", path="timezone") from error


@define
class Run:
    """One calculation: the store, what is left of the time, and how long each part took."""

    store: ProductStore
    deadline_s: float
    stop: Stop = Factory(Stop)
    buckets: Buckets | None = None
    """Keeps what plans were answered with."""
    watermark: Watermark = Factory(lambda: Watermark(0))
    """How far the store had got before the first plan."""
    started: float = Factory(perf_counter)
    timings: list[dict[str, Any]] = Factory(list)

    def timed(self, name: str, work: Callable[[], T]) -> T:
        """Return what `work` gives and note how long it took."""
        self.stop.check()
        begun = perf_counter()
        found = work()
        self.timings.append({"k": f"./{name}", "t": round(perf_counter() - begun, 6)})
        return found

    def answer(self, plan: Any) -> Any:
        """Return the rows of a plan, within the time that is left."""
        if self.buckets is None:
            return self._ask(plan)
        if not isinstance(plan, TrendPlan):
            return self.buckets.whole.answer(plan, self.watermark, self._ask)
        merged_hours = partial(self.store.hours_of_merged, plan.project_id)
        return self.buckets.answer(plan, self.watermark, self._ask, merged_hours)

    def time_left(self) -> float:
        """Return how many seconds are left, more than none. Raises QueryTooLarge."""
        left = self.deadline_s - (perf_counter() - self.started)
        if left <= 0:
            raise QueryTooLarge("The query took too long.", path="query")
        return left

    def _ask(self, plan: Any) -> Any:
        left = self.time_left()
        return self.store.run(plan, deadline_s=left, stop=self.stop)

    def answers(self, plans: Iterable[Any]) -> list[Any]:
        """Return the rows of each plan."""
        return [self.answer(plan) for plan in plans]


def setting_of(node: Dated, context: QueryContext, store: ProductStore) -> Setting:
    """Return what the query's meaning depends on; the project's first event is looked up only when it is asked for."""
    asks_all = node.date_range is not None and node.date_range.date_from == "all"
    return Setting(
        context.project_id,
        context.now,
        context.zone,
        context.scope,
        context.week_start_day,
        structure(list(context.test_account_filters), tuple[PropertyFilter, ...], "test_account_filters"),
        store.first_event_at(context.project_id) if asks_all else None,
    )


def response(results: Any, context: QueryContext, run: Run, bounds: dates.Bounds) -> dict[str, Any]:
    """Return the fields that the response of every query has."""
    return {
        "results": results,
        "timings": run.timings,
        "hogql": None,
        "modifiers": {},
        "error": None,
        "timezone": context.timezone,
        "resolved_date_range": {
            "date_from": dates.format_instant(bounds.from_instant.astimezone(bounds.zone)),
            "date_to": dates.format_instant(bounds.to_instant.astimezone(bounds.zone)),
        },
    }
