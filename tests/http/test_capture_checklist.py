"""Statements 142 to 149 of the contract's checklist, each against the whole app; 150 is in e2e/test_sdks.py."""

from __future__ import annotations

import base64
import gzip
import json
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from tests.builders import NOW

EVENT = {"token": "phc_one", "event": "signed up", "distinct_id": "u1", "properties": {"plan": "frée 💻"}}
LZ64 = (
    "N4IgLg9g1gpgdiAXCADgCwMYH0JxiAGhBgDd4wkQBnASwHM8ATAAgFcVCRGaqwa4MYLDUaVWARk4oAThBQxpfGFSSgUAGwCGCZADNpAS5jNAvBuBunZA"
    "BfS0A==="
)
"""`EVENT` as lz-string 1.5 compresses it to base64."""
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def send(api):
    def send(body, path="/e/", **options):
        sent = body if isinstance(body, str | bytes) else json.dumps(body)
        return api.client.simulate_post(path, body=sent, **options)

    return send


@pytest.fixture
def stored(log):
    return lambda: [row.event for row in log.parts.capture_log.read(0, 100)]


TEXT = json.dumps(EVENT)
BODIES = {"single": TEXT, "array": f"[{TEXT}]", "batch": f'{{"api_key": "phc_one", "batch": [{TEXT}]}}'}


def packed(text):
    """Every way in which a body can be sent, as keyword arguments."""
    zipped = gzip.compress(text.encode())
    in_base64 = base64.b64encode(text.encode()).decode()
    yield {"body": text}
    yield {"body": zipped, "headers": {"Content-Encoding": "gzip"}}
    yield {"body": zipped, "params": {"compression": "gzip-js"}}
    yield {"body": urlencode({"data": in_base64}), "headers": FORM}
    yield {"body": urlencode({"data": in_base64, "compression": "base64"}), "headers": FORM}


@pytest.mark.parametrize("shape", BODIES)
def test_142_every_body_shape_and_compression_yields_the_same_event(send, stored, shape):
    ways = list(packed(BODIES[shape]))
    if shape == "single":
        ways.append({"body": LZ64, "params": {"compression": "lz64"}})
        ways.append({"body": urlencode({"data": LZ64, "compression": "lz64"}), "headers": FORM})
    for way in ways:
        answer = send(**way)
        assert (answer.status_code, answer.json) == (200, {"status": "Ok"})
    events = stored()
    assert len(events) == len(ways)
    assert {(one.event, one.distinct_id, one.timestamp, one.properties) for one in events} == {
        ("signed up", "u1", NOW, '{"plan":"frée 💻","$ip":"127.0.0.1"}')
    }


def test_143_gzip_without_any_hint_is_recognised(send, stored):
    assert send(gzip.compress(TEXT.encode()), headers={"Content-Type": "text/plain"}).status_code == 200
    assert [one.event for one in stored()] == ["signed up"]


def test_144_engage_without_an_event_name_stores_identify(send, stored):
    person = {"token": "phc_one", "distinct_id": "u1", "$set": {"email": "a@example.com"}}
    assert send(person, path="/engage/").status_code == 200
    assert [one.event for one in stored()] == ["$identify"]


def test_145_tokens_missing_contradictory_personal_or_with_a_newline(send, stored):
    bare = {key: value for key, value in EVENT.items() if key != "token"}
    for body, text in (
        (bare, "event submitted without an api_key"),
        ([EVENT, {**EVENT, "token": "phc_two"}], "batch submitted with inconsistent api_key values"),
        ({**EVENT, "token": "phx_one"}, "API key is not valid: personal_api_key"),
        ({**EVENT, "token": "x" * 65}, "API key is not valid: too_long"),
        ({**EVENT, "token": " "}, "API key is not valid: empty"),
        ({**EVENT, "token": "phc_é"}, "API key is not valid: not_ascii"),
        ({**EVENT, "token": "phc\0one"}, "API key is not valid: null_byte"),
    ):
        answer = send(body)
        assert (answer.status_code, answer.text) == (401, text)
    assert stored() == []
    assert send({**EVENT, "token": "phc_one\n"}).status_code == 200
    assert len(stored()) == 1


def test_146_distinct_ids_missing_long_or_of_another_type(send, stored):
    without = {key: value for key, value in EVENT.items() if key != "distinct_id"}
    for body in (without, {**EVENT, "distinct_id": None}, {**EVENT, "distinct_id": ""}):
        answer = send(body)
        assert (answer.status_code, answer.text) == (400, "event submitted without a distinct_id")
    for value in ("é" * 222, 23, True, 1.5, ["a", 1], {"a": None}):
        assert send({**EVENT, "distinct_id": value}).status_code == 200
    assert [one.distinct_id for one in stored()] == ["é" * 200, "23", "true", "1.5", '["a",1]', '{"a":null}']


def test_147_skew_offset_and_the_future(send, stored):
    def at(**by):
        return (NOW + timedelta(**by)).isoformat()

    sent = [
        ({"timestamp": at(hours=2), "sent_at": at(hours=2, minutes=1)}, timedelta(minutes=-1)),
        ({"timestamp": at(hours=-2), "offset": 5000}, timedelta(seconds=-5)),
        ({"timestamp": at(hours=24)}, timedelta()),
        ({"timestamp": at(hours=22)}, timedelta(hours=22)),
        ({"timestamp": "no time at all"}, timedelta()),
    ]
    for fields, _ in sent:
        event = {**EVENT, **fields}
        batch = {"token": "phc_one", "batch": [event]}
        if "sent_at" in fields:
            batch["sent_at"] = event.pop("sent_at")
        assert send(batch, path="/batch/").status_code == 200
    assert [one.timestamp - NOW for one in stored()] == [difference for _, difference in sent]


def test_148_beacon_answers_204_and_everything_else_200_with_a_status(send, stored):
    assert send(EVENT, params={"beacon": "1"}).status_code == 204
    answer = send(EVENT)
    assert (answer.status_code, "status" in answer.json) == (200, True)
    assert len(stored()) == 2


def test_149_identify_merges_an_anonymous_person_and_not_an_identified_one(send, api):
    def people():
        query = {"kind": "TrendsQuery", "series": [{"kind": "EventsNode", "event": "seen", "math": "dau"}]}
        answer = api.post("/query/", {"query": query, "refresh": "force_blocking"})
        assert answer.status_code == 200, answer.text
        return answer.json["results"][0]["data"][-1]

    def event(name, who, **properties):
        return {"token": "phc_one", "event": name, "distinct_id": who, "properties": properties}

    send([event("seen", "anonymous-1"), event("seen", "anonymous-2"), event("seen", "ines"), event("seen", "omar")])
    assert people() == 4
    send(event("$identify", "ines", **{"$anon_distinct_id": "anonymous-1"}))
    assert people() == 3
    send(event("$identify", "omar", **{"$anon_distinct_id": "anonymous-2"}))
    assert people() == 2
    send(event("$identify", "omar", **{"$anon_distinct_id": "ines"}))
    assert people() == 2
    send(event("$merge_dangerously", "omar", alias="ines"))
    assert people() == 1
