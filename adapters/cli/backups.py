"""`insightlog backup` and `insightlog restore`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .options import data_option, existing_data_option, explained, json_option, print_json


@click.command()
@existing_data_option
@click.option(
    "--to", "target", required=True, type=click.Path(file_okay=False, path_type=Path), help="A new folder for the copy."
)
@json_option
@explained
def backup(data: Path, target: Path, as_json: bool) -> None:
    """Copy a folder, consistent, while a server writes to it.

    Everything that was acknowledged before is in it. The copy is whole once it has its name, and a folder like any
    other: a server can start on it.
    """
    from attrs import asdict  # noqa: PLC0415

    from ..backup import back_up  # noqa: PLC0415 --help must not wait for the stores' libraries
    from ..composition import system_clock  # noqa: PLC0415

    made = back_up(data, target, now=system_clock(), progress=_show)
    if as_json:
        print_json(asdict(made) | {"to": str(target)})
        return
    click.echo(
        f"{target}: {made.files} files, {made.size_bytes / 1e6:,.1f} MB; the log up to position {made.position:,}, "
        f"{made.captured:,} captured events."
    )


@click.command()
@click.option(
    "--from",
    "source",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder of a backup.",
)
@data_option
@json_option
@explained
def restore(source: Path, data: Path, as_json: bool) -> None:
    """Make a folder out of a backup, which stays as it is. A folder that is not empty is refused."""
    from attrs import asdict  # noqa: PLC0415

    from ..backup import restore as make  # noqa: PLC0415 --help must not wait for the stores' libraries

    made = make(source, data, progress=_show)
    if as_json:
        print_json(asdict(made) | {"data": str(data)})
        return
    click.echo(f"{data}: as it was at {made.made_at}. Product events are built again at the first start.")


def _show(name: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{name}", err=True, nl=False)
