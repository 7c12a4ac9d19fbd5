"""Groups and group types over HTTP, as they arise from captured events."""

from __future__ import annotations

import pytest


@pytest.fixture
def groups(log, clock):
    for name, kind in (("acme", "company"), ("initech", "company"), ("red", "team")):
        properties = {"$group_type": kind, "$group_key": name, "$group_set": {"name": name.upper(), "seats": 5}}
        log.project(1).capture([{"event": "$groupidentify", "distinct_id": "ann", "properties": properties}])
        clock.forward(seconds=1)


def test_types_have_the_index_in_which_they_were_seen_and_can_be_named(api, groups):
    assert [(one["group_type"], one["group_type_index"]) for one in api.get("/groups_types/").json] == [
        ("company", 0), ("team", 1),
    ]  # fmt: skip
    names = [{"group_type_index": 0, "name_singular": "Firma", "name_plural": "Firmen"}]
    shown = api.patch("/groups_types/update_metadata/", names)
    assert shown.json[0]["name_plural"] == "Firmen"
    api.patch("/groups_types/update_metadata/", [{"group_type_index": 0, "name_singular": None}])
    assert [(one["name_singular"], one["name_plural"]) for one in api.get("/groups_types/").json] == [
        (None, "Firmen"), (None, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ([{"group_type_index": 4, "name_singular": "x"}], "group_type_index"),
        ([{"group_type_index": 0, "name_singular": 5}], "name_singular"),
        ([{"name_singular": "x"}], "__0__group_type_index"),
    ],
)
def test_wrong_names_are_refused(api, groups, body, attr):
    refused = api.patch("/groups_types/update_metadata/", body)
    assert (refused.status_code, refused.json["attr"]) == (400, attr)
    assert api.patch("/groups_types/update_metadata/", {"a": 1}).status_code == 400
    assert api.get("/groups_types/").json[0]["name_singular"] is None


def test_groups_of_a_type_have_pages_and_a_search(api, groups):
    page = api.get("/groups/?group_type_index=0&limit=1").json
    assert [one["group_key"] for one in page["results"]] == ["initech"]
    assert page["next"].endswith("/groups/?group_type_index=0&limit=1&offset=1")
    last = api.get(page["next"].partition("falconframework.org")[2]).json
    assert ([one["group_key"] for one in last["results"]], last["next"]) == (["acme"], None)
    found = api.get("/groups/?group_type_index=0&search=ACM").json["results"]
    assert [one["group_properties"] for one in found] == [{"name": "ACME", "seats": 5}]


def test_one_group_is_found_by_its_key(api, groups):
    found = api.get("/groups/find/?group_type_index=1&group_key=red").json
    assert (found["group_key"], found["group_properties"]["name"]) == ("red", "RED")
    assert api.get("/groups/find/?group_type_index=0&group_key=red").status_code == 404


@pytest.mark.parametrize(
    ("query", "attr"),
    [
        ("", "group_type_index"),
        ("?group_type_index=7", "group_type_index"),
        ("?group_type_index=x", "group_type_index"),
    ],
)
def test_a_list_needs_a_type(api, query, attr):
    refused = api.get(f"/groups/{query}")
    assert (refused.status_code, refused.json["attr"]) == (400, attr)


def test_another_project_has_its_own(log, with_scopes, groups):
    foreign = with_scopes("group:read", project=2)
    assert foreign.get("/groups_types/").json == []
    assert foreign.get("/groups/?group_type_index=0").json["results"] == []
    assert foreign.patch("/groups_types/update_metadata/", []).status_code == 403
