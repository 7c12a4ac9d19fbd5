"""Query nodes of paths. Meaning: `domain.queries.paths`. Source: PostHog query schema, node PathsQuery."""

from __future__ import annotations

from typing import Any, Literal

from attrs import frozen

from .funnel_nodes import FunnelsQuery
from .nodes import DateRange, Properties, in_json

MAX_EDGES = 10_000
PathType = Literal["$pageview", "$screen", "custom_event", "hogql"]


@frozen
class PathCleaningFilter:
    """Every match of the pattern becomes the alias."""

    alias: str | None = None
    regex: str | None = None
    order: Any = None


@frozen
class PathsFilter:
    """Which items make a path and how much of it is shown; the fields after `path_dropoff_key` are presentation."""

    include_event_types: tuple[PathType, ...] | None = in_json("includeEventTypes")
    paths_hogql_expression: str | None = in_json("pathsHogQLExpression")
    start_point: str | None = in_json("startPoint")
    end_point: str | None = in_json("endPoint")
    exclude_events: tuple[str, ...] | None = in_json("excludeEvents")
    path_groupings: tuple[str, ...] | None = in_json("pathGroupings")
    path_replacements: bool | None = in_json("pathReplacements")
    local_path_cleaning_filters: tuple[PathCleaningFilter, ...] | None = in_json("localPathCleaningFilters")
    step_limit: int | None = in_json("stepLimit")
    edge_limit: int | None = in_json("edgeLimit")
    min_edge_weight: int | None = in_json("minEdgeWeight")
    max_edge_weight: int | None = in_json("maxEdgeWeight")
    path_start_key: str | None = in_json("pathStartKey")
    path_end_key: str | None = in_json("pathEndKey")
    path_dropoff_key: str | None = in_json("pathDropoffKey")
    show_full_urls: Any = in_json("showFullUrls")


@frozen
class FunnelPathsFilter:
    """Only the paths before, after or between the steps of a funnel."""

    funnel_source: FunnelsQuery = in_json("funnelSource", required=True)
    funnel_path_type: (
        Literal["funnel_path_before_step", "funnel_path_between_steps", "funnel_path_after_step"] | None
    ) = in_json("funnelPathType")
    funnel_step: int | None = in_json("funnelStep")


@frozen
class PathsQuery:
    """Which items follow each other in the sessions of persons."""

    kind: Literal["PathsQuery"]
    paths_filter: PathsFilter = in_json("pathsFilter", PathsFilter())
    funnel_paths_filter: FunnelPathsFilter | None = in_json("funnelPathsFilter")
    date_range: DateRange | None = None
    filter_test_accounts: bool | None = None
    properties: Properties | None = None
    aggregation_group_type_index: int | None = None
    sampling_factor: float | None = None
    data_color_theme: Any = None
    tags: Any = None
    version: Any = None
    modifiers: Any = None
    response: Any = None
