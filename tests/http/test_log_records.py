"""The log over HTTP: pages, JSON lines, live events; its hashes can be followed (history.md 1)."""

from __future__ import annotations

import hashlib
import json
import threading

from tests.http.conftest import error

from insightlog.adapters.http import log_records
from insightlog.adapters.http.live import Live

LINES, EVENTS = "application/x-ndjson", "text/event-stream"


def lines(api, **params):
    answer = api.get("/log/", params=params, headers={"Accept": LINES})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, LINES)
    return [json.loads(line) for line in answer.text.splitlines()]


def test_pages_hold_the_records_of_the_project_oldest_first(api, other, log):
    for n in range(3):
        api.create(name=f"a{n}")
        other.create(name=f"b{n}")
    first = api.get("/log/", params={"limit": 4}).json
    assert [one["type"] for one in first["results"]] == ["ProjectCreated", *["InsightCreated", "InsightViewed"] * 2][:4]
    assert {one["project_id"] for one in first["results"]} == {1}
    gathered, page = first["results"], first
    while page["next"]:
        assert page["next"].startswith("http")
        page = api.get("/log/?" + page["next"].partition("?")[2]).json
        gathered += page["results"]
    assert page["position"] == log.position()
    assert gathered == lines(api)
    assert [one["position"] for one in gathered] == sorted({one["position"] for one in gathered})
    assert lines(api, after=gathered[-2]["position"]) == gathered[-1:]
    assert api.get("/log/", params={"after": 10**6}).json == {"results": [], "next": None, "position": 10**6}


def test_a_record_says_who_did_what_and_follows_the_one_before(api, other):
    api.post("/insights/", {"name": "a"}, headers={"X-Request-ID": "r-17"})
    one, two = lines(api)[-2:]
    assert (one["type"], one["stream"], one["version"], one["request"]) == ("InsightCreated", "insight:1", 1, "r-17")
    assert (one["by"], one["data"]["name"], one["part"], one["parts"]) == ({"user": 1, "key": 1}, "a", 1, 2)
    texts = api.get("/log/", headers={"Accept": LINES}).text.splitlines()
    body = texts[-1].rpartition(',"hash":')[0] + "}"
    assert hashlib.sha256(bytes.fromhex(one["hash"]) + body.encode()).hexdigest() == two["hash"]


def test_no_secret_is_in_the_log(api):
    made = api.create(name="a")
    sharing = f"/insights/{made['id']}/sharing/"
    token = api.patch(sharing, {"enabled": True, "password_required": True}).json["access_token"]
    password = api.post(f"{sharing}passwords/", {"note": "n"}).json["password"]
    text = api.get("/log/", headers={"Accept": LINES}).text
    for secret in (token, password, api.key, "phc_one"):
        assert secret not in text


def test_wrong_positions_formats_and_keys_are_refused(api, with_scopes, nobody):
    error(api.get("/log/", params={"after": "x"}), 400, "validation_error", "invalid_input", attr="after")
    error(api.get("/log/", params={"after": "-1"}), 400, "validation_error", "invalid_input", attr="after")
    error(api.get("/log/", headers={"Accept": "text/csv"}), 406, "invalid_request", "not_acceptable")
    assert nobody.get("/log/").status_code == 403
    answer = with_scopes("insight:read").get("/log/")
    detail = "API key missing required scope 'activity_log:read'"
    error(answer, 403, "authentication_error", "permission_denied", detail)


def test_the_log_is_closed_to_whom_insights_are_hidden_from(api, somebody):
    made, reader = api.create(name="a"), somebody()
    assert reader.get("/log/").status_code == 200
    api.put(f"/insights/{made['id']}/access_controls/", {"access_level": "none"})
    error(reader.get("/log/"), 403, "authentication_error", "permission_denied")


def test_who_follows_gets_what_is_there_and_what_comes(api, log, monkeypatch):
    monkeypatch.setattr(log_records, "LOOKS_EVERY_S", 0.001)
    api.create(name="a")
    ended, after, events = threading.Event(), lines(api)[-3]["position"], []
    server = Live(lambda: not ended.is_set())
    parts = log_records._Following(log.parts.store, 1, after, server, threading.BoundedSemaphore(1))
    for part in parts:
        if part.startswith(b":"):
            continue
        place, data, *_ = part.decode().split("\n")
        events.append((int(place.removeprefix("id: ")), json.loads(data.removeprefix("data: "))))
        if len(events) == 2:
            api.create(name="b")
        if len(events) == 4:
            ended.set()
    assert [one["data"].get("name") for _, one in events] == ["a", None, "b", None]
    assert [place for place, _ in events] == [one["position"] for _, one in events]
    assert [one for _, one in events] == lines(api)[-4:]


def test_followers_that_went_make_room_and_too_many_are_refused(api, monkeypatch):
    monkeypatch.setattr(log_records, "live", lambda _: Live(lambda: False))
    for _ in range(log_records.MOST_FOLLOWERS + 2):
        for method in ("GET", "HEAD"):
            assert api(method, "/log/", headers={"Accept": EVENTS}).status_code == 200
    with monkeypatch.context() as patched:
        patched.setattr(log_records._Following, "close", lambda _: None)
        for _ in range(log_records.MOST_FOLLOWERS):
            assert api.get("/log/", headers={"Accept": EVENTS}).status_code == 200
    answer = api.get("/log/", headers={"Accept": EVENTS})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "5")
