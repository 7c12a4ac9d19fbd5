"""The query node of SQL. Source: PostHog query schema, HogQLQuery."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from attrs import frozen

from .nodes import DateRange, Properties


@frozen
class HogQLFilters:
    """What the placeholder `{filters}` stands for."""

    date_range: DateRange | None = None
    properties: Properties | None = None
    filter_test_accounts: bool | None = None


@frozen
class HogQLQuery:
    """A SELECT in HogQL."""

    kind: Literal["HogQLQuery"]
    query: str
    filters: HogQLFilters | None = None
    variables: Mapping[str, Any] | None = None
    """Id -> `{variableId, code_name, value, isNull}`."""
    values: Mapping[str, Any] | None = None
    """Placeholder -> value."""
    modifiers: Any = None
    name: Any = None
    explain: Any = None
    tags: Any = None
    version: Any = None
    response: Any = None
