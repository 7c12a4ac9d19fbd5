"""Answers plans about paths: DuckDB fetches the items, the kernel follows them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from attrs import evolve, frozen
from sqlglot import exp

from ....domain.queries.paths import PathRow, read_events
from ....domain.queries.plan import CleanedPath
from ....domain.queries.properties import all_of
from ....domain.queries.scope import PathRule
from ....domain.queries.sequence_plans import ActorId, PathActorsPlan, PathFunnel, PathsPlan
from ...kernels import paths as kernel
from ...kernels.checkpoint import by_blocks
from ...kernels.histories import Array, Flags, chosen
from ._conditions import condition_sql
from ._funnels import walk
from ._histories import Fetched, fetch
from ._selects import fragment
from ._sources import cleaned, source_sql
from ._statement import Statement

if TYPE_CHECKING:
    import duckdb

ELIDED = "..."
_COMMON = 1 << 16


@frozen(eq=False)
class _Followed:
    fetched: Fetched
    paths: kernel.Paths
    texts: Sequence[str]

    def text(self, code: int) -> str:
        return ELIDED if code == kernel.ELISION else self.texts[code]

    def step(self, key: str | None) -> tuple[int, int] | None:
        """Return place and code of a key, such as `2_/about`; an unknown item has a code that no step has."""
        if key is None:
            return None
        place, _, text = key.partition("_")
        code = kernel.ELISION if text == ELIDED else self.texts.index(text) if text in self.texts else -2
        return (int(place) if place.isdigit() else 0, code)


def edges(plan: PathsPlan, statement: Statement, cursor: duckdb.DuckDBPyConnection) -> list[PathRow]:
    """Answer which items follow each other."""
    followed = _follow(plan, statement, cursor)
    place, source, target, counts, means = kernel.edges(followed.paths)
    kept = np.ones(len(counts), bool)
    if plan.min_weight is not None:
        kept &= counts >= plan.min_weight
    if plan.max_weight is not None:
        kept &= counts <= plan.max_weight
    rows = np.flatnonzero(kept)
    if plan.edge_limit is not None and len(rows) > plan.edge_limit:
        # All that may be among the most frequent; ties are told apart by their keys below.
        common = np.minimum(counts[rows], _COMMON)
        n_at_least = np.cumsum(np.bincount(common)[::-1])[::-1]
        rows = rows[common >= np.flatnonzero(n_at_least >= plan.edge_limit)[-1]]
    found = [
        (
            f"{place[row]}_{followed.text(int(source[row]))}",
            f"{place[row] + 1}_{followed.text(int(target[row]))}",
            int(counts[row]),
            float(means[row]),
        )
        for row in rows.tolist()
    ]
    return sorted(found, key=lambda row: (-row[2], row[0], row[1]))[: plan.edge_limit]


def actors(plan: PathActorsPlan, statement: Statement, cursor: duckdb.DuckDBPyConnection) -> list[tuple[ActorId, int]]:
    """Answer who went along."""
    followed = _follow(plan.paths, statement, cursor)
    who, counts = kernel.goers(
        followed.paths,
        source=followed.step(plan.start_key),
        target=followed.step(plan.end_key),
        dropoff=followed.step(plan.dropoff_key),
    )
    page = slice(plan.offset, plan.offset + plan.limit)
    return [
        (followed.fetched.actor_id(actor), count)
        for actor, count in zip(who[page].tolist(), counts[page].tolist(), strict=True)
    ]


def _follow(plan: PathsPlan, statement: Statement, cursor: duckdb.DuckDBPyConnection) -> _Followed:
    selection = evolve(plan.events, condition=all_of([plan.events.condition, read_events(plan.items)]))
    item, cleaning = _item(plan, statement)
    fetched = fetch(
        selection, (), statement, cursor,
        reach_us=plan.gap_us, texts={"item": item}, keeps_others=True, keeps_order=True,
    )  # fmt: skip
    texts, codes = _renamed(plan, cleaning, fetched.texts["item"], statement, cursor)
    fetched_items = fetched.columns["item"]
    items = by_blocks(len(fetched_items), codes.dtype, lambda of: codes[fetched_items[of]])
    kept = items >= 0
    if plan.funnel is not None:
        kept &= _around(plan.funnel, fetched, statement, cursor)
    rules = kernel.Rules(plan.gap_us, plan.step_limit, _code(plan.start, texts), _code(plan.end, texts))
    events = fetched.packed(plan.gap_us, room=len(texts).bit_length())
    if events is None:
        found = kernel.paths(fetched.actor[kept], fetched.at[kept], items[kept], rules)
    else:
        if not kept.all():
            events, items = evolve(events, keys=chosen(events.keys, kept)), chosen(items, kept)
        found = kernel.packed_paths(events, items, rules)
    return _Followed(fetched, found, texts)


def _item(plan: PathsPlan, statement: Statement) -> tuple[exp.Expr, tuple[PathRule, ...]]:
    """Return what stands for an event, and the rules that clean it.

    PERF: where all items are of one kind its own rules come after fetching too, for each text instead of each event.
    """
    rules = tuple(PathRule(pattern, alias) for pattern, alias in plan.rules)
    (first, *more) = plan.items
    if not more and isinstance(first.source, CleanedPath):
        return source_sql(first.source.source, statement), (*first.source.rules, *rules)
    ifs = [
        exp.If(this=condition_sql(one.condition, statement), true=source_sql(one.source, statement))
        for one in plan.items
    ]
    return exp.Case(ifs=ifs), rules


def _code(text: str | None, texts: Sequence[str]) -> int | None:
    if text is None:
        return None
    return texts.index(text) if text in texts else -2


def _renamed(
    plan: PathsPlan,
    rules: tuple[PathRule, ...],
    texts: Sequence[str],
    statement: Statement,
    cursor: duckdb.DuckDBPyConnection,
) -> tuple[Sequence[str], Array]:
    """Return the items after cleaning and grouping, and what each code has become; -1 for those left out."""
    names = list(texts)
    if rules and names:
        inner = statement.inner()
        text, given = cleaned(exp.column("text"), rules, inner), inner.bind(names)
        numbered = exp.select(
            exp.alias_(exp.func("unnest", given, dialect="duckdb"), "text"),
            exp.alias_(fragment("generate_subscripts(names, 1)"), "place"),
        ).from_(exp.select(exp.alias_(given.copy(), "names")).subquery("given"))
        query = exp.select(exp.alias_(text, "text")).from_(numbered.subquery("items")).order_by("place")
        names = [name for (name,) in cursor.execute(*inner.render(query)).fetchall()]
    patterns = [
        (re.compile(".*".join(re.escape(part) for part in one.split("*")), re.DOTALL), one) for one in plan.groupings
    ]
    names = [next((one for pattern, one in patterns if pattern.search(name)), name) for name in names]
    known = {name: code for code, name in enumerate(sorted(set(names)))}
    excluded = frozenset(plan.excluded)
    return list(known), np.array([-1 if name in excluded else known[name] for name in names], np.int64)


def _around(around: PathFunnel, fetched: Fetched, statement: Statement, cursor: duckdb.DuckDBPyConnection) -> Flags:
    """Return which events are of actors of the funnel, around their step."""
    walked = walk(around.funnel, statement.inner(), cursor)
    outcomes = walked.outcomes
    chosen = outcomes.took(around.took)
    if around.missed is not None:
        chosen &= ~outcomes.took(around.missed)
    places = np.flatnonzero(chosen)
    who = walked.actors[places]
    if "actor" in fetched.texts:
        codes = {text: code for code, text in enumerate(fetched.texts["actor"])}
        mine = walked.fetched.texts["actor"]
        who = np.array([codes.get(mine[actor], -1) for actor in who.tolist()], np.int64)
    moment = outcomes.times[around.took, places] + around.delay_us
    before = outcomes.times[max(around.took - 1, 0), places]
    order = np.argsort(who, kind="stable")
    who, moment, before = who[order], moment[order], before[order]
    if not len(who):
        return np.zeros(len(fetched.actor), bool)
    place = np.minimum(np.searchsorted(who, fetched.actor), len(who) - 1)
    inside = who[place] == fetched.actor
    if around.part == "after":
        inside &= fetched.at >= moment[place]
    else:
        inside &= fetched.at <= moment[place]
    if around.part == "between":
        inside &= fetched.at >= before[place]
    return np.asarray(inside)
