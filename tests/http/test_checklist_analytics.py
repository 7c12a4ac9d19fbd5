"""Statements 129 to 138 of the contract's checklist: trends, funnels and correlation by the legacy endpoints."""

from __future__ import annotations

import json

import pytest
from tests.http.conftest import error, ok

VIEWS = '[{"id": "$pageview"}]'
STEPS = [{"id": name, "type": "events", "order": order} for order, name in enumerate(("signed_up", "paid"))]


def event(name, who, hour=1, **properties):
    return {
        "event": name,
        "distinct_id": who,
        "timestamp": f"2026-04-01T{hour:02}:00:00Z",
        "properties": properties,
    }


@pytest.fixture
def views(log):
    log.project(1).capture([event("$pageview", who, n=n) for n, who in enumerate("aab")])


@pytest.fixture
def steps(log):
    log.project(1).capture(
        [
            event("signed_up", "a", 1, plan="pro"), event("looked", "a", 2), event("paid", "a", 3),
            event("signed_up", "b", 1, plan="free"), event("looked", "b", 2), event("fled", "b", 3),
            event("signed_up", "c", 1, plan="free"), event("paid", "c", 2),
        ]
    )  # fmt: skip


def funnel(api, **more):
    return ok(api.post("/insights/funnel/", {"events": STEPS, **more}))["result"]


def test_129_a_trend_by_its_query_string(api, views):
    answer = ok(api.get("/insights/trend/", params={"events": VIEWS}))
    (series,) = answer["result"]
    assert (series["count"], series["action"]["name"], series["label"]) == (3.0, "$pageview", "$pageview")
    assert (answer["timezone"], answer["next"]) == ("UTC", None)
    assert len(series["data"]) == len(series["days"]) == len(series["labels"]) == 8
    assert (series["days"][-1], series["labels"][-1]) == ("2026-04-02", "2-Apr-2026")


def test_130_a_trend_by_its_body_is_the_same(api, views):
    by_get = ok(api.get("/insights/trend/", params={"events": VIEWS, "date_from": "-3d", "interval": "hour"}))
    by_post = ok(
        api.post("/insights/trend/", {"events": json.loads(VIEWS), "date_from": "-3d", "interval": "hour"})
    )  # fmt: skip
    assert by_post["result"] == by_get["result"]
    assert by_post["result"][0]["count"] == 3.0


@pytest.mark.parametrize("insight", ["FUNNELS", "PATHS", "RETENTION"])
def test_there_are_no_trends_of_another_kind(api, views, insight):
    answer = api.get("/insights/trend/", params={"events": VIEWS, "insight": insight})
    error(answer, 400, "validation_error", "invalid_choice", attr="insight")


def test_131_compare_doubles_the_series_current_first(api, views):
    events = '[{"id": "$pageview"}, {"id": "other"}]'
    series = ok(api.get("/insights/trend/", params={"events": events, "compare": "true"}))["result"]
    assert [one["compare_label"] for one in series] == ["current", "current", "previous", "previous"]
    assert all(one["compare"] is True for one in series)
    assert [one["count"] for one in series] == [3.0, 0.0, 0.0, 0.0]


def test_132_a_breakdown_of_25_values_has_a_next_page(log, api):
    log.project(1).capture([event("$pageview", "a", n=f"v{n:02}") for n in range(24)])
    asked = {"events": VIEWS, "breakdown": "n", "breakdown_type": "event"}
    assert ok(api.get("/insights/trend/", params=asked))["next"] is None
    log.project(1).capture([event("$pageview", "a", n=f"v{n:02}") for n in range(24, 30)])
    answer = ok(api.get("/insights/trend/", params={**asked, "refresh": "true"}))
    assert "offset=25" in answer["next"]
    assert "breakdown=n" in answer["next"]
    assert len(answer["result"]) >= 25


def test_the_pages_of_a_breakdown_hold_every_value_once(log, api):
    times = {f"v{n:02}": 1 + n % 3 for n in range(60)}
    log.project(1).capture([event("$pageview", "a", n=value) for value, often in times.items() for _ in range(often)])
    asked = {"events": VIEWS, "breakdown": "n", "breakdown_type": "event"}
    found, pages = [], 0
    path = "/api/projects/1/insights/trend/"
    while path is not None:
        answer = ok(api.get(path, params=asked if pages == 0 else None))
        found += [
            (one["breakdown_value"], one["count"]) for one in answer["result"] if "other" not in one["breakdown_value"]
        ]
        path, pages = answer["next"] and answer["next"].removeprefix("http://falconframework.org"), pages + 1
    assert pages == 3
    assert sorted(found) == sorted((value, float(often)) for value, often in times.items())
    assert [often for _, often in found] == sorted((often for _, often in found), reverse=True)
    posted = ok(api.post("/insights/trend/", {"events": json.loads(VIEWS), "breakdown": "n", "offset": 50}))
    assert [one["breakdown_value"] for one in posted["result"]] == [value for value, _ in found[50:]]
    beyond = ok(api.get("/insights/trend/", params={**asked, "offset": "9999"}))
    assert (beyond["result"], beyond["next"]) == ([], None)
    error(
        api.get("/insights/trend/", params={**asked, "offset": "x"}),
        400,
        "validation_error",
        "invalid_input",
        attr="offset",
    )


def test_133_a_bold_number_is_one_value(api, views):
    (series,) = ok(api.get("/insights/trend/", params={"events": VIEWS, "display": "BoldNumber"}))["result"]
    assert (series["aggregated_value"], series["data"], series["count"]) == (3, [], 0)


def test_134_a_funnel_of_two_steps(api, steps):
    first, second = funnel(api)
    assert [(one["name"], one["order"], one["count"]) for one in (first, second)] == [
        ("signed_up", 0, 3),
        ("paid", 1, 2),
    ]
    assert (first["average_conversion_time"], first["median_conversion_time"]) == (None, None)
    assert (second["average_conversion_time"], second["median_conversion_time"]) == (5400.0, 5400.0)


def test_135_a_funnel_by_a_property_is_an_array_of_funnels(api, steps):
    result = funnel(api, breakdown="plan", breakdown_type="event")
    counts = {}
    for one in result:
        assert isinstance(one, list)
        assert all({"breakdown", "breakdown_value"} <= set(step) for step in one)
        counts[json.dumps(one[0]["breakdown_value"])] = [step["count"] for step in one]
    assert counts == {'["free"]': [2, 1], '["pro"]': [1, 1]}


def test_136_correlation(api, steps):
    def correlation(**asked):
        return ok(api.post("/insights/funnel/correlation/", asked))["result"]

    assert correlation() == correlation(events=[]) == {"events": [], "skewed": False}
    everybody = [{**STEPS[0], "properties": [{"key": "plan", "value": "pro"}]}, STEPS[1]]
    assert correlation(events=everybody) == {"events": [], "skewed": True}
    found = correlation(events=STEPS)
    odds = {
        one["event"]["event"]: (one["success_count"], one["failure_count"], one["odds_ratio"])
        for one in found["events"]
    }
    success, failure = 2, 1
    for s, f, ratio in odds.values():
        assert ratio == pytest.approx(((s + 1) * (failure - f + 1)) / ((success - s + 1) * (f + 1)))
    assert odds["looked"][:2] == (1, 1)
    assert odds["fled"][:2] == (0, 1)
    assert {one["event"]["event"]: one["correlation_type"] for one in found["events"]} == {
        "looked": "failure", "fled": "failure",
    }  # fmt: skip


def test_137_a_trend_as_csv(api, views):
    answer = api.get("/insights/trend.csv", params={"events": VIEWS, "date_from": "-1d", "export_name": "Page Views"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert answer.text == "series,1-Apr-2026,2-Apr-2026\r\n$pageview,3.0,0.0\r\n"
    name = 'attachment; filename="page-views (2026-04-01 - 2026-04-02) from insightlog.csv"'
    assert answer.headers["Content-Disposition"] == name
    linked = api.get(
        "/insights/trend.csv", params={"events": VIEWS, "date_from": "-1d", "export_insight_id": "test123"}
    )
    assert linked.text == f"http://falconframework.org/insights/test123/\n{answer.text}"
    assert 'filename="export (' in linked.headers["Content-Disposition"]


def test_138_an_unknown_cohort_is_refused(api, views):
    in_cohort = [{"type": "cohort", "key": "id", "value": 4711}]
    by_cohort = {"breakdown_type": "cohort", "breakdown": [4711]}
    for path, asked in (
        ("trend", {"events": json.loads(VIEWS), "properties": in_cohort}),
        ("trend", {"events": json.loads(VIEWS), **by_cohort}),
        ("funnel", {"events": STEPS, "properties": in_cohort}),
    ):
        answer = api.post(f"/insights/{path}/", asked)
        assert (answer.status_code, answer.json["type"]) == (400, "validation_error"), answer.text
        assert "4711" in answer.json["detail"]
    node = {"kind": "TrendsQuery", "series": [{"kind": "EventsNode", "event": "$pageview"}], "properties": in_cohort}
    answer = api.post("/query/", {"query": node})
    error(answer, 400, "validation_error", "invalid_input", attr="query__properties__0__value")
