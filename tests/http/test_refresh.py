"""Refreshing over HTTP: modes and ages, background runs and their statuses, cancelling, limits."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import UUID

import pytest
from tests.builders import TREND

import insightlog
from insightlog.application import computing
from insightlog.application.product_ports import CatchingUp
from insightlog.domain.errors import StoreUnavailable, TooManyQueries
from insightlog.domain.product_event import ProductEvent

from .conftest import Api, error

CLOSED = {**TREND, "dateRange": {"date_from": "2026-03-01", "date_to": "2026-03-10"}}


@pytest.fixture
def signups(log):
    """Captures signups at given times, or now."""

    def capture(*times, project=1):
        events = [{"event": "signed up", "distinct_id": "a", **({"timestamp": at} if at else {})} for at in times]
        log.project(project).capture(events)

    capture(None)
    return capture


class Gate:
    """Counts calculations, and holds them while it is closed."""

    def __init__(self):
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Semaphore(0)
        self.n = 0

    def wait_for_entry(self):
        assert self.entered.acquire(timeout=10)

    def __call__(self, *args, stop, **options):
        self.n += 1
        self.entered.release()
        with stop.interrupted_by(self.open.set):
            assert self.open.wait(10)
        stop.check()
        return self.calculate(*args, stop=stop, **options)


@pytest.fixture
def gate(monkeypatch):
    made = Gate()
    made.calculate = computing.calculate
    monkeypatch.setattr(computing, "calculate", made)
    yield made
    made.open.set()


@pytest.fixture
def insight(api, signups):
    return f"/insights/{api.create(name='a', query=TREND)['id']}/"


def get(api, path, refresh=None, **params):
    answer = api.get(path, params={**({"refresh": refresh} if refresh is not None else {}), **params})
    assert answer.status_code == 200, answer.text
    return answer.json


def poll(api, query_id, **params):
    """Ask for a status until it is complete; the last answer."""
    for _ in range(2_000):
        answer = api.get(f"/query/{query_id}/", params=params)
        if answer.status_code != 202:
            return answer
        threading.Event().wait(0.005)
    raise AssertionError("it never ends")


@contextmanager
def in_thread(work):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(work()))
    thread.start()
    yield answers
    thread.join(20)
    assert not thread.is_alive()


# -- the checklist ---------------------------------------------------------------------------------------------------


def test_118_blocking_returns_a_fresh_result_and_recalculates_after_six_hours(api, insight, clock):
    first = get(api, insight, "blocking")
    clock.forward(hours=6)
    again = get(api, insight, "blocking")
    assert (first["is_cached"], again["is_cached"], again["last_refresh"]) == (False, True, first["last_refresh"])
    clock.forward(seconds=1)
    later = get(api, insight, "blocking")
    assert later["is_cached"] is False
    assert later["last_refresh"] == clock.now.isoformat().replace("+00:00", "Z")


def test_119_a_range_that_ended_before_last_refresh_never_becomes_stale(api, signups, clock):
    path = f"/insights/{api.create(query=CLOSED)['id']}/"
    get(api, path, "blocking")
    clock.forward(days=6)
    for mode in ("blocking", "async", "lazy_async", "async_except_on_cache_miss"):
        shown = get(api, path, mode)
        assert (shown["is_cached"], shown["query_status"]) == (True, None), mode


def test_120_async_on_a_miss_is_polled_until_its_results_come(api, insight, gate, clock):
    gate.open.clear()
    shown = get(api, insight, "async")
    status = shown["query_status"]
    assert (shown["result"], status["complete"], status["error"], status["results"]) == (None, False, False, None)
    assert (status["team_id"], status["query_async"], status["start_time"] is None) == (1, True, False)
    assert status["insight_id"] == int(insight.split("/")[2])
    assert api.get(f"/query/{status['id']}/").status_code == 202
    gate.open.set()
    done = poll(api, status["id"])
    assert done.status_code == 200
    told = done.json["query_status"]
    assert (told["complete"], told["error"]) == (True, False)
    assert None not in (told["start_time"], told["pickup_time"], told["end_time"])
    assert told["results"]["results"][0]["count"] == 1
    assert get(api, insight)["result"] == told["results"]["results"]
    clock.forward(minutes=20)
    assert api.get(f"/query/{status['id']}/").status_code == 200
    clock.forward(seconds=1)
    gone = api.get(f"/query/{status['id']}/")
    error(gone, 404, "invalid_request", "not_found", f"Query {status['id']} not found for team 1")


def test_121_force_async_never_shows_a_cached_result(api, insight):
    get(api, insight, "blocking")
    shown = get(api, insight, "force_async")
    assert (shown["result"], shown["last_refresh"], shown["is_cached"]) == (None, None, False)
    assert shown["query_status"]["complete"] is False
    assert poll(api, shown["query_status"]["id"]).status_code == 200


def test_122_unknown_words_act_as_force_cache_and_the_bare_parameter_forces(api, insight):
    assert get(api, insight, "nonsense")["result"] is None
    for text in ("", "true", "1", "YES"):
        shown = get(api, insight, text)
        assert (shown["is_cached"], shown["result"][0]["count"]) == (False, 1), text
    bare = api.get(insight.rstrip("/") + "/", query_string="refresh").json
    assert (bare["is_cached"], bare["result"][0]["count"]) == (False, 1)
    for text in ("nonsense", "false", "0", "no", "BLOCKING"):
        assert get(api, insight, text)["is_cached"] is True, text


def test_123_lazy_async_starts_nothing_between_six_and_twelve_hours(api, insight, gate, clock):
    get(api, insight, "blocking")
    clock.forward(hours=11)
    shown = get(api, insight, "lazy_async")
    assert (shown["is_cached"], shown["query_status"], gate.n) == (True, None, 1)
    clock.forward(hours=1, seconds=1)
    shown = get(api, insight, "lazy_async")
    assert (shown["is_cached"], shown["query_status"]["complete"]) == (True, False)
    assert poll(api, shown["query_status"]["id"]).status_code == 200
    assert gate.n == 2


def test_124_renaming_a_series_keeps_the_cache_hit_and_shows_the_new_name(api, insight, gate):
    before = get(api, insight, "blocking")
    renamed = {**TREND, "series": [{**TREND["series"][0], "custom_name": "Newcomers"}]}
    api.patch(insight, {"query": {"kind": "InsightVizNode", "source": renamed}})
    after = get(api, insight, "blocking")
    assert (after["is_cached"], after["filters_hash"], gate.n) == (True, before["filters_hash"], 1)
    assert before["result"][0]["action"]["custom_name"] is None
    assert after["result"][0]["action"]["custom_name"] == "Newcomers"
    assert after["result"][0]["data"] == before["result"][0]["data"]


def test_125_client_query_id_does_not_change_the_cache_key(api, insight):
    first = get(api, insight, "blocking", client_query_id="mine", session_id="s")
    again = get(api, insight, "blocking", client_query_id="other")
    assert (again["is_cached"], again["filters_hash"]) == (True, first["filters_hash"])


def test_126_cancel_wants_an_id_and_takes_unknown_ones(api):
    for body in ({}, {"client_query_id": ""}, {"client_query_id": None}):
        answer = api.post("/insights/cancel/", body)
        error(answer, 400, "validation_error", "invalid_input", "Field is required.", "client_query_id")
    answer = api.post("/insights/cancel/", {"client_query_id": "unknown"})
    assert (answer.status_code, answer.content) == (200, b"")


def test_127_timing_is_taken(api):
    answer = api.post("/insights/timing/", {"time": 12})
    assert (answer.status_code, answer.content) == (200, b"")


def test_128_a_deleted_query_is_not_found_any_more(api, signups, gate):
    gate.open.clear()
    started = api.post("/query/", {"query": TREND, "refresh": "async", "client_query_id": "q1"})
    assert started.status_code == 202
    gate.wait_for_entry()
    assert api.delete("/query/q1/").json == {"message": "Cancelled query on clickhouse"}
    error(api.get("/query/q1/"), 404, "invalid_request", "not_found", "Query q1 not found for team 1")
    assert api.delete("/query/q1/").json == {"message": "Cancelled query on clickhouse"}


# -- modes -----------------------------------------------------------------------------------------------------------


def test_every_mode_on_a_miss(api, insight, gate):
    calculating = {"async", "lazy_async", "force_async"}
    for mode in ("force_cache", "blocking", "async", "lazy_async", "async_except_on_cache_miss", "force_blocking"):
        node = {**TREND, "interval": "week", "dateRange": {"date_from": "-5d"}, "tags": {"mode": mode}}
        node["properties"] = [{"key": mode, "operator": "is_not_set", "type": "event"}]
        path = f"/insights/{api.create(query=node)['id']}/"
        shown = get(api, path, mode)
        if mode == "force_cache":
            assert (shown["result"], shown["query_status"]) == (None, None)
        elif mode in calculating:
            assert (shown["result"], shown["query_status"]["complete"]) == (None, False), mode
            poll(api, shown["query_status"]["id"])
        else:
            assert (shown["result"][0]["count"], shown["query_status"]) == (1, None), mode


def test_stale_results_are_shown_while_they_are_calculated_again(api, insight, gate, clock):
    first = get(api, insight, "blocking")
    clock.forward(hours=13)
    gate.open.clear()
    for mode in ("async", "async_except_on_cache_miss", "lazy_async"):
        shown = get(api, insight, mode)
        assert (shown["last_refresh"], shown["is_cached"]) == (first["last_refresh"], True)
        assert shown["query_status"]["complete"] is False
    assert get(api, insight)["query_status"]["complete"] is False
    gate.open.set()
    poll(api, shown["query_status"]["id"])
    assert gate.n == 2
    fresh = get(api, insight)
    assert (fresh["last_refresh"] > first["last_refresh"], fresh["query_status"]) == (True, None)


@pytest.mark.parametrize(
    ("interval", "age", "lazy"),
    [
        ("minute", 300, 900),
        ("hour", 3600, 7200),
        ("day", 21600, 43200),
        ("week", 86400, 86400),
        ("month", 86400, 86400),
    ],
)
def test_ages_by_interval(api, signups, clock, gate, interval, age, lazy):
    path = f"/insights/{api.create(query={**TREND, 'interval': interval, 'dateRange': {'date_from': '-1d'}})['id']}/"
    first = get(api, path, "blocking")
    started = datetime.fromisoformat(first["last_refresh"])
    assert datetime.fromisoformat(first["cache_target_age"]).timestamp() == started.timestamp() + age
    assert datetime.fromisoformat(first["next_allowed_client_refresh"]).timestamp() == started.timestamp() + 60
    clock.forward(seconds=lazy)
    assert get(api, path, "lazy_async")["query_status"] is None
    clock.now = started
    clock.forward(seconds=age)
    assert get(api, path, "blocking")["is_cached"] is True
    clock.forward(seconds=1)
    assert get(api, path, "blocking")["is_cached"] is False


# -- events that come in --------------------------------------------------------------------------------------------


def test_late_events_make_exactly_the_results_out_of_date_that_they_touch(log, api, signups, clock):
    paths = {
        "open": api.create(query=TREND)["id"],
        "closed": api.create(query=CLOSED)["id"],
        "other event": api.create(query={**CLOSED, "series": [{"kind": "EventsNode", "event": "left"}]})["id"],
    }
    paths = {name: f"/insights/{number}/" for name, number in paths.items()}
    for path in paths.values():
        get(api, path, "blocking")
    clock.forward(minutes=5)

    def calculated_again():
        return {name for name, path in paths.items() if not get(api, path, "blocking")["is_cached"]}

    signups("2026-03-05T12:00:00Z", project=2)
    assert calculated_again() == set()
    signups("2026-03-05T12:00:00Z")
    assert calculated_again() == {"closed"}
    assert get(api, paths["closed"])["result"][0]["count"] == 1
    signups("2026-02-05T12:00:00Z")
    assert calculated_again() == set()
    signups("2026-04-01T12:00:00Z")
    assert calculated_again() == {"open"}
    assert get(api, paths["open"])["result"][0]["count"] == 2


def test_who_waits_sees_the_newest_events_and_who_does_not_gets_the_fresh_result(api, insight, signups, clock, gate):
    get(api, insight, "blocking")
    clock.forward(minutes=5)
    signups(None)
    for mode in ("async", "lazy_async", "async_except_on_cache_miss", "force_cache"):
        shown = get(api, insight, mode)
        assert (shown["result"][0]["count"], shown["query_status"], gate.n) == (1, None, 1), mode
    assert get(api, insight, "blocking")["result"][0]["count"] == 2


def test_who_does_not_wait_is_not_held_up_while_the_events_are_taken_over(log, api, insight, monkeypatch):
    first = get(api, insight, "blocking")
    store = log.parts.product_store()
    monkeypatch.setattr(store, "catching_up", lambda: CatchingUp(1, 10, 1.0))

    def held_up():
        raise StoreUnavailable("The product events are being taken over.")

    monkeypatch.setattr(store, "watermark", held_up)
    for mode in ("async", "lazy_async", "async_except_on_cache_miss", "force_cache"):
        shown = get(api, insight, mode)
        assert (shown["is_cached"], shown["last_refresh"]) == (True, first["last_refresh"]), mode


def test_an_import_makes_the_results_of_its_project_out_of_date(log, api, insight, clock):
    get(api, insight, "blocking")
    clock.forward(hours=1)
    event = ProductEvent(UUID(int=1), "signed up", "z", datetime(2026, 4, 1, tzinfo=UTC), "{}")
    log.parts.product_store().import_events(1, [[event]])
    shown = get(api, insight, "blocking")
    assert (shown["is_cached"], shown["result"][0]["count"]) == (False, 2)


def test_results_outlive_a_restart_and_so_does_what_makes_them_stale(tmp_path, log, api, insight, clock):
    first = get(api, insight, "blocking")
    path, key = tmp_path / "data", api.key
    log.close()
    with insightlog.open(path, clock=clock) as again:
        served = Api(insightlog.adapters.http.create_app(again), key)
        assert get(served, insight)["result"] == first["result"]
        assert get(served, insight, "blocking")["is_cached"] is True
        assert get(served, insight, "async")["query_status"] is None
        again.project(1).capture([{"event": "signed up", "distinct_id": "b"}])
    with insightlog.open(path, clock=clock) as again:
        served = Api(insightlog.adapters.http.create_app(again), key)
        assert get(served, insight, "blocking")["result"][0]["count"] == 2


def test_a_restart_forgets_what_was_under_way_and_it_can_be_asked_again(tmp_path, log, api, insight, clock, gate):
    gate.open.clear()
    asked = {"query": TREND, "async": True, "client_query_id": "mine"}
    assert api.post("/query/", asked).status_code == 202
    gate.wait_for_entry()
    log.close()
    gate.open.set()
    with insightlog.open(tmp_path / "data", clock=clock) as again:
        served = Api(insightlog.adapters.http.create_app(again), api.key)
        assert served.get("/query/mine/").status_code == 404
        assert get(served, insight)["query_status"] is None
        assert served.post("/query/", asked).status_code == 202
        assert poll(served, "mine").json["query_status"]["results"]["results"][0]["count"] == 1


@pytest.mark.parametrize("damage", ["lost", "garbage", "flipped"])
def test_a_lost_or_damaged_cache_is_made_anew(tmp_path, log, api, insight, clock, damage):
    get(api, insight, "blocking")
    path, key = tmp_path / "data", api.key
    log.close()
    file = path / "results.sqlite"
    if damage == "lost":
        file.unlink()
    elif damage == "garbage":
        file.write_bytes(b"no database at all" * 1000)
    else:
        content = bytearray(file.read_bytes())
        at = content.index(b'"count"') + 8
        content[at] ^= 1
        file.write_bytes(bytes(content))
    with insightlog.open(path, clock=clock) as again:
        served = Api(insightlog.adapters.http.create_app(again), key)
        assert get(served, insight)["result"] is None
        assert get(served, insight, "blocking")["result"][0]["count"] == 1
        assert get(served, insight)["is_cached"] is True


# -- why a result is null --------------------------------------------------------------------------------------------


def why(answer):
    """Return why the result of an answer is null, which header and field tell alike; None when it is not."""
    assert answer.headers.get("insightlog-result") == answer.json.get("result_null_reason")
    assert (answer.json["result"] is None) == ("result_null_reason" in answer.json)
    return answer.json.get("result_null_reason")


def test_every_null_result_says_why(api, insight, gate, monkeypatch):
    assert why(api.get(insight)) == "cache_miss"
    gate.open.clear()
    assert why(api.get(insight, params={"refresh": "async"})) == "calculating"
    assert why(api.get(insight)) == "calculating"
    gate.open.set()
    poll(api, api.get(insight, params={"refresh": "async"}).json["filters_hash"])
    assert why(api.get(insight)) is None
    bad = api.create(query={"kind": "InsightVizNode", "source": {"kind": "NoSuchQuery"}})["id"]
    listed = api.get("/insights/", params={"refresh": "blocking"}).headers["insightlog-result"]
    assert listed.startswith(f"{bad}=failed: Unknown kind")
    number = insight.split("/")[2]
    api.patch(insight, {"query": {**TREND, "interval": "hour"}})
    listing = api.get("/insights/")
    assert f"{number}=cache_miss" in listing.headers["insightlog-result"].split(", ")
    assert {row["result_null_reason"] for row in listing.json["results"] if row["id"] == int(number)} == {"cache_miss"}
    assert api.create(filters={"insight": "NOPE"})["result_null_reason"] == "no_query"


def test_an_unforeseen_failure_is_shown_inside_the_insight(api, insight, monkeypatch):
    def broken(*_args, **_options):
        raise ZeroDivisionError

    monkeypatch.setattr(computing, "calculate", broken)
    answer = api.get(insight, params={"refresh": "blocking", "client_query_id": "q"})
    status = answer.json["query_status"]
    assert (answer.status_code, answer.json["result"], answer.json["filters_hash"] is None) == (200, None, False)
    assert (status["error"], status["complete"], status["error_message"], status["id"]) == (True, True, None, "q")
    assert api.post("/query/", {"query": TREND}).status_code == 500
    api.post("/query/", {"query": TREND, "refresh": "force_async", "client_query_id": "bad"})
    failed = poll(api, "bad")
    assert (failed.status_code, failed.json["query_status"]["error"]) == (500, True)


def test_a_background_run_that_is_refused_tells_its_reason(api, signups, monkeypatch):
    bad = {**TREND, "dateRange": {"date_from": "-10y"}, "interval": "minute"}
    assert api.post("/query/", {"query": bad, "async": True, "client_query_id": "big"}).status_code == 202
    failed = poll(api, "big")
    status = failed.json["query_status"]
    assert (failed.status_code, status["complete"], status["error"]) == (400, True, True)
    assert "intervals" in status["error_message"]
    again = api.post("/query/", {"query": bad, "async": True, "client_query_id": "big"})
    assert (again.status_code, again.json["query_status"]["error"]) == (200, True)


# -- the query endpoint ----------------------------------------------------------------------------------------------


def test_async_queries_share_one_run_and_are_told_by_their_id(api, signups, gate):
    gate.open.clear()
    first = api.post("/query/", {"query": TREND, "refresh": "async"})
    second = api.post("/query/", {"query": TREND, "refresh": "async"})
    assert (first.status_code, second.status_code) == (202, 202)
    for name in ("id", "start_time", "complete"):
        assert first.json["query_status"][name] == second.json["query_status"][name]
    assert first.json["query_status"]["id"] == first.json["cache_key"]
    assert set(first.json) == {"cache_key", "query_status"}
    gate.open.set()
    poll(api, first.json["cache_key"])
    assert gate.n == 1
    done = api.post("/query/", {"query": TREND, "refresh": "async"})
    assert (done.status_code, done.json["is_cached"]) == (200, True)


def test_a_deprecated_async_flag_a_name_and_force_cache(api, signups):
    assert api.post("/query/", {"query": TREND, "async": True, "name": "mine"}).status_code == 202
    assert api.post("/query/", {"query": TREND, "refresh": "force_cache"}).json["results"][0]["count"] == 1
    long = api.post("/query/", {"query": TREND, "name": "x" * 129})
    error(long, 400, "validation_error", "max_length", "Ensure this field has no more than 128 characters.", "name")


def test_overrides_of_a_query(api, signups):
    signups("2026-03-10T12:00:00Z")
    asked = {"query": {"kind": "InsightVizNode", "source": TREND}, "filters_override": {"date_from": "-40d"}}
    answer = api.post("/query/", asked).json
    assert (len(answer["results"][0]["days"]), answer["results"][0]["count"]) == (41, 2)
    plain = api.post("/query/", {"query": TREND}).json
    assert plain["cache_key"] != answer["cache_key"]
    for name in ("filters_override", "variables_override"):
        bad = api.post("/query/", {"query": TREND, name: "xx"})
        error(bad, 400, "validation_error", "invalid_input", f"Invalid JSON passed in {name} parameter", name)


def test_a_saved_insight_node_asks_what_the_insight_asks(api, app, insight, signups):
    short_id = api.get(insight).json["short_id"]
    kept = get(api, insight, "blocking")
    answer = api.post("/query/", {"query": {"kind": "SavedInsightNode", "shortId": short_id}}).json
    assert (answer["results"], answer["is_cached"]) == (kept["result"], True)
    assert (answer["cache_key"], answer["calculation_trigger"]) == (kept["filters_hash"], None)
    for query in ({"shortId": "unknown"}, {"shortId": 7}, {}):
        bad = api.post("/query/", {"query": {"kind": "SavedInsightNode", **query}})
        assert (bad.status_code, bad.json["attr"]) == (400, "query__shortId"), bad.text
    other = Api(app, api.key, project=2)
    assert other.post("/query/", {"query": {"kind": "SavedInsightNode", "shortId": short_id}}).status_code == 400


def test_statuses_never_cross_projects(app, api, signups):
    assert api.post("/query/", {"query": TREND, "async": True, "client_query_id": "mine"}).status_code == 202
    other = Api(app, api.key, project=2)
    error(other.get("/query/mine/"), 404, "invalid_request", "not_found", "Query mine not found for team 2")
    assert other.delete("/query/mine/").status_code == 200
    assert poll(api, "mine").status_code == 200


def test_scopes_of_queries_and_cancelling(with_scopes):
    reader = with_scopes("insight:read")
    assert reader.post("/insights/cancel/", {"client_query_id": "x"}).status_code == 200
    for method, path in (("POST", "/query/"), ("GET", "/query/x/"), ("DELETE", "/query/x/")):
        answer = reader(method, path, {"query": TREND} if method == "POST" else None)
        detail = "API key missing required scope 'query:read'"
        error(answer, 403, "authentication_error", "permission_denied", detail)


# -- cancelling ------------------------------------------------------------------------------------------------------


def test_cancelling_ends_what_waits_and_what_runs_by_the_start_of_its_id(api, insight, gate):
    gate.open.clear()
    with in_thread(
        lambda: api.get(insight, params={"refresh": "force_blocking", "client_query_id": "tab-1"})
    ) as answers:
        gate.wait_for_entry()
        api.post("/query/", {"query": {**TREND, "interval": "week"}, "async": True, "client_query_id": "tab-2"})
        gate.wait_for_entry()
        assert api.post("/insights/cancel/", {"client_query_id": "tab-"}).status_code == 200
    status = answers[0].json["query_status"]
    assert (answers[0].status_code, answers[0].json["result"], status["error"]) == (200, None, True)
    assert (status["error_message"], status["id"]) == ("The query was cancelled.", "tab-1")
    assert answers[0].headers["insightlog-result"] == "failed: The query was cancelled."
    assert poll(api, "tab-2").json["query_status"]["error_message"] == "The query was cancelled."


def test_a_cancelled_calculation_goes_on_for_others_who_want_its_result(api, insight, gate):
    gate.open.clear()
    with in_thread(lambda: get(api, insight, "blocking", client_query_id="one")) as first:
        gate.wait_for_entry()
        with in_thread(lambda: get(api, insight, "blocking", client_query_id="two")) as second:
            assert api.post("/insights/cancel/", {"client_query_id": "one"}).status_code == 200
    assert first[0]["query_status"]["error"] is True
    assert second[0]["result"][0]["count"] == 1


def test_deleting_a_complete_query_and_only_dequeuing(api, signups, gate):
    api.post("/query/", {"query": TREND, "async": True, "client_query_id": "done"})
    poll(api, "done")
    assert api.delete("/query/done/").json == {"message": "Query already complete"}
    assert api.get("/query/done/").status_code == 404
    only = api.delete("/query/x/", params={"dequeue_only": "true"}).json
    assert only == {"message": "Only tried to dequeue, not cancelling query on clickhouse"}


# -- many at once ----------------------------------------------------------------------------------------------------


def test_fifty_clients_who_ask_at_once_cost_one_calculation(api, insight, gate):
    gate.open.clear()
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(get(api, insight, "blocking"))) for _ in range(50)]
    for thread in threads:
        thread.start()
    gate.wait_for_entry()
    gate.open.set()
    for thread in threads:
        thread.join()
    assert gate.n == 1
    assert len(answers) == 50
    assert {json.dumps(one["result"]) for one in answers} == {json.dumps(answers[0]["result"])}
    assert len({one["last_refresh"] for one in answers}) == 1


def test_whoever_saw_an_event_acknowledged_never_gets_a_result_without_it(api, insight, gate, signups):
    gate.open.clear()
    with in_thread(lambda: get(api, insight, "blocking")) as early:
        gate.wait_for_entry()
        signups(None)
        with in_thread(lambda: get(api, insight, "blocking")) as late:
            gate.open.set()
    assert early[0]["result"][0]["count"] in {1, 2}
    assert late[0]["result"][0]["count"] == 2


def test_too_many_queries_are_refused_with_the_bodies_of_the_contract(api, insight, monkeypatch):
    def refuse(*_args, **_options):
        raise TooManyQueries(1)

    monkeypatch.setattr(computing, "calculate", refuse)
    answer = api.post("/query/", {"query": TREND})
    error(answer, 429, "throttled_error", "throttled", "Request was throttled. Expected available in 1 second.")
    assert answer.headers["retry-after"] == "1"
    shown = get(api, insight, "blocking")
    assert (shown["result"], shown["query_status"]["error_message"]) == (None, "concurrency_limit_exceeded")
    assert shown["last_refresh"] == "2026-04-02T09:15:30.120000Z"
