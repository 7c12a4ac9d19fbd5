"""Elements and sessions over HTTP: counts of clicks, and values to filter by."""

from __future__ import annotations

import pytest

from insightlog.adapters.storage.duckdb._sessions import FIELDS
from insightlog.domain.sessions import SESSION_FIELDS


@pytest.fixture
def clicks(log):
    def click(text, **more):
        chain = [{"tag_name": "button", "$el_text": text, "attr__class": "b a"}, {"tag_name": "div"}]
        return {"event": "$autocapture", "distinct_id": "ann", "properties": {"$elements": chain, **more}}

    view = {"event": "$pageview", "distinct_id": "ann", "properties": {"$session_id": "s1", "utm_source": "ad_1"}}
    other = {"event": "$pageview", "distinct_id": "bob", "properties": {"$session_id": "s2", "utm_source": "adx1"}}
    log.project(1).capture([click("Buy"), click("Buy", plan="pro"), click("Leave"), view, other])


def test_clicks_are_counted_by_what_was_clicked(api, clicks):
    page = api.get("/elements/stats/?limit=1").json
    ((most,), has_more) = page["results"], page["next"] is not None
    assert (most["count"], most["type"], has_more) == (2, "$autocapture", True)
    assert [(one["tag_name"], one["text"], one["attr_class"]) for one in most["elements"]] == [
        ("button", "Buy", ["a", "b"]), ("div", None, None),
    ]  # fmt: skip
    narrow = '/elements/stats/?properties=[{"key":"plan","value":"pro"}]'
    assert [one["count"] for one in api.get(narrow).json["results"]] == [1]
    assert api.get("/elements/stats/?include=$rageclick").json["results"] == []
    assert api.get("/elements/stats/?date_to=-3d").json["results"] == []


def test_values_of_elements_are_listed_by_frequency(api, clicks):
    assert api.get("/elements/values/?key=text").json == [{"name": "Buy"}, {"name": "Leave"}]
    assert api.get("/elements/values/?key=text&value=EA").json == [{"name": "Leave"}]
    assert {one["name"] for one in api.get("/elements/values/?key=tag_name").json} == {"button", "div"}


def test_sessions_have_fields_and_values(api, clicks):
    page = api.get("/sessions/property_definitions/?search=channel").json
    assert [(one["name"], one["property_type"]) for one in page["results"]] == [("$channel_type", "String")]
    assert api.get("/sessions/values/?key=$entry_utm_source&value=ad_").json == [{"name": "ad_1"}]
    assert {one["name"] for one in api.get("/sessions/values/?key=$pageview_count").json} == {"1"}


def test_the_fields_that_are_told_are_those_that_the_engine_has():
    assert set(SESSION_FIELDS) == set(FIELDS)


@pytest.mark.parametrize(
    ("path", "attr"),
    [
        ("/elements/values/?key=color", "key"),
        ("/elements/stats/?include=$pageview", "include"),
        ("/elements/stats/?properties={", "properties"),
        ("/elements/stats/?properties=[5]", "properties__0"),
        ("/elements/stats/?date_from=moon", "date_from"),
        ("/sessions/values/?key=color", "key"),
    ],
)
def test_wrong_parameters_are_refused(api, path, attr):
    refused = api.get(path)
    assert (refused.status_code, refused.json["attr"]) == (400, attr)


def test_another_project_sees_nothing_of_them(with_scopes, clicks):
    foreign = with_scopes("event:read", "query:read", project=2)
    assert foreign.get("/elements/stats/").json["results"] == []
    assert foreign.get("/sessions/values/?key=session_id").json == []
    assert with_scopes("query:read").get("/elements/stats/").status_code == 403
