"""The actors behind the numbers of trends, stickiness and lifecycle: as many as the chart says, and the right ones."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insightlog.application import actors as application_actors
from insightlog.application.calculation import QueryContext, calculate
from insightlog.domain.errors import InvalidQuery, QueryTooLarge
from insightlog.domain.product_event import ProductEvent

NOW = datetime(2020, 3, 31, 13, 0, 1, tzinfo=UTC)
ids = itertools.count(1)


def fill(shared, rows):
    """Put (days ago, who, properties) into a project of their own."""
    log, _, projects = shared
    project = next(projects)
    events = [
        ProductEvent(UUID(int=next(ids)), "view", who, NOW - timedelta(days=ago), json.dumps(properties))
        for ago, who, properties in rows
    ]
    log.append(project, events, captured_at=NOW)
    return project


def ask(shared, project, node):
    return calculate(node, context=QueryContext(project, NOW, "America/New_York"), store=shared[1])


def actors(shared, project, source, *, select=("id",), **selectors):
    selectors = {name: value for name, value in selectors.items() if value is not None}
    source = {"kind": "InsightActorsQuery", "source": source, **selectors}
    node = {"kind": "ActorsQuery", "select": list(select), "source": source}
    found = ask(shared, project, node)
    assert len({json.dumps(row) for row in found["results"]}) == len(found["results"])
    return [row[0] if len(select) == 1 else row for row in found["results"]]


def a_query(kind, math=None, **more):
    series = [{"kind": "EventsNode", "event": "view", **({"math": math} if math else {})}]
    if math == "unique_group":
        series[0]["math_group_type_index"] = 0
    return {"kind": kind, "series": series, "dateRange": {"date_from": "-3d"}, **more}


ROWS = st.lists(
    st.tuples(
        st.integers(0, 9),
        st.sampled_from("abcd"),
        st.fixed_dictionaries(
            {
                "plan": st.sampled_from(["pro", "free", "", None]),
                "n": st.sampled_from([1, 2, 7]),
                "$group_0": st.sampled_from(["g1", "g2", None]),
            }
        ),
    ),
    max_size=12,
)
BREAKDOWNS = {
    "none": None,
    "one": {"breakdown": "plan"},
    "bins": {"breakdown": "n", "breakdown_histogram_bin_count": 2},
    "several": {"breakdowns": [{"property": "plan"}, {"property": "n"}]},
}


@settings(max_examples=25, deadline=None)
@given(
    rows=ROWS,
    math=st.sampled_from(["dau", "weekly_active", "monthly_active", "unique_group", "first_time_for_user"]),
    display=st.sampled_from(["ActionsLineGraph", "ActionsLineGraphCumulative", "ActionsTable"]),
    interval=st.sampled_from(["day", "week"]),
    breakdown=st.sampled_from(list(BREAKDOWNS)),
)
def test_as_many_actors_are_found_as_the_chart_shows(shared, rows, math, display, interval, breakdown):
    if display == "ActionsLineGraphCumulative" and math != "dau":
        display = "ActionsLineGraph"  # the others are running sums of numbers, not of actors
    project = fill(shared, rows)
    query = a_query("TrendsQuery", math, interval=interval, compareFilter={"compare": True})
    query |= {"trendsFilter": {"display": display}, "breakdownFilter": BREAKDOWNS[breakdown]}
    for row in ask(shared, project, query)["results"]:
        chosen = {"breakdown": row.get("breakdown_value"), "compare": row["compare_label"]}
        if display == "ActionsTable":
            assert len(actors(shared, project, query, **chosen)) == row["aggregated_value"]
        for day, number in zip(row["days"], row["data"], strict=True):
            assert len(actors(shared, project, query, day=day, **chosen)) == number, (day, chosen)


@settings(max_examples=12, deadline=None)
@given(rows=ROWS, computed_as=st.sampled_from(["non_cumulative", "cumulative"]))
def test_as_many_actors_are_found_as_stickiness_shows(shared, rows, computed_as):
    project = fill(shared, rows)
    query = a_query("StickinessQuery", stickinessFilter={"computedAs": computed_as})
    (row,) = ask(shared, project, query)["results"]
    for day, number in zip(row["days"], row["data"], strict=True):
        assert len(actors(shared, project, query, day=day)) == number


@settings(max_examples=12, deadline=None)
@given(rows=ROWS)
def test_as_many_actors_are_found_as_lifecycle_shows(shared, rows):
    project = fill(shared, rows)
    query = a_query("LifecycleQuery")
    for row in ask(shared, project, query)["results"]:
        for day, number in zip(row["days"], row["data"], strict=True):
            assert len(actors(shared, project, query, day=day, status=row["status"])) == abs(number)


def test_who_they_are_and_how_many_events_they_have(shared):
    project = fill(shared, [(1, "a", {}), (1, "a", {}), (1, "b", {"plan": "pro"}), (2, "c", {})])
    query = a_query("TrendsQuery")
    found = actors(shared, project, query, select=("actor", "event_count"), day="2020-03-30")
    assert [(actor["distinct_ids"], count) for actor, count in found] == [(["a"], 2), (["b"], 1)]
    assert len(actors(shared, project, query, day="2020-03-29T12:00:00Z")) == 1
    assert len(actors(shared, project, query)) == 3
    split = query | {"breakdownFilter": {"breakdown": "plan"}}
    assert len(actors(shared, project, split, day="2020-03-30", breakdown="pro")) == 1
    everyone = "$$_posthog_breakdown_other_$$"
    assert len(actors(shared, project, split, day="2020-03-30", breakdown=everyone)) == 2


@pytest.mark.parametrize(
    ("kind", "selectors", "path"),
    [
        ("TrendsQuery", {"series": 1}, "series"),
        ("TrendsQuery", {"day": "2020-01-01"}, "day"),
        ("TrendsQuery", {"day": "someday"}, "day"),
        ("TrendsQuery", {"compare": "previous"}, "compare"),
        ("StickinessQuery", {}, "day"),
        ("StickinessQuery", {"day": "often"}, "day"),
        ("LifecycleQuery", {"day": "2020-03-30"}, "status"),
        ("LifecycleQuery", {"status": "new"}, "day"),
    ],
)
def test_a_selector_that_selects_nothing_is_named(shared, kind, selectors, path):
    with pytest.raises(InvalidQuery) as refused:
        actors(shared, 1, a_query(kind), **selectors)
    assert refused.value.path == f"query.source.{path}"


def options(shared, project, query):
    source = {"kind": "InsightActorsQuery", "source": query}
    return ask(shared, project, {"kind": "InsightActorsQueryOptions", "source": source})


def test_the_options_are_those_of_the_chart(shared):
    project = fill(shared, [(1, "a", {"plan": "pro", "n": 1}), (2, "b", {"n": 2})])
    query = a_query("TrendsQuery", breakdownFilter=BREAKDOWNS["several"], compareFilter={"compare": True})
    found = options(shared, project, query)
    (row, *_) = ask(shared, project, query)["results"]
    assert found["day"][0] == {"label": row["labels"][0], "value": row["days"][0]}
    assert found["series"] == [{"label": "view", "value": 0}]
    assert [one["value"] for one in found["compare"]] == ["current", "previous"]
    null = "$$_posthog_breakdown_null_$$"
    assert [[one["value"] for one in column["values"]] for column in found["breakdowns"]] == [["pro", null], ["1", "2"]]
    assert (found["status"], found["breakdown"]) == (None, None)
    lifecycle = options(shared, project, a_query("LifecycleQuery"))
    assert [one["label"] for one in lifecycle["status"]] == ["Dormant", "New", "Resurrecting", "Returning"]
    sticky = options(shared, project, a_query("StickinessQuery"))
    assert sticky["day"][1] == {"label": "2 days", "value": 2}
    kept = options(shared, project, {"kind": "RetentionQuery", "retentionFilter": {"totalIntervals": 3}})
    assert [one["value"] for one in kept["interval"]] == [0, 1, 2]


def test_what_is_no_value_is_an_option_with_words_for_people(shared):
    project = fill(shared, [(1, "a", {"n": 4}), (1, "b", {"n": 4}), (1, "c", {"n": 8}), (2, "d", {"n": "many"})])

    def of(**split):
        query = a_query("TrendsQuery", breakdownFilter=split)
        return query, [(one["label"], one["value"]) for one in options(shared, project, query)["breakdown"]]

    other = ("Other (i.e. all remaining values)", "$$_posthog_breakdown_other_$$")
    null = ("None (i.e. no value)", "$$_posthog_breakdown_null_$$")
    assert of(breakdown="n", breakdown_limit=1)[1] == [("4", "4"), other]
    query, found = of(breakdown="n", breakdown_histogram_bin_count=2)
    assert found == [("[4,6]", "[4,6]"), ("[6,8.01]", "[6,8.01]"), ('["",""]', '["",""]'), null]
    assert [len(actors(shared, project, query, breakdown=value)) for _, value in found] == [2, 1, 4, 1]


def test_a_previous_number_may_be_named_by_the_current_day_above_it(shared):
    project = fill(shared, [(0, "a", {}), (2, "b", {}), (2, "c", {}), (3, "d", {})])
    days = {"date_from": "2020-03-30", "date_to": "2020-03-31"}
    query = a_query("TrendsQuery", compareFilter={"compare": True}) | {"dateRange": days}
    _, previous = ask(shared, project, query)["results"]
    assert (previous["days"], previous["data"]) == (["2020-03-28", "2020-03-29"], [1, 2])
    for day, number in [("2020-03-28", 1), ("2020-03-29", 2), ("2020-03-30", 1), ("2020-03-31T00:00:00-04:00", 2)]:
        assert len(actors(shared, project, query, day=day, compare="previous")) == number
    with pytest.raises(InvalidQuery):
        actors(shared, project, query, day="2020-03-27", compare="previous")


def test_without_a_selection_persons_have_four_columns_and_groups_one(shared):
    project = fill(
        shared, [(1, "a", {"$group_0": "acme", "$set": {"email": "z@x"}}), (1, "b", {"$set": {"email": "a@x"}})]
    )

    def asked(math=None, **more):
        source = {"kind": "InsightActorsQuery", "source": a_query("TrendsQuery", math)}
        return ask(shared, project, {"kind": "ActorsQuery", "source": source, **more})

    found = asked(orderBy=["person"])
    assert found["columns"] == ["person", "id", "created_at", "person.$delete"]
    assert [row[0]["distinct_ids"] for row in found["results"]] == [["b"], ["a"]]
    groups = asked("unique_group", orderBy=["group DESC"])
    assert (groups["columns"], [row[0]["id"] for row in groups["results"]]) == (["group"], ["acme"])


def test_properties_of_groups_are_columns(shared):
    project = fill(shared, [(1, "a", {"$groups": {"company": "acme"}})])
    told = json.dumps({"$group_type": "company", "$group_key": "acme", "$group_set": {"size": 7}})
    shared[0].append(project, [ProductEvent(UUID(int=next(ids)), "$groupidentify", "a", NOW, told)], captured_at=NOW)
    source = {"kind": "InsightActorsQuery", "source": a_query("TrendsQuery", "unique_group")}
    node = {"kind": "ActorsQuery", "source": source, "select": ["id", "group.properties.size"]}
    assert ask(shared, project, node | {"orderBy": ["group.properties.size"]})["results"] == [["acme", 7]]


def test_actors_come_in_the_order_asked_for(shared):
    rows = [(1, "a", {"$set": {"age": 9}}), (1, "b", {}), (2, "b", {}), (1, "c", {"$set": {"age": 10}}), (2, "c", {})]
    project = fill(shared, rows)

    def ordered(*by, **more):
        source = {"kind": "InsightActorsQuery", "source": a_query("TrendsQuery")}
        node = {"kind": "ActorsQuery", "select": ["event_count", "properties.age"], "source": source, **more}
        return ask(shared, project, node | {"orderBy": list(by)})["results"]

    assert ordered("properties.age DESC") == [[2, 10], [1, 9], [2, None]]
    assert ordered("properties.age") == [[1, 9], [2, 10], [2, None]]
    assert ordered("event_count DESC, properties.age ASC") == [[2, 10], [2, None], [1, 9]]
    assert ordered("event_count", "properties.age", limit=1, offset=1) == [[2, 10]]
    assert ordered("event_count", limit=1, select=["value_at_data_point"]) == [[1]]
    for wrong in ("actor", "event_count UP", "count()"):
        with pytest.raises(InvalidQuery) as refused:
            ordered("id", wrong)
        assert refused.value.path == "query.orderBy[1]"


def test_more_actors_than_can_be_looked_at_are_refused_not_cut(shared, monkeypatch):
    project = fill(shared, [(1, "a", {}), (1, "b", {}), (1, "zoe", {})])
    source = {"kind": "InsightActorsQuery", "source": a_query("TrendsQuery")}
    node = {"kind": "ActorsQuery", "select": ["id"], "source": source}
    monkeypatch.setattr(application_actors, "MAX_LOOKED_AT", 2)
    for more in ({"search": "zoe"}, {"orderBy": ["id"]}):
        with pytest.raises(QueryTooLarge):
            ask(shared, project, node | more)
    assert len(ask(shared, project, node)["results"]) == 3
    monkeypatch.setattr(application_actors, "MAX_LOOKED_AT", 3)
    assert len(ask(shared, project, node | {"search": "zoe"})["results"]) == 1


def test_a_bound_that_is_shown_rounded_loses_no_actor(shared):
    project = fill(shared, [(1, who, {"n": n}) for who, n in (("a", 2 / 3), ("b", 1), ("c", 4 / 3), ("d", 5 / 3))])
    breakdown = {"breakdown": "n", "breakdown_histogram_bin_count": 3}
    query = a_query("TrendsQuery", "dau", breakdownFilter=breakdown, trendsFilter={"display": "ActionsTable"})
    rows = ask(shared, project, query)["results"]
    assert sum(row["aggregated_value"] for row in rows) == 4
    for row in rows:
        assert len(actors(shared, project, query, breakdown=row["breakdown_value"])) == row["aggregated_value"]


def test_the_actors_of_a_bin_are_those_whose_first_event_lies_in_it(shared):
    project = fill(shared, [(3, "a", {"n": 1}), (2, "a", {"n": 9}), (2, "b", {"n": 9})])
    query = a_query("TrendsQuery", "first_matching_event_for_user")
    query["breakdownFilter"] = {"breakdown": "n", "breakdown_histogram_bin_count": 2}
    query["trendsFilter"] = {"display": "ActionsTable"}
    for row in ask(shared, project, query)["results"]:
        assert len(actors(shared, project, query, breakdown=row["breakdown_value"])) == row["aggregated_value"] == 1
