"""What resolving has in common for every insight: the shared filters, what is checked, what is compared.

Source: PostHog's query runners.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from attrs import evolve, frozen

from ..errors import InvalidQuery
from . import dates
from .actions import series_condition
from .nodes import CompareFilter, DateRange, Interval, Properties, PropertyFilter, SeriesNode
from .plan import Condition, EventColumn
from .properties import MAX_GROUP_TYPES, all_of, condition
from .scope import Scope
from .trend_plan import Actor


@frozen
class Setting:
    """What a query's meaning depends on beside its own text."""

    project_id: int
    now: datetime
    """Aware."""
    zone: ZoneInfo
    scope: Scope
    week_start_day: int = 0
    """0 Sunday, 1 Monday."""
    test_account_filters: tuple[PropertyFilter, ...] = ()
    earliest: datetime | None = None
    """Instant of the project's first event, needed for `date_from: all`."""

    @property
    def by_person(self) -> Setting:
        """The same where persons are followed, also in a project that counts distinct ids."""
        return evolve(self, scope=evolve(self.scope, aggregates_by_distinct_id=False))


def shared_condition(
    properties: Properties | None, filter_test_accounts: bool | None, setting: Setting, path: str
) -> Condition:
    """Return what every series' events must fulfil: the query's properties, the test account filters if asked for."""
    own = condition(properties, path=f"{path}.properties", scope=setting.scope)
    if not filter_test_accounts:
        return own
    accounts = condition(setting.test_account_filters, path="test_account_filters", scope=setting.scope)
    return all_of([accounts, own])


def matching(node: SeriesNode, shared: Condition, setting: Setting, path: str) -> tuple[str | None, Condition]:
    """Return the event of a series (None: any) and what else its events fulfil, all filters included."""
    event, own = series_condition(node, setting.scope, path)
    return event, all_of([shared, own])


def check_dates(asked: DateRange | None, compare: CompareFilter | None, setting: Setting, path: str) -> None:
    """Raise InvalidQuery with its path for a date that is none, and for a comparison of `all`."""
    now, zone = setting.now, setting.zone
    asked = asked or DateRange()
    if asked.date_from != "all":
        dates.check(asked.date_from, now=now, zone=zone, path=f"{path}.dateRange.date_from")
    elif compare is not None and compare.compare:
        raise InvalidQuery("Both dates are needed to compare periods.", path=f"{path}.dateRange.date_from")
    dates.check(asked.date_to, now=now, zone=zone, path=f"{path}.dateRange.date_to")
    if compare is not None:
        dates.check(compare.compare_to, now=now, zone=zone, path=f"{path}.compareFilter.compare_to")


def sampling_of(factor: float | None, path: str) -> float | None:
    """Return the share of distinct ids to read, None for all. Raises InvalidQuery outside of 0 to 1."""
    if factor is not None and not 0 < factor <= 1:
        raise InvalidQuery("A sampling factor lies above 0 and up to 1.", path=f"{path}.samplingFactor")
    return None if factor == 1 else factor


def bounds_of(date_range: DateRange | None, interval: Interval, setting: Setting, path: str) -> dates.Bounds:
    """Return the bounds of a range. Raises InvalidQuery with the path of a date that cannot be read."""
    check_dates(date_range, None, setting, path)
    return dates.resolve(
        date_range, interval=interval, now=setting.now, zone=setting.zone, week_start_day=setting.week_start_day,
        earliest=setting.earliest,
    )  # fmt: skip


def upscaled(count: int, sampling: float | None) -> int:
    """Return the number that a share of it stands for."""
    return count if sampling is None else round(count / sampling)


def actor_of(group_type_index: int | None, setting: Setting, path: str) -> Actor:
    """Return who is followed: groups of a type, else persons or distinct ids. Raises InvalidQuery outside 0 to 4."""
    if group_type_index is None:
        return EventColumn("distinct_id") if setting.scope.aggregates_by_distinct_id else "person"
    if not 0 <= group_type_index < MAX_GROUP_TYPES:
        raise InvalidQuery("A group type index is a number from 0 to 4.", path=f"{path}.aggregation_group_type_index")
    return EventColumn(f"$group_{group_type_index}")
