"""Dates of queries: parsing, bounds, buckets, over zones and changes of clocks."""

from __future__ import annotations

from bisect import bisect_right
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insightlog.domain.errors import InvalidQuery, QueryTooLarge
from insightlog.domain.queries import dates
from insightlog.domain.queries.nodes import DateRange

UTC_ZONE = ZoneInfo("UTC")
NOW = datetime(2020, 1, 4, 13, 0, 1, tzinfo=UTC)
ZONES = [
    "UTC",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "Atlantic/Azores",
    "Asia/Tokyo",
    "America/Phoenix",
    "Africa/Cairo",
]


def bounds_of(date_from=None, date_to=None, interval="day", zone=UTC_ZONE, now=NOW, explicit=False, **more):
    asked = DateRange(date_from, date_to, explicit)
    return dates.resolve(asked, interval=interval, now=now, zone=zone, **more)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-05", "2024-01-05T00:00:00"),
        ("2024-1-5", "2024-01-05T00:00:00"),
        ("2024-01-05T10:00", "2024-01-05T10:00:00"),
        ("2024-01-05T10:00:00.123Z", "2024-01-05T10:00:00.123000"),
        ("2024-01-05 10:00:00+02:00", "2024-01-05T08:00:00"),
        ("-7d", "2019-12-28T13:00:01"),
        ("7d", "2019-12-28T13:00:01"),
        ("-1h", "2020-01-04T12:00:01"),
        ("-5M", "2020-01-04T12:55:01"),
        ("-30s", "2020-01-04T12:59:31"),
        ("-1q", "2019-10-05T13:00:01"),
        ("-2w", "2019-12-21T13:00:01"),
        ("dStart", "2020-01-04T00:00:00"),
        ("-1dEnd", "2020-01-03T23:59:59.999999"),
        ("-1mStart", "2019-12-01T13:00:01"),
        ("-1mEnd", "2019-12-31T13:00:01"),
        ("-1yStart", "2019-01-01T13:00:01"),
        ("yEnd", "2020-12-31T13:00:01"),
        ("hStart", "2020-01-04T13:00:00"),
        ("???", "2020-01-04T13:00:01"),
    ],
)
def test_text_is_read_as_a_date(text, expected):
    assert dates.parse(text, now=NOW, zone=UTC_ZONE).local.isoformat() == expected


def test_months_back_stay_in_the_month():
    now = datetime(2021, 3, 31, tzinfo=UTC)
    assert dates.parse("-1m", now=now, zone=UTC_ZONE).local == datetime(2021, 2, 28)  # noqa: DTZ001


@pytest.mark.parametrize("text", ["-999999999y", "2024-13-45", "-99999999999999999999d", "0000-01-01"])
def test_dates_outside_of_the_calendar_are_refused(text):
    with pytest.raises(InvalidQuery):
        dates.buckets(bounds_of(text))


@pytest.mark.parametrize(
    ("date_from", "date_to", "interval", "days", "count_from", "count_to"),
    [
        (None, None, "day", ("2019-12-28", "2020-01-04", 8), "2019-12-28T00:00:00Z", "2020-01-04T23:59:59Z"),
        ("-48h", None, "day", ("2020-01-02", "2020-01-04", 3), "2020-01-02T13:00:00Z", "2020-01-04T23:59:59Z"),
        (
            "-24h",
            None,
            "hour",
            ("2020-01-03 13:00:00", "2020-01-04 13:00:00", 25),
            "2020-01-03T13:00:00Z",
            "2020-01-04T13:59:59Z",
        ),
        ("-14d", None, "week", ("2019-12-15", "2019-12-29", 3), "2019-12-21T00:00:00Z", "2020-01-04T23:59:59Z"),
        (
            "-1mStart",
            "-1mEnd",
            "day",
            ("2019-12-01", "2019-12-31", 31),
            "2019-12-01T00:00:00Z",
            "2019-12-31T23:59:59Z",
        ),
        (
            "2019-12-15",
            None,
            "month",
            ("2019-12-01", "2020-01-01", 2),
            "2019-12-01T00:00:00Z",
            "2020-01-04T23:59:59Z",
        ),
        (
            "dStart",
            None,
            "hour",
            ("2020-01-04 00:00:00", "2020-01-04 13:00:00", 14),
            "2020-01-04T00:00:00Z",
            "2020-01-04T13:59:59Z",
        ),
        (
            "2020-01-02",
            "2020-01-02",
            "day",
            ("2020-01-02", "2020-01-02", 1),
            "2020-01-02T00:00:00Z",
            "2020-01-02T23:59:59Z",
        ),
        (
            "2020-01-01",
            "2020-01-02",
            "hour",
            ("2020-01-01 00:00:00", "2020-01-02 00:00:00", 25),
            "2020-01-01T00:00:00Z",
            "2020-01-02T00:00:00Z",
        ),
    ],
)
def test_range_has_its_buckets_and_bounds(date_from, date_to, interval, days, count_from, count_to):
    bounds = bounds_of(date_from, date_to, interval)
    found = dates.buckets(bounds).days
    assert (found[0], found[-1], len(found)) == days
    assert dates.format_instant(bounds.count_from) == count_from
    assert dates.format_instant(bounds.count_to) == count_to


def test_explicit_range_is_taken_to_the_second():
    bounds = bounds_of("2020-01-02T10:00:00", "2020-01-03T11:00:00", explicit=True)
    assert dates.format_instant(bounds.count_from) == "2020-01-02T10:00:00Z"
    assert dates.format_instant(bounds.count_to) == "2020-01-03T11:00:00Z"


@pytest.mark.parametrize(
    ("date_from", "date_to", "interval", "labels"),
    [
        ("2020-01-02", "2020-01-02", "day", ("2-Jan-2020",)),
        ("2020-01-02", "2020-01-02T00:30:00", "hour", ("2-Jan 00:00",)),
        ("2019-12-15", None, "month", ("Dec 2019", "Jan 2020")),
        ("2020-01-05", "2020-01-12", "week", ("5\N{EN DASH}11 Jan", "12-Jan-2020")),
        ("2020-01-26", "2020-02-01", "week", ("26-Jan \N{EN DASH} 1-Feb",)),
        ("2019-12-29", "2020-01-04", "week", ("29-Dec-2019 \N{EN DASH} 4-Jan-2020",)),
    ],
)
def test_buckets_have_labels(date_from, date_to, interval, labels):
    assert dates.buckets(bounds_of(date_from, date_to, interval)).labels == labels


def test_spring_day_has_23_hours_and_autumn_day_25():
    zone = ZoneInfo("America/New_York")
    spring = dates.buckets(bounds_of("2020-03-08", "2020-03-08T23:00:00", "hour", zone))
    autumn = dates.buckets(bounds_of("2020-11-01", "2020-11-01T23:00:00", "hour", zone))
    assert len(spring.days) == 23
    assert len(autumn.days) == 25
    assert autumn.days.count("2020-11-01 01:00:00") == 2


@pytest.mark.parametrize(
    ("date_from", "interval", "expected"),
    [
        ("-7d", "day", ("2019-12-21 00:00:00", "2019-12-28 23:59:59")),
        ("2020-01-02", "day", ("2019-12-30 00:00:00", "2020-01-01 23:59:59")),
        ("-24h", "hour", ("2020-01-02 13:00:00", "2020-01-03 13:59:59")),
        ("-10M", "minute", ("2020-01-04 12:39:02", "2020-01-04 12:50:01")),
    ],
)
def test_previous_period_lies_before(date_from, interval, expected):
    found = dates.previous(bounds_of(date_from, None, interval))
    assert tuple(end.isoformat(" ", "seconds") for end in (found.date_from, found.date_to)) == expected


@pytest.mark.parametrize(
    ("compare_to", "expected"),
    [("-1m", "2019-12-04"), ("-2m", "2019-11-06"), ("-1y", "2019-01-02"), ("-1w", "2019-12-25"), ("-3d", "2019-12-29")],
)
def test_a_month_ago_may_mean_four_weeks(compare_to, expected):
    bounds = bounds_of("2020-01-01", "2020-01-03")
    found = dates.previous(bounds, compare_to, by_weeks=True)
    assert found.date_from.date().isoformat() == expected
    assert found.date_to - found.date_from == bounds.date_to - bounds.date_from


@pytest.mark.parametrize(
    ("date_from", "interval", "compare_to", "expected"),
    [
        ("-30h", "day", "-1w", "2019-12-27T07:00:00Z"), ("-2d", "day", "-1w", "2019-12-26T00:00:00Z"),
        ("-10M", "minute", None, "2020-01-04T12:39:02Z"), ("-10M", "minute", "-1d", "2020-01-03T12:50:01Z"),
        ("2020-01-03T10:20:30", "hour", "-1d", "2020-01-02T10:00:00Z"),
    ],
)  # fmt: skip
def test_a_compared_period_counts_from_as_far_as_the_current_one(date_from, interval, compare_to, expected):
    bounds = bounds_of(date_from, None, interval)
    assert dates.format_instant(dates.previous(bounds, compare_to).count_from) == expected


def test_ten_years_of_minutes_are_too_many():
    with pytest.raises(QueryTooLarge):
        dates.buckets(bounds_of("2010-01-01", None, "minute"))


@settings(deadline=None)
@given(
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    start=st.datetimes(datetime(2009, 1, 1), datetime(2023, 1, 1)),  # noqa: DTZ001
    n_days=st.integers(0, 400),
    interval=st.sampled_from(["day", "week", "month"]),
    week_start_day=st.integers(0, 1),
    share=st.floats(0, 1),
)
def test_every_instant_falls_into_the_bucket_of_its_local_day(zone, start, n_days, interval, week_start_day, share):
    bounds = bounds_of(
        start.isoformat(), (start + timedelta(n_days)).isoformat(), interval, zone, week_start_day=week_start_day
    )
    found = dates.buckets(bounds)
    assert all(first <= second for first, second in pairwise(found.edges))
    span = bounds.count_to - bounds.count_from
    moment = bounds.count_from + span * share
    assert found.edges[0] <= moment < found.edges[-1]
    local = moment.astimezone(zone).replace(tzinfo=None)
    name = dates.bucket_start(local, interval, week_start_day).date().isoformat()
    assert found.days[bisect_right(found.edges, moment) - 1] == name


@settings(deadline=None)
@given(
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    now=st.datetimes(datetime(2009, 1, 1), datetime(2023, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    text=st.from_regex(r"-?[0-9]{0,3}[sMhdwmqy](Start|End)?", fullmatch=True),
    interval=st.sampled_from(["hour", "day", "week", "month"]),
)
def test_relative_ranges_always_have_bounds_inside_their_edges(zone, now, text, interval):
    try:
        bounds = bounds_of(text, None, interval, zone, now=now)
        found = dates.buckets(bounds)
    except (InvalidQuery, QueryTooLarge):
        return
    if bounds.count_from <= bounds.count_to:
        assert found.edges[0] <= bounds.count_from
        assert bounds.count_to < found.edges[-1]
        assert len(found.days) == len(found.labels) == len(found.starts) == len(found.edges) - 1


@settings(deadline=None)
@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text):
    with suppress(InvalidQuery):
        edges = dates.buckets(bounds_of(text, text)).edges
        assert list(edges) == sorted(set(edges))
