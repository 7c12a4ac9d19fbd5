"""What is read is kept until something is written, by whatever process; nobody ever sees less than was acknowledged."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from datetime import timedelta
from itertools import count

import pytest

import insightlog


@pytest.fixture
def log(tmp_path):
    with insightlog.open(tmp_path) as opened:
        opened.create_project("One")
        yield opened


@pytest.fixture
def other(log, tmp_path):
    """The same folder as another process has it: on connections of its own."""
    with insightlog.open(tmp_path) as opened:
        yield opened


def asking(log):
    """Return a function that reads through what is kept, and gives how often it was really read."""
    numbers = count(1)
    return lambda: log.parts.views.kept(("test",), lambda: next(numbers))


def test_it_is_read_once_until_something_is_written(log, other, tmp_path):
    ask = asking(log)
    assert [ask(), ask()] == [1, 1]
    log.project(1).insights.create(name="mine")
    assert [ask(), ask()] == [2, 2]
    other.project(1).insights.create(name="theirs")
    assert [ask(), ask()] == [3, 3]
    with closing(sqlite3.connect(tmp_path / "insightlog.sqlite")) as connection, connection:
        connection.execute("UPDATE insights SET name = 'by hand' WHERE id = 1")
    assert [ask(), ask()] == [4, 4]
    assert log.project(1).insights.service.look_at(1).name == "by hand"


def test_counts_follow_what_is_written(log, other):
    insights, theirs, viewer = log.project(1).insights, other.project(1).insights, log.create_user("ines@example.com")
    made = [insights.create(name=f"weekly {n}", tags=["a"]).id for n in range(3)]

    def counts():
        return insights.list(search="weekly").count, insights.list(tags=["a"]).count

    assert counts() == (3, 3)
    insights.view(made[0], by=viewer)
    theirs.view(made[1], by=viewer)
    assert counts() == (3, 3)
    theirs.update(made[0], name="daily", tags=[])
    assert counts() == (2, 2)
    insights.update(made[1], deleted=True)
    assert counts() == (1, 1)
    theirs.create(name="weekly x", tags=["a"])
    assert counts() == (2, 2)
    moment = log.now()
    seen = insights.list(viewed_after=moment - timedelta(days=1)).count
    insights.view(made[2], by=viewer)
    theirs.view(made[0], by=viewer)
    assert (seen, insights.list(viewed_after=moment - timedelta(days=1)).count) == (1, 2)


@pytest.mark.parametrize(("size", "is_kept"), [(10, True), (1_000_000, False)])
def test_large_insights_do_not_fill_the_memory(log, size, is_kept):
    insights = log.project(1).insights
    made = [insights.create(filters={"note": "x" * size}).id for _ in range(18)]
    first = insights.service.look_at(made[0])
    for one in made:
        insights.service.look_at(one)
    assert (insights.service.look_at(made[0]) is first) is is_kept


def test_who_looks_once_sees_what_it_writes_itself(log, other):
    ask, views = asking(log), log.parts.views
    with views.once():
        assert ask() == 1
        other.project(1).insights.create(name="theirs")
        assert ask() == 1
        log.project(1).insights.create(name="mine")
        assert ask() == 2
    with views.once():
        other.project(1).insights.create(name="theirs again")
        assert ask() == 3
    other.project(1).insights.create(name="and again")
    assert ask() == 4


def test_a_failure_is_not_kept(log):
    def fail():
        raise ValueError("unreadable")

    with pytest.raises(ValueError, match="unreadable"):
        log.parts.views.kept(("test",), fail)
    assert asking(log)() == 1


def test_what_is_handed_to_embedders_is_theirs_to_change(log):
    made = log.project(1).insights.create(query={"kind": "TrendsQuery", "series": []})
    log.project(1).insights.service.look_at(made.id)
    log.project(1).insights.get(made.id).query["kind"] = "changed"
    assert log.project(1).insights.get(made.id).query["kind"] == "TrendsQuery"
    assert log.project(1).insights.service.look_at(made.id).query["kind"] == "TrendsQuery"


def test_a_past_state_stays_as_it_was(log):
    made = log.project(1).insights.create(name="before")
    past = log.as_of(f"position:{log.position()}")
    assert past.project(1).insights.service.look_at(made.id).name == "before"
    log.project(1).insights.update(made.id, name="after")
    assert past.project(1).insights.service.look_at(made.id).name == "before"
    assert log.project(1).insights.service.look_at(made.id).name == "after"


def test_readers_see_every_acknowledged_write(log, other):
    """Two processes write while four threads read, each its own way: what was acknowledged before a read is in it."""
    insights = [log.project(1).insights.create(name="0", description="0").id for _ in range(2)]
    acknowledged, ended, wrong = [0, 0], threading.Event(), []

    def write(place, writer):
        for number in range(1, 60):
            writer.project(1).insights.update(insights[place], name=str(number))
            acknowledged[place] = number

    def read(looks_once):
        while not ended.is_set():
            at_least = list(acknowledged)
            if looks_once:
                with log.parts.views.once():
                    seen = [int(log.project(1).insights.service.look_at(one).name) for one in insights]
            else:
                seen = [int(log.project(1).insights.service.look_at(one).name) for one in insights]
            if any(one < least for one, least in zip(seen, at_least, strict=True)):
                wrong.append((seen, at_least))

    readers = [threading.Thread(target=read, args=(bool(n % 2),)) for n in range(4)]
    writers = [threading.Thread(target=write, args=one) for one in enumerate((log, other))]
    for one in (*readers, *writers):
        one.start()
    for one in writers:
        one.join()
    ended.set()
    for one in readers:
        one.join()
    assert acknowledged == [59, 59]
    assert wrong == []
