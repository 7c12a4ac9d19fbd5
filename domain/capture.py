"""From the decoded JSON of a capture request to product events.

Source: the capture contract of PostHog's ingestion endpoints (insights-api.md 8.3 to 8.7). How bytes become JSON, and
what an error means to HTTP, is the adapter's business.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from attrs import frozen

from .errors import AuthenticationFailed, InvalidInput
from .product_event import PlainEvent
from .timestamps import event_time, parse_timestamp, to_us

MAX_NAME = 200
"""Characters of an event name or distinct id; the rest is cut off."""
MAX_TOKEN = 64
MAX_DEPTH = 200
"""How deep properties may be nested."""
IDENTIFY = "$identify"
_DROPPED = "$performance_event"
_TOKEN_KEYS = ("token", "api_key", "$token")
_UUID = re.compile(r"[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_REPLACEMENT = "\ufffd"


class BadPayload(InvalidInput):
    """A capture request that is refused as a whole; the text is the contract's where it has one."""


class BadToken(AuthenticationFailed):
    """A capture request without a usable project token."""


@frozen
class CapturedBatch:
    """What a capture request holds."""

    token: str
    """The project's capture token, trimmed and well-formed; whether it is known is another question."""
    events: tuple[PlainEvent, ...]
    """In the order of the request; empty when all of them are of a kind that is dropped."""


@frozen(kw_only=True)
class Receipt:
    """What the server knows about a request beyond its payload."""

    now: datetime
    """Receipt, aware."""
    new_uuid: Callable[[], UUID]
    """Makes the uuid of an event that brings none."""
    sent_at_us: int | None = None
    """When the client says it sent the request, by the client's clock; microseconds since 1970."""
    ip: str | None = None
    """Becomes `$ip` of events that bring none."""
    default_event: str | None = None
    """Name of events without one; None: they are refused."""
    token: str | None = None
    """Token given beside the payload, for events without one."""
    write: Callable[[Any], str] | None = None
    """Gives the JSON text that `properties_text` gives, up to how numbers are written; None: that does it itself."""


def read_payload(payload: Any, receipt: Receipt) -> CapturedBatch:
    """Return the token and the events of a single event, an array of events or a batch.

    Raises `BadToken` for a token that is missing, contradictory or no token, and `BadPayload` for the first event
    that may not be stored: one bad event refuses the whole request.
    """
    items, beside = _items_of(payload)
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise BadPayload("every event must be a JSON object", path=f"[{index}]")
    token = _token_of([beside] if _token_in(beside) is not None else items, receipt.token)
    sent_at = beside.get("sent_at")
    sent_at_us = parse_timestamp(sent_at) if sent_at and isinstance(sent_at, str) else receipt.sent_at_us
    return CapturedBatch(token, read_events(items, receipt, sent_at_us=sent_at_us))


def read_events(
    items: Sequence[Mapping[str, Any]], receipt: Receipt, *, sent_at_us: int | None = None
) -> tuple[PlainEvent, ...]:
    """Return the events of JSON objects, in order. Raises `BadPayload`, its path the index of the wrong one."""
    now_us, write = to_us(receipt.now), receipt.write or properties_text
    found = []
    for index, item in enumerate(items):
        try:
            event = _event(item, receipt, now_us, sent_at_us, write)
        except BadPayload as error:
            error.path = f"[{index}]"
            raise
        if event is not None:
            found.append(event)
    return tuple(found)


def check_token(text: str) -> str:
    """Return a project token without white space around it. Raises `BadToken` for what can be none."""
    token = text.strip()
    for problem, is_so in (
        ("empty", not token),
        ("too_long", len(token) > MAX_TOKEN),
        ("not_ascii", not token.isascii()),
        ("personal_api_key", token.startswith("phx_")),
        ("null_byte", "\0" in token),
    ):
        if is_so:
            raise BadToken(f"API key is not valid: {problem}")
    return token


def uuid7(at: datetime, random: int) -> UUID:
    """Return a time-ordered UUID (RFC 9562, 5.7) of a millisecond and 74 random bits."""
    high, low = (random >> 62) & 0xFFF, random & ((1 << 62) - 1)
    return UUID(int=(to_us(at) // 1000 & ((1 << 48) - 1)) << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low)


# -- fields of an event; also used by bulk imports -------------------------------------------------------------------


def event_name(value: Any, default: str | None = None) -> str:
    """Return an event's name, cut to 200 characters. Raises `BadPayload` for an empty or missing one."""
    if value is None and default is not None:
        return default
    if value == "":
        raise BadPayload("event submitted with an empty event name")
    if value is None:
        raise BadPayload("event submitted without an event name")
    if not isinstance(value, str):
        raise BadPayload("event submitted with an event name that is not text")
    return clean_text(value[:MAX_NAME])


def distinct_id(item: Mapping[str, Any], properties: Mapping[str, Any]) -> str:
    """Return who an event is about, 1 to 200 characters, other types as JSON text. Raises `BadPayload` for nobody."""
    value = item.get("distinct_id")
    if value is None:
        value = item.get("$distinct_id")
    if value is None:
        value = properties.get("distinct_id")
    text = value if isinstance(value, str) else properties_text(value)
    if not text or (text == "null" and not isinstance(value, str)):
        raise BadPayload("event submitted without a distinct_id")
    return clean_text(text[:MAX_NAME])


def event_uuid(value: Any) -> bytes | None:
    """Return the 16 bytes of a client's uuid, None for none. Raises `BadPayload` for anything that is no UUID."""
    if value is None or value == "":
        return None
    if isinstance(value, UUID):
        return value.bytes
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise BadPayload("event submitted with an invalid uuid")
    return bytes.fromhex(value.replace("-", ""))  # PERF: a fifth of the time of UUID(value)


def completed_properties(properties: dict[str, Any], item: Mapping[str, Any], ip: str | None = None) -> dict[str, Any]:
    """Return the properties with `$set` and `$set_once` of the event and the sender's address; what is there wins."""
    added: dict[str, Any] = {}
    for key in ("$set", "$set_once"):
        if key not in item:
            continue
        beside = item[key]
        if isinstance(beside, dict) and beside:
            inside = properties.get(key)
            if inside is None:
                added[key] = beside
            elif isinstance(inside, dict):
                added[key] = {**beside, **inside}
    if ip is not None and "$ip" not in properties:
        added["$ip"] = ip
    return {**properties, **added} if added else properties


def clean_text(text: str) -> str:
    """Return a text with NUL characters and lone surrogates replaced, so that every store can hold it."""
    if "\0" in text:
        text = text.replace("\0", _REPLACEMENT)
    return text if text.isascii() else _SURROGATE.sub(_REPLACEMENT, text)


def properties_text(value: Any) -> str:
    """Return the JSON text of a value: no NaN or Infinity (null instead), no NUL, no lone surrogates.

    Raises `BadPayload` for what is nested deeper than 200 or cannot be written.
    """
    try:
        try:
            text = _ENCODE(value)
            is_clean = "\\u0000" not in text and (text.isascii() or not _SURROGATE.search(text))
        except ValueError:
            is_clean = False
        if not is_clean:
            text = _ENCODE(_cleaned(value))
    except (ValueError, TypeError, RecursionError) as error:
        raise BadPayload("properties cannot be written as JSON") from error
    if text.count("{") + text.count("[") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise BadPayload(f"properties are nested deeper than {MAX_DEPTH}")
    return text


def _plain(value: Any) -> Any:
    """Return what stands in JSON for a value of a Python program, as in PostHog's own Python SDK."""
    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    raise BadPayload(f"properties hold a {type(value).__name__}, which JSON does not know")


_ENCODE = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"), default=_plain
).encode


def _event(
    item: Mapping[str, Any],
    receipt: Receipt,
    now_us: int,
    sent_at_us: int | None,
    write: Callable[[Any], str],
) -> PlainEvent | None:
    """Return the event of a JSON object, None for a kind that is dropped."""
    name = event_name(item.get("event"), receipt.default_event)
    if name == _DROPPED:
        return None
    properties = item.get("properties")
    if properties is None:
        properties = {}
    elif not isinstance(properties, dict):
        raise BadPayload("event submitted with properties that are not an object")
    who = distinct_id(item, properties)
    uuid = event_uuid(item.get("uuid")) or receipt.new_uuid().bytes
    happened_us = event_time(
        item.get("timestamp"),
        now_us=now_us,
        sent_at_us=None if properties.get("$ignore_sent_at") is True else sent_at_us,
        offset_ms=item.get("offset"),
    )
    return PlainEvent(uuid, name, who, happened_us, write(completed_properties(properties, item, receipt.ip)))


def _items_of(payload: Any) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Return the events of a payload and the object beside them, `{}` where there is none."""
    if isinstance(payload, dict) and "batch" not in payload:
        return [payload], {}
    items = payload["batch"] if isinstance(payload, dict) else payload
    if not isinstance(items, list):
        raise BadPayload("the payload must be an event, an array of events or a batch")
    if not items:
        raise BadPayload("the batch is empty")
    return items, payload if isinstance(payload, dict) else {}


def _token_in(item: Mapping[str, Any]) -> Any:
    for key in _TOKEN_KEYS:
        if item.get(key) is not None:
            return item[key]
    properties = item.get("properties")
    return properties.get("token") if isinstance(properties, dict) else None


def _token_of(items: Sequence[Mapping[str, Any]], given: str | None) -> str:
    tokens = [token for token in map(_token_in, items) if token is not None] or ([given] if given is not None else [])
    if not tokens:
        raise BadToken("event submitted without an api_key")
    for token in tokens:
        if not isinstance(token, str):
            raise BadToken("API key is not valid: not_string")
    first = tokens[0].strip()
    if any(token.strip() != first for token in tokens):
        raise BadToken("batch submitted with inconsistent api_key values")
    return check_token(first)


def _cleaned(value: Any) -> Any:
    """Return a JSON value with every text cleaned and every number that JSON does not know as None."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if isinstance(value, dict):
        return {clean_text(str(key)): _cleaned(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(item) for item in value]
    return value


def _depth(value: Any) -> int:
    """Return how deep a JSON value is nested, without recursion."""
    depth, level = 0, [value]
    while level:
        nested = [item for item in level if isinstance(item, dict | list | tuple)]
        level = [child for item in nested for child in (item.values() if isinstance(item, dict) else item)]
        depth += bool(nested)
    return depth
