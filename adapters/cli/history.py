"""The history: what happened, replaying it, rebuilding and verifying the views."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import orjson

from ...application.json_values import iso
from ...domain.errors import NotFound
from .options import as_of_option, data_option, existing_data_option, explained, json_option, opened, print_json

if TYPE_CHECKING:
    from ...application.library import Insightlog, Project
    from ...application.model import Page

PAGE = 1000
T = TypeVar("T")


@click.command(short_help="Print who changed what, and when.")
@existing_data_option
@click.option("--project", type=int, help="Only of this project.")
@click.option("--insight", type=int, help="Only of this insight.")
@as_of_option
@json_option
@explained
def history(data: Path, project: int | None, insight: int | None, as_of: str | None, as_json: bool) -> None:
    """Print the activity history, oldest first: who changed what, and when."""
    with opened(data) as log:
        then = log if as_of is None else log.as_of(as_of)
        ids = [project] if project is not None else [one.id for one in then.projects()]
        entries = sorted(
            (entry for one in ids for entry in _entries(then.project(one), insight)), key=lambda one: one["position"]
        )
    if insight is not None and not entries:
        raise NotFound("Insight", insight)
    if as_json:
        print_json(entries)
        return
    for entry in entries:
        click.echo(
            f"{entry['created_at']}  {entry['user'] or 'system':24}  {entry['activity']:16}  "
            f"insight {entry['item_id']} {entry['name'] or ''}"
        )
        for change in entry["changes"] or ():
            click.echo(f"    {change['field']}: {_short(change['before'])} -> {_short(change['after'])}")


def _entries(project: Project, insight: int | None) -> Iterator[dict[str, Any]]:
    number = 1
    while True:
        page = project.activity(insight, limit=PAGE, page=number)
        for entry in page:
            yield {
                "position": entry.position,
                "created_at": iso(entry.at),
                "project_id": project.id,
                "user": entry.email,
                "activity": entry.activity,
                "item_id": entry.insight_id,
                "name": entry.name,
                "short_id": entry.short_id,
                "changes": entry.changes,
            }
        if number * PAGE >= page.count:
            return
        number += 1


@click.command(short_help="Print or export the log, or fill a folder with it.")
@data_option
@as_of_option
@click.option(
    "--to",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Export the records as JSON lines ('-': print them).",
)
@click.option(
    "--from",
    "source",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="Fill a new folder with exported records ('-': read them).",
)
@explained
def replay(data: Path, as_of: str | None, to: Path | None, source: Path | None) -> None:
    """Replay the log: print the state at a moment, export the events, or fill a new folder with exported ones."""
    if source is not None:
        if to is not None or as_of is not None:
            raise click.UsageError("--from stands alone.")
        _import(source, data)
        return
    if not data.is_dir():
        raise click.BadParameter(f"Directory '{data}' does not exist.", param_hint="'--data'")
    with opened(data) as log:
        if to is None:
            print_json(_state(log if as_of is None else log.as_of(as_of)))
            return
        n = _export(log, as_of, to)
    click.echo(f"Exported {n} records to {to}.", err=True)


def _state(log: Insightlog) -> dict[str, Any]:
    """Return projects with their insights, actions and cohorts (deleted ones left out), as they are in a log."""
    from ...application.ports import InsightsWanted  # noqa: PLC0415 --help must not wait for the stores' libraries
    from ..http import actions, cohorts, rendering  # noqa: PLC0415 loads Falcon

    users = {one.id: one for one in log.users()}
    projects = []
    for info in log.projects():
        project, insights, offset = log.project(info.id), [], 0
        while page := project.insights.service.find(
            InsightsWanted(project_id=info.id, limit=PAGE, offset=offset, order="id")
        ).results:
            insights += [
                rendering.basic(
                    one, rendering.definition_of(one), users, rendering.standing(one, tiles.get(one.id, ()))
                )
                for tiles in [project.insights.service.tiles(page)]
                for one in page
            ]
            offset += PAGE
        named = {
            "actions": [actions.representation(one, users, project) for one in _all(project.actions.list)],
            "cohorts": [cohorts.representation(one, users, project) for one in _all(project.cohorts.list)],
        }
        projects.append({"id": info.id, "name": info.name, "timezone": info.timezone, "insights": insights, **named})
    return {"position": log.position(), "projects": projects, "users": [one.email for one in users.values()]}


def _all(find: Callable[..., Page[T]]) -> Iterator[T]:
    """Give everything that a list has, page by page."""
    offset = 0
    while page := find(limit=PAGE, offset=offset).results:
        yield from page
        offset += PAGE


def _export(log: Insightlog, as_of: str | None, to: Path) -> int:
    from ...application.history import PastStore, moment_in, texts_of  # noqa: PLC0415 as above

    present, n_exported = log.parts.store, 0
    store = present if as_of is None else PastStore(present, moment_in(present, as_of, log.now()).position)
    with click.open_file(str(to), "wb") as file, progress(store.position(), "replaying", show=str(to) != "-") as bar:
        for text in texts_of(store):
            n_exported += 1
            file.write(text + b"\n")
            bar.update(1)
    return n_exported


def _import(source: Path, data: Path) -> None:
    """Fill a folder without a log with exported records: all of them, or none."""
    from ..composition import log_store  # noqa: PLC0415 --help must not wait for the stores' libraries

    with click.open_file(str(source), "rb") as file, opened(data, new=True) as log, progress(1, "replaying") as bar:
        if log.position():
            raise click.ClickException(f"{data} holds a log; name a new folder.")
        n = log_store(log).take_over(file, lambda done: bar.update(done - bar.pos))
    click.echo(f"Filled {data} with {n} records.", err=True)


@contextmanager
def progress(length: int, label: str, *, show: bool = True) -> Iterator[Any]:
    """Show a progress bar on standard error."""
    with click.progressbar(length=length, label=label, file=sys.stderr, hidden=not show) as bar:
        yield bar


@click.command(short_help="Build every view anew from the log.")
@existing_data_option
@json_option
@explained
def rebuild(data: Path, as_json: bool) -> None:
    """Build every view anew from the log, beside a running server too, and say what differed."""
    from ..composition import log_store  # noqa: PLC0415
    from ..storage.sqlite.upkeep import rebuild as run  # noqa: PLC0415

    with opened(data) as log, progress(log.position(), "rebuilding") as bar:
        changed = run(log_store(log), lambda done, _: bar.update(done - bar.pos))
    if as_json:
        print_json({"differences": changed})
    elif any(changed.values()):
        click.echo("Rebuilt; rows that differed: " + ", ".join(f"{view} {n}" for view, n in changed.items() if n))
    else:
        click.echo("Rebuilt; no view differed.")


@click.command(short_help="Check whether a folder is whole.")
@existing_data_option
@json_option
@explained
def verify(data: Path, as_json: bool) -> None:
    """Check the hash chain, the views against a replay, and the references between the stores.

    Exit code 1 with the first broken position when the folder is not whole.
    """
    from ..verification import verify_folder  # noqa: PLC0415

    with progress(1, "verifying") as bar:

        def told(done: int, total: int) -> None:
            bar.length = max(total, 1)
            bar.update(done - bar.pos)

        report = verify_folder(data, told)
    if as_json:
        print_json({"ok": not report.problems, "problems": report.problems, "checked": report.checked})
    else:
        for line in report.checked:
            click.echo(f"checked: {line}")
        for problem in report.problems:
            click.echo(f"BROKEN: {problem}", err=True)
        click.echo("The folder is whole." if not report.problems else "The folder is NOT whole.")
    if report.problems:
        raise SystemExit(1)


def _short(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= 80 else text[:77] + "..."
