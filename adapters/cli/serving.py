"""`insightlog serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import click

from .options import address, data_option, explained
from .query_options import query_options


@click.command()
@data_option
@click.option("--host", default="127.0.0.1", show_default=True, envvar="INSIGHTLOG_HOST", help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8000, show_default=True, envvar="INSIGHTLOG_PORT", help="Port."
)
@click.option(
    "--threads",
    type=click.IntRange(1, 1000),
    default=64,
    show_default=True,
    envvar="INSIGHTLOG_THREADS",
    help="Requests served at once.",
)
@click.option(
    "--synchronous",
    type=click.Choice(["FULL", "NORMAL"]),
    default="FULL",
    show_default=True,
    envvar="INSIGHTLOG_SYNCHRONOUS",
    help="FULL: an acknowledged write is on disk. NORMAL: faster, a power cut may lose the last ones.",
)
@query_options
@click.option(
    "--site-url",
    callback=address,
    envvar="INSIGHTLOG_SITE_URL",
    help="What absolute links start with, as in https://insights.example.com; default: as requested.",
)
@click.option(
    "--csv-formulas",
    type=click.Choice(["escape", "keep"]),
    default="escape",
    show_default=True,
    envvar="INSIGHTLOG_CSV_FORMULAS",
    help="escape: CSV texts that a spreadsheet would run as formulas get a leading apostrophe.",
)
@click.option(
    "--archive-after-days",
    type=click.IntRange(1, 36500),
    envvar="INSIGHTLOG_ARCHIVE_AFTER_DAYS",
    help="Move captured events older than this out of capture.sqlite into small files in archive/. Default: never.",
)
@click.option(
    "--rate-limits",
    is_flag=True,
    envvar="INSIGHTLOG_RATE_LIMITS",
    help="Limit each project: 240 requests a minute and 1,200 an hour for insights and queries, more for the rest.",
)
@click.option(
    "--trusted-proxies",
    type=click.IntRange(0, 10),
    default=0,
    show_default=True,
    envvar="INSIGHTLOG_TRUSTED_PROXIES",
    help="How many proxies stand in front, each of which adds the address it was asked from to X-Forwarded-For.",
)
@click.option(
    "--strict-scopes",
    is_flag=True,
    envvar="INSIGHTLOG_STRICT_SCOPES",
    help="Refuse keys with scopes where PostHog lists no scope, as PostHog does.",
)
@click.option(
    "--legacy-filters-echo",
    is_flag=True,
    envvar="INSIGHTLOG_LEGACY_FILTERS_ECHO",
    help="Show the filters of insights that were stored with filters, beside the query they convert to.",
)
@explained
def serve(data: Path, host: str, port: int, site_url: str | None, csv_formulas: str, **options: Any) -> None:
    """Run the server.

    On a new folder it makes project 1, its owner and one personal API key. INSIGHTLOG_BOOTSTRAP_API_KEY and
    INSIGHTLOG_BOOTSTRAP_PROJECT_TOKEN give their values; otherwise they are generated and printed once. Ready when
    GET /_health answers 200; SIGTERM ends it.
    """
    import os  # noqa: PLC0415 here beside its only use: the bootstrap values are no options, so that no help shows them

    from ..http.query_options import QueryOptions  # noqa: PLC0415
    from ..http.server import ServerOptions  # noqa: PLC0415 --help must not wait for the server's libraries
    from ..http.server import serve as run  # noqa: PLC0415

    run(
        ServerOptions(
            data=data,
            host=host,
            port=port,
            bootstrap_api_key=os.environ.get("INSIGHTLOG_BOOTSTRAP_API_KEY") or None,
            bootstrap_project_token=os.environ.get("INSIGHTLOG_BOOTSTRAP_PROJECT_TOKEN") or None,
            site_url=site_url,
            are_csv_formulas_escaped=csv_formulas == "escape",
            queries=QueryOptions(**{field.name: options.pop(field.name) for field in attrs.fields(QueryOptions)}),
            **options,
        )
    )
