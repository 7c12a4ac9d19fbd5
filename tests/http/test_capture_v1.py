"""Capture V1 over HTTP: a batch under a bearer token, each event answered on its own."""

from __future__ import annotations

import gzip
import json
import zlib

import falcon
import pytest
import zstandard
from falcon import testing

from insightlog.adapters.http.capture_v1 import BatchV1
from insightlog.domain.errors import StoreUnavailable

PATH = "/i/v1/analytics/events"
IDS = [f"01890a5d-ac96-774b-bcce-b302099a805{n}" for n in range(4)]
SENT = {
    "Authorization": "Bearer phc_one", "PostHog-Sdk-Info": "posthog-node/5.70.0", "PostHog-Attempt": "1",
    "PostHog-Request-Timestamp": "2026-04-02T08:15:30.120Z",
}  # fmt: skip
ZSTD = zstandard.ZstdCompressor()
WIDE = zstandard.ZstdCompressor(compression_params=zstandard.ZstdCompressionParameters(window_log=27)).compressobj()


def event(n=0, **fields):
    return {
        "event": "paid", "uuid": IDS[n], "distinct_id": "a", "timestamp": "2026-04-02T08:00:00Z", "options": {},
        "properties": {"n": n}, **fields,
    }  # fmt: skip


@pytest.fixture
def send(api):
    def send_some(*batch, body=None, headers=None, **more):
        body = json.dumps({"created_at": "2026-04-02T08:15:30Z", "batch": batch, **more}) if body is None else body
        return api.client.simulate_post(PATH, body=body, headers={**SENT, **(headers or {})})

    return send_some


@pytest.fixture
def stored(api):
    def all_of_them():
        return {one["properties"].get("n"): one for one in api.get("/events/").json["results"]}

    return all_of_them


def test_a_batch_is_stored_and_every_event_is_answered(send, stored):
    answer = send(event(0), event(1, distinct_id=" b ", session_id="s1", window_id="w1"), event(1))
    assert (answer.status_code, answer.json) == (200, {"results": {IDS[0]: {"result": "ok"}, IDS[1]: {"result": "ok"}}})
    found = stored()
    assert found.keys() == {0, 1}
    assert (found[1]["id"], found[1]["distinct_id"]) == (IDS[1], "b")
    assert found[1]["timestamp"] == "2026-04-02T09:00:00Z", "the client's clock is an hour late"
    own = {"n": 1, "$session_id": "s1", "$window_id": "w1", "$lib": "posthog-node", "$lib_version": "5.70.0"}
    assert found[1]["properties"] == own | {"$ip": "127.0.0.1"}
    assert send(event(0), event(1)).json == answer.json
    assert stored() == found


def test_options_become_what_they_mean(send, stored):
    said = {"process_person_profile": False, "cookieless_mode": "true", "disable_skew_correction": 1,
            "product_tour_id": 7, "unknown": {}}  # fmt: skip
    assert (
        send(event(0, distinct_id="c", options=said), event(1, options=None), historical_migration=True).status_code
        == 200
    )
    found = stored()
    assert found[0]["person"] is None
    assert found[0]["timestamp"] == "2026-04-02T08:00:00Z"
    shown = found[0]["properties"]
    assert (shown["$process_person_profile"], shown["$cookieless_mode"], shown["$product_tour_id"]) == (
        False,
        True,
        "7",
    )
    assert "$ignore_sent_at" not in shown
    assert "$ip" not in shown, "what is imported was sent by others"
    assert found[1]["person"] is not None


@pytest.mark.parametrize(
    ("wrong", "details"),
    [
        ({"event": ""}, "event submitted with an empty event name"),
        ({"distinct_id": " "}, "event submitted without a distinct_id"),
        ({"properties": [1]}, "event submitted with properties that are not an object"),
        ({"options": "none"}, "event submitted with options that are not an object"),
        ({"options": {"cookieless_mode": "perhaps"}}, "event submitted with an option that cannot be read: cookieless_mode"),
    ],
)  # fmt: skip
def test_a_wrong_event_is_refused_alone(send, stored, wrong, details):
    answer = send(event(0, **wrong), event(1))
    assert answer.status_code == 200
    assert answer.json["results"] == {IDS[0]: {"result": "drop", "details": details}, IDS[1]: {"result": "ok"}}
    assert stored().keys() == {1}


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        ({"body": "{"}, 400, "not valid JSON"),
        ({"body": ""}, 400, "missing data payload"),
        ({"body": "[]"}, 400, "must be a batch"),
        ({"body": '{"batch": []}'}, 400, "must be a batch"),
        ({"body": '{"batch": [1]}'}, 400, "without a uuid"),
        ({"body": '{"batch": [{"event": "x", "distinct_id": "a"}]}'}, 400, "without a uuid"),
        ({"body": '{"batch": [{"uuid": "x"}]}'}, 400, "invalid uuid"),
        ({"body": "x", "headers": {"Authorization": "Basic phc_one"}}, 401, "token is missing"),
        ({"body": "x", "headers": {"Authorization": "Bearer phx_one"}}, 401, "personal_api_key"),
        ({"body": "x", "headers": {"Content-Encoding": "br"}}, 415, "br"),
        ({"body": gzip.compress(bytes(21 << 20))}, 413, "maximum event size exceeded"),
        ({"body": "x", "headers": {"Content-Encoding": "zstd"}}, 400, "the compressed payload cannot be read"),
        ({"body": ZSTD.compress(bytes(21 << 20)), "headers": {"Content-Encoding": "zstd"}}, 413, "maximum event size"),
        ({"body": ZSTD.compress(b"[]" * 9)[:-4], "headers": {"Content-Encoding": "zstd"}}, 400, "not valid JSON"),
        (
            {"body": WIDE.compress(b"{}") + WIDE.flush(), "headers": {"Content-Encoding": "zstd"}},
            400,
            "too much memory",
        ),
    ],
)
def test_what_is_no_batch_is_refused_whole(send, stored, options, status, said):
    answer = send(**options)
    assert answer.status_code == status
    assert said in answer.text
    assert stored() == {}


def test_a_batch_may_be_compressed_and_come_from_a_page(api, send, stored):
    text = json.dumps({"batch": [event(0)]}).encode()
    for packed, encoding in (
        (gzip.compress(text), "gzip"),
        (zlib.compress(text), "deflate"),
        (ZSTD.compress(text), "zstd"),
    ):
        headers = {"Content-Encoding": encoding, "Origin": "https://shop.example"}
        answer = send(body=packed, headers=headers)
        assert answer.json == {"results": {IDS[0]: {"result": "ok"}}}
        assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Headers": "authorization,posthog-attempt"}
    preflight = api.client.simulate_options(PATH, headers=asked)
    assert preflight.headers["Access-Control-Allow-Headers"] == "authorization,posthog-attempt"
    assert stored().keys() == {0}


def test_an_unknown_token_is_answered_like_a_known_one(send, stored):
    assert send(event(0), headers={"Authorization": "bearer phc_nobody"}).json == {
        "results": {IDS[0]: {"result": "ok"}}
    }
    assert stored() == {}


def test_a_full_disk_asks_to_come_again(clock):
    def refuse(_token, _events):
        raise StoreUnavailable("full")

    app = falcon.App()
    app.add_route(PATH, BatchV1(refuse, clock))
    answer = testing.TestClient(app).simulate_post(PATH, json={"batch": [event()]}, headers=SENT)
    assert (answer.status_code, answer.text) == (503, "transient error, please retry")


def test_what_models_said_comes_under_a_path_of_its_own(api):
    body = {"api_key": "phc_one", "batch": [{"event": "$ai_generation", "distinct_id": "a"}]}
    assert api.client.simulate_post("/i/v0/ai/batch/", json=body).json == {"status": "Ok"}
    assert [one["event"] for one in api.get("/events/").json["results"]] == ["$ai_generation"]
