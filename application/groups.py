"""Groups of one project as they arise from product events, and what their types are called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from ..domain.errors import InvalidInput, NotFound
from ..domain.groups import MAX_GROUP_TYPES
from ..domain.project import GROUP_TYPE_NAMES
from ..domain.queries.actors import Profile, ProfilesPlan
from ..domain.queries.group_plans import GroupsPlan, GroupTypesPlan
from .acting import Who, acting, require_page, require_text
from .administration import Administration
from .product_ports import ProductStore

MAX_PAGE = 1000
DEADLINE_S = 30.0


@frozen
class GroupType:
    """A kind of group."""

    index: int
    """0 to 4, in the order in which the types were first seen."""
    name: str
    """As events say it, as in `organization`."""
    singular: str | None = None
    """What people call one of them."""
    plural: str | None = None


class Groups:
    """The groups of a project."""

    def __init__(self, project_id: int, store: Callable[[], ProductStore], administration: Administration) -> None:
        self._project_id = project_id
        self._store = store
        self._administration = administration

    def types(self) -> tuple[GroupType, ...]:
        """Return the types that events have named, by index."""
        settings = self._administration.project(self._project_id).settings
        called: Any = settings.get(GROUP_TYPE_NAMES) or {}
        found = []
        for index, name in self._drained().run(GroupTypesPlan(self._project_id), deadline_s=DEADLINE_S):
            own = called.get(str(index)) or {}
            found.append(GroupType(index, name, own.get("name_singular"), own.get("name_plural")))
        return tuple(found)

    def rename(
        self, names: Mapping[int, Mapping[str, str | None]], *, by: Who = None, request: str | None = None
    ) -> tuple[GroupType, ...]:
        """Say what types are called: by index, `name_singular` and `name_plural`, whichever changes.

        Raises `InvalidInput` for an index that no type has, or what is no name.
        """
        if not isinstance(names, Mapping) or not all(isinstance(given, Mapping) for given in names.values()):
            raise InvalidInput(f"names are a mapping from index to names, not {names!r}.", path="names")
        known = {one.index: one for one in self.types()}
        for index, given in names.items():
            if index not in known:
                raise InvalidInput(f"There is no group type {index}.", path="group_type_index")
            old = known[index]
            known[index] = evolve(
                old,
                singular=given.get("name_singular", old.singular),
                plural=given.get("name_plural", old.plural),
            )
        named = {
            str(index): {"name_singular": one.singular, "name_plural": one.plural}
            for index, one in known.items()
            if one.singular is not None or one.plural is not None
        }
        self._administration.change_project(self._project_id, {GROUP_TYPE_NAMES: named}, acting(by, request))
        return tuple(known.values())

    def _profiles(self, index: int, keys: Sequence[str]) -> Sequence[Profile]:
        found: Sequence[Profile] = self._store().run(
            ProfilesPlan(self._project_id, tuple(keys), index), deadline_s=DEADLINE_S
        )
        return found

    def get(self, group_type_index: int, key: str) -> Profile:
        """Return a group. Raises `NotFound`, `InvalidInput` for an index that no type can have."""
        require_text("key", key)
        self._drained()
        for found in self._profiles(_index(group_type_index), [key]):
            return found
        raise NotFound("Group", key)

    def list(
        self, group_type_index: int, *, search: str | None = None, limit: int = 100, offset: int = 0
    ) -> tuple[Profile, ...]:
        """Return a page of the groups of a type, newest first; `search` is a part of key or name.

        Raises `InvalidInput` for an index that no type can have.
        """
        require_page(search, limit, offset)
        plan = GroupsPlan(self._project_id, _index(group_type_index), min(limit, MAX_PAGE), offset, search)
        keys = [key for (key,) in self._drained().run(plan, deadline_s=DEADLINE_S)]
        by_key = {profile.actor: profile for profile in self._profiles(group_type_index, keys)}
        return tuple(by_key[key] for key in keys if key in by_key)

    def _drained(self) -> ProductStore:
        store = self._store()
        store.drain()
        return store


def _index(index: int) -> int:
    if index not in range(MAX_GROUP_TYPES):
        raise InvalidInput(f"A group type index is a number from 0 to {MAX_GROUP_TYPES - 1}.", path="group_type_index")
    return index
