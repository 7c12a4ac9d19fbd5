"""What `insightlog import` does with one file: events to a folder or a server, bad rows to a file, a progress bar."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import quote

import click
import orjson
from attrs import asdict, define, field

from ...application.importing import Format, ImportProgress, Reject
from ...domain.errors import StoreUnavailable
from .options import opened, stopped_at_once
from .remote import Refused, get_json, post_json

SENT_AT_ONCE = 1000
FETCHED_AT_ONCE = 50_000
STOPPED = "Stopped. What was imported stays; run the same command again, and it goes on from there."


class Take(Protocol):
    """Takes over a file, durable chunk by chunk."""

    def __call__(self, file: Path, file_format: Format) -> Iterator[ImportProgress]:
        """Yield what became of each chunk."""
        ...


@contextmanager
def into_folder(data: Path, project: int) -> Iterator[Take]:
    """Give a function that imports into a folder that no server holds; a new folder gets project 1."""
    with stopped_at_once(STOPPED), opened(data, new=True) as log:
        if project == 1 and not log.projects():
            log.create_project("Default project")
        project_id = log.project(project).id
        store = log.parts.product_store()
        try:
            store.drain()
        except StoreUnavailable as error:
            raise click.ClickException(
                f"{error} Stop the server, or send to it: --url http://HOST:PORT --key CAPTURE_TOKEN."
            ) from error
        yield lambda file, file_format: store.import_file(project_id, file, file_format)


@contextmanager
def to_server(url: str, token: str | None) -> Iterator[Take]:
    """Give a function that sends to a running server, which leaves out what it has."""
    if not token:
        raise click.UsageError("--url needs --key with the project's capture token (or INSIGHTLOG_TOKEN).")
    with (
        tempfile.TemporaryDirectory(prefix="insightlog-import-") as scratch,
        stopped_at_once(STOPPED, lambda: shutil.rmtree(scratch, ignore_errors=True)),
    ):
        try:  # capture answers 200 to a token of no project
            get_json(f"{url.rstrip('/')}/array/{quote(token, safe='')}/config", {})
        except Refused as error:
            if error.status == HTTPStatus.NOT_FOUND:
                raise click.ClickException(f"{url} has no project with this capture token.") from error
            raise
        yield lambda file, file_format: _sent(file, file_format, Path(scratch), url, token)


def _sent(file: Path, file_format: Format, scratch: Path, url: str, token: str) -> Iterator[ImportProgress]:
    from ..storage.duckdb.bulk import BulkFile  # noqa: PLC0415 servers, which import all commands, do without

    known_us = int(datetime.now(UTC).timestamp() * 1_000_000)
    for chunk in BulkFile(file, file_format, scratch, 0, known_us).chunks():
        if chunk.path is not None:
            for batch in _batches(chunk.path):
                post_json(url, "/batch/", {"api_key": token, "batch": batch, "historical_migration": True}, {})
            chunk.path.unlink()
        yield ImportProgress(added=chunk.n_rows, known=0, rejects=chunk.rejects, done=chunk.done, total=chunk.total)


def _batches(path: Path) -> Iterator[list[dict[str, Any]]]:
    import duckdb  # noqa: PLC0415 --help must not wait for it

    with duckdb.connect() as connection:
        connection.execute(
            "SELECT event, distinct_id, strftime(make_timestamp(ts_us), '%Y-%m-%dT%H:%M:%S.%fZ'), uuid::VARCHAR, "
            "properties FROM read_parquet(?) ORDER BY row",
            [str(path)],
        )
        names = ("event", "distinct_id", "timestamp", "uuid")
        while rows := connection.fetchmany(FETCHED_AT_ONCE):
            for start in range(0, len(rows), SENT_AT_ONCE):
                some = rows[start : start + SENT_AT_ONCE]
                yield [dict(zip(names, row[:4], strict=True)) | {"properties": orjson.loads(row[4])} for row in some]


@define
class Import:
    """One file to import."""

    file: Path
    kind: Format
    rejects: Path
    _reject_file: BinaryIO | None = field(default=None, init=False)

    def run(self, take: Take) -> dict[str, Any]:
        """Import the file and return the counts."""
        added = known = rejected = 0
        with ExitStack() as stack:
            bar = Bar(self.file.name)
            stack.callback(bar.end)
            for progress in take(self.file, self.kind):
                if progress.rejects:
                    self._write(progress.rejects, stack)
                added, known = added + progress.added, known + progress.known
                rejected += len(progress.rejects)
                bar.show(added + known + rejected, progress.done / (progress.total or 1))
        return {
            "file": str(self.file),
            "imported": added,
            "known": known,
            "rejected": rejected,
            "rejects": str(self.rejects) if rejected else None,
        }

    def _write(self, rejects: list[Reject], stack: ExitStack) -> None:
        if self._reject_file is None:
            self.rejects.parent.mkdir(parents=True, exist_ok=True)
            self._reject_file = stack.enter_context(self.rejects.open("wb"))
        self._reject_file.writelines(orjson.dumps(asdict(one), option=orjson.OPT_APPEND_NEWLINE) for one in rejects)


class Bar:
    """A line on standard error: share done, rows per second, time left; only the last one where nobody watches."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._begun = time.monotonic()
        self._line = ""

    def show(self, n_rows: int, share: float) -> None:
        """Tell how many rows are done, and which share of the whole that is."""
        took = time.monotonic() - self._begun
        rate = n_rows / took if took else 0.0
        left = took / share - took if share else 0.0
        filled = round(share * 30)
        self._line = (
            f"{self._label}  [{'#' * filled}{'-' * (30 - filled)}]  {share:4.0%}  {n_rows:,} rows, {rate:,.0f}/s"
            + (f", {_duration(left)} left" if share < 1 else f", in {_duration(took)}")
        )
        if sys.stderr.isatty():
            click.echo(f"\r\x1b[K{self._line}", err=True, nl=False)

    def end(self) -> None:
        """Leave the last line standing."""
        if self._line:
            click.echo("" if sys.stderr.isatty() else self._line, err=True)


def _duration(seconds: float) -> str:
    """Return a time for people.

    >>> _duration(0.4), _duration(75), _duration(7260)
    ('0 s', '1:15 min', '2:01 h')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes = whole // 60
    return f"{minutes}:{whole % 60:02} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02} h"
