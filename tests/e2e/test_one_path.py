"""One path through the whole house: the official SDK, the API, a restart, and the commands that look back."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta

from posthog import Posthog

from .conftest import TOKEN

N_EVENTS = 20_000
N_THREADS = 4
NAMES = ("signed up", "report viewed", "paid")
PLANS = ("free", "pro", None)


def sent_events(now):
    """Events of 700 people over six days, with a plan or without one: (name, distinct id, time, properties)."""
    for n in range(N_EVENTS):
        plan = PLANS[n * 7 % 3]
        at = now - timedelta(hours=n * 13 % 144)
        yield NAMES[n % 11 % 3], f"user-{n * 31 % 700}", at, {"n": n} | ({"plan": plan} if plan else {})


def send(events, host):
    """Send the events by the official SDK from several threads that share one client."""
    client = Posthog(TOKEN, host=host, flush_at=100, max_queue_size=N_EVENTS + 1, thread=2, gzip=True)

    def work(share):
        for name, distinct_id, at, properties in share:
            client.capture(name, distinct_id=distinct_id, timestamp=at, properties=properties)

    threads = [threading.Thread(target=work, args=(events[n::N_THREADS],)) for n in range(N_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client.shutdown()


def counts_by_day(events, name, key=lambda event: ""):
    """Count what a daily trend over seven days must show, independently of any engine: key -> [count per day]."""
    today = datetime.now(UTC).date()
    days = [today - timedelta(days=back) for back in range(7, -1, -1)]
    counted = defaultdict(Counter)
    for event in events:
        if event[0] == name:
            counted[key(event)][event[2].date()] += 1
    return {value: [per_day[day] for day in days] for value, per_day in counted.items()}


def people_by_day(events):
    today = datetime.now(UTC).date()
    found = defaultdict(set)
    for _, distinct_id, at, _ in events:
        found[at.date()].add(distinct_id)
    return [len(found[today - timedelta(days=back)]) for back in range(7, -1, -1)]


def trend(*series, **more):
    nodes = [{"kind": "EventsNode", "event": name, "math": math} for name, math in series]
    return {"kind": "InsightVizNode", "source": {"kind": "TrendsQuery", "series": nodes, **more}}


def answers(server, insights):
    """What the server answers about everything: the part that must be the same after a restart."""
    _, page = server.request("GET", "insights/?refresh=force_blocking")
    numbers = {one["id"]: [(row["label"], row["data"]) for row in one["result"]] for one in page["results"]}
    listed = [(one["id"], one["name"], one["tags"], one["last_viewed_at"]) for one in page["results"]]
    _, viewed = server.request("GET", "insights/my_last_viewed/")
    _, activity = server.request("GET", "insights/activity/?limit=100")
    _, sharing = server.request("GET", f"insights/{insights[0]['id']}/sharing/")
    return numbers, listed, [one["id"] for one in viewed], activity["results"], sharing


def test_the_whole_house(server):
    now = datetime.now(UTC).replace(microsecond=0)
    events = list(sent_events(now))
    send(events, server.url)

    bodies = [
        {"name": "Signups", "query": trend(("signed up", "total")), "tags": ["Growth"]},
        {"name": "Views by plan", "query": trend(("report viewed", "total"), breakdownFilter={"breakdown": "plan"})},
        {"name": "Active people", "query": trend((None, "dau"))},
        {
            "name": "Paid, pro only",
            "query": trend(("paid", "total"), properties=[{"key": "plan", "value": "pro", "type": "event"}]),
        },
        {"name": "Mistake", "query": trend(("paid", "total"))},
    ]
    insights = []
    for body in bodies:
        status, made = server.request("POST", "insights/", body)
        assert status == 201, made
        insights.append(made)
    signups, by_plan, active, pro, mistake = insights

    def result(insight):
        status, body = server.request("GET", f"insights/{insight['id']}/?refresh=blocking")
        assert status == 200, body
        return {row.get("breakdown_value", ""): row["data"] for row in body["result"]}

    assert sum(result(signups)[""]) == sum(event[0] == "signed up" for event in events)
    assert result(signups) == counts_by_day(events, "signed up")
    none = "$$_posthog_breakdown_null_$$"
    assert result(by_plan) == counts_by_day(events, "report viewed", lambda event: event[3].get("plan", none))
    assert result(active)[""] == people_by_day(events)
    pro_only = [event for event in events if event[3].get("plan") == "pro"]
    assert result(pro) == counts_by_day(pro_only, "paid")

    for path, body in (
        (f"insights/{signups['id']}/", {"name": "Signups per day", "description": "New people"}),
        (f"insights/{mistake['id']}/", {"deleted": True}),
        (f"insights/{pro['id']}/", {"deleted": True}),
        (f"insights/{pro['id']}/", {"deleted": False, "favorited": True}),
        (f"insights/{signups['id']}/sharing/", {"enabled": True}),
    ):
        status, answer = server.request("PATCH", path, body)
        assert status == 200, answer
    assert server.request("GET", f"insights/{mistake['id']}/")[0] == 404
    for one in (active, signups):
        assert server.request("POST", f"insights/{one['id']}/viewed/")[0] == 200

    before = answers(server, insights)
    assert [row[0] for row in before[1]] == [one["id"] for one in (signups, by_plan, active, pro)]
    assert before[2][:2] == [signups["id"], active["id"]]
    beside = server.command("history", "--json")
    server.stop()
    server.start()
    assert answers(server, insights) == before
    server.stop()

    told = server.command("history", "--json")
    assert told == beside
    assert [(one["activity"], one["item_id"], one["changes"]) for one in reversed(told)] == [
        (one["activity"], int(one["item_id"]), one["detail"]["changes"]) for one in before[3]
    ]
    state = server.command("replay")
    (project,) = state["projects"]
    assert [(one["id"], one["name"]) for one in project["insights"]] == [(row[0], row[1]) for row in before[1]]
    created = next(one for one in told if one["activity"] == "created" and one["item_id"] == mistake["id"])
    then = server.command("replay", "--as-of", f"position:{created['position'] + 1}")
    assert [one["name"] for one in then["projects"][0]["insights"]] == [body["name"] for body in bodies]
    report = server.command("verify", "--json")
    assert report["ok"], report
    assert any(f"{N_EVENTS} captured events" in line for line in report["checked"])
