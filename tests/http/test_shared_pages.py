"""The pages of shared insights as a browser gets them: text is never markup, who may frame them, passwords, expiry."""

from __future__ import annotations

import html.parser
import json
from urllib.parse import urlencode

import pytest
from falcon import testing
from tests.http.conftest import error

import insightlog
from insightlog.adapters.http import HttpOptions
from insightlog.application.acting import acting

NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title><b>",
    "{{7*7}}",
    "&lt;i&gt;",
    "'); x('",
]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Elements(html.parser.HTMLParser):
    """Collects the elements, attributes and texts of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.texts = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture
def share(api):
    """Shares an insight; gives its token and the path of its sharing."""

    def share(insight, **fields):
        path = f"/insights/{insight['id']}/sharing/"
        answer = api.patch(path, {"enabled": True, **fields})
        assert answer.status_code == 200, answer.text
        return answer.json["access_token"], path

    return share


@pytest.fixture
def protected(api, share):
    """A share with the password `open sesame`; gives its token and the path of its sharing."""
    token, path = share(api.create(name="Secret numbers"), password_required=True)
    assert api.post(f"{path}passwords/", {"raw_password": "open sesame", "note": "board"}).status_code == 201
    return token, path


def unlock(ask, token, password="open sesame", **options):
    return ask(f"/shared/{token}", "POST", json={"password": password}, **options)


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.parametrize("base", ["shared", "embedded"])
def test_texts_are_never_markup(log, api, ask, share, text, base):
    log.project(1).capture([{"event": text, "distinct_id": "a", "properties": {"p": text}}])
    trend = {
        "kind": "TrendsQuery",
        "series": [{"kind": "EventsNode", "event": text, "custom_name": text}, {"kind": "EventsNode", "event": text}],
        "breakdownFilter": {"breakdown": "p"},
    }
    token, _ = share(api.create(name=text, description=text, tags=[text], query=trend))
    answer = ask(f"/{base}/{token}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    page = Elements(answer.text)
    allowed = {"html", "head", "meta", "title", "style", "body", "h1", "p", "table", "thead", "tbody", "tr", "th", "td"}
    assert set(page.tags) <= allowed
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in {"src", "href", "style"}]
    assert text in "".join(page.texts)


def test_an_error_in_a_query_is_text_too(api, ask, share):
    broken = {"kind": "InsightVizNode", "source": {"kind": "<script>alert(1)</script>"}}
    token, _ = share(api.create(name="a", query=broken))
    answer = ask(f"/shared/{token}")
    assert answer.status_code == 200
    assert "<script" not in answer.text


def test_addresses_and_wrong_passwords_are_not_shown_back(ask, protected):
    token, _ = protected
    for path in ("/shared/%3Cscript%3E", "/shared/%22%3E%3Cb%3E", "/embedded/<script>.json"):
        answer = ask(path)
        assert answer.status_code == 404
        assert "script" not in answer.text
    answer = ask(f"/shared/{token}", "POST", body=urlencode({"password": "<script>x</script>"}), headers=FORM)
    assert answer.status_code == 401
    assert "script" not in answer.text


def test_nothing_runs_loads_or_is_kept(ask, api, share, protected):
    open_token, _ = share(api.create(name="a"))
    for token in (open_token, protected[0], "unknown"):
        for suffix in ("", ".json"):
            answer = ask(f"/shared/{token}{suffix}")
            policy = answer.headers["Content-Security-Policy"]
            directives = dict(one.strip().partition(" ")[::2] for one in policy.split(";"))
            assert directives["default-src"] == "'none'"
            assert set(directives) == {"default-src", "style-src", "form-action", "base-uri", "frame-ancestors"}
            assert "unsafe" not in policy
            assert answer.headers["Cache-Control"] == "private, no-store"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert "Access-Control-Allow-Origin" not in answer.headers


def test_only_the_embedded_page_may_be_framed(ask, api, share):
    token, _ = share(api.create(name="a"))

    def frames(path, **options):
        headers = ask(path, **options).headers
        allowed = headers["Content-Security-Policy"].rpartition("frame-ancestors ")[2]
        assert headers.get("X-Frame-Options") == {"*": None, "'none'": "DENY"}[allowed]
        return allowed

    assert frames(f"/shared/{token}") == frames(f"/shared_dashboard/{token}") == "'none'"
    assert frames(f"/embedded/{token}") == frames(f"/shared/{token}", params={"embedded": ""}) == "*"


def test_the_style_is_the_one_that_the_policy_allows(ask, api, share):
    import base64
    import hashlib
    import re

    token, _ = share(api.create(name="a"))
    answer = ask(f"/shared/{token}")
    style = re.search("<style>(.*?)</style>", answer.text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in answer.headers["Content-Security-Policy"]


def test_a_page_shows_the_numbers_and_what_its_settings_say(log, api, ask, share):
    log.project(1).capture([{"event": "paid", "distinct_id": "a"}] * 3)
    trend = {"kind": "TrendsQuery", "series": [{"kind": "EventsNode", "event": "paid"}]}
    made = api.create(name="Payments", description="per day", query=trend)
    token, path = share(made)
    page = Elements(ask(f"/shared/{token}").text)
    assert {"Payments", "per day", "paid", "2-Apr-2026", "3"} <= set(page.texts)
    api.patch(path, {"settings": {"noHeader": True, "theme": "dark"}})
    page = Elements(ask(f"/shared/{token}").text)
    assert "per day" not in page.texts
    assert ("class", "dark") in page.attributes


def test_looking_at_a_page_is_a_view_of_nobody(api, ask, share, clock):
    made = api.create(name="a")
    token, _ = share(made)
    before = api.get("/insights/my_last_viewed/").json[0]["last_viewed_at"]
    for path in (f"/shared/{token}", f"/shared/{token}.json", f"/embedded/{token}"):
        clock.forward(minutes=1)
        assert ask(path).status_code == 200
        now = clock.now.isoformat().replace("+00:00", "Z")
        assert api.get("/insights/").json["results"][0]["last_viewed_at"] == now
    assert api.get("/insights/my_last_viewed/").json[0]["last_viewed_at"] == before
    assert [one["activity"] for one in api.entries(made)] == ["sharing enabled", "created"]
    trending = api.get("/insights/trending/").json["results"]
    assert [one["email"] for one in trending[0]["viewers"]] == ["ines@example.com"]


# -- expiry ----------------------------------------------------------------------------------------------------------


def test_a_share_ends_at_its_instant(api, ask, share, clock):
    made = api.create(name="a")
    token, path = share(made, expires_at="2026-04-02T12:15:30.12+02:00")
    assert api.get(path).json["expires_at"] == "2026-04-02T10:15:30.120000Z"
    api_path = f"/api/projects/1/insights/{made['id']}/"
    clock.forward(minutes=59, seconds=59)
    assert ask(f"/shared/{token}").status_code == 200
    assert ask(api_path, params={"sharing_access_token": token}).status_code == 200
    clock.forward(seconds=1)
    assert ask(f"/shared/{token}").status_code == 404
    detail = "Sharing access token is invalid."
    answer = ask(api_path, params={"sharing_access_token": token})
    error(answer, 403, "authentication_error", "authentication_failed", detail)
    assert api.patch(path, {"expires_at": None}).status_code == 200
    assert ask(f"/shared/{token}").status_code == 200
    assert "expires_at" not in api.get(path).json


@pytest.mark.parametrize(
    "value", ["soon", "2026-05-01", "2026-05-01T10:00:00", 5, True, [], "", "9999999-01-01T00:00:00Z"]
)
def test_an_expiry_that_is_none_is_refused(log, api, value):
    path = f"/insights/{api.create(name='a')['id']}/sharing/"
    position = log.position()
    answer = api.patch(path, {"enabled": True, "expires_at": value})
    error(answer, 400, "validation_error", "invalid_input", attr="expires_at")
    assert log.position() == position


# -- rotation --------------------------------------------------------------------------------------------------------


def test_rotation_keeps_everything_but_the_token_and_settings_still_change(api, ask, protected):
    old, path = protected
    before = api.get(path).json
    after = api.post(f"{path}refresh/").json
    assert {**after, "access_token": old} == before
    assert after["access_token"] != old
    assert ask(f"/shared/{old}.json").json == {"type": "unlock"}
    api.patch(path, {"enabled": False})
    assert [ask(f"/shared/{one}").status_code for one in (old, after["access_token"])] == [404, 404]


def test_rotating_twice_leaves_each_old_token_its_five_minutes(api, ask, share, clock):
    first, path = share(api.create(name="a"))
    second = api.post(f"{path}refresh/").json["access_token"]
    clock.forward(minutes=4)
    third = api.post(f"{path}refresh/").json["access_token"]
    assert len({first, second, third}) == 3
    assert [ask(f"/shared/{one}").status_code for one in (first, second, third)] == [200, 200, 200]
    clock.forward(minutes=2)
    assert [ask(f"/shared/{one}").status_code for one in (first, second, third)] == [404, 200, 200]
    clock.forward(minutes=4)
    assert [ask(f"/shared/{one}").status_code for one in (first, second, third)] == [404, 404, 200]


def test_rotation_before_anything_is_shared(api, ask):
    path = f"/insights/{api.create(name='a')['id']}/sharing/"
    made = api.post(f"{path}refresh/").json
    assert (made["enabled"], made["access_token"]) == (False, api.get(path).json["access_token"])
    assert ask(f"/shared/{made['access_token']}").status_code == 404


# -- passwords -------------------------------------------------------------------------------------------------------


def test_the_password_page_shows_nothing_of_the_insight(ask, protected):
    token, _ = protected
    for base in ("shared", "embedded"):
        answer = ask(f"/{base}/{token}")
        assert answer.status_code == 200
        assert "Secret numbers" not in answer.text
        assert {"form", "input"} <= set(Elements(answer.text).tags)
        assert ask(f"/{base}/{token}.json").json == {"type": "unlock"}


def test_a_form_is_sent_back_to_the_page(ask, protected):
    token, _ = protected
    answer = ask(f"/shared/{token}", "POST", body=urlencode({"password": "open sesame"}), headers=FORM)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/shared/{token}")
    visit = answer.cookies["posthog_sharing_token"].value
    assert "Secret numbers" in ask(f"/shared/{token}", cookies={"posthog_sharing_token": visit}).text


def test_the_cookie_is_secure_under_https(ask, protected):
    token, _ = protected
    plain = unlock(ask, token).headers["Set-Cookie"]
    secure = unlock(ask, token, protocol="https").headers["Set-Cookie"]
    assert ("Secure" in plain, "Secure" in secure, "HttpOnly" in plain) == (False, True, True)


def test_a_visit_dies_after_a_day_and_with_its_password_token_or_share(api, ask, protected, clock):
    token, path = protected

    def is_open(visit, at=None):
        answer = ask(f"/shared/{at or token}.json", headers={"Authorization": f"Bearer {visit}"})
        return answer.status_code == 200 and answer.json["type"] == "scene"

    visit = unlock(ask, token).json["shareToken"]
    clock.forward(hours=23, minutes=59)
    assert is_open(visit)
    clock.forward(minutes=2)
    assert not is_open(visit)
    visit = unlock(ask, token).json["shareToken"]
    second = api.post(f"{path}passwords/", {"raw_password": "other words"}).json["id"]
    by_second = unlock(ask, token, "other words").json["shareToken"]
    assert api.delete(f"{path}passwords/{second}/").status_code == 204
    assert (is_open(by_second), is_open(visit)) == (False, True)
    assert unlock(ask, token, "other words").status_code == 401
    api.patch(path, {"enabled": False})
    assert not is_open(visit)
    api.patch(path, {"enabled": True})
    assert is_open(visit)
    new = api.post(f"{path}refresh/").json["access_token"]
    assert not is_open(visit, new)


def test_a_visit_opens_only_its_own_insight(api, ask, share, protected):
    visit = unlock(ask, protected[0]).json["shareToken"]
    sibling = api.create(name="sibling")
    token, path = share(sibling, password_required=True)
    api.post(f"{path}passwords/", {"raw_password": "other words"})
    headers = {"Authorization": f"Bearer {visit}"}
    assert ask(f"/shared/{token}.json", headers=headers).json == {"type": "unlock"}
    assert ask(f"/api/projects/1/insights/{sibling['id']}/", headers=headers).status_code == 404
    assert [one["name"] for one in ask("/api/projects/1/insights/", headers=headers).json["results"]] == [
        "Secret numbers"
    ]
    for method, where in (("PATCH", "1/"), ("POST", ""), ("POST", "1/viewed/")):
        assert ask(f"/api/projects/1/insights/{where}", method, json={}, headers=headers).status_code == 403


@pytest.mark.parametrize(
    "forged",
    ["x.y.z", "eyJhbGciOiJub25lIn0.eyJpbnNpZ2h0IjoxLCJyb3RhdGlvbiI6MCwicGFzc3dvcmQiOjF9.", "..", "a.b.c" * 500],
)
def test_a_forged_visit_opens_nothing(ask, protected, forged):
    token, _ = protected
    assert ask(f"/shared/{token}.json", headers={"Authorization": f"Bearer {forged}"}).json == {"type": "unlock"}
    assert ask(f"/shared/{token}.json", cookies={"posthog_sharing_token": forged}).json == {"type": "unlock"}
    assert ask("/api/projects/1/insights/", headers={"Authorization": f"Bearer {forged}"}).status_code == 403


def test_passwords_are_made_listed_and_taken_away(log, api, protected):
    _, path = protected
    made = api.post(f"{path}passwords/", {}).json
    assert set(made) == {"id", "password", "note", "created_at", "created_by_email"}
    assert (len(made["password"]) >= 16, made["note"], made["created_by_email"]) == (True, "", "ines@example.com")
    listed = api.get(path).json["share_passwords"]
    assert [(one["note"], one["is_active"], one["created_by_email"]) for one in listed] == [
        ("board", True, "ines@example.com"), ("", True, "ines@example.com"),
    ]  # fmt: skip
    assert all(set(one) == {"id", "created_at", "note", "created_by_email", "is_active"} for one in listed)
    written = "".join(map(repr, log.replay()))
    assert "open sesame" not in written
    assert made["password"] not in written
    gone = api.delete(f"{path}passwords/{made['id']}/")
    assert (gone.status_code, gone.content) == (204, b"")
    for number in (made["id"], 99, "x"):
        error(api.delete(f"{path}passwords/{number}/"), 404, "invalid_request", "not_found", "Password not found")
    assert [one["note"] for one in api.get(path).json["share_passwords"]] == ["board"]


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({"raw_password": "1234567"}, "raw_password"), ({"raw_password": 12345678}, "raw_password"),
        ({"raw_password": "x" * 1001}, "raw_password"), ({"raw_password": ["a"] * 9}, "raw_password"),
        ({"raw_password": "12345678", "note": "n" * 101}, "note"), ({"raw_password": "12345678", "note": [1]}, "note"),
    ],
)  # fmt: skip
def test_a_wrong_password_to_be_is_refused(log, api, protected, body, attr):
    _, path = protected
    position = log.position()
    answer = api.post(f"{path}passwords/", body)
    assert (answer.status_code, answer.json["type"], answer.json["attr"]) == (400, "validation_error", attr)
    assert log.position() == position
    if body["raw_password"] == "1234567":
        assert answer.json["detail"] == "Password must be at least 8 characters long."


def test_passwords_are_not_made_while_none_is_asked(log, api, share):
    _, path = share(api.create(name="a"))
    position = log.position()
    answer = api.post(f"{path}passwords/", {"raw_password": "open sesame"})
    detail = "Password protection must be enabled before creating passwords"
    assert (answer.status_code, answer.json) == (400, {"error": detail})
    assert log.position() == position


def test_tries_are_limited_by_address_and_share(api, ask, protected, clock):
    token, _ = protected
    for _ in range(10):
        assert unlock(ask, token, "wrong words").status_code == 401
    answer = unlock(ask, token)
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) == 60
    assert unlock(ask, token, remote_addr="10.1.2.3").status_code == 200
    clock.forward(minutes=1)
    assert unlock(ask, token).status_code == 200


@pytest.mark.parametrize("body", ["{", "[]", '{"password": null}', '{"password": 5}', "{}", '{"password": ""}'])
def test_a_try_without_a_password(log, ask, protected, body):
    position = log.position()
    answer = ask(f"/shared/{protected[0]}", "POST", body=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, set(answer.json)) == (400, {"type", "code", "detail", "attr"})
    assert log.position() == position


def test_a_try_on_what_asks_for_no_password(api, ask, share):
    token, _ = share(api.create(name="a"))
    for given in (token, "unknown"):
        assert unlock(ask, given).status_code == 404


def test_embedders_share_as_the_api_does(log, ask):
    made = log.project(1).insights.create(name="a", by=1)
    _, token = log.project(1).insights.share(made.id, by=acting(1, None).actor)
    assert json.loads(ask(f"/shared/{token}.json").text)["insight"]["name"] == "a"


# -- refreshing inside a share (4.6) ---------------------------------------------------------------------------------


def test_what_visitors_may_have_calculated(log, api, ask, share, clock):
    log.project(1).capture([{"event": "paid", "distinct_id": "a"}])
    trend = {"kind": "TrendsQuery", "series": [{"kind": "EventsNode", "event": "paid"}]}
    made = api.create(name="a", query=trend)
    token, _ = share(made)

    def look(**params):
        answer = ask(f"/api/projects/1/insights/{made['id']}/", params={"sharing_access_token": token, **params})
        assert answer.status_code == 200, answer.text
        return answer.json

    first = look()
    assert (first["result"], first["query_status"]["complete"]) == (None, False)
    calculated = look(refresh="blocking")
    assert calculated["result"][0]["count"] == 1
    clock.forward(minutes=29)
    assert look(refresh="true")["last_refresh"] == calculated["last_refresh"]
    clock.forward(minutes=2)
    forced = look(refresh="true")
    assert (forced["is_cached"], forced["last_refresh"] != calculated["last_refresh"]) == (False, True)
    clock.forward(hours=7)
    for mode in ("force_cache", "lazy_async", "nonsense", "async_except_on_cache_miss"):
        assert look(refresh=mode)["last_refresh"] == forced["last_refresh"]
    assert look(refresh="async")["query_status"] is not None


def test_a_page_calculates_what_is_not_there(log, api, ask, share):
    log.project(1).capture([{"event": "paid", "distinct_id": "a"}])
    trend = {"kind": "TrendsQuery", "series": [{"kind": "EventsNode", "event": "paid"}]}
    token, _ = share(api.create(name="a", query=trend))
    insight = ask(f"/shared/{token}.json", params={"client_query_id": "mine", "refresh": "force_async"}).json["insight"]
    assert (insight["result"][0]["count"], insight["is_cached"], insight["query_status"]) == (1, False, None)
    assert ask(f"/shared/{token}.json").json["insight"]["is_cached"] is True


def test_visitors_are_not_counted_by_the_limits_of_keys(log, api, share):
    token, _ = share(api.create(name="a"))
    limited = testing.TestClient(insightlog.adapters.http.create_app(log, HttpOptions(rate_limits=True)))
    path = "/api/projects/1/insights/?basic=true&sharing_access_token="
    assert {limited.simulate_get(path + token).status_code for _ in range(250)} == {200}
    own = {"Authorization": f"Bearer {api.key}"}
    assert limited.simulate_get("/api/projects/1/insights/", headers=own).status_code == 200
