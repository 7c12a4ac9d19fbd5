"""Plans of trends: what an engine shall count of one series in one period, and split by which values.

Made by `domain.queries.trends`; holds no meaning of queries and no SQL.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from attrs import field, frozen

from .plan import Condition, EventColumn, Source
from .scope import Scope

Actor = Literal["person"] | Source
"""Who is counted: the event's person after merges, or whoever a text names; an event without that text is nobody's."""
Statistic = Literal["sum", "avg", "min", "max", "median", "p75", "p90", "p95", "p99"]
"""How numbers become one; quantiles interpolate linearly between order statistics, nothing at all becomes 0."""


def group_type_index(actor: Actor) -> int | None:
    """Return which groups the actors of a plan are, None for persons."""
    return int(actor.name[-1]) if isinstance(actor, EventColumn) else None


@frozen
class CountEvents:
    """The number of events."""


@frozen
class CountActors:
    """The number of distinct actors."""

    actor: Actor
    is_once: bool = False
    """Whether each counts in the first of their buckets only (per breakdown value)."""
    counts_missing: bool = False
    """Whether the events without an actor count as those of one more."""


@frozen
class CountActive:
    """The number of distinct actors in a window that ends with each bucket.

    The edges of the plan bound slots, not buckets: bucket i sees the slots from `i * stride` up to, not including,
    `i * stride + n_window`.
    """

    actor: Actor
    n_buckets: int
    n_window: int
    stride: int = 1


@frozen
class Measure:
    """A statistic over a number of each event, or of each of its sessions; events without the number are left out."""

    statistic: Statistic
    source: Source | Literal["time"]
    """`time`: the event's seconds since 1970."""
    multiplier: float = 1
    is_per_session: bool = False


@frozen
class CountPerActor:
    """A statistic over how many events each actor has."""

    statistic: Statistic
    actor: Actor


@frozen
class CountFirstTimers:
    """The number of actors whose very first event, of all times until the end, lies in the bucket and counts.

    First is the earliest of the events that fulfil `among`; it counts if it fulfils the plan's condition too. Without
    `among`: the earliest that fulfils the plan's condition.
    """

    actor: Actor
    among: Condition | None = None


@frozen
class Evaluate:
    """A HogQL aggregation over the events."""

    text: str
    path: str
    """The place in the query, for errors."""
    scope: Scope = field(factory=Scope, eq=False, repr=False)


Counting = CountEvents | CountActors | CountActive | Measure | CountPerActor | CountFirstTimers | Evaluate


@frozen
class SplitBySource:
    """The breakdown value is a text of the event; NULL and the empty text are the missing value."""

    source: Source
    normalizes_url: bool = False
    """Whether `/`, `?` and `#` are cut from the end; what is nothing then is `/`."""
    n_bins: int | None = None
    """Number of equally wide bins between the least and the greatest number; the value is `lower,upper`, then, and
    what is no number is missing. The last bin includes its upper end."""
    are_quantiles: bool = False
    """Whether the bins hold equally many different numbers instead: their bounds are quantiles, of shares rounded to
    two decimals, rounded down to two decimals themselves, and what is no number is left out."""


@frozen
class SplitByCondition:
    """An event counts under the name of each of the conditions that it fulfils."""

    names: tuple[str, ...]
    conditions: tuple[Condition, ...]


Split = SplitBySource | SplitByCondition


@frozen
class Ranking:
    """Which breakdown values are told apart: the `limit` largest by total, ties by value; the others are added up."""

    limit: int
    null_ranks_last: bool
    """Whether a missing value ranks behind every real one, or by its size."""


@frozen
class TrendPlan:
    """One series over one period.

    Answered with rows (bucket index, number, is_rest, one text per split): buckets without events may be left out; a
    text is None where the value is missing, and all are None in the rows of the values that `ranking` folds together
    (is_rest); order does not matter.
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
    counting: Counting = CountEvents()
    splits: tuple[Split, ...] = ()
    """At most three."""
    ranking: Ranking | None = None
    """None: every breakdown value is told apart."""
    sampling: float | None = None
    """The share of distinct ids that is read, always the same ones."""
    most: int | None = None
    """How many rows are wanted at most, without ranking only; which of more is open."""
    unread: tuple[int, ...] = ()
    """Buckets whose events are left out."""


TrendRow = tuple[int, float, bool, *tuple[str | None, ...]]
"""Bucket index, number, whether it belongs to the folded rest, the breakdown value's texts."""


@frozen
class TrendActorsPlan:
    """The actors behind one number of a trend, those with most events first, of equal ones the latest id.

    Answered with rows (actor, number of events): a person's id or a group key.
    """

    trend: TrendPlan
    """Its bounds are those of the number, its edges are not looked at; no ranking."""
    actor: Actor
    values: tuple[str | None, ...] | None = None
    """The breakdown value, one text per split; None: whatever it is."""
    limit: int = 100
    offset: int = 0

    @property
    def project_id(self) -> int:
        """Whose actors."""
        return self.trend.project_id
