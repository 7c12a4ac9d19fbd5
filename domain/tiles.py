"""Tiles: the places of an insight on dashboards. A tile keeps its id while it is off and comes back with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import evolve, frozen


@frozen
class Tile:
    """One insight on one dashboard."""

    id: int
    dashboard_id: int
    deleted: bool | None = None
    """None: was never taken off. True: is off now. False: was off and is back."""

    @property
    def is_live(self) -> bool:
        """Whether the insight stands on the dashboard now."""
        return not self.deleted


def live_dashboards(tiles: Iterable[Tile]) -> tuple[int, ...]:
    """Return the dashboards of live tiles, in order of the tiles."""
    return tuple(tile.dashboard_id for tile in tiles if tile.is_live)


def tiles_after(tiles: Sequence[Tile], dashboards: Sequence[int], new_id: int) -> tuple[Tile, ...]:
    """Return the tiles of an insight that stands on just these dashboards; a new one gets `new_id`.

    >>> [(tile.id, tile.deleted) for tile in tiles_after([Tile(7, 1), Tile(8, 2, True)], [2, 3], 9)]
    [(7, True), (8, False), (9, None)]
    """
    kept = []
    for tile in tiles:
        wanted = tile.dashboard_id in dashboards
        kept.append(tile if wanted is tile.is_live else evolve(tile, deleted=not wanted))
    known = {tile.dashboard_id for tile in tiles}
    kept += [Tile(new_id, dashboard_id) for dashboard_id in dashboards if dashboard_id not in known]
    return tuple(kept)


def steps_to(tiles: Sequence[Tile], wanted: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the sets of dashboards through which an insight comes to the wanted one: each makes one tile at most.

    Empty when the insight stands there already, in whatever order.

    >>> steps_to([Tile(7, 1)], [1, 2, 3])
    [(1, 2), (1, 2, 3)]
    """
    wanted = tuple(dict.fromkeys(wanted))
    if set(wanted) == set(live_dashboards(tiles)):
        return []
    known = {tile.dashboard_id for tile in tiles}
    new = [one for one in wanted if one not in known]
    return [tuple(one for one in wanted if one not in new[n:]) for n in range(1, len(new))] + [wanted]
