"""The OpenAPI document is true to the code, both ways: routes, methods, parameters, representations."""

from __future__ import annotations

import ast
import inspect
import re

import jsonschema_rs
import pytest
from tests.builders import TREND
from tests.http.conftest import Api
from tests.http.declarations import EVERYTHING

from insightlog.adapters.http.access import METHODS, Route
from insightlog.adapters.http.bodies import FIELDS
from insightlog.adapters.http.legacy_parameters import LEGACY_FILTERS
from insightlog.adapters.http.openapi import document
from insightlog.adapters.http.operations import declared
from insightlog.adapters.http.schemas import COMPONENTS
from insightlog.domain.queries import legacy, legacy_correlation, legacy_names

BODIES = {path: {"query": TREND} for path in ("/query", "/query/{query_id}")}
BODIES["/insights/{ref}/revert"] = {"to_version": 2}
"""Bodies without which an endpoint refuses before it reads its query string."""
EVENT = '{"token": "phc_one", "event": "x", "distinct_id": "a", "batch": [{"event": "x", "distinct_id": "a"}]}'
EXAMPLES = {
    "order": "name",
    "orderBy": "timestamp",
    "refresh": "blocking",
    "data": EVENT,
    "compression": "none",
    "token": "phc_one",
    "api_key": "phc_one",
}
"""Values of parameters that refuse a 1."""


def plain(path):
    return path.removeprefix("/api/projects/{project_id}").removeprefix("/api/environments/{project_id}")


def served(declarations):
    return [
        (path, method)
        for path, route in declarations.by_path.items()
        for method in METHODS
        if hasattr(route.resource, f"on_{method.lower()}")
    ]


def test_the_document_is_served_to_anybody_and_says_what_it_is(app):
    answer = Api(app, None).client.simulate_get("/api/schema/")
    assert answer.status_code == 200
    assert answer.json["openapi"].startswith("3.1")
    assert answer.json == Api(app, None).client.simulate_get("/api/schema").json


def test_every_route_and_method_is_in_the_document_and_nothing_else(declarations):
    shown = {
        (path if path == "/" else path.rstrip("/"), method.upper())
        for path, item in declarations.document["paths"].items()
        for method in item
        if method.upper() in METHODS
    }
    assert shown == set(served(declarations))


def test_every_operation_of_the_document_is_routed(declarations, app):
    for path, item in declarations.document["paths"].items():
        for method in item:
            if method.upper() in METHODS:
                real = re.sub(r"{\w+}", "1", path)
                answer = Api(app, None).client.simulate_request(method.upper(), real)
                assert declarations.path, f"{method} {path} has no route"
                assert answer.status_code != 405 or method == "delete", (method, path)


def test_an_undeclared_route_is_refused():
    class Resource:
        def on_get(self, req, resp): ...

    with pytest.raises(RuntimeError, match=r"GET /api/x.*@operation"):
        document([Route("/api/x", Resource(), {"GET": "insight:read"})])


def test_references_lead_somewhere_and_every_shared_schema_is_used(declarations):
    used = set(re.findall(r"#/components/schemas/(\w+)", repr(declarations.document)))
    assert used == set(COMPONENTS)


def test_generators_of_clients_can_read_every_parameter_and_body(declarations):
    """They leave out operations whose parameters are `content`, and bodies of which no JSON is declared."""
    document = declarations.document
    parameters = document["components"]["parameters"]
    assert all("schema" in one and "content" not in one for one in parameters.values())
    events = parameters["tags"]["schema"]
    assert (events["type"], events["contentMediaType"]) == ("string", "application/json")
    assert events["contentSchema"]["type"] == "array"
    bodies = [
        one["requestBody"]["content"]
        for item in document["paths"].values()
        for one in item.values()
        if isinstance(one, dict) and "requestBody" in one
    ]
    assert bodies
    assert all(next(iter(content)) == "application/json" for content in bodies)


def objects_in(value, place="#"):
    """Yield every schema of an object, with its place."""
    if isinstance(value, dict):
        if value.get("type") in ("object", ["object", "null"]):
            yield place, value
        for name, one in value.items():
            yield from objects_in(one, f"{place}/{name}")
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from objects_in(one, f"{place}/{index}")


def test_objects_say_what_is_in_them_or_that_anything_may_be(declarations):
    """Otherwise TypeScript takes an insight's query, or a dashboard's filters, for an object without fields."""
    places = [
        place
        for place, one in objects_in(declarations.document)
        if not one.keys() & {"properties", "additionalProperties"}
    ]
    assert places == []
    written = declarations.document["components"]["schemas"]["InsightInput"]["properties"]["query"]
    assert written["additionalProperties"] is True


@pytest.mark.parametrize(
    "query",
    [
        {"kind": "DataTableNode", "source": {"kind": "HogQLQuery", "query": "select 1"}, "full": True},
        {
            "kind": "DataVisualizationNode",
            "source": {"kind": "HogQLQuery", "query": "select 1"},
            "display": "BoldNumber",
        },
        {"kind": "SavedInsightNode", "shortId": ""},
    ],
)
def test_every_query_that_is_answered_is_declared(api, query):
    if "shortId" in query:
        query = {**query, "shortId": api.create(query=TREND)["short_id"]}
    assert api.post("/query/", {"query": query}).status_code == 200
    resolved = {**COMPONENTS["QueryInput"], "components": {"schemas": COMPONENTS}}
    jsonschema_rs.Draft202012Validator(resolved).validate({"query": query})


def test_operation_ids_and_parameter_names_are_unique(declarations):
    operations = [
        one for item in declarations.document["paths"].values() for name, one in item.items() if name != "parameters"
    ]
    ids = [one["operationId"] for one in operations]
    assert len(ids) == len(set(ids))
    for one in operations:
        assert one["summary"], one["operationId"]
        names = [parameter["$ref"] for parameter in one["parameters"]]
        assert len(names) == len(set(names)), one["operationId"]


def example(parameter):
    if parameter.is_json_text:
        return "[]" if parameter.schema.get("type") == "array" else "{}"
    if parameter.name in EXAMPLES:
        return EXAMPLES[parameter.name]
    return "true" if parameter.schema.get("type") == "boolean" else "1"


def test_every_declared_parameter_is_read(declarations, app, api):
    """Requests with every parameter to every operation; what is read undeclared fails any request of any test."""
    board = api.post("/dashboards/", {"name": "board"}).json["id"]
    tile = api.create(name="one", query=TREND, dashboards=[board])["dashboard_tiles"][0]["id"]
    at, other = "/dashboards/{ref}", api.board("other")
    text = api.post(f"/dashboards/{other}/create_text_tile/", {"body": "x"}).json["id"]
    bodies = BODIES | {
        "/dashboards": {"use_dashboard": board},
        f"{at}/move_tile": {"tile": {"id": tile}, "toDashboard": board},
        f"{at}/copy_tile": {"fromDashboardId": other, "tileId": text},
        f"{at}/reorder_tiles": {"tile_order": [tile]},
    }
    for path, method in served(declarations):
        query = declared(declarations.by_path[path].resource, method).query
        if not query:
            continue
        if "{query_id}" in path:
            api.post("/query/", {"query": TREND, "refresh": "force_async", "client_query_id": TREND["kind"]})
        values = dict.fromkeys(re.findall(r"{(\w+)}", path), "1") | {"token": "phc_one", "query_id": TREND["kind"]}
        for asked in (query, *((one,) for one in query)):
            api.client.simulate_request(
                method,
                path.format(**values),
                params={one.name: example(one) for one in asked},
                headers={"Authorization": f"Bearer {api.key}"},
                json=bodies.get(plain(path)),
            )
            read = declarations.reads.get((path, method), set())
            if EVERYTHING in read:
                break
        unread = {one.name for one in query} - read
        assert EVERYTHING in read or not unread, f"{method} {path} never reads {unread}"


def test_the_legacy_filters_are_those_that_the_conversion_reads():
    tree = ast.parse(inspect.getsource(legacy))
    read = set()
    for node in ast.walk(tree):
        named = None
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "get"
            and node.args
        ):
            named = (node.func.value, node.args[0])
        elif isinstance(node, ast.Subscript):
            named = (node.value, node.slice)
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In):
            named = (node.comparators[0], node.left)
        if named and isinstance(named[0], ast.Name) and named[0].id == "asked" and isinstance(named[1], ast.Constant):
            read.add(named[1].value)
    tables = (
        legacy_names.PRESENTATION, legacy_names.FUNNELS, legacy_names.RETENTION, legacy_names.PATHS, legacy_correlation._NAMES
    )  # fmt: skip
    for table in tables:
        read |= set(table)
    read |= {"returning_entity", "target_entity"}
    assert {one.name for one in LEGACY_FILTERS} == read


def test_representations_have_exactly_the_declared_fields(api):
    made = api.create(name="one")
    optional = {"color", "layouts", "result::nan", "result::inf"}
    assert set(COMPONENTS["Insight"]["properties"]) - optional == set(made)
    assert set(COMPONENTS["BasicInsight"]["properties"]) == set(api.get("/insights/1/", params={"basic": "1"}).json)


def test_the_fields_of_an_insight_body_are_those_that_are_parsed():
    assert set(COMPONENTS["InsightInput"]["properties"]) == set(FIELDS)
