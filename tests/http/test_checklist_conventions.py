"""Statements 1 to 18 of the contract's checklist: paths, credentials, scopes, errors; 19 is in test_throttling.py."""

from __future__ import annotations

import json

import pytest
from tests.http.conftest import Api, error

import insightlog
from insightlog.adapters.http import HttpOptions

DENIED = ("authentication_error", "permission_denied")
NO_KEY = "Authentication credentials were not provided."


def test_001_the_trailing_slash_is_optional_without_a_redirect(api):
    api.create(name="a")
    with_slash, without = api.get("/insights/"), api.get("/insights")
    assert with_slash.status_code == without.status_code == 200
    assert with_slash.json == without.json
    assert with_slash.json["count"] == 1


def test_002_environments_are_projects_apart_from_the_links(api):
    for n in range(3):
        api.create(name=f"n{n}")
    canonical, alias = (
        api.get(f"/api/{word}/1/insights/", params={"limit": "1", "offset": "1"}).json
        for word in ("projects", "environments")
    )
    for link in ("next", "previous"):
        assert alias.pop(link) == canonical.pop(link).replace("/api/projects/", "/api/environments/")
    assert alias == canonical


def test_003_current_is_the_callers_current_project(api, with_scopes):
    api.create(name="a")
    assert [one["name"] for one in api.get("/api/projects/@current/insights/").json["results"]] == ["a"]
    assert with_scopes("*", projects=[2]).get("/api/projects/@current/insights/").json["results"] == []


def test_004_unknown_projects_are_not_found(api):
    for project in ("999999", "abc"):
        answer = api.get(f"/api/projects/{project}/insights/")
        error(answer, 404, "invalid_request", "not_found", "Project not found.")


def test_005_insights_without_credentials_are_403(nobody):
    error(nobody.get("/insights/"), 403, "authentication_error", "not_authenticated", NO_KEY)


def test_006_sharing_without_credentials_is_401_with_a_challenge(nobody):
    answer = nobody.get("/insights/1/sharing/")
    error(answer, 401, "authentication_error", "not_authenticated", NO_KEY)
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_007_a_wrong_bearer_key_is_named(app):
    detail = "Personal API key found in request Authorization header is invalid."
    error(Api(app, "phx_wrong").get("/insights/"), 403, "authentication_error", "authentication_failed", detail)


def test_008_the_key_in_query_string_and_body_and_bearer_wins(api, nobody):
    assert nobody.get("/insights/", params={"personal_api_key": api.key}).status_code == 200
    assert nobody.post("/insights/", {"personal_api_key": api.key}).status_code == 201
    wrong = Api(nobody.client.app, "phx_wrong")
    assert wrong.get("/insights/", params={"personal_api_key": api.key}).status_code == 403
    assert wrong.post("/insights/", {"personal_api_key": api.key}).status_code == 403
    assert api.get("/insights/", params={"personal_api_key": "phx_wrong"}).status_code == 200


def test_009_a_key_to_read_may_list_and_not_create(log, with_scopes):
    reader = with_scopes("insight:read")
    assert reader.get("/insights/").status_code == 200
    position = log.position()
    error(reader.post("/insights/", {}), 403, *DENIED, "API key missing required scope 'insight:write'")
    assert log.position() == position


def test_010_a_key_to_write_may_list(with_scopes):
    assert with_scopes("insight:write").get("/insights/").status_code == 200


def test_011_a_key_without_scopes_may_do_everything(with_scopes):
    legacy = with_scopes()
    assert legacy.create(name="a")["name"] == "a"
    assert legacy.post("/insights/cancel/", {"client_query_id": "x"}).status_code == 200
    assert len(legacy.get("/insights/my_last_viewed/").json) == 1
    assert legacy.get("/insights/1/sharing/").status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "my_last_viewed/"), ("POST", "cancel/"), ("POST", "timing/"), ("GET", "funnel/correlation/"),
        ("POST", "funnel/correlation/"),
    ],
)  # fmt: skip
def test_012_strict_scopes_refuse_what_lists_no_scope(log, with_scopes, method, path):
    strict = insightlog.adapters.http.create_app(log, HttpOptions(strict_scopes=True))
    body = {"client_query_id": "x"} if method == "POST" else None
    detail = "This action does not support Personal API Key access"
    for scoped in (with_scopes("*"), with_scopes("insight:write")):
        error(Api(strict, scoped.key)(method, f"/insights/{path}", body), 403, *DENIED, detail)
        assert scoped(method, f"/insights/{path}", body).status_code == 200
    assert Api(strict, with_scopes().key)(method, f"/insights/{path}", body).status_code == 200


def test_013_a_key_bound_to_another_project(with_scopes):
    bound = with_scopes("*", projects=[2])
    detail = "API key does not have access to the requested project: ID 1."
    for path in ("/insights/", "/insights/12345/", "/insights/1/sharing/", "/query/x/"):
        error(bound.get(path), 403, *DENIED, detail)


def test_014_a_member_of_another_organisation(log, api, somebody):
    elsewhere = log.organizations.create("Elsewhere", insightlog.application.library.acting(None, None))
    stranger = somebody(organization=elsewhere.id, level="owner")
    api.create(name="secret")
    for path in ("/insights/", "/insights/1/", "/insights/999/"):
        error(stranger.get(path), 403, *DENIED, "You don't have access to the project.")


def test_015_every_error_has_exactly_four_keys(api, nobody, with_scopes):
    answers = [
        api.get("/insights/999/"), api.get("/insights/", params={"order": "x"}), api.post("/insights/", {"name": [1]}),
        api.post("/insights/", {"query": {"kind": "x"}}), api.post("/insights/", body="{"), api.put("/insights/"),
        nobody.get("/insights/"), with_scopes("query:read").get("/insights/"), api.get("/nothing/"),
        api.post("/insights/", body="a=b", headers={"Content-Type": "text/plain"}),
        api.get("/insights/", headers={"Accept": "image/png"}), api.post("/query/", {"query": {"kind": "TrendsQuery"}}),
        api.get("/query/unknown/"), api.put("/insights/1/access_controls/", {}), nobody.get("/insights/1/sharing/"),
    ]  # fmt: skip
    assert {answer.status_code for answer in answers} >= {400, 401, 403, 404, 405, 406, 415}
    for answer in answers:
        assert list(answer.json) == ["type", "code", "detail", "attr"], answer.text


@pytest.mark.parametrize("body", ["{", "nonsense", '{"name": NaN}', "[1]", "\x00"])
def test_016_malformed_json(log, api, body):
    position = log.position()
    answer = api.post("/insights/", body=body)
    error(answer, 400, "invalid_request", "parse_error")
    assert answer.json["detail"].startswith("JSON parse error - ")
    assert log.position() == position


def test_017_a_form_is_no_body(api):
    kind = "application/x-www-form-urlencoded"
    answer = api.post("/insights/", body="name=x", headers={"Content-Type": kind})
    error(answer, 415, "invalid_request", "unsupported_media_type", f'Unsupported media type "{kind}" in request.')


def test_018_an_unknown_format_is_not_found(api):
    error(api.get("/insights/", params={"format": "xml"}), 404, "invalid_request", "not_found")
    assert json.loads(api.get("/insights/", params={"format": "json"}).text)["count"] == 0
