"""What the names in the queries of a project stand for, out of its settings and resources."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import evolve

from ..domain.action import Action
from ..domain.cohort import Cohort
from ..domain.queries.cohorts import criteria_of_groups
from ..domain.queries.scope import ActionMeaning, CohortMeaning, PathRule, PropertyType, Scope, action_step
from .model import ProjectInfo
from .name_definitions import said_of
from .ports import Views
from .views.definitions import action_from_row, cohort_from_row, mark_name

MAX_KEPT = 64
Types = Mapping[tuple[str, str], PropertyType]
NO_TYPES: Types = {}

Definitions = Callable[[ProjectInfo], Scope]
"""Gives what a project's names stand for now; its `now`, `zone` and `week_start_day` are not looked at.

Called for every answer, a kept one too: cheap as long as nothing changes.
"""


def from_settings(project: ProjectInfo) -> Scope:
    """Return what a project's settings say: rules for paths, how users are told apart, what is compared with what."""
    rules = project.settings.get("path_cleaning_filters")
    return Scope(
        path_rules=tuple(_rules(rules)) if isinstance(rules, list) else (),
        aggregates_by_distinct_id=project.settings.get("aggregate_users_by_distinct_id") is True,
        compares_by_weeks=project.settings.get("human_friendly_comparison_periods") is True,
        base_currency=str(project.settings.get("base_currency") or "USD"),
    )


def test_account_filters(project: ProjectInfo) -> tuple[Mapping[str, Any], ...]:
    """Return the property filters that `filterTestAccounts` adds."""
    found = project.settings.get("test_account_filters")
    return tuple(found) if isinstance(found, list) else ()


def _rules(values: list[Any]) -> list[PathRule]:
    return [
        PathRule(one["regex"], one.get("alias") or "")
        for one in values
        if isinstance(one, Mapping) and isinstance(one.get("regex"), str) and one["regex"]
    ]


class ProjectDefinitions:
    """The scopes of projects, kept until an action, a cohort, a property type or a setting changes; safe for threads.

    `types` gives the property types of a project, always the same mapping until one changes.
    """

    def __init__(self, views: Views, types: Callable[[int], Types] = lambda _: NO_TYPES) -> None:
        self._views = views
        self._types = types
        self._kept: dict[int, tuple[int, ProjectInfo, Types, Scope]] = {}
        self._lists: dict[int, tuple[int, tuple[str, ...]]] = {}

    def __call__(self, project: ProjectInfo) -> Scope:
        """Return what names stand for in a project; its `now` and `zone` are for the caller to fill in."""
        mark, types = self._views.mark(mark_name(project.id)), self._types(project.id)
        kept = self._kept.get(project.id)
        if kept is not None and kept[:2] == (mark, project) and kept[2] is types:
            return kept[3]
        scope = self._made(project, types)
        if len(self._kept) >= MAX_KEPT:
            self._kept.clear()
        self._kept[project.id] = (mark, project, types, scope)
        return scope

    def _made(self, project: ProjectInfo, types: Types) -> Scope:
        rows = {
            name: self._views.definitions(name, project.id, with_deleted=True)[1] for name in ("actions", "cohorts")
        }
        actions, cohorts = map(action_from_row, rows["actions"]), map(cohort_from_row, rows["cohorts"])
        return evolve(
            from_settings(project),
            actions={action.id: action_meaning(action) for action in actions},
            cohorts={cohort.id: cohort_meaning(cohort, self._listed(cohort)) for cohort in cohorts},
            property_types=self._types_of(project.id, types),
        )

    def _types_of(self, project_id: int, seen: Types) -> Types:
        """Return the types that were seen with those that people chose laid over them."""
        chosen = {
            key: said["property_type"]
            for key, said in said_of(self._views.said_names(project_id)).items()
            if "property_type" in said
        }
        return {**seen, **{key: one or "String" for key, one in chosen.items()}} if chosen else seen

    def _listed(self, cohort: Cohort) -> tuple[str, ...]:
        """Return the list of a static cohort, read once for each version of it."""
        if not cohort.is_static:
            return ()
        version, names = self._lists.get(cohort.id, (0, ()))
        if version != cohort.members_version:
            names = tuple(self._views.listed(cohort.id))
            self._lists[cohort.id] = (cohort.members_version, names)
        return names


def action_meaning(action: Action) -> ActionMeaning:
    """Return what an action stands for in queries."""
    return ActionMeaning(action.id, action.name, tuple(map(action_step, action.steps)), is_deleted=action.deleted)


def cohort_meaning(cohort: Cohort, distinct_ids: tuple[str, ...] = ()) -> CohortMeaning:
    """Return what a cohort stands for in queries. Raises `InvalidQuery` for groups that say nothing."""
    criteria = criteria_of(cohort.filters, cohort.groups)
    revision = cohort.members_version if cohort.is_static else 0
    return CohortMeaning(
        cohort.id,
        cohort.name,
        criteria,
        cohort.is_static,
        distinct_ids,
        revision=revision,
        is_deleted=cohort.deleted,
    )


def criteria_of(filters: Mapping[str, Any] | None, groups: tuple[Mapping[str, Any], ...]) -> Mapping[str, Any] | None:
    """Return the tree of criteria: that of the filters, else what the old groups stand for, None without either."""
    if filters is not None:
        tree: Mapping[str, Any] = filters["properties"]
        return tree
    return criteria_of_groups(list(groups)) if groups else None
