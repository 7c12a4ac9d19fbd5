"""Prepares the world of a recorded HTTP case: a log in a folder of its own, served in this process by a real socket.

Records that a case makes behind the API are made by the library, and where that would leave traces which the case does
not have (views, activity, times) these are taken out again in the tables.
"""

from __future__ import annotations

import importlib.util
import json
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from fixtures import World, instant

import insightlog
from insightlog.adapters.composition import LOG_FILE
from insightlog.adapters.http.app import create_app
from insightlog.application.execution import By
from insightlog.application.insights import INSIGHT, definition_of, random_short_id
from insightlog.application.ports import Append, StreamEvents
from insightlog.application.views.tables import micros
from insightlog.domain import dashboard_events, insight_events
from insightlog.domain.dashboard import DashboardFields, TileChange
from insightlog.domain.events import Actor
from insightlog.domain.insight import decide, stream_of
from insightlog.domain.insight_commands import CreateInsight, StandOn
from insightlog.domain.sharing import ShareState

HERE = Path(__file__).resolve().parent
_SPEC = importlib.util.spec_from_file_location("http_check", HERE / "http" / "check.py")
assert _SPEC is not None
assert _SPEC.loader is not None
check = importlib.util.module_from_spec(_SPEC)
sys.modules["http_check"] = check
_SPEC.loader.exec_module(check)

LONG_AGO = datetime.fromisoformat("1999-01-01T00:00:00Z")
READS = frozenset({"GET", "HEAD", "OPTIONS"})
_NOT_DEFINED = frozenset({"short_id", "dashboard", "is_sample"})
SYSTEM = By(Actor(), "recorded")
ACTION_FIELDS = frozenset({"name", "description", "steps", "deleted"})
COHORT_FIELDS = frozenset({"name", "description", "groups", "filters", "is_static", "deleted"})


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


class Setup(check.Setup):  # type: ignore[misc, name-defined]
    """One served log after the other, at one address."""

    clock = True

    def __init__(self) -> None:
        self._app: Callable[..., Iterable[bytes]] | None = None
        self._http = make_server("127.0.0.1", 0, self._serve, server_class=_Server, handler_class=_Quiet)
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        super().__init__(f"http://127.0.0.1:{self._http.server_port}")
        self._now = LONG_AGO
        self.log: Any = None

    def close(self) -> None:
        """Stop serving."""
        self._http.shutdown()
        self._http.server_close()

    # -- life of a case

    def begin(self, case: dict[str, Any]) -> None:
        """Open an empty log."""
        self._folder = tempfile.TemporaryDirectory(prefix="recorded-http-")
        self._now = LONG_AGO
        self.log = insightlog.open(self._folder.name, clock=lambda: self._now)
        self._app = create_app(self.log)
        self._keys: dict[str, str] = {}
        self._organizations: dict[str | None, int] = {None: 1}
        self._history: list[dict[str, Any]] = []
        self._world: World | None = None
        requests = [step["request"] for step in case["steps"] if "request" in step]
        self._writes = [(one["now"], one["method"] not in READS) for one in requests]

    def end(self) -> None:
        """Close and forget the log."""
        if self.log is not None:
            self.log.close()
            self._folder.cleanup()
            self.log = None

    def set_now(self, now: str) -> None:
        """Set the clock for the next request.

        The log's time never runs backwards; where a case turns the clock back, what was written before then gets
        the later request's time.
        """
        is_write = self._writes[0][1]
        later = [instant(at) for at, writes in self._writes[1:] if writes]
        self._writes = self._writes[1:]
        self._now = min([instant(now), *later]) if is_write else instant(now)

    # -- records

    def create_project(self, rec: dict[str, Any]) -> dict[str, Any]:
        """Make a project."""
        organization = self._organization(rec.get("organization"))
        project = self.log.create_project(
            rec["name"], token=rec["api_token"], timezone=rec.get("timezone") or "UTC", organization=organization
        )
        if rec.get("test_account_filters"):
            project.update(test_account_filters=rec["test_account_filters"])
        if rec.get("private"):
            self.log.organizations.set_project_access(project.id, "project", "none", SYSTEM)
        return {"id": project.id, "api_token": rec["api_token"]}

    def create_user(self, rec: dict[str, Any]) -> dict[str, Any]:
        """Make a user with a key for everything."""
        organization = self._organization(rec.get("organization"))
        user = self.log.create_user(
            rec["email"], first_name=rec.get("first_name") or "", organization=organization, level=rec.get("level")
        )
        if rec.get("project_level"):
            self.log.organizations.set_project_access(
                self.project(rec), "project", rec["project_level"], SYSTEM, member=user.id
            )
        self._keys[rec["name"]] = self.log.create_key(user).value
        return {"id": user.id, "uuid": user.uuid, "distinct_id": user.distinct_id}

    def create_insight(self, rec: dict[str, Any]) -> dict[str, Any]:
        """Make an insight, without the view and the activity that come with making one."""
        fields = {name: value for name, value in rec["fields"].items() if name not in _NOT_DEFINED}
        short_id = rec["fields"].get("short_id") or random_short_id()
        sample = bool(rec["fields"].get("is_sample"))
        created = decide(None, CreateInsight(short_id, definition_of(fields), sample))
        creator = self.made("user", rec["created_by"])["id"] if rec.get("created_by") else None
        with self._at(rec.get("created_at")):
            records = self.log._executor.create(
                "insights",
                lambda new_id, _: (StreamEvents(stream_of(new_id), created, 0),),
                By(Actor(creator), "recorded"),
                lambda _: self.project(rec),
            )
        made = records[0].subject_id
        self._sql("DELETE FROM activity WHERE insight_id = ?", made)
        self._sql("DELETE FROM counts WHERE name = 'activity'")
        return {"id": made, "short_id": short_id}

    def create_dashboard(self, rec: dict[str, Any]) -> dict[str, Any]:
        """Make a dashboard."""
        known = {"name", "description", "pinned", "filters", "variables", "tags", "restriction_level", "deleted"}
        fields = {name: value for name, value in rec["fields"].items() if name in known}
        creator = self.made("user", rec["created_by"])["id"] if rec.get("created_by") else None
        return {"id": self.log.project(self.project(rec)).dashboards.create(by=creator, **fields).id}

    def create_dashboard_privilege(self, rec: dict[str, Any]) -> dict[str, Any]:
        """Let a user edit a restricted dashboard."""
        dashboard, user = self.made("dashboard", rec["dashboard"])["id"], self.made("user", rec["user"])["id"]
        self.log.project(self.project(rec)).dashboards.set_collaborator(dashboard, user)
        return {"id": None}

    def create_text(self, rec: dict[str, Any]) -> dict[str, Any]:
        """Keep a text for the tile that will hold it."""
        return {"id": None, "body": rec.get("fields", {}).get("body") or rec["name"]}

    def create_tile(self, rec: dict[str, Any]) -> dict[str, Any]:
        """Put an insight on a dashboard, or a text."""
        project = self.log.project(self.project(rec))
        dashboard = self.made("dashboard", rec["dashboard"])["id"]
        if "text" in rec:
            fields = DashboardFields(tiles=(TileChange(body=self.made("text", rec["text"])["body"]),))
            return {"id": project.dashboards.service.update(dashboard, fields, SYSTEM).texts[-1].id}
        insight = self.made("insight", rec["insight"])["id"]
        row = self.log.parts.views.row("insights", insight)
        if row["deleted"] or self.log.parts.views.row("dashboards", dashboard)["deleted"]:
            return {"id": None}
        standing = project.insights.get(insight).dashboards
        self._change_dashboards(project.id, insight, (*standing, dashboard))
        tile = project.insights.get(insight).tiles[-1]
        if rec.get("fields", {}).get("deleted"):
            self._change_dashboards(project.id, insight, standing)
        return {"id": tile.id}

    def create_sharing(self, rec: dict[str, Any]) -> dict[str, Any]:
        """Share an insight or a dashboard under a given token."""
        kind = next((one for one in ("insight", "dashboard") if one in rec), None)
        if kind is None:
            return {"id": None}
        fields, shared = rec["fields"], self.made(kind, rec[kind])["id"]
        state = ShareState(
            enabled=bool(fields.get("enabled")),
            settings=None,
            password_required=False,
            rotation=0,
            token_sha256=sha256(fields["access_token"].encode()).hexdigest(),
        )
        events = insight_events.SHARING if kind == "insight" else dashboard_events.SHARING
        event = events.shared(state) if state.enabled else events.unshared(state)
        project_id = self.log.parts.views.row(f"{kind}s", shared)["project_id"]
        self.log.parts.store.append(
            Append((StreamEvents(f"{kind}:{shared}", (event,)),), Actor(), project_id, "recorded")
        )
        return {"id": None}

    def create_view(self, rec: dict[str, Any]) -> dict[str, Any]:
        """Note a view at a given time."""
        insight, user = self.made("insight", rec["insight"])["id"], self.made("user", rec["user"])["id"]
        at, project_id = micros(instant(rec["last_viewed_at"])), self.project(rec)
        self._sql("INSERT OR REPLACE INTO insight_views VALUES (?, ?, ?, ?, 0)", insight, user, project_id, at)
        self._sql("UPDATE insights SET last_viewed_at = max(coalesce(last_viewed_at, 0), ?) WHERE id = ?", at, insight)
        return {"id": None}

    def create_persons(self, recs: list[dict[str, Any]]) -> None:
        """Make persons with given uuids."""
        self._advance({"create": {"persons": recs}})

    def create_events(self, recs: list[dict[str, Any]]) -> None:
        """Capture events."""
        self._advance({"create": {"events": recs}})

    def create_action(self, rec: dict[str, Any]) -> dict[str, Any]:
        """Make an action."""
        fields = {name: value for name, value in rec["fields"].items() if name in ACTION_FIELDS}
        return {"id": self.log.project(self.project(rec)).actions.create(**fields).id}

    def create_cohort(self, rec: dict[str, Any]) -> dict[str, Any]:
        """Make a cohort."""
        fields = {name: value for name, value in rec["fields"].items() if name in COHORT_FIELDS}
        listed = map(str, rec["fields"].get("static_distinct_ids") or ())
        return {"id": self.log.project(self.project(rec)).cohorts.create(**fields, distinct_ids=listed).id}

    def calculate_cohort(self, cohort_id: int) -> None:
        """Keep the members of a cohort."""
        self.log.project(self.project({})).cohorts.calculate(cohort_id)

    def change(self, kind: str, where: dict[str, Any], values: dict[str, Any]) -> None:
        """Change records behind the API's back."""
        project = self.log.project(self.project({}))
        if kind == "dashboards":
            project.dashboards.update(where["id"], **values)
        elif kind == "tiles" and values == {"deleted": True}:
            left = tuple(one for one in project.insights.get(where["insight"]).dashboards if one != where["dashboard"])
            self._change_dashboards(project.id, where["insight"], left)
        else:
            raise check.Unsupported(f"a change of {kind}")

    def stored(self, kind: str, where: dict[str, Any], rec: dict[str, Any]) -> list[dict[str, Any]]:
        """Return what is stored."""
        if kind not in _STORED or rec.get("after"):
            raise check.Unsupported(f"stored {kind}")
        rows = _STORED[kind](self, bool(rec.get("with_deleted")))
        return [row for row in rows if all(row.get(name) == value for name, value in where.items())]

    # -- help

    def made(self, kind: str, handle: Any) -> dict[str, Any]:
        """Return the record of a handle, or of the id that stands where a request made the record."""
        return {"id": handle} if isinstance(handle, int) else super().made(kind, handle)

    def headers(self, user: str) -> dict[str, str]:
        """Return the key of a user."""
        return {"Authorization": f"Bearer {self._keys[user]}"}

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """Return rows of the views."""
        with closing(sqlite3.connect(Path(self._folder.name) / LOG_FILE)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(sql, values)]

    def _sql(self, sql: str, *values: Any) -> None:
        with closing(sqlite3.connect(Path(self._folder.name) / LOG_FILE, timeout=15)) as connection:
            connection.execute(sql, values)
            connection.commit()

    def _serve(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        assert self._app is not None
        return self._app(environ, start_response)

    def _organization(self, name: str | None) -> int:
        if name not in self._organizations:
            self._organizations[name] = self.log.organizations.create(str(name), SYSTEM).id
        return self._organizations[name]

    def _change_dashboards(self, project_id: int, insight: int, wanted: tuple[int, ...]) -> None:
        self.log._executor.change(INSIGHT, project_id, insight, lambda state, _: decide(state, StandOn(wanted)), SYSTEM)
        self._sql("DELETE FROM activity WHERE insight_id = ? AND activity = 'updated' AND user_id IS NULL", insight)

    def _advance(self, step: dict[str, Any]) -> None:
        if self._world is None:
            self._world = World(self.log.parts.product_store(), self.log.parts.capture_log)
        self._history.append(step)
        self._world.advance({"history": self._history}, None, lambda *_: None)  # type: ignore[arg-type]

    def _at(self, created_at: str | None) -> Any:
        return _Clock(self, instant(created_at) if created_at else self._now + timedelta(microseconds=1))


class _Clock:
    """Sets the clock of a setup for a while."""

    def __init__(self, setup: Setup, now: datetime) -> None:
        self._setup, self._now = setup, now

    def __enter__(self) -> None:
        self._before, self._setup._now = self._setup._now, self._now

    def __exit__(self, *_: object) -> None:
        self._setup._now = self._before


def _insights(setup: Setup, with_deleted: bool) -> list[dict[str, Any]]:
    rows = setup.rows("SELECT * FROM insights ORDER BY id")
    return [
        {
            "id": row["id"], "short_id": row["short_id"], "name": row["name"], "filters": json.loads(row["filters"]),
            "dashboards": [tile[1] for tile in json.loads(row["tiles"]) if not tile[2]],
        }
        for row in rows if with_deleted or not row["deleted"]
    ]  # fmt: skip


def _tiles(setup: Setup, with_deleted: bool) -> list[dict[str, Any]]:
    rows = setup.rows(
        "SELECT t.*, d.deleted AS gone FROM tiles t JOIN dashboards d ON d.id = t.dashboard_id ORDER BY t.id"
    )
    return [
        {"id": row["id"], "dashboard": row["dashboard_id"], "insight": row["insight_id"], "deleted": bool(row["deleted"])}
        for row in rows if with_deleted or not (row["deleted"] or row["gone"])
    ]  # fmt: skip


def _views(setup: Setup, _with_deleted: bool) -> list[dict[str, Any]]:
    rows = setup.rows("SELECT * FROM insight_views WHERE user_id > 0 ORDER BY viewed_at")
    at = datetime.fromisoformat("1970-01-01T00:00:00Z")
    return [
        {
            "insight": row["insight_id"], "user": row["user_id"], "team": row["project_id"],
            "last_viewed_at": (at + timedelta(microseconds=row["viewed_at"])).isoformat(),
        }
        for row in rows
    ]  # fmt: skip


def _dashboards(setup: Setup, with_deleted: bool) -> list[dict[str, Any]]:
    rows = setup.rows("SELECT * FROM dashboards ORDER BY id")
    return [
        {"id": row["id"], "name": row["name"], "filters": json.loads(row["filters"])}
        for row in rows
        if with_deleted or not row["deleted"]
    ]


def _events(setup: Setup, _with_deleted: bool) -> list[dict[str, Any]]:
    return [
        {
            "uuid": str(one.event.uuid), "event": one.event.event, "distinct_id": one.event.distinct_id,
            "timestamp": one.event.timestamp.isoformat(), "properties": json.loads(one.event.properties),
        }
        for one in setup.log.parts.capture_log.read(0, 100_000)
    ]  # fmt: skip


_STORED: dict[str, Callable[[Setup, bool], list[dict[str, Any]]]] = {
    "insights": _insights,
    "tiles": _tiles,
    "views": _views,
    "dashboards": _dashboards,
    "events": _events,
    "activity": lambda setup, _: setup.rows("SELECT activity FROM activity ORDER BY position"),
    "sharing": lambda setup, _: setup.rows("SELECT * FROM sharing ORDER BY created_at"),
}
