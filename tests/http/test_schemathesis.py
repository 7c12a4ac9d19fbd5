"""Requests made out of the OpenAPI document: no 5xx, and every answer as the document says.

A few seeded examples per operation; `INSIGHTLOG_SCHEMA_EXAMPLES=500` before pytest makes it a long run.
"""

from __future__ import annotations

import os
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


def operations(app):
    schema = schemathesis.openapi.from_wsgi("/api/schema/", app)
    return [one.ok() for one in schema.get_all_operations() if not one.ok().path.startswith(ALIAS)]


def prepared(case, known):
    """Lead most requests to what is there: unknown ids are refused before anything else is looked at."""
    parameters = case.path_parameters
    if parameters and known:
        parameters |= {name: "phc_one" if name == "token" else "1" for name in parameters}
    elif "project_id" in (parameters or {}):
        parameters["project_id"] = "1"
    case.query = {name: value for name, value in (case.query or {}).items() if name != "personal_api_key"}
    return case


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.name.lower())
def test_answers_to_generated_requests_are_as_the_document_says(log, app, api, mode):
    api.create(name="one", query=TREND)
    for operation in operations(app):
        n_examples = 8 * EXAMPLES if operation.path.endswith("/query/") else EXAMPLES

        @seed(0)
        @settings(
            max_examples=n_examples, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(operation.as_strategy(generation_mode=mode), st.sampled_from([True, True, True, False]))
        def run(case, known):
            api.patch("/insights/1/", {"deleted": False})
            asked = prepared(case, known)
            answer = asked.call(headers={"Authorization": f"Bearer {api.key}"})
            asked.validate_response(answer, checks=CHECKS)

        with suppress(Unsatisfiable):  # nothing can be wrong about an operation that takes nothing
            run()
