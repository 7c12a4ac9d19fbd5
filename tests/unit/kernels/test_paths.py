"""The path kernel equals walking session by session (queries.md 8.4)."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import groupby, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insightlog.adapters.kernels import packed
from insightlog.adapters.kernels import paths as kernel

GAP = 5
EVENTS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 20), st.integers(0, 3)), max_size=30)
POINT = st.none() | st.integers(0, 3)


def sessions(events):
    """Return (actor, [(time, item)]) per session, without repeats in a row: the last one stays."""
    for actor, mine in groupby(sorted(events), key=lambda event: event[0]):
        parts, before = [], None
        for _, time, item in mine:
            if before is None or time - before >= GAP:
                parts.append([])
            before = time
            if parts[-1] and parts[-1][-1][1] == item:
                parts[-1].pop()
            parts[-1].append((time, item))
        yield from ((actor, part) for part in parts)


def reference(events, limit, start, end):
    """Return per actor the numbered items of each path, with the time since the one before.

    What stands for the middle was reached when its first item was.
    """
    found = defaultdict(list)
    for actor, session in sessions(events):
        items = [item for _, item in session]
        first = 0 if start is None else items.index(start) if start in items else None
        if first is None:
            continue
        if end is not None and end not in items[first:]:
            continue
        last = len(items) if end is None else items.index(end, first) + 1
        steps = session[first:last]
        path = [(item, time) for time, item in steps]
        if start is not None and end is not None and len(path) > limit:
            half = limit // 2
            path = [*path[:half], (kernel.ELISION, path[half][1]), *(path[-half:] if half else [])]
        elif end is not None and start is None:
            path = path[-limit:]
        elif len(path) > limit:
            path = path[:limit]
        times = [time for _, time in path]
        found[actor].append([(item, time - before) for (item, time), before in zip(path, [0, *times], strict=False)])
    return found


@settings(max_examples=300)
@given(EVENTS, st.integers(1, 6), POINT, POINT, st.sampled_from([None, 2, 100]), st.sampled_from([1, 8, 1000]))
def test_edges_equal_the_reference(events, limit, start, end, many_rows, unit):
    actor, at, item = np.array(events, np.int64).reshape(len(events), 3).T
    rules = kernel.Rules(GAP * unit, limit, start, end)
    if many_rows is None or not events:
        found = kernel.paths(actor, at * unit, item, rules)
    else:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(packed, "MANY_ROWS", many_rows)
            patch.setattr(packed, "_UNITS_US", (unit,))
            found = kernel.packed_paths(packed.packed(actor, at * unit, GAP * unit, room=2), item, rules)
    expected, spent = Counter(), defaultdict(list)
    for paths in reference(events, limit, start, end).values():
        for path in paths:
            for place, ((source, _), (target, time)) in enumerate(pairwise(path), 1):
                expected[place, source, target] += 1
                spent[place, source, target].append(time)
    rows = list(zip(*(column.tolist() for column in kernel.edges(found)), strict=True))
    assert {row[:3]: row[3] for row in rows} == expected
    for place, source, target, _, mean in rows:
        assert np.isclose(mean, np.mean(spent[place, source, target]) * unit)


@given(EVENTS, st.integers(1, 6), st.tuples(st.integers(1, 3), st.integers(0, 3)))
def test_who_left_at_a_step_is_found(events, limit, step):
    columns = np.array(events, np.int64).reshape(len(events), 3).T
    found = kernel.paths(*columns, kernel.Rules(GAP, limit))
    expected = {
        actor: n
        for actor, paths in reference(events, limit, None, None).items()
        if (n := sum(len(path) == step[0] and path[-1][0] == step[1] for path in paths))
    }
    actors, counts = kernel.goers(found, source=None, target=None, dropoff=step)
    assert dict(zip(actors.tolist(), counts.tolist(), strict=True)) == expected
