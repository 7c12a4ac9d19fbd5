"""Rate limits: off by default; the contract's numbers when on (insights-api.md 1.9)."""

from __future__ import annotations

import pytest
from tests.http.conftest import Api, error

import insightlog
from insightlog.adapters.http import HttpOptions


@pytest.fixture
def limited(log, api):
    return Api(insightlog.adapters.http.create_app(log, HttpOptions(rate_limits=True)), api.key)


def ask(api, times, path="/insights/my_last_viewed/"):
    return [api.get(path).status_code for _ in range(times)]


def test_nothing_is_limited_by_default(api):
    assert set(ask(api, 300)) == {200}


def test_019_the_request_beyond_the_limit_of_a_minute_is_told_when_to_come_back(limited, clock):
    assert set(ask(limited, 239)) == {200}
    clock.forward(seconds=17.5)
    assert ask(limited, 1) == [200]
    answer = limited.get("/insights/")
    error(answer, 429, "throttled_error", "throttled", "Request was throttled. Expected available in 43 seconds.")
    assert answer.headers["Retry-After"] == "43"
    clock.forward(seconds=42)
    assert limited.get("/insights/").status_code == 429
    clock.forward(seconds=1)
    assert set(ask(limited, 239)) == {200}
    assert ask(limited, 1) == [429]


def test_the_limit_of_an_hour_holds_too(limited, clock):
    for _ in range(5):
        assert set(ask(limited, 240)) == {200}
        clock.forward(minutes=1)
    answer = limited.get("/insights/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, str(55 * 60))


def test_each_project_and_each_class_has_its_own_count(log, limited):
    assert set(ask(limited, 240)) == {200}
    assert ask(limited, 1) == [429]
    other = Api(limited.client.app, limited.key, project=2)
    assert ask(other, 1) == [200]
    assert ask(limited, 1, "/api/feature_flag/local_evaluation/") == [200]


def test_capture_and_open_endpoints_are_not_limited(limited):
    ask(limited, 241)
    assert limited.client.simulate_get("/api/schema/").status_code == 200
    assert limited.client.simulate_get("/s/").status_code == 200


def test_a_throttled_request_changes_nothing(log, limited):
    ask(limited, 240)
    before = log.position()
    assert limited.post("/insights/", {"name": "x"}).status_code == 429
    assert log.position() == before
