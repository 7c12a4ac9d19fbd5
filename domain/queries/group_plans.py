"""Plans about groups as such, and about which cohorts' members are kept."""

from __future__ import annotations

from attrs import frozen


@frozen
class GroupTypesPlan:
    """The group types of a project; answered with rows (index, name), by index."""

    project_id: int


@frozen
class GroupsPlan:
    """Groups of one type, newest first, equally new ones by key; answered with rows (key,)."""

    project_id: int
    group_type_index: int
    limit: int
    offset: int = 0
    search: str | None = None
    """Case-insensitive part of the key or of the name property."""


@frozen
class KeptCohortsPlan:
    """The cohorts whose members are kept, as they were counted last; answered with rows (id,)."""

    project_id: int
