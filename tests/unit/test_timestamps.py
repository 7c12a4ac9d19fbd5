"""Timestamps as clients write them, and when an event happened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from insightlog.domain.timestamps import event_time, from_us, parse_timestamp, sent_at_of_query, to_us

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NOW_US = to_us(NOW)
ANY_JSON = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers()))


def happened(timestamp: object = None, **given_: object) -> datetime:
    return from_us(event_time(timestamp, now_us=NOW_US, **given_))


@pytest.mark.parametrize(
    "text",
    [
        "2023-11-03T14:05:00+00:00",
        "2023-11-03T14:05:00Z",
        "2023-11-03T14:05:00z",
        "2023-11-03T14:05:00",
        "2023-11-03 14:05:00",
        "2023-11-03 14:05",
        "2023-11-03T16:05:00+02:00",
        "2023-11-03T16:05:00+0200",
        "2023-11-03 14:05:00 UTC",
        "  2023-11-03T14:05:00.000000Z ",
        "2023/11/03 14:05:00",
        "2023/11/3 14:05:00",
        "2023-11-3 14:05:00",
        "11/03/2023 14:05:00",
        "Fri, 03 Nov 2023 14:05:00 GMT",
        "Fri, 03 Nov 2023 15:05:00 +0100",
        "3 Nov 2023 14:05:00 +0000",
        "1699020300",
        "1699020300000",
        "1699020300.0",
        1699020300,
        1699020300000,
        1699020300.0,
        datetime(2023, 11, 3, 14, 5, tzinfo=UTC),
        datetime(2023, 11, 3, 14, 5),  # noqa: DTZ001 a naive one counts as UTC
        datetime(2023, 11, 3, 15, 5, tzinfo=timezone(timedelta(hours=1))),
    ],
)
def test_every_accepted_form_gives_the_same_instant(text):
    assert from_us(parse_timestamp(text)) == datetime(2023, 11, 3, 14, 5, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2023-11-03", "2023/11/03", "11/03/2023", "20231103"])
def test_a_date_is_its_midnight(text):
    assert from_us(parse_timestamp(text)) == datetime(2023, 11, 3, tzinfo=UTC)


def test_a_day_that_cannot_be_a_month_comes_first():
    assert from_us(parse_timestamp("31/12/2023")) == datetime(2023, 12, 31, tzinfo=UTC)


def test_fractions_are_kept_to_the_microsecond():
    assert from_us(parse_timestamp("2023-11-03T14:00:00.1234567Z")).microsecond == 123456


@pytest.mark.parametrize(
    "text", ["", "soon", "2023-13-01", "2023-02-30", "25:00", "null", True, [], {}, "1e5", float("nan")]
)
def test_what_is_no_timestamp_is_none(text):
    assert parse_timestamp(text) is None


def test_clock_skew_is_removed():
    assert happened("2026-03-01T10:00:00Z", sent_at_us=to_us(NOW) + 10**9) == NOW - timedelta(hours=2, seconds=1000)


def test_offset_overrides_a_timestamp():
    assert happened("2020-01-01", offset_ms=1500) == NOW - timedelta(milliseconds=1500)
    assert happened("2020-01-01", offset_ms="1500") == datetime(2020, 1, 1, tzinfo=UTC)
    assert happened("2020-01-01", offset_ms=True) == datetime(2020, 1, 1, tzinfo=UTC)


def test_nothing_and_nonsense_are_now():
    assert happened() == happened("yesterday") == NOW


def test_more_than_23_hours_ahead_is_now():
    assert happened((NOW + timedelta(hours=23)).isoformat()) == NOW + timedelta(hours=23)
    assert happened((NOW + timedelta(hours=23, seconds=1)).isoformat()) == NOW
    assert (
        happened("9999-12-31")
        == happened("+012345-01-01")
        == happened("9" * 19)
        == happened(10**400)
        == happened(offset_ms=-(10**30))
        == NOW
    )


def test_before_the_calendar_is_1970():
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert (
        happened("-000044-03-15")
        == happened("0000-01-01")
        == happened(offset_ms=10**30)
        == happened(-(10**400))
        == epoch
    )
    assert happened("0001-01-01T00:00:00+05:00") == epoch
    assert happened("0001-01-01") == datetime(1, 1, 1, tzinfo=UTC)


def test_seconds_in_the_query_are_ignored():
    assert sent_at_of_query("1699020600") is None
    assert sent_at_of_query("1699020600000") == 1699020600 * 10**6
    assert sent_at_of_query("soon") is None


@given(ANY_JSON, ANY_JSON, st.none() | st.integers())
@example("01 Jan 0000 00:00:00 +9999", None, None)
def test_any_value_gives_an_instant_of_the_calendar(timestamp, offset_ms, sent_at_us):
    found = happened(timestamp, offset_ms=offset_ms, sent_at_us=sent_at_us)
    assert found <= NOW + timedelta(hours=23)


@given(st.from_regex(r"[0-9TZ:/+. A-Za-z,-]{1,30}", fullmatch=True))
def test_any_text_is_parsed_or_none(text):
    assert isinstance(parse_timestamp(text), int | None)


@given(st.datetimes(timezones=st.just(UTC)))
def test_iso_text_is_read_back(instant):
    assert from_us(parse_timestamp(instant.isoformat())) == instant
