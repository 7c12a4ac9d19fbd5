"""When a cached result is shown and when it is calculated again: modes, ages, and what each mode does. Pure.

Source: the `refresh` parameter of PostHog's Insights API (insights-api.md 4.1 to 4.3, 4.6).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Literal, get_args

from attrs import frozen

Refresh = Literal[
    "force_cache", "blocking", "async", "lazy_async", "async_except_on_cache_miss", "force_blocking", "force_async"
]
MODES: tuple[Refresh, ...] = get_args(Refresh)
NEVER_STALE: None = None
AGES: Mapping[str | None, tuple[timedelta, timedelta]] = {
    "minute": (timedelta(minutes=5), timedelta(minutes=15)),
    "hour": (timedelta(hours=1), timedelta(hours=2)),
    "day": (timedelta(hours=6), timedelta(hours=12)),
    "week": (timedelta(days=1), timedelta(days=1)),
    "month": (timedelta(days=1), timedelta(days=1)),
    None: (timedelta(hours=6), timedelta(hours=12)),
}
"""Interval -> (age, lazy age) past which a result is stale; with any other interval it never is."""
CLIENT_REFRESH_AFTER = timedelta(minutes=1)
CLOSED_BEFORE = timedelta(seconds=10)
"""A range that ended this long before its result was calculated cannot change by time alone."""
SHARED_REFRESH_AFTER = timedelta(minutes=30)
"""How old the result behind a share must be before a visitor can have it calculated by force."""


def refresh_mode(value: Any, *, absent: Refresh = "force_cache") -> Refresh:
    """Return the mode that a request's `refresh` asks for; never an error (insights-api.md 4.1)."""
    if value is None:
        return absent
    if isinstance(value, bool):
        return "force_blocking" if value else absent
    text = str(value)
    if text in MODES:
        return text
    return "force_blocking" if text.lower() in {"", "true", "1", "yes"} else absent


def shared_mode(asked: Refresh | None, last_refresh_age: timedelta | None) -> Refresh:
    """Return what is done inside a share for what was asked; the age is that of the cached result, None without one.

    A visitor may wait for a stale result, and have a fresh one calculated again at most every 30 minutes (4.6).
    """
    if asked == "force_blocking":
        is_old = last_refresh_age is not None and last_refresh_age > SHARED_REFRESH_AFTER
        return "force_blocking" if is_old else "blocking"
    return asked if asked in {"async", "blocking"} else "lazy_async"


class State(Enum):
    """How a cached result stands to the present."""

    MISSING = "missing"
    FRESH = "fresh"
    OUTRUN = "outrun"
    """Fresh by its age; events came in since that its range holds."""
    STALE = "stale"
    LAZY_STALE = "lazy stale"
    """Stale for those modes too that wait longer before they refresh."""


@frozen
class Action:
    """What is done for a request."""

    shows_cached: bool
    """The cached result is the answer, or the body of a miss when there is none."""
    calculates: Literal["now", "background"] | None = None


SHOW = Action(shows_cached=True)
CALCULATE = Action(shows_cached=False, calculates="now")
SHOW_AND_START = Action(shows_cached=True, calculates="background")
START = Action(shows_cached=False, calculates="background")

_ACTIONS: Mapping[Refresh, Mapping[State, Action]] = {
    "force_cache": {},
    "blocking": dict.fromkeys((State.MISSING, State.OUTRUN, State.STALE, State.LAZY_STALE), CALCULATE),
    "async": dict.fromkeys((State.MISSING, State.STALE, State.LAZY_STALE), SHOW_AND_START),
    "async_except_on_cache_miss": {
        State.MISSING: CALCULATE,
        State.STALE: SHOW_AND_START,
        State.LAZY_STALE: SHOW_AND_START,
    },
    "lazy_async": {State.MISSING: SHOW_AND_START, State.LAZY_STALE: SHOW_AND_START},
    "force_blocking": dict.fromkeys(State, CALCULATE),
    "force_async": dict.fromkeys(State, START),
}
"""What differs from showing what is cached."""


def action_of(mode: Refresh, state: State) -> Action:
    """Return what a mode does with a cached result in this state (insights-api.md 4.2)."""
    return _ACTIONS[mode].get(state, SHOW)


def looks_at_state(mode: Refresh) -> bool:
    """Whether it matters to the mode how old a cached result is."""
    return mode not in {"force_cache", "force_blocking", "force_async"}


def age_state(last_refresh: datetime, interval: str | None, now: datetime, *, is_closed: bool) -> State:
    """Return how a result stands by its age; `is_closed` says that its range cannot change by time alone (4.3)."""
    ages = AGES.get(interval, NEVER_STALE)
    if is_closed or ages is NEVER_STALE or now <= last_refresh + ages[0]:
        return State.FRESH
    return State.STALE if now <= last_refresh + ages[1] else State.LAZY_STALE


def target_age(last_refresh: datetime, interval: str | None) -> datetime | None:
    """Return when a result becomes stale by its age, None for never."""
    ages = AGES.get(interval, NEVER_STALE)
    return None if ages is NEVER_STALE else last_refresh + ages[0]
