"""Queries made out of the schemas of the document, every kind of node: answered, or refused naming a field.

A few seeded examples per kind; `INSIGHTLOG_QUERY_EXAMPLES=500` before pytest makes it a long run.
"""

from __future__ import annotations

import os
import re

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from insightlog.adapters.http.schemas import COMPONENTS

EXAMPLES = int(os.environ.get("INSIGHTLOG_QUERY_EXAMPLES", "15"))
KINDS = sorted(set(re.findall(r"schemas/(\w+)", repr(COMPONENTS["QueryInput"]["properties"]["query"]))))
DEEPEST = 7
WORDS = {
    "event": ["$pageview", "signed up", "never"], "key": ["plan", "n", "$browser", "id"], "breakdown": ["plan", "n"],
    "property": ["plan", "n"], "math_property": ["n", "plan"], "type": ["event", "person", "session"],
    "date_from": ["-7d", "-1mStart", "2026-03-01", "all"], "date_to": ["-1d", "2026-04-02", "dEnd"],
    "query": ["select 1", "select event, count() from events group by event", "select"], "id": ["$pageview", "signed up"],
    "operator": ["exact", "icontains", "regex", "gt", "is_set", "is_date_before"], "value": ["pro", "1", "(", "2026-04-01"],
    "select": ["event", "properties.plan", "count()", "person"], "formula": ["A", "A+B", "A/B*100", "("],
    "shortId": ["<saved>"],
    "day": ["2026-04-01", "2026-04-01T10:00:00Z", "x"], "orderBy": ["timestamp desc", "event"], "math_hogql": ["sum(properties.n)"],
}  # fmt: skip
"""Texts under these names are mostly such that the query means something."""


def values(schema, name="", depth=0):
    """Give values that fit a schema; deep down optional fields are left out."""
    if "$ref" in schema:
        return values(COMPONENTS[schema["$ref"].rpartition("/")[2]], name, depth)
    if "anyOf" in schema:
        options = schema["anyOf"]
        if depth > DEEPEST:
            options = [one for one in options if one.get("type") != "object" and "$ref" not in one] or options[:1]
        return st.one_of([values(one, name, depth) for one in options])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kind = schema.get("type")
    if isinstance(kind, list):
        return st.one_of([values({**schema, "type": one}, name, depth) for one in kind])
    if kind == "object":
        return objects(schema, depth)
    if kind == "array":
        return st.lists(values(schema["items"], name, depth + 1), max_size=3)
    return scalars(kind, name)


def objects(schema, depth):
    fields = schema.get("properties")
    if fields is None:
        return st.dictionaries(st.sampled_from(["a", "kind", "key"]), scalars(None, "value"), max_size=2)
    required = set(schema.get("required", ()))
    if depth > DEEPEST:
        fields = {name: one for name, one in fields.items() if name in required}
    made = {name: st.deferred(lambda one=one, name=name: values(one, name, depth + 1)) for name, one in fields.items()}
    optional = sorted(set(fields) - required)
    chosen = st.lists(st.sampled_from(optional), max_size=4, unique=True) if optional else st.just([])
    return chosen.flatmap(
        lambda some: st.fixed_dictionaries({name: made[name] for name in [*sorted(required & set(made)), *some]})
    )


def scalars(kind, name):
    words = WORDS.get(name, ["a", "plan", "day", "$pageview"])
    text = st.sampled_from(words) | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
    found = {
        "string": st.sampled_from(words) | text,
        "integer": st.integers(0, 5) | st.integers(-(2**40), 2**40),
        "number": st.sampled_from([0.5, 1.0, 0, 1]) | st.floats(allow_nan=False, allow_infinity=False),
        "boolean": st.booleans(),
        "null": st.none(),
    }
    return found[kind] if kind else st.one_of([st.sampled_from(words), *found.values(), st.lists(text, max_size=2)])


@pytest.fixture
def filled(log, api):
    """Events of three people over some days."""
    log.project(1).capture(
        [
            {"event": name, "distinct_id": who, "timestamp": f"2026-04-0{day}T0{hour}:00:00Z",
             "properties": {"plan": plan, "n": hour, "$browser": "Chrome", "$session_id": f"s{who}{day}"}}
            for day in (1, 2) for hour, name in enumerate(("$pageview", "signed up", "$pageview"))
            for who, plan in (("a", "pro"), ("b", "free"), ("c", None))
        ]
    )  # fmt: skip
    return api


def test_every_kind_that_a_query_may_be_is_generated():
    assert {"TrendsQuery", "FunnelsQuery", "ActorsQuery", "HogQLQuery", "InsightVizNode"} <= set(KINDS)
    assert len(KINDS) >= 12


@pytest.mark.parametrize("kind", KINDS)
def test_a_query_is_answered_or_refused_naming_a_field(log, filled, kind):
    saved = filled.create(query={"kind": "HogQLQuery", "query": "select 1"})["short_id"]
    before = log.position()
    statuses = []

    @seed(0)
    @settings(
        max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(values(COMPONENTS[kind]))
    def run(query):
        if query.get("shortId") == "<saved>":
            query["shortId"] = saved
        answer = filled.post("/query/", {"query": query, "refresh": "force_blocking"})
        statuses.append(answer.status_code)
        assert answer.status_code in {200, 400}, (query, answer.text)
        if answer.status_code == 400:
            assert set(answer.json) == {"type", "code", "detail", "attr"}
            assert answer.json["detail"]
            assert answer.json["attr"] is None or answer.json["attr"].startswith("query"), (query, answer.text)

    run()
    assert 200 in statuses
    assert log.position() == before
