"""Capture over HTTP, in process."""

from __future__ import annotations

import base64
import gzip
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode
from uuid import UUID

import falcon
import pytest
from falcon import testing
from hypothesis import given, settings
from hypothesis import strategies as st

from insightlog.adapters.http.body import BodyMiddleware
from insightlog.adapters.http.capture import UnknownTokens, capture_routes
from insightlog.adapters.http.inflate import NotCompressed, TooLarge
from insightlog.adapters.http.lz64 import decode_lz64
from insightlog.domain.errors import StoreUnavailable
from insightlog.domain.timestamps import to_us

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
EVENT = {"event": "signed up", "distinct_id": "u1", "properties": {"plan": "frée 💻", "token": "phc_x"}}
LZ64 = (
    "N4IghgDglg+g1gUwJ4gFwAIQBcD2iB2AjAEwDMIANJgEZhYDGAFmugNqhZIQIsj2RYArgCceVEAgBuCfFl6CAzgmHoFUAOb4EAE3SCIlTNqgKsUf"
    "PSwwo23sRABfALoOgA=="
)
"""`{"api_key": "token123", "batch": [{"type": "capture", "event": "user signed up", "distinct_id": "2"}]}`"""


class Stored:
    """What a request wants stored."""

    def __init__(self, server, rows):
        self.server, self.rows = server, rows

    def wait(self):
        if self.server.error:
            raise self.server.error
        self.server.stored.extend(self.rows)
        return len(self.rows)


class Server:
    """A tiny app with nothing but capture, and what it stored."""

    def __init__(self) -> None:
        self.stored: list = []
        self.error: Exception | None = None
        self.unknown = UnknownTokens(max_tokens=2)
        app = falcon.App()
        app.req_options.strip_url_path_trailing_slash = True
        for path, resource in capture_routes(self.capture, lambda: NOW, unknown=self.unknown):
            app.add_route(path, resource)
        self.client = testing.TestClient(BodyMiddleware(app))

    def capture(self, token, events):
        return None if token.startswith("unknown") else Stored(self, [(token, event) for event in events])

    def post(self, path="/e/", json_=None, body=None, **kwargs):
        return self.client.simulate_post(path, body=json.dumps(json_) if json_ is not None else body, **kwargs)

    def one(self, *args, **kwargs):
        """Send a request that must be accepted, return the only event it stored."""
        self.stored.clear()
        answer = self.post(*args, **kwargs)
        assert (answer.status_code, answer.text) == (200, '{"status": "Ok"}')
        ((_, event),) = self.stored
        return event


@pytest.fixture
def server():
    return Server()


TEXT = json.dumps(EVENT)
B64 = base64.b64encode(TEXT.encode()).decode()
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PLAIN = {"Content-Type": "text/plain"}
ZIPPED = gzip.compress(TEXT.encode())

WAYS = {
    "plain": {"body": TEXT},
    "array": {"body": f"[{TEXT}]"},
    "batch": {"path": "/batch/", "body": f'{{"api_key": "phc_x", "batch": [{TEXT}]}}'},
    "text/plain": {"body": TEXT, "headers": PLAIN},
    "gzip-js in the query": {"body": ZIPPED, "params": {"compression": "gzip-js"}, "headers": PLAIN},
    "gzip header": {"body": ZIPPED, "headers": {"Content-Encoding": "gzip"}},
    "gzip without a hint": {"body": ZIPPED},
    "gzip with a wrong hint": {"body": ZIPPED, "params": {"compression": "base64"}},
    "base64 body": {"body": B64},
    "base64 without padding": {"body": B64.rstrip("=")},
    "base64 of gzip": {"body": base64.b64encode(ZIPPED)},
    "gzip of base64": {"body": gzip.compress(B64.encode())},
    "form of JSON": {"body": urlencode({"data": TEXT}), "headers": FORM},
    "form of base64": {"body": urlencode({"data": B64, "compression": "base64", "ver": "1"}), "headers": FORM},
    "form of base64 with spaces for plus": {"body": f"data={B64}", "headers": FORM},
    "form of base64 of gzip": {"body": urlencode({"data": base64.b64encode(ZIPPED)}), "headers": FORM},
    "form without its content type": {"body": urlencode({"data": B64}), "headers": PLAIN},
    "gzip of a form": {"body": gzip.compress(urlencode({"data": B64}).encode()), "headers": FORM},
    "query string": {"body": b"", "params": {"data": TEXT}},
    "query string of base64": {"body": b"ignored", "params": {"data": B64}},
    "engage": {"path": "/engage/", "body": TEXT},
    "track": {"path": "/track", "body": TEXT},
    "capture": {"path": "/capture/", "body": TEXT},
    "i/v0/e": {"path": "/i/v0/e", "body": TEXT},
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_sending_gives_the_same_event(server, way):
    event = server.one(**WAYS[way])
    assert (event.event, event.distinct_id, event.timestamp_us) == ("signed up", "u1", to_us(NOW))
    assert json.loads(event.properties) == {**EVENT["properties"], "$ip": "127.0.0.1"}
    assert UUID(bytes=event.uuid).version == 7


def test_get_takes_data_from_the_query_string(server):
    assert server.client.simulate_get("/e/", query_string=f"data={quote(TEXT)}").json == {"status": "Ok"}
    assert len(server.stored) == 1


@pytest.mark.parametrize(
    "sent",
    [
        {"body": LZ64, "headers": {"Content-Encoding": "lz64"}},
        {"body": LZ64, "params": {"compression": "lz64"}},
        {"body": urlencode({"data": LZ64, "compression": "lz64"}), "headers": FORM},
    ],
)
def test_lz64(server, sent):
    event = server.one("/batch/", **sent)
    assert (event.event, event.distinct_id) == ("user signed up", "2")


def test_engage_without_a_name_is_identify(server):
    person = {"$token": "t", "distinct_id": "u1", "$set": {"email": "a@example.com"}}
    event = server.one("/engage/", person)
    assert event.event == "$identify"
    assert json.loads(event.properties)["$set"] == {"email": "a@example.com"}
    assert server.post("/e/", person).status_code == 400


def test_recordings_are_accepted_and_discarded(server):
    answer = server.post("/s/", body="data=%5B%7B%7D%5D", headers=FORM)
    assert (answer.status_code, answer.json, server.stored) == (200, {"status": "Ok"}, [])


def test_beacon_answers_204_without_a_body(server):
    answer = server.post(json_=EVENT, params={"beacon": "1"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert len(server.stored) == 1


@pytest.mark.parametrize(
    ("payload", "status", "text"),
    [
        ({"event": "x", "distinct_id": "u"}, 401, "event submitted without an api_key"),
        ([EVENT, {**EVENT, "token": "other"}], 401, "batch submitted with inconsistent api_key values"),
        ({**EVENT, "token": "phx_secret"}, 401, "API key is not valid: personal_api_key"),
        ({"token": "t", "event": "x"}, 400, "event submitted without a distinct_id"),
        ({**EVENT, "event": ""}, 400, "event submitted with an empty event name"),
        ({"token": "t", "batch": []}, 400, None),
        ({**EVENT, "uuid": "no"}, 400, None),
        ({**EVENT, "properties": []}, 401, "event submitted without an api_key"),
        ({"token": "t", "batch": '[{"event": "x"}]'}, 400, None),
        (5, 400, None),
    ],
)
def test_refusals_are_plain_text_and_store_nothing(server, payload, status, text):
    answer = server.post(json_=payload)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/plain; charset=utf-8")
    assert answer.text
    if text:
        assert answer.text == text
    assert server.stored == []


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", {}),
        (b'{"event": "x",}', {}),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x00\x03", {}),
        (ZIPPED[:-9], {}),
        (TEXT, FORM),
        (b"a=1&b=2", FORM),
        (b"&".join(b"a=1" for _ in range(1000)), FORM),
        (b"[" * 100_000, {}),
        (b'{"token":"t","a":' * 500 + b"1" + b"}" * 500, {}),
        (b"\xff\xfe\x00", {}),
        (b"not base64!", {"Content-Encoding": "lz64"}),
        (b"AAAA", {"Content-Encoding": "lz64"}),
        (b"x", {"Content-Encoding": "deflate"}),
        (b"1" * 5000, {}),
        (json.dumps({**EVENT, "properties": {"a": json.loads("[" * 300 + "]" * 300), "token": "t"}}), {}),
    ],
)
def test_unreadable_bodies_are_400(server, body, headers):
    answer = server.post(body=body, headers=headers)
    assert (answer.status_code, server.stored) == (400, [])
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_nothing_at_all_is_named(server):
    assert server.post(body=b"").text == "missing data payload"


def test_one_bad_event_refuses_the_whole_batch(server):
    batch = {"token": "t", "batch": [EVENT, {"event": "x"}, EVENT]}
    assert server.post("/batch/", batch).status_code == 400
    assert server.stored == []


def test_token_may_end_in_a_newline_and_stand_in_the_form(server):
    server.one(json_={**EVENT, "token": "phc_y\n"})
    assert server.stored[0][0] == "phc_y"
    body = urlencode({"data": '{"event": "x", "distinct_id": "u"}', "api_key": "phc_z"})
    server.one("/track/", body=body, headers=FORM)
    assert server.stored[0][0] == "phc_z"


def test_an_import_does_not_get_the_address_of_who_imports(server):
    body = json.dumps({"api_key": "t", "batch": [EVENT], "historical_migration": True})
    assert json.loads(server.one("/batch/", body=body).properties) == EVENT["properties"]


def test_nan_infinity_surrogates_and_nul_are_replaced(server):
    properties = '{"n":NaN,"i":-Infinity,"s":"\\ud800","e":1e999}'
    body = f'{{"token":"t","event":"x","distinct_id":"a\\u0000b","properties":{properties}}}'
    event = server.one(body=body)
    assert event.distinct_id == "a\ufffdb"
    expected = {"n": None, "i": None, "s": "\ufffd", "e": None, "$ip": "127.0.0.1"}
    assert json.loads(event.properties) == expected


def test_clock_skew_goes_by_the_query_when_it_is_milliseconds(server):
    event = {**EVENT, "timestamp": "2026-03-02T10:00:00Z"}
    sent_at = datetime(2026, 3, 2, 10, 1, tzinfo=UTC)
    in_ms, in_s = str(int(sent_at.timestamp() * 1000)), str(int(sent_at.timestamp()))
    assert server.one(json_=event, params={"_": in_ms}).timestamp_us == to_us(NOW - timedelta(minutes=1))
    assert server.one(json_=event, params={"_": in_s}).timestamp_us == to_us(NOW + timedelta(hours=22))


def test_sent_at_may_stand_in_the_form(server):
    data = json.dumps({**EVENT, "timestamp": "2026-03-02T10:00:00Z"})
    body = urlencode({"data": data, "sent_at": "2026-03-02T10:10:00+00:00"})
    assert server.one("/track", body=body, headers=FORM).timestamp_us == to_us(NOW - timedelta(minutes=10))


def test_uuid_of_the_client_is_kept(server):
    uuid = "017d37c1-f285-0000-0e8b-e02d131925dc"
    assert server.one(json_={**EVENT, "uuid": uuid}).uuid == UUID(uuid).bytes


def test_unknown_tokens_are_accepted_and_counted_in_bounded_memory(server):
    for token in ("unknown1", "unknown2", "unknown3", "unknown1"):
        answer = server.post(json_={**EVENT, "token": token})
        assert (answer.status_code, answer.json) == (200, {"status": "Ok"})
    assert (server.stored, server.unknown.n_requests) == ([], 4)
    assert server.unknown.most_common(5) == [("unknown1", 2), ("unknown2", 1)]


def test_a_request_of_dropped_events_is_accepted(server):
    assert server.post(json_={**EVENT, "event": "$performance_event"}).status_code == 200
    assert server.stored == []


def test_storage_out_of_order_asks_to_retry(server):
    server.error = StoreUnavailable("disk full")
    answer = server.post(json_=EVENT)
    assert (answer.status_code, answer.text) == (503, "transient error, please retry")


def test_too_large_before_and_after_decompression(server):
    assert server.post(body=b"x" * (3 << 20)).status_code == 413
    for path, size in (("/e/", 3 << 20), ("/batch/", 21 << 20)):
        answer = server.post(path, body=gzip.compress(b" " * size))
        assert answer.status_code == 413
        assert answer.text.startswith("maximum event size exceeded: ")
    fits = gzip.compress(TEXT.encode() + b" " * (3 << 20))
    assert server.post("/batch/", body=fits).status_code == 200


def test_preflight_and_answers_mirror_the_origin(server):
    headers = {"Origin": "https://shop.example.com", "Access-Control-Request-Headers": "x-custom"}
    for answer in (server.client.simulate_options("/e/", headers=headers), server.post(json_=EVENT, headers=headers)):
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "https://shop.example.com"
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert answer.headers["access-control-allow-methods"] == "GET, POST, OPTIONS"
        assert answer.headers["access-control-allow-headers"] == "x-custom"
    assert server.post(body=b"", headers=headers).headers["access-control-allow-origin"] == "https://shop.example.com"


@pytest.mark.parametrize("path", ["/_readiness", "/_liveness"])
def test_probes(server, path):
    assert server.client.simulate_get(path).status_code == 200


@settings(deadline=None)
@given(
    st.binary(max_size=200),
    st.sampled_from(["", "gzip", "gzip-js", "base64", "lz64", "deflate", "br"]),
    st.booleans(),
)
def test_any_bytes_are_answered_without_a_server_error(body, compression, is_form):
    server = Server()
    answer = server.post(body=body, params={"compression": compression}, headers=FORM if is_form else {})
    assert answer.status_code in {200, 400, 401}


@settings(deadline=None)
@given(st.from_regex(r"[A-Za-z0-9+/]{1,80}={0,2}", fullmatch=True))
def test_any_lz64_text_is_decoded_or_refused(text):
    with suppress(NotCompressed, TooLarge):
        assert len(decode_lz64(text.encode(), 10_000)) <= 10_000


def test_lz64_stops_at_its_limit():
    with pytest.raises(TooLarge):
        decode_lz64(LZ64.encode(), 50)
    with pytest.raises(TooLarge):
        decode_lz64(b"A" * (2 << 20), 10**9)
