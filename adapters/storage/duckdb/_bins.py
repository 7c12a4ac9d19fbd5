"""Breakdown values that are numbers as SQL: each becomes the bounds of its bin, as `lower,upper`."""

from __future__ import annotations

from sqlglot import exp

from ....domain.queries.trend_plan import Split, SplitBySource
from ._selects import aliased, fragment, is_known

_LAST_BIN_EXTRA = 0.01


def binned(raw: exp.Select, splits: tuple[Split, ...], more: list[str]) -> exp.Select:
    """Return the SELECT with numbers of binned splits replaced by the bounds of their bins, as `lower,upper`."""
    bins = bins_of(splits)
    if not bins:
        return raw
    spans = exp.select(*(part for name, split in bins.items() for part in span_of(name, split))).from_("raw")
    values = [aliased(_bin(name, bins[name]), name) if name in bins else exp.column(name) for name in names_of(splits)]
    found = exp.select("bucket", *values, *more).from_("raw").join(exp.to_table("spans"), join_type="cross")
    found = found.with_("raw", as_=raw).with_("spans", as_=spans)
    return found.where(*(is_known(name) for name, split in bins.items() if split.are_quantiles))


def bins_of(splits: tuple[Split, ...]) -> dict[str, SplitBySource]:
    """Return the splits into bins by the names of their columns."""
    return {
        name: split
        for name, split in zip(names_of(splits), splits, strict=True)
        if isinstance(split, SplitBySource) and split.n_bins is not None
    }


def bin_of(name: str, split: SplitBySource, number: exp.Expr) -> exp.Expr:
    """Return the bin of a number that has no column of its own, beside the columns of `span_of`."""

    def filled(node: exp.Expr) -> exp.Expr:
        return number.copy() if isinstance(node, exp.Column) and node.name == name else node

    found: exp.Expr = _bin(name, split).transform(filled)
    return found


def span_of(name: str, split: SplitBySource) -> list[exp.Expr]:
    """Return what a SELECT over the numbers must tell for their bins."""
    if split.are_quantiles:
        shares = ", ".join(str(round(place / (split.n_bins or 1), 2)) for place in range((split.n_bins or 1) + 1))
        rounded = f"list_transform(quantile_cont(DISTINCT {name}, [{shares}]), lambda x: floor(x * 100) / 100)"
        return [aliased(fragment(f"list_sort(list_distinct({rounded}))"), f"points_{name}")]
    return [aliased(fragment(f"min({name})"), f"low_{name}"), aliased(fragment(f"max({name})"), f"high_{name}")]


def _bin(name: str, split: SplitBySource) -> exp.Expr:
    if split.are_quantiles:
        points = f"points_{name}"
        last = f"greatest(len({points}) - 1, 1)"
        place = f"least(len(list_filter({points}, lambda x: x <= {name})), {last})"
        lower = f"{points}[{place}]"
        upper = f"{points}[least({place} + 1, len({points}))]"
        extra = f"CASE WHEN {place} = {last} THEN {_LAST_BIN_EXTRA} ELSE 0 END"
        return fragment(f"{lower}::VARCHAR || ',' || ({upper} + {extra})::VARCHAR")
    n_bins = split.n_bins or 1
    width = f"((high_{name} - low_{name}) / {n_bins})"
    last = str(n_bins - 1)
    place = f"(CASE WHEN {width} = 0 THEN {last} ELSE least(floor(({name} - low_{name}) / {width}), {last}) END)"
    lower = f"(low_{name} + {place} * {width})"
    upper = f"(low_{name} + ({place} + 1) * {width} + CASE WHEN {place} = {last} THEN {_LAST_BIN_EXTRA} ELSE 0 END)"
    return fragment(f"CASE WHEN {name} IS NULL THEN NULL ELSE {lower}::VARCHAR || ',' || {upper}::VARCHAR END")


def names_of(splits: tuple[Split, ...]) -> list[str]:
    """Return what the columns of breakdown values are called."""
    return [f"v{place}" for place in range(len(splits))]
