"""Options that several commands share, and how output and errors look."""

from __future__ import annotations

import errno
import functools
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...domain.errors import InsightlogError, InvalidInput

if TYPE_CHECKING:
    from ...application.library import Insightlog

Command = Callable[..., Any]

data_option = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("data"),
    show_default=True,
    envvar="INSIGHTLOG_DATA",
    help="The folder that holds everything.",
)
existing_data_option = click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path("data"),
    show_default=True,
    envvar="INSIGHTLOG_DATA",
    help="The folder that holds everything.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
project_option = click.option("--project", type=int, default=1, show_default=True, help="Id of the project.")


def address(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """Return the address of a server (callback of an option). Raises `click.BadParameter` for what is none."""
    if value is not None and not value.startswith(("http://", "https://")):
        raise click.BadParameter("The address of a server starts with http:// or https://.")
    return value


LEVELS = ("member", "admin", "owner")
"""What a user may be in an organisation: administrators and owners manage its projects and every insight."""
organization_option = click.option(
    "--organization", type=int, default=1, show_default=True, help="Id of the organisation."
)


class Moment(click.ParamType):  # type: ignore[type-arg]  # generic only in the newest click
    """An ISO 8601 instant with a zone, or `position:N`."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text, once it is known to be a moment."""
        from ...application.history import moment_of  # noqa: PLC0415 --help must not wait for the stores' libraries

        try:
            moment_of(str(value))
        except InvalidInput as error:
            self.fail(error.detail, param, ctx)
        return str(value)


as_of_option = click.option("--as-of", type=Moment(), help="A past moment: 2026-04-02T09:15:30Z or position:N.")


@contextmanager
def opened(data: Path, *, new: bool = False) -> Iterator[Insightlog]:
    """Open a folder for one command; one without a log is refused unless it may be a new one."""
    from ..composition import LOG_FILE, open_log  # noqa: PLC0415 --help must not wait for the stores' libraries

    if not new and not (data / LOG_FILE).exists():
        raise click.ClickException(f"{data} holds no log yet; insightlog serve, demo or project create makes one.")
    with open_log(data) as log:
        yield log


def explained(command: Command) -> Command:
    """Turn the library's errors, and those of files, into a message and exit code 1."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except InsightlogError as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            if error.errno == errno.EPIPE:  # whoever read the output has gone; click ends in silence
                raise
            raise click.ClickException(
                f"{error.filename}: {error.strerror}" if error.filename else str(error)
            ) from error

    return run


@contextmanager
def stopped_at_once(sentence: str, cleanup: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Let Ctrl-C end the process with a sentence and exit code 130, wherever it is; for what may be killed at any time.

    Unwinding would first wait for threads, and DuckDB may abort or raise errors of its own when it is interrupted.
    """

    def stop(*_: object) -> None:
        os.write(sys.stderr.fileno(), f"\n{sentence}\n".encode())  # `print` might be interrupted amid one of its own
        cleanup()
        os._exit(128 + signal.SIGINT)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def print_json(value: Any) -> None:
    """Print a value as indented JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(rows: list[dict[str, Any]], empty: str) -> None:
    """Print rows as aligned columns, or a sentence when there are none."""
    if not rows:
        click.echo(empty)
        return
    texts = [[str(value) for value in row.values()] for row in rows]
    head = list(rows[0])
    widths = [max(map(len, column)) for column in zip(head, *texts, strict=True)]
    for line in [head, *texts]:
        click.echo("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def print_rows(rows: list[dict[str, Any]], *, as_json: bool, empty: str) -> None:
    """Print rows as JSON, or as a table or a sentence."""
    if as_json:
        print_json(rows)
    else:
        print_table(rows, empty)
