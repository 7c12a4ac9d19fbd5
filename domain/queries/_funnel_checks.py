"""What a FunnelsQuery may not ask (queries.md 11.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import InvalidQuery
from .funnel_nodes import Excluded, FunnelsFilter
from .nodes import EventsNode, PropertyFilter, PropertyGroup, SeriesNode

RANGE = "Exclusion event range is invalid."
SAME_AS_STEP = "Exclusion event can't be the same as funnel step"


def check_funnel(asked: FunnelsFilter, series: Sequence[SeriesNode], path: str) -> None:
    """Raise InvalidQuery with the path of the wrong field."""
    _check_range(asked, len(series), f"{path}.funnelsFilter")
    _check_optional(asked, series, path)
    where = f"{path}.funnelsFilter"
    for place, exclusion in enumerate(asked.exclusions or ()):
        _check_exclusion(exclusion, asked, series, f"{where}.exclusions[{place}]")
    if asked.funnel_window_interval is not None and asked.funnel_window_interval < 1:
        raise InvalidQuery("The window must be at least 1 long.", path=f"{where}.funnelWindowInterval")
    if asked.breakdown_attribution_type != "step":
        return
    step = asked.breakdown_attribution_value
    name = f"{where}.breakdownAttributionValue"
    if step is None:
        raise InvalidQuery("Attribution by step needs breakdownAttributionValue.", path=name)
    if not 0 <= step < max(len(series), 1):
        raise InvalidQuery(f"The funnel has no step {step}; steps count from 0 to {len(series) - 1}.", path=name)
    if asked.funnel_order_type == "unordered" and step != 0:
        raise InvalidQuery("Only the first step can be used for breakdown attribution in unordered funnels.", path=name)


def _check_range(asked: FunnelsFilter, n_steps: int, path: str) -> None:
    first, last = asked.funnel_from_step, asked.funnel_to_step
    if n_steps < 2:
        return
    if first is not None and not 0 <= first <= n_steps - 2:
        raise InvalidQuery(
            f"funnelFromStep is out of bounds. It must be between 0 and {n_steps - 2}.", path=f"{path}.funnelFromStep"
        )
    if last is not None and not 1 <= last <= n_steps - 1:
        raise InvalidQuery(
            f"funnelToStep is out of bounds. It must be between 1 and {n_steps - 1}.", path=f"{path}.funnelToStep"
        )
    if first is not None and last is not None and first >= last:
        raise InvalidQuery("funnelToStep must be greater than funnelFromStep.", path=f"{path}.funnelToStep")


def _check_optional(asked: FunnelsFilter, series: Sequence[SeriesNode], path: str) -> None:
    for place, node in enumerate(series):
        if not node.optional_in_funnel:
            continue
        where = f"{path}.series[{place}].optionalInFunnel"
        if asked.funnel_order_type == "unordered" or asked.funnel_viz_type in ("time_to_convert", "trends"):
            raise InvalidQuery(
                "Optional steps are only possible in sequential or strict funnels that show conversion steps.",
                path=where,
            )
        if place == 0:
            raise InvalidQuery("The first step cannot be optional.", path=where)
        following = next((one for one in series[place + 1 :] if not one.optional_in_funnel), None)
        if following is not None and _covers(following, node):
            raise InvalidQuery("An optional step cannot be the same as the required step after it.", path=where)


def _check_exclusion(exclusion: Excluded, asked: FunnelsFilter, series: Sequence[SeriesNode], path: str) -> None:
    first, last, n_steps = exclusion.funnel_from_step, exclusion.funnel_to_step, len(series)
    if first is None or last is None:
        raise InvalidQuery(f"{RANGE} An exclusion must say its steps.", path=path)
    if first < 0 or first >= last:
        raise InvalidQuery(f"{RANGE} End of range should be greater than start.", path=f"{path}.funnelToStep")
    if first >= n_steps - 1:
        raise InvalidQuery(f"{RANGE} Start of range is greater than number of steps.", path=f"{path}.funnelFromStep")
    if last > n_steps - 1:
        raise InvalidQuery(f"{RANGE} End of range is greater than number of steps.", path=f"{path}.funnelToStep")
    if any(_covers(exclusion, node) or _covers(node, exclusion) for node in series[first : last + 1]):
        raise InvalidQuery(SAME_AS_STEP, path=path)
    if asked.funnel_order_type == "unordered" and (first, last) != (0, n_steps - 1):
        raise InvalidQuery("Partial Exclusions not allowed in unordered funnels", path=path)


def _covers(wide: SeriesNode, narrow: SeriesNode) -> bool:
    """Whether every event of the narrow one is one of the wide one, as far as their filters tell."""
    if isinstance(wide, EventsNode) != isinstance(narrow, EventsNode) or _subject(wide) != _subject(narrow):
        return False
    return _leaves(wide) <= _leaves(narrow)


def _subject(node: SeriesNode) -> str | int | None:
    return node.event if isinstance(node, EventsNode) else node.id


def _leaves(node: SeriesNode) -> frozenset[str]:
    return frozenset(
        repr((leaf.type or "event", leaf.key, leaf.operator or "exact", _listed(leaf.value)))
        if isinstance(leaf, PropertyFilter)
        else repr(leaf)
        for properties in (node.properties, node.fixed_properties)
        for leaf in ((properties,) if isinstance(properties, PropertyGroup) else properties or ())
    )


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, list | tuple) else [value]
