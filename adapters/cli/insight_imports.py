"""`insightlog import-insights`: insights and dashboards, with their history, out of a server with the same API."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...domain.errors import InvalidInput
from .importing import Bar
from .options import address, data_option, explained, json_option, opened, print_json, project_option

if TYPE_CHECKING:
    from ...application.execution import By
    from ...application.insight_imports import InsightImports
    from .other_server import Source

LEFT = {
    "activity_log:read": "history begins here",
    "dashboard:read": "dashboards stay there",
    "sharing_configuration:read": "nobody knows what was shared",
    "access_control:read": "rules about who may see an insight stay there",
    "organization_member:read": "rules for members stay there",
    "organization:read": "rules for roles stay there",
}
"""What a key without a scope leaves behind."""


@click.command("import-insights", short_help="Pull insights out of another server.")
@data_option
@project_option
@click.option("--from", "url", required=True, callback=address, help="The other server, as in https://eu.posthog.com.")
@click.option("--from-project", required=True, help="Its project: the id, or @current.")
@click.option(
    "--key",
    required=True,
    envvar="INSIGHTLOG_KEY",
    help="Personal API key there: insight:read, and read scopes of dashboard, activity_log, sharing_configuration, "
    "access_control, organization and organization_member for what these open.",
)
@click.option("--open-shares", is_flag=True, help="Share what is shared there here too, under an address of our own.")
@json_option
@explained
def import_insights(
    data: Path, project: int, url: str, from_project: str, key: str, open_shares: bool, as_json: bool
) -> None:
    """Pull insights and dashboards, with their history, out of another server with the same API, PostHog included.

    An insight comes over with its short id, definition, times, users, activity, last view, rules about who may see it,
    and how it is shared; a dashboard with its tiles. What is here already is left as it is, so a stopped run goes on
    where it was. Works beside a running server. Deleted insights and dashboards cannot be read there.
    """
    from ...application.acting import acting  # noqa: PLC0415 --help must not wait for the stores' libraries
    from .other_server import Source  # noqa: PLC0415

    source = Source(url, from_project, key)
    names = ("imported", "entries", "known", "rejected", "rules_left", "dashboards", "tiles")
    counts = dict.fromkeys(names, 0)
    with opened(data) as log:
        imports = log.insight_imports_of(log.project(project).info, keeps_shares_open=open_shares)
        _take_insights(source, imports, acting(None, None), counts)
        _take_dashboards(source, imports, acting(None, None), counts)
    for scope in sorted(source.refused):
        click.echo(f"The key has no {scope} there: {LEFT[scope]}.", err=True)
    if as_json:
        print_json(counts)
        return
    click.echo(
        f"{counts['imported']:,} insights imported with {counts['entries']:,} entries of their history, "
        f"{counts['known']:,} known already, {counts['rejected']:,} rejected; {counts['dashboards']:,} dashboards, "
        f"{counts['tiles']:,} tiles"
    )
    if counts["rules_left"]:
        click.echo(f"{counts['rules_left']:,} rules are for members or roles that are not known here.", err=True)
    if counts["rejected"]:
        sys.exit(1)


def _take_insights(source: Source, imports: InsightImports, by: By, counts: dict[str, int]) -> None:
    bar, n = Bar("insights"), 0
    try:
        for total, shown in source.insights():
            n += 1
            if imports.has(str(shown.get("short_id"))):
                counts["known"] += 1
            else:
                _take_insight(source, imports, by, shown, counts)
            bar.show(n, n / max(total, n))
    finally:
        bar.end()


def _take_insight(
    source: Source, imports: InsightImports, by: By, shown: dict[str, Any], counts: dict[str, int]
) -> None:
    try:
        found = source.insight(shown)
        taken = imports.take(found, by)
    except InvalidInput as error:
        counts["rejected"] += 1
        click.echo(f"\n{source.address}/insights/{shown.get('id')}: {error}", err=True)
    else:
        counts["imported"] += taken is not None
        counts["entries"] += len(found.past)
        counts["rules_left"] += taken.n_rules_left if taken else 0


def _take_dashboards(source: Source, imports: InsightImports, by: By, counts: dict[str, int]) -> None:
    bar, n = Bar("dashboards"), 0
    try:
        for total, found in source.dashboards():
            n += 1
            try:
                taken = imports.take_dashboard(found, by)
            except InvalidInput as error:
                counts["rejected"] += 1
                click.echo(f"\n{found.source}: {error}", err=True)
            else:
                counts["dashboards"] += taken.is_new
                counts["tiles"] += taken.n_tiles
            bar.show(n, n / max(total, n))
    finally:
        bar.end()
