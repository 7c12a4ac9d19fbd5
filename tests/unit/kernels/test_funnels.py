"""The funnel kernels equal the reference on random histories."""

from __future__ import annotations

import numpy as np
from funnel_reference import attempt, ordered, unordered
from hypothesis import given, settings
from hypothesis import strategies as st

from insightlog.adapters.kernels import attempts, chains
from insightlog.adapters.kernels import unordered as unordered_kernel
from insightlog.adapters.kernels.histories import history
from insightlog.adapters.kernels.moments import Exclusion
from insightlog.adapters.kernels.outcomes import NEVER

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
