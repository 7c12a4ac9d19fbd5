"""Steps of actions as conditions."""

from __future__ import annotations

import pytest

from insightlog.domain.errors import InvalidQuery
from insightlog.domain.queries.actions import action_condition
from insightlog.domain.queries.plan import AllOf, ElementTest
from insightlog.domain.queries.scope import ActionMeaning, ActionStep, Scope


def meaning(*steps):
    return action_condition(ActionMeaning(1, "clicked", steps), Scope(), path="steps")


@pytest.mark.parametrize(("event", "looks"), [("$autocapture", True), (None, True), ("$pageview", False)])
def test_elements_are_looked_at_where_they_are_captured(event, looks):
    _, matches = meaning(ActionStep(event, tag_name="a"))
    assert isinstance(matches, ElementTest) is looks


def test_a_selector_that_cannot_be_read_is_named():
    with pytest.raises(InvalidQuery) as refused:
        meaning(ActionStep("$autocapture"), ActionStep("$autocapture", selector="a > > b"))
    assert refused.value.path == "steps[1].selector"


def test_what_a_feature_flag_must_evaluate_to_narrows_no_events():
    flag = {"type": "flag", "key": "7", "operator": "exact", "value": True}
    _, matches = meaning(ActionStep("left", properties=(flag,)))
    assert matches == AllOf()
