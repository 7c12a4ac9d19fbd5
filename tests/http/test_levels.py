"""Who may do what: rules for everyone, members and roles, private projects, restricted dashboards (1.7, 3.17)."""

from __future__ import annotations

import itertools

import pytest
from tests.builders import TREND
from tests.http.conftest import error

from insightlog.application.acting import acting

SYSTEM = acting(None, None)
DENIED = ("authentication_error", "permission_denied")


def refused(answer, detail):
    error(answer, 403, *DENIED, detail)


@pytest.fixture
def rule(api):
    """Gives (or takes, with None) a level on an insight of Ines'."""

    def rule(insight, level, **subject):
        answer = api.put(f"/insights/{insight['id']}/access_controls/", {"access_level": level, **subject})
        assert answer.status_code == (200 if level else 204), answer.text

    return rule


@pytest.fixture
def member_id(api):
    """Gives the id of a membership as clients find it."""

    def member_id(user):
        members = api.get("/api/organizations/@current/members/").json["results"]
        return next(one["id"] for one in members if one["user"]["id"] == user.id)

    return member_id


@pytest.fixture
def role(log):
    """Makes a role with members; gives its id as clients know it."""
    numbers = itertools.count()

    def role(*users):
        made = log.organizations.create_role(
            1, f"Role {next(numbers)}", SYSTEM, user_ids=[one.id for one in users]
        )  # fmt: skip
        return made.uuid

    return role


ABILITIES = {"none": (403, 403, 403), "viewer": (200, 403, 403), "editor": (200, 200, 403), "manager": (200, 200, 200)}
"""Level -> what retrieving, changing and ruling answer."""


def able(caller, insight):
    path = f"/insights/{insight['id']}/"
    return (
        caller.get(path).status_code,
        caller.patch(path, {"description": "d"}).status_code,
        caller.put(f"{path}access_controls/", {"access_level": "editor", "organization_member": None}).status_code,
    )


@pytest.mark.parametrize("level", ABILITIES)
def test_a_level_for_everyone(api, omar, rule, level):
    made = api.create(name="a")
    rule(made, level)
    assert able(omar, made) == ABILITIES[level]


@pytest.mark.parametrize("level", ABILITIES)
def test_a_level_for_a_member(api, omar, somebody, rule, member_id, level):
    made = api.create(name="a")
    rule(made, "none")
    friend = somebody()
    rule(made, level, organization_member=member_id(friend.user))
    assert able(friend, made) == ABILITIES[level]
    assert able(omar, made)[0] == (200 if level == "manager" else 403)


@pytest.mark.parametrize("level", ABILITIES)
def test_a_level_for_a_role(api, omar, somebody, rule, role, level):
    made = api.create(name="a")
    rule(made, "none")
    friend = somebody()
    rule(made, level, role=role(friend.user))
    assert omar.get(f"/insights/{made['id']}/").status_code == 403
    assert able(friend, made) == ABILITIES[level]


def test_the_highest_of_the_rules_counts_and_leaving_a_role_ends_it(log, api, somebody, rule, role, member_id):
    made, friend = api.create(name="a"), somebody()
    rule(made, "none")
    rule(made, "viewer", organization_member=member_id(friend.user))
    rule(made, "editor", role=role(friend.user))
    assert friend.get(f"/insights/{made['id']}/").json["user_access_level"] == "editor"
    log.organizations.set_role_members(1, 1, [], SYSTEM)
    assert friend.get(f"/insights/{made['id']}/").json["user_access_level"] == "viewer"
    rule(made, None, organization_member=member_id(friend.user))
    assert friend.get(f"/insights/{made['id']}/").status_code == 403


def test_creator_and_administrators_manage_whatever_the_rules(log, api, omar, somebody, rule):
    made = api.create(name="a")
    rule(made, "none")
    assert able(api, made) == ABILITIES["manager"]
    for level in ("admin", "owner"):
        assert somebody(level).get(f"/insights/{made['id']}/").json["user_access_level"] == "manager"
    log.organizations.set_project_access(1, "project", "admin", SYSTEM, member=2)
    assert omar.get(f"/insights/{made['id']}/").json["user_access_level"] == "manager"


def test_what_is_hidden_is_left_out_everywhere(api, omar, rule):
    board = api.board()
    hidden, shown = (api.create(name=f"{name} secret", dashboards=[board], tags=["t"]) for name in ("hidden", "shown"))
    omar.post("/insights/viewed/", {"insight_ids": [hidden["id"], shown["id"]]})
    rule(hidden, "none")
    for params in ({}, {"search": "secret"}, {"tags": '["t"]'}, {"short_id": hidden["short_id"]}, {"order": "-id"},
                   {"dashboards": f"[{board}]"}, {"saved": "true"}, {"created_by": "[1]"}):  # fmt: skip
        page = omar.get("/insights/", params=params).json
        assert hidden["id"] not in [one["id"] for one in page["results"]]
        assert page["count"] == len(page["results"])
    assert [one["id"] for one in omar.get("/insights/my_last_viewed/").json] == [shown["id"]]
    assert [one["id"] for one in omar.get("/insights/trending/").json["results"]] == [shown["id"]]
    detail = "You do not have viewer access to this resource."
    for path in ("", "activity/", "access_controls/", "users_with_access/", "sharing/"):
        refused(omar.get(f"/insights/{hidden['id']}/{path}"), detail)
    refused(omar.post(f"/insights/{hidden['id']}/viewed/"), detail)
    tiles = {tile["insight"]["id"]: tile["insight"] for tile in omar.get(f"/dashboards/{board}/").json["tiles"]}
    assert tiles[hidden["id"]] == {"id": hidden["id"], "short_id": hidden["short_id"], "user_access_level": "none"}
    assert tiles[shown["id"]]["name"] == "shown secret"
    assert set(api.listed()) == {hidden["id"], shown["id"]}


def test_the_projects_activity_names_nothing_that_is_hidden(api, omar, rule):
    hidden = api.create(name="hidden secret")
    api.create(name="shown")
    rule(hidden, "none")
    assert "hidden secret" not in omar.get("/insights/activity/").text
    page = omar.get("/insights/activity/").json
    assert page["total_count"] == len(page["results"]) == 1
    assert api.get("/insights/activity/").json["total_count"] == 2


def test_bulk_views_drop_what_is_hidden(log, api, omar, rule):
    hidden = api.create(name="a")
    rule(hidden, "none")
    position = log.position()
    assert omar.post("/insights/viewed/", {"insight_ids": [hidden["id"]]}).status_code == 200
    assert log.position() == position


def test_rules_for_all_insights_give_the_default(log, api, omar, rule):
    made = api.create(name="a")
    log.organizations.set_project_access(1, "insight", "viewer", SYSTEM)
    assert omar.get(f"/insights/{made['id']}/").json["user_access_level"] == "viewer"
    rule(made, "editor")
    assert omar.get(f"/insights/{made['id']}/").json["user_access_level"] == "editor"
    log.organizations.set_project_access(1, "insight", "none", SYSTEM)
    rule(made, None)
    assert omar.listed() == []
    own = omar.create(name="own")
    assert omar.listed() == [own["id"]]
    log.organizations.set_project_access(1, "insight", None, SYSTEM)
    assert omar.listed() == [made["id"], own["id"]]


def test_a_private_project_opens_to_its_members_only(log, api, omar, somebody):
    api.create(name="secret")
    log.organizations.set_project_access(1, "project", "none", SYSTEM)
    log.organizations.set_project_access(1, "project", "member", SYSTEM, member=1)
    detail = "You don't have access to the project."
    for path in (
        "/insights/",
        "/insights/1/",
        "/insights/999/",
        "/dashboards/",
        "/query/x/",
        "/insights/1/sharing/",
        "/",
    ):
        refused(omar.get(path), detail)
    assert [one["id"] for one in omar.get("/api/projects/").json["results"]] == [2]
    assert omar.get("/api/users/@me/").json["team"]["id"] == 2
    assert "secret" not in omar.get("/api/projects/@current/insights/").text
    assert api.get("/insights/").json["count"] == 1
    assert somebody("admin").get("/insights/").json["count"] == 1
    log.organizations.set_project_access(1, "project", "member", SYSTEM, member=2)
    assert omar.get("/insights/").json["count"] == 1


def test_leaving_the_organisation_closes_everything(log, api, omar):
    api.create(name="secret")
    log.organizations.set_member(1, 2, None, SYSTEM)
    refused(omar.get("/insights/"), "You don't have access to the project.")
    assert omar.get("/api/projects/").json["count"] == 0
    assert omar.get("/api/organizations/").json["count"] == 0
    error(omar.get("/api/projects/@current/insights/"), 404, "invalid_request", "not_found", "Project not found.")
    me = omar.get("/api/users/@me/").json
    assert (me["team"], me["organization"], me["organizations"]) == (None, None, [])


WRONG_RULES = [
    ({"access_level": "boss"}, "Invalid access level. Must be one of: none, viewer, editor, manager", "access_level"),
    ({"access_level": 3}, "Invalid access level. Must be one of: none, viewer, editor, manager", "access_level"),
    ({"access_level": "viewer", "organization_member": "x"},
     "Invalid organization member id. Use the 'id' field from the /api/organizations/<organization_id>/members/ endpoint.", None),
    ({"access_level": "viewer", "organization_member": 1},
     "Invalid organization member id. Use the 'id' field from the /api/organizations/<organization_id>/members/ endpoint.", None),
    ({"access_level": "viewer", "role": "x"}, None, None),
    ({}, None, "access_level"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "detail", "attr"), WRONG_RULES)
def test_a_wrong_rule_is_refused_and_changes_nothing(log, api, body, detail, attr):
    made = api.create(name="a")
    position = log.position()
    answer = api.put(f"/insights/{made['id']}/access_controls/", body)
    assert (answer.status_code, answer.json["type"], answer.json["attr"]) == (400, "validation_error", attr)
    assert detail in (None, answer.json["detail"])
    assert log.position() == position


def test_a_rule_is_about_a_member_or_a_role(api, role, member_id, log):
    made = api.create(name="a")
    both = {"access_level": "viewer", "organization_member": member_id(log.users()[1]), "role": role()}
    answer = api.put(f"/insights/{made['id']}/access_controls/", both)
    detail = "You can not scope an access control to both a member and a role."
    error(answer, 400, "validation_error", "invalid_input", detail)


def test_rules_of_members_and_roles_are_shown_by_their_ids(log, api, role, member_id, rule):
    made = api.create(name="a")
    member, group = member_id(log.users()[1]), role(log.users()[1])
    rule(made, "viewer", organization_member=member)
    rule(made, "manager", role=group)
    rule(made, "none")
    rows = api.get(f"/insights/{made['id']}/access_controls/").json["access_controls"]
    assert {(one["access_level"], one["organization_member"], one["role"]) for one in rows} == {
        ("viewer", member, None), ("manager", None, group), ("none", None, None),
    }  # fmt: skip
    rule(made, "editor", organization_member=member)
    rows = api.get(f"/insights/{made['id']}/access_controls/").json["access_controls"]
    assert len(rows) == 3


def test_rules_of_projects_are_not_made_at_an_insight(api):
    made = api.create(name="a")
    detail = "Resource-level access controls can only be configured for projects."
    for name in ("resource_access_controls", "global_access_controls"):
        for method in ("GET", "PUT"):
            answer = api(method, f"/insights/{made['id']}/{name}/", {} if method == "PUT" else None)
            error(answer, 400, "validation_error", "invalid_input", detail)


def test_users_with_access_and_where_it_comes_from(log, api, omar, somebody, role, member_id, rule):
    made = api.create(name="a")
    boss, friend, colleague, project_admin = somebody("owner"), somebody(), somebody(), somebody()
    stranger = somebody(organization=None, level=None)
    log.organizations.set_project_access(1, "project", "admin", SYSTEM, member=project_admin.user.id)
    path = f"/insights/{made['id']}/users_with_access/"
    assert {one["access_source"] for one in api.get(path).json["users"]} == {
        "creator", "default", "organization_admin", "project_admin",
    }  # fmt: skip
    rule(made, "none")
    rule(made, "viewer", organization_member=member_id(friend.user))
    rule(made, "editor", role=role(colleague.user))
    body = api.get(path).json
    found = {one["user_id"]: (one["access_level"], one["access_source"]) for one in body["users"]}
    assert found == {
        1: ("manager", "creator"),
        boss.user.id: ("manager", "organization_admin"),
        friend.user.id: ("viewer", "explicit_member"),
        colleague.user.id: ("editor", "explicit_role"),
        project_admin.user.id: ("manager", "project_admin"),
    }
    assert stranger.user.id not in found
    assert body["total_count"] == 5
    levels = {one["user_id"]: one["organization_membership_level"] for one in body["users"]}
    assert (levels[boss.user.id], levels[friend.user.id]) == (15, 1)
    assert all(set(one) == {"user_id", "access_level", "access_source", "organization_membership_id",
                            "organization_membership_level"} for one in body["users"])  # fmt: skip


def test_rules_need_scopes_of_their_own(api, with_scopes):
    made = api.create(name="a")
    path = f"/insights/{made['id']}/access_controls/"
    reader = with_scopes("access_control:read", "insight:write")
    assert reader.get(path).status_code == 200
    refused(reader.put(path, {"access_level": "none"}), "API key missing required scope 'access_control:write'")
    refused(with_scopes("insight:write").get(path), "API key missing required scope 'access_control:read'")
    assert with_scopes("access_control:write").put(path, {"access_level": "viewer"}).status_code == 200


# -- sharing by level ------------------------------------------------------------------------------------------------


def test_a_viewer_may_look_at_the_sharing_and_not_change_it(log, api, omar, rule):
    made = api.create(name="a")
    rule(made, "viewer")
    path = f"/insights/{made['id']}/sharing/"
    assert omar.get(path).status_code == 200
    position = log.position()
    detail = "You don't have edit permissions for this insight."
    for method, where, body in (
        ("PATCH", "", {"enabled": True}), ("POST", "refresh/", {}), ("POST", "passwords/", {}), ("DELETE", "passwords/1/", None),
    ):  # fmt: skip
        refused(omar(method, f"{path}{where}", body), detail)
    assert log.position() == position


def test_an_organisation_may_forbid_public_sharing(log, api):
    made = api.create(name="a")
    path = f"/insights/{made['id']}/sharing/"
    log.organizations.allow_public_sharing(1, False, SYSTEM)
    position = log.position()
    refused(api.patch(path, {"enabled": True}), "Public sharing is disabled for this organization.")
    assert log.position() == position
    assert api.patch(path, {"enabled": False}).status_code == 200
    log.organizations.allow_public_sharing(1, True, SYSTEM)
    assert api.patch(path, {"enabled": True}).json["enabled"] is True


def test_forbidding_closes_what_is_shared_already(log, api):
    made = api.create(name="a")
    token = api.patch(f"/insights/{made['id']}/sharing/", {"enabled": True}).json["access_token"]
    assert api.client.simulate_get(f"/shared/{token}.json").status_code == 200
    log.organizations.allow_public_sharing(1, False, SYSTEM)
    assert api.client.simulate_get(f"/shared/{token}.json").status_code == 404


# -- restricted dashboards -------------------------------------------------------------------------------------------


@pytest.fixture
def restricted(api):
    return api.board("restricted", restriction_level=37)


def test_an_insight_on_a_restricted_dashboard_is_not_edited_by_others(log, api, omar, somebody, restricted):
    made = api.create(name="a", dashboards=[restricted])
    shown = omar.get(f"/insights/{made['id']}/").json
    assert (shown["effective_restriction_level"], shown["effective_privilege_level"]) == (37, 21)
    position = log.position()
    error(omar.patch(f"/insights/{made['id']}/", {"name": "b"}), 403, *DENIED)
    assert log.position() == position
    log.project(1).dashboards.set_collaborator(restricted, 2, by=1)
    assert omar.get(f"/insights/{made['id']}/").json["effective_privilege_level"] == 37
    assert omar.changed(made, name="b")["name"] == "b"
    log.project(1).dashboards.set_collaborator(restricted, 2, by=1, may_edit=False)
    error(omar.patch(f"/insights/{made['id']}/", {"name": "c"}), 403, *DENIED)
    assert somebody("admin").changed(made, name="d")["name"] == "d"


def test_one_dashboard_that_may_be_edited_is_enough(api, omar, restricted):
    made = api.create(name="a", dashboards=[restricted, api.board()])
    assert omar.changed(made, name="b")["effective_restriction_level"] == 37


def test_insights_are_not_put_on_nor_taken_off_a_restricted_dashboard(log, api, omar, restricted):
    open_board = api.board("open")
    made = api.create(name="a", dashboards=[restricted, open_board])
    loose = omar.create(name="b")
    position = log.position()
    refused(
        omar.patch(f"/insights/{made['id']}/", {"dashboards": [open_board]}),
        f"You don't have permission to remove insights from dashboard: {restricted}",
    )
    refused(
        omar.patch(f"/insights/{loose['id']}/", {"dashboards": [restricted]}),
        f"You don't have permission to add insights to dashboard: {restricted}",
    )
    refused(
        omar.patch(f"/dashboards/{restricted}/", {"name": "mine"}),
        "You don't have edit permissions for this dashboard.",
    )
    assert log.position() == position
    assert omar.changed(made, dashboards=[restricted, open_board], name="c")["dashboards"] == [restricted, open_board]


def test_an_insight_may_be_made_on_a_restricted_dashboard_as_the_peer_lets(omar, restricted):
    assert omar.create(name="c", dashboards=[restricted])["dashboards"] == [restricted]


def test_a_tile_on_a_deleted_dashboard_comes_back_with_it(api):
    first, second = api.board("first"), api.board("second")
    made = api.create(name="a", dashboards=[first, second])
    api.patch(f"/dashboards/{first}/", {"deleted": True})
    assert api.changed(made, dashboards=[])["dashboards"] == []
    api.patch(f"/dashboards/{first}/", {"deleted": False})
    assert api.get(f"/insights/{made['id']}/").json["dashboards"] == [first]


# -- results of what is hidden ---------------------------------------------------------------------------------------


def test_results_of_a_hidden_insight_are_not_reached_by_another_way(log, api, omar, rule):
    log.project(1).capture([{"event": "signed up", "distinct_id": "a"}])
    made = api.create(name="hidden secret", query=TREND)
    started = api.get(f"/insights/{made['id']}/", params={"refresh": "force_async", "client_query_id": "mine"})
    assert started.json["query_status"]["id"] == "mine"
    assert omar.get("/query/mine/").status_code in {200, 202}
    rule(made, "none")
    error(omar.get("/query/mine/"), 404, "invalid_request", "not_found", "Query mine not found for team 1")
    answer = omar.post("/query/", {"query": {"kind": "SavedInsightNode", "shortId": made["short_id"]}})
    assert answer.status_code in {400, 403, 404}
    assert "results" not in answer.json
    assert api.get("/query/mine/").status_code in {200, 202}


def test_tiles_are_moved_neither_from_nor_to_a_restricted_dashboard_of_others(log, api, omar, restricted):
    free = api.board("free")
    on_free, on_restricted = (
        api.create(name="a", dashboards=[board])["dashboard_tiles"][0]["id"] for board in (free, restricted)
    )
    position = log.position()
    for board, tile, to in ((free, on_free, restricted), (restricted, on_restricted, free)):
        body = {"tile": {"id": tile}, "toDashboard": to}
        error(
            omar.patch(f"/dashboards/{board}/move_tile/", body),
            403, "authentication_error", "permission_denied", "You don't have edit permissions for this dashboard.",
        )  # fmt: skip
    assert log.position() == position
    log.project(1).dashboards.set_collaborator(restricted, 2, by=1)
    body = {"tile": {"id": on_free}, "toDashboard": restricted}
    assert omar.patch(f"/dashboards/{free}/move_tile/", body).status_code == 200
