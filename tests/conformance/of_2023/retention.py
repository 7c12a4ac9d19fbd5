"""Rows of a retention as PostHog's 2023 engine gave them."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping, Sequence
from typing import Any

from insightlog.domain.queries import dates
from insightlog.domain.queries.retention import Retention


def triangular(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows without the intervals that had not come yet: each is one shorter than the row before."""
    places = [int(str(row["label"]).rsplit(" ", 1)[1]) for row in rows]
    n_rows = max(places, default=-1) + 1
    return [
        {**row, "values": [{**value, "people": []} for value in row["values"][: n_rows - place]]}
        for row, place in zip(rows, places, strict=True)
    ]


def dated(rows: Sequence[Mapping[str, Any]], found: Retention) -> list[dict[str, Any]]:
    """Return the rows with the dates of that time: months counted back from the end carry the day of the end.

    What is counted are whole months all the same.
    """
    date_range = found.query.date_range
    if found.asked.period != "Month" or (date_range is not None and date_range.date_from):
        return [dict(row) for row in rows]
    day = found.bounds.date_to.day
    starts = [start.replace(day=min(day, monthrange(start.year, start.month)[1])) for start in found.starts]
    return [{**row, "date": dates.format_instant(starts[place % len(starts)])} for place, row in enumerate(rows)]
