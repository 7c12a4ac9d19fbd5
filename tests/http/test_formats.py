"""Formats: suffix, parameter, Accept; CSV of every insights endpoint, errors included (insights-api.md 1.2, 7)."""

from __future__ import annotations

import csv
import io

import pytest
from tests.builders import TREND
from tests.http.conftest import Api, error

import insightlog
from insightlog.adapters.http import HttpOptions

CSV = {"Accept": "text/csv"}


def rows(answer):
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8", answer.text
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


@pytest.mark.parametrize("path", ["/insights", "/insights/1", "/insights/activity", "/insights/my_last_viewed"])
def test_suffix_parameter_and_accept_give_the_same_csv(api, path):
    api.create(name="one", tags=["a", "b"])
    first = api.get(f"{path}.csv")
    assert first.status_code == 200
    assert rows(first)
    for other in (
        api.get(f"{path}.csv/"), api.get(f"{path}/", params={"format": "csv"}), api.get(path, headers=CSV),
        api.get(f"{path}.csv", params={"format": "json"}), api.get(f"{path}/", params={"format": "csv"}, headers={"Accept": "application/json"}),
    ):  # fmt: skip
        assert other.text == first.text
    plain = api.get(path)
    for other in (
        api.get(f"{path}.json"), api.get(f"{path}.json/", headers=CSV), api.get(path, params={"format": "json"}, headers=CSV),
        api.get(path, headers={"Accept": "text/html, */*;q=0.1"}), api.get(path, headers={"Accept": "application/*"}),
    ):  # fmt: skip
        assert other.json == plain.json


def test_a_list_is_one_row_or_one_row_per_insight(api):
    api.create(name="one")
    api.create(name="two", tags=["a"])
    one = rows(api.get("/insights.csv"))
    assert [(row["count"], row["results.0.name"], row["results.1.tags.0"]) for row in one] == [("2", "one", "a")]
    each = rows(api.get("/insights.csv", params={"csv_rows": "results"}))
    assert [(row["name"], row["tags.0"], row["saved"]) for row in each] == [("one", "", "True"), ("two", "a", "True")]


def test_links_of_pages_keep_the_suffix(api):
    api.create()
    api.create()
    page = api.get("/insights.json/", params={"limit": 1}).json
    assert page["next"].endswith("/api/projects/1/insights.json/?limit=1&offset=1")


def test_writing_answers_csv_too(api):
    made = api.post("/insights.csv", {"name": "one"})
    assert made.status_code == 201
    assert rows(made)[0]["name"] == "one"
    assert rows(api.patch("/insights/1.csv", {"name": "two"}))[0]["name"] == "two"


def test_texts_that_look_like_formulas_are_defused_unless_switched_off(log, api):
    api.create(name="=HYPERLINK(1)", description="-1", order=-1)
    row = rows(api.get("/insights/1.csv"))[0]
    assert (row["name"], row["description"], row["order"]) == ("'=HYPERLINK(1)", "'-1", "-1")
    plain = Api(insightlog.adapters.http.create_app(log, HttpOptions(are_csv_formulas_escaped=False)), api.key)
    assert rows(plain.get("/insights/1.csv"))[0]["name"] == "=HYPERLINK(1)"


def test_errors_are_csv_too(log, app, api):
    missing = api.get("/insights/99.csv")
    assert (missing.status_code, missing.text) == (
        404,
        "attr,code,detail,type\r\n,not_found,Not found.,invalid_request\r\n",
    )
    assert Api(app, None).get("/insights.csv").text.splitlines()[0] == "attr,code,detail,type"
    wrong = api.post("/insights/", {"name": "x" * 500}, headers=CSV)
    assert rows(wrong)[0]["attr"] == "name"
    assert rows(api.post("/insights/activity.csv"))[0]["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    "path", ["/insights.xml", "/insights/1.html", "/insights/trend.csv.gz", "/insights/1.", "/insights/1.CSV"]
)
def test_an_unknown_suffix_is_not_found(api, path):
    api.create()
    error(api.get(path), 404, "invalid_request", "not_found", "Not found.")


def test_an_unknown_format_is_not_found_even_without_credentials(app):
    error(Api(app, None).get("/insights/", params={"format": "xml"}), 404, "invalid_request", "not_found")


def test_an_accept_header_that_nothing_satisfies_is_refused(api):
    detail = "Could not satisfy the request Accept header."
    for accept in ("text/html", "image/png, text/plain;q=0.3", "nonsense"):
        error(api.get("/insights/", headers={"Accept": accept}), 406, "invalid_request", "not_acceptable", detail)


def test_only_insights_have_csv(api):
    error(api.post("/query/", {"query": TREND}, headers=CSV), 406, "invalid_request", "not_acceptable")
    error(api.post("/query/", {"query": TREND}, params={"format": "csv"}), 404, "invalid_request", "not_found")


def test_a_trend_as_csv(log, api, clock):
    log.project(1).capture([{"event": "paid", "distinct_id": "a"}, {"event": "paid", "distinct_id": "b"}])
    asked = {
        "events": '[{"id": "paid", "custom_name": "Paying"}]', "date_from": "-2d",
        "export_name": "Paying users", "export_insight_id": "test123",
    }  # fmt: skip
    answer = api.get("/insights/trend.csv/", params=asked)
    today = clock()
    first, header, series = answer.text.splitlines()
    assert answer.text.startswith(first + "\n")
    assert "\r\n" in answer.text
    assert first == "http://falconframework.org/insights/test123/"
    assert header.startswith("series,")
    assert header.endswith(f"{today.day}-{today:%b-%Y}")
    assert series == "Paying,0.0,0.0,2.0"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="paying-users (')
    assert answer.headers["Content-Disposition"].endswith(f' - {today:%Y-%m-%d}) from insightlog.csv"')
    posted = api.post(
        "/insights/trend/", {"events": [{"id": "paid", "custom_name": "Paying"}], "date_from": "-2d"}, headers=CSV
    )
    assert posted.text.splitlines() == [header, series]


def test_the_link_of_a_trend_holds_no_line_break(api):
    answer = api.get("/insights/trend.csv", params={"export_insight_id": "a\r\n=1+1", "events": '[{"id": "paid"}]'})
    assert answer.text.splitlines()[0] == "http://falconframework.org/insights/a%0D%0A%3D1%2B1/"


def test_a_wrong_trend_is_an_error_in_csv(api):
    answer = api.get("/insights/trend.csv", params={"events": "["})
    assert answer.status_code == 400
    assert rows(answer)[0]["type"] == "validation_error"


def test_head_of_csv_has_no_body(api):
    api.create()
    head = api("HEAD", "/insights.csv")
    assert (head.status_code, head.content) == (200, b"")


def test_empty_answers_stay_empty(api):
    api.create()
    answer = api.post("/insights/1/viewed.csv")
    assert (answer.status_code, answer.content) == (200, b"")
    assert api.delete("/insights/1.csv").content == b""


@pytest.mark.parametrize("insight", ["TRENDS", "STICKINESS", "LIFECYCLE"])
def test_the_file_of_a_trend_is_named_after_the_days_where_the_project_is(log, api, insight):
    log.project(1).update(timezone="Pacific/Auckland")

    def named(**asked):
        asked = {"events": '[{"id": "paid"}]', "insight": insight, **asked}
        return api.get("/insights/trend.csv", params=asked).headers["Content-Disposition"]

    assert named(date_from="-1d") == 'attachment; filename="export (2026-04-01 - 2026-04-02) from insightlog.csv"'
    if insight == "TRENDS":
        assert named(date_from="-1d", events="[]") == named(date_from="-1d")
    assert named(date_from="all") == 'attachment; filename="export (up until 2026-04-02) from insightlog.csv"'
