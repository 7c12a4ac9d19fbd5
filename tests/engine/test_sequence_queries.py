"""Funnels, correlation, retention and paths over a real DuckDB file, with answers worked out by hand."""

from __future__ import annotations

import random
from random import Random

import pytest

from insightlog.adapters.kernels import histories as kernel_histories
from insightlog.adapters.kernels import packed
from insightlog.adapters.storage.duckdb import _histories
from insightlog.domain.errors import InvalidQuery
from insightlog.domain.queries import funnels
from insightlog.domain.queries.scope import ActionMeaning, ActionStep, CohortMeaning, PathRule

from .conftest import RANGE, by_value, counts, funnel, step


@pytest.mark.parametrize("touch", ["first_touch", "last_touch"])
def test_events_that_are_no_step_of_a_strict_funnel_give_no_breakdown_value(asked, touch):
    other, mine = {"browser": "Safari"}, {"browser": "Chrome"}
    history = {"a": [("x", 1, other), ("signed up", 2, mine), ("paid", 3, mine), ("x", 4, other)]}
    query = funnel(
        "signed up", "paid", breakdown={"breakdown": "browser"}, funnelOrderType="strict",
        breakdownAttributionType=touch,
    )  # fmt: skip
    assert by_value(asked(query, history)["results"]) == {"Chrome": [1, 1]}


FIRST = {
    "a": [("signed up", 1, {"plan": "free"}), ("signed up", 2, {"plan": "pro"}), ("paid", 3)],
    "b": [("signed up", 1, {"plan": "pro"}), ("paid", 3)],
}
PRO = [{"key": "plan", "value": "pro", "type": "event"}]


@pytest.mark.parametrize(
    ("math", "expected"),
    [(None, [2, 2]), ("first_time_for_user", [1, 1]), ("first_time_for_user_with_filters", [2, 2])],
)
def test_a_step_may_be_the_first_of_its_name_or_the_first_that_passes(asked, math, expected):
    query = funnel(step("signed up", properties=PRO, **({"math": math} if math else {})), "paid")
    assert counts(asked(query, FIRST)["results"]) == expected


def test_the_first_time_of_an_action_is_told_by_its_steps(asked):
    history = {"a": [("$pageview", 1, {"$current_url": "/home"}), ("$pageview", 2, {"$current_url": "/pay"})]}
    action = ActionMeaning(7, "Looks at prices", (ActionStep("$pageview", url="/pay"), ActionStep("paid")))
    query = funnel({"kind": "ActionsNode", "id": 7, "math": "first_time_for_user"}, "$pageview")
    assert counts(asked(query, history, actions={7: action})["results"]) == [1, 0]
    retained = {"kind": "RetentionQuery", "retentionFilter": {
        "retentionType": "retention_first_ever_occurrence", "targetEntity": {"id": 7, "type": "actions"},
    }}  # fmt: skip
    rows = asked(retained, actions={7: action})["results"]
    assert [row["values"][0]["count"] for row in rows] == [0, 0, 0, 0, 1, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    "exclusion", [step("paid"), step("paid", properties=PRO), step("paid", properties=[*PRO, *PRO])]
)
def test_an_exclusion_that_covers_a_step_or_is_covered_by_one_is_refused(asked, exclusion):
    steps = ("signed up", step("paid", properties=PRO)) if "properties" not in exclusion else ("signed up", "paid")
    query = funnel(*steps, exclusions=[{**exclusion, "funnelFromStep": 0, "funnelToStep": 1}])
    with pytest.raises(InvalidQuery, match="can't be the same"):
        asked(query)


def test_times_to_convert_are_of_everyone_whatever_the_breakdown(asked):
    history = {"a": [("signed up", 1, {"plan": "pro"}), ("paid", 2)], "b": [("signed up", 1), ("paid", 3)]}
    breakdown = {"breakdown": "plan", "breakdown_limit": 1}
    for attribution in ("first_touch", "all_events"):
        query = funnel(
            "signed up", "paid", breakdown=breakdown, funnelVizType="time_to_convert", binCount=1,
            breakdownAttributionType=attribution,
        )  # fmt: skip
        found = asked(query, history)["results"]
        history = None
        assert found == {"bins": [[3600, 1], [7200, 1]], "average_conversion_time": 5400.0}


CORRELATED = {
    **{f"won{n}": [("a", 1), ("good", 2, {"k": "v"}), ("b", 3, {"k": "v"}), ("c", 4)] for n in range(4)},
    **{f"lost{n}": [("a", 1), ("bad", 2, {"k": "w"}), ("b", 3, {"k": "v"})] for n in range(4)},
    **{f"left{n}": [("a", 1), ("worse", 2, {"k": "w"})] for n in range(4)},
}


def correlated(answer):
    rows = answer["results"]["events"]
    return {row["event"]["event"]: (row["success_count"], row["failure_count"]) for row in rows}


@pytest.mark.parametrize(
    ("funnel_step", "expected"),
    [
        (None, {"good": (4, 0), "bad": (0, 4), "worse": (0, 4)}),
        (2, {"good": (4, 0), "bad": (0, 4)}),
        (-2, {}),
    ],
)
def test_a_correlation_is_about_those_who_took_the_step_asked_for(asked, funnel_step, expected):
    source = {"kind": "FunnelsActorsQuery", "source": funnel("a", "b", "c")}
    source |= {} if funnel_step is None else {"funnelStep": funnel_step}
    query = {"kind": "FunnelCorrelationQuery", "funnelCorrelationType": "events", "source": source}
    assert correlated(asked(query, CORRELATED)) == expected
    for name, numbers in expected.items():
        entity = {"kind": "EventsNode", "event": name}
        actors = {"kind": "FunnelCorrelationActorsQuery", "source": query, "funnelCorrelationPersonEntity": entity}
        for is_converted, n in zip((True, False), numbers, strict=True):
            source = actors | {"funnelCorrelationPersonConverted": is_converted}
            assert len(asked({"kind": "ActorsQuery", "source": source})["results"]) == n


def test_properties_of_the_steps_of_a_funnel_are_not_correlated(asked):
    query = {
        "kind": "FunnelCorrelationQuery", "funnelCorrelationType": "event_with_properties",
        "funnelCorrelationEventNames": ["b", "good", "bad"],
        "source": {"kind": "FunnelsActorsQuery", "source": funnel("a", "b", "c")},
    }  # fmt: skip
    assert correlated(asked(query, CORRELATED)) == {"good::k::v": (4, 0), "bad::k::w": (0, 4)}


def test_actors_see_persons_as_the_insight_behind_them_does(asked):
    asked({"source": None, "kind": "ActorsQuery"}, {"a": [("a", 1, {"$set": {"plan": "free"}})]})
    is_free = [{"key": "plan", "value": "free", "type": "person"}]
    query = funnel(step("a", properties=is_free), "b")
    query["modifiers"] = {"personsOnEventsMode": "person_id_override_properties_on_events"}
    entity = {"id": "a", "type": "events", "properties": is_free}
    rows = retention(totalIntervals=1) | {"modifiers": query["modifiers"], "dateRange": RANGE}
    rows["retentionFilter"]["targetEntity"] = entity
    sources = [
        {"kind": "FunnelsActorsQuery", "source": query, "funnelStep": 1},
        {"kind": "InsightActorsQuery", "source": rows, "interval": 4},
    ]
    assert counts(asked(query, {"a": [("$set", 2, {"$set": {"plan": "pro"}})]})["results"]) == [1, 0]
    for source in sources:
        assert len(asked({"kind": "ActorsQuery", "source": source})["results"]) == 1
        joined = {"personsOnEventsMode": "person_id_override_properties_joined"}
        assert asked({"kind": "ActorsQuery", "source": source, "modifiers": joined})["results"] == []
        source["source"]["modifiers"] = {"personsOnEventsMode": "odd"}
        with pytest.raises(InvalidQuery) as error:
            asked({"kind": "ActorsQuery", "source": source})
        assert error.value.path == "query.source.source.modifiers.personsOnEventsMode"


PLANS = {"a": {"plan": "pro"}, "b": {"plan": ""}, "c": {}, "d": {"plan": "free"}, "e": {"plan": None}}


def test_persons_without_a_profile_are_named_by_their_uuid(asked):
    bare = {"$process_person_profile": False}
    asked(funnel("a"), {"a": [("a", 1, bare)], "b": [("a", 1, {"$set": {"x": 1}})], "c": [("a", 1)]})
    merge = {"c": [("$merge_dangerously", 2, {"alias": "b"})]}
    sql = {"kind": "HogQLQuery", "query": "select distinct_id, person_id from events"}
    rows = asked({"kind": "DataVisualizationNode", "source": sql}, merge)["results"]
    uuids = dict(map(tuple, rows))
    source = {"kind": "FunnelsActorsQuery", "source": funnel("a"), "funnelStep": 1}
    found = asked({"kind": "ActorsQuery", "select": ["actor", "id"], "source": source})
    assert {one["id"] for one, _ in found["results"]} == {one for _, one in found["results"]} == set(uuids.values())
    assert (len(found["results"]), found["missing_actors_count"]) == (2, 1)
    breakdown = {"breakdown": "person_id", "breakdown_type": "event_metadata"}
    assert by_value(asked(funnel("a", breakdown=breakdown))["results"]) == {uuids["a"]: [1], uuids["b"]: [1]}
    mine = [{"key": "person_id", "type": "event_metadata", "operator": "exact", "value": uuids["b"]}]
    assert counts(asked(funnel(step("a", properties=mine)))["results"]) == [1]


PROPERTIES = [
    (["plan"], {}, {"plan::pro": ["a"], "plan::": ["b", "c", "e"], "plan::free": ["d"]}),
    (["$all"], {}, {"plan::pro": ["a"], "plan::": ["b"], "plan::free": ["d"]}),
    (["plan"], {"aggregation_group_type_index": 0}, {"plan::pro": ["Ga"], "plan::": ["Gb"]}),
    (["plan"], {"funnelAggregateByHogQL": "properties.key"}, {"plan::": ["Ka", "Kb", "Kc", "Kd", "Ke"]}),
    (["$all"], {"funnelAggregateByHogQL": "properties.key"}, {}),
]


def test_the_actors_behind_a_property_are_those_that_the_correlation_counts(asked):
    groups = [("$groupidentify", 0, {"$group_type": "org", "$group_key": "Ga", "$group_set": {"plan": "pro"}})]
    history = {
        who: [
            *(groups if who == "a" else []),
            ("a", 1, {"$set": plan, "key": f"K{who}", **({"$groups": {"org": f"G{who}"}} if who in "ab" else {})}),
            *([("b", 2, {"key": f"K{who}", "$groups": {"org": f"G{who}"}})] if who in "ac" else []),
        ]
        for who, plan in PLANS.items()
    }
    for place, (names, more, expected) in enumerate(PROPERTIES):
        aggregation = {name: value for name, value in more.items() if name.startswith("aggregation")}
        source = (
            funnel("a", "b", **{name: value for name, value in more.items() if name not in aggregation}) | aggregation
        )
        query = {
            "kind": "FunnelCorrelationQuery", "funnelCorrelationType": "properties", "funnelCorrelationNames": names,
            "source": {"kind": "FunnelsActorsQuery", "source": source},
        }  # fmt: skip
        counted = correlated(asked(query, history if not place else None))
        assert {item: sum(numbers) for item, numbers in counted.items()} == {
            item: len(of) for item, of in expected.items()
        }
        for item, who in expected.items():
            values = [{"key": "plan", "value": item.removeprefix("plan::"), "type": "person"}]
            node = {"kind": "FunnelCorrelationActorsQuery", "source": query, "funnelCorrelationPropertyValues": values}
            found = asked({"kind": "ActorsQuery", "source": node})["results"]
            assert sorted(one.get("distinct_ids", [one["id"]])[0] for one, *_ in found) == who


def retention(**asked):
    entity = {"id": "came", "type": "events"}
    return {"kind": "RetentionQuery", "retentionFilter": {"targetEntity": entity, "returningEntity": entity, **asked}}


def test_retention_has_eight_intervals_unless_told_and_seven_for_null(asked):
    for given, n_columns in (({}, 8), ({"totalIntervals": None}, 7), ({"totalIntervals": 3}, 3)):
        rows = asked(retention(**given) | {"dateRange": {}})["results"]
        assert [len(row["values"]) for row in rows] == [n_columns] * n_columns
        assert {row["breakdown_value"] for row in rows} == {None}


def test_windows_from_the_own_entry_on_may_be_more_than_the_months_of_the_range(asked):
    """July and August have 62 days, three windows of 30 days."""
    query = retention(period="Month", totalIntervals=3, timeWindowMode="24_hour_windows")
    query |= {"dateRange": {"date_from": "2019-07-01", "date_to": "2019-08-31"}}
    rows = asked(query, {"a": [("came", "2019-07-01T00:00:00"), ("came", "2019-08-30T12:00:00")]})["results"]
    assert [value["count"] for value in rows[0]["values"]] == [1, 0, 1]


@pytest.mark.parametrize("breakdown", [{"breakdown": "plan"}, {"breakdown": [3, "all"], "breakdown_type": "cohort"}])
def test_the_actors_of_a_period_are_found_by_the_value_that_is_shown(asked, breakdown):
    history = {
        "a": [("signed up", 1, {"plan": "pro", "$set": {"vip": True}}), ("paid", 2)],
        "b": [("signed up", 1), ("paid", 2)],
        "c": [("signed up", 1, {"$set": {"vip": True}})],
    }
    criteria = {"type": "AND", "values": [{"key": "vip", "type": "person", "value": "true"}]}
    cohorts = {3: CohortMeaning(3, "Important", criteria)}
    trend = funnel("signed up", "paid", breakdown=breakdown, funnelVizType="trends")
    shown = {}
    for row in asked(trend, history, cohorts=cohorts)["results"]:
        source = {
            "kind": "FunnelsActorsQuery", "source": trend, "funnelStepBreakdown": row["breakdown_value"],
            "funnelTrendsEntrancePeriodStart": "2020-01-05", "funnelTrendsDropOff": False,
        }  # fmt: skip
        found = [
            len(
                asked({"kind": "ActorsQuery", "source": {**source, "funnelTrendsDropOff": drops}}, cohorts=cohorts)[
                    "results"
                ]
            )
            for drops in (False, True)
        ]
        shown[str(row["breakdown_value"])] = (row["data"][4], *found)
    by_plan = {"['None']": (50.0, 1, 1), "['pro']": (100.0, 1, 0)}
    assert shown == (
        by_plan if breakdown == {"breakdown": "plan"} else {"Important": (50.0, 1, 1), "all users": (66.67, 2, 1)}
    )


def test_a_project_that_counts_distinct_ids_follows_them_through_sequences(asked):
    merge = ("$merge_dangerously", 0, {"alias": "phone"})
    history = {
        "laptop": [merge, ("signed up", 1), ("came", 2)],
        "phone": [("paid", 2), ("came", "2020-01-06T00:00:00")],
    }
    sticky = {"kind": "StickinessQuery", "series": [step("came")]}
    steps = funnel("signed up", "paid")
    for by_distinct_id, expected in ((False, ([1, 1], [1, 1, 0], [0, 1])), (True, ([1, 0], [1, 0, 0], [2, 0]))):
        projects = {"aggregates_by_distinct_id": by_distinct_id}
        counted = counts(asked(steps, history, **projects)["results"])
        history = None
        rows = asked(retention(totalIntervals=3), **projects)["results"]
        data = asked(sticky, **projects)["results"][0]["data"]
        assert (counted, [value["count"] for value in rows[4]["values"]], data[:2]) == expected
        actors = {"kind": "FunnelsActorsQuery", "source": steps, "funnelStep": 1}
        found = asked({"kind": "ActorsQuery", "source": actors}, **projects)
        assert [one["distinct_ids"] for one, *_ in found["results"]] == [["laptop", "phone"]]


STEPS = ("view", "search", "paid")
FORMS = [
    funnel(*STEPS),
    funnel(*STEPS, funnelOrderType="strict"),
    funnel(*STEPS, funnelOrderType="unordered"),
    funnel("view", step("search", properties=PRO), "paid"),
    funnel(*STEPS, funnelVizType="trends"),
    funnel(*STEPS, breakdown={"breakdown": "plan"}),
    funnel(*STEPS, breakdown={"breakdown": "plan"}, funnelOrderType="strict"),
    {"kind": "RetentionQuery", "retentionFilter": {"targetEntity": {"id": "view"}, "returningEntity": {"id": "paid"}}},
    {"kind": "PathsQuery", "pathsFilter": {"includeEventTypes": ["custom_event"]}},
]


@pytest.mark.parametrize("query", FORMS, ids=range(len(FORMS)))
def test_answers_are_the_same_in_whatever_form_events_are_held(asked, query, monkeypatch):
    """As single numbers made by the engine or afterwards, or as columns apart, which only the general kernels take, at once or in parts."""
    draw = Random(5)
    histories = {
        f"p{number}": [
            (draw.choice([*STEPS, "other"]), f"2020-01-0{draw.randint(1, 9)} 0{draw.randint(0, 9)}:00:00",
             {"plan": draw.choice(["free", "pro"])})
            for _ in range(draw.randint(1, 12))
        ]
        for number in range(60)
    }  # fmt: skip
    asked(query, histories)
    merges = {f"p{number}": [("$identify", 12, {"$anon_distinct_id": f"p{number + 30}"})] for number in range(0, 30, 3)}
    expected = asked(query, merges)["results"]
    changes = (
        (_histories, "MAX_DENSE", 0), (_histories, "MAX_BITS", 0), (packed, "MAX_BITS", 0), (kernel_histories, "PART", 3), (_histories, "ROWS_AT_ONCE", 7),
    )  # fmt: skip
    for module, name, value in changes:
        monkeypatch.setattr(module, name, value)
        assert asked(query)["results"] == expected
    assert str(expected) != "[]"


def test_whoever_converted_through_an_exclusion_is_in_no_period_of_a_trend(asked):
    history = {
        "a": [
            ("signed up", 1),
            ("x", 2),
            ("paid", 3),
            ("signed up", "2020-01-06T01:00:00"),
            ("paid", "2020-01-06T02:00:00"),
        ],
        "b": [("signed up", 1), ("x", 2), ("signed up", "2020-01-06T01:00:00"), ("paid", "2020-01-06T02:00:00")],
        "c": [("signed up", 1), ("signed up", "2020-01-06T01:00:00")],
    }
    query = funnel(
        "signed up", "paid", funnelVizType="trends", funnelWindowInterval=1,
        exclusions=[step("x", funnelFromStep=0, funnelToStep=1)],
    )  # fmt: skip
    assert asked(query, history)["results"][0]["data"][4:6] == [0.0, 50.0]


@pytest.mark.parametrize("order", ["ordered", "strict", "unordered"])
def test_each_value_of_all_events_and_of_the_first_step_is_a_funnel_of_its_own(asked, order):
    chance = random.Random(7)
    histories = {
        f"u{who}": [
            (chance.choice("abcx"), hour, {"os": chance.choice(["mac", "bsd", "sun"])})
            for hour in sorted(chance.sample(range(24), 9))
        ]
        for who in range(12)
    }
    settings = {"funnelOrderType": order, "funnelWindowInterval": 5, "funnelWindowIntervalUnit": "hour"}
    for attribution in ("all_events", "step"):
        if attribution == "step" and order == "unordered":
            continue
        more = {"breakdownAttributionValue": 0} if attribution == "step" else {}
        query = funnel(*"abc", breakdown={"breakdown": "os"}, breakdownAttributionType=attribution, **more, **settings)
        shown = by_value(asked(query, histories)["results"])
        histories = None
        assert len(shown) == 3
        for value, expected in shown.items():
            only = [{"key": "os", "value": value}]
            first = step("a", properties=only) if attribution == "step" else "a"
            alone = funnel(first, "b", "c", **settings)
            alone |= {"properties": only} if attribution == "all_events" else {}
            assert counts(asked(alone)["results"]) == expected


def test_rules_that_cannot_be_read_clean_nothing(asked):
    history = {"a": [("$pageview", 1, {"$current_url": "/a1"}), ("$pageview", 1, {"$current_url": "/b2"})]}
    rules = [("(", "x"), (r"\d", r"\1"), (r"\d", "\\"), (r"(\d)", r"<\1>")]
    filters = [{"regex": regex, "alias": alias} for regex, alias in rules]
    query = {"kind": "PathsQuery", "pathsFilter": {"localPathCleaningFilters": filters}}
    (edge,) = asked(query, history)["results"]
    assert (edge["source"], edge["target"]) == ("1_/a<1>", "2_/b<2>")


@pytest.mark.parametrize("viz", ["steps", "time_to_convert", "trends"])
def test_a_funnel_of_one_step_has_no_later_one(asked, viz):
    query = funnel("signed up", funnelVizType=viz, funnelFromStep=0, funnelToStep=1)
    found = asked(query, {"a": [("signed up", 1)]})["results"]
    show = {"steps": counts, "trends": lambda rows: rows[0]["data"][4], "time_to_convert": lambda found: found["bins"]}
    assert show[viz](found) == {"steps": [1], "trends": 100.0, "time_to_convert": [[0, 1], [60, 0]]}[viz]


@pytest.mark.parametrize(
    ("values", "total"), [((7, "inf", "nan", "text", None, "0.5"), 7.5), ((1e308, 1e308), 0.0)]
)  # fmt: skip
def test_retention_adds_up_finite_numbers_only(asked, values, total):
    history = {"a": [("came", 1), *(("came", f"2020-01-06T0{hour}:00:00", {"n": n}) for hour, n in enumerate(values))]}
    query = retention(totalIntervals=2, aggregationType="sum", aggregationProperty="n")
    cells = asked(query, history)["results"][4]["values"]
    assert [(cell["count"], cell["aggregation_value"]) for cell in cells] == [(1, 0.0), (1, total)]


BREAKDOWNS = [
    (None, "first_touch"), ({"breakdown": "k"}, "all_events"), ({"breakdown": "k"}, "step"),
    ({"breakdown": [3], "breakdown_type": "cohort"}, "first_touch"),
]  # fmt: skip


@pytest.mark.parametrize(("breakdown", "attribution"), BREAKDOWNS)
def test_a_breakdown_of_the_funnel_changes_neither_correlation_nor_paths(asked, breakdown, attribution):
    nobody = {3: CohortMeaning(3, "Nobody", {"type": "AND", "values": [{"key": "x", "type": "person", "value": "y"}]})}
    source = funnel(
        "a", "b", "c", breakdown=breakdown, breakdownAttributionType=attribution, breakdownAttributionValue=1
    )
    query = {
        "kind": "FunnelCorrelationQuery", "funnelCorrelationType": "events",
        "source": {"kind": "FunnelsActorsQuery", "source": source},
    }  # fmt: skip
    assert correlated(asked(query, CORRELATED, cohorts=nobody)) == {"good": (4, 0), "bad": (0, 4), "worse": (0, 4)}
    around = {"funnelSource": source, "funnelPathType": "funnel_path_after_step", "funnelStep": 2}
    rows = asked({"kind": "PathsQuery", "funnelPathsFilter": around}, cohorts=nobody)["results"]
    assert [(row["source"], row["target"], row["value"]) for row in rows] == [("1_b", "2_c", 4)]


@pytest.mark.parametrize(
    "breakdown", [{"breakdown": "plan"}, {"breakdown": [3, "all"], "breakdown_type": "cohort"}, None]
)
def test_the_actors_of_a_row_of_retention_are_those_of_its_breakdown_value(asked, breakdown):
    history = {
        "a": [("came", 1, {"plan": "pro", "$set": {"vip": True}})],
        "b": [("came", 1), ("came", 2, {"plan": "pro"})],
        "c": [("came", 1, {"plan": "free"})],
    }
    cohorts = {
        3: CohortMeaning(3, "Vip", {"type": "AND", "values": [{"key": "vip", "type": "person", "value": "true"}]})
    }
    query = {**retention(totalIntervals=2), **({"breakdownFilter": breakdown} if breakdown else {})}
    shown = {}
    for row in asked(query, history, cohorts=cohorts)["results"]:
        if row["label"] != "Day 4":
            continue
        source = {"kind": "InsightActorsQuery", "source": query | {"dateRange": RANGE}, "interval": 4}
        source |= {} if row["breakdown_value"] is None else {"breakdown": row["breakdown_value"]}
        found = asked({"kind": "ActorsQuery", "source": source}, cohorts=cohorts)["results"]
        shown[row["breakdown_value"]] = (row["values"][0]["count"], len(found))
    by_plan = {"pro": (2, 2), "free": (1, 1), "": (1, 1)}
    by_cohort = {"3": (1, 1), "0": (3, 3)}
    assert shown == (by_plan if breakdown == {"breakdown": "plan"} else by_cohort if breakdown else {None: (3, 3)})


def test_rows_of_cohorts_are_ordered_by_conversions_too(asked):
    history = {
        "a": [("a", 1, {"$set": {"plan": "pro"}}), ("b", 2)],
        "b": [("a", 1, {"$set": {"plan": "free"}})],
        "c": [("a", 1, {"$set": {"plan": "free"}})],
    }
    cohorts = {
        number: CohortMeaning(
            number, plan, {"type": "AND", "values": [{"key": "plan", "type": "person", "value": plan}]}
        )
        for number, plan in ((3, "none"), (4, "free"), (5, "pro"))
    }
    query = funnel("a", "b", breakdown={"breakdown": [3, 4, 5, "all"], "breakdown_type": "cohort"})
    rows = asked(query, history, cohorts=cohorts)["results"]
    shown = [(steps[0]["breakdown"], counts(steps)) for steps in rows]
    assert shown == [("all users", [3, 1]), ("pro", [1, 1]), ("free", [2, 0]), ("none", [0, 0])]


WRONG_BREAKDOWNS = [
    ({"breakdown": "plan", "breakdown_type": "group"}, "breakdown_group_type_index"),
    ({"breakdowns": [{"property": "a"}, {"property": "b", "type": "group"}]}, "breakdowns[1].group_type_index"),
    ({"breakdown": "$odd", "breakdown_type": "session"}, "breakdown"),
    ({"breakdowns": [{"property": "$entry_odd", "type": "session"}]}, "breakdowns[0].property"),
    ({"breakdown": "odd", "breakdown_type": "event_metadata"}, "breakdown"),
    ({"breakdowns": [{"property": 3, "type": "cohort"}, {"property": "b"}]}, "breakdowns[0].type"),
    ({"breakdowns": [{"property": "b"}, {"property": 3, "type": "cohort"}]}, "breakdowns[1].type"),
    ({"breakdown": [3, 9], "breakdown_type": "cohort"}, "breakdown[1]"),
    ({"breakdowns": [{"property": 9, "type": "cohort"}]}, "breakdowns[0]"),
]


def test_a_breakdown_that_a_funnel_cannot_have_is_named_by_its_field(asked):
    cohorts = {3: CohortMeaning(3, "Vip", {"type": "AND", "values": []})}
    for breakdown, field in WRONG_BREAKDOWNS:
        with pytest.raises(InvalidQuery) as error:
            asked(funnel("a", "b", breakdown=breakdown), cohorts=cohorts)
        assert error.value.path == f"query.breakdownFilter.{field}"


def test_what_is_too_long_is_named_where_it_stands(asked):
    long = funnel("a", "b", funnelWindowInterval=10**9)
    around = {"kind": "PathsQuery", "funnelPathsFilter": {"funnelSource": long}}
    hours = retention(period="Hour") | {"dateRange": {"date_from": "1980-01-01"}}
    for query, field in (
        (long, "funnelsFilter.funnelWindowInterval"),
        (around, "funnelPathsFilter.funnelSource.funnelsFilter.funnelWindowInterval"),
        (hours, "dateRange"),
    ):
        with pytest.raises(InvalidQuery) as error:
            asked(query)
        assert error.value.path == f"query.{field}"


def test_values_of_several_properties_are_lists_also_when_the_first_is_of_a_group(asked):
    group = ("$groupidentify", 0, {"$group_type": "org", "$group_key": "x", "$group_set": {"size": "big"}})
    history = {
        "a": [group, ("a", 1, {"plan": "pro", "$groups": {"org": "x"}})],
        "b": [("a", 1, {"plan": "free", "$groups": {"org": "x"}})],
    }
    items = [{"property": "size", "type": "group", "group_type_index": 0}, {"property": "plan"}]
    rows = asked(funnel("a", breakdown={"breakdowns": items}), history)["results"]
    assert [steps[0]["breakdown_value"] for steps in rows] == [["big", "free"], ["big", "pro"]]
    rows = asked(funnel("a", breakdown={"breakdowns": items[:1]}))["results"]
    assert [steps[0]["breakdown_value"] for steps in rows] == ["big"]


def test_a_filter_of_a_field_that_there_is_not_is_named(asked):
    for kind in ("event_metadata", "session"):
        with pytest.raises(InvalidQuery) as error:
            asked(funnel("a", step("b", properties=[{"key": "odd", "type": kind, "value": "x"}])))
        assert error.value.path == "query.series[1].properties[0].key"


def test_an_item_without_a_text_can_be_excluded_from_paths(asked):
    history = {
        "a": [("$pageview", 1, {"$current_url": "/a"}), ("$pageview", 1), ("$pageview", 1, {"$current_url": "/b"})]
    }
    history["a"] = [
        (name, f"2020-01-05T01:0{minute}:00", *more) for minute, (name, _, *more) in enumerate(history["a"])
    ]
    query = {"kind": "PathsQuery", "pathsFilter": {"excludeEvents": [""], "pathGroupings": [""]}}
    assert [(row["source"], row["target"]) for row in asked(query, history)["results"]] == [("1_/a", "2_/b")]


def test_the_actors_of_a_funnel_by_cohorts_are_of_one_of_them_or_everybody(asked):
    history = {"a": [("a", 1, {"$set": {"vip": True}})], "b": [("a", 1)]}
    cohorts = {
        3: CohortMeaning(3, "Vip", {"type": "AND", "values": [{"key": "vip", "type": "person", "value": "true"}]})
    }
    source = funnel("a", "b", breakdown={"breakdown": [3], "breakdown_type": "cohort"})

    def actors(breakdown, histories=None):
        query = {"kind": "FunnelsActorsQuery", "source": source, "funnelStep": 1, "funnelStepBreakdown": breakdown}
        return len(asked({"kind": "ActorsQuery", "source": query}, histories, cohorts=cohorts)["results"])

    assert (actors(3, history), actors(None)) == (1, 2)
    with pytest.raises(InvalidQuery, match="none of the cohorts"):
        actors(4)


def test_breakdowns_by_address_are_cleaned_in_funnels_and_retention(asked):
    history = {
        who: [("came", 1, {"url": url}), ("paid", 2)]
        for who, url in {"a": "/shop/", "b": "/shop?", "c": "/user/7", "d": "//"}.items()
    }
    rules = (PathRule(r"\d+", "<id>"),)
    breakdown = {"breakdown": "url", "breakdown_normalize_url": True, "breakdown_path_cleaning": True}
    query = retention(totalIntervals=1) | {"breakdownFilter": breakdown}
    rows = asked(query, history, path_rules=rules)["results"]
    seen = {row["breakdown_value"]: row["values"][0]["count"] for row in rows if row["label"] == "Day 4"}
    steps = by_value(asked(funnel("came", "paid", breakdown=breakdown), path_rules=rules)["results"])
    assert seen == {"/shop": 2, "/user/<id>": 1, "/": 1}
    assert steps == {"/shop": [2, 2], "/user/<id>": [1, 1], "/": [1, 1]}


def test_retention_tells_as_many_values_apart_as_asked(asked):
    history = {who: [("came", 1, {"plan": plan})] for who, plan in {"a": "x", "b": "x", "c": "y", "d": "z"}.items()}
    query = retention(totalIntervals=1) | {"breakdownFilter": {"breakdown": "plan", "breakdown_limit": 1}}
    rows = [row for row in asked(query, history)["results"] if row["label"] == "Day 4"]
    other = "$$_posthog_breakdown_other_$$"
    assert {row["breakdown_value"]: row["values"][0]["count"] for row in rows} == {"x": 2, other: 2}
    source = {"kind": "InsightActorsQuery", "source": query | {"dateRange": RANGE}, "interval": 4, "breakdown": other}
    found = asked({"kind": "ActorsQuery", "source": source})["results"]
    assert sorted(one["distinct_ids"][0] for one, *_ in found) == ["c", "d"]


def test_the_values_past_the_limit_can_be_hidden(asked):
    history = {who: [("came", 1, {"plan": plan})] for who, plan in {"a": "x", "b": "x", "c": "y"}.items()}
    breakdown = {"breakdown": "plan", "breakdown_limit": 1, "breakdown_hide_other_aggregation": True}
    assert by_value(asked(funnel("came", "paid", breakdown=breakdown), history)["results"]) == {"x": [2, 0]}
    rows = asked(retention(totalIntervals=1) | {"breakdownFilter": breakdown})["results"]
    assert {row["breakdown_value"] for row in rows} == {"x"}


def test_intervals_with_too_few_returns_add_nothing_to_their_measure(asked):
    history = {
        "a": [("came", 1), *(("came", f"2020-01-06T0{hour}:00:00", {"n": hour}) for hour in (1, 2))],
        "b": [("came", 1), ("came", "2020-01-06T01:00:00", {"n": 5})],
    }
    for aggregation, value in (("sum", 3.0), ("avg", 3.0)):
        query = retention(totalIntervals=2, minimumOccurrences=2, aggregationType=aggregation, aggregationProperty="n")
        cells = asked(query, history)["results"][4]["values"]
        history = None
        assert [(cell["count"], cell["aggregation_value"]) for cell in cells] == [(2, 0.0), (1, value)]


def test_values_of_an_expression_are_all_told_apart_but_for_those_past_any_bound(asked, monkeypatch):
    history = {
        who: [("a", 1, {"k": value}), ("b", 2)] for who, value in zip("wxyz", ["1", "1", "2", "Other"], strict=True)
    }
    query = funnel("a", "b", breakdown={"breakdown": "properties.k", "breakdown_type": "hogql", "breakdown_limit": 1})
    assert by_value(asked(query, history)["results"]) == {"1": [2, 2], "2": [1, 1], "Other": [1, 1]}
    source = {"kind": "FunnelsActorsQuery", "source": query, "funnelStep": 1, "funnelStepBreakdown": ["Other"]}
    assert len(asked({"kind": "ActorsQuery", "source": source})["results"]) == 1
    monkeypatch.setattr(funnels, "MAX_VALUES", 1)
    assert by_value(asked(query)["results"]) == {"1": [2, 2], "Other": [2, 2]}
