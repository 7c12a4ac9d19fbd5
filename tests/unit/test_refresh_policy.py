"""The tables of the policy of refreshing: words, what each mode does, ages, and what is done inside a share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from insightlog.application.refresh_policy import State, action_of, age_state, refresh_mode, shared_mode, target_age

AT = datetime(2026, 4, 2, 9, tzinfo=UTC)
M, F, R, S, L = State.MISSING, State.FRESH, State.OUTRUN, State.STALE, State.LAZY_STALE
SHOW, NOW, SHOW_AND_START, START = (True, None), (False, "now"), (True, "background"), (False, "background")


@pytest.mark.parametrize(
    ("given", "mode"),
    [
        *((one, "force_cache") for one in (None, False, "false", "FALSE", "0", "no", "No", "nonsense", "Blocking", 7)),
        *((one, "force_blocking") for one in (True, "true", "TRUE", "1", "yes", "Yes", "")),
        *((one, one) for one in ("force_cache", "blocking", "async", "lazy_async", "async_except_on_cache_miss")),
        *((one, one) for one in ("force_blocking", "force_async")),
    ],
)
def test_words(given, mode):
    assert refresh_mode(given) == mode


@pytest.mark.parametrize(
    ("mode", "done"),
    [
        ("force_cache", {M: SHOW, F: SHOW, R: SHOW, S: SHOW, L: SHOW}),
        ("blocking", {M: NOW, F: SHOW, R: NOW, S: NOW, L: NOW}),
        ("async", {M: SHOW_AND_START, F: SHOW, R: SHOW, S: SHOW_AND_START, L: SHOW_AND_START}),
        ("async_except_on_cache_miss", {M: NOW, F: SHOW, R: SHOW, S: SHOW_AND_START, L: SHOW_AND_START}),
        ("lazy_async", {M: SHOW_AND_START, F: SHOW, R: SHOW, S: SHOW, L: SHOW_AND_START}),
        ("force_blocking", {M: NOW, F: NOW, R: NOW, S: NOW, L: NOW}),
        ("force_async", {M: START, F: START, R: START, S: START, L: START}),
    ],
)
def test_what_each_mode_does(mode, done):
    actions = {state: action_of(mode, state) for state in State}
    assert {state: (one.shows_cached, one.calculates) for state, one in actions.items()} == done


@pytest.mark.parametrize(
    ("interval", "age", "lazy"),
    [
        ("minute", 5 * 60, 15 * 60),
        ("hour", 3600, 2 * 3600),
        ("day", 6 * 3600, 12 * 3600),
        ("week", 86400, 86400),
        ("month", 86400, 86400),
        (None, 6 * 3600, 12 * 3600),
    ],
)
def test_ages(interval, age, lazy):
    def state(after, *, is_closed=False):
        return age_state(AT, interval, AT + timedelta(seconds=after), is_closed=is_closed)

    assert (state(0), state(age)) == (State.FRESH, State.FRESH)
    assert state(age + 1) is (State.STALE if age < lazy else State.LAZY_STALE)
    assert state(lazy + 1) is State.LAZY_STALE
    assert state(10 * 86400, is_closed=True) is State.FRESH
    assert target_age(AT, interval) == AT + timedelta(seconds=age)


def test_with_any_other_interval_a_result_is_never_stale():
    assert age_state(AT, "quarter", AT + timedelta(days=400), is_closed=False) is State.FRESH
    assert target_age(AT, "quarter") is None


@pytest.mark.parametrize(
    ("asked", "age", "done"),
    [
        (None, None, "lazy_async"),
        ("force_cache", timedelta(0), "lazy_async"),
        ("lazy_async", timedelta(0), "lazy_async"),
        ("async_except_on_cache_miss", timedelta(0), "lazy_async"),
        ("force_async", timedelta(days=1), "lazy_async"),
        ("async", timedelta(0), "async"),
        ("blocking", timedelta(0), "blocking"),
        ("force_blocking", None, "blocking"),
        ("force_blocking", timedelta(minutes=30), "blocking"),
        ("force_blocking", timedelta(minutes=30, seconds=1), "force_blocking"),
    ],
)
def test_inside_a_share(asked, age, done):
    assert shared_mode(asked, age) == done
