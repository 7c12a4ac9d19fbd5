"""What a decoded capture payload means."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st

from insightlog.application.json_values import quick_text
from insightlog.domain.capture import BadPayload, BadToken, Receipt, properties_text, read_payload, uuid7
from insightlog.domain.timestamps import to_us

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RECEIPT = Receipt(now=NOW, new_uuid=lambda: UUID(int=7))


def an_event(**changes: object) -> dict:
    return {"event": "signed up", "distinct_id": "u1", "token": "phc_x", **changes}


def read(payload: object, **changes: object):
    return read_payload(payload, evolve(RECEIPT, **changes))


def one(payload: object, **changes: object):
    (event,) = read(payload, **changes).events
    return event


def properties(payload: object, **changes: object) -> dict:
    return json.loads(one(payload, **changes).properties)


class TestShapes:
    def test_single_array_and_batch_give_the_same_event(self):
        event = an_event(properties={"a": 1})
        inside = {key: value for key, value in event.items() if key != "token"}
        assert read(event) == read([event]) == read({"api_key": "phc_x", "batch": [inside]})
        assert read(event).token == "phc_x"

    def test_events_keep_their_order_and_python_extras_are_ignored(self):
        batch = [an_event(event=name, type="capture", library="python", context={}) for name in "abc"]
        assert [
            event.event for event in read({"token": "t", "batch": batch, "historical_migration": True}).events
        ] == list("abc")

    @pytest.mark.parametrize(
        "payload",
        [None, 5, "x", [], {}, {"token": "t", "batch": []}, {"token": "t", "batch": "[]"}, [5], [[an_event()]]],
    )
    def test_anything_else_is_refused(self, payload):
        with pytest.raises((BadPayload, BadToken)):
            read(payload)

    def test_engage_needs_no_event_name(self):
        assert (
            one({"distinct_id": "u", "$token": "t", "$set": {"a": 1}}, default_event="$identify").event == "$identify"
        )


class TestToken:
    @pytest.mark.parametrize("key", ["token", "api_key", "$token"])
    def test_is_found_at_the_event(self, key):
        assert read({"event": "x", "distinct_id": "u", key: " phc_x\n"}).token == "phc_x"

    def test_is_found_in_properties_or_beside_the_payload(self):
        assert read({"event": "x", "properties": {"distinct_id": "u", "token": "t1"}}).token == "t1"
        assert read({"event": "x", "distinct_id": "u"}, token="t2").token == "t2"

    def test_none_at_all(self):
        with pytest.raises(BadToken, match=r"^event submitted without an api_key$"):
            read({"event": "x", "distinct_id": "u"})

    def test_two_different_ones(self):
        with pytest.raises(BadToken, match=r"^batch submitted with inconsistent api_key values$"):
            read([an_event(), an_event(token="phc_y")])

    @pytest.mark.parametrize(
        ("token", "problem"),
        [
            ("", "empty"),
            ("  ", "empty"),
            ("x" * 65, "too_long"),
            ("phc_é", "not_ascii"),
            ("phx_secret", "personal_api_key"),
            ("a\0b", "null_byte"),
            ({"some": "object"}, "not_string"),
        ],
    )
    def test_no_token_of_a_project(self, token, problem):
        with pytest.raises(BadToken, match=rf"^API key is not valid: {problem}$"):
            read(an_event(token=token))

    def test_a_bad_token_never_shows_in_the_error(self):
        with pytest.raises(BadToken) as caught:
            read(an_event(token="phx_secret"))
        assert "secret" not in str(caught.value)


class TestDistinctId:
    @pytest.mark.parametrize(
        ("given_id", "expected"),
        [("u", "u"), (23, "23"), (2.5, "2.5"), (True, "true"), ([1, "a"], '[1,"a"]'), (" ", " "), ("null", "null")],
    )
    def test_other_types_become_their_json_text(self, given_id, expected):
        assert one(an_event(distinct_id=given_id)).distinct_id == expected

    def test_top_level_comes_before_properties(self):
        both = {"distinct_id": "inside"}
        assert one(an_event(distinct_id="top", properties=both)).distinct_id == "top"
        assert one({"event": "x", "token": "t", "$distinct_id": "top", "properties": both}).distinct_id == "top"
        assert one({"event": "x", "token": "t", "properties": both}).distinct_id == "inside"

    @pytest.mark.parametrize("given_id", [None, "", float("nan")])
    def test_missing_ones_refuse_the_whole_request(self, given_id):
        with pytest.raises(BadPayload, match=r"^\[1\]: event submitted without a distinct_id$") as caught:
            read([an_event(), an_event(distinct_id=given_id)])
        assert caught.value.path == "[1]"

    def test_is_cut_to_200_characters_and_cleaned(self):
        assert one(an_event(distinct_id="é" * 222)).distinct_id == "é" * 200
        assert one(an_event(distinct_id="a\0b\ud800c")).distinct_id == "a\ufffdb\ufffdc"


class TestFields:
    def test_empty_and_missing_names(self):
        with pytest.raises(BadPayload, match=r"^\[0\]: event submitted with an empty event name$"):
            read(an_event(event=""))
        for event in (None, 5, ["x"]):
            with pytest.raises(BadPayload):
                read(an_event(event=event))

    def test_a_long_name_is_cut(self):
        assert one(an_event(event="n" * 300)).event == "n" * 200

    def test_performance_events_are_dropped_silently(self):
        assert read([an_event(event="$performance_event")]).events == ()
        assert len(read([an_event(event="$performance_event"), an_event()]).events) == 1

    def test_properties_must_be_an_object(self):
        assert one(an_event()).properties == "{}"
        assert one(an_event(properties=None)).properties == "{}"
        for value in ([], "{}", 5):
            with pytest.raises(BadPayload):
                read(an_event(properties=value))

    def test_set_beside_properties_is_merged_and_properties_win(self):
        event = an_event(**{"$set": {"a": 1, "b": 1}, "$set_once": {"c": 1}}, properties={"$set": {"b": 2}})
        assert properties(event) == {"$set": {"a": 1, "b": 2}, "$set_once": {"c": 1}}

    def test_ip_is_added_unless_given(self):
        assert properties(an_event(), ip="10.0.0.1") == {"$ip": "10.0.0.1"}
        assert properties(an_event(properties={"$ip": "1.2.3.4"}), ip="10.0.0.1") == {"$ip": "1.2.3.4"}

    def test_uuid(self):
        known = "017d37c1-f285-0000-0e8b-e02d131925dc"
        for text in (known, known.upper(), known.replace("-", ""), known.replace("-", "", 2)):
            assert one(an_event(uuid=text)).uuid == UUID(known).bytes
        assert one(an_event(uuid="")).uuid == one(an_event()).uuid == UUID(int=7).bytes
        wide = known.replace("0", "\uff10")
        for wrong in ("x", 5, "0_7d37c1-f285-0000-0e8b-e02d131925dc", "{" + known + "}", " " + known[1:], wide):
            with pytest.raises(BadPayload):
                read(an_event(uuid=wrong))

    def test_the_payload_is_not_changed(self):
        event = an_event(**{"$set": {"a": 1}}, properties={})
        read(event, ip="10.0.0.1")
        assert event == an_event(**{"$set": {"a": 1}}, properties={})


class TestTime:
    def test_sent_at_of_the_batch_comes_before_the_query(self):
        batch = {
            "token": "t",
            "sent_at": "2026-03-01T13:00:00Z",
            "batch": [an_event(timestamp="2026-03-01T12:59:00Z")],
        }
        assert one(batch, sent_at_us=0).timestamp_us == to_us(NOW - timedelta(minutes=1))

    def test_skew_is_kept_when_the_event_says_so(self):
        event = an_event(timestamp="2026-03-01T10:00:00Z", properties={"$ignore_sent_at": True})
        assert one(event, sent_at_us=10**15).timestamp_us == to_us(NOW - timedelta(hours=2))

    def test_an_unreadable_sent_at_is_none(self):
        batch = {"token": "t", "sent_at": "soon", "batch": [an_event(timestamp="2026-03-01T10:00:00Z")]}
        assert one(batch).timestamp_us == to_us(NOW - timedelta(hours=2))


class TestPropertiesText:
    def test_keeps_what_json_knows(self):
        value = {"a": [1, 2.5, None, True, "é💻\u2028"], "b": {}}
        assert json.loads(properties_text(value)) == value

    def test_replaces_what_it_does_not(self):
        value = {"a\0": float("nan"), "b": [float("inf"), -float("inf")], "c": "x\ud800\0y", "d": "\\u0000"}
        cleaned = {"a\ufffd": None, "b": [None, None], "c": "x\ufffd\ufffdy", "d": "\\u0000"}
        assert json.loads(properties_text(value)) == cleaned

    @pytest.mark.parametrize(("depth", "is_fine"), [(200, True), (201, False), (5000, False), (200_000, False)])
    def test_depth_is_bounded(self, depth, is_fine):
        value: object = 1
        for _ in range(depth):
            value = [value]
        if is_fine:
            assert properties_text(value) == "[" * depth + "1" + "]" * depth
        else:
            with pytest.raises(BadPayload):
                properties_text(value)

    def test_many_shallow_brackets_are_fine(self):
        assert properties_text({"a": [{}] * 500})


def test_uuid7_is_ordered_by_time_and_marked():
    first, second = uuid7(NOW, 2**74 - 1), uuid7(NOW + timedelta(milliseconds=1), 0)
    assert first < second
    assert first.version == second.version == 7
    assert first.variant == "specified in RFC 4122"


TEXTS = st.text(st.characters(exclude_categories=()), max_size=20)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(TEXTS, children, max_size=4),
    max_leaves=15,
)
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        key: ANY_JSON
        | st.sampled_from(["x", "phc_x"])
        | st.dictionaries(st.sampled_from(["token", "distinct_id"]), ANY_JSON)
        for key in ("event", "distinct_id", "token", "properties", "timestamp", "offset", "uuid", "$set", "$set_once")
    },
)


@given(ANY_JSON | EVENTS | st.lists(EVENTS) | st.fixed_dictionaries({"batch": st.lists(EVENTS), "token": ANY_JSON}))
def test_any_json_gives_events_or_the_errors_of_capture(payload):
    try:
        batch = read(payload, ip="10.0.0.1")
    except (BadPayload, BadToken):
        return
    for event in batch.events:
        assert isinstance(json.loads(event.properties), dict)
        f"{event.properties}{event.event}{event.distinct_id}".encode()
        assert len(event.event) <= 200
        assert 0 < len(event.distinct_id) <= 200


@given(ANY_JSON)
@example([[[[[]] * 50] * 5]])
@example({"a\0": ["\\u0000", "\ud800", 2**64, 1e16, -0.0, "\x7f\u2028/"]})
def test_the_quick_encoder_gives_the_same_values(value):
    deep: object = value
    for _ in range(190):
        deep = [deep]
    for one_value in (value, {"a": value}, deep):
        try:
            exact = json.loads(properties_text(one_value))
        except BadPayload as error:
            with pytest.raises(BadPayload, match=str(error)):
                quick_text(one_value)
        else:
            assert repr(json.loads(quick_text(one_value))) == repr(exact)


@given(ANY_JSON)
def test_properties_are_json_that_every_store_can_hold(value):
    text = properties_text(value)
    text.encode()
    assert "\\u0000" not in text.replace("\\\\", "")
    json.loads(text, parse_constant=pytest.fail)
