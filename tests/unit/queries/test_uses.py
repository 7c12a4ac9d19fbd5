"""Which definitions an answer hangs on: those that the query names, and what they name in turn."""

from __future__ import annotations

import pytest

from insightlog.domain.queries.scope import ActionMeaning, ActionStep, CohortMeaning, Scope
from insightlog.domain.queries.uses import used_by


def cohort(number, *leaves):
    return CohortMeaning(number, f"cohort {number}", {"type": "AND", "values": list(leaves)})


SCOPE = Scope(
    actions={
        1: ActionMeaning(1, "plain", (ActionStep("a"),)),
        2: ActionMeaning(2, "of members", (ActionStep("a", ({"key": "id", "type": "cohort", "value": 13},)),)),
    },
    cohorts={
        11: cohort(11, {"key": "plan", "type": "person", "value": "pro"}),
        12: cohort(12, {"key": "id", "type": "cohort", "value": 11}),
        13: cohort(13, {"type": "behavioral", "event_type": "actions", "key": 1, "value": "performed_event"}),
        14: cohort(14, {"key": "id", "type": "cohort", "value": 14}),
    },
    property_types={("event", "amount"): "Numeric", ("person", "age"): "Numeric", ("event", "plan"): "String"},
)


def ids(query, **options):
    return [getattr(one, "id", one) for one in used_by(query, SCOPE, **options)]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"kind": "EventsNode", "event": "a", "limit": 1}, []),
        ({"kind": "ActionsNode", "id": 1}, [1]),
        ({"kind": "ActionsNode", "id": 99}, []),
        ({"kind": "ActionsNode", "id": 2}, [1, 2, 13]),
        ({"type": "actions", "id": "1"}, [1]),
        ({"type": "cohort", "key": "id", "value": 12}, [11, 12]),
        ({"type": "cohort", "key": "id", "value": ["11", 13]}, [1, 11, 13]),
        ({"type": "cohort", "key": "id", "value": 14}, [14]),
        ({"breakdown_type": "cohort", "breakdown": ["all", 11]}, [11]),
        ({"breakdowns": [{"type": "cohort", "property": 11}]}, [11]),
        ({"type": "hogql", "key": "person_id IN COHORT 11"}, [1, 2, 11, 12, 13, 14]),
        ({"type": "event", "key": "amount", "value": 3}, [("event", "amount", "Numeric")]),
        ({"type": "event", "key": "plan", "value": "11"}, []),
        ({"math_hogql": "sum(properties.x)"}, [("person", "age", "Numeric"), ("event", "amount", "Numeric")]),
    ],
)
def test_what_a_part_of_a_query_uses(part, expected):
    assert ids({"kind": "TrendsQuery", "series": [part]}) == expected


def test_filters_of_test_accounts_count_where_they_are_applied():
    filters = ({"key": "id", "type": "cohort", "value": 11},)
    assert ids({"kind": "TrendsQuery", "filterTestAccounts": True}, test_account_filters=filters) == [filters, 11]
    assert ids({"kind": "TrendsQuery", "filterTestAccounts": False}, test_account_filters=filters) == []


def test_parts_that_fit_no_query_are_no_crash():
    odd = {"type": ["cohort"], "breakdown_type": {}, "math_property_type": [[]], "key": {}, "value": [[1], None, "x"]}
    assert used_by({"series": [odd], "properties": odd}, Scope()) == ()
