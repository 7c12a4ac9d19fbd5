"""Statements 139 to 141 of the contract's checklist: rules about one insight; more about levels is in test_levels.py."""

from __future__ import annotations

from tests.http.conftest import error


def test_139_the_rules_of_an_insight(api):
    made = api.create(name="a")
    answer = api.get(f"/insights/{made['id']}/access_controls/")
    assert answer.status_code == 200
    assert answer.json == {
        "access_controls": [],
        "available_access_levels": ["none", "viewer", "editor", "manager"],
        "default_access_level": "editor",
        "minimum_access_level": "none",
        "maximum_access_level": "manager",
        "user_access_level": "manager",
        "user_can_edit_access_levels": True,
    }


def test_140_a_rule_is_put_and_taken_away(api):
    made = api.create(name="a")
    path = f"/insights/{made['id']}/access_controls/"
    put = api.put(path, {"access_level": "viewer", "resource": "dashboard", "resource_id": "999"})
    assert put.status_code == 200
    assert put.json == {
        "access_level": "viewer",
        "resource": "insight",
        "resource_id": str(made["id"]),
        "organization_member": None,
        "role": None,
        "created_by": 1,
        "created_at": "2026-04-02T09:15:30.120000Z",
        "updated_at": "2026-04-02T09:15:30.120000Z",
    }
    assert api.get(path).json["access_controls"] == [put.json]
    for _ in range(2):
        answer = api.put(path, {"access_level": None})
        assert (answer.status_code, answer.content) == (204, b"")
    assert api.get(path).json["access_controls"] == []


def test_141_only_who_manages_an_insight_changes_its_rules(log, api, omar, somebody):
    made = api.create(name="a")
    path = f"/insights/{made['id']}/access_controls/"
    position = log.position()
    for level in ("manager", "none", None):
        answer = omar.put(path, {"access_level": level})
        detail = "Must be manager to modify insight permissions."
        error(answer, 403, "authentication_error", "permission_denied", detail)
    assert log.position() == position
    assert omar.get(path).json["user_can_edit_access_levels"] is False
    assert somebody("admin").put(path, {"access_level": "manager"}).status_code == 200
    assert omar.put(path, {"access_level": "viewer"}).status_code == 200
