"""`as_of`: what endpoints answer about a moment is what they answered at that moment (history.md 2)."""

from __future__ import annotations

import json
import random
from datetime import timedelta

import pytest
from tests.builders import TREND
from tests.http.conftest import error

LOOKS = (
    ("/insights/", {"basic": "true"}),
    ("/insights/", {"limit": "3", "order": "-last_modified_at"}),
    ("/insights/", {"search": "a", "basic": "1"}),
    ("/insights/", {"tags": '["x"]', "basic": "1", "date_from": "-2h"}),
    ("/insights/", {"saved": "false", "order": "-last_viewed_at", "basic": "1"}),
    ("/insights/activity/", {"limit": "100"}),
    ("/insights/my_last_viewed/", {}),
    ("/dashboards/", {}),
)


def looked_at(api, more=None):
    """Return every look, without the addresses of other pages: these hold the moment too."""
    found = []
    for path, params in (*LOOKS, ("/insights/1/", {}), ("/insights/1/sharing/", {}), ("/dashboards/1/", {})):
        answer = api.get(path, params={**params, **(more or {})})
        body = answer.json
        if isinstance(body, dict):
            body.pop("next", None)
            body.pop("previous", None)
        found.append((path, params, answer.status_code, body))
    return found


def step(api, chance):
    """Do something to the insights or the dashboard."""
    ref = f"/insights/{chance.randint(1, 5)}/"
    fields = [
        {"name": chance.choice(["a", "ab", "b", None])},
        {"tags": chance.choice([[], ["x"], ["x", "y"]])},
        {"favorited": chance.random() < 0.5, "description": chance.choice(["", "a text"])},
        {"query": {**TREND, "interval": chance.choice(["day", "week"])}},
        {"deleted": True},
        {"deleted": False},
        {"dashboards": chance.choice([[], [1]]), "saved": False},
        {"order": chance.choice([None, 1, 2])},
    ]
    chance.choice(
        [
            lambda: api.post("/insights/", {"name": chance.choice(["a", None]), "tags": ["x"]}),
            lambda: api.post(f"{ref}viewed/"),
            lambda: api.patch(f"{ref}sharing/", {"enabled": chance.random() < 0.5}),
            lambda: api.patch("/dashboards/1/", {"name": chance.choice(["p", "q"]), "deleted": chance.random() < 0.3}),
            *[lambda: api.patch(ref, chance.choice(fields))] * 6,
        ]
    )()


@pytest.mark.parametrize("seed", range(2))
def test_what_is_answered_about_a_moment_is_what_was_answered_then(api, clock, log, seed):
    chance = random.Random(seed)
    api.board()
    api.create(name="a", query=TREND)
    api.patch("/insights/1/sharing/", {"enabled": True})
    moments = []
    for _ in range(15):
        clock.forward(minutes=chance.choice([1, 20]))
        step(api, chance)
        moments.append((clock.now.isoformat(), log.position(), looked_at(api)))
    clock.forward(days=1)
    for at, position, looks in chance.sample(moments, 5):
        assert looked_at(api, {"as_of": at}) == looks
        assert looked_at(api, {"as_of": f"position:{position}"}) == looks


def test_every_answer_names_its_position(api, log):
    made = api.create(name="a")
    assert api.get("/insights/").headers["Insightlog-Position"] == str(log.position())
    before = log.position()
    answer = api.patch(f"/insights/{made['id']}/", {"name": "b"})
    assert answer.headers["Insightlog-Position"] == str(log.position()) == str(before + 1)
    past = api.get(f"/insights/{made['id']}/", params={"as_of": f"position:{before}"})
    assert (past.headers["Insightlog-Position"], past.json["name"]) == (str(before), "a")


def test_relative_dates_of_a_list_count_from_the_moment(api, clock):
    made = api.create(name="a")
    clock.forward(hours=1)
    then = clock.now.isoformat()
    clock.forward(days=3)
    assert api.listed(date_from="-2h") == []
    assert api.listed(date_from="-2h", as_of=then) == [made["id"]]


def test_a_result_is_calculated_by_the_definition_of_then(api, clock, log):
    made = api.create(name="a", query=TREND)
    moment = clock.now
    clock.forward(days=1)
    api.changed(made, query={**TREND, "interval": "week"})
    log.project(1).capture([{"event": "signed up", "distinct_id": "u", "timestamp": moment}])
    for mode in ("blocking", "async", "force_async"):
        shown = api.get(f"/insights/{made['id']}/", params={"as_of": moment.isoformat(), "refresh": mode}).json
        assert (shown["result"][0]["days"][-1], shown["result"][0]["data"][-1]) == (moment.date().isoformat(), 1.0)
    assert api.get(f"/insights/{made['id']}/", params={"as_of": moment.isoformat()}).json["result"] is None


def test_queries_trends_and_funnels_are_asked_as_of_a_moment(api, clock, log):
    moment = clock.now
    action = log.project(1).actions.create(name="bought", steps=[{"event": "signed up"}])
    clock.forward(days=3)
    then, now = moment.isoformat(), clock.now
    log.project(1).actions.update(action.id, steps=[{"event": "never"}])
    log.project(1).capture({"event": "signed up", "distinct_id": "u", "timestamp": at} for at in (moment, moment, now))
    entity = {"id": action.id, "type": "actions", "order": 0}
    query = {"kind": "TrendsQuery", "series": [{"kind": "ActionsNode", "id": action.id}]}
    for refresh in (None, "async"):
        body = {"query": query, "refresh": refresh} if refresh else {"query": query}
        (series,) = api.post("/query/", body, params={"as_of": then}).json["results"]
        assert (series["days"][-1], series["data"][-1], series["count"]) == (moment.date().isoformat(), 2.0, 2.0)
    asked = {"actions": json.dumps([entity]), "as_of": then}
    (series,) = api.get("/insights/trend/", params=asked).json["result"]
    assert (series["days"][-1], series["count"]) == (moment.date().isoformat(), 2.0)
    asked["actions"] = json.dumps([entity, {**entity, "order": 1}])
    assert [step["count"] for step in api.get("/insights/funnel/", params=asked).json["result"]] == [1, 1]
    assert api.post("/query/", {"query": query}).json["results"][0]["count"] == 0
    assert api.post("/query/", {"query": query}, params={"as_of": "soon"}).status_code == 400


def test_what_was_known_at_a_moment_is_asked_for_too(api, clock, log):
    made, first = api.create(query=TREND), clock.now.isoformat()
    clock.forward(days=2)
    log.project(1).capture([{"event": "signed up", "distinct_id": "u", "timestamp": clock.now - timedelta(days=3)}])
    for path in (f"/insights/{made['id']}/", "/insights/trend/"):
        asked = {"refresh": "true", "events": json.dumps([{"id": "signed up"}])}
        counts = [
            api.get(path, params=asked | more).json["result"][0]["count"]
            for more in ({}, {"known_at": first}, {"as_of": first}, {"as_of": first, "known_at": first})
        ]
        assert counts == [1.0, 0.0, 1.0, 0.0]
    answer = api.get("/insights/", params={"known_at": "soon"})
    error(answer, 400, "validation_error", "invalid_input", attr="known_at")


def test_moments_that_are_none_and_the_future_are_refused(api):
    for moment in ("soon", "2026-04-02", "position:x", "2999-01-01T00:00:00Z", "position:999999"):
        answer = api.get("/insights/", params={"as_of": moment})
        error(answer, 400, "validation_error", "invalid_input", attr="as_of")


def test_what_was_not_there_yet_is_not_found(api, clock, log):
    before = log.position()
    clock.forward(minutes=1)
    made = api.create(name="a")
    assert api.listed(as_of=f"position:{before}") == []
    for path in ("/", "/activity/"):
        answer = api.get(f"/insights/{made['id']}{path}", params={"as_of": f"position:{before}"})
        error(answer, 404, "invalid_request", "not_found", "Not found.")
    error(api.get("/insights/", params={"as_of": "position:0"}), 404, "invalid_request", "not_found")


def test_a_plus_sign_that_nobody_escaped_is_understood(api, clock):
    api.create(name="a")
    answer = api.get(f"/insights/?as_of={clock.now.isoformat()}")
    assert answer.json["count"] == 1


def test_who_may_not_see_everything_today_does_not_see_the_past(api, somebody, log):
    made, reader = api.create(name="secret"), somebody()
    before = log.position()
    assert reader.listed(as_of=f"position:{before}") == [made["id"]]
    api.put(f"/insights/{made['id']}/access_controls/", {"access_level": "none"})
    answer = reader.get("/insights/", params={"as_of": f"position:{before}"})
    error(answer, 403, "authentication_error", "permission_denied")


def test_looking_back_writes_nothing(api, clock, log):
    api.create(name="a", query=TREND)
    clock.forward(hours=1)
    before = log.position()
    looked_at(api, {"as_of": f"position:{before}", "refresh": "blocking"})
    assert log.position() == before
    assert api.get("/insights/1/").json["result"] is None
