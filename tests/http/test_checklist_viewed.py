"""Statements 97 to 105 of the contract's checklist: who looked at what."""

from __future__ import annotations

import pytest
from tests.http.conftest import error
from tests.http.test_insights import BASIC_KEYS


def last_viewed(api):
    answer = api.get("/insights/my_last_viewed/")
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json]


@pytest.fixture
def made(omar, clock):
    """Six insights of Omar's, which nobody else has seen."""
    made = [omar.create(name=f"n{n}")["id"] for n in range(6)]
    clock.forward(minutes=1)
    return made


@pytest.fixture
def view(clock):
    def view(api, *ids):
        for one in ids:
            clock.forward(minutes=1)
            answer = api.post(f"/insights/{one}/viewed/")
            assert (answer.status_code, answer.content) == (200, b"")

    return view


def test_097_viewed_answers_200_with_nothing(api, made, with_scopes):
    reader = with_scopes("insight:read")
    for body in (None, {}, {"anything": [1]}):
        answer = reader.post(f"/insights/{made[0]}/viewed/", body)
        assert (answer.status_code, answer.content) == (200, b"")
    assert last_viewed(api) == [made[0]]


def test_098_viewing_twice_keeps_the_later_time(api, made, view, clock):
    view(api, made[0], made[1], made[0])
    assert last_viewed(api) == [made[0], made[1]]
    now = clock.now.isoformat().replace("+00:00", "Z")
    assert api.get("/insights/my_last_viewed/").json[0]["last_viewed_at"] == now


def test_099_a_foreign_or_deleted_insight_is_not_viewed(log, api, made, other):
    foreign = other.create(name="secret")
    api.changed({"id": made[0]}, deleted=True)
    position = log.position()
    for ref in (foreign["id"], foreign["short_id"], made[0], 999):
        error(api.post(f"/insights/{ref}/viewed/"), 404, "invalid_request", "not_found", "Not found.")
    assert log.position() == position
    assert last_viewed(api) == []


def test_100_bulk_views_leave_out_what_leads_nowhere(api, made, other):
    foreign = other.create(name="secret")["id"]
    before = other.get("/insights/").json["results"][0]["last_viewed_at"]
    api.changed({"id": made[1]}, deleted=True)
    answer = api.post("/insights/viewed/", {"insight_ids": [made[0], foreign, made[1], 999]})
    assert (answer.status_code, answer.content) == (200, b"")
    assert last_viewed(api) == [made[0]]
    assert other.get("/insights/").json["results"][0]["last_viewed_at"] == before


def test_101_bulk_views_want_1_to_2500_ids(log, api, made):
    position = log.position()
    for body, code in (
        ({}, "required"), ({"insight_ids": []}, "empty"), ({"insight_ids": [made[0]] * 2501}, "max_length"),
    ):  # fmt: skip
        error(api.post("/insights/viewed/", body), 400, "validation_error", code, attr="insight_ids")
    assert log.position() == position
    assert api.post("/insights/viewed/", {"insight_ids": [made[0]] * 2500}).status_code == 200


def test_102_my_last_viewed_is_a_bare_array_of_five(api, made, view):
    view(api, *made)
    shown = api.get("/insights/my_last_viewed/").json
    assert [one["id"] for one in shown] == made[:0:-1]
    assert all(list(one) == BASIC_KEYS for one in shown)


def test_103_a_deleted_one_is_left_out_before_the_limit(api, made, view):
    view(api, *made)
    api.changed({"id": made[-1]}, deleted=True)
    assert last_viewed(api) == made[4::-1]
    api.changed({"id": made[-1]}, deleted=False)
    assert last_viewed(api) == made[:0:-1]


def test_104_another_users_views_do_not_show(api, omar, made, view):
    view(api, made[0])
    view(omar, made[1])
    assert last_viewed(api) == [made[0]]
    assert last_viewed(omar)[0] == made[1]


def test_105_viewing_an_older_one_moves_it_to_the_front(api, made, view):
    view(api, *made[:3])
    view(api, made[0])
    assert last_viewed(api) == [made[0], made[2], made[1]]
