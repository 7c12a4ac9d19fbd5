"""Statements 106 to 117 of the contract's checklist: sharing, and what visitors see."""

from __future__ import annotations

import json

import pytest
from tests.builders import TREND
from tests.http.conftest import error

VIZ = {"kind": "InsightVizNode", "source": TREND}
INVALID = ("authentication_error", "authentication_failed", "Sharing access token is invalid.")


@pytest.fixture
def made(api, log):
    log.project(1).capture([{"event": "signed up", "distinct_id": "a"}])
    return api.create(name="Signups", query=VIZ)


@pytest.fixture
def path(made):
    return f"/insights/{made['id']}/sharing/"


@pytest.fixture
def share(api, path):
    """Shares the insight; gives the token."""

    def share(**fields):
        answer = api.patch(path, {"enabled": True, **fields})
        assert answer.status_code == 200, answer.text
        return answer.json["access_token"]

    return share


@pytest.fixture
def page(app):
    """Asks as a browser without any credentials."""

    def page(path, method="GET", **options):
        from falcon import testing

        return testing.TestClient(app).simulate_request(method, path, **options)

    return page


def test_106_before_the_first_change_nothing_is_stored(log, api, path):
    position = log.position()
    first, second = (api.get(path).json for _ in range(2))
    assert (first["enabled"], first["created_at"], first["settings"], first["share_passwords"]) == (
        False,
        None,
        None,
        [],
    )
    assert first["access_token"] != second["access_token"]
    assert log.position() == position


def test_107_the_token_stays_through_disable_and_enable(api, path, share):
    token = share()
    assert len(token) == 30
    off = api.patch(path, {"enabled": False}).json
    assert (off["enabled"], off["access_token"], api.get(path).json["access_token"]) == (False, token, token)
    assert share() == token


def test_108_each_change_writes_an_entry(api, path, made):
    for enabled in (True, True, False):
        assert api.patch(path, {"enabled": enabled}).status_code == 200
    assert api.patch(path, {"settings": {"legend": True}}).status_code == 200
    entries = api.entries(made)
    verbs = ["sharing disabled", "sharing disabled", "sharing enabled", "sharing enabled", "created"]
    assert [one["activity"] for one in entries] == verbs
    for entry in entries[:-1]:
        after = entry["activity"] == "sharing enabled"
        assert entry["detail"]["changes"] == [
            {"type": "Insight", "action": "changed", "field": "sharing", "before": None, "after": after}
        ]
        assert entry["detail"]["short_id"] == made["short_id"]


def test_109_the_old_token_works_for_five_minutes_after_a_refresh(api, page, path, made, share, clock):
    old = share(settings={"legend": True})
    answer = api.post(f"{path}refresh/", {"enabled": False})
    new = answer.json["access_token"]
    assert (answer.status_code, new != old, answer.json["enabled"], answer.json["settings"]) == (
        200, True, True, {"legend": True},
    )  # fmt: skip
    clock.forward(minutes=4, seconds=59)
    assert [page(f"/shared/{token}.json").status_code for token in (old, new)] == [200, 200]
    clock.forward(seconds=2)
    assert [page(f"/shared/{token}.json").status_code for token in (old, new)] == [404, 200]
    error(page(f"/api/projects/1/insights/{made['id']}/", params={"sharing_access_token": old}), 403, *INVALID)
    entry = api.entries(made)[0]
    assert (entry["activity"], entry["detail"]["changes"]) == ("access token refreshed", None)
    assert entry["detail"]["short_id"] == made["short_id"]


def test_110_the_json_of_a_shared_insight(page, made, share):
    token = share(settings={"legend": True, "theme": "dark"})
    for base, kind in (("shared", "scene"), ("shared_dashboard", "scene"), ("embedded", "embed")):
        answer = page(f"/{base}/{token}.json")
        body = answer.json
        assert (answer.status_code, body["type"], body["accessToken"], body["themes"]) == (200, kind, token, [])
        assert (body["legend"], body["theme"], "detailed" in body) == (True, "dark", False)
        insight = body["insight"]
        assert (insight["id"], insight["effective_privilege_level"], insight["effective_restriction_level"]) == (
            made["id"], 21, 37,
        )  # fmt: skip
        assert insight["result"][0]["count"] == 1
    assert page(f"/shared/{token}.json", params={"embedded": ""}).json["type"] == "embed"


def test_111_a_share_that_is_not_open_is_not_found(api, page, path, made, share):
    token = share()
    assert page(f"/shared/{token}").status_code == 200
    api.patch(path, {"enabled": False})
    for base in ("shared", "embedded", "shared_dashboard"):
        for given in (token, "unknown", "x" * 30):
            for suffix in ("", ".json", ".png"):
                assert page(f"/{base}/{given}{suffix}").status_code == 404
    share()
    api.changed(made, deleted=True)
    gone = page(f"/shared/{token}")
    assert (gone.status_code, gone.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert page(f"/shared/{token}.json").status_code == 404


def test_112_the_api_by_the_token(api, page, made, share, other):
    token, sibling = share(), api.create(name="sibling")
    foreign = other.create(name="secret")

    def ask(project, ref, given=token):
        return page(f"/api/projects/{project}/insights/{ref}/", params={"sharing_access_token": given})

    for ref in (made["id"], made["short_id"]):
        answer = ask(1, ref)
        assert (answer.status_code, answer.json["id"], answer.json["user_access_level"]) == (200, made["id"], None)
    error(ask(1, sibling["id"]), 404, "invalid_request", "not_found", "Not found.")
    error(ask(1, foreign["id"]), 404, "invalid_request", "not_found", "Not found.")
    error(ask(1, made["id"], "unknown"), 403, *INVALID)
    error(ask(2, foreign["id"]), 403, *INVALID)
    error(ask(2, made["id"]), 403, *INVALID)


def test_113_the_token_is_for_reading(log, page, made, share):
    token = share()
    position = log.position()
    detail = "Sharing access token can only be used for GET requests."
    for method, where in (
        ("PATCH", f"{made['id']}/"),
        ("PUT", f"{made['id']}/"),
        ("POST", ""),
        ("POST", f"{made['id']}/viewed/"),
    ):
        answer = page(
            f"/api/projects/1/insights/{where}", method, json={"name": "x"}, params={"sharing_access_token": token}
        )
        error(answer, 403, "authentication_error", "authentication_failed", detail)
    assert log.position() == position


def test_114_a_list_by_the_token_holds_the_shared_insight(api, page, made, share):
    api.create(name="sibling")
    token = share()
    for params in ({}, {"search": "sibling"}, {"short_id": "x"}, {"user": "1"}, {"order": "-id"}):
        body = page("/api/projects/1/insights/", params={"sharing_access_token": token, **params}).json
        assert {one["id"] for one in body["results"]} <= {made["id"]}
        assert "sibling" not in json.dumps(body["results"])
    assert page("/api/projects/1/insights/", params={"sharing_access_token": token}).json["count"] == 1
    for path in ("activity/", "my_last_viewed/", "trend/", f"{made['id']}/activity/", f"{made['id']}/access_controls/"):
        answer = page(f"/api/projects/1/insights/{path}", params={"sharing_access_token": token})
        assert answer.status_code in {401, 403}, path


def test_115_overrides_are_ignored_and_personal_fields_hidden(api, page, made, share):
    board = api.board(filters={"date_from": "-60d"})
    api.changed(made, dashboards=[board])
    token = share(settings={"hideExtraDetails": True})
    personal = {"created_by", "last_modified_by", "created_at", "last_modified_at"}
    override = json.dumps({"date_from": "-30d"})
    for path in (f"/api/projects/1/insights/{made['id']}/", "/api/projects/1/insights/"):
        body = page(
            path,
            params={
                "sharing_access_token": token, "filters_override": override, "from_dashboard": str(board),
                "variables_override": "xx", "tile_filters_override": override,
            },
        ).json  # fmt: skip
        shown = body["results"][0] if "results" in body else body
        assert shown["query"] == VIZ
        assert personal.isdisjoint(shown)
        assert "ines@example.com" not in json.dumps(body)
    by_page = page(f"/shared/{token}.json").json["insight"]
    assert personal.isdisjoint(by_page)
    share(settings={"hideExtraDetails": False})
    assert personal <= set(page(f"/shared/{token}.json").json["insight"])


def test_116_a_password_opens_what_the_token_alone_does_not(api, page, path, made, share):
    token = share(password_required=True)
    secret = api.post(f"{path}passwords/", {"raw_password": "open sesame", "note": "n"})
    assert secret.status_code == 201
    api_path = f"/api/projects/1/insights/{made['id']}/"
    assert page(f"/shared/{token}.json").json == {"type": "unlock"}
    wrong = page(f"/shared/{token}", "POST", json={"password": "open says me"})
    assert (wrong.status_code, wrong.json) == (401, {"error": "Incorrect password"})
    right = page(f"/shared/{token}", "POST", json={"password": "open sesame"})
    visit = right.json["shareToken"]
    cookie = right.cookies["posthog_sharing_token"]
    assert (right.status_code, cookie.value, cookie.http_only, cookie.same_site) == (200, visit, True, "Lax")
    assert (cookie.path, cookie.max_age) == (f"/shared/{token}", 86400)
    bearer = {"Authorization": f"Bearer {visit}"}
    assert page(f"/shared/{token}.json", headers=bearer).json["insight"]["id"] == made["id"]
    assert page(f"/shared/{token}.json", cookies={"posthog_sharing_token": visit}).json["type"] == "scene"
    assert page(api_path, headers=bearer).json["id"] == made["id"]
    error(page(api_path, params={"sharing_access_token": token}), 403, *INVALID)


def test_117_sharing_has_no_short_ids(api, made):
    for method, where in (
        ("GET", ""),
        ("PATCH", ""),
        ("POST", "refresh/"),
        ("POST", "passwords/"),
        ("DELETE", "passwords/1/"),
    ):
        answer = api(method, f"/insights/{made['short_id']}/sharing/{where}", {} if method != "GET" else None)
        error(answer, 404, "invalid_request", "not_found", "Insight not found.")


def test_an_empty_sharing_token_is_none(api, nobody):
    made = api.create(name="a")
    path = f"/insights/{made['id']}/?sharing_access_token="
    assert api.get(path).json["name"] == "a"
    detail = "Authentication credentials were not provided."
    error(nobody.get(path), 403, "authentication_error", "not_authenticated", detail)
