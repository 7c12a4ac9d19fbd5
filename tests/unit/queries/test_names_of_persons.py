"""What persons are called where they are shown."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from insightlog.domain.queries.actors import Profile, shown

UUID = "0190a5b0-0000-7000-8000-000000000001"
MADE = "018f-4a-4b-4c-9d"


@pytest.mark.parametrize(
    ("properties", "ids", "name"),
    [
        ({"email": "", "name": "Ann"}, ["a"], "Ann"),
        ({"username": {"first": "Ann"}}, ["a"], '{"first": "Ann"}'),
        ({}, [MADE, "ann"], "ann"),
        ({}, [MADE], MADE),
        ({}, [], UUID),
    ],
)
def test_a_person_is_called_by_a_property_else_by_an_id(properties, ids, name):
    person = Profile(1, UUID, datetime(2026, 1, 1, tzinfo=UTC), properties, distinct_ids=tuple(ids))
    assert shown(person, None)["name"] == name
