"""What an answer hangs on: told exactly where it can be, else too wide."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from insightlog.domain.queries.concerns import Concern, concern_of, range_of
from insightlog.domain.queries.scope import ActionMeaning, ActionStep, CohortMeaning, Scope

SCOPE = Scope(
    actions={
        1: ActionMeaning(1, "bought", (ActionStep("paid"), ActionStep("ordered"))),
        2: ActionMeaning(2, "anything", (ActionStep(None),)),
        3: ActionMeaning(3, "without steps"),
        4: ActionMeaning(4, "of people", (ActionStep("paid", ({"type": "person", "key": "plan", "value": "a"},)),)),
        6: ActionMeaning(6, "of members", (ActionStep("paid", ({"type": "cohort", "key": "id", "value": 5},)),)),
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
        (trend({**VIEW, "math": ["dau"]}), Concern(names("view"), only_in_range=False, people="merges")),
        (trend({**VIEW, "math": "dau"}), Concern(names("view"), only_in_range=True, people="merges")),
        (trend({**VIEW, "math": "weekly_active"}), Concern(names("view"), only_in_range=False, people="merges")),
        (trend(compareFilter={"compare": True}), Concern(names("view"), only_in_range=False, people=None)),
        (trend({"kind": "ActionsNode", "id": 1}), Concern(names("paid", "ordered"), only_in_range=True, people=None)),
        (trend({"kind": "ActionsNode", "id": 2}), Concern(None, only_in_range=True, people=None)),
        (trend({"kind": "ActionsNode", "id": 3}), Concern(None, only_in_range=True, people=None)),
        (trend({"kind": "ActionsNode", "id": 9}), Concern(None, only_in_range=True, people=None)),
        (
            trend({"kind": "ActionsNode", "id": 4}),
            Concern(names("paid"), only_in_range=True, people="properties"),
        ),
        (
            trend({**VIEW, "math": "hogql", "math_hogql": "count() / (SELECT count() FROM events)"}),
            Concern(None, only_in_range=False, people="properties", ends_with_range=False),
        ),
        (
            trend({"kind": "ActionsNode", "id": 6}),
            Concern(None, only_in_range=False, people="properties", ends_with_range=False),
        ),
        (
            trend(properties=[{"type": "session", "key": "$session_duration", "value": 9, "operator": "gt"}]),
            Concern(None, only_in_range=False, people=None, ends_with_range=False),
        ),
        (
            trend(breakdownFilter={"breakdowns": [{"type": "session", "property": "$channel_type"}]}),
            Concern(None, only_in_range=False, people=None, ends_with_range=False),
        ),
        (
            trend({**VIEW, "math": "avg", "math_property": "$session_duration"}),
            Concern(None, only_in_range=False, people=None, ends_with_range=False),
        ),
        (
            trend(breakdownFilter={"breakdown": "person_id", "breakdown_type": "event_metadata"}),
            Concern(names("view"), only_in_range=True, people="merges"),
        ),
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
            Concern(None, only_in_range=False, people="properties", ends_with_range=False),
        ),
        ({**trend(), "kind": "FunnelsQuery"}, Concern(names("view"), only_in_range=False, people="merges")),
        ({"kind": "PathsQuery"}, Concern(None, only_in_range=False, people="properties")),
        (
            {"kind": "HogQLQuery", "query": "select 1"},
            Concern(None, only_in_range=False, people="properties", ends_with_range=False),
        ),
    ],
)
def test_what_an_answer_hangs_on(query, expected):
    assert concern_of(query, SCOPE) == expected


def test_filters_of_test_accounts_read_people_where_they_are_applied():
    filters = [{"type": "person", "key": "email", "value": "@example.com", "operator": "not_icontains"}]
    assert concern_of(trend(filterTestAccounts=True), SCOPE, filters).people == "properties"
    assert concern_of(trend(), SCOPE, filters).people is None


@pytest.mark.parametrize(
    ("query", "first", "last"),
    [
        (trend(dateRange={"date_from": "2024-03-16", "date_to": "2024-04-02"}), "03-16 00:00", "04-02 23:59"),
        (trend(dateRange={"date_from": "2024-03-16T10:00:00", "date_to": "2024-04-02"}), "03-16 00:00", "04-02 23:59"),
        (trend(dateRange={"date_from": "2024-03-16", "date_to": "2024-04-02"}, interval="month"), "03-01 00:00", "04-02 23:59"),
        (trend(dateRange={"date_from": "-3h"}, interval="hour"), "04-10 12:00", "04-10 15:59"),
        (
            trend(dateRange={"date_from": "-3d"}, interval="hour", trendsFilter={"display": "ActionsPie"}),
            "04-07 00:00", "04-10 23:59",
        ),
        (
            {
                "kind": "RetentionQuery", "dateRange": {"date_from": "2024-03-04", "date_to": "2024-04-02"},
                "retentionFilter": {"period": "Week"},
            },
            "03-04 00:00", "04-07 23:59",
        ),
    ],
)  # fmt: skip
def test_a_range_holds_every_event_that_counts(query, first, last):
    """NOTE: months count from their first day, days from their first hour, retention to the end of an interval."""
    now = datetime(2024, 4, 10, 15, 20, tzinfo=UTC)
    found = range_of(query, now=now, zone=UTC, week_start_day=1)
    assert [moment.strftime("%m-%d %H:%M") for moment in found] == [first, last]
