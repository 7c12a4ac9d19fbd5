"""Plans of trends as DuckDB SQL: events become rows of bucket and breakdown value, a counting makes numbers of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

from attrs import evolve
from sqlglot import exp

from ....domain.queries.properties import all_of
from ....domain.queries.trend_plan import (
    CountActive,
    CountActors,
    CountEvents,
    CountFirstTimers,
    CountPerActor,
    Evaluate,
    Measure,
    Ranking,
    Split,
    SplitByCondition,
    Statistic,
    TrendActorsPlan,
    TrendPlan,
)
from ._bins import bin_of, binned, bins_of, names_of, span_of
from ._buckets import Run, place_in
from ._conditions import condition_sql
from ._numbers import number_sql
from ._selects import actor_sql, aliased, count, event_conditions, fragment, is_known, sampled
from ._sources import hogql_sql, source_sql
from ._statement import PlanDate, Statement, from_events

_QUANTILES = {"median": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99}
_PERSONS = CountActors("person")
MAX_BITS_BYTES = 16 << 20
"""Of all buckets together."""
_MASK_BITS = 63
_ALL_SLOTS = (1 << _MASK_BITS) - 1


def trend(plan: TrendPlan, statement: Statement) -> exp.Expr:
    """Return a SELECT of the rows that the plan describes, in the buckets of the statement's runs.

    Dates of the plan become placeholders that say so (`bind_date`), and nothing else depends on them.
    """
    numbers = _COUNTINGS[type(plan.counting)](plan, plan.counting, statement)
    names = names_of(plan.splits)
    if plan.ranking is None:
        found = exp.select(
            *_columns("bucket", "n"), aliased(exp.false(), "is_rest"), *_columns(*names), copy=False
        )  # fmt: skip
        found = found.from_(numbers.subquery("numbers", copy=False), copy=False)
        return found if plan.most is None else found.limit(plan.most, copy=False)
    # PERF: columns instead of texts to be parsed, and nothing is copied; that took longer than DuckDB's planning.
    totals = exp.select(*_columns(*names), aliased(_place(plan.ranking, names), "place"), copy=False)
    totals = totals.from_(_table("numbers"), copy=False).group_by(*_columns(*names), copy=False)
    is_rest = exp.GT(this=exp.column("place"), expression=exp.Literal.number(plan.ranking.limit))
    shown = [
        aliased(exp.Case(ifs=[exp.If(this=is_rest.copy(), true=exp.null())], default=exp.column(name, "numbers")), name)
        for name in names
    ]
    same = [exp.NullSafeEQ(this=exp.column(name, "numbers"), expression=exp.column(name, "ranks")) for name in names]
    sums = aliased(exp.Sum(this=exp.column("n")), "total")
    groups = [exp.Literal.number(place) for place in (1, 3, *range(4, 4 + len(names)))]
    return (
        exp.select(*_columns("bucket"), sums, aliased(is_rest, "is_rest"), *shown, copy=False)
        .from_(_table("numbers"), copy=False)
        .join(_table("ranks"), on=exp.and_(*same, copy=False), copy=False)
        .group_by(*groups, copy=False)
        .with_(_alias("numbers"), as_=numbers, copy=False)
        .with_(_alias("ranks"), as_=totals, copy=False)
    )


def _table(name: str) -> exp.Table:
    return exp.Table(this=exp.to_identifier(name))


def _alias(name: str) -> exp.TableAlias:
    return exp.TableAlias(this=exp.to_identifier(name))


def trend_actors(plan: TrendActorsPlan, statement: Statement) -> exp.Expr:
    """Return a SELECT of (actor, number of events), largest number first."""
    trend_plan = plan.trend
    if isinstance(trend_plan.counting, CountFirstTimers):
        rows = _firsts(trend_plan, trend_plan.counting, statement)
    else:
        rows = _rows(trend_plan, statement, aliased(actor_sql(plan.actor, statement), "actor"))
    found = exp.select("actor", aliased(count(), "n")).from_(rows.subquery("matching")).where(is_known("actor"))
    for name, value in zip(names_of(trend_plan.splits), plan.values or (), strict=False):
        wanted = exp.null() if value is None else statement.bind(value)
        found = found.where(exp.NullSafeEQ(this=exp.column(name), expression=wanted))
    return found.group_by("actor").order_by("n DESC", "actor DESC").limit(plan.limit).offset(plan.offset)


def _count_events(plan: TrendPlan, counting: CountEvents, statement: Statement) -> exp.Select:
    del counting
    return _grouped(plan, _rows(plan, statement), count())


def _count_actors(plan: TrendPlan, counting: CountActors, statement: Statement) -> exp.Select:
    actor = actor_sql(counting.actor, statement)
    if counting.counts_missing:
        actor = exp.Coalesce(this=actor, expressions=[exp.Literal.string("")])
    names = names_of(plan.splits)
    raw = _rows(plan, statement, aliased(actor, "actor"))
    if counting == _PERSONS and _fit_into_bits(plan, statement):
        bits = (1 << statement.person_bits) - 1
        return _grouped(plan, raw, fragment(f"bit_count(bitstring_agg(actor, 0, {bits}))"))
    rows = raw.subquery("matching", copy=False)
    seen = exp.select(*_columns(*names, "actor"), copy=False).from_(rows, copy=False)
    seen = seen.where(is_known("actor"), copy=False)
    if counting.is_once:
        seen = seen.select(aliased(exp.Min(this=exp.column("bucket")), "bucket")).group_by(*names, "actor")
    else:
        seen = seen.select(*_columns("bucket"), copy=False).distinct(copy=False)
    return _grouped(plan, seen, count())


def _fit_into_bits(plan: TrendPlan, statement: Statement) -> bool:
    """Whether the persons of each bucket may be counted as set bits.

    PERF: 1 M events of 10,000 persons a day in two thirds of the time that telling rows apart takes. An id beyond the
    bits is an error, which must not be taken for one of the HogQL.
    """
    n_bytes = statement.n_buckets << statement.person_bits >> 3
    return bool(statement.person_bits) and n_bytes <= MAX_BITS_BYTES and not (plan.splits or statement.hogql_paths)


def _count_active(plan: TrendPlan, counting: CountActive, statement: Statement) -> exp.Select:
    """Return the actors seen in each bucket's window. PERF: by masks a month of 10 M events takes half the time."""
    rows = _rows(plan, statement, aliased(actor_sql(counting.actor, statement), "actor"))
    if counting.actor == "person" and _fit_into_bits(plan, statement):
        return _by_bits(rows, counting, statement)
    return (_by_masks if statement.n_buckets < _MASK_BITS else _by_runs)(rows, names_of(plan.splits), counting)


def _by_bits(rows: exp.Select, counting: CountActive, statement: Statement) -> exp.Select:
    """Give every slot the set of its persons as bits, and put those of each window together.

    PERF: two thirds of the time that masks take; 90 buckets with windows of 30 days in 0.1 s of 10 M events.
    """
    bits = fragment(f"bitstring_agg(actor, 0, {(1 << statement.person_bits) - 1})")
    slots = exp.select("bucket", aliased(bits, "bits")).from_(rows.subquery("matching")).group_by("bucket")
    places = exp.select(aliased(fragment(f"unnest(range({counting.n_buckets}))"), "place"))
    first = f"place * {counting.stride}"
    return (
        exp.select(aliased(exp.column("place"), "bucket"), aliased(fragment("bit_count(bit_or(bits))"), "n"))
        .from_(slots.subquery("slots"))
        .join(places.subquery("places"), on=f"bucket >= {first} AND bucket < {first} + {counting.n_window}")
        .group_by("place")
    )


def _by_masks(rows: exp.Select, names: list[str], counting: CountActive) -> exp.Select:
    """Give every actor a mask of the slots in which they are seen, and count the masks that meet each window."""
    masks = exp.select("actor", *names, aliased(fragment("bit_or(1::BIGINT << bucket)"), "mask"))
    masks = masks.from_(rows.subquery("matching")).where(is_known("actor")).group_by("actor", *names)
    window = (1 << counting.n_window) - 1
    meets = ", ".join(
        f"count(*) FILTER (mask & {window << place * counting.stride & _ALL_SLOTS} <> 0)"
        for place in range(counting.n_buckets)
    )
    counted = exp.select(*names, aliased(fragment(f"[{meets}]"), "numbers")).from_(masks.subquery("masks"))
    counted = counted.group_by(*names) if names else counted
    each = exp.select(aliased(fragment(f"unnest(range({counting.n_buckets}))"), "bucket"), *names)
    each = each.select(aliased(fragment("unnest(numbers)"), "n")).from_(counted.subquery("counted"))
    return exp.select("bucket", *names, "n").from_(each.subquery("each")).where(fragment("n > 0"))


def _by_runs(rows: exp.Select, names: list[str], counting: CountActive) -> exp.Select:
    """Count the runs of buckets that an actor's slots are seen from, each cut where the actor's next one begins.

    Summing beginnings and ends then gives distinct actors: linear, however long the window.
    """
    n, window, stride = counting.n_buckets, counting.n_window, counting.stride
    seen = exp.select("bucket", *names, "actor").distinct().from_(rows.subquery("matching")).where(is_known("actor"))
    first = f"greatest(0, (bucket - {window - stride}) // {stride})"
    last = f"least({n - 1}, bucket // {stride})"
    runs = exp.select(aliased(fragment(first), "first"), aliased(fragment(last), "last"), *names, "actor").from_(
        seen.subquery("seen")
    )
    following = fragment(f"lead(first) OVER (PARTITION BY {', '.join(['actor', *names])} ORDER BY first, last)")
    following = exp.Coalesce(this=following, expressions=[exp.Literal.number(n)])
    cut = exp.select("first", *names).from_(runs.subquery("runs"))
    cut = cut.select(aliased(exp.func("least", fragment("last + 1"), following, dialect="duckdb"), "behind"))
    value = "".join(f", {name}" for name in names)
    steps = fragment(
        f"SELECT first AS bucket{value}, 1 AS step FROM cut WHERE first < behind UNION ALL "
        f"SELECT behind{value}, -1 FROM cut WHERE first < behind UNION ALL "
        f"SELECT unnest(range({n})){value}, 0 FROM (SELECT DISTINCT 1 AS one{value} FROM cut WHERE first < behind)"
    )
    over = f"PARTITION BY {', '.join(names)} ORDER BY bucket" if names else "ORDER BY bucket"
    levels = fragment(f"SELECT bucket{value}, sum(sum(step)) OVER ({over}) AS n FROM steps GROUP BY bucket{value}")
    assert isinstance(levels, exp.Select)
    levels = levels.with_("cut", as_=cut).with_("steps", as_=steps)
    return exp.select("bucket", *names, "n").from_(levels.subquery("levels")).where(fragment(f"bucket < {n}"))


def _measure(plan: TrendPlan, counting: Measure, statement: Statement) -> exp.Select:
    number: exp.Expr
    if counting.source == "time":
        number = exp.func("epoch", exp.column("timestamp", "events"), dialect="duckdb")
    else:
        number = finite(number_sql(source_sql(counting.source, statement)))
    if counting.multiplier != 1:
        number = exp.Mul(this=exp.paren(number), expression=statement.bind(counting.multiplier))
    if not counting.is_per_session:
        return _grouped(plan, _rows(plan, statement, aliased(number, "x")), _statistic(counting.statistic, "x"))
    session = aliased(statement.common_column("$session_id"), "session")
    rows = _rows(plan, statement, aliased(number, "x"), session)
    keys = ["bucket", *names_of(plan.splits), "session"]
    once = exp.select(*keys, aliased(fragment("any_value(x)"), "x")).from_(rows.subquery("matching")).group_by(*keys)
    return _grouped(plan, once, _statistic(counting.statistic, "x"))


def _count_per_actor(plan: TrendPlan, counting: CountPerActor, statement: Statement) -> exp.Select:
    rows = _rows(plan, statement, aliased(actor_sql(counting.actor, statement), "actor"))
    keys = ["bucket", *names_of(plan.splits), "actor"]
    each = exp.select(*keys, aliased(count(), "x")).from_(rows.subquery("matching")).where(is_known("actor"))
    return _grouped(plan, each.group_by(*keys), _statistic(counting.statistic, "x"))


def _count_first_timers(plan: TrendPlan, counting: CountFirstTimers, statement: Statement) -> exp.Select:
    return _grouped(plan, _firsts(plan, counting, statement), count())


def _firsts(plan: TrendPlan, counting: CountFirstTimers, statement: Statement) -> exp.Select:
    """Return a SELECT of (bucket, values, actor) of the first events that count.

    Of equally early events the one with the smaller uuid is first.
    """
    among = plan.condition if counting.among is None else counting.among
    holds = exp.true() if counting.among is None else condition_sql(plan.condition, statement)
    values = [
        aliased(_value(split, statement), name) for name, split in zip(names_of(plan.splits), plan.splits, strict=True)
    ]
    parts = event_conditions(plan.project_id, plan.event, among, None, plan.count_to, statement)
    actor = actor_sql(counting.actor, statement)
    rows = exp.select(
        aliased(actor, "actor"), aliased(exp.column("timestamp", "events"), "at"),
        aliased(exp.column("uuid", "events"), "id"), aliased(holds, "holds"), *values,
    ).where(*parts, *sampled(plan.sampling, statement))  # fmt: skip
    rows = from_events(rows, statement)
    names = names_of(plan.splits)
    packed = ", ".join(f"{name} := {name}" for name in ("at", "holds", *names))
    first = exp.select("actor", aliased(fragment(f"arg_min(struct_pack({packed}), row(at, id))"), "first"))
    first = first.from_(rows.subquery("events")).where(is_known("actor")).group_by("actor")
    at = exp.Dot(this=exp.column("first"), expression=exp.to_identifier("at"))
    since = exp.GTE(this=at.copy(), expression=statement.bind_end("since", plan.count_from))
    raw = exp.select(aliased(_bucket(at, statement), "bucket"), "actor").from_(first.subquery("firsts"))
    raw = raw.select(*_named(plan.splits, [fragment(f"first.{name}") for name in names]))
    raw = raw.where(fragment("first.holds"), since)
    return binned(_spread(raw, plan.splits, ["actor"]), plan.splits, ["actor"])


def _evaluate(plan: TrendPlan, counting: Evaluate, statement: Statement) -> exp.Query:
    """Evaluate over the events themselves; where they are split by conditions, once for each of these together."""
    places = {place: split for place, split in enumerate(plan.splits) if isinstance(split, SplitByCondition)}
    named = [zip(split.names, split.conditions, strict=True) for split in places.values()]
    parts = [
        _evaluated(
            evolve(plan, condition=all_of([plan.condition, *(condition for _, condition in chosen)])),
            counting, statement, {place: name for place, (name, _) in zip(places, chosen, strict=True)},
        )
        for chosen in product(*named)
    ]  # fmt: skip
    return parts[0] if len(parts) == 1 else exp.union(*parts, distinct=False)


def _evaluated(plan: TrendPlan, counting: Evaluate, statement: Statement, named: Mapping[int, str]) -> exp.Select:
    """Return the SELECT, with the given names as the values of the splits at these places."""
    bucket, bins = _bucket(exp.column("timestamp", "events"), statement), bins_of(plan.splits)
    values = {
        name: statement.bind(named[place]) if place in named else _value(split, statement)
        for place, (name, split) in enumerate(zip(names_of(plan.splits), plan.splits, strict=True))
    }
    shown = [aliased(bin_of(name, bins[name], one) if name in bins else one, name) for name, one in values.items()]
    number = hogql_sql(counting.text, counting.path, statement, scope=counting.scope, wants="aggregate")
    select = exp.select(aliased(bucket, "bucket"), *shown, aliased(_or_zero(finite(number)), "n")).where(
        *_conditions(plan, statement)
    )
    select = from_events(select, statement).group_by(*(str(place + 1) for place in range(len(values) + 1)))
    if not bins:
        return select
    read = [aliased(_value(split, statement), name) for name, split in bins.items()]
    raw = from_events(exp.select(*read).where(*_conditions(plan, statement)), statement)
    spans = exp.select(*(part for name, split in bins.items() for part in span_of(name, split)))
    return select.join(spans.from_(raw.subquery("raw")).subquery("spans"), join_type="cross")


_COUNTINGS: dict[type, Callable[[TrendPlan, Any, Statement], exp.Query]] = {
    CountEvents: _count_events,
    CountActors: _count_actors,
    CountActive: _count_active,
    Measure: _measure,
    CountPerActor: _count_per_actor,
    CountFirstTimers: _count_first_timers,
    Evaluate: _evaluate,
}
"""Each returns a SELECT of (bucket, values, n) with every breakdown value."""


def _rows(plan: TrendPlan, statement: Statement, *more: exp.Expr) -> exp.Select:
    """Return a SELECT of (bucket, values, more columns), one row per event and value."""
    bucket = _bucket(exp.column("timestamp", "events"), statement)
    values = _named(plan.splits, [_value(split, statement) for split in plan.splits])
    raw = exp.select(aliased(bucket, "bucket"), *values, *more, copy=False)
    raw = raw.where(*_conditions(plan, statement), copy=False)
    names = [column.alias for column in more]
    return binned(_spread(from_events(raw, statement), plan.splits, names), plan.splits, names)


def _bucket(timestamp: exp.Expr, statement: Statement) -> exp.Expr:
    def start(run: Run) -> exp.Expr:
        return statement.bind_date(run.start_us, PlanDate("run", statement.runs.index(run)))

    return place_in(statement.runs, timestamp, start)


def _conditions(plan: TrendPlan, statement: Statement) -> list[exp.Expr]:
    parts = event_conditions(plan.project_id, plan.event, plan.condition, plan.count_from, plan.count_to, statement)
    outside = [_is_outside(place, statement) for place in plan.unread]
    return parts + outside + sampled(plan.sampling, statement)


def _is_outside(place: int, statement: Statement) -> exp.Expr:
    """Return whether an event is before or after a bucket. PERF: DuckDB skips what its zone maps say is inside."""
    start, end = (statement.bind_date(None, PlanDate("edge", edge)) for edge in (place, place + 1))
    timestamp = exp.column("timestamp", "events")
    return exp.paren(exp.or_(exp.LT(this=timestamp, expression=start), exp.GTE(this=timestamp.copy(), expression=end)))


def _value(split: Split, statement: Statement) -> exp.Expr:
    """Return a breakdown value as it is read from an event: a text, a number for bins, or a list of texts."""
    if isinstance(split, SplitByCondition):
        names = [
            exp.Case(ifs=[exp.If(this=condition_sql(condition, statement), true=statement.bind(name))])
            for name, condition in zip(split.names, split.conditions, strict=True)
        ]
        is_named = exp.Lambda(this=is_known("x"), expressions=[exp.to_identifier("x")])
        return exp.Anonymous(this="list_filter", expressions=[exp.Array(expressions=names), is_named])
    text = source_sql(split.source, statement)
    if split.n_bins is not None:
        return finite(number_sql(text))
    if split.normalizes_url:
        text = exp.Anonymous(this="regexp_replace", expressions=[text, statement.bind("[/?#]+$"), statement.bind("")])
        return exp.Case(
            ifs=[exp.If(this=exp.EQ(this=text.copy(), expression=statement.bind("")), true=statement.bind("/"))],
            default=text,
        )
    return exp.Nullif(this=text, expression=exp.Literal.string(""))


def _named(splits: tuple[Split, ...], values: Sequence[exp.Expr]) -> list[exp.Expr]:
    """Return breakdown values under their names: of lists of texts the first is unnested, `_spread` does the others."""
    first = next(iter(_lists(splits)), None)
    return [
        aliased(exp.func("unnest", value, dialect="duckdb") if name == first else value, name)
        for name, value in zip(names_of(splits), values, strict=True)
    ]


def _spread(raw: exp.Select, splits: tuple[Split, ...], more: Sequence[str]) -> exp.Select:
    """Return the SELECT with a row for each of the texts in lists that `_named` has left."""
    for one in _lists(splits)[1:]:
        values = [aliased(fragment(f"unnest({name})"), name) if name == one else name for name in names_of(splits)]
        raw = exp.select("bucket", *values, *more).from_(raw.subquery("listed"))
    return raw


def _lists(splits: tuple[Split, ...]) -> list[str]:
    return [name for name, split in zip(names_of(splits), splits, strict=True) if isinstance(split, SplitByCondition)]


def _statistic(statistic: Statistic, column: str) -> exp.Expr:
    quantile = _QUANTILES.get(statistic)
    number = f"{statistic}({column})" if quantile is None else f"quantile_cont({column}, {quantile})"
    return _or_zero(exp.cast(fragment(number), "DOUBLE"))


def finite(number: exp.Expr) -> exp.Expr:
    """Return the number, NULL when it is not finite."""
    return exp.Case(ifs=[exp.If(this=exp.func("isfinite", number.copy(), dialect="duckdb"), true=number)])


def _grouped(plan: TrendPlan, rows: exp.Select, number: exp.Expr) -> exp.Select:
    """Return a SELECT of (bucket, values, n) that makes one number of the rows of each bucket and value."""
    keys = ["bucket", *names_of(plan.splits)]
    found = exp.select(*_columns(*keys), aliased(number, "n"), copy=False)
    return found.from_(rows.subquery("counted", copy=False), copy=False).group_by(*_columns(*keys), copy=False)


def _place(ranking: Ranking, names: list[str]) -> exp.Expr:
    order = [exp.Ordered(this=exp.Sum(this=exp.column("n")), desc=True)]
    order += [exp.Ordered(this=exp.column(name), nulls_first=False) for name in names]
    if ranking.null_ranks_last:
        is_missing = exp.or_(*(exp.Is(this=exp.column(name), expression=exp.null()) for name in names))
        order.insert(0, exp.Ordered(this=is_missing))
    return exp.Window(this=exp.RowNumber(), order=exp.Order(expressions=order))


def _columns(*names: str) -> list[exp.Expr]:
    """Return columns as expressions. PERF: reading their names as SQL takes ten times as long."""
    return [exp.column(name) for name in names]


def _or_zero(number: exp.Expr) -> exp.Expr:
    return exp.Coalesce(this=number, expressions=[exp.Literal.number(0)])
