"""From the bytes of a capture request to decoded JSON (insights-api.md 8.2): query string, form, base64, gzip, lz64.

Clients' hints are often missing or wrong, so the bytes themselves are looked at first. What the JSON means is told by
`domain.capture`.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson
from attrs import frozen

from ...domain.capture import BadPayload
from .inflate import GZIP_MAGIC, NotCompressed, inflate, unpack_zstd
from .lz64 import decode_lz64

_BASE64 = re.compile(rb"[A-Za-z0-9+/_\s-]+={0,2}\s*")
_TO_STANDARD = bytes.maketrans(b"-_ ", b"+/+")
_FORM_TYPE = "application/x-www-form-urlencoded"
_MAX_FORM_FIELDS = 50


@frozen(kw_only=True)
class Sent:
    """The parts of a capture request that hold its payload or say how it is packed."""

    query: Mapping[str, str]
    body: bytes = b""
    content_type: str = ""
    content_encoding: str = ""


@frozen
class Payload:
    """A decoded payload."""

    value: Any
    """The JSON value; NaN and Infinity in it are None."""
    form: Mapping[str, str]
    """The other fields of the form it came in, `{}` without one."""


def decode_payload(sent: Sent, max_bytes: int) -> Payload:
    """Return the JSON of a request.

    Raises `BadPayload` for what is missing or cannot be read, and `inflate.TooLarge` when more than `max_bytes` come
    out of a compressed payload.
    """
    form: Mapping[str, str] = {}
    hint = (sent.query.get("compression") or sent.content_encoding).strip().lower()
    try:
        data = sent.query.get("data", "").encode("utf-8", "replace")
        if not data:
            data = inflate(sent.body, max_bytes) if _is_gzip(sent.body) else sent.body
            if _is_form(data, sent.content_type):
                form = _form(data)
                data = form.get("data", "").encode("utf-8", "replace")
                hint = form.get("compression", hint)
        if not data.strip():
            raise BadPayload("missing data payload")
        return Payload(_json_of(_unpacked(data, hint, max_bytes)), form)
    except NotCompressed as error:
        raise BadPayload(f"the compressed payload cannot be read: {error}") from error


def parse_json(data: bytes) -> Any:
    """Return a JSON value; NaN and Infinity are None, wrong UTF-8 is replaced. Raises `BadPayload`."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        # PERF: three times slower, yet it takes lone surrogates, NaN and numbers beyond a double.
        return json.loads(data.decode("utf-8", "replace"), parse_constant=lambda _: None)
    except RecursionError as error:
        raise BadPayload("the payload is nested too deep") from error
    except ValueError as error:
        raise BadPayload("the payload is not valid JSON") from error


def _unpacked(data: bytes, hint: str, max_bytes: int) -> bytes:
    if hint == "lz64":
        return decode_lz64(data.strip().replace(b" ", b"+"), max_bytes)
    if hint == "zstd":
        return unpack_zstd(data, max_bytes)
    if _is_base64(data):
        data = _from_base64(data)
    return inflate(data, max_bytes) if _is_gzip(data) or hint == "deflate" else data


def _json_of(data: bytes) -> Any:
    try:
        return parse_json(data)
    except BadPayload:
        if not _is_base64(data):
            raise
        return parse_json(_from_base64(data))


def _is_gzip(data: bytes) -> bool:
    return data.startswith(GZIP_MAGIC)


def _is_base64(data: bytes) -> bool:
    return _BASE64.fullmatch(data) is not None


def _from_base64(data: bytes) -> bytes:
    """Decode either alphabet; spaces were plus signs before a form or query string was decoded, padding may miss."""
    compact = b"".join(data.strip().translate(_TO_STANDARD).split()).rstrip(b"=")
    try:
        return base64.b64decode(compact + b"=" * (-len(compact) % 4))
    except binascii.Error as error:
        raise BadPayload("the payload is not valid base64") from error


def _is_form(data: bytes, content_type: str) -> bool:
    if data.startswith(b"data="):
        return True
    return content_type.partition(";")[0].strip().lower() == _FORM_TYPE and not _is_base64(data)


def _form(data: bytes) -> dict[str, str]:
    try:
        fields = parse_qsl(data.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MAX_FORM_FIELDS)
    except ValueError as error:
        raise BadPayload("the form has too many fields") from error
    return dict(fields)
