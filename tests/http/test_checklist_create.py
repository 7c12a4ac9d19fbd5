"""Statements 41 to 55 of the contract's checklist: creating insights."""

from __future__ import annotations

import re

import pytest
from tests.builders import TREND
from tests.http.conftest import error

AT = "2026-04-02T09:15:30.120000Z"


def test_041_from_nothing(api):
    made = api.create()
    assert re.fullmatch("[A-Za-z0-9]{8}", made["short_id"])
    expected = {
        "name": None, "derived_name": None, "description": None, "order": None, "deleted": False, "saved": True,
        "favorited": False, "tags": [], "dashboards": [], "dashboard_tiles": [], "result": None, "filters": {},
    }  # fmt: skip
    assert {key: made[key] for key in expected} == expected


def test_042_the_three_times_are_one_and_the_creator_is_the_modifier(api):
    made = api.create(name="a")
    assert made["created_at"] == made["last_modified_at"] == made["updated_at"] == AT
    assert made["created_by"] == made["last_modified_by"]
    assert made["created_by"]["email"] == "ines@example.com"


def test_043_a_name_makes_one_entry(api):
    made = api.create(name="a", description="d", tags=["t"])
    (entry,) = api.entries(made)
    assert (entry["activity"], entry["detail"]["changes"], entry["detail"]["name"]) == ("created", None, "a")


def test_044_no_name_makes_no_entry_and_a_derived_name_stands_in(api):
    assert api.entries(api.create(description="d", name="")) == []
    (entry,) = api.entries(api.create(derived_name="derived"))
    assert (entry["activity"], entry["detail"]["name"]) == ("created", "derived")


def test_045_a_new_insight_is_the_last_viewed(api, clock):
    api.create(name="a")
    clock.forward(seconds=1)
    made = api.create(name="b")
    assert api.get("/insights/my_last_viewed/").json[0]["id"] == made["id"]


def test_046_what_is_read_only_is_ignored(api):
    made = api.create(
        id=77, short_id="mine", created_at="2001-01-01T00:00:00Z", filters_hash="cache_x", is_sample=True, name="a",
        updated_at="2001-01-01T00:00:00Z", last_modified_by=2, created_by=2, result=[1], effective_privilege_level=21,
    )  # fmt: skip
    assert (made["id"], made["created_at"], made["updated_at"], made["is_sample"]) == (1, AT, AT, False)
    assert (made["short_id"] != "mine", made["filters_hash"] != "cache_x", made["result"]) == (True, True, None)
    assert made["created_by"]["id"] == made["last_modified_by"]["id"] == 1
    assert made["effective_privilege_level"] == 37


def test_047_unknown_keys_are_ignored(api):
    made = api.create(name="a", nonsense=[{"a": 1}], _create_in_folder="x", team=2, project_id=2)
    assert {"nonsense", "_create_in_folder", "team", "project_id"}.isdisjoint(made)
    assert api.get(f"/insights/{made['id']}/").json["name"] == "a"


def test_048_a_name_has_400_characters_at_most(log, api):
    assert len(api.create(name="é" * 400)["name"]) == 400
    position = log.position()
    detail = "Ensure this field has no more than 400 characters."
    error(api.post("/insights/", {"name": "x" * 401}), 400, "validation_error", "max_length", detail, "name")
    assert log.position() == position


def test_049_favorited_is_a_boolean(log, api):
    position = log.position()
    answer = api.post("/insights/", {"favorited": "maybe"})
    error(answer, 400, "validation_error", "invalid_input", "Must be a valid boolean.", "favorited")
    answer = api.post("/insights/", {"favorited": None})
    error(answer, 400, "validation_error", "null", "This field may not be null.", "favorited")
    assert log.position() == position


def test_050_an_unknown_dashboard_is_refused_and_nothing_is_made(log, api):
    known = api.board()
    position = log.position()
    answer = api.post("/insights/", {"name": "a", "dashboards": [known, 999999]})
    detail = 'Invalid pk "999999" - object does not exist.'
    error(answer, 400, "validation_error", "does_not_exist", detail, "dashboards")
    assert (log.position(), api.listed()) == (position, [])


def test_051_a_dashboard_of_another_project_is_refused_and_nothing_is_made(log, api, other):
    foreign = other.board("secret")
    position = log.position()
    answer = api.post("/insights/", {"name": "a", "dashboards": [foreign]})
    error(answer, 400, "validation_error", "does_not_exist", attr="dashboards")
    assert "secret" not in answer.text
    assert (log.position(), api.listed()) == (position, [])


def test_052_a_dashboard_gets_a_tile(api):
    board = api.board()
    made = api.create(name="a", dashboards=[board])
    (tile,) = made["dashboard_tiles"]
    assert (made["dashboards"], tile["dashboard_id"]) == ([board], board)
    assert set(tile) == {"id", "dashboard_id", "deleted"}
    assert [one["insight"]["id"] for one in api.get(f"/dashboards/{board}/").json["tiles"]] == [made["id"]]


@pytest.mark.parametrize("query", [{"kind": "Nonsense"}, {"kind": 7}, {"source": TREND}, "select 1", [TREND]])
def test_053_a_query_of_an_unknown_kind_is_no_query(log, api, query):
    position = log.position()
    answer = api.post("/insights/", {"name": "a", "query": query})
    assert (answer.status_code, answer.json["type"], answer.json["code"]) == (400, "invalid_request", "parse_error")
    assert log.position() == position


def test_054_the_same_twice_makes_two(api):
    first, second = (api.create(name="a", query=TREND) for _ in range(2))
    assert first["id"] != second["id"]
    assert first["short_id"] != second["short_id"]


def test_055_tags_are_trimmed_lower_cased_and_unique(api):
    made = api.create(tags=[" Growth", "growth ", "GROWTH", "Web", "  "])
    assert sorted(made["tags"]) == ["growth", "web"]
    assert sorted(api.get(f"/insights/{made['id']}/").json["tags"]) == ["growth", "web"]
