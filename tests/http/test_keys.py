"""Personal API keys: scopes, what they are bound to, when they were used last, and what clients ask about them."""

from __future__ import annotations

import pytest
from tests.http.conftest import Api, error

from insightlog.adapters.http.app import HttpOptions, routes_of
from insightlog.application.acting import acting

SYSTEM = acting(None, None)
DENIED = ("authentication_error", "permission_denied")


@pytest.fixture
def elsewhere(log):
    """Another organisation with project 3, of which Ines is a member too."""
    made = log.organizations.create("Elsewhere", SYSTEM)
    assert log.create_project("Three", organization=made.id).id == 3
    log.organizations.set_member(made.id, 1, "member", SYSTEM)
    return made


def projects(caller):
    return [one["id"] for one in caller.get("/api/projects/").json["results"]]


def test_a_key_can_have_every_scope_that_a_route_asks_for(log):
    asked = {scope for route in routes_of(log, HttpOptions()) for scope in (route.scopes or {}).values() if scope}
    assert len(asked) > 10
    for scope in asked:
        assert log.create_key(1, [scope]).key.scopes == (scope,)


def test_each_route_asks_for_its_scope(log, app, declarations):
    """A key with every scope but one is refused by the routes that ask for it, before anything is looked up."""
    routes = [route for route in routes_of(log, HttpOptions()) if not route.path.startswith("/api/environments/{")]
    asked = sorted({scope for route in routes for scope in (route.scopes or {}).values() if scope})
    for scope in asked:
        name = scope.partition(":")[0]
        others = [one for one in asked if one.partition(":")[0] != name]
        if scope.endswith(":write"):
            others.append(f"{name}:read")
        client = Api(app, None).client
        headers = {"Authorization": f"Bearer {log.create_key(1, others).value}"}
        for route in routes:
            for method, needed in (route.scopes or {}).items():
                if needed == scope:
                    path = route.path.replace("{project_id}", "1").replace("{organization}", "@current")
                    body = {} if method in {"POST", "PUT", "PATCH"} else None
                    answer = client.simulate_request(method, path, json=body, headers=headers)
                    error(answer, 403, *DENIED, f"API key missing required scope '{scope}'")


def test_a_key_bound_to_an_organisation(log, app, elsewhere):
    bound = Api(app, log.create_key(1, organizations=[elsewhere.id]).value)
    detail = "API key does not have access to the requested organization: ID 1."
    error(bound.get("/insights/"), 403, *DENIED, detail)
    assert bound.get("/api/projects/3/insights/").status_code == 200
    assert bound.get("/api/projects/@current/").json["id"] == 3
    assert projects(bound) == [3]
    assert [one["name"] for one in bound.get("/api/organizations/").json["results"]] == ["Elsewhere"]
    assert bound.get("/api/users/@me/").json["organization"]["name"] == "Elsewhere"


def test_a_key_bound_to_a_project(log, app, api, elsewhere):
    assert projects(api) == [1, 2, 3]
    bound = Api(app, log.create_key(1, projects=[2, 3]).value)
    error(bound.get("/insights/"), 403, *DENIED, "API key does not have access to the requested project: ID 1.")
    assert projects(bound) == [2, 3]
    assert bound.get("/api/projects/@current/").json["id"] == 2
    both = Api(app, log.create_key(1, projects=[2, 3], organizations=[elsewhere.id]).value)
    assert projects(both) == [3]
    assert both.get("/api/projects/2/insights/").status_code == 403


def test_keys_are_bound_only_to_what_there_is(log):
    for bound in ({"projects": [99]}, {"organizations": [99]}):
        with pytest.raises(Exception, match="99"):
            log.create_key(1, **bound)


def test_last_used_is_noted_once_an_hour(log, api, clock):
    def used():
        return api.get("/api/personal_api_keys/@current/").json["last_used_at"]

    used()
    first = used()
    assert first == "2026-04-02T09:15:30.120000Z"
    clock.forward(minutes=59)
    assert used() == first
    clock.forward(minutes=2)
    used()
    assert used() == "2026-04-02T10:16:30.120000Z"
    assert log.all_keys()[0].last_used_at is not None


def test_the_key_tells_about_itself(log, app, elsewhere):
    made = log.create_key(1, ["insight:read", "query:read"], projects=[3], organizations=[elsewhere.id], label="ci")
    for slash in ("", "/"):
        shown = Api(app, made.value).get(f"/api/personal_api_keys/@current{slash}")
        assert shown.status_code == 200
    body = shown.json
    assert (body["label"], body["scopes"], body["scoped_teams"], body["scoped_organizations"]) == (
        "ci", ["insight:read", "query:read"], [3], [elsewhere.uuid],
    )  # fmt: skip
    assert made.value not in shown.text
    assert body["mask_value"].endswith(made.value[-4:])
    whole = Api(app, log.create_key(1).value).get("/api/personal_api_keys/@current").json
    assert (whole["scopes"], whole["scoped_teams"], whole["scoped_organizations"]) == (["*"], [], [])
    legacy = Api(app, log.create_key(1, ()).value).get("/api/personal_api_keys/@current").json
    assert legacy["scopes"] == ["*"]


@pytest.mark.parametrize("path", ["/api/users/@me/", "/api/users/%40me/", "/api/users/@me", "/api/users/%40me"])
def test_what_clients_ask_at_start_about_the_user(api, path):
    me = api.get(path)
    assert me.status_code == 200
    body = me.json
    assert (body["email"], body["team"]["id"], body["team"]["timezone"]) == ("ines@example.com", 1, "UTC")
    assert body["organization"]["id"] == body["team"]["organization"] == body["organizations"][0]["id"]
    assert {"id", "uuid", "distinct_id", "first_name"} <= set(body)
    assert {"uuid", "api_token", "name"} <= set(body["team"])


def test_what_clients_ask_at_start_about_projects(api):
    for path in ("/api/projects", "/api/projects/", "/api/environments/", "/api/organizations/@current/projects/"):
        page = api.get(path, params={"limit": "100"}).json
        assert (page["count"], [one["name"] for one in page["results"]], page["next"]) == (2, ["One", "Two"], None)
    first = api.get("/api/projects", params={"limit": "1"}).json
    assert first["next"].endswith("/api/projects?limit=1&offset=1")
    whole = page["results"][0]
    assert {"id", "uuid", "organization", "api_token", "name", "completed_snippet_onboarding", "ingested_event", "is_demo",
            "timezone", "access_control"} <= set(whole)  # fmt: skip
    for path in ("/api/projects/1/", "/api/projects/@current", "/api/environments/1", "/api/environments/@current/"):
        assert api.get(path).json == whole
    assert api.get("/api/organizations/@current/").json["teams"] == page["results"]


def test_an_unknown_organisation_is_not_found(log, api):
    hidden = log.organizations.create("Hidden", SYSTEM)
    for ref in (hidden.uuid, str(hidden.id), "x"):
        for path in ("", "projects/", "members/", "roles/", "projects/1/"):
            answer = api.get(f"/api/organizations/{ref}/{path}")
            assert answer.status_code == 404
            assert "Hidden" not in answer.text


def test_members_and_roles_have_ids_for_rules(log, api, somebody):
    boss = somebody("owner", first_name="Bo")
    role = log.organizations.create_role(1, "Analysts", SYSTEM, user_ids=[2])
    members = api.get("/api/organizations/@current/members/").json["results"]
    assert {one["user"]["first_name"]: one["level"] for one in members} == {"Ines": 1, "Omar": 1, "Bo": 15}
    assert len({one["id"] for one in members}) == 3
    (shown,) = api.get("/api/organizations/@current/roles/").json["results"]
    assert (shown["id"], shown["name"]) == (role.uuid, "Analysts")
    assert [one["user"]["first_name"] for one in shown["members"]] == ["Omar"]
    assert boss.get("/api/organizations/@current/").json["membership_level"] == 15
