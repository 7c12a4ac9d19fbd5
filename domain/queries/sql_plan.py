"""Plans of SQL queries: HogQL text, what its placeholders stand for, and how much of the answer is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import Factory, field, frozen

from .plan import AllOf, Condition
from .scope import Scope

DEFAULT_LIMIT = 100
MAX_LIMIT = 50_000


@frozen
class RowFilters:
    """Which events `{filters}` lets through."""

    condition: Condition = AllOf()
    since: datetime | None = None
    """Inclusive."""
    until: datetime | None = None
    """Inclusive."""


@frozen
class SqlPlan:
    """A HogQL query. Answered with `SqlAnswer`."""

    project_id: int
    text: str
    path: str
    """The place of the text in the query, for errors."""
    scope: Scope = field(eq=False, repr=False)
    filters: RowFilters | None = None
    """None: the query has no filters, `{filters}` is always true."""
    values: Mapping[str, Any] = Factory(dict)
    """Placeholder -> JSON value."""


@frozen
class EventListPlan:
    """Chosen expressions of single events, or of groups of events when some are aggregations."""

    project_id: int
    select: tuple[str, ...]
    path: str
    scope: Scope = field(eq=False, repr=False)
    where: tuple[str, ...] = ()
    condition: Condition = AllOf()
    event: str | None = None
    person_uuid: str | None = None
    after: datetime | None = None
    """Exclusive."""
    before: datetime | None = None
    """Exclusive."""
    order_by: tuple[str, ...] | None = None
    """None: by count, else by the first aggregation, else by time, latest first, else by the first column."""
    limit: int = DEFAULT_LIMIT
    offset: int = 0


@frozen
class PersonListPlan:
    """Chosen expressions of stored persons, or of groups of persons when some are aggregations.

    Columns that stand for the whole person are answered with its uuid.
    """

    project_id: int
    select: tuple[str, ...]
    path: str
    scope: Scope = field(eq=False, repr=False)
    condition: Condition = AllOf()
    """On persons."""
    source: SqlPlan | None = None
    """Gives the uuids of the persons that are looked at; None: all."""
    search: str | None = None
    """Case-insensitive part of a distinct id, of the e-mail address or the name."""
    order_by: tuple[str, ...] | None = None
    """None: by count, else by the first aggregation, else the newest first if that shows, else by the first column."""
    limit: int = DEFAULT_LIMIT
    offset: int = 0


def unnamed(place: int) -> str:
    """Return what a column is called in an answer that was selected without a name."""
    return f"column {place}"


@frozen
class SqlAnswer:
    """The rows of a query, with what is known of its columns. Values are JSON's own."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    """As ClickHouse names them."""
    rows: list[list[Any]]
    has_more: bool
    limit: int
    offset: int
    not_finite: Mapping[str, Any] = Factory(dict)
    """`nan` or `inf` -> where a float is that, which is None in its row: row -> column -> True, numbers as texts."""
