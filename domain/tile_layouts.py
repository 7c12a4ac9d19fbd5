"""Where tiles stand on a dashboard's grid of twelve columns: their order, packing them anew, closing gaps. Pure.

Layouts are what clients say of a tile, `{"sm": {"x", "y", "w", "h"}, "xs": {...}}`, wide screens and narrow ones; what
cannot be read of them counts as not said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

COLUMNS = 12
WIDTH, HEIGHT = 6, 5
"""Of a tile that says nothing."""
UNPLACED = 100
"""Row and column that such a tile is sorted by."""
MOST = 10_000
"""Rows that a grid has; larger numbers count as not said."""
Sizes = Literal["preserve", "two_column", "full_width"]
SIZES: tuple[Sizes, ...] = get_args(Sizes)
_FIXED: Mapping[Sizes, tuple[int, int]] = {"two_column": (WIDTH, HEIGHT), "full_width": (COLUMNS, HEIGHT)}


def place(layouts: Any, screen: str = "sm") -> tuple[int, int]:
    """Return the row and the column of a tile; tiles are shown in the order of these."""
    box = _box(layouts, screen)
    return _number(box, "y", UNPLACED), _number(box, "x", UNPLACED)


def packed(order: Sequence[int], layouts: Mapping[int, Any], sizes: Sizes = "preserve") -> dict[int, Any]:
    """Return the layouts of tiles that are put down one after the other, each as far up, then as far left, as it goes.

    `preserve` keeps the size of each tile, the others give all the same.
    """
    heights = [0] * COLUMNS
    narrow_y = 0
    found = {}
    for tile in order:
        box = _box(layouts.get(tile), "sm")
        width, height = _FIXED.get(sizes) or (_number(box, "w", WIDTH), _number(box, "h", HEIGHT))
        width, height = min(max(width, 1), COLUMNS), max(height, 1)
        y, x = min((max(heights[start : start + width]), start) for start in range(COLUMNS - width + 1))
        heights[x : x + width] = [y + height] * width
        found[tile] = {
            "sm": {"x": x, "y": y, "w": width, "h": height},
            "xs": {"x": 0, "y": narrow_y, "w": 1, "h": height},
        }
        narrow_y += height
    return found


def lifted(layouts: Mapping[int, Any]) -> dict[int, Any]:
    """Return the layouts that change when every tile is lifted as far as those above let it, on each screen."""
    found: dict[int, Any] = {}
    for screen in ("sm", "xs"):
        placed: list[tuple[int, int, int]] = []
        boxes = {tile: _box(one, screen) for tile, one in layouts.items()}
        for tile in sorted((tile for tile, box in boxes.items() if box), key=lambda one: place(layouts[one], screen)):
            box = boxes[tile]
            left, right = _number(box, "x", 0), _number(box, "x", 0) + max(_number(box, "w", 1), 1)
            y = max((bottom for start, end, bottom in placed if start < right and left < end), default=0)
            placed.append((left, right, y + max(_number(box, "h", 1), 1)))
            if y != _number(box, "y", 0):
                found[tile] = {**found.get(tile, layouts[tile]), screen: {**box, "y": y}}
    return found


def in_order(tiles: Iterable[tuple[int, Any]]) -> list[int]:
    """Return the ids of tiles with their layouts as they are shown: by row and column, equal ones as they came."""
    return [tile for tile, layouts in sorted(tiles, key=lambda one: place(one[1]))]


def _box(layouts: Any, screen: str) -> Mapping[str, Any]:
    box = layouts.get(screen) if isinstance(layouts, Mapping) else None
    return box if isinstance(box, Mapping) else {}


def _number(box: Mapping[str, Any], name: str, default: int) -> int:
    value = box.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST else default
