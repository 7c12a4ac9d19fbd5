"""The form of 2023, where it differs from today's beyond names."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from insightlog.adapters.storage.duckdb.store import DuckDBStore
from insightlog.adapters.storage.sqlite.capture_log import SQLiteCaptureLog
from insightlog.application.calculation import QueryContext
from insightlog.application.query_nodes import parse_query
from insightlog.domain.product_event import ProductEvent
from insightlog.domain.queries import retention
from insightlog.domain.queries.resolution import Setting
from insightlog.domain.queries.scope import Scope

sys.path.insert(0, str(Path(__file__).resolve().parent))

from of_2023.calculation import calculate_2023
from of_2023.funnels import labelled
from of_2023.retention import dated
from run import run_case

NOW = datetime(2020, 1, 10, 13, tzinfo=UTC)
EVENTS = [("view", {}), ("view", {}), ("view", {}), ("view", {"os": "mac", "size": 1}), ("view", {"os": "mac", "size": 3}), ("view", {"os": "bsd", "size": 2}), ("buy", {}), ("buy", {})]  # fmt: skip


@pytest.fixture
def ask(tmp_path):
    log = SQLiteCaptureLog(tmp_path / "capture.sqlite")
    store = DuckDBStore(tmp_path / "products.duckdb", log, clock=lambda: NOW, threads=1)
    log.append(
        1,
        [ProductEvent(UUID(int=n), name, "a", NOW, json.dumps(more)) for n, (name, more) in enumerate(EVENTS, 1)],
        captured_at=NOW,
    )

    def asked(
        series="view", display="ActionsLineGraph", project=1, filters=None, kind="TrendsQuery", zone="UTC", **query
    ):
        nodes = series if isinstance(series, list) else [{"kind": "EventsNode", "event": one} for one in series.split()]
        more = {"dateRange": query.pop("dateRange", {"date_from": "dStart"})}
        if kind == "TrendsQuery":
            more["trendsFilter"] = {"display": display, **query.pop("trendsFilter", {})}
        node, context = {"kind": kind, "series": nodes, **more, **query}, QueryContext(project, NOW, zone)
        return calculate_2023(node, context=context, store=store, filters=filters)

    yield asked
    store.close()
    log.close()


def test_a_missing_value_ranks_by_its_size_and_the_others_are_dropped(ask):
    found = ask(breakdownFilter={"breakdown": "os", "breakdown_limit": 2})
    assert [(row["breakdown_value"], row["data"]) for row in found] == [("", [3.0]), ("mac", [2.0])]


def test_formulas_are_rounded_to_two_decimals(ask):
    (row,) = ask("buy view", trendsFilter={"formula": "A / B"})
    assert (row["data"], row["count"]) == ([0.33], 0.33)


def test_formulas_are_added_up_after_they_are_evaluated_and_divisions_by_zero_void_the_point(ask):
    running = {"trendsFilter": {"formula": "A / B"}, "display": "ActionsLineGraphCumulative"}
    (row,) = ask("buy view", **running, dateRange={"date_from": "2020-01-08", "date_to": "2020-01-12"})
    assert (row["data"], row["count"]) == ([0, 0, 0.33, 0.33, 0.33], 0.99)
    (row,) = ask("buy", trendsFilter={"formula": "A / 0 + 1"})
    assert row["data"] == [0]


def test_addresses_of_a_first_week_begin_where_it_is_counted_from(ask):
    filters = {"events": [{"id": "view"}], "interval": "week", "date_from": "2020-01-07"}
    (row,) = ask("view", interval="week", dateRange={"date_from": "2020-01-07"}, filters=filters)
    assert [one["filter"]["date_from"] for one in row["persons_urls"]] == ["2020-01-05T00:00:00+00:00"]


def test_all_time_without_events_is_the_last_week(ask):
    (row,) = ask("view", dateRange={"date_from": "all"}, project=2)
    assert (row["days"][0], len(row["days"])) == ("2020-01-03", 8)


def test_of_equally_large_values_the_later_one_is_told_apart(ask):
    found = ask("view", breakdownFilter={"breakdown": "size", "breakdown_limit": 2})
    assert [row["breakdown_value"] for row in found] == ["", "3"]


def test_a_single_number_is_not_broken_down(ask):
    (row,) = ask(display="BoldNumber", breakdownFilter={"breakdown": "os"})
    assert row["aggregated_value"] == 6


def test_filters_of_a_series_may_be_a_group(ask):
    mac, small = ({"key": key, "value": value} for key, value in (("os", "mac"), ("size", 2)))
    either = {"type": "OR", "values": [mac, small]}
    (row,) = ask(series=[{"kind": "EventsNode", "event": "view", "properties": either}])
    assert row["data"] == [3]


@pytest.mark.parametrize(("math", "expected"), [("weekly_active", [0, 0]), ("monthly_active", [0, 1])])
def test_actors_of_a_month_were_those_active_up_to_its_first_day(ask, math, expected):
    series = [{"kind": "EventsNode", "event": "view", "math": math}]
    dates = {"date_from": "2020-01-01", "date_to": "2020-02-20"}
    (row,) = ask(series, interval="month", dateRange=dates)
    assert (row["days"], row["data"]) == (["2020-01-01", "2020-02-01"], expected)


def test_a_breakdown_showed_active_actors_on_days_with_events_only(ask):
    series = [{"kind": "EventsNode", "event": "view", "math": "weekly_active"}]
    dates = {"date_from": "2020-01-09", "date_to": "2020-01-11"}
    (row,) = ask(series, dateRange=dates)
    assert row["data"] == [0, 1, 1]
    found = ask(series, dateRange=dates, breakdownFilter={"breakdown": "os"})
    assert [row["data"] for row in found] == [[0, 1, 0]] * 3


def test_series_are_called_as_the_filter_calls_them_and_take_turns_with_their_past(ask):
    series = [{"kind": "EventsNode", "event": name, "name": name.title()} for name in ("view", "buy")]
    compared = {"compareFilter": {"compare": True}}
    found = ask(series, kind="StickinessQuery", **compared)
    assert [(row["label"], row["compare_label"], row["count"]) for row in found] == [
        ("View", "current", 1), ("View", "previous", 0), ("Buy", "current", 1), ("Buy", "previous", 0)
    ]  # fmt: skip
    assert ask(series, kind="LifecycleQuery")[0]["label"] == "View - new"
    assert ask(series, kind="LifecycleQuery", interval="hour")[0]["labels"][1] == "10-Jan-2020 01:00"
    totals = ask(series, display="ActionsPie", **compared)
    assert [(row["label"], row["labels"]) for row in totals] == [("View", [])] * 2 + [("Buy", [])] * 2


def test_a_lifecycle_read_instants_as_times_of_the_projects_clock(ask):
    dates = {"date_from": "2020-01-10T00:00:00Z", "date_to": "2020-01-11T00:00:00Z"}
    row, *_ = ask(kind="LifecycleQuery", dateRange=dates, zone="America/Los_Angeles")
    assert row["days"] == ["2020-01-10", "2020-01-11"]


def test_without_events_there_are_rows_of_cohorts_and_none_of_values(ask):
    assert ask("sold", breakdownFilter={"breakdown": "os"}) == []
    assert ask("sold", breakdownFilter={"breakdown": "size", "breakdown_histogram_bin_count": 2}) == []
    everybody = {"breakdown": ["all"], "breakdown_type": "cohort"}
    assert [(row["breakdown_value"], row["data"]) for row in ask("sold", breakdownFilter=everybody)] == [("all", [0])]
    assert ask("sold", display="ActionsTable", breakdownFilter=everybody) == []
    (row,) = ask("sold", breakdownFilter=everybody, trendsFilter={"formula": "A + 1"})
    assert (row["label"], row["data"]) == ("all users", [1])


def _dates(**date_range):
    node = parse_query(
        {"kind": "RetentionQuery", "dateRange": date_range, "retentionFilter": {"period": "Month", "totalIntervals": 3}}
    )
    setting = Setting(1, datetime(2024, 5, 1, tzinfo=UTC), ZoneInfo("UTC"), Scope())
    found = retention.resolve(node, setting)
    rows = dated(retention.results(found, [[]]), found)
    return [row["date"][:10] for row in rows]


def test_months_counted_back_from_the_end_carry_its_day():
    assert _dates(date_to="2024-04-30T00:00:00") == ["2024-02-29", "2024-03-30", "2024-04-30"]


def test_months_of_a_range_begin_on_their_first_day():
    assert _dates(date_from="2024-02-10", date_to="2024-04-30") == ["2024-02-01", "2024-03-01", "2024-04-01"]


def test_values_ranked_by_the_number_of_the_whole_range_and_by_events_where_persons_are_counted(ask):
    mean = [{"kind": "EventsNode", "event": "view", "math": "avg", "math_property": "size"}]
    limited = {"breakdownFilter": {"breakdown": "os", "breakdown_limit": 1}}
    two_days = {"dateRange": {"date_from": "2020-01-09"}}
    assert [row["breakdown_value"] for row in ask(mean, **limited, **two_days)] == ["mac"]  # both are 2 on average
    persons = [{"kind": "EventsNode", "event": "view", "math": "dau"}]
    assert [(row["breakdown_value"], row["data"]) for row in ask(persons, **limited)] == [("", [1])]
    assert [row["breakdown_value"] for row in ask(persons, **limited, display="ActionsTable")] == [""]


def test_an_offset_leads_to_the_values_that_follow(ask):
    filters = {"offset": "1"}
    found = ask(breakdownFilter={"breakdown": "os", "breakdown_limit": 1}, filters=filters)
    assert [row["breakdown_value"] for row in found] == ["mac"]
    assert found[0]["persons_urls"][0]["filter"]["breakdown_type"] == "event"


def test_by_hour_days_are_counted_back_from_now(ask):
    (row,) = ask(interval="hour", dateRange={"date_from": "-1d"})
    assert (row["days"][0], len(row["days"]), row["data"][-1]) == ("2020-01-09 13:00:00", 25, 6)
    (row,) = ask(interval="hour", dateRange={"date_from": "-1dStart"})
    assert row["days"][0] == "2020-01-09 00:00:00"


def test_numbers_were_smoothed_before_they_were_added_up_and_not_those_of_a_breakdown(ask):
    smooth = {
        "trendsFilter": {"smoothingIntervals": 2},
        "dateRange": {"date_from": "2020-01-09", "date_to": "2020-01-11"},
    }
    (row,) = ask(**smooth, display="ActionsLineGraphCumulative")
    assert (row["data"], row["count"]) == ([0, 3, 6], 6)
    found = ask(**smooth, breakdownFilter={"breakdown": "os"})
    assert [row["data"] for row in found] == [[0, 3, 0], [0, 2, 0], [0, 1, 0]]


def test_a_total_value_names_its_days(ask):
    week = {"display": "ActionsTable", "dateRange": {"date_from": "2020-01-01", "date_to": "2020-01-10"}}
    (row,) = ask(**week, interval="week")
    assert (row["days"], row["labels"], row["data"]) == (["2020-01-01", "2020-01-08"], [], [])
    assert len(ask(**week)[0]["days"]) == 10


def test_compared_intervals_of_a_stickiness_were_numbered(ask):
    (row, _) = ask(kind="StickinessQuery", compareFilter={"compare": True})
    assert (row["labels"], row["days"]) == (["day 0"], [1])


def test_a_retention_had_a_row_per_breakdown_value_of_whoever_entered_under_it_at_any_time():
    days = [("a", 1, "C"), ("a", 2, "S"), ("b", 2, "S"), ("a", 3, "C")]
    events = [
        {"event": "t", "distinct_id": who, "timestamp": f"2020-01-0{day}T00:00:00Z", "properties": {"os": value}}
        for who, day, value in days
    ]
    persons = [
        {"id": n, "uuid": str(UUID(int=n)), "distinct_ids": [who], "created_at": "2020-01-01T00:00:00Z"}
        for n, who in enumerate("ab", 1)
    ]
    query = {
        "target_entity": {"id": "t", "type": "events"}, "period": "Day", "total_intervals": 3, "date_to": "2020-01-03",
        "breakdowns": [{"type": "event", "property": "os"}], "breakdown_type": "event",
    }  # fmt: skip
    expected = {"C": {"1": ["a"], "2": ["a"], "3": ["a"]}, "S": {"1": ["a", "b"], "2": ["a"], "3": []}}
    asked = {"id": "q", "kind": "retention_people_by_period", "now": "2020-02-01T00:00:00Z", "query": query}
    stated = [{"path": [], "op": "equals", "expected": expected}]
    case = {
        "id": "own/case",
        "steps": [{"create": {"persons": persons, "events": events}}, {"query": asked, "assert": stated}],
    }
    assert run_case(case)["first"] == ""


def test_periods_of_a_funnel_trend_are_called_after_their_first_day():
    steps = [{"count": 3, "order": 0}]
    series = [{"data": [0, 1], "days": ["2020-01-05", "2020-01-12 07:00:00"], "labels": ["5–11 Jan", "12-Jan 07:00"]}]
    assert labelled(steps) == steps
    assert [one["labels"] for one in labelled(series)] == [["5-Jan-2020", "12-Jan-2020"]]
