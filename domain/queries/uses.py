"""Which actions, cohorts and property types a query's answer hangs on, read off its JSON.

For those who keep answers: a change of any other definition leaves an answer as it is. Whatever cannot be told exactly
(texts in HogQL) is told too wide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import Factory, define

from ..numbers import natural_number
from .scope import ActionMeaning, CohortMeaning, Scope

_COHORT_TYPES = frozenset({"cohort", "static-cohort", "precalculated-cohort", "dynamic-cohort"})
_PEOPLE = frozenset({"person", "person_properties", "group", "group_properties", "hogql", *_COHORT_TYPES})
_SESSIONS = frozenset({"session", "session_properties"})
_TYPED = ("event", "person", *(f"group_{index}" for index in range(5)))


@define
class Uses:
    """What was found so far: ids as numbers, and every text of the query."""

    actions: set[int] = Factory(set)
    cohorts: set[int] = Factory(set)
    texts: set[str] = Factory(set)
    everything: bool = False
    """Whether a text may name any action or cohort."""
    reads_types: bool = False
    """Whether a text may read any property."""
    leaves_out_test_accounts: bool = False
    reads_people: bool = False
    """Whether properties of persons or groups may matter."""
    reads_sessions: bool = False
    """Whether sessions may matter: those of other events, and of a day more than is asked for."""

    def add(self, value: Any) -> None:
        """Take in a part of a query, of a cohort's criteria or of an action's steps."""
        if isinstance(value, Mapping):
            self._add_node(value)
            for one in value.values():
                self.add(one)
        elif isinstance(value, list | tuple):
            for one in value:
                self.add(one)
        elif isinstance(value, str):
            self._add_text(value)

    def _add_node(self, node: Mapping[str, Any]) -> None:
        kind = node.get("type")
        kinds = {str(one) for one in (kind, node.get("breakdown_type"), node.get("math_property_type"))}
        self.reads_people = self.reads_people or not _PEOPLE.isdisjoint(kinds)
        is_of_sessions = not _SESSIONS.isdisjoint(kinds) or node.get("math_property") == "$session_duration"
        self.reads_sessions = self.reads_sessions or is_of_sessions
        self.leaves_out_test_accounts = self.leaves_out_test_accounts or bool(node.get("filterTestAccounts"))
        if node.get("kind") == "ActionsNode" or kind == "actions":
            self.actions.update(_ids(node.get("id")))
        if node.get("event_type") == "actions":
            self.actions.update(_ids(node.get("key")))
        if str(kind) in _COHORT_TYPES or (node.get("key") == "id" and kind is None):
            self.cohorts.update(_ids(node.get("value", node.get("values"))))
            self.cohorts.update(_ids(node.get("property")))
        if node.get("breakdown_type") == "cohort":
            self.cohorts.update(_ids(node.get("breakdown")))

    def _add_text(self, text: str) -> None:
        self.texts.add(text)
        if text not in _COHORT_TYPES and not text.isidentifier():
            lowered = text.lower()
            self.everything = self.everything or any(word in lowered for word in ("cohort", "matchesaction", "select"))
            self.reads_types = self.reads_types or "properties" in lowered
            self.reads_people = self.reads_people or "person" in lowered or "group" in lowered
            self.reads_sessions = self.reads_sessions or "session" in lowered


def uses_of(query: Any, test_account_filters: Sequence[Any] = ()) -> Uses:
    """Return what a query itself uses."""
    uses = Uses()
    uses.add(query)
    if uses.leaves_out_test_accounts:
        uses.add(test_account_filters)
    return uses


def used_by(query: Any, scope: Scope, test_account_filters: Sequence[Any] = ()) -> tuple[object, ...]:
    """Return the definitions that a query hangs on, in a fixed order: empty when there are none.

    A cohort brings what its criteria use, an action what its steps do, and a query without test accounts their filters.
    """
    uses = uses_of(query, test_account_filters)
    found: list[object] = []
    if uses.leaves_out_test_accounts and test_account_filters:
        found.append(test_account_filters)
    actions, cohorts = add_reached(uses, scope)
    found += [actions[one] for one in sorted(actions)]
    found += [cohorts[one] for one in sorted(cohorts)]
    return (*found, *_types(uses, scope))


def add_reached(uses: Uses, scope: Scope) -> tuple[dict[int, ActionMeaning], dict[int, CohortMeaning]]:
    """Add what the actions and cohorts use that are used, and so on; return all of them by id."""
    if uses.everything:
        uses.actions.update(scope.actions)
        uses.cohorts.update(scope.cohorts)
    seen_actions: dict[int, ActionMeaning] = {}
    seen_cohorts: dict[int, CohortMeaning] = {}
    while True:
        actions = {one: scope.actions[one] for one in uses.actions - seen_actions.keys() if one in scope.actions}
        cohorts = {one: scope.cohorts[one] for one in uses.cohorts - seen_cohorts.keys() if one in scope.cohorts}
        if not actions and not cohorts:
            return seen_actions, seen_cohorts
        seen_actions |= actions
        seen_cohorts |= cohorts
        for action in actions.values():
            uses.add([step.properties for step in action.steps])
        for cohort in cohorts.values():
            uses.add(cohort.criteria)


def _types(uses: Uses, scope: Scope) -> Iterator[tuple[str, str, str]]:
    """Give the types of the properties that are read, but for texts, which say nothing new."""
    known = scope.property_types
    if not known:
        return
    names = {name for _, name in known} if uses.reads_types else uses.texts
    for name in sorted(names):
        for kind in _TYPED:
            found = known.get((kind, name))
            if found not in (None, "String"):
                yield kind, name, str(found)


def _ids(value: Any) -> Iterator[int]:
    for one in value if isinstance(value, list | tuple) else (value,):
        if isinstance(one, int) and not isinstance(one, bool):
            yield one
        elif isinstance(one, str) and (number := natural_number(one)) is not None:
            yield number
