"""What became of insights over HTTP: versions, comparison, revert, undo (history.md 3 and 4)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import falcon

from ...application.ids import row_id
from ...application.insight_history import UndoReport, Wrong
from ...application.json_values import iso
from ...application.library import Insightlog, Project
from ...domain.errors import InvalidInput, NotFound, Outdated
from ...domain.events import Actor
from ...domain.insight import Insight
from ...domain.insight_changes import FieldChange, VersionChange
from . import rendering
from .bodies import boolean, integer, json_body
from .operations import Parameter, operation
from .parameters import CALCULATION, PAGE, page_window
from .presenting import Presenter
from .schemas import ANY, BOOLEAN, INTEGER, TEXT, accepted, array, nullable, page_of, ref, shape

DEFAULT_PAGE, MAX_PAGE = 100, 1000
ACTOR = shape({"user": nullable(INTEGER), "key": nullable(INTEGER)})
CHANGES = array(shape({"field": TEXT, "before": ANY, "after": ANY}))
VERSION = shape(
    {
        "version": INTEGER, "position": INTEGER, "at": TEXT, "by": ACTOR, "request": TEXT, "type": TEXT,
        "changes": CHANGES,
    }
)  # fmt: skip
COMPARED = (
    Parameter("from", INTEGER, "The version to begin with."),
    Parameter("to", INTEGER, "The version to end with, the current one by default."),
)
UNDO = accepted(
    {
        "by_user": nullable(INTEGER), "by_key": nullable(INTEGER), "request": nullable(TEXT), "from": nullable(TEXT),
        "to": nullable(TEXT), "insights": array(INTEGER), "dry_run": BOOLEAN,
    }
)  # fmt: skip
UNDONE = shape(
    {
        "undone": array(shape({"insight": INTEGER, "fields": array(TEXT)})),
        "conflicts": array(
            shape({"insight": INTEGER, "field": nullable(TEXT), "by": nullable(ACTOR), "at": nullable(TEXT)})
        ),
        "request": nullable(TEXT),
    }
)


class InsightVersions:
    """`/insights/:id/history/`."""

    def __init__(self, site_url: str | None) -> None:
        self._site_url = site_url

    @operation(answer=page_of(VERSION), query=PAGE)
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Return what each version changed, newest first; of a deleted insight too."""
        limit, offset = page_window(req, DEFAULT_PAGE, MAX_PAGE)
        page = project.insights.past.versions(ref, limit=limit, offset=offset)
        results = [_version(one) for one in page]
        rendering.write_json(resp, rendering.envelope(req, self._site_url, page.count, limit, offset, results))


class InsightVersion:
    """`/insights/:id/history/:version/`."""

    def __init__(self, log: Insightlog, present: Presenter) -> None:
        self._log = log
        self._present = present

    @operation(answer=ref("Insight"), query=CALCULATION)
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str, version: str) -> None:
        """Return the full representation after a version, with the dashboards of then that are there today."""
        number = row_id(version)
        if not number:
            raise NotFound("Version", version)
        found = project.insights.version(ref, number)
        shown = self._present.full(req, project, found)
        tiles = [tile for tile in found.tiles if tile.is_live and self._is_there(tile.dashboard_id)]
        shown["dashboards"] = [tile.dashboard_id for tile in tiles]
        shown["dashboard_tiles"] = [
            {"id": tile.id, "dashboard_id": tile.dashboard_id, "deleted": tile.deleted} for tile in tiles
        ]
        write_tagged(resp, found, shown)

    def _is_there(self, dashboard_id: int) -> bool:
        row = self._log.parts.views.row("dashboards", dashboard_id)
        return row is not None and not row["deleted"]


class InsightComparison:
    """`/insights/:id/compare/`."""

    @operation(answer=shape({"changes": CHANGES}), query=COMPARED)
    def on_get(self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Return the fields that differ between two versions."""
        one, other = (req.get_param(name) for name in ("from", "to"))
        if not one:
            raise InvalidInput("This field is required.", path="from", code="required")
        numbers = [None if text is None else _number(text, name) for text, name in ((one, "from"), (other, "to"))]
        changes = project.insights.compare(ref, numbers[0] or 0, numbers[1])
        rendering.write_json(resp, {"changes": _changes(changes)})


class InsightRevert:
    """`/insights/:id/revert/`."""

    def __init__(self, present: Presenter) -> None:
        self._present = present

    @operation(
        answer=ref("Insight"), body=accepted({"to_version": nullable(INTEGER), "as_of": nullable(TEXT)}),
        query=CALCULATION,
    )  # fmt: skip
    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project, ref: str) -> None:
        """Bring the definition back to what it was after a version, or at a moment; that can be reverted too."""
        body = json_body(req)
        version, moment = body.get("to_version"), _text(body, "as_of")
        after = project.insights.past.revert(
            ref,
            req.context.by,
            to_version=None if version is None else integer(version, "to_version"),
            as_of=moment,
            meant_for=meant_for(req, project, ref),
        )
        write_tagged(resp, after, self._present.full(req, project, after, was_written=True))


class InsightsUndo:
    """`/insights/undo/`."""

    @operation(answer=UNDONE, body=UNDO)
    def on_post(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        """Undo, newest first, the changes that match; with `dry_run`, the default, only tell what would be done."""
        body = json_body(req)
        is_dry = boolean(body.get("dry_run", True), "dry_run")
        wrong = Wrong(
            by_user=_integer(body, "by_user"),
            by_key=_integer(body, "by_key"),
            request=_text(body, "request"),
            since=_text(body, "from"),
            until=_text(body, "to"),
            insights=_ids(body),
        )
        report = project.insights.past.undo(wrong, req.context.by, is_dry=is_dry)
        rendering.write_json(resp, _report(report))


def meant_for(req: falcon.Request, project: Project, ref: str) -> frozenset[int] | None:
    """Return the versions that a change is meant for: those of If-Match; None for whatever there is.

    Raises `Outdated` when the header names none that an insight could have.
    """
    header = req.get_header("If-Match")
    if header is None or header.strip() == "*":
        return None
    versions = frozenset(map(int, re.findall(r'"([0-9]{1,18})"', header)))
    if not versions:
        raise Outdated(project.insights.past.service.known(ref).version)
    return versions


def write_tagged(resp: falcon.Response, insight: Insight, shown: dict[str, Any]) -> None:
    """Put a representation into a response, with the version as its ETag."""
    resp.set_header("ETag", f'"{insight.version}"')
    rendering.write_json(resp, shown)


def _version(one: VersionChange) -> dict[str, Any]:
    record = one.record
    return {
        "version": record.version,
        "position": record.position,
        "at": iso(record.at),
        "by": actor(record.by),
        "request": record.request,
        "type": record.event.type,
        "changes": _changes(one.changes),
    }


def actor(by: Actor) -> dict[str, int | None]:
    """Return who did something, as the log has it: both null for the system."""
    return {"user": by.user_id, "key": by.key_id}


def _changes(changes: Iterable[FieldChange]) -> list[dict[str, Any]]:
    return [{"field": one.field, "before": one.before, "after": one.after} for one in changes]


def _report(report: UndoReport) -> dict[str, Any]:
    return {
        "undone": [{"insight": one.insight_id, "fields": list(one.fields)} for one in report.undone],
        "conflicts": [
            {
                "insight": one.insight_id,
                "field": one.field,
                "by": None if one.by is None else actor(one.by),
                "at": iso(one.at),
            }
            for one in report.conflicts
        ],
        "request": report.request,
    }


def _number(text: str, name: str) -> int:
    number = integer(text, name)
    if number < 1:
        raise InvalidInput("Ensure this value is greater than or equal to 1.", path=name, code="min_value")
    return number


def _integer(body: dict[str, Any], name: str) -> int | None:
    return None if body.get(name) is None else integer(body[name], name)


def _text(body: dict[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidInput("Not a valid string.", path=name)
    return value


def _ids(body: dict[str, Any]) -> tuple[int, ...]:
    given = body.get("insights")
    if given is not None and not isinstance(given, list):
        raise InvalidInput(
            f'Expected a list of items but got type "{type(given).__name__}".', path="insights", code="not_a_list"
        )
    return tuple(integer(one, "insights") for one in given or ())
