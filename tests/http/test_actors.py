"""Who is behind a number, over HTTP: ActorsQuery, its options, and the legacy persons endpoints."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl, urlsplit

import pytest
from tests.builders import TREND

from .conftest import error

DAY = {"date_from": "2026-04-01", "date_to": "2026-04-01", "entity_id": "signed up", "entity_type": "events"}


@pytest.fixture
def captured(log):
    log.project(1).capture(
        [
            {"event": "signed up", "distinct_id": who, "timestamp": f"2026-04-01T0{hour}:00:00Z", "properties": more}
            for who, hour, more in [("a", 1, {"plan": "pro"}), ("a", 2, {}), ("b", 3, {}), ("c", 4, {})]
        ]
        + [{"event": "$set", "distinct_id": "b", "properties": {"$set": {"name": "Ben"}}}]
    )


def names(answer):
    assert answer.status_code == 200, answer.text
    (page,) = answer.json["results"]
    assert page["count"] == len(page["people"])
    return [one["distinct_ids"][0] for one in page["people"]]


def test_the_actors_of_a_trend_and_what_they_can_be_chosen_by(api, captured):
    source = {"kind": "InsightActorsQuery", "source": TREND, "day": "2026-04-01", "series": 0}
    node = {"kind": "ActorsQuery", "select": ["actor", "event_count"], "source": source, "limit": 1}
    answer = api.post("/query/", {"query": node}).json
    ((actor, count),) = answer["results"]
    assert (actor["distinct_ids"], count, answer["hasMore"], answer["missing_actors_count"]) == (["a"], 2, True, 0)
    options = api.post("/query/", {"query": {"kind": "InsightActorsQueryOptions", "source": source}}).json
    assert {"label": "1-Apr-2026", "value": "2026-04-01"} in options["day"]
    assert options["series"] == [{"label": "signed up", "value": 0}]
    wrong = api.post("/query/", {"query": node | {"source": source | {"day": "2025-01-01"}}})
    error(wrong, 400, "validation_error", "invalid_input", wrong.json["detail"], "query__source__day")


def test_the_persons_of_a_trend(api, captured):
    assert sorted(names(api.get("/persons/trends/", params=DAY))) == ["a", "b", "c"]
    assert names(api.get("/persons/trends/", params=DAY | {"search": "ben"})) == ["b"]
    by_plan = DAY | {"breakdown": "plan", "breakdown_value": "pro"}
    assert names(api.post("/persons/trends/", by_plan)) == ["a"]
    first = api.get("/persons/trends/", params=DAY | {"limit": "2"}).json
    assert first["results"][0]["people"][0]["value_at_data_point"] == 2
    assert (first["missing_persons"], first["is_cached"]) == (0, False)
    path, _, query = first["next"].partition("?")
    assert len(names(api.get(path[path.index("/api/") :], query_string=query))) == 1
    filters = {"events": json.dumps([{"id": "signed up", "properties": [{"key": "plan", "value": "pro"}]}])}
    assert names(api.get("/persons/trends/", params=DAY | filters, params_csv=False)) == ["a"]


def test_the_persons_of_stickiness_and_lifecycle(api, captured):
    asked = {"events": json.dumps([{"id": "signed up"}]), "date_from": "-7d", "entity_id": "signed up"}
    sticky = api.get("/persons/stickiness/", params=asked | {"stickiness_days": "1"}, params_csv=False)
    assert sorted(names(sticky)) == ["a", "b", "c"]
    assert "initial" not in sticky.json
    chosen = {"target_date": "2026-04-02", "lifecycle_type": "dormant"}
    gone = api.get("/persons/lifecycle/", params=asked | chosen, params_csv=False)
    assert sorted(names(gone)) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("kind", "name"), [("trends", "entity_id"), ("stickiness", "stickiness_days"), ("lifecycle", "target_date")]
)
def test_a_selector_that_is_missing_is_named(api, kind, name):
    asked = {} if kind == "trends" else {"entity_id": "signed up"}
    answer = api.get(f"/persons/{kind}/", params=asked)
    error(answer, 400, "validation_error", "required", answer.json["detail"], name)


FUNNEL = {
    "events": json.dumps([{"id": "signed up", "order": 0}, {"id": "paid", "order": 1}]),
    "date_from": "2026-04-01",
    "date_to": "2026-04-02",
}


@pytest.fixture
def paid(log, captured):
    log.project(1).capture(
        [
            {"event": event, "distinct_id": who, "timestamp": f"2026-04-0{day}T05:00:00Z"}
            for event, who, day in [("paid", "a", 1), ("looked", "b", 1), ("signed up", "a", 2)]
        ]
    )


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({"funnel_step": 1}, ["a", "b", "c"]),
        ({"funnel_step": 2}, ["a"]),
        ({"funnel_step": -2}, ["b", "c"]),
        ({"funnel_custom_steps": "[1]"}, ["b", "c"]),
        ({"funnel_step": 2, "breakdown": "plan", "funnel_step_breakdown": "pro"}, ["a"]),
        ({"funnel_viz_type": "trends", "entrance_period_start": "2026-04-01 00:00:00", "drop_off": "false"}, ["a"]),
        ({"funnel_viz_type": "trends", "entrance_period_start": "2026-04-02 00:00:00", "drop_off": "true"}, ["a"]),
    ],
)
def test_the_persons_of_a_funnel(api, paid, selector, expected):
    assert sorted(names(api.get("/persons/funnel/", params=FUNNEL | selector, params_csv=False))) == expected


PERIOD = {"funnel_viz_type": "trends", "drop_off": "false"}


WRONG_SELECTORS = [
    ("funnel", {"funnel_step": 7}, "funnel_step"),
    ("funnel", {"funnel_step": "x"}, "funnel_step"),
    ("funnel", {}, "funnel_step"),
    ("funnel", {"funnel_custom_steps": "x"}, "funnel_custom_steps"),
    ("funnel", PERIOD, "entrance_period_start"),
    ("funnel", PERIOD | {"entrance_period_start": "soon"}, "entrance_period_start"),
    ("funnel", PERIOD | {"entrance_period_start": "2026-05-01"}, "entrance_period_start"),
    ("funnel", {"entrance_period_start": "2026-04-01"}, "drop_off"),
    ("funnel/correlation", {"funnel_correlation_property_values": "{}"}, "funnel_correlation_property_values"),
    ("funnel/correlation", {"funnel_correlation_type": "events"}, "funnel_correlation_person_entity"),
    ("funnel/correlation", {"funnel_correlation_type": "properties"}, "funnel_correlation_property_values"),
    ("path", {"funnel_paths": "x", "funnel_filter": FUNNEL["events"]}, "funnel_filter"),
    ("path", {"funnel_paths": "x", "funnel_filter": json.dumps({"events": []})}, "funnel_paths"),
    ("path", {"funnel_filter": json.dumps({"events": [{"id": "x"}], "funnel_step": 3})}, "funnel_filter"),
    ("retention", {"selected_interval": 99}, "selected_interval"),
    ("stickiness", {"entity_id": "paid", "stickiness_days": "x"}, "stickiness_days"),
    ("lifecycle", {"entity_id": "paid", "target_date": "x", "lifecycle_type": "new"}, "target_date"),
    ("lifecycle", {"entity_id": "paid", "target_date": "2026-04-01", "lifecycle_type": "x"}, "lifecycle_type"),
]


def test_wrong_selectors_of_persons_are_named(api, paid):
    for path, selector, name in WRONG_SELECTORS:
        answer = api.get(f"/persons/{path}/", params=FUNNEL | selector, params_csv=False)
        assert (answer.status_code, answer.json["type"], answer.json["attr"]) == (400, "validation_error", name)


def test_the_persons_of_a_correlation(api, paid):
    asked = {"funnel_correlation_type": "events", "funnel_correlation_person_converted": "false"}
    entity = {"funnel_correlation_person_entity": json.dumps({"id": "looked", "type": "events"})}
    answer = api.get("/persons/funnel/correlation/", params=FUNNEL | asked | entity, params_csv=False)
    assert names(answer) == ["b"]


def test_the_persons_of_a_correlation_come_in_pages_with_names_of_their_own(api, paid):
    has_plan = json.dumps([{"key": "plan", "value": ["", "pro"], "type": "person"}])
    asked = {"funnel_correlation_type": "properties", "funnel_correlation_property_values": has_plan}
    page = FUNNEL | asked | {"funnel_correlation_person_limit": 2}
    first = api.get("/persons/funnel/correlation/", params=page, params_csv=False)
    following = dict(parse_qsl(urlsplit(first.json["next"]).query))
    assert following["funnel_correlation_person_offset"] == following["funnel_correlation_person_limit"] == "2"
    second = api.get("/persons/funnel/correlation/", params=following, params_csv=False)
    assert (len(names(first)), len(names(second)), second.json["next"]) == (2, 1, None)
    assert sorted(names(first) + names(second)) == ["a", "b", "c"]


def test_the_persons_of_paths(api, paid):
    keys = {"path_start_key": "1_signed up", "path_end_key": "2_paid", "date_from": "2026-04-01"}
    assert names(api.get("/persons/path/", params=keys)) == []
    gone = {"path_dropoff_key": "1_signed up", "date_from": "2026-04-01"}
    assert sorted(names(api.post("/persons/path/", gone))) == ["a", "b", "c"]
    steps = {"events": json.loads(FUNNEL["events"]), "date_from": "2026-04-01", "funnel_step": -2}
    around = {"funnel_paths": "funnel_path_after_step", "funnel_filter": steps, "date_from": "2026-04-01"}
    assert sorted(names(api.post("/persons/path/", around))) == ["b", "c"]


def test_the_persons_of_retention(api, paid):
    entity = {"id": "signed up", "type": "events"}
    filters = {"date_from": "2026-04-01", "date_to": "2026-04-02", "total_intervals": 2, "target_entity": entity}
    first = api.post("/persons/retention/", filters).json
    found = {row["person"]["distinct_ids"][0]: row["appearances"] for row in first["result"]}
    assert found == {"a": [1, 1], "b": [1, 0], "c": [1, 0]}
    assert (first["next"], first["missing_persons"]) == (None, 0)
    second = api.post("/persons/retention/", filters | {"selected_interval": 1, "limit": 1}).json
    assert [row["person"]["distinct_ids"] for row in second["result"]] == [["a"]]


def test_results_of_funnels_say_where_their_persons_are(api, paid):
    for more, expected in [({}, ["b", "c"]), ({"breakdown": "plan", "breakdown_type": "event"}, ["b", "c"])]:
        result = api.get("/insights/funnel/", params=FUNNEL | more, params_csv=False).json["result"]
        steps = next(one for one in result if one[0]["breakdown_value"] == [""]) if more else result
        assert steps[0]["dropped_people_url"] is None
        path, _, query = steps[1]["dropped_people_url"].partition("?")
        assert sorted(names(api.get(path, query_string=query))) == expected
