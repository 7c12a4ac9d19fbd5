"""Wrong arguments of the library: each is refused with an error of ours that names it, and nothing is changed."""

from __future__ import annotations

import pickle
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

import insightlog
from insightlog.application.slots import Limits
from insightlog.domain import errors


@pytest.fixture(scope="module")
def log():
    with insightlog.open(":memory:") as opened:
        project = opened.create_project("One")
        opened.create_user("ines@example.com")
        project.cohorts.create(name="Panel", is_static=True, distinct_ids=["a"])
        project.capture([{"event": "x", "distinct_id": "a", "properties": {"$groups": {"company": "acme"}}}])
        yield opened


@pytest.mark.parametrize(
    ("path", "call"),
    [
        ("path", lambda: insightlog.open(3)),
        ("path", lambda: insightlog.open("")),
        ("path", lambda: insightlog.open("a\0b")),
        ("path", lambda: insightlog.open(__file__)),
        ("path", lambda: insightlog.open(f"{__file__}/below")),
        ("clock", lambda: insightlog.open(clock=datetime(2026, 4, 2, tzinfo=UTC))),
        ("clock", lambda: insightlog.open(clock=lambda: datetime(2026, 4, 2))),  # noqa: DTZ001
        ("settings", lambda: insightlog.open(settings={"synchronous": "FULL"})),
        ("synchronous", lambda: insightlog.Settings(synchronous="OFF")),
        ("memory_limit", lambda: insightlog.Settings(memory_limit="much")),
        ("threads", lambda: insightlog.Settings(threads=0)),
        ("results_mb", lambda: insightlog.Settings(results_mb="256")),
        ("archive_after_days", lambda: insightlog.Settings(archive_after_days=0)),
        ("computing", lambda: insightlog.Settings(computing={"follows": "all"})),
        ("follows", lambda: insightlog.ComputingOptions(follows="some")),
        ("deadline_s", lambda: insightlog.ComputingOptions(deadline_s=-1)),
        ("running", lambda: Limits(running=0)),
    ],
)
def test_what_opens_no_log_is_named(path, call):
    with pytest.raises(insightlog.InvalidInput) as refused:
        call()
    assert refused.value.path == path


@pytest.mark.parametrize(
    ("path", "call"),
    [
        ("name", lambda log: log.create_project("\ud800")),
        ("name", lambda log: log.create_project("a\0b")),
        ("name", lambda log: log.organizations.create("a\0b")),
        ("name", lambda log: log.organizations.create_role(1, "a\0b")),
        ("user_ids", lambda log: log.organizations.create_role(1, "Readers", user_ids=3)),
        ("user", lambda log: log.organizations.set_member(1, "ines@example.com", "admin")),
        ("member", lambda log: log.organizations.set_project_access(1, "project", "none", member="ines")),
        ("role", lambda log: log.organizations.set_project_access(1, "project", "none", role="readers")),
        ("email", lambda log: log.create_user("\ud800@example.com")),
        ("scopes", lambda log: log.create_key(1, [3])),
        ("projects", lambda log: log.create_key(1, projects=1)),
        ("projects", lambda log: log.create_key(1, projects=["1"])),
        ("projects", lambda log: log.create_key(1, projects=[log.project(1)])),
        ("organizations", lambda log: log.create_key(1, organizations=["1"])),
        ("label", lambda log: log.create_key(1, label=3)),
        ("value", lambda log: log.create_key(1, value=3)),
        ("order", lambda log: log.project(1).insights.list(order=3)),
        ("tags", lambda log: log.project(1).actions.create(name="a", tags="x")),
        ("limit", lambda log: log.project(1).actions.list(limit=-1)),
        ("search", lambda log: log.project(1).cohorts.list(search=3)),
        ("distinct_ids", lambda log: log.project(1).cohorts.create(is_static=True, distinct_ids="abc")),
        ("distinct_ids", lambda log: log.project(1).cohorts.add(1, 3)),
        ("limit", lambda log: log.project(1).cohorts.persons(1, limit=-1)),
        ("limit", lambda log: log.project(1).groups.list(0, limit="x")),
        ("group_type_index", lambda log: log.project(1).groups.list("x")),
        ("key", lambda log: log.project(1).groups.get(0, 3)),
        ("names", lambda log: log.project(1).groups.rename(3)),
        ("event", lambda log: log.project(1).captured.events(event=3)),
        ("event", lambda log: log.project(1).captured.events(event="\ud800")),
        ("email", lambda log: log.project(1).captured.persons(email=3)),
        ("cohort", lambda log: log.project(1).captured.persons(cohort="x")),
        ("person", lambda log: log.project(1).captured.person(3)),
        ("search", lambda log: log.project(1).captured.event_definitions(3)),
        ("events", lambda log: log.project(1).captured.property_definitions(events="x")),
        ("name", lambda log: log.project(1).captured.values("event", 3)),
    ],
)
def test_a_wrong_argument_is_named_and_changes_nothing(log, path, call):
    before = log.position()
    with pytest.raises(insightlog.InvalidInput) as refused:
        call(log)
    assert refused.value.path == path
    assert log.position() == before


@pytest.mark.parametrize("ref", [2**70, "1", 1.0, True, None])
def test_what_is_no_id_is_no_project(log, ref):
    with pytest.raises(insightlog.NotFound):
        log.project(ref)


@pytest.mark.parametrize("ref", ["\ud800", 2**70, "1", 1.5])
def test_what_is_no_ref_is_no_insight(log, ref):
    with pytest.raises(insightlog.NotFound):
        log.project(1).insights.get(ref)


@pytest.mark.parametrize("subject", [{"role": 77}, {"member": 77}])
def test_rules_of_a_project_are_about_somebody_who_is_there(log, subject):
    before = log.position()
    with pytest.raises(insightlog.NotFound):
        log.organizations.set_project_access(1, "project", "none", **subject)
    assert log.position() == before


def test_users_may_be_given_as_such_or_by_id(log):
    user = log.create_user("omar@example.com")
    log.organizations.set_member(1, user, "admin")
    log.organizations.set_project_access(1, "project", "admin", member=user)
    insight = log.project(1).insights.create(name="a", by=user)
    log.project(1).insights.set_access(insight.id, "manager", member=user)
    role = log.organizations.create_role(1, "Readers", user_ids=[user])
    assert role.user_ids == (user.id,)
    assert [rule.member for rule in log.project(1).insights.get(insight.id).access] == [user.id]
    assert {one.user.id: one.level for one in log.organizations.members(1)}[user.id] == "admin"


def test_a_share_ends_at_a_datetime_or_its_text(log):
    project = log.project(1)
    insight = project.insights.create(name="a")
    ends = datetime(2030, 1, 1, tzinfo=UTC)
    by_time, _ = project.insights.share(insight.id, expires_at=ends)
    by_text, _ = project.insights.share(insight.id, expires_at="2030-01-01T00:00:00+00:00")
    assert by_time.state.expires_at == by_text.state.expires_at
    assert by_time.state.expires_at is not None


def test_a_folder_that_cannot_be_opened_leaves_nothing_open(tmp_path):
    (tmp_path / "insightlog.sqlite").write_bytes(b"this is no database" * 100)
    with pytest.raises(insightlog.InsightlogError, match="file is not a database"):
        insightlog.open(tmp_path)
    files = [one.readlink() for one in Path("/proc/self/fd").iterdir() if one.is_symlink()]
    assert not [one for one in files if one.is_relative_to(tmp_path)]


def test_what_a_notebook_shows_says_what_it_is(log):
    project = log.project(1)
    assert repr(log) == "<Insightlog: in memory>"
    assert repr(log.as_of("position:1")) == "<Insightlog: in memory as of position:1>"
    assert repr(project) == "<Project 1: One, UTC>"
    assert [repr(one) for one in (project.insights, project.dashboards, project.actions, project.cohorts)] == [
        f"<{name} of project 1>" for name in ("Insights", "Dashboards", "Actions", "Cohorts")
    ]


def test_the_text_of_a_refusal_names_the_wrong_field(log):
    with pytest.raises(insightlog.InvalidQuery) as caught:
        log.project(1).query({"kind": "TrendsQuery"})
    assert str(caught.value) == "query.series: This field is required."
    assert caught.value.detail == "This field is required."
    assert str(errors.InvalidInput("Say series.", path="series")) == "Say series."


FORKED = """
import os, sys
import insightlog

query = {"kind": "TrendsQuery", "series": [{"kind": "EventsNode", "event": "x"}]}
with insightlog.open(sys.argv[1]) as log:
    project = log.create_project("One")
    project.capture([{"event": "x", "distinct_id": "a"}])
    project.query(query)
    child = os.fork()
    if child == 0:
        for use in (log.projects, project.insights.create, lambda: project.query(query)):
            try:
                use()
            except insightlog.StoreUnavailable:
                continue
            sys.exit(1)
        sys.exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    project.capture([{"event": "x", "distinct_id": "b"}])
    print(project.query(query)["results"][0]["count"])
"""


def test_a_forked_child_is_refused_and_its_end_touches_nothing(tmp_path):
    done = subprocess.run([sys.executable, "-c", FORKED, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["0", "2.0"], done.stderr


ERRORS = (
    errors.NotFound("Insight", 3),
    errors.VersionConflict("insight:1", 3),
    errors.InvalidInput("No.", path="name", code="null"),
    errors.QueryTooLarge("Too much.", path="query"),
    errors.QueryCancelled(),
    errors.TooManyQueries(3),
    errors.AuthenticationFailed("Who?", code="not_authenticated"),
    errors.CorruptLog("torn", stream="insight:1", version=2, position=7),
)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_come_back_from_other_processes_as_they_were(error):
    back = pickle.loads(pickle.dumps(error))
    assert (type(back), str(back), vars(back)) == (type(error), str(error), vars(error))
