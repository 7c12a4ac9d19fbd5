"""Plans of sequences: who is followed through which events, and what an engine shall tell about them.

Made by `domain.queries.funnels` and its siblings; hold no meaning of queries and no SQL. Another engine may do in SQL
what the kernels of `adapters.kernels` do on arrays.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from attrs import frozen

from .plan import AllOf, Condition, Source
from .trend_plan import Actor

ActorId = int | str
"""A person's id, or the text that names the actor."""


@frozen
class Selection:
    """The events that are looked at."""

    project_id: int
    count_from: datetime
    """UTC instant, inclusive."""
    count_to: datetime
    """UTC instant, inclusive."""
    condition: Condition = AllOf()
    actor: Actor = "person"
    sampling: float | None = None
    """The share of distinct ids that is read, always the same ones."""


@frozen
class EventTest:
    """Whether an event is what a series names."""

    event: str | None
    """Name, None for every event."""
    condition: Condition = AllOf()
    first: Literal["named", "matching", "selected"] | None = None
    """Only the actor's first event ever: of that name (then it must match too), of those that match, or of those that
    match and fulfil the condition of the selection."""
    among: Condition = AllOf()
    """For `named`: what beside the name makes an event one of those, such as the steps of an action."""


@frozen
class ExclusionTest:
    """What must not happen after one step and before another, both 0-based."""

    test: EventTest
    from_step: int
    to_step: int


@frozen
class Attribution:
    """Which breakdown value an actor of a funnel counts under. An event without a value has the empty text."""

    sources: tuple[Source, ...]
    kind: Literal["first_touch", "last_touch", "all_events", "step"]
    step: int = 0


@frozen
class FunnelPlan:
    """A funnel: what the plans below tell about. Its meaning is queries.md 6.2 to 6.6."""

    events: Selection
    steps: tuple[EventTest, ...]
    window_us: int
    order: Literal["ordered", "strict", "unordered"] = "ordered"
    optional: frozenset[int] = frozenset()
    exclusions: tuple[ExclusionTest, ...] = ()
    attribution: Attribution | None = None


Value = tuple[str, ...] | None
"""A breakdown value, one text per source; None for the values folded together, or without breakdown."""


@frozen
class _OfFunnel:
    """A question about a funnel."""

    funnel: FunnelPlan

    @property
    def project_id(self) -> int:
        """Whose events."""
        return self.funnel.events.project_id


@frozen
class FunnelStepsPlan(_OfFunnel):
    """How many took each step, and how long they needed. Answered with `FunnelRow`s, most conversions first."""

    limit: int | None = None
    """How many breakdown values are told apart, those with most conversions; the others are folded. None: all."""


@frozen
class FunnelRow:
    """The numbers of one breakdown value."""

    value: Value
    counts: tuple[int, ...]
    """Per step, who took it."""
    average_s: tuple[float | None, ...]
    """Per step, the mean time since the required step before it, of those who needed any; None without them."""
    median_s: tuple[float | None, ...]


@frozen
class FunnelTimesPlan(_OfFunnel):
    """How long it took from one step to another. Answered with a `FunnelTimes`."""

    from_step: int
    to_step: int
    bin_count: int | None = None
    """None: by the number of actors."""


@frozen
class FunnelTimes:
    """A histogram."""

    bins: tuple[tuple[int, int], ...]
    """First second and number of actors, all equally wide."""
    average_s: float | None


@frozen
class FunnelPeriodsPlan(_OfFunnel):
    """Who came how far, by the period in which they began.

    Answered with rows (value, period index, how many came through the one step, through the other); periods without
    actors are left out.
    """

    edges: tuple[datetime, ...]
    """UTC instants, one more than there are periods."""
    from_step: int
    to_step: int


@frozen
class FunnelActorsPlan(_OfFunnel):
    """Who took some step: rows (actor, instant of the first step, instant of the last one taken), sorted by actor.

    With `edges` those who began in the only period that these bound.
    """

    took: int
    """This step, 0-based."""
    missed: int | None = None
    """And not this one."""
    furthest: tuple[int, ...] | None = None
    """And none further than one of these."""
    value: Value = None
    """Only under this breakdown value; None: whatever it is."""
    is_rest: bool = False
    """Only under the values that a limit of `n_values` folds."""
    n_values: int | None = None
    edges: tuple[datetime, ...] = ()
    limit: int = 100
    offset: int = 0


@frozen
class CorrelationPlan(_OfFunnel):
    """What actors did between entering and leaving a funnel, or what they are. Answered with a `Correlated`.

    Who converted took the last step, and left with it; the others leave when the window is over.
    """

    kind: Literal["events", "event_properties", "actor_properties"]
    took: int = 0
    """Of the actors who took this step, 0-based, only."""
    missed: int | None = None
    """And not this one."""
    group_type_index: int | None = None
    """Whose properties: those of groups of the type, or of persons."""
    skipped_events: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    """For `event_properties`: only of these, but for those left out."""
    names: tuple[str, ...] | None = None
    """For `actor_properties`: these; None for all."""
    skipped_names: tuple[str, ...] = ()
    min_actors: int = 1
    """Items of fewer actors are left out."""


@frozen
class Correlated:
    """Distinct actors per item, of those who converted and of the others."""

    n_converted: int
    n_others: int
    rows: tuple[tuple[tuple[str, ...], int, int], ...] = ()
    """Item (event; event, property, value; or property, value), converted actors, others."""


@frozen
class CorrelationActorsPlan(_OfFunnel):
    """Who is behind one item. Answered with rows (actor,), sorted."""

    is_converted: bool | None
    """None: either."""
    took: int = 0
    missed: int | None = None
    """As in the plan of the correlation."""
    group_type_index: int | None = None
    test: EventTest | None = None
    """They did this between entering and leaving."""
    properties: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Each of these properties of theirs has one of the values; a missing one is ""."""
    is_of_own_names: bool = False
    """Whether a missing property has no value, as where all that actors have is correlated."""
    limit: int = 100
    offset: int = 0


@frozen
class RetentionPlan:
    """Who is seen again how many intervals after they entered.

    Answered with rows (value, row index, column, number of actors, measure); empty cells are left out. Column 0 counts
    who entered; the value is None without breakdown.
    """

    events: Selection
    """Its bounds are the first and the last edge; what the entities must fulfil beside it is theirs."""
    target: EventTest
    """Who does it enters in the interval; with `first` only where they did it first."""
    returning: EventTest
    edges: tuple[datetime, ...]
    """UTC instants of the intervals, one more than there are."""
    n_rows: int
    n_columns: int
    min_occurrences: int = 1
    is_cumulative: bool = False
    rolling_us: int | None = None
    """With it columns are that long, from the actor's own entry on."""
    brackets: tuple[int, ...] = ()
    """Columns 1 and later are so many intervals wide."""
    breakdown: Source | None = None
    limit: int = 25
    measure: Source | None = None
    """A number of the returning events to add up."""
    is_mean: bool = False
    """Whether the sum is divided by the number of actors."""
    measures_after_entry: bool = False
    """Whether in the interval of the entry only what comes after it is added up."""

    @property
    def project_id(self) -> int:
        """Whose events."""
        return self.events.project_id


@frozen
class RetentionActorsPlan:
    """Who entered in a row: rows (actor, columns in which they were seen), those seen most often first."""

    retention: RetentionPlan
    row: int
    value: str | None = None
    """Only those who entered under this breakdown value, "" for a missing one; None: whatever it was."""
    is_rest: bool = False
    """Only those who entered under the values that the limit of the retention folds."""
    limit: int = 100
    offset: int = 0

    @property
    def project_id(self) -> int:
        """Whose events."""
        return self.retention.project_id


@frozen
class PathItem:
    """What stands for an event in a path: the text of a source, for the events that fulfil a condition."""

    condition: Condition
    source: Source


@frozen
class PathFunnel:
    """Only the actors of a funnel, and what they did around one of its steps."""

    funnel: FunnelPlan
    took: int
    """0-based step; its instant is what the events lie around."""
    missed: int | None
    """And not this one."""
    part: Literal["before", "between", "after"]
    """Up to the instant; from the step before to it; from it on. All inclusive."""
    delay_us: int = 0
    """The instant is that much later than the step."""


@frozen
class PathsPlan:
    """Which items follow each other in the sessions of actors.

    Answered with rows (source key, target key, number, mean microseconds), most frequent first, ties by the keys.
    """

    events: Selection
    items: tuple[PathItem, ...]
    """The first that fits an event stands for it."""
    rules: tuple[tuple[str, str], ...]
    """Pattern (RE2) and replacement, applied one after the other."""
    groupings: tuple[str, ...]
    """Texts in which `*` stands for anything; an item that fits one is replaced by it."""
    excluded: tuple[str, ...]
    start: str | None
    end: str | None
    step_limit: int
    gap_us: int
    """A pause that long begins a new session."""
    min_weight: int | None = None
    max_weight: int | None = None
    """Edges that are rarer or more frequent are left out."""
    edge_limit: int | None = None
    funnel: PathFunnel | None = None

    @property
    def project_id(self) -> int:
        """Whose events."""
        return self.events.project_id


@frozen
class PathActorsPlan:
    """Who went along: rows (actor, number of times), sorted by actor. Without keys: who has any path."""

    paths: PathsPlan
    start_key: str | None = None
    end_key: str | None = None
    dropoff_key: str | None = None
    """Whose path ends here."""
    limit: int = 100
    offset: int = 0

    @property
    def project_id(self) -> int:
        """Whose events."""
        return self.paths.project_id
