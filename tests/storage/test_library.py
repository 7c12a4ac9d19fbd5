"""The library on real folders: whatever is done, what is listed equals a dict, a replay and what stands after opening."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule
from tests.builders import TREND, FrozenClock

import insightlog
from insightlog.adapters.composition import log_store
from insightlog.adapters.storage.duckdb._columns import COMMON
from insightlog.adapters.storage.sqlite.upkeep import _alone, rebuild
from insightlog.adapters.verification import verify_folder
from insightlog.application.acting import acting


def folder_of(log):
    return Path(log_store(log)._datastore.pool.db_name).parent


class LibraryMachine(RuleBasedStateMachine):
    """Insights of one project on a folder that is closed, opened, rebuilt and verified in between."""

    insights = Bundle("insights")

    @initialize()
    def make(self):
        self.clock = FrozenClock()
        self.log = insightlog.open(":memory:", clock=self.clock)
        self.path = folder_of(self.log)
        self.project = self.log.create_project("One")
        self.user = self.log.create_user("ines@example.com")
        self.model, self.viewed, self.times, self.past = {}, [], {}, []

    @rule(target=insights, name=st.sampled_from(["a", "b", None]), tags=st.sets(st.sampled_from("xyz")))
    def create(self, name, tags):
        made = self.project.insights.create(by=self.user, name=name, tags=tags)
        self.model[made.id] = {"name": name, "tags": tuple(sorted(tags)), "deleted": False}
        self.view_in_model(made.id)
        return made.id

    @rule(insight=insights, name=st.sampled_from(["a", "b", None]))
    def rename(self, insight, name):
        if self.model[insight]["deleted"]:
            with pytest.raises(insightlog.NotFound):
                self.project.insights.update(insight, name=name)
        else:
            self.project.insights.update(insight, by=self.user, name=name)
            self.model[insight]["name"] = name

    @rule(insight=insights, deleted=st.booleans())
    def delete_or_restore(self, insight, deleted):
        if self.model[insight]["deleted"] and deleted:
            with pytest.raises(insightlog.NotFound):
                self.project.insights.update(insight, deleted=True)
        else:
            self.project.insights.update(insight, deleted=deleted)
            self.model[insight]["deleted"] = deleted

    @rule(insight=insights)
    def view(self, insight):
        if not self.model[insight]["deleted"]:
            self.project.insights.view(insight, by=self.user)
            self.view_in_model(insight)

    @rule()
    def remember_this_moment(self):
        self.past.append((self.log.position(), self.shown(self.log)))

    @rule()
    def rebuild_the_views(self):
        assert not any(rebuild(log_store(self.log)).values())

    @rule()
    def time_passes(self):
        self.clock.now += timedelta(minutes=7)

    @invariant()
    def what_is_shown_equals_the_model(self):
        listed, viewed = self.shown(self.log)
        live = {key: value for key, value in self.model.items() if not value["deleted"]}
        assert listed == {key: (value["name"], value["tags"]) for key, value in live.items()}
        assert viewed == [one for one in self.viewed if one in live][:5]

    def teardown(self):
        for position, shown in self.past[-3:]:
            assert self.shown(self.log.as_of(f"position:{position}")) == shown
        report = verify_folder(self.path, lambda *_: None)
        assert report.problems == []
        self.log.close()

    def shown(self, log):
        insights = log.project(1).insights
        page = insights.list(limit=1000)
        return {one.id: (one.name, one.tags) for one in page}, [one.id for one in insights.last_viewed(by=self.user)]

    def view_in_model(self, insight):
        """Among views at the same instant the higher id comes first."""
        self.times[insight] = self.clock.now
        self.viewed = sorted(self.times, key=lambda one: (self.times[one], one), reverse=True)


TestLibrary = LibraryMachine.TestCase
TestLibrary.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)


@pytest.fixture
def log(tmp_path):
    with insightlog.open(tmp_path / "data", clock=FrozenClock()) as opened:
        opened.create_project("One")
        opened.create_user("ines@example.com")
        yield opened


def test_everything_is_there_after_closing_and_opening(tmp_path, log):
    insight = log.project(1).insights.create(by=1, name="a", query=TREND)
    log.project(1).capture([{"event": "signed up", "distinct_id": "u"}])
    token = log.project(1).insights.share(insight.id)[1]
    numbers = log.project(1).query(TREND)["results"]
    log.close()
    with insightlog.open(tmp_path / "data", clock=FrozenClock()) as again:
        project = again.project(1)
        assert project.insights.get(insight.short_id).name == "a"
        assert project.insights.sharing(insight.id)[1] == token
        assert project.query(TREND)["results"] == numbers
        assert [one.id for one in project.insights.last_viewed(by=1)] == [insight.id]
        assert again.project(1).token.startswith("phc_")


def test_edits_from_many_threads_are_all_kept(log):
    insight = log.project(1).insights.create(name="a")

    def edit(number):
        for n in range(20):
            log.project(1).insights.update(insight.id, name=f"{number}-{n}")

    threads = [threading.Thread(target=edit, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    page = log.project(1).activity(insight.id, limit=1000)
    changes = [entry.changes[0] for entry in reversed(page.results) if entry.changes]
    assert len(changes) == 160
    assert [one["before"] for one in changes[1:]] == [one["after"] for one in changes[:-1]]


def test_a_process_that_only_captures_leaves_the_product_events_to_the_one_that_asks(tmp_path):
    """Two logs on one folder stand for two processes, of which one would find DuckDB's file held."""
    counts = {"kind": "TrendsQuery", "series": [{"kind": "EventsNode", "event": "a"}]}
    with insightlog.open(tmp_path / "shared") as worker, insightlog.open(tmp_path / "shared") as web:
        project = worker.create_project("One")
        for n in range(3):
            assert project.capture([{"event": "a", "distinct_id": str(n)}]) == 1
            project.insights.create(name=str(n))
            assert (tmp_path / "shared" / "events.duckdb").exists() == (n > 0)
            assert web.project(1).query(counts, refresh="force_blocking")["results"][0]["count"] == n + 1
        with pytest.raises(insightlog.StoreUnavailable, match="close that log first"):
            project.query(counts)


def test_edits_from_two_logs_on_one_folder_conflict_and_are_decided_again(tmp_path, log):
    insight = log.project(1).insights.create(name="a", tags=["x"])
    with insightlog.open(tmp_path / "data", clock=FrozenClock()) as other:
        log.project(1).insights.update(insight.id, name="b")
        other.project(1).insights.update(insight.id, description="d")
        log.project(1).insights.update(insight.id, tags=["y"])
        after = other.project(1).insights.update(insight.id, favorited=True)
        assert (after.name, after.description, after.tags, after.favorited) == ("b", "d", ("y",), True)
        ids = {one.project(1).insights.create(name="n").id for one in (log, other, log, other)}
        assert len(ids) == 4


@pytest.mark.parametrize(
    ("events", "path"),
    [
        ([{"event": "e"}], "events[0]"),
        ([{"event": "e", "distinct_id": "d"}, {"event": "", "distinct_id": "d"}], "events[1]"),
        (["x"], "events[0]"),
        ([{"event": "e", "distinct_id": "d", "timestamp": datetime(2026, 1, 1)}], "events[0].timestamp"),  # noqa: DTZ001
        ([{"event": "e", "distinct_id": "d", "timestamp": "soon"}], "events[0].timestamp"),
        ([{"event": "e", "distinct_id": "d", "uuid": "x"}], "events[0]"),
        ([{"event": "e", "distinct_id": "d", "properties": []}], "events[0]"),
        ([{"event": "e", "distinct_id": "d", "properties": {"a": object()}}], "events[0]"),
        ([{"event": "e", "distinct_id": "d", "properties": {(1, 2): 3}}], "events[0]"),
    ],
)
def test_a_wrong_event_is_named_and_nothing_is_stored(log, events, path):
    with pytest.raises(insightlog.InvalidInput) as caught:
        log.project(1).capture([{"event": "fine", "distinct_id": "d"}, *events][1:])
    assert caught.value.path == path
    assert log.parts.capture_log.position() == 0


def test_captured_events_are_unique_by_uuid_in_a_project(log):
    event = {"event": "e", "distinct_id": "d", "uuid": "0190c2b4-5f0a-7c31-9a35-2b6f0c1d4e55"}
    assert log.project(1).capture([event, event]) == 1
    assert log.project(1).capture([event]) == 0
    assert log.create_project("Two").capture([event]) == 1


def test_values_of_python_are_captured_as_json(log):
    properties = {
        "at": datetime(2026, 1, 2, 3, tzinfo=UTC), "day": date(2026, 1, 2), "id": UUID(int=7), "price": Decimal("1.5"),
        "tags": {"b", "a"}, 1: [float("inf")],
    }  # fmt: skip
    log.project(1).capture([{"event": "e", "distinct_id": "d", "properties": properties}])
    (event,) = log.project(1).captured.events()
    assert event.properties == {
        "at": "2026-01-02T03:00:00+00:00", "day": "2026-01-02", "id": str(UUID(int=7)), "price": 1.5,
        "tags": ["a", "b"], "1": [None],
    }  # fmt: skip


@pytest.mark.parametrize("as_text", [False, True])
def test_a_moment_may_be_given_as_text(log, as_text):
    made = log.project(1).insights.create(name="before")
    moment = log.now()
    log.parts.clock.forward(hours=1)
    log.project(1).insights.update(made.id, name="after")
    past = log.as_of(moment.isoformat() if as_text else moment)
    assert past.project(1).insights.get(made.id).name == "before"
    assert past.now() == moment


def test_queries_of_a_past_state_count_from_then_by_the_definitions_of_then(log):
    project = log.project(1)
    action = project.actions.create(name="bought", steps=[{"event": "paid"}])
    moment, before = log.now(), log.position()
    log.parts.clock.forward(days=3)
    project.actions.update(action.id, steps=[{"event": "refunded"}])
    project.capture(
        {"event": event, "distinct_id": "u", "timestamp": moment - timedelta(days=1)} for event in ("paid", "refunded")
    )
    project.capture({"event": "paid", "distinct_id": "u", "timestamp": moment} for _ in range(4))
    query = {"kind": "TrendsQuery", "series": [{"kind": "ActionsNode", "id": action.id}]}
    for asked in (moment, f"position:{before}"):
        past = log.as_of(asked).project(1).query(query)["results"][0]
        assert (past["days"][-1], past["data"][-2:]) == (moment.date().isoformat(), [1.0, 4.0])
    assert project.query(query)["results"][0]["count"] == 1
    assert log.computing.cache_key(project.info, query) == project.query(query, refresh="force_cache")["cache_key"]


def test_the_future_is_refused(log):
    with pytest.raises(insightlog.InvalidInput, match="future"):
        log.as_of(log.now() + timedelta(seconds=1))
    with pytest.raises(insightlog.InvalidInput, match="not written yet"):
        log.as_of(f"position:{log.position() + 1}")
    assert log.as_of("position:0").projects() == []


@pytest.mark.parametrize("moment", ["yesterday", "2026-01-01T00:00", "position:x", "position:", datetime(2026, 1, 1)])  # noqa: DTZ001
def test_moments_that_are_none_are_refused(log, moment):
    with pytest.raises(insightlog.InvalidInput):
        log.as_of(moment)


def test_the_past_cannot_be_changed(log):
    past = log.as_of(f"position:{log.position()}")
    with pytest.raises(insightlog.InsightlogError, match="past"):
        past.project(1).insights.create(name="x")
    with pytest.raises(insightlog.InsightlogError, match="past"):
        past.project(1).capture([{"event": "e", "distinct_id": "d"}])
    assert log.parts.capture_log.position() == 0
    assert past.project(1).insights.list().count == 0


def test_what_callers_hold_is_theirs(log):
    project = log.project(1)
    query = {**TREND, "series": []}
    made = project.insights.create(query=query)
    query["interval"] = "hour"
    after = project.insights.update(made.id, query={**TREND, "series": []})
    after.query["interval"] = "week"
    assert "interval" not in project.insights.get(made.id).query
    assert project.insights.update(made.id, query=after.query).query["interval"] == "week"
    project.query(TREND)["results"][0]["data"][:] = [666]
    assert project.query(TREND)["results"][0]["data"] == [0.0] * 8
    project.insights.update(made.id, filters={"a": float("nan")})
    assert verify_folder(folder_of(log), lambda *_: None).problems == []


def test_one_rebuild_at_a_time(log):
    with _alone(log_store(log).path), pytest.raises(insightlog.InsightlogError, match="Another rebuild"):
        rebuild(log_store(log))
    assert not any(rebuild(log_store(log)).values())


def test_a_property_with_a_column_answers_like_one_without(log):
    values = ["Chrome", "", None, 1.5, True, ["a", {"b": 1}], {"c": None}, "a/b", "Chrome"]
    project = log.project(1)
    project.capture({"event": "e", "distinct_id": "d", "properties": {"$browser": v, "cold": v}} for v in values)
    project.capture([{"event": "e", "distinct_id": "d"}])

    def shown(**more):
        source = {"kind": "TrendsQuery", "series": [{"kind": "EventsNode", "event": "e"}], **more}
        rows = project.query(source)["results"]
        return [(row.get("breakdown_value"), row["data"]) for row in rows]

    assert "$browser" in COMMON
    assert "cold" not in COMMON
    filters = [
        ("exact", "Chrome"),
        ("is_not", "Chrome"),
        ("gt", 1),
        ("is_set", None),
        ("is_not_set", None),
        ("icontains", "a"),
    ]
    asked = [lambda name: {"breakdownFilter": {"breakdown": name}}] + [
        lambda name, o=operator, v=value: {"properties": [{"key": name, "operator": o, "value": v, "type": "event"}]}
        for operator, value in filters
    ]
    for ask in asked:
        assert shown(**ask("$browser")) == shown(**ask("cold"))


def test_a_lost_capture_log_is_told_by_verify(tmp_path):
    with insightlog.open(tmp_path) as log:
        project = log.create_project("One")
        project.capture([{"event": "a", "distinct_id": "u"}] * 3)
        project.query({"kind": "HogQLQuery", "query": "select count() from events"})
    for path in tmp_path.glob("capture.sqlite*"):
        path.unlink()
    (told,) = verify_folder(tmp_path, lambda *_: None).problems
    assert "lacks 3 captured events" in told
    assert "backup" in told


def test_product_events_without_their_log_are_not_given_to_somebody_else(tmp_path):
    with insightlog.open(tmp_path) as log:
        log.create_project("One").capture([{"event": "a", "distinct_id": "b"}])
    (tmp_path / "insightlog.sqlite").unlink()
    with pytest.raises(insightlog.StoreUnavailable, match="restore that file"):
        insightlog.open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["capture.sqlite"]


def test_a_capture_log_that_cannot_be_read_keeps_nobody_from_insights(tmp_path, caplog):
    with insightlog.open(tmp_path) as log:
        project = log.create_project("One")
        project.insights.create(name="kept")
        project.capture([{"event": "a", "distinct_id": "b"}, {"event": "c", "distinct_id": "d"}])
        assert log.parts.product_store().archive(log.now() + timedelta(days=1), most=1) == 1
    (tmp_path / "capture.sqlite").write_bytes(b"no database at all" * 100)
    with insightlog.open(tmp_path, settings=insightlog.Settings(opens_early=True)) as log:
        assert [one.name for one in log.project(1).insights.list().results] == ["kept"]
        for ask in (
            lambda: log.project(1).query(TREND),
            lambda: log.project(1).capture([{"event": "a", "distinct_id": "b"}]),
        ):
            with pytest.raises(insightlog.CorruptLog, match=r"capture.sqlite is damaged"):
                ask()
    assert "the archive is left alone" in caplog.text


def test_a_revoked_key_and_a_wrong_one_open_nothing(log):
    key = log.create_key("ines@example.com", ["insight:read"])
    assert log.authenticate(key.value).user.email == "ines@example.com"
    assert key.value not in "".join(map(repr, [*log.replay(), key, *log.all_keys()]))
    log.revoke_key(key.key.id)
    for value in (key.value, "", "phx_nonsense", "\ud800", None):
        with pytest.raises(insightlog.InsightlogError):
            log.authenticate(value)


@pytest.mark.parametrize(
    ("call", "path"),
    [
        (lambda log: log.create_project("x", timezone="Mars/Base"), "timezone"),
        (lambda log: log.create_project(" "), "name"),
        (lambda log: log.create_project("x", token="phx_no"), "token"),
        (lambda log: log.create_user("nobody"), "email"),
        (lambda log: log.create_user("INES@example.com"), "email"),
        (lambda log: log.create_key(1, ["insight:fly"]), "scopes"),
        (lambda log: log.project(1).insights.create(nonsense=1), "nonsense"),
        (lambda log: log.project(1).insights.create(query={1, 2}), "query"),
        (lambda log: log.project(1).insights.create(name="\ud800"), "name"),
        (lambda log: log.project(1).insights.create(tags=[1]), "tags"),
        (lambda log: log.project(1).insights.list(order="nonsense"), "order"),
        (lambda log: log.project(1).query("x"), "query"),
        (lambda log: log.project(1).insights.create(favorited=5), "favorited"),
        (lambda log: log.project(1).insights.create(order=1.5), "order"),
        (lambda log: log.project(1).insights.list(limit=-1), "limit"),
        (lambda log: log.project(1).insights.list(offset="x"), "offset"),
        (lambda log: log.project(1).activity(limit=0), "limit"),
        (lambda log: log.project(1).insights.create(by="x"), "by"),
        (lambda log: log.project(1).insights.create(query="x"), "query"),
        (lambda log: log.project(1).insights.create(tags="abc"), "tags"),
        (lambda log: log.project(1).insights.create(dashboards=1), "dashboards"),
        (lambda log: log.project(1).dashboards.create(tags="abc"), "tags"),
        (lambda log: log.project(1).insights.list(search=4), "search"),
        (lambda log: log.project(1).insights.list(tags="abc"), "tags"),
        (lambda log: log.project(1).insights.list(nonsense=4), "nonsense"),
        (lambda log: log.project(1).query(TREND, refresh="soon"), "refresh"),
        (lambda log: log.project(1).query(TREND, refresh=True), "refresh"),
        (lambda log: log.project(1).query({**TREND, "interval": {1}}), "query"),
        (lambda log: log.project(1).capture(None), "events"),
        (lambda log: log.project(1).capture({"event": "e", "distinct_id": "d"}), "events"),
        (lambda log: log.project(1).activity("x"), "insight"),
        (lambda log: log.replay(after=-1), "after"),
        (lambda log: log.replay(after="x"), "after"),
        (lambda log: log.as_of(17), "as_of"),
        (lambda log: log.project(1).insights.create(by=2**70), "by"),
        (lambda log: log.project(1).insights.create(by=999), "by"),
        (lambda log: log.project(1).update(name="x", by=999), "by"),
        (lambda log: log.create_user("x@example.com", by=999), "by"),
        (lambda log: log.project(1).insights.create(by=True), "by"),
        (lambda log: log.project(1).dashboards.list(limit="x"), "limit"),
        (lambda log: log.project(1).captured.events(limit="uuid"), "limit"),
        (lambda log: log.project(1).captured.events(after="x"), "after"),
        (lambda log: log.project(1).captured.events(nonsense="x"), "nonsense"),
        (lambda log: log.project(1).captured.persons(offset=-1), "offset"),
        (lambda log: log.project(1).captured.values("event", "a", limit="uuid"), "limit"),
        (lambda log: log.create_user(5), "email"),
        (lambda log: log.create_user("x@example.com", first_name=5), "first_name"),
        (lambda log: log.create_project("x", token=5), "token"),
        (lambda log: log.create_key(1, "insight:read"), "scopes"),
    ],
)
def test_wrong_arguments_are_named(log, call, path):
    position = log.position()
    with pytest.raises(insightlog.InvalidInput) as caught:
        call(log)
    assert caught.value.path == path
    assert log.position() == position


def test_who_acts_is_a_user_of_the_log(log):
    project = log.project(1)
    insight = project.insights.create(name="x")
    position = log.position()
    for call in (
        lambda: project.insights.update(insight.id, name="y", by=999),
        lambda: project.insights.view(insight.id, by=999),
        lambda: log.names_of(1).define("event", "x", {"description": "y"}, acting(999)),
    ):
        with pytest.raises(insightlog.InvalidInput, match="no user 999") as caught:
            call()
        assert caught.value.path == "by"
    assert log.position() == position
    user = log.create_user("new@example.com")
    assert project.insights.update(insight.id, name="y", by=user.id).name == "y"


@pytest.mark.parametrize("member", [99, "x", True])
def test_nobody_is_given_no_rights(log, member):
    project = log.project(1)
    insight, board = project.insights.create(name="x"), project.dashboards.create(name="x")
    position = log.position()
    for call in (
        lambda: project.insights.set_access(insight.id, "viewer", member=member),
        lambda: project.insights.set_access(insight.id, "viewer", role=member),
        lambda: project.dashboards.set_collaborator(board.id, member),
    ):
        with pytest.raises((insightlog.NotFound, insightlog.InvalidInput)):
            call()
    with pytest.raises(insightlog.InvalidInput):
        project.insights.share(insight.id, settings="x")
    assert log.position() == position


def test_a_temporary_log_leaves_nothing_behind():
    with insightlog.open() as log:
        folder = folder_of(log)
        assert folder.is_dir()
    assert not folder.exists()


def test_a_closed_log_says_so(log):
    project = log.project(1)
    log.close()
    calls = (
        log.position, project.insights.create, project.insights.list, log.projects, lambda: project.query(TREND),
        lambda: project.capture([{"event": "e", "distinct_id": "d"}]), project.captured.event_definitions,
    )  # fmt: skip
    for call in calls:
        with pytest.raises(insightlog.InsightlogError, match="closed"):
            call()
