"""Actions and cohorts in a library on real files: what queries make of them, who is in them, and their history."""

from __future__ import annotations

import json
import time
from datetime import timedelta

import pytest
from click.testing import CliRunner
from tests.builders import FrozenClock

import insightlog
from insightlog import InvalidInput, NotFound
from insightlog.adapters.cli.main import main as insightlog_command
from insightlog.adapters.composition import LOG_FILE, log_store
from insightlog.adapters.storage.sqlite.upkeep import rebuild, verify
from insightlog.domain.errors import TooManyQueries

PRO = {"type": "AND", "values": [{"key": "plan", "type": "person", "value": "pro"}]}


@pytest.fixture
def log(tmp_path, clock):
    with insightlog.open(tmp_path / "data", clock=clock) as opened:
        yield opened


@pytest.fixture
def project(log):
    made = log.create_project("One")
    made.capture(
        [
            {"event": "signed up", "distinct_id": "ann", "properties": {"$set": {"plan": "pro"}, "via": "ad"}},
            {"event": "left", "distinct_id": "ann"},
            {"event": "signed up", "distinct_id": "bob", "properties": {"$set": {"plan": "free"}}},
        ]
    )
    return made


def count(project, *, refresh="blocking", **asked):
    query = {"kind": "TrendsQuery", "series": [{"kind": "EventsNode", "event": "signed up"}], **asked}
    return project.query(query, refresh=refresh)["results"][0]["count"]


def in_cohort(cohort_id):
    return [{"key": "id", "type": "cohort", "value": cohort_id}]


def names(page):
    return [profile.distinct_ids[0] for profile in page]


def test_a_series_counts_what_the_steps_of_an_action_match_and_follows_their_changes(project):
    action = project.actions.create(name="Came or went", steps=[{"event": "signed up"}, {"event": "left"}])
    series = [{"kind": "ActionsNode", "id": action.id}]
    assert count(project, series=series) == 3
    project.actions.update(action.id, steps=[{"event": "signed up", "properties": [{"key": "via", "value": "ad"}]}])
    assert count(project, series=series) == 1
    project.actions.update(action.id, deleted=True)
    assert count(project, series=series) == 1
    unknown = [{"kind": "ActionsNode", "id": action.id + 1}]
    assert project.query({"kind": "TrendsQuery", "series": unknown})["results"] == []


@pytest.mark.parametrize(
    ("leaf", "n"),
    [
        ({"key": "via", "value": "ad", "negation": True}, 1),
        ({"key": "via", "value": "ad", "type": "events"}, 1),
        ({"key": "via", "values": ["ad", None]}, 1),
        ({"key": "plan", "value": "pro", "type": "person", "operator": "exact", "negation": "true"}, 1),
    ],
)
def test_properties_of_steps_are_read_as_old_filters_are(project, leaf, n):
    action = project.actions.create(name="By", steps=[{"event": "signed up", "properties": [leaf]}])
    assert count(project, series=[{"kind": "ActionsNode", "id": action.id}]) == n


@pytest.mark.parametrize("selector", ["#a\\.b > i", "[id='a.b'] i", "p#a\\.b i:nth-child(2)"])
def test_a_step_finds_elements_by_ids_that_are_no_names(project, selector):
    for name in ("a.b", "ab"):
        chain = f'i:nth-child="2"nth-of-type="1";p:attr_id="{name}"nth-child="1"nth-of-type="1"'
        project.capture([{"event": "$autocapture", "distinct_id": "eve", "properties": {"$elements_chain": chain}}])
    action = project.actions.create(name="Clicked", steps=[{"event": "$autocapture", "selector": selector}])
    assert count(project, series=[{"kind": "ActionsNode", "id": action.id}]) == 1


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"steps": [{"event": 1}]}, "steps[0].event"),
        ({"steps": [{"url": "/a", "url_matching": "like"}]}, "steps[0].url_matching"),
        (
            {"steps": [{"properties": [{"key": "a", "value": "x", "operator": "hm"}]}]},
            "steps[0].properties[0].operator",
        ),
        ({"steps": [{"properties": [{"key": "id", "value": 9, "type": "cohort"}]}]}, "steps[0].properties[0].value"),
        ({"steps": "signed up"}, "steps"),
        ({"name": 5}, "name"),
    ],
)
def test_an_action_that_no_query_could_look_for_is_refused_with_the_path(project, fields, path):
    with pytest.raises(InvalidInput) as refused:
        project.actions.create(**fields)
    assert refused.value.path == path
    assert len(project.actions.list()) == 0


def test_a_cohort_by_properties_filters_and_splits_by_its_name(project):
    cohort = project.cohorts.create(name="Paying", filters={"properties": PRO})
    assert count(project, properties=in_cohort(cohort.id)) == 1
    split = {"breakdown": [cohort.id, "all"], "breakdown_type": "cohort"}
    found = project.query(
        {"kind": "TrendsQuery", "series": [{"kind": "EventsNode", "event": "signed up"}], "breakdownFilter": split}
    )["results"]
    assert {(one["label"], one["breakdown_value"], one["count"]) for one in found} == {
        ("Paying", cohort.id, 1), ("all users", "all", 2),
    }  # fmt: skip


def test_a_changed_cohort_changes_what_is_asked_through_another_one(project):
    paying = project.cohorts.create(name="Paying", groups=[{"properties": [{"key": "plan", "value": "pro"}]}])
    outer = project.cohorts.create(
        name="Of them",
        filters={"properties": {"type": "OR", "values": [{"key": "id", "type": "cohort", "value": paying.id}]}},
    )
    assert count(project, properties=in_cohort(outer.id)) == 1
    project.cohorts.update(paying.id, groups=[{"properties": [{"key": "plan", "value": "none"}]}])
    assert count(project, properties=in_cohort(outer.id)) == 0


def test_a_cohort_by_behaviour_follows_events_of_other_names(project):
    leaf = {"type": "behavioral", "key": "left", "event_type": "events", "value": "performed_event",
            "time_value": 30, "time_interval": "day"}  # fmt: skip
    cohort = project.cohorts.create(name="Gone", filters={"properties": {"type": "AND", "values": [leaf]}})
    assert count(project, properties=in_cohort(cohort.id)) == 1
    project.capture([{"event": "left", "distinct_id": "bob"}])
    assert count(project, properties=in_cohort(cohort.id)) == 2


def members(project, **criterion):
    leaf = {"type": "behavioral", "key": "paid", "event_type": "events", **criterion}
    cohort = project.cohorts.create(name="Done", filters={"properties": {"type": "AND", "values": [leaf]}})
    return sorted(names(project.cohorts.persons(cohort.id)))


def test_a_behaviour_with_an_end_of_its_own_is_looked_for_in_whole_days(project, clock):
    days = {"ann": [20, 2], "bob": [9], "cid": [11, 5, 5]}
    for who, ago in days.items():
        for number in ago:
            project.capture([{"event": "paid", "distinct_id": who, "timestamp": clock.now - timedelta(days=number)}])
    first, last = ((clock.now - timedelta(days=number)).date().isoformat() for number in (11, 9))
    between = {"explicit_datetime": first, "explicit_datetime_to": last}
    assert members(project, value="performed_event", explicit_datetime="-11d") == ["ann", "bob", "cid"]
    assert members(project, value="performed_event", **between) == ["bob", "cid"]
    assert members(project, value="performed_event_first_time", **between) == ["bob", "cid"]
    assert members(project, value="performed_event", explicit_datetime="-21d", explicit_datetime_to="-6d") == [
        "ann", "bob", "cid",
    ]  # fmt: skip
    several = {"value": "performed_event_multiple", "operator": "gte", "operator_value": 2}
    assert members(project, **several, explicit_datetime="-30d", explicit_datetime_to="-1d") == ["ann", "cid"]
    assert members(project, **several, **between) == []
    with pytest.raises(InvalidInput) as refused:
        members(project, value="performed_event", explicit_datetime="-3d", explicit_datetime_to="soon")
    assert str(refused.value.path).endswith("explicit_datetime_to")


@pytest.mark.parametrize(
    ("behaviour", "who"),
    [
        ({"value": "performed_event", "time_value": 10}, ["ann", "cid"]),
        ({"value": "performed_event_first_time", "time_value": 20}, ["cid"]),
        ({"value": "stopped_performing_event", "time_value": 30, "seq_time_value": 10}, ["bob"]),
        ({"value": "restarted_performing_event", "time_value": 30, "seq_time_value": 10}, ["ann"]),
        (
            {"value": "performed_event_regularly", "time_value": 15, "total_periods": 3, "min_periods": 2},
            ["ann", "bob"],
        ),
        ({"value": "performed_event_sequence", "seq_event": "paid", "time_value": 60, "seq_time_value": 20}, ["bob"]),
    ],
)
def test_behaviours_are_looked_for_in_minutes(project, clock, behaviour, who):
    for name, ago in {"ann": [40, 5], "bob": [40, 25], "cid": [5]}.items():
        for minutes in ago:
            at = clock.now - timedelta(minutes=minutes)
            project.capture([{"event": "paid", "distinct_id": name, "timestamp": at}])
    units = {"time_interval": "minute", "seq_time_interval": "minute", "seq_event_type": "events", "operator": "gte"}
    assert members(project, **units, **behaviour) == who


def test_a_number_without_an_operator_is_meant_exactly(project):
    project.capture([{"event": "paid", "distinct_id": who} for who in ("ann", "bob", "bob")])
    asked = {"value": "performed_event_multiple", "operator_value": 1, "time_value": 3, "time_interval": "day"}
    assert members(project, **asked) == ["ann"]
    assert members(project, **asked, operator="gte") == ["ann", "bob"]
    old = project.cohorts.create(name="Old", groups=[{"event_id": "paid", "days": 3, "count": 2}])
    assert names(project.cohorts.persons(old.id)) == ["bob"]


def test_a_static_cohort_holds_the_persons_on_its_list(project):
    cohort = project.cohorts.create(name="Panel", is_static=True, distinct_ids=["ann", "nobody"])
    assert names(project.cohorts.persons(cohort.id)) == ["ann"]
    project.cohorts.add(cohort.id, ["bob", "ann"])
    assert count(project, properties=in_cohort(cohort.id)) == 2
    project.cohorts.remove(cohort.id, ["ann"])
    assert names(project.cohorts.persons(cohort.id)) == ["bob"]
    assert project.cohorts.calculate(cohort.id).calculation.count == 1


def test_members_are_counted_when_asked_for_and_known_to_be_out_of_date_after_a_change(project, clock):
    cohort = project.cohorts.create(name="Paying", filters={"properties": PRO})
    assert (cohort.calculation.count, cohort.is_calculated) == (None, False)
    cohort = project.cohorts.calculate(cohort.id)
    assert (cohort.calculation.count, cohort.calculation.at, cohort.is_calculated) == (1, clock.now, True)
    renamed = project.cohorts.update(cohort.id, name="Pro")
    assert renamed.is_calculated
    wider = {"properties": {**PRO, "type": "OR", "values": [*PRO["values"], {**PRO["values"][0], "value": "free"}]}}
    assert not project.cohorts.update(cohort.id, filters=wider).is_calculated
    assert project.cohorts.calculate(cohort.id).calculation.count == 2
    found = project.query({"kind": "HogQLQuery", "query": "select cohort_id, count() from cohort_people group by 1"})
    assert found["results"] == [[cohort.id, 2]]


def test_members_are_calculated_in_the_background(project):
    cohort = project.cohorts.create(name="Paying", filters={"properties": PRO})
    service = project.cohorts.service
    service.start(cohort)
    until = time.monotonic() + 60
    while service.is_calculating(cohort) and time.monotonic() < until:
        time.sleep(0.01)
    assert project.cohorts.get(cohort.id).calculation.count == 1


def test_what_goes_wrong_in_counting_is_noted(project):
    """How deep cohorts may stand in cohorts is looked at when one is stored, and again when it is counted."""

    def chain():
        made = [project.cohorts.create(name="a", filters={"properties": PRO})]
        for _ in range(5):
            inner = {"type": "AND", "values": [{"key": "id", "type": "cohort", "value": made[-1].id}]}
            made.append(project.cohorts.create(name="b", filters={"properties": inner}))
        return made

    one, two = chain(), chain()
    inner, outer = one[0], one[-1]
    assert project.cohorts.calculate(outer.id).calculation.n_errors == 0
    longer = {"type": "AND", "values": [{"key": "id", "type": "cohort", "value": two[-1].id}]}
    project.cohorts.update(inner.id, filters={"properties": longer})
    with pytest.raises(InvalidInput):
        project.cohorts.calculate(outer.id)
    failed = project.cohorts.get(outer.id).calculation
    assert (failed.n_errors, failed.error is not None) == (1, True)
    assert project.cohorts.calculate(inner.id).calculation.n_errors == 0


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"filters": {"properties": {"type": "AND", "values": [{"key": "id", "type": "cohort", "value": 77}]}}},
         "filters.properties.values[0].value"),
        ({"filters": {"properties": {"type": "AND", "values": [{"type": "behavioral", "key": "a", "value": "flew", "time_value": 1}]}}},
         "filters.properties.values[0].value"),
        ({"filters": {"properties": {"type": "AND", "values": [{**PRO["values"][0], "negation": True}]}}},
         "filters.properties"),
        ({"filters": {"properties": {"type": "AND", "values": [{"type": "behavioral", "key": "a", "value": "performed_event_multiple", "operator_value": 0, "time_value": 1}]}}},
         "filters.properties.values[0].operator_value"),
        ({"filters": {"properties": {"type": "AND", "values": [{"type": "behavioral", "key": "a", "value": "performed_event_regularly", "time_value": 1, "total_periods": 2, "min_periods": 3}]}}},
         "filters.properties.values[0].min_periods"),
        ({"filters": []}, "filters"),
        ({"filters": {"properties": []}}, "filters.properties"),
        ({"groups": [{}]}, "groups"),
        ({"groups": {"a": 1}}, "groups"),
        ({"is_static": 1}, "is_static"),
        ({"name": "x" * 401}, "name"),
    ],
)  # fmt: skip
def test_a_cohort_that_no_query_could_look_for_is_refused_with_the_path(project, fields, path):
    with pytest.raises(InvalidInput) as refused:
        project.cohorts.create(**fields)
    assert refused.value.path == path
    assert len(project.cohorts.list()) == 0


def test_cohorts_that_would_contain_each_other_are_refused(project):
    inner = project.cohorts.create(name="a", filters={"properties": PRO})
    ask = {"properties": {"type": "AND", "values": [{"key": "id", "type": "cohort", "value": inner.id}]}}
    outer = project.cohorts.create(name="b", filters=ask)
    around = {"properties": {"type": "AND", "values": [{"key": "id", "type": "cohort", "value": outer.id}]}}
    with pytest.raises(InvalidInput) as refused:
        project.cohorts.update(inner.id, filters=around)
    assert refused.value.path == "filters.properties.values[0].value"


def test_a_cohort_stays_static_or_not(project):
    dynamic = project.cohorts.create(name="a", filters={"properties": PRO})
    for change in (
        lambda: project.cohorts.update(dynamic.id, is_static=True), lambda: project.cohorts.add(dynamic.id, ["ann"]),
    ):  # fmt: skip
        with pytest.raises(InvalidInput) as refused:
            change()
        assert refused.value.path == "is_static"


def test_another_project_sees_neither(log, project):
    other = log.create_project("Two")
    action, cohort = project.actions.create(name="a"), project.cohorts.create(name="b", filters={"properties": PRO})
    for get in (lambda: other.actions.get(action.id), lambda: other.cohorts.update(cohort.id, name="c")):
        with pytest.raises(NotFound):
            get()
    with pytest.raises(InvalidInput) as refused:
        count(other, properties=in_cohort(cohort.id))
    assert refused.value.path == "query.properties[0].value"


def test_lists_are_searched_newest_first_without_deleted_ones(project):
    for name in ("Paying", "Panel", "Gone"):
        project.cohorts.create(name=name, is_static=True)
    project.cohorts.update(3, deleted=True)
    assert [one.name for one in project.cohorts.list()] == ["Panel", "Paying"]
    page = project.cohorts.list(search="PA", limit=1, offset=1)
    assert (page.count, [one.name for one in page]) == (2, ["Paying"])
    with pytest.raises(NotFound):
        project.cohorts.get(3)


def test_the_views_of_both_are_what_a_replay_gives_now_and_then(log, project, tmp_path):
    cohort = project.cohorts.create(
        name="Panel", is_static=True, distinct_ids=["ann", "bob"], by=log.create_user("ines@example.com")
    )
    before = log.position()
    project.cohorts.remove(cohort.id, ["ann"])
    project.cohorts.calculate(cohort.id)
    project.actions.update(project.actions.create(name="a").id, name="b", steps=[{"event": "left"}])
    assert verify(tmp_path / "data" / LOG_FILE) == []
    assert not any(rebuild(log_store(log)).values())
    past = log.as_of(f"position:{before}").project(project.id)
    assert past.cohorts.get(cohort.id).calculation.count is None
    assert len(past.actions.list()) == 0
    assert list(log.parts.views.listed(cohort.id)) == ["bob"]


def test_the_table_of_members_is_filled_anew_with_the_analytical_file(log, project, tmp_path):
    cohort = project.cohorts.create(name="Paying", filters={"properties": PRO})
    project.cohorts.calculate(cohort.id)
    log.close()
    for path in (tmp_path / "data").glob("events.duckdb*"):
        path.unlink()
    with insightlog.open(tmp_path / "data", clock=FrozenClock()) as again:
        query = {"kind": "HogQLQuery", "query": "select cohort_id, person_id from cohort_people"}
        found = again.project(1).query(query)["results"]
    assert [row[0] for row in found] == [cohort.id]


def test_a_replay_shows_both_as_they_were(log, project, tmp_path):
    project.actions.create(name="Joins", steps=[{"event": "signed up"}])
    cohort = project.cohorts.create(name="Panel", is_static=True)
    before = log.position()
    project.cohorts.update(cohort.id, name="Others")
    command = ["replay", "--data", str(tmp_path / "data"), "--as-of", f"position:{before}"]
    shown = json.loads(CliRunner().invoke(insightlog_command, command, catch_exceptions=False).stdout)
    (state,) = shown["projects"]
    assert [one["steps"][0]["event"] for one in state["actions"]] == ["signed up"]
    assert [(one["name"], one["is_static"], one["count"]) for one in state["cohorts"]] == [("Panel", True, None)]


def test_a_full_queue_delays_the_counting_of_members_and_refuses_nothing(log, project, monkeypatch):
    def full(*_args, **_options):
        raise TooManyQueries(5)

    cohort = project.cohorts.create(name="Paying", filters={"properties": PRO})
    with monkeypatch.context() as patched:
        patched.setattr(log.computing.runs, "start", full)
        project.cohorts.service.start(cohort)
    assert not project.cohorts.get(cohort.id).is_calculated
    assert project.cohorts.calculate(cohort.id).is_calculated
