"""The recorded capture requests (tests/conformance/http/capture.json) against the capture resources alone.

Statements marked `differs` are replaced by their `current` form, or left out where there is none.
"""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import falcon
import pytest
from falcon import testing

from insightlog.adapters.http.body import BodyMiddleware
from insightlog.adapters.http.capture import capture_routes

CASES = json.loads((Path(__file__).parents[1] / "conformance/http/capture.json").read_text("utf-8"))
MOST_REPEATED_BYTES = 24 << 20


class Server:
    """Capture with one project and a clock that the requests set."""

    def __init__(self) -> None:
        self.now = datetime.fromisoformat("2023-11-02T12:00:00Z")
        self.tokens: set[str] = set()
        self.stored: list[dict[str, Any]] = []
        app = falcon.App()
        app.req_options.strip_url_path_trailing_slash = True
        for path, resource in capture_routes(self.capture, lambda: self.now):
            app.add_route(path, resource)
        self.client = testing.TestClient(BodyMiddleware(app))

    def capture(self, token, events):
        if token not in self.tokens:
            return False
        for event in events:
            self.stored.append(
                {
                    "uuid": str(event.uuid),
                    "event": event.event,
                    "distinct_id": event.distinct_id,
                    "timestamp": event.timestamp.isoformat(),
                    "properties": json.loads(event.properties),
                }
            )
        return True

    def send(self, request):
        self.now = datetime.fromisoformat(request["now"])
        headers = {name: value for name, value in request.get("headers", {}).items() if value}
        if "form" in request:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        query = {k: v if isinstance(v, str) else json.dumps(v["$json"]) for k, v in request.get("query", {}).items()}
        return self.client.simulate_request(
            request["method"], request["path"], query_string=urlencode(query), headers=headers, body=body_of(request)
        )


def body_of(request) -> bytes:
    if "raw_repeat" in request:
        text, times = request["raw_repeat"]
        return text.encode() * min(times, MOST_REPEATED_BYTES)
    if "raw_base64" in request:
        return base64.b64decode(request["raw_base64"])
    if "form" in request:
        return urlencode(request["form"]).encode()
    return request.get("raw", json.dumps(request["body"]) if "body" in request else "").encode()


def at(path, answer, value):
    if path and path[0] in {"$status", "$text"}:
        return answer.status_code if path[0] == "$status" else answer.text
    for step in path:
        value = value[step]
    return value


def same_instant(actual: str, expected: str, delta: float) -> bool:
    apart = datetime.fromisoformat(actual) - datetime.fromisoformat(expected)
    return abs(apart) <= timedelta(seconds=delta)


def holds(op: str, actual: Any, statement: dict[str, Any]) -> bool:
    expected = statement.get("expected")
    if op == "truthy":
        return bool(actual)
    if op == "length":
        return len(actual) == expected
    if op == "contains":
        return expected in actual
    if op == "almost" or statement["path"][-1:] == ["timestamp"]:
        return same_instant(actual, expected, statement.get("delta", 0))
    assert op == "equals"
    return actual == expected


def check(statements, answer, value) -> None:
    for given in statements:
        statement = given.get("current") if "differs" in given else given
        if statement is not None:
            actual = at(statement["path"], answer, value)
            assert holds(statement["op"], actual, statement), (statement, actual)


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_recorded_case(case):
    server, answer = Server(), None
    for step in case["steps"]:
        if "create" in step:
            server.tokens = {project["api_token"] for project in step["create"]["projects"]}
        elif "request" in step:
            answer = server.send(step["request"])
            value = answer.json if "json" in answer.headers.get("content-type", "") else None
            check(step.get("assert", []), answer, value)
        else:
            check(step["assert"], answer, server.stored)
