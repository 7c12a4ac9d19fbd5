"""Every math and breakdown of trends over a real DuckDB file, against slow and obvious Python."""

from __future__ import annotations

import itertools
import json
import math
import random
from bisect import bisect_right
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insightlog.application.calculation import QueryContext, calculate
from insightlog.domain.errors import UnsupportedQuery
from insightlog.domain.product_event import ProductEvent
from insightlog.domain.queries import dates
from insightlog.domain.queries.nodes import DateRange

NOW = datetime(2020, 3, 31, 13, 0, 1, tzinfo=UTC)
NULL, OTHER = "$$_posthog_breakdown_null_$$", "$$_posthog_breakdown_other_$$"
QUANTILES = {"median": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99}
ids = itertools.count(1)


def fill(shared, rows):
    """Put (minutes, event, who, properties) into a project of their own; return it and the instants."""
    log, _, projects = shared
    project, start = next(projects), NOW - timedelta(days=100)
    events = [
        ProductEvent(UUID(int=next(ids)), name, who, start + timedelta(minutes=minute), json.dumps(properties))
        for minute, name, who, properties in rows
    ]
    log.append(project, events, captured_at=NOW)
    return project, [
        (event.timestamp, event.event, event.distinct_id, row[3]) for event, row in zip(events, rows, strict=True)
    ]


def ask(shared, project, zone="UTC", **query):
    query = {"kind": "TrendsQuery", "series": [{"kind": "EventsNode", "event": "view"}], **query}
    return calculate(query, context=QueryContext(project, NOW, zone), store=shared[1])["results"]


def statistic(name, numbers):
    if not numbers:
        return 0.0
    if name in QUANTILES:
        ordered, place = sorted(numbers), QUANTILES[name] * (len(numbers) - 1)
        low = math.floor(place)
        high = min(low + 1, len(ordered) - 1)
        return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
    return {"sum": sum, "min": min, "max": max, "avg": lambda found: sum(found) / len(found)}[name](numbers)


def counted(name, events):
    """Return the number that a math makes of the events of one bucket and breakdown value."""
    if name == "total":
        return len(events)
    if name == "dau":
        return len({who for _, _, who, _ in events})
    if name == "unique_group":
        return len({props.get("$group_0") for *_, props in events if props.get("$group_0")})
    if name == "unique_session":
        return len({props.get("$session_id") or "" for *_, props in events})
    if name.endswith("_count_per_actor"):
        per = defaultdict(int)
        for _, _, who, _ in events:
            per[who] += 1
        return statistic(name.removesuffix("_count_per_actor"), list(per.values()))
    found = [props["n"] for *_, props in events if isinstance(props.get("n"), int | float)]
    return statistic(name, found)


EVENTS = st.lists(
    st.tuples(
        st.integers(0, 100 * 24 * 60),
        st.sampled_from(["view", "view", "buy"]),
        st.sampled_from("abc"),
        st.fixed_dictionaries(
            {
                "n": st.sampled_from([1, 2, 3.5, -4, "x", None]),
                "plan": st.sampled_from(["pro", "free", "", None]),
                "$group_0": st.sampled_from(["g1", "g2", "", None]),
                "$session_id": st.sampled_from(["s1", "s2", None]),
            }
        ),
    ),
    max_size=15,
)
MATHS = [
    "total", "dau", "unique_group", "unique_session", "sum", "avg", "min", "max", *QUANTILES,
    *(f"{name}_count_per_actor" for name in ("avg", "min", "max", *QUANTILES)),
]  # fmt: skip
ZONES = st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata"])


def a_series(name):
    return {"kind": "EventsNode", "event": "view", "math": name, "math_property": "n", "math_group_type_index": 0} | (
        {} if name == "unique_group" else {"math_group_type_index": None}
    )


def the_axis(interval, n_days, zone):
    bounds = dates.resolve(DateRange(f"-{n_days}d"), interval=interval, now=NOW, zone=QueryContext(1, NOW, zone).zone)
    return bounds, dates.buckets(bounds)


@settings(max_examples=120, deadline=None)
@given(
    rows=EVENTS,
    name=st.sampled_from(MATHS),
    zone=ZONES,
    interval=st.sampled_from(["hour", "day", "week", "month"]),
    display=st.sampled_from(["ActionsLineGraph", "ActionsTable"]),
    breakdown=st.sampled_from([(), ("plan",), ("plan", "$session_id")]),
    n_days=st.integers(0, 60),
)
def test_maths_equal_the_reference(shared, rows, name, zone, interval, display, breakdown, n_days):
    project, events = fill(shared, rows)
    found = ask(
        shared, project, zone, interval=interval, dateRange={"date_from": f"-{n_days}d"}, series=[a_series(name)],
        trendsFilter={"display": display},
        breakdownFilter={"breakdowns": [{"property": one} for one in breakdown]} if breakdown else None,
    )  # fmt: skip
    is_total = display == "ActionsTable"
    bounds, axis = the_axis("day" if is_total else interval, n_days, zone)
    size = 1 if is_total else len(axis.days)
    cells = defaultdict(lambda: [[] for _ in range(size)])
    if not breakdown:
        cells[()]
    for event in events:
        at, kind, _, props = event
        is_of_series = kind == "view" and (name != "unique_group" or props["$group_0"])
        if is_of_series and bounds.count_from <= at <= bounds.count_to:
            value = tuple(props[one] or NULL for one in breakdown)
            cells[value][0 if is_total else bisect_right(axis.edges, at) - 1].append(event)
    expected = {value: [counted(name, bucket) for bucket in buckets] for value, buckets in cells.items()}
    shown = {
        tuple(row["breakdown_value"]) if breakdown else (): [row["aggregated_value"]] if is_total else row["data"]
        for row in found
    }
    assert shown.keys() == expected.keys()
    for value, data in expected.items():
        assert shown[value] == pytest.approx(data), value


@settings(max_examples=60, deadline=None)
@given(
    rows=EVENTS,
    name=st.sampled_from(["weekly_active", "monthly_active"]),
    zone=ZONES,
    interval=st.sampled_from(["hour", "day", "week", "month"]),
    breakdown=st.sampled_from([None, "plan"]),
    n_days=st.integers(0, 40),
)
def test_active_persons_equal_the_reference(shared, rows, name, zone, interval, breakdown, n_days):
    """Day by day, the persons of the trailing 7 or 30 days; by hour those of as many times 24 hours."""
    project, events = fill(shared, rows)
    found = ask(
        shared, project, zone, interval=interval, dateRange={"date_from": f"-{n_days}d"}, series=[a_series(name)],
        breakdownFilter={"breakdown": breakdown} if breakdown else None,
    )  # fmt: skip
    window = {"weekly_active": 7, "monthly_active": 30}[name]
    is_dau = interval == "month" or (interval, name) == ("week", "weekly_active")
    bounds, axis = the_axis(interval, n_days, zone)
    expected = defaultdict(lambda: [0] * len(axis.days))
    if not breakdown:
        expected[None]
    seen = defaultdict(set)
    for at, kind, who, props in events:
        if kind != "view" or at > bounds.count_to:
            continue
        for place, start in enumerate(axis.starts):
            if is_dau:
                counts = at >= bounds.count_from and axis.edges[place] <= at < axis.edges[place + 1]
            elif interval == "hour":
                truncated = at.replace(minute=0, second=0) if zone != "Asia/Kolkata" else (
                    (at + timedelta(minutes=30)).replace(minute=0, second=0) - timedelta(minutes=30))  # fmt: skip
                counts = start.astimezone(UTC) - timedelta(days=window) < truncated <= start
            else:
                day = at.astimezone(bounds.zone).date()
                counts = 0 <= (start.date() - day).days < window
            if counts:
                seen[props["plan"] or NULL if breakdown else None, place].add(who)
    for (value, place), people in seen.items():
        expected[value][place] = len(people)
    shown = {row.get("breakdown_value"): row["data"] for row in found}
    assert shown == {value: data for value, data in expected.items() if any(data) or not breakdown}


@settings(max_examples=60, deadline=None)
@given(
    rows=EVENTS,
    name=st.sampled_from(["first_time_for_user", "first_matching_event_for_user"]),
    n_days=st.integers(0, 60),
    breakdown=st.sampled_from([None, "plan"]),
)
def test_first_events_equal_the_reference(shared, rows, name, n_days, breakdown):
    project, events = fill(shared, rows)
    found = ask(
        shared, project, dateRange={"date_from": f"-{n_days}d"}, series=[a_series(name)],
        properties=[{"key": "$session_id", "value": ["s1"]}],
        breakdownFilter={"breakdown": breakdown} if breakdown else None,
    )  # fmt: skip
    bounds, axis = the_axis("day", n_days, "UTC")
    expected = defaultdict(lambda: [0] * len(axis.days))
    if not breakdown:
        expected[None]
    passes = [event[3]["$session_id"] == "s1" for event in events]
    for who in "abc":
        own = [
            (at, place) for place, (at, kind, actor, _) in enumerate(events)
            if kind == "view" and actor == who and (name == "first_time_for_user" or passes[place])
        ]  # fmt: skip
        if not own:
            continue
        at, place = min(own)  # ids rise with the place
        if passes[place] and bounds.count_from <= at <= bounds.count_to:
            value = (events[place][3]["plan"] or NULL) if breakdown else None
            expected[value][bisect_right(axis.edges, at) - 1] += 1
    assert {row.get("breakdown_value"): row["data"] for row in found} == expected


@settings(max_examples=40, deadline=None)
@given(
    rows=EVENTS,
    name=st.sampled_from(["dau", "unique_group", "total", "avg"]),
    breakdown=st.sampled_from([None, "plan"]),
)
def test_running_totals_count_actors_once(shared, rows, name, breakdown):
    project, events = fill(shared, rows)
    found = ask(
        shared, project, dateRange={"date_from": "-60d"}, series=[a_series(name)],
        trendsFilter={"display": "ActionsLineGraphCumulative"},
        breakdownFilter={"breakdown": breakdown} if breakdown else None,
    )  # fmt: skip
    bounds, axis = the_axis("day", 60, "UTC")
    cells = defaultdict(lambda: [[] for _ in axis.days])
    if not breakdown:
        cells[None]
    for event in events:
        if event[1] == "view" and bounds.count_from <= event[0] <= bounds.count_to:
            value = (event[3]["plan"] or NULL) if breakdown else None
            cells[value][bisect_right(axis.edges, event[0]) - 1].append(event)
    for row in found:
        buckets = cells[row.get("breakdown_value")]
        if name in ("dau", "unique_group"):
            expected = [counted(name, list(itertools.chain(*buckets[: end + 1]))) for end in range(len(buckets))]
        else:
            expected = list(itertools.accumulate(counted(name, bucket) for bucket in buckets))
        assert row["data"] == pytest.approx(expected)
        assert row["count"] == pytest.approx(expected[-1])


def test_weekly_active_sees_the_days_before_the_range(shared):
    """The worked example: p0 on the 3rd (twice) and 12th, p1 on the 9th to 11th, p2 on the 9th and 11th."""
    first = NOW - timedelta(days=100)
    days = [("p0", 3), ("p0", 3), ("p0", 12), ("p1", 9), ("p1", 10), ("p1", 11), ("p2", 9), ("p2", 11)]
    rows = [
        (int((datetime(2020, 1, day, 12, tzinfo=UTC) - first).total_seconds() // 60), "view", who, {})
        for who, day in days
    ]
    project, _ = fill(shared, rows)
    (row,) = ask(
        shared, project, dateRange={"date_from": "2020-01-08", "date_to": "2020-01-19"},
        series=[a_series("weekly_active")],
    )  # fmt: skip
    assert row["data"] == [1, 3, 2, 2, 3, 3, 3, 3, 3, 3, 1, 0]


def recent(properties, who="a"):
    return (99 * 24 * 60, "view", who, properties)


def values(found):
    return [(row["breakdown_value"], row["count"]) for row in found]


def test_bins_are_equally_wide_and_the_last_one_is_closed(shared):
    project, _ = fill(shared, [recent({"n": n}) for n in (10, 15, 20, 30, "many", None)])
    found = ask(shared, project, breakdownFilter={"breakdown": "n", "breakdown_histogram_bin_count": 2})
    assert values(found) == [("[10,20]", 2), ("[20,30.01]", 2), (NULL, 2)]
    project, _ = fill(shared, [recent({"n": n}) for n in (10, 10)])
    found = ask(shared, project, breakdownFilter={"breakdown": "n", "breakdown_histogram_bin_count": 3})
    assert values(found) == [("[10,10.01]", 2)]


def test_ends_of_addresses_are_cut(shared):
    urls = ["/a", "/a/", "/a?", "/a#", "/", "/a/b/"]
    project, _ = fill(shared, [recent({"$current_url": url}) for url in urls])
    found = ask(shared, project, breakdownFilter={"breakdown": "$current_url", "breakdown_normalize_url": True})
    assert values(found) == [("/a", 4), ("/", 1), ("/a/b", 1)]


def test_several_breakdowns_are_lists(shared):
    rows = [("Chrome", "pro"), ("Chrome", "pro"), ("Chrome", None), ("Safari", "free")]
    project, _ = fill(shared, [recent({"b": browser, "p": plan}) for browser, plan in rows])
    several = [{"property": "b", "type": "event"}, {"property": "p"}]
    found = ask(shared, project, breakdownFilter={"breakdowns": several})
    assert values(found) == [(["Chrome", "pro"], 2), (["Safari", "free"], 1), (["Chrome", NULL], 1)]
    assert [row["label"] for row in found] == ["Chrome::pro", "Safari::free", f"Chrome::{NULL}"]
    found = ask(shared, project, breakdownFilter={"breakdowns": several, "breakdown_limit": 1})
    assert values(found) == [(["Chrome", "pro"], 2), ([OTHER, OTHER], 2)]


def test_formulas_join_the_values_of_all_series(shared):
    rows = [(99 * 24 * 60, name, "a", {"c": country}) for name, country in
            [("buy", "DE")] * 2 + [("view", "DE")] * 4 + [("view", "FR")] * 5]  # fmt: skip
    project, _ = fill(shared, rows)
    series = [{"kind": "EventsNode", "event": "buy"}, {"kind": "EventsNode", "event": "view"}]
    asked = {"series": series, "breakdownFilter": {"breakdown": "c"}}
    found = ask(shared, project, trendsFilter={"formula": "A / B"}, **asked)
    assert values(found) == [("DE", 0.5), ("FR", 0)]
    assert {row["label"] for row in found} == {"Formula (A / B)"}
    assert all(row["action"] is None and row["order"] == 0 for row in found)
    nodes = [{"formula": "A", "custom_name": "sales"}, {"formula": "B * 2"}]
    found = ask(shared, project, series=series, trendsFilter={"formulaNodes": nodes, "formula": "nonsense"})
    assert [(row["label"], row["count"], row["order"]) for row in found] == [
        ("sales", 2, 0),
        ("Formula (B * 2)", 18, 1),
    ]
    (row,) = ask(shared, project, series=series, trendsFilter={"formula": "A+B", "display": "BoldNumber"})
    assert (row["aggregated_value"], row["data"], row["count"]) == (11, None, 0)
    (row,) = ask(shared, project, series=series, trendsFilter={"formulas": [""], "formula": "A+B"})
    assert row["count"] == 11
    current, previous = ask(
        shared, project, series=series, trendsFilter={"formula": "A+B"}, compareFilter={"compare": True}
    )
    assert [(row["compare_label"], row["count"]) for row in (current, previous)] == [("current", 11), ("previous", 0)]


def test_smoothing_averages_what_there_is_and_floors(shared):
    rows = [(minute, "view", "a", {}) for day, n in enumerate([1, 3, 5, 8]) for minute in [(96 + day) * 24 * 60] * n]
    project, _ = fill(shared, rows)
    (row,) = ask(shared, project, dateRange={"date_from": "-4d"}, trendsFilter={"smoothingIntervals": 2})
    assert row["data"] == [1, 2, 4, 6, 4]


def test_sampling_reads_the_same_share_and_scales_counts(shared):
    people = [f"person {number}" for number in range(2000)]
    project, _ = fill(shared, [recent({"n": 4}, who) for who in people])
    asked = {"samplingFactor": 0.1}
    total, average = (ask(shared, project, series=[a_series(name)], **asked)[0]["count"] for name in ("total", "avg"))
    assert total % 10 == 0
    assert 1500 <= total <= 2500
    assert average == 4
    assert ask(shared, project, series=[a_series("dau")], **asked)[0]["count"] == total
    assert ask(shared, project, samplingFactor=1)[0]["count"] == 2000


def test_session_duration_is_measured_once_per_session(shared):
    start = 99 * 24 * 60
    rows = [(start + minute, "view", "a", {"$session_id": session}) for session, minute in
            [("s1", 0), ("s1", 1), ("s1", 2), ("s2", 0), ("s2", 10)]]  # fmt: skip
    project, _ = fill(shared, rows)
    series = [a_series("avg") | {"math_property": "$session_duration"}]
    (row,) = ask(shared, project, series=series)
    assert max(row["data"]) == (120 + 600) / 2


def test_numbers_are_multiplied_first(shared):
    project, _ = fill(shared, [recent({"n": 2}), recent({"n": 3})])
    (row,) = ask(shared, project, series=[a_series("sum") | {"math_multiplier": 0.5}])
    assert row["count"] == 2.5


def test_amounts_in_the_base_currency_need_no_conversion(shared):
    project, _ = fill(shared, [recent({"n": 2}), recent({"n": 3})])
    series = a_series("sum") | {"math_property_revenue_currency": {"static": "USD"}}
    assert ask(shared, project, series=[series])[0]["count"] == 5
    with pytest.raises(UnsupportedQuery, match="Currencies"):
        ask(shared, project, series=[series | {"math_property_revenue_currency": {"static": "EUR"}}])
    with pytest.raises(UnsupportedQuery, match="Currencies"):
        ask(shared, project, series=[series | {"math_property_revenue_currency": {"property": "currency"}}])


def test_the_filter_echo_has_what_was_asked(shared):
    (row,) = ask(
        shared, 1, dateRange={"date_from": "2020-01-02", "date_to": "2020-01-03"}, trendsFilter={"formula": "A*1"}
    )
    assert row["filter"] == {
        "insight": "TRENDS", "properties": [], "filter_test_accounts": False, "date_from": "2020-01-02T00:00:00Z",
        "date_to": "2020-01-03T23:59:59.999999Z", "entity_type": "events", "interval": "day",
        "display": "ActionsLineGraph", "formula": "A*1",
    }  # fmt: skip
    asked = {"interval": "week", "samplingFactor": 0.5, "aggregation_group_type_index": 0}
    (row,) = ask(shared, 1, trendsFilter={"display": "ActionsPie"}, **asked)
    expected = {"interval": "week", "sampling_factor": 0.5, "aggregation_group_type_index": 0}
    assert row["filter"].items() >= expected.items()


def test_whoever_was_active_twice_before_the_range_counts_until_the_later_day(shared):
    """Many persons, so that the engine meets the days of each in any order."""
    rows = [((100 - days) * 24 * 60, "view", f"p{who}", {}) for days in (10, 9, 8, 7, 6) for who in range(3000)]
    random.Random(1).shuffle(rows)
    project, _ = fill(shared, rows)
    (row,) = ask(shared, project, dateRange={"date_from": "-5d"}, series=[a_series("weekly_active")])
    assert row["data"] == [3000] * 6
