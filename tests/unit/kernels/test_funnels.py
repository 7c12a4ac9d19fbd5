"""The funnel kernels equal the reference on random histories."""

from __future__ import annotations

import numpy as np
import pytest
from funnel_reference import attempt, ordered, unordered, windows
from hypothesis import given, settings
from hypothesis import strategies as st

from insightlog.adapters.kernels import attempts, chains, checkpoint, packed, plain, plain_unordered
from insightlog.adapters.kernels import unordered as unordered_kernel
from insightlog.adapters.kernels.attribution import touched
from insightlog.adapters.kernels.funnel_rows import histogram, seconds_between
from insightlog.adapters.kernels.histories import history
from insightlog.adapters.kernels.moments import Exclusion
from insightlog.adapters.kernels.outcomes import NEVER, Outcomes


@pytest.fixture(params=[packed.MANY_ROWS, 2], ids=["whole", "parted"], scope="module")
def parted(request):
    """Walks all actors at once, or two halves of them side by side."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed, "MANY_ROWS", request.param)
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


@settings(max_examples=300, deadline=None)
@given(funnels(n_exclusions=2), WINDOW, st.booleans(), st.sampled_from([np.uint8, np.uint32]))
def test_chains_equal_the_reference(funnel, window, is_strict, dtype):
    n_steps, people, spans = funnel
    found = _history(people, n_steps, dtype=dtype)
    outcomes = chains.walk(found, n_steps, window, is_strict=is_strict, exclusions=_exclusions(spans, n_steps))
    expected = [ordered(events, n_steps, window, strict=is_strict, exclusions=spans) for events in people]
    assert _by_actor(found, outcomes) == {actor: one for actor, one in enumerate(expected) if one}


@settings(max_examples=200, deadline=None)
@given(funnels(), WINDOW, st.booleans(), st.frozensets(st.integers(1, 3)))
def test_optional_steps_equal_the_reference(funnel, window, is_strict, optional):
    n_steps, people, _ = funnel
    found = _history(people, n_steps)
    outcomes = chains.walk(found, n_steps, window, is_strict=is_strict, optional=optional)
    expected = [ordered(events, n_steps, window, strict=is_strict, optional=optional) for events in people]
    assert _by_actor(found, outcomes) == {actor: one for actor, one in enumerate(expected) if one}


@pytest.mark.parametrize(
    ("history", "expected"), [("ABAxBC", [0, 1, 5]), ("AxBACB", [3, 5, None]), ("ABAxB", [0, 1, None])]
)
def test_what_is_taken_past_an_exclusion_takes_no_clean_steps_away(history, expected):
    events = [(at, {"ABC".find(one)} - {-1}, {0} if one == "x" else ()) for at, one in enumerate(history)]
    found = _history([events], 3)
    assert _by_actor(found, chains.walk(found, 3, 9, exclusions=[Exclusion(3, 0, 1)])) == {0: expected}
    assert ordered(events, 3, 9, exclusions=[(0, 1)]) == expected


def test_a_chain_that_ends_excluded_keeps_no_other_from_its_strict_step():
    events = [(1, {0, 1}, {0}), (1, {0, 1}, {0}), (3, {1}, ())]  # the second one begins again, at the same instant
    outcomes = chains.walk(_history([events], 2), 2, 8, is_strict=True, exclusions=[Exclusion(2, 0, 1)])
    assert _by_actor(_history([events], 2), outcomes) == {0: [1, 3]}
    assert ordered(events, 2, 8, strict=True, exclusions=[(0, 1)]) == [1, 3]


@pytest.mark.parametrize("n_entries", [1, 2, 3])
def test_the_last_of_equal_entries_goes_on_in_a_strict_funnel(n_entries):
    events = [(0, {0}, ())] * n_entries + [(1, {1}, ())]
    found = _history([events], 2)
    assert _by_actor(found, chains.walk(found, 2, 5, is_strict=True)) == {0: [0, 1]}
    assert ordered(events, 2, 5, strict=True) == [0, 1]


def test_what_is_no_step_of_an_unordered_funnel_parts_no_like_ones():
    events = [(0, {0}, ()), (1, (), ()), (1, {0}, ()), (2, {0}, ()), (8, {0, 1}, ())]
    found = _history([events], 2)
    assert _by_actor(found, unordered_kernel.walk(found, 2, 7)) == {0: [2, 8]}
    assert unordered(events, 2, 7) == [2, 8]


@settings(max_examples=200, deadline=None)
@given(funnels(n_exclusions=1), WINDOW)
def test_unordered_equals_the_reference(funnel, window):
    n_steps, people, spans = funnel
    found = _history(people, n_steps)
    outcomes = unordered_kernel.walk(found, n_steps, window, exclusions=_exclusions(spans, n_steps))
    expected = [unordered(events, n_steps, window, has_exclusions=bool(spans)) for events in people]
    padded = {actor: one + [None] * (n_steps - len(one)) for actor, one in enumerate(expected) if one}
    assert _by_actor(found, outcomes) == padded


@settings(max_examples=200, deadline=None)
@given(funnels(most_steps_per_event=1, n_exclusions=1, is_distinct=True), WINDOW, st.booleans())
def test_attempts_equal_the_reference(funnel, window, is_strict):
    n_steps, people, spans = funnel
    found = _history(people, n_steps)
    edges = [0, 4, 8, 13]
    order = "strict" if is_strict else "ordered"
    best = attempts.walk(found, n_steps, window, edges, order=order, exclusions=_exclusions(spans, n_steps))
    expected: dict[tuple[int, int], int] = {}
    for actor, events in enumerate(people):
        entries = [(start, time) for start, (time, steps, _) in enumerate(events) if 0 in steps]
        unblocked = [(time, steps, ()) for time, steps, _ in events]
        free = [attempt(unblocked, n_steps, window, start, strict=is_strict) for start, _ in entries]
        tried = [attempt(events, n_steps, window, start, strict=is_strict, exclusions=spans) for start, _ in entries]
        is_out = any(one is None and far == n_steps - 1 for one, far in zip(tried, free, strict=True))
        for reached, (_, time) in zip(tried, entries, strict=True):
            if reached is not None and not is_out:
                key = (actor, sum(time >= edge for edge in edges) - 1)
                expected[key] = max(expected.get(key, 0), reached)
    rows = zip(best.unit, best.period, best.furthest, strict=True)
    assert {(int(found.actors[unit]), int(period)): int(depth) for unit, period, depth in rows} == expected


@settings(max_examples=200, deadline=None)
@given(funnels(n_exclusions=1), WINDOW)
def test_unordered_attempts_equal_the_reference(funnel, window):
    n_steps, people, spans = funnel
    found, edges = _history(people, n_steps), [0, 4, 8, 13]
    best = attempts.walk(found, n_steps, window, edges, order="unordered", exclusions=_exclusions(spans, n_steps))
    expected: dict[tuple[int, int], int] = {}
    for actor, events in enumerate(people):
        for begun, times in windows(events, n_steps, window, has_exclusions=bool(spans)):
            key = (actor, sum(begun >= edge for edge in edges) - 1)
            expected[key] = max(expected.get(key, 0), len(times) - 1)
    rows = zip(best.unit, best.period, best.furthest, strict=True)
    assert {(int(found.actors[unit]), int(period)): int(depth) for unit, period, depth in rows} == expected


def _packed(people, n_steps, window, *, first_code=0, apart=1, first_actor=0, unit=1, is_sorted=False):
    """Give (events, their codes), None without events; those of no step have code 0 with a first code of 1."""
    rows = [(actor, time, max(steps, default=-1) + first_code)
            for actor, events in enumerate(people) for time, steps, _ in events if steps or first_code]  # fmt: skip
    # Runs of one step, as the store gives them, or none.
    rows = sorted(rows, key=lambda row: row[2]) if is_sorted else rows[::-1]
    actor, time, code = np.array(rows, np.int64).reshape(len(rows), 3).T
    room = max(1, (n_steps + first_code - 1).bit_length())
    events = packed.packed(actor * apart + first_actor, time * unit, window * unit, room=room)
    return None if events is None else (events, code.astype(np.uint8))


def _times(walked):
    outcomes, actors = walked
    times = outcomes.times.T.tolist()
    assert [sum(one != NEVER for one in row) - 1 for row in times] == outcomes.furthest.tolist()
    return {who: [None if one == NEVER else one for one in row] for who, row in zip(actors, times, strict=True)}


@settings(max_examples=300, deadline=None)
@given(funnels(most_steps_per_event=1), WINDOW, st.integers(-5, 5), st.booleans(), st.sampled_from([1, 64]))
def test_plain_funnels_equal_the_reference(parted, funnel, window, first_actor, is_sorted, long_run):
    n_steps, people, _ = funnel
    rows = _packed(people, n_steps, window, apart=3, first_actor=first_actor, is_sorted=is_sorted)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed, "LONG_RUN", long_run)
        found = _times(plain.walk(*rows, n_steps)) if rows else {}
    expected = {first_actor + 3 * actor: ordered(events, n_steps, window) for actor, events in enumerate(people)}
    assert found == {actor: one for actor, one in expected.items() if one}


def test_events_that_do_not_fit_are_not_packed():
    assert packed.packed(np.array([0, 2**40]), np.array([0, 2**30]), 0, room=2) is None
    events = packed.packed(np.array([0, 2**20]), np.array([0, 2**40 + 1]), 0)
    assert events.with_room(1) is events
    assert events.with_room(2) is None


@given(funnels(most_steps_per_event=1), WINDOW, st.sampled_from([2**13, 2**15]))
def test_whole_milliseconds_fit_where_microseconds_do_not(funnel, window, apart):
    n_steps, people, _ = funnel
    people = [[(0, {0}, ())], *people, [(2**40, {0}, ())]]
    events, code = _packed(people, n_steps, window, apart=apart, unit=1000)
    assert events.unit_us > 1
    expected = {actor * apart: ordered(events, n_steps, window) for actor, events in enumerate(people)}
    expected = {
        actor: [None if time is None else time * 1000 for time in one] for actor, one in expected.items() if one
    }
    assert _times(plain.walk(events, code, n_steps)) == expected


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), max_size=20), st.integers(0, 3))
def test_packed_events_give_back_what_was_packed(rows, room):
    actor, at = np.array(rows, np.int64).reshape(len(rows), 2).T
    events = packed.packed(actor, at, 4, room=room)
    assert list(zip(events.actor, events.at, strict=True)) == rows if rows else events is None


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), min_size=1, max_size=20), st.integers(1, 4))
def test_actors_that_became_others_keep_their_times(rows, block):
    actor, at = np.array(rows, np.int64).T
    events = packed.packed(actor, at, 0, room=3)
    moves = np.array([3, 0, 0, -1, 2, 0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "BLOCK", block)
        packed.move_actors(events.keys, events.at_bits, lambda one: moves.take(one + events.low_actor))
    expected = [(one + moves[one], time) for one, time in rows]
    assert list(zip(events.actor, events.at, strict=True)) == expected


TOUCHES = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(0, 1), st.integers(0, 3)), max_size=20)


@given(TOUCHES, st.booleans(), st.sampled_from([None, 0, 2]))
def test_touches_equal_the_first_or_last_row_with_a_value(rows, is_last, nothing):
    actor, at, code, value = np.array(rows, np.int64).reshape(len(rows), 4).T
    actors = np.unique(actor[actor != 3]) - 7
    events = packed.packed(actor - 7, at, 0)
    found = touched(events, code, value, actors, nothing=nothing, is_last=is_last).tolist() if rows else []
    pick = max if is_last else min
    missing = -1 if nothing is None else nothing
    expected = [
        pick((row[1:] for row in rows if row[0] - 7 == who and row[3] != nothing), default=(0, 0, missing))[2]
        for who in actors
    ]
    assert found == expected


@settings(max_examples=300, deadline=None)
@given(funnels(most_steps_per_event=1, is_distinct=True), WINDOW)
def test_plain_strict_funnels_equal_the_reference(parted, funnel, window):
    n_steps, people, _ = funnel
    rows = _packed(people, n_steps, window, first_code=1)
    found = _times(plain.walk_strictly(*rows, n_steps)) if rows else {}
    expected = {actor: ordered(events, n_steps, window, strict=True) for actor, events in enumerate(people)}
    assert found == {actor: one for actor, one in expected.items() if one}


def test_plain_strict_funnels_leave_shared_instants_to_the_others():
    people = [[(1, {0}, ()), (1, {1}, ())]]
    assert plain.walk_strictly(*_packed(people, 2, 5, first_code=1), 2) is None


@settings(max_examples=200, deadline=None)
@given(funnels(most_steps_per_event=1), WINDOW)
def test_plain_unordered_funnels_equal_the_reference(parted, funnel, window):
    n_steps, people, _ = funnel
    people = [[one for one in events if one[1]] for events in people]
    rows = _packed(people, n_steps, window)
    found = _times(plain_unordered.walk(*rows, n_steps)) if rows else {}
    expected = {actor: unordered(events, n_steps, window) for actor, events in enumerate(people)}
    assert found == {actor: one + [None] * (n_steps - len(one)) for actor, one in expected.items() if one}


@settings(max_examples=200, deadline=None)
@given(funnels(most_steps_per_event=1), WINDOW, st.booleans())
def test_plain_attempts_equal_the_others(parted, funnel, window, is_sorted):
    n_steps, people, _ = funnel
    people = [[one for one in events if one[1]] for events in people]
    edges = [0, 4, 8, 12]
    events = _packed(people, n_steps, window, is_sorted=is_sorted)
    rows = []
    if events:
        best, actors = plain.attempts(*events, n_steps, edges)
        rows = list(zip(actors[best.unit].tolist(), best.period.tolist(), best.furthest.tolist(), strict=True))
    history_ = _history(people, n_steps)
    best = attempts.walk(history_, n_steps, window, edges)
    expected = zip(history_.actors[best.unit].tolist(), best.period.tolist(), best.furthest.tolist(), strict=True)
    assert rows == list(expected)


def test_attempts_without_rows_of_shared_instants_go_on_beside_those_with_them():
    people = [[(0, {0}, ()), (2, {1}, ())], [(5, {0}, ()), (5, {1}, ())]]
    best = attempts.walk(_history(people, 3), 3, 9, [0, 9])
    assert best.furthest.tolist() == [1, 1]


def _bins(samples, bin_count):
    """Give the bins as queries.md 6.8 tells them, and the mean."""
    if not samples:
        return [(0, 0), (60, 0)], None
    n_bins = next(size for size in range(1, 61) if size**3 >= len(samples) or size == 60)
    if bin_count is not None:
        n_bins = sorted((1, bin_count, 90))[1]
    low, high = min(samples), max(samples)
    width = -(-(high - low) // n_bins) or 60
    starts = [low + width * place for place in range(n_bins + 1)]
    counted = [(start, sum(start <= one < start + width for one in samples)) for start in starts]
    return counted, sum(samples) / len(samples)


@settings(max_examples=200, deadline=None)
@given(st.data(), funnels(most_steps_per_event=1), WINDOW, st.sampled_from([None, 0, 1, 2, 5, 91]), st.booleans())
def test_times_to_convert_equal_the_reference(data, funnel, window, bin_count, is_plain):
    n_steps, people, _ = funnel
    half_s = 500_000
    to_step = data.draw(st.integers(0, n_steps - 1))
    from_step = data.draw(st.integers(0, to_step))
    people = [[(time * half_s, steps, blocks) for time, steps, blocks in events if steps] for events in people]
    rows = _packed(people, n_steps, window * half_s) if is_plain else None
    outcomes = (
        plain.walk(*rows, n_steps)[0] if rows else chains.walk(_history(people, n_steps), n_steps, window * half_s)
    )
    found = histogram(seconds_between(outcomes, from_step, to_step), bin_count)
    chains_ = [one for one in (ordered(events, n_steps, window * half_s) for events in people) if one]
    samples = [one[to_step] // 10**6 - one[from_step] // 10**6 for one in chains_ if one[to_step] is not None]
    bins, mean = _bins(samples, bin_count)
    assert found == (bins, None if mean is None else pytest.approx(mean))


def test_times_to_convert_can_be_differences_of_full_seconds():
    times = np.array([[900_000], [2_100_000]])
    outcomes = Outcomes(np.array([0]), np.array([1]), times)
    assert histogram(seconds_between(outcomes, 0, 1), None) == ([(2, 1), (62, 0)], 2.0)
