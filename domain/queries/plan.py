"""Plans: what an engine shall compute, free of dates to parse, defaults and names to look up; no SQL.

`domain.queries.trends` and its siblings make plans, the engines of `adapters.storage` answer them with plain rows.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from attrs import frozen

TextOperator = Literal["exact", "is_not", "icontains", "not_icontains", "regex", "not_regex"]
NumberOperator = Literal["gt", "gte", "lt", "lte"]
TestOperator = TextOperator | NumberOperator | Literal["is_set", "is_not_set"]


@frozen
class EventProperty:
    """The text of an event's property; NULL when the key is missing or its value is JSON null."""

    name: str


@frozen
class PropertyTest:
    """A property against values: true if any matches, or for the negative operators if none does.

    NULL fails the positive operators and passes the negative ones.
    """

    source: EventProperty
    operator: TestOperator
    values: tuple[str, ...] = ()
    """Texts; the number operators read them as numbers, and one that is none never matches."""


@frozen
class AllOf:
    """True when every part is; without parts always true."""

    parts: tuple[Condition, ...] = ()


@frozen
class AnyOf:
    """True when some part is; without parts never true."""

    parts: tuple[Condition, ...]


Condition = PropertyTest | AllOf | AnyOf


@frozen
class Ranking:
    """Which breakdown values are told apart: the `limit` largest by total, ties by value; the others are added up."""

    limit: int
    null_ranks_last: bool
    """Whether the missing value ranks behind every real one, or by its size."""


@frozen
class TrendPlan:
    """One series over one period.

    Answered with rows (bucket index, breakdown value, number, is_rest): buckets without events are left out; the
    breakdown value is None without `breakdown`, for events whose value is missing or empty, and in the rows of the
    values that `ranking` folds together (is_rest); order does not matter.
    """

    project_id: int
    event: str | None
    """Name, None for every event."""
    condition: Condition
    count_from: datetime
    """UTC instant, inclusive."""
    count_to: datetime
    """UTC instant, inclusive."""
    edges: tuple[datetime, ...]
    """UTC instants, one more than there are buckets: bucket i is `edges[i] <= timestamp < edges[i + 1]`. The bounds
    lie within the edges; less than two edges mean that there is one bucket, whatever the time."""
    unit: Literal["events", "persons", "new_persons"]
    """What is counted: events, distinct persons per bucket, or each person once, in their first bucket."""
    breakdown: EventProperty | None = None
    ranking: Ranking | None = None
    """None: every breakdown value is told apart."""


TrendRow = tuple[int, str | None, float, bool]
"""Bucket index, breakdown value, number, whether it belongs to the folded rest."""
