"""`insightlog import-insights`: insights, with their history, out of another server that speaks the same API."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import click
from attrs import define, field

from ...domain.errors import InvalidInput
from .importing import Bar
from .options import data_option, explained, json_option, opened, print_json, project_option
from .remote import Refused, get_json

if TYPE_CHECKING:
    from ...application.insight_imports import ImportedInsight, PastEntry, Person

PAGE = 100
MAX_WAIT_S = 120
FIELDS = ("name", "derived_name", "description", "query", "filters", "order", "tags", "favorited", "saved", "deleted")


@define
class Source:
    """A project of another server."""

    url: str
    project: str
    key: str
    has_activity: bool = field(default=True, init=False)
    """Whether the key may read the activity log; False once it was refused."""

    @property
    def address(self) -> str:
        """The address of its insights."""
        return f"{self.url.rstrip('/')}/api/projects/{self.project}/insights"

    def insights(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield all insights, oldest first, each with how many there are in all."""
        offset, count = 0, 1
        while offset < count:
            page = self._get(f"/?{urlencode({'limit': PAGE, 'offset': offset, 'order': 'created_at'})}")
            count = page["count"]
            if not page["results"]:
                return
            for one in page["results"]:
                yield count, one
            offset += len(page["results"])

    def activity(self, insight_id: int) -> list[dict[str, Any]]:
        """Return the whole activity of an insight, newest first; nothing where the key may not read it."""
        found: list[dict[str, Any]] = []
        number = 1
        while self.has_activity:
            try:
                page = self._get(f"/{insight_id}/activity/?{urlencode({'limit': PAGE, 'page': number})}")
            except Refused as error:
                if error.status not in {403, 404}:
                    raise
                self.has_activity = error.status == 404
                return found
            found += page["results"]
            if number * PAGE >= page["total_count"] or not page["results"]:
                return found
            number += 1
        return found

    def _get(self, path: str) -> Any:
        while True:
            try:
                return get_json(f"{self.address}{path}", {"Authorization": f"Bearer {self.key}"})
            except Refused as error:
                if error.status != 429:
                    raise
                time.sleep(min(error.retry_after_s, MAX_WAIT_S))


@click.command("import-insights")
@data_option
@project_option
@click.option("--from", "url", required=True, help="The other server, as in https://eu.posthog.com.")
@click.option("--from-project", required=True, help="Its project: the id, or @current.")
@click.option(
    "--key", required=True, envvar="INSIGHTLOG_KEY", help="Personal API key there: insight:read, activity_log:read."
)
@json_option
@explained
def import_insights(data: Path, project: int, url: str, from_project: str, key: str, as_json: bool) -> None:
    """Pull insights, with their history, out of another server that speaks the same API, PostHog itself included.

    Each comes over with its short id, definition, times, users and activity. One whose short id the project has is left
    as it is, so a stopped run goes on where it was. Works beside a running server. Dashboards, shares, access rules and
    views do not come over, nor do deleted insights.
    """
    from ...application.acting import acting  # noqa: PLC0415 --help must not wait for the stores' libraries

    source = Source(url, from_project, key)
    counts = {"imported": 0, "entries": 0, "known": 0, "rejected": 0}
    with opened(data) as log:
        imports = log.insight_imports_of(log.project(project).id)
        by, bar, n = acting(None, None), Bar("insights"), 0
        try:
            for total, shown in source.insights():
                n += 1
                if imports.has(str(shown.get("short_id"))):
                    counts["known"] += 1
                else:
                    try:
                        found = imported(source, shown)
                        taken = imports.take(found, by)
                    except InvalidInput as error:
                        counts["rejected"] += 1
                        click.echo(f"\n{source.address}/{shown.get('id')}: {error.path}: {error}", err=True)
                    else:
                        counts["imported"] += taken is not None
                        counts["entries"] += len(found.past)
                bar.show(n, n / max(total, n))
        finally:
            bar.end()
    if not source.has_activity:
        click.echo("The key may not read the activity log there (activity_log:read): history begins here.", err=True)
    if as_json:
        print_json(counts)
        return
    click.echo(
        f"{counts['imported']:,} insights imported with {counts['entries']:,} entries of their history, "
        f"{counts['known']:,} known already, {counts['rejected']:,} rejected"
    )
    if counts["rejected"]:
        sys.exit(1)


def imported(source: Source, shown: Mapping[str, Any]) -> ImportedInsight:
    """Return an insight as it stands on the other server. Raises `InvalidInput` for what cannot be read."""
    from ...application.insight_imports import ImportedInsight  # noqa: PLC0415
    from ...application.insights import definition_of  # noqa: PLC0415

    fields = {name: shown[name] for name in FIELDS if name in shown}
    if fields.get("filters") is None:
        fields["filters"] = {}
    if fields.get("query") is not None and fields["filters"]:
        fields["filters"] = {}  # the filters of a query are shown only, as what it converts to
    fields["tags"] = [tag for tag in fields.get("tags") or () if isinstance(tag, str)]
    fields = {name: value for name, value in fields.items() if value is not None or name in _NULLABLE}
    created_at = _moment(shown.get("created_at"), "created_at")
    modified = shown.get("last_modified_at")
    modified_at = created_at if modified is None else _moment(modified, "last_modified_at")
    updated = shown.get("updated_at")
    return ImportedInsight(
        source=f"{source.address}/{shown.get('id')}/",
        short_id=str(shown.get("short_id") or ""),
        definition=definition_of(fields),
        created_at=created_at,
        updated_at=modified_at if updated is None else _moment(updated, "updated_at"),
        last_modified_at=modified_at,
        created_by=_person(shown.get("created_by")),
        last_modified_by=_person(shown.get("last_modified_by")),
        is_sample=shown.get("is_sample") is True,
        past=tuple(_past(one) for one in source.activity(int(shown["id"]))),
    )


_NULLABLE = frozenset({"name", "derived_name", "description", "query", "order"})


def _past(shown: Mapping[str, Any]) -> PastEntry:
    from ...application.insight_imports import PastEntry  # noqa: PLC0415

    detail = shown.get("detail") or {}
    return PastEntry(
        activity=str(shown.get("activity")),
        changes=detail.get("changes"),
        name=detail.get("name"),
        short_id=detail.get("short_id"),
        at=_moment(shown.get("created_at"), "created_at"),
        by=_person(shown.get("user")),
    )


def _person(shown: Any) -> Person | None:
    from ...application.insight_imports import Person  # noqa: PLC0415

    if not isinstance(shown, Mapping) or not shown.get("email"):
        return None  # the system, or somebody who was removed
    return Person(str(shown["email"]), str(shown.get("first_name") or ""))


def _moment(text: Any, path: str) -> datetime:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no moment.", path=path) from error
    if moment.tzinfo is None:
        raise InvalidInput(f"{text!r} has no time zone.", path=path)
    return moment
