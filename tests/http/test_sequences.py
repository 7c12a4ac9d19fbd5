"""Funnels, correlation, retention and paths over HTTP: `/query/` and the legacy endpoints."""

from __future__ import annotations

import json

import pytest

from .conftest import error

STEPS = [{"id": name, "type": "events", "order": order} for order, name in enumerate(("signed up", "paid"))]
FUNNEL = {
    "kind": "FunnelsQuery",
    "series": [{"kind": "EventsNode", "event": "signed up"}, {"kind": "EventsNode", "event": "paid"}],
}


@pytest.fixture
def captured(log):
    def event(name, who, hour, **properties):
        return {
            "event": name,
            "distinct_id": who,
            "timestamp": f"2026-04-01T{hour:02}:00:00Z",
            "properties": properties,
        }

    log.project(1).capture(
        [
            event("signed up", "a", 1, plan="pro"),
            event("looked", "a", 2),
            event("paid", "a", 3),
            event("signed up", "b", 1, plan="free"),
            event("paid", "c", 1),
        ]
    )


def counts(result):
    return [step["count"] for step in result]


def test_a_funnel_node_is_answered(api, captured):
    answer = api.post("/query/", {"query": FUNNEL}).json
    assert counts(answer["results"]) == [2, 1]
    assert answer["results"][1]["average_conversion_time"] == 7200.0
    saved = api.create(query={"kind": "InsightVizNode", "source": FUNNEL})
    assert counts(api.get(f"/insights/{saved['id']}/", params={"refresh": "blocking"}).json["result"]) == [2, 1]


def test_the_funnel_endpoint_takes_query_string_and_body(api, captured):
    by_get = api.get("/insights/funnel/", params={"events": json.dumps(STEPS), "funnel_window_days": "14"})
    by_post = api.post("/insights/funnel/", {"events": STEPS, "funnel_window_interval": 1})
    for answer in (by_get, by_post):
        assert answer.status_code == 200
        assert counts(answer.json["result"]) == [2, 1]
        assert "funnel_step=-2" in answer.json["result"][1]["dropped_people_url"]
        assert answer.json.keys() == {"result", "timezone", "is_cached", "last_refresh", "timings"}
    narrow = api.post(
        "/insights/funnel/", {"events": STEPS, "funnel_window_interval": 1, "funnel_window_interval_unit": "hour"}
    )
    assert counts(narrow.json["result"]) == [2, 0]


def test_a_funnel_may_have_one_step_or_none(api, captured):
    assert api.post("/insights/funnel/", {"events": []}).json["result"] == []
    assert counts(api.post("/insights/funnel/", {"events": STEPS[:1]}).json["result"]) == [2]


def test_old_clients_get_plain_breakdown_values(api, captured):
    body = {"events": STEPS, "breakdown": "plan", "breakdown_type": "event"}
    assert api.post("/insights/funnel/", body).json["result"][0][0]["breakdown_value"] == ["pro"]
    assert api.post("/insights/funnel/", body | {"insight": "FUNNELS"}).json["result"][0][0]["breakdown_value"] == "pro"


@pytest.mark.parametrize(
    ("exclusion", "detail"),
    [
        ({"id": "looked", "funnel_from_step": 1, "funnel_to_step": 1}, "Exclusion event range is invalid."),
        ({"id": "looked", "funnel_from_step": 0, "funnel_to_step": 2}, "Exclusion event range is invalid."),
        (
            {"id": "paid", "funnel_from_step": 0, "funnel_to_step": 1},
            "Exclusion event can't be the same as funnel step",
        ),
    ],
)
def test_wrong_exclusions_are_refused_in_the_words_of_the_contract(api, captured, exclusion, detail):
    answer = api.post("/insights/funnel/", {"events": STEPS, "exclusions": [{"type": "events", **exclusion}]})
    assert answer.status_code == 400
    assert answer.json["detail"].startswith(detail)


def test_an_excluded_actor_is_in_no_step(api, captured):
    exclusion = {"id": "looked", "type": "events", "funnel_from_step": 0, "funnel_to_step": 1}
    assert counts(api.post("/insights/funnel/", {"events": STEPS, "exclusions": [exclusion]}).json["result"]) == [1, 0]


def test_wrong_fields_are_named(api, captured):
    node = FUNNEL | {"funnelsFilter": {"funnelVizType": "cake"}}
    answer = api.post("/query/", {"query": node})
    error(
        answer, 400, "validation_error", "invalid_input", answer.json["detail"], "query__funnelsFilter__funnelVizType"
    )


def test_retention_is_answered_by_node_and_by_endpoint(api, captured):
    entity = {"id": "signed up", "type": "events"}
    back = {"id": "paid", "type": "events"}
    node = {"kind": "RetentionQuery", "retentionFilter": {"period": "Hour", "totalIntervals": 4, "targetEntity": entity,
            "returningEntity": back}, "dateRange": {"date_to": "2026-04-01T03:30:00Z"}}  # fmt: skip
    rows = api.post("/query/", {"query": node}).json["results"]
    assert [[value["count"] for value in row["values"]] for row in rows][1] == [2, 0, 1, 0]
    assert (rows[1]["label"], rows[1]["date"]) == ("Hour 1", "2026-04-01T01:00:00Z")
    asked = {"target_entity": entity, "returning_entity": back, "period": "Hour", "date_to": "2026-04-01T03:30:00Z"}
    result = api.post("/insights/retention/", asked).json["result"]
    assert [value["count"] for value in result[8]["values"][:3]] == [2, 0, 1]
    assert len(api.get("/insights/retention/").json["result"]) == 11


def test_who_came_back_is_found(api, captured):
    entity = {"id": "signed up", "type": "events"}
    source = {"kind": "RetentionQuery", "retentionFilter": {"totalIntervals": 2, "targetEntity": entity}}
    node = {"kind": "ActorsQuery", "select": ["id", "appearances", "day_0", "day_1"],
            "orderBy": ["length(appearances) DESC", "actor_id"],
            "source": {"kind": "InsightActorsQuery", "source": source, "interval": 0}}  # fmt: skip
    answer = api.post("/query/", {"query": node}).json
    assert [row[1:] for row in answer["results"]] == [[[0], 1, 0], [[0], 1, 0]]
    assert [row[0] for row in answer["results"]] == sorted(row[0] for row in answer["results"])
    assert answer["columns"] == ["id", "appearances", "day_0", "day_1"]
    error(
        api.post("/query/", {"query": node | {"select": ["day_2"]}}),
        400, "validation_error", "invalid_input", "The column 'day_2' of actors is not supported yet.",
        "query__select__0",
    )  # fmt: skip


def test_who_dropped_off_is_found(api, captured):
    node = {"kind": "ActorsQuery", "source": {"kind": "FunnelsActorsQuery", "source": FUNNEL, "funnelStep": -2}}
    answer = api.post("/query/", {"query": node}).json
    assert [one["distinct_ids"] for one, *_ in answer["results"]] == [["b"]]
    wrong = api.post("/query/", {"query": node | {"source": node["source"] | {"funnelStep": 3}}})
    error(wrong, 400, "validation_error", "invalid_input", wrong.json["detail"], "query__source__funnelStep")
    empty = {"kind": "FunnelsActorsQuery", "source": {**FUNNEL, "series": []}, "funnelCustomSteps": [1]}
    wrong = api.post("/query/", {"query": {"kind": "ActorsQuery", "source": empty}})
    error(wrong, 400, "validation_error", "invalid_input", wrong.json["detail"], "query__source__source__series")


def test_paths_are_answered_by_node_and_by_endpoint(api, log):
    def view(url, who, minute):
        return {"event": "$pageview", "distinct_id": who, "timestamp": f"2026-04-01T00:{minute:02}:00Z",
                "properties": {"$current_url": url}}  # fmt: skip

    log.project(1).capture([view("/", "a", 0), view("/docs/", "a", 1), view("/", "b", 0), view("/docs", "b", 3)])
    expected = [{"source": "1_/", "target": "2_/docs", "value": 2, "average_conversion_time": 120000.0}]
    assert api.post("/query/", {"query": {"kind": "PathsQuery", "pathsFilter": {}}}).json["results"] == expected
    assert api.get("/insights/path/").json["result"] == expected
    assert api.post("/insights/path/", {"min_edge_weight": 3}).json["result"] == []
    source = {"kind": "PathsQuery", "pathsFilter": {"pathStartKey": "1_/", "pathEndKey": "2_/docs"}}
    node = {"kind": "ActorsQuery", "select": ["id"], "source": {"kind": "InsightActorsQuery", "source": source}}
    assert len(api.post("/query/", {"query": node}).json["results"]) == 2


def test_correlation_is_answered_by_node_and_by_endpoint(api, captured):
    node = {"kind": "FunnelCorrelationQuery", "funnelCorrelationType": "events",
            "source": {"kind": "FunnelsActorsQuery", "source": FUNNEL}}  # fmt: skip
    results = api.post("/query/", {"query": node}).json["results"]
    (row,) = results["events"]
    assert row["event"] == {"event": "looked", "properties": {}, "elements": []}
    assert (row["success_count"], row["failure_count"], row["odds_ratio"]) == (1, 0, 4.0)
    assert (row["correlation_type"], results["skewed"]) == ("success", False)
    answer = api.post("/insights/funnel/correlation/", {"events": STEPS, "funnel_correlation_type": "events"}).json
    assert answer["result"]["events"] == [row | {"success_people_url": None, "failure_people_url": None}]
    actors = {"kind": "FunnelCorrelationActorsQuery", "source": node, "funnelCorrelationPersonConverted": True,
              "funnelCorrelationPersonEntity": {"kind": "EventsNode", "event": "looked"}}  # fmt: skip
    found = api.post("/query/", {"query": {"kind": "ActorsQuery", "source": actors}}).json["results"]
    assert [one["distinct_ids"] for one, *_ in found] == [["a"]]


def test_correlation_needs_what_its_kind_needs(api, captured):
    kind = "event_with_properties"
    answer = api.get(
        "/insights/funnel/correlation/", params={"events": json.dumps(STEPS), "funnel_correlation_type": kind}
    )
    assert answer.status_code == 400
    assert answer.json["detail"] == "Event Property Correlation expects atleast one event name to run correlation on"
    nothing = api.get("/insights/funnel/correlation/").json
    assert nothing["result"] == {"events": [], "skewed": False}


@pytest.mark.parametrize("order", ["ordered", "strict", "unordered"])
@pytest.mark.parametrize("breakdown", [None, "plan"])
def test_merged_persons_go_through_a_funnel_as_one(api, log, order, breakdown):
    def event(name, who, hour, **properties):
        moment = f"2026-04-01T0{hour}:00:00Z"
        return {"event": name, "distinct_id": who, "timestamp": moment, "properties": properties}

    events = [event("signed up", "visitor", 1, plan="pro"), event("paid", "known", 2), event("signed up", "else", 3)]
    log.project(1).capture(events)
    api.post("/query/", {"query": FUNNEL})  # the events are stored before the persons are merged
    log.project(1).capture([event("$identify", "known", 4, **{"$anon_distinct_id": "visitor"})])
    asked = {"events": STEPS, "funnel_order_type": order, "date_from": "2026-04-01", "date_to": "2026-04-01"}
    if breakdown:
        asked |= {"breakdown": breakdown, "breakdown_type": "event", "insight": "FUNNELS"}
    result = api.post("/insights/funnel/", asked).json["result"]
    if breakdown:
        assert {steps[0]["breakdown_value"]: counts(steps) for steps in result} == {"pro": [1, 1], "": [1, 0]}
    else:
        assert counts(result) == [2, 1]
