"""A believable product for the demo: people sign up, look around, invite others, and pay. Same seed, same data."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from attrs import define

from ...application.library import Insightlog
from ...domain.insight import Insight
from ...domain.product_event import ProductEvent

PROJECT = "Demo product"
OWNER = "ines@example.com"
KEY_LABEL = "demo"
AGE = timedelta(days=21)
"""How long before now the project was made."""
DAYS = 90
PERSONS = 2_000
EVENTS = 200_000
CHUNK = 50_000
PLANS = ("free", "team", "business")
BROWSERS = ("Chrome", "Safari", "Firefox", "Edge", None)
BROWSER_SHARES = (55, 22, 11, 9, 3)
COUNTRIES = ("DE", "FR", "US", "GB", "BR", "IN", "JP", "NG")
COUNTRY_SHARES = (14, 11, 30, 12, 9, 13, 7, 4)
PAGES = ("/", "/pricing", "/docs", "/docs/start", "/blog", "/settings", "/projects", "/projects/new")
ACTIVITIES = ("$pageview", "project created", "report viewed", "report shared", "invite sent", "export finished")
ACTIVITY_SHARES = (62, 6, 18, 6, 4, 4)


@define
class SteppingClock:
    """A clock that is moved by hand, so that a history has dates in the past."""

    now: datetime

    def __call__(self) -> datetime:
        """Return the time it was set to."""
        return self.now


def events(now: datetime) -> Iterator[list[ProductEvent]]:
    """Give chunks of 200,000 events of 2,000 persons over the 90 days before now, in order of time."""
    dice = random.Random(7)  # noqa: S311 the same data every time is wanted
    persons = [f"user-{n:04}" for n in range(PERSONS)]
    activity = [dice.paretovariate(1.1) for _ in persons]
    signed_up = [dice.random() ** 0.7 * DAYS for _ in persons]
    traits = [
        {
            "plan": dice.choices(PLANS, (70, 22, 8))[0],
            "country": dice.choices(COUNTRIES, COUNTRY_SHARES)[0],
            "$browser": dice.choices(BROWSERS, BROWSER_SHARES)[0],
        }
        for _ in persons
    ]
    weights = [min(one, 40) * (DAYS - day) for one, day in zip(activity, signed_up, strict=True)]
    drawn: list[tuple[float, int, str]] = [(day, n, "signed up") for n, day in enumerate(signed_up)]
    for n in dice.choices(range(PERSONS), weights, k=EVENTS - PERSONS):
        day = signed_up[n] + (DAYS - signed_up[n]) * dice.random() ** 0.9
        name = dice.choices(ACTIVITIES, ACTIVITY_SHARES)[0]
        drawn.append((day, n, "subscription paid" if dice.random() < 0.012 and traits[n]["plan"] != "free" else name))
    drawn.sort()
    start = now - timedelta(days=DAYS)
    for first in range(0, len(drawn), CHUNK):
        yield [
            ProductEvent(
                uuid=UUID(int=dice.getrandbits(128), version=4),
                event=name,
                distinct_id=persons[n],
                timestamp=start + timedelta(days=day),
                properties=orjson.dumps(_properties(dice, name, traits[n])).decode(),
            )
            for day, n, name in drawn[first : first + CHUNK]
        ]


def _properties(dice: random.Random, name: str, traits: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {key: value for key, value in traits.items() if value is not None}
    if name == "$pageview":
        found["$current_url"] = f"https://app.example.com{dice.choice(PAGES)}"
    elif name == "subscription paid":
        found["amount"] = {"team": 29, "business": 99}[traits["plan"]] * dice.choice((1, 1, 1, 12))
    elif name == "report viewed":
        found["duration_s"] = round(dice.lognormvariate(3, 1), 1)
    elif name == "signed up":
        found["$set"] = {"plan": traits["plan"], "country": traits["country"]}
    return found


def _trend(*names: str | None, math: str = "total", interval: str = "day", since: str = "-30d", **more: Any) -> Any:
    return _insight("TrendsQuery", *names, math=math, interval=interval, dateRange={"date_from": since}, **more)


def _insight(kind: str, *names: str | None, math: str | None = None, **more: Any) -> Any:
    counted = {} if math is None else {"math": math}
    series = [{"kind": "EventsNode", "event": name, **counted} for name in names]
    source = {"kind": kind, **({"series": series} if series else {}), **more}
    return {"kind": "InsightVizNode", "source": source}


PAYING = {"type": "AND", "values": [{"type": "person", "key": "plan", "value": ["team", "business"]}]}
INSIGHTS: tuple[tuple[str, str, tuple[str, ...], Any], ...] = (
    ("Signups per day", "New people, every day", ("growth",), _trend("signed up")),
    ("Weekly signups", "New people, by week", ("growth",), _trend("signed up", interval="week", since="-90d")),
    ("Daily active people", "Anybody who did anything", ("engagement",), _trend(None, math="dau")),
    ("Page views by browser", "", ("web",), _trend("$pageview", breakdownFilter={"breakdown": "$browser"})),
    ("Reports: viewed and shared", "", ("engagement",), _trend("report viewed", "report shared")),
    ("Payments by plan", "", ("revenue",), _trend("subscription paid", breakdownFilter={"breakdown": "plan"})),
    ("Payments per month", "", ("revenue",), _trend("subscription paid", interval="month", since="-90d")),
    ("Invites sent", "Word of mouth", ("growth", "engagement"), _trend("invite sent")),
    ("Active people by country", "", ("web",), _trend(None, math="dau", breakdownFilter={"breakdown": "country"})),
    ("Page views today, by hour", "", ("web",), _trend("$pageview", interval="hour", since="dStart")),
    (
        "From signing up to paying",
        "Within two weeks",
        ("growth", "revenue"),
        _insight(
            "FunnelsQuery", "signed up", "project created", "subscription paid", dateRange={"date_from": "-90d"},
            funnelsFilter={"funnelWindowInterval": 14, "funnelWindowIntervalUnit": "day"},
        ),
    ),
    (
        "Who comes back, by week",
        "",
        ("engagement",),
        _insight(
            "RetentionQuery", dateRange={"date_from": "-60d"},
            retentionFilter={
                "period": "Week", "totalIntervals": 8, "retentionType": "retention_first_time",
                "targetEntity": {"id": "signed up", "type": "events"},
                "returningEntity": {"id": "$pageview", "type": "events"},
            },
        ),
    ),
    ("Ways through the app", "", ("web",), _insight("PathsQuery", pathsFilter={"includeEventTypes": ["$pageview"]})),
    ("New, returning, dormant", "", ("engagement",), _insight("LifecycleQuery", None, dateRange={"date_from": "-30d"})),
    ("Days of use in a month", "", ("engagement",), _insight("StickinessQuery", None, dateRange={"date_from": "-30d"})),
    (
        "Slowest reports",
        "Straight from SQL",
        ("web",),
        {
            "kind": "DataVisualizationNode",
            "source": {
                "kind": "HogQLQuery",
                "query": "SELECT distinct_id, max(properties.duration_s) AS slowest FROM events "
                "WHERE event = 'report viewed' GROUP BY distinct_id ORDER BY slowest DESC LIMIT 10",
            },
        },
    ),
    ("Projects created", "", (), _trend("project created", interval="week", since="-90d")),
    (
        "Page views outside the docs",
        "",
        ("web",),
        _trend(
            "$pageview",
            properties=[{"key": "$current_url", "value": "/docs", "operator": "not_icontains", "type": "event"}],
        ),
    ),
)  # fmt: skip


def people_and_insights(log: Insightlog, clock: SteppingClock, end: datetime) -> None:
    """Make a project with two people, insights of every kind, a dashboard, and a few weeks of work; ends at `end`."""
    known = {one.email: one for one in log.users()}
    ines = known.get(OWNER) or log.create_user(OWNER, first_name="Ines", level="owner")
    omar = known.get("omar@example.com") or log.create_user("omar@example.com", first_name="Omar")
    project = log.create_project(PROJECT, by=ines)
    step: Callable[[float], None] = lambda hours: setattr(clock, "now", clock.now + timedelta(hours=hours))  # noqa: E731
    made: list[Insight] = []
    for name, description, tags, query in INSIGHTS:
        fields = {"name": name, "description": description or None, "tags": tags, "query": query}
        made.append(project.insights.create(by=ines if len(made) % 3 else omar, **fields))
        step(11)
    first, weekly, active, browsers, *_rest = made
    project.insights.update(first.id, by=omar, name="Signups by day", favorited=True)
    step(30)
    project.insights.update(browsers.id, by=ines, description="Which browsers to test in")
    project.insights.share(weekly.id, by=ines)
    project.cohorts.create(by=ines, name="Paying people", filters={"properties": PAYING})
    project.actions.create(
        by=omar, name="Shared something", steps=[{"event": "report shared"}, {"event": "invite sent"}]
    )
    growth = project.dashboards.create(by=ines, name="Growth", pinned=True, filters={"date_from": "-60d"})
    for one in (first, weekly, browsers):
        project.insights.update(one.id, by=ines, dashboards=[growth.id])
    step(8)
    project.insights.update(made[-2].id, by=omar, deleted=True)
    step(26)
    project.insights.update(made[-2].id, by=ines, deleted=False, tags=["engagement"])
    project.insights.update(made[-1].id, by=ines, deleted=True)
    clock.now = max(clock.now, end - timedelta(hours=2))
    for one in (active, weekly, first):
        project.insights.view(one.id, by=omar)
        step(0.2)
