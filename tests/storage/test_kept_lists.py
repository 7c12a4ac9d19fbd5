"""Lists that are kept and put right by what changed equal lists that are made anew, at a cost that does not grow."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.builders import FrozenClock
from tests.storage.test_library import folder_of

import insightlog
from insightlog.adapters.composition import log_store
from insightlog.adapters.storage.sqlite import kept_lists
from insightlog.adapters.storage.sqlite.listing import INDEXED_ORDERS, listing
from insightlog.adapters.storage.sqlite.recent_changes import RecentChanges
from insightlog.adapters.storage.sqlite.upkeep import rebuild
from insightlog.adapters.storage.sqlite.view_reads import SQLiteViews
from insightlog.application.insights import definition_of
from insightlog.application.ports import ORDERS, Append, InsightsWanted, StreamEvents, Viewer
from insightlog.domain.events import Actor
from insightlog.domain.insight import decide, stream_of
from insightlog.domain.insight_commands import CreateInsight

NAMES = ["weekly sales", "Sales", "sales by week", "straße", "x", None]
TAGS = ["sales", "north"]
EVENTS = ["sale", "visit"]
LISTS = [
    *({"order": sign + order} for order in ORDERS for sign in ("", "-")),
    *({"search": text} for text in ("sales", "sa", "week", "STRASSE", "s")),
    {"search": "sales", "order": "-name"}, {"tags": ("sales",)}, {"tags": TAGS}, {"events": ("sale",)},
    {"feature_flag": "new"}, {"created_by": (1, 7)}, {"mine": 1}, {"favorited": True}, {"saved": True},
    {"saved": False}, {"kind": "TRENDS"}, {"hide_names": ("x",)}, {"only_id": 2}, {"dashboards": (1,)},
    {"dashboards": (1, 2)}, {"search": "sales", "tags": ("north",), "favorited": True, "order": "-last_viewed_at"},
    {"viewer": Viewer((1, (3,)), 0)}, {"viewer": Viewer((2, ()), 1), "search": "sales"},
]  # fmt: skip


def lists(now):
    """Every kind of list, some with dates that move with the clock."""
    hours = [timedelta(minutes=minutes) for minutes in (3, 90)]
    columns = ("modified", "created", "viewed")
    return [
        *LISTS,
        *({f"{column}_after": now - ago, "order": "name"} for column in columns for ago in hours),
        *({f"{column}_before": now - ago} for column in columns for ago in hours),
    ]


def made_anew(log):
    """Views of the folder that keep nothing yet."""
    return SQLiteViews(log.parts.views._connection, log.parts.views._writes)


def same_in_both(log, wanted):
    asked = InsightsWanted(project_id=1, limit=1000, **wanted)
    (count, rows), (n_anew, anew) = log.parts.views.insights(asked), made_anew(log).insights(asked)
    assert (count, [row["id"] for row in rows]) == (n_anew, [row["id"] for row in anew]), wanted


CHANGES = st.tuples(
    st.sampled_from(
        [
            "create",
            "rename",
            "tag",
            "query",
            "favor",
            "save",
            "delete",
            "view",
            "move",
            "allow",
            "board",
            "wait",
            "rebuild",
        ]
    ),
    st.integers(0, 30),
    st.integers(0, 7),
)


def change(log, user, clock, what, which, how):
    """Do something to one of the insights of the first project; deleted ones are restored by it."""
    project, all_ids = log.project(1), log.parts.views._all("SELECT id FROM insights WHERE project_id = 1")
    one = all_ids[which % len(all_ids)]["id"]
    query = {"kind": "TrendsQuery", "series": [{"kind": "EventsNode", "event": EVENTS[how % 2]}]}
    flag = {"properties": [{"key": "$feature/new-page", "value": "on"}]}
    match what:
        case "create":
            project.insights.create(
                name=NAMES[how % 6], tags=TAGS[: how % 3], query=query, by=user if how % 2 else None
            )
        case "rename":
            project.insights.update(one, name=NAMES[how % 6], description="of sales" if how > 4 else "", deleted=False)
        case "tag":
            project.insights.update(one, tags=TAGS[how % 3 :], deleted=False)
        case "query":
            project.insights.update(one, query={**query, **(flag if how > 3 else {})}, deleted=False)
        case "favor" | "save":
            field = "favorited" if what == "favor" else "saved"
            project.insights.update(one, **{field: bool(how % 2)}, deleted=False, order=how, by=user)
        case "delete":
            project.insights.update(one, deleted=False)
            project.insights.update(one, deleted=True)
        case "view":
            project.insights.update(one, deleted=False)
            project.insights.view(one, by=user)
        case "move":
            live = [board.id for board in project.dashboards.list().results]
            project.insights.update(one, dashboards=live[: how % 3], deleted=False)
        case "allow":
            project.insights.update(one, deleted=False)
            project.insights.set_access(one, ["none", "viewer", None][how % 3], member=None if how % 2 else user.id)
        case "board":
            project.dashboards.update(1 + which % 2, deleted=bool(how % 2), **({} if how % 2 else {"name": str(how)}))
        case "wait":
            clock.forward(minutes=how * 10)
    clock.forward(minutes=1)


@pytest.mark.parametrize(("long", "most_changed"), [(10_000, 250), (0, 1)])
def test_kept_lists_equal_those_made_anew_after_any_changes(monkeypatch, long, most_changed):
    monkeypatch.setattr(kept_lists, "LONG", long)
    monkeypatch.setattr(kept_lists, "MOST_CHANGED", most_changed)

    @settings(max_examples=8, deadline=None)
    @given(st.lists(CHANGES, min_size=4, max_size=14))
    def hold(changes):
        clock = FrozenClock()
        with insightlog.open(":memory:", clock=clock) as log, insightlog.open(folder_of(log), clock=clock) as other:
            user = log.create_user("ines@example.com")
            for opened in (log.create_project("One"), log.create_project("Two")):
                for n in range(8):
                    clock.forward(minutes=20)
                    opened.insights.create(name=NAMES[n % 6], tags=TAGS[: n % 3], by=user)
            for name in "ab":
                log.project(1).dashboards.create(name=name)
            for wanted in lists(clock()):
                log.parts.views.insights(InsightsWanted(project_id=1, limit=5, **wanted))
            for n, (what, which, how) in enumerate(changes):
                if what == "rebuild":
                    assert not any(rebuild(log_store(other)).values())
                else:
                    try:
                        change((log, other)[how % 2], user, clock, what, which, how)
                    except insightlog.NotFound:
                        assert what == "board"
                for wanted in lists(clock())[n % 3 :: 3]:
                    same_in_both(log, wanted)
            for wanted in lists(clock()):
                same_in_both(log, wanted)

    hold()


def test_what_another_process_rebuilds_is_seen(tmp_path):
    with insightlog.open(tmp_path) as log, insightlog.open(tmp_path) as other:
        insights = log.create_project("One").insights
        made = insights.create(name="weekly").id
        with closing(sqlite3.connect(tmp_path / "insightlog.sqlite")) as connection, connection:
            connection.execute("UPDATE insights SET favorited = 1")
        assert [one.id for one in insights.list(favorited=True).results] == [made]
        assert rebuild(log_store(other))["insights"] == 1
        assert insights.list(favorited=True).count == 0


def test_lists_stay_in_order_while_two_processes_write(tmp_path):
    """Threads read lists while names change: what was acknowledged is in its place, then and in the end."""
    wanted = [{"order": "-name"}, {"search": "name"}, {"search": "other"}, {"favorited": True}]
    with insightlog.open(tmp_path) as log, insightlog.open(tmp_path) as other:
        project = log.create_project("One")
        ids = [project.insights.create(name=f"name {n:03}").id for n in range(40)]
        wrong, ended = [], threading.Event()

        def write(writer, own):
            for n in range(60):
                name = f"{('name', 'other')[n % 2]} {n * 37 % 101:03}"
                writer.project(1).insights.update(own[n % len(own)], name=name, favorited=n % 3 == 0)
                found = writer.project(1).insights.list(search=name, limit=100).results
                if own[n % len(own)] not in {one.id for one in found}:
                    wrong.append(name)

        def read(n):
            while not ended.is_set():
                page = log.project(1).insights.list(**wanted[n], limit=100)
                if page.count != len(page.results):
                    wrong.append(page)

        readers = [threading.Thread(target=read, args=(n,)) for n in range(len(wanted))]
        writers = [threading.Thread(target=write, args=one) for one in ((log, ids[::2]), (other, ids[1::2]))]
        for one in (*readers, *writers):
            one.start()
        for one in writers:
            one.join()
        ended.set()
        for one in readers:
            one.join()
        assert wrong == []
        for one in wanted:
            same_in_both(log, one)
            same_in_both(other, one)


def test_what_is_written_while_a_list_is_put_right_does_not_disturb_it(tmp_path, monkeypatch):
    """The place of one insight is looked for among others as they were before."""
    with insightlog.open(tmp_path) as log, insightlog.open(tmp_path) as other:
        insights = log.create_project("One").insights
        ids = [insights.create(name=f"name {n:02}").id for n in range(21)]
        same_in_both(log, {"order": "-name"})
        insights.update(ids[3], name="name 15 b")
        read = RecentChanges.read

        def read_and_write(recent, connection, head):
            read(recent, connection, head)
            other.project(1).insights.update(ids[10], name="none")

        monkeypatch.setattr(RecentChanges, "read", read_and_write)
        assert insights.list(order="-name", limit=21).count == 21
        monkeypatch.undo()
        same_in_both(log, {"order": "-name"})


def test_lists_follow_views_and_dashboards(tmp_path):
    """What changes a list without changing the insights themselves."""
    with insightlog.open(tmp_path) as log:
        project, viewer = log.create_project("One"), log.create_user("ines@example.com")
        board = project.dashboards.create(name="a").id
        ids = [project.insights.create(name=str(n), dashboards=[board], saved=False).id for n in range(3)]

        def shown(**wanted):
            return [one.id for one in project.insights.list(**wanted).results]

        assert shown(order="last_viewed_at") == shown(dashboards=[board]) == shown(saved=True) == ids
        assert shown(viewed_after=log.now() - timedelta(days=1)) == []
        project.insights.view(ids[1], by=viewer)
        assert shown(order="last_viewed_at") == [ids[0], ids[2], ids[1]]
        assert shown(viewed_after=log.now() - timedelta(days=1)) == [ids[1]]
        project.dashboards.update(board, deleted=True)
        assert shown(dashboards=[board]) == shown(saved=True) == []
        project.dashboards.update(board, deleted=False)
        assert shown(dashboards=[board]) == shown(saved=True) == ids


def filled(folder, n_insights):
    """Return a log with so many insights, made at once."""
    log = insightlog.open(folder)
    log.create_project("One")
    log.create_user("ines@example.com")
    series = [{"kind": "EventsNode", "event": "sale"}]
    for first in range(1, n_insights + 1, 500):
        made = [
            CreateInsight(
                f"b{n:07}",
                definition_of(
                    {
                        "name": f"the {n * 7919 % 10_007:05} of sales", "tags": ["north"], "favorited": True,
                        "query": {"kind": "TrendsQuery", "series": series},
                    }
                ),
            )
            for n in range(first, min(first + 500, n_insights + 1))
        ]  # fmt: skip
        streams = [StreamEvents(stream_of(first + n), decide(None, command), 0) for n, command in enumerate(made)]
        log.parts.store.append(Append(tuple(streams), Actor(1), 1, "fill"))
    return log


def steps_after_an_edit(log, wanted):
    """Return how many steps SQLite takes for a page right after an edit of an insight far from it."""
    views, steps = log.parts.views, []
    asked = InsightsWanted(project_id=1, limit=10, **wanted)
    views.insights(asked)
    log.project(1).insights.update(7, name=f"the 00500 of sales {log.position()}")
    log.project(1).insights.view(8, by=1)
    connection = views._connection()
    connection.set_progress_handler(lambda: steps.append(1), 1)
    found = views.insights(asked)
    connection.set_progress_handler(None, 0)
    assert len(found[1]) == 10
    return len(steps)


def test_a_page_after_an_edit_costs_what_changed_not_what_is_found(tmp_path):
    n_few, n_many = 150, 3000
    with filled(tmp_path / "few", n_few) as few, filled(tmp_path / "many", n_many) as many:
        asked = [
            {"search": "sales"},
            {"search": "es"},
            {"tags": ("north",)},
            {"events": ("sale",)},
            {"favorited": True},
        ]
        asked += [{"order": "-name"}, {"order": "description"}, {"search": "sales", "order": "-updated_at"}]
        asked += [{"viewer": Viewer((1, ()), 1)}, {"saved": True}, {"created_by": (1,)}, {}]
        for wanted in asked:
            took = [
                steps_after_an_edit(log, {**wanted, "offset": n * 2 // 3}) for log, n in ((few, n_few), (many, n_many))
            ]
            assert took[1] < 1.5 * took[0] + 200, (wanted, took)


def test_orders_that_are_read_from_an_index_need_no_sorting(tmp_path):
    with filled(tmp_path, 100) as log:
        for order in ORDERS:
            for name in (None, order, f"-{order}"):
                asked = listing(InsightsWanted(project_id=1, order=name))
                plan = log.parts.views._connection().execute(f"EXPLAIN QUERY PLAN {asked.sql} LIMIT 10", asked.values)
                sorts = any("TEMP B-TREE" in row["detail"] for row in plan)
                assert not (sorts and name in INDEXED_ORDERS), name


def test_changes_are_remembered_as_far_as_they_are_known(tmp_path, monkeypatch):
    monkeypatch.setattr("insightlog.adapters.storage.sqlite.recent_changes.MOST_REMEMBERED", 3)
    with filled(tmp_path, 10) as log:
        connection, recent, begun = log.parts.views._connection(), RecentChanges(), log.position()
        recent.read(connection, begun)
        assert recent.after(begun, heeds_views=True) == set()
        assert recent.after(begun - 1, heeds_views=True) is None
        insights = log.project(1).insights
        for one in (1, 2, 1, 3):
            insights.update(one, name=str(one) * len(str(log.position())), favorited=log.position() % 2 == 0)
        insights.view(4, by=1)
        recent.read(connection, log.position())
        assert recent.after(begun, heeds_views=False) == {1, 2, 3}
        assert recent.after(begun, heeds_views=True) == {1, 2, 3, 4}
        insights.update(5, name="five")
        recent.read(connection, log.position())
        assert recent.after(begun, heeds_views=False) is None
        assert recent.after(log.position() - 1, heeds_views=True) == {5}


def test_the_lists_asked_for_longest_ago_give_way(tmp_path, monkeypatch):
    monkeypatch.setattr(kept_lists, "MOST_IDS", 250)
    with filled(tmp_path, 100) as log:
        views = log.parts.views
        for order in ("id", "-id", "short_id", "-short_id"):
            assert views.insights(InsightsWanted(project_id=1, order=order))[0] == 100
        kept = [one.ids for one in views._lists._lists.values()]
        assert [len(ids) for ids in kept] == [100, 100]
        assert sorted(kept[0]) == sorted(kept[1])
        assert views.insights(InsightsWanted(project_id=1, order="id", limit=3))[1][0]["id"] == 1
