"""Kills (-9) while eight clients capture and retry: counts, sums and persons are exact in the very next answer.

Three kills by default; `INSIGHTLOG_KILLS=50` for the long run.
"""

from __future__ import annotations

import http.client
import os
import random
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta

from .conftest import TOKEN

KILLS = int(os.environ.get("INSIGHTLOG_KILLS", "3"))
CLIENTS, BATCH = 8, 20
SEED = 20260402


class Client:
    """Sends batches, each until it is acknowledged, sometimes once more; some events merge two persons."""

    def __init__(self, server, number, is_over):
        self.server, self.number, self.is_over = server, number, is_over
        self.random = random.Random(SEED + number)
        self.acknowledged = []
        self.retries = 0

    def run(self):
        batch = []
        while not self.is_over.is_set():
            batch = self.batch(len(self.acknowledged))
            self.send(batch)
            if self.random.random() < 0.2:  # the answer got lost: all of it again, with some events of before
                self.send([*batch, *self.random.sample(self.acknowledged, min(5, len(self.acknowledged)))])
            self.acknowledged += batch

    def batch(self, first):
        now = datetime.now(UTC)
        return [self.event(first + n, now - timedelta(seconds=n)) for n in range(BATCH)]

    def event(self, n, at):
        who = f"{self.number}-{n // 7}"
        found = {
            "event": "hit", "distinct_id": who, "uuid": str(uuid.UUID(int=self.random.getrandbits(128), version=4)),
            "timestamp": at.isoformat(),
            "properties": {"a": self.random.randrange(1000), "b": round(self.random.random() * 100, 2)},
        }  # fmt: skip
        if n % 7 == 6 and self.random.random() < 0.3:
            # COMPAT: whoever was merged into another one before is no longer anonymous and stays
            found |= {"event": "$identify", "distinct_id": f"known {self.number}-{n // 70}"}
            found["properties"]["$anon_distinct_id"] = who
        return found

    def send(self, batch):
        while True:
            try:
                body = {"api_key": TOKEN, "batch": batch}
                if self.server.request("POST", "/batch/", body, key=None)[0] == 200:
                    return
            except (OSError, ValueError, http.client.HTTPException):
                pass
            self.retries += 1
            time.sleep(0.02)


def test_counts_sums_and_persons_are_exact_after_kills(server):
    is_over = threading.Event()
    clients = [Client(server, number, is_over) for number in range(CLIENTS)]
    threads = [threading.Thread(target=client.run) for client in clients]
    for thread in threads:
        thread.start()
    chance = random.Random(SEED)
    for _ in range(KILLS):
        before = sum(len(client.acknowledged) for client in clients)
        time.sleep(chance.uniform(0.3, 1.0))
        while sum(len(client.acknowledged) for client in clients) == before:
            time.sleep(0.01)
        server.kill()
        server.start()
    is_over.set()
    for thread in threads:
        thread.join(60)

    events = [event for client in clients for event in client.acknowledged]
    assert sum(client.retries for client in clients) >= KILLS
    assert len({event["uuid"] for event in events}) == len(events)
    wanted = [{"math": "total"}, {"math": "dau"}, *({"math": "sum", "math_property": name} for name in "ab")]
    series = [{"kind": "EventsNode", "event": None, **math} for math in wanted]
    query = {
        "kind": "TrendsQuery", "series": series, "dateRange": {"date_from": "-3d"},
        "trendsFilter": {"display": "ActionsTable"},
    }  # fmt: skip
    status, answer = server.request("POST", "query/", {"query": query, "refresh": "force_blocking"})
    assert status == 200, answer
    count, persons, a, b = (one["aggregated_value"] for one in answer["results"])
    assert count == len(events)
    assert a == sum(event["properties"]["a"] for event in events)
    assert abs(b - sum(event["properties"]["b"] for event in events)) < 1e-6 * b
    assert persons == len(people(events))
    server.stop()
    assert server.command("verify", "--json")["ok"]


def people(events):
    """The persons behind the events: distinct ids, of which `$identify` made some one person."""
    owner = {event["distinct_id"]: event["distinct_id"] for event in events}
    for event in events:
        anonymous = event["properties"].get("$anon_distinct_id")
        if anonymous is not None:
            owner[anonymous] = event["distinct_id"]
    return set(owner.values())
