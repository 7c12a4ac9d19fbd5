"""Paths: a PathsQuery becomes a plan, and the edges that answer it become the rows that are shown.

Source: PostHog's paths query runner and its documentation (queries.md 8.4).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from attrs import evolve, frozen

from ..errors import InvalidQuery
from . import dates, funnels
from .actions import named
from .funnel_actors import steps_of
from .path_nodes import MAX_EDGES, FunnelPathsFilter, PathsFilter, PathsQuery
from .plan import AllOf, CleanedPath, Condition, EventColumn, EventProperty, HogQLExpression, Not, PropertyTest, Source
from .properties import any_of
from .resolution import Setting, actor_of, bounds_of, sampling_of, shared_condition, upscaled
from .scope import PathRule
from .sequence_plans import PathActorsPlan, PathFunnel, PathItem, PathsPlan, Selection

DEFAULT_STEPS = 5
DEFAULT_EDGES = 50
MAX_STEPS = 100
GAP_US = 30 * 60 * 1_000_000
MAX_TEXTS = 1000
_PARTS: Any = {
    "funnel_path_before_step": "before", "funnel_path_between_steps": "between", "funnel_path_after_step": "after",
}  # fmt: skip

PathRow = tuple[str, str, int, float]
"""Source key, target key, number, mean microseconds between them."""


@frozen
class Paths:
    """A resolved PathsQuery."""

    query: PathsQuery
    bounds: dates.Bounds
    plan: PathsPlan


def resolve(query: PathsQuery, setting: Setting, *, path: str = "query") -> Paths:
    """Return what to compute. Raises InvalidQuery and UnsupportedQuery with the path of the wrong field."""
    asked, where = query.paths_filter, f"{path}.pathsFilter"
    setting = setting.by_person
    bounds = bounds_of(query.date_range, "day", setting, path)
    items = _items(asked, where)
    shared = shared_condition(query.properties, query.filter_test_accounts, setting, path)
    funnel = None if query.funnel_paths_filter is None else _funnel(query.funnel_paths_filter, setting, path)
    actor = actor_of(query.aggregation_group_type_index, setting, path)
    if funnel is not None:
        actor = funnel.funnel.events.actor
    plan = PathsPlan(
        events=Selection(
            setting.project_id,
            _since(bounds).replace(microsecond=0),
            bounds.to_instant.replace(microsecond=0),
            shared,
            actor,
            sampling_of(query.sampling_factor, path),
        ),
        items=items,
        rules=_rules(asked, setting, where),
        groupings=tuple(filter(None, _texts(asked.path_groupings, f"{where}.pathGroupings"))),
        excluded=_texts(asked.exclude_events, f"{where}.excludeEvents"),
        start=_point(asked.start_point),
        end=_point(asked.end_point),
        step_limit=_bounded(asked.step_limit, DEFAULT_STEPS, MAX_STEPS, f"{where}.stepLimit"),
        gap_us=GAP_US if funnel is None else funnel.funnel.window_us,
        min_weight=asked.min_edge_weight,
        max_weight=asked.max_edge_weight or None,
        edge_limit=_bounded(asked.edge_limit, DEFAULT_EDGES, MAX_EDGES, f"{where}.edgeLimit"),
        funnel=funnel,
    )
    return Paths(query, bounds, plan)


def results(found: Paths, rows: Sequence[PathRow], *, only_reachable: bool = True) -> list[dict[str, Any]]:
    """Return the edges that a path from a first step leads to, or all; times in milliseconds."""
    edges = frozenset((source, target) for source, target, _, _ in rows)
    kept = reachable(edges) if only_reachable else edges
    sampling = found.plan.events.sampling
    return [
        {
            "source": source,
            "target": target,
            "value": upscaled(count, sampling),
            "average_conversion_time": spent_us / 1000,
        }
        for source, target, count, spent_us in rows
        if (source, target) in kept
    ]


def reachable(edges: Iterable[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    """Return those edges whose source is a first step (`1_...`), or can be reached from one."""
    following: dict[str, list[str]] = {}
    for source, target in edges:
        following.setdefault(source, []).append(target)
    seen = {source for source in following if source.startswith("1_")}
    waiting, kept = list(seen), set()
    while waiting:
        source = waiting.pop()
        for target in following.get(source, ()):
            kept.add((source, target))
            if target not in seen:
                seen.add(target)
                waiting.append(target)
    return frozenset(kept)


def actors_plan(found: Paths, *, limit: int, offset: int) -> PathActorsPlan:
    """Return whose paths the keys of the query name."""
    asked = found.query.paths_filter
    return PathActorsPlan(
        found.plan, asked.path_start_key, asked.path_end_key, asked.path_dropoff_key, limit=limit, offset=offset
    )


def _since(bounds: dates.Bounds) -> datetime:
    """Return from when on events count: from the start of a day, but for explicit dates."""
    if bounds.is_exact:
        return bounds.from_instant
    return dates.instant(dates.bucket_start(bounds.date_from, "day", 0), bounds.zone)


def _items(asked: PathsFilter, path: str) -> tuple[PathItem, ...]:
    """Return what stands for an event, in the order in which it is looked for."""
    is_view, is_screen = named("$pageview"), named("$screen")
    url = CleanedPath(EventProperty("$current_url"), (PathRule("^(.+)/$", r"\1"),))
    views, screens = PathItem(is_view, url), PathItem(is_screen, EventProperty("$screen_name"))
    wanted = asked.include_event_types or ()
    if not wanted:
        # Whoever excludes views, screens or the expression by name excludes all of them.
        excluded = asked.exclude_events or ()
        shown = [views] if "$pageview" not in excluded else []
        shown += [screens] if "$screen" not in excluded else []
        return (*shown, PathItem(AllOf(), _other(asked, path, is_expression="hogql" not in excluded)))
    other = _other(asked, path, is_expression="hogql" in wanted)
    items: list[PathItem] = []
    if "$pageview" in wanted:
        items.append(views)
    if "$screen" in wanted:
        items.append(screens)
    if "custom_event" in wanted:
        items.append(PathItem(Not(PropertyTest(EventColumn("event"), "regex", (r"^\$",))), other))
    # The expression chooses no events, it stands for those that are chosen without it.
    return tuple(items or [PathItem(AllOf(), other)])


def _other(asked: PathsFilter, path: str, *, is_expression: bool) -> Source:
    """Return what stands for neither views nor screens: the expression, if there is one, else the event's name."""
    if is_expression and asked.paths_hogql_expression:
        return HogQLExpression(asked.paths_hogql_expression, f"{path}.pathsHogQLExpression")
    return EventColumn("event")


def read_events(items: Sequence[PathItem]) -> Condition:
    """Return which events have an item at all."""
    return any_of([item.condition for item in items])


def _rules(asked: PathsFilter, setting: Setting, path: str) -> tuple[tuple[str, str], ...]:
    own = asked.local_path_cleaning_filters or ()
    if len(own) > MAX_TEXTS:
        raise InvalidQuery(f"There can be {MAX_TEXTS} rules.", path=f"{path}.localPathCleaningFilters")
    shared = setting.scope.path_rules if asked.path_replacements else ()
    return (
        *((rule.regex, rule.alias) for rule in shared),
        *((rule.regex, rule.alias or "") for rule in own if rule.regex),
    )


def _texts(texts: tuple[str, ...] | None, path: str) -> tuple[str, ...]:
    if texts is not None and len(texts) > MAX_TEXTS:
        raise InvalidQuery(f"There can be {MAX_TEXTS} texts.", path=path)
    return texts or ()


def _point(text: str | None) -> str | None:
    """Return the item that a point names; a slash at the end does not count."""
    if not text:
        return None
    return text[:-1] if len(text) > 1 and text.endswith("/") else text


def _bounded(value: int | None, default: int, most: int, path: str) -> int:
    if value is None:
        return default
    if not 1 <= value <= most:
        raise InvalidQuery(f"The limit is from 1 to {most}.", path=path)
    return value


def _funnel(asked: FunnelPathsFilter, setting: Setting, path: str) -> PathFunnel:
    where = f"{path}.funnelPathsFilter"
    # Everybody's paths count, whatever their breakdown value.
    source = evolve(asked.funnel_source, breakdown_filter=None)
    funnel = funnels.resolve(source, setting, path=f"{where}.funnelSource")
    plan, step = funnel.plans[0][1], 1 if asked.funnel_step is None else asked.funnel_step
    took, missed = steps_of(step, funnel, path=f"{where}.funnelStep")
    part = _PARTS[asked.funnel_path_type or "funnel_path_after_step"]
    # Who dropped off had the whole window to go on: what they did before giving up reaches that far.
    return PathFunnel(plan, took, missed, part, plan.window_us if missed is not None and part == "before" else 0)
