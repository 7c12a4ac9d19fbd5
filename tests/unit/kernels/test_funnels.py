"""The funnel kernels equal the reference on random histories."""

from __future__ import annotations

import numpy as np
import pytest
from funnel_reference import attempt, ordered, unordered
from hypothesis import given, settings
from hypothesis import strategies as st

from insightlog.adapters.kernels import attempts, chains, plain, plain_unordered, timelines
from insightlog.adapters.kernels import unordered as unordered_kernel
from insightlog.adapters.kernels.attribution import touched
from insightlog.adapters.kernels.histories import history
from insightlog.adapters.kernels.moments import Exclusion
from insightlog.adapters.kernels.outcomes import NEVER
from insightlog.adapters.kernels.timelines import timeline


@pytest.fixture(params=[timelines.MANY_ROWS, 2], ids=["whole", "parted"], scope="module")
def parted(request):
    """Walks all actors at once, or two halves of them side by side."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timelines, "MANY_ROWS", request.param)
        yield


N_STEPS = st.integers(1, 4)
WINDOW = st.integers(0, 8)


@st.composite
def funnels(draw, *, most_steps_per_event=2, n_exclusions=0, is_distinct=False):
    """Give the number of steps and, per actor, sorted events (time, steps, exclusions)."""
    n_steps = draw(N_STEPS)
    n_exclusions = draw(st.integers(0, n_exclusions)) if n_steps > 1 else 0
    steps = st.frozensets(st.integers(0, n_steps - 1), max_size=most_steps_per_event)
    blocks = st.frozensets(st.integers(0, n_exclusions - 1), max_size=1) if n_exclusions else st.just(frozenset())
    event = st.tuples(st.integers(0, 12), steps, blocks)
    unique = (lambda one: one[0]) if is_distinct else None
    people = draw(st.lists(st.lists(event, max_size=10, unique_by=unique), max_size=4))
    spans = []
    for _ in range(n_exclusions):
        first = draw(st.integers(0, n_steps - 2))
        spans.append((first, draw(st.integers(first + 1, n_steps - 1))))
    people = [sorted(events, key=lambda one: (one[0], _mark(one, n_steps))) for events in people]
    return n_steps, people, spans


def _mark(event, n_steps):
    return sum(1 << step for step in event[1]) + sum(1 << n_steps + index for index in event[2])


def _history(people, n_steps, *, dtype=np.uint32):
    rows = [(actor, time, _mark((time, steps, blocks), n_steps))
            for actor, events in enumerate(people) for time, steps, blocks in events][::-1]  # fmt: skip
    columns = np.array(rows, np.int64).reshape(len(rows), 3).T
    return history(columns[0], columns[1], columns[2].astype(dtype))


def _by_actor(found, outcomes):
    return {
        int(found.actors[unit]): [None if time == NEVER else int(time) for time in times]
        for unit, times in zip(outcomes.unit, outcomes.times.T, strict=True)
    }


def _exclusions(spans, n_steps):
    return [Exclusion(n_steps + index, first, last) for index, (first, last) in enumerate(spans)]


@settings(max_examples=300)
@given(funnels(n_exclusions=2), WINDOW, st.booleans(), st.sampled_from([np.uint8, np.uint32]))
def test_chains_equal_the_reference(funnel, window, is_strict, dtype):
    n_steps, people, spans = funnel
    found = _history(people, n_steps, dtype=dtype)
    outcomes = chains.walk(found, n_steps, window, is_strict=is_strict, exclusions=_exclusions(spans, n_steps))
    expected = [ordered(events, n_steps, window, strict=is_strict, exclusions=spans) for events in people]
    assert _by_actor(found, outcomes) == {actor: one for actor, one in enumerate(expected) if one}


@settings(max_examples=200)
@given(funnels(), WINDOW, st.booleans(), st.frozensets(st.integers(1, 3)))
def test_optional_steps_equal_the_reference(funnel, window, is_strict, optional):
    n_steps, people, _ = funnel
    found = _history(people, n_steps)
    outcomes = chains.walk(found, n_steps, window, is_strict=is_strict, optional=optional)
    expected = [ordered(events, n_steps, window, strict=is_strict, optional=optional) for events in people]
    assert _by_actor(found, outcomes) == {actor: one for actor, one in enumerate(expected) if one}


@settings(max_examples=200)
@given(funnels(n_exclusions=1), WINDOW)
def test_unordered_equals_the_reference(funnel, window):
    n_steps, people, spans = funnel
    found = _history(people, n_steps)
    outcomes = unordered_kernel.walk(found, n_steps, window, exclusions=_exclusions(spans, n_steps))
    expected = [unordered(events, n_steps, window, has_exclusions=bool(spans)) for events in people]
    padded = {actor: one + [None] * (n_steps - len(one)) for actor, one in enumerate(expected) if one}
    assert _by_actor(found, outcomes) == padded


@settings(max_examples=200)
@given(funnels(most_steps_per_event=1, n_exclusions=1, is_distinct=True), WINDOW, st.booleans())
def test_attempts_equal_the_reference(funnel, window, is_strict):
    n_steps, people, spans = funnel
    found = _history(people, n_steps)
    edges = [0, 4, 8, 13]
    order = "strict" if is_strict else "ordered"
    best = attempts.walk(found, n_steps, window, edges, order=order, exclusions=_exclusions(spans, n_steps))
    expected: dict[tuple[int, int], int] = {}
    for actor, events in enumerate(people):
        for start, (time, steps, _) in enumerate(events):
            reached = (
                attempt(events, n_steps, window, start, strict=is_strict, exclusions=spans) if 0 in steps else None
            )
            if reached is not None:
                key = (actor, sum(time >= edge for edge in edges) - 1)
                expected[key] = max(expected.get(key, 0), reached)
    rows = zip(best.unit, best.period, best.furthest, strict=True)
    assert {(int(found.actors[unit]), int(period)): int(depth) for unit, period, depth in rows} == expected


@given(funnels(), WINDOW)
def test_unordered_attempts_see_the_window_after_each_event(funnel, window):
    n_steps, people, _ = funnel
    found = _history(people, n_steps)
    best = attempts.walk(found, n_steps, window, [0, 13], order="unordered")
    expected = {}
    for actor, events in enumerate(people):
        ahead = [
            len(unordered([one for one in events[start:] if one[0] - time <= window], n_steps, window) or ())
            for start, (time, steps, _) in enumerate(events)
            if steps
        ]
        if ahead:
            expected[actor] = max(ahead) - 1
    assert {
        int(found.actors[unit]): int(depth) for unit, depth in zip(best.unit, best.furthest, strict=True)
    } == expected


@settings(max_examples=300)
@given(funnels(most_steps_per_event=1), WINDOW, st.integers(-5, 5), st.booleans())
def test_plain_funnels_equal_the_reference(parted, funnel, window, first_actor, is_shifted):
    n_steps, people, _ = funnel
    low_us = 4 if is_shifted else 0
    rows = [(first_actor + 3 * actor, time - low_us, *steps)
            for actor, events in enumerate(people) for time, steps, _ in events if steps][::-1]  # fmt: skip
    bits = (n_steps - 1).bit_length()
    actor, time, step = np.array(rows, np.int64).reshape(len(rows), 3).T
    line = timeline(actor, (time << bits) + step, bits, low_us, window)
    found = {}
    if line is not None:
        outcomes, actors = plain.walk(line, n_steps)
        times = outcomes.times.T.tolist()
        found = {who: [None if one == NEVER else one for one in row] for who, row in zip(actors, times, strict=True)}
        assert [sum(one is not None for one in row) - 1 for row in found.values()] == outcomes.furthest.tolist()
    expected = {first_actor + 3 * actor: ordered(events, n_steps, window) for actor, events in enumerate(people)}
    assert found == {actor: one for actor, one in expected.items() if one}


def test_rows_that_do_not_fit_make_no_timeline():
    assert timeline(np.array([0, 2**40]), np.array([0, 2**30]), 2, 0, 0) is None


@given(funnels(most_steps_per_event=1), WINDOW, st.sampled_from([2**13, 2**15]))
def test_whole_milliseconds_fit_where_microseconds_do_not(funnel, window, apart):
    n_steps, people, _ = funnel
    people = [[(time * 1000, steps, blocks) for time, steps, blocks in events if steps] for events in people]
    people = [[(0, {0}, ())], *people, [(2**40 * 1000, {0}, ())]]
    line = _line(people, n_steps, window * 1000, apart=apart)
    assert line.unit_us > 1
    expected = {actor * apart: ordered(events, n_steps, window * 1000) for actor, events in enumerate(people)}
    assert _times(plain.walk(line, n_steps)) == {actor: one for actor, one in expected.items() if one}


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), min_size=1, max_size=20), st.frozensets(st.integers(0, 5))
)
def test_rows_of_merged_persons_are_sorted_in(rows, merged):
    actor, moment = np.array(rows, np.int64).T
    line = timeline(actor, moment, 0, 0, 1, moved=np.isin(actor, list(merged)))
    assert list(zip(line.actors(line.keys), line.times(line.keys), strict=True)) == sorted(rows)


TOUCHES = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(0, 3)), max_size=20)


@given(TOUCHES, st.booleans(), st.sampled_from([None, 0, 2]))
def test_touches_equal_the_first_or_last_row_with_a_value(rows, is_last, nothing):
    actor, moment, value = np.array(rows, np.int64).reshape(len(rows), 3).T
    actors = np.unique(actor[actor != 3]) - 7
    found = touched(actor - 7, moment, value, actors, nothing=nothing, is_last=is_last)
    pick = max if is_last else min
    missing = -1 if nothing is None else nothing
    expected = [
        pick(((at, code) for one, at, code in rows if one - 7 == who and code != nothing), default=(0, missing))[1]
        for who in actors
    ]
    assert found.tolist() == expected


def _line(people, n_steps, window, *, first_code=0, apart=1):
    rows = [(actor, time, steps) for actor, events in enumerate(people) for time, steps, _ in events][::-1]
    bits = (n_steps + first_code - 1).bit_length()
    codes = [max(steps, default=-1) + first_code for _, _, steps in rows]
    actor, time = np.array([row[:2] for row in rows], np.int64).reshape(len(rows), 2).T
    return timeline(actor * apart, (time << bits) + codes, bits, 0, window)


def _times(walked):
    outcomes, actors = walked
    times = outcomes.times.T.tolist()
    return {who: [None if one == NEVER else one for one in row] for who, row in zip(actors, times, strict=True)}


@settings(max_examples=300)
@given(funnels(most_steps_per_event=1, is_distinct=True), WINDOW)
def test_plain_strict_funnels_equal_the_reference(parted, funnel, window):
    n_steps, people, _ = funnel
    line = _line(people, n_steps, window, first_code=1)
    found = _times(plain.walk(line, n_steps, is_strict=True)) if line else {}
    expected = {actor: ordered(events, n_steps, window, strict=True) for actor, events in enumerate(people)}
    assert found == {actor: one for actor, one in expected.items() if one}


def test_plain_strict_funnels_leave_shared_instants_to_the_others():
    people = [[(1, {0}, ()), (1, {1}, ())]]
    assert plain.walk(_line(people, 2, 5, first_code=1), 2, is_strict=True) is None


@settings(max_examples=200)
@given(funnels(most_steps_per_event=1), WINDOW)
def test_plain_unordered_funnels_equal_the_reference(parted, funnel, window):
    n_steps, people, _ = funnel
    people = [[one for one in events if one[1]] for events in people]
    line = _line(people, n_steps, window)
    found = _times(plain_unordered.walk(line, n_steps)) if line else {}
    expected = {actor: unordered(events, n_steps, window) for actor, events in enumerate(people)}
    assert found == {actor: one + [None] * (n_steps - len(one)) for actor, one in expected.items() if one}


@settings(max_examples=200)
@given(funnels(most_steps_per_event=1), WINDOW)
def test_plain_attempts_equal_the_others(parted, funnel, window):
    n_steps, people, _ = funnel
    people = [[one for one in events if one[1]] for events in people]
    edges = [0, 4, 8, 12]
    line = _line(people, n_steps, window)
    rows = []
    if line:
        best, actors = plain.attempts(line, n_steps, edges)
        rows = list(zip(actors[best.unit].tolist(), best.period.tolist(), best.furthest.tolist(), strict=True))
    history_ = _history(people, n_steps)
    best = attempts.walk(history_, n_steps, window, edges)
    expected = zip(history_.actors[best.unit].tolist(), best.period.tolist(), best.furthest.tolist(), strict=True)
    assert rows == list(expected)


def test_attempts_without_rows_of_shared_instants_go_on_beside_those_with_them():
    people = [[(0, {0}, ()), (2, {1}, ())], [(5, {0}, ()), (5, {1}, ())]]
    best = attempts.walk(_history(people, 3), 3, 9, [0, 9])
    assert best.furthest.tolist() == [1, 1]
