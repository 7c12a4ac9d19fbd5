"""From JSON to query nodes: what does not fit the schema is refused with the path of the wrong field.

Holds no meaning of queries; `domain.queries` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

import attrs

from ..domain.errors import InvalidQuery, UncalculatedKind, UnsupportedQuery
from ..domain.queries import actor_nodes, event_nodes, funnel_nodes, nodes, path_nodes, retention_nodes, sql_nodes

if TYPE_CHECKING:
    from cattrs import Converter

_WRAPPERS = frozenset({"InsightVizNode", "DataVisualizationNode", "DataTableNode"})
Query = (
    nodes.Query
    | funnel_nodes.FunnelsQuery
    | retention_nodes.RetentionQuery
    | path_nodes.PathsQuery
    | funnel_nodes.FunnelCorrelationQuery
    | actor_nodes.ActorsQuery
    | actor_nodes.InsightActorsQueryOptions
    | sql_nodes.HogQLQuery
    | event_nodes.EventsQuery
)
_CALCULATED: dict[str, type[Query]] = {
    "TrendsQuery": nodes.TrendsQuery,
    "StickinessQuery": nodes.StickinessQuery,
    "LifecycleQuery": nodes.LifecycleQuery,
    "FunnelsQuery": funnel_nodes.FunnelsQuery,
    "RetentionQuery": retention_nodes.RetentionQuery,
    "PathsQuery": path_nodes.PathsQuery,
    "FunnelCorrelationQuery": funnel_nodes.FunnelCorrelationQuery,
    "ActorsQuery": actor_nodes.ActorsQuery,
    "InsightActorsQueryOptions": actor_nodes.InsightActorsQueryOptions,
    "HogQLQuery": sql_nodes.HogQLQuery,
    "EventsQuery": event_nodes.EventsQuery,
}
"""One line per kind that can be calculated."""
_KNOWN = frozenset(
    {
        "InsightActorsQuery",
        "FunnelsActorsQuery",
        "FunnelCorrelationActorsQuery",
        "StickinessActorsQuery",
        "HogQuery",
        "SavedInsightNode",
        "CalendarHeatmapQuery",
        "SessionsTimelineQuery",
        "PersonsNode",
        "EventsNode",
        "ActionsNode",
        "DataWarehouseNode",
        "WebOverviewQuery",
        "WebStatsTableQuery",
    }
)
_VIZ_FIELDS = frozenset(
    {
        "kind",
        "source",
        "full",
        "embedded",
        "showHeader",
        "showTable",
        "showFilters",
        "showResults",
        "showLastComputation",
        "showLastComputationRefresh",
        "showCorrelationTable",
        "suppressSessionAnalysisWarning",
        "hidePersonsModal",
        "vizSpecificOptions",
        "version",
    }
)


def calculated_classes() -> dict[str, type[Query]]:
    """Return the kinds that can be calculated, each with the class that it is parsed into."""
    return dict(_CALCULATED)


def is_known_kind(kind: object) -> bool:
    """Whether a stored insight may hold a node of this kind, calculated here or not."""
    return isinstance(kind, str) and (kind in _CALCULATED or kind in _KNOWN or kind in _WRAPPERS)


def source_of(query: Any, path: str = "query", *, allows_extra_fields: bool = False) -> tuple[Mapping[str, Any], str]:
    """Return the innermost source of wrapping nodes, and its path.

    Raises InvalidQuery for what is no node, UncalculatedKind for an unknown kind inside of a wrapping one.
    """
    is_inside = False
    for _ in range(4):
        if not isinstance(query, Mapping):
            raise InvalidQuery("A query must be an object.", path=path)
        kind = query.get("kind")
        if not is_known_kind(kind):
            refusal = UncalculatedKind if is_inside else InvalidQuery
            raise refusal(f"Unknown kind {kind!r}.", path=f"{path}.kind")
        if kind not in _WRAPPERS:
            return query, path
        is_inside = True
        if kind == "InsightVizNode" and not allows_extra_fields:
            _refuse_extra_keys(query, _VIZ_FIELDS, path)
        query, path = query.get("source"), f"{path}.source"
    raise InvalidQuery("A query may not be wrapped that often.", path=path)


def check_storable(query: Any, path: str = "query") -> None:
    """Raise InvalidQuery unless an insight may keep this query: kinds are known, fields that are calculated fit.

    Unknown fields are let through, and so are unknown kinds of a source: they are stored and returned untouched.
    """
    if not isinstance(query, Mapping):
        raise InvalidQuery("A query must be an object.", path=path)
    kind = query.get("kind")
    if not is_known_kind(kind):
        raise InvalidQuery(f"Unknown kind {kind!r}.", path=f"{path}.kind")
    while kind in _WRAPPERS:
        query, path = query.get("source"), f"{path}.source"
        if not isinstance(query, Mapping) or not isinstance(query.get("kind"), str):
            raise InvalidQuery("A source must be an object with a kind.", path=path)
        kind = query["kind"]
    if kind in _CALCULATED:
        structure(query, _CALCULATED[kind], path, allows_extra_fields=True)


def parse_query(query: Any, path: str = "query", *, allows_extra_fields: bool = False) -> Query:
    """Return the node of a JSON value; an InsightVizNode gives its source. Queries of insights may have extra fields.

    Raises InvalidQuery for unknown kinds and for unknown or wrong fields, with a path such as `query.series[0].math`,
    and UncalculatedKind for kinds that can be stored but not calculated.
    """
    source, path = source_of(query, path, allows_extra_fields=allows_extra_fields)
    kind = str(source["kind"])
    if kind not in _CALCULATED:
        raise UncalculatedKind(f"Queries of kind {kind} are not supported yet.", path=f"{path}.kind")
    node: Query = structure(source, _CALCULATED[kind], path, allows_extra_fields=allows_extra_fields)
    return node


def structure(value: Any, kind: Any, path: str, *, allows_extra_fields: bool = False) -> Any:
    """Return the JSON value as `kind`, an attrs class or a type made of them. Raises InvalidQuery."""
    from cattrs import BaseValidationError  # noqa: PLC0415 - start-up time

    try:
        return _converter(forbids_extra_keys=not allows_extra_fields).structure(value, kind)
    except BaseValidationError as error:
        where, fault = _first_fault(error, path)
        refusal = UnsupportedQuery if isinstance(fault, _NotYet) else InvalidQuery
        raise refusal(_reason(fault), path=where) from error
    except _Misfit as error:
        raise InvalidQuery(str(error), path=path) from error


class _Misfit(ValueError):
    """A JSON value of the wrong type; its text is for the client."""


class _NotYet(_Misfit):
    """A node that is right and not calculated yet."""


@cache
def _converter(*, forbids_extra_keys: bool) -> Converter:
    from cattrs import Converter  # noqa: PLC0415
    from cattrs.gen import make_dict_structure_fn, override  # noqa: PLC0415

    converter = Converter(forbid_extra_keys=forbids_extra_keys, detailed_validation=True)

    def for_attrs(kind: type[Any]) -> Callable[[Any, Any], Any]:
        attrs.resolve_types(kind)
        names = {field.name: override(rename=nodes.json_name(field)) for field in attrs.fields(kind)}
        inner = make_dict_structure_fn(kind, converter, **names)  # type: ignore[arg-type]

        def read(value: Any, _: Any) -> Any:
            if not isinstance(value, Mapping):
                raise _Misfit(f"An object is expected, not {_shown(value)}.")
            return inner(value, kind)

        return read

    def for_union(kind: Any) -> Callable[[Any, Any], Any]:
        options = get_args(kind)

        def read(value: Any, _: Any) -> Any:
            option = _option(options, value)
            return None if option is type(None) else converter.structure(value, option)

        return read

    def for_tuple(kind: Any) -> Callable[[Any, Any], Any]:
        item = get_args(kind)[0]

        def read(value: Any, _: Any) -> Any:
            if not isinstance(value, list | tuple):
                raise _Misfit(f"A list is expected, not {_shown(value)}.")
            return tuple(converter.structure(value, list[item]))  # type: ignore[valid-type]

        return read

    def for_literal(kind: Any) -> Callable[[Any, Any], Any]:
        options = get_args(kind)

        def read(value: Any, _: Any) -> Any:
            if not isinstance(value, str) or value not in options:
                raise _Misfit(f"{_shown(value)} is none of {', '.join(map(str, options))}.")
            return value

        return read

    converter.register_structure_hook_factory(attrs.has, for_attrs)
    converter.register_structure_hook_factory(lambda kind: _origin(kind) in (Union, UnionType), for_union)
    converter.register_structure_hook_factory(lambda kind: _origin(kind) is tuple, for_tuple)
    converter.register_structure_hook_factory(lambda kind: str(kind).startswith("typing.Literal["), for_literal)
    for scalar in (str, int, float, bool):
        converter.register_structure_hook(scalar, _read_scalar)
    converter.register_structure_hook_func(
        lambda kind: _origin(kind) is _ABC_MAPPING,
        lambda value, _: _read_object(value),
    )
    return converter


_ABC_MAPPING: Any = get_origin(Mapping[str, Any])


def _origin(kind: Any) -> Any:
    return get_origin(kind)


def _option(options: Sequence[Any], value: Any) -> Any:
    """Return which member of a union the JSON value is meant for; the first when none fits, so that it complains."""
    present = [option for option in options if option is not type(None)]
    if value is None and len(present) < len(options):
        return type(None)
    kinds = {name: option for option in present if attrs.has(option) for name in _kinds_of(option)}
    if kinds:
        kind = value.get("kind") if isinstance(value, Mapping) else None
        if kind not in kinds:
            if kind in ("DataWarehouseNode", "GroupNode"):
                raise _NotYet(f"Series of kind {kind} are not supported yet.")
            raise _Misfit(f"The kind is {' or '.join(kinds)}, not {_shown(kind)}.")
        return kinds[str(kind)]
    if isinstance(value, Mapping) and nodes.PropertyFilter in present:
        return nodes.PropertyGroup if "values" in value and value.get("type") in ("AND", "OR") else nodes.PropertyFilter
    for option in present:
        origin = get_origin(option) or option
        if isinstance(value, list | tuple) and origin is tuple:
            return option
        if isinstance(value, Mapping) and (attrs.has(origin) or origin is _ABC_MAPPING):
            return option
        if isinstance(value, str) and (origin is str or str(option).startswith("typing.Literal[")):
            return option
        if isinstance(value, int | float) and origin in (int, float, bool):
            return option
    return present[0]


def _kinds_of(option: type[Any]) -> tuple[str, ...]:
    """Return what the `kind` of a class may be; nothing for a class without kind, or with any."""
    if "kind" not in attrs.fields_dict(option):
        return ()
    attrs.resolve_types(option)
    kind = attrs.fields_dict(option)["kind"]
    return get_args(kind.type) if str(kind.type).startswith("typing.Literal[") else ()


def _read_scalar(value: Any, kind: type[Any]) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        names = {str: "Text", int: "A whole number", float: "A number", bool: "true or false"}
        raise _Misfit(f"{names[kind]} is expected, not {_shown(value)}.")
    return value


def _read_object(value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise _Misfit(f"An object is expected, not {_shown(value)}.")
    return value


def _refuse_extra_keys(value: Mapping[str, Any], known: frozenset[str], path: str) -> None:
    for key in value:
        if key not in known:
            raise InvalidQuery(f"Unknown field {key!r}.", path=f"{path}.{key}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _first_fault(error: Exception, path: str) -> tuple[str, Exception]:
    """Return path and cause of the first wrong field below a validation error."""
    from cattrs import (  # noqa: PLC0415
        AttributeValidationNote,
        BaseValidationError,
        ClassValidationError,
        ForbiddenExtraKeysError,
        IterableValidationNote,
    )

    if isinstance(error, ForbiddenExtraKeysError):
        key = min(error.extra_fields)
        return f"{path}.{key}", _Misfit(f"Unknown field {key!r}.")
    if not isinstance(error, BaseValidationError):
        return path, error
    fault = error.exceptions[0]
    for note in getattr(fault, "__notes__", ()):
        if isinstance(note, IterableValidationNote):
            path = f"{path}[{note.index}]"
        elif isinstance(note, AttributeValidationNote):
            kind = error.cl if isinstance(error, ClassValidationError) else None
            name = nodes.json_name(getattr(attrs.fields(kind), note.name)) if kind and attrs.has(kind) else note.name
            path = f"{path}.{name}"
    return _first_fault(fault, path)


def _reason(fault: Exception) -> str:
    return "This field is required." if isinstance(fault, KeyError) else str(fault)
