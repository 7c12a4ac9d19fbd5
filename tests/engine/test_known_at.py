"""`known_at`: what a calculation gave at a moment it gives again, whatever came in since (history.md 2)."""

from __future__ import annotations

import random
from datetime import timedelta
from uuid import UUID

import pytest

import insightlog
from insightlog.adapters import known_events
from insightlog.domain.errors import InvalidInput, QueryTooLarge
from insightlog.domain.product_event import ProductEvent

EVENT = {"kind": "EventsNode", "event": "paid"}
PERSONS = {"kind": "TrendsQuery", "series": [{**EVENT, "math": "dau"}]}
BY_PLAN = {
    "kind": "TrendsQuery",
    "series": [EVENT],
    "breakdownFilter": {"breakdown": "plan", "breakdown_type": "person"},
    "trendsFilter": {"display": "ActionsBarValue"},
}
QUERIES = (
    PERSONS,
    BY_PLAN,
    {"kind": "FunnelsQuery", "series": [{"kind": "EventsNode", "event": "seen"}, EVENT]},
    {
        "kind": "HogQLQuery",
        "query": "select event, count(), count(distinct person_id) from events group by 1 order by 1",
    },
)


@pytest.fixture
def log(tmp_path, clock):
    with insightlog.open(tmp_path / "data", clock=clock) as opened:
        opened.create_project("One")
        yield opened


def numbers(log, query, **options):
    return log.project(1).query(query, **options)["results"]


def some_events(chance, now):
    def event():
        user = chance.choice("abcd")
        at = now - timedelta(days=chance.randint(0, 6), minutes=chance.randint(1, 50))
        name = chance.choice(["seen", "paid", "$identify", "$set"])
        properties = {"$set": {"plan": chance.choice("xy")}}
        if name == "$identify":
            properties["$anon_distinct_id"] = chance.choice("efgh")
        return {"event": name, "distinct_id": user, "timestamp": at, "properties": properties}

    return [event() for _ in range(chance.randint(1, 8))]


@pytest.mark.parametrize("seed", range(2))
def test_a_calculation_with_both_clocks_gives_what_it_gave_then(log, clock, seed):
    chance, moments = random.Random(seed), []
    action = log.project(1).actions.create(name="a", steps=[{"event": "paid"}])
    by_action = {"kind": "TrendsQuery", "series": [{"kind": "ActionsNode", "id": action.id, "math": "dau"}]}
    for _ in range(6):
        clock.forward(hours=chance.randint(1, 30))
        log.project(1).capture(some_events(chance, clock.now))
        log.project(1).actions.update(action.id, steps=[{"event": chance.choice(["paid", "seen"])}])
        shown = [numbers(log, query, refresh="force_blocking") for query in (*QUERIES, by_action)]
        moments.append((clock.now, shown))
    clock.forward(days=2)
    for moment, shown in chance.sample(moments, 3):
        then = log.as_of(moment, known_at=moment)
        assert [numbers(then, query) for query in (*QUERIES, by_action)] == shown


def test_the_clocks_combine(log, clock):
    def paid(at):
        return [{"event": "paid", "distinct_id": "u", "timestamp": at}]

    first = clock.now
    log.project(1).capture(paid(first - timedelta(hours=1)))
    clock.forward(days=3)
    log.project(1).capture(paid(first - timedelta(hours=2)) + paid(clock.now))
    query = {"kind": "TrendsQuery", "series": [EVENT], "dateRange": {"date_from": "-7d"}}

    def count(**clocks):
        past = log.as_of(clocks.pop("as_of", clock.now), **clocks)
        return numbers(past, query)[0]["count"]

    assert count() == 3
    assert count(known_at=first) == 1
    assert count(as_of=first) == 2
    assert count(as_of=first, known_at=first) == 1
    assert count(known_at=clock.now) == 3


def test_imports_count_from_when_they_came_in(log, clock):
    at = clock.now - timedelta(days=1)
    events = [ProductEvent(UUID(int=n + 1), "paid", f"u{n}", at, "{}") for n in range(5)]
    log.project(1).capture([{"event": "paid", "distinct_id": "u", "timestamp": at}])
    before = clock.now
    clock.forward(hours=1)
    log.parts.product_store().import_events(1, [events])
    assert numbers(log, PERSONS)[0]["count"] == 6
    assert numbers(log.as_of(clock.now, known_at=before), PERSONS)[0]["count"] == 1
    assert numbers(log.as_of(clock.now, known_at=clock.now), PERSONS)[0]["count"] == 6


def test_what_cannot_be_known_is_refused(log, clock, monkeypatch):
    log.project(1).capture([{"event": "paid", "distinct_id": "u"}] * 3)
    for moment in ("soon", clock.now + timedelta(days=1), "position:99"):
        with pytest.raises(InvalidInput) as refused:
            log.as_of(clock.now, known_at=moment)
        assert refused.value.path == "known_at"
    monkeypatch.setattr(known_events, "MOST_EVENTS", 2)
    with pytest.raises(QueryTooLarge, match="known at that moment"):
        numbers(log.as_of(clock.now, known_at=clock.now), PERSONS)


def test_moments_whose_events_are_archived_are_refused(log, clock):
    first = clock.now
    log.project(1).capture([{"event": "paid", "distinct_id": "u"}])
    clock.forward(days=1)
    log.project(1).capture([{"event": "paid", "distinct_id": "v"}])
    log.project(1).query(PERSONS)
    assert log.parts.product_store().archive(clock.now) == 1
    with pytest.raises(InvalidInput, match="archive"):
        numbers(log.as_of(clock.now, known_at=first), PERSONS)
    assert numbers(log.as_of(clock.now, known_at=clock.now), PERSONS)[0]["count"] == 2
