"""Product events by command: demo data, bulk import, queries."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import click
import orjson

from ...application.importing import Format
from ...domain.errors import InvalidInput, StoreUnavailable
from .options import (
    Moment,
    address,
    as_of_option,
    data_option,
    explained,
    json_option,
    opened,
    print_json,
    project_option,
    stopped_at_once,
)

FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv", ".parquet": "parquet"}
HELD = "Stop the server, or let it answer: --url http://HOST:PORT --key KEY."


@click.command()
@data_option
@explained
def demo(data: Path) -> None:
    """Fill a folder with a believable product.

    90 days, 2,000 persons, 200,000 events, and insights of every kind with some history. A folder that has them already
    gets a new key only, one where this was stopped gets the rest, and one with another project is left as it is.
    """
    from ..composition import open_log, system_clock  # noqa: PLC0415 --help must not wait for the stores' libraries
    from . import demo_data  # noqa: PLC0415

    now = system_clock()
    clock = demo_data.SteppingClock(now - demo_data.AGE)
    stopped = "Stopped. Run the same command again for the rest."
    with stopped_at_once(stopped), open_log(data, clock=clock) as log:
        if not log.projects():
            demo_data.people_and_insights(log, clock, now)
        project = log.project(log.projects()[0].id)
        if project.name != demo_data.PROJECT:
            click.echo(f"{data} has a project already; it is left as it is.")
            return
        clock.now = now
        earlier = [key for key in log.all_keys() if key.label == demo_data.KEY_LABEL]
        if not earlier:  # new, or stopped before its end: the same events again, of which those that are there stay
            with click.progressbar(length=demo_data.EVENTS, label="demo events", file=sys.stderr) as bar:
                for chunk in demo_data.events(project.info.created_at + demo_data.AGE):
                    log.parts.product_store().import_events(project.id, [chunk])
                    bar.update(len(chunk))
        owner = log.administration.user(demo_data.OWNER)
        for old in earlier:
            log.revoke_key(old.id, by=owner)
        key = log.create_key(owner, ["*"], label=demo_data.KEY_LABEL, by=owner).value
        token = project.token
    counts = f"{demo_data.EVENTS:,} events of {demo_data.PERSONS:,} persons, {len(demo_data.INSIGHTS)} insights"
    click.echo(f"{data}: {counts}.")
    click.echo(f"  capture token (for SDKs): {token}")
    click.echo(f"  personal API key:         {key}")
    address = "http://127.0.0.1:8000/api/projects/1/insights/?basic=true"
    click.echo(f'  try: curl -H "Authorization: Bearer {key}" "{address}"')


@click.command(short_help="Run a query node or a legacy filter.")
@click.argument("file", type=click.File("rb"))
@data_option
@project_option
@click.option("--url", callback=address, help="Ask a running server instead, as in http://127.0.0.1:8000.")
@click.option("--key", envvar="INSIGHTLOG_KEY", help="Personal API key for --url.")
@as_of_option
@click.option("--known-at", type=Moment(), help="With what was known at this moment, given likewise.")
@explained
def query(
    file: Any, data: Path, project: int, url: str | None, key: str | None, as_of: str | None, known_at: str | None
) -> None:
    """Run a query node or a legacy filter from FILE ('-' for standard input) and print the response as JSON."""
    try:
        asked = orjson.loads(file.read())
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"This is no JSON: {error}", path=file.name) from error
    node = as_node(asked)
    if url is not None:
        print_json(_ask(url, project, key, node, {"as_of": as_of, "known_at": known_at}))
        return
    with opened(data) as log:
        past = log if as_of is None and known_at is None else log.as_of(as_of or log.now(), known_at=known_at)
        try:
            print_json(past.project(project).query(node))
        except StoreUnavailable as error:
            raise click.ClickException(f"{error} {HELD}") from error


@click.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@data_option
@project_option
@click.option(
    "--format", "file_format", type=click.Choice(["jsonl", "csv", "parquet"]), help="Default: by the file's ending."
)
@click.option(
    "--rejects",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where bad rows go with their reasons, as JSON lines. Default: rejects/ in the folder.",
)
@click.option("--url", callback=address, help="Send to a running server instead, as in http://127.0.0.1:8000.")
@click.option("--key", envvar="INSIGHTLOG_TOKEN", help="The project's capture token, for --url.")
@json_option
@explained
def import_(files: tuple[Path, ...], data: Path, project: int, as_json: bool, **options: Any) -> None:
    """Import product events from FILES in bulk.

    Columns: event, distinct_id, timestamp, and optionally properties (JSON) and uuid. Bad rows are put aside with their
    reasons and the rest is imported. Importing a file again adds nothing twice.
    """
    from .importing import Import, into_folder, to_server  # noqa: PLC0415 --help must not wait for the stores' libraries

    done = []
    for file in files:
        kind = options["file_format"] or FORMATS.get(file.suffix.lower())
        if kind is None:
            raise click.UsageError(f"{file} has no known ending; say --format jsonl, csv or parquet.")
        rejects = options["rejects"] or data / "rejects" / f"{file.name}.jsonl"
        url = options["url"]
        store = into_folder(data, project) if url is None else to_server(url, options["key"])
        with store as take:
            done.append(Import(file, cast("Format", kind), rejects).run(take))
    if as_json:
        print_json(done)
        return
    for one in done:
        click.echo(
            f"{one['file']}: {one['imported']:,} imported, {one['known']:,} known already, {one['rejected']:,} rejected"
            + (f" (see {one['rejects']})" if one["rejected"] else "")
        )


def as_node(asked: Any) -> Any:
    """Return a query node: the value itself when it has a kind, else the node of a legacy filter."""
    from ...domain.queries.legacy import filters_to_query  # noqa: PLC0415

    return asked if not isinstance(asked, dict) or "kind" in asked else filters_to_query(asked)


def _ask(url: str, project: int, key: str | None, node: Any, moments: dict[str, str | None]) -> Any:
    from .remote import post_json  # noqa: PLC0415

    if not key:
        raise click.UsageError("--url needs --key (or INSIGHTLOG_KEY).")
    headers = {"Authorization": f"Bearer {key}"}
    asked = urlencode({name: moment for name, moment in moments.items() if moment is not None})
    return post_json(url, f"/api/projects/{project}/query/?{asked}", {"query": node}, headers)
