"""Requests made out of the OpenAPI document: no 5xx, and every answer as the document says.

A few seeded examples per operation; `INSIGHTLOG_SCHEMA_EXAMPLES=500` before pytest makes it a long run.
"""

from __future__ import annotations

import os
from collections import defaultdict
from contextlib import suppress

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.builders import TREND

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = int(os.environ.get("INSIGHTLOG_SCHEMA_EXAMPLES", "2"))
ALIAS = "/api/environments/"
ENOUGH = 8
"""With so many examples, each operation that can succeed must have succeeded."""
NEVER = {"global_access_controls", "resource_access_controls", "generate_metadata", "bulk_update_tags"}
"""Ends of paths that only ever refuse; as does DELETE of what is deleted softly."""
UNTOLD = {
    "/batch", "/capture", "/e", "/i/v0/e", "/i/v0/ai/batch", "/i/v1/analytics/events", "/track", "/engage", "/flags",
    "/decide", "/groups", "/groups/find",
    "/shared/{token}", "/shared_dashboard/{token}", "/embedded/{token}", "/cohorts/{cohort_id}/remove_person_from_static_cohort",
    "/persons/trends", "/persons/stickiness", "/persons/lifecycle", "/persons/funnel", "/persons/funnel/correlation",
    "/sessions/values", "/elements/values", "/event_definitions/by_name", "POST /query/{query_id}", "/dashboards/{ref}/sharing/passwords",
    *(f"/dashboards/{{ref}}/{verb}" for verb in ("move_tile", "copy_tile", "delete_tile", "reorder_tiles", "update_text_tile")),
}  # fmt: skip
"""What takes more than a schema says: tokens and passwords in bodies of any form, groups that were captured, members of
a list, a place in a trend or funnel, the name of a field or event, ids of tiles, the kind
of a query in its address."""

TAKES_ANYTHING = {
    "/shared/{token}", "/shared_dashboard/{token}", "/embedded/{token}", "/i/v1/analytics/events", "/array/{token}/config",
    "/array/{token}/config.js",
}  # fmt: skip
"""Where no request can be wrong by the document; schemathesis would find out by hundreds of tries."""


def operations(app):
    schema = schemathesis.openapi.from_wsgi("/api/schema/", app)
    for parameter in schema.raw_schema["components"]["parameters"].values():
        inside = parameter["schema"].get("contentSchema")
        if inside is not None:  # schemathesis writes JSON texts only for what is declared the other way
            del parameter["schema"]
            parameter["content"] = {"application/json": {"schema": inside}}
    return [one.ok() for one in schema.get_all_operations() if not one.ok().path.startswith(ALIAS)]


@pytest.fixture
def known(log, api):
    """One of everything; gives what leads to it, by the name of the place in a path."""
    board = api.board()
    made = api.create(name="one", query=TREND, dashboards=[board])
    sharing = f"/insights/{made['id']}/sharing/"
    token = api.patch(sharing, {"enabled": True}).json["access_token"]
    action, cohort = (
        api.post(path, {"name": "a", "is_static": True}).json["id"] for path in ("/actions/", "/cohorts/")
    )
    log.project(1).capture([{"event": "signed up", "distinct_id": "a", "properties": {"plan": "pro"}}])

    def first(path):
        return str(api.get(path).json["results"][0]["id"])

    return {
        "project_id": "1", "ref": str(made["id"]), "dashboard_id": str(board), "action_id": str(action), "password_id": "1",
        "cohort_id": str(cohort), "organization": "@current", "query_id": "run", "event_id": first("/events/"),
        "person_id": first("/persons/"), "event_definition": first("/event_definitions/"),
        "property_definition": first("/property_definitions/"), "token": "phc_one", "share": token, "sharing": sharing,
    }  # fmt: skip


def prepared(case, known):
    """Lead a request to what is there: unknown ids are refused before anything else is looked at."""
    for name in case.path_parameters or {}:
        wanted = name
        if name == "definition":
            wanted = "event_definition" if "event_definitions" in case.path else "property_definition"
        if name == "token" and not case.path.startswith("/array"):
            wanted = "share"
        case.path_parameters[name] = known.get(wanted, "1")
    return case


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.name.lower())
def test_answers_to_generated_requests_are_as_the_document_says(app, api, known, mode):
    succeeded = defaultdict(bool)
    for operation in operations(app):
        if mode is GenerationMode.NEGATIVE and operation.path in TAKES_ANYTHING:
            continue
        n_examples = 4 * EXAMPLES if operation.path.endswith("/query/") else EXAMPLES

        @seed(0)
        @settings(
            max_examples=n_examples, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(operation.as_strategy(generation_mode=mode), st.sampled_from([True, True, True, False]))
        def run(case, is_known):
            _restore(api, known, case.path)
            if is_known:
                prepared(case, known)
            elif "project_id" in (case.path_parameters or {}):
                case.path_parameters["project_id"] = "1"
            case.query = {name: value for name, value in (case.query or {}).items() if name != "personal_api_key"}
            answer = case.call(headers={"Authorization": f"Bearer {api.key}"})
            case.validate_response(answer, checks=CHECKS)
            succeeded[case.method.upper(), case.path] |= answer.status_code < 300

        with suppress(Unsatisfiable):  # nothing can be wrong about an operation that takes nothing
            run()
    if mode is GenerationMode.POSITIVE and EXAMPLES >= ENOUGH:
        failed = {one for one, once in succeeded.items() if not once and _can_succeed(*one)}
        assert failed == set()


def _restore(api, known, path):
    """Put back what an earlier request may have deleted or switched off."""
    if path.endswith("/passwords/"):
        api.patch(known["sharing"], {"enabled": True, "password_required": True})
    if "{query_id}" in path:
        api.post("/query/", {"query": TREND, "refresh": "force_async", "client_query_id": known["query_id"]})
    for kind, name in (
        ("insights", "ref"),
        ("dashboards", "dashboard_id"),
        ("actions", "action_id"),
        ("cohorts", "cohort_id"),
    ):
        if api.get(f"/{kind}/{known[name]}/", params={"basic": "true"}).status_code == 404:
            api.patch(f"/{kind}/{known[name]}/", {"deleted": False})


def _can_succeed(method, path):
    path = path.removeprefix("/api/projects/{project_id}").rstrip("/")
    is_soft = method == "DELETE" and path.split("/")[1] in {"insights", "dashboards", "actions", "cohorts"}
    return not (is_soft or path.rpartition("/")[2] in NEVER or UNTOLD & {path, f"{method} {path}"})
