"""What an answer hangs on: told exactly where it can be, else too wide."""

from __future__ import annotations

import pytest

from insightlog.domain.queries.concerns import Concern, concern_of
from insightlog.domain.queries.scope import ActionMeaning, ActionStep, CohortMeaning, Scope

SCOPE = Scope(
    actions={
        1: ActionMeaning(1, "bought", (ActionStep("paid"), ActionStep("ordered"))),
        2: ActionMeaning(2, "anything", (ActionStep(None),)),
        3: ActionMeaning(3, "without steps"),
    },
    cohorts={5: CohortMeaning(5, "members")},
)
VIEW = {"kind": "EventsNode", "event": "view"}


def trend(*series, **more):
    return {"kind": "TrendsQuery", "series": list(series or [VIEW]), **more}


def names(*events):
    return frozenset(events)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (trend(), Concern(names("view"), only_in_range=True, people=None)),
        (trend(VIEW, {**VIEW, "event": "paid"}), Concern(names("view", "paid"), only_in_range=True, people=None)),
        (trend({**VIEW, "event": None}), Concern(None, only_in_range=True, people=None)),
        (trend({**VIEW, "math": "sum"}), Concern(names("view"), only_in_range=True, people=None)),
        (trend({**VIEW, "math": "dau"}), Concern(names("view"), only_in_range=True, people="merges")),
        (trend({**VIEW, "math": "weekly_active"}), Concern(names("view"), only_in_range=False, people="merges")),
        (trend(compareFilter={"compare": True}), Concern(names("view"), only_in_range=False, people=None)),
        (trend({"kind": "ActionsNode", "id": 1}), Concern(names("paid", "ordered"), only_in_range=True, people=None)),
        (trend({"kind": "ActionsNode", "id": 2}), Concern(None, only_in_range=True, people=None)),
        (trend({"kind": "ActionsNode", "id": 3}), Concern(None, only_in_range=True, people=None)),
        (trend({"kind": "ActionsNode", "id": 9}), Concern(None, only_in_range=True, people=None)),
        (
            trend(properties=[{"type": "person", "key": "plan", "value": "pro"}]),
            Concern(names("view"), only_in_range=True, people="properties"),
        ),
        (
            trend(breakdownFilter={"breakdown": "plan", "breakdown_type": "person"}),
            Concern(names("view"), only_in_range=True, people="properties"),
        ),
        (
            trend(properties=[{"type": "cohort", "key": "id", "value": 5}]),
            Concern(None, only_in_range=False, people="properties"),
        ),
        ({**trend(), "kind": "FunnelsQuery"}, Concern(names("view"), only_in_range=False, people="merges")),
        ({"kind": "PathsQuery"}, Concern(None, only_in_range=False, people="properties")),
        ({"kind": "HogQLQuery", "query": "select 1"}, Concern(None, only_in_range=False, people="properties")),
    ],
)
def test_what_an_answer_hangs_on(query, expected):
    assert concern_of(query, SCOPE) == expected


def test_filters_of_test_accounts_read_people_where_they_are_applied():
    filters = [{"type": "person", "key": "email", "value": "@example.com", "operator": "not_icontains"}]
    assert concern_of(trend(filterTestAccounts=True), SCOPE, filters).people == "properties"
    assert concern_of(trend(), SCOPE, filters).people is None
