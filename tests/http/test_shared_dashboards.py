"""Shared dashboards: configured like insights' shares, shown with their tiles, opening what stands on them."""

from __future__ import annotations

import pytest
from tests.builders import TREND
from tests.http.conftest import error

from insightlog.application.acting import acting
from insightlog.domain.dashboard_events import DashboardShareLoginAttempted

VIZ = {"kind": "InsightVizNode", "source": TREND}
SYSTEM = acting(None, None)
INVALID = ("authentication_error", "authentication_failed", "Sharing access token is invalid.")
NOT_FOUND = ("invalid_request", "not_found", "Not found.")


@pytest.fixture
def board(api, log):
    """A dashboard with an insight and a text."""
    log.project(1).capture([{"event": "signed up", "distinct_id": "a"}])
    made = api.board("Growth <b>", description="Weekly & more", filters={"date_from": "-3d"})
    api.create(name="Signups", query=VIZ, dashboards=[made])
    answer = api.patch(f"/dashboards/{made}/", {"tiles": [{"text": {"body": "<i>first</i>\nsecond"}}]})
    assert answer.status_code == 200, answer.text
    return made


@pytest.fixture
def share(api, board):
    """Shares the dashboard; gives the token."""

    def share(dashboard=board, **fields):
        answer = api.patch(f"/dashboards/{dashboard}/sharing/", {"enabled": True, **fields})
        assert answer.status_code == 200, answer.text
        return answer.json["access_token"]

    return share


def visitor(ask, token, path="", **params):
    return ask(f"/api/projects/1/insights/{path}", params={"sharing_access_token": token, **params})


def test_switched_changed_and_renewed_like_an_insights_share(log, api, ask, board, share, clock):
    path = f"/dashboards/{board}/sharing/"
    position = log.position()
    first, second = (api.get(path).json for _ in range(2))
    assert (first["enabled"], first["created_at"], first["share_passwords"], log.position()) == (
        False, None, [], position,
    )  # fmt: skip
    assert first["access_token"] != second["access_token"]
    assert api.get(f"/dashboards/{board}/").json["is_shared"] is False
    before = log.project(1).dashboards.get(board).updated_at
    clock.forward(minutes=1)
    token = share(settings={"legend": True, "odd": 1})
    assert len(token) == 30
    assert api.get(path).json["settings"] == {"legend": True}
    assert [one["is_shared"] for one in api.get("/dashboards/").json["results"]] == [True]
    assert log.project(1).dashboards.get(board).updated_at == before
    assert api.patch(path, {"enabled": False}).json["access_token"] == token
    assert ask(f"/shared/{token}").status_code == 404
    assert share() == token
    new = api.post(f"{path}refresh/").json["access_token"]
    clock.forward(minutes=4, seconds=59)
    assert [ask(f"/shared/{one}.json").status_code for one in (token, new)] == [200, 200]
    clock.forward(seconds=2)
    assert [ask(f"/shared/{one}.json").status_code for one in (token, new)] == [404, 200]
    error(visitor(ask, token), 403, *INVALID)
    assert [one["activity"] for one in api.entries()] == ["created"]
    for method in ("POST", "PUT", "DELETE"):
        assert api(method, path, {}).status_code == 405


def test_the_tokens_of_an_insight_and_a_dashboard_with_one_number_differ(api, board, share):
    insight = api.get("/insights/").json["results"][0]["id"]
    assert insight == board
    assert api.patch(f"/insights/{insight}/sharing/", {"enabled": True}).json["access_token"] != share()


def test_the_json_and_the_page_show_every_tile_through_the_dashboards_filters(log, api, ask, board, share):
    token = share(settings={"theme": "dark", "noHeader": False})
    position = log.position()
    for base, kind in (("shared", "scene"), ("shared_dashboard", "scene"), ("embedded", "embed")):
        body = ask(f"/{base}/{token}.json").json
        assert (body["type"], body["accessToken"], body["theme"], "insight" in body) == (kind, token, "dark", False)
        shown = body["dashboard"]
        assert (shown["id"], shown["name"], shown["is_shared"], shown["user_access_level"]) == (
            board, "Growth <b>", True, None,
        )  # fmt: skip
        assert (shown["effective_restriction_level"], shown["effective_privilege_level"]) == (37, 21)
        insight, text = shown["tiles"]
        assert text["text"]["body"] == "<i>first</i>\nsecond"
        insight = insight["insight"]
        assert (insight["name"], insight["effective_privilege_level"], insight["user_access_level"]) == (
            "Signups", 21, None,
        )  # fmt: skip
        assert insight["query"]["source"]["dateRange"]["date_from"] == "-3d"
        assert len(insight["result"][0]["data"]) == 4
    assert log.position() == position, "looking at a dashboard leaves no trace"
    page = ask(f"/shared/{token}").text
    for text in ("Growth &lt;b&gt;", "Weekly &amp; more", "<h2>Signups</h2>", "&lt;i&gt;first&lt;/i&gt;\nsecond"):
        assert text in page
    share(settings={"noHeader": True})
    assert "Weekly &amp; more" not in ask(f"/embedded/{token}").text


def test_hiding_details_takes_persons_and_times_off_dashboard_and_tiles(ask, share):
    shown = ask(f"/shared/{share(settings={'hideExtraDetails': True})}.json").json["dashboard"]
    for one in (shown, shown["tiles"][0]["insight"]):
        assert not {"created_by", "created_at", "last_modified_by", "last_modified_at"} & one.keys()


def test_a_token_opens_what_stands_on_the_dashboard_and_nothing_else(api, ask, board, share):
    token = share()
    (on_it,) = api.listed()
    elsewhere = api.create(name="Elsewhere", dashboards=[api.board("other")])["id"]
    gone = api.create(name="Gone", dashboards=[board])
    api.changed(gone, deleted=True)
    off = api.create(name="Off", dashboards=[board])
    api.changed(off, dashboards=[])
    listed = visitor(ask, token).json
    assert (listed["count"], [one["id"] for one in listed["results"]]) == (1, [on_it])
    assert visitor(ask, token, dashboards=f"[{board}]").json["count"] == 1
    assert visitor(ask, token, search="elsewhere").json["count"] == 0
    assert visitor(ask, token, f"{on_it}/").json["name"] == "Signups"
    for number in (elsewhere, gone["id"], off["id"], 999):
        error(visitor(ask, token, f"{number}/"), 404, *NOT_FOUND)
    assert ask(f"/api/projects/2/insights/?sharing_access_token={token}").status_code == 403
    refused = ask(f"/api/projects/1/insights/{on_it}/?sharing_access_token={token}", "PATCH", json={})
    error(refused, 403, INVALID[0], INVALID[1], "Sharing access token can only be used for GET requests.")
    for path in (f"/api/projects/1/dashboards/{board}/", "/api/projects/1/events/"):
        assert ask(path, params={"sharing_access_token": token}).status_code in (401, 403)


def test_a_visitor_may_look_from_the_shared_dashboard_and_from_no_other(api, ask, board, share):
    token = share()
    (on_it,) = api.listed()
    other = api.board("other", filters={"date_from": "-30d"})
    api.changed({"id": on_it}, dashboards=[board, other])
    own = visitor(ask, token, f"{on_it}/", from_dashboard=str(board)).json
    assert (own["query"]["source"]["dateRange"]["date_from"], own["color"]) == ("-3d", None)
    foreign = visitor(ask, token, f"{on_it}/", from_dashboard=str(other), filters_override='{"date_from": "-9d"}').json
    assert foreign["query"] == VIZ


def test_a_deleted_dashboard_shows_nothing_until_it_is_restored(api, ask, board, share):
    token = share()
    (on_it,) = api.listed()
    api.patch(f"/dashboards/{board}/", {"deleted": True})
    assert ask(f"/shared/{token}.json").status_code == 404
    assert visitor(ask, token).json["count"] == 0
    error(visitor(ask, token, f"{on_it}/"), 404, *NOT_FOUND)
    for method, path in (("GET", ""), ("PATCH", ""), ("POST", "refresh/"), ("POST", "passwords/")):
        answer = api(method, f"/dashboards/{board}/sharing/{path}", {})
        error(answer, 404, "invalid_request", "not_found", "Dashboard not found.")
    api.patch(f"/dashboards/{board}/", {"deleted": False})
    assert ask(f"/shared/{token}.json").status_code == 200


def test_an_insight_that_is_hidden_from_everyone_is_not_shown_by_a_shared_dashboard(api, omar, ask, board, share):
    hidden = api.create(name="Salaries", query=VIZ, dashboards=[board])["id"]
    assert api.put(f"/insights/{hidden}/access_controls/", {"access_level": "none"}).status_code == 200
    token = omar.patch(f"/dashboards/{board}/sharing/", {"enabled": True}).json["access_token"]
    answer = ask(f"/shared/{token}.json")
    tiles = [tile["insight"] for tile in answer.json["dashboard"]["tiles"] if tile["insight"]]
    assert [set(one) for one in tiles if one["id"] == hidden] == [{"id", "short_id", "user_access_level"}]
    assert "Salaries" not in answer.text + ask(f"/shared/{token}").text + visitor(ask, token).text
    assert visitor(ask, token).json["count"] == 1
    assert visitor(ask, token, f"{hidden}/").status_code == 403


def test_only_who_may_edit_a_restricted_dashboard_shares_it(log, api, omar):
    board = api.board("Board", restriction_level=37)
    path = f"/dashboards/{board}/sharing/"
    assert omar.get(path).json["enabled"] is False
    refusal = ("authentication_error", "permission_denied", "You don't have edit permissions for this dashboard.")
    position = log.position()
    error(omar.patch(path, {"enabled": True}), 403, *refusal)
    error(omar.post(f"{path}refresh/"), 403, *refusal)
    error(omar.post(f"{path}passwords/", {}), 403, *refusal)
    error(omar.delete(f"{path}passwords/1/"), 403, *refusal)
    assert log.position() == position
    log.project(1).dashboards.set_collaborator(board, 2, by=1)
    assert omar.patch(path, {"enabled": True}).status_code == 200


def test_passwords_unlock_it_and_each_try_is_in_the_log(log, api, ask, board, share):
    token = share(password_required=True)
    path = f"/dashboards/{board}/sharing/passwords/"
    made = api.post(path, {"raw_password": "open sesame", "note": "board"})
    assert made.status_code == 201
    assert ask(f"/shared/{token}.json").json == {"type": "unlock"}
    error(visitor(ask, token), 403, *INVALID)
    assert ask(f"/shared/{token}", "POST", json={"password": "wrong words"}).json == {"error": "Incorrect password"}
    visit = {
        "Authorization": f"Bearer {ask(f'/shared/{token}', 'POST', json={'password': 'open sesame'}).json['shareToken']}"
    }
    assert ask(f"/shared/{token}.json", headers=visit).json["dashboard"]["id"] == board
    assert ask("/api/projects/1/insights/", headers=visit).json["count"] == 1
    insight = api.listed()[0]
    assert insight == board, "the same number: a visit is for one type of resource"
    protected = api.patch(f"/insights/{insight}/sharing/", {"enabled": True, "password_required": True}).json
    assert ask(f"/shared/{protected['access_token']}.json", headers=visit).json == {"type": "unlock"}
    tried = [one.event.success for one in log.replay() if isinstance(one.event, DashboardShareLoginAttempted)]
    assert tried == [False, True]
    assert api.delete(f"{path}{made.json['id']}/").status_code == 204
    assert ask(f"/shared/{token}.json", headers=visit).json == {"type": "unlock"}


def test_a_share_of_a_dashboard_ends_at_its_instant_and_with_the_organisations_permission(log, api, ask, share, clock):
    token = share(expires_at="2026-04-02T13:00:00Z")
    clock.now = clock.now.replace(hour=12, minute=59)
    assert ask(f"/shared/{token}").status_code == 200
    clock.forward(minutes=1)
    assert (ask(f"/shared/{token}").status_code, visitor(ask, token).status_code) == (404, 403)
    assert share(expires_at=None) == token
    assert ask(f"/shared/{token}").status_code == 200
    log.organizations.allow_public_sharing(1, False, SYSTEM)
    assert (ask(f"/shared/{token}").status_code, visitor(ask, token).status_code) == (404, 403)


def test_keys_need_the_scopes_of_sharing_and_strangers_get_401(with_scopes, nobody, other, board):
    path = f"/dashboards/{board}/sharing/"
    error(nobody.get(path), 401, "authentication_error", "not_authenticated")
    reader = with_scopes("sharing_configuration:read")
    assert (reader.get(path).status_code, reader.patch(path, {"enabled": True}).status_code) == (200, 403)
    assert with_scopes("dashboard:write").get(path).status_code == 403
    for ref in (board, 999, "x"):
        answer = other.get(f"/dashboards/{ref}/sharing/")
        error(answer, 404, "invalid_request", "not_found", "Dashboard not found.")


def test_embedders_share_dashboards_too_and_the_past_knows_it(log, ask, board):
    boards = log.project(1).dashboards
    before = f"position:{log.position()}"
    _, token = boards.share(board, by=1, password_required=True)
    password, raw = boards.add_share_password(board, by=1)
    assert ask(f"/shared/{token}", "POST", json={"password": raw}).status_code == 200
    boards.remove_share_password(board, password.id, by=1)
    assert boards.rotate_share_token(board, by=1)[1] != token
    assert boards.sharing(board)[0].state.rotation == 1
    assert log.as_of(before).project(1).dashboards.sharing(board)[0] is None


def standing(ask, query_id, token):
    """The answer to a visitor who asks for a calculation until it has ended."""
    for _ in range(2_000):
        answer = ask(f"/api/projects/1/query/{query_id}/", params={"sharing_access_token": token})
        if answer.status_code != 202:
            break
    return answer


def test_a_visitor_may_ask_about_calculations_of_what_is_shared_and_no_others(api, ask, board, share):
    token = share()
    insight = api.get("/insights/").json["results"][0]["id"]
    for context in ({}, {"from_dashboard": board}):
        waiting = visitor(ask, token, f"{insight}/", **context).json["query_status"]
        ended = standing(ask, waiting["id"], token)
        assert ended.json["query_status"]["results"]["results"][0]["count"] == 1
        shown = visitor(ask, token, f"{insight}/", **context).json
        assert shown["result"] == ended.json["query_status"]["results"]["results"]
    named = {"query": VIZ, "refresh": "force_async", "client_query_id": "mine"}
    assert api.post("/query/", named).status_code == 202
    assert standing(ask, "mine", token).status_code == 200
    other = {**TREND, "interval": "hour"}
    foreign = api.post("/query/", {"query": other, "refresh": "async"}).json["query_status"]["id"]
    lone = api.create(name="alone", query=other)["id"]
    own = api.patch(f"/insights/{lone}/sharing/", {"enabled": True}).json["access_token"]
    assert standing(ask, foreign, own).status_code == 200
    for query_id, unfit in ((foreign, token), ("mine", own), ("unknown", own)):
        error(standing(ask, query_id, unfit), 404, *NOT_FOUND[:2], f"Query {query_id} not found for team 1")
    url, params = f"/api/projects/1/query/{foreign}/", {"sharing_access_token": own}
    error(
        ask(url, "DELETE", params=params),
        403, *INVALID[:2], "Sharing access token can only be used for GET requests.",
    )  # fmt: skip
    api.patch(f"/insights/{lone}/", {"deleted": True})
    assert standing(ask, foreign, own).status_code == 404
    api.patch(f"/insights/{lone}/", {"deleted": False})
    api.patch(f"/insights/{lone}/sharing/", {"enabled": False})
    error(standing(ask, foreign, own), 403, *INVALID)


def test_what_a_shared_dashboard_hides_is_not_told_by_its_calculations_either(api, ask, board, share, log):
    token = share()
    insight = api.get("/insights/").json["results"][0]["id"]
    query_id = api.get(f"/insights/{insight}/", params={"refresh": "force_async"}).json["query_status"]["id"]
    assert standing(ask, query_id, token).status_code == 200
    assert api.put(f"/insights/{insight}/access_controls/", {"access_level": "none"}).status_code == 200
    assert standing(ask, query_id, token).status_code == 404
