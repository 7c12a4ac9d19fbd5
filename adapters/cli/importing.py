"""What `insightlog import` does with one file: events to a folder or a server, bad rows to a file, a progress bar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import click
import orjson
from attrs import asdict, define

from ...application.importing import Format, Reject, read_chunks
from ...application.json_values import iso
from ...domain.errors import StoreUnavailable
from ...domain.product_event import ProductEvent
from ..storage.duckdb.parquet import DuckDBParquetFile
from .options import opened
from .remote import post_json

SENT_AT_ONCE = 1000

Add = Callable[[Sequence[ProductEvent]], int]
"""Stores events, durable on return; gives how many were new."""


@contextmanager
def into_folder(data: Path, project: int) -> Iterator[Add]:
    """Give a function that imports into a folder that no server holds."""
    with opened(data) as log:
        project_id = log.project(project).id
        store = log.parts.product_store()
        try:
            store.drain()
        except StoreUnavailable as error:
            raise click.ClickException(
                f"{error} Stop the server, or send to it: --url http://HOST:PORT --key CAPTURE_TOKEN."
            ) from error
        yield lambda events: store.import_events(project_id, [events])


@contextmanager
def to_server(url: str, token: str | None) -> Iterator[Add]:
    """Give a function that sends to a running server, which leaves out what it has."""
    if not token:
        raise click.UsageError("--url needs --key with the project's capture token (or INSIGHTLOG_TOKEN).")

    def add(events: Sequence[ProductEvent]) -> int:
        for start in range(0, len(events), SENT_AT_ONCE):
            batch = [
                {
                    "event": event.event,
                    "distinct_id": event.distinct_id,
                    "timestamp": iso(event.timestamp),
                    "uuid": str(event.uuid),
                    "properties": orjson.loads(event.properties),
                }
                for event in events[start : start + SENT_AT_ONCE]
            ]
            post_json(url, "/batch/", {"api_key": token, "batch": batch, "historical_migration": True}, {})
        return len(events)

    yield add


@define
class Import:
    """One file to import."""

    file: Path
    kind: str
    """jsonl, csv or parquet."""
    rejects: Path

    def run(self, add: Add) -> dict[str, Any]:
        """Import the file and return the counts."""
        imported = read = rejected = 0
        with ExitStack() as stack:
            bar = None
            reject_file: BinaryIO | None = None
            for chunk in read_chunks(self.file, cast("Format", self.kind), open_parquet=DuckDBParquetFile):
                if bar is None:
                    bar = stack.enter_context(
                        click.progressbar(length=chunk.total, label=self.file.name, file=sys.stderr)
                    )
                if chunk.rejects:
                    reject_file = reject_file or stack.enter_context(self._reject_file())
                    reject_file.writelines(map(_line, chunk.rejects))
                if chunk.events:
                    imported += add(chunk.events)
                read, rejected = read + len(chunk.events), rejected + len(chunk.rejects)
                bar.update(chunk.done - bar.pos)
        return {
            "file": str(self.file),
            "imported": imported,
            "known": read - imported,
            "rejected": rejected,
            "rejects": str(self.rejects) if rejected else None,
        }

    def _reject_file(self) -> BinaryIO:
        self.rejects.parent.mkdir(parents=True, exist_ok=True)
        return self.rejects.open("wb")


def _line(reject: Reject) -> bytes:
    return orjson.dumps(asdict(reject), option=orjson.OPT_APPEND_NEWLINE)
