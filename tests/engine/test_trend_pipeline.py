"""Whole trends, from events to ranked, smoothed, cumulated, compared and computed rows, against plain Python."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insightlog.domain.queries import dates
from insightlog.domain.queries.nodes import DateRange

from .test_trend_maths import NOW, NULL, OTHER, ask, fill

PROPERTIES = {"plain": (), "one": ("plan",), "two": ("plan", "size")}
FORMULAS = {
    "A + B * 2": lambda a, b: a + b * 2,
    "A / B": lambda a, b: a / b if b else 0,
    "(B - A) ** 2 % 3": lambda a, b: math.fmod((b - a) ** 2, 3),
    "-A": lambda a, _: -a,
}
ROWS = st.lists(
    st.tuples(
        st.integers(80 * 24 * 60, 100 * 24 * 60),
        st.sampled_from(["view", "view", "buy"]),
        st.sampled_from("abcd"),
        st.fixed_dictionaries(
            {"plan": st.sampled_from(["pro", "free", "team", "", None]), "size": st.sampled_from(["1", "2", None])}
        ),
    ),
    max_size=25,
)


def reference(events, event, counting, bounds, names, *, is_cumulative, smoothing, limit):
    """Return [(value, data)] in order of rank: real values, then missing ones, then the rest."""
    axis = dates.buckets(bounds)
    cells = defaultdict(lambda: [[] for _ in axis.days])
    if not names:
        cells[()]
    for at, name, who, properties in events:
        if name == event and bounds.count_from <= at <= bounds.count_to:
            value = tuple(properties[one] or None for one in names)
            cells[value][next(place for place, edge in enumerate(axis.edges[1:]) if at < edge)].append(who)
    rows = []
    for value, buckets in cells.items():
        data = [len(set(one)) if counting == "dau" else len(one) for one in buckets]
        if is_cumulative and counting == "dau":
            data = [len(set(itertools.chain(*buckets[: place + 1]))) for place in range(len(buckets))]
        elif is_cumulative:
            data = list(itertools.accumulate(data))
        rows.append((value, [smooth(data, place, smoothing) for place in range(len(data))]))
    rows.sort(key=lambda row: (None in row[0], -size(row[1], is_cumulative=is_cumulative), texts(row[0])))
    kept, rest = rows[:limit], rows[limit:]
    if rest:
        kept.append(("other", [sum(numbers) for numbers in zip(*(data for _, data in rest), strict=True)]))
    return kept


def smooth(data, place, n):
    window = data[max(0, place - n + 1) : place + 1]
    return math.floor(sum(window) / len(window)) if n > 1 else data[place]


def size(data, *, is_cumulative):
    return (data[-1] if data else 0) if is_cumulative else sum(data)


def texts(value):
    return [(one is None, one or "") for one in value]


def shown(row, names):
    if not names:
        return ()
    values = row["breakdown_value"] if isinstance(row["breakdown_value"], list) else [row["breakdown_value"]]
    return "other" if OTHER in values else tuple(None if one == NULL else one for one in values)


@settings(max_examples=50, deadline=None)
@given(
    rows=ROWS,
    counting=st.sampled_from(["total", "dau"]),
    split=st.sampled_from(list(PROPERTIES)),
    display=st.sampled_from(["ActionsLineGraph", "ActionsLineGraphCumulative", "ActionsBar"]),
    smoothing=st.integers(1, 3),
    limit=st.integers(1, 4),
    zone=st.sampled_from(["UTC", "America/New_York"]),
    interval=st.sampled_from(["day", "week"]),
    n_days=st.integers(0, 14),
    formula=st.sampled_from([None, *FORMULAS]),
    is_compared=st.booleans(),
)
def test_whole_results_equal_the_reference(
    shared, rows, counting, split, display, smoothing, limit, zone, interval, n_days, formula, is_compared
):
    project, events = fill(shared, rows)
    names, is_cumulative = PROPERTIES[split], display.endswith("Cumulative")
    asked = {"display": display, "smoothingIntervals": smoothing} | ({"formula": formula} if formula else {})
    found = ask(
        shared, project, zone, interval=interval, dateRange={"date_from": f"-{n_days}d"}, trendsFilter=asked,
        series=[{"kind": "EventsNode", "event": name, "math": counting} for name in ("view", "buy")],
        breakdownFilter={"breakdowns": [{"property": one} for one in names], "breakdown_limit": limit} if names else None,
        compareFilter={"compare": is_compared},
    )  # fmt: skip
    current = dates.resolve(DateRange(f"-{n_days}d"), interval=interval, now=NOW, zone=ZoneInfo(zone))
    expected = []
    for label, bounds in (("current", current), ("previous", dates.previous(current))):
        if label == "previous" and not is_compared:
            continue
        series = [
            reference(events, name, counting, bounds, names, is_cumulative=is_cumulative, smoothing=smoothing, limit=limit)
            for name in ("view", "buy")
        ]  # fmt: skip
        if formula is None:
            expected += [(label, order, value, data) for order, one in enumerate(series) for value, data in one]
        else:
            zeros, (first, second) = [0] * len(dates.buckets(bounds).days), map(dict, series)
            for value in {**first, **second}:
                pairs = zip(first.get(value, zeros), second.get(value, zeros), strict=True)
                expected.append((label, 0, value, [FORMULAS[formula](*pair) for pair in pairs]))
    answered = [(row.get("compare_label", "current"), row["order"], shown(row, names), row["data"]) for row in found]
    if formula is not None:  # whose values are in the order of their sums
        answered, expected = (sorted(one, key=lambda row: (row[0], str(row[2]))) for one in (answered, expected))
    assert [row[:3] for row in answered] == [row[:3] for row in expected]
    for (*_, data), (*_, right) in zip(answered, expected, strict=True):
        assert data == pytest.approx(right)


def test_the_previous_period_has_its_own_ranking(shared):
    now_minute, before_minute = 99 * 24 * 60, 90 * 24 * 60
    rows = [(now_minute, "view", "a", {"plan": plan}) for plan in ("pro", "pro", "free")]
    rows += [(before_minute, "view", "a", {"plan": plan}) for plan in ("team", "team", "pro")]
    project, _ = fill(shared, rows)
    found = ask(
        shared, project, dateRange={"date_from": "2020-03-25", "date_to": "2020-03-31"},
        compareFilter={"compare": True}, breakdownFilter={"breakdown": "plan", "breakdown_limit": 1},
    )  # fmt: skip
    assert datetime(2020, 3, 31, 13, 0, 1, tzinfo=UTC) == NOW
    labels = [(row["compare_label"], row["breakdown_value"], row["count"]) for row in found]
    assert labels == [("current", "pro", 2), ("current", OTHER, 1), ("previous", "team", 2), ("previous", OTHER, 1)]
