"""Answers in the form of 2023."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np

from insightlog.adapters.kernels.funnel_rows import histogram, seconds_between
from insightlog.adapters.kernels.outcomes import Outcomes
from insightlog.application.query_nodes import parse_query
from insightlog.domain.queries import retention, retention_2023
from insightlog.domain.queries.resolution import Setting
from insightlog.domain.queries.scope import Scope


def _dates(**date_range):
    node = parse_query(
        {"kind": "RetentionQuery", "dateRange": date_range, "retentionFilter": {"period": "Month", "totalIntervals": 3}}
    )
    setting = Setting(1, datetime(2024, 5, 1, tzinfo=UTC), ZoneInfo("UTC"), Scope())
    found = retention.resolve(node, setting)
    rows = retention_2023.dated(retention.results(found, [[]]), found)
    return [row["date"][:10] for row in rows]


def test_months_counted_back_from_the_end_carry_its_day():
    assert _dates(date_to="2024-04-30T00:00:00") == ["2024-02-29", "2024-03-30", "2024-04-30"]


def test_months_of_a_range_begin_on_their_first_day():
    assert _dates(date_from="2024-02-10", date_to="2024-04-30") == ["2024-02-01", "2024-03-01", "2024-04-01"]


def test_times_to_convert_can_be_differences_of_full_seconds():
    times = np.array([[900_000], [2_100_000]])
    outcomes = Outcomes(np.array([0]), np.array([1]), times)
    assert histogram(seconds_between(outcomes, 0, 1), None) == ([(2, 1), (62, 0)], 2.0)
