"""Sequences of events over a real DuckDB file: what captures and asks them, and builders of queries."""

from __future__ import annotations

import json
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from itertools import count
from uuid import UUID

import pytest

from insightlog.adapters.storage.duckdb.store import DuckDBStore
from insightlog.adapters.storage.sqlite.capture_log import SQLiteCaptureLog
from insightlog.application.calculation import QueryContext, calculate
from insightlog.domain.product_event import ProductEvent
from insightlog.domain.queries.scope import Scope

NOW = datetime(2020, 1, 10, 13, tzinfo=UTC)
RANGE = {"date_from": "2020-01-01", "date_to": "2020-01-10"}


@pytest.fixture
def log(tmp_path):
    with closing(SQLiteCaptureLog(tmp_path / "capture.sqlite")) as opened:
        yield opened


@pytest.fixture
def open_store(tmp_path, log, request):
    """Opens the analytical file of the log, by the clock of the test's module, and closes what was opened."""
    with ExitStack() as opened:

        def open_one(log=log, **options):
            options = {"clock": lambda: request.module.NOW, "threads": 1, **options}
            return opened.enter_context(closing(DuckDBStore(tmp_path / "events.duckdb", log, **options)))

        yield open_one


@pytest.fixture
def store(open_store):
    return open_store()


@pytest.fixture(scope="module")
def shared(tmp_path_factory, request):
    """A log and a store for many examples; each takes a project of its own."""
    folder = tmp_path_factory.mktemp("shared")
    with closing(SQLiteCaptureLog(folder / "capture.sqlite")) as log:
        now = getattr(request.module, "NOW", NOW)
        store = DuckDBStore(folder / "events.duckdb", log, clock=lambda: now, threads=1)
        with closing(store):
            yield log, store, count(1)


@pytest.fixture
def asked(shared):
    """Captures histories, one list of (event, hour, properties) per person, in a project of the test's own, and asks."""
    log, store, projects = shared
    project, numbers = next(projects), count(1)

    def ask(query, histories=None, *, timezone="UTC", **definitions):
        events = [
            ProductEvent(UUID(int=next(numbers)), name, who, _moment(at), json.dumps(more[0] if more else {}))
            for who, history in (histories or {}).items()
            for name, at, *more in history
        ]
        log.append(project, events, captured_at=NOW)
        context = QueryContext(project, NOW, timezone, definitions=Scope(**definitions))
        return calculate(
            {"dateRange": RANGE, **query} if "source" not in query else query, context=context, store=store
        )

    return ask


def _moment(at):
    return datetime(2020, 1, 5, at, tzinfo=UTC) if isinstance(at, int) else datetime.fromisoformat(at + "+00:00")


def step(event, **more):
    return {"kind": "EventsNode", "event": event, **more}


def funnel(*steps, breakdown=None, **asked):
    series = [one if isinstance(one, dict) else step(one) for one in steps]
    query = {"kind": "FunnelsQuery", "series": series, "funnelsFilter": asked, "dateRange": RANGE}
    return query | ({"breakdownFilter": breakdown} if breakdown else {})


def counts(steps):
    return [one["count"] for one in steps]


def by_value(rows):
    return {steps[0]["breakdown_value"][0]: counts(steps) for steps in rows}
