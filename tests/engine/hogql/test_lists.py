"""Lists of events and of persons: what is selected, narrowed, grouped and ordered, and where faults are."""

from __future__ import annotations

import pytest
from tests.builders import NOW, FrozenClock

import insightlog
from insightlog import InvalidInput, QueryTooLarge

PRO = {"type": "AND", "values": [{"key": "plan", "type": "person", "value": "pro"}]}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    clock = FrozenClock()
    with insightlog.open(tmp_path_factory.mktemp("lists"), clock=clock) as log:
        made = log.create_project("One")
        for minute, (name, who, properties) in enumerate(
            [
                ("signed up", "ann", {"n": 3, "$set": {"email": "ann@x.org", "plan": "pro", "name": "Ann"}}),
                ("signed up", "bob", {"n": 5, "$set": {"email": "bob@x.org", "plan": "free"}}),
                ("left", "bob", {}),
                ("signed up", "cid", {"n": 7, "$set": {"email": "cid@y.org", "plan": "pro"}}),
            ]
        ):
            at = NOW.replace(minute=minute)
            made.capture([{"event": name, "distinct_id": who, "timestamp": at, "properties": properties}])
        made.cohorts.create(name="Paying", filters={"properties": PRO})
        made.cohorts.create(name="Panel", is_static=True, distinct_ids=["bob"])
        made.actions.create(name="Goes", steps=[{"event": "left"}])
        yield made


def events(project, *select, **asked):
    return project.query({"kind": "EventsQuery", "select": list(select), **asked})


def persons(project, *select, **asked):
    chosen = {"select": list(select)} if select else {}
    return project.query({"kind": "ActorsQuery", **chosen, **asked})


def sql(project, query):
    return project.query({"kind": "HogQLQuery", "query": query})["results"]


def test_events_come_newest_first_with_whole_events_and_persons_as_objects(project):
    found = events(project, "*", "person", "timestamp", limit=1)
    ((event, person, _),) = found["results"]
    assert (event["event"], event["properties"]["n"], event["team_id"]) == ("signed up", 7, project.id)
    assert (person["distinct_id"], person["properties"]) == ("cid", {"email": "cid@y.org"})
    assert (found["hasMore"], found["limit"], found["types"][2]) == (True, 1, "DateTime64(6, 'UTC')")


def test_clicks_come_with_what_was_clicked(project, tmp_path):
    with insightlog.open(tmp_path, clock=FrozenClock()) as log:
        made = log.create_project("Clicks")
        clicked = {"$elements": [{"tag_name": "a", "$el_text": "Buy", "attr__href": "/buy"}, {"tag_name": "body"}]}
        made.capture([{"event": "$autocapture", "distinct_id": "ann", "timestamp": NOW, "properties": clicked}])
        ((event,),) = events(made, "*")["results"]
    shown = [(one["tag_name"], one["text"], one["href"], one["order"]) for one in event["elements"]]
    assert shown == [("a", "Buy", "/buy", 0), ("body", None, None, 1)]
    ((other,),) = events(project, "*", limit=1)["results"]
    assert "elements" not in other


def test_fixed_properties_of_events_may_be_groups(project):
    free = {"key": "plan", "type": "person", "value": "free"}
    fixed = [{"type": "AND", "values": [{"type": "OR", "values": [free]}]}, {"key": "n", "type": "event", "value": "5"}]
    assert events(project, "properties.n", fixedProperties=fixed)["results"] == [[5]]
    fixed[0]["values"][0]["values"] = [{**free, "operator": "gt", "value": {}}]
    with pytest.raises(InvalidInput) as refusal:
        events(project, "properties.n", fixedProperties=fixed)
    assert refusal.value.path.startswith("query.fixedProperties[0].values[0].values[0]")


def test_events_are_narrowed_by_everything_at_once(project):
    narrow = {
        "event": "signed up",
        "where": ["properties.n > 3"],
        "properties": [{"key": "plan", "type": "person", "value": "free"}],
        "orderBy": ["timestamp"],
    }
    assert events(project, "properties.n", **narrow)["results"] == [[5]]
    assert events(project, "event", actionId=1)["results"] == [["left"]]
    (person,) = persons(project, "id", search="bob")["results"]
    assert len(events(project, "event", personId=person[0])["results"]) == 2
    assert events(project, "event", before="-1d")["results"] == []


def test_aggregations_of_events_group_by_the_other_columns_and_conditions_on_them_come_after(project):
    counted = events(project, "event", "count()")
    assert counted["results"] == [["signed up", 3], ["left", 1]]
    assert events(project, "event", "count()", where=["count() > 1"])["results"] == [["signed up", 3]]


BY_PERSON = {"breakdown": "plan", "breakdown_type": "person"}
BY_COHORTS = {"breakdown": [1, 2], "breakdown_type": "cohort"}


@pytest.mark.parametrize(
    ("chosen", "breakdown", "asked", "who"),
    [
        ({}, None, {}, ["cid", "bob", "ann"]),
        ({"day": str(NOW.date())}, None, {}, ["cid", "bob", "ann"]),
        ({"day": "2026-03-28"}, None, {}, []),
        ({"series": 1}, None, {}, ["bob"]),
        ({"breakdown": "pro"}, BY_PERSON, {}, ["cid", "ann"]),
        ({"breakdown": "$$_posthog_breakdown_null_$$"}, BY_PERSON, {}, []),
        ({"breakdown": 2}, BY_COHORTS, {}, ["bob"]),
        ({"breakdown": "[5.0,7.01]"}, {"breakdown": "n", "breakdown_histogram_bin_count": 2}, {}, ["cid", "bob"]),
        ({}, None, {"where": ["properties.n < 7"], "event": "signed up"}, ["bob", "ann"]),
        ({}, None, {"event": "left"}, []),
        ({}, None, {"before": NOW.replace(minute=1).isoformat()}, ["ann"]),
    ],
)
def test_the_events_behind_a_number_of_a_trend_are_listed(project, chosen, breakdown, asked, who):
    series = [{"kind": "EventsNode", "event": "signed up"}, {"kind": "ActionsNode", "id": 1, "math": "dau"}]
    trend = {"kind": "TrendsQuery", "series": series, "breakdownFilter": breakdown, "dateRange": {"date_from": "-7d"}}
    source = {"kind": "InsightActorsQuery", "source": trend, **chosen}
    found = events(project, "distinct_id", "timestamp", source=source, after="all", **asked)
    assert [name for name, _ in found["results"]] == who


def test_events_of_urls_that_differ_in_their_ends_stand_behind_one_value():
    trend = {
        "kind": "TrendsQuery", "series": [{"kind": "EventsNode", "event": "seen"}],
        "breakdownFilter": {"breakdown": "$current_url", "breakdown_normalize_url": True},
    }  # fmt: skip
    urls = ("https://x.org/a.b", "https://x.org/a.b/?", "https://x.org/aXb", "/#")
    with insightlog.open(":memory:", clock=FrozenClock()) as log:
        own = log.create_project("Own")
        own.capture([{"event": "seen", "distinct_id": "u", "properties": {"$current_url": url}} for url in urls])
        for value, n in (("https://x.org/a.b", 2), ("/", 1), ("$$_posthog_breakdown_null_$$", 0)):
            source = {"kind": "InsightActorsQuery", "source": trend, "breakdown": value}
            assert len(events(own, "uuid", source=source)["results"]) == n


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"series": 7}, "query.source.series"),
        ({"source": {"kind": "PathsQuery"}}, "query.source.source.kind"),
        ({"source": {"kind": "TrendsQuery", "series": [{"kind": "EventsNode", "math": "first_time_for_user"}]}},
         "query.source"),
    ],
)  # fmt: skip
def test_events_that_no_number_of_a_trend_names_are_refused(project, changed, path):
    trend = {"kind": "TrendsQuery", "series": [{"kind": "EventsNode"}]}
    with pytest.raises(InvalidInput) as refused:
        events(project, "uuid", source={"kind": "InsightActorsQuery", "source": trend, **changed})
    assert refused.value.path == path


def test_persons_come_newest_first_as_objects(project):
    found = persons(project)
    assert [row[0]["distinct_ids"] for row in found["results"]] == [["cid"], ["bob"], ["ann"]]
    assert [(row[0]["id"] == row[1], row[3]) for row in found["results"]] == [(True, 1)] * 3
    assert found["columns"] == ["person", "id", "created_at", "person.$delete"]


def test_persons_without_their_age_come_by_the_first_column(project):
    assert persons(project, "properties.email")["results"] == [["ann@x.org"], ["bob@x.org"], ["cid@y.org"]]
    found = persons(project, "id")["results"]
    assert found == sorted(found)


@pytest.mark.parametrize(
    ("asked", "emails"),
    [
        ({"properties": [{"key": "plan", "value": "pro", "type": "person"}]}, ["ann@x.org", "cid@y.org"]),
        ({"properties": [{"key": "plan", "value": "pro"}]}, ["ann@x.org", "cid@y.org"]),
        ({"fixedProperties": [{"key": "id", "value": 1, "type": "cohort"}]}, ["ann@x.org", "cid@y.org"]),
        ({"properties": [{"key": "id", "value": 1, "type": "cohort", "operator": "not_in"}]}, ["bob@x.org"]),
        ({"properties": [{"key": "properties.email like '%y.org'", "type": "hogql"}]}, ["cid@y.org"]),
        ({"search": " ANN "}, ["ann@x.org"]),
        ({"limit": 1, "offset": 1}, ["bob@x.org"]),
        ({"source": {"kind": "HogQLQuery", "query": "select person_id from events where event = 'left'"}},
         ["bob@x.org"]),
        ({"source": {"kind": "HogQLQuery", "query": "select 1 as one, person_id as actor_id from events where event ="
                     " {e}", "values": {"e": "signed up"}}, "properties": PRO}, ["ann@x.org", "cid@y.org"]),
    ],
)  # fmt: skip
def test_persons_are_narrowed(project, asked, emails):
    found = persons(project, "properties.email", orderBy=["properties.email"], **asked)
    assert [email for (email,) in found["results"]] == emails


def test_persons_are_found_by_a_part_of_their_uuid_and_sorted_by_their_address(project):
    everyone = persons(project, "id", orderBy=["person DESC"])["results"]
    assert persons(project, "properties.email", orderBy=["person DESC"])["results"] == [
        ["cid@y.org"], ["bob@x.org"], ["ann@x.org"],
    ]  # fmt: skip
    assert persons(project, "properties.email", search=everyone[1][0][:18].upper())["results"] == [["bob@x.org"]]


def test_persons_are_counted_by_what_else_is_selected(project):
    assert persons(project, "properties.plan", "count()")["results"] == [["pro", 2], ["free", 1]]


def test_persons_behind_an_insight_are_narrowed_by_their_properties(project):
    source = {"kind": "InsightActorsQuery", "series": 0, "day": NOW.date().isoformat(), "source": {
        "kind": "TrendsQuery", "series": [{"kind": "EventsNode", "event": "signed up", "math": "dau"}],
        "dateRange": {"date_from": "-7d"}}}  # fmt: skip
    free = [{"key": "plan", "value": "free", "type": "person"}]
    assert len(persons(project, "id", source=source)["results"]) == 3
    (found,) = persons(project, "actor", source=source, properties=free)["results"]
    assert found[0]["distinct_ids"] == ["bob"]


@pytest.mark.parametrize(
    ("query", "path", "words"),
    [
        ({"kind": "ActorsQuery", "select": ["id", "nope"]}, "query.select[1]", "nope at line 1, column 1"),
        ({"kind": "ActorsQuery", "orderBy": ["a("]}, "query.orderBy[0]", "line 1"),
        ({"kind": "ActorsQuery", "properties": [{"key": "a", "value": 1, "type": "event"}]},
         "query.properties[0].type", "person"),
        ({"kind": "ActorsQuery", "source": {"kind": "HogQLQuery", "query": "select nope from events"}},
         "query.source.query", "nope at line 1, column 8"),
        ({"kind": "ActorsQuery", "limit": 0}, "query.limit", "limit"),
        ({"kind": "ActorsQuery", "offset": -1}, "query.offset", "0 or more"),
        ({"kind": "EventsQuery", "select": ["event", "nope"]}, "query.select[1]", "nope at line 1, column 1"),
        ({"kind": "EventsQuery", "select": ["event"], "where": ["1", "x = 1"]}, "query.where[1]", "x at line 1"),
        ({"kind": "EventsQuery", "select": ["event"], "actionId": 9}, "query.actionId", "9"),
        ({"kind": "EventsQuery", "select": ['{"narrow"}']}, None, "narrow"),
        ({"kind": "HogQLQuery", "query": "select any_value(interval 1 day) from events"}, "query.query", "interval"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_path_and_position(project, query, path, words):
    with pytest.raises(InvalidInput) as refused:
        project.query(query)
    assert refused.value.path == path
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("select properties.name from persons where id in cohort 1 order by created_at", [["Ann"], [None]]),
        ("select distinct_id from person_distinct_ids where person_id not in cohort 'Paying'", [["bob"]]),
        ("select person_id in cohort 1, count() from events group by person_id in cohort 1 order by 1", [[False, 2], [True, 2]]),
        ("select cohort_id, count() from cohort_people group by 1 order by 1", [[1, 2], [2, 1]]),
        ("select cohort_id from static_cohort_people", [[2]]),
        ("select pdi.person.properties.email from events where event = 'left'", [["bob@x.org"]]),
        ("select dateAdd(day, 1, toDate('2020-02-28')), dateDiff(week, toDate('2020-01-01'), toDate('2020-01-06'))",
         [["2020-02-29", 1]]),
    ],
)  # fmt: skip
def test_tables_of_persons_know_cohorts_and_units_need_no_quotes(project, query, rows):
    assert sql(project, query) == rows


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("select number % 2 as k, number from numbers(7) order by 2 desc limit 1 by k", [[0, 6], [1, 5]]),
        ("select number % 4 as k, count() as c from numbers(11) group by k order by c desc, k limit 2 by c",
         [[0, 3], [1, 3], [3, 2]]),
        ("select number % 4, count() from numbers(11) group by 1 having count() > 2 order by 2, 1 desc limit 1 by count()",
         [[2, 3]]),
    ],
)  # fmt: skip
def test_the_first_of_each_are_those_of_the_order_also_by_place_and_of_groups(project, query, rows):
    assert sql(project, query) == rows


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("select number from numbers(5) n where exists (select 1 from numbers(3) m where m.number = n.number) order by 1",
         [[0], [1], [2]]),
        ("select number, (select count() from numbers(3) where number < n.number) from numbers(3) n order by 1",
         [[0, 0], [1, 1], [2, 2]]),
        ("select number from numbers(4) n where number in (select 3 union all select 2 from numbers(1) where n.number < 3)",
         [[2], [3]]),
        ("select properties.name from persons p where not exists (select 1 from events e where e.person_id = p.id)", []),
        ("select uniq(person_id) from events e where exists (select 1 from persons where id = e.person_id and properties.name = 'Ann')",
         [[1]]),
    ],
)  # fmt: skip
def test_a_subquery_in_an_expression_sees_the_row_around_it(project, query, rows):
    assert sql(project, query) == rows


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({"events": ["left", "came"]}, ["left"]),
        ({"event": "left", "events": ["signed up"]}, ["left", "signed up"]),
        ({"actionSteps": [{"event": "left"}, {"event": "came"}]}, ["left"]),
        ({"actionSteps": [{"event": None, "properties": [{"key": "n", "value": 3, "operator": "gt"}]}]}, ["signed up"]),
        ({"actionId": 1, "event": "signed up"}, []),
        ({"actionId": 1, "actionSteps": [{"event": "signed up"}]}, ["left"]),
    ],
)
def test_events_are_narrowed_by_several_names_and_by_steps_of_an_action(project, asked, names):
    found = events(project, "event as name", "count() as n", orderBy=["name"], **asked)
    assert ([name for name, _ in found["results"]], found["columns"]) == (names, ["name", "n"])


def test_a_step_of_an_action_that_cannot_be_read_is_named(project):
    for step, path in [
        ({"text_matching": "odd"}, "query.actionSteps[0].text_matching"),
        ({"event": "$autocapture", "selector": "a > > b"}, "query.actionSteps[0].selector"),
    ]:
        with pytest.raises(InvalidInput) as refused:
            events(project, "event", actionSteps=[step])
        assert refused.value.path == path


def test_names_that_columns_were_given_are_known_to_conditions_and_orders(project):
    found = events(project, "properties.n as n", "event", where=["n > 3"], orderBy=["n DESC"])
    assert (found["results"], found["columns"]) == ([[7, "signed up"], [5, "signed up"]], ["n", "event"])
    assert persons(project, "properties.name as called", orderBy=["called"])["results"] == [["Ann"], [None], [None]]
    assert events(project)["columns"] == ["*"]


def test_persons_are_shown_by_a_name(project):
    label = "person_display_name -- Person"
    found = events(project, label, "event -- What", orderBy=[f"{label} DESC"], limit=1)
    ((shown, event),) = found["results"]
    assert (shown["display_name"], shown["distinct_id"], event) == ("cid@y.org", "cid", "signed up")
    assert found["columns"] == [label, "event -- What"]
    names = persons(project, label, "id", orderBy=[f"{label} DESC"])
    assert [row[0]["display_name"] for row in names["results"]] == ["cid@y.org", "bob@x.org", "ann@x.org"]
    assert all(row[0]["id"] == row[1] for row in names["results"])
    trend = {"kind": "TrendsQuery", "series": [{"event": "signed up", "kind": "EventsNode"}]}
    source = {"kind": "InsightActorsQuery", "source": trend | {"trendsFilter": {"display": "BoldNumber"}}}
    behind = persons(project, label, "event_count", orderBy=[f"{label} DESC"], source=source)
    assert [row[0]["display_name"] for row in behind["results"]] == ["cid@y.org", "bob@x.org", "ann@x.org"]
    assert behind["columns"] == [label, "event_count"]


@pytest.mark.parametrize("action", ["'Goes'", "1"])
def test_an_action_is_asked_of_events_by_its_name_or_number(project, action):
    asked = f"matchesAction({action})"
    assert sql(project, f"select event, distinct_id from events e where {asked}") == [["left", "bob"]]
    assert events(project, asked, "count()", orderBy=["1"])["results"] == [[False, 3], [True, 1]]
    where = [{"type": "hogql", "key": asked}]
    series = [{"kind": "EventsNode", "event": None, "properties": where}]
    found = project.query({"kind": "TrendsQuery", "series": series, "dateRange": {"date_from": "all"}})
    assert found["results"][0]["count"] == 1


@pytest.mark.parametrize(
    "query",
    [
        "select 1 from events where matchesAction(7)",
        "select 1 from events where matchesAction(true)",
        "select 1 from events where matchesAction(event)",
        "select 1 from persons where matchesAction(1)",
        "select 1 from events a join events b on a.uuid = b.uuid where matchesAction(1)",
    ],
)
def test_an_action_is_one_that_is_known_and_asked_of_one_table_of_events(project, query):
    with pytest.raises(InvalidInput, match=r"[aA]ction"):
        sql(project, query)


def test_an_action_that_is_about_itself_is_refused(project):
    step = {"event": "left", "properties": [{"type": "hogql", "key": "matchesAction('Turns')"}]}
    project.actions.create(name="Turns", steps=[step, step])
    with pytest.raises(InvalidInput, match="too deeply"):
        sql(project, "select 1 from events where matchesAction('Turns')")


def test_a_table_without_persons_has_nobody_in_a_cohort(project):
    with pytest.raises(InvalidInput, match="line 1"):
        sql(project, "select key from groups where key in cohort 1")


def test_an_interval_is_no_number_to_show(project):
    series = [{"kind": "EventsNode", "event": "left", "math": "hogql", "math_hogql": "any_value(interval 1 day)"}]
    with pytest.raises(InvalidInput) as refused:
        project.query({"kind": "TrendsQuery", "series": series})
    assert refused.value.path == "query.series[0].math_hogql"


@pytest.mark.parametrize(
    "query",
    [
        "select arrayMap(x -> repeat('a', 1000), range(100000))",
        "select groupArray(replaceAll(repeat('a', 10000), 'a', repeat('b', 100))) from numbers(20)",
        "select replaceAll(repeat('a', 10000), 'a', repeat('b', 10000))",
        "select replaceRegexpAll(repeat('a', 10000), 'a', repeat('b', 10000))",
        "select arrayMap(x -> arrayMap(y -> repeat('a', 1000), range(2)), range(2))",
        "select repeat('a', 10000) from numbers(10000) limit 10000",
    ],
)
def test_an_answer_too_large_for_memory_is_given_up(project, query):
    with pytest.raises(QueryTooLarge):
        sql(project, query)


def test_texts_are_made_as_long_as_they_may_be(project):
    texts = (
        "repeat('ab', 3), leftPad('1', 3, '0'), replaceAll('aaa', 'a', 'bb'), replaceRegexpAll('a1b2', '[0-9]', '-')"
    )
    assert sql(project, f"select {texts}") == [["ababab", "001", "bbbbbb", "a-b-"]]
    padded = "select arrayMap(x -> leftPad(toString(x), 3, '0'), range(2)), arrayStringConcat(['a', 'b'], ', ')"
    assert sql(project, padded) == [[["000", "001"], "a, b"]]
    assert len(sql(project, "select repeat('a', 1000), number from numbers(300) order by number limit 300")) == 300
