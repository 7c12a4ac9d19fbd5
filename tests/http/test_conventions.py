"""Paths, methods, credentials, scopes and isolation (insights-api.md section 1 and its checklist)."""

from __future__ import annotations

from importlib.metadata import version
from urllib.parse import urlsplit

import orjson
import pytest
from falcon import testing

from insightlog.adapters.http.access import Route, check_routes
from insightlog.adapters.http.app import HttpOptions, routes_of

from .conftest import Api, error


@pytest.mark.parametrize("project", ["999999", "abc", "0", "-1", "1" * 30, "²"])
def test_unknown_projects(api, project):
    error(api.get(f"/api/projects/{project}/insights/"), 404, "invalid_request", "not_found", "Project not found.")


def test_a_wrong_key_is_named_by_its_place(log, app):
    nobody = Api(app, None)
    for place, options in (
        ("Authorization header", {"headers": {"Authorization": "Bearer nonsense"}}),
        ("query string", {"params": {"personal_api_key": "nonsense"}}),
    ):
        detail = f"Personal API key found in request {place} is invalid."
        error(nobody.get("/insights/", **options), 403, "authentication_error", "authentication_failed", detail)
    error(
        nobody.post("/insights/", {"personal_api_key": "nonsense"}),
        403, "authentication_error", "authentication_failed", "Personal API key found in request body is invalid.",
    )  # fmt: skip


def test_a_revoked_key_opens_nothing(log, api):
    assert api.get("/insights/").status_code == 200
    log.revoke_key(log.all_keys()[0].id)
    assert api.get("/insights/").status_code == 403


def test_scopes(with_scopes):
    reader = with_scopes("insight:read")
    assert reader.get("/insights/").status_code == 200
    missing = "API key missing required scope '{}'"
    error(
        reader.post("/insights/", {}),
        403,
        "authentication_error",
        "permission_denied",
        missing.format("insight:write"),
    )
    error(
        reader.get("/insights/activity/"),
        403, "authentication_error", "permission_denied", missing.format("activity_log:read"),
    )  # fmt: skip
    error(
        reader.post("/query/", {"query": {}}),
        403, "authentication_error", "permission_denied", missing.format("query:read"),
    )  # fmt: skip
    writer = with_scopes("insight:write")
    assert writer.get("/insights/").status_code == 200
    assert writer.post("/insights/", {}).status_code == 201
    legacy = with_scopes()
    assert legacy.get("/insights/my_last_viewed/").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None), ("PATCH", "", {"name": "stolen"}), ("PUT", "", {"name": "stolen"}),
        ("PATCH", "", {"deleted": True}), ("PATCH", "", {"deleted": False}), ("POST", "viewed/", None),
        ("GET", "activity/", None), ("GET", "sharing/", None), ("PATCH", "sharing/", {"enabled": True}),
    ],
)  # fmt: skip
def test_nothing_of_another_project_can_be_reached(log, app, api, method, path, body):
    foreign = api.create(name="secret")
    other = Api(app, api.key, project=2)
    before = log.position()
    for ref in (foreign["id"], foreign["short_id"]):
        answer = other(method, f"/insights/{ref}/{path}", body)
        assert answer.status_code == 404
        assert "secret" not in answer.text
    assert log.position() == before
    assert other.get("/insights/").json["count"] == 0
    assert other.get("/insights/activity/").json["total_count"] == 0


def test_every_route_declares_a_scope_for_every_method(log):
    routes = routes_of(log, HttpOptions())
    check_routes(routes)
    public = {route.path for route in routes if route.scopes is None}
    assert {path for path in public if path.startswith("/api/")} == {"/api/schema"}


def test_start_up_fails_for_a_route_without_a_scope():
    class Resource:
        def on_get(self, req, resp): ...

        def on_post(self, req, resp): ...

    with pytest.raises(RuntimeError, match="POST"):
        check_routes([Route("/api/x", Resource(), {"GET": "insight:read"})])


def test_unsupported_methods_and_unknown_paths(api):
    error(api.post("/insights/1/activity/"), 405, "invalid_request", "method_not_allowed", 'Method "POST" not allowed.')
    error(api.get("/nothing/"), 404, "invalid_request", "not_found", "Not found.")


def test_head_and_options(api):
    api.create(name="a")
    get, head = api.get("/insights/"), api("HEAD", "/insights/")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == get.headers["Content-Length"]
    asked = {"Access-Control-Request-Headers": "authorization, x-posthog-client", "Origin": "https://app.example.com"}
    for path in ("/api/projects/1/insights/", "/api/projects/abc/insights/7.csv", "/api/schema/"):
        options = api.client.simulate_options(path, headers=asked)
        assert (options.status_code, options.content) == (200, b"")
        assert options.headers["Access-Control-Allow-Origin"] == "*"
        assert options.headers["Access-Control-Allow-Headers"] == asked["Access-Control-Request-Headers"]
    for answer in (get, api.get("/insights/9/"), api.get("/nothing/"), api.post("/insights/", body="{" * 300)):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_a_body_of_another_type_is_refused(api):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = api.post("/insights/", body="name=x", headers={"Content-Type": kind})
        error(answer, 415, "invalid_request", "unsupported_media_type", f'Unsupported media type "{kind}" in request.')


def test_the_clients_request_id_reaches_the_log(log, api):
    api.post("/insights/", {"name": "x"}, headers={"X-Request-ID": "abc-123"})
    assert {record.request for record in log.replay() if record.category == "insight"} == {"abc-123"}


def test_the_root_says_what_is_served_and_where_it_is_described(app):
    client = Api(app, None).client
    shown = client.simulate_get("/").json
    assert (shown["service"], shown["version"]) == ("insightlog", version("insightlog"))
    for address in (shown["schema"], shown["health"]):
        assert client.simulate_get(urlsplit(address).path).status_code == 200


def test_health_is_open(app):
    answer = Api(app, None).client.simulate_get("/_health")
    assert (answer.status_code, answer.json["status"]) == (200, "ok")


def test_the_body_of_a_timing_is_json(api):
    assert api.post("/insights/timing/", {"seconds": 3}).status_code == 200
    refused = api("POST", "/insights/timing/", body="seconds=3", content_type="application/x-www-form-urlencoded")
    error(refused, 415, "invalid_request", "unsupported_media_type")
    error(api.post("/insights/timing/", [1]), 400, "invalid_request", "parse_error")


def test_numbers_of_a_page_that_are_too_large_are_numbers_yet(api):
    api.create(name="a")
    assert api.get("/insights/", params={"offset": "9" * 20}).json["results"] == []
    assert len(api.get("/insights/", params={"limit": "9" * 20}).json["results"]) == 1


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND", "BREW", "M-SEARCH"])
@pytest.mark.parametrize("path", ["/api/projects/1/insights/", "/e/", "/_health"])
def test_a_method_that_nobody_serves_or_knows_is_not_allowed(app, api, method, path):
    environ = testing.create_environ(path=path, headers={"Authorization": f"Bearer {api.key}"})
    started = testing.StartResponseMock()
    body = b"".join(app({**environ, "REQUEST_METHOD": method}, started))
    assert started.status == "405 Method Not Allowed"
    assert "GET" in started.headers_dict["allow"]
    said = {"type": "invalid_request", "code": "method_not_allowed", "detail": f'Method "{method}" not allowed.'}
    assert orjson.loads(body) == {**said, "attr": None}
    app({**testing.create_environ(path="/nowhere"), "REQUEST_METHOD": method}, started)
    assert started.status == "404 Not Found"
