"""The Falcon resource of Capture V1: a batch under the token as a bearer, each event answered on its own.

PostHog's SDKs use it when they are told to (`POSTHOG_CAPTURE_MODE=v1`). What is refused as a whole is refused in plain
text, as elsewhere.
"""

from __future__ import annotations

import secrets
from typing import Any

import falcon

from ...application.json_values import quick_text
from ...application.ports import Clock
from ...application.product_ports import Appending
from ...domain.capture import BadToken, Receipt, check_token, uuid7
from ...domain.capture_v1 import read_batch
from ...domain.timestamps import parse_timestamp
from . import rendering
from .body import CAPTURE_LIMITS
from .capture import Capture, LetPass, allow_origin, at_once, refusals, store_before
from .inflate import READS_ZSTD
from .operations import operation
from .payload import Sent, decode_payload
from .schemas import TEXT, one_of, shape

PATH = "/i/v1/analytics/events"
ENCODINGS = frozenset({"", "identity", "gzip", "x-gzip", "deflate", *(["zstd"] if READS_ZSTD else [])})
RESULT = shape({"result": one_of("ok", "drop"), "details": TEXT}, optional=("details",))
ANSWER = shape({"results": {"type": "object", "additionalProperties": RESULT}})


class BatchV1:
    """`/i/v1/analytics/events`."""

    def __init__(self, capture: Capture, clock: Clock, let_pass: LetPass = at_once) -> None:
        self._capture = capture
        self._clock = clock
        self._let_pass = let_pass

    @operation(answer=ANSWER, is_body_any=True)
    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Take a batch; `results` says of each uuid whether its event is stored or refused for good."""
        allow_origin(req, resp)
        with refusals(resp):
            results, appending = self._read(req)
            rendering.write_json(resp, {"results": results})
            store_before(req, resp, appending)

    def on_options(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer a preflight request."""
        allow_origin(req, resp)

    def _read(self, req: falcon.Request) -> tuple[dict[str, Any], Appending | None]:
        """Return what is said of each event, and what stores those that are good."""
        self._let_pass()
        scheme, _, token = (req.get_header("Authorization") or "").partition(" ")
        if scheme.lower() != "bearer":
            raise BadToken("The project token is missing: send it as a bearer.")
        token = check_token(token)
        encoding = (req.get_header("Content-Encoding") or "").strip().lower()
        if encoding not in ENCODINGS:
            raise falcon.HTTPUnsupportedMediaType(description=f"This is not read: Content-Encoding {encoding[:40]}.")
        sent = Sent(query={}, body=req.bounded_stream.read(), content_encoding=encoding)
        payload = decode_payload(sent, CAPTURE_LIMITS[PATH]).value
        now = self._clock()
        # As in `capture.py`: what is imported was sent by others long ago.
        is_migration = isinstance(payload, dict) and payload.get("historical_migration") is True
        receipt = Receipt(
            now=now,
            new_uuid=lambda: uuid7(now, secrets.randbits(74)),
            sent_at_us=parse_timestamp(req.get_header("PostHog-Request-Timestamp")),
            ip=None if is_migration else req.remote_addr,
            write=quick_text,
        )
        batch = read_batch(payload, receipt, req.get_header("PostHog-Sdk-Info"))
        appending = self._capture(token, batch.events) if batch.events else None
        results = {
            str(uuid): {"result": "ok"} if problem is None else {"result": "drop", "details": problem}
            for uuid, problem in batch.problems.items()
        }
        return results, appending
